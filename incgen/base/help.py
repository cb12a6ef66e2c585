"""Help with a fault: a line that says what to type, and the edits that do it."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

from incgen.base.diagnostics import clipped, listed
from incgen.base.source import Span, line_end

#: How many names an unknown one is compared with; comparing takes time.
_MAX_NEAR = 1000


@dataclass(frozen=True, slots=True)
class Change:
    """A text that takes the place of another, or goes behind it.

    Attributes:
        text: The text; without one, what separates the other from its neighbours goes as well.
        over: The other; None if it is that of the fault.
        behind: Whether it stays.
    """

    text: str
    over: Span | None = None
    behind: bool = False

    def at(self, fault: Span) -> Span:
        """Return what is replaced."""
        over = self.over or fault
        if self.behind:
            return Span(over.source, over.end, over.end)
        return over if self.text else _with_gap(over)


@dataclass(frozen=True, slots=True)
class Edit:
    """Changes that do what a help says, and what a menu calls them."""

    changes: tuple[Change, ...]
    title: str = ""

    def called(self, fault: Span) -> str:
        """Return the title, or what is written, added or removed."""
        first = self.changes[0]
        text = " ".join((first.text or (first.over or fault).text).split())
        verb = "Add" if first.behind else "Write" if first.text else "Remove"
        return self.title or f"{verb} `{clipped(text, 60)}`"


class Help(str):
    """A line of help, with edits that do what it says; each is enough by itself."""

    edits: tuple[Edit, ...]

    def __new__(cls, text: str, *edits: Edit) -> Help:
        """Make a line with its edits."""
        self = super().__new__(cls, text)
        self.edits = edits
        return self

    def of(self, span: Span | None) -> Help:
        """Return the help for what is wrong in a place that may not be that of the fault."""
        edits = (
            replace(edit, changes=tuple(replace(c, over=c.over or span) for c in edit.changes))
            for edit in self.edits
        )
        return Help(self, *edits)


def edits_of(help: str | None) -> tuple[Edit, ...]:
    """Return the edits of a help line."""
    return help.edits if isinstance(help, Help) else ()


def put(*texts: str, over: Span | None = None) -> tuple[Edit, ...]:
    """Return an edit for each text, in place of another."""
    return tuple(Edit((Change(text, over),)) for text in texts)


def add(*texts: str, behind: Span | None = None) -> tuple[Edit, ...]:
    """Return an edit for each text, behind another and a blank."""
    return tuple(Edit((Change(f" {text}", behind, behind=True),)) for text in texts)


def write(*texts: str, over: Span | None = None, why: str = "") -> Help:
    """Return the help to write one of some texts in place of another."""
    return Help(f"write {listed(texts, 'or')}{why}", *put(*texts, over=over))


def offered(text: str) -> Help:
    """Return help whose offers, in double backticks, can be written in place of another text.

    >>> help_ = offered("``relu6`` cuts at 6, ``relu`` does not")
    >>> help_, [edit.changes[0].text for edit in help_.edits]
    ('`relu6` cuts at 6, `relu` does not', ['relu6', 'relu'])
    """
    return Help(text.replace("``", "`"), *put(*re.findall("``(.+?)``", text)))


def near(name: str, known: Iterable[str], alike: float = 0.6) -> Help | None:
    """Return a help line that offers up to three names at least as similar as `alike`: 0 to 1."""
    known = list(known)
    if same := [word for word in known if word.lower() == name.lower()]:
        return Help(f"did you mean {listed(same[:3], 'or')}?", *put(*same[:3]))
    # Names whose lengths differ by half cannot reach the cutoff, and comparing takes time.
    similar = {word for word in known if 3 * len(word) <= 7 * len(name) <= 17 * len(word)}
    candidates = itertools.islice(sorted(similar), _MAX_NEAR)
    import difflib  # not needed for a correct spec

    matches = difflib.get_close_matches(name, candidates, n=3, cutoff=alike)
    return Help(f"did you mean {listed(matches, 'or')}?", *put(*matches)) if matches else None


def _with_gap(span: Span) -> Span:
    """Extend what is removed by what separates it: brackets, a line, an arrow, a comma, a blank."""
    text, start, end = span.source.text, span.start, span.end
    if text[start - 1 : start] == "(" and text[end : end + 1] == ")":
        start, end = start - 1, end + 1
    first, last = text.rfind("\n", 0, start) + 1, line_end(text, end)
    arrow = re.search(r"\s*->\s*$", text[first:start])
    next_arrow = re.match(r"\s*->\s*", text[end:last])
    if not text[first:start].strip() and not text[end:last].strip():
        start, end = first, min(len(text), last + 1)
    elif arrow:
        start -= len(arrow[0])
    elif next_arrow:
        end += len(next_arrow[0])
    elif text[end : end + 2] == ", ":
        end += 2
    elif text[start - 2 : start] == ", ":
        start -= 2
    elif text[start - 1 : start] == " ":
        start -= 1
    return Span(span.source, start, end)
