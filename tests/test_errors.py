"""Errors in a spec: one input for each, with its exact report.

`errors/CODE[_WHAT].inc` is checked, and `errors/CODE[_WHAT].err` is what must come out. Its first
error has that code. `pytest --update-goldens` rewrites the reports: read them before committing.
"""

from __future__ import annotations

import difflib
import os
import random
import re
import time
from pathlib import Path

import pytest

from incgen.base.diagnostics import MAX_ERRORS, Code, Reporter, SpecError, render
from incgen.compiling import compile_spec, faults_of_recipes
from incgen.syntax.lexing import Lines
from incgen.syntax.loader import load
from incgen.syntax.parser import MAX_TEXT, parse_value

FOLDER = Path(__file__).parent / "errors"
SPECS = Path(__file__).parent.parent / "specs"
INPUTS = sorted(FOLDER.glob("*.inc"))
#: No check of the corpus may take longer (seconds), on a busy machine.
SLOWEST = 20.0
#: Codes that no text of a spec can cause.
UNREACHED = {
    Code.UNREADABLE: "the file itself: test_a_file_that_cannot_be_read",
    Code.UNDECIDED: "of the targets, for what they cannot generate",
    Code.UNSUPPORTED: "of the targets, for what they cannot generate",
}


def report_of(path: Path, text: str | None = None) -> str:
    """Return everything that a check of a spec prints, with file names relative to its folder."""
    report = Reporter()
    try:
        compile_spec(path, text=text, report=report)
    except SpecError as error:
        shown = str(error)
    else:
        report.extend(faults_of_recipes(load(path, text=text)))
        shown = render(report.diagnostics)
    return shown.replace(f"{path.parent.as_posix()}/", "")


def check_text(text: str, folder: Path = FOLDER) -> str:
    """Return the report of a text, which must come soon and without another exception."""
    start = time.process_time()  # other processes may slow the machine down
    report = report_of(folder / "text.inc", text)
    assert time.process_time() - start < SLOWEST
    return report


def codes(report: str) -> list[str]:
    """Return the codes of the errors and warnings in a report."""
    return re.findall(r"^\S+: (?:error|warning)\[([\w-]+)\]: ", report, re.MULTILINE)


def network(body: str, head: str = "numerics caffe") -> str:
    return f"{head}\nnetwork n {{\ninput 8x8 3\n{body}\n}}\n"


# ---------------------------------------------------------------- the corpus


@pytest.mark.parametrize("path", INPUTS, ids=lambda path: path.stem)
def test_report(path: Path, update_goldens: bool) -> None:
    report = report_of(path) + "\n"
    golden = path.with_suffix(".err")
    if update_goldens:
        golden.write_text(report, "utf-8")
        return

    expected = golden.read_text("utf-8") if golden.exists() else ""
    if report != expected:
        lines = difflib.unified_diff(
            expected.splitlines(), report.splitlines(), golden.name, "now", lineterm=""
        )
        pytest.fail("\n".join(lines) + "\nto accept: pytest tests/test_errors.py --update-goldens")


@pytest.mark.parametrize("path", INPUTS, ids=lambda path: path.stem)
def test_the_name_of_an_input_is_its_code(path: Path) -> None:
    report = path.with_suffix(".err").read_text("utf-8")

    assert path.stem.split("_")[0] in codes(report)


def test_every_code_has_an_input() -> None:
    covered = {path.stem.split("_")[0] for path in INPUTS}

    assert covered | set(UNREACHED) == set(Code)
    assert not covered & set(UNREACHED)


def test_no_report_is_left_behind() -> None:
    assert {path.stem for path in FOLDER.glob("*.err")} == {path.stem for path in INPUTS}


@pytest.mark.parametrize("path", INPUTS, ids=lambda path: path.stem)
def test_a_report_can_be_shown_and_acted_on(path: Path) -> None:
    """Headlines are one line with a place; nothing controls a terminal; lines are not endless."""
    report = path.with_suffix(".err").read_text("utf-8")

    assert codes(report)
    for line in report.splitlines():
        assert line.replace("\N{NO-BREAK SPACE}", " ").isprintable(), line
        assert len(line) < 400, line
        headline = re.match(r"\S+: (error|warning)\[[\w-]+\]: (.*)", line)
        if headline:
            assert not headline.group(2).endswith("."), line
            assert headline.group(2).count("`") % 2 == 0, line


