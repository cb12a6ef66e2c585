"""The names of one file: its constants, definitions and uses, and what each refers to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import chain

from incgen.base.diagnostics import Code, Note, Refused, Reporter, clipped, listed
from incgen.base.help import Help, near, put
from incgen.base.source import Span
from incgen.language.arithmetic import Value
from incgen.language.ops import DIMENSIONS, OPS, WORDS
from incgen.language.presets import PRESETS
from incgen.resolve import definitions as df
from incgen.resolve.arguments import Binder, Conventions
from incgen.resolve.clashes import report_different
from incgen.resolve.values import Values
from incgen.syntax import tree as st
from incgen.syntax.edits import renamed
from incgen.syntax.loader import LoadedFile

#: The deepest chain of definitions that use each other.
MAX_DEFINITION_DEPTH = 40
#: The most files that are used, each counted once for every set of `numerics` and `default`s.
MAX_SCOPES = 500


@dataclass
class Entry:
    """A definition that is not resolved yet, with the conventions at its place."""

    item: st.Unit | st.Block
    conventions: Conventions


@dataclass
class Shared:
    """State shared by the scopes of all files."""

    #: Makes a definition of what is written, when everything that it uses is resolved
    build: Callable[[FileScope, Entry], df.Definition | None]

    #: The definitions being resolved; for recursion
    stack: list[st.Unit | st.Block] = field(default_factory=list)
    #: The scopes of each file, one for each set of conventions it is used under
    scopes: dict[int, list[FileScope]] = field(default_factory=dict)
    count: int = 0
    #: The resolved definitions by name; equal ones are one object
    definitions: dict[str, list[df.Definition]] = field(default_factory=dict)

    def one(self, definition: df.Definition) -> df.Definition:
        """Return the one definition that represents all with its name and meaning."""
        known = self.definitions.setdefault(definition.name, [])
        same = next((other for other in known if other.means(definition)), None)
        if same is None:
            known.append(definition)
        return same or definition


@dataclass
class FileScope:
    """The names of one file."""

    loaded: LoadedFile
    report: Reporter
    inherited: Conventions  #: The conventions of the file that uses it
    shared: Shared  #: State that the scopes of all files share
    #: Values for its constants, in place of what it says
    settings: Mapping[str, Value] = field(default_factory=dict)
    values: Values = field(init=False)  #: The constants, and the meaning of names in expressions
    entries: dict[str, Entry] = field(default_factory=dict)  #: The definitions in the file
    #: Names from other files, each with the scope that defines it
    imported: dict[str, FileScope] = field(default_factory=dict)
    #: The resolved definitions; None for one with a fault
    done: dict[str, df.Definition | None] = field(default_factory=dict)
    #: The nesting depths of definitions whose uses are resolved
    depths: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Read the items in order: `numerics`, `default` and `let` apply from their line on."""
        self.values = Values(self.loaded.spec.items, self.report, self.settings)
        own = any(isinstance(item, st.Numerics) for item in self.loaded.spec.items)
        conventions = Conventions() if own else self.inherited
        for number, item in enumerate(self.loaded.spec.items):
            match item:
                case st.Numerics():
                    conventions = self._numerics(item, number, conventions)
                case st.Default():
                    conventions = self._default(item, conventions)
                case st.Constant():
                    if self._declare(item.name):
                        self.values.define(item)
                case st.Use():
                    self._use(item, conventions)
                case st.Unit() | st.Block():
                    if self._declare(item.name):
                        self.entries[item.name.text] = Entry(item, conventions)
                        self.values.own.add(item.name.text)

    def _declare(self, name: st.Identifier) -> bool:
        """Reserve a name of the file; report it if it is taken or cannot be used."""
        first = self.values.places.get(name.text)
        if first is not None:
            self.report.error(
                Code.DUPLICATE,
                name.span,
                f"`{name.text}` is defined twice",
                notes=(Note("it is first defined here", first),),
            )
            return False
        self.values.places[name.text] = name.span
        if name.text in OPS or name.text in WORDS or name.text in DIMENSIONS:
            what = "an op" if name.text in OPS else "a reserved word"
            other = f"my_{name.text}"
            self.report.error(
                Code.RESERVED_NAME,
                name.span,
                f"`{name.text}` is {what} and cannot be defined",
                help=Help(f"choose another name, such as `{other}`", renamed(name.span, other)),
            )
            return False
        return True

    def _numerics(self, item: st.Numerics, number: int, current: Conventions) -> Conventions:
        if current.preset is not None:
            self.report.error(Code.DUPLICATE, item.span, "`numerics` is given twice")
        elif number:
            message = "`numerics` must be the first statement of a file"
            self.report.error(Code.MISPLACED, item.span, message)
        name = item.preset.text
        if name not in PRESETS:
            from incgen.resolve import advice

            self.report.error(
                Code.UNKNOWN_PRESET,
                item.preset.span,
                f"no preset named `{name}`",
                help=advice.preset(name),
            )
            name = next(iter(PRESETS))  # so that nothing else is reported missing
        return replace(current, numerics=df.Source(name, span=item.span))

    def _default(self, item: st.Default, conventions: Conventions) -> Conventions:
        op = OPS.get(item.op.text)
        if op is None:
            message = f"no op named `{item.op.text}`"
            from incgen.resolve import advice

            help_ = advice.unknown_default(item.op.text)
            self.report.error(Code.UNKNOWN_OP, item.op.span, message, help=help_)
            return conventions
        binder = Binder(self.report, self.values.constant, self.values.known)
        for attribute in item.attributes:
            argument = op.argument(attribute.name.text)
            if argument is None or (argument.positional and not argument.must):
                from incgen.resolve import advice

                message, help_ = advice.attribute_of_default(op, attribute)
                self.report.error(Code.UNKNOWN_ATTRIBUTE, attribute.name.span, message, help=help_)
                continue
            with suppress(Refused):
                value = binder.value(op.name, argument, attribute.value)
                said = {(op.name, argument.name): (value, df.Source(None, span=item.span))}
                conventions = replace(conventions, defaults={**conventions.defaults, **said})
        return conventions

    def _use(self, item: st.Use, conventions: Conventions) -> None:
        used = self.loaded.uses.get(item.path.value)
        if used is None:
            return  # reported by the loader
        scope = self._scope_of(used, conventions, item.span)
        if scope is None:
            return
        for name in item.names:
            if self._is_for_recipes(name, used):
                continue
            if self._is_same(name, scope) or not self._declare(name):
                continue
            item_ = scope.entries.get(name.text)
            if item_ is not None and not isinstance(item_.item, st.Network):
                self.imported[name.text] = scope
                self.values.own.add(name.text)
            else:
                self._report_use(item, name, scope)

    def _is_for_recipes(self, name: st.Identifier, used: LoadedFile) -> bool:
        """Return whether only recipes of the file can use a name: a recipe, or their network."""
        if name.text not in st.recipe_names(self.loaded.spec):
            return False
        kinds = (st.Recipe, st.Network)
        return any(isinstance(i, kinds) and i.name.text == name.text for i in used.spec.items)

    def _is_same(self, name: st.Identifier, scope: FileScope) -> bool:
        """Return whether a name was imported before; report it if it now means something else."""
        if name.text not in self.imported or name.text not in scope.entries:
            return False
        first, second = self.definition(name.text), scope.definition(name.text)
        if first is not None and second is not None and first is not second:
            report_different(first, second, self.report, name.span)
        return True

    def _report_use(self, item: st.Use, name: st.Identifier, scope: FileScope) -> None:
        known = [n for n, e in scope.entries.items() if not isinstance(e.item, st.Network)]
        help_: str | None = near(name.text, known)
        if help_ is None and known:
            names = sorted(known)[:8]
            help_ = Help(f"it defines {listed(names)}", *put(*names))
        path = clipped(item.path.value, 60)
        message = f'"{path}" defines no unit or block `{name.text}`'
        if name.text in scope.entries:
            message = f'`{name.text}` of "{path}" is a network and cannot be used as a block'
        elif name.text in scope.values.constants:
            message = f'`{name.text}` of "{path}" is a constant; only units and blocks can be used'
        elif name.text in scope.imported:
            message = f'"{path}" does not define `{name.text}`; it uses it from another file'
            help_ = "use it from the file that defines it"
        self.report.error(Code.BAD_USE, name.span, message, help=help_)

    def _scope_of(self, used: LoadedFile, conventions: Conventions, span: Span) -> FileScope | None:
        """Return the scope of a used file; equal conventions share one."""
        scopes = self.shared.scopes.setdefault(id(used), [])
        for scope in scopes:
            if scope.inherited == conventions:
                return scope
        self.shared.count += 1
        if self.shared.count > MAX_SCOPES:
            message = f"files are used more than {MAX_SCOPES} times under different conventions"
            self.report.error(Code.TOO_LARGE, span, message)
            return None
        scope = FileScope(used, self.report, conventions, self.shared)
        scopes.append(scope)
        return scope

    def definition(self, name: str) -> df.Definition | None:
        """Resolve the definition of a name when it is first needed; return None after a report.

        What a definition uses is resolved before it, without recursion: there may be many.
        """
        home = self._home(name)
        if name not in home.done and not home.is_open(name):
            home.resolve_after_uses(name)
        return home.done.get(name)

    def _home(self, name: str) -> FileScope:
        """Return the scope that defines a name."""
        if name in self.imported:
            self.values.read.add(name)
            return self.imported[name]
        return self

    def is_open(self, name: str) -> bool:
        """Return whether the definition is being resolved."""
        item = self.entries[name].item
        return any(item is other for other in self.shared.stack)

    def resolve_after_uses(self, name: str) -> None:
        """Resolve everything that a definition uses, and then the definition."""
        stack = self.shared.stack
        stack.append(self.entries[name].item)
        frames = [(self, name, st.called(self.entries[name].item))]
        while frames:
            scope, name, uses = frames[-1]
            for use in uses:
                inner = use.text
                if inner not in scope.entries and inner not in scope.imported:
                    continue
                home = scope._home(inner)
                if inner in home.done:
                    scope._note_depth(name, use, home.depths[inner] + 1)
                elif home.is_open(inner):
                    home._report_recursion(inner, use.span)
                else:
                    item = home.entries[inner].item
                    stack.append(item)
                    frames.append((home, inner, st.called(item)))
                    # visited again afterwards, for its depth
                    frames[-2] = (scope, name, chain([use], uses))
                    break
            else:
                deep = scope.depths.setdefault(name, 1) > MAX_DEFINITION_DEPTH
                resolved = None if deep else self.shared.build(scope, scope.entries[name])
                scope.done[name] = resolved and self.shared.one(resolved)
                frames.pop()
                stack.pop()

    def _note_depth(self, name: str, use: st.Identifier, depth: int) -> None:
        """Record how deeply the uses in a definition nest, and report the first too deep."""
        if depth == MAX_DEFINITION_DEPTH + 1 and self.depths.get(name, 0) < depth:
            message = f"definitions use one another more than {MAX_DEFINITION_DEPTH} deep"
            self.report.error(Code.NESTING_TOO_DEEP, use.span, message)
        self.depths[name] = max(depth, self.depths.get(name, 0))

    def _report_recursion(self, name: str, span: Span) -> None:
        item = self.entries[name].item
        index = next(i for i, other in enumerate(self.shared.stack) if other is item)
        names = [other.name.text for other in self.shared.stack[index:]] + [name]
        message = f"`{name}` uses itself"
        if len(names) > 2:
            between = names if len(names) < 9 else [*names[:4], "...", *names[-4:]]
            message += f": {' -> '.join(between)}"
        help_ = "nothing contains itself; `repeat 3 { ... }` applies a body several times"
        self.report.error(Code.RECURSION, span, message, help=help_)
