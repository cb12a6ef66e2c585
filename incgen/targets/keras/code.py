"""What Keras code consists of, beside what every target's does: named layers, values, functions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from incgen.language import expressions as ex
from incgen.language.expressions import Expression
from incgen.targets.shared.code import Code, Formal, Node

#: A part of a layer's name: a word, or a variable of the function that the layer stands in.
Part: TypeAlias = str | ex.Name


@dataclass(frozen=True, slots=True)
class Title(Node):
    """The name of a layer, part by part."""

    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class Layer(Node):
    """A layer, or a function of ours that makes some.

    Attributes:
        name: of its macro.
        args: the facts that the macro takes, by name.
        suffix: what its name has behind that of the op; nothing for the layer that is it.
        title: its name.
        value: what it is applied to, if it is a function and so is no layer by itself.
        function: whether it is one.
    """

    name: str
    args: Mapping[str, object]
    suffix: tuple[str, ...] = ()
    title: Title | None = None
    value: Code | None = None
    function: bool = False

    @property
    def macro(self) -> str:
        """Return the name of its macro; that of a function says that it takes a value."""
        return f"{self.name}_of" if self.function else self.name

    @property
    def given(self) -> tuple[object, ...]:
        """Return the facts and the name, behind the value if there is one."""
        own = self.args, self.title
        return (self.value, *own) if self.function else own


@dataclass(frozen=True, slots=True)
class When(Node):
    """Steps that depend on a condition of parameters."""

    condition: Expression
    then: tuple[Step, ...]
    otherwise: tuple[Step, ...] = ()


Step: TypeAlias = Layer | When


@dataclass(frozen=True, slots=True)
class Function(Node):
    """A function.

    Attributes:
        kind: "unit", "block" or "network": the first two take a value, and give theirs.
        name: of the function.
        formals: its parameters, without those that all of its kind have.
        body: its statements.
    """

    kind: str
    name: str
    formals: tuple[Formal, ...]
    body: tuple[Node, ...]
