"""The language server, spoken to by a client over its standard input and output."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path

import pytest
import pytest_lsp
from lsp_client import Client, Editor, where
from lsprotocol import types as lsp
from pytest_lsp import ClientServerConfig

from incgen.language.ops import OPS
from incgen.syntax import shipped

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
    assert fault.message == "the label `one` is given twice"
    assert (where(first.location.range), first.message) == ("18:5-8", "it is first given here")


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

- `window`: kernel and stride, in pixels
- `pad=`: border around the input, in pixels; see Padding
- `ceil=`: whether a last, partial window counts (must be stated when strided)

12 x 16 x 16 → 12 x 8 x 8

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
    found = await net.client.text_document_document_symbol_async(params)

    def shown(symbols: Sequence[lsp.DocumentSymbol], level: int = 0) -> list[str]:
        lines = []
        for each in symbols:
            place = f"{where(each.range)} {where(each.selection_range)}"
            lines.append(f"{'  ' * level}{each.name} {each.detail} [{each.kind.name}] {place}")
            lines += shown(each.children or (), level + 1)
        return lines

    assert shown(found or ()) == [
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
    found = await net.client.text_document_folding_range_async(params)

    assert [(f.start_line, f.end_line, f.kind) for f in found or ()] == [
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
    found = await net.client.text_document_signature_help_async(params)

    assert found is not None
    assert found.signatures[0].label.startswith(label)
    assert found.active_parameter == active
