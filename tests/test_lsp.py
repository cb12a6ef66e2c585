"""The language server, spoken to by a client over its standard input and output."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path

import pytest
import pytest_lsp
from lsp_client import Client, Editor, where
from lsprotocol import types as lsp
from pygls.exceptions import JsonRpcException
from pytest_lsp import ClientServerConfig

from incgen.api import generate
from incgen.language.ops import OPS
from incgen.lsp.highlighting import LEGEND
from incgen.syntax import shipped
from incgen.syntax.format import format_lines, format_text

pytestmark = pytest.mark.asyncio(loop_scope="module")

SPECS = Path(__file__).parent.parent / "specs"

NET = """\
numerics caffe
let wide = 8  # \N{SNAKE}\N{SNAKE} is 2 characters, but 4 units of UTF-16
unit conv_bn = conv bias=false -> bn -> relu

## Two branches.
block split(n, kind = max, stride = 1) {
    concat {
        a: conv_bn 3x3/{stride} n
        b: pool kind 3x3/{stride} pad=half ceil=false
    }
}

network net(classes = 10) {
    input 16x16 3

    ## The first layer.
    stem: conv_bn 3x3 wide
    one: split 4
    two: split 8 avg stride=2
    skip: from one -> max_pool 3x3/2 pad=half ceil=false
    add {
        narrow: from two -> conv 1x1 12
        from skip
    }
    global_avg_pool
    logits: dense classes
}
"""


@pytest_lsp.fixture(
    scope="module",
    config=ClientServerConfig(
        server_command=[sys.executable, "-m", "incgen", "lsp"], client_factory=Client
    ),
)
async def client(lsp_client: Client) -> AsyncIterator[None]:
    params = lsp.InitializeParams(capabilities=lsp.ClientCapabilities())
    await lsp_client.initialize_session(params)
    yield
    await lsp_client.shutdown_session()


@pytest.fixture
def opened(client: Client, tmp_path: Path) -> Callable[..., Editor]:
    """Return a function that opens a text as a file of a folder of the test."""

    def open_(text: str = NET, name: str = "net.inc") -> Editor:
        return Editor(client, tmp_path / name, text)

    return open_


# ---------------------------------------------------------------- faults


async def test_a_sound_spec_has_no_faults(opened: Callable[..., Editor]) -> None:
    assert await opened().faults() == []


async def test_faults_follow_what_is_typed(opened: Callable[..., Editor]) -> None:
    net = opened()

    net.type("stem: conv_bn", "stem: conv_bm")
    assert await net.faults() == [
        "17:11-18 unknown-op: no op, unit or block named `conv_bm`\nhelp: did you mean `conv_bn`?"
    ]

    net.type("conv_bm", "conv_bn")
    assert await net.faults() == []


async def test_columns_count_units_of_utf_16(opened: Callable[..., Editor], tmp_path: Path) -> None:
    snake = "\N{SNAKE}"
    (tmp_path / f"{snake}.inc").write_text("block part {\n    relu\n}\n", "utf-8")
    used = f'use part from "{snake}.inc"; let idle = 1'
    net = opened(NET.replace("let wide", f"{used}\nlet wide").replace("global", "part\n    global"))

    assert used.index("idle") == 27  # characters, from 0
    assert await net.faults() == ["2:29-33 unused: `idle` is never used"]
    net.type("let idle", f"let {snake}")
    assert (await net.faults())[0].startswith("2:29-31 bad-character:")


async def test_warnings_are_published_too(opened: Callable[..., Editor]) -> None:
    net = opened()

    net.type("let wide", "let idle = 1\nlet wide")
    (fault,) = await net.raw()

    assert (fault.code, fault.message) == ("unused", "`idle` is never used")
    assert fault.severity is lsp.DiagnosticSeverity.Warning
    assert list(fault.tags or ()) == [lsp.DiagnosticTag.Unnecessary]


async def test_a_fault_names_the_places_that_explain_it(opened: Callable[..., Editor]) -> None:
    net = opened()

    net.type("    two: split", "    one: split 4\n    two: split")
    (fault,) = await net.raw()
    (first,) = fault.related_information or ()

    assert where(fault.range) == "19:5-8"
    message = "the label `one` is given twice\nhelp: write `one_2`, or another name"
    assert fault.message == message
    assert (where(first.location.range), first.message) == ("18:5-8", "it is first given here")


async def test_what_a_target_refuses_follows(opened: Callable[..., Editor]) -> None:
    text = """\
