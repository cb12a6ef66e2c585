"""Parameters of generated code that are words: their values, types, checks and cases."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from incgen.graph.nodes import Graph
from incgen.language import expressions as ex
from incgen.language.arithmetic import Value
from incgen.language.expressions import Expression
from incgen.language.signatures import Kind
from incgen.resolve import definitions as df
from incgen.resolve.arguments import PAD_WORDS
from incgen.targets.shared.code import Refusal, Type
from incgen.targets.shared.parameters import (
    OpenParameters,
    compared_words,
    type_of,
    values_of,
)
from incgen.targets.shared.values import Args, expression

T = TypeVar("T")


class Words:
    """The words that the parameters of a network's units and blocks take."""

    def __init__(self, graph: Graph, opened: OpenParameters) -> None:
        self.graph, self.opened = graph, opened
        self._paddings: dict[tuple[df.Definition, str], list[Value]] = {}
        self._taken: dict[tuple[df.Definition, str], list[Value]] = {}
        self._words: dict[df.Definition, dict[str, list[str]]] = {}

    def cases(self, definition: df.Definition, parameter: str) -> list[Value]:
        """Return the values of a padding, to write a case for each; none if there is no word.

        That is more than was observed: also what a use that is not built passes on, the default,
        the words of conditions, and every word where the users of a model decide.
        """
        key = definition, parameter
        if key not in self._paddings:
            values = [
                *values_of(self.graph, definition, parameter),
                *self._handed_on(definition, parameter),
                *self._compared(definition, parameter),
            ]
            cases = {v for v in values if v in PAD_WORDS or type(v) is int}
            if not any(isinstance(value, str) for value in cases):
                cases.clear()
            elif self.opened.has(definition, parameter):
                cases.update(PAD_WORDS)
            self._paddings[key] = sorted(cases, key=str)
        return self._paddings[key]

    def _compared(self, definition: df.Definition, parameter: str) -> list[str]:
        """Return the words that a definition compares a parameter with."""
        if definition not in self._words:
            self._words[definition] = compared_words(definition.body)
        return self._words[definition].get(parameter, [])

    def _handed_on(self, definition: df.Definition, parameter: str) -> Iterator[object]:
        """Yield the default, and the values of parameters that uses pass on."""
        default = {formal.name: formal.default for formal in definition.parameters}.get(parameter)
        if isinstance(default, ex.Literal):
            yield default.value
        for user, use in df.uses(self.graph.program):
            value = use.args.get(parameter) if use.definition is definition else None
            # A user that compares its parameter passes on only some of the values: the observed.
            if isinstance(value, ex.Parameter) and not self._compared(user, value.name):
                yield from self.cases(user, value.name)

    def type(self, definition: df.Definition, parameter: str) -> Type | None:
        """Return the type of a parameter that an op takes as a word, however deep; else None."""
        taken = self.taken(definition, parameter)
        return type_of(taken, closed=True) if taken else None

    def taken(self, definition: df.Definition, parameter: str) -> list[Value]:
        """Return the values of a parameter that ops take as a word, however deep.

        There are none if no op does. A parameter that is passed on to several definitions can be
        what all of them take.
        """
        key = definition, parameter
        if key not in self._taken:
            here = self.taken_here(definition, parameter)
            self._taken[key] = here or self._taken_inside(definition, parameter)
        return self._taken[key]

    def _taken_inside(self, definition: df.Definition, parameter: str) -> list[Value]:
        """Return the values that all definitions take to which a parameter is passed on."""
        inner = [
            taken
            for element, name in df.given_on(definition, parameter)
            if isinstance(element, df.Instance) and (taken := self.taken(element.definition, name))
        ]
        if not inner:
            return []
        first, *others = inner
        return self._with_own(
            definition, parameter, [v for v in first if all(v in other for other in others)]
        )

    def taken_here(self, definition: df.Definition, parameter: str) -> list[Value]:
        """Return the values of a parameter for which a definition itself has code; see `taken`."""
        head = definition.head.argument(parameter) if definition.head is not None else None
        if head is not None and head.words:
            return self._with_own(definition, parameter, head.words)
        for element, name in df.given_on(definition, parameter):
            op = element.op if isinstance(element, df.OpCall) else element.definition.head
            argument = op.argument(name) if op is not None else None
            known: Sequence[Value] = ()
            if argument is not None and argument.kind is Kind.PADDING:
                known = self.cases(definition, parameter)
            elif argument is not None and isinstance(element, df.OpCall):
                known = argument.words
            if known:
                return self._with_own(definition, parameter, known)
        return []

    def possible(self, definition: df.Definition, formula: Expression) -> Expression:
        """Return a formula without comparisons to words that parameters of a definition never are.

        Type checkers refuse them.
        """
        for node in ex.within(formula):
            match node:
                case ex.Binary("==", ex.Parameter(name), ex.Literal(str(word))):
                    words: list[Value] = [word]
                case ex.Binary("in", ex.Parameter(name), ex.Tuple(parts)):
                    words = [part.value for part in parts if isinstance(part, ex.Literal)]
                case _:
                    continue
            known = self.taken(definition, name)
            left = [word for word in words if word in known]
            if known and left != words:
                condition = is_one_of(ex.Parameter(name), left) if left else ex.Literal(False)
                formula = ex.replaced(formula, node, condition)
        return formula

    def _with_own(
        self, definition: df.Definition, parameter: str, known: Sequence[Value]
    ) -> list[Value]:
        """Return values, and any other words that were observed or that conditions compare with."""
        seen = values_of(self.graph, definition, parameter)
        own = [*seen, *self._compared(definition, parameter)]
        words = [value for value in own if isinstance(value, str)]
        return list(dict.fromkeys([*known, *words]))

    def refusal(self, definition: df.Definition, parameter: str) -> tuple[Refusal, ...]:
        """Return a statement that refuses words for which a definition has no code, if any."""
        known = self.taken_here(definition, parameter)
        return (Refusal(parameter, tuple(map(ex.Literal, known))),) if known else ()


# ---------------------------------------------------------------- choices


def is_one_of(value: Expression, words: Sequence[Value]) -> Expression:
    """Return the condition that a value is one of some words, or that a flag is set."""
    if words == [True]:
        return value
    if len(words) == 1:
        return ex.binary("==", value, ex.Literal(words[0]))
    return ex.binary("in", value, ex.Tuple(tuple(map(ex.Literal, words))))


def by_word(
    args: Args,
    name: str,
    words: Sequence[Value],
    build: Callable[[Args], T],
    choose: Callable[[Expression, T, T], T],
) -> T:
    """Build something for each word that an argument can be; return a choice between them.

    Args:
        args: The arguments.
        name: The name of the one that can be several words.
        words: Its possible words; the last is the default.
        build: Returns the result for arguments in which it is known.
        choose: Returns the choice between two results by a condition.
    """
    value = expression(args, name)
    if ex.literal(value) is not None:
        return build(args)
    *others, chosen = [build({**args, name: ex.Literal(word)}) for word in words]
    groups: list[tuple[T, list[Value]]] = []
    for word, result in zip(words, others, strict=False):
        alike = next((words for known, words in groups if known == result), None)
        if alike is not None:
            alike.append(word)
        elif result != chosen:
            groups.append((result, [word]))
    for result, alike in reversed(groups):
        chosen = choose(is_one_of(value, alike), result, chosen)
    return chosen
