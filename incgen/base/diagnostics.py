"""Errors in a spec as values, and how they are printed.

A stage collects `Diagnostic`s in a `Reporter` and ends with `Reporter.stop_on_errors`; a
`SpecError` then carries all of them to whoever prints. The first line of a report is
`file:line:column: severity[code]: message`, so editors can jump to it and grep can find it.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NoReturn, TypedDict, Unpack

from incgen.base.source import Span

#: A longer report helps nobody; the rest are only counted.
MAX_SHOWN = 20
#: After this many errors a stage stops: each costs time, and there may be one for every line.
MAX_ERRORS = 100
#: Source lines longer than this (characters) are shown in part, around the span.
_MAX_LINE = 110
#: How many characters before the span are then shown.
_BEFORE = 40
_TAB = "    "
#: Characters that move the cursor, change colours or reverse the text of a terminal.
_UNPRINTABLE = frozenset({"Cc", "Cf", "Zl", "Zp"})


class Code(StrEnum):
    """The code of each kind of error, with its meaning. Codes are part of the public surface."""

    summary: str

    def __new__(cls, name: str, summary: str) -> Code:
        """Make a member whose value is its name and which knows its summary."""
        member = str.__new__(cls, name)
        member._value_ = name
        member.summary = summary
        return member

    SYNTAX = "syntax", "the text does not follow the grammar"
    MISSING_BRACE = "missing-brace", "a `{` has no matching `}`, or the reverse"
    MISSING_ARROW = "missing-arrow", "two ops are not separated by `->` or a newline"
    BAD_WINDOW = "bad-window", "a window is not written `KHxKW` or `KHxKW/STRIDE`"
    BAD_CHARACTER = "bad-character", "a character that is not part of the language"
    NOT_UTF8 = "not-utf8", "the file is not UTF-8 text"
    UNREADABLE = "unreadable", "the file cannot be read"
    NESTING_TOO_DEEP = "nesting-too-deep", "bodies, expressions or uses are nested too deeply"
    TOO_LARGE = "too-large", "a file, a repeat, a size or the network is larger than incgen builds"
    NUMBER_RANGE = "number-range", "a number is outside its allowed range"
    WRONG_TYPE = "wrong-type", "a value has the wrong type"
    UNKNOWN_OP = "unknown-op", "no op, unit or block has this name"
    UNKNOWN_NAME = "unknown-name", "a name in an expression is not defined"
    UNKNOWN_ATTRIBUTE = "unknown-attribute", "the op has no attribute or parameter of this name"
    UNKNOWN_LABEL = "unknown-label", "`from` names a label that is not an earlier value"
    UNKNOWN_PRESET = "unknown-preset", "`numerics` does not name a preset"
    ARGUMENT_COUNT = "argument-count", "too many or too few arguments"
    DUPLICATE = "duplicate", "a name is defined twice where it must be unique"
    RESERVED_NAME = "reserved-name", "a name that some target cannot use"
    MUST_SAY = "must-say", "the frameworks disagree, so the spec must state the value"
    EMPTY_BODY = "empty-body", "a body without a statement"
    MISPLACED = "misplaced", "a statement where it is not allowed"
    NO_NETWORK = "no-network", "the file defines no network, or more than one"
    NO_INPUT = "no-input", "the network does not begin with `input`"
    RECURSION = "recursion", "a block or unit uses itself"
    BAD_USE = "bad-use", "`use` names a file or a definition that cannot be used"
    UNUSED = "unused", "a parameter, constant, unit, block or value is never used"
    UNNAMED = "unnamed", "a layer with parameters has no label"
    EVEN_WINDOW = (
        "even-window",
        "an even window is padded by half of it without having been asked to",
    )
    WINDOW_TOO_LARGE = "window-too-large", "a window does not fit in its padded input"
    BAD_PADDING = "bad-padding", "a padding that the op does not support"
    GROUPS = "groups", "groups do not divide the channels"
    WRONG_RANK = "wrong-rank", "an op that needs a map is given a vector, or the reverse"
    SHAPE_MISMATCH = "shape-mismatch", "values that are joined have incompatible shapes"
    UNDECIDED = "undecided", "whether a value is a map or a vector depends on a parameter"
    UNSUPPORTED = "unsupported", "a target cannot express this"
    UNKNOWN_RECIPE = "unknown-recipe", "no recipe has this name"
    UNKNOWN_SETTING = "unknown-setting", "a recipe has no setting or transform of this name"
    MISSING_SETTING = "missing-setting", "a recipe lacks a setting that it must state"
    UNFIT_RECIPE = "unfit-recipe", "a recipe does not fit the network that it trains"
    TRAP = "trap", "settings that are known to train badly together"


class Severity(StrEnum):
    """The severity of a diagnostic."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Note:
    """A second location or fact that explains an error."""

    message: str
    span: Span | None = None


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """An error or warning: where, what, and if possible what to type instead.

    Attributes:
        code: The kind of error.
        message: What is wrong, with numbers; lower case, without a final full stop.
        span: The smallest piece of text that shows it; None for an error of a whole file.
        label: A few words for the caret line.
        notes: Other locations and facts, including the chain of uses.
        help: What to type, if known.
        severity: Errors stop the pipeline, warnings do not.
        file: The file's name where there is no span.
    """

    code: Code
    message: str
    span: Span | None
    label: str = ""
    notes: tuple[Note, ...] = ()
    help: str | None = None
    severity: Severity = Severity.ERROR
    file: str = ""

    @property
    def headline(self) -> str:
        """Return `file:line:column: severity[code]: message` as one printable line."""
        place, severity = _place(self.span, self.file), self.severity.value
        return plain(f"{place}: {severity}[{self.code.value}]: {self.message}")

    def render(self) -> str:
        """Return the headline with the lines that it is about, the notes and the help."""
        lines = [self.headline]
        if self.span is not None:
            lines += _excerpt(self.span, self.label)
        for note in self.notes:
            place = f" ({_place(note.span, '')})" if note.span else ""
            lines.append(plain(f"note: {note.message}{place}"))
        if self.help:
            lines.append(plain(f"help: {self.help}"))
        return "\n".join(lines)

    def as_json(self) -> dict[str, object]:
        """Return the diagnostic as a dictionary of plain values."""
        return {
            "code": self.code.value,
            "severity": self.severity.value,
            "message": self.message,
            **_json_place(self.span, self.file),
            "label": self.label,
            "notes": [{"message": n.message, **_json_place(n.span, "")} for n in self.notes],
            "help": self.help,
        }


