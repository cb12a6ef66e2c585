"""The words that a parameter accepts: those of every op it reaches, in any branch."""

from __future__ import annotations

from collections.abc import Iterator

from incgen.language.ops import WORDS
from incgen.language.signatures import Argument
from incgen.resolve import definitions as df
from incgen.resolve.arguments import value_fault
from incgen.targets.shared.parameters import compared_words


def words_of(definition: df.Definition, parameter: str) -> frozenset[str]:
    """Return the words that a definition accepts for a parameter.

    An op that is not built accepts the same words as one that is: generated code rejects others all
    the same. Words that the definition compares the parameter with are accepted too, since a
    condition can keep them from the op. If it reaches no op, every word is accepted.
    """
    inner = [words_of(block, name) for block, name in set(_blocks(definition, parameter))]
    ops = [_words(argument) for argument in _arguments(definition, parameter)]
    return WORDS.intersection(*inner, *ops).union(compared_words(definition.body, parameter))


def _words(argument: Argument) -> frozenset[str]:
    return frozenset(word for word in WORDS if value_fault(argument, word) is None)


def _arguments(definition: df.Definition, parameter: str) -> Iterator[Argument]:
    """Yield the arguments of ops and units that a definition passes a parameter to."""
    for element, name in df.given_on(definition, parameter):
        op = element.op if isinstance(element, df.OpCall) else element.definition.head
        argument = op.argument(name) if op is not None else None
        if argument is not None:
            yield argument


def _blocks(definition: df.Definition, parameter: str) -> Iterator[tuple[df.Definition, str]]:
    """Yield the blocks that a definition passes a parameter to, and their name for it."""
    for element, name in df.given_on(definition, parameter):
        if isinstance(element, df.Instance) and element.definition.head is None:
            yield element.definition, name
