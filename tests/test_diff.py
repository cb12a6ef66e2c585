"""Comparing networks: what is reported, and that nothing else is."""

from __future__ import annotations

import json
import os
import random
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import fields
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from fuzzing.specs import random_spec
from incgen.base.diagnostics import SpecError
from incgen.compiling import RequestError, compile_spec
from incgen.diff.as_json import as_json
from incgen.diff.changes import (
    Argument,
    Comparison,
    Exchange,
    Keys,
    Only,
    Place,
    Renaming,
    Reshaped,
    Rewired,
    Rewriting,
)
from incgen.diff.comparing import compare
from incgen.diff.drawing import drawn
from incgen.diff.revisions import load_at
from incgen.diff.sentences import named, renamings
from incgen.diff.text import markdown, text
from incgen.draw.view import DrawError
from incgen.graph.shapes import Shape
from incgen.syntax.loader import LoadedFile

ROOT = Path(__file__).parent.parent
SPECS = sorted((ROOT / "specs").glob("*.inc"))

NET = """\
numerics torch
default bn eps=1e-3
let act = relu

unit conv_bn = conv bias=false -> bn -> activation act

block branches(n, wide, kind = avg) {
    concat {
        a: conv_bn 1x1 n
        b: conv_bn 1x1 (n // 2) -> conv_bn 3x3 wide
        pool: pool kind 3x3/1 -> conv_bn 1x1 8
    }
}

network net(classes = 10) {
    input 16x16 3  order=rgb range=[0, 1]

    stem: conv_bn 3x3 16
    pool1: max_pool 2x2/2 pad=valid
    one: branches 8 16
    two: branches 8 24
    rest: repeat 2 { branches 16 16 }
    join: concat {
        identity
        up: from one -> conv 1x1 8
    }
    last: conv 1x1 12 init=he_normal

    global_avg_pool
    dropout 0.5
    logits: dense classes
}
"""
#: What differs by itself; the others follow from it.
WRITTEN = (
    *("input", "defaults", "conventions", "arguments", "removed", "added", "rewritten"),
    *("rewired", "renamed", "definitions"),
)


def compared(before: str, after: str, **values: object) -> Comparison:
    """Compare two texts; the values are set for the second."""
    graphs = (
        compile_spec("net.inc", text=before),
        compile_spec("net.inc", values, text=after),  # type: ignore[arg-type]
    )
    return compare(*graphs, ("net.inc", "net.inc"))


def written(diff: Comparison) -> dict[str, object]:
    """Return what differs by itself."""
    return {name: getattr(diff, name) for name in WRITTEN if getattr(diff, name)}


def edited(old: str, new: str, spec: str = NET) -> str:
    assert spec.count(old) == 1, old
    return spec.replace(old, new)


# ---------------------------------------------------------------- nothing


def is_same(diff: Comparison) -> bool:
    empty = diff.keys.moved or diff.keys.reshaped or diff.keys.new or diff.keys.gone
    return diff.same and not written(diff) and not diff.shapes and not empty


@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.stem)
def test_a_network_does_not_differ_from_itself(path: Path) -> None:
    graph = compile_spec(path)

    diff = compare(graph, compile_spec(path), (path.name, path.name))

    assert is_same(diff)
    assert len(diff.keys.kept) == len(graph.tensors())
    assert text(diff) == f"{path.name} -> {path.name}\n\nThe networks are the same.\n"


@settings(deadline=None, max_examples=25)
@given(some.integers(0, 2**32))
def test_a_random_network_does_not_differ_from_itself(seed: int) -> None:
    spec = random_spec(seed, 0).text
    try:
        graph = compile_spec("random.inc", text=spec)
    except SpecError:
        return
    assert is_same(compare(graph, compile_spec("random.inc", text=spec), ("a", "b")))


def test_what_does_not_change_the_network_is_no_difference() -> None:
    other = NET.replace("wide", "widest").replace(
        "order=rgb range=[0, 1]", "range=[0, 1] order=rgb"
    )
    other = edited("    stem:", "    ## The beginning.\n    stem:", other)
    other = edited("dropout 0.5", "identity\n    dropout (1 / 2)", other)
    other = other.replace("numerics torch", "numerics torch\nunit spare = conv -> relu")

    assert is_same(compared(NET, other))


# ---------------------------------------------------------------- one edit at a time

HERE = Place()
IN_BRANCHES = Place("branches", "branches")

