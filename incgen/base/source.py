"""Locations in a spec: source files and spans of their text.

Everything later in the pipeline carries a `Span`, so that an error found in the graph can still
point at the characters that a person typed. Imports nothing of ours.
"""

from __future__ import annotations

import bisect
from dataclasses import dataclass, field
from functools import cached_property


@dataclass(frozen=True)
class SourceFile:
    r"""The text of one spec file."""

    name: str  #: The name to show in reports, with forward slashes
    text: str = field(repr=False)  #: The whole text, decoded, with newlines as `\n`

    @cached_property
    def _line_starts(self) -> list[int]:
        starts = [0]
        starts.extend(i + 1 for i, char in enumerate(self.text) if char == "\n")
        return starts

    @cached_property
    def lines(self) -> list[str]:
        """Return the lines of the text without their newlines."""
        return self.text.split("\n")

    def offset(self, line: int) -> int:
        """Return the offset of the beginning of a line, which is counted from 1."""
        return self._line_starts[line - 1]

    def position(self, offset: int) -> tuple[int, int]:
        """Return the line and column of an offset, both counted from 1."""
        line = bisect.bisect_right(self._line_starts, offset)
        return line, offset - self._line_starts[line - 1] + 1


@dataclass(frozen=True, slots=True)
class Span:
    """The characters from `start` up to, not including, `end` of one file."""

    source: SourceFile
    start: int
    end: int

    @property
    def line(self) -> int:
        """Return the line of the first character, counted from 1."""
        return self.source.position(self.start)[0]

    @property
    def column(self) -> int:
        """Return the column of the first character, counted from 1."""
        return self.source.position(self.start)[1]

    @property
    def text(self) -> str:
        """Return the characters themselves."""
        return self.source.text[self.start : self.end]

    def holds(self, other: Span) -> bool:
        """Return whether another span is a part of this one."""
        return self.source == other.source and self.start <= other.start and other.end <= self.end

    def until(self, other: Span) -> Span:
        """Return the span from the start of this one to the end of another of the same file."""
        return Span(self.source, self.start, max(self.end, other.end))


@dataclass(frozen=True, slots=True, kw_only=True)
class Located:
    """A part of a spec with its position, which equality ignores."""

    span: Span = field(compare=False, repr=False)


def line_end(text: str, offset: int) -> int:
    """Return the end of the line that an offset is on, without its newline."""
    end = text.find("\n", offset)
    return len(text) if end < 0 else end
