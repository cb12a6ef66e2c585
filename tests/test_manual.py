"""`incgen explain` and `incgen ops`: what they say is complete, and true."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from incgen import api
from incgen.base.diagnostics import Code, Diagnostic, Severity
from incgen.cli.main import main
from incgen.manual import errors
from incgen.syntax.format import format_text

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

    assert {fault.code for fault in faults} == {code}, errors.explanations()[code].report()


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
    assert [line.split()[0] for line in text.splitlines()] == [each.value for each in Code]
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
