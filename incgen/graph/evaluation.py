"""Arguments to values, where parameters and shapes are known."""

from __future__ import annotations

from typing import NoReturn

from incgen.base.diagnostics import Note, Reporter
from incgen.base.help import near
from incgen.base.source import Span
from incgen.graph.frames import Frame, Given, given, uses_of
from incgen.graph.shapes import Arguments, Shape, Window
from incgen.language import expressions as ex
from incgen.language.arithmetic import EvaluationError, Value
from incgen.language.evaluation import evaluate
from incgen.language.initializers import Initializer
from incgen.language.ops import DIMENSIONS
from incgen.resolve import definitions as df
from incgen.resolve.arguments import (
    Misfit,
    count_fault,
    evaluation_code,
    value_fault,
    whole_help,
)
from incgen.resolve.written import is_fixed


class Evaluator:
    """Evaluates the arguments at one place of a definition, for one use of it.

    A method that finds a fault reports it and raises `Refused`.
    """

    def __init__(self, report: Reporter) -> None:
        self.report = report
        #: The arguments of each op that are the same for every use, once they are known
        self.fixed: dict[int, Arguments] = {}

    def evaluate(
        self, expression: ex.Expression, frame: Frame, shape: Shape | None, span: Span | None
    ) -> Value:
        """Evaluate an expression."""
        if isinstance(expression, ex.Literal):
            return expression.value  # the most frequent
        dimensions: dict[str, int | None] = {}
        if shape is not None:
            sizes = (shape.channels, shape.height, shape.width)
            dimensions = dict(zip(DIMENSIONS, sizes, strict=True))
        try:
            return evaluate(expression, frame.parameters, dimensions)
        except EvaluationError as error:
            code = evaluation_code(error)
            place = expression.span or span
            self.report.refuse(code, place, str(error), notes=uses_of(frame.use))

    def arguments(self, call: df.OpCall, frame: Frame, shape: Shape) -> Arguments:
        """Evaluate the arguments of an op, including those forwarded by a unit."""
        forwarded = frame.forwarded if call.forwards and frame.forwarded else {}
        result = Arguments()
        fixed = self.fixed.setdefault(id(call), Arguments())
        if not forwarded and len(fixed) == len(call.args):
            return fixed
        for argument in call.op.arguments:
            if argument.name in fixed and argument.name not in forwarded:
                result[argument.name] = fixed[argument.name]
                continue
            written = call.args[argument.name]
            if argument.name in forwarded:
                value = forwarded[argument.name]
            else:
                value = self.argument(written, frame, shape, call.span)
            if isinstance(value, Value) and (fault := value_fault(argument, value)):
                what = f"`{argument.name}` of `{call.op.name}`"
                place = written.span if isinstance(written, ex.Expression) else None
                name = argument.name if argument.name in forwarded else ""
                origin = given(written, frame.use, name)
                help_ = near(value, argument.words) if isinstance(value, str) else None
                self.refuse(origin, what, fault, value, place or call.span, frame, help_)
            result[argument.name] = value
            if argument.name not in forwarded and is_fixed(written):
                fixed[argument.name] = value
        return result

    def refuse(
        self,
        origin: Given,
        what: str,
        fault: Misfit,
        value: Value,
        place: Span,
        frame: Frame,
        help: str | None = None,
    ) -> NoReturn:
        """Report a value where it was given, which may be far from the place where it does not fit.

        There it is called `what`.
        """
        written = origin.written
        if isinstance(written, (ex.Binary, ex.Literal)):
            help = whole_help(value, written) or help
        span = written.span if isinstance(written, ex.Expression) else None
        notes = uses_of(frame.use)
        if origin.name and span is not None:
            # an argument of a unit has the name of its head's argument
            same = what == f"`{origin.name}` of `{origin.owner}`"
            notes = () if same else (Note(f"it becomes {what} here", place),)
            notes += uses_of(origin.use)
            what, place = f"`{origin.name}` of `{origin.owner}`", span
        self.report.refuse(fault[0], place, f"{what} {fault[1]}", notes=notes, help=help)

    def argument(self, written: df.ArgumentValue, frame: Frame, shape: Shape, span: Span) -> object:
        """Evaluate one argument."""
        match written:
            case None | Initializer():
                return written
            case df.WindowValue(kernel, stride):
                sizes = self.counts((*kernel, *stride), 1, frame, shape, written, span)
                return Window((sizes[0], sizes[1]), (sizes[2], sizes[3]))
            case df.SidesValue(sides):
                return self.counts(sides, 0, frame, shape, written, span)
            case _:
                return self.evaluate(written, frame, shape, span)

    def counts(
        self,
        expressions: tuple[ex.Expression, ...],
        minimum: int,
        frame: Frame,
        shape: Shape,
        written: df.WindowValue | df.SidesValue,
        span: Span,
    ) -> tuple[int, ...]:
        """Evaluate the parts of a window or of a padding."""
        numbers = []
        for expression in expressions:
            number = self.evaluate(expression, frame, shape, written.span)
            fault = count_fault(number, minimum)
            if fault:
                what = "a part of the window" if minimum else "a side of the padding"
                place = expression.span or written.span or span
                origin = given(expression, frame.use)
                self.refuse(origin, what, fault, number, place, frame)
            assert isinstance(number, int)
            numbers.append(number)
        return tuple(numbers)