# ---------------------------------------------------------------- advice

#: Lines of an input rewritten as its help lines say: what is replaced, and by what. Each contains
#: the text of a help line in backticks.
ADVICE = {
    "argument-count_behind_head": {
        "unit bn_relu_conv = bn -> relu -> conv": "block bn_relu_conv(k, n) "
        "{ bn: bn; relu; conv: conv {k}x{k} n }",
        "a: bn_relu_conv 3x3 8": "a: bn_relu_conv 3 64",
    },
    "argument-count_pooling_without_window": {"    avg_pool\n": "    global_avg_pool\n"},
    "argument-count_setting_with_values": {
        "epochs 4 steps": "steps 4",
        "batch 8 16": "batch 8",
        "optimizer sgd 0.9 nesterov=true": "optimizer sgd momentum=0.9 nesterov=true",
        "rate 0.05 3 per=epoch": "rate 0.05 per=epoch",
        "loss smoothing=0.1": "loss cross_entropy smoothing=0.1",
        "clip 2": "clip norm 2",
        "average 0.999 true": "average 0.999 ramp=true",
        "shuffle 64": "shuffle shards 64",
        "color 0.1 hue=0.05": "color brightness=0.1 hue=0.05",
        "steps four epochs": "epochs four",
        "batch four": "batch four",
        "optimizer adam 0.001": "optimizer adam",
        "rate 0.05 -> warmup 3 start=0.1": "rate 0.001 -> warmup 3 epochs start=0.1",
        "optimizer rmsprop tf 0.9 momentum=(0.1 * 9)": "optimizer rmsprop tf decay=0.9 "
        "momentum=(0.1 * 9) eps=1",
        "warmup steps 3": "warmup 3 steps",
        "[2, four]": "[2, four] epochs",
        "clip norm limit=2": "clip norm 2",
        "optimizer momentum=0.9 nest": "optimizer sgd momentum=0.9 nest",
        "exponential 0.9 2 epochs smooth=true": "exponential 0.9 every 2 epochs smooth=true",
        "exponential 0.9 -> cosine": "exponential 0.9 every 2 epochs",
    },
    "argument-count_window_of_unit": {"a: conv3x3 5x5 8": "a: conv3x3 8 window=5x5"},
    "bad-character_framework": {
        "nn.Conv2d(3, 64, 3, padding=1, bias=False)": "conv 3x3 64 pad=1 bias=false",
        "nn.MaxPool2d(2)": "max_pool 2x2/2 pad=valid",
        "layers.Conv2D(64, 3, activation='relu', padding='same')": "conv 3x3 64 pad=same -> relu",
        "'same'": "same",
        "nn.Linear(512, 10)": "dense 10",
    },
    "bad-window_input_of_three": {"input 3x224x224": "input 224x224 3"},
    "bad-window_other_letter": {"3y3": "3x3", "3s3": "3x3", "5_5": "5x5", "3by3": "3x3"},
    "bad-window_side_by_name": {"3xk": "3x{k}"},
    "bad-window_stride_by_letter": {"3x3s2": "3x3/2"},
    "bad-window_stride_by_name": {"3x3/stride": "3x3/{stride}"},
    "misplaced_let_in_block": {
        "    let c = channels // 2\n": "",
        "block b()": "block b(c = channels // 2)",
    },
    "misplaced_let_in_network": {
        "    let c = 8\n": "",
        "network n {": "let c = 8\nnetwork n {",
    },
    "misplaced_unit_in_network": {
        "    unit u = conv -> relu\n": "",
        "network n {": "unit u = conv -> relu\nnetwork n {",
    },
    "shape-mismatch_channels_of_branch": {
        "block se(r)": "block se(r, c = channels)",
        "dense channels": "dense c",
    },
    "syntax_add_of_names": {"add(a, b)": "add { from a; from b }"},
    "syntax_assigned_layer": {
        'x = Conv2D(64, 3, padding="same")(x)': "x: conv 3x3 64 pad=same",
        "y = keras.layers.Dense(10)(x)": "y: dense 10",
    },
    "syntax_attribute_before_argument": {"conv kernel_size=3 8": "conv 3x3 8"},
    "syntax_aux_with_colon": {"aux side: conv 3x3 10": "aux side { conv 3x3 10 }"},
    "syntax_body_of_another_join": {"sum {": "add {"},
    "syntax_body_of_multiply": {"multiply {": "mul {"},
    "syntax_body_of_residual": {
        "residual { conv 3x3 8 }": "add { identity; body: conv 3x3 channels }"
    },
    "syntax_call_in_parentheses": {
        'Conv2D(32, (3, 3), strides=2, activation="relu")': "conv 3x3/2 32 pad=valid -> relu",
        "conv(3x3, 8)": "conv 3x3 8",
        "relu()": "relu",
        "conv (3, 3) 8": "conv 3x3 8",
    },
    "syntax_colon_for_body": {"if c > 1:": "if c > 1 {", "relu\n": "relu\n}\n"},
    "syntax_concat_of_names": {
        "concat(a, b) -> relu": "concat { from a; from b } -> relu",
    },
    "syntax_def": {"def b(c) {": "block b(c) {"},
    "syntax_elif": {"elif": "else if"},
    "syntax_for_number": {"for i in 3 {": "repeat 3 {"},
    "syntax_for_range": {"for i in range(4): conv 3x3 8": "repeat 4 { conv 3x3 8 }"},
    "syntax_from_behind_op": {"b: dense 10 from a -> relu": "b: from a -> dense 10 -> relu"},
    "syntax_from_two": {"from a, b": "concat { from a; from b }"},
    "syntax_input_in_parentheses": {"input (3, 224, 224)": "input 224x224 3"},
    "syntax_input_of_three": {"input 224 224 3": "input 224x224 3"},
    "syntax_label_in_chain": {
        "conv 3x3 8 -> depthwise_conv: depthwise_conv 3x3 -> relu": "conv 3x3 8\n"
        "depthwise_conv: depthwise_conv 3x3\nrelu"
    },
    "syntax_letters_for_digits": {"1o24": "1024"},
    "syntax_number_and_name": {"(2classes)": "(2 * classes)"},
    "syntax_output": {"output x: conv 3x3 8": "aux x { conv 3x3 8 }\nconv 3x3 8"},
    "syntax_percent": {
        "momentum=90%": "momentum=0.9",
        "rate 5%": "rate 0.05",
        "2.5%": "0.025",
        "dropout 50%": "dropout 0.5",
    },
    "syntax_plus": {"c: a + b": "c: add { from a; from b }"},
    "syntax_repeat_with_index": {
        "repeat i in 4 {": "repeat 4 {",
        "repeat 2 times {": "repeat 2 {",
        "repeat 2 conv 3x3 8": "repeat 2 { conv 3x3 8 }",
    },
    "syntax_setting_with_sign": {
        "epochs = 24": "epochs 24",
        "batch: 8": "batch 8",
        "optimizer = sgd momentum=0.9": "optimizer sgd momentum=0.9",
        "lr = 0.05": "rate 0.05",
        "loss = CrossEntropy(smoothing=0.1)": "loss cross_entropy smoothing=0.1",
        "train = flip": "train { flip }",
        "evaluate: {": "evaluate {",
        "rate = 0.05 -> warmup 3 steps -> cosine": "rate 0.05 -> warmup 3 steps -> cosine",
        "steps=100; batch =8; optimizer: sgd": "steps 100; batch 8; optimizer sgd",
        "flip: 0.5": "flip 0.5",
    },
    "syntax_two_statements": {
        "8 b: relu": "8\n    b: relu",
        "identity  c: conv 3x3 8 }": "identity\n    c: conv 3x3 8\n}",
    },
    "trap_adam_with_values": {
        "l2 1e-4": "l2 0",
        "optimizer adam beta2=0.99": "optimizer adamw beta2=0.99 decay=0.05",
    },
    "trap_warmup": {
        "rate 0.05 -> warmup 30 steps -> cosine": "rate 0.05 -> warmup 1 steps -> cosine",
        "rate 0.05 -> warmup 5 epochs start=0.1": "rate 0.05 -> warmup 0.5 epochs start=0.1",
        "steps 1\n}": "steps 1\nrate 0.05 -> cosine\n}",
    },
    "unfit-recipe_heads_with_smoothing": {
        "loss cross_entropy smoothing=0.1": "loss cross_entropy smoothing=0.1 heads=0.3",
        "crop 48": "crop",
    },
    "unknown-attribute_activation": {
        "conv 3x3 8 activation=relu": "conv 3x3 8 -> relu",
        "b: dense 8 activation=softmax name=logits": "logits: dense 8 -> softmax",
    },
    "unknown-attribute_axis": {
        "softmax axis=1": "softmax",
        "dense 8 in_features=8": "dense 8",
    },
    "unknown-attribute_channels": {
        "conv 3x3 filters=8": "conv 3x3 8",
        "dense units=10": "dense 10",
    },
    "unknown-attribute_kernel_size": {
        "conv kernel_size=3 filters=8 strides=2 padding=1": "conv 3x3/2 8 pad=1"
    },
    "unknown-attribute_learned_scale": {
        "scale 1e-6 trainable=true": "depthwise_conv 1x1 bias=false init=constant(1e-6)"
    },
    "unknown-attribute_momentum": {
        "bn momentum=0.1": "bn decay=0.9",
        "bn momentum=0.99 epsilon=0.001": "bn decay=0.99 eps=0.001",
        "bn affine=False": "bn scale=false shift=false",
    },
    "unknown-attribute_of_default": {
        "default conv padding=1": "default conv pad=1",
        "default conv stride=2\n": "",
        "default bn momentum=0.1": "default bn decay=0.9",
        "conv 3x3 8": "conv 3x3/2 8",
    },
    "unknown-attribute_of_unit": {
        "conv_bn 3x3 8 stride=2 padding=same": "conv_bn 3x3/2 8 pad=same"
    },
    "unknown-attribute_padding": {
        "conv 3x3 8 padding=1 use_bias=False": "conv 3x3 8 pad=1 bias=false"
    },
    "unknown-attribute_rate": {
        "dropout p=0.5": "dropout 0.5",
        "dropout keep_prob=0.9": "dropout 0.1",
    },
    "unknown-label_parameter": {
        "block up(c, skip)": "block up(c)",
        "    concat {\n        from skip\n        a: conv 3x3 c\n    }\n": "    a: conv 3x3 c\n",
        "up: up 8 enc": "concat { from enc; up: up 8 }",
    },
    "unknown-name_of_python": {
        "flag = True": "flag = true",
        "let none = None\n": "",
        "deep = False": "deep = false",
        "bias=True": "bias=true",
    },
    "unknown-op_called_otherwise": {
        "group_conv 3x3 8 groups=2": "conv 3x3 8 groups=2",
        "batchnorm": "bn",
        "maxpool 2x2": "max_pool 2x2",
        "zero_pad 1": "pad 1",
        "Conv2d 16 3 stride=2 padding=1": "conv 3x3/2 16 pad=1",
        "linear 10": "dense 10",
        "fc 10 activation=relu": "dense 10 -> relu",
        "dense 8 -> cat": "concat { dense 8; dense 8 }",
    },
    "unknown-op_label": {"        a\n": "        from a\n", "        b\n": "        from b\n"},
    "unknown-op_nearest": {
        "layer_scale 1e-5": "depthwise_conv 1x1 bias=false init=constant(1e-5)",
        "drop_path 0.1\n": "",
        "dropblock 0.2 7": "dropout 0.2",
        "    reshape 8 8\n": "",
        "upsample 4": "adaptive_avg_pool {height * 4}x{width * 4}",
        "ConvTranspose2d 2 8": "adaptive_avg_pool {height * 2}x{width * 2}",
        "resize 16x{width} bilinear": "adaptive_avg_pool 16x{width}",
        "subtract": "add { identity; relu -> scale (-1) }",
    },
    "unknown-op_passed": {"    act\n": "    if act { relu }\n", "8 relu": "8 true"},
    "unknown-op_pooling_without_window": {"avgpool": "global_avg_pool"},
    "unknown-op_return": {"return a": "from a"},
    "unknown-op_unit_to_define": {
        "network n {": "unit conv_bn_relu = conv bias=false -> bn -> relu\nnetwork n {",
        "conv3x3 8": "conv 3x3 8",
    },
    "unknown-preset_of_a_framework": {"pytorch": "torch"},
    "unknown-setting_part_of_rate": {
        "rate 0.05 -> cosine\n    warmup 3\n": "rate 0.05 -> warmup 3 epochs -> cosine\n",
        "optimizer rmsprop 0.9": "optimizer rmsprop tf decay=0.9 eps=1",
        "    exponential 0.94 every 2 epochs": "    rate 0.1 -> exponential 0.94 every 2 epochs",
        "    steps 0.1 at [6, 12] epochs": "    rate 0.1 -> steps 0.1 at [6, 12] epochs",
    },
    "unknown-setting_transform_of_the_other": {
        "{ crop 32 }": "{ center_crop 32 }",
        "crop area=[0.08, 1]": "center_crop",
        "cosine -> warmup 3 epochs start=0.1": "warmup 3 epochs start=0.1 -> cosine",
    },
    "unnamed_chain": {
        "    conv 3x3 8 -> depthwise_conv 3x3 -> conv 1x1 8": "    part: "
        "conv 3x3 8 -> depthwise_conv 3x3 -> conv 1x1 8"
    },
    "unused_pooled": {"feature: global_avg_pool": "aux feature { global_avg_pool }"},
    "unused_second_output": {"out3: conv 3x3 10": "aux out3 { conv 3x3 10 }"},
    "wrong-rank_1x1": {"conv 1x1 10": "dense 10"},
    "wrong-type_op_for_parameter": {
        "kind == silu": "kind",
        "activation silu": "activation true",
    },
    "wrong-type_point": {"32.0": "32"},
    "wrong-type_point_of_block": {"outer 32.0": "outer 32", "k = 3.0": "k = 3"},
    "wrong-type_point_of_unit": {"(c * 0.5)": "(int(c * 0.5))"},
    "wrong-type_window_by_name": {
        "conv kxk c": "conv {k}x{k} c",
        "conv k c": "conv {k}x{k} c",
    },
    "wrong-type_window_by_number": {
        "conv 3 8": "conv 3x3 8",
        "max_pool 2": "max_pool 2x2/2",
        "conv 8 3x3": "conv 3x3 8",
        "conv [3, 5] 8": "conv 3x5 8",
    },
}