EDITS: dict[str, tuple[Callable[[str], str], dict[str, object]]] = {
    "a number of a layer": (
        partial(edited, "last: conv 1x1 12", "last: conv 1x1 20"),
        {"arguments": (Argument(HERE, "last", "last", "channels", "12", "20", 1),)},
    ),
    "a number that a unit takes": (
        partial(edited, "stem: conv_bn 3x3 16", "stem: conv_bn 5x5 16"),
        {"arguments": (Argument(HERE, "stem", "stem", "window", "3x3", "5x5", 1),)},
    ),
    "a number that a block takes": (
        partial(edited, "two: branches 8 24", "two: branches 8 32"),
        {"arguments": (Argument(HERE, "two", "two", "wide", "24", "32", 1),)},
    ),
    "a parameter that two layers take": (
        partial(edited, "one: branches 8 16", "one: branches 4 16"),
        {"arguments": (Argument(HERE, "one", "one", "n", "8", "4", 2),)},
    ),
    "a default that a use states": (
        partial(edited, "one: branches 8 16", "one: branches 8 16 kind=max"),
        {"arguments": (Argument(HERE, "one", "one", "kind", "avg", "max", 1),)},
    ),
    "a number inside a block": (
        partial(edited, "-> conv_bn 1x1 8\n", "-> conv_bn 1x1 4\n"),
        {"arguments": (Argument(IN_BRANCHES, "pool.1", "pool.1", "channels", "8", "4", 4),)},
    ),
    "a formula inside a block": (
        partial(edited, "(n // 2)", "(n // 4)"),
        {"arguments": (Argument(IN_BRANCHES, "b.0", "b.0", "channels", "n // 2", "n // 4", 4),)},
    ),
    "the rate of dropout": (
        partial(edited, "dropout 0.5", "dropout 0.25"),
        {"arguments": (Argument(HERE, "dropout", "dropout", "rate", "0.5", "0.25", 1),)},
    ),
    "the classes": (
        partial(edited, "classes = 10", "classes = 12"),
        {"defaults": (("classes", "10", "12"),)},
    ),
    "a label": (
        partial(edited, "two:", "second:"),
        {"renamed": (Renaming(HERE, (("two", "second"),)),)},
    ),
    "a label inside a block": (
        partial(edited, "        a:", "        left:"),
        {"renamed": (Renaming(IN_BRANCHES, (("a", "left"),)),)},
    ),
    "the name of a block": (
        lambda spec: spec.replace("branches", "mixed"),
        {"definitions": (("branches", "mixed"),)},
    ),
    "a convention": (
        partial(edited, "eps=1e-3", "eps=1e-4"),
        {"conventions": [("bn", "eps", "1e-3", "1e-4", 17, 17)]},
    ),
    "an attribute of one layer": (
        partial(edited, "init=he_normal", "init=zeros"),
        {"conventions": [("conv", "init", "he_normal", "zeros", 1, 19)]},
    ),
    "a layer that is gone": (
        partial(edited, "    dropout 0.5\n", ""),
        {"removed": (Only(HERE, "dropout", "dropout 0.5", 0, 1),)},
    ),
    "a layer that is new": (
        partial(edited, "    logits:", "    sigmoid\n    logits:"),
        {"added": (Only(HERE, "sigmoid", "sigmoid", 0, 1),)},
    ),
    "a branch that is new": (
        # conv 1x1 from 16 channels and bn: 16 x 4 + 2 x 4, in the first of the uses
        partial(edited, "        pool:", "        new: conv_bn 1x1 4\n        pool:"),
        {"added": (Only(IN_BRANCHES, "new", "conv_bn 1x1 4", 72, 4),)},
    ),
    "a repeat of other length": (
        # from 40 channels: 40 x 16 and 40 x 8 twice, 8 x 16 x 9, and 2 of bn for each of 48 outputs
        partial(edited, "repeat 2", "repeat 4"),
        {"added": (Only(HERE, "rest.2", "branches 16 16", 2528, 2, until="rest.3"),)},
    ),
    "an op in a unit": (
        partial(edited, "let act = relu", "let act = tanh"),
        {
            "rewritten": (
                Rewriting(
                    Place("conv_bn", "conv_bn"), ("relu",), ("tanh",), "relu", "tanh", 17
                ),
            )
        },
    ),
    "layers in place of a unit": (
        partial(edited, "stem: conv_bn 3x3 16", "stem: conv 3x3 16\n    relu"),
        {
            "rewritten": (
                Rewriting(
                    HERE,
                    ("stem",),
                    ("stem", "relu"),
                    "conv 3x3 16 bias=false -> bn -> relu",
                    "conv 3x3 16 -> relu",
                    1,
                ),
            )
        },
    ),
    "where a layer begins": (
        partial(edited, "from one -> conv", "from two -> conv"),
        {"rewired": (Rewired(HERE, "join.up", ("one.concat",), ("two.concat",)),)},
    ),
    "what is said about pixels": (
        partial(edited, "order=rgb range=[0, 1]", "range=[-1, 1]"),
        {"input": (("order", "rgb", ""), ("range", "[0, 1]", "[-1, 1]"))},
    ),
    "the size of the input": (
        partial(edited, "input 16x16", "input 32x16"),
        {"input": (("size", "3 x 16 x 16", "3 x 32 x 16"),)},
    ),
}  # fmt: skip


