"""Broken weights files as a subject of the runner."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

from fuzzing.broken.archives import PICKLES, RAN, bitten, repacked
from fuzzing.broken.cases import Case
from fuzzing.broken.guard import Bounds
from fuzzing.broken.headers import lying
from fuzzing.broken.trial import Failure
from incgen.api import load
from incgen.base.diagnostics import plain
from incgen.compiling import compile_spec
from incgen.weights import first, manifest
from incgen.weights.errors import MismatchError, WeightsError
from incgen.weights.exporting import export_weights
from incgen.weights.importing import import_weights
from incgen.weights.readers import open_checkpoint
from incgen.weights.readers.apart import PATIENCE

#: The network of all files.
SPEC = """\
numerics torch
unit conv_bn = conv bias=false -> bn -> relu

network net(classes = 3) {
    input 6x6 3
    a: conv_bn 3x3 4
    b: depthwise_conv 3x3
    c: separable_conv 3x3 5
    logits: dense classes
}
"""
_SPEC, _OUTPUT = "net.inc", "written.safetensors"

#: A good weights file: its name, and the files that it consists of.
Base = tuple[str, tuple[tuple[str, bytes], ...]]


def bases() -> tuple[Base, ...]:
    """Return good files: those that incgen writes."""
    with TemporaryDirectory() as name:
        made = Path(name)
        spec, ours = made / _SPEC, made / "ours.safetensors"
        spec.write_text(SPEC, "utf-8")
        first.write(compile_spec(spec), ours)
        for output in ("w.pth", "w.npz", "w.msgpack", "w.weights.h5", "w.keras"):
            form = {"w.pth": "torch", "w.npz": "npz", "w.msgpack": "flax"}.get(output, "keras")
            export_weights(ours, spec, made / output, format=form)
        spec.unlink()
        return tuple(
            (path.name, ((path.name, path.read_bytes()),)) for path in sorted(made.iterdir())
        )


@dataclass(frozen=True)
class Weights:
    """Broken weights files.

    Attributes:
        bases: The good files that they are made from.
        seed: The seed of the whole run.
        bounds: The limits of one input; in Keras files libhdf5 may hang more than once.
        keras: Whether the generated Keras code loads them too, where it can.
    """

    bases: tuple[Base, ...]
    seed: int
    bounds: Bounds = field(default_factory=lambda: Bounds(waiting=6 * PATIENCE))
    keras: bool = True

    def prepare(self) -> None:
        """Import what readers need."""
        with TemporaryDirectory() as name:
            spec = Path(name, _SPEC)
            spec.write_text(SPEC, "utf-8")
            for main, files in self.bases:
                for other, data in files:
                    Path(name, other).write_bytes(data)
                with open_checkpoint(Path(name, main)) as checkpoint:
                    for stored in checkpoint.tensors.values():
                        stored.values()
        if self.keras:
            _model()

    def make(self, number: int) -> Case:
        """Return a broken file."""
        dice = Random(f"weights/{self.seed}/{number}")
        ours = dice.random() < 0.3  # formats that incgen reads itself, without a library
        main, files = self.bases[0] if ours else dice.choice(self.bases)
        place = dice.randrange(len(files))
        name, data = files[place]
        kind, change = "bitten", bitten
        if data.startswith(b"PK\x03\x04") and dice.random() < 0.6:
            kind, change = "repacked", repacked
        elif name.endswith(".safetensors") and dice.random() < 0.7:
            kind, change = "lying", lying
        data = change(dice, data)
        if name.endswith(".pth") and dice.random() < 0.2:
            kind, data = "pickle", dice.choice(PICKLES)
        changed = (*files[:place], (name, data), *files[place + 1 :])
        return Case(main, (*changed, (_SPEC, SPEC.encode())), kind=kind)

    def examine(self, case: Case, folder: Path, number: int) -> tuple[str, ...]:
        """Examine how it ends: shown, read, imported, loaded."""
        path = case.put(folder)
        os.environ.pop(RAN, None)
        ends = [_shown(path), _imported(path, folder)]
        if self.keras and path.suffix == ".safetensors":
            ends.append(_loaded(path))
        if RAN in os.environ:
            raise Failure("a pickle has run", case.main)
        return tuple(ends)


def _shown(path: Path) -> str:
    """Check `weights show`, and the values of all tensors."""
    try:
        with open_checkpoint(path) as checkpoint:
            for line in manifest.text(checkpoint).split("\n"):
                if plain(line) != line:
                    raise Failure("control character in a table", repr(line[:200]))
            json.loads(manifest.as_json(checkpoint), parse_constant=_no_number)
            for stored in checkpoint.tensors.values():
                stored.values()
    except WeightsError as error:
        _check_message(error)
        return "not shown"
    return "shown"


def _no_number(text: str) -> None:
    raise Failure("no JSON", text)


def _imported(path: Path, folder: Path) -> str:
    """Check that `weights import` writes a whole file, or nothing."""
    before = sorted(folder.iterdir())
    output = folder / _OUTPUT
    try:
        import_weights(path, folder / _SPEC, output)
    except WeightsError as error:
        _check_message(error)
        if sorted(folder.iterdir()) != before:
            raise Failure("partial output", str(sorted(folder.iterdir()))) from error
        return "mismatch" if isinstance(error, MismatchError) else "not imported"
    with open_checkpoint(output) as checkpoint:
        for stored in checkpoint.tensors.values():
            if stored.values().size and not abs(stored.values()).max() < float("inf"):
                raise Failure("damaged values are written", stored.name)
    return "imported"


def _check_message(error: WeightsError) -> None:
    text = str(error)
    if not text.strip():
        raise Failure("no message", type(error).__name__)
    for line in text.split("\n"):
        if plain(line) != line:
            raise Failure("control character in a report", repr(line[:200]))


@cache
def _model() -> tuple[Any, Any]:
    """Return the generated Keras module and its model."""
    module = load(_SPEC, "keras", text=SPEC)
    return module, module.net()


def _loaded(path: Path) -> str:
    """Check that the generated `load_safetensors` loads all weights, or none of them."""
    module, model = _model()
    before = [value.tobytes() for value in model.get_weights()]
    try:
        module.load_safetensors(model, path)
    # the error of the safetensors package has no base class to name here
    except Exception as error:
        if (
            not isinstance(error, (ValueError, OSError))
            and "safetensors" not in str(type(error)).lower()
        ):
            raise
        if [value.tobytes() for value in model.get_weights()] != before:
            raise Failure("partly loaded", str(error)) from error
        return "not loaded"
    return "loaded"