@pytest.mark.parametrize("stem", ADVICE)
def test_what_is_advised_compiles(stem: str) -> None:
    """Each input has no errors once it is rewritten as its help lines say."""
    text = (FOLDER / f"{stem}.inc").read_text("utf-8")
    for old, new in ADVICE[stem].items():
        assert old in text, old
        text = text.replace(old, new, 1)

    report = check_text(text)

    assert not re.search(r": error\[", report), report
    if stem.startswith(("unnamed", "trap")):
        assert report == ""


@pytest.mark.parametrize(
    ("values", "count"),
    [
        ("range(4)", "4"),
        ("range(2, 5)", "3"),
        ("range(0, 10, 2)", "5"),
        ("range(10, 0, -3)", "4"),
        ("range(0, n)", "n"),
        ("range(2, n)", "n - 2"),
        ("range(n - 1, 9)", "9 - (n - 1)"),
        # nothing is known about these, so the help is generic
        ("range(5, 2)", "3"),
        ("range(0)", "3"),
        ("range(0, \u00b2)", "3"),
        ("range(0, 4, 0)", "3"),
        ("range(0, n, 2)", "3"),
        ("range(1, 2, 3, 4)", "3"),
        ("range()", "3"),
    ],
)
def test_a_loop_is_repeated_as_often(values: str, count: str) -> None:
    for line in (f"for i in {values} {{", f"repeat i in {values} {{"):
        report = check_text(network(f"{line}\n        relu\n    }}"))
        assert f"help: write `repeat {count} {{`\n" in f"{report}\n", line


