"""A network as a readable table and as JSON.

The rows are the labels, nested as they are in keys. A unit is one row, because it is one word in
the spec; its layers are shown on request.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from incgen.base.diagnostics import plain
from incgen.graph.nodes import Graph, Node, Use
from incgen.graph.shapes import Borders, Shape, Window, effective
from incgen.language.initializers import Initializer
from incgen.language.ops import OPS, Argument, Kind, Op
from incgen.language.printing import spec_value

_HEADINGS = ("layer", "op", "output", "parameters", "multiply-adds")
_INDENT = "  "
_GAP = "   "
#: Longer columns are cut: a table that wraps cannot be read.
_WIDEST = (36, 34)
#: Attributes that say what a layer is, and are told unless they are 1; see `is_told` for the
#: arguments given by position.
TOLD = ("groups", "dilation", "multiplier")


@dataclass(slots=True)
class Group:
    """A part of the tree of keys: a layer, a unit, a block, or anything with a label."""

    name: str  #: The last part of its key
    op: str = ""  #: A short description
    shape: Shape | None = None  #: The shape of the output
    parameters: int = 0  #: Trained ones, of everything inside
    multiply_adds: int = 0  #: The multiply-adds of everything inside
    unit: bool = False  #: Whether it is a unit, which is shown as one row
    children: list[Group] = field(default_factory=list)  #: The groups inside
    groups: dict[str, Group] = field(default_factory=dict)

    def add(self, node: Node) -> None:
        """Add a layer that is somewhere inside."""
        self.shape = node.shape
        self.parameters += node.parameters
        self.multiply_adds += node.multiply_adds


def table(graph: Graph, *, depth: int | None = None, everything: bool = False) -> str:
    """Format a network as a table of so many levels of labels, all if None."""
    rows: list[tuple[str, ...]] = [_HEADINGS]
    for level, group in _walk(tree(graph), 0, depth, everything):
        rows.append(_row(_INDENT * level + group.name, group))
    total = ("total", "", "", f"{graph.trained:,}", f"{graph.multiply_adds:,}")
    widths = [max(map(len, column)) for column in zip(*rows, total, strict=True)]
    lines = [_aligned(row, widths) for row in (*rows, total)]
    rule = "-" * max(map(len, lines))
    body = [lines[0], rule, *lines[1:-1], rule, lines[-1]]
    return "\n".join([*_heading(graph), "", *body, "", *_summary(graph)]) + "\n"


def tree(graph: Graph) -> Group:
    """Group the layers of a graph by their keys, with sums for each group."""
    root = Group(graph.program.network.name)
    for node in graph.nodes:
        uses = {use.path: use for use in node.uses()}  # of one key, the outer one
        group, key = root, ""
        root.add(node)
        *above, name = node.path.split(".")
        for part in above:
            key = f"{key}.{part}" if key else part
            if part not in group.groups:
                group.groups[part] = Group(part)
                group.children.append(group.groups[part])
                _describe(group.groups[part], uses.get(key), node)
            group = group.groups[part]
            group.add(node)
        leaf = Group(name, "" if node.op == "input" else described(node))
        leaf.add(node)
        group.children.append(leaf)
    return root


def _describe(group: Group, use: Use | None, first: Node) -> None:
    """Describe a group by the first layer in it."""
    if use is None:
        return
    group.op = use.definition.name
    group.unit = use.definition.kind == "unit"
    if group.unit:
        _, _, arguments = described(first).partition(" ")
        group.op = f"{group.op} {arguments}".rstrip()


def _walk(
    group: Group, level: int, depth: int | None, everything: bool
) -> Iterator[tuple[int, Group]]:
    if depth is not None and level >= depth:
        return
    for child in group.children:
        yield level, child
        if everything or not child.unit:
            yield from _walk(child, level + 1, depth, everything)


def described(node: Node) -> str:
    """Describe a layer as a spec would write it: `conv 7x7/2`, `dropout 0.4`.

    Channels are not repeated, because the shape beside it says them.
    """
    row = OPS.get(node.op)
    if row is None:
        return node.op
    name, words = node.op, list[str]()
    for argument in row.positional:
        value = node.args[argument.name]
        if argument.kind is Kind.WORD and argument.name == "kind":
            name = f"{value}_{name}"
        elif is_told(argument, row):
            words.append(spec_value(value))
    words += [f"{key}={node.args[key]}" for key in TOLD if node.args.get(key, 1) != 1]
    if "window" in node.args and "borders" in node.args:
        words += _borders(node.args["window"], node.args.get("dilation", 1), node.args["borders"])
    if node.args.get("ceil") and node.args["window"].strided:
        words.append("ceil")
    return " ".join([name, *words])


def is_told(argument: Argument, op: Op) -> bool:
    """Return whether a positional argument is part of a description: channels are not."""
    return argument.kind is not Kind.COUNT or op.name == "lrn"


def _borders(window: Window, dilation: int, borders: Borders) -> list[str]:
    """Return the padding, unless it is half of the kernel on all sides."""
    half = [effective(kernel, dilation) // 2 for kernel in window.kernel]
    if borders == ((half[0], half[0]), (half[1], half[1])):
        return []
    sides = [*borders[0], *borders[1]]
    return [f"pad={sides[0]}" if len(set(sides)) == 1 else f"pad={sides}".replace(" ", "")]


def _row(label: str, group: Group) -> tuple[str, ...]:
    shape = str(group.shape)
    counts = (group.parameters, group.multiply_adds)
    numbers = (f"{count:,}" if count else "" for count in counts)
    label, op = (
        text if len(text) <= widest else f"{text[: widest - 3]}..."
        for text, widest in zip((label, group.op or _alike(group)), _WIDEST, strict=True)
    )
    return label, op, shape, *numbers


def _alike(group: Group) -> str:
    """Describe what a repeat stacks under a label: `4 x inception_a`."""
    ops = {child.op for child in group.children}
    count = len(group.children)
    numbered = [child.name for child in group.children] == [str(i) for i in range(count)]
    if not numbered or count < 2 or len(ops) > 1 or "" in ops:
        return ""
    return f"{count} x {ops.pop()}"


def _aligned(row: tuple[str, ...], widths: list[int]) -> str:
    words = (text.ljust(width) for text, width in zip(row[:3], widths, strict=False))
    numbers = (text.rjust(width) for text, width in zip(row[3:], widths[3:], strict=True))
    return _GAP.join((*words, *numbers)).rstrip()


def _heading(graph: Graph) -> list[str]:
    network = graph.program.network
    parameters = ", ".join(f"{name} = {spec_value(v)}" for name, v in graph.parameters.items())
    heading = f"{network.name}({parameters})  from {graph.program.file}"
    return [*map(plain, (heading, *(network.doc or graph.program.doc).split("\n")))]


def _summary(graph: Graph) -> list[str]:
    outputs = ", ".join(
        f"{name} ({graph.nodes[index].shape})" for name, index in graph.outputs.items()
    )
    numbers = sum(tensor.size for tensor in graph.tensors().values())
    trained, kept = graph.trained, numbers - graph.trained
    return [
        f"outputs        {outputs}",
        f"parameters     {short(trained)}, and {short(kept)} running statistics; "
        f"{short(4 * numbers, 'B')} as float32",
        f"multiply-adds  {short(graph.multiply_adds)} for one {_size(graph.input)} input",
    ]


def _size(shape: Shape) -> str:
    return f"{shape.height} x {shape.width}"


def short(number: int, unit: str = "") -> str:
    """Write a number with three digits.

    >>> short(11285224), short(999), short(45_223_456, "B")
    ('11.3 M', '999', '45.2 MB')
    """
    value, prefixes = float(number), ["", "k", "M", "G", "T", "P"]
    while value >= 999.5 and len(prefixes) > 1:
        value /= 1000
        del prefixes[0]
    digits = f"{value:.3g}" if value < 999.5 else f"{value:.0f}"
    return f"{digits} {prefixes[0]}{unit}".rstrip()


def as_json(
    graph: Graph, *, depth: int | None = None, more: Mapping[str, object] | None = None
) -> str:
    """Return everything about a network, with exact numbers, as one JSON object.

    Layers whose keys begin with the same `depth` labels become one entry, with their sums. The
    entries in `more` come last.
    """
    outputs = {
        name: {
            "layer": _cut(graph.nodes[index].path, depth),
            "shape": list(graph.nodes[index].shape.sizes),
        }
        for name, index in graph.outputs.items()
    }
    numbers = sum(tensor.size for tensor in graph.tensors().values())
    whole = {
        "network": graph.program.network.name,
        "file": graph.program.file,
        "arguments": graph.parameters,
        "input": list(graph.input.sizes),
        "outputs": outputs,
        "layers": _json_layers(graph, depth),
        "total": {
            "parameters": graph.trained,
            "statistics": numbers - graph.trained,
            "multiply_adds": graph.multiply_adds,
        },
        **(more or {}),
    }
    return json.dumps(whole, indent=2, ensure_ascii=False) + "\n"


def _cut(path: str, depth: int | None) -> str:
    """Return the first labels of a key."""
    return path if depth is None else ".".join(path.split(".")[:depth])


def _json_layers(graph: Graph, depth: int | None) -> list[dict[str, object]]:
    parts: dict[str, list[Node]] = {}
    for node in graph.nodes:
        parts.setdefault(_cut(node.path, depth), []).append(node)
    if len(parts) == len(graph.nodes):
        return [_json_layer(graph, node, depth) for node in graph.nodes]
    root = tree(graph)
    return [
        _json_layer(graph, nodes[0], depth)
        if nodes[0].path == path
        else _json_part(graph, root, path, nodes, depth)
        for path, nodes in parts.items()
    ]


def _json_part(
    graph: Graph, root: Group, path: str, nodes: list[Node], depth: int | None
) -> dict[str, object]:
    """Return the layers that share a key as one entry."""
    group = root
    for name in path.split("."):
        group = group.groups[name]
    inputs = [_cut(graph.nodes[index].path, depth) for node in nodes for index in node.inputs]
    assert group.shape is not None
    return {
        "path": path,
        "op": group.op or _alike(group) or None,
        "inputs": [name for name in dict.fromkeys(inputs) if name != path],
        "output": list(group.shape.sizes),
        "parameters": group.parameters,
        "multiply_adds": group.multiply_adds,
        "layers": len(nodes),
    }


def _json_layer(graph: Graph, node: Node, depth: int | None) -> dict[str, object]:
    uses = []
    for use in node.uses():
        definition = use.definition
        place = {"path": use.path, "line": use.span.line}
        uses.append({"name": definition.name, "kind": definition.kind, **place})
    return {
        "path": node.path,
        "op": node.op,
        "arguments": {name: _json_value(value) for name, value in node.args.items()},
        "inputs": [_cut(graph.nodes[index].path, depth) for index in node.inputs],
        "output": list(node.shape.sizes),
        "parameters": node.parameters,
        "multiply_adds": node.multiply_adds,
        "tensors": [
            {"name": f"{node.path}.{t.name}", "shape": list(t.shape), "trained": t.trained}
            for t in node.tensors
        ],
        "part_of": uses[::-1],
        "line": node.span.line,
        "file": node.span.source.name,
    }


def _json_value(value: object) -> object:
    match value:
        case Window():
            return {"kernel": list(value.kernel), "stride": list(value.stride)}
        case Initializer():
            return {"name": value.name, "arguments": list(value.args)}
        case tuple():
            return [_json_value(part) for part in value]
        case _:
            return value
