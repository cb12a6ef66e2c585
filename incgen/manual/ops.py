"""Describe an op and its arguments, as text for a terminal and as parts of the reference.

The arguments come from the table of ops, and the rest from `grammar/ops.toml`.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, replace
from functools import cache
from textwrap import indent

from incgen.base.painting import Paint, unpainted
from incgen.base.resources import folder
from incgen.base.tables import columns
from incgen.base.tables import markdown as table
from incgen.language.expressions import Parameter
from incgen.language.ops import OPS
from incgen.language.presets import PRESETS
from incgen.language.printing import python
from incgen.language.signatures import Formula, Op, Takes
from incgen.manual import arguments
from incgen.manual.rendering import renderings
from incgen.manual.text import MARGIN, filled


@dataclass(frozen=True, slots=True)
class Entry:
    """The reference's entry for an op, or for another word that can stand where an op does."""

    name: str
    usage: str  #: How it is written
    doc: str  #: What it is, in one or two sentences
    use: str = ""  #: A statement that shows it in each target
    formula: str = ""  #: What it computes, if `doc` does not say
    where: str = ""  #: What the names in the formulas of its output are
    example: str = ""  #: Statements
    op: Op | None = None

    @property
    def output(self) -> str:
        """Return the rank of its output in words."""
        if self.op is None or not (self.op.vector or self.op.channels or self.op.height):
            return "as the input"
        return "a vector, C'" if self.op.vector else "a map, C' x H' x W'"

    @property
    def sizes(self) -> str:
        """Return the sizes of its output as formulas, a line each; none if they are the input's."""
        if self.op is None or self.output == "as the input":
            return ""
        lines = [f"C' = {_written(self.op, self.op.channels, 'C')}"]
        if not self.op.vector:
            lines.append(f"H' = {_written(self.op, self.op.height, 'H')}, W' alike")
        return "\n".join([*lines, *filter(None, [self.where])])


def _written(op: Op, formula: Formula | None, otherwise: str) -> str:
    """Return the formula of a size; the span of a window without dilation is its kernel."""
    if formula is None:
        return otherwise
    names = {} if op.known("dilation") else {"span": "kernel"}
    return python(formula(lambda name: Parameter(names.get(name, name))))


@cache
def entries() -> dict[str, Entry]:
    """Return the entry of every op, and then of the other words."""
    read = tomllib.loads((folder("grammar") / "ops.toml").read_text("utf-8"))
    rows = {**read["op"], **read["word"]}
    rows = {name: {key: text.strip() for key, text in row.items()} for name, row in rows.items()}
    of_ops = {}
    for op in OPS.values():
        entry = Entry(op.name, op.usage, op.doc, **rows.pop(op.name, {}), op=op)
        of_ops[op.name] = replace(entry, use=entry.use or entry.example or op.name)
    return of_ops | {name: Entry(name, **row) for name, row in rows.items()}


def listing(width: int = 80) -> str:
    """List all ops with what they do."""
    rows = [(entry.name, entry.doc.partition(". ")[0].rstrip(".")) for entry in entries().values()]
    return columns(rows, width)


def page(entry: Entry, width: int = 80, paint: Paint = unpainted) -> str:
    """Document one op for a terminal, with prose of a width; `paint` writes headings."""
    parts = [paint(entry.usage, "heading"), filled(entry.doc, width)]
    if entry.formula:
        parts.append(indent(entry.formula, MARGIN))
    if entry.op is not None:
        parts += _tables(entry.op, width)
        takes = "a map, C x H x W" if entry.op.takes is Takes.MAP else "a map or a vector"
        parts.append(f"takes  {takes}\ngives  {entry.output}")
        if entry.sizes:
            parts[-1] += f"\n{indent(entry.sizes, ' ' * 7)}"
    if entry.example and entry.example != entry.use:
        parts += [paint("For example:", "heading"), indent(entry.example, MARGIN)]
    parts += [paint("In each target:", "heading"), indent(entry.use, MARGIN)]
    parts.append("on an input of 16 x 32 x 32, under `numerics caffe`, is")
    return "\n\n".join([*parts, *_targets(entry, width, paint)]) + "\n"


def _tables(op: Op, width: int) -> list[str]:
    """Return the arguments of an op, and what presets set."""
    parts = []
    if op.arguments:
        rows = [("argument", "value", "default", "meaning")]
        for argument in op.arguments:
            name = argument.name.upper() if argument.positional else f"{argument.name}="
            rows.append(
                (name, arguments.values(argument), arguments.default(argument), argument.doc)
            )
        parts.append(columns(rows, width))
    if presets := arguments.presets_of(op):
        names, said = zip(*presets, strict=True)
        heads = ("numerics", *(f"{name}=" for name in names))
        parts.append(columns([heads, *zip(PRESETS, *said, strict=True)], width))
    return [part.rstrip() for part in parts]


def _targets(entry: Entry, width: int, paint: Paint) -> list[str]:
    """Return what each target writes for an entry."""
    parts = []
    for rendering in renderings(entry.use):
        parts.append(f"{paint(rendering.target, 'heading')}\n{indent(rendering.code, MARGIN)}")
        for name, why in rendering.helpers.items():
            comment = indent(filled(f"{name}: {why}", width - len(MARGIN) - 2), "# ")
            parts[-1] += f"\n{indent(comment, MARGIN)}"
    return parts


def markdown(op: Op) -> str:
    """Return what the language's reference says of an op behind its introduction."""
    entry = entries()[op.name]
    formulas = "\n\n".join(filter(None, [entry.formula, entry.sizes]))
    parts = [indent(formulas, MARGIN)] if formulas else []
    rows = []
    for argument in op.arguments:
        name = argument.name if argument.positional else f"`{argument.name}=`"
        rows.append(
            (name, _linked(arguments.values(argument)), arguments.default(argument), argument.doc)
        )
    parts.append(table(("argument", "value", "default", "meaning"), rows).rstrip())
    if entry.example:
        parts.append(f"```inc body\n{entry.example}\n```")
    return "\n\n".join(parts)


def _linked(values: str) -> str:
    """Return the values of an argument with links to what explains them."""
    for word, place in (("padding", "padding"), ("initialiser", "initialisers")):
        values = values.replace(f" {word}", f" [{word}](#{place})")
    return values


def simple_ops() -> str:
    """Return the table of the ops without arguments."""
    rows = []
    for op in OPS.values():
        if not op.arguments:
            entry = entries()[op.name]
            output = entry.output + (f", {entry.sizes}" if entry.sizes else "")
            rows.append((f"`{op.name}`", op.doc.rstrip("."), output))
    return table(("op", "formula, elementwise unless stated", "output"), rows).rstrip()
