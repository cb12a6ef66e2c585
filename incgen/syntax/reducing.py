"""Build nodes during the parse, each as soon as its rule is matched, without a tree in between.

A tree with positions that is transformed afterwards takes twice as long as the parse itself.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence
from operator import itemgetter
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from incgen.syntax.lexing import Token

#: What a rule makes: a node, or the parts of a rule that stands for them (`_name`); and the offsets
#: of its first and last character, brackets and keywords included.
Made: TypeAlias = tuple[Any, int | None, int | None]
#: Makes the node of a rule from its parts and their offsets.
Make: TypeAlias = Callable[[list[Any], int | None, int | None], Any]


def reduction(
    origin: str,
    size: int,
    kept: Sequence[int | None],
    inlined: Container[int],
    make: Callable[[str], Make],
) -> Callable[[list[Token | Made]], Made]:
    """Return what turns the values of a rule into its own.

    Args:
        origin: The name of the rule.
        size: The number of its values.
        kept: The numbers of the values that are parts, with None for one that is not there.
        inlined: The numbers of those that stand for their own parts.
        make: Returns what makes the node of a rule.
    """
    node = None if origin.startswith("_") else make(origin)
    if node is None and size == 1 and [*kept] == [0] and 0 in inlined:
        return itemgetter(0)  # `_a: _b` has the parts of `_b`

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
