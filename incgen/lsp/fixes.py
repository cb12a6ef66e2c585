"""Quick fixes: what the help of a fault says to type, as edits.

A help says what to type, and not always in place of what. So each offer is tried in place of the
pieces of text around the fault, the most similar one first, and the first one is offered with
which the fault is gone and no other has come.
"""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Callable, Iterator
from difflib import SequenceMatcher

from incgen.base.diagnostics import Diagnostic, Severity, clipped
from incgen.base.source import line_end
from incgen.language.presets import PRESETS
from incgen.lsp.analysis import Analysis, Fix
from incgen.syntax.tokens import Kind, keywords, tokens

#: How many places are tried for one offer.
_MAX_TRIALS = 12
_OFFER = re.compile(r"`([^`]+)`")
_REMOVE = re.compile(r"\b(?:leave it out|remove it|or remove it)\b")
_DEFINES = re.compile(r"(?:unit|let|block) \w+")


def fixes(
    fault: Diagnostic,
    analysis: Analysis,
    analysed: Callable[[str], Analysis],
    deadline: float,
) -> list[Fix]:
    """Return the edits that the help of a fault asks for, each tried.

    Args:
        fault: One of the faults of the analysis, in its own file.
        analysis: The analysis.
        analysed: Analyses another text in place of that file.
        deadline: When to stop looking, by `time.monotonic`.
    """
    if fault.help is None or fault.span is None or fault.span.source != analysis.source:
        return []
    mending: list[Fix] = []
    for group in _candidates(fault, fault.help):
        for fix in group[:_MAX_TRIALS]:
            if time.monotonic() > deadline:
                return mending
            if _mends(fault, analysis, analysed(fix.applied(analysis.source.text)), fix):
                mending.append(fix)
                break
    return mending


def _mends(fault: Diagnostic, before: Analysis, after: Analysis, fix: Fix) -> bool:
    """Return whether a fault is gone, and no other has come but what it kept from being found."""
    known = Counter(map(_kind, before.diagnostics))
    now = Counter(map(_kind, after.diagnostics))
    if now[_kind(fault)] >= known[_kind(fault)]:
        return False
    new = now - known
    if before.parsed != after.parsed:
        return after.parsed  # the names and shapes were not looked at before
    errors = [d for d in after.diagnostics if d.severity is Severity.ERROR]
    fewer = len(errors) <= sum(d.severity is Severity.ERROR for d in before.diagnostics)
    return fewer and not any(new[_kind(d)] and _touches(d, fix) for d in errors)


def _touches(fault: Diagnostic, fix: Fix) -> bool:
    """Return whether a fault in a mended text is on a line of the edit."""
    if fault.span is None:
        return True
    line = fault.span.source.position(fix.start)[0]
    return line <= fault.span.line <= line + fix.text.count("\n")


def _kind(fault: Diagnostic) -> tuple[str, str, Severity]:
    return fault.code.value, fault.message, fault.severity


def _candidates(fault: Diagnostic, help_: str) -> Iterator[list[Fix]]:
    """Yield the places for each offer, the most likely first."""
    assert fault.span is not None
    text, span = fault.span.source.text, fault.span
    regions = _regions(text, span.start, span.end)
    offers = [o.replace("(...)", f"({span.text})") for o in dict.fromkeys(_OFFER.findall(help_))]
    if "begin the file with" in help_:
        start = len(text) - len(text.lstrip())
        for name in PRESETS:
            yield [Fix(f"Begin with `numerics {name}`", start, start, f"numerics {name}\n\n")]
    for offer in offers:
        title = f"Write `{clipped(offer, 60)}`"
        fitting = [r for r in regions if "{" in offer or not set("{}") & {*text[r[0] : r[1]]}]
        places = sorted(fitting, key=lambda r: -_likeness(text[r[0] : r[1]], offer))
        group = [Fix(title, start, end, offer) for start, end in places]
        if _DEFINES.match(offer):
            above = _item_above(text, span.start)
            group.insert(0, Fix(title, above, above, f"{offer}\n"))
        if offer == "}":
            ends = _closings(text, span.start)
            group = [Fix("Close it with `}`", at, at, piece) for at, piece in ends]
        if offer.startswith("from ") or offer[-1:] == "=":
            group += [Fix(title, span.start, span.start, offer)]
        yield group
    if help_.startswith("move it out of the braces"):
        yield [_moved(text, span.start)]
    if _REMOVE.search(help_):
        title = f"Remove `{clipped(' '.join(span.text.split()), 40)}`"
        yield [Fix(title, *_with_gap(text, *region), "") for region in regions]


def _likeness(written: str, offer: str) -> float:
    """Return how similar a piece of text is to an offer: 0 to 1."""
    return SequenceMatcher(None, written, offer, autojunk=False).ratio()


def _regions(text: str, start: int, end: int) -> list[tuple[int, int]]:
    """Return pieces of text around a fault, from itself to its line, the shortest first."""
    first = text.rfind("\n", 0, start) + 1
    last = line_end(text, max(start, end - 1))
    code = [t for t in tokens(text[first:last]) if t.kind is not Kind.COMMENT]
    starts, ends = {start}, {end}
    word = re.search(r"\S*$", text[first:start]), re.match(r"\S*", text[end:last])
    starts |= {start - len(word[0].group())} if word[0] else set()
    ends |= {end + len(word[1].group())} if word[1] else set()
    for number, token in enumerate(code):
        low, high = first + token.start, first + token.end
        if low <= start and (number == 0 or _separates(code[number - 1].text)):
            starts.add(low)
        if token.text in keywords() and low <= start:
            starts.add(low)
        behind = number + 1 == len(code) or _separates(code[number + 1].text)
        if high >= end and behind:
            ends.add(high)
        if token.text == "{" and high >= end:
            ends.add(high)
    regions = {(low, high) for low in starts for high in ends if low < high}
    return sorted(regions, key=lambda region: (region[1] - region[0], region[0]))


def _separates(text: str) -> bool:
    return text in ("->", ":", "{", "}", ";", ",", "=")


def _item_above(text: str, offset: int) -> int:
    """Return the beginning of the definition around an offset, with the comment above it."""
    lines = text[:offset].split("\n")
    number = len(lines) - 1
    while number and (not lines[number] or lines[number][0] in " \t}#"):
        number -= 1
    while number and lines[number - 1].startswith("#"):
        number -= 1
    return sum(len(line) + 1 for line in lines[:number])


def _moved(text: str, offset: int) -> Fix:
    """Return the edit that moves a line in front of the definition around it."""
    first = text.rfind("\n", 0, offset) + 1
    last = line_end(text, offset)
    above = _item_above(text, offset)
    line = text[first:last].strip()
    title = f"Move `{clipped(line, 40)}` in front of the definition"
    return Fix(title, above, last + 1, f"{line}\n{text[above:first]}")


def _closings(text: str, offset: int) -> list[tuple[int, str]]:
    """Return where a missing brace can be: at the end of the line, or of the file."""
    return [(len(text.rstrip()), "\n}"), (line_end(text, offset), " }")]


def _with_gap(text: str, start: int, end: int) -> tuple[int, int]:
    """Extend a piece of text by what separates it: a whole line, a comma, or a blank."""
    first = text.rfind("\n", 0, start) + 1
    last = line_end(text, end)
    if not text[first:start].strip() and not text[end:last].strip():
        return first, min(len(text), last + 1)
    if text[end : end + 2] == ", ":
        return start, end + 2
    if text[start - 2 : start] == ", ":
        return start - 2, end
    return (start - 1, end) if text[start - 1 : start] == " " else (start, end)
