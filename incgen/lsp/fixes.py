"""Quick fixes: what the help of a fault says to type, as edits.

A help says what to type, and not always in place of what. So each offer is tried in place of the
pieces of text around the fault, the most similar one first, and the one is offered with which the
fault is gone, no other has come, and the fewest words are lost.
"""

from __future__ import annotations

import math
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator
from difflib import SequenceMatcher

from incgen.base.diagnostics import Diagnostic, Severity, clipped
from incgen.base.source import line_end
from incgen.language.presets import PRESETS
from incgen.lsp.analysis import Analysis, Fix
from incgen.lsp.rearranging import Place, quoted, rearranged
from incgen.syntax.tokens import Kind, keywords, tokens

#: How many places are tried for one offer.
_MAX_TRIALS = 12
_REMOVE = re.compile(r"\b(?:leave it out|leave out the|remove it|it has no parameters)\b")
#: What stands between a name and its value, without which it is no whole.
_BEFORE_VALUE = re.compile(r"\s*=")
_WORD = re.compile(r"\w+")
_NAME = re.compile(r"[A-Za-z_]\w*")
#: One word or number, perhaps in quotes.
_ONE = re.compile(r"""[\w.]+|"[^"\n]*"|'[^'\n]*'""")
_LABEL = re.compile(r"(\w+)\s*:")
#: Help of which no offer stands in place of anything, or only as an example.
_ELSEWHERE = re.compile(
    r"begin a new line with|on a line of its own|at the beginning of the next line|and its values"
    r"|letters a to z|^for example, write `\(|^put it before|^(a )?`\w+` reaches|^there are `int`"
    r"|^make it a `block`|^call it `|^choose another name|, as in `|^leave "
)
#: What explains what to write.
_REASON = re.compile(r"(?<=`)[:;] .*")
#: How many tokens around a fault may be replaced with it.
_MAX_AROUND = 12
_PAIRS = (("(", ")"), ("[", "]"))
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
    best: list[Fix | None] = []
    for group in _candidates(fault, fault.help):
        best.append(None)
        rank = (True, math.inf)
        for fix in group:
            lost = _lost(fix, analysis.source.text)
            if (False, lost) >= rank:
                continue
            if time.monotonic() > deadline:
                return [fix for fix in best if fix is not None]
            after = analysed(fix.applied(analysis.source.text))
            if _mends(fault, analysis, after, fix):
                doubtful = any(_touches(d, fix) for d in _errors(after))
                if (doubtful, lost) < rank:
                    rank, best[-1] = (doubtful, lost), fix
    return [fix for fix in best if fix is not None]


def _lost(fix: Fix, text: str) -> int:
    """Return how many words and arrows of a text an edit leaves out."""
    piece = text[fix.start : fix.end]
    arrows = max(0, piece.count("->") - fix.text.count("->"))
    return arrows + len({*_WORD.findall(piece)} - {*_WORD.findall(fix.text)})


def _errors(analysis: Analysis) -> list[Diagnostic]:
    return [d for d in analysis.diagnostics if d.severity is Severity.ERROR]


def _mends(fault: Diagnostic, before: Analysis, after: Analysis, fix: Fix) -> bool:
    """Return whether a fault is gone, and no other has come but what it kept from being found."""
    known = Counter(map(_kind, before.diagnostics))
    now = Counter(_kind(d) for d in after.diagnostics if not _is_next(d, fault, fix))
    if now[_kind(fault)] >= known[_kind(fault)]:
        return False
    new = now - known
    if before.parsed != after.parsed:
        return after.parsed  # the names and shapes were not looked at before
    errors = _errors(after)
    fewer = len(errors) <= len(_errors(before))
    mine = [d for d in errors if new[_kind(d)] and _touches(d, fix)]
    return fewer and all(after.parsed and _follows(d, fault, fix) for d in mine)


def _is_next(other: Diagnostic, fault: Diagnostic, fix: Fix) -> bool:
    """Return whether what is found now is the same fault once more, further on in the line."""
    end = fix.start + len(fix.text)
    return _kind(other) == _kind(fault) and (
        other.span is not None
        and other.span.start >= end
        and "\n" not in other.span.source.text[end : other.span.start]
    )


