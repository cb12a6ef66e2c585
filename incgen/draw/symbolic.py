"""The definition of a block as a diagram: what it says, with its parameters in place of numbers.

Edges say channels, as expressions. A condition becomes a card around what it decides on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import assert_never

from incgen.base.diagnostics import clipped
from incgen.draw.colours import kind_of
from incgen.draw.diagram import Box, Card, Diagram, Fork, Item, Row
from incgen.draw.text import times
from incgen.graph.frames import join_key
from incgen.graph.words import TOLD, is_told
from incgen.language.expressions import Literal
from incgen.language.initializers import Initializer
from incgen.language.printing import python, spec_value
from incgen.language.signatures import Op
from incgen.resolve import definitions as df

#: The channels of what a block is used on.
_CHANNELS = "channels"
#: Longer sums are not said.
_LONGEST = 44


def definition_diagram(block: df.Definition) -> Diagram:
    """Return the diagram of a block's definition."""
    walk = _Walk()
    row = walk.body(block.body, 0, "", {})
    return Diagram(row, walk.edges)


def said(value: df.ArgumentValue) -> str:
    """Write an argument as a spec does, with signs for products.

    >>> from incgen.language.expressions import Parameter
    >>> said(Parameter("n") * 2), said(Literal(True))
    ('n * 2', 'true')
    """
    match value:
        case None:
            return ""
        case Literal(plain):
            return spec_value(plain)
        case df.WindowValue(kernel, stride):
            high, wide = map(said, stride)
            text = "×".join(map(said, kernel))
            if (high, wide) == ("1", "1"):
                return text
            return f"{text}/{high}" if high == wide else f"{text}/{high}×{wide}"
        case df.SidesValue(sides):
            return times("x".join(map(said, sides)))
        case Initializer():
            return value.name
        case _:
            return python(value)


