"""Nodes of Keras code only: layers with names, functions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from incgen.language import expressions as ex
from incgen.language.expressions import Expression
from incgen.targets.shared.code import Formal, Node

#: A part of a layer's name: a word, or a variable of the function around the layer.
Part: TypeAlias = str | ex.Name


@dataclass(frozen=True, slots=True)
class Title(Node):
    """The name of a layer, part by part."""

    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class Layer(Node):
    """A layer.

    Attributes:
        name: The name of its macro.
        args: The facts that the macro takes, by name.
        suffix: What follows the name of the op in its name, if the op is several layers.
        title: Its name.
        comment: The comment on it.
    """

    name: str
    args: Mapping[str, object]
    suffix: tuple[str, ...] = ()
    title: Title | None = None
    comment: str = ""

    @property
    def macro(self) -> str:
        """Return the name of its macro."""
        return self.name

    @property
    def given(self) -> tuple[object, ...]:
        """Return the facts and the name."""
        return self.args, self.title


@dataclass(frozen=True, slots=True)
class When(Node):
    """Steps that depend on a condition on parameters."""

    condition: Expression
    then: tuple[Step, ...]
    otherwise: tuple[Step, ...] = ()


Step: TypeAlias = Layer | When


@dataclass(frozen=True, slots=True)
class Function(Node):
    """A function.

    Attributes:
        kind: "unit", "block" or "network"; the first two take a value and return one.
        name: The name of the function.
        formals: Its parameters, except those that all of its kind have.
        body: Its statements.
    """

    kind: str
    name: str
    formals: tuple[Formal, ...]
    body: tuple[Node, ...]
