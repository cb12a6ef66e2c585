"""Explain each code of an error or warning, as text for a terminal and as a page of Markdown.

The explanations are in `grammar/errors.toml`. The report of a wrong example is not written
there: it is what a check of the example says now.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from textwrap import indent

from incgen.base.diagnostics import Code, Diagnostic
from incgen.base.painting import Paint, unpainted
from incgen.base.resources import folder
from incgen.base.tables import columns
from incgen.manual.text import MARGIN, filled

#: What the file of an example is called in its report.
_FILE = "example.inc"


@dataclass(frozen=True, slots=True)
class Explanation:
    """The explanation of a code, with a small example."""

    code: Code
    about: str  #: What it means and why it is a fault: Markdown, filled into lines
    wrong: str  #: A spec, or a command, with exactly this fault
    mended: str  #: The same without it
    encoding: str = "utf-8"  #: In which the wrong example is saved
    command: bool = False  #: Whether the examples are commands

    def faults(self) -> list[Diagnostic]:
        """Check the wrong example."""
        from incgen import api

        if self.command:
            return api.check(self.wrong.split()[-1])
        with TemporaryDirectory() as place:
            path = Path(place, _FILE)
            path.write_text(self.wrong, self.encoding)
            faults = api.check(path)
        return faults


def report_of(faults: Sequence[Diagnostic]) -> str:
    """Return the report of the faults of an example, without the folder of its file."""
    lines = "\n\n".join(fault.render() for fault in faults).splitlines()
    return "\n".join(_unplaced(line) for line in lines)


def _unplaced(line: str) -> str:
    """Return a line of a report with the name of the example only."""
    before, name, after = line.partition(_FILE)
    if not name:
        return line
    opening = before.rfind("(") + 1
    return before[:opening] + name + after


@cache
def explanations() -> dict[Code, Explanation]:
    """Return all of them, in the order of the codes."""
    table = tomllib.loads((folder("grammar") / "errors.toml").read_text("utf-8"))
    return {code: _explanation(code, table[code.value]) for code in Code}


def _explanation(code: Code, row: dict[str, str | dict[str, str]]) -> Explanation:
    commands = row.get("commands")
    if isinstance(commands, dict):
        return Explanation(code, str(row["about"]), **commands, command=True)
    about, wrong, mended = (str(row[name]) for name in ("about", "wrong", "mended"))
    return Explanation(code, about, wrong, mended, encoding=str(row.get("encoding", "utf-8")))


def page(
    explanation: Explanation,
    width: int = 80,
    paint: Paint = unpainted,
    coloured: Callable[[str], str] = str,
) -> str:
    """Explain one code for a terminal, with prose of a width; the callbacks colour its parts."""
    code, faults = explanation.code, explanation.faults()
    saved = f", saved as {explanation.encoding}" if explanation.encoding != "utf-8" else ""
    parts = [
        paint(f"{faults[0].severity.value}[{code.value}]: {code.summary}", "heading"),
        filled(explanation.about, width),
        paint(f"Wrong{saved}:", "heading"),
        indent(explanation.wrong.rstrip(), MARGIN),
        paint("What incgen says of it:", "heading"),
        indent(coloured(report_of(faults)), MARGIN),
        paint("Mended:", "heading"),
        indent(explanation.mended.rstrip(), MARGIN),
    ]
    return "\n\n".join(parts) + "\n"


def listing(width: int = 80) -> str:
    """List all codes with their meanings."""
    return columns([(code.value, code.summary) for code in Code], width)


def markdown() -> str:
    """Explain every code, as sections of a page."""
    return "\n\n".join(_section(explanation) for explanation in explanations().values())


def _section(explanation: Explanation) -> str:
    code, faults = explanation.code, explanation.faults()
    severity = faults[0].severity.value
    title = [f"## `{code.value}`", f"{_sentence(code.summary)} ({severity}).", explanation.about]
    return "\n\n".join(part.strip() for part in [*title, *_examples(explanation, faults)])


def _examples(explanation: Explanation, faults: Sequence[Diagnostic]) -> list[str]:
    """Return the examples of a section as fences, with what stands between them."""
    wrong, mended, report = explanation.wrong, explanation.mended, report_of(faults)
    severity = faults[0].severity.value
    if explanation.command:
        said = f"$ {wrong}\n{report}\n\n1 {severity} in 1 spec\n"
        return [_fence("console", said), _fence("console", f"$ {mended}\n")]
    if explanation.encoding != "utf-8":
        words = f"Saved as {explanation.encoding}, this is wrong, and saved as UTF-8 it is not:"
        return [words, _fence("inc", mended), _fence("text", f"{report}\n")]
    return [
        _fence(f"inc {severity}: {explanation.code.value}", wrong),
        _fence("text", f"{report}\n"),
        "Mended:",
        _fence("inc", mended),
    ]


def _fence(info: str, text: str) -> str:
    return f"```{info}\n{text}```"


def _sentence(summary: str) -> str:
    """Return a summary with a capital, unless it begins with code."""
    return summary[:1].upper() + summary[1:]