numerics torch
network n(deep = true) {
    input 8x8 3
    if deep { global_avg_pool } else { relu }
}
"""
    net = opened(text)
    while not (faults := await net.faults()):
        await net.news()

    assert [fault.partition(": ")[0] for fault in faults] == ["4:5-46 undecided"]


# ---------------------------------------------------------------- hover


async def test_a_call_shows_what_it_takes_and_what_it_is_here(
    opened: Callable[..., Editor],
) -> None:
    assert (
        await opened().hover("max_pool 3x3/2", 3)
        == """\
```inc
max_pool WINDOW [pad=] [ceil=]
```

The largest value of each window; padding never wins.

```text
C' = C
H' = (H + before + after - kernel) // stride + 1, W' alike
rounded up with ceil=true, see Padding
```

- `window`: kernel and stride, in pixels
- `pad=`: border around the input, in pixels; see Padding
- `ceil=`: whether a last, partial window counts (must be stated when strided)

12 x 16 x 16 → 12 x 8 x 8  
receptive field 7 x 7, stride 2

Keys: `skip`

Conventions:

- `pad=half`: use, line 20
- `ceil=false`: use, line 20"""
    )


async def test_a_block_shows_all_its_uses(opened: Callable[..., Editor]) -> None:
    assert (
        await opened().hover("split(")
        == """\
```inc
block split n kind=max stride=1
```

Two branches."""
    )
    assert (
        await opened().hover("pool kind", 1)
        == """\
```inc
pool KIND WINDOW [pad=] [ceil=] [count_pad=]
```

max_pool or avg_pool, chosen by a word that can be a parameter.

```text
C' = C
H' = (H + before + after - kernel) // stride + 1, W' alike
rounded up with ceil=true, see Padding
```

- `kind`: which pooling
- `window`: kernel and stride, in pixels
- `pad=`: border around the input, in pixels; see Padding
- `ceil=`: whether a last, partial window counts (must be stated when strided)
- `count_pad=`: whether the border counts in the average (must be stated when padded)

8 x 16 x 16 → 8 x 16 x 16  
12 x 16 x 16 → 12 x 8 x 8

Keys: `one.b`, `two.b`

Conventions:

- `pad=half`: use, line 9
- `ceil=false`: use, line 9
- `count_pad=true`: numerics caffe, line 1"""
    )


async def test_a_label_shows_its_shape_and_cost(opened: Callable[..., Editor]) -> None:
    # 3 * 3 * 3 * 8 weights, 2 * 8 of the normalisation; each weight once for each of 16 * 16 pixels
    assert (
        await opened().hover("stem")
        == """\
label `stem`

The first layer.

3 x 16 x 16 → 8 x 16 x 16  
232 parameters, 55,296 multiply-adds  
receptive field 3 x 3, stride 1

