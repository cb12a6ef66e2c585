"""Definitions to graph: parameters bound, conditions decided, repeats unrolled, shapes known.

A value with a fault becomes None, and what follows from it is not reported again. Every
statement costs a bounded amount of work, and their number is bounded, so that no spec makes
incgen hang.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import assert_never

from incgen.base.diagnostics import Code, Note, Reporter
from incgen.base.source import Span
from incgen.graph.evaluation import FAULTY, Evaluator
from incgen.graph.frames import Frame, given, join_key, unit_use, uses_of
from incgen.graph.joins import Mismatch, history, joined, mismatch_help
from incgen.graph.nodes import Graph, Node, Observed, Use
from incgen.graph.shape_inference import FAULT_ARGUMENTS, FAULT_CODES, output
from incgen.graph.shapes import (
    Arguments,
    Borders,
    Fault,
    Shape,
    Tensor,
    Window,
    effective,
    multiply_adds,
    tensors,
)
from incgen.language import expressions as ex
from incgen.language.arithmetic import Value
from incgen.resolve import definitions as df
from incgen.resolve.arguments import count_fault

#: Layers, and statements that lead to them, of one network.
MAX_ELEMENTS = 25_000
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


def elaborate(program: df.Program, settings: Mapping[str, Value], report: Reporter) -> Graph | None:
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
    parameters: dict[str, Value] = {}
    for formal in network.parameters:
        default = ex.literal(formal.default) if formal.default is not None else None
        if default is None:
            return None
        parameters[formal.name] = settings.get(formal.name, default)
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


class _TooLarge(Exception):
    """The network exceeds a bound; already reported."""


class _Builder:
    """Walks the definitions once and appends nodes."""

    def __init__(self, program: df.Program, parameters: dict[str, Value], report: Reporter) -> None:
        self.program, self.parameters, self.report = program, parameters, report
        self.values = Evaluator(report)
        self.nodes: list[Node] = []
        self.outputs: dict[str, int] = {}
        self.observed: dict[df.Definition, Observed] = {}
        self.steps: dict[int, Shape] = {}
        self.elements = 0
        self.numbers = 0

    def run(self, pixels: df.Pixels) -> int | None:
        network = self.program.network
        frame = Frame(self.parameters, "", None, network=True)
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
        last = next((s for s in reversed(network.body.steps) if isinstance(s, df.Step)), None)
        if last is None:
            message = "the network has heads and nothing else"
            help_ = "write `identity` if the input is the output"
            self.report.error(Code.EMPTY_BODY, network.body.span, message, help=help_)
            return None
        name = last.label or "output"
        if name in heads:
            message = f"the output and a head are both called `{name}`"
            help_ = "give the last line a label of its own"
            self.report.error(Code.DUPLICATE, last.span, message, help=help_)
        self.outputs = {name: result, **heads}
        if not self.report.failed:  # what a fault kept from being built may use the value
            self.check_reached()
        return result

    def check_reached(self) -> None:
        """Every value leads to an output; a target that drops what does not would lose its keys."""
        reached = [False] * len(self.nodes)
        consumed = [False] * len(self.nodes)
        for index in self.outputs.values():
            reached[index] = True
        for index in range(len(self.nodes) - 1, 0, -1):
            for before in self.nodes[index].inputs:
                consumed[before] = True
                reached[before] = reached[before] or reached[index]
        for node, needed, used in zip(self.nodes[1:], reached[1:], consumed[1:], strict=True):
            if not needed and not used:
                message = f"nothing uses `{node.path}`: no output depends on it"
                help_ = self.unused_help(node)
                notes = uses_of(node.use)
                self.report.error(Code.UNUSED, node.span, message, notes=notes, help=help_)

    def unused_help(self, node: Node) -> str:
        """What to do with a value that nothing uses: one of the network's own can be an output."""
        use, place = node.use, node.span
        while use is not None:
            place, use = use.span, use.outer
        for step in self.program.network.body.steps:
            inside = step.span.start <= place.start and place.end <= step.span.end
            if inside and isinstance(step, df.Step) and step.label is not None:
                layers = step.span.text.partition(":")[2].strip()
                layers = layers if len(layers) <= 60 and "\n" not in layers else "..."
                head = f"`aux {step.label} {{ {layers} }}`"
                return f"make it an output, {head} (in PyTorch for training only), or remove it"
        return "remove it, or join it with what follows"

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
        call: df.OpCall | None = None,
    ) -> int | None:
        """Append a node, within the bounds."""
        biggest = max(shape.height or 1, shape.width or 1)
        self.numbers += sum(t.size for t in weights)
        fault = None
        if biggest > MAX_SIZE:
            fault = f"a value of {shape} is too large: height and width go up to {MAX_SIZE}"
        elif shape.size > MAX_NUMBERS:
            fault = f"a value of {shape} is too large: it has more than 2**40 numbers"
        elif self.numbers > MAX_NUMBERS:
            fault = "the network has more than 2**40 parameters, up to here"
        elif len(path) > MAX_PATH:
            fault = f"the key of this layer has {len(path)} characters, more than {MAX_PATH}"
        if fault:
            self.report.error(Code.TOO_LARGE, span, fault, notes=uses_of(use))
            raise _TooLarge
        self.nodes.append(Node(path, op, args, inputs, shape, weights, cost, span, use, call))
        return len(self.nodes) - 1

    def shape(self, value: int) -> Shape:
        return self.nodes[value].shape

    def input(self, pixels: df.Pixels, frame: Frame) -> int | None:
        span = pixels.span
        assert span is not None
        sizes = []
        for expression, what in (
            (pixels.channels, "channels"),
            (pixels.height, "height"),
            (pixels.width, "width"),
        ):
            value = self.values.evaluate(expression, frame, None, span)
            fault = count_fault(value, 1) if value is not None else None
            if fault:
                message = f"the {what} of the input {fault}"
                self.report.error(Code.NUMBER_RANGE, expression.span or span, message)
            if value is None or fault:
                return None
            assert isinstance(value, int)
            if value > MAX_SIZE and what != "channels":
                message = f"the {what} of the input goes up to {MAX_SIZE}, this is {value}"
                self.report.error(Code.TOO_LARGE, expression.span or span, message)
                return None
            sizes.append(value)
        return self.add("input", {}, (), Shape(*sizes), "input", span, None)

    # ------------------------------------------------------------ bodies

    def body(
        self, body: df.Body, value: int, frame: Frame, heads: dict[str, int] | None = None
    ) -> int | None:
        """Apply the steps of a body; the frame keeps labelled values."""
        current: int | None = value
        for step in body.steps:
            if isinstance(step, df.Head):
                assert heads is not None
                if current is None:
                    continue
                head = self.body(step.body, current, frame.inside(None))
                if head is not None:
                    heads[step.label] = head
                continue
            current = self.step(step, current, frame)
            if frame.network and current is not None:
                self.steps[step.span.start] = self.shape(current)
        return current

    def step(self, step: df.Step, current: int | None, frame: Frame) -> int | None:
        """Apply one step to the current value, or to the one it starts from."""
        self.count(step.span, frame)
        if step.origin is not None:
            current = frame.labelled(step.origin)
        result = current
        if step.element is not None and current is not None:
            result = self.element(step.element, current, frame)
        if step.label is not None and step.kept:
            frame.values[step.label] = result
        return result

    def count(self, span: Span, frame: Frame) -> None:
        """Bound the work."""
        self.elements += 1
        if self.elements > MAX_ELEMENTS:
            message = f"the network has more than {MAX_ELEMENTS} layers and lines"
            self.report.error(Code.TOO_LARGE, span, message, notes=uses_of(frame.use))
            raise _TooLarge

    def element(self, element: df.Element, value: int, frame: Frame) -> int | None:
        """Apply one element."""
        self.count(element.span, frame)
        if frame.depth > MAX_DEPTH:
            message = f"uses and bodies are nested more than {MAX_DEPTH} deep"
            notes = uses_of(frame.use)
            self.report.error(Code.NESTING_TOO_DEEP, element.span, message, notes=notes)
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

    def conditional(self, element: df.Conditional, value: int, frame: Frame) -> int | None:
        decided = self.values.evaluate(element.condition, frame, self.shape(value), element.span)
        if isinstance(decided, str):
            message = f"a condition is true or false, not the word `{decided}`"
            place = element.condition.span or element.span
            self.report.error(Code.WRONG_TYPE, place, message, notes=uses_of(frame.use))
            return None
        if decided is None:
            return None
        body = element.then if decided else element.otherwise
        return value if body is None else self.body(body, value, frame.inside(None))

    def repeat(self, element: df.Repeat, value: int, frame: Frame) -> int | None:
        count = self.values.evaluate(element.count, frame, self.shape(value), element.span)
        if count is None:
            return None
        fault = count_fault(count, 0)
        if fault is None and isinstance(count, int) and count > MAX_REPEAT:
            fault = f"goes up to {MAX_REPEAT}, this is {count}"
        if fault or not isinstance(count, int):
            code = Code.WRONG_TYPE
            if isinstance(count, int) and not isinstance(count, bool):
                code = Code.TOO_LARGE if count > MAX_REPEAT else Code.NUMBER_RANGE
            place = element.count.span or element.span
            found = given(element.count, frame.use)
            assert fault is not None
            self.values.refuse(code, found, "a repeat count", fault, count, place, frame)
            return None
        current: int | None = value
        inner = frame.inside(element.name)
        for index in range(count):
            if current is None:
                return None
            current = self.body(element.body, current, inner.inside(str(index)))
        return current

    def instance(self, element: df.Instance, value: int, frame: Frame) -> int | None:
        definition = element.definition
        path = join_key(frame.prefix, element.name)
        own = {f.name: f.default for f in definition.parameters} | dict(element.args)
        use = Use(definition, path, element.span, frame.use, own, element.forwards)
        shape = self.shape(value)
        bound: dict[str, Value] = {}
        given: dict[str, object] = {}
        if definition.kind == "unit":
            if element.forwards and frame.forwarded:
                given.update(frame.forwarded)
            for name, argument in element.args.items():
                if name not in given:
                    given[name] = self.values.argument(argument, frame, shape, element.span)
            if any(v is FAULTY for v in given.values()):
                return None
        else:
            for formal in definition.parameters:
                written = element.args.get(formal.name, formal.default)
                assert isinstance(written, ex.Expression)
                found = self.values.evaluate(written, frame, shape, element.span)
                if found is None:
                    return None
                bound[formal.name] = found
        inner = Frame(
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

    def join(self, element: df.Join, value: int, frame: Frame) -> int | None:
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
        shape = joined(element.kind, [self.shape(result) for result in results])
        if isinstance(shape, Mismatch):
            self.report_mismatch(element, results, shape, frame)
            return None
        name = element.title if element.name is None else element.name
        path = join_key(frame.prefix, name)
        return self.add(element.kind, {}, tuple(results), shape, path, element.span, frame.use)

    def report_mismatch(
        self, element: df.Join, results: list[int], mismatch: Mismatch, frame: Frame
    ) -> None:
        names, notes = [], []
        pair = (mismatch.first, mismatch.second)
        first, second = (self.shape(results[index]) for index in pair)
        for index in pair:
            step = element.body.steps[index]
            assert isinstance(step, df.Step)
            name = f"`{step.label}`" if step.label else f"branch {index + 1}"
            names.append(name)
            came = history(self.nodes, results[index])
            notes.append(Note(f"{name}: {came}", _branch_span(step)))
        self.report.error(
            Code.SHAPE_MISMATCH,
            notes[1].span,
            f"`{element.kind}` cannot join {names[0]} and {names[1]}: {mismatch.how}",
            label=f"{second}, {names[0]} is {first}",
            notes=[*notes, *uses_of(frame.use)],
            help=self.outer_channels_help(results[pair[1]], element, first, frame)
            or mismatch_help(element.kind, first, second),
        )

    def outer_channels_help(
        self, value: int, element: df.Join, other: Shape, frame: Frame
    ) -> str | None:
        """What to type where `channels` was meant as those outside of a branch."""
        node = self.nodes[value]
        while node.inputs and node.op not in ("dense", "conv"):
            node = self.nodes[node.inputs[0]]
        written = re.fullmatch(r"(dense|conv \S+) channels\b.*", node.span.text)
        if element.kind == "concat" or written is None or frame.use is None:
            return None
        if node.use is not frame.use or node.shape.channels == other.channels:
            return None
        block = frame.use.definition
        names = [formal.name for formal in block.parameters]
        free = (name for name in ("c", "outer", "outer_channels") if name not in names)
        name = next(free, None)
        if name is None:
            return None
        head = ", ".join([*(formal.span.text for formal in block.parameters), f"{name} = channels"])
        inside = f"`channels` is {node.shape.channels} there, of what `{node.op}` is given"
        instead = f"name the outer ones, `block {block.name}({head})`, and write"
        return f"{inside}; {instead} `{written[1]} {name}`"

    # ------------------------------------------------------------ ops

    def op(self, call: df.OpCall, value: int, frame: Frame) -> int | None:
        op, shape = call.op, self.shape(value)
        args = self.values.arguments(call, frame, shape)
        if args is None:
            return None
        if op.name == "identity":
            return value
        try:
            result = output(op, args, shape)
        except Fault as fault:
            notes, place = uses_of(frame.use), call.span
            use = unit_use(frame.use, call.forwards, FAULT_ARGUMENTS[fault.reason])
            if use is not None:  # what the unit was given does not fit, or where it stands
                head = Note(f"`{op.name}` is the first op of `{use.definition.name}`", call.span)
                notes, place = [head, *uses_of(use.outer)], use.span
            if fault.reason in ("window", "rank"):
                notes.insert(0, Note(f"its input: {history(self.nodes, value)}"))
            code = FAULT_CODES[fault.reason]
            self.report.error(code, place, str(fault), notes=notes, help=fault.help)
            return None
        said = call.said | (frame.forwarded or {}).keys() if call.forwards else call.said
        if args.get("pad") is not None and "pad" not in said:
            self.warn_of_even_window(call, args, shape, result, frame)
        path = join_key(frame.prefix, call.name)
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
            call=call,
        )

    def warn_of_even_window(
        self, call: df.OpCall, args: Arguments, shape: Shape, result: Shape, frame: Frame
    ) -> None:
        """Half of an even window on both sides is one row more than anybody means by it."""
        window: Window = args["window"]
        dilation = int(args.get("dilation", 1))
        spans = [effective(kernel, dilation) for kernel in window.kernel]
        around: Borders = args["borders"]
        even = any(
            span % 2 == 0 and sides == (span // 2, span // 2)
            for span, sides in zip(spans, around, strict=True)
        )
        if even:
            self.report.warning(
                Code.EVEN_WINDOW,
                call.span,
                f"`{call.op.name} {window}` pads its even window by half on each side: "
                f"{shape.height}x{shape.width} becomes {result.height}x{result.width}",
                notes=uses_of(frame.use),
                help="write `pad=valid` for none, or `pad=half` if it is meant",
            )


def _branch_span(step: df.Step) -> Span:
    """What shows a branch: its label, or all of it."""
    if step.label is None:
        return step.span
    return Span(step.span.source, step.span.start, step.span.start + len(step.label))
