"""The rows and columns of a table, before it is known how they are written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from incgen.graph.calls import Calls
from incgen.graph.nodes import Graph
from incgen.show.columns import COLUMNS, SHARE, Column, Facts, Value, called, chosen, column, facts
from incgen.show.tree import Row, rows, tree

#: The column that shares are of, if the table is not sorted by another that has some.
COST = "multiply-adds"


@dataclass(frozen=True, slots=True)
class View:
    """The parts of a network that a user asks to see."""

    depth: int | None = None  #: How many levels of labels; all if None
    everything: bool = False  #: Whether to show the layers inside units
    columns: str | None = None  #: See `chosen`
    sort: str | None = None  #: The column to sort by


@dataclass(frozen=True, slots=True)
class Sheet:
    """A table whose cells are exact values."""

    known: Facts
    columns: Sequence[Column]
    rows: Sequence[Row]
    basis: Column  #: The column that shares are of
    whole: int  #: The number of the network that a share is of, and the largest of a row
    largest: int
    nested: bool  #: Whether rows stand in the order of the network, sums in front of their parts

    def label(self, row: Row) -> str:
        """Return the name of a row where nesting shows what it is part of."""
        return row.group.name if self.nested else row.group.key

    def cells(self, row: Row) -> list[Value]:
        """Return the value of each column; that of a share is the value it is the share of."""
        return [self.value(each, row) for each in self.columns]

    def value(self, each: Column, row: Row) -> Value:
        """Return the value of a column."""
        return (self.basis if each.name == SHARE else each).value(self.known, row.group)

    def total(self, each: Column) -> int | None:
        """Return the value of a column for the whole network, if it has one."""
        return each.whole(self.known) if each.whole else None

    def share(self, row: Row) -> tuple[float, float]:
        """Return a row's share of the network, and that of the largest row."""
        value = self.number(row)
        return value / (self.whole or 1), value / (self.largest or 1)

    def number(self, row: Row) -> int:
        """Return the number that the share of a row is computed from."""
        return _number(self.known, self.basis, row)

    def heading(self, each: Column) -> str:
        """Return the heading of a column."""
        return f"% of {self.basis.name}" if each.name == SHARE else each.name


def sheet(graph: Graph, view: View, calls: Mapping[str, Calls] | None = None) -> Sheet:
    """Return what a user wants to see of a network.

    A sorted table has only rows without others inside them, each under its whole key.

    Args:
        graph: The network.
        view: What to show.
        calls: What frameworks call its layers, by the names of the frameworks: further columns.

    Raises:
        ColumnError: There is no such column.
    """
    columns = chosen(view.columns, trained=graph.deployment is None)
    columns += [called(name, found) for name, found in (calls or {}).items()]
    known = facts(graph)
    found = [*rows(tree(graph), view.depth, view.everything)]
    order = COLUMNS[COST]
    if view.sort is not None:
        order = column(COST if view.sort == SHARE else view.sort, trained=graph.deployment is None)
        found = [row for row in found if row.leaf]
        found.sort(key=lambda row: order.sorted_by(known, row.group))
    basis = order if order.whole else COLUMNS[COST]
    largest = max(_number(known, basis, row) for row in found)
    whole = basis.whole(known) if basis.whole else 0
    return Sheet(known, columns, found, basis, whole, largest, nested=view.sort is None)


def _number(known: Facts, basis: Column, row: Row) -> int:
    value = basis.value(known, row.group)
    return value if isinstance(value, int) else 0
