"""The nodes of PyTorch code: classes, modules in constructors, values of `forward`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import TypeAlias

from incgen.language import expressions as ex
from incgen.language.expressions import Expression
from incgen.targets.shared.code import (
    Applied,
    Branches,
    Chosen,
    Code,
    Construct,
    Formal,
    Loop,
    Node,
    Op,
    Type,
)
from incgen.targets.torch.weights import Weight

#: Sizes of the input that a constructor takes if it needs them.
INPUT_SIZES = ("in_channels", "in_height", "in_width")
#: The path of a module or parameter from its class; the variable of a loop can stand in it.
Path: TypeAlias = tuple[str | ex.Name, ...]


def sizes_of(value: str) -> tuple[str, str, str]:
    """Return what a constructor calls the sizes of a value from outside, if it needs them."""
    return f"{value}_channels", f"{value}_height", f"{value}_width"


def own(attribute: str) -> ex.Name:
    """Return an attribute of the class itself."""
    return ex.Name(f"self.{attribute}")


# ---------------------------------------------------------------- classes


@dataclass(frozen=True, slots=True)
class Class(Node):
    """A class.

    Attributes:
        name: of the class.
        base: `module`, `list` or `chain`.
        doc: its docstring.
        finals: attributes that are declared as final, with their types.
        mixed: attributes that are modules of several kinds.
        rates: whether weight decay is declared.
        takes: the parameters of the constructor.
        init: what it does.
        values: what `forward` takes beside the input.
        output: the type of the result beside a tensor, if there is one.
        forward: what it does; nothing if the base has one.
        regularized: whether the class sums up weight decay.
    """

    name: str
    base: str
    doc: str
    finals: tuple[tuple[str, Type], ...]
    mixed: tuple[str, ...]
    rates: bool
    takes: tuple[Formal, ...]
    init: tuple[Node, ...]
    values: tuple[str, ...]
    output: str
    forward: tuple[Node, ...]
    regularized: bool = False


# ---------------------------------------------------------------- modules


@dataclass(frozen=True, slots=True)
class Built:
    """What stands under a label, as one module.

    Attributes:
        module: its constructor.
        call: its value in `forward`, from the module and its input.
    """

    module: Code
    call: Callable[[Code, Code], Code] = field(default=lambda module, x: Applied(module, (x,)))


def kind_of(module: Code) -> object:
    """Return what tells modules of different classes apart."""
    match module:
        case Chosen():
            return kind_of(module.then)
        case Construct():
            return module.name
        case Op():
            return module.name, *(module.args.get(fact) for fact in ("is_map", "biased", "kind"))
        case _:
            return type(module)


# ---------------------------------------------------------------- how parameters begin


@dataclass(frozen=True, slots=True)
class Key(Node):
    """The key of a parameter."""

    path: Path

    @property
    def varies(self) -> bool:
        """Return whether the variable of a loop stands in it."""
        return any(isinstance(part, ex.Name) for part in self.path)


@dataclass(frozen=True, slots=True)
class Start:
    """How a parameter begins, to be written when its module is an attribute.

    Attributes:
        path: of the parameter.
        weight: what is written.
        around: the loops and conditions around it, as statements without a body.
    """

    path: Path
    weight: Weight
    around: tuple[Loop | Branches, ...] = ()


def only_if(condition: Expression) -> Branches:
    """Return a condition that stands around something."""
    return Branches(((condition, ()),))


def nested(found: Iterable[tuple[tuple[Loop | Branches, ...], Node]]) -> list[Node]:
    """Return statements inside their loops and conditions; neighbours share those they have."""
    result: list[Node] = []
    for around, group in groupby(found, key=lambda each: each[0][:1]):
        inner = [(rest[1:], statement) for rest, statement in group]
        match around:
            case (Branches() as outer,):
                condition, _ = outer.sides[0]
                result.append(Branches(((condition, tuple(nested(inner))),)))
            case (Loop() as outer,):
                result.append(replace(outer, body=tuple(nested(inner))))
            case _:
                result += [statement for _, statement in inner]
    return result
