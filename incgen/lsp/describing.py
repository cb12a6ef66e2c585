"""Ops, arguments, settings and definitions in words, as Markdown, from the tables."""

from __future__ import annotations

from collections.abc import Sequence

from incgen.language.presets import PRESETS
from incgen.language.printing import spec_value
from incgen.language.signatures import Argument, Op, Signature
from incgen.manual.arguments import shown
from incgen.manual.ops import entries
from incgen.recipes.forms import STATED, Field, Form
from incgen.resolve.arguments import words_of
from incgen.syntax import tree as st


def usage_of_block(block: st.Block) -> str:
    """Return how a block is used, with the defaults of its parameters."""
    return " ".join([block.name.text, *map(parameter, block.parameters)])


def parameter(parameter: st.Parameter) -> str:
    """Return a parameter with its default."""
    name, default = parameter.name.text, parameter.default
    return name if default is None or default.span is None else f"{name}={default.span.text}"


def op(row: Op) -> str:
    """Describe an op: what it computes, its output, its arguments."""
    entry = entries()[row.name]
    formulas = "\n".join(filter(None, [entry.formula, entry.sizes]))
    lines = [f"```inc\n{row.usage}\n```", row.doc, f"```text\n{formulas}\n```" if formulas else ""]
    return "\n\n".join([*filter(None, lines), *arguments(row)])


def arguments(takes: Signature) -> Sequence[str]:
    """Return a list of arguments as one paragraph; none if there are none."""
    rows = [f"- `{a.name}{'' if a.positional else '='}`: {a.doc}" for a in takes.arguments]
    return ["\n".join(rows)] if rows else []


def argument(argument: Argument, owner: Signature) -> str:
    """Describe an argument: what it means, its values and its default."""
    lines = [f"`{argument.name}` of `{owner.name}`: {argument.doc}", values(argument)]
    if not argument.positional or argument.must:
        lines.append(default(argument, owner))
    return "\n\n".join(lines)


def values(argument: Argument) -> str:
    """Say what an argument accepts."""
    words = words_of(argument)
    if argument.words:
        return f"One of {', '.join(f'`{word}`' for word in words)}"
    text = argument.kind.value
    return f"{text[0].upper()}{text[1:]}"


def default(argument: Argument, owner: Signature) -> str:
    """Say what an argument is if nothing states it, without and with a preset."""
    family = getattr(owner, "family", "") or owner.name
    lines = []
    if argument.default is not None:
        lines.append(f"Default: `{spec_value(argument.default)}`")
    else:
        lines.append("Must be stated without `numerics`")
    for name, preset in PRESETS.items():
        if argument.name in preset.get(family, {}):
            lines.append(f"`numerics {name}`: {shown(preset[family][argument.name])}")
    return "  \n".join(lines)


def preset(name: str) -> str:
    """Describe a preset: what it sets."""
    rows = [
        f"- `{family}` `{argument}`: {shown(value)}"
        for family, sets in PRESETS[name].items()
        for argument, value in sets.items()
    ]
    return "\n\n".join([f"`numerics {name}` sets", "\n".join(rows)])


def form(form: Form, setting: str = "") -> str:
    """Describe a setting of a recipe, a part of one, or a transform."""
    rows = [field(f) for f in form.fields]
    lines = [f"```inc\n{form.usage(setting)}\n```", form.doc, "\n".join(rows)]
    return "\n\n".join(line for line in lines if line)


def field(field: Field) -> str:
    """Describe a value of a recipe."""
    name = field.name if field.positional else f"{field.name}="
    end = ""
    if field.default is not STATED and field.default is not None:
        end = f"; `{spec_value(field.default)}` if omitted"
    return f"- `{name}`: {field.doc}{end}"
