"""Lark: makes tables of the grammar, and says what is wrong with a text that does not follow it."""

from __future__ import annotations

import hashlib
from typing import Any, cast

from lark import Lark, Token, UnexpectedCharacters, UnexpectedToken
from lark import __version__ as lark_version
from lark.grammar import Rule, Symbol
from lark.lexer import TerminalDef
from lark.parsers.lalr_analysis import Reduce

from incgen.base import cache as cache_folder
from incgen.syntax.automaton import Tables
from incgen.syntax.building import Builder
from incgen.syntax.explaining import bad_character, unexpected
from incgen.syntax.lexing import Lines, RunOn
from incgen.syntax.reducing import reduction

_OPTIONS: dict[str, Any] = {
    "parser": "lalr",
    "lexer": "basic",
    "start": ["start", "expression"],
}


class Parser(Lark):
    """A parser whose `transformer` says by its method `make` how the node of a rule is made."""

    def _prepare_callbacks(self) -> None:
        make = cast(Any, self.options.transformer).make
        self._callbacks = {rule: reduction(*_described(rule), make) for rule in self.rules}


def parser_of(grammar: str, build: Builder, lines: Lines) -> Parser:
    """Return the parser, from cached tables if they are intact."""
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


def parse(parser: Parser, build: Builder, lines: Lines, text: str, start: str) -> Any:
    """Return the node of a rule for a text, or raise what is wrong with the text."""
    try:
        made = cast(Any, parser.parse(text, start=start))[0]
        if build.fault is not None:
            raise build.fault
        return made
    except UnexpectedCharacters as error:
        raise bad_character(build.source, text, error.pos_in_stream or 0, build.shift) from None
    except UnexpectedToken as error:
        raise unexpected(build, lines, error, len(text)) from None
    except RunOn as error:
        run = Token.new_borrow_pos("RUN", error.token, cast(Token, error.token))
        fault = UnexpectedToken(run, set())  # type: ignore[no-untyped-call]  # Lark's own
        raise unexpected(build, lines, fault, len(text)) from None


def tables_of(parser: Parser) -> Tables:
    """Return what `syntax/automaton.py` needs to know of the grammar.

    They are plain data, which Lark's names are not: they know where they stand in the grammar.
    """
    frontend = cast(Any, parser.parser)
    lexer, table = frontend.lexer.lexer, frontend.parser._parse_table
    numbers = {rule: number for number, rule in enumerate(parser.rules)}
    (pattern,), words = lexer.scanner._mres, lexer.callback["NAME"].scanner.terminals
    ordered = sorted(
        parser.terminals,
        key=lambda t: (-t.priority, -t.pattern.max_width, -len(t.pattern.value), t.name),
    )
    return {
        "terminals": [(str(t.name), str(t.pattern.to_regexp())) for t in ordered],
        "pattern": str(pattern.pattern),
        "ignored": sorted(map(str, lexer.ignore_types)),
        "words": {str(t.pattern.value): str(t.name) for t in words},
        "starts": dict(table.start_states),
        "ends": dict(table.end_states),
        "actions": {
            state: {
                str(symbol): ~numbers[target] if action is Reduce else target
                for symbol, (action, target) in actions.items()
            }
            for state, actions in table.states.items()
        },
        "rules": [_described(rule) for rule in parser.rules],
    }


def _described(rule: Rule) -> tuple[str, int, list[int | None], list[int]]:
    """Return the name of a rule, its length, and the numbers of its parts and of inlined ones."""
    inlined = [number for number, symbol in enumerate(rule.expansion) if _is_inlined(symbol)]
    return str(rule.origin.name), len(rule.expansion), _kept(rule), inlined


def _is_inlined(symbol: Symbol) -> bool:
    """Return whether the parts of a rule stand for it."""
    return not symbol.is_term and symbol.name.startswith("_")


def _kept(rule: Rule) -> list[int | None]:
    """Return the numbers of the values that are parts, with None for a `[x]` that is not there."""
    absent = "".join(str(int(empty)) for empty in rule.options.empty_indices)
    gaps = [len(ones) for ones in absent.split("0")] if absent else []
    kept: list[int | None] = []
    for index, symbol in enumerate(rule.expansion):
        kept += [None] * (gaps[index] if gaps else 0)
        if not getattr(symbol, "filter_out", False):
            kept.append(index)
    return kept + [None] * (gaps[-1] if gaps else 0)
