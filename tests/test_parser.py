"""Text to syntax tree: small texts with their expected trees."""

from __future__ import annotations

from unicodedata import category

import pytest

from incgen.base.diagnostics import SpecError
from incgen.base.source import SourceFile, Span
from incgen.language import expressions as ex
from incgen.syntax import tree as st
from incgen.syntax.parser import parse

NOWHERE = Span(SourceFile("none", ""), 0, 0)


def parsed(text: str) -> st.Spec:
    return parse(SourceFile("test.inc", text))


def item(text: str) -> st.Item:
    (only,) = parsed(text).items
    return only


def body(text: str) -> tuple[st.Statement | st.Input | st.Aux, ...]:
    block = item(f"block b() {{\n{text}\n}}")
    assert isinstance(block, st.Block)
    return block.body.statements


def statement(text: str) -> st.Statement:
    (only,) = body(text)
    assert isinstance(only, st.Statement)
    return only


def call(text: str) -> st.Call:
    (only,) = statement(text).elements
    assert isinstance(only, st.Call)
    return only


def name(text: str) -> st.Identifier:
    return st.Identifier(text, span=NOWHERE)


def window(*parts: int | None) -> st.Window:
    height, width, high, wide = (ex.Literal(part) if part is not None else None for part in parts)
    assert height is not None and width is not None
    return st.Window(height, width, high, wide, span=NOWHERE)


# ---------------------------------------------------------------- items


def test_an_empty_file_and_one_of_comments() -> None:
    assert parsed("") == st.Spec((), "", "")
    assert parsed("\n\n# nothing\n\n").items == ()


def test_every_kind_of_item() -> None:
    spec = parsed(
        "numerics caffe\ndefault conv bias=false\nlet k = 3\nunit u = conv -> bn\n"
        'use a, b from "x.inc"\nblock c(n, m = 1) { relu }\nnetwork d { relu }\n'
    )

    assert [type(i).__name__ for i in spec.items] == [
        "Numerics",
        "Default",
        "Constant",
        "Unit",
        "Use",
        "Block",
        "Network",
    ]
    use, block = spec.items[4], spec.items[5]
    assert isinstance(use, st.Use) and isinstance(block, st.Block)
    assert use.names == (name("a"), name("b"))
    assert use.path.value == "x.inc"
    assert block.parameters == (
        st.Parameter(name("n"), None, span=NOWHERE),
        st.Parameter(name("m"), ex.Literal(1), span=NOWHERE),
    )


# ---------------------------------------------------------------- statements


def test_a_chain_with_a_label() -> None:
    chain = statement("a: from b -> relu -> tanh")

    assert (chain.label, chain.origin) == (name("a"), name("b"))
    assert [e.name.text for e in chain.elements if isinstance(e, st.Call)] == ["relu", "tanh"]


def test_a_line_that_begins_with_an_arrow_continues_the_one_before() -> None:
    assert statement("a: relu\n   -> tanh\n\n  # a comment between\n   -> relu") == statement(
        "a: relu -> tanh -> relu"
    )


def test_newlines_inside_brackets_are_nothing() -> None:
    assert call("conv 3x3 (\n1 +\n2\n) pad=[\n1, 2,\n3, 4,\n]") == call(
        "conv 3x3 (1 + 2) pad=[1, 2, 3, 4]"
    )


def test_a_semicolon_ends_a_statement() -> None:
    assert body("a: relu; tanh;; add { relu; tanh };") == body("a: relu\ntanh\nadd { relu\ntanh }")
    with pytest.raises(SpecError, match="no op before this `->`"):
        body("a: relu; -> tanh")


def test_a_block_without_parameters_needs_no_parentheses() -> None:
    assert item("block b { relu }") == item("block b() { relu }")


def test_joins_groups_and_repeats_hold_bodies() -> None:
    (join,) = statement("concat { relu\ntanh }").elements
    (group,) = statement("{ relu }").elements
    (repeat,) = statement("repeat n + 1 { relu }").elements

    assert isinstance(join, st.Join) and join.kind == "concat"
    assert len(join.body.statements) == 2
    assert isinstance(group, st.Group)
    assert isinstance(repeat, st.Repeat)
    assert repeat.count == ex.Binary("+", ex.Name("n"), ex.Literal(1))