Keys: `stem`"""
    )


@pytest.mark.parametrize(
    ("mark", "shift", "shown"),
    [
        ("kind 3x3", 0, "```inc\nkind=max\n```\n\na parameter of `split`\n\nValues: `max`, `avg`"),
        ("wide\n", 0, "```inc\nlet wide = 8\n```"),
        ("stride=2", 0, "```inc\nstride=1\n```\n\na parameter of `split`\n\nValues: `1`, `2`"),
        (
            "bias=false",
            0,
            "`bias` of `conv`: whether a bias is added\n\n`true` or `false`\n\nDefault: `true`",
        ),
        (
            "ceil=false",
            0,
            "`ceil` of `pool`: whether a last, partial window counts (must be stated when strided)"
            "\n\n`true` or `false`\n\nMust be stated without `numerics`  \n`numerics caffe`: `true`"
            "  \n`numerics torch`: `false`  \n`numerics tf`: `false`",
        ),
        ("SNAKE", -2, None),
        ("16x16", 0, None),
    ],
)
async def test_a_name_shows_what_it_means(
    opened: Callable[..., Editor], mark: str, shift: int, shown: str | None
) -> None:
    net = opened(NET.replace("\N{SNAKE}\N{SNAKE}", "\N{SNAKE} SNAKE"))
    assert await net.hover(mark, shift) == shown


async def test_what_was_known_is_shown_while_there_are_errors(
    opened: Callable[..., Editor],
) -> None:
    net = opened()
    before = await net.hover("logits")
    assert before is not None and "130 parameters" in before  # 12 * 10 and 10 biases

    net.type("    one: split 4", "    added: conv 3x3\n    one: split (")
    assert (await net.faults())[0].startswith("19:16-17 missing-brace")
    assert await net.hover("logits") == before
    assert await net.hover("added") == "label `added`"


async def test_the_keys_of_a_label_are_its_own(opened: Callable[..., Editor]) -> None:
    """Not those of what has the same label around it, in its definition or in a use of that."""
    net = opened(
        "numerics torch\nblock inner(n) {\n    conv: conv 3x3 n -> relu\n}\n"
        "network net {\n    input 8x8 3\n    first: inner 8\n"
        "    conv: repeat 2 {\n        conv: inner 8  # 2\n    }\n}\n"
    )

    async def keys(mark: str) -> str:
        return str(await net.hover(mark)).rpartition("Keys: ")[2]

    assert await keys("conv: conv") == "`first.conv`, `conv.0.conv.conv`, `conv.1.conv.conv`"
    assert await keys("conv: inner") == "`conv.0.conv`, `conv.1.conv`"
    net.type("# 2", "#")
    net.type("input", "inputs")
    assert await keys("conv: inner") == "`conv.0.conv`, `conv.1.conv`"


async def test_units_that_begin_with_each_other_have_no_arguments(
    opened: Callable[..., Editor],
) -> None:
    net = opened(f"unit a = b\nunit b = a\n{NET}")
    net.type("    two: split", "    \n    two: split")
    assert {"a", "b", "conv_bn"} <= set(await net.offered("    \n", 4))


# ---------------------------------------------------------------- completion


VALUES = ["channels", "classes", "height", "wide", "width"]
WORDS = [
    "avg",
    "biased",
    "erf",
    "false",
    "half",
    "max",
    "same",
    "tanh",
    "true",
    "unbiased",
    "valid",
]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("    x: from |", ["one", "stem"]),
        ("    repeat 2 { a: relu; b: from |", ["a", "one", "stem"]),
        ("    repeat |", [*VALUES, *WORDS]),
        ("    bn eps=1e-3 |", ["decay=", "scale=", "shift=", "variance="]),
        ("    bn variance=|", ["biased", "unbiased", *VALUES]),
        ("    conv 3x3 8 bias=|", ["false", "true", *VALUES]),
        ("    gelu |", ["erf", "tanh", *VALUES]),
        ("    scale (2 * |", [*VALUES, *WORDS]),
        ("    conv 3x{|", [*VALUES, *WORDS]),
        (
            "    conv_bn 3x3 8 pad=1 bias=true init=ones |",
            ["bias_init=", "dilation=", "groups=", "l2="],
        ),
        ("    split 8 st|", [*VALUES, "kind=", "stride=", *WORDS]),
        ("    conv 3x3/|", []),
        ("    conv 3|", []),
        ("    # |", []),
    ],
)
async def test_completion_in_a_network(
    opened: Callable[..., Editor], line: str, words: list[str]
) -> None:
    net, typed = opened(), line.replace("|", "")
    net.type("    two: split", f"{typed}\n    two: split")

    assert await net.offered(typed) == words


async def test_completion_of_statements(opened: Callable[..., Editor]) -> None:
    net = opened()

    begins = await net.offered("    two: split", 4)
    labelled = await net.offered("two: ")

    keywords = {"add", "concat", "if", "mul", "repeat"}
    assert set(begins) == {*OPS, "activation", "conv_bn", "split", *keywords, "from", "aux"}
    assert set(labelled) == set(begins) - {"aux"}
    assert set(await net.offered("bn -> ")) == {*OPS, "activation", "conv_bn"}


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("|", ["block", "default", "let", "network", "numerics", "recipe", "unit", "use"]),
        ("numerics |", ["caffe", "tf", "torch"]),
        ("default max_pool |", ["ceil=", "pad="]),
        ("default conv pad=|", ["half", "same", "valid", "wide"]),
        ("let more = |", ["wide", *WORDS]),
        ("unit more = max_pool 3x3 |", ["ceil=", "pad="]),
        ("unit more = bn -> max_pool 3x3 |", ["ceil=", "pad="]),
        (
            "unit more = activation |",
            [
                *("wide", "hard_sigmoid", "hard_swish", "identity", "relu", "relu6"),
                *("sigmoid", "silu", "tanh"),
            ],
        ),
        ("recipe r |", ["for", "from"]),
        ("recipe r for |", ["net"]),
        ("recipe r for net |", ["classes=", "from", "wide="]),
        ("recipe r for net { rate 0.1 -> warmup 2 |", ["epochs", "steps", "start="]),
        ("recipe r for net { rate 0.1 -> exponential 0.9 |", ["every", "smooth="]),
        ("recipe r for net { optimizer |", ["adam", "adamw", "rmsprop", "sgd"]),
        (
            "recipe r for net { optimizer rmsprop |",
            ["keras", "tf", "torch", "decay=", "eps=", "momentum="],
        ),
        ("recipe r for net { optimizer sgd rate=|", ["inside", "outside"]),
        ("recipe r for net { evaluate { |", ["center_crop", "multi_crop", "resize", "ten_crop"]),
        ("recipe r for net { train { crop |", ["area=", "aspect=", "interpolation="]),
        ("recipe r for net { train { random_crop pad=4 |", ["border="]),
        ("recipe r for net { train { random_crop border=|", ["reflect", "zero"]),
    ],
)
async def test_completion_at_the_top(
    opened: Callable[..., Editor], line: str, words: list[str]
) -> None:
    net, typed = opened(f"{NET}# end\n"), line.replace("|", "")
    net.type("# end\n", f"# end\n{typed}")

    assert await net.offered("# end\n", len("# end\n" + typed)) == words


async def test_completion_of_files_and_what_they_define(
    opened: Callable[..., Editor], tmp_path: Path
) -> None:
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts/small.inc").write_text("unit b = relu\nblock a {\n    tanh\n}\n")
    net = opened()

    net.type("let wide", 'use b, a from "parts"\nlet wide')
    offered = await net.offered('from "')
    net.type('use b, a from "parts"', 'use  from "parts/small.inc"')
    defined = await net.offered("use ")

    assert offered[-1] == "parts/small.inc"
    assert offered[:-1] == sorted(shipped.paths())
    assert defined == ["a", "b"]


# ---------------------------------------------------------------- the outline


async def test_the_outline(opened: Callable[..., Editor]) -> None:
    net = opened(f"{NET}recipe quick for net {{\n    batch 32\n}}\n")
    params = lsp.DocumentSymbolParams(net.document)
    outline = await net.client.text_document_document_symbol_async(params)

    def shown(symbols: Sequence[lsp.DocumentSymbol], level: int = 0) -> list[str]:
        lines = []
        for item in symbols:
            place = f"{where(item.range)} {where(item.selection_range)}"
            lines.append(f"{'  ' * level}{item.name} {item.detail} [{item.kind.name}] {place}")
            lines += shown(item.children or (), level + 1)
        return lines

    assert shown(outline or ()) == [
        "wide = 8 [Constant] 2:1-13 2:5-9",
        "conv_bn conv -> bn -> relu [Function] 3:1-45 3:6-13",
        "split (n, kind, stride) [Class] 6:1-11:2 6:7-12",
        "  a conv_bn 3x3/{stride} n [Field] 8:9-34 8:9-10",
        "  b pool kind 3x3/{stride} pad=half ceil=false [Field] 9:9-54 9:9-10",
        "net (classes) [Module] 13:1-27:2 13:9-12",
        "  stem conv_bn 3x3 wide [Field] 17:5-27 17:5-9",
        "  one split 4 [Field] 18:5-17 18:5-8",
        "  two split 8 avg stride=2 [Field] 19:5-30 19:5-8",
        "  skip max_pool 3x3/2 pad=half ceil=false [Field] 20:5-57 20:5-9",
        "  narrow conv 1x1 12 [Field] 22:9-40 22:9-15",
        "  logits dense classes [Field] 26:5-26 26:5-11",
        "quick for net [Event] 28:1-30:2 28:8-13",
    ]


async def test_bodies_and_comments_fold(opened: Callable[..., Editor]) -> None:
    net = opened(NET.replace("## Two branches.", "## Two branches.\n## Joined."))
    params = lsp.FoldingRangeParams(net.document)
    folds = await net.client.text_document_folding_range_async(params)

    assert [(f.start_line, f.end_line, f.kind) for f in folds or ()] == [
        (4, 5, lsp.FoldingRangeKind.Comment),
        (6, 10, None),
        (7, 9, None),
        (13, 26, None),
        (21, 23, None),
    ]


@pytest.mark.parametrize(
    ("line", "label", "active"),
    [
        ("    conv |", "conv WINDOW CHANNELS [pad=] [dilation=] [groups=]", 0),
        ("    conv 3x3 |", "conv WINDOW CHANNELS [pad=] [dilation=] [groups=]", 1),
        ("    conv 3x3 8 pad=[0, 1, 0, 1] |", "conv WINDOW CHANNELS [pad=] [dilation=]", None),
        ("    conv 3x3 (wide |", "conv WINDOW CHANNELS [pad=] [dilation=] [groups=]", 1),
        ("    conv 3x3 8 groups=|", "conv WINDOW CHANNELS [pad=] [dilation=] [groups=]", 4),
        ("    x: relu -> split 8 |", "split n kind=max stride=1", 1),
        ("    split kind=avg |", "split n kind=max stride=1", 0),
        ("    conv_bn 3x3 |", "conv_bn WINDOW CHANNELS [pad=]", 1),
    ],
)
async def test_a_call_shows_its_signature(
    opened: Callable[..., Editor], line: str, label: str, active: int | None
) -> None:
    net, typed = opened(), line.replace("|", "")
    net.type("    two: split", f"{typed}\n    two: split")
    params = lsp.SignatureHelpParams(net.document, net.at(typed, len(typed)))
    answer = await net.client.text_document_signature_help_async(params)

    assert answer is not None
    assert answer.signatures[0].label.startswith(label)
    assert answer.active_parameter == active


# ---------------------------------------------------------------- names


PART = """\
## Doubles.
block twice(n) {
    a: conv 3x3 n
    b: from a -> conv 3x3 n
}
"""
USER = """\
numerics torch
use twice from "part.inc"

