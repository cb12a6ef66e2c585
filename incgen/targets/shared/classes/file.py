"""A file of classes: one for each unit and block, and one for the network."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, ClassVar

from incgen.language import expressions as ex
from incgen.language.names import class_name
from incgen.resolve import definitions as df
from incgen.targets.shared import file as shared
from incgen.targets.shared.classes.code import Class
from incgen.targets.shared.classes.writer import ClassWriter
from incgen.targets.shared.code import Code, Joined, Node, Op, within
from incgen.targets.shared.file import Form
from incgen.targets.shared.preamble import described, facts


class ClassFile(shared.File):
    """A file of classes."""

    spelt = class_name
    writer: ClassVar[type[ClassWriter]]  #: Writes one of them

    @abstractmethod
    def decays(self, classes: Sequence[Node]) -> bool:
        """Return whether any class has weight decay."""

    def join_alone(self, kind: str, count: int) -> Sequence[Code]:
        """Return the code that joins so many values."""
        return (Joined(kind, tuple(ex.Name(f"x{number}") for number in range(count))),)

    def write(self, name: str, definition: df.Definition, is_map: bool) -> tuple[Form, Class]:
        """Return the class of a unit or block whose input is a map or a vector."""
        return self.writer(self, name, definition, is_map).definition_class()

    def written_network(self) -> Class:
        """Return the class of the network, which writes those that it uses."""
        return self.writer(self, self.name, self.graph.program.network, True).network_class()

    def view(self) -> dict[str, Any]:
        network = self.written_network()
        if self.decays((*self.written, network)):
            network = replace(network, methods=(Op("regularization_loss", {}),))
        if self.graph.deployment is not None:
            init = (*network.init, Op("begin_inference", {}))
            network = replace(network, init=init, methods=(Op("stay_in_inference", {}),))
        shapes = self.outputs()
        output = described(*next(iter(shapes.items())))
        if len(shapes) > 1:
            output += f"; in training {self.name}Output"
        return {
            **facts(self, output),
            "classes": self.written,
            "norms": any(
                isinstance(part, Op) and part.name == "bn"
                for part in within((*self.written, network))
            ),
            "network": network,
            "heads": [*shapes] if len(shapes) > 1 else [],
            "outputs": f"{self.name}Output",
        }
