"""Quick fixes that add, move or leave out: what a help says to do besides typing it in place."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from textwrap import dedent

from incgen.base.diagnostics import clipped
from incgen.base.source import line_end
from incgen.lsp.analysis import Fix
from incgen.syntax.tokens import keywords

_QUOTED = re.compile(r"`([^`]+)`")
#: What ends a call on its line.
_BEHIND_CALL = re.compile(r"\s*(->|[#;{}\n]|$)")
#: What a block or network begins with, and its parameters.
_HEAD = re.compile(r"^(?:block|network)[ \t]+\w+(?:[ \t]*\(([^()]*)\))?", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Place:
    """A fault in its text, and what its help says."""

    text: str
    start: int
    end: int
    message: str
    help: str

    @property
    def offers(self) -> list[str]:
        """Return what the help has in backticks."""
        return quoted(self.help)

    @property
    def line(self) -> tuple[int, int]:
        """Return the beginning and the end of the line."""
        return self.text.rfind("\n", 0, self.start) + 1, line_end(self.text, self.start)

    @property
    def indent(self) -> str:
        """Return the blanks that the line begins with."""
        first, last = self.line
        return self.text[first : last - len(self.text[first:last].lstrip())]

    @property
    def above(self) -> int:
        """Return the beginning of the definition around it, with the comment above that."""
        lines = self.text[: self.start].split("\n")
        number = len(lines) - 1
        while number and (not lines[number] or lines[number][0] in " \t}#"):
            number -= 1
        while number and lines[number - 1].startswith("#"):
            number -= 1
        return sum(len(line) + 1 for line in lines[:number])


def quoted(text: str) -> list[str]:
    """Return what a message or help has in backticks, each once."""
    return list(dict.fromkeys(_QUOTED.findall(text)))


def rearranged(place: Place) -> Iterator[list[Fix]]:
    """Yield groups of edits, of each of which the first is offered that mends the fault."""
    groups = dict[str, list[Fix]]()
    for phrase, edits in _EDITS:
        for fix in edits(place) if re.search(phrase, place.help) else ():
            groups.setdefault(fix.title, []).append(fix)
    yield from groups.values()


# ---------------------------------------------------------------- within a line


def _functions(place: Place) -> Iterator[Fix]:
    """Yield edits that call one of the functions that there are."""
    found = re.search(r"\w+$", place.text[: place.start])
    for offer in place.offers:
        if found:
            yield Fix(f"Write `{offer}`", found.start(), found.end(), offer)


def _renamed(place: Place) -> Iterator[Fix]:
    """Yield edits that give a name another form wherever it stands, in its definition or file."""
    old, (*_, new) = place.text[place.start : place.end], place.offers
    end = _closing(place.text, place.text.find("{", place.above))
    bounds = [(place.above, end)] if end is not None else []
    if old in keywords():
        yield Fix(f"Call it `{new}`", place.start, place.end, new)
        return
    for start, last in [*bounds, (0, len(place.text))]:
        text = re.sub(rf"(?<!\w){re.escape(old)}(?!\w)", new, place.text[start:last])
        yield Fix(f"Call it `{new}`", start, last, text)


def _left_out(place: Place) -> Iterator[Fix]:
    """Yield edits that remove an attribute of the line: `leave `groups` out`."""
    first, last = place.line
    for name in re.findall(r"leave `(\w+)` out", place.help):
        for found in re.finditer(rf"\s+{name}=\S+", place.text[first:last]):
            title = f"Remove `{clipped(found[0].strip(), 40)}`"
            yield Fix(title, first + found.start(), first + found.end(), "")


def _divisors(place: Place) -> Iterator[Fix]:
    """Yield edits that give an attribute of the line another number."""
    first, last = place.line
    for found in re.finditer(r"(\w+)=(\d+)", place.text[first:last]):
        for offer in reversed(place.offers):
            start, end = (first + at for at in found.span(2))
            yield Fix(f"Write `{found[1]}={offer}`", start, end, offer)


def _attributes(place: Place) -> Iterator[Fix]:
    """Yield edits that add an attribute to the call, or to the line of the input."""
    at = place.end
    if "on its `input` line" in place.help:
        found = re.search(r"^\s*input\b[^#;}\n]*", place.text, re.MULTILINE)
        at = found.end() if found else at
    behind = _BEHIND_CALL.search(place.text, at)
    for offer in place.offers:
        if behind and re.fullmatch(r"\w+=[^=.].*", offer):
            yield Fix(f"Add `{offer}`", behind.start(), behind.start(), f" {offer}")


def _parameters(place: Place) -> Iterator[Fix]:
    """Yield the edit that removes a parameter with its default."""
    found = re.compile(r"\w+\s*=[^,()]*(?=([,)]))").match(place.text, place.start)
    if found:
        before = len(place.text[: place.start].rstrip())
        first = place.text[before - 1] == "("
        start = place.start if first else before - 1
        end = found.end() + (first and found[1] == ",")
        yield Fix(f"Remove `{clipped(found[0], 40)}`", start, end, "")


def _defaults(place: Place) -> Iterator[Fix]:
    """Yield the edit that leaves a default out."""
    start = place.text.rfind("=", place.line[0], place.start)
    behind = re.compile(r"[,)\n]").search(place.text, place.end)
    if start >= 0 and behind:
        start = len(place.text[:start].rstrip())
        yield Fix("Leave the default out", start, behind.start(), "")


def _sizes(place: Place) -> Iterator[Fix]:
    """Yield edits that leave out the size of what the message names."""
    for name in quoted(place.message)[:1]:
        for found in re.finditer(rf"\b{name}(\s+\d+)", place.text[place.start : place.end]):
            start, end = (place.start + at for at in found.span(1))
            yield Fix(f"Write `{name}`", start, end, "")


def _labels(place: Place) -> Iterator[Fix]:
    """Yield the edit that leaves the label out that ends in the fault."""
    found = re.search(r"\w+\s*:$", place.text[place.line[0] : place.end])
    if found:
        start = place.line[0] + found.start()
        behind = re.compile(r"\s*").match(place.text, place.end)
        title = f"Remove `{clipped(found[0], 40)}`"
        yield Fix(title, start, behind.end() if behind else place.end, "")


def _whole_divisions(place: Place) -> Iterator[Fix]:
    """Yield edits that divide to a whole number."""
    for found in re.finditer(r"(?<!/)/(?!/)", place.text[place.start : place.end]):
        at = place.start + found.start()
        yield Fix("Write `//`", at, at + 1, "//")


def _negated(place: Place) -> Iterator[Fix]:
    """Yield the edit that writes `not` for a `!`."""
    yield Fix("Write `not`", place.start, place.end, "not ")


def _closed_string(place: Place) -> Iterator[Fix]:
    """Yield the edit that closes a string at the end of its line."""
    first, last = place.line
    at = first + len(place.text[first:last].rstrip())
    yield Fix('Close it with `"`', at, at, '"')


def _space(place: Place) -> Iterator[Fix]:
    """Yield the edit that writes a plain space."""
    yield Fix("Write a plain space", place.start, place.end, " ")


def _slashes(place: Place) -> Iterator[Fix]:
    """Yield the edit that writes a path with forward slashes."""
    path = place.text[place.start : place.end].replace("\\", "/")
    yield Fix(f"Write `{clipped(path, 60)}`", place.start, place.end, path)


def _closed_bracket(place: Place) -> Iterator[Fix]:
    """Yield edits that close a bracket, the furthest first."""
    sign = {"(": ")", "[": "]"}.get(place.text[place.start], "")
    rest = place.text[place.start : place.line[1]]
    for found in reversed([*re.finditer(r"(?<=\S)(?=\s|$)", rest)]):
        at = place.start + found.start()
        yield Fix(f"Close it with `{sign}`", at, at, sign)


def _files(place: Place) -> Iterator[Fix]:
    """Yield edits that name another file of the same folder."""
    path = place.text[place.start : place.end].strip('"')
    for offer in place.offers:
        other = f'"{path[: path.rfind("/") + 1]}{offer}"'
        yield Fix(f"Write `{clipped(other, 60)}`", place.start, place.end, other)


def _with_definition(place: Place) -> Iterator[Fix]:
    """Yield the edit of a call that goes with a definition above: `act`, and `let act = relu`."""
    call, definition = place.offers[:2]
    start = place.text.rfind(call.split()[0], place.line[0], place.end)
    behind = _BEHIND_CALL.search(place.text, place.end)
    if start >= 0 and behind:
        text = f"{definition}\n{place.text[place.above : start]}{call}"
        yield Fix(f"Write `{clipped(call, 60)}`", place.above, behind.start(), text)


def _with_head(place: Place) -> Iterator[Fix]:
    """Yield the edits of a call that go with another head of the block."""
    *_, head, call = place.offers
    old = _HEAD.search(place.text, place.above)
    calls = re.compile(rf"\b{call.split()[0]}\b[^\n#;{{}}>]*?(?=\s*(->|[#;{{}}\n]))")
    if old is None:
        return
    for found in calls.finditer(place.text, *place.line):
        text = f"{head}{place.text[old.end() : found.start()]}{call}"
        yield Fix(f"Write `{clipped(call, 60)}`", old.start(), found.end(), text)


def _inside(place: Place) -> Iterator[Fix]:
    """Yield edits of what is in the braces of the fault."""
    found = re.fullmatch(r"[^{}]*\{\s*([^{}]*?)\s*\}", place.text[place.start : place.end])
    for offer in place.offers:
        if found:
            start, end = (place.start + at for at in found.span(1))
            yield Fix(f"Write `{clipped(offer, 60)}`", start, end, offer)


# ---------------------------------------------------------------- lines and bodies


def _new_line(place: Place) -> Iterator[Fix]:
    """Yield the edit that begins a new line at the fault."""
    at = len(place.text[: place.start].rstrip(" \t"))
    yield Fix("Begin a new line", at, place.start, f"\n{place.indent}")


def _own_line(place: Place) -> Iterator[Fix]:
    """Yield the edit that begins a new line in place of the arrow before the fault."""
    found = re.search(r"[ \t]*->[ \t]*$", place.text[place.line[0] : place.start])
    if found:
        at = place.line[0] + found.start()
        yield Fix("Begin a new line", at, place.start, f"\n{place.indent}")


def _arrow_below(place: Place) -> Iterator[Fix]:
    """Yield the edit that moves an arrow from the end of a line to the next."""
    found = re.compile(r"[ \t]*->[ \t]*\n\s*").search(place.text, place.line[0])
    if found and found.start() < place.line[1]:
        instead = f"\n{place.indent}    -> "
        yield Fix("Put the `->` on the next line", *found.span(), instead)


def _brace_above(place: Place) -> Iterator[Fix]:
    """Yield the edit that moves a brace to the end of the line before."""
    found = re.compile(r"[ \t]*\n\s*\{").search(place.text, place.line[0])
    if found and found.start() <= place.line[1]:
        yield Fix("Put the `{` on this line", *found.span(), " {")


def _lines(place: Place) -> Iterator[Fix]:
    """Yield edits that add a line to the body that begins on the line of the fault."""
    brace = place.text.find("{", *place.line)
    if place.help.startswith("write") and not place.text.startswith("recipe ", place.line[0]):
        return
    for offer in place.offers:
        if brace >= 0 and " " in offer and "{" not in offer:
            text = f"\n{place.indent}    {offer}"
            yield Fix(f"Add `{clipped(offer, 60)}`", brace + 1, brace + 1, text)


def _into_rate(place: Place) -> Iterator[Fix]:
    """Yield edits that write the whole rate of a recipe in its line, without that of the fault."""
    first, last = place.line
    end = _closing(place.text, place.text.find("{", place.above)) or len(place.text)
    rate = re.compile(r"^[ \t]*rate\b.*$", re.MULTILINE).search(place.text, place.above, end)
    for offer in place.offers:
        if rate is None:
            return
        whole = f"{place.indent}{offer}"
        if rate.end() < first:
            fix = rate.start(), last, f"{whole}{place.text[rate.end() : first - 1]}"
        else:
            fix = first, rate.end(), f"{place.text[last + 1 : rate.start()]}{whole}"
        yield Fix(f"Write `{clipped(offer, 60)}`", *fix)


def _statement(place: Place) -> Iterator[Fix]:
    """Yield the edit that gives an empty body its statement."""
    brace = place.text.find("{", place.start)
    end = _closing(place.text, brace)
    if end is not None:
        inside = place.text[brace + 1 : end]
        before = len(inside.rstrip()) + brace + 1
        line = f"\n{place.indent}    identity\n{place.indent}"
        text = line if "\n" in inside else " identity "
        yield Fix("Write `identity`", before, end, text)


def _moved_out(place: Place) -> Iterator[Fix]:
    """Yield the edit that moves a definition in front of the one around it."""
    first, last = place.line
    if place.text[first:last].rstrip().endswith("{"):
        end = _closing(place.text, last - 1 - place.text[first:last][::-1].index("{"))
        last = line_end(place.text, end) if end is not None else last
    item = dedent(place.text[first:last])
    title = f"Move `{clipped(item.splitlines()[0].strip(), 40)}` in front of the definition"
    between = place.text[place.above : first]
    yield Fix(title, place.above, last + 1, f"{item}\n{between}")


def _let_above(place: Place) -> Iterator[Fix]:
    """Yield the edit that moves a constant in front of the line that needs it."""
    names, (first, last) = quoted(place.message), place.line
    for name in names:
        found = re.compile(rf"^let {re.escape(name)}\b.*\n?", re.MULTILINE).search(place.text, last)
        if found:
            text = f"{found[0].rstrip()}\n{place.text[first : found.start()]}"
            yield Fix(f"Move `{clipped(found[0].strip(), 40)}` up", first, found.end(), text)


def _parameter(place: Place) -> Iterator[Fix]:
    """Yield the edit that makes a constant of a block its parameter."""
    head = _HEAD.search(place.text, place.above)
    first, last = place.line
    if head is None:
        return
    for offer in place.offers:
        at, text = head.end(), offer
        if head[1] is not None:
            at, text = at - 1, f"{', ' if head[1].strip() else ''}{offer[1:-1]}"
        rest = place.text[at:first]
        yield Fix(f"Make it a parameter: `{clipped(offer, 40)}`", at, last + 1, f"{text}{rest}")


def _closing(text: str, brace: int) -> int | None:
    """Return where the brace stands that closes another; None if there is none."""
    depth = 0
    for found in re.compile(r"[{}]|#[^\n]*").finditer(text, brace) if brace >= 0 else ():
        depth += (found[0] == "{") - (found[0] == "}")
        if found[0] == "}" and depth == 0:
            return found.start()
    return None


#: What makes the edits of a help, by a phrase that is in it.
_EDITS: tuple[tuple[str, Callable[[Place], Iterator[Fix]]], ...] = (
    (r"^there are `int`", _functions),
    (r"^call it `|^choose another name", _renamed),
    (r"leave `\w+` out", _left_out),
    (r"can be divided by `", _divisors),
    (r"`\w+=[^`.]", _attributes),
    (r"^use it or remove it$", _parameters),
    (r"^leave the default out", _defaults),
    (r"^leave the size out$", _sizes),
    (r"^leave the label out", _labels),
    (r"`[^`]+\.inc`", _files),
    (r"^write `[^`{]+`$", _inside),
    (r"and `(let|unit) [^`]+` above$", _with_definition),
    (r"name the outer ones", _with_head),
    (r"`//` divides", _whole_divisions),
    (r"write `not`", _negated),
    (r'close it with `"`', _closed_string),
    (r"^write a plain space$", _space),
    (r"with forward slashes$", _slashes),
    (r"^close it on its line$", _closed_bracket),
    (r"begin a new line", _new_line),
    (r"begin a new line with", _own_line),
    (r"a line of its own$", _own_line),
    (r"at the beginning of the next line", _arrow_below),
    (r"put the `\{` on this line", _brace_above),
    (r"^(add|write) `|with a line such as `", _lines),
    (r"^write `rate .* -> ", _into_rate),
    (r"write `identity`", _statement),
    (r"^move it out of the braces", _moved_out),
    (r"put its `let` above", _let_above),
    (r"^make it a parameter", _parameter),
)