class _Walk:
    """Walks one definition; values are numbered as they are made."""

    def __init__(self) -> None:
        self.edges: dict[int, str] = {0: _CHANNELS}

    def value(self, text: str) -> int:
        """Return a new value whose edges say a text."""
        number = len(self.edges)
        self.edges[number] = clipped(text, _LONGEST)
        return number

    def body(
        self, body: df.Body, source: int, prefix: str, labels: Mapping[str, int], caption: str = ""
    ) -> Row:
        items: list[Item] = []
        value = self.steps(body, source, prefix, dict(labels), items)
        return Row(caption, tuple(items), source, value)

    def steps(
        self, body: df.Body, value: int, prefix: str, labels: dict[str, int], items: list[Item]
    ) -> int:
        for step in body.steps:
            assert isinstance(step, df.Step)  # only networks have heads
            value = self.step(step, value, prefix, labels, items)
        return value

    def step(
        self, step: df.Step, value: int, prefix: str, labels: dict[str, int], items: list[Item]
    ) -> int:
        if step.origin is not None:
            value = labels[step.origin]
        if step.element is not None:
            value = self.element(step.element, value, prefix, labels, items)
        if step.label is not None and step.kept:
            labels[step.label] = value
        return value

    def element(
        self,
        element: df.Element,
        value: int,
        prefix: str,
        labels: dict[str, int],
        items: list[Item],
    ) -> int:
        match element:
            case df.OpCall() if element.op.name == "identity":
                return value
            case df.OpCall():
                items.append(self.call(element, value, prefix))
            case df.Instance():
                items.append(self.instance(element, value, prefix))
            case df.Chain():
                inner = join_key(prefix, element.name)
                for child in element.elements:
                    value = self.element(child, value, inner, labels, items)
                return value
            case df.Join():
                items.append(self.join(element, value, prefix, labels))
            case df.Group():
                inner = join_key(prefix, element.name)
                return self.steps(element.body, value, inner, dict(labels), items)
            case df.Repeat():
                items.append(self.repeat(element, value, prefix, labels))
            case df.Conditional():
                return self.conditional(element, value, prefix, labels, items)
            case _:
                assert_never(element)
        return items[-1].value

    def title(self, element: df.OpCall | df.Instance, prefix: str) -> str:
        """Return the label of an element; "" if it has none of its own."""
        name = element.name or ""
        if name.isdecimal() or not element.labelled:
            return ""
        return name if prefix != name else ""

    def call(self, call: df.OpCall, value: int, prefix: str) -> Box:
        text = described(call.op, call.args, call.op.name)
        made = self.value(self.channels(call.op, call.args, value))
        key = join_key(prefix, call.name)
        return Box(key, value, made, self.title(call, prefix), text, kind_of(call.op.name))

    def channels(self, op: Op, args: Mapping[str, df.ArgumentValue], value: int) -> str:
        """Return the channels behind an op."""
        for name in ("channels", "features"):
            if name in args:
                return said(args[name])
        return "" if op.name in ("depthwise_conv", "flatten") else self.edges[value]

    def instance(self, use: df.Instance, value: int, prefix: str) -> Box:
        definition, key = use.definition, join_key(prefix, use.name)
        title = self.title(use, prefix)
        if definition.kind == "unit":
            assert definition.head is not None
            args = {**definition.defaults, **use.args}
            text = described(definition.head, args, definition.name)
            made = self.value(self.channels(definition.head, args, value))
            return Box(key, value, made, title, text, kind_of(definition.head.name))
        words = [said(use.args[f.name]) for f in definition.parameters if f.name in use.args]
        text = " ".join([definition.name, *words])
        text = text if len(text) <= _LONGEST else definition.name
        made = self.value("")
        return Box(key, value, made, title, text, "block", folds=definition.name)

    def join(self, join: df.Join, value: int, prefix: str, labels: Mapping[str, int]) -> Fork:
        around = join_key(prefix, join.name)
        branches = []
        for step in join.body.steps:
            assert isinstance(step, df.Step)
            items: list[Item] = []
            result = self.step(step, value, around, dict(labels), items)
            branches.append(Row(step.label or "", tuple(items), value, result))
        branches = [_without(row) for row in branches]
        made = self.value(self.joined(join.kind, branches))
        key = join_key(prefix, join.name or join.title)
        box = Box(key, value, made, join.name or "", join.kind, "join")
        return Fork(key, value, made, box, tuple(branches))

    def joined(self, kind: str, branches: Sequence[Row]) -> str:
        """Return the channels of a join: their sum, or those that all branches have."""
        texts = [self.edges[row.value] for row in branches]
        if kind != "concat":
            return next(filter(None, texts), "")
        total = " + ".join(texts)
        return total if all(texts) and len(total) <= _LONGEST else ""

    def repeat(
        self, repeat: df.Repeat, value: int, prefix: str, labels: Mapping[str, int]
    ) -> Box | Card:
        key, count = join_key(prefix, repeat.name), said(repeat.count)
        row = self.body(repeat.body, value, key, labels)
        made = self.value(self.edges[row.value])
        return Card(key, value, made, repeat.name, "", "block", row, count=count)

    def conditional(
        self,
        decision: df.Conditional,
        value: int,
        prefix: str,
        labels: Mapping[str, int],
        items: list[Item],
    ) -> int:
        """Append a card for each side of a condition, one behind the other."""
        sides = [(f"if {said(decision.condition)}", decision.then)]
        if decision.otherwise is not None:
            sides.append(("else", decision.otherwise))
        for title, body in sides:
            row = self.body(body, value, prefix, labels)
            if not row.items:
                continue
            made = self.value(self.edges[row.value])
            key = join_key(prefix, f"{title}.{made}")
            items.append(Card(key, value, made, title, "", "other", row))
            value = made
        return value


def _without(row: Row) -> Row:
    """Return a branch whose only item does not repeat its label."""
    if len(row.items) == 1 and isinstance(row.items[0], Box) and row.items[0].title == row.caption:
        return replace(row, items=(replace(row.items[0], title=""),))
    return row


def described(op: Op, args: Mapping[str, df.ArgumentValue], name: str) -> str:
    """Describe a call by its window and what else figures say of it."""
    words = [name]
    for argument in op.positional:
        if is_told(argument):
            words.append(said(args.get(argument.name)))
    for key in TOLD:
        value = args.get(key)
        if value is not None and said(value) != "1":
            words.append(f"{key}={said(value)}")
    return " ".join(filter(None, words))