network user {
    input 8x8 3
    one: twice 4
    two: twice n=8
}
"""


@pytest.fixture
def project(opened: Callable[..., Editor], tmp_path: Path) -> Editor:
    """Return an open file that uses another one of its folder."""
    (tmp_path / "part.inc").write_text(PART)
    return opened(USER, "user.inc")


def shown(path: Path, location: lsp.Location) -> str:
    return f"{location.uri.removeprefix(f'{path.as_uri()}/')} {where(location.range)}"


async def defined(editor: Editor, mark: str) -> str | None:
    params = lsp.DefinitionParams(editor.document, editor.at(mark))
    location = await editor.client.text_document_definition_async(params)
    return shown(editor.path.parent, location) if isinstance(location, lsp.Location) else None


async def test_definitions(opened: Callable[..., Editor]) -> None:
    net = opened()

    assert await defined(net, "split 8") == "net.inc 6:7-12"
    assert await defined(net, "conv_bn 3x3 wide") == "net.inc 3:6-13"
    assert await defined(net, "wide\n") == "net.inc 2:5-9"
    assert await defined(net, "stride} n") == "net.inc 6:28-34"
    assert await defined(net, "stride=2") == "net.inc 6:28-34"
    assert await defined(net, "skip\n") == "net.inc 20:5-9"
    assert await defined(net, "classes\n") == "net.inc 13:13-20"
    assert await defined(net, "max_pool") is None


async def test_definitions_in_other_files(project: Editor) -> None:
    assert await defined(project, "twice 4") == "part.inc 2:7-12"
    assert await defined(project, "n=8") == "part.inc 2:13-14"
    assert await defined(project, '"part') == "part.inc 1:1-1"


async def test_references(project: Editor, opened: Callable[..., Editor]) -> None:
    folder = project.path.parent
    part = opened(PART, "part.inc")

    async def found(editor: Editor, mark: str, definition: bool) -> list[str]:
        context = lsp.ReferenceContext(definition)
        params = lsp.ReferenceParams(context, editor.document, editor.at(mark))
        places = await editor.client.text_document_references_async(params)
        return sorted(shown(folder, place) for place in places or ())

    everywhere = ["part.inc 2:7-12", "user.inc 2:5-10", "user.inc 6:10-15", "user.inc 7:10-15"]
    assert await found(part, "twice", True) == everywhere
    assert await found(project, "twice 4", False) == everywhere[1:]
    assert await found(part, "a -> conv", True) == ["part.inc 3:5-6", "part.inc 4:13-14"]
    assert await found(part, "n\n", False) == [
        *("part.inc 3:17-18", "part.inc 4:27-28", "user.inc 7:16-17"),
    ]


async def test_uses_of_a_name_are_marked(opened: Callable[..., Editor]) -> None:
    net = opened()
    params = lsp.DocumentHighlightParams(net.document, net.at("two: split"))
    highlights = await net.client.text_document_document_highlight_async(params)

    write, read = lsp.DocumentHighlightKind.Write, lsp.DocumentHighlightKind.Read
    assert [(where(f.range), f.kind) for f in highlights or ()] == [
        ("19:5-8", write),
        ("22:22-25", read),
    ]


def edited(text: str, edits: Sequence[lsp.TextEdit]) -> str:
    """Return a text without characters beyond the basic plane, with edits."""
    starts = [0]
    for line in text.split("\n"):
        starts.append(starts[-1] + len(line) + 1)
    for edit in sorted(edits, key=lambda e: (e.range.start.line, e.range.start.character))[::-1]:
        first, last = edit.range.start, edit.range.end
        begin, end = starts[first.line] + first.character, starts[last.line] + last.character
        text = text[:begin] + edit.new_text + text[end:]
    return text


async def renamed(editor: Editor, mark: str, name: str) -> dict[str, str]:
    """Return the files that a new name changes, with their texts."""
    params = lsp.RenameParams(editor.document, editor.at(mark), name)
    edit = await editor.client.text_document_rename_async(params)
    texts = {"user.inc": USER, "part.inc": PART, "net.inc": editor.text}
    changes = (edit.changes or {}) if edit is not None else {}
    names = {uri.rpartition("/")[2]: edits for uri, edits in changes.items()}
    return {file: edited(texts[file], edits) for file, edits in names.items()}


async def test_a_block_is_renamed_in_all_files(project: Editor) -> None:
    assert await renamed(project, "twice 4", "double") == {
        "user.inc": USER.replace("twice", "double"),
        "part.inc": PART.replace("twice", "double"),
    }


async def test_a_parameter_is_renamed_where_it_is_given_by_name(project: Editor) -> None:
    assert await renamed(project, "n=8", "width_") == {
        "user.inc": USER.replace("n=8", "width_=8"),
        "part.inc": PART.replace("(n)", "(width_)").replace("3x3 n", "3x3 width_"),
    }


async def test_a_label_is_renamed_with_what_starts_from_it(opened: Callable[..., Editor]) -> None:
    text = NET.replace("\N{SNAKE}", "")
    new = text.replace("one: split", "first: split").replace("from one", "from first")

    assert await renamed(opened(text), "one: split", "first") == {"net.inc": new}


@pytest.mark.parametrize(
    ("mark", "name", "reason"),
    [
        ("one: split", "two", "the label `two` is given twice"),
        (
            "one: split",
            "a b",
            "`a b` is not a name: letters, digits and _, not beginning with a digit",
        ),
        ("one: split", "repeat", "`repeat` is a keyword"),
        ("split(", "conv", "`conv` is an op and cannot be defined"),
        ("split(", "conv_bn", "`conv_bn` is defined twice"),
        ("n, kind", "wide", "another name would then refer to what `n` does, or hide it"),
        (
            "classes =",
            "x",
            "`x` is a name that generated code uses itself and cannot name a parameter",
        ),
        (
            "max_pool",
            "pool",
            "only labels, parameters, constants, units, blocks, networks and recipes",
        ),
    ],
)
async def test_a_name_that_would_clash_is_refused(
    opened: Callable[..., Editor], mark: str, name: str, reason: str
) -> None:
    text = NET.replace("3x3/{stride} n", "3x3/{stride} (n + wide)")
    with pytest.raises(JsonRpcException) as refused:
        await renamed(opened(text), mark, name)

    assert refused.value.message == reason


@pytest.mark.parametrize(
    ("mark", "name", "reason"),
    [
        ("head {", "output", "the output and a head are both called `output`"),
        ("r for", "s", "the recipe `s` is defined twice"),
    ],
)
async def test_a_clash_is_found_wherever_it_shows(
    opened: Callable[..., Editor], mark: str, name: str, reason: str
) -> None:
    """That of outputs shows only in the graph, which is not made for all names."""
    head = "    aux head {\n        global_avg_pool\n        dense 2\n    }\n    add {"
    text = NET.replace("    add {", head).replace("    logits: ", "    ")
    recipes = "".join(f"recipe {name} for net {{\n    epochs 1\n}}\n" for name in "rs")
    with pytest.raises(JsonRpcException) as refused:
        await renamed(opened(text + recipes), mark, name)

    assert refused.value.message == reason


async def test_what_comes_with_incgen_is_not_renamed(opened: Callable[..., Editor]) -> None:
    net = opened('use conv_bn from "incgen:parts/inception.inc"\n')
    params = lsp.PrepareRenameParams(net.document, net.at("conv_bn"))
    with pytest.raises(JsonRpcException, match="comes with incgen"):
        await net.client.text_document_prepare_rename_async(params)


# ---------------------------------------------------------------- several files


async def test_a_file_without_a_network_shows_what_its_user_makes_of_it(
    project: Editor, opened: Callable[..., Editor]
) -> None:
    assert await project.faults() == []
    shown = await opened(PART, "part.inc").hover("conv 3x3")

    assert shown is not None
    # 3 * 3 * 3 * 4 weights and 4 biases, then 3 * 3 * 4 * 8 and 8, for 8 * 8 pixels
    assert shown.endswith("""\
