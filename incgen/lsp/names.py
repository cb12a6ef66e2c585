"""Resolve each name of a file from its tree alone, so that errors elsewhere do not matter.

The rules are the resolver's: a test renames every symbol of every spec and compiles the result.
"""

from __future__ import annotations

import bisect
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property
from typing import TypeAlias

from incgen.base.source import Located, Span
from incgen.language import expressions as ex
from incgen.language.ops import DIMENSIONS, OPS, WORDS
from incgen.language.signatures import Kind, Op
from incgen.recipes.table import SETTINGS, TRANSFORMS
from incgen.syntax import tree as st
from incgen.syntax.loader import LoadedFile


class Role(Enum):
    """The referent of a name."""

    UNIT = "unit"
    BLOCK = "block"
    NETWORK = "network"
    CONSTANT = "constant"
    PARAMETER = "parameter"
    LABEL = "label"
    RECIPE = "recipe"
    OP = "op"
    ATTRIBUTE = "attribute"
    DIMENSION = "dimension"
    FILE = "file"
    PRESET = "preset"
    SETTING = "setting"  #: A setting of a recipe, a part of one, or a transform
    WORD = "word"


@dataclass(frozen=True, slots=True)
class Symbol:
    """Something that a spec defines. Two are equal if they stand at the same place."""

    role: Role
    name: str
    span: Span  #: The place of its name
    #: What is written: a definition, a statement, a parameter
    item: Located = field(compare=False, repr=False)
    owner: str = ""  #: For a parameter, the definition that has it


@dataclass(frozen=True, slots=True)
class Occurrence:
    """A name at one place."""

    span: Span
    role: Role
    symbol: Symbol | None = None  #: What it refers to, if that is defined in a spec
    defines: bool = False  #: Whether it is defined here
    #: The call, join, statement or item that it belongs to
    around: Located | None = field(default=None, compare=False, repr=False)


_Definition: TypeAlias = st.Unit | st.Block
#: The labels that `from` can name, of a body and of those around it.
_Frames: TypeAlias = list[dict[str, Symbol]]
_Names: TypeAlias = Mapping[str, Symbol]

#: Words of recipes that never are constants.
_OF_RECIPES = frozenset(
    word
    for forms in (*(f for s in SETTINGS.values() for f in (s.forms, s.parts)), *TRANSFORMS.values())
    for form in forms.values()
    for word in (form.name, *(w for f in form.fields for w in (*f.words, f.lead)))
) | {"epochs", "steps"}


class Names:
    """The names of one file."""

    def __init__(self, loaded: LoadedFile | None) -> None:
        """Read the names of a file, if there is a tree of it."""
        self.loaded = loaded
        self.constants: dict[str, Symbol] = {}  #: The constants of the file
        #: Its units, blocks and networks, and those that it uses from other files
        self.definitions: dict[str, Symbol] = {}
        self.recipes: dict[str, Symbol] = {}  #: Its recipes, and those that it uses
        self.imported: set[str] = set()
        if loaded is not None:
            self._declare(loaded)

    def _declare(self, loaded: LoadedFile) -> None:
        for item in loaded.spec.items:
            match item:
                case st.Constant():
                    self._add(self.constants, Role.CONSTANT, item.name, item)
                case st.Unit() | st.Block():
                    self._add(self.definitions, _role(item), item.name, item)
                case st.Recipe():
                    self._add(self.recipes, Role.RECIPE, item.name, item)
                case st.Use() if (used := loaded.uses.get(item.path.value)) is not None:
                    self._import(item, Names(used))
                case _:
                    pass

    def _add(
        self, table: dict[str, Symbol], role: Role, name: st.Identifier, item: st.Item
    ) -> None:
        table.setdefault(name.text, Symbol(role, name.text, name.span, item))

    def _import(self, item: st.Use, used: Names) -> None:
        for name in item.names:
            for theirs, ours in (
                (used.definitions, self.definitions),
                (used.recipes, self.recipes),
            ):
                if name.text in theirs and name.text not in used.imported:
                    ours.setdefault(name.text, theirs[name.text])
                    self.imported.add(name.text)

    @cached_property
    def occurrences(self) -> Sequence[Occurrence]:
        """Return every name, in the order of the file."""
        if self.loaded is None:
            return ()
        occurrences = _Reader(self, self.loaded).all()
        return sorted(occurrences, key=lambda use: (use.span.start, use.span.end))

    @cached_property
    def _starts(self) -> list[int]:
        return [occurrence.span.start for occurrence in self.occurrences]

    def at(self, offset: int) -> Occurrence | None:
        """Return the name at an offset, or the one that ends there."""
        index = bisect.bisect_right(self._starts, offset) - 1
        if index < 0 or self.occurrences[index].span.end < offset:
            return None
        return self.occurrences[index]

    def of(self, symbol: Symbol) -> list[Occurrence]:
        """Return the places that refer to a symbol, and the one that defines it."""
        return [occurrence for occurrence in self.occurrences if occurrence.symbol == symbol]

    def parameters(self, symbol: Symbol) -> dict[str, Symbol]:
        """Return the parameters of a block or network."""
        if not isinstance(symbol.item, st.Block):
            return {}
        return {
            p.name.text: Symbol(Role.PARAMETER, p.name.text, p.name.span, p, symbol.name)
            for p in reversed(symbol.item.parameters)
        }

    def head(self, name: str) -> Op | None:
        """Return the op that takes the arguments of a call: itself, or the head of a unit."""
        seen = set[str]()
        while name not in OPS:
            symbol = self.definitions.get(name)
            if symbol is None or name in seen or not isinstance(symbol.item, st.Unit):
                return None
            seen.add(name)
            name = symbol.item.calls[0].name.text
        return OPS[name]


