"""Statements of Python on one line each: where lines break is the formatter's matter."""

from __future__ import annotations

from collections.abc import Sequence

from incgen.targets.shared.prose import LINE_LENGTH, comment_lines


def assign(
    target: str,
    value: str,
    *,
    indent: int = 0,
    annotation: str | None = None,
    comment: str | None = None,
) -> list[str]:
    """Write an assignment: ``assign("x", "self.conv(x)", indent=8)``.

    The comment stands behind it if there is room, else above.
    """
    head = target if annotation is None else f"{target}: {annotation}"
    line = f"{' ' * indent}{head} = {value}"
    if not comment:
        return [line]
    beside = f"{line}  # {comment}"
    if len(beside) <= LINE_LENGTH:
        return [beside]
    return [*comment_lines(comment, indent=indent), line]


def returns(value: str, *, indent: int = 0) -> list[str]:
    """Write a return statement: ``returns("x + residual", indent=8)``."""
    return [f"{' ' * indent}return {value}"]


def expression(value: str, *, indent: int = 0) -> list[str]:
    """Write an expression that is a statement: ``expression("super().__init__()", indent=8)``."""
    return [" " * indent + value]


def def_header(
    name: str, params: Sequence[str], returned: str | None = None, *, indent: int = 0
) -> list[str]:
    """Write the first line of a function: ``def_header("f", ["x: int"], "int")``."""
    arrow = "" if returned is None else f" -> {returned}"
    return [f"{' ' * indent}def {name}({', '.join(params)}){arrow}:"]


def if_header(condition: str, *, indent: int = 0, keyword: str = "if") -> list[str]:
    """Write the head of an `if`: ``if_header("stride == 1", indent=8)``; also of an `elif`."""
    return [f"{' ' * indent}{keyword} {condition}:"]


def for_header(target: str, iterable: str, *, indent: int = 0) -> list[str]:
    """Write the head of a for loop: ``for_header("block", "self.blocks", indent=8)``."""
    return [f"{' ' * indent}for {target} in {iterable}:"]