class SpecError(Exception):
    """A spec has errors, so nothing was built. Its text is the whole report."""

    def __init__(self, diagnostics: Sequence[Diagnostic]) -> None:
        """Keep the diagnostics, errors and warnings alike, in order."""
        super().__init__(render(diagnostics))
        self.diagnostics = tuple(diagnostics)

    def _render_traceback_(self) -> list[str]:
        """Return what IPython shows in place of a traceback: what is wrong is in the spec."""
        return str(self).split("\n")


class Refused(Exception):
    """A part of a spec is faulty, which has been reported; what depends on it is not built."""


class More(TypedDict, total=False):
    """The parts of a diagnostic that not every one has."""

    label: str
    notes: tuple[Note, ...]
    help: str | None


class Reporter:
    """Collects the diagnostics of a stage."""

    def __init__(self) -> None:
        self.errors = 0
        self._diagnostics: dict[tuple[object, ...], Diagnostic] = {}

    def error(self, code: Code, span: Span | None, message: str, **more: Unpack[More]) -> None:
        """Record an error, once per place and message; the `MAX_ERRORS`th raises `SpecError`."""
        self._add(Diagnostic(code, message, span, **more))

    def warning(self, code: Code, span: Span | None, message: str, **more: Unpack[More]) -> None:
        """Record a warning; the same message at the same place is recorded once."""
        self._add(Diagnostic(code, message, span, severity=Severity.WARNING, **more))

    def refuse(self, code: Code, span: Span | None, message: str, **more: Unpack[More]) -> NoReturn:
        """Record an error that leaves nothing to continue with, and raise `Refused`."""
        self.error(code, span, message, **more)
        raise Refused

    def extend(self, diagnostics: Iterable[Diagnostic]) -> None:
        """Record what another stage or file found."""
        for diagnostic in diagnostics:
            self._add(diagnostic)

    def _add(self, diagnostic: Diagnostic) -> None:
        # An error in a block that is used ten times is one error.
        key = (diagnostic.code, diagnostic.span, diagnostic.message, diagnostic.file)
        if key in self._diagnostics:
            return
        self._diagnostics[key] = diagnostic
        if diagnostic.severity is Severity.ERROR:
            self.errors += 1
            if self.errors >= MAX_ERRORS:
                raise SpecError(self.diagnostics)

    @property
    def failed(self) -> bool:
        """Return whether an error was recorded."""
        return self.errors > 0

    @property
    def diagnostics(self) -> list[Diagnostic]:
        """Return everything recorded, by location."""
        return sorted(self._diagnostics.values(), key=_order)

    def stop_on_errors(self) -> None:
        """Raise everything recorded as a `SpecError` if it includes an error."""
        if self.failed:
            raise SpecError(self.diagnostics)


