"""Write layers and parts as a spec does."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from incgen.diff.arguments import argument, value, written
from incgen.diff.parts import Part
from incgen.graph.nodes import Node, Use
from incgen.graph.words import TOLD
from incgen.language import expressions as ex
from incgen.language.ops import OPS

#: The longest chain that is written out.
_MAX_CHAIN = 8


def layer(node: Node) -> str:
    """Describe a layer with its numbers, as they are written: `conv 7x7/2 64`."""
    row = OPS.get(node.op)
    if row is None:
        return node.op
    words = [node.op, *(_number(node, argument.name) for argument in row.positional)]
    words += [f"{n}={_number(node, n)}" for n in TOLD if node.args.get(n, 1) != 1]
    if node.args.get("bias") is False:
        words.append("bias=false")
    return " ".join(words)


def _number(node: Node, name: str) -> str:
    """Return an argument of a layer as it is written, in parentheses if it is computed."""
    given = argument(node, name).value
    text = written(given) or value(node.args[name])
    computed = isinstance(given, (ex.Binary, ex.Unary)) and ex.literal(given) is None
    return f"({text})" if computed else text


def part(given: Part) -> str:
    """Describe a part: a layer, a unit with the numbers of its head, or a block with its own."""
    if given.use is None:
        return layer(given.node)
    if given.use.definition.kind == "unit":
        _, _, numbers = layer(given.node).removesuffix(" bias=false").partition(" ")
        return f"{given.says} {numbers}".rstrip()
    return " ".join([given.says, *_numbers(given.use)])


def _numbers(use: Use) -> list[str]:
    """Return what a use gives to the parameters of its block, apart from their defaults."""
    words, named = list[str](), False
    for formal in use.definition.parameters:
        text = written(use.given[formal.name])
        if formal.default is not None and text == written(formal.default):
            named = True
            continue
        named = named or formal.default is not None
        words.append(f"{formal.name}={text}" if named else text)
    return words


def chain(parts: Sequence[Part]) -> str:
    """Describe parts that follow each other, by their layers if these are few; "" if it is long."""
    nodes = [node for p in parts for node in p.nodes]
    words = list(map(layer, nodes))
    if len(words) > _MAX_CHAIN:
        words = list(map(part, parts))
    runs = [(word, sum(1 for _ in group)) for word, group in groupby(words)]
    if len(runs) > _MAX_CHAIN:
        return ""
    return " -> ".join(word if count == 1 else f"{count} x {word}" for word, count in runs)
