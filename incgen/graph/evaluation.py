"""Arguments to values, where parameters and shapes are known."""

from __future__ import annotations

from incgen.base.diagnostics import Code, Note, Reporter, near
from incgen.base.source import Span
from incgen.graph.frames import Frame, Given, given, uses_of
from incgen.graph.shapes import Arguments, Shape, Window
from incgen.language import expressions as ex
from incgen.language.arithmetic import EvaluationError, Value
from incgen.language.evaluation import evaluate
from incgen.language.initializers import Initializer
from incgen.language.ops import Argument
from incgen.resolve import definitions as df
from incgen.resolve.arguments import (
    count_fault,
    evaluation_code,
    fault_code,
    value_fault,
    whole_help,
)

#: The value of an argument that has been reported.
FAULTY = object()


class Evaluator:
    """Evaluates the arguments at one place of a definition, for one use of it."""

    def __init__(self, report: Reporter) -> None:
        """Store the reporter."""
        self.report = report

    def evaluate(
        self, expression: ex.Expression, frame: Frame, shape: Shape | None, span: Span | None
    ) -> Value | None:
        """Evaluate an expression; return None after a report."""
        dimensions: dict[str, int | None] = {}
        if shape is not None:
            dimensions = {
                "channels": shape.channels,
                "height": shape.height,
                "width": shape.width,
            }
        try:
            return evaluate(expression, frame.parameters, dimensions)
        except EvaluationError as error:
            code = evaluation_code(error)
            place = expression.span or span
            self.report.error(code, place, str(error), notes=uses_of(frame.use))
            return None

    def arguments(self, call: df.OpCall, frame: Frame, shape: Shape) -> Arguments | None:
        """Evaluate the arguments of an op, including those forwarded by a unit."""
        forwarded = frame.forwarded if call.forwards and frame.forwarded else {}
        result: Arguments = {}
        for argument in call.op.arguments:
            if argument.name in forwarded:
                result[argument.name] = forwarded[argument.name]
            else:
                written = call.args[argument.name]
                result[argument.name] = self.argument(written, frame, shape, call.span)
            if result[argument.name] is FAULTY:
                return None
            if not self.check_value(call, argument, result[argument.name], frame):
                return None
        return result

    def check_value(self, call: df.OpCall, argument: Argument, value: object, frame: Frame) -> bool:
        """Return whether a value fits its argument, and report why not."""
        if not isinstance(value, (bool, int, float, str)):
            return True
        fault = value_fault(argument, value)
        if fault is None:
            return True
        forwarded = bool(call.forwards and frame.forwarded and argument.name in frame.forwarded)
        what = f"`{argument.name}` of `{call.op.name}`"
        written = call.args[argument.name]
        place = written.span if isinstance(written, ex.Expression) and written.span else call.span
        found = given(written, frame.use, argument.name if forwarded else "")
        help_ = near(value, argument.words) if isinstance(value, str) else None
        self.refuse(fault_code(value, argument), found, what, fault, value, place, frame, help_)
        return False

    def refuse(
        self,
        code: Code,
        found: Given,
        what: str,
        fault: str,
        value: Value,
        place: Span,
        frame: Frame,
        help: str | None = None,
    ) -> None:
        """Report a value where it was given, which may be far from the place where it does not fit.

        There it is called `what`.
        """
        written = found.written
        if isinstance(written, (ex.Binary, ex.Literal)):
            help = whole_help(value, written) or help
        span = written.span if isinstance(written, ex.Expression) else None
        notes = uses_of(frame.use)
        if found.name and span is not None:
            # an argument of a unit has the name of its head's argument
            same = what == f"`{found.name}` of `{found.owner}`"
            notes = [] if same else [Note(f"it becomes {what} here", place)]
            notes += uses_of(found.use)
            what, place = f"`{found.name}` of `{found.owner}`", span
        self.report.error(code, place, f"{what} {fault}", notes=notes, help=help)

    def argument(self, written: df.ArgumentValue, frame: Frame, shape: Shape, span: Span) -> object:
        """Evaluate one argument; return `FAULTY` after a report."""
        match written:
            case None | Initializer():
                return written
            case df.WindowValue():
                sizes = self.counts(
                    (*written.kernel, *written.stride), 1, frame, shape, written, span
                )
                if sizes is None:
                    return FAULTY
                return Window((sizes[0], sizes[1]), (sizes[2], sizes[3]))
            case df.SidesValue():
                sides = self.counts(written.sides, 0, frame, shape, written, span)
                return FAULTY if sides is None else sides
            case _:
                found = self.evaluate(written, frame, shape, span)
                return FAULTY if found is None else found

    def counts(
        self,
        expressions: tuple[ex.Expression, ...],
        minimum: int,
        frame: Frame,
        shape: Shape,
        written: df.WindowValue | df.SidesValue,
        span: Span,
    ) -> tuple[int, ...] | None:
        """Evaluate the parts of a window or of a padding; return None after a report."""
        found = []
        for expression in expressions:
            number = self.evaluate(expression, frame, shape, written.span)
            if number is None:
                return None
            fault = count_fault(number, minimum)
            if fault:
                what = "a part of the window" if minimum else "a side of the padding"
                place = expression.span or written.span or span
                code = Code.NUMBER_RANGE if isinstance(number, int) else Code.WRONG_TYPE
                found_ = given(expression, frame.use)
                self.refuse(code, found_, what, fault, number, place, frame)
                return None
            assert isinstance(number, int)
            found.append(number)
        return tuple(found)
