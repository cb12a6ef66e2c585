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
        return [self.value(column, row) for column in self.columns]

    def value(self, column: Column, row: Row) -> Value:
        """Return the value of a column."""
        return (self.basis if column.name == SHARE else column).value(self.known, row.group)

    def total(self, column: Column) -> int | None:
        """Return the value of a column for the whole network, if it has one."""
        return column.whole(self.known) if column.whole else None

    def share(self, row: Row) -> tuple[float, float]:
        """Return a row's share of the network, and that of the largest row."""
        value = self.number(row)
        return value / (self.whole or 1), value / (self.largest or 1)

    def number(self, row: Row) -> int:
        """Return the number that the share of a row is computed from."""
        return _number(self.known, self.basis, row)

    def heading(self, column: Column) -> str:
        """Return the heading of a column."""
        return f"% of {self.basis.name}" if column.name == SHARE else column.name


def sheet(graph: Graph, view: View, calls: Mapping[str, Calls] | None = None) -> Sheet:
    """Return what a user wants to see of a network, with a column for the calls of each framework.

    A sorted table has only rows without others inside them, each under its whole key.

    Raises:
        ColumnError: There is no such column.
    """
    columns = chosen(view.columns, trained=graph.deployment is None)
    columns += [called(name, own) for name, own in (calls or {}).items()]
    known = facts(graph)
    shown = [*rows(tree(graph), view.depth, view.everything)]
    order = COLUMNS[COST]
    if view.sort is not None:
        order = column(COST if view.sort == SHARE else view.sort, trained=graph.deployment is None)
        shown = [row for row in shown if row.leaf]
        shown.sort(key=lambda row: order.sorted_by(known, row.group))
    basis = order if order.whole else COLUMNS[COST]
    largest = max(_number(known, basis, row) for row in shown)
    whole = basis.whole(known) if basis.whole else 0
    return Sheet(known, columns, shown, basis, whole, largest, nested=view.sort is None)


def _number(known: Facts, basis: Column, row: Row) -> int:
    value = basis.value(known, row.group)
    return value if isinstance(value, int) else 0
