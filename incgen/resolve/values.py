"""The values of one file: its constants, and the names in its expressions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from incgen.base.diagnostics import Code, Reporter
from incgen.base.help import Help, near, put, write
from incgen.base.source import Span
from incgen.language import expressions as ex
from incgen.language.arithmetic import FUNCTIONS, EvaluationError, Value
from incgen.language.evaluation import evaluate
from incgen.language.ops import ACTIVATIONS, DIMENSIONS, OPS, WORDS
from incgen.resolve.arguments import evaluation_code
from incgen.syntax import tree as st
from incgen.syntax.edits import moved, named


@dataclass
class Values:
    """The meaning of names in the expressions of one file."""

    items: Sequence[st.Item]  #: The items of the file
    report: Reporter
    #: Values for its constants, in place of what it says
    settings: Mapping[str, Value] = field(default_factory=dict)
    places: dict[str, Span] = field(default_factory=dict)  #: Where each name of the file is defined
    #: The units and blocks that can be applied in the file, ops aside
    own: set[str] = field(default_factory=set)
    #: The constants; None marks one with a fault, which is not reported again
    constants: dict[str, ex.Expression | None] = field(default_factory=dict)
    read: set[str] = field(default_factory=set)  #: The names that something uses
    instead: str | None = None  #: What help says of a name that is like no other

    def define(self, item: st.Constant) -> None:
        """Add a constant, whose name is already reserved."""
        name, value = item.name.text, item.value
        activation = isinstance(value, ex.Name) and value.text in ACTIVATIONS
        if name in self.settings:
            sound = activation or self.constant(value) is not None
            self.constants[name] = ex.Literal(self.settings[name]) if sound else None
        elif activation:
            assert isinstance(value, ex.Name)
            self.constants[name] = ex.Literal(value.text, span=value.span)
        else:
            self.constants[name] = self.fixed(value)

    def fixed(self, written: ex.Expression, *, dimensions: bool = False) -> ex.Expression | None:
        """Resolve an expression outside every definition to its value; None after a report.

        If it may depend on `dimensions` of the input, and does, it stays as it is.
        """
        resolved = self.resolve(written, {}, set(), dimensions=dimensions)
        if resolved is None or any(isinstance(e, ex.Dimension) for e in ex.within(resolved)):
            return resolved
        try:
            return ex.Literal(evaluate(resolved, {}, {}), span=written.span)
        except EvaluationError as error:
            self._report_evaluation(error, written)
            return None

    def _report_evaluation(self, error: EvaluationError, at: ex.Expression) -> None:
        self.report.error(evaluation_code(error), at.span, str(error))

    def constant(self, expression: ex.Expression) -> ex.Expression | None:
        """Resolve an expression outside every definition: numbers, constants and words."""
        return self.resolve(expression, {}, set(), dimensions=False)

    def resolve(
        self,
        expression: ex.Expression,
        parameters: dict[str, Span],
        used: set[str],
        *,
        dimensions: bool = True,
        operand: bool = False,
    ) -> ex.Expression | None:
        """Replace the names of an expression by what they refer to; return None after a report."""
        if isinstance(expression, ex.Name):
            return self._resolve_name(expression, parameters, used, dimensions, operand)
        if not isinstance(expression, (ex.Unary, ex.Binary, ex.Call)):
            return expression
        operands = [
            self.resolve(part, parameters, used, dimensions=dimensions, operand=True)
            for part in ex.children(expression)
        ]
        known = [operand for operand in operands if operand is not None]
        if len(known) != len(operands):
            return None
        built = replace(ex.rebuilt(expression, known), span=expression.span)
        if all(isinstance(operand, ex.Literal) for operand in known):
            try:
                evaluate(built, {}, {})
            except EvaluationError as error:
                if not error.ranged:  # numbers matter only where the value is needed
                    self._report_evaluation(error, expression)
                    return None
        return built

    def _resolve_name(
        self,
        name: ex.Name,
        parameters: dict[str, Span],
        used: set[str],
        dimensions: bool,
        operand: bool,
    ) -> ex.Expression | None:
        text = name.text
        if text in parameters:
            used.add(text)
            return ex.Parameter(text, span=name.span)
        if text in self.constants:
            self.read.add(text)
            value = self.constants[text]
            return value and replace(value, span=name.span)
        if text in DIMENSIONS and dimensions:
            return ex.Dimension(text, span=name.span)
        if text in WORDS:
            return ex.Literal(text, span=name.span)
        if text in DIMENSIONS:
            message = f"`{text}` describes the current value, and there is none here"
            self.report.error(Code.UNKNOWN_NAME, name.span, message)
            return None
        known = {*parameters, *self.constants, *WORDS, *(DIMENSIONS if dimensions else ())}
        self._report_name(name, known, operand)
        return None

    def _report_name(self, name: ex.Name, known: set[str], operand: bool) -> None:
        """Report a name that does not refer to a value."""
        text = name.text
        help_: str | None = near(text, known) or self.instead
        if text in ("training", "is_training", "train"):
            help_ = "leave the `if` out: `dropout` and `bn` know whether they are trained"
        code, message = Code.UNKNOWN_NAME, f"`{text}` is not defined here"
        later = self._constant_below(text)
        if self.can_apply(text) and operand:
            what = "an op" if text in OPS else "a unit or block"
            code = Code.WRONG_TYPE
            message = f"`{text}` is {what}, not a value to compare or compute with"
            help_ = "let a parameter be `true` or `false`, and write `if parameter { ... }`"
            help_ = Help(help_, *put("true", "false"))
        elif self.can_apply(text):
            code = Code.MISSING_ARROW
            message = f"`{text}` is applied to a value and is not one itself"
            help_ = Help(f"write `-> {text}`, or begin a new line", *put(f"-> {text}"))
        elif later is not None and name.span is not None:
            message = f"the constant `{text}` is only defined further down"
            line = Span(name.span.source, start := name.span.source.offset(name.span.line), start)
            help_ = Help("put its `let` above this line", moved(later.span, line))
            if later.span.start <= name.span.start < later.span.end:
                code, help_ = Code.RECURSION, None
                message = f"the constant `{text}` is defined in terms of itself"
        elif text in self.places:
            return  # its definition is faulty
        elif text in FUNCTIONS:
            message = f"the parenthesis directly follows `{text}`"
            help_ = f"write `{text}(...)`"
        elif text.lower() in ("true", "false"):
            help_ = write(text.lower())
        elif text.lower() in ("none", "null") and name.span is not None:
            help_ = Help("leave it out", *put("", over=named(name.span)))
        self.report.error(code, name.span, message, help=help_)

    def _constant_below(self, name: str) -> st.Constant | None:
        if name in self.constants:
            return None
        for item in self.items:
            if isinstance(item, st.Constant) and item.name.text == name:
                return item
        return None

    def known(self, name: str) -> bool:
        """Return whether a name that is not a parameter is defined."""
        return name in self.places or name in WORDS or name in DIMENSIONS or self.can_apply(name)

    def can_apply(self, name: str) -> bool:
        """Return whether a name is an op, unit or block here."""
        return name in OPS or name in self.own

    def callables(self) -> set[str]:
        """Return every name that can be applied here."""
        return {*OPS, *self.own}