def test_a_block_that_has_every_name_that_would_be_offered() -> None:
    block = """
block se(r, c, outer, outer_channels) {
    mul {
        identity
        gate: global_avg_pool -> dense r -> dense c -> dense outer -> dense outer_channels
            -> dense channels -> sigmoid
    }
}
"""
    body = "a: conv 3x3 32\n    s: se 8 c=1 outer=1 outer_channels=1"

    report = check_text(network(body, f"numerics caffe\n{block}"))

    assert "shape-mismatch" in codes(report)
    assert "name the outer ones" not in report


#: Alternatives in these help lines to the one that is tried.
INSTEAD = {
    *("avg_pool 3x3", "conv3x3 8", "if kind { silu }", "if parameter { ... }", "concat { ... }"),
    *("x: conv 3x3 8", "clip value 2", "warmup 3 steps start=0.1"),
    "rate 0.05 -> warmup 3 steps -> cosine",
}


@pytest.mark.parametrize("stem", ADVICE)
def test_what_is_tried_is_what_is_advised(stem: str) -> None:
    """Everything in backticks in a help line is tried, if it is more than a word."""
    report = (FOLDER / f"{stem}.err").read_text("utf-8")
    offers = re.findall(r"`([^`]+)`", "".join(re.findall(r"^help: .*", report, re.MULTILINE)))
    written = "\n".join(ADVICE[stem].values())

    assert any(offer in written for offer in offers) or "`int(...)`" in report
    for offer in offers:
        if " " in offer and offer not in INSTEAD:
            assert offer in written, offer