3 x 8 x 8 → 4 x 8 x 8  
4 x 8 x 8 → 8 x 8 x 8  
408 parameters, 25,344 multiply-adds, over 2 uses

Keys: `one.a`, `two.a`

Conventions:

- `pad=half`: numerics torch, line 1 of user.inc""")


async def test_faults_follow_what_is_typed_in_a_file_that_is_used(
    project: Editor, opened: Callable[..., Editor]
) -> None:
    assert await project.faults() == []
    part = opened(PART, "part.inc")

    part.type("conv 3x3 n\n    b", "conv 3x3 (\n    b")
    await project.news()
    assert await project.faults() == [
        "2:16-26 missing-brace: part.inc:3: this `(` is never closed\nhelp: close it on its line"
    ]
    (fault,) = await project.raw()
    (place,) = fault.related_information or ()
    assert shown(project.path.parent, place.location) == "part.inc 3:17-18"

    part.type("conv 3x3 (\n", "conv 3x3 n\n")
    await project.news()
    assert await project.faults() == []


# ---------------------------------------------------------------- what is shown in the text


async def test_hints_show_shapes_and_parameters(opened: Callable[..., Editor]) -> None:
    net = opened()
    whole = lsp.Range(lsp.Position(13, 0), lsp.Position(30, 0))
    params = lsp.InlayHintParams(net.document, whole)
    hints = await net.client.text_document_inlay_hint_async(params)

    lines = NET.split("\n")
    for hint in reversed(hints or ()):
        line, at = hint.position.line, hint.position.character
        mark = f"<{hint.label}>"
        lines[line] = lines[line][:at] + mark + lines[line][at:]
    assert (
        "\n".join(lines[15:])
        == """\
    ## The first layer.
    stem: conv_bn 3x3 wide<8 x 16 x 16>
    one: split <n:>4<12 x 16 x 16>
    two: split <n:>8 <kind:>avg stride=2<20 x 8 x 8>
    skip: from one -> max_pool 3x3/2 pad=half ceil=false<12 x 8 x 8>
    add {
        narrow: from two -> conv 1x1 12<12 x 8 x 8>
        from skip
    }<12 x 8 x 8>
    global_avg_pool<12>
    logits: dense classes<10>
}
"""
    )


async def test_words_are_coloured_by_meaning(opened: Callable[..., Editor]) -> None:
    text = "let w = 8\nblock b(k) {\n    a: conv 3x{k} w bias=false  # c\n}\n"
    net = opened(text)
    params = lsp.SemanticTokensParams(net.document)
    answer = await net.client.text_document_semantic_tokens_full_async(params)
    assert answer is not None

    line = column = 0
    shown, types = [], LEGEND.token_types
    for step, shift, length, kind, _ in zip(*[iter(answer.data)] * 5, strict=True):
        line, column = line + step, shift if step else column + shift
        word = text.split("\n")[line][column : column + length]
        shown.append(f"{word}:{types[kind]}")
    assert shown == [
        *("let:keyword", "w:variable", "8:number"),
        *("block:keyword", "b:class", "k:parameter"),
        *("a:label", "conv:function", "3x{:number", "k:parameter", "}:number", "w:variable"),
        *("bias:property", "false:keyword", "# c:comment"),
    ]


# ---------------------------------------------------------------- changes


async def test_formatting(opened: Callable[..., Editor]) -> None:
    text = NET.replace("\N{SNAKE}", "").replace("    stem:   conv", "stem: conv")
    untidy = text.replace("    stem: conv_bn", "  stem:conv_bn").replace("    one:", "one:")
    net, options = opened(untidy), lsp.FormattingOptions(4, True)

    params = lsp.DocumentFormattingParams(net.document, options)
    whole = await net.client.text_document_formatting_async(params)
    first = lsp.Range(lsp.Position(16, 0), lsp.Position(17, 0))
    part = await net.client.text_document_range_formatting_async(
        lsp.DocumentRangeFormattingParams(net.document, first, options)
    )

    assert edited(untidy, whole or ()) == format_text(untidy)
    assert edited(untidy, part or ()) == format_lines(untidy, 17, 17)
    net.type("network", "nets {")
    assert await net.client.text_document_formatting_async(params) is None


@pytest.mark.parametrize(
    "mark", ["# a\x0cb\n", "# a\x0bb\n", "# a\x85b\u2028c\n", "\x0c", ";\n\x0c;\n"]
)
async def test_only_newlines_end_lines_of_an_edit(opened: Callable[..., Editor], mark: str) -> None:
    text = NET.replace("\N{SNAKE}", "").replace("    stem:   conv", "stem: conv")
    untidy = text.replace("unit conv", f"{mark}unit conv").replace("    one:", "one:  ") + "\n \n"
    net = opened(untidy)
    params = lsp.DocumentFormattingParams(net.document, lsp.FormattingOptions(4, True))
    edits = await net.client.text_document_formatting_async(params)

    assert edited(untidy, edits or ()) == format_text(untidy) != untidy


@pytest.mark.parametrize(
    ("old", "new", "title"),
    [
        ("conv_bm 3x3 wide", "conv_bn 3x3 wide", "Write `conv_bn`"),
        ("dense units=classes", "dense classes", "Write `dense classes`"),
        ("global_avg_pool relu", "global_avg_pool -> relu", "Write `-> relu`"),
        ("max_pool 3 pad=half", "max_pool 3x3/3 pad=half", "Write `max_pool 3x3/3 pad=half`"),
    ],
)
async def test_what_a_help_says_is_a_quick_fix(
    opened: Callable[..., Editor], old: str, new: str, title: str
) -> None:
    text = NET.replace("\N{SNAKE}", "")
    faulty = {
        "conv_bm 3x3 wide": ("conv_bn 3x3 wide", old),
        "dense units=classes": ("dense classes", old),
        "global_avg_pool relu": ("global_avg_pool", old),
        "max_pool 3 pad=half": ("max_pool 3x3/2 pad=half ceil=false", old),
    }[old]
    net = opened(text.replace(*faulty, 1))
    (fault, *_) = await net.raw()
    context = lsp.CodeActionContext([fault])
    params = lsp.CodeActionParams(net.document, fault.range, context)
    actions = await net.client.text_document_code_action_async(params)

    action = next(a for a in actions or () if isinstance(a, lsp.CodeAction) and a.title == title)
    assert action.edit is not None and action.edit.changes is not None
    assert edited(net.text, action.edit.changes[net.uri]) == net.text.replace(old, new)


async def test_a_quick_fix_of_a_fault_in_a_used_file_edits_that_file(
    opened: Callable[..., Editor], tmp_path: Path
) -> None:
    used = tmp_path / "used.inc"
    used.write_text("block part {\n    rely\n}\n")
    text = 'use part from "used.inc"\n\nnetwork net {\n    input 8x8 3\n    part\n}\n'
    net = opened(text)
    (fault,) = await net.raw()
    context = lsp.CodeActionContext([fault])
    params = lsp.CodeActionParams(net.document, fault.range, context)
    actions = await net.client.text_document_code_action_async(params)

    action = next(a for a in actions or () if a.title == "Write `relu` in `used.inc`")
    assert isinstance(action, lsp.CodeAction)
    assert action.edit is not None and action.edit.changes is not None
    assert [*action.edit.changes] == [used.as_uri()]
    mended = edited(used.read_text(), action.edit.changes[used.as_uri()])
    assert mended == "block part {\n    relu\n}\n"


async def test_the_generated_source_and_the_drawing(opened: Callable[..., Editor]) -> None:
    net = opened()

    async def made(command: str, *arguments: str) -> str:
        params = lsp.ExecuteCommandParams(command, [net.uri, *arguments])
        return str(await net.client.workspace_execute_command_async(params))

    assert await made("incgen.source", "keras") == generate(net.path, "keras", text=net.text)
    assert (await made("incgen.drawing", "dark")).startswith("<svg ")
    net.type("stem: conv_bn", "stem: conv_bm")
    with pytest.raises(JsonRpcException, match="the spec has errors"):
        await made("incgen.source", "torch")
