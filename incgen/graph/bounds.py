"""Limits on the size of a network, so that no spec can make incgen hang."""

from __future__ import annotations

from incgen.base.diagnostics import Code, Reporter
from incgen.base.source import Span
from incgen.graph.frames import uses_of
from incgen.graph.nodes import Use
from incgen.graph.shapes import Shape, Tensor

#: Layers of one network, and the statements that lead to them.
MAX_ELEMENTS = 25_000
#: Iterations of one `repeat`.
MAX_REPEAT = 10_000
#: Rows and columns of any value.
MAX_SIZE = 100_000
#: Numbers in one value of one example, and in all parameters.
MAX_NUMBERS = 2**40
#: Nesting of uses and bodies.
MAX_DEPTH = 100
#: Characters of a key; nobody could read a longer one.
MAX_PATH = 500


class TooLargeError(Exception):
    """The network exceeds a bound; already reported."""


class Bounds:
    """Counts the parts of a network, and stops if there are too many."""

    def __init__(self, report: Reporter) -> None:
        self.report = report
        self.elements = 0
        self.numbers = 0

    def element(self, span: Span, use: Use | None, depth: int = 0) -> None:
        """Count a layer, or a line that leads to one; raise `TooLargeError` if it is too much."""
        self.elements += 1
        if self.elements > MAX_ELEMENTS:
            message = f"the network has more than {MAX_ELEMENTS} layers and lines"
            self._refuse(Code.TOO_LARGE, span, message, use)
        if depth > MAX_DEPTH:
            message = f"uses and bodies are nested more than {MAX_DEPTH} deep"
            self._refuse(Code.NESTING_TOO_DEEP, span, message, use)

    def layer(
        self, shape: Shape, weights: tuple[Tensor, ...], path: str, span: Span, use: Use | None
    ) -> None:
        """Count the numbers of a layer.

        Raises:
            TooLargeError: The layer or the network has too many, or its key is too long.
        """
        self.numbers += sum(tensor.size for tensor in weights)
        fault = None
        if max(shape.height or 1, shape.width or 1) > MAX_SIZE:
            fault = f"a value of {shape} is too large: height and width go up to {MAX_SIZE}"
        elif shape.size > MAX_NUMBERS:
            fault = f"a value of {shape} is too large: it has more than 2**40 numbers"
        elif self.numbers > MAX_NUMBERS:
            fault = "the network has more than 2**40 parameters up to this point"
        elif len(path) > MAX_PATH:
            fault = f"the key of this layer has {len(path)} characters, more than {MAX_PATH}"
        if fault:
            self._refuse(Code.TOO_LARGE, span, fault, use)

    def _refuse(self, code: Code, span: Span, message: str, use: Use | None) -> None:
        self.report.error(code, span, message, notes=uses_of(use))
        raise TooLargeError
