"""Values that no output depends on: a target that dropped them would lose their keys."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from incgen.base.diagnostics import Code, Reporter
from incgen.base.help import Help, put
from incgen.graph.frames import uses_of
from incgen.graph.nodes import Node
from incgen.resolve import definitions as df


def needed(nodes: Sequence[Node], outputs: Iterable[int]) -> set[int]:
    """Return the numbers of the nodes that some outputs depend on, and those of the outputs."""
    numbers = set(outputs)
    for index in range(len(nodes) - 1, -1, -1):
        if index in numbers:
            numbers.update(nodes[index].inputs)
    return numbers


def report_unused(
    nodes: Sequence[Node], outputs: Iterable[int], network: df.Definition, report: Reporter
) -> None:
    """Report the values that nothing uses and that are not outputs."""
    used = set(outputs).union(*(node.inputs for node in nodes))
    for index, node in enumerate(nodes):
        if index > 0 and index not in used:
            message = f"nothing uses `{node.path}`: no output depends on it"
            help_ = _help(node, network)
            report.error(Code.UNUSED, node.span, message, notes=uses_of(node.use), help=help_)


def _help(node: Node, network: df.Definition) -> Help:
    """Return advice for an unused value: one of the network's own can be made an output."""
    use, place = node.use, node.span
    while use is not None:
        place, use = use.span, use.outer
    for step in network.body.steps:
        inside = step.span.start <= place.start and place.end <= step.span.end
        if inside and isinstance(step, df.Step) and step.label is not None:
            layers = step.span.text.partition(":")[2].strip()
            shown = layers if len(layers) <= 60 and "\n" not in layers else "..."
            where = "in PyTorch and Flax for training only"
            return Help(
                f"make it an output, `aux {step.label} {{ {shown} }}` ({where}), or remove it",
                *put(f"aux {step.label} {{ {layers} }}", "", over=step.span),
            )
    return Help("remove it, or join it with what follows", *put(""))
