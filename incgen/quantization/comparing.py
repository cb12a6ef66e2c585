"""Compare a model in int8 with the float one on images: each block, the outputs, the classes."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import onnx
import onnxruntime

from incgen.onnx.pixels import INPUT
from incgen.quantization.blocks import Block, Quantized, plain, with_outputs
from incgen.weights.checkpoint import Array


@dataclass(slots=True)
class Error:
    """The distance of values from those in float, as a part of their size."""

    squares: float = 0.0  #: The sum of the squares of the differences
    size: float = 0.0  #: The sum of the squares in float

    def add(self, found: Array, wanted: Array) -> None:
        """Count some values."""
        wide = wanted.astype(np.float64)
        self.squares += float(np.square(found - wide).sum())
        self.size += float(np.square(wide).sum())

    @property
    def relative(self) -> float:
        """Return the root of the mean square of the differences, as a part of that in float."""
        if not self.squares:
            return 0.0
        return math.sqrt(self.squares / self.size) if self.size else math.inf


@dataclass(slots=True)
class Row:
    """The distance of a block from float."""

    block: Block
    own: Error = field(default_factory=Error)  #: With the inputs that it has in float
    total: Error = field(default_factory=Error)  #: With what the quantised blocks before it give


@dataclass(slots=True)
class Classes:
    """The classification of images before and after."""

    labelled: int = 0  #: The images whose class is known
    float_right: int = 0
    int8_right: int = 0
    same: int = 0  #: Those of the same class in both
    count: int = 0

    def add(self, before: Array, after: Array, labels: Array | None) -> None:
        """Count a batch, given the values of its classes."""
        first, second = before.argmax(1), after.argmax(1)
        self.same += int((first == second).sum())
        self.count += len(first)
        if labels is not None:
            self.labelled += len(labels)
            self.float_right += int((first == labels).sum())
            self.int8_right += int((second == labels).sum())


@dataclass(slots=True)
class Comparison:
    """The result of a comparison."""

    rows: list[Row]
    outputs: dict[str, Error]
    classes: Classes | None  #: None if the first output has no classes
    images: int = 0


def compared(
    before: onnx.ModelProto,
    after: onnx.ModelProto,
    batches: Iterable[tuple[Array, Array | None]],
    *,
    depth: int,
    places: Mapping[str, Sequence[str]],
    classes: bool,
    progress: Callable[[str], None],
) -> Comparison:
    """Run both models on batches of images with their labels, if they are known.

    Args:
        before: The float model.
        after: The same in int8.
        batches: The images.
        depth: How many levels of labels are blocks of their own.
        places: Where the spec has each node, by its name.
        classes: Whether the first output is a value for each class.
        progress: Gets what is being done.
    """
    quantized = Quantized(after)
    blocks = quantized.blocks(depth, places)
    outputs = {output.name: Error() for output in before.graph.output}
    comparison = Comparison(
        [Row(block) for block in blocks], outputs, Classes() if classes else None
    )
    models = _Models(before, after, quantized, blocks)
    for x, labels in batches:
        models.count(x, labels, comparison)
        progress(f"comparing: {comparison.images} images")
    return comparison


#: Returns values by name, given the inputs.
_Run = Callable[[Mapping[str, Array]], dict[str, Array]]


class _Models:
    """The models, and each block alone, ready to run."""

    def __init__(
        self,
        before: onnx.ModelProto,
        after: onnx.ModelProto,
        quantized: Quantized,
        blocks: Sequence[Block],
    ) -> None:
        """Make the values that blocks take and give outputs of the models."""
        self.quantized = quantized
        values = dict.fromkeys(v for block in blocks for v in (*block.takes, *block.gives))
        inner = [value for value in values if value != INPUT]
        self.outputs = [output.name for output in before.graph.output]
        wanted = list(dict.fromkeys([*self.outputs, *map(plain, inner)]))
        seen = list(dict.fromkeys(quantized.seen[plain(value)] for value in inner))
        self.float = _runner(with_outputs(before, wanted), wanted)
        self.int8 = _runner(after, self.outputs)
        self.all_int8 = _runner(quantized.whole(inner), seen)
        names = [[quantized.seen[plain(value)] for value in block.gives] for block in blocks]
        parts = map(quantized.part, blocks)
        self.parts = [_runner(part, given) for part, given in zip(parts, names, strict=True)]

    def count(self, x: Array, labels: Array | None, comparison: Comparison) -> None:
        """Run everything on a batch, and count what differs."""
        exact, after = self.float({INPUT: x}), self.int8({INPUT: x})
        for name in self.outputs:
            comparison.outputs[name].add(after[name], exact[name])
        if comparison.classes is not None:
            first = self.outputs[0]
            comparison.classes.add(exact[first], after[first], labels)
        moved = self.all_int8({INPUT: x})
        for row, run in zip(comparison.rows, self.parts, strict=True):
            own = run({v: x if v == INPUT else exact[plain(v)] for v in row.block.takes})
            for value in row.block.gives:
                name = self.quantized.seen[plain(value)]
                row.own.add(own[name], exact[plain(value)])
                row.total.add(moved[name], exact[plain(value)])
        comparison.images += len(x)


def _runner(model: onnx.ModelProto, names: Sequence[str]) -> _Run:
    """Return what runs a model, for some of its outputs."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # others wait too
    data = model.SerializeToString()
    session = onnxruntime.InferenceSession(data, options, ["CPUExecutionProvider"])
    wanted = list(names)
    return lambda given: dict(zip(wanted, session.run(wanted, dict(given)), strict=True))
