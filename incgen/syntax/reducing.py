"""Build nodes while Lark parses, each as soon as its rule is matched, without a tree of Lark's.

A tree with positions that is transformed afterwards takes twice as long as the parse itself.
"""

from __future__ import annotations

from collections.abc import Callable
from operator import itemgetter
from typing import Any, TypeAlias, cast

from lark import Lark, Token
from lark.grammar import Rule, Symbol

#: What a rule makes: a node, or the parts of a rule that stands for them (`_name`); and the offsets
#: of its first and last character, brackets and keywords included.
Made: TypeAlias = tuple[Any, int | None, int | None]
#: Makes the node of a rule from its parts and their offsets.
Make: TypeAlias = Callable[[list[Any], int | None, int | None], Any]


class Parser(Lark):
    """A parser whose `transformer` says by its method `make` how the node of a rule is made."""

    def _prepare_callbacks(self) -> None:
        make = cast(Any, self.options.transformer).make
        self._callbacks = {rule: _reduction(rule, make) for rule in self.rules}


def _reduction(rule: Rule, make: Callable[[str], Make]) -> Callable[[list[Token | Made]], Made]:
    """Return what turns the values of a rule into its own."""
    node = None if _is_inlined(rule.origin) else make(rule.origin.name)
    kept = _kept(rule)
    inlined = {n for n, symbol in enumerate(rule.expansion) if _is_inlined(symbol)}
    if kept == [0] and len(rule.expansion) == 1:
        return itemgetter(0) if node is None and inlined else _alone(node, bool(inlined))

    def reduced(values: list[Token | Made]) -> Made:
        parts: list[Any] = []
        for index in kept:
            value = None if index is None else values[index]
            if not isinstance(value, tuple):
                parts.append(value)
            elif index not in inlined:
                parts.append(value[0])
            elif parts:
                parts += value[0]
            else:
                parts = value[0]  # of a long list, which must not be copied for each of its parts
        start = end = None
        for value in values:
            start = value[1] if isinstance(value, tuple) else value.start_pos
            if start is not None:
                break
        for value in reversed(values):
            end = value[2] if isinstance(value, tuple) else value.end_pos
            if end is not None:
                break
        return parts if node is None else node(parts, start, end), start, end

    return reduced


def _alone(node: Make | None, inlined: bool) -> Callable[[list[Token | Made]], Made]:
    """Return what `_reduction` does for a rule of a single value."""

    def reduced(values: list[Token | Made]) -> Made:
        (value,) = values
        if isinstance(value, tuple):
            part, start, end = value
        else:
            part, start, end = value, value.start_pos, value.end_pos
        parts = part if inlined else [part]
        return parts if node is None else node(parts, start, end), start, end

    return reduced


def _is_inlined(symbol: Symbol) -> bool:
    """Return whether the parts of a rule stand for it."""
    return not symbol.is_term and symbol.name.startswith("_")


def _kept(rule: Rule) -> list[int | None]:
    """Return the numbers of the values that are parts, with None for a `[x]` that is not there."""
    absent = "".join(str(int(empty)) for empty in rule.options.empty_indices)
    gaps = [len(ones) for ones in absent.split("0")] if absent else []
    kept: list[int | None] = []
    for index, symbol in enumerate(rule.expansion):
        kept += [None] * (gaps[index] if gaps else 0)
        if not getattr(symbol, "filter_out", False):
            kept.append(index)
    return kept + [None] * (gaps[-1] if gaps else 0)
