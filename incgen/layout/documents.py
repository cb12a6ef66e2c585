"""Documents, which are text with places where a line may break, and how they are printed.

The printer is one in the manner of Wadler and Prettier: a trial looks whether a group fits on the
rest of its line, and the group breaks if it does not.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from enum import Enum
from typing import NamedTuple, assert_never

from incgen.records import record

LINE_LENGTH = 88
INDENT_WIDTH = 4


class Line(Enum):
    """A place where a line may (or must) break, and what stands there if it does not."""

    SOFT = ""
    SPACE = " "
    HARD = "\n"


GroupId = int


@record
class Group:
    """Content whose own breaks happen all together or not at all."""

    content: Doc
    id: GroupId | None = None
    expand: bool = False


@record
class GroupIfBroken:
    """A group if group ``id`` is broken, else no more than its content."""

    content: Doc
    id: GroupId


@record
class When:
    """Content that is there only if a group (by default the enclosing one) is or is not broken."""

    content: Doc
    broken: bool = True
    id: GroupId | None = None


@record
class Indent:
    """Content one level further in; with an id, only if that group is broken."""

    content: Doc
    id: GroupId | None = None


@record
class MayExpand:
    """Brackets that may open although group ``id`` around them stays unbroken."""

    content: Doc
    id: GroupId


@record
class FitParens:
    """Content that gets parentheses only if it then fits on lines of its own."""

    content: Doc
    id: GroupId


@record
class FirstFit:
    """The first of several layouts that fits, else the last."""

    layouts: tuple[Doc, ...]


Doc = (
    str
    | tuple["Doc", ...]
    | Line
    | Group
    | GroupIfBroken
    | When
    | Indent
    | MayExpand
    | FitParens
    | FirstFit
)


class _Measure(Enum):
    """What a trial looks at: the first line, all lines, or only text around the content."""

    FIRST_LINE = 1
    ALL_LINES = 2
    ANY_WIDTH = 3


class _Frame(NamedTuple):
    """A document still to be printed, and how."""

    doc: Doc
    indent: int
    is_flat: bool
    measure: _Measure = _Measure.FIRST_LINE

    def of(self, doc: Doc) -> _Frame:
        """Another document printed in the same way."""
        return _Frame(doc, self.indent, self.is_flat, self.measure)

    def flattened(self, doc: Doc, is_flat: bool = True) -> _Frame:
        """Another document, broken or unbroken."""
        return _Frame(doc, self.indent, is_flat, self.measure)

    def indented(self, doc: Doc) -> _Frame:
        """Another document, one level further in."""
        return _Frame(doc, self.indent + INDENT_WIDTH, self.is_flat, self.measure)


def print_lines(doc: Doc, indent: int) -> list[str]:
    """The lines of a document that begins ``indent`` spaces into its first line."""
    return _Printer(indent).print(doc)


class _Printer:
    """Prints one document from left to right, deciding group by group what breaks.

    A trial (`_fits`) reads on until the line is full or ends, so a group costs no more than a
    line's worth of text; only the few constructs that look at all lines cost more, and they
    occur once in a statement.
    """

    def __init__(self, indent: int) -> None:
        """Start at the beginning of a line."""
        self._pieces: list[str] = []
        self._column = 0
        self._margin = indent  # Spaces still to come before the next text.
        self._flat_groups: dict[GroupId, bool] = {}
        self._is_measured = False  # The enclosing flat group is known to fit.
        self._stack: list[_Frame] = []

    def print(self, doc: Doc) -> list[str]:
        """The lines of a document."""
        self._stack.append(_Frame(doc, self._margin, is_flat=False))
        while self._stack:
            self._print(self._stack.pop())
        return "".join(self._pieces).split("\n")

    def _print(self, frame: _Frame) -> None:
        doc = frame.doc
        match doc:
            case str():
                self._text(doc)
            case tuple():
                self._stack.extend(map(frame.of, reversed(doc)))
            case Line():
                self._break(doc, frame)
            case Group(content, group, expand):
                is_flat = not expand and self._fits_flat(content, group, frame)
                if group is not None:
                    self._flat_groups[group] = is_flat
                self._stack.append(frame.flattened(content, is_flat))
            case GroupIfBroken(content, group):
                grouped = not self._flat_groups[group]
                is_flat = self._fits_flat(content, None, frame) if grouped else frame.is_flat
                self._stack.append(frame.flattened(content, is_flat))
            case When() | Indent():
                self._stack.extend(self._conditional(doc, frame))
            case MayExpand(content, group):
                # Its inside was taken as broken so far: find out now whether it has to be.
                self._is_measured = self._is_measured and not self._flat_groups[group]
                self._stack.append(frame.of(content))
            case FitParens():
                self._fit_parens(doc, frame)
            case FirstFit(layouts):
                self._first_fit(layouts, frame)
            case _:
                assert_never(doc)

    def _text(self, text: str) -> None:
        if text:
            self._pieces.append(" " * self._margin + text)
            self._column += self._margin + width(text)
            self._margin = 0

    def _break(self, line: Line, frame: _Frame) -> None:
        if frame.is_flat and line is not Line.HARD:
            self._text(line.value)
        else:
            self._pieces.append("\n")
            self._column = 0
            self._margin = frame.indent

    def _conditional(self, doc: When | Indent, frame: _Frame) -> Iterable[_Frame]:
        """What is left of content that depends on whether a group is broken."""
        is_flat = frame.is_flat if doc.id is None else self._flat_groups[doc.id]
        match doc:
            case When(content, broken, _):
                return () if broken is is_flat else (frame.of(content),)
            case Indent(content, group):
                stays = group is not None and is_flat
                return (frame.of(content) if stays else frame.indented(content),)
            case _:
                assert_never(doc)

    def _fits_flat(self, content: Doc, group: GroupId | None, frame: _Frame) -> bool:
        if frame.is_flat and self._is_measured:
            return True
        self._is_measured = True
        if group is not None:
            self._flat_groups[group] = True
        return self._fits(frame.flattened(content))

    def _fit_parens(self, doc: FitParens, frame: _Frame) -> None:
        opened: tuple[Doc, ...] = ("(", Indent((Line.HARD, doc.content)), Line.HARD, ")")
        is_flat = self._fits_flat(doc.content, doc.id, frame)
        if not is_flat:
            self._flat_groups[doc.id] = False
            trial = _Frame(opened, frame.indent, frame.is_flat, _Measure.ALL_LINES)
            is_flat = not self._fits(trial)
        self._flat_groups[doc.id] = is_flat
        self._stack.append(frame.flattened(doc.content if is_flat else opened, is_flat))

    def _first_fit(self, layouts: tuple[Doc, ...], frame: _Frame) -> None:
        if frame.is_flat and self._is_measured:
            self._stack.append(frame.of(layouts[0]))
            return
        self._is_measured = True
        *tries, last = layouts
        for layout in tries:
            if self._fits(frame.flattened(layout)):
                self._stack.append(frame.flattened(layout))
                return
        self._stack.append(frame.flattened(last, is_flat=False))

    def _fits(self, trial: _Frame) -> bool:
        """Whether a document, with what follows it on the line, stays within the line length."""
        frames = [trial]
        following = reversed(self._stack)
        column, margin = self._column, self._margin
        while (frame := frames.pop() if frames else next(following, None)) is not None:
            doc = frame.doc
            if isinstance(doc, Line):
                if not frame.is_flat or doc is Line.HARD:
                    if frame.is_flat or frame.measure is _Measure.FIRST_LINE:
                        return True
                    column, margin = 0, frame.indent
                    continue
                doc = doc.value
            if not isinstance(doc, str):
                frames.extend(self._measured(doc, frame))
            elif doc:
                column, margin = column + margin + width(doc), 0
                if column > LINE_LENGTH and frame.measure is not _Measure.ANY_WIDTH:
                    return False
        return True

    def _measured(self, doc: Doc, frame: _Frame) -> Iterable[_Frame]:
        """The parts of a document to be measured, the last first."""
        match doc:
            case tuple():
                return map(frame.of, reversed(doc))
            case Group(content, group, expand):
                is_flat = frame.is_flat and not expand
                if group is not None:
                    self._flat_groups[group] = is_flat
                return (frame.flattened(content, is_flat),)
            case GroupIfBroken(content, _):
                return (frame.of(content),)
            case When() | Indent():
                return self._conditional(doc, frame)
            case MayExpand(content, group):
                if frame.is_flat and self._flat_groups[group]:
                    return (_Frame(content, frame.indent, False, _Measure.ANY_WIDTH),)
                return (frame.of(content),)
            case FitParens(content, group):
                self._flat_groups[group] = frame.is_flat
                return (frame.of(content),)
            case FirstFit(layouts):
                return (frame.of(layouts[0 if frame.is_flat else -1]),)
            case str() | Line():
                return (frame,)
            case _:
                assert_never(doc)


def width(text: str) -> int:
    """Columns that a text takes up."""
    return len(text) if text.isascii() else sum(map(_columns, text))


def _columns(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1
