"""Joins: the resulting shape, or which branches do not match and how they came about."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NoReturn

from incgen.base.diagnostics import Code, Note, Reporter
from incgen.base.help import Change, Edit, Help, add, put
from incgen.base.source import Span
from incgen.graph.frames import uses_of
from incgen.graph.nodes import Node, Use
from incgen.graph.shapes import Borders, Shape
from incgen.resolve import definitions as df

#: How many layers a history shows.
_MAX_HISTORY = 4


def joined(kind: str, shapes: Sequence[Shape]) -> Shape | tuple[int, int]:
    """Return the shape of a join, or the indices of two branches that do not fit.

    `concat` joins channels; in `add` and `mul` a vector joins a map of as many channels.
    """
    first = shapes[0]
    if kind == "concat":
        for number, shape in enumerate(shapes):
            if (shape.height, shape.width) != (first.height, first.width):
                return 0, number
        return Shape(sum(shape.channels for shape in shapes), first.height, first.width)
    base = next((number for number, shape in enumerate(shapes) if shape.is_map), 0)
    for number, shape in enumerate(shapes):
        broadcast = not shape.is_map and shape.channels == shapes[base].channels
        if shape != shapes[base] and not broadcast:
            return min(base, number), max(base, number)
    return shapes[base]


def difference(kind: str, first: Shape, second: Shape) -> tuple[str, str]:
    """Return how the shapes of two branches differ, and what to type."""
    if first.is_map != second.is_map:
        if kind == "concat":
            only = "only `add` and `mul` spread one over the other"
            how = f"one is a map, the other a vector, and {only}"
            return how, "pool or flatten both branches, or neither"
        wanted = (first if first.is_map else second).channels
        return "their channels differ", f"end the vector branch with `dense {wanted}`"
    op = "a 1x1 `conv`" if first.is_map else "a `dense`"
    channels = f"the same number of channels, for example with {op}"
    how, help_ = "their channels differ", channels
    if (first.height, first.width) != (second.height, second.width):
        how, help_ = "their height and width differ", "the same strides and paddings"
        if kind != "concat" and first.channels != second.channels:
            how, help_ = "their shapes differ", f"{help_}, and {channels}"
    return how, f"give both branches {help_}"


def refuse_mismatch(
    element: df.Join,
    pair: tuple[int, int],
    results: Sequence[int],
    nodes: Sequence[Node],
    use: Use | None,
    report: Reporter,
) -> NoReturn:
    """Report two branches of a join that do not fit, and how each got its shape."""
    names, notes = [], []
    first, second = (nodes[results[index]].shape for index in pair)
    for index in pair:
        step = element.body.steps[index]
        assert isinstance(step, df.Step)
        name = f"`{step.label}`" if step.label else f"branch {index + 1}"
        names.append(name)
        came = history(nodes, results[index])
        notes.append(Note(f"{name}: {came}", _branch_span(step)))
    how, help_ = difference(element.kind, first, second)
    if element.kind != "concat" and first.is_map != second.is_map:
        dense = f"dense {(first if first.is_map else second).channels}"
        help_ = Help(help_, *_ended(nodes, results[pair[first.is_map]], dense))
    report.refuse(
        Code.SHAPE_MISMATCH,
        notes[1].span,
        f"`{element.kind}` cannot join {names[0]} and {names[1]}: {how}",
        label=f"{second}, {names[0]} is {first}",
        notes=(*notes, *uses_of(use)),
        help=_outer_channels_help(nodes[results[pair[1]]], nodes, element.kind, first, use)
        or help_,
    )


def _ended(nodes: Sequence[Node], value: int, dense: str) -> tuple[Edit, ...]:
    """Return the edit that ends a branch with a `dense`, in place of its last one."""
    last = node = nodes[value]
    while node.op != "dense" and node.inputs and nodes[node.inputs[0]].shape == node.shape:
        node = nodes[node.inputs[0]]
    if node.op == "dense":
        return put(dense, over=node.span)
    return add(f"-> {dense}", behind=last.span)


def _outer_channels_help(
    node: Node, nodes: Sequence[Node], kind: str, other: Shape, use: Use | None
) -> Help | None:
    """Return what to type if `channels` was meant to be those outside the branch."""
    while node.inputs and node.op not in ("dense", "conv"):
        node = nodes[node.inputs[0]]
    written = re.match(r"(dense|conv \S+) (channels)\b", node.span.text)
    if kind == "concat" or written is None or use is None:
        return None
    if node.use is not use or node.shape.channels == other.channels:
        return None
    block = use.definition
    names = [formal.name for formal in block.parameters]
    free = (name for name in ("c", "outer", "outer_channels") if name not in names)
    name = next(free, None)
    if name is None:
        return None
    parameters = _parameters(block)
    stated = " ".join(parameters.text.strip()[1:-1].split())
    head = ", ".join([*([stated] if stated else ()), f"{name} = channels"])
    start = node.span.start + written.start(2)
    changes = (
        Change(f"({head})", parameters),
        Change(name, Span(node.span.source, start, start + len("channels"))),
    )
    inside = f"`channels` is {node.shape.channels} there, that of the input of `{node.op}`"
    instead = f"name the outer ones, `block {block.name}({head})`, and write"
    call = f"{written[1]} {name}"
    return Help(f"{inside}; {instead} `{call}`", Edit(changes, f"Write `{call}`"))


def _parameters(block: df.Definition) -> Span:
    """Return the parentheses behind the name of a block with what they hold, or their place."""
    source, at = block.span.source, block.span.end
    depth = 0
    for place in range(at, len(source.text)):
        depth += {"(": 1, ")": -1}.get(source.text[place], 0)
        if source.text[place] in "{#" or (depth == 0 and source.text[place] == ")"):
            return Span(source, at, place + 1 if source.text[place] == ")" else at)
    return Span(source, at, at)


def _branch_span(step: df.Step) -> Span:
    """Return the label of a branch, or else its number."""
    if step.label is None:
        return step.span
    return Span(step.span.source, step.span.start, step.span.start + len(step.label))


def history(nodes: Sequence[Node], value: int) -> str:
    """Describe how a value got its shape: the last few layers that changed it."""
    parts = [str(nodes[value].shape)]
    node = nodes[value]
    while node.inputs:
        before = nodes[node.inputs[0]]
        if node.shape != before.shape or node.op == "concat":
            if len(parts) > 2 * _MAX_HISTORY:
                parts.append("...")
                break
            parts += [_described(node), str(before.shape)]
        node = before
    else:
        parts[-1] = f"input {parts[-1]}"
    return " -> ".join(reversed(parts))


def _described(node: Node) -> str:
    """Describe a layer by its op and the numbers that made its shape."""
    if "window" not in node.args:
        return f"`{node.op}`"
    window, around, dilation = node.args.window, node.args.borders, node.args.dilation
    padding = f"padding {_sides(around)}" if max(around[0] + around[1]) else "no padding"
    dilated = f", dilation {dilation}" if dilation > 1 else ""
    ceil = ", ceil" if node.args.get("ceil") else ""
    return f"`{node.op} {window}` ({padding}{dilated}{ceil})"


def _sides(around: Borders) -> str:
    sides = {*around[0], *around[1]}
    if len(sides) == 1:
        return str(sides.pop())
    return f"[{around[0][0]}, {around[0][1]}, {around[1][0]}, {around[1][1]}]"