def counted(count: int, what: str) -> str:
    """Return a count with its noun.

    >>> counted(1, "argument"), counted(2, "argument")
    ('1 argument', '2 arguments')
    """
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def clipped(text: str, longest: int = 40) -> str:
    """Shorten a text from a spec so that it fits into a message."""
    return text if len(text) <= longest else f"{text[: longest - 3]}..."


def plain(text: str) -> str:
    """Return a line without characters that could move the cursor of a terminal."""
    if text.isprintable():
        return text
    return "".join("\ufffd" if unicodedata.category(c) in _UNPRINTABLE else c for c in text)


def listed(names: Sequence[str], conjunction: str = "and") -> str:
    """Join names in backticks into a phrase: `a`, `b` and `c`."""
    quoted = [f"`{name}`" for name in names]
    if len(quoted) < 2:
        return "".join(quoted)
    return f"{', '.join(quoted[:-1])} {conjunction} {quoted[-1]}"


def render(diagnostics: Sequence[Diagnostic]) -> str:
    """Join all reports with blank lines; say how many are omitted."""
    shown = list(diagnostics)
    if len(shown) > MAX_SHOWN:  # errors before warnings, and then in the same order as before
        worst = sorted(range(len(shown)), key=lambda i: shown[i].severity is Severity.WARNING)
        shown = [shown[i] for i in sorted(worst[:MAX_SHOWN])]
    reports = [diagnostic.render() for diagnostic in shown]
    if len(diagnostics) > MAX_SHOWN:
        least = "at least " if len(diagnostics) >= MAX_ERRORS else ""
        reports.append(f"... and {least}{len(diagnostics) - MAX_SHOWN} more")
    return "\n\n".join(reports)


def render_json(diagnostics: Sequence[Diagnostic]) -> str:
    """Return all diagnostics as one JSON array."""
    return json.dumps([d.as_json() for d in diagnostics], indent=2, ensure_ascii=False)


def _place(span: Span | None, file: str) -> str:
    return f"{span.source.name}:{span.line}:{span.column}" if span else file


def _json_place(span: Span | None, file: str) -> dict[str, object]:
    if span is None:
        return {"file": file or None, "line": None, "column": None, "end_column": None}
    end = span.column + max(1, len(span.text.partition("\n")[0]))
    place = {"line": span.line, "column": span.column, "end_column": end}
    return {"file": span.source.name, **place}


def _excerpt(span: Span, label: str) -> list[str]:
    """Return the source line and a line of carets under the span; long lines are clipped."""
    line = span.source.lines[span.line - 1]
    start = span.column - 1
    end = max(start, min(len(line), start + span.end - span.start))
    left, right = 0, len(line)
    if right > _MAX_LINE:
        left = max(0, min(start - _BEFORE, right - _MAX_LINE))
        right = min(right, left + _MAX_LINE)
    before = ("..." if left else "") + line[left:start]
    inside = line[start : min(end, right)]
    shown = before + line[start:right] + ("..." if right < len(line) else "")
    number = str(span.line)
    gutter = " " * len(number)
    marks = " " * _columns(before) + "^" * max(1, _columns(inside))
    caret_line = f"{gutter} | {marks} {plain(label)}".rstrip()
    source_line = f"{number} | {plain(shown.replace(chr(9), _TAB))}".rstrip()
    return [f"{gutter} |", source_line, caret_line]


def _columns(text: str) -> int:
    """Return how many columns of a terminal a text takes."""
    if text.isascii():
        return len(text) + (len(_TAB) - 1) * text.count("\t")
    total = 0
    for char in text:
        if char == "\t":
            total += len(_TAB)
        elif not unicodedata.combining(char):
            total += 2 if unicodedata.east_asian_width(char) in "WF" else 1
    return total


def _order(diagnostic: Diagnostic) -> tuple[str, int, str]:
    span = diagnostic.span
    return (span.source.name if span else "", span.start if span else -1, diagnostic.code.value)
