"""Expressions: values, folding, printing and what has no value."""

from __future__ import annotations

import pytest

from incgen.language.arithmetic import EvaluationError, Value, apply
from incgen.language.evaluation import evaluate
from incgen.language.expressions import (
    Binary,
    Choice,
    Dimension,
    Expression,
    Literal,
    Parameter,
    Tuple,
    Unary,
    as_truth,
    binary,
    called,
    children,
    choice,
    depth,
    lift,
    substitute,
    unary,
)
from incgen.language.printing import python
from incgen.syntax.parser import parse_value

C, N = Parameter("c"), Parameter("n")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1 + 2 * 3", 7),
        ("(1 + 2) * 3", 9),
        ("7 // 2", 3),
        ("-7 // 2", -4),  # rounds down, as Python does
        ("7 % 4", 3),
        ("7 / 2", 3.5),
        ("6 / 2", 3.0),
        ("10 - 3 - 2", 5),  # from the left
        ("2 - -3", 5),
        ("1 < 2", True),
        ("2 <= 1", False),
        ("1 == 1.0", True),
        ("1 != 2 and 2 > 1", True),
        ("not 1 == 1 or true", True),  # `not` binds weaker than `==`, stronger than `or`
        ("false and 1 // 0 == 1", False),  # the right side is not looked at
        (".5 + 5.", 5.5),
        ("1e3", 1000.0),
    ],
)
def test_values(text: str, expected: Value) -> None:
    value = evaluate(parse_value(text), {}, {})

    assert value == expected
    assert type(value) is type(expected)


def test_names_get_their_values_from_the_surroundings() -> None:
    expression = binary("+", binary("*", C, lift(4)), Dimension("height"))

    assert evaluate(expression, {"c": 3}, {"height": 5}) == 17
    with pytest.raises(EvaluationError, match="a vector has no `height`"):
        evaluate(expression, {"c": 3}, {"height": None})


@pytest.mark.parametrize(
    ("operator", "a", "b", "message"),
    [
        ("//", 1, 0, "`//` divides by zero"),
        ("%", 1, 0, "`%` divides by zero"),
        ("/", 1.5, 0.0, "`/` divides by zero"),
        ("*", 2**53, 2**53, "the result of `\\*` is beyond 1e18"),
        ("*", 1e15, 1e15, "is beyond 1e18"),
        ("+", "avg", 1, "`\\+` needs numbers, but `avg` is a word"),
        ("<", 1, "max", "needs numbers, but `max` is a word"),
        ("+", True, 1, "needs numbers, not `true`"),
        ("and", "avg", True, "`avg` is a word, neither true nor false"),
    ],
)
def test_what_has_no_value(operator: str, a: Value, b: Value, message: str) -> None:
    with pytest.raises(EvaluationError, match=message):
        apply(operator, a, b)


def test_words_can_be_compared() -> None:
    assert apply("==", "avg", "avg") is True
    assert apply("!=", "avg", "max") is True


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (C + 0, C),
        (0 + C, C),
        (C - 0, C),
        (C * 1, C),
        (1 * C, C),
        (C // 1, C),
        ((C + 2) + 3, Binary("+", C, Literal(5))),
        ((C + 2) - 3, Binary("-", C, Literal(1))),
        ((C - 2) + 2, C),
        ((1 + C) - 1, C),
        (1 + (C - 1) - 1, C - 1),
        (1 + (C - 1), C),
        (3 - (C - 1), 4 - C),
        (1 - (C + 1), -C),
        ((C + 1) + (N - 3), (C + N) - 2),
        ((C + 1) - (N + 1), C - N),
        (C + (N - 1), Binary("+", C, Binary("-", N, Literal(1)))),  # as it was written
        (binary("in", lift("half"), Tuple((lift("half"), lift("same")))), Literal(True)),
        (binary("in", lift(1), Tuple((lift("half"), lift("same")))), Literal(False)),
        (lift(2) * 3, Literal(6)),
        (-lift(2), Literal(-2)),
        (binary("==", C, C), Literal(True)),
        (unary("not", lift(False)), Literal(True)),
        (choice(lift(True), 1, 2), Literal(1)),
        (choice(binary("<", C, N), 2, 2), Literal(2)),
    ],
)
def test_folding(found: Expression, expected: Expression) -> None:
    assert found == expected


