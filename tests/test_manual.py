"""`incgen explain` and `incgen ops`: what they say is complete, and true."""

from __future__ import annotations

import re
import tomllib
from functools import partial
from pathlib import Path

import pytest

from incgen import api, compiling
from incgen.base.diagnostics import Code, Diagnostic, Severity
from incgen.cli.main import main
from incgen.language.expressions import literal
from incgen.language.ops import OPS
from incgen.manual import errors, ops
from incgen.manual.rendering import network_of
from incgen.syntax.format import format_text
from incgen.targets.shared import formatting
from incgen.targets.shared.parameters import OpenParameters
from incgen.targets.shared.shaping import Shaper
from incgen.targets.shared.symbols import AXES, Symbol
from incgen.targets.shared.words import Words

ROOT = Path(__file__).parent.parent


def run(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[int | str | None, str]:
    """Run a command; return its exit code and all that it prints."""
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    printed = capsys.readouterr()
    return ended.value.code, printed.out + printed.err


# ---------------------------------------------------------------- explain


def test_every_code_is_explained_and_nothing_else() -> None:
    table = tomllib.loads((ROOT / "grammar" / "errors.toml").read_text("utf-8"))

    assert list(table) == [code.value for code in Code]


@pytest.mark.parametrize("code", list(Code))
def test_the_wrong_example_has_that_fault_and_no_other(code: Code) -> None:
    faults = errors.explanations()[code].faults()

    assert {fault.code for fault in faults} == {code}, errors.report_of(faults)


@pytest.mark.parametrize("code", list(Code))
def test_the_mended_example_has_no_fault(code: Code) -> None:
    row = errors.explanations()[code]
    if row.command:
        assert row.mended.startswith("incgen check ")
        assert api.check(row.mended.split()[-1]) == []
        return

    report = "\n".join(d.render() for d in api.check("mended.inc", text=row.mended))
    assert report == ""
    assert format_text(row.mended) == row.mended


@pytest.mark.parametrize("code", list(Code))
def test_an_explanation_fits_a_terminal_and_changes_little(code: Code) -> None:
    row = errors.explanations()[code]

    assert all(len(line) <= 110 for line in (row.about + row.wrong + row.mended).splitlines())
    assert row.encoding != "utf-8" or row.wrong != row.mended


def test_explain_prints_meaning_example_report_and_remedy(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")

    code, text = run(["explain", "bad-window"], capsys)

    assert code == 0
    assert (
        text
        == """\
error[bad-window]: a window is not written `KHxKW` or `KHxKW/STRIDE`

A window is one word: height, the letter `x`, width, and a stride behind a
slash: `3x3`, `1x7`, `3x3/2`. Blanks in it would make it several arguments.
Where a side or the stride is an expression, it stands in braces:
`{k}x{k}/{stride}`.

Wrong:

    numerics torch

    network net {
        input 32x32 3
        a: conv 3 x 3 64
    }

What incgen says of it:

    example.inc:5:13: error[bad-window]: a window is two whole numbers with an `x` between them, \
without spaces
      |
    5 |     a: conv 3 x 3 64
      |             ^^^
    help: write `3x3`, or `3x3/2` with a stride

Mended:

    numerics torch

    network net {
        input 32x32 3
        a: conv 3x3 64
    }
"""
    )


@pytest.mark.parametrize("word", ["unknown-op", "UNKNOWN_OP", "[unknown-op]", "error[unknown-op]"])
def test_a_code_is_taken_as_it_is_copied(word: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, text = run(["explain", word], capsys)

    assert code == 0
    assert text.startswith("error[unknown-op]: no op, unit or block has this name\n")


def test_an_unknown_code_is_answered_with_one_that_is_near(
    capsys: pytest.CaptureFixture[str],
) -> None:
    code, text = run(["explain", "shapes-mismatch"], capsys)
    assert code == 2
    assert "there is no code `shapes-mismatch`: did you mean `shape-mismatch`?" in text

    code, text = run(["explain", "E0308"], capsys)
    assert code == 2
    assert "there is no code `E0308`: `incgen explain` lists all codes" in text


def test_explain_alone_lists_every_code(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "100")

    code, text = run(["explain"], capsys)

    assert code == 0
    assert [line.split()[0] for line in text.splitlines()] == [member.value for member in Code]
    assert text.startswith("syntax             the text does not follow the grammar\n")


def test_reports_on_a_terminal_say_once_where_to_learn_more(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from incgen.cli import reports

    def reported(*faults: Diagnostic) -> str:
        reports.report_faults(faults)
        return capsys.readouterr().err.rstrip("\n").rpartition("\n")[2]

    first = Diagnostic(Code.SYNTAX, "first", None, file="a.inc")
    other = Diagnostic(Code.GROUPS, "other", None, file="a.inc")
    warning = Diagnostic(Code.UNNAMED, "later", None, severity=Severity.WARNING, file="a.inc")
    assert reported(first) == "a.inc: error[syntax]: first"

    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    assert reported(first, warning) == "`incgen explain syntax` says more about this error"
    assert reported(first, other) == (
        "`incgen explain CODE` says more about an error, by its code in brackets"
    )
    assert reported(warning) == "a.inc: warning[unnamed]: later"


# ---------------------------------------------------------------- ops

#: Beside the example of each op: other windows, borders and inputs.
USES = {
    "conv": ["conv 5x3/2 8 pad=[0, 1, 2, 0] dilation=2", "conv 3x3 8 pad=same"],
    "depthwise_conv": ["depthwise_conv 3x2/3 multiplier=3 pad=valid"],
    "separable_conv": ["separable_conv 3x3/2 8 multiplier=2"],
    "max_pool": ["max_pool 3x3/2 ceil=false", "max_pool 2x5/3 pad=1 ceil=false"],
    "avg_pool": ["avg_pool 3x3/2 pad=half ceil=false"],
    "pool": ["pool max 3x3/2 pad=0x1 ceil=false"],
    "dense": ["{ global_avg_pool -> dense 7 }"],
    "flatten": ["flatten"],
    "global_avg_pool": ["global_avg_pool"],
    "global_max_pool": ["global_max_pool"],
    "adaptive_avg_pool": ["adaptive_avg_pool 3x5"],
    "pad": ["pad [1, 0, 2, 5]"],
}


def test_every_op_has_an_entry_and_every_entry_is_of_something() -> None:
    table = tomllib.loads((ROOT / "grammar" / "ops.toml").read_text("utf-8"))

    assert list(ops.entries()) == [*OPS, "activation", "concat", "add", "mul"]
    assert list(table["word"]) == ["activation", "concat", "add", "mul"]
    assert set(table["op"]) <= set(OPS)
    assert {name for name, op in OPS.items() if op.arguments} <= set(table["op"])


@pytest.mark.parametrize("name", list(OPS))
def test_targets_have_the_formula_of_every_output(name: str) -> None:
    """Generated code calculates with the sizes that the graph has."""
    entry = ops.entries()[name]
    example = entry.example.replace("classes", "10") or entry.use
    for body in (example, *(f"x: {use}" for use in USES.get(name, []))):
        graph = compiling.compile_spec("example.inc", text=network_of(body))
        network, shape = graph.program.network, graph.nodes[-1].shape
        shaper = Shaper(graph, Words(graph, OpenParameters(graph.program)))
        given = Symbol(True, partial(getattr, network.pixels))

        output = shaper.body(network.body, given, {})

        axes = AXES if output.is_map else AXES[:1]
        assert tuple(literal(output.size(axis)) for axis in axes) == shape.sizes, body


def test_ops_documents_an_op(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")

    code, text = run(["ops", "lrn"], capsys)

    assert code == 0
    assert (
        text
        == """\
lrn SIZE [alpha=] [beta=] [k=]

x / (k + alpha / size * sum of x ** 2 over size channels) ** beta.

    out[c] = x[c] / (k + alpha / size * s) ** beta
    s = sum of x[i] ** 2 for i from c - size // 2 to c + (size - 1) // 2

argument  value                  default         meaning
SIZE      a whole number from 1  must be stated  channels in the sum; size // 2
                                                 of them before the channel
                                                 itself
alpha=    a number from 0        must be stated  divided by size, as Caffe and
                                                 PyTorch do
beta=     a number from 0        must be stated  the exponent
k=        a number above 0       must be stated  the constant

numerics  size=  alpha=  beta=  k=
caffe     5      1e-4    0.75   1
torch     5      1e-4    0.75   1
tf        5      1e-4    0.75   1

takes  a map, C x H x W
gives  as the input

In each target:

    lrn 5 alpha=1e-4 beta=0.75 k=2

on an input of 16 x 32 x 32, under `numerics caffe`, is

torch
    self.lrn = LocalResponseNorm(5, alpha=1e-4, beta=0.75, k=2.0)
    # LocalResponseNorm: the stock one squares in half precision, where 256
    # overflows, and has no half-precision version on a CPU

keras
    x = LocalResponseNormalization(5, alpha=1e-4, beta=0.75, k=2, name="lrn")(x)
    # LocalResponseNormalization: Keras has none

flax
    return local_response_norm(x, 5, alpha=1e-4, beta=0.75, k=2.0)
    # local_response_norm: Flax has none

onnx
    Mul -> Conv -> Pow -> Div
"""
    )


def test_ops_documents_the_shape_of_a_window_and_what_presets_say(
    capsys: pytest.CaptureFixture[str],
) -> None:
    code, text = run(["ops", "max_pool"], capsys)

    assert code == 0
    assert (
        """
numerics  pad=                                      ceil=
caffe     half; strided valid; even valid           true
torch     half; strided must be stated; even valid  false
tf        same                                      false
"""
        in text
    )
    assert (
        """
takes  a map, C x H x W
gives  a map, C' x H' x W'
       C' = C
       H' = (H + before + after - kernel) // stride + 1, W' alike
       rounded up with ceil=true, see Padding
"""
        in text
    )


#: Entries whose code every run looks at: layers, functions, a body, nothing at all.
_SAMPLES = {"bn", "gelu", "concat", "identity"}


@pytest.mark.parametrize(
    "name",
    [pytest.param(e, marks=[] if e in _SAMPLES else pytest.mark.slow) for e in ops.entries()],
)
def test_every_entry_is_shown_in_every_target(name: str) -> None:
    text = ops.page(ops.entries()[name])

    for target in ("torch", "keras", "flax", "onnx"):
        assert f"\n\n{target}\n    " in text


def test_ops_alone_lists_all(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "100")

    code, text = run(["ops"], capsys)

    assert code == 0
    names = [line.split()[0] for line in text.splitlines() if not line.startswith(" ")]
    assert names == list(ops.entries())
    assert "\nmax_pool           The largest value of each window; padding never wins\n" in text


@pytest.mark.parametrize(
    ("asked", "answer"),
    [
        ("max_poll", "did you mean `max_pool`, `avg_pool` or"),
        ("Conv2d", "here it is `conv`"),
        ("BatchNorm", "here it is `bn`"),
        ("layer_scale", "`depthwise_conv 1x1 bias=false init=constant(1e-6)` learns a factor"),
        ("repeat", "that is a word of the language, which docs/language.md describes"),
        ("quux", "`incgen ops` lists all ops"),
    ],
)
def test_an_unknown_op_is_answered(
    asked: str, answer: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, text = run(["ops", asked], capsys)

    assert code == 2
    assert f"there is no op `{asked}`: " in text
    assert answer in text


def test_headings_and_reports_are_coloured_on_a_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    plain = [run(words, capsys)[1] for words in (["explain", "groups"], ["ops", "relu"])]
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.delenv("NO_COLOR", raising=False)

    painted = [run(words, capsys)[1] for words in (["explain", "groups"], ["ops", "relu"])]

    assert "\x1b[1merror[groups]: groups do not divide the channels\x1b[0m\n" in painted[0]
    assert "\n    \x1b[36m\x1b[1mhelp: \x1b[0monly 1 divides 3 and 64: leave " in painted[0]
    assert "\n\x1b[1mtorch\x1b[0m\n    return F.relu(x)" in painted[1]
    assert [re.sub("\x1b\\[[0-9]+m", "", text) for text in painted] == plain


def test_what_the_targets_write_is_laid_out_at_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    started, ruff = [], formatting._ruff
    monkeypatch.setattr(
        formatting, "_ruff", lambda *given: started.append(given[0][0]) or ruff(*given)
    )

    code, text = run(["ops", "conv"], capsys)

    assert code == 0 and "nn.Conv2d(16, " in text
    assert started == ["format"]
