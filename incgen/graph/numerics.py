"""The conventions of a network: what layers follow where frameworks disagree, and what set it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from incgen.base.source import Span
from incgen.base.tables import ruled
from incgen.graph.nodes import Graph, Node, Use
from incgen.graph.shapes import chosen, effective
from incgen.language import expressions as ex
from incgen.language.ops import place_of
from incgen.language.presets import PRESETS
from incgen.language.printing import spec_value
from incgen.language.signatures import Argument, Op
from incgen.resolve import definitions as df

#: How many lines of one kind are listed.
_MAX_LINES = 6


@dataclass(frozen=True, slots=True)
class Rule:
    """A convention that some layers of one op follow."""

    op: str
    argument: str  #: One of its arguments, on which frameworks disagree
    value: str  #: The value as a spec writes it
    origin: str  #: `numerics`, `default`, `unit` or `use`, or "" for what the op is by itself
    name: str  #: The preset or the unit that sets it
    spans: tuple[Span, ...]  #: The places that set it, in the order of the network
    layers: int  #: The number of layers that follow it


def rules(graph: Graph) -> list[Rule]:
    """Return every convention that has an effect; a 1x1 window, say, needs no border."""
    groups: dict[tuple[str, str, str, str, str], tuple[list[Span], int]] = {}
    for node in graph.nodes:
        for rule in rules_of(node):
            key = (rule.op, rule.argument, rule.value, rule.origin, rule.name)
            spans, count = groups.get(key, ([], 0))
            spans += [span for span in rule.spans if span not in spans]
            groups[key] = (spans, count + 1)
    made = [Rule(*key, tuple(spans), count) for key, (spans, count) in groups.items()]
    return sorted(made, key=lambda rule: (place_of(rule.op, rule.argument), -rule.layers))


def rules_of(node: Node) -> list[Rule]:
    """Return the conventions that have an effect on one layer, in the order of its arguments."""
    result: list[Rule] = []
    for argument in node.call.op.arguments if node.call is not None else ():
        assert node.call is not None
        if not _disagreed(node.call.op, argument) or not acts(node, argument):
            continue
        value = node.args[argument.name]
        if value is None:
            continue  # nothing was stated, since every choice would be the same
        origin, name, span = _origin(node, node.call, argument.name)
        spans = () if span is None else (span,)
        result.append(Rule(node.op, argument.name, spec_value(value), origin, name, spans, 1))
    return result


def _disagreed(op: Op, argument: Argument) -> bool:
    """Return whether the presets set an argument, because frameworks disagree."""
    family = op.family or op.name
    return any(argument.name in preset.get(family, {}) for preset in PRESETS.values())


def acts(node: Node, argument: Argument) -> bool:
    """Return whether another value would change the network."""
    if "window" not in node.args:
        return True
    window = node.args.window
    spans = [effective(kernel, node.args.dilation) for kernel in window.kernel]
    match argument.name:
        case "pad":
            return max(spans) > 1 or not isinstance(node.args["pad"], str)
        case "ceil":
            return window.strided
        case "count_pad":
            return chosen(node.op, node.args) == "avg_pool" and any(map(any, node.args.borders))
        case _:
            return True


def _origin(node: Node, call: df.OpCall, name: str) -> tuple[str, str, Span | None]:
    """Return what sets an argument of a layer: its kind, its name and its place."""
    use, forwards = node.use, call.forwards
    while forwards and use is not None and use.definition.kind == "unit":
        if name in use.given and not _follows_window(name, use.given[name]):
            return _written(use.outer, use.span)
        forwards, use = use.forwards, use.outer
    if name in call.said:
        return _written(node.use, call.span)
    source = call.sources.get(name)
    if source is None:
        return "", "", None
    return ("default" if source.preset is None else "numerics"), source.preset or "", source.span


def _follows_window(name: str, value: df.ArgumentValue) -> bool:
    """Return whether a use gets a value from its window instead of setting it."""
    return name == "pad" and isinstance(value, ex.Literal) and value.span is None


def _written(around: Use | None, span: Span) -> tuple[str, str, Span]:
    """Return what sets an argument of a call: the surrounding unit, or the use itself."""
    if around is not None and around.definition.kind == "unit":
        return "unit", around.definition.name, span
    return "use", "", span


def cells(graph: Graph) -> list[tuple[str, ...]]:
    """Return the cells of a table of the conventions, the first row its heading."""
    own = next(iter(graph.nodes)).span.source.name
    rows = [
        (rule.op, rule.argument, rule.value, said_by(rule, own), str(rule.layers))
        for rule in rules(graph)
    ]
    return [("op", "argument", "value", "said by", "layers"), *rows]


def table(graph: Graph) -> str:
    """Format the conventions of a network as a table."""
    rows = cells(graph)
    if len(rows) == 1:
        return "nothing in this network is left to a convention\n"
    return "\n".join(ruled(rows, right=[4])) + "\n"


def said_by(rule: Rule, own: str) -> str:
    """Return what sets a rule, with its lines, and their file if that is not `own`.

    `default, line 9`, `numerics tf, line 1 of parts.inc`
    """
    what = {"numerics": f"numerics {rule.name}", "unit": f"unit {rule.name}"}
    start = what.get(rule.origin, rule.origin or f"{rule.op} itself")
    if not rule.spans:
        return start
    files: dict[str, list[int]] = {}
    for span in rule.spans:
        lines = files.setdefault(span.source.name, [])
        if span.line not in lines:
            lines.append(span.line)
    return "; ".join([f"{start}, {_lines(file, lines, own)}" for file, lines in files.items()])


def _lines(file: str, lines: Sequence[int], own: str) -> str:
    named = ", ".join(map(str, sorted(lines)[:_MAX_LINES]))
    more = len(lines) - _MAX_LINES
    end = f" and {more} more" if more > 0 else ""
    where = "" if file == own else f" of {file.rpartition('/')[2]}"
    return f"{'line' if len(lines) == 1 else 'lines'} {named}{end}{where}"


def as_json(graph: Graph) -> str:
    """Format the conventions of a network as a JSON array."""
    entries = [
        {
            "op": rule.op,
            "argument": rule.argument,
            "value": rule.value,
            "origin": rule.origin or None,
            "name": rule.name or None,
            "places": [{"file": s.source.name, "line": s.line} for s in rule.spans],
            "layers": rule.layers,
        }
        for rule in rules(graph)
    ]
    return json.dumps(entries, indent=2, ensure_ascii=False) + "\n"