def concise(diff: Comparison) -> dict[str, object]:
    """Return what differs by itself; conventions by what they say, with the number of layers."""
    rows = written(diff)
    if diff.conventions:
        rows["conventions"] = [
            (c.op, c.name, c.before, c.after, len(c.layers), c.of) for c in diff.conventions
        ]
    return rows


@pytest.mark.parametrize("edit", EDITS)
def test_an_edit_is_reported_as_itself(edit: str) -> None:
    change, expected = EDITS[edit]

    diff = compared(NET, change(NET))

    assert concise(diff) == expected
    assert not diff.same
    back = written(compared(change(NET), NET))
    assert set(back) == {
        {"added": "removed", "removed": "added"}.get(name, name) for name in expected
    }


#: Edits that do not touch the same lines or layers.
APART = [
    "a number of a layer",
    "a number that a unit takes",
    "a number that a block takes",
    "a default that a use states",
    "the rate of dropout",
    "the classes",
    "a label inside a block",
    "what is said about pixels",
    "a layer that is new",
    "the name of a block",
]


@settings(deadline=None, max_examples=25)
@given(some.sets(some.sampled_from(APART), min_size=2))
def test_several_edits_are_reported_as_themselves(edits: set[str]) -> None:
    spec, expected = NET, dict[str, tuple[object, ...]]()
    for edit in (name for name in APART if name in edits):
        change, rows = EDITS[edit]
        spec = change(spec)
        for name, values in rows.items():
            assert isinstance(values, tuple)
            expected[name] = (*expected.get(name, ()), *values)
    if "the name of a block" in edits:  # the place of what is inside says both names
        inside = expected.get("renamed", ())
        expected["renamed"] = tuple(
            Renaming(Place("branches", "mixed"), row.pairs)
            for row in inside
            if isinstance(row, Renaming)
        )
    actual = {name: set(rows) for name, rows in written(compared(NET, spec)).items()}  # type: ignore[call-overload]

    assert actual == {name: set(rows) for name, rows in expected.items() if rows}


ROW = re.compile(r"^    (inception_\w+): (inception|reduction) +(.*)$", re.MULTILINE)


@settings(deadline=None, max_examples=10)
@given(some.integers(0, 2**32))
def test_a_number_in_the_table_of_bn_inception(seed: int) -> None:
    """Any number of any row: it is found where it is written, under the name of its parameter."""
    draw = random.Random(seed)
    spec = (ROOT / "specs" / "bn_inception.inc").read_text("utf-8")
    row = draw.choice([*ROW.finditer(spec)])
    names = ["n1x1", "n3x3_reduce", "n3x3", "ndouble_reduce", "ndouble", "kind", "proj"]
    names = names if row[2] == "inception" else names[1:5]
    number = draw.choice([n for n in range(len(names)) if names[n] != "kind"])
    cells = row[3].split()
    before, cells[number] = cells[number], str(draw.randrange(1, 30))
    other = spec.replace(row[0], f"    {row[1]}: {row[2]} {' '.join(cells)}")

    diff = compared(spec, other)

    rows = diff.arguments
    assert [(r.place, r.a, r.b, r.name, r.before, r.after) for r in rows] == [
        (HERE, row[1], row[1], names[number], before, cells[number])
    ]
    assert list(written(diff)) == ["arguments"]


# ---------------------------------------------------------------- effects


