"""Text that every target shares: docstrings, numbers for people, paragraphs of a body."""

from __future__ import annotations

from incgen import definitions as df
from incgen.diagnostics import Code, Diagnostic, SpecError
from incgen.graph import Graph
from incgen.layout import LINE_LENGTH, wrap


def check_used(graph: Graph) -> None:
    """Refuse layers whose values no output uses: a functional model cannot hold them.

    Raises:
        SpecError: there are such layers.
    """
    used = set(graph.outputs.values())
    for index in range(len(graph.nodes) - 1, 0, -1):
        if index in used:
            used.update(graph.nodes[index].inputs)
    unused = {
        (node.span.source.name, node.span.start): node
        for index, node in enumerate(graph.nodes)
        if index and index not in used
    }
    if unused:
        message = "the value of `{}` is used by nothing: it does not lead to an output"
        help_ = "remove it, or let a later line start `from` it"
        raise SpecError(
            [
                Diagnostic(Code.UNSUPPORTED, message.format(node.path), node.span, help=help_)
                for node in unused.values()
            ]
        )


def escaped(doc: str) -> str:
    """A doc comment that cannot end the docstring it stands in, nor act in it."""
    plain = "".join(c if c.isprintable() or c == "\n" else " " for c in doc)
    return plain.replace("\\", "\\\\").replace('"""', "'''")


def docstring(doc: str, indent: int, facts: tuple[str, ...] = (), last: str = "") -> list[str]:
    """A docstring as lines, closed on its own line if it has more than one.

    Args:
        doc: the words; its first line stands by itself.
        indent: of the docstring, in spaces.
        facts: lines that are kept as they are.
        last: a closing paragraph.
    """
    lines = wrap(_titled(escaped(doc).strip()), LINE_LENGTH, indent)
    margin = " " * indent
    if facts:
        lines += ["", *(f"{margin}{escaped(fact)}" for fact in facts)]
    if last:
        lines += ["", *wrap(escaped(last), LINE_LENGTH, indent)]
    if not any(line.strip() for line in lines):
        return []
    # The quotes take room on the first line, and on the last if there is only one.
    first, *rest = wrap(lines[0].strip(), LINE_LENGTH - 3, indent)
    lines = [f'{margin}"""{first.strip()}', *rest, *lines[1:]]
    if len(lines) == 1:
        # ruff format puts a space between a quote and the closing ones
        touching = " " if lines[0].endswith('"') else ""
        if len(lines[0]) + len(touching) + 3 <= LINE_LENGTH:
            return [f'{lines[0]}{touching}"""']
        # ruff format closes a single line where it ends, however long, so make it two
        first, *rest = wrap(lines[0].strip().removeprefix('"""'), LINE_LENGTH - 7, indent)
        lines = [f'{margin}"""{first.strip()}', *rest]
    return [*lines, f'{margin}"""']


def _titled(doc: str) -> str:
    """The first line of a comment as a paragraph of its own, as docstrings have it."""
    first, _, rest = doc.partition("\n")
    if rest and rest[0] != "\n" and first.endswith("."):
        return f"{first}\n\n{rest}"
    return doc


def summary(graph: Graph) -> tuple[str, str]:
    """Title and body of the module docstring: the file's comment, or the network's."""
    program = graph.program
    doc = program.doc or program.network.doc or program.network.name.replace("_", " ")
    return doc, cost(graph.multiply_adds)


def cost(multiply_adds: int) -> str:
    """Multiply-adds for people.

    >>> cost(2032600064)
    '2.03 G multiply-adds'
    """
    for unit, factor in (("G", 10**9), ("M", 10**6), ("k", 10**3)):
        if multiply_adds >= factor:
            return f"{multiply_adds / factor:.2f} {unit} multiply-adds"
    return f"{multiply_adds} multiply-adds"


def network_doc(graph: Graph) -> str:
    """What the model's own docstring begins with."""
    program = graph.program
    own = program.network.doc or program.doc
    return own.split("\n\n")[0].split("\n")[0] if own else program.network.name


def paragraph_before(previous: df.Step | df.Head | None, step: df.Step | df.Head) -> bool:
    """Whether the spec has an empty line in front of a statement."""
    if previous is None:
        return False
    between = step.span.source.text[previous.span.end : step.span.start]
    return any(not line.strip() for line in between.split("\n")[1:-1])


def camel(name: str) -> str:
    """A label as a part of a class name."""
    return "".join(part[:1].upper() + part[1:] for part in name.split("_") if part)


def number_list(values: tuple[float, ...]) -> str:
    """Numbers as a list, whole ones without a point.

    >>> number_list((104.0, 0.5))
    '[104, 0.5]'
    """
    return f"[{', '.join(shown(v) for v in values)}]"


def shown(value: float) -> str:
    """A number, without a point if it is whole."""
    return str(int(value)) if value == int(value) else repr(value).replace("e-0", "e-")


def rescaled(x: str, low: float, high: float) -> str:
    """Values in 0..255 as values in low..high, as source."""
    if low == 0:
        factor = 255 / high
        return f"{x} / {shown(factor)}" if factor == int(factor) else f"{x} * {shown(high)} / 255"
    sign = "+" if low > 0 else "-"
    factor = 255 / (high - low)
    return f"{x} / {shown(factor)} {sign} {shown(abs(low))}"


def returned(lines: list[str]) -> list[str]:
    """The last assignment to `x` as a return statement."""
    if len(lines) > 1 and lines[-1].startswith("    x = "):
        return [*lines[:-1], lines[-1].replace("    x = ", "    return ", 1)]
    return [*lines, "    return x"]


def plain(doc: str) -> str:
    """A doc comment as a comment: no control characters, no line that is not one."""
    return "".join(c if c.isprintable() or c == "\n" else " " for c in doc)


def described(definition: df.Definition) -> str:
    """A docstring for a definition without a comment: what it is made of."""
    if definition.kind != "unit":
        return f"The block `{definition.name}`."
    names = [
        element.op.name if isinstance(element, df.OpCall) else element.definition.name
        for element in df.elements(definition.body)
        if isinstance(element, df.OpCall | df.Instance)
    ]
    return f"The unit `{definition.name}`: {' -> '.join(names)}."