def _role(item: _Definition) -> Role:
    if isinstance(item, st.Unit):
        return Role.UNIT
    return Role.NETWORK if isinstance(item, st.Network) else Role.BLOCK


class _Reader:
    """Reads the occurrences of one file."""

    def __init__(self, names: Names, loaded: LoadedFile) -> None:
        self.names, self.loaded = names, loaded

    def all(self) -> Iterator[Occurrence]:
        for item in self.loaded.spec.items:
            match item:
                case st.Numerics():
                    yield Occurrence(item.preset.span, Role.PRESET, around=item)
                case st.Default():
                    yield Occurrence(item.op.span, Role.OP, around=item)
                    yield from self.attributes(item.attributes, OPS.get(item.op.text), item, {})
                case st.Constant():
                    yield self.definition(item, self.names.constants)
                    yield from self.value(item.value, {})
                case st.Unit():
                    yield self.definition(item, self.names.definitions)
                    for call in item.calls:
                        yield from self.call(call, {})
                case st.Block():
                    yield from self.block(item)
                case st.Use():
                    yield from self.use(item)
                case st.Recipe():
                    yield from self.recipe(item)

    def definition(self, item: st.Constant | _Definition | st.Recipe, table: _Names) -> Occurrence:
        """Return the name that an item defines, or defines again."""
        first = table.get(item.name.text)
        own = first if first is not None and first.span == item.name.span else None
        role = first.role if first is not None else Role.WORD
        own = own or Symbol(role, item.name.text, item.name.span, item)
        return Occurrence(item.name.span, role, own, True, item)

    def block(self, item: st.Block) -> Iterator[Occurrence]:
        name = self.definition(item, self.names.definitions)
        yield name
        assert name.symbol is not None
        parameters = self.names.parameters(name.symbol)
        for parameter in item.parameters:
            own = parameters[parameter.name.text]
            yield Occurrence(parameter.name.span, Role.PARAMETER, own, True, parameter)
            if parameter.default is not None:
                yield from self.value(parameter.default, {})
        yield from self.body(item.body, parameters, [])

    def body(self, body: st.Body, parameters: _Names, frames: _Frames) -> Iterator[Occurrence]:
        labels: dict[str, Symbol] = {}
        inner = [*frames, labels]
        for statement in body.statements:
            match statement:
                case st.Input():
                    yield from self.value(statement.size, parameters)
                    if statement.channels is not None:
                        yield from self.value(statement.channels, parameters)
                    yield from self.attributes(statement.attributes, None, statement, parameters)
                case st.Aux():
                    yield self.label(statement, statement.label)
                    yield from self.body(statement.body, parameters, inner)
                case st.Statement():
                    yield from self.statement(statement, parameters, inner)
                    if statement.label is not None:
                        own = self.label(statement, statement.label)
                        assert own.symbol is not None
                        labels[statement.label.text] = own.symbol

    def label(self, statement: st.Statement | st.Aux, label: st.Identifier) -> Occurrence:
        symbol = Symbol(Role.LABEL, label.text, label.span, statement)
        return Occurrence(label.span, Role.LABEL, symbol, True, statement)

    def statement(
        self, statement: st.Statement, parameters: _Names, frames: _Frames
    ) -> Iterator[Occurrence]:
        if statement.label is not None:
            yield self.label(statement, statement.label)
        if statement.origin is not None:
            text = statement.origin.text
            symbol = next((frame[text] for frame in reversed(frames) if text in frame), None)
            yield Occurrence(statement.origin.span, Role.LABEL, symbol, around=statement)
        for element in statement.elements:
            match element:
                case st.Call():
                    yield from self.call(element, parameters)
                case st.Join() | st.Group():
                    yield from self.body(element.body, parameters, frames)
                case st.Repeat():
                    yield from self.value(element.count, parameters)
                    yield from self.body(element.body, parameters, frames)
                case st.Conditional():
                    yield from self.value(element.condition, parameters)
                    yield from self.body(element.then, parameters, frames)
                    if element.otherwise is not None:
                        yield from self.body(element.otherwise, parameters, frames)

    def call(self, call: st.Call, parameters: _Names) -> Iterator[Occurrence]:
        symbol = self.names.definitions.get(call.name.text)
        role = symbol.role if symbol is not None else Role.OP
        yield Occurrence(call.name.span, role, symbol, around=call)
        for value in call.positional:
            yield from self.value(value, parameters)
        if not call.attributes:
            return
        if symbol is not None and symbol.role is not Role.UNIT:
            theirs = self.names.parameters(symbol)
            for attribute in call.attributes:
                known = theirs.get(attribute.name.text)
                yield Occurrence(attribute.name.span, Role.ATTRIBUTE, known, around=call)
                yield from self.value(attribute.value, parameters)
        else:
            head = self.names.head(call.name.text)
            yield from self.attributes(call.attributes, head, call, parameters)

    def attributes(
        self,
        attributes: Sequence[st.Attribute],
        op: Op | None,
        around: Located,
        parameters: _Names,
    ) -> Iterator[Occurrence]:
        for attribute in attributes:
            yield Occurrence(attribute.name.span, Role.ATTRIBUTE, around=around)
            argument = op.argument(attribute.name.text) if op is not None else None
            named = argument is not None and argument.kind is Kind.INITIALIZER
            if named and isinstance(attribute.value, ex.Name):  # never a parameter
                yield Occurrence(attribute.value.span or attribute.span, Role.WORD, around=around)
            else:
                yield from self.value(attribute.value, parameters)

    def value(self, value: st.Argument, parameters: _Names) -> Iterator[Occurrence]:
        for name in st.names_in(value):
            if name.span is None:
                continue
            text = name.text
            symbol = parameters.get(text) or self.names.constants.get(text)
            if symbol is not None:
                yield Occurrence(name.span, symbol.role, symbol)
            elif text in DIMENSIONS:
                yield Occurrence(name.span, Role.DIMENSION)
            elif text in WORDS or text in OPS:
                yield Occurrence(name.span, Role.WORD)

    def use(self, item: st.Use) -> Iterator[Occurrence]:
        for name in item.names:
            symbol = self.names.definitions.get(name.text) or self.names.recipes.get(name.text)
            if symbol is not None:
                yield Occurrence(name.span, symbol.role, symbol, around=item)
        yield Occurrence(item.path.span, Role.FILE, around=item)

    def recipe(self, item: st.Recipe) -> Iterator[Occurrence]:
        yield self.definition(item, self.names.recipes)
        if item.trains is not None:
            network = self.names.definitions.get(item.trains.network.text)
            yield Occurrence(item.trains.network.span, Role.NETWORK, network, around=item)
            theirs = self.settable(network)
            for attribute in item.trains.attributes:
                known = theirs.get(attribute.name.text)
                yield Occurrence(attribute.name.span, Role.ATTRIBUTE, known, around=item)
                yield from self.value(attribute.value, {})
        if item.parent is not None:
            parent = self.names.recipes.get(item.parent.text)
            yield Occurrence(item.parent.span, Role.RECIPE, parent, around=item)
        for setting in item.settings:
            if isinstance(setting, st.Images):
                yield Occurrence(setting.name.span, Role.SETTING, around=setting)
            for line in setting.lines if isinstance(setting, st.Images) else (setting,):
                for call in line.calls:
                    yield from self.setting(call, setting)

    def setting(self, call: st.Call, around: Located) -> Iterator[Occurrence]:
        yield Occurrence(call.name.span, Role.SETTING, around=around)
        for attribute in call.attributes:
            yield Occurrence(attribute.name.span, Role.ATTRIBUTE, around=call)
        for value in (*call.positional, *(attribute.value for attribute in call.attributes)):
            for name in st.names_in(value):
                if name.text in _OF_RECIPES and name.span is not None:
                    yield Occurrence(name.span, Role.WORD, around=call)
                elif name.text in self.names.constants:
                    yield from self.value(name, {})

    def settable(self, network: Symbol | None) -> _Names:
        """Return what a recipe can set of a network: its parameters, and constants of its file."""
        if network is None:
            return {}
        own = self.names.definitions.get(network.name)
        constants: _Names = self.names.constants
        if own is not None and network.name in self.names.imported:
            files = self.loaded.uses.values()
            used = next((f for f in files if f.source == network.span.source), None)
            constants = Names(used).constants
        return {**constants, **self.names.parameters(network)}
