"""The manifest of a weights file: where each tensor comes from. It is stored in the file."""

from __future__ import annotations

import hashlib
import json
import math
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from incgen.base.diagnostics import counted, plain
from incgen.base.tables import ruled
from incgen.base.version import VERSION
from incgen.compiling import Parameters
from incgen.graph.nodes import Graph
from incgen.syntax.loader import LoadedFile
from incgen.weights.checkpoint import Checkpoint, shown, size_of
from incgen.weights.finding import TOP, Candidate, views
from incgen.weights.matching import Anew
from incgen.weights.safetensors import BY_IMPORT


def source(files: list[Path], checkpoint: Checkpoint, digest: str) -> dict[str, Any]:
    """Return the entry of a checkpoint: the files it consists of, and their digest."""
    return {
        "file": files[0].name,
        "format": checkpoint.format,
        "bytes": sum(file.stat().st_size for file in files),
        "sha256": digest,
    }


def of_import(
    graph: Graph,
    parameters: Parameters,
    loaded: LoadedFile,
    source: Mapping[str, Any],
    chosen: Candidate,
    anew: Anew,
    dtype: str,
) -> dict[str, Any]:
    """Return the manifest of an import, as plain values."""
    match, layout = chosen.match, chosen.layout
    tensors: dict[str, Any] = {}
    for key, recipe in match.recipes.items():
        tensors[key] = {"from": [source.name for source in recipe.sources]}
        if recipe.notes:
            tensors[key]["notes"] = list(recipe.notes)
    return {
        "incgen": VERSION,
        "network": graph.program.network.name,
        "parameters": dict(parameters),
        "spec": {name: digest for name, digest in _specs(loaded)},
        "checkpoint": {**source, "part": chosen.part},
        "layout": {
            "name": layout.name,
            "convention": layout.convention.name,
            "published": [published.source for published in layout.published],
            "set": dict(layout.settings),
        },
        "dtype": dtype,
        "fresh": {"layers": sorted(anew.layers), "seed": anew.seed} if anew.layers else {},
        "left": list(chosen.left),
        "beside": [f"{stored.name}: {shown(stored.shape)}" for stored in chosen.beside],
        "checked": [f"{c.stored.name}: {c.value:g} everywhere" for c in match.checks],
        "tensors": tensors,
    }


def metadata(manifest: Mapping[str, Any]) -> dict[str, str]:
    """Return the metadata of the file."""
    return {
        "format": "pt",
        "generator": BY_IMPORT,
        "network": str(manifest["network"]),
        "manifest": json.dumps(manifest, separators=(",", ":")),
    }


def of_file(checkpoint: Checkpoint) -> dict[str, Any] | None:
    """Return the manifest in a file; None if there is none."""
    try:
        text = checkpoint.metadata["manifest"]
        data = json.loads(text, parse_constant=_finite, parse_float=_finite)
        # values that can be read may still be nested too deeply to be written
        json.dumps(data, indent=2)
    except (KeyError, ValueError, RecursionError):
        return None
    return data if isinstance(data, dict) and isinstance(data.get("tensors"), dict) else None


def _finite(text: str) -> float:
    """Return a number that JSON can write again."""
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(text)
    return value


def _specs(loaded: LoadedFile) -> list[tuple[str, str]]:
    """Return the files of a spec, without their folder, and the SHA-256 of their texts."""
    root = Path(loaded.source.name).parent
    result = []
    for file in loaded.files():
        name = Path(file.source.name)
        name = name.relative_to(root) if name.is_relative_to(root) else name
        result.append((name.as_posix(), hashlib.sha256(file.encoded()).hexdigest()))
    return result


def sha256(files: list[Path], stop: threading.Event) -> str:
    """Return the SHA-256 of concatenated files; an empty string once `stop` is set."""
    digest = hashlib.sha256()
    buffer = memoryview(bytearray(1 << 20))
    for path in files:
        with path.open("rb") as file:
            while count := file.readinto(buffer):
                if stop.is_set():
                    return ""
                digest.update(buffer[:count])
    return digest.hexdigest()


# ---------------------------------------------------------------- for people


def text(checkpoint: Checkpoint) -> str:
    """Format the metadata of a file, and a table of its tensors."""
    manifest = of_file(checkpoint) or {}
    described: Mapping[str, Any] = manifest.get("tensors", {})
    lines = [f"{name:<11} {value}" for name, value in _facts(checkpoint, manifest)]
    rows = [("tensor", "shape", "from", "notes")]
    for name, stored in checkpoint.tensors.items():
        entry = described.get(name)
        entry = entry if isinstance(entry, dict) else {}
        sources, notes = (entry.get(part, []) for part in ("from", "notes"))
        rows.append((name, shown(stored.shape), _joined(sources, ", "), _joined(notes, "; ")))
    columns = [column for column in range(4) if any(row[column] for row in rows[1:])]
    table = ruled([[row[column] for column in columns] for row in rows], gap="  ")
    return "\n".join(map(plain, [*lines, "", *table])) + "\n"


def as_json(checkpoint: Checkpoint) -> str:
    """Format the same as JSON."""
    manifest = of_file(checkpoint)
    metadata = {name: value for name, value in checkpoint.metadata.items() if name != "manifest"}
    content = {
        "metadata": metadata,
        "manifest": manifest,
        "parts": _parts(checkpoint),
        "tensors": {
            name: {"shape": list(stored.shape), "dtype": stored.dtype}
            for name, stored in checkpoint.tensors.items()
        },
    }
    return json.dumps(content, indent=2) + "\n"


def _facts(checkpoint: Checkpoint, manifest: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the first lines: what applies to the whole file."""
    numbers = sum(size_of(stored.shape) for stored in checkpoint.tensors.values())
    dtypes = sorted({stored.dtype for stored in checkpoint.tensors.values()})
    count = len(checkpoint.tensors)
    facts = [("tensors", f"{count} with {numbers:,} numbers, {', '.join(dtypes)}")]
    for part, held in _parts(checkpoint).items():
        facts.append(("part", f"{part} {counted(held, 'tensor')}"))
    facts += [(name, value) for name, value in checkpoint.metadata.items() if name != "manifest"]
    for part in ("parameters", "spec", "checkpoint", "layout", "fresh"):
        value = manifest.get(part)
        if isinstance(value, dict):
            facts += [(part, f"{name} {content}") for name, content in value.items()]
    for part in ("left", "beside", "checked"):
        values = manifest.get(part)
        facts += [(part, str(value)) for value in values] if isinstance(values, list) else []
    return facts


def _parts(checkpoint: Checkpoint) -> dict[str, int]:
    """Return how many tensors are in each container and in each slot, if there are any."""
    parts = {part or TOP: count for part, count in checkpoint.parts.items()}
    slots = {slot: len(view) for slot, view in views(checkpoint.tensors).items() if slot}
    if slots:
        parts = {TOP: len(checkpoint.tensors) - sum(slots.values()), **slots}
    return parts if len(parts) > 1 or TOP not in parts else {}


def _joined(texts: object, separator: str) -> str:
    return separator.join(map(str, texts)) if isinstance(texts, list) else ""
