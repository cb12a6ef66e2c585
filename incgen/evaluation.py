"""Arguments to values: expressions evaluated where parameters and shapes are known."""

from __future__ import annotations

from incgen import definitions as df
from incgen import expressions as ex
from incgen.arguments import count_fault, evaluation_code, fault_code, value_fault, whole_help
from incgen.diagnostics import Code, Reporter, near
from incgen.frames import Frame, uses_of
from incgen.initializers import Initializer
from incgen.ops import Argument, ByStride
from incgen.shapes import Arguments, Shape, Window
from incgen.source import Span

#: An argument that was reported.
FAULTY = object()


class Evaluator:
    """Evaluates what is written at one place of a definition, for one use of it."""

    def __init__(self, report: Reporter) -> None:
        """Keep who takes the faults."""
        self.report = report

    def evaluate(
        self, expression: ex.Expression, frame: Frame, shape: Shape | None, span: Span | None
    ) -> ex.Value | None:
        """The value of an expression, or None after a report."""
        dimensions: dict[str, int | None] = {}
        if shape is not None:
            dimensions = {
                "channels": shape.channels,
                "height": shape.height,
                "width": shape.width,
            }
        try:
            return ex.evaluate(expression, frame.parameters, dimensions)
        except ex.EvaluationError as error:
            code = evaluation_code(error)
            place = expression.span or span
            self.report.error(code, place, str(error), notes=uses_of(frame.use))
            return None

    def arguments(self, call: df.OpCall, frame: Frame, shape: Shape) -> Arguments | None:
        """The arguments of an op as values, those forwarded by a unit among them."""
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
        """Whether a value fits its argument; reports why not."""
        if not isinstance(value, (bool, int, float, str)):
            return True
        fault = value_fault(argument, value)
        if fault is None:
            return True
        written = call.args[argument.name]
        span = written.span if isinstance(written, ex.Expression) and written.span else call.span
        message = f"`{argument.name}` of `{call.op.name}` {fault}"
        help_ = near(value, argument.words) if isinstance(value, str) else None
        if isinstance(written, ex.Binary):
            help_ = whole_help(value, written)
        code = fault_code(value, argument)
        self.report.error(code, span, message, notes=uses_of(frame.use), help=help_)
        return False

    def argument(self, written: df.ArgumentValue, frame: Frame, shape: Shape, span: Span) -> object:
        """The value of one argument, or `FAULTY` after a report."""
        match written:
            case None | Initializer() | ByStride():
                return written
            case df.WindowValue():
                sizes = self.counts((*written.kernel, *written.stride), 1, frame, shape, written)
                if sizes is None:
                    return FAULTY
                return Window((sizes[0], sizes[1]), (sizes[2], sizes[3]))
            case df.SidesValue():
                sides = self.counts(written.sides, 0, frame, shape, written)
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
    ) -> tuple[int, ...] | None:
        """The parts of a window or of a padding; None after a report."""
        found = []
        for expression in expressions:
            number = self.evaluate(expression, frame, shape, written.span)
            if number is None:
                return None
            fault = count_fault(number, minimum)
            if fault:
                what = "a part of the window" if minimum else "a side of the padding"
                span = expression.span or written.span
                message = f"{what} {fault}"
                self.report.error(Code.NUMBER_RANGE, span, message, notes=uses_of(frame.use))
                return None
            assert isinstance(number, int)
            found.append(number)
        return tuple(found)
