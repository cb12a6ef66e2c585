"""Check the generated source of random networks with ruff: its rules and its layout."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

#: Rules that a user's project is likely to enable, and the layout.
_COMMANDS = (
    ("check", "--isolated", "--select", "E,F,I,UP,B", "--output-format", "concise"),
    ("format", "--isolated", "--diff"),
)


def can_lint() -> bool:
    """Return whether ruff is installed."""
    return importlib.util.find_spec("ruff") is not None


def lint(sources: Mapping[int, Mapping[str, str]]) -> dict[int, str]:
    """Return ruff's complaints about the source texts of some networks.

    Args:
        sources: The source texts by network number, then by target.

    Returns:
        Messages by network number, for those that have any.
    """
    messages: dict[int, list[str]] = {}
    with tempfile.TemporaryDirectory(prefix="incgen-") as folder:
        for number, texts in sources.items():
            for target, text in texts.items():
                Path(folder, f"n{number}_{target}.py").write_text(text, "utf-8")
        for command in _COMMANDS if sources else ():
            result = subprocess.run(
                [sys.executable, "-m", "ruff", *command, "."],
                cwd=folder,
                capture_output=True,
                text=True,
                check=False,
            )
            if result.returncode:
                said = result.stdout + result.stderr
                parts = re.split(r"^(?:--- )?(?=n\d+_\w+\.py)", said, flags=re.MULTILINE)
                named = [(re.match(r"n(\d+)_", part), part.strip()) for part in parts]
                for name, part in named:
                    if name is not None:
                        messages.setdefault(int(name[1]), []).append(part)
                if not messages:
                    raise RuntimeError(f"ruff failed: {said[:500]}")
    return {number: "\n".join(parts)[:2000] for number, parts in messages.items()}
