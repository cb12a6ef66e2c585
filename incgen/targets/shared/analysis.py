"""The facts about a network that the files of all targets need."""

from __future__ import annotations

from functools import cached_property

from incgen.base.source import Span
from incgen.graph.nodes import Graph
from incgen.resolve import definitions as df
from incgen.targets.shared.parameters import OpenParameters, float_parameters
from incgen.targets.shared.shaping import Shaper
from incgen.targets.shared.signs import never_negative
from incgen.targets.shared.symbols import Symbol
from incgen.targets.shared.units import UnitForm, unit_forms
from incgen.targets.shared.words import Words


class Analysis:
    """Facts about the definitions of a network, computed when the first target needs them."""

    def __init__(self, graph: Graph) -> None:
        """Begin with nothing computed."""
        self.graph = graph
        self.words = Words(graph, OpenParameters(graph.program))

    @cached_property
    def unit_forms(self) -> dict[df.Definition, UnitForm]:
        """Return the parameters that each unit needs."""
        return unit_forms(self.graph, self.words)

    @cached_property
    def never_negative(self) -> frozenset[Span]:
        """Return the places of the ops whose input is never negative."""
        return never_negative(self.graph.program)

    @cached_property
    def shaper(self) -> Shaper:
        """Return what computes shapes as formulas."""
        return Shaper(self.graph, self.words)

    @cached_property
    def input(self) -> Symbol:
        """Return the shape of the network's input; what is behind it is known by the object."""
        return Symbol(True, lambda axis: getattr(self.graph.program.network.pixels, axis))

    @cached_property
    def floats(self) -> set[tuple[df.Definition, str]]:
        """Return the parameters that are used as floats only."""
        return float_parameters(self.graph.program)
