"""The nodes of PyTorch code: classes, modules in constructors, values of `forward`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TypeAlias

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


def is_nested(module: Code) -> bool:
    """Return whether a module is one of more than two, which is too much for an expression."""
    return isinstance(module, Chosen) and any(
        isinstance(side, Chosen) for side in (module.then, module.otherwise)
    )


def hint_of(module: Code) -> str:
    """Return the word for the type of a module of several classes, which its variable has."""
    kinds = {kind_of(each) for each in _choices(module)} if is_nested(module) else set()
    if len(kinds) < 2:
        return ""
    names = {each.name for each in _choices(module) if isinstance(each, Op)}
    return "conv" if names <= {"conv", "conv_same", "conv_padded"} else "module"


def _choices(module: Code) -> Iterator[Code]:
    if isinstance(module, Chosen):
        yield from _choices(module.then)
        yield from _choices(module.otherwise)
    else:
        yield module


def assigned(target: str, module: Code, hint: str = "") -> tuple[Node, ...]:
    """Return the assignment of a module; of one of several, as an `if` statement.

    Args:
        target: an attribute or a variable.
        module: what it is given.
        hint: the word for its type, to be said at the first.
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
    """Return the assignment on one side of an `if` statement, where a choice is one as well."""
    if not isinstance(module, Chosen):
        return (Bind(target, module, hint),)
    sides = (module.condition, _side(target, module.then, hint))
    return (Branches((sides, (None, _side(target, module.otherwise, "")))),)


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
    """How a parameter begins.

    Attributes:
        path: of the module.
        inner: the attributes that lead from the module to the parameter.
        weight: what is written.
    """

    path: Path
    inner: tuple[str, ...]
    weight: Weight