@pytest.mark.parametrize("count", [1, 40, 80, 200])
def test_what_is_advised_is_whole_or_not_shown(count: int) -> None:
    rate = f"0.1 -> cosine{' to=0' * count}"
    sum_ = f"if 1{' + 1' * count} > 1"

    for line, meant in ((f"rate = {rate}", f"rate {rate}"), (f"{sum_}:", f"{sum_} {{")):
        report = check_text(f"recipe r for n {{\n{line}\n}}" if "rate" in line else network(line))
        assert re.findall("help: write `(.*)`", report) == ([meant] if count < 50 else [])


# ---------------------------------------------------------------- files


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    assert report_of(tmp_path / "nothing.inc") == (
        "nothing.inc: error[unreadable]: the file cannot be read: no such file or directory"
    )
    assert codes(report_of(tmp_path)) == ["unreadable"]


def test_a_link_out_of_the_folder_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "secret.inc").write_text("block a() {\n    relu\n}\n")
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "link.inc").symlink_to(tmp_path / "secret.inc")
    (folder / "self.inc").symlink_to("self.inc")
    (folder / "pipe.inc").touch()
    (folder / "pipe.inc").unlink()
    os.mkfifo(folder / "pipe.inc")
    spec = folder / "spec.inc"
    spec.write_text(
        'use a from "link.inc"\nuse b from "self.inc"\nuse c from "pipe.inc"\n'
        "network n {\n    input 8x8 3\n    a -> b -> c\n}\n"
    )

    report = report_of(spec)

    assert codes(report) == ["bad-use"] * 3
    assert '"link.inc" is outside the folder of the spec' in report
    assert 'there is no file "pipe.inc"' in report


