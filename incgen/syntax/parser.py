"""Text to syntax tree: run Lark, and report what does not parse.

Lark reports errors in its own terms (terminals, states); here they become diagnostics in the user's
(`slips.py`). After a faulty line with balanced brackets, parsing continues without that line, so
that several errors are reported at once.
"""

from __future__ import annotations

import hashlib
import threading
from functools import cache
from typing import Any, cast

from lark import UnexpectedCharacters, UnexpectedToken
from lark import __version__ as lark_version
from lark.grammar import Rule
from lark.lexer import TerminalDef

from incgen.base import cache as cache_folder
from incgen.base.diagnostics import Code, Diagnostic, SpecError
from incgen.base.resources import folder
from incgen.base.source import SourceFile
from incgen.language import expressions as ex
from incgen.syntax import tree as st
from incgen.syntax.building import Builder, doc_words
from incgen.syntax.faults import SyntaxFault
from incgen.syntax.lexing import Lines, TooLong
from incgen.syntax.recovery import without_line
from incgen.syntax.reducing import Made, Parser

#: A spec longer than this (characters) is rejected before it is parsed.
MAX_TEXT = 1_000_000
#: How many faulty lines are reported at once. The text is parsed again for each, up to this many
#: characters in total.
_MAX_FAULTS = 10
_MAX_READ = 200_000
#: Trees are kept of the texts read last, of so many characters in all: what several specs use is
#: parsed once, and so is what is checked and formatted, or asked about in an editor.
_KEPT = 200_000


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
    ordered = sorted(
        _parser()[0].terminals,
        key=lambda t: (-t.priority, -t.pattern.max_width, -len(t.pattern.value), t.name),
    )
    return [(terminal.name, terminal.pattern.to_regexp()) for terminal in ordered]


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
_OPTIONS: dict[str, Any] = {
    "parser": "lalr",
    "lexer": "basic",
    "start": ["start", "expression"],
}


@cache
def _parser() -> tuple[Parser, Builder, Lines]:
    build = Builder()
    lines = Lines(build.span_of)
    build.expression_in = lambda text, start: cast(
        ex.Expression, _run(build.source, text, "expression", start)
    )
    return _tables(build, lines), build, lines


def _tables(build: Builder, lines: Lines) -> Parser:
    """Return the parser, from cached tables if they are intact."""
    grammar = (folder("grammar") / "inc.lark").read_text("utf-8")
    digest = hashlib.sha256(f"{_OPTIONS}\n{grammar}".encode()).hexdigest()[:16]
    name = f"grammar-{digest}-lark{lark_version}"
    tables = cache_folder.load(name)
    if tables is not None:
        try:
            tables["data"]["options"] |= {"postlex": lines, "transformer": build}
            return Parser.load(tables)
        except Exception:  # whatever Lark raises for tables that are not its own
            pass
    parser = Parser(grammar, postlex=lines, transformer=build, **_OPTIONS)
    data, memo = parser.memo_serialize([TerminalDef, Rule])
    data["options"] |= {"postlex": None, "transformer": None}
    cache_folder.store(name, {"data": data, "memo": memo})
    return parser


def _parse_text(source: SourceFile, text: str) -> st.Spec:
    docs = {}
    if "##" in text:
        for number, line in enumerate(source.lines, 1):
            stripped = line.lstrip()
            if stripped.startswith("##"):
                docs[number] = doc_words(stripped[2:])
    with _LOCK:
        _parser()[1].docs = docs
        return cast(st.Spec, _run(source, text, "start", 0))


def _run(source: SourceFile, text: str, start: str, shift: int) -> Any:
    """Run Lark on a text that begins at an offset of the file."""
    parser, build, lines = _parser()
    before = (getattr(build, "source", source), build.shift, lines.open, lines.number)
    build.source, build.shift, build.fault = source, shift, None
    try:
        made = cast(Made, parser.parse(text, start=start))[0]
        if build.fault is not None:
            raise build.fault
        return made
    except UnexpectedCharacters as error:
        from incgen.syntax.explaining import bad_character  # only a faulty text needs it

        raise bad_character(source, text, error.pos_in_stream or 0, shift) from None
    except UnexpectedToken as error:
        from incgen.syntax.explaining import unexpected

        raise unexpected(build, lines, error, len(text)) from None
    finally:
        build.source, build.shift, lines.open, lines.number = before
