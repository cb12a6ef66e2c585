"""Shapes of random specs, by a second set of rules: what fits where.

The generator asks this module before it writes a statement, so that most specs are valid; its
output shapes are compared with incgen's. The rules are those of docs/language.md. An op that
has none here keeps its shape, or gives the one that the table of ops states.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from fuzzing import tree
from incgen.graph.shape_inference import output
from incgen.graph.shapes import Arguments, Fault, Shape
from incgen.language.ops import OPS, WORDS
from incgen.language.presets import PRESETS
from incgen.language.signatures import ByWindow, Op, Takes

#: Limits of random networks: height or width, channels of a map, numbers of a value.
MAX_SIZE, MAX_CHANNELS, MAX_NUMBERS = 60, 48, 12_000
#: Limits for the numbers of one kernel, and of all layers that an element expands to.
MAX_KERNEL, MAX_LAYERS = 20_000, 60

_WORDS = {"true": True, "false": False, **{word: word for word in WORDS}}
_FUNCTIONS = {"int_": int, "round_": round, "min_": min, "max_": max}


class Misfit(Exception):
    """A statement does not fit at its position."""


class TooLarge(Misfit):
    """It fits, but would make the network too large."""


@dataclass(frozen=True, slots=True)
class Scene:
    """The position of a statement in one use of its definition.

    Attributes:
        names: Parameters and constants.
        shape: The shape of the current value.
        labels: The shapes of earlier values that `from` can name.
    """

    names: Mapping[str, Any]
    shape: Shape
    labels: Mapping[str, Shape] = field(default_factory=dict)

    def at(self, shape: Shape) -> Scene:
        """Return the same state with another current value."""
        return Scene(self.names, shape, self.labels)

    def labelled(self, label: str | None) -> Scene:
        """Return the same state with the current value under a label."""
        if label is None:
            return self
        return Scene(self.names, self.shape, {**self.labels, label: self.shape})


def evaluate(expression: str, scene: Scene) -> Any:
    """Return the value of an expression."""
    sizes: dict[str, Any] = {"channels": scene.shape.channels}
    if scene.shape.is_map:
        sizes |= {"height": scene.shape.height, "width": scene.shape.width}
    # `max` is a word, and a function if a parenthesis follows
    python = re.sub(r"\b(int|round|min|max)\(", r"\1_(", expression)
    try:
        return eval(python, {"__builtins__": _FUNCTIONS}, {**_WORDS, **sizes, **scene.names})
    except (NameError, ZeroDivisionError, TypeError) as error:
        raise Misfit(str(error)) from error


class Tracker:
    """Computes output shapes of elements, for the definitions and defaults of one spec."""

    def __init__(
        self,
        preset: str | None,
        defaults: Iterable[tuple[str, str, tree.Value]],
        constants: Iterable[tuple[str, str]],
    ) -> None:
        """Store what determines paddings, and constants; definitions come later."""
        self.preset = preset
        self.defaults = {(op, name): value for op, name, value in defaults}
        self.constants: dict[str, Any] = {}
        for name, expression in constants:
            self.constants[name] = evaluate(expression, Scene(self.constants, Shape(1)))
        self.definitions: dict[str, tree.Unit | tree.Block] = {}
        self._layers = 0

    def after(self, element: tree.Element, scene: Scene) -> Shape:
        """Return the shape after an element.

        Raises:
            Misfit: It cannot be there.
        """
        self._layers = 0
        return self._element(element, scene)

    def _element(self, element: tree.Element, scene: Scene) -> Shape:
        match element:
            case tree.Call():
                return self._call(element, scene)
            case tree.Chain():
                for inner in element.elements:
                    scene = scene.at(self._element(inner, scene))
                return scene.shape
            case tree.Group():
                return self._body(element.body, scene)
            case tree.Join():
                branches = [self._step(s, scene).shape for s in element.body.statements]
                return _joined(element.kind, branches)
            case tree.Repeat():
                count = _whole(evaluate(element.count, scene), 0)
                for _ in range(count):
                    scene = scene.at(self._body(element.body, scene))
                return scene.shape
            case tree.Conditional():
                if evaluate(element.condition, scene):
                    return self._body(element.then, scene)
                match element.otherwise:
                    case None:
                        return scene.shape
                    case tree.Body():
                        return self._body(element.otherwise, scene)
                    case other:
                        return self._element(other, scene)

    def _body(self, body: tree.Body, scene: Scene) -> Shape:
        for statement in body.statements:
            scene = self._step(statement, scene)
        return scene.shape

    def _step(self, statement: tree.Statement | tree.Head, scene: Scene) -> Scene:
        if isinstance(statement, tree.Head):
            self._body(statement.body, scene)
            return scene
        if statement.origin is not None:
            if statement.origin not in scene.labels:
                raise Misfit(statement.origin)
            scene = scene.at(scene.labels[statement.origin])
        if statement.element is not None:
            scene = scene.at(self._element(statement.element, scene))
        return scene.labelled(statement.label)

    # ------------------------------------------------------------ calls

    def _call(self, call: tree.Call, scene: Scene) -> Shape:
        definition = self.definitions.get(call.name)
        match definition:
            case None:
                arguments = bound(call, [a.name for a in OPS[call.name].positional])
                return self._op(call.name, _values(arguments, scene), scene.shape)
            case tree.Block():
                arguments = _values(bound(call, [f.name for f in definition.formals]), scene)
                outside = Scene(self.constants, scene.shape)
                for formal in definition.formals:
                    if formal.name not in arguments and formal.default is not None:
                        arguments[formal.name] = evaluate(formal.default, outside)
                names = {**self.constants, **arguments}
                return self._body(definition.body, Scene(names, scene.shape))
            case tree.Unit():
                said = self.said(definition)
                free = [a.name for a in OPS[self.head(definition)].positional if a.name not in said]
                given = _values(bound(call, free), scene)
                return self._unit(definition, given, scene.shape)

    def _unit(self, unit: tree.Unit, given: dict[str, Any], shape: Shape) -> Shape:
        first, *others = unit.calls
        scene = Scene(self.constants, shape)
        inner = self.definitions.get(first.name)
        if isinstance(inner, tree.Unit):
            said = self.said(inner)
            free = [a.name for a in OPS[self.head(inner)].positional if a.name not in said]
            shape = self._unit(inner, {**_values(bound(first, free), scene), **given}, shape)
        else:
            own = _values(bound(first, [a.name for a in OPS[first.name].positional]), scene)
            shape = self._op(first.name, {**own, **given}, shape)
        for call in others:
            shape = self._call(call, Scene(self.constants, shape))
        return shape

    def head(self, unit: tree.Unit) -> str:
        """Return the op that takes the arguments of a unit."""
        inner = self.definitions.get(unit.calls[0].name)
        return self.head(inner) if isinstance(inner, tree.Unit) else unit.calls[0].name

    def said(self, unit: tree.Unit) -> dict[str, tree.Value]:
        """Return the arguments of its head op that a unit states."""
        first = unit.calls[0]
        inner = self.definitions.get(first.name)
        known = self.said(inner) if isinstance(inner, tree.Unit) else {}
        positional = [a.name for a in OPS[self.head(unit)].positional if a.name not in known]
        return {**known, **bound(first, positional)}

    # ------------------------------------------------------------ ops

    def _op(self, name: str, args: dict[str, Any], shape: Shape) -> Shape:
        op = OPS[name]
        self._layers += 1
        if self._layers > MAX_LAYERS:
            raise TooLarge("too many layers")
        if op.takes is Takes.MAP and not shape.is_map:
            raise Misfit("a vector")
        missing = [a.name for a in op.positional if a.name not in args and not a.must]
        if missing:
            raise Misfit(f"{missing}")
        match name:
            case "conv" | "depthwise_conv" | "separable_conv":
                output = self._convolved(name, args, shape)
            case "max_pool" | "avg_pool" | "pool":
                ceil = args.get("ceil", self._default(name, "ceil"))
                sizes = self._windows(name, args, shape, 1, ceil)
                output = Shape(shape.channels, *sizes)
            case "dense":
                output = Shape(_whole(args["features"]))
                if output.channels * shape.size > MAX_KERNEL:
                    raise TooLarge("a large matrix")
            case "global_avg_pool" | "global_max_pool":
                output = Shape(shape.channels)
            case "flatten":
                output = Shape(shape.size)
            case "adaptive_avg_pool":
                output = Shape(shape.channels, *args["window"][0])
            case "pad":
                (top, bottom), (left, right) = _pairs(args["border"])
                assert shape.height is not None and shape.width is not None
                output = Shape(
                    shape.channels, shape.height + top + bottom, shape.width + left + right
                )
            case _:
                output = _stated(op, args, shape)
        return _small(output)

    def _convolved(self, name: str, args: dict[str, Any], shape: Shape) -> Shape:
        multiplier = _whole(args.get("multiplier", self._default(name, "multiplier") or 1))
        groups = _whole(args.get("groups", 1))
        inside = shape.channels * multiplier
        outputs = inside if name == "depthwise_conv" else _whole(args["channels"])
        if shape.channels % groups or outputs % groups:
            raise Misfit("groups")
        (high, wide), _ = args["window"]
        if high * wide * inside * (1 if name == "depthwise_conv" else outputs) > MAX_KERNEL:
            raise TooLarge("a large kernel")
        sizes = self._windows(name, args, shape, _whole(args.get("dilation", 1)), False)
        return Shape(outputs, *sizes)

    def _windows(
        self, name: str, args: dict[str, Any], shape: Shape, dilation: int, ceil: bool
    ) -> tuple[int, int]:
        kernels, strides = args["window"]
        strided = max(strides) > 1
        pad = args.get("pad", self._default(name, "pad"))
        if isinstance(pad, ByWindow):
            if not args["known"]:
                raise Misfit("must state pad")
            even = any(kernel % 2 == 0 for kernel in kernels)
            pad = "valid" if even else pad.strided if strided else pad.plain
        spans = [(kernel - 1) * dilation + 1 for kernel in kernels]
        if pad is None:
            if max(spans) > 1 and (strided or any(span % 2 == 0 for span in spans)):
                raise Misfit("must state pad")
            pad = "half"
        if ceil is None and strided:
            raise Misfit("must state ceil")
        sizes = zip((shape.height, shape.width), spans, strides, strict=True)
        high, wide = (_fitting(pad, axis, *size, ceil) for axis, size in enumerate(sizes))
        return high, wide

    def _default(self, op: str, name: str) -> Any:
        """Return the value of an argument that an op does not state."""
        family = OPS[op].family or op
        scene = Scene(self.constants, Shape(1))
        for key in ((op, name), (family, name)):
            if key in self.defaults:
                return _value(self.defaults[key], scene)
        return PRESETS[self.preset].get(family, {}).get(name) if self.preset else None


def _stated(op: Op, args: Mapping[str, Any], shape: Shape) -> Shape:
    """Return the output shape that the table of ops states, for an op that has no rule here."""
    try:
        stated = {a.name: args.get(a.name, a.default) for a in op.arguments}
        return output(op, Arguments(stated), shape)[0]
    except Fault as fault:
        raise Misfit(str(fault)) from fault


def _fitting(pad: Any, axis: int, size: int | None, span: int, stride: int, ceil: bool) -> int:
    """Return how many windows fit along an axis."""
    assert size is not None
    if pad == "same":
        return -(-size // stride)
    if pad == "half":
        before = after = span // 2
    elif pad == "valid":
        before = after = 0
    else:
        before, after = _pairs(pad)[axis]
        if max(before, after) >= span:
            raise Misfit("a border of a span")
    room = size + before + after - span
    if room < 0:
        raise Misfit("a window that does not fit")
    partial = ceil and room % stride and (room // stride + 1) * stride < size + before
    return room // stride + (2 if partial else 1)


def bound(call: tree.Call, positional: list[str]) -> dict[str, tree.Value]:
    """Return the arguments of a call by name."""
    return {**dict(zip(positional, call.positional, strict=False)), **dict(call.attributes)}


def _values(arguments: dict[str, tree.Value], scene: Scene) -> dict[str, Any]:
    values = {name: _value(value, scene) for name, value in arguments.items()}
    for value in arguments.values():
        if isinstance(value, tree.Window):
            # whether the window can be read off its place
            parts = (*value.kernel, *value.stride)
            values["known"] = not any(re.search(r"[a-z]", part) for part in parts)
    return values


def _value(value: tree.Value, scene: Scene) -> Any:
    match value:
        case str():
            return evaluate(value, scene)
        case tree.Window():
            stride = value.stride or ("1",)
            strides = stride if len(stride) == 2 else stride * 2
            kernel = tuple(_whole(evaluate(part, scene)) for part in value.kernel)
            return kernel, tuple(_whole(evaluate(part, scene)) for part in strides)
        case tree.Sides():
            return tuple(_whole(evaluate(part, scene), 0) for part in value.sides)
        case tree.Initializer():
            return value


def _whole(value: Any, minimum: int = 1) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < minimum:
        raise Misfit(f"{value!r} is not a whole number from {minimum}")
    return value


def _pairs(pad: Any) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return the pixels before and after, for height and for width."""
    match pad:
        case (top, bottom, left, right):
            return (top, bottom), (left, right)
        case (high, wide):
            return (high, high), (wide, wide)
        case _:
            number = _whole(pad, 0)
            return (number, number), (number, number)


