"""Joins: the resulting shape, or which branches do not match and how they came about."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NoReturn

from incgen.base.diagnostics import Code, Note, Reporter, listed
from incgen.base.help import Change, Edit, Help, add, put
from incgen.base.source import Span
from incgen.graph.frames import uses_of
from incgen.graph.nodes import Node, Use
from incgen.graph.shapes import Borders, Shape
from incgen.language import expressions as ex
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
    source: int,
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
    elif first.is_map:
        steps = (element.body.steps[index] for index in pair)
        branches = [
            _Branch(name, step, nodes[results[index]].shape, _path(nodes, source, results[index]))
            for name, step, index in zip(names, steps, pair, strict=True)
        ]
        help_ = _matching(element.kind, branches, use) or help_
    report.refuse(
        Code.SHAPE_MISMATCH,
        notes[1].span,
        f"`{element.kind}` cannot join {names[0]} and {names[1]}: {how}",
        label=f"{second}, {names[0]} is {first}",
        notes=(*notes, *uses_of(use)),
        help=_outer_channels_help(nodes[results[pair[1]]], nodes, element.kind, first, use)
        or help_,
    )


@dataclass(frozen=True)
class _Branch:
    """A branch of a join."""

    name: str  #: What messages call it
    step: df.Step | df.Head
    shape: Shape  #: The shape of its result
    layers: list[tuple[Shape, Node]]  #: Its layers, each with the shape before it


def _path(nodes: Sequence[Node], source: int, value: int) -> list[tuple[Shape, Node]]:
    """Return the layers from the value that a branch begins with to its result, in order."""
    layers: list[tuple[Shape, Node]] = []
    while value != source and nodes[value].inputs:
        before = nodes[value].inputs[0]
        layers.append((nodes[before].shape, nodes[value]))
        value = before
    return layers[::-1]


def _matching(kind: str, branches: Sequence[_Branch], use: Use | None) -> Help | None:
    """Return what to type in which of two branches with maps."""
    small, large = sorted(branches, key=lambda b: (b.shape.height or 0) * (b.shape.width or 0))
    ratio = _ratio(large.shape, small.shape)
    if ratio is None:
        return _unpadded(small, large.shape, use)
    if kind == "concat":
        strided = (n for before, n in small.layers if n.shape.height != before.height)
        ops = dict.fromkeys(f"{n.op} {n.args.window}" for n in strided if "window" in n.args)
        by = listed([*ops]) if 0 < len(ops) < 3 else f"a stride of {ratio}"
        either = f"give {large.name} the same stride, or {small.name} a stride of 1"
        return Help(f"{small.name} is smaller by {by}: {either}")
    if ratio == 1:  # the value itself is what a shortcut adapts
        small, large = sorted(branches, key=lambda b: -len(b.layers))
    channels = _written_channels(small, use)
    conv = f"conv 1x1{f'/{ratio}' if ratio > 1 else ''} {channels or small.shape.channels}"
    element = large.step.element if isinstance(large.step, df.Step) else None
    if isinstance(element, df.OpCall) and element.op.name == "identity":
        help_, edits = f"write `{conv}` in place of `identity`", put(conv, over=element.span)
    else:
        help_ = f"end {large.name} with `{conv}`: `... -> {conv}`"
        edits = add(f"-> {conv}", behind=large.step.span)
    if ratio == 1 and large.layers:
        help_ += ", or write another number of channels"
    return Help(help_, *(edits if channels or use is None else ()))


def _ratio(large: Shape, small: Shape) -> int | None:
    """Return the stride that makes one map as small as another, or None if there is none."""
    assert large.height is not None and large.width is not None
    stride = round(large.height / (small.height or 1))
    sizes = (-(-large.height // stride), -(-large.width // stride))
    return stride if sizes == (small.height, small.width) else None


def _unpadded(branch: _Branch, wanted: Shape, use: Use | None) -> Help | None:
    """Return how a branch keeps the height and width that it loses at its borders."""
    lossy, start = list[Node](), branch.shape
    for before, node in branch.layers:
        if node.shape.sizes[1:] == before.sizes[1:]:
            continue
        if "pad" not in node.args or node.args.window.strided:
            lossy.clear()  # what is lost before counts for less
            start = node.shape
        else:
            start = start if lossy else before
            lossy.append(node)
    if not lossy or start.sizes[1:] != wanted.sizes[1:]:
        return None
    odd = all(side % 2 for node in lossy for side in node.args.window.kernel)
    word = "half" if odd else "same"
    changes = []
    for node in lossy:
        pad = node.call.args["pad"] if node.call is not None else None
        said = pad.span if isinstance(pad, ex.Literal) else None
        changes.append(Change(word, said) if said else Change(f" pad={word}", node.span, True))
    layers = [*dict.fromkeys(f"{n.op} {n.args.window}" for n in lossy)][:_MAX_HISTORY]
    keep = "keeps" if len(layers) == 1 else "keep"
    help_ = f"with `pad={word}`, {listed(layers)} in {branch.name} {keep} height and width"
    own = all(node.use is use for node in lossy)
    return Help(help_, *([Edit(tuple(changes), f"Pad by `{word}`")] if own else []))


def _written_channels(branch: _Branch, use: Use | None) -> str | None:
    """Return the channels of a branch as its last layer that has some writes them."""
    for _, node in reversed(branch.layers):
        if "channels" in node.args and node.call is not None:
            given = node.call.args.get("channels")
            if node.use is not use and node.use is not None and node.use.outer is use:
                given = node.use.given.get("channels")  # by a use of a unit
            elif node.use is not use:
                return None
            if isinstance(given, ex.Literal | ex.Parameter) and given.span is not None:
                return given.span.text
            return None
    return None


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
