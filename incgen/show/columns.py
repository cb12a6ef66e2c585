"""The columns that the table of a network can have."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from incgen.base.diagnostics import listed
from incgen.base.help import near
from incgen.graph.calls import Calls
from incgen.graph.memory import Memory, memory
from incgen.graph.nodes import Graph
from incgen.graph.receptive import Field, receptive_fields
from incgen.show.tree import Group

#: What a cell holds: exact, or None where there is nothing to say.
Value: TypeAlias = int | str | None


class ColumnError(Exception):
    """There is no such column; the message says which there are."""


@dataclass(frozen=True, slots=True)
class Facts:
    """A network and what its columns are computed from."""

    graph: Graph
    memory: Memory
    fields: list[Field]


def facts(graph: Graph) -> Facts:
    """Compute what the columns of a network are computed from."""
    return Facts(graph, memory(graph), receptive_fields(graph))


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its name, its meaning, and its value for a row."""

    name: str  #: What users type, and the heading
    about: str  #: What it says, for the documentation
    value: Callable[[Facts, Group], Value]
    number: bool = False  #: Whether it is aligned to the right, and sorted from the largest
    #: The value of the whole network, of which a row is a share; None if there are no shares
    whole: Callable[[Facts], int] | None = None
    rank: Callable[[Facts, Group], int] | None = None  #: What it is sorted by, if not by its value

    def sorted_by(self, known: Facts, group: Group) -> tuple[int, str]:
        """Return a key that sorts numbers from the largest and words from A."""
        value = self.rank(known, group) if self.rank else self.value(known, group)
        return (0, value) if isinstance(value, str) else (-(value or 0), "")


# ---------------------------------------------------------------- values


def _training(known: Facts, group: Group) -> int:
    return sum(known.memory.kept[index] for index in group.nodes)


def _inference(known: Facts, group: Group) -> int | None:
    live = [known.memory.live[index] for index in group.nodes]
    return max((size for size in live if size is not None), default=None)


def _field(known: Facts, group: Group) -> Field:
    return known.fields[group.nodes[-1]]


def _size(known: Facts, group: Group) -> str:
    return "{} x {}".format(*_field(known, group).size)


def _area(known: Facts, group: Group) -> int:
    high, wide = _field(known, group).size
    return high * wide


def _stride(known: Facts, group: Group) -> str | None:
    stride = _field(known, group).stride
    if stride is None:
        return None
    return "{} x {}".format(*stride) if stride[0] != stride[1] else str(stride[0])


def _step(known: Facts, group: Group) -> int:
    high, wide = _field(known, group).stride or (0, 0)
    return high * wide


def _line(known: Facts, group: Group) -> str | None:
    if group.span is None:
        return None
    return f"{group.span.source.name.rpartition('/')[2]}:{group.span.line}"


def _tensors(known: Facts, group: Group) -> str | None:
    if group.children:
        return None
    tensors = known.graph.nodes[group.nodes[-1]].tensors
    shapes = (f"{tensor.name} {'x'.join(map(str, tensor.shape))}" for tensor in tensors)
    return ", ".join(shapes) or None


def _said(known: Facts, group: Group) -> str | None:
    return group.described or None


#: The columns in the order in which they stand; `share` is computed from another.
SHARE = "share"
TRAINING = "training-memory"
COLUMNS: Mapping[str, Column] = {
    each.name: each
    for each in (
        Column("op", "the op, unit or block with what is told of its arguments", _said),
        Column(
            "output",
            "the shape of the output: channels, height and width",
            lambda _, group: str(group.shape),
            rank=lambda _, group: group.shape.size if group.shape else 0,
        ),
        Column(
            "parameters",
            "the parameters that are trained",
            lambda _, group: group.parameters,
            number=True,
            whole=lambda known: known.graph.trained,
        ),
        Column(
            "multiply-adds",
            "multiplications by a weight, for one example",
            lambda _, group: group.multiply_adds,
            number=True,
            whole=lambda known: known.graph.multiply_adds,
        ),
        Column(
            SHARE,
            "the share of the network's multiply-adds, or of the column that it is sorted by, in "
            "percent and as a bar; the longest bar is that of the largest row",
            lambda _, group: None,
            number=True,
        ),
        Column(
            TRAINING,
            "the bytes that training keeps for the backward pass",
            _training,
            number=True,
            whole=lambda known: known.memory.training,
        ),
        Column(
            "inference-memory",
            "the bytes that are live while inference evaluates it; the most for what has layers "
            "inside",
            _inference,
            number=True,
            whole=lambda known: known.memory.inference,
        ),
        Column("field", "the receptive field of an output: height and width", _size, rank=_area),
        Column("stride", "the distance between the fields of neighbours", _stride, rank=_step),
        Column("key", "the key", lambda _, group: group.key),
        Column("tensors", "the tensors of a layer in the weights file", _tensors),
        Column("line", "the file and line of the spec", _line),
    )
}
#: The columns of a table for which none are chosen.
USUAL = ("op", "output", "parameters", "multiply-adds", SHARE)


def called(name: str, calls: Calls) -> Column:
    """Return a column that says what a framework calls a row."""

    def value(known: Facts, group: Group) -> Value:
        nodes = [known.graph.nodes[index].path for index in group.nodes]
        if not group.children:
            return calls.layers.get(nodes[-1])
        inside = [calls.layers[path] for path in nodes if path in calls.layers]
        return calls.uses.get(group.key) or (", ".join(inside) if group.unit else None) or None

    return Column(name, f"what {name} calls it", value)


def chosen(text: str | None, *, trained: bool = True) -> list[Column]:
    """Return the columns that a user names, in that order; `all`, or `+` in front of more.

    Args:
        text: The names, with commas between them.
        trained: Whether the network is one that is trained, and no form for inference.

    Raises:
        ColumnError: One of them is not a column of such a network.
    """
    if text is None:
        return [COLUMNS[name] for name in USUAL]
    if text.strip() == "all":
        return [c for c in COLUMNS.values() if trained or c.name != TRAINING]
    more = text.strip().startswith("+")
    named = [part.strip() for part in text.strip().lstrip("+").split(",")]
    names = dict.fromkeys([*(USUAL if more else ()), *named])
    return [column(name, trained=trained) for name in names]


def column(name: str, *, trained: bool = True) -> Column:
    """Return the column of a name.

    Raises:
        ColumnError: There is none.
    """
    result = COLUMNS.get(name)
    if result is None:
        advice = near(name, COLUMNS) or f"use {listed([*COLUMNS], 'or')}"
        raise ColumnError(f"there is no column `{name}`: {advice}")
    if name == TRAINING and not trained:
        raise ColumnError(f"the form for inference is not trained: leave out `{TRAINING}`")
    return result
