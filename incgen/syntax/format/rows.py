"""Find the rows of tables: lines of a body that use the same definition, with a label each."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

from incgen.language.arithmetic import FUNCTIONS
from incgen.syntax.format.lines import CLOSING, OPENING, Line
from incgen.syntax.tokens import Kind, Token

#: Signs that no row contains outside of brackets: it is one use, and nothing else.
_NOT_IN_ROWS = frozenset({"->", ";", "{", "}", ":", ","})
#: What a row uses: a definition, or an earlier value by `from`.
_USED = (Kind.NAME, Kind.KEYWORD)


@dataclass(frozen=True)
class Row:
    """A line `label: name argument argument attribute=value`."""

    line: Line
    #: The positional arguments, each as its first token and the token behind it
    cells: tuple[tuple[int, int], ...]
    tail: int  #: The first token of the attributes; the number of tokens without any

    @property
    def name(self) -> str:
        """Return what the row uses."""
        return self.line.tokens[2].text

    @cached_property
    def texts(self) -> list[str]:
        """Return the arguments as they are laid out."""
        tokens, gaps = self.line.tokens, self.line.gaps
        return [
            tokens[first].text
            if behind == first + 1
            else tokens[first].text
            + "".join(f"{' ' * gaps[n]}{tokens[n].text}" for n in range(first + 1, behind))
            for first, behind in self.cells
        ]

    def is_number(self, cell: int) -> bool:
        """Return whether an argument is a plain number."""
        first, behind = self.cells[cell]
        return behind == first + 1 and self.line.tokens[first].kind is Kind.NUMBER

    def typed(self, cell: int) -> range:
        """Return the columns where an argument was typed, from the beginning of the use."""
        first, behind = self.cells[cell]
        base = self.line.tokens[2].start
        return range(self.line.tokens[first].start - base, self.line.tokens[behind - 1].end - base)

    @property
    def is_spread(self) -> bool:
        """Return whether there are several blanks somewhere between its arguments, as typed."""
        tokens = self.line.tokens[2 : self.tail]
        return any(b.start - a.end > 1 for a, b in pairwise(tokens))


def rows_of(lines: list[Line]) -> dict[int, Row]:
    """Return the rows among the lines, by index."""
    rows = dict[int, Row]()
    last: int | None = None
    for index, line in enumerate(lines):
        if not line.tokens:
            continue
        if line.first == "->" and last is not None:
            rows.pop(last, None)  # a chain that goes on below
        row = _row(line)
        if row is not None:
            rows[index] = row
        last = index
    return rows


def _row(line: Line) -> Row | None:
    """Return a line as a row, if it is one."""
    around, tokens = line.inside, line.tokens
    if around is None or around.sign != "{" or around.kind == "recipe" or not line.whole:
        return None
    if len(tokens) < 4 or tokens[1].text != ":" or tokens[2].kind not in _USED:
        return None
    cells, number = list[tuple[int, int]](), 3
    while number < len(tokens):
        if tokens[number + 1 : number + 2] and tokens[number + 1].text == "=":
            break
        behind = _behind(tokens, number)
        if tokens[number].text in _NOT_IN_ROWS:
            return None
        cells.append((number, behind))
        number = behind
    if any(token.text in _NOT_IN_ROWS and token.text != "," for token in tokens[number:]):
        return None
    return Row(line, tuple(cells), number) if cells else None


def _behind(tokens: list[Token], number: int) -> int:
    """Return the token behind the argument that begins at a token."""
    if tokens[number].text in FUNCTIONS and tokens[number].kind is Kind.KEYWORD:
        number += 1  # its bracket follows at once
    depth = 0
    while number < len(tokens):
        depth += (tokens[number].text in OPENING) - (tokens[number].text in CLOSING)
        number += 1
        if not depth:
            break
    return number
