"""Format a spec: one layout for every text of the same tokens, comments and line breaks.

Indentation, blank lines and the blanks between tokens are set; tables, branches and comments at the
ends of lines are aligned. What a person decides stays: the tokens, the comments, and where a line
ends. A text whose tree would change is left as it is, so a bug here can at worst do nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from incgen.base.diagnostics import SpecError
from incgen.base.source import SourceFile
from incgen.syntax.format.blanks import set_blanks
from incgen.syntax.format.branches import align_branches
from incgen.syntax.format.comments import align_comments
from incgen.syntax.format.definitions import Definitions
from incgen.syntax.format.lines import Line, Reader
from incgen.syntax.format.proof import same_tree
from incgen.syntax.format.spacing import Spacing
from incgen.syntax.format.tables import align_tables
from incgen.syntax.parser import parse


def format_text(text: str, name: str = "<text>", path: Path | None = None) -> str:
    """Format a spec; formatting it again changes nothing.

    Args:
        text: The spec.
        name: The name of the file, for reports.
        path: Where the spec lies. From there the files that it uses are read, so that tables are
            aligned by the parameters of blocks that they define.

    Raises:
        SpecError: The spec does not follow the grammar.
    """
    known = Definitions(parse(SourceFile(name, text)), text, path)
    result = _layout(text, known).text
    return result if result == text or _is_safe(text, result, known) else text


def format_lines(
    text: str, first: int, last: int, name: str = "<text>", path: Path | None = None
) -> str:
    """Format some lines of a spec as they would be if all were, and leave the others.

    Lines that are aligned with one of them are formatted with it.

    Args:
        text: The spec.
        first: The first line, from 1.
        last: The last line, which is included.
        name: The name of the file, for reports.
        path: Where the spec lies, as for `format_text`.

    Raises:
        SpecError: The spec, here or elsewhere, does not follow the grammar.
    """
    known = Definitions(parse(SourceFile(name, text)), text, path)
    result = _layout(text, known).part(text, range(first, last + 1))
    return result if result == text or same_tree(text, result) else text


class _Layout(NamedTuple):
    """The lines of a formatted text, and which of them depend on each other, by number."""

    lines: list[Line]
    groups: list[list[int]]

    @property
    def text(self) -> str:
        """Return the formatted text."""
        return "".join(f"{line.text}\n" for line in self.lines)

    def part(self, text: str, wanted: Iterable[int]) -> str:
        """Return a text of which only some lines are formatted, and those aligned with them."""
        chosen = set(wanted)
        for _ in range(3):  # branches, tables and comments
            for group in self.groups:
                if not chosen.isdisjoint(group):
                    chosen.update(group)
        typed = text.split("\n")
        result, done = list[str](), 0
        pending = list[str]()  # blank lines that were put in front of the next line
        for line in self.lines:
            if not line.number:
                pending.append("")
                continue
            result += _unchosen(typed, range(done + 1, line.number), chosen)
            result += pending if line.number in chosen else []
            result.append(line.text if line.number in chosen else typed[line.number - 1])
            done, pending = line.number, []
        rest = _unchosen(typed, range(done + 1, len(typed) + 1), chosen)
        end = [""] if not rest and len(typed) in chosen else rest
        return "\n".join([*result, *end])


def _unchosen(typed: list[str], numbers: range, chosen: set[int]) -> list[str]:
    """Return lines that formatting drops, if they are not among those to format."""
    return [typed[number - 1] for number in numbers if number not in chosen]


def _layout(text: str, known: Definitions) -> _Layout:
    """Lay out a text."""
    lines = Reader().run(text)
    Spacing().run(lines)
    groups = align_branches(lines)
    groups += align_tables(lines, known)
    groups += align_comments(lines)
    return _Layout(set_blanks(lines), groups)


def _is_safe(text: str, result: str, known: Definitions) -> bool:
    """Return whether a layout has the same tree and is stable."""
    try:
        return same_tree(text, result) and _layout(result, known).text == result
    except SpecError:
        return False