@pytest.mark.parametrize("expression", [C * lift(1.0), binary("/", C, lift(1)), C + lift(0.0)])
def test_a_float_is_never_folded_away(expression: Expression) -> None:
    assert type(evaluate(expression, {"c": 3}, {})) is float


@pytest.mark.parametrize(
    "expression",
    [
        binary("//", lift(1), lift(0)),
        binary(">", lift("avg"), lift(1)),
        unary("negative", lift("avg")),
        called("min", (lift("avg"), lift(1))),
        substitute(binary("+", C, N) * 2, {"c": lift(True), "n": lift(1)}, {}),
    ],
)
def test_a_fault_in_what_is_not_evaluated_is_none(expression: Expression) -> None:
    with pytest.raises(EvaluationError):
        evaluate(expression, {}, {})


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ((C + 1) * 2, "(c + 1) * 2"),
        (C * 2 + 1, "c * 2 + 1"),
        (C - (N - 1), "c - (n - 1)"),
        ((C - N) - 1, "c - n - 1"),
        (C // (N * 2), "c // (n * 2)"),
        (-(C + 1), "-(c + 1)"),
        (-C * 2, "-c * 2"),
        (Unary("not", Binary("==", C, N)), "c != n"),
        (Unary("not", Binary("and", C, N)), "not (c and n)"),
        (Binary("or", Binary("and", C, N), C), "c and n or c"),
        (Binary("==", Binary("==", C, N), C), "(c == n) == c"),
        (Choice(Binary("<", C, N), lift(1), C), "1 if c < n else c"),
        (Choice(Binary("<", C, N), lift(1), C) + 1, "(1 if c < n else c) + 1"),
        (binary("in", C, Tuple((lift(1), lift("same")))), 'c in (1, "same")'),
        (lift("avg"), '"avg"'),
        (lift(2.0), "2.0"),
    ],
)
def test_printing_as_python(expression: Expression, expected: str) -> None:
    assert python(expression) == expected


@pytest.mark.parametrize(
    "text", ["1 + 2 * 3 - 4", "(1 + 2) * (3 - 4)", "-(2 - 5) // 2", "2 - (3 - 4)"]
)
def test_what_is_printed_has_the_same_value(text: str) -> None:
    """Built without folding, so that printing has something to do."""
    expression = substitute(parse_value(text), {}, {})

    assert eval(python(parse_value(text))) == evaluate(expression, {}, {})


def test_substitution_simplifies() -> None:
    expression = binary("*", C + N, Dimension("channels"))

    assert substitute(expression, {"c": lift(2), "n": lift(1)}, {"channels": lift(4)}) == lift(12)
    assert substitute(expression, {"n": lift(0)}, {}) == binary("*", C, Dimension("channels"))


def test_depth_and_children() -> None:
    assert depth(C) == 0
    assert depth((C + N) * 2) == 2
    assert children(Choice(C, N, lift(1))) == (C, N, lift(1))


def test_equality_is_that_of_trees_without_places() -> None:
    assert parse_value("1 + n") == parse_value("1  +  (n)")
    assert parse_value("1 + n") != parse_value("n + 1")


def test_the_numbers_of_a_condition_are_compared_with_zero() -> None:
    flag = Parameter("flag")
    condition = binary("and", C - 1, binary("or", flag, binary("<", N, lift(3))))

    assert python(as_truth(condition, {"flag"})) == "c - 1 != 0 and (flag or n < 3)"
    assert python(as_truth(binary("and", C - 1, lift(True)), set())) == "c - 1 != 0"
    assert as_truth(flag, {"flag"}) == flag
