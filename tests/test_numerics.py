"""The conventions of a network: the value of each, what sets it, and how many layers follow it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path

import pytest

from incgen.api import check
from incgen.cli.main import main
from incgen.compiling import compile_spec
from incgen.graph import numerics
from incgen.language.ops import OPS
from incgen.language.presets import PRESETS
from incgen.language.signatures import ByWindow

SPECS = Path(__file__).parent.parent / "specs"
OWN = [path for path in sorted(SPECS.rglob("*.inc")) if "\nnumerics " in path.read_text("utf-8")]

SMALL = """\
numerics caffe
default bn eps=1e-3
unit conv_bn = conv pad=valid -> bn decay=0.99
unit twice = conv_bn 3x3 8 -> conv_bn 3x3 8 pad=1
unit plain = conv -> relu
block part(n, kind) {
    pool kind 3x3 ceil=true
    a: plain 3x3 n pad=same
    b: plain 1x1 n
}
network n(kind = avg) {
    input 32x32 3
    stem: conv_bn 3x3 8 pad=half
    twice: twice
    max_pool 3x3/2
    max_pool 3x3
    one: part 4 kind
    two: part 4 max
    c: conv 5x5 8 pad=1x2
    lrn 3
}
"""

TABLE = """\
op         argument    value      said by                  layers
-----------------------------------------------------------------
conv       pad         same       use, line 8                   2
conv       pad         half       use, line 13                  1
conv       pad         valid      unit conv_bn, line 3          1
conv       pad         1          unit twice, line 4            1
conv       pad         1x2        use, line 19                  1
bn         eps         1e-3       default, line 2               3
bn         decay       0.99       unit conv_bn, line 3          3
bn         variance    unbiased   numerics caffe, line 1        3
lrn        size        3          use, line 20                  1
lrn        alpha       1e-4       numerics caffe, line 1        1
lrn        beta        0.75       numerics caffe, line 1        1
lrn        k           1          numerics caffe, line 1        1
max_pool   pad         valid      numerics caffe, line 1        1
max_pool   pad         half       numerics caffe, line 1        1
max_pool   ceil        true       numerics caffe, line 1        1
pool       pad         half       numerics caffe, line 1        2
pool       count_pad   true       numerics caffe, line 1        1
"""


def test_every_convention_is_told_with_who_says_it() -> None:
    """Windows of one pixel need no border, and only strided poolings round."""
    assert numerics.table(compile_spec("n.inc", text=SMALL)) == TABLE


def test_json_has_the_same(tmp_path: Path) -> None:
    rows = json.loads(numerics.as_json(compile_spec("n.inc", text=SMALL)))

    assert len(rows) == len(TABLE.splitlines()) - 2
    assert rows[5] == {
        "op": "bn",
        "argument": "eps",
        "value": "1e-3",
        "origin": "default",
        "name": None,
        "places": [{"file": "n.inc", "line": 2}],
        "layers": 3,
    }


def test_what_an_op_is_by_itself_is_told_too() -> None:
    text = "network n {\ninput 8x8 3\na: bn eps=1e-5 decay=0.9\nb: conv 3x3 8\n}\n"

    table = numerics.table(compile_spec("n.inc", text=text))

    assert re.search(r"bn +variance +unbiased +bn itself +1\n", table)
    assert "conv" not in table  # whatever padding is meant, a 3x3 window has one meaning


def test_a_network_without_conventions() -> None:
    text = "network n {\ninput 8x8 3\nrelu\n}\n"

    table = numerics.table(compile_spec("n.inc", text=text))

    assert table == "nothing in this network is left to a convention\n"


def test_a_shared_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "parts.inc").write_text("unit conv_bn = conv bias=false -> bn decay=0.5\n")
    spec = tmp_path / "n.inc"
    spec.write_text(
        'numerics tf\nuse conv_bn from "parts.inc"\nnetwork n {\ninput 8x8 3\na: conv_bn 3x3 8\n}\n'
    )

    table = numerics.table(compile_spec(spec))

    assert re.search(r"decay +0.5 +unit conv_bn, line 1 of parts.inc +1\n", table)
    assert re.search(r"conv +pad +same +numerics tf, line 1 +1\n", table)


def test_the_command(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    spec = tmp_path / "n.inc"
    spec.write_text(SMALL)

    with pytest.raises(SystemExit, match="0"):
        main(["show", str(spec), "--numerics"])
    assert capsys.readouterr().out == TABLE
    with pytest.raises(SystemExit, match="2"):
        main(["show", str(spec), "--numerics", "--depth", "2"])


# ---------------------------------------------------------------- shipped specs


def fixed_by_preset(path: Path) -> str:
    """Return the comment for the `numerics` line of a spec: what it sets in any spec using it."""
    rules = []
    for spec in sorted(SPECS.glob("*.inc")):
        if spec == path or f'"{path.name}"' in spec.read_text("utf-8"):
            rules += [rule for rule in numerics.rules(compile_spec(spec)) if is_set_in(path, rule)]
    return comment(rules[0].name, rules)


def is_set_in(path: Path, rule: numerics.Rule) -> bool:
    """Return whether the `numerics` line of a file sets a convention."""
    files = {span.source.name for span in rule.spans}
    return rule.origin == "numerics" and path.as_posix() in files


def comment(preset: str, said: Iterable[numerics.Rule], width: int = 100) -> str:
    """Return what a preset fixes in a spec, as a comment under its `numerics` line."""
    values: dict[str, dict[str, str]] = {}
    for rule in said:
        values.setdefault(rule.op, {})
        by_window = PRESETS[preset][OPS[rule.op].family or rule.op][rule.argument]
        text = f"{rule.argument}={rule.value}"
        if rule.argument in values[rule.op] and isinstance(by_window, ByWindow):
            when = "strided" if by_window.strided else "even"
            text = f"{rule.argument}={by_window.plain} ({when}: valid)"
        values[rule.op][rule.argument] = text
    parts = [" ".join([op, *arguments.values()]) for op, arguments in values.items()]
    lines = [f"# {preset} fixes here:"]
    for number, part in enumerate(parts):
        end = "" if number == len(parts) - 1 else ";"
        if len(lines[-1]) + len(part) + len(end) + 1 > width:
            lines.append("#  ")
        lines[-1] += f" {part}{end}"
    return "\n".join(lines)


@pytest.mark.parametrize("path", OWN, ids=lambda path: path.stem)
def test_a_shipped_spec_says_what_its_preset_fixes(path: Path, update_goldens: bool) -> None:
    text = path.read_text("utf-8")
    expected = f"{fixed_by_preset(path)}\n"
    match = re.search(r"^numerics .*\n((?:#.*\n)*)", text, re.MULTILINE)
    assert match is not None
    if update_goldens:
        text = text[: match.start(1)] + expected + text[match.end(1) :]
        path.write_text(text, "utf-8")
        return

    assert match[1] == expected


def test_every_shipped_network_is_covered() -> None:
    assert {path.name for path in OWN} == {path.name for path in SPECS.glob("*.inc")}
    assert not [fault for path in OWN for fault in check(path) if fault.severity == "error"]
