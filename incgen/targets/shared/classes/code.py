"""Nodes of class-based code: classes, modules in constructors, values in forward methods."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from incgen.language import expressions as ex
from incgen.targets.shared.code import (
    Applied,
    Bind,
    Branches,
    Chosen,
    Code,
    Construct,
    Formal,
    Node,
    Op,
)

#: The path of a module or parameter from its class; it may contain a loop variable.
Path: TypeAlias = tuple[str | ex.Name, ...]


def own(attribute: str) -> ex.Name:
    """Return an attribute of the class itself."""
    return ex.Name(f"self.{attribute}")


# ---------------------------------------------------------------- classes


@dataclass(frozen=True, slots=True)
class Class(Node):
    """A class."""

    name: str  #: The name of the class
    base: str  #: `module`, `list` or `chain`
    doc: str  #: The words of its docstring
    declared: tuple[Node, ...]  #: What it declares above its methods
    takes: tuple[Formal, ...]  #: The parameters of the constructor
    init: tuple[Node, ...]  #: The statements of the constructor
    values: tuple[str, ...]  #: The parameters of the forward method besides the input
    output: str  #: The type of the result if it is not always a tensor, else empty
    forward: tuple[Node, ...]  #: The statements of the forward method; none if the base has one
    methods: tuple[Node, ...] = ()  #: Further methods


# ---------------------------------------------------------------- modules


@dataclass(frozen=True, slots=True)
class Layer:
    """An op as a module."""

    module: Code  #: Its constructor
    #: A function and a stock module that do the same, where the module would be a class of its own.
    #: A container needs the module; a forward method can call both
    apart: tuple[Op, Op] | None = None
    weights: tuple[Any, ...] = ()  #: The parameters to initialise, if that takes statements


@dataclass(frozen=True, slots=True)
class Built:
    """A module and how it is called."""

    module: Code  #: Its constructor
    #: Returns its value, from the module and its input
    call: Callable[[Code, Code], Code] = field(default=lambda module, x: Applied(module, (x,)))

    def on(self, value: Code) -> Built:
        """Return the same module, called with a value whatever its input is."""
        return Built(self.module, lambda module, x: self.call(module, value))


def kind_of(module: Code) -> object:
    """Return a value that differs between modules of different classes."""
    match module:
        case Chosen():
            return kind_of(module.then)
        case Construct():
            return module.name
        case Op():
            return module.name, *(module.args.get(fact) for fact in ("is_map", "biased", "kind"))
        case _:
            return type(module)


def is_nested(module: Code) -> bool:
    """Return whether a module is one of more than two, too many for an expression."""
    return isinstance(module, Chosen) and any(
        isinstance(side, Chosen) for side in (module.then, module.otherwise)
    )


def hint_of(module: Code) -> str:
    """Return the word for the type of a variable that holds modules of several classes."""
    kinds = {kind_of(choice) for choice in _choices(module)} if is_nested(module) else set()
    if len(kinds) < 2:
        return ""
    convs = ("conv", "conv_same", "conv_padded")
    return "conv" if all(getattr(e, "name", "") in convs for e in _choices(module)) else "module"


def _choices(module: Code) -> Iterator[Code]:
    if isinstance(module, Chosen):
        yield from _choices(module.then)
        yield from _choices(module.otherwise)
    else:
        yield module


def assigned(target: str, module: Code, hint: str = "") -> tuple[Node, ...]:
    """Return the assignment of a module to an attribute; of one of several, an `if` statement.

    The hint is the word for its type, stated at the first assignment.
    """
    if not is_nested(module):
        return (Bind(target, module, hint),)
    sides: list[tuple[Code | None, tuple[Node, ...]]] = []
    rest = module
    while isinstance(rest, Chosen):
        sides.append((rest.condition, _side(target, rest.then, "" if sides else hint)))
        rest = rest.otherwise
    return (Branches((*sides, (None, (Bind(target, rest),)))),)


def _side(target: str, module: Code, hint: str) -> tuple[Node, ...]:
    """Return the assignment on one side of an `if` statement; here any choice becomes another."""
    if not isinstance(module, Chosen):
        return (Bind(target, module, hint),)
    sides = (module.condition, _side(target, module.then, hint))
    return (Branches((sides, (None, _side(target, module.otherwise, "")))),)
