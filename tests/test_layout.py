"""Generated statements come out as ``ruff format`` leaves them: exact cases and a fuzz."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sysconfig
import time
import warnings
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from incgen.layout import (
    LINE_LENGTH,
    assign,
    comment_lines,
    def_header,
    expression,
    for_header,
    if_header,
    returns,
    wrap,
)
from incgen.layout.nodes import (
    Attribute,
    Call,
    Comprehension,
    Dict,
    Keyword,
    List,
    Name,
    Node,
    Operation,
    Parens,
    Starred,
    Subscript,
    Ternary,
    Tuple,
    Unary,
)
from incgen.layout.text import flat, read


def ruff() -> str:
    beside = Path(sysconfig.get_path("scripts")) / "ruff"
    found = str(beside) if beside.exists() else shutil.which("ruff")
    assert found is not None, "ruff is not installed"
    return found


def formatter_diff(source: str) -> str:
    """What ``ruff format`` would change, as a diff."""
    command = [ruff(), "format", "--isolated", "--diff", "--line-length", str(LINE_LENGTH), "-"]
    done = subprocess.run(command, input=source, capture_output=True, text=True, check=False)
    assert done.returncode in (0, 1), done.stderr
    return done.stdout


def text(lines: list[str]) -> str:
    return "\n".join(lines)


# ------------------------------------------------------------------------------------------
# Trees
# ------------------------------------------------------------------------------------------


def call(func: str, *args: str | Node) -> Call:
    return Call(read(func), tuple(map(node, args)))


def binary(operator: str, *operands: str | Node) -> Operation:
    return Operation(operator, tuple(map(node, operands)))


def ternary(then: str | Node, condition: str | Node, otherwise: str | Node) -> Ternary:
    return Ternary(node(then), node(condition), node(otherwise))


def node(value: str | Node) -> Node:
    return read(value) if isinstance(value, str) else value


@pytest.mark.parametrize(
    ("tree", "expected"),
    [
        (Call(Name("f"), (Name("x"), Keyword("bias", Name("b")))), "f(x, bias=b)"),
        (Call(call("layers.ReLU"), (Name("x"),)), "layers.ReLU()(x)"),
        (Call(Name("f"), (Starred(Name("a")), Starred(Name("b"), 2))), "f(*a, **b)"),
        (Subscript(Name("x"), (Name(":"), Name("0"))), "x[:, 0]"),
        (Subscript(Name("x"), (read("(1, 2)"),)), "x[(1, 2)]"),
        (Tuple((Name("1"),)), "(1,)"),
        (Tuple((Name("a"), Name("b")), bare=True), "a, b"),
        (List((Tuple((Name("a"), Name("b")), bare=True),)), "[(a, b)]"),
        (Dict(((Name('"a"'), Name("1")), (None, Name("rest")))), '{"a": 1, **rest}'),
        (Attribute(Name("2"), "real"), "(2).real"),
        (Attribute(binary("+", "a", "b"), "shape"), "(a + b).shape"),
        (Call(ternary("f", "a", "g"), (Name("x"),)), "(f if a else g)(x)"),
        (binary("*", "a + b", "c"), "(a + b) * c"),
        (binary("-", "a", binary("-", "b", "c")), "a - (b - c)"),
        (binary("-", binary("-", "a", "b"), "c"), "a - b - c"),
        (binary("+", "a", "b * c", "d"), "a + b * c + d"),
        (binary("and", "a", "b or c", "not d"), "a and (b or c) and not d"),
        (binary("or", "a", "b and c"), "a or b and c"),
        (binary("==", "a", "b == c"), "a == (b == c)"),
        (binary("<", "a", "b", "c"), "a < b < c"),
        (binary("**", "x", "2"), "x**2"),
        (binary("**", "x.shape", "-2"), "x.shape**-2"),
        (binary("**", "f(x)", "2"), "f(x) ** 2"),
        (binary("**", "-x", "y**z"), "(-x) ** y**z"),
        (binary("**", "x**y", "z"), "(x**y) ** z"),
        (Unary("-", binary("**", "x", "2")), "-(x**2)"),
        (Unary("-", binary("+", "x", "2")), "-(x + 2)"),
        (Unary("not", read("a in b")), "not a in b"),
        (Unary("not", read("a and b")), "not (a and b)"),
        (binary("+", "a", Unary("-", Name("b"))), "a + -b"),
        (ternary("a", "b", ternary("c", "d", "e")), "a if b else c if d else e"),
        (ternary(ternary("a", "b", "c"), "d", "e"), "(a if b else c) if d else e"),
        (binary("+", "a if b else c", "d"), "(a if b else c) + d"),
        (binary("*", "(a) + b", "c"), "((a) + b) * c"),
        (binary("*", "(a + b)", "c"), "(a + b) * c"),
        (binary("+", "{1, 2}", "'a'"), "{1, 2} + 'a'"),
        (binary("+", "lambda: 1", "d"), "(lambda: 1) + d"),
        (Comprehension(read("f(x)"), "x", Name("xs")), "[f(x) for x in xs]"),
        (
            call("sum", Comprehension(Name("x"), "x", Name("xs"), (Name("x"),), "generator")),
            "sum(x for x in xs if x)",
        ),
        (
            call("sum", Comprehension(Name("x"), "x", Name("xs"), kind="generator"), "0"),
            "sum((x for x in xs), 0)",
        ),
        (Parens(Parens(Name("a"))), "(a)"),
    ],
)
def test_a_tree_has_the_parentheses_it_needs(tree: Node, expected: str) -> None:
    assert flat(tree) == expected


@pytest.mark.parametrize(
    ("source", "kind"),
    [
        ("nn.Conv2d", Name),
        ("'single'", Name),
        ('f"{name}.conv"', Name),
        ("1:", Name),
        ("-1", Unary),
        ("x.shape[0]", Subscript),
        ("x[:, 0]", Subscript),
        ("f(x).y", Attribute),
        ("f(*a, **b)", Call),
        ("(1, 2)", Tuple),
        ("1, 2", Tuple),
        ("[(1, 2), 3]", List),
        ("a if b else c", Ternary),
        ("a + b", Operation),
        ("(a + b)", Parens),
        ("a < b < c", Operation),
        ("a < b == c", Name),
        ("[f(x) for x in xs]", Comprehension),
        ("{f(x) for x in xs if x}", Comprehension),
        ("é[α, 1](x)", Call),
        ("(a) + b", Name),  # kept as it is: a tree would lose the parentheses
        ("a  + b", Name),
        ("lambda x: x", Name),
    ],
)
def test_texts_are_read(source: str, kind: type) -> None:
    tree = read(source)
    assert type(tree) is kind
    assert flat(tree) == source


# ------------------------------------------------------------------------------------------
# Broken lines
# ------------------------------------------------------------------------------------------

CONV = "nn.Conv2d(in_channels, out_channels, kernel_size=3, stride=stride, padding=1, bias=False)"


SUM = " + ".join(f"branch_{index}_out_channels" for index in range(4))


def test_a_call_that_fits_is_one_line() -> None:
    assert assign("self.pool", "nn.MaxPool2d(2)", indent=8) == [
        "        self.pool = nn.MaxPool2d(2)"
    ]


def test_arguments_first_move_to_one_line_of_their_own() -> None:
    narrow = CONV.replace("stride=stride", "stride=2")
    assert text(assign("self.conv", narrow, indent=8)) == (
        "        self.conv = nn.Conv2d(\n"
        "            in_channels, out_channels, kernel_size=3, stride=2, padding=1, bias=False\n"
        "        )"
    )


def test_then_they_stand_one_a_line_with_a_comma_at_the_end() -> None:
    wide = CONV.replace("bias=False", 'bias=False, padding_mode="replicate"')
    assert text(assign("self.conv", wide, indent=8)) == (
        "        self.conv = nn.Conv2d(\n"
        "            in_channels,\n"
        "            out_channels,\n"
        "            kernel_size=3,\n"
        "            stride=stride,\n"
        "            padding=1,\n"
        "            bias=False,\n"
        '            padding_mode="replicate",\n'
        "        )"
    )


def test_a_single_argument_gets_no_comma() -> None:
    items = ", ".join(f"branch_number_{index}_of_the_block" for index in range(4))
    assert text(assign("x", f"concatenate([{items}])", indent=4)) == (
        "    x = concatenate(\n"
        "        [\n"
        "            branch_number_0_of_the_block,\n"
        "            branch_number_1_of_the_block,\n"
        "            branch_number_2_of_the_block,\n"
        "            branch_number_3_of_the_block,\n"
        "        ]\n"
        "    )"
    )


def test_a_layer_is_called_after_its_own_brackets() -> None:
    options = 'strides=2, padding="same", use_bias=False, name=f"{name}.conv"'
    assert text(assign("x", f"layers.Conv2D(channels, 3, {options})(x)", indent=4)) == (
        "    x = layers.Conv2D(\n"
        '        channels, 3, strides=2, padding="same", use_bias=False, name=f"{name}.conv"\n'
        "    )(x)"
    )


def test_a_nest_of_modules() -> None:
    inner = f"nn.Sequential({CONV}, nn.BatchNorm2d(out_channels), nn.ReLU())"
    assert text(returns(f"nn.Sequential({inner}, Pool(2))", indent=8)) == (
        "        return nn.Sequential(\n"
        "            nn.Sequential(\n"
        "                nn.Conv2d(\n"
        "                    in_channels,\n"
        "                    out_channels,\n"
        "                    kernel_size=3,\n"
        "                    stride=stride,\n"
        "                    padding=1,\n"
        "                    bias=False,\n"
        "                ),\n"
        "                nn.BatchNorm2d(out_channels),\n"
        "                nn.ReLU(),\n"
        "            ),\n"
        "            Pool(2),\n"
        "        )"
    )


def test_a_long_sum_gets_parentheses() -> None:
    assert text(assign("channels", SUM, indent=8)) == (
        "        channels = (\n"
        "            branch_0_out_channels\n"
        "            + branch_1_out_channels\n"
        "            + branch_2_out_channels\n"
        "            + branch_3_out_channels\n"
        "        )"
    )


def test_a_long_sum_inside_a_call_gets_none() -> None:
    assert text(assign("self.bn", f"nn.BatchNorm2d({SUM})", indent=8)) == (
        "        self.bn = nn.BatchNorm2d(\n"
        "            branch_0_out_channels\n"
        "            + branch_1_out_channels\n"
        "            + branch_2_out_channels\n"
        "            + branch_3_out_channels\n"
        "        )"
    )


def test_a_sum_that_ends_in_a_call_opens_the_call() -> None:
    branch = "self.branch([first_of_the_features, second_of_the_features])"
    assert text(returns(f"the_identity_of_the_input + {branch}", indent=8)) == (
        "        return the_identity_of_the_input + self.branch(\n"
        "            [first_of_the_features, second_of_the_features]\n"
        "        )"
    )


def test_a_ternary_gets_parentheses() -> None:
    value = (
        "Downsample(in_channels, out_channels, stride) "
        "if stride != 1 or in_channels != out_channels else nn.Identity()"
    )
    assert text(assign("self.shortcut", value, indent=8)) == (
        "        self.shortcut = (\n"
        "            Downsample(in_channels, out_channels, stride)\n"
        "            if stride != 1 or in_channels != out_channels\n"
        "            else nn.Identity()\n"
        "        )"
    )


def test_a_ternary_as_a_keyword_gets_none() -> None:
    value = "first_of_the_two_names if some_condition_holds_here else second_of_the_names"
    assert text(expression(f"function(argument, keyword={value})", indent=4)) == (
        "    function(\n"
        "        argument,\n"
        "        keyword=first_of_the_two_names\n"
        "        if some_condition_holds_here\n"
        "        else second_of_the_names,\n"
        "    )"
    )


def test_a_comprehension_breaks_before_for() -> None:
    element = 'Block(channels, channels, stride=1, name=f"{name}.block{index}")'
    value = f"[{element} for index in range(number_of_blocks)]"
    assert text(assign("blocks", value, indent=8)) == (
        "        blocks = [\n"
        '            Block(channels, channels, stride=1, name=f"{name}.block{index}")\n'
        "            for index in range(number_of_blocks)\n"
        "        ]"
    )


def test_a_short_method_chain_opens_its_last_brackets() -> None:
    pooled = "x.mean((2, 3), keepdim=the_value_of_the_keepdim_flag)"
    chain = f"{pooled}.flatten(the_first_dimension_to_flatten)"
    assert text(assign("x", chain, indent=8)) == (
        "        x = x.mean((2, 3), keepdim=the_value_of_the_keepdim_flag).flatten(\n"
        "            the_first_dimension_to_flatten\n"
        "        )"
    )


def test_a_longer_method_chain_breaks_before_its_dots() -> None:
    chain = "self.features_of_the_backbone(inputs).mean((2, 3)).flatten(1)"
    assert text(returns(chain, indent=32)) == (
        "                                return (\n"
        "                                    self.features_of_the_backbone(inputs)\n"
        "                                    .mean((2, 3))\n"
        "                                    .flatten(1)\n"
        "                                )"
    )


def test_parentheses_around_a_whole_value_are_dropped() -> None:
    assert returns("(a + b)") == ["return a + b"]
    assert returns("(a, b)") == ["return (a, b)"]
    assert returns("a, b") == ["return a, b"]
    assert if_header("(a)") == ["if a:"]


def test_a_condition_gets_parentheses() -> None:
    condition = "stride != 1 or in_channels != out_channels * expansion or project"
    lines = if_header(condition, indent=20)
    assert text(lines) == (
        "                    if (\n"
        "                        stride != 1\n"
        "                        or in_channels != out_channels * expansion\n"
        "                        or project\n"
        "                    ):"
    )
    assert if_header("x is None", indent=4) == ["    if x is None:"]
    fits = "a" * 40 + " == " + "b" * 40  # 84 columns, and 3 for `if :`
    assert if_header(fits) == [f"if {fits}:"]
    assert if_header(fits, keyword="elif")[0] == "elif ("


def test_loops() -> None:
    assert for_header("index, block", "enumerate(blocks)", indent=4) == [
        "    for index, block in enumerate(blocks):"
    ]
    iterable = "zip(the_first_of_the_sequences, the_second_of_them, strict=True)"
    assert text(for_header("first_of_the_pair, second", iterable, indent=4)) == (
        "    for first_of_the_pair, second in zip(\n"
        "        the_first_of_the_sequences, the_second_of_them, strict=True\n"
        "    ):"
    )


def test_function_headers() -> None:
    params = ["self", "in_channels: int", "out_channels: int", "stride: int = 1"]
    assert def_header("forward", ["self", "x: Tensor"], "Tensor", indent=4) == [
        "    def forward(self, x: Tensor) -> Tensor:"
    ]
    assert text(def_header("__init__", [*params, "bias: bool = True"], "None", indent=4)) == (
        "    def __init__(\n"
        "        self, in_channels: int, out_channels: int, stride: int = 1, "
        "bias: bool = True\n"
        "    ) -> None:"
    )
    assert text(def_header("__init__", [*params, "*", "groups: int = 1"], "None", indent=12)) == (
        "            def __init__(\n"
        "                self,\n"
        "                in_channels: int,\n"
        "                out_channels: int,\n"
        "                stride: int = 1,\n"
        "                *,\n"
        "                groups: int = 1,\n"
        "            ) -> None:"
    )
    assert def_header("build", []) == ["def build():"]


def test_targets_and_annotations() -> None:
    assert assign("n, c, h, w", "x.shape", indent=4) == ["    n, c, h, w = x.shape"]
    assert assign("widths", "[64]", annotation="list[int]") == ["widths: list[int] = [64]"]


# ------------------------------------------------------------------------------------------
# Comments and prose
# ------------------------------------------------------------------------------------------


def test_a_short_comment_stands_beside() -> None:
    assert assign("x", "self.stem(x)", indent=8, comment="56 x 56") == [
        "        x = self.stem(x)  # 56 x 56"
    ]


def test_a_long_comment_stands_above() -> None:
    comment = "a comment of quite some length about the shape of x"
    assert assign("x", "self.features(x, and_more)", indent=8, comment=comment) == [
        f"        # {comment}",
        "        x = self.features(x, and_more)",
    ]
    assert assign("self.conv", CONV, indent=8, comment="broken")[0] == "        # broken"
    many = comment_lines("word " * 60, indent=8)
    assert len(many) > 1
    assert all(line.startswith("        # word") and len(line) <= 88 for line in many)


def test_wrap() -> None:
    assert wrap("Some words to fill.", 14, 4) == ["    Some words", "    to fill."]
    assert wrap("One line\nand more.\n\nA new\n  kept as it is\nEnd.", 30, 2) == [
        "  One line and more.",
        "",
        "  A new",
        "    kept as it is",
        "  End.",
    ]
    assert wrap("  far too long a line", 12, 0) == ["  far too", "  long a", "  line"]
    assert wrap("abcdefghij", 4, 0) == ["abcd", "efgh", "ij"]
    assert wrap("", 88, 4) == []


@given(st.text("ab \n", max_size=80), st.integers(3, 20), st.integers(0, 8))
def test_wrap_keeps_the_width_and_every_letter(prose: str, width: int, indent: int) -> None:
    lines = wrap(prose, width, indent)
    assert all(len(line) <= max(width, indent + 1) and line == line.rstrip() for line in lines)
    assert "".join("".join(lines).split()) == "".join(prose.split())


# ------------------------------------------------------------------------------------------
# Anything at all, compared with the formatter
# ------------------------------------------------------------------------------------------

NAMES = ["x", "y", "stride", "bias", "self.conv", "self.downsample", "nn.ReLU", "in_channels"]
NAMES += ["out_channels", "number_of_classes", "branch_1x1_out_channels", "None", "True", "1"]
NAMES += ["branch_pool_projection_out_channels", "0.001", "1e-05"]
NAMES += ["self.feature_extractor.stage_three.block_number_seven"]
STRINGS = ['"same"', 'f"{name}.conv"', 'f"{name}.a_longer_name_of_a_layer.bn"', '"SiLU"', "..."]
FUNCTIONS = ["nn.Conv2d", "nn.BatchNorm2d", "nn.Sequential", "torch.cat", "layers.Conv2D", "f"]
FUNCTIONS += ["self.make_layer", "torch.nn.functional.adaptive_avg_pool2d"]
KEYWORDS = ["kernel_size", "stride", "padding", "bias", "dim", "name", "kernel_initializer"]
OPERATORS = ["+", "-", "*", "//", "/", "%", "**", "and", "or", "==", "<", "is not", "in", "|", "@"]
TEXTS = ["x.shape[0]", "2 * channels", "-1", "(3, 3)", "x if bias else y", "f(x)[0].y", "x[:, 1:]"]


class _Fuzz:
    """Random trees and statements, in proportions like those of generated networks."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def name(self) -> Node:
        pool = self.random.choice([NAMES, NAMES, NAMES, STRINGS, TEXTS])
        return read(self.random.choice(pool))

    def nodes(self, depth: int, low: int, high: int) -> tuple[Node, ...]:
        return tuple(self.node(depth) for _ in range(self.random.randint(low, high)))

    def node(self, depth: int) -> Node:
        if depth <= 0 or self.random.random() < 0.15:
            return self.name()
        makers = [self.call] * 6 + [
            self.layer,
            self.layer,
            self.chain,
            self.chain,
            self.collection,
            self.collection,
            self.operation,
            self.operation,
            self.operation,
            self.unary,
            self.ternary,
            self.ternary,
            self.subscript,
            self.comprehension,
        ]
        return self.random.choice(makers)(depth - 1)

    def call(self, depth: int) -> Call:
        args = self.nodes(depth, 0, 3)
        if self.random.random() < 0.05:
            args = (*args, Starred(self.node(depth)))
        names = self.random.sample(KEYWORDS, self.random.randint(0, 4))
        keywords = [Keyword(name, self.node(depth - 1)) for name in names]
        return Call(Name(self.random.choice(FUNCTIONS)), (*args, *keywords))

    def layer(self, depth: int) -> Call:
        return Call(self.call(depth), self.nodes(depth, 0, 2))

    def chain(self, depth: int) -> Node:
        link: Node = self.call(depth) if self.random.random() < 0.7 else self.node(depth)
        for _ in range(self.random.randint(1, 3)):
            link = Attribute(link, self.random.choice(["mean", "flatten", "T", "shape"]))
            if self.random.random() < 0.7:
                link = Call(link, self.nodes(depth - 1, 0, 2))
        return link

    def collection(self, depth: int) -> Node:
        items = self.nodes(depth, 0, 5)
        match self.random.randrange(5):
            case 0:
                keys = (Name('"key"'), Name("key_number_two"), None)
                return Dict(tuple((self.random.choice(keys), item) for item in items))
            case 1 | 2:
                return Tuple(items)
            case _:
                return List(items)

    def operation(self, depth: int) -> Node:
        return Operation(self.random.choice(OPERATORS), self.nodes(depth, 2, 5))

    def unary(self, depth: int) -> Node:
        operators = ("not", "-", "~")
        return Unary(self.random.choice(operators), self.node(depth))

    def ternary(self, depth: int) -> Node:
        return Ternary(self.node(depth), self.node(depth), self.node(depth))

    def subscript(self, depth: int) -> Node:
        return Subscript(self.node(depth), self.nodes(depth, 1, 3))

    def comprehension(self, depth: int) -> Node:
        kind = self.random.choice(("list", "generator", "generator", "set"))
        conditions = self.nodes(depth - 1, 0, 1)
        element, iterable = self.node(depth), self.node(depth)
        target = self.random.choice(["x", "key, value"])
        loop = Comprehension(element, target, iterable, conditions, kind)
        return call("sum", loop) if self.random.random() < 0.5 else loop

    def statement(self, indent: int) -> list[str]:
        depth = self.random.choice([1, 1, 2, 2, 3, 4])
        tree = self.node(depth)
        value = flat(Parens(tree) if self.random.random() < 0.02 else tree)
        comment = self.random.choice(
            [None, None, "56 x 56", "a comment that is rather long, or two of them " * 2]
        )
        inside = [f"{' ' * (indent + 4)}pass"]
        match self.random.randrange(12):
            case 0 | 1:
                if self.random.random() < 0.3:
                    value = flat(Tuple(self.nodes(depth, 1, 3), bare=True))
                return returns(value, indent=indent)
            case 2:
                return expression(value, indent=indent)
            case 3:
                return if_header(value, indent=indent) + inside
            case 4:
                return for_header(self.random.choice(["x", "a, b"]), value, indent=indent) + inside
            case 5:
                return self.definition(indent) + inside
            case 6:
                return self.annotated(self.stable(tree), indent)
            case 7:
                target = flat(Subscript(self.name(), self.nodes(0, 1, 2)))
                target = target if target[0].isalpha() else "a, b"
                target = self.random.choice(["n, c, h, w", "self.a, b", "cache[0]", target])
                if target.startswith(("None", "True", 'f"')):
                    target = "x[1]"
                return assign(target, self.stable(tree), indent=indent)
            case _:
                target = self.random.choice(
                    ["x", "self.conv", "self.block_number_seven.projection"]
                )
                return assign(target, value, indent=indent, comment=comment)

    def stable(self, tree: Node) -> str:
        """A value for a target that can break itself.

        For these the formatter is not stable where several pairs of brackets follow one another:
        its first pass agrees with the layout, and a second one changes what the first one made.
        """
        link, pairs = tree, 0
        while isinstance(link, Call | Subscript | Attribute):
            pairs += not isinstance(link, Attribute)
            link = link.value if isinstance(link, Subscript | Attribute) else link.func
        return flat(tree if pairs < 2 else call("f", tree))

    def definition(self, indent: int) -> list[str]:
        pool = ["x: Tensor", "stride: int = 1", "in_channels: int", "norm_layer=nn.BatchNorm2d"]
        count = self.random.randint(0, 7)
        params = [f"p{index}_{self.random.choice(pool)}" for index in range(count)]
        params.sort(key=lambda param: "=" in param)
        if count > 3 and self.random.random() < 0.5:
            params.insert(self.random.randint(1, count - 1), "*")
        annotations = [None, "None", "Tensor", "tuple[Tensor, Tensor]", "dict[str, int] | None"]
        name = self.random.choice(["f", "a_function_with_quite_a_long_name_" * 2])
        return def_header(name, params, self.random.choice(annotations), indent=indent)

    def annotated(self, value: str, indent: int) -> list[str]:
        annotations = ["int", "list[int]", "dict[str, tuple[int, ...]]", "Tensor | None"]
        annotation = self.random.choice(annotations)
        return assign("self.widths", value, indent=indent, annotation=annotation)

    def module(self, count: int) -> str:
        lines = ["def f():"]
        for _ in range(count):
            indent = self.random.choice([4, 4, 8])
            if indent == 8:
                lines.append("    if x:")
            statement = self.statement(indent)
            if statement[0].lstrip().startswith("def "):
                # The formatter wants blank lines around these, which are not the layout's.
                lines += ["", *statement, ""]
            else:
                lines += statement
        return "\n".join(lines).rstrip("\n").replace("\n\n\n", "\n\n") + "\n"