def test_a_file_that_is_too_large(tmp_path: Path) -> None:
    assert codes(check_text("#" * (MAX_TEXT + 1))) == ["too-large"]
    spec = tmp_path / "large.inc"
    spec.write_bytes(b"#" * (4 * MAX_TEXT + 1))

    assert codes(report_of(spec)) == ["too-large"]


def test_a_file_used_in_many_ways_is_resolved_once(tmp_path: Path) -> None:
    """20 files each use the next one twice: a million paths to the last."""
    for i in range(19):
        (tmp_path / f"f{i}.inc").write_text(
            f'use a{i + 1} from "f{i + 1}.inc"\nuse b{i + 1} from "f{i + 1}.inc"\n'
            f"block a{i}() {{\n    a{i + 1}\n}}\nblock b{i}() {{\n    b{i + 1}\n}}\n"
        )
    (tmp_path / "f19.inc").write_text("block a19() {\n    relu\n}\nblock b19() {\n    tanh\n}\n")
    text = 'use a0, b0 from "f0.inc"\nnetwork n {\n    input 8x8 3\n    a0 -> b0\n}\n'

    assert check_text(text, tmp_path) == ""


def test_conventions_cannot_multiply_without_bounds(tmp_path: Path) -> None:
    """The same, but each use is under different defaults."""
    for i in range(18):
        (tmp_path / f"f{i}.inc").write_text(
            f'use a{i + 1} from "f{i + 1}.inc"\ndefault bn eps={i + 1}e-6\n'
            f'use b{i + 1} from "f{i + 1}.inc"\ndefault bn decay=0.{i + 1}\n'
            f'use c{i + 1} from "f{i + 1}.inc"\nblock a{i}() {{\n    a{i + 1}\n}}\n'
            f"block b{i}() {{\n    b{i + 1} -> c{i + 1}\n}}\nblock c{i}() {{\n    relu\n}}\n"
        )
    blocks = "".join(f"block {x}18() {{\n    relu\n}}\n" for x in "abc")
    (tmp_path / "f18.inc").write_text(blocks)
    text = 'use a0, b0 from "f0.inc"\nnetwork n {\n    input 8x8 3\n    a0 -> b0\n}\n'

    assert codes(check_text(text, tmp_path))