def test_shapes_and_cost_follow() -> None:
    """stem: 3 x 3 x 3 x 8 fewer weights on 16 x 16, and 8 fewer inputs of three 1x1 (8, 4, 8)."""
    diff = compared(NET, edited("stem: conv_bn 3x3 16", "stem: conv_bn 3x3 8"))

    assert diff.shapes == (
        Reshaped("stem", "stem", Shape(16, 16, 16), Shape(8, 16, 16)),
        Reshaped("pool1", "pool1", Shape(16, 8, 8), Shape(8, 8, 8)),
    )
    assert diff.a.parameters - diff.b.parameters == 27 * 8 + 2 * 8 + 8 * (8 + 4 + 8)
    fewer = 256 * 27 * 8 + 64 * 8 * (8 + 4 + 8)
    assert diff.a.multiply_adds - diff.b.multiply_adds == fewer


SMALL = """\
numerics torch

network small {
    input 8x8 3
    a: conv 3x3 4
    b: conv 3x3 4
    c: conv 1x1 4 bias=false
    d: conv 1x1 6
}
"""


def test_keys_of_weights() -> None:
    other = SMALL.replace("    b:", "    bb:").replace("d: conv 1x1 6", "d: conv 1x1 8")
    other = other.replace("bias=false", "bias=true").replace("    a: conv 3x3 4\n", "    relu\n")
    other = other.replace("bb: conv 3x3 4", "bb: conv 3x3 4\n    e: bn")

    assert compared(SMALL, other).keys == Keys(
        kept=("c.weight",),
        moved={"bb.bias": "b.bias"},
        reshaped={
            "bb.weight": ((4, 4, 3, 3), (4, 3, 3, 3)),
            "d.weight": ((6, 4, 1, 1), (8, 4, 1, 1)),
            "d.bias": ((6,), (8,)),
        },
        new=("e.weight", "e.bias", "e.running_mean", "e.running_var", "c.bias"),
        gone=("a.weight", "a.bias"),
        rules={},
    )


@settings(deadline=None, max_examples=15)
@given(some.integers(0, 2**32))
def test_every_tensor_is_counted_once(seed: int) -> None:
    """Of two networks that have nothing to do with each other, too."""
    try:
        a, b = (compile_spec("net.inc", text=random_spec(seed, n).text) for n in (0, 1))
    except SpecError:
        return
    diff = compare(a, b, ("a", "b"))

    keys = diff.keys
    assert text(diff) and markdown(diff) and json.loads(as_json(diff))
    assert sorted([*keys.kept, *keys.moved, *keys.reshaped, *keys.new]) == sorted(b.tensors())
    used = {*keys.kept, *keys.moved.values(), *keys.gone}
    assert len(used) == len(keys.kept) + len(keys.moved) + len(keys.gone)
    assert used <= set(a.tensors())
    assert len(used) + len(keys.reshaped) == len(a.tensors())


def test_rules_name_the_largest_parts_that_moved() -> None:
    other = edited("two:", "second:", edited("        a:", "        left:"))

    assert compared(NET, other).keys.rules == {
        "one.left": "one.a",
        "second.left": "two.a",
        "second.b.0": "two.b.0",
        "second.b.1": "two.b.1",
        "second.pool.1": "two.pool.1",
        "rest.0.left": "rest.0.a",
        "rest.1.left": "rest.1.a",
    }
    assert compared(NET, edited("two:", "second:")).keys.rules == {"second": "two"}


# ---------------------------------------------------------------- words


def test_bn_inception_and_slim() -> None:
    """The paragraphs of an expert."""
    names = ("bn_inception", "bn_inception_slim")
    graphs = [compile_spec(name) for name in names]

    diff = compare(graphs[0], graphs[1], names)

    assert text(diff) == (ROOT / "tests/diff/bn_inception_slim.txt").read_text("utf-8")


MARKDOWN = """\
### `net.inc` → `net.inc`

The second network has all 12 parts of the first network, some under other names: `two` is `second`.

`wide` of `second` is `32`, not `24`.

These outputs change their shape: `second` from 40 x 8 x 8 to 48 x 8 x 8. Parameters go from \
9,062 to 9,622 (+6.2 %), and multiply-adds go from 628,856 to 663,672 (+5.5 %).

Of the 91 tensors in a file of the first network, 68 fit under their keys, 15 fit under another \
key, 8 have another shape and none has no place.

|  | before | after |  |
| --- | ---: | ---: | ---: |
| parameters | 9,062 | 9,622 | +6.2 % |
| multiply-adds | 628,856 | 663,672 | +5.5 % |

| tensors that fit | under another key | of another shape | without a place | new |
| ---: | ---: | ---: | ---: | ---: |
| 68 | 15 | 8 | 0 | 0 |

<details><summary>Weights under another key</summary>

| before | after |
| --- | --- |
| `two.a` | `second.a` |
| `two.b.0` | `second.b.0` |
| `two.pool.1` | `second.pool.1` |

</details>
"""