def test_else_if_is_an_else_with_one_if_in_it() -> None:
    short = statement("if a { relu } else if b { tanh } else { gelu erf }")
    long = statement("if a { relu } else { if b { tanh } else { gelu erf } }")
    (outer,) = short.elements

    assert short == long
    assert isinstance(outer, st.Conditional) and outer.otherwise is not None


def test_else_may_stand_on_the_next_line() -> None:
    assert statement("if a { relu }\nelse { tanh }") == statement("if a { relu } else { tanh }")


def test_words_of_the_language_may_begin_a_longer_name() -> None:
    for text in ("input_1", "repeated", "concatenate", "ifs", "add_1", "orders", "truely"):
        assert call(text).name == name(text)


# ---------------------------------------------------------------- arguments


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("3x5", (3, 5, None, None)),
        ("3x5/2", (3, 5, 2, 2)),
        ("3x5/2x1", (3, 5, 2, 1)),
        ("{3}x{5}/{2}", (3, 5, 2, 2)),
        ("11x11/4", (11, 11, 4, 4)),
    ],
)
def test_windows(text: str, expected: tuple[int | None, ...]) -> None:
    assert call(f"conv {text}").positional == (window(*expected),)


def test_a_window_of_expressions() -> None:
    (argument,) = call("conv 1x{n * 2}/{s}").positional

    assert isinstance(argument, st.Window)
    assert argument.height == ex.Literal(1)
    assert argument.width == ex.Binary("*", ex.Name("n"), ex.Literal(2))
    assert argument.stride_height == argument.stride_width == ex.Name("s")


def test_kinds_of_arguments() -> None:
    node = call("op 1 2.5 true avg (c * 2) a=-1 b=3x3 c=[1, -2] d=normal(0.01)")

    assert node.positional == (
        ex.Literal(1),
        ex.Literal(2.5),
        ex.Literal(True),
        ex.Name("avg"),
        ex.Binary("*", ex.Name("c"), ex.Literal(2)),
    )
    assert [attribute.name.text for attribute in node.attributes] == ["a", "b", "c", "d"]
    assert [attribute.value for attribute in node.attributes] == [
        ex.Literal(-1),
        window(3, 3, None, None),
        st.Items((ex.Literal(1), ex.Literal(-2)), span=NOWHERE),
        st.Applied("normal", (ex.Literal(0.01),), span=NOWHERE),
    ]


def test_the_input_line() -> None:
    (line,) = body("input 224x{w} 3 order=bgr range=[0, 255]")

    assert isinstance(line, st.Input)
    assert line.size.width == ex.Name("w")
    assert line.channels == ex.Literal(3)
    assert [attribute.name.text for attribute in line.attributes] == ["order", "range"]


# ---------------------------------------------------------------- comments


def test_doc_comments_belong_to_what_follows() -> None:
    spec = parsed(
        "## The file,\n## in two lines.\n\n## A block\nblock b() {\n    ## Its first line.\n"
        "    a: relu  ## not this one\n\n    ## Two\n    ## lines.\n    tanh\n}\n"
    )
    (block,) = spec.items
    assert isinstance(block, st.Block)
    first, second = block.body.statements

    assert spec.doc == "The file,\nin two lines."
    assert block.doc == "A block"
    assert isinstance(first, st.Statement) and first.doc == "Its first line."
    assert isinstance(second, st.Statement) and second.doc == "Two\nlines."


def test_a_doc_comment_directly_above_the_first_item_is_that_items() -> None:
    spec = parsed("## A block\nblock b() { relu }")

    assert spec.doc == ""
    assert isinstance(spec.items[0], st.Block) and spec.items[0].doc == "A block"


def test_an_empty_line_ends_a_doc_comment() -> None:
    block = parsed("let k = 1\n## Not of the block\n\nblock b() { relu }").items[1]

    assert isinstance(block, st.Block) and block.doc == ""


