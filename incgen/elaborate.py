"""Definitions to graph: parameters bound, conditions decided, repeats unrolled, shapes known.

A value with a fault becomes None, and what follows from it is not reported again. Every
statement costs a bounded amount of work, and their number is bounded, so that no spec makes
incgen hang.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import assert_never

from incgen import definitions as df
from incgen import expressions as ex
from incgen.arguments import count_fault, fault_code, value_fault
from incgen.diagnostics import Code, Note, Reporter, listed, near
from incgen.graph import Graph, Node, Observed, Use
from incgen.initializers import Initializer
from incgen.ops import Argument, ByStride, Takes
from incgen.shapes import (
    Arguments,
    Borders,
    Fault,
    Shape,
    Tensor,
    Window,
    borders,
    multiply_adds,
    spatial,
    tensors,
)
from incgen.source import Span

#: Layers and other elements of one network.
MAX_ELEMENTS = 250_000
#: Iterations of one repeat.
MAX_REPEAT = 10_000
#: Rows and columns of any value.
MAX_SIZE = 100_000
#: Numbers in one value of one example, and in all parameters.
MAX_NUMBERS = 2**40
#: Uses and bodies inside one another.
MAX_DEPTH = 100
#: Labels of a key, joined; longer ones could not be read either.
MAX_PATH = 500

_FAULT_CODES = {"window": Code.WINDOW_TOO_LARGE, "padding": Code.BAD_PADDING, "groups": Code.GROUPS}


def elaborate(
    program: df.Program, settings: Mapping[str, ex.Value], report: Reporter
) -> Graph | None:
    """Build the graph of a network.

    Args:
        program: the network and what it reaches.
        settings: values for its parameters, in place of their defaults.
        report: takes faults.

    Returns:
        The graph; None after a report.
    """
    network = program.network
    if network.pixels is None:
        return None
    parameters: dict[str, ex.Value] = {}
    for formal in network.parameters:
        default = ex.literal(formal.default) if formal.default is not None else None
        if default is None:
            return None
        parameters[formal.name] = settings.get(formal.name, default)
    for name in settings:
        if name not in parameters:
            message = f"the network `{network.name}` has no parameter `{name}`"
            report.error(Code.UNKNOWN_ATTRIBUTE, network.span, message, help=near(name, parameters))
            return None
    builder = _Builder(program, parameters, report)
    result = builder.run(network.pixels)
    if result is None or report.failed:
        return None
    return Graph(
        program,
        parameters,
        tuple(builder.nodes),
        builder.outputs,
        builder.observed,
        builder.steps,
    )


@dataclass(slots=True)
class _Frame:
    """Where the builder stands: parameters, prefix of keys, and the chain of uses."""

    parameters: Mapping[str, ex.Value]
    prefix: str
    use: Use | None
    values: dict[str, int | None] = field(default_factory=dict)
    forwarded: Mapping[str, object] | None = None
    network: bool = False
    depth: int = 0

    def inside(self, name: str | None) -> _Frame:
        """The same with a longer prefix; labels of this frame stay visible."""
        return _Frame(
            self.parameters,
            _join(self.prefix, name),
            self.use,
            dict(self.values),
            self.forwarded,
            False,
            self.depth + 1,
        )


class _TooLarge(Exception):
    """The network exceeds a bound; already reported."""


class _Builder:
    """Walks the definitions once and appends nodes."""

    def __init__(
        self, program: df.Program, parameters: dict[str, ex.Value], report: Reporter
    ) -> None:
        self.program, self.parameters, self.report = program, parameters, report
        self.nodes: list[Node] = []
        self.outputs: dict[str, int] = {}
        self.observed: dict[df.Definition, Observed] = {}
        self.steps: dict[int, Shape] = {}
        self.elements = 0
        self.numbers = 0

    def run(self, pixels: df.Pixels) -> int | None:
        network = self.program.network
        frame = _Frame(self.parameters, "", None, network=True)
        try:
            start = self.input(pixels, frame)
            if start is None:
                return None
            heads: dict[str, int] = {}
            result = self.body(network.body, start, frame, heads)
        except _TooLarge:
            return None
        if result is None:
            return None
        last = next(s for s in reversed(network.body.steps) if isinstance(s, df.Step))
        name = last.label or "output"
        if name in heads:
            message = f"the output and a head are both called `{name}`"
            self.report.error(Code.DUPLICATE, last.span, message)
        self.outputs = {name: result, **heads}
        return result

    # ------------------------------------------------------------ nodes

    def add(
        self,
        op: str,
        args: Arguments,
        inputs: tuple[int, ...],
        shape: Shape,
        path: str,
        span: Span,
        use: Use | None,
        *,
        weights: tuple[Tensor, ...] = (),
        cost: int = 0,
    ) -> int | None:
        """Append a node, within the bounds."""
        biggest = max(shape.height or 1, shape.width or 1)
        self.numbers += sum(t.size for t in weights)
        fault = None
        if biggest > MAX_SIZE:
            fault = f"a value is {shape}, and sizes go up to {MAX_SIZE}"
        elif shape.size > MAX_NUMBERS:
            fault = f"a value is {shape}, more than 2**40 numbers for one example"
        elif self.numbers > MAX_NUMBERS:
            fault = "the network has more than 2**40 parameters"
        elif len(path) > MAX_PATH:
            fault = f"a key is longer than {MAX_PATH} characters"
        if fault:
            self.report.error(Code.TOO_LARGE, span, fault, notes=_chain(use))
            raise _TooLarge
        self.nodes.append(Node(path, op, args, inputs, shape, weights, cost, span, use))
        return len(self.nodes) - 1

    def shape(self, value: int) -> Shape:
        return self.nodes[value].shape

    def input(self, pixels: df.Pixels, frame: _Frame) -> int | None:
        span = pixels.span
        assert span is not None
        sizes = []
        for expression, what in (
            (pixels.channels, "channels"),
            (pixels.height, "height"),
            (pixels.width, "width"),
        ):
            value = self.evaluate(expression, frame, None, span)
            fault = count_fault(value, 1) if value is not None else None
            if fault:
                message = f"the {what} of the input {fault}"
                self.report.error(Code.NUMBER_RANGE, expression.span or span, message)
            if value is None or fault:
                return None
            assert isinstance(value, int)
            sizes.append(value)
        return self.add("input", {}, (), Shape(*sizes), "input", span, None)

    # ------------------------------------------------------------ expressions

    def evaluate(
        self, expression: ex.Expression, frame: _Frame, value: int | None, span: Span | None
    ) -> ex.Value | None:
        """The value of an expression, or None after a report."""
        dimensions: dict[str, int | None] = {}
        if value is not None:
            shape = self.shape(value)
            dimensions = {
                "channels": shape.channels,
                "height": shape.height,
                "width": shape.width,
            }
        try:
            return ex.evaluate(expression, frame.parameters, dimensions)
        except ex.EvaluationError as error:
            self.report.error(
                Code.WRONG_TYPE, expression.span or span, str(error), notes=_chain(frame.use)
            )
            return None

    # ------------------------------------------------------------ bodies

    def body(
        self, body: df.Body, value: int, frame: _Frame, heads: dict[str, int] | None = None
    ) -> int | None:
        """Apply the steps of a body; the frame keeps labelled values."""
        current: int | None = value
        for step in body.steps:
            if isinstance(step, df.Head):
                assert heads is not None
                if current is None:
                    return None
                head = self.body(step.body, current, frame.inside(None))
                if head is not None:
                    heads[step.label] = head
                continue
            current = self.step(step, current, frame)
            if current is None:
                return None
            if frame.network:
                self.steps[step.span.start] = self.shape(current)
        return current

    def step(self, step: df.Step, current: int | None, frame: _Frame) -> int | None:
        """Apply one step to the current value, or to the one it starts from."""
        if step.origin is not None:
            current = frame.values.get(step.origin)
        if current is None:
            return None
        result = current
        if step.element is not None:
            applied = self.element(step.element, current, frame)
            if applied is None:
                return None
            result = applied
        if step.label is not None:
            frame.values[step.label] = result
        return result

    def element(self, element: df.Element, value: int, frame: _Frame) -> int | None:
        """Apply one element."""
        self.elements += 1
        if self.elements > MAX_ELEMENTS:
            message = f"the network has more than {MAX_ELEMENTS} layers"
            self.report.error(Code.TOO_LARGE, element.span, message, notes=_chain(frame.use))
            raise _TooLarge
        if frame.depth > MAX_DEPTH:
            message = f"uses and bodies are nested more than {MAX_DEPTH} deep"
            self.report.error(Code.NESTING_TOO_DEEP, element.span, message)
            raise _TooLarge
        match element:
            case df.OpCall():
                return self.op(element, value, frame)
            case df.Instance():
                return self.instance(element, value, frame)
            case df.Chain():
                inner = frame.inside(element.name)
                current: int | None = value
                for number, child in enumerate(element.elements):
                    if current is None:
                        return None
                    if number == 1:
                        inner.forwarded = None
                    current = self.element(child, current, inner)
                return current
            case df.Join():
                return self.join(element, value, frame)
            case df.Group():
                return self.body(element.body, value, frame.inside(element.name))
            case df.Repeat():
                return self.repeat(element, value, frame)
            case df.Conditional():
                return self.conditional(element, value, frame)
            case _:
                assert_never(element)

    def conditional(self, element: df.Conditional, value: int, frame: _Frame) -> int | None:
        decided = self.evaluate(element.condition, frame, value, element.span)
        if decided is None:
            return None
        body = element.then if decided else element.otherwise
        return value if body is None else self.body(body, value, frame.inside(None))

    def repeat(self, element: df.Repeat, value: int, frame: _Frame) -> int | None:
        count = self.evaluate(element.count, frame, value, element.span)
        if count is None:
            return None
        fault = count_fault(count, 0)
        if fault or not isinstance(count, int) or count > MAX_REPEAT:
            message = f"a repeat count {fault}" if fault else f"a repeat counts to {count}"
            help_ = None if fault else f"repeats go up to {MAX_REPEAT}"
            code = Code.NUMBER_RANGE if fault else Code.TOO_LARGE
            span = element.count.span or element.span
            self.report.error(code, span, message, notes=_chain(frame.use), help=help_)
            return None
        current: int | None = value
        inner = frame.inside(element.name)
        for index in range(count):
            if current is None:
                return None
            current = self.body(element.body, current, inner.inside(str(index)))
        return current

    def instance(self, element: df.Instance, value: int, frame: _Frame) -> int | None:
        definition = element.definition
        path = _join(frame.prefix, element.name)
        use = Use(definition, path, element.span, frame.use)
        bound: dict[str, ex.Value] = {}
        given: dict[str, object] = {}
        if definition.kind == "unit":
            if element.forwards and frame.forwarded:
                given.update(frame.forwarded)
            for name, argument in element.args.items():
                if name not in given:
                    given[name] = self.argument(argument, frame, value, element.span)
            if any(v is _FAULTY for v in given.values()):
                return None
        else:
            for formal in definition.parameters:
                written = element.args.get(formal.name, formal.default)
                assert isinstance(written, ex.Expression)
                found = self.evaluate(written, frame, value, element.span)
                if found is None:
                    return None
                bound[formal.name] = found
        inner = _Frame(
            bound,
            path,
            use,
            forwarded=given if definition.kind == "unit" else None,
            depth=frame.depth + 1,
        )
        result = self.body(definition.body, value, inner)
        if result is not None:
            self.observe(definition, {**bound, **given}, value, result)
        return result

    def observe(
        self, definition: df.Definition, values: Mapping[str, object], before: int, after: int
    ) -> None:
        """Remember what the definition was used with; a few different values are enough."""
        seen = self.observed.setdefault(definition, Observed({}, []))
        for name, value in values.items():
            known = seen.values.setdefault(name, [])
            # `1` and `True` are equal, but their types differ and code must show which it was
            if len(known) < 50 and not any(type(k) is type(value) and k == value for k in known):
                known.append(value)
        pair = (self.shape(before), self.shape(after))
        if len(seen.shapes) < 50 and pair not in seen.shapes:
            seen.shapes.append(pair)

    # ------------------------------------------------------------ joins

    def join(self, element: df.Join, value: int, frame: _Frame) -> int | None:
        inner = frame.inside(element.name)
        results: list[int] = []
        sound = True
        for step in element.body.steps:
            assert isinstance(step, df.Step)
            result = self.step(step, value, inner)
            if result is None:
                sound = False
            else:
                results.append(result)
        if not sound:
            return None
        shape = self.joined(element, results, frame)
        if shape is None:
            return None
        name = element.title if element.name is None else element.name
        path = _join(frame.prefix, name)
        return self.add(element.kind, {}, tuple(results), shape, path, element.span, frame.use)

    def joined(self, element: df.Join, results: list[int], frame: _Frame) -> Shape | None:
        """The shape of a join, or None after a report that names both branches."""
        shapes = [self.shape(result) for result in results]
        if element.kind == "concat":
            total = shapes[0]
            for number, shape in enumerate(shapes[1:], 1):
                if (shape.height, shape.width) != (total.height, total.width):
                    what = "height and width" if shape.is_map and total.is_map else "rank"
                    self.report_mismatch(element, results, number, what, frame)
                    return None
                total = Shape(total.channels + shape.channels, total.height, total.width)
            return total
        largest = next((shape for shape in shapes if shape.is_map), shapes[0])
        for number, shape in enumerate(shapes):
            broadcast = not shape.is_map and shape.channels == largest.channels
            if shape != largest and not broadcast:
                first = next(i for i, s in enumerate(shapes) if s == largest)
                pair = sorted((first, number))
                same = shape.is_map == largest.is_map and shape.channels == largest.channels
                what = "height and width" if same else "channels"
                if shape.is_map and (shape.height, shape.width) != (largest.height, largest.width):
                    what = "shape"
                self.report_mismatch(element, results, pair[1], what, frame, pair[0])
                return None
        return largest

    def report_mismatch(
        self,
        element: df.Join,
        results: list[int],
        number: int,
        what: str,
        frame: _Frame,
        first: int = 0,
    ) -> None:
        names = []
        notes = []
        for index in (first, number):
            step = element.body.steps[index]
            assert isinstance(step, df.Step)
            name = f"`{step.label}`" if step.label else f"branch {index + 1}"
            names.append(name)
            history = self.history(results[index])
            notes.append(Note(f"{name} is {self.shape(results[index])}: {history}", step.span))
        step = element.body.steps[number]
        message = f"`{element.kind}` cannot join {names[0]} and {names[1]}: their {what} differ"
        self.report.error(
            Code.SHAPE_MISMATCH,
            step.span,
            message,
            label=f"{self.shape(results[number])}, {names[0]} is {self.shape(results[first])}",
            notes=[*notes, *_chain(frame.use)],
            help=_mismatch_help(self.shape(results[first]), self.shape(results[number])),
        )

    def history(self, value: int) -> str:
        """How a value got its shape: the last few layers that changed it."""
        parts: list[str] = []
        node = self.nodes[value]
        while node.inputs and len(parts) < 4:
            before = self.shape(node.inputs[0])
            if node.shape != before or node.op in ("concat",):
                parts.append(f"{_described(node)} gives {node.shape}")
            node = self.nodes[node.inputs[0]]
        origin = "" if node.inputs else f"the input is {node.shape}"
        parts += [origin] if origin and len(parts) < 4 else []
        return ", from ".join(parts) or "as it came in"

    # ------------------------------------------------------------ ops

    def op(self, call: df.OpCall, value: int, frame: _Frame) -> int | None:
        op, shape = call.op, self.shape(value)
        args = self.arguments(call, frame, value)
        if args is None:
            return None
        if op.name == "identity":
            return value
        if not self.check_rank(call, shape, frame):
            return None
        try:
            result = self.output(call, args, shape, frame)
        except Fault as fault:
            code = _FAULT_CODES[fault.reason]
            notes = _chain(frame.use)
            if code is Code.WINDOW_TOO_LARGE:
                notes = [Note(f"its input is {shape}: {self.history(value)}"), *notes]
            self.report.error(code, call.span, str(fault), notes=notes, help=fault.help)
            return None
        if result is None:
            return None
        path = _join(frame.prefix, call.name)
        weights = tensors(op.name, args, shape) if op.weighted else ()
        cost = multiply_adds(op.name, args, shape, result)
        return self.add(
            op.name,
            args,
            (value,),
            result,
            path,
            call.span,
            frame.use,
            weights=weights,
            cost=cost,
        )

    def check_rank(self, call: df.OpCall, shape: Shape, frame: _Frame) -> bool:
        takes = call.op.takes
        if takes is Takes.ANY or (takes is Takes.MAP) == shape.is_map:
            return True
        message = f"`{call.op.name}` needs {takes.value}, its input is a vector of {shape.channels}"
        help_ = "put it in front of the global pooling, `flatten` or `dense`"
        self.report.error(Code.WRONG_RANK, call.span, message, notes=_chain(frame.use), help=help_)
        return False

    def arguments(self, call: df.OpCall, frame: _Frame, value: int) -> Arguments | None:
        """The arguments of an op as values, those forwarded by a unit among them."""
        forwarded = frame.forwarded if call.forwards and frame.forwarded else {}
        result: Arguments = {}
        for argument in call.op.arguments:
            if argument.name in forwarded:
                result[argument.name] = forwarded[argument.name]
            else:
                written = call.args[argument.name]
                result[argument.name] = self.argument(written, frame, value, call.span)
            if result[argument.name] is _FAULTY:
                return None
            if not self.check_value(call, argument, result[argument.name], frame):
                return None
        return result

    def check_value(
        self, call: df.OpCall, argument: Argument, value: object, frame: _Frame
    ) -> bool:
        if not isinstance(value, (bool, int, float, str)):
            return True
        fault = value_fault(argument, value)
        if fault is None:
            return True
        written = call.args[argument.name]
        span = written.span if isinstance(written, ex.Expression) and written.span else call.span
        message = f"`{argument.name}` of `{call.op.name}` {fault}"
        help_ = near(value, argument.words) if isinstance(value, str) else None
        code = fault_code(value, argument)
        self.report.error(code, span, message, notes=_chain(frame.use), help=help_)
        return False

    def argument(self, written: df.ArgumentValue, frame: _Frame, value: int, span: Span) -> object:
        """The value of one argument, or `_FAULTY` after a report."""
        match written:
            case None | Initializer() | ByStride():
                return written
            case df.WindowValue():
                sizes = self.counts((*written.kernel, *written.stride), 1, frame, value, written)
                if sizes is None:
                    return _FAULTY
                return Window((sizes[0], sizes[1]), (sizes[2], sizes[3]))
            case df.SidesValue():
                sides = self.counts(written.sides, 0, frame, value, written)
                return _FAULTY if sides is None else sides
            case _:
                found = self.evaluate(written, frame, value, span)
                return _FAULTY if found is None else found

    def counts(
        self,
        expressions: tuple[ex.Expression, ...],
        minimum: int,
        frame: _Frame,
        value: int,
        written: df.WindowValue | df.SidesValue,
    ) -> tuple[int, ...] | None:
        found = []
        for expression in expressions:
            number = self.evaluate(expression, frame, value, written.span)
            if number is None:
                return None
            fault = count_fault(number, minimum)
            if fault:
                what = "a part of the window" if minimum else "a side of the padding"
                span = expression.span or written.span
                message = f"{what} {fault}"
                self.report.error(Code.NUMBER_RANGE, span, message, notes=_chain(frame.use))
                return None
            assert isinstance(number, int)
            found.append(number)
        return tuple(found)

    def output(self, call: df.OpCall, args: Arguments, shape: Shape, frame: _Frame) -> Shape | None:
        """The shape that an op gives; completes `args` with the borders in pixels."""
        match call.op.name:
            case "conv" | "depthwise_conv" | "separable_conv":
                return self.convolved(call, args, shape, frame)
            case "max_pool" | "avg_pool" | "pool":
                return self.pooled(call, args, shape, frame)
            case "dense":
                return Shape(args["features"])
            case "global_avg_pool" | "global_max_pool":
                return Shape(shape.channels)
            case "flatten":
                return Shape(shape.size)
            case "pad":
                return self.padded(call, args, shape, frame)
            case _:
                return shape

    def convolved(
        self, call: df.OpCall, args: Arguments, shape: Shape, frame: _Frame
    ) -> Shape | None:
        around = self.borders(call, args, shape, args["dilation"], frame)
        if around is None:
            return None
        high, wide = spatial(shape, args["window"], args["dilation"], around, False, call.op.name)
        args["borders"] = around
        if call.op.name == "depthwise_conv":
            return Shape(shape.channels * args["multiplier"], high, wide)
        groups = args.get("groups", 1)
        for what, channels in (("input", shape.channels), ("output", args["channels"])):
            if channels % groups:
                message = f"{groups} groups do not divide the {channels} {what} channels of `conv`"
                divisors = [d for d in range(2, min(groups, 64) + 1) if channels % d == 0]
                help_ = f"{channels} can be divided by {listed([str(d) for d in divisors[:6]])}"
                raise Fault("groups", message, help_ if divisors else None)
        return Shape(args["channels"], high, wide)

    def pooled(self, call: df.OpCall, args: Arguments, shape: Shape, frame: _Frame) -> Shape | None:
        window: Window = args["window"]
        around = self.borders(call, args, shape, 1, frame)
        if around is None:
            return None
        if args["ceil"] is None:
            if window.strided:
                self.must_say(call, "ceil", f"with the window {window}", "ceil=true", frame)
                return None
            args["ceil"] = False
        averages = call.op.name == "avg_pool" or args.get("kind") == "avg"
        padded = max(around[0] + around[1]) > 0
        if averages and padded and args["count_pad"] is None:
            self.must_say(call, "count_pad", "with padding", "count_pad=true", frame)
            return None
        high, wide = spatial(shape, window, 1, around, args["ceil"], call.op.name)
        args["borders"] = around
        return Shape(shape.channels, high, wide)

    def borders(
        self, call: df.OpCall, args: Arguments, shape: Shape, dilation: int, frame: _Frame
    ) -> Borders | None:
        assert shape.height is not None and shape.width is not None
        window: Window = args["window"]
        found = borders(args["pad"], window, dilation, shape.height, shape.width, call.op.name)
        if found is None:
            why = f"with the window {window}" + (f", dilation {dilation}" if dilation > 1 else "")
            self.must_say(call, "pad", why, "pad=half", frame)
        return found

    def must_say(self, call: df.OpCall, name: str, why: str, form: str, frame: _Frame) -> None:
        message = f"`{call.op.name}` {why} must say `{name}`: the frameworks disagree on it"
        help_ = f"write `{form}`, or begin the file with `numerics caffe`, `torch` or `tf`"
        self.report.error(Code.MUST_SAY, call.span, message, notes=_chain(frame.use), help=help_)

    def padded(self, call: df.OpCall, args: Arguments, shape: Shape, frame: _Frame) -> Shape | None:
        border = args["border"]
        if isinstance(border, str):
            message = f"`pad` adds a number of pixels, not `{border}`"
            help_ = "write `pad 1`, `pad 1x2` or `pad ([...])` with four numbers"
            help_ = "write `pad 1`, `pad 1x2` or `pad [0, 1, 0, 1]`"
            self.report.error(
                Code.WRONG_TYPE, call.span, message, notes=_chain(frame.use), help=help_
            )
            return None
        assert shape.height is not None and shape.width is not None
        match border:
            case int(n):
                around = (n, n), (n, n)
            case (int(h), int(w)):
                around = (h, h), (w, w)
            case (int(t), int(b), int(l), int(r)):
                around = (t, b), (l, r)
            case _:
                raise AssertionError(border)
        args["borders"] = around
        return Shape(shape.channels, shape.height + sum(around[0]), shape.width + sum(around[1]))


#: An argument that was reported.
_FAULTY = object()


def _join(prefix: str, name: str | None) -> str:
    """A key with one part more; None and "" add nothing."""
    if not name:
        return prefix
    return f"{prefix}.{name}" if prefix else name


def _chain(use: Use | None) -> list[Note]:
    """The uses that led to a place, the innermost first."""
    notes: list[Note] = []
    while use is not None and len(notes) < 6:
        notes.append(Note(f"in `{use.definition.name}`, used here as `{use.path}`", use.span))
        use = use.outer
    return notes


def _described(node: Node) -> str:
    """A layer in a few words: its op with the numbers that made its shape."""
    window: Window | None = node.args.get("window")
    if window is None:
        return f"`{node.op}`"
    around = node.args.get("borders", ((0, 0), (0, 0)))
    padding = f", padding {_sides(around)}" if max(around[0] + around[1]) else ", no padding"
    ceil = ", ceil" if node.args.get("ceil") else ""
    return f"`{node.op} {window}`{padding}{ceil}"


def _sides(around: Borders) -> str:
    sides = {*around[0], *around[1]}
    if len(sides) == 1:
        return str(sides.pop())
    return f"[{around[0][0]}, {around[0][1]}, {around[1][0]}, {around[1][1]}]"


def _mismatch_help(first: Shape, second: Shape) -> str | None:
    if first.is_map != second.is_map:
        return "one is a map and the other a vector: pool or flatten both, or neither"
    if (first.height, first.width) != (second.height, second.width):
        return "give both branches the same stride and padding"
    return "give both branches the same number of channels, for instance with a 1x1 `conv`"