def test_markdown() -> None:
    """24 to 32 outputs of a 3x3 on 4 channels, with bn, and 8 more inputs for 32 outputs."""
    other = edited("two: branches 8 24", "second: branches 8 32")

    assert markdown(compared(NET, other)) == MARKDOWN


def test_keys_in_a_row_are_named_by_its_ends() -> None:
    """A row leaves out none of the network's own parts."""
    parts = ("b_3a", "pool", "b_3b", "b_4a", "b_4c", "b_5a")

    assert named(["b_3a", "b_3b", "b_4a", "pool"], parts) == "`b_3a` to `b_4a` and `pool`"
    assert named(["b_3a", "b_4a", "b_4c", "b_5a"], parts) == "`b_3a` and `b_4a` to `b_5a`"
    assert named(["b_3a", "b_3b", "b_5a"], parts) == "`b_3a`, `b_3b` and `b_5a`"
    assert named(["x.0", "x.1", "x.2", "x.4"]) == "`x.0` to `x.2` and `x.4`"
    assert named(["b_3a", "b_3b", "b_3c"]) == "`b_3a`, `b_3b` and `b_3c`"
    assert named([f"k{n}z" for n in range(8)]) == "`k0z`, `k1z`, `k2z`, `k3z`, `k4z` and 3 more"
    pairs = [("b_3a", "c1"), ("b_3b", "c2"), ("b_4a", "c3"), ("b_5a", "c4"), ("pool", "p")]
    assert renamings(pairs, parts, ("c1", "c2", "c3", "c4", "p")) == [
        "`b_3a` to `b_4a` are `c1` to `c3`",
        "`b_5a` is `c4`",
        "`pool` is `p`",
    ]


def test_parameters_that_only_one_network_has() -> None:
    more = edited("net(classes = 10)", "net(classes = 10, deep = true)")
    more = edited("    dropout", "    if deep { relu }\n    dropout", more)

    diff = compared(NET, more)

    assert diff.defaults == (("deep", "", "true"),)
    assert "The parameter `deep` is new: `true`." in text(diff)
    assert "The parameter `deep` is gone: `true`." in text(compared(more, NET))


@pytest.mark.parametrize(("join", "same"), [("add", True), ("mul", True), ("concat", False)])
def test_the_order_of_branches_matters_in_a_concat(join: str, same: bool) -> None:
    text = (
        "numerics torch\nnetwork net {{\n input 8x8 4\n {0} {{\n {1}\n {2}\n }}\n"
        " last: conv 1x1 4\n}}\n"
    )
    branches = ("identity", "a: conv 3x3 4 -> relu")

    found = compared(text.format(join, *branches), text.format(join, *branches[::-1]))

    assert is_same(found) is same


def test_a_padding_that_is_the_same_border() -> None:
    """It is told with what it does; around a 1x1 window it is not a difference."""
    other = edited("stem: conv_bn 3x3 16", "stem: conv_bn 3x3 16 pad=same")

    assert "(in `stem.conv`; the same border here)." in text(compared(NET, other))
    assert is_same(compared(NET, edited("last: conv 1x1 12", "last: conv 1x1 12 pad=0")))


def test_other_definitions() -> None:
    """A use of another block is said once, and then what is inside it."""
    other = edited(
        "network net",
        "block other(n, wide) {\n    x: conv_bn 1x1 n\n    concat {\n"
        "        a: conv_bn 1x1 n\n        b: conv_bn 1x1 (n // 2) -> conv_bn 3x3 wide\n"
        "        pool: max_pool 3x3/1 -> conv_bn 1x1 8\n    }\n}\n\nnetwork net",
    )
    other = edited("one: branches", "one: other", other)

    diff = compared(NET, other)

    place = Place("branches", "other")
    assert diff.exchanged == (Exchange(place, ("one",)),)
    assert [row.key for row in diff.added] == ["x"]
    assert "`one` uses `other` instead of `branches`. " in text(diff).replace("\n", " ")


