"""The syntax tree of one spec file: what was written.

Nothing is resolved or filled in here. Two trees are equal if they say the same, whatever their
locations; a formatter must keep them equal.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias, TypeVar

from incgen.base.source import Located
from incgen.language import expressions as ex
from incgen.language.expressions import Expression


@dataclass(frozen=True, slots=True)
class Identifier(Located):
    """A name and its location."""

    text: str


@dataclass(frozen=True, slots=True)
class Window(Located):
    """`HxW` or `HxW/SHxSW`; the strides are None if omitted."""

    height: Expression
    width: Expression
    stride_height: Expression | None
    stride_width: Expression | None


@dataclass(frozen=True, slots=True)
class Text(Located):
    """A string in double quotes."""

    value: str


@dataclass(frozen=True, slots=True)
class Items(Located):
    """A list in brackets."""

    values: tuple[Argument, ...]


@dataclass(frozen=True, slots=True)
class Applied(Located):
    """A name with arguments, as in `init=normal(0.01)`."""

    name: str
    arguments: tuple[Expression, ...]


Argument: TypeAlias = Expression | Window | Text | Items | Applied


@dataclass(frozen=True, slots=True)
class Attribute(Located):
    """`name=value`."""

    name: Identifier
    value: Argument


@dataclass(frozen=True, slots=True)
class Call(Located):
    """An op, unit or block with its arguments."""

    name: Identifier
    positional: tuple[Argument, ...]
    attributes: tuple[Attribute, ...]


@dataclass(frozen=True, slots=True)
class Join(Located):
    """`concat`, `add` or `mul` with its branches."""

    kind: str
    body: Body


@dataclass(frozen=True, slots=True)
class Group(Located):
    """A body in place of an op."""

    body: Body


@dataclass(frozen=True, slots=True)
class Repeat(Located):
    """`repeat count { ... }`."""

    count: Expression
    body: Body


@dataclass(frozen=True, slots=True)
class Conditional(Located):
    """`if condition { ... } else { ... }`."""

    condition: Expression
    then: Body
    otherwise: Body | None


Element: TypeAlias = Call | Join | Group | Repeat | Conditional


@dataclass(frozen=True, slots=True)
class Statement(Located):
    """`label: from origin -> element -> element`."""

    label: Identifier | None
    origin: Identifier | None
    elements: tuple[Element, ...]
    doc: str


@dataclass(frozen=True, slots=True)
class Input(Located):
    """`input 224x224 3 order=bgr`."""

    size: Window
    channels: Argument | None
    attributes: tuple[Attribute, ...]
    doc: str


@dataclass(frozen=True, slots=True)
class Aux(Located):
    """`aux label { ... }`."""

    label: Identifier
    body: Body
    doc: str


@dataclass(frozen=True, slots=True)
class Body(Located):
    """Statements between braces."""

    statements: tuple[Statement | Input | Aux, ...]


@dataclass(frozen=True, slots=True)
class Numerics(Located):
    """`numerics caffe`."""

    preset: Identifier


@dataclass(frozen=True, slots=True)
class Default(Located):
    """`default op name=value`."""

    op: Identifier
    attributes: tuple[Attribute, ...]


@dataclass(frozen=True, slots=True)
class Constant(Located):
    """`let name = expression`."""

    name: Identifier
    value: Expression


@dataclass(frozen=True, slots=True)
class Parameter(Located):
    """A parameter of a block or network, with its default if it has one."""

    name: Identifier
    default: Expression | None


@dataclass(frozen=True, slots=True)
class Unit(Located):
    """`unit name = op -> op`."""

    name: Identifier
    calls: tuple[Call, ...]
    doc: str


@dataclass(frozen=True, slots=True)
class Block(Located):
    """`block name(parameters) { ... }`."""

    name: Identifier
    parameters: tuple[Parameter, ...]
    body: Body
    doc: str


@dataclass(frozen=True, slots=True)
class Network(Block):
    """`network name(parameters) { ... }`: a block that is built by itself."""


@dataclass(frozen=True, slots=True)
class Use(Located):
    """`use a, b from "file.inc"`."""

    names: tuple[Identifier, ...]
    path: Text


@dataclass(frozen=True, slots=True)
class Trains(Located):
    """`for network parameter=value`: the network of a recipe."""

    network: Identifier
    attributes: tuple[Attribute, ...]


@dataclass(frozen=True, slots=True)
class Setting(Located):
    """`rate 0.1 -> cosine`: one setting of a recipe, or one line of transforms."""

    calls: tuple[Call, ...]


@dataclass(frozen=True, slots=True)
class Images(Located):
    """`train { crop -> flip }`: transforms of images."""

    name: Identifier
    lines: tuple[Setting, ...]


@dataclass(frozen=True, slots=True)
class Recipe(Located):
    """`recipe name for network from parent { ... }`."""

    name: Identifier
    trains: Trains | None
    parent: Identifier | None
    settings: tuple[Setting | Images, ...]
    doc: str


Item: TypeAlias = Numerics | Default | Constant | Unit | Block | Use | Recipe
ItemT = TypeVar("ItemT", bound=Item)


@dataclass(frozen=True, slots=True)
class Spec:
    """One file."""

    items: tuple[Item, ...]  #: The items of the file, in order
    doc: str  #: The doc comment at the top
    header: str  #: The plain comment before that, such as a licence

    def of(self, kind: type[ItemT]) -> list[ItemT]:
        """Return the items of a kind, in order."""
        return [item for item in self.items if isinstance(item, kind)]


def inner_bodies(body: Body) -> list[Body]:
    """Return the bodies directly inside a body."""
    bodies: list[Body] = []
    for statement in body.statements:
        if isinstance(statement, Aux):
            bodies.append(statement.body)
        elif isinstance(statement, Statement):
            for element in statement.elements:
                if isinstance(element, (Join, Group, Repeat)):
                    bodies.append(element.body)
                elif isinstance(element, Conditional):
                    bodies.append(element.then)
                    if element.otherwise is not None:
                        bodies.append(element.otherwise)
    return bodies


def statements(body: Body) -> Iterator[Statement]:
    """Yield the statements of a body and of all bodies inside it."""
    pending = [body]
    while pending:
        current = pending.pop()
        pending.extend(inner_bodies(current))
        yield from (s for s in current.statements if isinstance(s, Statement))


def called(item: Unit | Block) -> Iterator[Identifier]:
    """Yield the names that a definition applies, including ops."""
    if isinstance(item, Unit):
        yield from (call.name for call in item.calls)
        return
    yield from applied(item.body)


def applied(body: Body) -> Iterator[Identifier]:
    """Yield the names that a body applies, including ops."""
    for statement in statements(body):
        yield from (e.name for e in statement.elements if isinstance(e, Call))


def recipe_names(spec: Spec) -> set[str]:
    """Return the names that the recipes of a file refer to.

    They are those of recipes that others are made from, of networks, and of constants.
    """
    names: set[str] = set()
    for recipe in spec.of(Recipe):
        names |= {recipe.parent.text} if recipe.parent else set()
        attributes: list[Attribute] = []
        values: list[Argument] = []
        if recipe.trains:
            names.add(recipe.trains.network.text)
            attributes += recipe.trains.attributes
        for setting in recipe.settings:
            for line in setting.lines if isinstance(setting, Images) else (setting,):
                for call in line.calls:
                    values += call.positional
                    attributes += call.attributes
        values += [attribute.value for attribute in attributes]
        names |= {name.text for value in values for name in names_in(value)}
    return names


def names_in(value: Argument) -> Iterator[ex.Name]:
    """Yield the names in an argument, each once."""
    match value:
        case Window():
            parts: list[Expression] = [value.height, value.width]
            strides = (value.stride_height, value.stride_width)
            parts += [s for s in strides[: 1 if strides[0] is strides[1] else 2] if s is not None]
            for part in parts:
                yield from ex.names(part)
        case Items():
            for item in value.values:
                yield from names_in(item)
        case Applied():
            for argument in value.arguments:
                yield from ex.names(argument)
        case Text():
            return
        case _:
            yield from ex.names(value)


def choice_of_heads(statement: Statement | Input | Aux) -> Conditional | None:
    """Return the `if` that makes up a statement, if it or its `else if`s contain heads."""
    if not isinstance(statement, Statement) or statement.label or statement.origin:
        return None
    choice = statement.elements[0] if len(statement.elements) == 1 else None
    if not isinstance(choice, Conditional):
        return None
    inner = [*choice.then.statements, *(choice.otherwise.statements if choice.otherwise else ())]
    has_heads = any(isinstance(child, Aux) or choice_of_heads(child) for child in inner)
    return choice if has_heads else None
