"""The capabilities of the processor that compares the files."""

from __future__ import annotations

from pathlib import Path

_LINUX = Path("/proc/cpuinfo")


def saturates(described: str | None = None) -> bool:
    """Return whether sums of two products of 8 bits may saturate: on x86 without VNNI.

    Args:
        described: The description of the processor by Linux; that of this machine if omitted. Other
            systems have none, and nothing is known of theirs.
    """
    if described is None:
        try:
            described = _LINUX.read_text("utf-8", "replace")
        except OSError:
            return False
    flags = next((line for line in described.splitlines() if line.startswith("flags")), "")
    return bool(flags) and "vnni" not in flags
