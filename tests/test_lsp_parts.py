"""The parts of the language server that need no client: tokens, alignment, analysis, names."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from test_errors import ADVICE

from incgen.api import check
from incgen.base.source import SourceFile
from incgen.cli.main import main
from incgen.lsp.alignment import Alignment
from incgen.lsp.analysis import analyse
from incgen.lsp.context import context_at
from incgen.lsp.fixes import fixes
from incgen.lsp.positions import Places
from incgen.syntax import parser
from incgen.syntax.tokens import Kind, keywords, tokens

ROOT = Path(__file__).parent.parent
SPECS = sorted((ROOT / "specs").rglob("*.inc"))
#: A third of them: `incgen check` and the server share everything that finds faults.
ERRORS = [p for p in sorted((ROOT / "tests/errors").glob("*.inc")) if "not-utf8" not in p.stem][::3]


# ---------------------------------------------------------------- tokens


@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.stem)
def test_tokens_are_those_of_the_parser(path: Path) -> None:
    text = path.read_text("utf-8")
    lark = parser._parser()[0]
    # what it drops between statements is not compared, as tokens() keeps every newline
    theirs = [(t.start_pos, str(t)) for t in lark.lex(text) if t.type != "_NEWLINE"]
    ours = tokens(text)

    assert [(t.start, t.text) for t in ours if t.kind not in (Kind.COMMENT, Kind.NEWLINE)] == theirs
    named = [t.start_pos for t in lark.lex(text) if t.type == "NAME"]
    assert [t.start for t in ours if t.kind is Kind.NAME] == named


def test_tokens_go_on_behind_a_fault() -> None:
    pairs = [(t.kind.name, t.text) for t in tokens('a $ "b 3x{n}; x->y')]

    assert pairs == [
        *(("NAME", "a"), ("FAULT", "$"), ("FAULT", '"'), ("NAME", "b"), ("WINDOW", "3x{n}")),
        *(("NEWLINE", ";"), ("NAME", "x"), ("SIGN", "->"), ("NAME", "y")),
    ]


def test_keywords_are_those_of_the_reference() -> None:
    page = (ROOT / "docs/language.md").read_text("utf-8")
    _, _, rest = page.partition("Keywords cannot be names: ")
    listed = {word.strip("`\n ") for word in rest.partition(". Names")[0].split(",")}

    assert keywords() == listed


# ---------------------------------------------------------------- alignment


def test_what_is_typed_moves_what_stands_behind_it() -> None:
    old = "one\ntwo\nthree\nfour\n"
    new = "one\ntwo\nnew\nthr33\nfour\n"
    alignment = Alignment(old, new)

    assert [alignment.new(old.index(word)) for word in ("one", "two", "four")] == [0, 4, 18]
    assert alignment.new(old.index("three")) == 8  # the beginning of the line that was replaced
    assert alignment.old(new.index("four")) == old.index("four")
    assert alignment.old(new.index("33")) is None


def test_a_change_within_a_line_leaves_its_ends() -> None:
    old, new = "a: conv 3x3 8 -> relu\n", "a: conv 3x3/2 16 -> relu\n"
    alignment = Alignment(old, new)

    assert alignment.new(old.index("conv")) == new.index("conv")
    assert alignment.new(old.index("relu")) == new.index("relu")
    assert alignment.span(old.index("conv"), old.index("conv") + 4) == (3, 7)
    assert alignment.span(0, len(old)) is None
    assert alignment.old(new.index("16")) is None


def test_an_empty_text_has_nothing_in_common() -> None:
    assert Alignment("", "a\n").old(0) is None
    assert Alignment("a\n", "").new(0) is None
    assert Alignment("a\n", "a\n").new(2) == 2


# ---------------------------------------------------------------- analysis


@pytest.mark.parametrize("path", ERRORS, ids=lambda path: path.stem)
def test_faults_are_those_of_a_check(path: Path) -> None:
    text = path.read_text("utf-8")
    analysis = analyse(path, text, {})
    everything = [*analysis.refused(), *analysis.diagnostics]

    assert everything == check(path, text=text)


def test_the_text_of_an_open_file_counts(tmp_path: Path) -> None:
    used = tmp_path / "used.inc"
    used.write_text("block old {\n    relu\n}\n")
    text = 'use new from "used.inc"\nnetwork n {\n    input 4x4 1\n    new\n}\n'

    assert analyse(tmp_path / "n.inc", text, {}).graph is None
    overlaid = analyse(tmp_path / "n.inc", text, {used.resolve(): "block new {\n    relu\n}\n"})
    assert overlaid.diagnostics == () and overlaid.graph is not None


def test_the_tree_holds_what_is_around_a_fault(tmp_path: Path) -> None:
    analysis = analyse(tmp_path / "n.inc", "let a = 1\nlet b = = 2\nlet c = 3\n", {})

    assert list(analysis.names.constants) == ["a", "c"]


# ---------------------------------------------------------------- context


def test_the_context_is_that_of_the_innermost_body() -> None:
    text = "block b(n, kind = max) {\n    a: relu\n    c: concat {\n        d: conv 1x1 n -> conv_"
    context = context_at(text, len(text))

    assert [frame.kind for frame in context.frames] == ["file", "body", "join"]
    assert context.parameters == ("n", "kind")
    assert context.labels == ["a"]  # of the statement around, only the earlier ones
    assert [token.text for token in context.statement] == ["d", ":", "conv", "1x1", "n", "->"]
    assert (context.element, context.prefix) == ((), "conv_")


@pytest.mark.parametrize(
    ("text", "element"),
    [
        ("unit u", []),
        ("unit u = ", []),
        ("unit u = conv 3x3 ", ["conv", "3x3"]),
        ("unit u = conv 3x3 8 -> bn ", ["bn"]),
    ],
)
def test_a_unit_applies_what_stands_behind_its_sign(text: str, element: list[str]) -> None:
    assert [token.text for token in context_at(text, len(text)).element] == element


@pytest.mark.parametrize(
    ("text", "prefix"),
    [("conv 3x{n", "n"), ("conv 3x{n + 1}/{st", "st"), ("conv 3x3/2x{", ""), ("conv {k}x{k", "k")],
)
def test_the_braces_of_a_window_are_no_body(text: str, prefix: str) -> None:
    whole = f"network n {{\n    {text}"
    context = context_at(whole, len(whole))

    assert context.expression and context.prefix == prefix
    assert [token.text for token in context.statement] == ["conv"]


# ---------------------------------------------------------------- names


@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.stem)
def test_every_name_of_a_spec_can_be_another(path: Path) -> None:
    """All names at once: one that is missed no longer refers to anything."""
    text = path.read_text("utf-8")
    before = analyse(path, text, {})
    own = [o for o in before.names.occurrences if o.defines]
    new = {o.symbol: f"other_{number}" for number, o in enumerate(own)}
    changed = text
    for occurrence in reversed(before.names.occurrences):
        if occurrence.symbol in new:
            start, end = occurrence.span.start, occurrence.span.end
            changed = changed[:start] + new[occurrence.symbol] + changed[end:]
    after = analyse(path, changed, {})

    assert len(own) > 3 and changed.count("other_") > len(own)
    assert [d.headline for d in after.diagnostics if d.code.value != "unused"] == [
        d.headline for d in before.diagnostics if d.code.value != "unused"
    ]
    if before.graph is not None:
        assert after.graph is not None
        layers = [(n.op, n.shape, n.multiply_adds) for n in before.graph.nodes]
        assert [(n.op, n.shape, n.multiply_adds) for n in after.graph.nodes] == layers


# ---------------------------------------------------------------- quick fixes

#: Advice that takes more than one edit in one file, or is not text to type.
UNMENDED = {
    "misplaced_let_in_block",  # the parameter goes to the head, and the line goes
    "shape-mismatch_channels_of_branch",  # two places
    "unknown-attribute_of_default",  # a stride belongs to each window
    "unknown-label_parameter",  # the join moves to the use
    "unknown-op_called_otherwise",  # `cat`, of what it joins
}


@pytest.mark.parametrize("stem", list(ADVICE)[::2])
def test_what_is_advised_is_a_fix(stem: str) -> None:
    path = ROOT / "tests/errors" / f"{stem}.inc"
    before = analyse(path, path.read_text("utf-8"), {})
    helped = [d for d in before.diagnostics if d.help and "`" in d.help]
    without = [
        fault.headline
        for fault in helped
        if not fixes(fault, before, lambda text: analyse(path, text, {}), math.inf)
    ]

    assert helped and bool(without) == (stem in UNMENDED), without


def test_a_fix_is_what_was_meant() -> None:
    path = ROOT / "tests/errors/syntax_assigned_layer.inc"
    text = path.read_text("utf-8")
    before = analyse(path, text, {})
    (first, *_) = before.diagnostics
    (fix,) = fixes(first, before, lambda changed: analyse(path, changed, {}), math.inf)

    old, new = 'x = Conv2D(64, 3, padding="same")(x)', "x: conv 3x3 64 pad=same"
    assert fix.title == f"Write `{new}`"
    assert fix.applied(text) == text.replace(old, new)


# ---------------------------------------------------------------- the command


def test_the_command_says_what_it_needs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(SystemExit) as ended:
        main(["lsp"])

    assert ended.value.code == 2
    message = "Error: the language server needs pygls: pip install 'incgen[lsp]'\n"
    assert capsys.readouterr().err == message


# ---------------------------------------------------------------- places


@pytest.mark.parametrize(("encoding", "column"), [("utf-8", 8), ("utf-16", 5), ("utf-32", 4)])
def test_columns_are_counted_as_the_client_does(encoding: str, column: int) -> None:
    places = Places(SourceFile("n.inc", "a\n\N{SNAKE}é: b\nc"), encoding)
    place = places.position(6)

    assert (place.line, place.character) == (1, column)  # behind the blank: 4 + 2, or 2 + 1, and 2
    assert places.offset(place) == 6
    assert places.offset(type(place)(1, 99)) == 7  # the end of the line
    assert places.offset(type(place)(9, 0)) == 9  # the end of the text
