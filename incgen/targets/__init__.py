"""The frameworks that incgen writes. A target is one row here, one package and one folder.

ONNX is not among them, since its files are not source text and hold weights: see `incgen/onnx`.
The package turns a graph into trees of code, and the templates of the folder print them. Modules
are imported when they are used: a build for one target pays for one.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from incgen.graph.nodes import Graph
from incgen.language.names import class_name
from incgen.targets.shared.style import PLAIN, Style

if TYPE_CHECKING:
    from incgen.graph.calls import Calls
    from incgen.targets.shared.analysis import Analysis


@dataclass(frozen=True, slots=True)
class Target:
    """A framework."""

    name: str  #: What users write
    aliases: tuple[str, ...]  #: What they can write instead
    module: str  #: The module whose class `File` is a file of it
    entry: Callable[[str], str]  #: Returns the name of the class or function of a network
    style: Style = PLAIN  #: How the code is written

    def styled(self, style: Style) -> Target:
        """Return the target with another style."""
        return replace(self, style=style)

    def emit(self, graph: Graph) -> str:
        """Return the source of a network for this framework.

        Raises:
            SpecError: The framework cannot express something; code `unsupported`.
        """
        text: str = self._file(graph, self.style).source()
        return text

    def draft(self, graph: Graph) -> str:
        """Return the source of a network as templates write it, before it is laid out.

        Raises:
            SpecError: The framework cannot express something; code `unsupported`.
        """
        text: str = self._file(graph, PLAIN).draft()
        return text

    def calls(self, graph: Graph) -> Calls:
        """Return what this framework's code calls the layers of a network.

        Raises:
            SpecError: The framework cannot express something; code `unsupported`.
        """
        from incgen.targets.shared import naming  # no build needs it

        return naming.calls(self._file(graph, PLAIN))

    def check(self, graph: Graph, analysis: Analysis | None = None) -> None:
        """Refuse a network that this framework cannot express, without printing any code.

        Several targets can share an analysis of the network.

        Raises:
            SpecError: The framework cannot express something; code `unsupported`.
        """
        file = self._file(graph, self.style, analysis=analysis, documented=False)
        file.written_network()

    def _file(self, graph: Graph, style: Style, **options: Any) -> Any:
        """Return a file of which nothing is written yet; it takes the options."""
        return importlib.import_module(self.module).File(graph, style, **options)


#: What users write for an ONNX file, beside the names of targets.
ONNX = "onnx"
TARGETS: dict[str, Target] = {
    target.name: target
    for target in (
        Target("torch", ("pytorch",), "incgen.targets.torch.file", class_name),
        Target("keras", ("tf", "tensorflow"), "incgen.targets.keras.file", str),
        Target("flax", ("jax", "nnx"), "incgen.targets.flax.file", class_name),
    )
}


def target_named(name: str) -> Target | None:
    """Return the target of a name or alias, or None."""
    for target in TARGETS.values():
        if name == target.name or name in target.aliases:
            return target
    return None
