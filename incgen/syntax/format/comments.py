"""Align the comments at the ends of lines that follow each other."""

from __future__ import annotations

from incgen.syntax.format.branches import MAX_LINE
from incgen.syntax.format.lines import Line


def align_comments(lines: list[Line]) -> list[list[int]]:
    """Align comments; return the numbers of the lines that depend on each other.

    Outside of bodies, only statements of the same kind are aligned, such as `let`s.
    """
    groups, run = list[list[int]](), list[Line]()
    for line in [*lines, Line(0, [], "", 0)]:
        if run and not _goes_on(run[-1], line):
            _align(run)
            groups.append([member.number for member in run])
            run = []
        if line.comment and line.tokens:
            run.append(line)
    return groups


def _goes_on(above: Line, line: Line) -> bool:
    """Return whether the comments of two lines that follow each other stand in one column."""
    if not (line.comment and line.tokens):
        return False
    if line.first == "->":
        return True
    return line.level == above.level and (line.level > 0 or line.first == above.first)


def _align(run: list[Line]) -> None:
    lengths = [line.place(len(line.tokens)) for line in run]
    column = max(lengths) + 2
    moved = zip(run, lengths, strict=True)
    if any(column + len(line.comment) > MAX_LINE and column > n + 2 for line, n in moved):
        return
    for line, length in zip(run, lengths, strict=True):
        line.comment_gap = column - length
