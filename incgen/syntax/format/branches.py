"""Align the branches of a join: what follows their labels, and the arrows of their chains."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from incgen.syntax.format.lines import Bracket, Line
from incgen.syntax.tokens import joins

#: Where aligning would make a line longer than this, nothing is aligned.
MAX_LINE = 100


def align_branches(lines: list[Line]) -> list[list[int]]:
    """Align the branches of every join; return the numbers of the lines that depend on each other.

    Branches are aligned with those on the lines above and below; comments and continued lines
    do not part them.
    """
    groups = list[list[int]]()
    run, around = list[Line](), None
    for line in [*lines, Line(0, [], "", 0)]:
        if (line.comment and not line.tokens) or (run and line.first == "->"):
            continue
        if run and not (_is_branch(line) and line.inside is around):
            groups.append([member.number for member in run])
            _align(run)
            run = []
        if _is_branch(line):
            run.append(line)
            around = line.inside
    return groups


def _is_branch(line: Line) -> bool:
    """Return whether a line is a labelled branch, or the beginning of one that is continued."""
    around: Bracket | None = line.inside
    if around is None or around.sign != "{" or around.kind not in joins() or not line.whole:
        return False
    texts = [token.text for token in line.tokens]
    return len(texts) > 2 and texts[1] == ":" and ";" not in texts


def _align(run: list[Line]) -> None:
    """Align the branches that follow each other, from left to right."""
    aligned(run, partial(_align_at, run, [2] * len(run)))
    arrows = [_arrows(line) for line in run]
    for number in range(max(map(len, arrows))):
        having = [pair for pair in zip(run, arrows, strict=True) if number < len(pair[1])]
        lines, places = [line for line, _ in having], [own[number] for _, own in having]
        if not aligned(lines, partial(_align_at, lines, places)):
            return


def _align_at(lines: list[Line], tokens: list[int]) -> bool:
    """Move one token of each line to a common column."""
    column = max(line.place(token) for line, token in zip(lines, tokens, strict=True))
    for line, token in zip(lines, tokens, strict=True):
        line.move(token, column)
    return True


def _arrows(line: Line) -> list[int]:
    """Return the arrows of a line that are not inside brackets."""
    depth, arrows = 0, list[int]()
    for number, token in enumerate(line.tokens):
        depth += (token.text in ("{", "(", "[")) - (token.text in ("}", ")", "]"))
        if token.text == "->" and not depth:
            arrows.append(number)
    return arrows


def aligned(lines: list[Line], align: Callable[[], bool]) -> bool:
    """Align lines, or leave them as they are if one would become too long; return whether they are.

    `align` returns whether what it did should stay.
    """
    before = [(list(line.gaps), line.place(len(line.tokens))) for line in lines]
    stays = align()
    pairs = list(zip(lines, before, strict=True))
    if stays and not any(
        length < line.place(len(line.tokens)) > MAX_LINE for line, (_, length) in pairs
    ):
        return True
    for line, (gaps, _) in pairs:
        line.gaps = gaps
    return False