def test_a_drawing() -> None:
    """Return the coloured parts by key: new in green, changed in orange, also around them."""
    other = edited("two: branches 8 24", "two: branches 8 32")
    other = edited("    dropout 0.5\n", "", other)
    other = edited("    one:", "    sigmoid\n    one:", other)
    other = edited("init=he_normal", "init=zeros pad=0", other)
    graph = compile_spec("net.inc", text=other)
    diff = compare(compile_spec("net.inc", text=NET), graph, ("net.inc", "net.inc"))

    svg = drawn(diff, graph, "svg").decode("utf-8")

    groups = re.findall(r'<g data-key="([^"]*)">(.*?)</g>', svg, re.DOTALL)
    colours = {key: re.findall(r"fill: (#009e73|#e69f00)", text) for key, text in groups}
    assert {key: set(fills) for key, fills in colours.items() if fills} == {
        "two": {"#e69f00"},
        "sigmoid": {"#009e73"},
    }
    assert {key: state for key, state in diff.layers.items() if "." not in key} == {
        "sigmoid": "new"
    }
    assert re.findall(r">(gone: [^<]*)<", svg) == ["gone: dropout"]
    with pytest.raises(DrawError, match=r"as `.svg`, `.png` or `.pdf`, not as `.dot`"):
        drawn(diff, graph, "dot")


def test_json() -> None:
    diff = compared(NET, edited("dropout 0.5", "dropout 0.25"))

    read = json.loads(as_json(diff))

    assert list(read) == ["same", *(field.name for field in fields(Comparison))]
    assert read["same"] is False
    assert read["arguments"] == [
        {
            "place": {"a": "", "b": ""},
            "a": "dropout",
            "b": "dropout",
            "name": "rate",
            "before": "0.5",
            "after": "0.25",
            "layers": 1,
        }
    ]
    assert read["a"]["input"] == [3, 16, 16]


# ---------------------------------------------------------------- revisions


def git(folder: Path, *arguments: str) -> None:
    identity = ("-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "commit.gpgsign=false")
    subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Return a repository with two commits of a spec and a part that it uses."""
    (tmp_path / "specs" / "parts").mkdir(parents=True)
    parts = tmp_path / "specs" / "parts" / "unit.inc"
    parts.write_text("unit conv_relu = conv -> relu\n", "utf-8")
    spec = tmp_path / "specs" / "net.inc"
    spec.write_text(
        'numerics torch\nuse conv_relu from "parts/unit.inc"\n'
        "network net {\n    input 8x8 3\n    a: conv_relu 3x3 4\n}\n",
        "utf-8",
    )
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-q", "-m", "one")
    parts.write_text("unit conv_relu = conv bias=false -> relu\n", "utf-8")
    git(tmp_path, "commit", "-q", "-a", "-m", "two")
    spec.unlink()
    return tmp_path


def units(loaded: LoadedFile) -> str:
    return loaded.uses["parts/unit.inc"].source.text


def test_a_spec_at_a_revision(repository: Path) -> None:
    """The files that it uses are of that revision too; it need not exist now."""
    spec = repository / "specs" / "net.inc"

    assert units(load_at("HEAD", spec)) == "unit conv_relu = conv bias=false -> relu\n"
    assert units(load_at("HEAD~1", spec)) == "unit conv_relu = conv -> relu\n"
    assert load_at("HEAD~1", spec).source.name == "HEAD~1:specs/net.inc"


@pytest.mark.skipif(sys.platform != "linux", reason="names of files are Unicode elsewhere")
def test_names_of_files_need_not_be_text(repository: Path) -> None:
    specs = os.fsencode(repository / "specs")
    for name in (b"\xff.png", b"\xff.inc"):
        Path(os.fsdecode(specs + b"/" + name)).write_text("unit a = relu\n", "utf-8")
    git(repository, "checkout", "-q", "--", ".")
    git(repository, "add", ".")
    git(repository, "commit", "-q", "-m", "three")

    assert units(load_at("HEAD", repository / "specs" / "net.inc")).startswith("unit conv_relu")


@pytest.mark.parametrize(
    ("revision", "name", "message"),
    [
        ("HEAD~7", "specs/net.inc", "git knows no revision `HEAD~7`"),
        ("--help", "specs/net.inc", "`--help` is not a revision"),
        ("HEAD", "specs/other.inc", "there is no `specs/other.inc` at `HEAD`"),
    ],
)
def test_what_git_does_not_have(repository: Path, revision: str, name: str, message: str) -> None:
    with pytest.raises(RequestError, match=re.escape(message)):
        load_at(revision, repository / name)


def test_a_spec_outside_of_a_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    with pytest.raises(RequestError, match="not a git repository"):
        load_at("HEAD", tmp_path / "net.inc")
