"""Definitions to graph: bind parameters, decide conditions, unroll repeats, infer shapes.

A faulty value becomes None, and its consequences are not reported again. Every statement costs a
bounded amount of work, and their number is bounded, so that no spec makes incgen hang.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TypeVar, assert_never

from incgen.base.diagnostics import Code, Note, Refused, Reporter
from incgen.base.help import Help, add
from incgen.base.source import Span
from incgen.graph.bounds import MAX_REPEAT, MAX_SIZE, Bounds, TooLargeError
from incgen.graph.evaluation import Evaluator
from incgen.graph.frames import Frame, given, join_key, unit_use, uses_of
from incgen.graph.joins import history, joined, refuse_mismatch
from incgen.graph.nest import Aside, Body, Joined, Layer, Piece, Repeated, Used
from incgen.graph.nodes import Graph, Node, Observed, Use
from incgen.graph.shape_inference import output
from incgen.graph.shapes import (
    Arguments,
    Fault,
    Shape,
    effective,
    multiply_adds,
    tensors,
)
from incgen.graph.unused import report_unused
from incgen.language import expressions as ex
from incgen.language.arithmetic import Value
from incgen.resolve import definitions as df
from incgen.resolve.arguments import count_fault
from incgen.syntax.edits import last_line, named, or_preset

A = TypeVar("A")
B = TypeVar("B")
#: The most different values, or shapes before and after something, that are noted.
_NOTED = 50


def elaborate(program: df.Program, settings: Mapping[str, Value], report: Reporter) -> Graph | None:
    """Build the graph of a network, with values in place of the defaults of its parameters.

    Return None if an error was reported.
    """
    network = program.network
    if network.pixels is None:
        return None
    parameters: dict[str, Value] = {}
    for formal in network.parameters:
        default = ex.literal(formal.default) if formal.default is not None else None
        if default is None:
            return None
        parameters[formal.name] = settings.get(formal.name, default)
    builder = _Builder(program, parameters, report)
    try:
        builder.run(network.pixels)
    except (Refused, TooLargeError):
        return None
    if report.failed:
        return None
    return Graph(
        program,
        parameters,
        tuple(builder.nodes),
        builder.outputs,
        builder.observed(),
        builder.steps,
        builder.passed,
        Body(None, tuple(builder.items), 0, next(iter(builder.outputs.values()))),
    )


class _Builder:
    """Walks the definitions once and appends nodes."""

    def __init__(self, program: df.Program, parameters: dict[str, Value], report: Reporter) -> None:
        self.program, self.parameters, self.report = program, parameters, report
        self.values = Evaluator(report)
        self.nodes: list[Node] = []
        self.outputs: dict[str, int] = {}
        self.given: dict[df.Definition, dict[str, dict[tuple[type, object], None]]] = {}
        self.shapes: dict[df.Definition, dict[tuple[Shape, Shape], None]] = {}
        self.steps: dict[int, Shape] = {}
        self.passed: list[tuple[Span, int, int]] = []
        self.items: list[Piece] = []  # of the innermost body of the nest
        self.bounds = Bounds(report)

    def run(self, pixels: df.Pixels) -> None:
        network = self.program.network
        frame = Frame(self.parameters, "", None, network=True)
        heads: dict[str, int] = {}
        result = self.body(network.body, self.input(pixels, frame), frame, heads)
        last = next((s for s in reversed(network.body.steps) if isinstance(s, df.Step)), None)
        if last is None:
            message = "the network has heads and nothing else"
            line = last_line(network.body.span, "identity")
            help_: str = Help("write `identity` if the input is the output", line)
            self.report.refuse(Code.EMPTY_BODY, network.body.span, message, help=help_)
        name = last.label or "output"
        if name in heads:
            message = f"the output and a head are both called `{name}`"
            help_ = "give the last line a label of its own"
            self.report.error(Code.DUPLICATE, last.span, message, help=help_)
        self.outputs = {name: result, **heads}
        if not self.report.failed:  # what an error kept from being built may use the value
            report_unused(self.nodes, self.outputs.values(), network, self.report)

    def collected(
        self, apply: Callable[[A, int, Frame], B], part: A, value: int, frame: Frame
    ) -> tuple[B, tuple[Piece, ...]]:
        """Apply a part of a definition; also return its items, which are apart from the others."""
        around, self.items = self.items, []
        try:
            return apply(part, value, frame), tuple(self.items)
        finally:
            self.items = around

    def add(self, node: Node) -> int:
        """Append a node, within the bounds."""
        self.bounds.layer(node.shape, node.tensors, node.path, node.span, node.use)
        self.nodes.append(node)
        return len(self.nodes) - 1

    def shape(self, value: int) -> Shape:
        return self.nodes[value].shape

    def input(self, pixels: df.Pixels, frame: Frame) -> int:
        span = pixels.span
        assert span is not None
        sizes = []
        for expression, what in (
            (pixels.channels, "channels"),
            (pixels.height, "height"),
            (pixels.width, "width"),
        ):
            value = self.values.evaluate(expression, frame, None, span)
            place = expression.span or span
            if fault := count_fault(value, 1):
                self.report.refuse(fault[0], place, f"the {what} of the input {fault[1]}")
            assert isinstance(value, int)
            if value > MAX_SIZE and what != "channels":
                message = f"the {what} of the input must be at most {MAX_SIZE}, not {value}"
                self.report.refuse(Code.TOO_LARGE, place, message)
            sizes.append(value)
        self.items.append(Layer("input", False, 0, 0, span))
        return self.add(Node("input", "input", Arguments(), (), Shape(*sizes), (), 0, span, None))

    def body(
        self, body: df.Body, value: int, frame: Frame, heads: dict[str, int] | None = None
    ) -> int:
        """Apply the steps of a body; the frame keeps labelled values."""
        current: int | None = value
        for step in body.steps:
            if isinstance(step, df.Head):
                assert heads is not None
                if current is not None:
                    with suppress(Refused):
                        heads[step.label] = self.head(step, current, frame)
                continue
            current = self.step(step, current, frame)
            if frame.network and current is not None:
                self.steps[step.span.start] = self.shape(current)
        if current is None:
            raise Refused
        return current

    def head(self, head: df.Head, value: int, frame: Frame) -> int:
        result, items = self.collected(self.body, head.body, value, frame.inside(None))
        inside = Body(head.label, items, value, result)
        self.items.append(Aside(head.label, True, value, value, head.span, inside))
        return result

    def step(self, step: df.Step, current: int | None, frame: Frame) -> int | None:
        """Apply one step to the current value, or to the value it starts from."""
        self.bounds.element(step.span, frame.use)
        if step.origin is not None:
            current = frame.labelled(step.origin)
        if step.element is not None and current is not None:
            try:
                current = self.element(step.element, current, frame)
            except Refused:
                current = None
        if step.label is not None and step.kept:
            frame.values[step.label] = current
        return current

    def element(self, element: df.Element, value: int, frame: Frame) -> int:
        """Apply one element."""
        self.bounds.element(element.span, frame.use, frame.depth)
        after = self.applied(element, value, frame)
        self.passed.append((element.span, value, after))
        return after

    def applied(self, element: df.Element, value: int, frame: Frame) -> int:
        match element:
            case df.OpCall():
                return self.op(element, value, frame)
            case df.Instance():
                return self.instance(element, value, frame)
            case df.Chain():
                inner = frame.inside(element.name)
                for number, child in enumerate(element.elements):
                    if number == 1:
                        inner.forwarded = None
                    value = self.element(child, value, inner)
                return value
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

    def conditional(self, element: df.Conditional, value: int, frame: Frame) -> int:
        decided = self.values.evaluate(element.condition, frame, self.shape(value), element.span)
        if isinstance(decided, str):
            message = f"a condition is true or false, not the word `{decided}`"
            place = element.condition.span or element.span
            self.report.refuse(Code.WRONG_TYPE, place, message, notes=uses_of(frame.use))
        body = element.then if decided else element.otherwise
        return value if body is None else self.body(body, value, frame.inside(None))

    def repeat(self, element: df.Repeat, value: int, frame: Frame) -> int:
        count = self.values.evaluate(element.count, frame, self.shape(value), element.span)
        fault = count_fault(count, 0)
        if isinstance(count, int) and count > MAX_REPEAT:
            fault = Code.TOO_LARGE, f"must be at most {MAX_REPEAT}, not {count}"
        if fault:
            place = element.count.span or element.span
            origin = given(element.count, frame.use)
            self.values.refuse(origin, "a repeat count", fault, count, place, frame)
        assert isinstance(count, int)
        inner, iterations, source = frame.inside(element.name), list[Body](), value
        for index in range(count):
            iteration = inner.inside(str(index))
            after, items = self.collected(self.body, element.body, value, iteration)
            iterations.append(Body(None, items, value, after))
            value = after
        if iterations:
            span, bodies = element.span, tuple(iterations)
            self.items.append(Repeated(inner.prefix, True, source, value, span, bodies))
        return value

    def instance(self, element: df.Instance, value: int, frame: Frame) -> int:
        definition, shape = element.definition, self.shape(value)
        path = join_key(frame.prefix, element.name)
        own = {f.name: f.default for f in definition.parameters} | dict(element.args)
        use = Use(definition, path, element.span, frame.use, own, element.forwards, element)
        bound: dict[str, Value] = {}
        forwarded: dict[str, object] | None = None
        if definition.kind == "unit":
            forwarded = dict(frame.forwarded or {}) if element.forwards else {}
            refused = False
            for name, argument in element.args.items():
                if name in forwarded:
                    continue
                try:
                    forwarded[name] = self.values.argument(argument, frame, shape, element.span)
                except Refused:  # all faulty arguments are reported
                    refused = True
            if refused:
                raise Refused
        else:
            for formal in definition.parameters:
                written = own[formal.name]
                assert isinstance(written, ex.Expression)
                bound[formal.name] = self.values.evaluate(written, frame, shape, element.span)
        inner = Frame(bound, path, use, forwarded=forwarded, depth=frame.depth + 1)
        result, items = self.collected(self.body, definition.body, value, inner)
        body = Body(None, items, value, result)
        named, span = element.labelled, element.span
        self.items.append(Used(path, named, value, result, span, definition, bound, body))
        self.observe(definition, bound if forwarded is None else forwarded, value, result)
        return result

    def observe(
        self, definition: df.Definition, values: Mapping[str, object], before: int, after: int
    ) -> None:
        """Record what a definition is used with; a few different values are enough."""
        seen = self.given.setdefault(definition, {})
        for name, value in values.items():
            known = seen.setdefault(name, {})
            if len(known) < _NOTED:
                # `1` and `True` are equal, but the code must show which one it was
                known[type(value), value] = None
        shapes = self.shapes.setdefault(definition, {})
        if len(shapes) < _NOTED:
            shapes[self.shape(before), self.shape(after)] = None

    def observed(self) -> dict[df.Definition, Observed]:
        """Return what each definition was used with."""
        return {
            definition: Observed(
                {name: [value for _, value in known] for name, known in given.items()},
                [*self.shapes[definition]],
            )
            for definition, given in self.given.items()
        }

    def join(self, element: df.Join, value: int, frame: Frame) -> int:
        inner = frame.inside(element.name)
        branches: list[Body] = []
        for step in element.body.steps:
            assert isinstance(step, df.Step)
            branch, items = self.collected(self.step, step, value, inner)
            if branch is not None:
                branches.append(Body(step.label, items, value, branch))
        if len(branches) < len(element.body.steps):
            raise Refused
        results = tuple(branch.value for branch in branches)
        shape = joined(element.kind, [self.shape(result) for result in results])
        if isinstance(shape, tuple):
            refuse_mismatch(element, value, shape, results, self.nodes, frame.use, self.report)
        name = element.title if element.name is None else element.name
        path, span = join_key(frame.prefix, name), element.span
        node = self.add(
            Node(path, element.kind, Arguments(), results, shape, (), 0, span, frame.use)
        )
        named = element.name is not None
        self.items.append(Joined(path, named, value, node, span, element.kind, tuple(branches)))
        return node

    def op(self, call: df.OpCall, value: int, frame: Frame) -> int:
        op, shape = call.op, self.shape(value)
        args = self.values.arguments(call, frame, shape)
        if op.name == "identity":
            return value
        try:
            result, args = output(op, args, shape)
        except Fault as fault:
            notes, place = uses_of(frame.use), call.span
            use = unit_use(frame.use, call.forwards, fault.concerns)
            if use is not None:  # either the arguments of the unit do not fit, or its place
                head = Note(f"`{op.name}` is the first op of `{use.definition.name}`", call.span)
                notes, place = (head, *uses_of(use.outer)), use.span
            if fault.code in (Code.WINDOW_TOO_LARGE, Code.WRONG_RANK):
                notes = (Note(f"its input: {history(self.nodes, value)}"), *notes)
            help_ = fault.help
            if fault.code is Code.MUST_SAY and help_ is not None:
                help_ = or_preset(help_, place)
            given_ = (use.given if use else call.args).get(fault.argument)
            if isinstance(help_, Help) and isinstance(given_, ex.Expression) and given_.span:
                help_ = help_.of(named(given_.span))
            self.report.refuse(fault.code, place, str(fault), notes=notes, help=help_)
        said = call.said | (frame.forwarded or {}).keys() if call.forwards else call.said
        path = join_key(frame.prefix, call.name)
        weights = tensors(op.name, args, shape) if op.weighted else ()
        cost = multiply_adds(op.name, args, shape, result) if op.weighted else 0
        span, use = call.span, frame.use
        node = Node(path, op.name, args, (value,), result, weights, cost, span, use, call)
        if args.get("pad") is not None and "pad" not in said:
            _warn_of_even_window(node, shape, self.report)
        self.items.append(Layer(path, call.labelled, value, self.add(node), span))
        return self.items[-1].value


def _warn_of_even_window(node: Node, before: Shape, report: Reporter) -> None:
    """Warn about an even window padded by half on both sides, which adds a row."""
    window, dilation = node.args.window, node.args.dilation
    spans = [effective(kernel, dilation) for kernel in window.kernel]
    even = any(
        span % 2 == 0 and sides == (span // 2, span // 2)
        for span, sides in zip(spans, node.args.borders, strict=True)
    )
    if even:
        after = node.shape
        report.warning(
            Code.EVEN_WINDOW,
            node.span,
            f"`{node.op} {window}` pads its even window by half on each side: "
            f"{before.height}x{before.width} becomes {after.height}x{after.width}",
            notes=uses_of(node.use),
            help=Help(
                "write `pad=valid` for no padding, or `pad=half` if it is intended",
                *add("pad=valid", "pad=half"),
            ),
        )