# ---------------------------------------------------------------- sizes


def test_long_numbers() -> None:
    nines = "9" * 5000
    for body in (f"a: conv 3x3 {nines}", f"a: conv {nines}x{nines} 3", f"a: scale 1e{nines}"):
        assert codes(check_text(network(body))) == ["number-range"], body
    assert codes(check_text(network(f"a: conv 3x3 3 pad=-{nines}"))) == ["number-range"]


def test_more_words_than_anybody_writes_are_not_read() -> None:
    report = check_text(network("relu\n" * 190_000))
    assert codes(report) == ["too-large"]
    assert "the file has more than 150,000 words, numbers and signs" in report


@pytest.mark.parametrize(
    "text",
    [
        network("a: pad [" + "1," * 400_000 + "1]"),
        network("a: pad [\n" + "1,\n" * 300_000 + "1]"),
        network("a: scale (" + "-" * 900_000 + "1)"),
        network("a: scale (" + "1 + " * 200_000 + "1)"),
        network("a: scale " + "1 " * 400_000),
        network("a: scale " + "n=1 " * 200_000),
        "let a = max(" + "1, " * 300_000 + "1)",
        "block b(" + "n, " * 300_000 + ") { relu }",
        "use " + "a, " * 300_000 + 'b from "x.inc"',
        "default conv " + "n=1 " * 200_000,
    ],
    ids=lambda text: str(text[-40:-20]),
)
def test_what_stands_between_two_arrows_is_bounded_before_anything_is_made_of_it(
    text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A line is read no further than its limit, whatever it contains."""
    seen = []
    check = Lines._check
    monkeypatch.setattr(
        Lines, "_check", lambda lines, token: seen.append(token) or check(lines, token)
    )

    report = check_text(text)

    assert codes(report) == ["too-large"]
    assert "this line has more than 1,000 words, numbers and signs" in report
    assert len(seen) < 1_100


def test_ten_thousand_layers_may_be_written_out() -> None:
    assert check_text(network("".join(f"c{n}: conv 3x3 8\n" for n in range(10_000)))) == ""


def test_long_lines_take_proportional_time() -> None:
    chain = "a: relu" + " -> relu" * 12_000
    assert check_text(network(chain)) == ""
    assert codes(check_text(network(f"{chain} -> rellu"))) == ["unknown-op"]
    assert codes(check_text(network("a: scale (" + "1 + " * 200 + "1)"))) == ["nesting-too-deep"]
    wide = "(" + " + ".join(["(1 + (2 * 3))"] * 40) + ")"
    assert check_text(network(f"a: scale ({wide} * {wide})")) == ""
    assert codes(check_text(network("a: " + "{" * 50_000))) == ["nesting-too-deep"]
    assert codes(check_text(network("x" * 100_000))) == ["too-large"]
    assert codes(check_text("{" + " " * 100_000 + "}")) == ["syntax"]


def test_many_faults_end_early() -> None:
    lines = "\n".join(f"a{i}: block_{i} 3" for i in range(2_000))
    blocks = "\n".join(f"block blocks_{i}() {{ relu }}" for i in range(2_000))
    report = check_text(network(lines, head=blocks))

    assert report.endswith(f"... and at least {MAX_ERRORS - 20} more")


def test_warnings_do_not_hide_an_error() -> None:
    report = check_text(network("\n".join(["conv 1x1 3"] * 100 + ["a: conv 9x9 3 pad=valid"])))

    assert codes(report).count("window-too-large") == 1


def test_many_names_and_labels_take_proportional_time() -> None:
    unlabelled = "\n".join(["relu"] * 8_000)
    labelled = "\n".join(f"a{i}: relu\nfrom a{i} -> tanh" for i in range(3_000))
    decided = "\n".join(f"if channels == 3 {{ b{i}: relu }} else {{ tanh }}" for i in range(3_000))
    repeated = "k: relu\n" + "\n".join(["repeat 2 { add { identity\nfrom k } }"] * 1_500)
    for body in (unlabelled, labelled, decided, repeated):
        assert check_text(network(body)) == ""


def test_deep_definitions() -> None:
    def chain(length: int, name: str = "b") -> str:
        first = f"block {name}0() {{ identity -> identity }}\n"
        rest = "".join(
            f"block {name}{i}() {{ {name}{i - 1} -> {name}{i - 1} }}\n" for i in range(1, length)
        )
        return first + rest

    assert codes(check_text(network("b38", head=chain(39)))) == ["too-large"]
    assert codes(check_text(network("b3000", head=chain(3_001)))) == ["nesting-too-deep"]
    backwards = "".join(f"block c{i}() {{ c{i + 1} }}\n" for i in range(3_000))
    backwards += "block c3000() { relu }\n"
    assert codes(check_text(network("c0", head=backwards))) == ["nesting-too-deep"]
    circle = "".join(f"block c{i}() {{ c{(i + 1) % 3_000} }}\n" for i in range(3_000))
    assert "recursion" in codes(check_text(network("c0", head=circle)))


def test_deep_bodies_inside_deep_definitions() -> None:
    """Nesting within a definition multiplies with the depth of definitions."""
    inner = "block b0() { relu }\n"
    for i in range(1, 39):
        inner += f"block b{i}() {{ {'{ ' * 40}b{i - 1}{' }' * 40} }}\n"
    chain = "if channels == 0 { relu }" + " else if channels == 0 { relu }" * 47
    ladder = f"{chain} else {{ {chain} else {{ {chain} }} }}"

    assert codes(check_text(network("b38", head=inner))) == ["nesting-too-deep"]
    assert codes(check_text(network(ladder))) == ["nesting-too-deep"]
    assert check_text(network(f"{chain} else {{ relu }}")) == ""


@pytest.mark.parametrize("text", ["", "(", "1 +", "x" * 5000, "9" * 5000, "1\n2", '"', "\0", "{1}"])
def test_values_of_the_command_line(text: str) -> None:
    try:
        parse_value(text)
    except SpecError as error:
        assert codes(str(error))


# ---------------------------------------------------------------- anything else

_TOKEN = re.compile(r"\s+|[A-Za-z_]\w*|\d[\dx/.]*|->|[^\w\s]")


def mutated(text: str, others: list[str], source: random.Random) -> str:
    """Return a spec with a few tokens deleted, doubled, swapped or taken from another spec."""
    tokens = _TOKEN.findall(text)
    for _ in range(source.randint(1, 4)):
        i, j = source.randrange(len(tokens)), source.randrange(len(tokens))
        match source.randrange(5):
            case 0:
                del tokens[i]
            case 1:
                tokens.insert(i, tokens[j])
            case 2:
                tokens[i], tokens[j] = tokens[j], tokens[i]
            case 3:
                tokens[i] = source.choice(_TOKEN.findall(source.choice(others)))
            case _:
                tokens[i : i + source.randint(1, 9)] = []
        tokens = tokens or ["x"]
    return "".join(tokens)


def test_mutated_specs_give_reports_and_nothing_else() -> None:
    source = random.Random(20150211)
    texts = [path.read_bytes().decode("utf-8", "replace") for path in INPUTS]
    texts = [text for text in texts if 0 < len(text) < 1_500]
    texts += [(SPECS / "bn_inception.inc").read_text("utf-8")] * (len(texts) // 8)
    for _ in range(400):
        text = mutated(source.choice(texts), texts, source)
        check_text(text)