def _follows(other: Diagnostic, fault: Diagnostic, fix: Fix) -> bool:
    """Return whether what is found now was there already, further on in the line."""
    end = fix.start + len(fix.text)
    behind = other.span is not None and other.span.start >= end
    return other.code is fault.code and behind


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
    place = Place(text, span.start, span.end, fault.message, help_)
    whole = _regions(text, span.start, span.end, whole=True)
    rest = [r for r in _regions(text, span.start, span.end) if r not in whole]
    if "begin the file with" in help_:
        start = len(text) - len(text.lstrip())
        for name in PRESETS:
            yield [Fix(f"Begin with `numerics {name}`", start, start, f"numerics {name}\n\n")]
    for offer in _offers(help_, span.text):
        title = f"Write `{clipped(offer, 60)}`"
        group = list[Fix]()
        for regions in (whole, rest):
            fitting = [region for region in regions if _fits(text, *region, offer, help_)]
            places = sorted(fitting, key=lambda r: _unlikeness(text[r[0] : r[1]], offer))
            group += (Fix(title, *region, offer) for region in places[:_MAX_TRIALS])
        if _DEFINES.match(offer):
            group.insert(0, Fix(title, place.above, place.above, f"{offer}\n"))
        if offer == "}":
            ends = _closings(text, span.start)
            group = [Fix("Close it with `}`", at, at, piece) for at, piece in ends]
        if offer.startswith("from ") or offer[-1:] == "=":
            group += [Fix(title, span.start, span.start, offer)]
        yield group
    yield from rearranged(place)
    if _REMOVE.search(help_):
        title = f"Remove `{clipped(' '.join(span.text.split()), 40)}`"
        around = [(span.start, span.end), *whole]
        left = [region for region in around if not _BEFORE_VALUE.match(text, region[1])]
        yield [Fix(title, *_with_gap(text, *region), "") for region in left]


def _offers(help_: str, written: str) -> list[str]:
    """Return what a help says to type in place of something; other edits are `rearranged`."""
    if _ELSEWHERE.search(help_):
        return []
    help_ = _REASON.sub("", help_) if help_.startswith("write `") else help_
    offers = [offer.replace("(...)", f"({written})") for offer in quoted(help_)]
    if "begin the file with" in help_:
        return [o for o in offers if o.removeprefix("numerics ") not in PRESETS]
    return offers


def _fits(text: str, start: int, end: int, offer: str, help_: str) -> bool:
    """Return whether an offer can stand in place of a piece of text, and takes nothing with it."""
    piece = text[start:end]
    if any(sign in piece and "{" not in offer for sign in "{}") or (";" in piece) > (";" in offer):
        return False
    if any(piece.count(a) - piece.count(b) != offer.count(a) - offer.count(b) for a, b in _PAIRS):
        return False
    named = _NAME.fullmatch(offer) and f"write `{offer}`" not in help_
    if named and not _ONE.fullmatch(piece) and _first_word(piece) != offer:
        return False
    if offer.endswith("{") and text[end:].lstrip(" ").startswith("{"):
        return False
    if _WORD.match(offer):
        before = text[:start] if _WORD.match(piece.lstrip("([\"'")) else text[:start].rstrip(" \t")
        if _WORD.match(before[-1:]):
            return False
    return not (re.match(r"[\w)\]]", offer[-1:]) and _WORD.match(text[end : end + 1]))


def _first_word(text: str) -> str:
    found = _WORD.match(text)
    return found[0] if found else ""


def _unlikeness(written: str, offer: str) -> tuple[int, float]:
    """Return how much an offer would lose of a piece of text, and how much it differs."""
    lost = max(0, written.count("->") - offer.count("->"))
    lost += sum(label not in _WORD.findall(offer) for label in _LABEL.findall(written))
    alike = SequenceMatcher(None, written, offer, autojunk=False).ratio()
    plain = written.strip("\"'")
    return lost, -alike if bool(_WORD.match(plain)) == bool(_WORD.match(offer)) else -alike / 2


def _regions(text: str, start: int, end: int, *, whole: bool = False) -> list[tuple[int, int]]:
    """Return pieces of text around a fault, from itself to its line, the shortest first.

    Args:
        text: The text.
        start: Where the fault begins.
        end: Where it ends.
        whole: Whether they begin and end as statements, ops and arguments do.
    """
    first = text.rfind("\n", 0, start) + 1
    last = line_end(text, max(start, end - 1))
    code = [t for t in tokens(text[first:last]) if t.kind is not Kind.COMMENT]
    words = ["{", *(token.text for token in code), "}"]
    low = [
        first + token.start
        for token, before in zip(code, words, strict=False)
        if not whole or _separates(before) or before in keywords() or token.text in keywords()
    ]
    high = [
        first + token.end
        for token, behind in zip(code, words[2:], strict=True)
        if not whole or _separates(behind) or token.text == "{"
    ]
    starts = {*[at for at in low if at <= start][-_MAX_AROUND:]}
    ends = {*[at for at in high if at >= end][:_MAX_AROUND]}
    if not whole:
        word = re.search(r"\S*$", text[first:start]), re.match(r"\S*", text[end:last])
        starts |= {start, start - len(word[0].group() if word[0] else "")}
        ends |= {end, end + len(word[1].group() if word[1] else "")}
    regions = {(low, high) for low in starts for high in ends if low < high}
    return sorted(regions, key=lambda region: (region[1] - region[0], region[0]))


def _separates(text: str) -> bool:
    return text in ("->", ":", "{", "}", ";", ",", "=")


def _closings(text: str, offset: int) -> list[tuple[int, str]]:
    """Return where a missing brace can be: at the end of the line, or of the file."""
    open_ = text.count("{") - text.count("}")
    return [(len(text.rstrip()), "\n}" * max(1, open_)), (line_end(text, offset), " }")]


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
