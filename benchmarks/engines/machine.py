"""Describe the machine of a run."""

from __future__ import annotations

import os
import platform
from importlib import metadata
from pathlib import Path
from typing import Any

#: Libraries whose versions matter.
LIBRARIES = (
    "torch",
    "torchvision",
    "pretrainedmodels",
    "tensorflow",
    "keras",
    "jax",
    "flax",
    "onnx",
    "onnxruntime",
    "openvino",
    "pnnx",
    "onnx2tf",
)
#: Instructions that decide how fast convolutions are.
_INSTRUCTIONS = ("avx2", "fma", "avx512f", "avx512_vnni", "avx512_bf16", "amx_tile", "asimd", "sve")


def described() -> dict[str, Any]:
    """Return the processor with its instructions, cores and memory, and the system."""
    processor = _lines(Path("/proc/cpuinfo"))
    memory = _lines(Path("/proc/meminfo")).get("MemTotal", "0").split()[0]
    flags = (processor.get("flags") or processor.get("Features") or "").split()
    family = " ".join(
        f"{key} {processor[key]}" for key in ("cpu family", "model") if key in processor
    )
    return {
        "processor": processor.get("model name") or platform.processor() or platform.machine(),
        "family": family,
        "instructions": [name for name in _INSTRUCTIONS if name in flags],
        "cores": len(os.sched_getaffinity(0))
        if hasattr(os, "sched_getaffinity")
        else os.cpu_count(),
        "memory": int(memory) * 1024,
        "system": f"{platform.system()} {platform.machine()}, Python {platform.python_version()}",
    }


def load() -> float:
    """Return how many processes wanted to run in the last minute, on average."""
    return os.getloadavg()[0]


def versions() -> dict[str, str]:
    """Return the version of each library that is installed."""
    result = {}
    for name in LIBRARIES:
        try:
            result[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return result


def _lines(path: Path) -> dict[str, str]:
    """Return what a file of `key : value` lines says first of each key."""
    values: dict[str, str] = {}
    if path.exists():
        for line in path.read_text("utf-8", errors="replace").splitlines():
            key, _, value = line.partition(":")
            values.setdefault(key.strip(), value.strip())
    return values