def _joined(kind: str, shapes: list[Shape]) -> Shape:
    first = shapes[0]
    if kind == "concat":
        if len({(shape.height, shape.width) for shape in shapes}) > 1:
            raise Misfit("sizes")
        channels = sum(shape.channels for shape in shapes)
        return _small(Shape(channels, first.height, first.width))
    if len({shape.channels for shape in shapes}) > 1:
        raise Misfit("channels")
    maps = [shape for shape in shapes if shape.is_map]
    if len(set(maps)) > 1:
        raise Misfit("sizes")
    return maps[0] if maps else first


def _small(shape: Shape) -> Shape:
    largest = max(shape.height or 1, shape.width or 1)
    wide = MAX_CHANNELS if shape.is_map else MAX_NUMBERS
    if shape.channels > wide or largest > MAX_SIZE or shape.size > MAX_NUMBERS:
        raise TooLarge("large")
    return shape


def output_of(spec: tree.Spec) -> Shape:
    """Return the shape of a spec's own output.

    Raises:
        Misfit: Something does not fit.
    """
    tracker = Tracker(spec.preset, spec.defaults, spec.constants)
    tracker.definitions = {definition.name: definition for definition in spec.definitions}
    network, names = spec.network, dict(tracker.constants)
    for formal in network.formals:
        assert formal.default is not None
        names[formal.name] = evaluate(formal.default, Scene(tracker.constants, Shape(1)))
    outside = Scene(names, Shape(1))
    high, wide = (evaluate(part, outside) for part in network.size)
    scene = Scene(names, Shape(evaluate(network.channels, outside), high, wide))
    return tracker.after(tree.Group(network.body), scene)
