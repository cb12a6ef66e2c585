"""Syntax tree to definitions: what every name means, every default filled in.

Nothing is expanded: a block stays one definition however often it is used. Files are resolved
where they are read, so an op in a shared file follows the `numerics` of that file, or of the
file that uses it where it has none.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import PurePosixPath

from incgen import definitions as df
from incgen import expressions as ex
from incgen import syntax as st
from incgen.arguments import Binder, Conventions
from incgen.body import BodyResolver
from incgen.diagnostics import Code, Note, Reporter, listed, near
from incgen.loader import LoadedFile
from incgen.names import class_name, definition_fault, parameter_fault
from incgen.ops import OPS, PRESETS, WORDS, Op
from incgen.pixels import resolve_pixels
from incgen.source import Span

#: Definitions that use definitions, up to this depth.
MAX_DEFINITION_DEPTH = 40
_DIMENSIONS = ("channels", "height", "width")


def resolve(loaded: LoadedFile, report: Reporter) -> df.Program | None:
    """Resolve a spec and the files it uses.

    Args:
        loaded: the spec.
        report: takes faults; warnings too.

    Returns:
        Its network with what it reaches; None if the file has no network (or a fault).
    """
    scope = FileScope(loaded, report, Conventions(), [])
    scope.resolve_all()
    networks = [d for d in scope.done.values() if d is not None and d.kind == "network"]
    if len(networks) != 1:
        return None
    network = networks[0]
    reached = df.reached(network)
    _check_class_names((*reached, network), report)
    scope.warn_unused(reached)
    name = PurePosixPath(loaded.source.name).name
    return df.Program(network, reached, loaded.spec.doc, name)


def _check_class_names(found: tuple[df.Definition, ...], report: Reporter) -> None:
    """Two definitions that would become one class are a fault, not a renaming."""
    seen: dict[str, df.Definition] = {}
    for definition in found:
        first = seen.setdefault(class_name(definition.name), definition)
        if first is not definition:
            what = "the name of" if first.name == definition.name else "the same class name as"
            report.error(
                Code.DUPLICATE,
                definition.span,
                f"`{definition.name}` has {what} another {first.kind} that the network uses",
                notes=[Note(f"the other `{first.name}` is here", first.span)],
            )


@dataclass
class _Entry:
    """A definition that is not resolved yet, with the conventions where it stands."""

    item: st.Unit | st.Block | st.Network
    conventions: Conventions


@dataclass
class FileScope:
    """The names of one file.

    Attributes:
        loaded: the file.
        report: takes faults.
        inherited: the conventions of the file that uses it.
        stack: the definitions being resolved, through all files; for recursion.
    """

    loaded: LoadedFile
    report: Reporter
    inherited: Conventions
    stack: list[st.Unit | st.Block | st.Network]
    constants: dict[str, ex.Literal | None] = field(default_factory=dict)
    entries: dict[str, _Entry] = field(default_factory=dict)
    imported: dict[str, tuple[FileScope, str]] = field(default_factory=dict)
    places: dict[str, Span] = field(default_factory=dict)
    done: dict[str, df.Definition | None] = field(default_factory=dict)
    read: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        """Read the items in order: `numerics`, `default` and `let` act from where they stand."""
        own = any(isinstance(item, st.Numerics) for item in self.loaded.spec.items)
        conventions = Conventions() if own else self.inherited
        for number, item in enumerate(self.loaded.spec.items):
            match item:
                case st.Numerics():
                    conventions = self._numerics(item, number, conventions)
                case st.Default():
                    conventions = self._default(item, conventions)
                case st.Constant():
                    self._constant(item)
                case st.Use():
                    self._use(item, conventions)
                case st.Unit() | st.Block() | st.Network():
                    if self._declare(item.name):
                        self.entries[item.name.text] = _Entry(item, conventions)

    # ------------------------------------------------------------ items

    def _declare(self, name: st.Identifier) -> bool:
        """Take a name of the file; a fault if it is taken or cannot be one."""
        first = self.places.get(name.text)
        if first is not None:
            self.report.error(
                Code.DUPLICATE,
                name.span,
                f"`{name.text}` is defined twice",
                notes=[Note("it is first defined here", first)],
            )
            return False
        if name.text in OPS or name.text in WORDS or name.text in _DIMENSIONS:
            what = "an op" if name.text in OPS else "a word of the language"
            self.report.error(
                Code.RESERVED_NAME,
                name.span,
                f"`{name.text}` is {what} and cannot be defined",
                help=f"choose another name, for instance `my_{name.text}`",
            )
            return False
        self.places[name.text] = name.span
        return True

    def _numerics(self, item: st.Numerics, number: int, current: Conventions) -> Conventions:
        if current.preset is not None:
            self.report.error(Code.DUPLICATE, item.span, "`numerics` is given twice")
        elif number:
            message = "`numerics` is the first statement of a file"
            self.report.error(Code.MISPLACED, item.span, message)
        name = item.preset.text
        if name not in PRESETS:
            self.report.error(
                Code.UNKNOWN_PRESET,
                item.preset.span,
                f"no preset `{name}`",
                help=near(name, PRESETS) or f"the presets are {listed(tuple(PRESETS))}",
            )
            return current
        return current.with_preset(name)

    def _default(self, item: st.Default, conventions: Conventions) -> Conventions:
        op = OPS.get(item.op.text)
        if op is None:
            help_ = near(item.op.text, OPS)
            message = f"no op `{item.op.text}`"
            self.report.error(Code.UNKNOWN_OP, item.op.span, message, help=help_)
            return conventions
        binder = Binder(self.report, self.constant_expression)
        for attribute in item.attributes:
            argument = op.argument(attribute.name.text)
            if argument is None or (argument.positional and not argument.must):
                known = [a.name for a in op.attributes]
                message = f"`{op.name}` has no attribute `{attribute.name.text}`"
                help_ = near(attribute.name.text, known) or _attributes_help(op)
                self.report.error(Code.UNKNOWN_ATTRIBUTE, attribute.name.span, message, help=help_)
                continue
            value = binder.value(op.name, argument, attribute.value)
            if value is not None:
                conventions = conventions.with_default(op.name, argument.name, value)
        return conventions

    def _constant(self, item: st.Constant) -> None:
        if not self._declare(item.name):
            return
        # None marks a constant with a fault: what uses it is not reported again.
        self.constants[item.name.text] = None
        resolved = self.constant_expression(item.value)
        if resolved is None:
            return
        try:
            self.constants[item.name.text] = ex.Literal(ex.evaluate(resolved, {}, {}))
        except ex.EvaluationError as error:
            self.report.error(Code.NUMBER_RANGE, item.value.span, str(error))

    def _use(self, item: st.Use, conventions: Conventions) -> None:
        used = self.loaded.uses.get(item.path.value)
        if used is None:
            return  # reported by the loader
        scope = FileScope(used, self.report, conventions, self.stack)
        scope.report_network()
        for name in item.names:
            if not self._declare(name):
                continue
            if name.text not in scope.entries:
                known = [n for n, e in scope.entries.items() if not isinstance(e.item, st.Network)]
                self.report.error(
                    Code.BAD_USE,
                    name.span,
                    f'"{item.path.value}" defines no unit or block `{name.text}`',
                    help=near(name.text, known)
                    or (f"it defines {listed(sorted(known))}" if known else None),
                )
            else:
                self.imported[name.text] = (scope, name.text)

    def report_network(self) -> None:
        """A used file holds units and blocks; a network in it is simply not used."""
        for entry in list(self.entries.values()):
            if isinstance(entry.item, st.Network):
                del self.entries[entry.item.name.text]

    # ------------------------------------------------------------ names

    def constant_expression(self, expression: ex.Expression) -> ex.Expression | None:
        """An expression outside of every definition: numbers, constants and words."""
        return self.resolve_expression(expression, {}, set(), dimensions=False)

    def resolve_expression(
        self,
        expression: ex.Expression,
        parameters: dict[str, Span],
        used: set[str],
        *,
        dimensions: bool = True,
    ) -> ex.Expression | None:
        """Replace the names of an expression by what they stand for.

        Args:
            expression: as parsed.
            parameters: of the surrounding definition.
            used: gets the parameters that occur.
            dimensions: whether `channels`, `height` and `width` can be used here.

        Returns:
            The expression, simplified; None after a report.
        """
        if isinstance(expression, ex.Name):
            return self._resolve_name(expression, parameters, used, dimensions)
        if isinstance(expression, ex.Unary):
            operand = self.resolve_expression(
                expression.operand, parameters, used, dimensions=dimensions
            )
            return None if operand is None else ex.unary(expression.operator, operand)
        if isinstance(expression, ex.Binary):
            left = self.resolve_expression(expression.left, parameters, used, dimensions=dimensions)
            right = self.resolve_expression(
                expression.right, parameters, used, dimensions=dimensions
            )
            if left is None or right is None:
                return None
            try:
                return ex.binary(expression.operator, left, right)
            except ex.EvaluationError as error:
                self.report.error(Code.WRONG_TYPE, expression.span, str(error))
                return None
        return expression

    def _resolve_name(
        self, name: ex.Name, parameters: dict[str, Span], used: set[str], dimensions: bool
    ) -> ex.Expression | None:
        text = name.text
        if text in parameters:
            used.add(text)
            return ex.Parameter(text, name.span)
        if text in self.constants:
            self.read.add(text)
            return self.constants[text]
        if text in _DIMENSIONS and dimensions:
            return ex.Dimension(text, name.span)
        if text in WORDS:
            return ex.Literal(text, name.span)
        if text in _DIMENSIONS:
            message = f"`{text}` is of a current value, and there is none here"
            self.report.error(Code.UNKNOWN_NAME, name.span, message)
            return None
        known = {*parameters, *self.constants, *WORDS, *(_DIMENSIONS if dimensions else ())}
        help_ = near(text, known)
        if text in OPS or text in self.entries or text in self.imported:
            help_ = f"`{text}` can be applied: put `->` in front of it, or begin a new line"
            message = f"`{text}` is not a value"
            self.report.error(Code.MISSING_ARROW, name.span, message, help=help_)
            return None
        self.report.error(
            Code.UNKNOWN_NAME, name.span, f"`{text}` stands for nothing here", help=help_
        )
        return None

    def callables(self) -> set[str]:
        """Everything that can be applied here."""
        return {*OPS, *self.entries, *self.imported}

    # ------------------------------------------------------------ definitions

    def resolve_all(self) -> None:
        """Resolve every definition of the file, used or not."""
        for name in self.entries:
            self.definition(name)

    def definition(self, name: str, span: Span | None = None) -> df.Definition | None:
        """The definition of a name, resolved when it is first asked for.

        Args:
            name: of a unit, block or network, of this file or a used one.
            span: where it is used, for the report of a recursion.
        """
        if name in self.imported:
            self.read.add(name)
            scope, inner = self.imported[name]
            return scope.definition(inner, span)
        if name in self.done:
            return self.done[name]
        entry = self.entries[name]
        if entry.item in self.stack:
            index = self.stack.index(entry.item)
            chain = [item.name.text for item in self.stack[index:]] + [name]
            message = f"`{name}` uses itself: {' -> '.join(chain)}"
            self.report.error(Code.RECURSION, span, message)
            return None
        if len(self.stack) >= MAX_DEFINITION_DEPTH:
            message = f"definitions use definitions more than {MAX_DEFINITION_DEPTH} deep"
            self.report.error(Code.NESTING_TOO_DEEP, span, message)
            return None
        self.stack.append(entry.item)
        try:
            result = self._resolve(entry)
        finally:
            self.stack.pop()
        self.done[name] = result
        return result

    def _resolve(self, entry: _Entry) -> df.Definition | None:
        item = entry.item
        fault = definition_fault(item.name.text)
        if fault:
            help_ = f"call it `{item.name.text.strip('_')}_block`"
            message = f"{fault}, so no target can have a definition of this name"
            self.report.error(Code.RESERVED_NAME, item.name.span, message, help=help_)
        if isinstance(item, st.Unit):
            return self._unit(item, entry.conventions)
        parameters, formals = self._formals(item.parameters)
        used: set[str] = set()
        network = isinstance(item, st.Network)
        bodies = BodyResolver(self, entry.conventions, parameters, used, network=network)
        pixels = None
        if isinstance(item, st.Network):
            if any(f.default is None for f in formals):
                bare = next(f for f in formals if f.default is None)
                message = f"the parameter `{bare.name}` of a network needs a default"
                help_ = f"write `{bare.name} = 1`"
                self.report.error(Code.ARGUMENT_COUNT, bare.span, message, help=help_)
            pixels = resolve_pixels(item, self, parameters, used)
        body = bodies.definition_body(item.body)
        kind = "network" if network else "block"
        self._check_used(item, parameters, used)
        return df.Definition(
            kind, item.name.text, formals, body, None, pixels, item.doc, item.name.span
        )

    def _formals(
        self, written: tuple[st.Parameter, ...]
    ) -> tuple[dict[str, Span], tuple[df.Formal, ...]]:
        places: dict[str, Span] = {}
        formals = []
        optional = False
        for parameter in written:
            name, span = parameter.name.text, parameter.name.span
            fault = parameter_fault(name)
            if name in WORDS or name in _DIMENSIONS:
                fault = f"`{name}` is a word of the language"
            if fault:
                message = f"{fault} and cannot name a parameter"
                help_ = f"call it `{name.strip('_')}_value`"
                self.report.error(Code.RESERVED_NAME, span, message, help=help_)
            if name in places:
                self.report.error(
                    Code.DUPLICATE,
                    span,
                    f"the parameter `{name}` is given twice",
                    notes=[Note("it is first given here", places[name])],
                )
                continue
            default = None
            if parameter.default is not None:
                optional = True
                default = self._formal_default(parameter.default)
            elif optional:
                message = f"`{name}` has no default but follows a parameter that has one"
                self.report.error(Code.ARGUMENT_COUNT, span, message)
            places[name] = span
            formals.append(df.Formal(name, default, span))
        return places, tuple(formals)

    def _formal_default(self, written: ex.Expression) -> ex.Expression:
        """A default is a constant; after a report, 1 stands in for it."""
        resolved = self.constant_expression(written)
        if resolved is None:
            return ex.Literal(1)
        try:
            return ex.Literal(ex.evaluate(resolved, {}, {}))
        except ex.EvaluationError as error:
            self.report.error(Code.NUMBER_RANGE, written.span, str(error))
            return ex.Literal(1)

    def _check_used(
        self, item: st.Block | st.Network, parameters: dict[str, Span], used: set[str]
    ) -> None:
        for name in parameters:
            if name not in used and not self.report.failed:
                message = f"the parameter `{name}` of `{item.name.text}` is never used"
                self.report.error(
                    Code.UNUSED, parameters[name], message, help="use it or remove it"
                )

    def _unit(self, item: st.Unit, conventions: Conventions) -> df.Definition | None:
        bodies = BodyResolver(self, conventions, {}, set(), unit=True)
        body = bodies.unit_body(item)
        if body is None:
            return None
        step = body.steps[0]
        assert isinstance(step, df.Step)
        first = step.element
        if isinstance(first, df.Chain):
            first = first.elements[0]
        head = first.op if isinstance(first, df.OpCall) else None
        if isinstance(first, df.Instance):
            head = first.definition.head
        return df.Definition("unit", item.name.text, (), body, head, None, item.doc, item.name.span)

    def warn_unused(self, reached: tuple[df.Definition, ...]) -> None:
        """Warn of constants, units and blocks of the network's own file that nothing uses."""
        names = {id(definition) for definition in reached}
        for name, entry in self.entries.items():
            done = self.done.get(name)
            if done is not None and id(done) not in names and done.kind != "network":
                message = f"the {done.kind} `{name}` is never used"
                self.report.warning(Code.UNUSED, entry.item.name.span, message)
        for name in (*self.constants, *self.imported):
            if name not in self.read:
                message = f"`{name}` is never used"
                self.report.warning(Code.UNUSED, self.places[name], message)


def _attributes_help(op: Op) -> str | None:
    names = [a.name for a in op.attributes]
    return f"its attributes are {listed(names)}" if names else "it has no attributes"
