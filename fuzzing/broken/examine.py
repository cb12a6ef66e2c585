"""Check how a broken spec ends: diagnostics that can be shown, or clean code."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from fuzzing.broken import code
from fuzzing.broken.cases import Case
from fuzzing.broken.trial import Failure
from incgen import api, compiling
from incgen.base.diagnostics import (
    Code,
    Diagnostic,
    Reporter,
    Severity,
    SpecError,
    plain,
    render,
    render_json,
)
from incgen.base.files import OutputError
from incgen.base.source import SourceFile
from incgen.graph.nodes import Graph
from incgen.language.arithmetic import Value
from incgen.language.expressions import Literal, Name
from incgen.output import FOLDER, is_untouched
from incgen.show.as_json import as_json
from incgen.show.sheet import View, sheet
from incgen.show.text import table
from incgen.syntax.format import format_text
from incgen.syntax.parser import parse, parse_value
from incgen.targets import TARGETS

#: Ends other than the code of a diagnostic.
CLEAN, REFUSED = "clean", "refused"
#: Commands whose output can be examined, besides that of `check`.
LOOKS = ("build", "format", "show")


def examine_spec(case: Case, folder: Path, look: str = "") -> tuple[str, ...]:
    """Examine how an input ends.

    Args:
        case: The input.
        folder: An empty folder.
        look: One of `LOOKS`, another command whose output to examine. Only one, because the time
            limit is that of a single command.

    Returns:
        The codes of its diagnostics, or how else it ended.

    Raises:
        Failure: It does not end as it should.
    """
    path = case.put(folder)
    try:
        values = _values(case.settings)
    except SpecError as error:
        _check_diagnostics(error.diagnostics)
        return (REFUSED,)
    report = Reporter()
    graph, sources = None, dict[str, str]()
    try:
        graph = compiling.compile_spec(path, values, report=report)
        sources = api.emit_all(graph, api.find_targets(list(TARGETS)))
    except SpecError as error:
        diagnostics = error.diagnostics
        if not any(diagnostic.severity is Severity.ERROR for diagnostic in diagnostics):
            raise Failure("no error", "a SpecError holds warnings only") from error
        ends = tuple(dict.fromkeys(diagnostic.code.value for diagnostic in diagnostics))
    except compiling.RequestError as error:
        if not str(error):
            raise Failure("no message", "a RequestError says nothing") from error
        diagnostics, ends = (), (REFUSED,)
    else:
        diagnostics, ends = tuple(report.diagnostics), (CLEAN,)
    _check_diagnostics(diagnostics)
    if graph is not None:
        for name, source in sources.items():
            code.check(case, name, source)
    if look == "build":
        _check_build(path, folder, values, sources)
    elif look == "format" and not any(diagnostic.code in _UNREAD for diagnostic in diagnostics):
        _check_format(path, parsed=graph is not None)
    elif look == "show" and graph is not None:
        _check_shown(graph)
    return ends


#: The text of the file cannot be read.
_UNREAD = (Code.UNREADABLE, Code.NOT_UTF8, Code.TOO_LARGE)


def _values(settings: Sequence[str]) -> dict[str, Value]:
    """Parse `--set` as the command line does."""
    values: dict[str, Value] = {}
    for text in settings:
        name, _, written = (part.strip() for part in text.partition("="))
        parsed = parse_value(written)
        values[name] = parsed.value if isinstance(parsed, Literal) else "1 + 1"
        if isinstance(parsed, Name):
            values[name] = parsed.text
    return values


# ---------------------------------------------------------------- diagnostics


def _check_diagnostics(diagnostics: Sequence[Diagnostic]) -> None:
    """Check that each has a message and a place in its file, and can be shown in every form."""
    for diagnostic in diagnostics:
        if not diagnostic.message.strip():
            raise Failure("no message", diagnostic.code.value)
        span = diagnostic.span
        for place in (span, *(note.span for note in diagnostic.notes)):
            if place is None:
                continue
            text = place.source.text
            if not 0 <= place.start <= place.end <= len(text):
                raise Failure("bad place", f"{place.start}-{place.end} of {len(text)}")
            if place.line > len(place.source.lines):
                raise Failure("bad place", f"line {place.line}")
        if span is None and not diagnostic.file:
            raise Failure("no place", diagnostic.headline)
        _check_lines(diagnostic.headline, 1)
        for line in diagnostic.render().split("\n"):
            _check_lines(line, 1)
    _check_lines(render(diagnostics), None)
    listed = json.loads(render_json(diagnostics))
    if len(listed) != len(diagnostics):
        raise Failure("bad JSON", f"{len(listed)} of {len(diagnostics)}")


#: Nobody reads longer lines in a report.
_LONGEST = 600


def _check_lines(text: str, count: int | None) -> None:
    """Check that there are this many lines, and no terminal control characters in them."""
    lines = text.split("\n")
    if count is not None and len(lines) != count:
        raise Failure("newline in a report", repr(text[:200]))
    for line in lines:
        if plain(line) != line:
            raise Failure("control character in a report", repr(line[:200]))
        if len(line) > _LONGEST:
            raise Failure("long report", repr(line[:200]))


# ---------------------------------------------------------------- other products


def _check_format(path: Path, *, parsed: bool) -> None:
    """Check that formatting keeps the meaning and is stable, or fails if there is no tree."""
    data = path.read_bytes()
    text = data.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
    try:
        laid_out = format_text(text, "spec.inc")
    except SpecError as error:
        if parsed:
            raise Failure("format refuses what check takes", str(error)) from error
        _check_diagnostics(error.diagnostics)
        return
    if format_text(laid_out) != laid_out:
        raise Failure("format changes its own layout", repr(laid_out[:200]))
    if parse(SourceFile("", laid_out)) != parse(SourceFile("", text)):
        raise Failure("format changes the meaning", repr(laid_out[:200]))


def _check_shown(graph: Graph) -> None:
    """Check that the table has no terminal control characters, and that the JSON is valid."""
    for line in table(sheet(graph, View())).split("\n"):
        if plain(line) != line:
            raise Failure("control character in a table", repr(line[:200]))
    json.loads(as_json(graph))


def _check_build(
    path: Path, folder: Path, values: dict[str, Value], sources: dict[str, str]
) -> None:
    """Check that a build writes every file, or nothing at all."""
    output = folder / FOLDER
    before = _listed(folder)
    try:
        built = api.build(path, list(TARGETS), f"{output}/", values)
    except (SpecError, compiling.RequestError, OutputError):
        if sources:
            raise Failure("not written", "what can be generated cannot be written") from None
        if _listed(folder) != before:
            raise Failure("partial output", str(sorted(_listed(folder) - before))) from None
        return
    texts = {file.path.name: file.path.read_text("utf-8") for file in built}
    if set(sources) != {name.rpartition("_")[2].removesuffix(".py") for name in texts}:
        raise Failure("partial output", str(sorted(texts)))
    if _listed(folder) - before != {str(file.path.relative_to(folder)) for file in built}:
        raise Failure("left behind", str(sorted(_listed(folder) - before)))
    for name, text in texts.items():
        if not is_untouched(text) or text.partition("\n")[2] not in sources.values():
            raise Failure("written otherwise", name)
    shutil.rmtree(output)


def _listed(folder: Path) -> set[str]:
    return {
        os.path.relpath(os.path.join(place, name), folder)
        for place, _, names in os.walk(folder)
        for name in names
    }
