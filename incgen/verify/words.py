"""The words that a parameter accepts: those of every op it reaches, in any branch."""

from __future__ import annotations

from collections.abc import Iterator

from incgen.language.ops import WORDS, Argument
from incgen.resolve import definitions as df
from incgen.resolve.arguments import value_fault
from incgen.targets.shared.parameters import compared_words


def words_of(definition: df.Definition, parameter: str) -> frozenset[str]:
    """Return the words that a definition takes for a parameter.

    An op that is not built takes no other words than one that is: generated code refuses them all
    the same. What the definition compares the parameter with is taken too, since a condition can
    keep that from the op. Where it goes to no op, every word is taken.
    """
    inner = [words_of(block, name) for block, name in set(_blocks(definition, parameter))]
    ops = [_words(argument) for argument in _arguments(definition, parameter)]
    return WORDS.intersection(*inner, *ops).union(compared_words(definition.body, parameter))


def _words(argument: Argument) -> frozenset[str]:
    return frozenset(word for word in WORDS if value_fault(argument, word) is None)


def _arguments(definition: df.Definition, parameter: str) -> Iterator[Argument]:
    """Yield the arguments of ops, and of units, that a definition gives a parameter as."""
    for element, name in df.given_on(definition, parameter):
        op = element.op if isinstance(element, df.OpCall) else element.definition.head
        argument = op.argument(name) if op is not None else None
        if argument is not None:
            yield argument


def _blocks(definition: df.Definition, parameter: str) -> Iterator[tuple[df.Definition, str]]:
    """Yield the blocks that a definition gives a parameter, and what they call it."""
    for element, name in df.given_on(definition, parameter):
        if isinstance(element, df.Instance) and element.definition.head is None:
            yield element.definition, name
