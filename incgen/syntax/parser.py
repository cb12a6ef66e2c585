"""Text to syntax tree, and reports of what does not parse.

Lark reports errors in its own terms (terminals, states), which become diagnostics in the user's
(`slips.py`). After a faulty line with balanced brackets, parsing continues without that line, so
that several errors are reported at once.
"""

from __future__ import annotations

import hashlib
import threading
from functools import cache
from typing import TYPE_CHECKING, Any, cast

from incgen.base import cache as cache_folder
from incgen.base.diagnostics import Code, Diagnostic, SpecError
from incgen.base.resources import folder
from incgen.base.source import SourceFile
from incgen.language import expressions as ex
from incgen.syntax import tree as st
from incgen.syntax.automaton import Automaton, Tables
from incgen.syntax.building import Builder, doc_words
from incgen.syntax.faults import SyntaxFault
from incgen.syntax.lexing import Lines, TooLong, Unparsed
from incgen.syntax.recovery import without_line

if TYPE_CHECKING:
    from incgen.syntax.lark import Parser

#: A spec longer than this (characters) is rejected before it is parsed.
MAX_TEXT = 1_000_000
#: How many faulty lines are reported at once. The text is parsed again for each, up to this many
#: characters in total.
_MAX_FAULTS = 10
_MAX_READ = 200_000
#: Trees are kept of the texts read last, of so many characters in all: what several specs use is
#: parsed once, and so is what is checked and formatted, or asked about in an editor.
_KEPT = 200_000
#: The version of the tables that are cached.
_FORMAT = 1


def parse(source: SourceFile) -> st.Spec:
    """Return the syntax tree of a file.

    Raises:
        SpecError: The text does not follow the grammar; every faulty line that can be separated is
            reported.
    """
    tree, faults = parse_around_faults(source)
    if faults or tree is None:
        raise SpecError(faults)
    return tree


def parse_around_faults(source: SourceFile) -> tuple[st.Spec | None, list[Diagnostic]]:
    """Return the syntax tree of a file without its faulty lines, and what is wrong with those.

    There is no tree if they cannot be separated from the others.
    """
    with _LOCK:
        tree, faults = _KNOWN.pop(source) if source in _KNOWN else _parse_around_faults(source)
        _KNOWN[source] = tree, faults
        while len(_KNOWN) > 1 and sum(len(file.text) for file in _KNOWN) > _KEPT:
            del _KNOWN[next(iter(_KNOWN))]
    return tree, [*faults]


def _parse_around_faults(source: SourceFile) -> tuple[st.Spec | None, list[Diagnostic]]:
    if len(source.text) > MAX_TEXT:
        message = f"the file has {len(source.text)} characters, more than {MAX_TEXT}"
        return None, [Diagnostic(Code.TOO_LARGE, message, None, file=source.name)]
    text, faults, read = source.text, list[Diagnostic](), 0
    tree: st.Spec | None = None
    while True:
        read += len(text)
        try:
            tree = _parse_text(source, text)
        except TooLong as fault:
            faults.append(fault.diagnostic)
            break
        except SyntaxFault as fault:
            faults.append(fault.diagnostic)
        else:
            break
        rest = without_line(text, faults[-1])
        if rest is None or len(faults) == _MAX_FAULTS or read > _MAX_READ:
            break
        text = rest
    return tree, sorted(faults, key=lambda d: d.span.start if d.span else 0)


def terminals() -> list[tuple[str, str]]:
    """Return the names and regular expressions of terminals, in the order in which they are tried.

    The order is that of Lark's basic lexer.
    """
    return _tables()["terminals"]


def parse_value(text: str) -> ex.Expression:
    """Parse an expression given outside a spec, as in `--set classes=10`."""
    source = SourceFile("--set", text)
    try:
        with _LOCK:
            return cast(ex.Expression, _run(source, text, "expression", 0))
    except SyntaxFault as fault:
        raise SpecError([fault.diagnostic]) from None


_LOCK = threading.RLock()
_KNOWN: dict[SourceFile, tuple[st.Spec | None, list[Diagnostic]]] = {}


@cache
def _builder() -> tuple[Builder, Lines]:
    build = Builder()
    build.expression_in = lambda text, start: cast(
        ex.Expression, _run(build.source, text, "expression", start)
    )
    return build, Lines(build.span_of)


@cache
def _automaton() -> Automaton:
    return Automaton(_tables(), _builder()[0].make)


@cache
def _lark() -> Parser:
    from incgen.syntax.lark import parser_of  # only a faulty text needs it

    return parser_of(_grammar(), *_builder())


def _grammar() -> str:
    return (folder("grammar") / "inc.lark").read_text("utf-8")


@cache
def _tables() -> Tables:
    """Return the tables of the grammar, from the cache if they are intact."""
    digest = hashlib.sha256(f"{_FORMAT}\n{_grammar()}".encode()).hexdigest()[:16]
    tables = cache_folder.load(f"tables-{digest}")
    if not isinstance(tables, dict) or tables.keys() != Tables.__annotations__.keys():
        from incgen.syntax.lark import tables_of

        tables = tables_of(_lark())
        cache_folder.store(f"tables-{digest}", tables)
    return cast(Tables, tables)


def _parse_text(source: SourceFile, text: str) -> st.Spec:
    docs = {}
    if "##" in text:
        for number, line in enumerate(source.lines, 1):
            stripped = line.lstrip()
            if stripped.startswith("##"):
                docs[number] = doc_words(stripped[2:])
    with _LOCK:
        _builder()[0].docs = docs
        return cast(st.Spec, _run(source, text, "start", 0))


def _run(source: SourceFile, text: str, start: str, shift: int) -> Any:
    """Parse a text that begins at an offset of the file."""
    build, lines = _builder()
    before = (getattr(build, "source", source), build.shift, lines.open, lines.number)
    docs = {**build.docs}
    build.source, build.shift, build.fault = source, shift, None
    try:
        automaton = _automaton()
        made = automaton.parse(lines.process(automaton.tokens(text)), start)
        if build.fault is not None:
            raise build.fault
        return made
    except Unparsed:
        pass  # Lark knows what was expected
    finally:
        build.source, build.shift, lines.open, lines.number = before
    from incgen.syntax import lark

    build.source, build.shift, build.fault, build.docs = source, shift, None, docs
    try:
        return lark.parse(_lark(), build, lines, text, start)
    finally:
        build.source, build.shift, lines.open, lines.number = before
