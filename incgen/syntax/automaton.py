"""Read a sound text by the tables that Lark makes of the grammar, without the import of Lark.

A text that does not follow the grammar is left to Lark (`syntax/lark.py`), which says why.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypedDict

from incgen.syntax.lexing import Token, Unparsed
from incgen.syntax.reducing import Made, Make, reduction

#: What stands behind the last token.
_END = "$END"


class Tables(TypedDict):
    """A grammar as plain data, which can be cached."""

    #: The names and regular expressions of terminals, in the order in which Lark tries them
    terminals: list[tuple[str, str]]
    pattern: str  #: A regular expression with a group for each of them
    ignored: list[str]  #: Those that are no tokens
    words: dict[str, str]  #: The terminals of words that are no names
    starts: dict[str, int]  #: The first state for each rule that a text can follow
    ends: dict[str, int]  #: The last state
    #: For each state and symbol the next state, or the number of a rule, inverted
    actions: dict[int, dict[str, int]]
    #: The names and sizes of rules, and the numbers of their parts; see `reduction`
    rules: list[tuple[str, int, list[int | None], list[int]]]


class Automaton:
    """Splits texts into tokens, and makes nodes of those."""

    def __init__(self, tables: Tables, make: Callable[[str], Make]) -> None:
        """Take the tables, and what makes the node of a rule."""
        self.pattern = re.compile(tables["pattern"])
        self.ignored, self.words = frozenset(tables["ignored"]), tables["words"]
        self.starts, self.ends = tables["starts"], tables["ends"]
        self.actions = tables["actions"]
        self.rules = [
            (reduction(origin, size, kept, inlined, make), size, origin)
            for origin, size, kept, inlined in tables["rules"]
        ]

    def tokens(self, text: str) -> Iterator[Token]:
        """Yield the tokens of a text.

        Raises:
            Unparsed: A character begins no token.
        """
        place = 0
        for match in self.pattern.finditer(text):
            if match.start() != place:
                break
            place, kind = match.end(), match.lastgroup or ""
            if kind not in self.ignored:
                token = Token(match.group())
                token.type = self.words.get(token, kind) if kind == "NAME" else kind
                token.start_pos, token.end_pos = match.span()
                yield token
        if place != len(text):
            raise Unparsed

    def parse(self, tokens: Iterable[Token], start: str) -> Any:
        """Return the node of a rule, made of tokens.

        Raises:
            Unparsed: They do not follow the rule.
        """
        actions, states = self.actions, [self.starts[start]]
        values: list[Token | Made] = []
        end = Token()
        end.type = _END
        for token in itertools.chain(tokens, (end,)):
            while (action := actions[states[-1]].get(token.type)) is not None and action < 0:
                reduced, size, origin = self.rules[~action]
                parts = values[-size:] if size else []
                if size:
                    del values[-size:], states[-size:]
                values.append(reduced(parts))
                states.append(actions[states[-1]][origin])
                if token is end and states[-1] == self.ends[start]:
                    return values[-1][0]
            if action is None:
                raise Unparsed
            states.append(action)
            values.append(token)
        raise AssertionError("a rule has ended before")
