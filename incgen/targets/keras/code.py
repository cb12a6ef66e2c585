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
    """A layer."""

    name: str  #: The name of its macro
    args: Mapping[str, object]  #: The facts that the macro takes, by name
    #: What follows the name of the op in its name, if the op is several layers
    suffix: tuple[str, ...] = ()
    title: Title | None = None  #: Its name
    comment: str = ""  #: The comment on it

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
    """A function."""

    kind: str  #: "unit", "block" or "network"; the first two take a value and return one
    name: str  #: The name of the function
    formals: tuple[Formal, ...]  #: Its parameters, except those that all of its kind have
    body: tuple[Node, ...]  #: Its statements
