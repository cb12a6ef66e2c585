"""Trees of generated code to text: brackets, defaults, suites, helpers."""

from __future__ import annotations

import pytest

from incgen.language import expressions as ex
from incgen.targets import TARGETS
from incgen.targets.shared.code import (
    Applied,
    Bind,
    Branches,
    Chosen,
    Code,
    Comment,
    Construct,
    Gap,
    Joined,
    Loop,
    Op,
    Refusal,
    Return,
    Run,
    branches,
    names_in,
    parameters_in,
    within,
)
from incgen.targets.shared.folders import macro_names
from incgen.targets.shared.render import Printer
from incgen.targets.torch.weights import Key

X, Y, Z = map(ex.Name, "xyz")
C = ex.Parameter("c")
ZERO, ONE, THREE = map(ex.Literal, (0, 1, 3))


@pytest.fixture
def printer() -> Printer:
    return Printer("torch")


@pytest.mark.parametrize("target", TARGETS)
def test_macros_are_known_by_name_without_jinja(target: str) -> None:
    assert macro_names(target) == Printer(target).macros.keys()


# ---------------------------------------------------------------- expressions


@pytest.mark.parametrize(
    ("code", "text"),
    [
        (Applied(X, (Y, Z)), "x(y, z)"),
        (Construct("Block", (THREE,), (("stride", C + 1),)), "Block(3, stride=c + 1)"),
        (Joined("add", (Joined("add", (X, Y)), Z)), "x + y + z"),
        (Joined("add", (X, Joined("add", (Y, Z)))), "x + (y + z)"),
        (Joined("mul", (Joined("add", (X, Y)), Z)), "(x + y) * z"),
        (Joined("add", (Joined("mul", (X, Y)), Z)), "x * y + z"),
        (Chosen(C, Chosen(C, X, Y), Z), "(x if c else y) if c else z"),
        (Chosen(C, X, Chosen(C, Y, Z)), "x if c else y if c else z"),
        (Joined("add", (Chosen(C, X, Y), Z)), "(x if c else y) + z"),
        (Op("relu", {}), "nn.ReLU()"),
        (Op("relu", {}, X), "F.relu(x)"),
        (Op("tanh", {}, Joined("add", (X, Y))), "(x + y).tanh()"),
        (Op("hard_sigmoid", {}, Joined("add", (X, Y))), "F.relu6(x + y + 3) / 6"),
        (Op("scale", {"factor": C + 1}, Joined("add", (X, Y))), "(x + y) * (c + 1)"),
        (Key(("a", "0", "weight")), '"a.0.weight"'),
        (Key(("a", ex.Name("i"), "bias")), 'f"a.{i}.bias"'),
    ],
)
def test_brackets_stand_where_code_binds_too_loosely(
    printer: Printer, code: Code, text: str
) -> None:
    assert printer.show(code) == text


def test_what_a_framework_has_by_default_is_left_out(printer: Printer) -> None:
    conv = "nn.Conv2d"
    assert printer.call(conv, X, 8, THREE, ONE, padding=ZERO, bias=ex.Literal(True)) == (
        "nn.Conv2d(x, 8, 3)"
    )
    assert printer.call(conv, X, 8, THREE, C, padding=C, bias=ex.Literal(False)) == (
        "nn.Conv2d(x, 8, 3, c, padding=c, bias=False)"
    )
    # True and 1 are equal, but not the same
    assert printer.call(conv, X, 8, THREE, bias=ONE) == "nn.Conv2d(x, 8, 3, bias=1)"
    assert printer.call("unknown", ONE, a=None, b=ZERO) == "unknown(1, b=0)"


# ---------------------------------------------------------------- statements


def test_suites_are_further_in_than_what_they_belong_to(printer: Printer) -> None:
    loop = Loop("i", ex.Call("range", (C,)), (Run(Applied(X, (ex.Name("i"),))),))
    inner = Branches(((C, (Gap(), loop)), (ex.Unary("not", C), (Comment("Nothing."),)), (None, ())))
    assert printer.suite([inner, Return(Y)]) == (
        "    if c:\n"
        "\n"
        "        for i in range(c):\n"
        "            x(i)\n"
        "    elif not c:\n"
        "        # Nothing.\n"
        "        pass\n"
        "    else:\n"
        "        pass\n"
        "    return y"
    )


def test_a_comment_stands_beside_its_line_if_there_is_room(printer: Printer) -> None:
    assert printer.show(Bind("x", Y, comment="(N, 3)")) == "x = y  # (N, 3)"
    assert printer.show(Bind("x", Y, "module")) == "x: nn.Module = y"
    above = printer.suite([Bind("x", ex.Name("y" * 70), comment="(N, 64, 112, 112)")], 2)
    assert above == f"        # (N, 64, 112, 112)\n        x = {'y' * 70}"


def test_a_comment_is_filled_for_the_place_where_it_stands(printer: Printer) -> None:
    lines = printer.suite([Comment("word " * 30)], 3).splitlines()
    words = " word" * 15
    assert lines == [f"            #{words}"] * 2 + ["            pass"]


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("max",), '("max",)'),
        (("max", "avg"), '("max", "avg")'),
    ],
)
def test_a_word_without_code_is_refused(printer: Printer, words: tuple[str], text: str) -> None:
    node = Refusal("kind", tuple(map(ex.Literal, words)))
    error = f'ValueError(f"{{kind=}} is not one of {", ".join(words)}")'
    assert printer.show(node) == f"if kind not in {text}:\n    raise {error}"


def test_sides_without_statements_are_left_out() -> None:
    some = (Return(X),)
    assert branches([(C, ()), (None, ())]) == ()
    assert branches([(C, some), (None, ())]) == (Branches(((C, some),)),)
    opposite = ex.Unary("not", C)
    assert branches([(C, ()), (None, some)]) == (Branches(((opposite, some),)),)
    whole = [(C, ()), (opposite, some), (None, some)]
    assert branches(whole) == (Branches(tuple(whole)),)


def test_code_is_walked_from_left_to_right_and_from_the_outside_in() -> None:
    inner = Op("conv", {"inputs": C, "kernel": ex.Item("k", 0), "name": "plain text"})
    code = [Bind("x", Applied(X, (inner,))), Return(ex.Parameter("a") + C)]
    assert list(within(code)) == [
        code[0],
        Applied(X, (inner,)),
        X,
        inner,
        C,
        ex.Item("k", 0),
        code[1],
        ex.Parameter("a") + C,
        ex.Parameter("a"),
        C,
    ]
    assert [*parameters_in(code)] == ["c", "k", "a"]
    assert names_in(code) == {"x"}


# ---------------------------------------------------------------- helpers


def test_helpers_that_are_needed_stand_first_and_the_others_by_name(printer: Printer) -> None:
    for name in ("MaxPool2dSame", "L2Normalize", "Conv2dSame", "Add"):
        assert printer.helper(name) == name

    names = [helper.name for helper in printer.helpers()]

    assert names == [
        *("Add", "same_pad", "Conv2dSame"),
        *("at_least_float32", "L2Normalize", "MaxPool2dSame"),
    ]


def test_only_what_is_printed_brings_its_helper(printer: Printer) -> None:
    printer.show(Op("global_avg_pool", {}, X))
    assert printer.helpers() == []

    assert printer.show(Op("global_avg_pool", {})) == "GlobalAvgPool()"
    (helper,) = printer.helpers()
    assert helper.text.startswith("class GlobalAvgPool(nn.Module):\n")
