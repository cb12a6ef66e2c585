"""Edits of the text around a fault that no span of the tree stands for."""

from __future__ import annotations

import re
from textwrap import dedent

from incgen.base.diagnostics import clipped
from incgen.base.help import Change, Edit, Help, edits_of, put
from incgen.base.source import Span, line_end
from incgen.language.presets import PRESETS


def above(span: Span) -> Span:
    """Return the empty span in front of the definition around a place, and of its comment."""
    lines = span.source.lines
    number = span.line - 1
    while number and (not lines[number] or lines[number][0] in " \t}#"):
        number -= 1
    while number and lines[number - 1].startswith("#"):
        number -= 1
    start = span.source.offset(number + 1)
    return Span(span.source, start, start)


def put_above(item: str, place: Span) -> tuple[Edit, ...]:
    """Return the edit that puts an item in front of the definition around a place."""
    return put(f"{item}\n", over=above(place))


def or_preset(help: str, span: Span) -> Help:
    """Add to what a call can state that the file can begin with a preset."""
    text = span.source.text
    start = len(text) - len(text.lstrip())
    top = Span(span.source, start, start)
    presets = (
        Edit((Change(f"numerics {name}\n\n", top),), f"Begin with `numerics {name}`")
        for name in PRESETS
    )
    more = "or begin the file with `numerics caffe`, `torch` or `tf`"
    return Help(f"{help}, {more}", *edits_of(help), *presets)


def named(value: Span) -> Span:
    """Return the span of a value or op with the name or label in front of it, if there is one."""
    start = value.source.offset(value.line)
    name = re.search(r"(let\s+)?\w+\s*[=:]\s*$", value.source.text[start : value.start])
    return Span(value.source, value.start - len(name[0]) if name else value.start, value.end)


def first_line(place: Span, line: str) -> Edit:
    """Return the edit that begins the body behind a place with a line."""
    brace = place.source.text.index("{", place.start)
    behind = Span(place.source, brace, brace + 1)
    return Edit((Change(f"\n{indent(place)}    {line}", behind, behind=True),))


def line_above(line: str, place: Span) -> Edit:
    """Return the edit that writes a line above that of a place, in its stead."""
    start = place.source.offset(place.line) + len(indent(place))
    top = Span(place.source, start, start)
    return Edit((Change(f"{line}\n{indent(place)}", top), Change("", place)), f"Write `{line}`")


def last_line(body: Span, line: str) -> Edit:
    """Return the edit that ends a body with a line."""
    start = body.start + len(body.text[:-1].rstrip())
    ending = f"\n{indent(body)}"
    text = f"{ending}    {line}{ending}" if "\n" in body.text else f" {line} "
    return Edit((Change(text, Span(body.source, start, body.end - 1)),))


def new_line(place: Span) -> Edit:
    """Return the edit that begins a line at a place, in place of an arrow before it."""
    text, first = place.source.text, place.source.offset(place.line)
    before = len(text[first : place.start].rstrip(" \t->")) + first
    line = f"\n{indent(place)}"
    return Edit((Change(line, Span(place.source, before, place.start)),), "Begin a new line")


def arrow_below(end: Span) -> Edit:
    """Return the edit that moves an arrow from the end of a line to the next."""
    return _over(end, r"[ \t]*->[ \t]*\n\s*", f"\n{indent(end)}    -> ")


def brace_above(end: Span) -> Edit:
    """Return the edit that moves a brace to the end of the line before."""
    return _over(end, r"[ \t]*\n\s*\{", " {")


def as_block(place: Span) -> Edit:
    """Return the edit that makes a block of the unit around a place."""
    text, source = place.source.text, place.source
    heads = re.compile(r"^[ \t]*(unit\b([ \t]+\w+)?([ \t]*\([^()\n]*\))?)[ \t]*=?[ \t]*", re.M)
    head = [found for found in heads.finditer(text) if found.start() <= place.start][-1]
    begun = f"block{head[1].removeprefix('unit')} "
    if text[head.end() : head.end() + 1] == "{":
        change = Change(begun, Span(source, head.start(1), head.end()))
    else:
        end = _item_end(text, head.end())
        body = text[head.end() : end].strip()
        change = Change(f"{begun}{{\n    {body}\n}}", Span(source, head.start(1), end))
    return Edit((change,), f"Make `{(head[2] or '').strip()}` a block")


