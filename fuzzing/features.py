"""List every feature of the language that a random spec uses."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final

from fuzzing import tree
from fuzzing.tracking import bound
from incgen.language.ops import OPS

#: The contexts of an op, a join or a use.
CONTEXTS: Final = ("network", "block", "unit", "chain", "join", "repeat", "if", "aux", "group")
#: The ways to give a number or a flag.
WAYS: Final = ("constant", "network's", "block's", "expression")
JOINS: Final = ("concat", "add", "mul")
OPERATORS: Final = (
    *("or", "and", "not", "==", "!=", "<", "<=", ">", ">=", "+", "-", "*", "/", "//", "%"),
    *("int(", "round(", "min(", "max(", "channels", "height", "width"),
)
STATEMENTS: Final = (
    *("label", "no label", "doc comment", "comment", "from alone", "from in front of an element"),
    *("if without else", "if else", "else if", "aux", "aux in an if", "group", "chain of lines"),
    *("repeat of 0", "repeat of 1", "repeat of more", "repeat of a parameter"),
    *("join of 2", "join of 3 and more", "branch of identity", "branch of from"),
)
DEFINITIONS: Final = (
    *("unit of an op", "unit of a unit", "unit of one call", "unit of several calls"),
    *("use of a unit", "use that overrides a unit", "block without parameters", "use of a block"),
    *("block with parameters", "block with defaults", "use that leaves a default"),
    *("use of a block by name", "block in a block", "head of a unit that is a pool"),
    *("definitions behind their uses", "constant", "constant of a constant", "default line"),
    *("network with parameters", "network without parameters", "size by a parameter"),
    *("pixels", "order=bgr", "order=rgb", "other arguments"),
)
#: A group of counts, and what is counted.
Key = tuple[str, str]


def features(spec: tree.Spec) -> Iterator[Key]:
    """Return every feature in a spec, as often as it occurs."""
    return _Walk(spec).keys()


class _Walk:
    """Yield the features of one spec, from top to bottom."""

    def __init__(self, spec: tree.Spec) -> None:
        self.spec = spec
        self.units = {d.name: d for d in spec.definitions if isinstance(d, tree.Unit)}
        self.blocks = {d.name: d for d in spec.definitions if isinstance(d, tree.Block)}
        self.ways: Mapping[str, str] = {}

    def keys(self) -> Iterator[Key]:
        spec, network = self.spec, self.spec.network
        yield "numerics", spec.preset or "none"
        constants = {name: "constant" for name, _ in spec.constants}
        self.ways = constants
        yield from (("definitions", "default line") for _ in spec.defaults)
        yield from (("definitions", "constant") for _ in spec.constants)
        for number, (_, text) in enumerate(spec.constants):
            if any(tree.names(name, text) for name, _ in spec.constants[:number]):
                yield "definitions", "constant of a constant"
            yield from self.expression(text)
        names = [definition.name for definition in spec.definitions]
        for number, definition in enumerate(spec.definitions):
            if any(re.search(rf"\b{name}\b", repr(definition)) for name in names[number + 1 :]):
                yield "definitions", "definitions behind their uses"
        for unit in self.units.values():
            yield from self.unit(unit)
        for block in self.blocks.values():
            self.ways = {**constants, **{formal.name: "block's" for formal in block.formals}}
            yield from self.block(block)
        self.ways = {**constants, **{formal.name: "network's" for formal in network.formals}}
        named = "with" if network.formals else "without"
        yield "definitions", f"network {named} parameters"
        if not "".join(network.size).isdigit():
            yield "definitions", "size by a parameter"
        if network.pixels:
            yield "definitions", "pixels"
        for order in re.findall(r"order=\w+", network.pixels):
            yield "definitions", order
        if spec.other:
            yield "definitions", "other arguments"
        yield from self.body(network.body, ("network",))

    def unit(self, unit: tree.Unit) -> Iterator[Key]:
        first = unit.calls[0].name
        yield "definitions", "unit of a unit" if first in self.units else "unit of an op"
        yield "definitions", f"unit of {'one call' if len(unit.calls) == 1 else 'several calls'}"
        if self.head(unit).endswith("pool"):
            yield "definitions", "head of a unit that is a pool"
        for call in unit.calls:
            yield from self.call(call, ("unit",))

    def block(self, block: tree.Block) -> Iterator[Key]:
        named = "with" if block.formals else "without"
        yield "definitions", f"block {named} parameters"
        if any(formal.default for formal in block.formals):
            yield "definitions", "block with defaults"
        yield from self.body(block.body, ("block",))

    def head(self, unit: tree.Unit) -> str:
        """Return the op that takes the arguments of a unit."""
        first = unit.calls[0].name
        return self.head(self.units[first]) if first in self.units else first

    # ------------------------------------------------------------ statements

    def body(self, body: tree.Body, where: tuple[str, ...]) -> Iterator[Key]:
        for statement in body.statements:
            yield from self.statement(statement, where)

    def statement(
        self, statement: tree.Statement | tree.Head, where: tuple[str, ...]
    ) -> Iterator[Key]:
        if statement.doc:
            yield "statements", "doc comment"
        if isinstance(statement, tree.Head):
            yield "statements", "aux in an if" if "if" in where else "aux"
            yield from self.body(statement.body, (*where, "aux"))
            return
        yield "statements", "label" if statement.label else "no label"
        if statement.comment:
            yield "statements", "comment"
        if statement.origin:
            end = "in front of an element" if statement.element else "alone"
            yield "statements", f"from {end}"
        if statement.element is not None:
            yield from self.element(statement.element, where)

    def element(self, element: tree.Element, where: tuple[str, ...]) -> Iterator[Key]:
        match element:
            case tree.Call():
                yield from self.call(element, where)
            case tree.Chain():
                if "\n" in tree.body_text(tree.Body((tree.Statement(element),))):
                    yield "statements", "chain of lines"
                for inner in element.elements:
                    yield from self.element(inner, (*where, "chain"))
            case tree.Join():
                yield from ((f"{element.kind} in", place) for place in {*where})
                number = len(element.body.statements)
                yield "statements", "join of 2" if number == 2 else "join of 3 and more"
                for branch in element.body.statements:
                    assert isinstance(branch, tree.Statement)
                    if branch.origin:
                        yield "statements", "branch of from"
                    if branch.element == tree.Call("identity"):
                        yield "statements", "branch of identity"
                yield from self.body(element.body, (*where, "join"))
            case tree.Group():
                yield "statements", "group"
                yield from self.body(element.body, (*where, "group"))
            case tree.Repeat():
                yield "statements", f"repeat of {_times(element.count)}"
                yield from self.expression(element.count)
                yield from self.body(element.body, (*where, "repeat"))
            case tree.Conditional():
                yield from self.conditional(element, where)

    def conditional(self, element: tree.Conditional, where: tuple[str, ...]) -> Iterator[Key]:
        yield from self.expression(element.condition)
        yield from self.body(element.then, (*where, "if"))
        match element.otherwise:
            case None:
                yield "statements", "if without else"
            case tree.Body():
                yield "statements", "if else"
                yield from self.body(element.otherwise, (*where, "if"))
            case tree.Conditional():
                yield "statements", "else if"
                yield from self.conditional(element.otherwise, where)

    # ------------------------------------------------------------ calls and values

    def call(self, call: tree.Call, where: tuple[str, ...]) -> Iterator[Key]:
        if call.name in self.blocks:
            yield from self.use(call, self.blocks[call.name], where)
            return
        head, free = (
            call.name,
            [a.name for a in OPS[call.name].positional] if call.name in OPS else [],
        )
        if call.name in self.units:
            unit = self.units[call.name]
            head = self.head(unit)
            said = self.said(unit)
            free = [a.name for a in OPS[head].positional if a.name not in said]
            yield "definitions", "use of a unit"
            if said.keys() & dict(call.attributes).keys():
                yield "definitions", "use that overrides a unit"
        else:
            yield from ((f"{head} in", place) for place in {*where})
        for name, value in bound(call, free).items():
            for form in self.forms(value):
                yield f"{head} {name}", form
                yield from ((f"{head} {name}={form} in", place) for place in {*where})
            for part in _expressions(value):
                yield from self.expression(part)

    def said(self, unit: tree.Unit) -> dict[str, tree.Value]:
        """Return the arguments of its head op that a unit states."""
        first = unit.calls[0]
        known = self.said(self.units[first.name]) if first.name in self.units else {}
        free = [a.name for a in OPS[self.head(unit)].positional if a.name not in known]
        return {**known, **bound(first, free)}

    def use(self, call: tree.Call, block: tree.Block, where: tuple[str, ...]) -> Iterator[Key]:
        yield "definitions", "use of a block"
        if "block" in where:
            yield "definitions", "block in a block"
        if call.attributes:
            yield "definitions", "use of a block by name"
        given = bound(call, [formal.name for formal in block.formals])
        if len(given) < len(block.formals):
            yield "definitions", "use that leaves a default"
        for value in given.values():
            if isinstance(value, str):
                yield from self.expression(value)

    def expression(self, text: str) -> Iterator[Key]:
        """Yield the operators in an expression."""
        for operator in OPERATORS:
            if re.search(_PATTERNS[operator], text):
                yield "expressions", operator

    def forms(self, value: tree.Value) -> Iterator[str]:
        """Yield the distinguished forms of a value: how it looks, and how it is given."""
        match value:
            case tree.Window():
                yield {0: "HxW", 1: "HxW/S", 2: "HxW/SxS"}[len(value.stride)]
            case tree.Sides():
                yield "HxW" if len(value.sides) == 2 else "[t, b, l, r]"
            case tree.Initializer():
                yield value.text.partition("(")[0]
            case _:
                if re.fullmatch(r"-?[\d.]+(e-\d+)?", value):
                    yield "number"
                elif value.isidentifier() and value not in self.ways and value != "channels":
                    yield value
        for part in _expressions(value):
            if part in self.ways:
                yield self.ways[part]
            elif not re.fullmatch(r"-?[\d.]+(e-\d+)?|[a-z_]+", part) or part == "channels":
                yield "expression"


def _expressions(value: tree.Value) -> tuple[str, ...]:
    """Return the expressions in a value."""
    match value:
        case tree.Window():
            return (*value.kernel, *value.stride)
        case tree.Sides():
            return value.sides
        case tree.Initializer():
            return ()
        case _:
            return (value,)


_PATTERNS: Final = {
    operator: (
        rf"\b{operator}\b"
        if operator.isalpha()
        else rf"\b{re.escape(operator)}"
        if operator.endswith("(")
        else rf"(?<![=!<>/]){re.escape(operator)}(?![=/])"
    )
    for operator in OPERATORS
}


def _times(count: str) -> str:
    match count:
        case "0" | "1":
            return count
        case _ if count.isdigit():
            return "more"
        case _:
            return "a parameter"