@pytest.mark.parametrize("lines", ["# a\n## X\n## Y", "## X\n# a\n## Y", "## X\n## Y\n# a"])
def test_a_plain_comment_beside_a_doc_comment_takes_nothing_away(lines: str) -> None:
    block = parsed(f"let k = 1\n{lines}\nblock b() {{ relu }}").items[1]
    spec = parsed(f"{lines}\n\nblock b() {{ relu }}")

    assert isinstance(block, st.Block) and block.doc == "X\nY"
    assert spec.doc == "X\nY"
    assert spec.header == ("a" if lines.startswith("# a") else "")


@pytest.mark.parametrize(
    ("head", "header", "doc"),
    [
        ("# A\n#B\n\n## D\n\n", "A\nB", "D"),
        ("\n\n# A\n\n\n# B\n\n\n## D\n\n", "A\n\n\nB", "D"),
        ("# A\n", "A", ""),
        ("## D\n# not in front\n\n# nor this\n", "", "D"),
        ("", "", ""),
    ],
)
def test_the_plain_comment_in_front_of_everything_is_the_header(
    head: str, header: str, doc: str
) -> None:
    spec = parsed(f"{head}numerics caffe\n# elsewhere\n")

    assert (spec.header, spec.doc) == (header, doc)


def test_the_doc_comment_of_the_first_item_is_its_own_behind_a_header() -> None:
    spec = parsed("# A\n\n## Of the block\nblock b() { relu }")

    assert (spec.header, spec.doc) == ("A", "")
    assert isinstance(spec.items[0], st.Block) and spec.items[0].doc == "Of the block"


#: What cannot be shown: control and format characters, blanks, ends of lines, and some surrogates,
#: private and unassigned characters.
INVISIBLE = [
    *(c for c in map(chr, range(0x110000)) if category(c) in ("Cc", "Cf", "Zs", "Zl", "Zp")),
    *"\ud800\udfff\ue000\U0010fffd\u0378\uffff\U0010ffff",
]


def test_what_cannot_be_shown_of_a_comment_goes_no_further() -> None:
    assert len(INVISIBLE) > 200
    for c in set(INVISIBLE) - {"\n", " "}:
        head = f"## {c}\n##{c}\n##\n## {c}A{c}b{c}\n##\n## {c}{c}\n\n"
        spec = parsed(f"#{c}\n#{c} C\n{head}")
        assert (spec.header, spec.doc) == ("C", "A b"), f"U+{ord(c):04X}"
        assert parsed(f"## {c}\n#{c}").doc == ""


def test_a_doc_comment_may_hold_anything() -> None:
    text = 'a """ \\N{BULLET} {{ x }} \' ` #'
    (block,) = parsed(f"## {text}\nblock b() {{ relu }}").items

    assert isinstance(block, st.Block) and block.doc == text


# ---------------------------------------------------------------- equality and places


def test_trees_are_equal_if_they_say_the_same() -> None:
    one = "block b(n) {\n    a: conv 3x3 (n * 2)   # wide\n        -> relu\n}\n"
    other = "\n\n\nblock b( n , ) { a : conv 3x3 ((n*2)) -> relu }"

    assert parsed(one) == parsed(other)
    assert parsed(one) != parsed(one.replace("relu", "tanh"))
    assert parsed(one) != parsed(one.replace("n * 2", "2 * n"))
    assert parsed(one) != parsed("## doc\n" + one)


def test_places() -> None:
    source = SourceFile("test.inc", "let k = 3\nblock b() {\n    a: conv {k + 1}x3 8\n}\n")
    block = parse(source).items[1]
    assert isinstance(block, st.Block)
    chain = block.body.statements[0]
    assert isinstance(chain, st.Statement) and chain.label is not None
    (conv,) = chain.elements
    assert isinstance(conv, st.Call)
    first = conv.positional[0]
    assert isinstance(first, st.Window) and first.height.span is not None

    assert (block.name.span.line, block.name.span.column) == (2, 7)
    assert chain.label.span.text == "a"
    assert conv.span.text == "conv {k + 1}x3 8"
    assert first.height.span.text == "k + 1"
    assert (first.height.span.line, first.height.span.column) == (3, 14)
