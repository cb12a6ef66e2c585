"""Describe the name at the cursor: its meaning, and its values here."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from lsprotocol import types as lsp

from incgen.base.source import Span
from incgen.graph.nodes import Node
from incgen.graph.numerics import rules_of, said_by
from incgen.graph.shapes import Shape
from incgen.language.initializers import RULES
from incgen.language.ops import OPS
from incgen.language.presets import PRESETS
from incgen.language.printing import spec_value
from incgen.language.signatures import Op
from incgen.lsp import describing
from incgen.lsp.names import Occurrence, Role, Symbol
from incgen.lsp.signatures import callee
from incgen.lsp.view import View
from incgen.recipes.forms import Form
from incgen.recipes.table import SETTINGS, TRANSFORMS
from incgen.syntax import tree as st

#: How many keys, shapes or values are listed.
_MAX_LISTED = 4


def hover(view: View, offset: int) -> lsp.Hover | None:
    """Return what is known of the name at an offset."""
    occurrence = view.at(offset)
    if occurrence is None:
        return None
    lines = [line for line in _about(occurrence, view) if line]
    place = view.range(occurrence.span)
    if not lines or place is None:
        return None
    content = lsp.MarkupContent(lsp.MarkupKind.Markdown, "\n\n".join(lines))
    return lsp.Hover(content, place)


def _about(occurrence: Occurrence, view: View) -> Iterable[str]:
    text = occurrence.span.text
    match occurrence.role:
        case Role.OP if text in OPS:
            yield describing.op(OPS[text])
            yield from _here(occurrence, view)
        case Role.UNIT | Role.BLOCK | Role.NETWORK:
            yield from _definition(occurrence, view)
        case Role.LABEL:
            yield from _label(occurrence, view)
        case Role.PARAMETER | Role.CONSTANT if occurrence.symbol is not None:
            yield from _value(occurrence.symbol, view)
        case Role.ATTRIBUTE:
            yield from _attribute(occurrence, view)
        case Role.PRESET if text in PRESETS:
            yield describing.preset(text)
        case Role.DIMENSION:
            yield f"`{text}`: the {text} of the current value"
        case Role.SETTING:
            yield _setting(occurrence, text)
        case Role.RECIPE if occurrence.symbol is not None:
            doc = getattr(occurrence.symbol.item, "doc", "")
            yield from (f"recipe `{occurrence.symbol.name}`", doc)
        case Role.WORD if text in OPS:
            yield f"`{text}`: {OPS[text].doc}"
        case Role.WORD if text in RULES:
            yield f"`{text}`: {RULES[text].formula}"
            yield RULES[text].source
        case _:
            return


# ---------------------------------------------------------------- what is applied


def _definition(occurrence: Occurrence, view: View) -> Iterable[str]:
    symbol = occurrence.symbol
    if symbol is None:
        return
    known = callee(symbol.name, view.names)
    if isinstance(symbol.item, st.Block):
        usage = describing.usage_of_block(symbol.item)
        yield f"```inc\n{symbol.role.value} {usage}\n```"
    else:
        yield f"```inc\n{symbol.item.span.text}\n```"
    yield getattr(symbol.item, "doc", "")
    if known is not None and known.takes is not None:
        yield f"Takes `{known.takes.usage}`"
    if isinstance(occurrence.around, st.Call):
        yield from _here(occurrence, view)
    elif occurrence.defines and view.good is not None and symbol.role is Role.NETWORK:
        graph = view.good.graph
        assert graph is not None
        yield f"{graph.trained:,} parameters, {graph.multiply_adds:,} multiply-adds"


def _here(occurrence: Occurrence, view: View) -> Iterable[str]:
    """Yield the shapes, the costs and the conventions of a call at its place."""
    call = occurrence.around
    if not isinstance(call, st.Call):
        return
    nodes = view.nodes(call.span)
    yield from _measured(view.passed(call.span), nodes, _keys(nodes, call.span), view)
    yield from _conventions(nodes, view)


def _measured(
    passed: Sequence[tuple[Shape, Shape]], nodes: Sequence[Node], keys: Sequence[str], view: View
) -> Iterable[str]:
    lines = [f"{before} → {after}" for before, after in passed[:_MAX_LISTED]]
    if len(passed) > _MAX_LISTED:
        lines.append(f"and {len(passed) - _MAX_LISTED} more")
    parameters = sum(node.parameters for node in nodes)
    cost = sum(node.multiply_adds for node in nodes)
    counts = [(parameters, "parameters"), (cost, "multiply-adds")]
    shown = ", ".join(f"{count:,} {what}" for count, what in counts if count)
    if len(keys) > 1 and shown:
        shown += f", over {len(keys)} uses"
    if shown:
        lines.append(shown)
    field = view.field(nodes[-1]) if nodes and len(keys) == 1 else None
    if field is not None:
        lines.append(f"receptive field {field}")
    yield "  \n".join(lines)
    if keys:
        more = f" and {len(keys) - _MAX_LISTED} more" if len(keys) > _MAX_LISTED else ""
        yield f"Keys: {', '.join(f'`{key}`' for key in keys[:_MAX_LISTED])}{more}"


def _keys(nodes: Sequence[Node], span: Span) -> list[str]:
    """Return the keys that the layers of one place begin with."""
    keys: dict[str, None] = {}
    for node in nodes:
        use = node.use
        key = node.path if node.span == span else ""
        while use is not None and not key:
            key = use.path if use.span == span else ""
            use = use.outer
        keys[key or node.path] = None
    return list(keys)


def _conventions(nodes: Sequence[Node], view: View) -> Iterable[str]:
    """Yield every convention that the layers of one place follow, and the line that sets it."""
    own = view.places.source.name
    several = len({node.op for node in nodes}) > 1
    rows: dict[str, None] = {}
    for node in nodes:
        for rule in rules_of(node):
            op = f"{rule.op} " if several else ""
            rows[f"- `{op}{rule.argument}={rule.value}`: {said_by(rule, own)}"] = None
    if rows:
        shown = list(rows)[: 4 * _MAX_LISTED]
        more = [f"- and {len(rows) - len(shown)} more"] if len(rows) > len(shown) else []
        yield "\n".join(["Conventions:", "", *shown, *more])


# ---------------------------------------------------------------- labels and values


def _label(occurrence: Occurrence, view: View) -> Iterable[str]:
    symbol = occurrence.symbol
    if symbol is None:
        return
    yield f"label `{symbol.name}`"
    statement = symbol.item
    if isinstance(statement, st.Aux):
        yield from ("an auxiliary head", statement.doc)
        return
    if not isinstance(statement, st.Statement):
        return
    yield statement.doc
    nodes = [node for element in statement.elements for node in view.nodes(element.span)]
    nodes = list({id(node): node for node in nodes}.values())
    keys = _labelled(nodes, symbol, view)
    yield from _measured(view.passed(shaped(statement)), nodes, keys, view)


def shaped(statement: st.Statement) -> Span:
    """Return the place under which the shapes of a statement are known."""
    elements = statement.elements
    return elements[0].span if len(elements) == 1 else statement.span


def _labelled(nodes: Sequence[Node], symbol: Symbol, view: View) -> list[str]:
    """Return the keys up to a label; what stands around it may have the same one."""
    label, statement = symbol.name, symbol.item.span
    outer = sum(
        occurrence.symbol is not None
        and (occurrence.defines, occurrence.role, occurrence.symbol.name)
        == (True, Role.LABEL, label)
        and occurrence.symbol.item.span.holds(statement)
        for occurrence in view.names.occurrences
    )  # which counts the statement itself
    places = [place for _, place in view.graphs(statement)]
    keys: dict[str, None] = {}
    for node in nodes:
        chain = [(node.span, node.use), *((use.span, use.outer) for use in node.uses())]
        around = next((use for span, use in chain if any(p.holds(span) for p in places)), None)
        parts = node.path.split(".")
        first = around.path.count(".") + 1 if around is not None else 0
        at = [n for n, part in enumerate(parts) if part == label and n >= first]
        if len(at) >= outer:
            keys[".".join(parts[: at[outer - 1] + 1])] = None
    return list(keys)


def _value(symbol: Symbol, view: View) -> Iterable[str]:
    if isinstance(symbol.item, st.Constant):
        span = symbol.item.span
        yield f"```inc\n{span.text}\n```"
        return
    assert isinstance(symbol.item, st.Parameter)
    yield f"```inc\n{describing.parameter(symbol.item)}\n```"
    yield f"a parameter of `{symbol.owner}`"
    graph = view.good.graph if view.good is not None else None
    if graph is None:
        return
    for definition, seen in graph.observed.items():
        if definition.name == symbol.owner and symbol.name in seen.values:
            values = [f"`{spec_value(value)}`" for value in seen.values[symbol.name]]
            more = f" and {len(values) - 12} more" if len(values) > 12 else ""
            yield f"Values: {', '.join(values[:12])}{more}"


def _attribute(occurrence: Occurrence, view: View) -> Iterable[str]:
    name, around = occurrence.span.text, occurrence.around
    if occurrence.symbol is not None:
        yield from _value(occurrence.symbol, view)
        return
    owner: Op | None = None
    if isinstance(around, st.Default):
        owner = OPS.get(around.op.text)
    elif isinstance(around, st.Call):
        owner = view.names.head(around.name.text)
        for form in _forms():
            if form[0] == around.name.text and owner is None:
                yield from (describing.field(f) for f in form[1].fields if f.name == name)
    argument = owner.argument(name) if owner is not None else None
    if argument is not None and owner is not None:
        yield describing.argument(argument, owner)


def _forms() -> Iterable[tuple[str, Form]]:
    for setting in SETTINGS.values():
        yield from ((setting.name, form) for form in setting.forms.values())
        yield from setting.parts.items()
    for forms in TRANSFORMS.values():
        yield from forms.items()


def _setting(occurrence: Occurrence, text: str) -> str:
    setting = SETTINGS.get(text)
    parts = [form for name, form in _forms() if name == text]
    if isinstance(occurrence.around, st.Images) and text in TRANSFORMS:
        return f"`{text}`: transforms of images"
    if setting is not None:
        forms = (describing.form(form, setting.name) for form in setting.forms.values())
        return "\n\n".join([setting.doc, *forms])
    return describing.form(parts[0]) if parts else ""