# The same examples in every run; with LAYOUT_EXAMPLES=500, say, as many others as that.
MORE = os.environ.get("LAYOUT_EXAMPLES")


@settings(max_examples=int(MORE or 8), derandomize=MORE is None, deadline=None)
@given(st.integers(0, 2**63))
def test_the_formatter_changes_nothing(seed: int) -> None:
    source = _Fuzz(seed).module(60)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SyntaxWarning)  # 1[2] is code too
        compile(source, "generated", "exec")
    assert formatter_diff(source) == ""


def test_a_tree_is_read_back() -> None:
    fuzz = _Fuzz(2)
    for _ in range(300):
        tree = fuzz.node(3)
        assert type(read(flat(tree))) is type(tree), flat(tree)
        assert flat(read(flat(tree))) == flat(tree)


def test_no_line_ends_in_a_space() -> None:
    assert all(line == line.rstrip() for line in _Fuzz(1).module(200).splitlines())


def test_large_statements_take_linear_time() -> None:
    def seconds(size: int) -> float:
        value = f"nn.Sequential({', '.join([CONV] * size)})"
        read.cache_clear()
        start = time.process_time()
        assign("self.layers", value, indent=8)
        return time.process_time() - start

    seconds(10)
    assert min(seconds(1600) for _ in range(2)) < 20 * max(seconds(200), 0.005)


def test_deep_nests_take_no_time() -> None:
    value = "x"
    for _ in range(40):
        value = f"nn.Sequential({value}, stride)"
    start = time.process_time()
    lines = assign("self.layers", value, indent=8)
    assert len(lines) > 80
    assert time.process_time() - start < 1
