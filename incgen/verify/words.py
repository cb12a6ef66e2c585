"""Words that a parameter takes: those of all ops that it goes to, in branches not taken too."""

from __future__ import annotations

from collections.abc import Iterator

from incgen.language import expressions as ex
from incgen.language.ops import WORDS, Argument
from incgen.resolve import definitions as df
from incgen.resolve.arguments import value_fault


def words_of(definition: df.Definition, parameter: str) -> frozenset[str]:
    """Return the words that a definition takes for a parameter.

    An op that is not built takes no other words than one that is: generated code refuses them all
    the same. What the definition compares the parameter with is taken too, since a condition can
    keep that from the op. Where it goes to no op, every word is taken.
    """
    inner = [words_of(block, name) for block, name in set(_blocks(definition, parameter))]
    ops = [_words(argument) for argument in _arguments(definition, parameter)]
    return WORDS.intersection(*inner, *ops) | _compared(definition, parameter)


def _words(argument: Argument) -> frozenset[str]:
    return frozenset(word for word in WORDS if value_fault(argument, word) is None)


def _arguments(definition: df.Definition, parameter: str) -> Iterator[Argument]:
    """Yield the arguments of ops, and of units, that a definition gives a parameter as."""
    for element, name in _given(definition, parameter):
        op = element.op if isinstance(element, df.OpCall) else element.definition.head
        argument = op.argument(name) if op is not None else None
        if argument is not None:
            yield argument


def _blocks(definition: df.Definition, parameter: str) -> Iterator[tuple[df.Definition, str]]:
    """Yield the blocks that a definition gives a parameter, and what they call it."""
    for element, name in _given(definition, parameter):
        if isinstance(element, df.Instance) and element.definition.head is None:
            yield element.definition, name


def _given(
    definition: df.Definition, parameter: str
) -> Iterator[tuple[df.OpCall | df.Instance, str]]:
    """Yield the elements that a definition gives a parameter, and as which argument."""
    for element in df.elements(definition.body):
        if isinstance(element, df.OpCall | df.Instance):
            for name, value in element.args.items():
                if value == ex.Parameter(parameter):
                    yield element, name


def _compared(definition: df.Definition, parameter: str) -> frozenset[str]:
    """Return the words that a definition compares a parameter with."""
    found: set[str] = set()
    pending = list(_expressions(definition.body))
    while pending:
        node = pending.pop()
        pending.extend(ex.children(node))
        if isinstance(node, ex.Binary) and ex.Parameter(parameter) in (node.left, node.right):
            sides = (ex.literal(node.left), ex.literal(node.right))
            found.update(side for side in sides if isinstance(side, str))
    return frozenset(found)


def _expressions(body: df.Body) -> Iterator[ex.Expression]:
    """Yield what can compare words: conditions and arguments."""
    for element in df.elements(body):
        if isinstance(element, df.Conditional):
            yield element.condition
        elif isinstance(element, df.OpCall | df.Instance):
            values = element.args.values()
            yield from (value for value in values if isinstance(value, ex.Expression))
