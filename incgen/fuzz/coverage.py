"""What random specs contained: how often each op, with each attribute and value, and where."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field

from incgen.fuzz import tree
from incgen.fuzz.tracking import bound
from incgen.ops import OPS

#: Where an op can stand.
CONTEXTS = ("network", "block", "unit", "chain", "join", "repeat", "if", "aux", "group", "from")


@dataclass
class Coverage:
    """Counts by op, by (op, attribute, kind of value), and by (op, context)."""

    ops: Counter[str] = field(default_factory=Counter)
    values: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    contexts: Counter[tuple[str, str]] = field(default_factory=Counter)

    def add(self, other: Coverage) -> None:
        """Add other counts."""
        self.ops += other.ops
        self.values += other.values
        self.contexts += other.contexts

    def count(self, spec: tree.Spec) -> None:
        """Count what is in a spec."""
        ops = {name: name for name in OPS}
        units = [each for each in spec.definitions if isinstance(each, tree.Unit)]
        for unit in units:
            for call in unit.calls:
                self._call(call, ops, ("unit",))
            ops[unit.name] = ops.get(unit.calls[0].name, unit.calls[0].name)
        for block in spec.definitions:
            if isinstance(block, tree.Block):
                self._body(block.body, ops, ("block",))
        self._body(spec.network.body, ops, ("network",))

    def _body(self, body: tree.Body, ops: dict[str, str], where: tuple[str, ...]) -> None:
        for statement in body.statements:
            if isinstance(statement, tree.Head):
                self._body(statement.body, ops, (*where, "aux"))
                continue
            inside = (*where, "from") if statement.origin else where
            if statement.element is not None:
                self._element(statement.element, ops, inside)

    def _element(self, element: tree.Element, ops: dict[str, str], where: tuple[str, ...]) -> None:
        match element:
            case tree.Call():
                self._call(element, ops, where)
            case tree.Chain():
                for each in element.elements:
                    self._element(each, ops, (*where, "chain"))
            case tree.Join():
                self.contexts.update((element.kind, place) for place in set(where))
                self._body(element.body, ops, (*where, "join"))
            case tree.Group():
                self._body(element.body, ops, (*where, "group"))
            case tree.Repeat():
                self._body(element.body, ops, (*where, "repeat"))
            case tree.Conditional():
                self._body(element.then, ops, (*where, "if"))
                match element.otherwise:
                    case tree.Body():
                        self._body(element.otherwise, ops, (*where, "if"))
                    case tree.Conditional():
                        self._element(element.otherwise, ops, where)
                    case None:
                        pass

    def _call(self, call: tree.Call, ops: dict[str, str], where: tuple[str, ...]) -> None:
        name = ops.get(call.name)
        if name is None or name not in OPS:
            return
        if call.name in OPS:
            self.ops[name] += 1
            self.contexts.update((name, place) for place in set(where))
        own = call.name in OPS
        arguments = bound(call, [a.name for a in OPS[name].positional]) if own else {}
        for argument, value in {**arguments, **dict(call.attributes)}.items():
            self.values[name, argument, _kind(value)] += 1

    def table(self) -> str:
        """The counts as text."""
        lines = ["op x context".ljust(20) + "".join(c.rjust(9) for c in ("all", *CONTEXTS))]
        for name in (*OPS, "concat", "add", "mul"):
            counts = (self.ops[name], *(self.contexts[name, place] for place in CONTEXTS))
            lines.append(name.ljust(20) + "".join(str(n).rjust(9) for n in counts))
        lines += ["", "op x attribute x value"]
        for op in OPS.values():
            for argument in op.arguments:
                found = {
                    k: n
                    for (o, a, k), n in self.values.items()
                    if (o, a) == (op.name, argument.name)
                }
                shown = ", ".join(f"{kind}: {n}" for kind, n in sorted(found.items()))
                lines.append(f"{op.name}.{argument.name}: {shown or 'never'}")
        return "\n".join(lines)


def _kind(value: tree.Value) -> str:
    """A value as far as it is told apart: words and numbers themselves, others by their form."""
    match value:
        case tree.Window():
            parts = [*value.kernel, *value.stride]
            names = "" if all(part.isdigit() for part in parts) else " of names"
            return ("strided" if value.stride not in ((), ("1",)) else "plain") + names
        case tree.Sides():
            return "HxW" if len(value.sides) == 2 else "[t, b, l, r]"
        case tree.Initializer():
            return value.text
        case _ if re.fullmatch(
            r"-?[\d.]+(e-\d+)?|true|false|half|same|valid|max|avg|erf|tanh", value
        ):
            return value
        case _ if value.isidentifier():
            return "name"
        case _:
            return "expression"
