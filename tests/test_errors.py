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
