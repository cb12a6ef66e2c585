"""The parts of the language server that need no client: tokens, alignment, analysis, names."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest

from incgen.api import check
from incgen.base.diagnostics import Diagnostic, Severity
from incgen.base.help import Edit, edits_of
from incgen.base.source import SourceFile, Span
from incgen.cli.main import main
from incgen.graph.nodes import Graph
from incgen.lsp.alignment import Alignment
from incgen.lsp.analysis import analyse
from incgen.lsp.context import context_at
from incgen.lsp.documents import Documents
from incgen.lsp.positions import Places
from incgen.syntax import parser
from incgen.syntax.tokens import Kind, keywords, tokens

ROOT = Path(__file__).parent.parent
SPECS = sorted((ROOT / "specs").rglob("*.inc"))
INPUTS = [p for p in sorted((ROOT / "tests/errors").glob("*.inc")) if "not-utf8" not in p.stem]
#: A third of them: `incgen check` and the server share everything that finds faults.
ERRORS = INPUTS[::3]


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
    *_, refused = analysis.refused()

    assert [*refused, *analysis.diagnostics] == check(path, text=text)


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


def _listed(name: str) -> set[str]:
    lines = (ROOT / "tests/errors" / name).read_text("utf-8").splitlines()
    return {line for line in lines if not line.startswith("#")}


#: The inputs of which some help is no edit, and those that have other errors after all edits.
UNMENDED, UNFINISHED = _listed("unmended.txt"), _listed("unfinished.txt")
#: Too long to be tried in every run.
LONG = {"unknown-op_long_line", "unknown-op_many"}
#: More than any input needs.
MOST_FIXES = 40
HELPED = [path for path in INPUTS if "help: " in path.with_suffix(".err").read_text("utf-8")]


def mended(stem: str, text: str = "") -> Iterator[tuple[Diagnostic, Edit, str]]:
    """Yield the faults of an input, or of a text of it, each edit of a help, and its result."""
    path = ROOT / "tests/errors" / f"{stem}.inc"
    text = text or path.read_text("utf-8")
    for fault in analyse(path, text, {}).diagnostics:
        for edit in edits_of(fault.help):
            assert fault.span is not None
            if fault.span.source.text != text:  # of a file that it uses
                continue
            new = text
            changes = [(change.at(fault.span), change.text) for change in edit.changes]
            for place, piece in sorted(changes, key=lambda c: c[0].start, reverse=True):
                new = new[: place.start] + piece + new[place.end :]
            yield fault, edit, new


@pytest.mark.parametrize("stem", [p.stem for p in HELPED if p.stem not in LONG])
def test_what_is_advised_is_a_fix(stem: str) -> None:
    path = ROOT / "tests/errors" / f"{stem}.inc"
    fixed = [fault for fault, _, _ in mended(stem)]
    faults = analyse(path, path.read_text("utf-8"), {}).diagnostics
    without = [fault.headline for fault in faults if fault.help and fault not in fixed]

    assert bool(without) == (stem in UNMENDED), without


@pytest.mark.parametrize("stem", [p.stem for p in HELPED if p.stem not in LONG])
def test_a_fix_mends_its_fault(stem: str) -> None:
    path = ROOT / "tests/errors" / f"{stem}.inc"

    def places(text: str, message: str) -> list[int]:
        faults = analyse(path, text, {}).diagnostics
        return [fault.span.start for fault in faults if fault.span and fault.message == message]

    for fault, edit, text in mended(stem):
        before, after = (places(t, fault.message) for t in (path.read_text("utf-8"), text))

        assert fault.span is not None
        assert len(after) < len(before) or fault.span.start not in after, edit


@pytest.mark.parametrize("stem", [p.stem for p in HELPED if p.stem not in LONG])
def test_fixes_lead_to_a_spec_without_errors(stem: str) -> None:
    """The first fix of the first fault is taken until there is none; what has no fix stays."""
    path = ROOT / "tests/errors" / f"{stem}.inc"
    text = path.read_text("utf-8")
    faults = analyse(path, text, {}).diagnostics
    without = {fault.message for fault in faults if not edits_of(fault.help)}
    for _ in range(MOST_FIXES):
        step = next(mended(stem, text), None)
        if step is None:
            break
        text = step[2]
    left = [d for d in analyse(path, text, {}).diagnostics if d.severity is Severity.ERROR]
    shown = [fault.headline for fault in left if fault.message not in without]

    assert step is None
    assert bool(shown) == (stem in UNFINISHED), shown


#: A fix of an input: its title, and the line of a difference that it takes out and puts in.
FIXED = [
    ("syntax_assigned_layer", "Write `x: conv 3x3 64 pad=same`", "x: conv 3x3 64 pad=same"),
    ("syntax_use_in_parentheses", "Write `inception [1, 2]`", "d: inception [1, 2]"),
    (
        "syntax_list_without_brackets",
        "Write `pad=[1, 1, 1, 1]`",
        "b: conv 3x3 8 pad=[1, 1, 1, 1] bias=false",
    ),
    ("syntax_percent", "Write `rate 0.05`", "rate 0.05 per=epoch"),
    ("syntax_setting_with_sign", "Write `steps 100`", "steps 100; batch =8; optimizer: sgd"),
    (
        "unknown-setting_part_of_rate",
        "Write `rate 0.05 -> warmup 3 epochs -> cosine`",
        "rate 0.05 -> warmup 3 epochs -> cosine",
    ),
    ("syntax_comma", "Remove `,`", "a: conv 3x3 64"),
    (
        "syntax_operator_with_values",
        "Write `(channels * 2)`",
        "a: conv 3x3 (channels * 2) pad=half",
    ),
    ("syntax_parameter_with_type", "Write `classes = 10`", "network n(classes = 10) {"),
    ("syntax_no_function", "Write `round(`", "a: conv 3x3 (round(8.5) + 1)"),
    ("syntax_label_in_chain", "Begin a new line", "depthwise_conv: depthwise_conv 3x3 -> relu"),
    ("bad-window_spaces_and_values", "Write `5x5/2`", "a: conv 5x5/2 64"),
    ("bad-character_framework", "Write `same`", "d: conv 3x3 64 pad=same"),
    ("must-say_pooling", "Add `pad=half`", "pool kind 3x3/2 pad=half"),
    ("missing-setting", "Add `batch 32`", "batch 32"),
    ("groups_common", "Write `groups=4`", "a: conv 3x3 16 groups=4"),
    ("groups_in_unit", "Remove `groups=3`", "b: conv_bn 1x1 8"),
    ("unfit-recipe_pixels", "Add `range=[0, 1]`", "input 28x28 1 range=[0, 1]"),
    ("unfit-recipe_size", "Write `center_crop`", "evaluate { resize 32 -> center_crop }"),
    ("unused_parameter", "Remove `m = 3`", "block b(n) {"),
    ("reserved-name_parameter", "Call it `x_value`", "fc: dense (self + lambda + x_value + _y)"),
    (
        "misplaced_let_in_block",
        "Make it a parameter: `(c = channels // 2)`",
        "block b(c = channels // 2) {",
    ),
    ("argument-count_activation", "Write `activation act`", "let act = relu"),
    (
        "shape-mismatch_channels_of_branch",
        "Write `dense c`",
        "gate: global_avg_pool -> dense r -> relu -> dense c -> sigmoid",
    ),
    ("unknown-setting_transform", "Write `flip`", "train { flip -> cutout 8 }"),
    ("bad-use_missing", 'Write `"use/common.inc"`', 'use a from "use/common.inc"'),
]


@pytest.mark.parametrize(("stem", "title", "line"), FIXED)
def test_a_fix_is_what_was_meant(stem: str, title: str, line: str) -> None:
    """It changes what the fault is about, and keeps the rest of the line."""
    before = (ROOT / "tests/errors" / f"{stem}.inc").read_text("utf-8").split("\n")
    changed = {
        new.strip()
        for fault, edit, text in mended(stem)
        if edit.called(cast(Span, fault.span)) == title
        for new in text.split("\n")
        if new not in before
    }

    assert line in changed


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


def test_no_target_is_asked_about_a_text_that_has_changed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    uri = (tmp_path / "net.inc").as_uri()
    asked, changed = list[int](), threading.Event()

    def refusals(graph: Graph) -> Iterator[list[Diagnostic]]:
        for number in range(3):
            asked.append(number)
            assert changed.wait(10)
            yield []

    async def type_twice() -> None:
        documents = Documents(lambda document, refused: None)
        documents.change(uri, "numerics torch\nnetwork net() {\n input 8x8 3\n relu\n}\n", 1)
        while not asked:
            await asyncio.sleep(0.01)
        documents.change(uri, "block", 2)
        changed.set()
        await documents.current(uri)
        await documents.apart(lambda: None, targets=True)

    monkeypatch.setattr("incgen.lsp.analysis.refusals", refusals)
    asyncio.run(type_twice())

    assert asked == [0]
