"""Statements as finished lines.

A statement that fits on its line is its text as it came. Only one that does not is read into a
tree, turned into a document and printed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import assert_never

from incgen.layout.builder import OUTSIDE, Builder, joined
from incgen.layout.documents import (
    LINE_LENGTH,
    Doc,
    FirstFit,
    Group,
    Indent,
    Line,
    When,
    print_lines,
    width,
)
from incgen.layout.nodes import (
    Attribute,
    Call,
    Comprehension,
    Dict,
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
from incgen.layout.parentheses import Need, has_brackets, need_of
from incgen.layout.prose import comment_lines
from incgen.layout.text import flat, read


def assign(
    target: str,
    value: str,
    *,
    indent: int = 0,
    annotation: str | None = None,
    comment: str | None = None,
) -> list[str]:
    """An assignment: ``assign("x", "self.conv(x)", indent=8)``.

    The comment stands behind it if there is room, else above.
    """
    head = target if annotation is None else f"{target}: {annotation}"
    line = f"{head} = {_unwrapped(value)}"
    lines = _statement(line, indent, lambda: _assignment(target, annotation, _whole(value)))
    if not comment:
        return lines
    beside = f"{lines[0]}  # {comment}"
    if len(lines) == 1 and width(beside) <= LINE_LENGTH:
        return [beside]
    return [*comment_lines(comment, indent=indent), *lines]


def returns(value: str, *, indent: int = 0) -> list[str]:
    """A return statement: ``returns("x + residual", indent=8)``."""
    return _statement(f"return {_unwrapped(value)}", indent, lambda: _return(_whole(value)))


def expression(value: str, *, indent: int = 0) -> list[str]:
    """An expression that is a statement: ``expression("super().__init__()", indent=8)``."""
    return _statement(_unwrapped(value), indent, lambda: _expression(_whole(value)))


def def_header(
    name: str, params: Sequence[str], returned: str | None = None, *, indent: int = 0
) -> list[str]:
    """The first line or lines of a function: ``def_header("f", ["x: int"], "int")``."""
    arrow = "" if returned is None else f" -> {returned}"
    line = f"def {name}({', '.join(params)}){arrow}:"
    return _statement(line, indent, lambda: _def(name, params, returned))


def if_header(condition: str, *, indent: int = 0, keyword: str = "if") -> list[str]:
    """The head of an if statement: ``if_header("stride == 1", indent=8)``; also of an `elif`."""
    line = f"{keyword} {_unwrapped(condition)}:"
    return _statement(line, indent, lambda: _if(keyword, _whole(condition)))


def for_header(target: str, iterable: str, *, indent: int = 0) -> list[str]:
    """The head of a for loop: ``for_header("block", "self.blocks", indent=8)``."""
    line = f"for {target} in {_unwrapped(iterable)}:"
    return _statement(line, indent, lambda: _for(target, _whole(iterable)))


def _statement(line: str, indent: int, document: Callable[[], Doc]) -> list[str]:
    """A statement on one line if that fits, else broken."""
    line = " " * indent + line
    return [line] if width(line) <= LINE_LENGTH else print_lines(document(), indent)


def _whole(value: str) -> Node:
    """The value of a statement; parentheses around it all are dropped, as the formatter does."""
    node = read(value)
    return node.value if isinstance(node, Parens) else node


def _unwrapped(value: str) -> str:
    """The same on one line."""
    return flat(_whole(value)) if value.startswith("(") else value


def _return(value: Node) -> Doc:
    builder = Builder()
    match value:
        case Tuple(items, True) if len(items) == 2:
            doc = builder.pair(items)
        case _:
            doc = builder.value(value)
    return ("return ", doc)


def _expression(value: Node) -> Doc:
    builder = Builder()
    match value:
        case Tuple(_, True) | Operation("|" | "^" | "<<" | ">>" | "+" | "-", _):
            return builder.value(value)
        case _:
            # Nothing adds parentheses here: only brackets that are already there can open.
            return builder.expression(value, OUTSIDE)


def _if(keyword: str, condition: Node) -> Doc:
    return (f"{keyword} ", Builder().value(condition), ":")


def _for(target: str, iterable: Node) -> Doc:
    builder = Builder()
    match read(target):
        case Tuple(items, True):
            doc = builder.optional_parens(lambda place: builder.items(items, place))
        case other:
            doc = builder.value(other)
    return ("for ", doc, " in ", builder.value(iterable), ":")


def _assignment(target: str, annotation: str | None, value: Node) -> Doc:
    builder = Builder()
    left = read(target)
    if annotation is not None:
        hint = read(annotation)
        if _is_splittable(hint):
            return (f"{target}: ", *_from_right(builder, hint, value))
        return (f"{target}: {annotation} = ", builder.value(value))
    if isinstance(left, Tuple) or has_brackets(left) is not None:
        return _from_right(builder, left, value)
    return (builder.expression(left, OUTSIDE), " = ", builder.value(value))


def _is_splittable(node: Node) -> bool:
    """Whether an annotation has places where a line can break."""
    match node:
        case Name():
            return False
        case Attribute(value, _) | Unary(_, value) | Starred(value, _):
            return isinstance(value, Parens) or _is_splittable(value)
        case Call(_, items) | List(items) | Tuple(items) | Dict(items):
            return bool(items)
        case Parens() | Subscript() | Operation() | Ternary() | Comprehension():
            return True
        case _:
            assert_never(node)


def _from_right(builder: Builder, left: Node, value: Node) -> tuple[Doc, ...]:
    """An assignment to something that could break itself, but only once the value has to."""
    before = _target(builder, left)
    is_chain = isinstance(value, Call | Subscript | Attribute)
    is_word = isinstance(value, Name) and value.text != "..."
    if not (is_word or (is_chain and need_of(value) is Need.IF_FITTING)):
        return (before, " = ", builder.value(value))
    doc = builder.expression(value, OUTSIDE)
    opened: Doc = ("(", Group((Indent((Line.SOFT, doc)), Line.SOFT), expand=True), ")")
    layouts: list[Doc] = [
        (before, " = ", doc),
        (before, " = ", opened),
        (Group(before, expand=True), " = ", doc),
    ]
    if is_chain:
        layouts.insert(1, (before, " = ", Group(doc, expand=True)))
    return (FirstFit(tuple(layouts)),)


def _target(builder: Builder, left: Node) -> Doc:
    """What stands left of the equals sign."""
    if isinstance(left, Tuple) and left.bare:
        return builder.value(left)
    if has_brackets(left) is not None or _opens(left):
        return builder.expression(left, OUTSIDE)
    return builder.value(left, Need.IF_BROKEN)


def _opens(node: Node) -> bool:
    """Whether an attribute belongs to something with brackets."""
    match node:
        case Attribute(value, _):
            return has_brackets(value) is not None or _opens(value)
        case _:
            return has_brackets(node) is True


def _def(name: str, params: Sequence[str], returned: str | None) -> Doc:
    builder = Builder()
    arrow: Doc = () if returned is None else (" -> ", _returned(builder, read(returned), params))
    return (f"def {name}", Group((_parameters(params), arrow)), ":")


def _parameters(params: Sequence[str]) -> Doc:
    if not params:
        return "()"
    content: Doc = (joined(params), When(","))
    # Several parameters may share a line of their own; a single one gets its comma there.
    inside = Group(content) if len(params) > 1 else content
    return ("(", Indent((Line.SOFT, inside)), Line.SOFT, ")")


def _returned(builder: Builder, node: Node, params: Sequence[str]) -> Doc:
    """The annotation of what a function returns: parameters break before it does."""
    need = need_of(node)
    if isinstance(node, Subscript) and need is Need.IF_FITTING:
        need = Need.NEVER if params else Need.IF_BROKEN
    return builder.value(node, need, always_grouped=not params)