def _item_end(text: str, start: int) -> int:
    """Return the end of a chain: of a line that closes its braces, before one without an arrow."""
    depth, end = 0, start
    for line in text[start:].splitlines(keepends=True):
        if end > start and depth <= 0 and not line.lstrip().startswith("->"):
            break
        end += len(line)
        code = line.partition("#")[0]
        depth += code.count("{") - code.count("}")
    return start + len(text[start:end].rstrip())


def _over(end: Span, pattern: str, text: str) -> Edit:
    """Return the edit that replaces what stands at the end of a line and the start of the next."""
    found = re.compile(pattern).search(end.source.text, end.source.offset(end.line))
    return Edit((Change(text, Span(end.source, *found.span()) if found else end),))


def closed(brace: Span, count: int) -> Edit:
    """Return the edit that closes braces at the end of the file."""
    end = len(brace.source.text.rstrip())
    change = Change("\n}" * count, Span(brace.source, end, end))
    return Edit((change,), "Close it with `}`")


def closed_on_line(bracket: Span) -> Edit:
    """Return the edit that closes a bracket where the call around it ends."""
    text, sign = bracket.source.text, {"(": ")", "[": "]"}[bracket.text]
    found = re.compile(r"\s*(->|[#;{}\n]|\s\w+\s*=|$)").search(text, bracket.start)
    at = found.start() if found else len(text)
    return Edit((Change(sign, Span(bracket.source, at, at)),), f"Close it with `{sign}`")


def parameter(written: str, opened: Span, item: Span) -> Edit:
    """Return the edit that makes an item of a block, whose body a brace opens, its parameter."""
    source, start = item.source, item.source.offset(opened.line)
    head = re.compile(r"\w+[ \t]+\w+[ \t]*(\(([^()]*)\))?").search(source.text, start)
    assert head is not None
    at, text = head.end(), f"({written})"
    if head[1]:
        at, text = at - 1, f", {written}" if head[2].strip() else written
    changes = Change(text, Span(source, at, at)), Change("", whole(item))
    return Edit(changes, f"Make it a parameter: `({clipped(written)})`")


def whole(item: Span) -> Span:
    """Return the whole of an item whose first word is given: its line, or its body as well."""
    text, end = item.source.text, line_end(item.source.text, item.start)
    if text[item.start : end].rstrip().endswith("{"):
        end = closing(text, text.index("{", item.start))
    return Span(item.source, item.start, end)


def indent(place: Span) -> str:
    """Return the blanks that the line of a place begins with."""
    line = place.source.lines[place.line - 1]
    return line[: len(line) - len(line.lstrip())]


def moved(item: Span, place: Span) -> Edit:
    """Return the edit that moves an item of a file in front of a place."""
    lines = dedent(f"{indent(item)}{item.text}\n")
    title = f"Move `{clipped(item.text.partition(chr(10))[0])}` up"
    return Edit((Change(lines, place), Change("", item)), title)


def renamed(name: Span, new: str, *, everywhere: bool = False) -> Edit:
    """Return the edit that gives a name another form, in its definition or in the whole file."""
    source, old = name.source, name.text
    start, end = above(name).start, closing(source.text, source.text.find("{", name.start))
    if everywhere:
        start, end = 0, len(source.text)
    words = re.compile(rf"(?<!\w){re.escape(old)}(?!\w)").finditer(source.text, start, end)
    changes = (Change(new, Span(source, *found.span())) for found in words)
    return Edit(tuple(changes), f"Call it `{new}`")


def closing(text: str, brace: int) -> int:
    """Return the end of the body that a brace begins."""
    depth = 0
    for found in re.compile(r"[{}]|#[^\n]*").finditer(text, brace) if brace >= 0 else ():
        depth += (found[0] == "{") - (found[0] == "}")
        if found[0] == "}" and depth == 0:
            return found.end()
    return len(text)
