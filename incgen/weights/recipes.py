"""Derive one of our tensors from theirs: move its axes, and undo what their framework did."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from incgen.graph.shapes import Tensor
from incgen.weights.checkpoint import Array, Stored, shown, size_of
from incgen.weights.conventions import Axes

#: Rows, columns and channels of a map that a dense layer takes.
Map: TypeAlias = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Fresh:
    """A tensor of ours that is reinitialised as the spec says."""

    seed: int
    key: str
    tensor: Tensor


@dataclass(frozen=True, slots=True)
class Recipe:
    """One tensor of ours."""

    shape: tuple[int, ...]
    #: Theirs; None where it has none, because it leaves out a gamma that is 1
    stored: Stored | None
    axes: Axes = Axes.VECTOR  #: The order of their axes
    #: (C, H, W) of the map behind a dense layer whose inputs they order H, W, C
    flattened: Map | None = None
    first_dropped: bool = False  #: Whether their first class is the background, which ours lacks
    #: Caffe's factor of running statistics: what is stored is multiplied by it
    divided_by: Stored | None = None
    minus: Stored | None = None  #: The bias of the convolution before it, which ours lacks
    fresh: Fresh | None = None  #: How it is drawn, if it is not imported
    part: str = ""  #: The part of the file that it comes from, if not the one that was chosen

    @property
    def sources(self) -> tuple[Stored, ...]:
        """Return all tensors of theirs that go into it."""
        return tuple(s for s in (self.stored, self.divided_by, self.minus) if s is not None)

    @property
    def notes(self) -> tuple[str, ...]:
        """Describe the conversion; nothing if only axes move."""
        notes = []
        if self.part:
            notes.append(f"of the part `{self.part}`")
        if self.fresh is not None:
            notes.append(f"reinitialised with the seed {self.fresh.seed}")
        elif self.stored is None:
            notes.append("ones: the checkpoint has no gamma")
        elif _oriented(self.stored.shape, self.axes) != self._before and self.flattened is None:
            notes.append(f"{shown(self.stored.shape)} without its axes of length 1")
        if self.flattened is not None:
            notes.append("inputs reordered from H, W, C to C, H, W")
        if self.first_dropped:
            notes.append("class 0, the background, dropped")
        if self.divided_by is not None:
            notes.append("divided by the factor")
        if self.minus is not None:
            notes.append("minus the bias before the normalisation")
        return tuple(notes)

    @property
    def outputs(self) -> int | None:
        """Return how many outputs theirs has; None if it has no output axis."""
        if self.stored is None or len(self.stored.shape) < 2:
            return None
        return _oriented(self.stored.shape, self.axes)[0]

    @property
    def _before(self) -> tuple[int, ...]:
        """Return our shape before a class is dropped."""
        return (self.shape[0] + self.first_dropped, *self.shape[1:])

    def fault(self) -> str:
        """Describe why theirs does not have the shape that ours needs; nothing if it does."""
        if self.stored is None:
            return ""
        theirs = _oriented(self.stored.shape, self.axes)
        if not _same(theirs, self._before):
            return (
                f"{shown(self.shape)} here, but `{self.stored.name}` is {shown(self.stored.shape)}"
            )
        if self.divided_by is not None and size_of(self.divided_by.shape) != 1:
            return f"`{self.divided_by.name}` is {shown(self.divided_by.shape)}, not one number"
        if self.minus is not None and not _same(self.minus.shape, self.shape):
            return f"{shown(self.shape)} here, but `{self.minus.name}` is {shown(self.minus.shape)}"
        return ""

    def values(self) -> Array:
        """Read theirs and make ours, in their type or, if it is computed, in float64."""
        import numpy as np

        if self.fresh is not None:
            from incgen.weights.first import drawn

            return drawn(self.fresh.seed, self.fresh.key, self.fresh.tensor)
        if self.stored is None:
            return np.ones(self.shape)
        values = self.stored.values().transpose(_order(self.axes, len(self.stored.shape)))
        if self.flattened is not None:
            channels, height, width = self.flattened
            values = values.reshape(-1, height, width, channels).transpose(0, 3, 1, 2)
        values = values.reshape(self._before)
        if self.first_dropped:
            values = values[1:]
        if self.divided_by is not None:
            factor = float(self.divided_by.values().reshape(()))
            # batch_norm_layer.cpp: a factor of 0 means that statistics were never gathered
            values = values.astype("f8") * (1 / factor if factor else 0.0)
        if self.minus is not None:
            values = values.astype("f8") - self.minus.values().reshape(self.shape)
        return values


def _order(axes: Axes, rank: int) -> tuple[int, ...]:
    """Return the axes of theirs in our order."""
    match axes, rank:
        case Axes.INPUTS_FIRST, 4:
            return 3, 2, 0, 1
        case Axes.INPUTS_FIRST, 2:
            return 1, 0
        case Axes.MULTIPLIER_LAST, 4:  # ours has the first two as one axis
            return 2, 3, 0, 1
        case _:
            return tuple(range(rank))


def _oriented(shape: tuple[int, ...], axes: Axes) -> tuple[int, ...]:
    """Return a shape of theirs with its axes in our order."""
    ours = tuple(shape[axis] for axis in _order(axes, len(shape)))
    if axes is Axes.MULTIPLIER_LAST and len(shape) == 4:
        return (ours[0] * ours[1], 1, *ours[2:])
    return ours


def _same(theirs: tuple[int, ...], ours: tuple[int, ...]) -> bool:
    """Return whether two shapes hold the same numbers in the same order.

    Axes of length 1 may be added or missing where they cannot be mistaken for others: around a
    vector, after the matrix of a dense layer stored as a kernel, and before it, as in Caffe. A
    kernel over a whole map is a dense layer too: its axes C, H, W are then one axis. Kernels must
    match: 1 x 7 is not 7 x 1.
    """
    if theirs == ours:
        return True
    match len(ours), theirs:
        case 1, _:
            return [n for n in theirs if n != 1] == [n for n in ours if n != 1]
        case 2, (1, 1, _, _):
            return ours == theirs[2:] or ours == (1, size_of(theirs[1:]))
        case 2, (outputs, *inputs) if len(theirs) == 4:
            return ours == (outputs, size_of(tuple(inputs)))
        case 4, (_, _):
            return ours == (*theirs, 1, 1)
        case _:
            return False
