"""Random specs, drawn statement by statement so that each one fits.

Statements are drawn one after another. Each is tried on the shapes at its position, in every known
use of its definition (`tracking.py`), and replaced by a `relu` if it does not fit. Units and blocks
are made where they are first used, so that they fit there, and reused where they happen to fit.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeAlias

from fuzzing import calls, tree
from fuzzing.choices import Choices, Place
from fuzzing.tracking import Misfit, Scene, Tracker, evaluate
from incgen.graph.shapes import Shape

#: Ways to draw an element, and statements that belong together; None if none fits.
_Element: TypeAlias = Callable[[Place, int], tree.Element | None]
_Statements: TypeAlias = Callable[[Place, int], list[tree.Statement | tree.Head]]
#: Names of constants by purpose; any other is a number of channels.
_CONSTANTS = {
    "flag": "flag",
    "factor": "amount",
    "share": "portion",
    "kernel": "extent",
    "stride": "step",
    "times": "some",
}
_LABELS = ("a", "stem", "body", "left", "right", "mix", "one", "cell", "part", "path")
_DOCS = (
    "A comment.",
    "Why this layer is there.\nIts second line, with `code` and a \\ backslash.",
    'Quotes: "double", \'single\', """three""", and a backslash at the end \\',
    "Größe: 3 × 3 → ½",
    "One long line " + "that goes on and on " * 8,
    "A title.\n\nA paragraph.\n    indented\n% {{ braces }} {% raw %}",
)


def random_spec(seed: int, number: int) -> tree.Spec:
    """Return a spec that is nearly always valid; the same numbers always give the same one."""
    return _Author(random.Random(f"{seed}/{number}")).spec()


class _Author(Choices):
    """One spec while it is being drawn."""

    def __init__(self, source: random.Random) -> None:
        super().__init__(source)
        self.numbers: dict[str, int] = {}
        self.preset = self.one("torch", "caffe", "tf", None)
        self.constants: list[tuple[str, str]] = []
        self.roles: dict[str, str] = {}  # of the constants
        for _ in range(self.one(0, 0, 1, 2)):
            self._constant()
        self.defaults = self._defaults(self.preset)
        self.tracker = Tracker(self.preset, self.defaults, self.constants)
        self.units: list[tree.Unit] = []
        self.blocks: list[tree.Block] = []
        self.definitions: list[tree.Unit | tree.Block] = []

    # ------------------------------------------------------------ names

    def fresh(self, base: str) -> str:
        """Return a name that is not in use."""
        number = self.numbers.get(base, 0) + 1
        self.numbers[base] = number
        return f"{base}{number}"

    def doc(self, among: int) -> str:
        """Return a doc comment, or none."""
        return self.one(*_DOCS) if self.chance(among) else ""

    # ------------------------------------------------------------ the file

    def spec(self) -> tree.Spec:
        doc = self.doc(4)
        network, other = self._network(dict(self.roles))
        order = list(self.definitions)
        if self.chance(4):
            order.reverse()
        return tree.Spec(
            doc, self.preset, self.defaults, tuple(self.constants), tuple(order), network, other
        )

    def _constant(self) -> None:
        counts = [name for name, role in self.roles.items() if role == "count"]
        role = self.one("count", "count", *_CONSTANTS)
        if role != "count":
            name, value = self.fresh(_CONSTANTS[role]), self.one(*calls.PLAIN[role])
        else:
            options = ["4", "3", "6", *(f"{n} {o}" for n in counts for o in ("+ 1", "// 2 + 1"))]
            name, value = self.fresh("let"), self.one(*options)
        self.constants.append((name, value))
        self.roles[name] = role

    def _defaults(self, preset: str | None) -> tuple[tuple[str, str, tree.Value], ...]:
        found: list[tuple[str, str, tree.Value]] = []
        if preset is None:
            found += [
                ("conv", "pad", self.one("half", "same", "valid", "0")),
                ("pool", "pad", self.one("half", "same", "valid")),
                ("pool", "ceil", self.one("false", "true")),
                ("pool", "count_pad", self.one("true", "false")),
                ("bn", "eps", "1e-3"),
                ("bn", "decay", "0.9"),
                ("lrn", "size", "5"),
                ("lrn", "alpha", "1e-2"),
                ("lrn", "beta", "0.75"),
                ("lrn", "k", "2"),
            ]
        for _ in range(self.one(0, 0, 0, 1, 2)):
            extra = self.one(*calls.DEFAULTS)
            flags = [name for name, role in self.roles.items() if role == "flag"]
            if flags and extra[2] in ("true", "false"):
                extra = (*extra[:2], self.one(*flags))
            if extra[:2] not in [each[:2] for each in found]:
                found.append(extra)
        return tuple(found)

    def _network(self, roles: dict[str, str]) -> tuple[tree.Network, tuple[tuple[str, str], ...]]:
        doc = self.doc(4)
        formals, other = [], []
        names = dict(self.tracker.constants)
        for _ in range(self.one(0, 1, 1, 2, 3)):
            formal = self._formal(set(names))
            value = self.one(*calls.PLAIN[formal.role])
            formals.append(replace(formal, default=value))
            names[formal.name] = evaluate(value, Scene(self.tracker.constants, Shape(1)))
            roles = {**roles, formal.name: formal.role}
            if self.chance(2):
                other.append((formal.name, self.one(*calls.PLAIN[formal.role])))
        for name, role in self.roles.items():
            if not other and self.chance(3):
                other.append((name, self.one(*calls.PLAIN[role])))
        high, wide = self.one(8, 7, 9, 12, 13, 16, 5, 4, 17), self.one(8, 6, 9, 11, 16, 15, 1)
        channels = self.one(3, 1, 4, 2)
        size, colours, pixels = (str(high), str(wide)), str(channels), self._pixels(channels)
        if self.chance(8):
            sizes = [
                tree.Formal("rows", "size", str(high)),
                tree.Formal("colours", "count", colours),
            ]
            formals += sizes
            names |= {"rows": high, "colours": channels}
            # what needs 3 channels needs them whatever is set
            pixels = self._pixels(1) if pixels else ""
            size, colours = ("rows", self.one(str(wide), f"rows + {wide}")), "colours"
            wide = wide if size[1].isdigit() else high + wide
        scene = Scene(names, Shape(channels, high, wide))
        place = Place([scene], roles, top=True)
        statements = self.statements(place, 3, self.one(1, 2, 3, 4, 5))
        statements += self._unused(formals, statements, place)
        statements += self._ending(place)
        if place.top and statements and isinstance(statements[-1], tree.Head):
            statements.append(tree.Statement(tree.Call("identity")))
        network = tree.Network(
            self.one("net", "small_net"),
            tuple(formals),
            size,
            colours,
            pixels,
            tree.Body(tuple(statements)),
            doc,
        )
        return network, tuple(other)

    def _pixels(self, channels: int) -> str:
        if not self.chance(5):
            return ""
        parts = [self.one("order=bgr", "order=rgb")] if channels == 3 and self.chance(2) else []
        parts += [self.one("range=[0, 1]", "range=[-1, 1]", "range=[0, 255]")]
        parts += [f"mean=[{self.one('0.5', '104, 117, 128' if channels == 3 else '1')}]"]
        parts += [f"std=[{self.one('2', '58, 57, 60' if channels == 3 else '3')}]"]
        return " ".join(parts)

    def _ending(self, place: Place) -> list[tree.Statement | tree.Head]:
        kind = self.one("none", "logits", "logits", "flat")
        if kind == "none":
            return []
        found: list[tree.Statement | tree.Head] = []
        if place.maps and kind == "logits":
            pool = tree.Call(self.one("global_avg_pool", "global_max_pool"))
            found += self._try(place, pool, label=None)
        elif place.maps and self.chance(2):
            found += self._try(place, tree.Call("flatten"), label=None)
        return found + self._try(place, calls.dense(self, place), label="logits")

    # ------------------------------------------------------------ bodies

    def body(self, place: Place, depth: int, most: int = 3) -> tree.Body:
        """Return a body that begins at a place, and advance the place past it."""
        return tree.Body(tuple(self.statements(place, depth, 1 + self.upto(most - 1))))

    def statements(self, place: Place, depth: int, number: int) -> list[tree.Statement | tree.Head]:
        """Return consecutive statements, and advance the place past them."""
        found: list[tree.Statement | tree.Head] = []
        for _ in range(number):
            found += self._statement(place, depth)
        return found

    def _statement(self, place: Place, depth: int) -> list[tree.Statement | tree.Head]:
        many: list[_Statements] = [self._skip, self._back, self._aux]
        single: list[_Element] = [
            self._op,
            self._chain,
            self._op,
            self._chain,
            self._unit,
            self._unit,
            self._known_block,
        ]
        if depth > 0:
            single += [self._block, self._block, self._join, self._join, self._repeat, self._if]
            single.append(self._group)
            if self.chance(len(single) // len(many) + 1):
                found = self.one(*many)(place, depth)
                return found or self._try(place, tree.Call("relu"))
        element = self.one(*single)(place, depth) or calls.op(self, place)
        return self._try(place, element)

    def _try(
        self, place: Place, element: tree.Element, label: str | None = "?"
    ) -> list[tree.Statement | tree.Head]:
        """Return a statement with an element, or with one that fits in its place."""
        if not self.fits(place, element):
            element = tree.Call("relu")
            self.fits(place, element)
        if label == "?":
            plain = isinstance(element, tree.Call) and element.name in calls.PLAIN_OPS
            label = self.label() if not self.chance(8 if not plain else 1) else None
        place.scenes = [scene.labelled(label) for scene in place.scenes]
        comment = self.one("why", "3x3 -> 1x1 {") if self.chance(16) else ""
        return [tree.Statement(element, label, doc=self.doc(12), comment=comment)]

    def label(self) -> str:
        """Return a label that is not in use."""
        return self.fresh(self.one(*_LABELS))

    def fits(self, place: Place, element: tree.Element) -> bool:
        """Return whether an element fits at a place in all uses; if so, move the place past it."""
        try:
            shapes = [self.tracker.after(element, scene) for scene in place.scenes]
        except Misfit:
            return False
        for shape, scene, start in zip(shapes, place.scenes, place.start, strict=True):
            if place.ranked and shape.is_map != scene.shape.is_map:
                return False
            if place.even and (shape.height, shape.width) != (start.height, start.width):
                return False
        place.scenes = [s.at(shape) for s, shape in zip(place.scenes, shapes, strict=True)]
        return True

    # ------------------------------------------------------------ elements

    def _op(self, place: Place, depth: int) -> tree.Element:
        return calls.op(self, place)

    def _chain(self, place: Place, depth: int) -> tree.Element:
        inner = place.within(inside=True)
        found: list[tree.Element] = []
        for _ in range(2 + self.upto(2)):
            options: list[_Element] = [
                self._op,
                self._op,
                self._op,
                self._unit,
                self._unit,
                self._known_block,
            ]
            if depth > 1:
                options += [self._join, self._repeat, self._if, self._group]
            element = self.one(*options)(inner, depth - 1) or tree.Call("relu")
            if self.fits(inner, element):
                found.append(element)
        if len(found) < 2:
            return found[0] if found else tree.Call("relu")
        return tree.Chain(tuple(found))

    def _group(self, place: Place, depth: int) -> tree.Element:
        return tree.Group(self.body(place.within(), depth - 1))

    def _repeat(self, place: Place, depth: int) -> tree.Element:
        times = place.named("times")
        count = self.one("2", "3", "1", "0", *times, *times, *(f"{n} - 1" for n in times))
        counts = [evaluate(count, scene) for scene in place.scenes]
        used = [scene for scene, n in zip(place.scenes, counts, strict=True) if n > 0]
        inner = place.within(inside=True, ranked=True, even=place.even or not self.chance(4))
        inner.begin(used or inner.scenes)
        return tree.Repeat(count, self.body(inner, depth - 1))

    def _if(self, place: Place, depth: int) -> tree.Element:
        condition = calls.condition(self, place)
        sides: list[tree.Body] = []
        choices = [bool(evaluate(condition, scene)) for scene in place.scenes]
        for side in (True, False):
            scenes = [s for s, c in zip(place.scenes, choices, strict=True) if c is side]
            inner = place.within(ranked=True)
            inner.begin(scenes or inner.scenes)
            sides.append(self.body(inner, depth - 1, 2))
        otherwise = self.one("none", "else", "else if")
        if otherwise == "none":
            return tree.Conditional(condition, sides[0])
        if otherwise == "else":
            return tree.Conditional(condition, sides[0], sides[1])
        inner = place.within(ranked=True)
        last = self.body(inner, depth - 2, 2) if self.chance(2) else None
        chained = tree.Conditional(calls.condition(self, place), sides[1], last)
        return tree.Conditional(condition, sides[0], chained)

    # ------------------------------------------------------------ joins

    def _join(self, place: Place, depth: int) -> tree.Element | None:
        kind = self.one("concat", "add", "mul", "gate", "reduce")
        if kind == "reduce":
            return self._reduction(place, depth) if place.maps and not place.even else None
        if kind == "gate":
            return self._gate(place, depth) if place.maps else None
        branches: list[tree.Statement | tree.Head] = []
        channels = None if kind == "concat" else self._join_channels(place)
        if self.chance(2) and (kind == "concat" or channels is None):
            branches.append(tree.Statement(tree.Call("identity")))
        for _ in range(self.one(1, 2, 3) if branches else self.one(2, 3)):
            inner = place.within(even=True, ranked=True)
            branches.append(self._branch(inner, depth, channels, kind))
        if self.chance(4):
            branches = branches[::-1]
        return tree.Join(kind, tree.Body(tuple(branches)))

    def _join_channels(self, place: Place) -> str | None:
        """Return the channels of all branches of a sum; None for those of the current value."""
        options = [None, *(str(scene.shape.channels) for scene in place.scenes[:1])]
        return self.one(*options, None, calls.count(self, place))

    def _branch(self, inner: Place, depth: int, channels: str | None, kind: str) -> tree.Statement:
        label = None if self.chance(4) else self.label()
        origins = [name for name in self._origins(inner)]
        if origins and self.chance(5):
            origin = self.one(*origins)
            return tree.Statement(None, origin=origin)
        if kind == "concat":
            pick = self.one(self._chain, self._op, self._unit, self._known_block, self._group)
            element = pick(inner, depth - 1) or tree.Call("relu")
            return tree.Statement(self._or_relu(inner, element), label)
        start = [scene.shape.channels for scene in inner.scenes]
        pick = self.one(self._op, self._chain, self._group, self._unit)
        element = self._or_relu(inner, pick(inner, depth - 1) or tree.Call("relu"))
        same = [scene.shape.channels for scene in inner.scenes] == start
        if channels is None and same:
            return tree.Statement(element, label)
        goal = channels or (str(start[0]) if len(set(start)) == 1 else "channels")
        project = calls.projection(self, inner, goal)
        parts = element.elements if isinstance(element, tree.Chain) else (element,)
        return tree.Statement(tree.Chain((*parts, project)), label)

    def _or_relu(self, place: Place, element: tree.Element) -> tree.Element:
        if self.fits(place, element):
            return element
        return tree.Call("relu")

    def _gate(self, place: Place, depth: int) -> tree.Element:
        """Return a vector that scales the channels of a map, or is added to them."""
        gate: list[tree.Element] = [tree.Call(self.one("global_avg_pool", "global_max_pool"))]
        if self.chance(2):
            gate.append(tree.Call("dense", ("channels",)))
        gate.append(tree.Call(self.one("sigmoid", "relu", "hard_sigmoid", "tanh")))
        branches = [
            tree.Statement(tree.Call("identity")),
            tree.Statement(tree.Chain(tuple(gate)), self.label()),
        ]
        if self.chance(3):
            branches.reverse()
        return tree.Join(self.one("mul", "add"), tree.Body(tuple(branches)))

    def _reduction(self, place: Place, depth: int) -> tree.Element:
        """Return branches that all end with the same strided window."""
        window = calls.window(self, place, strided=True)
        pad = self.one("same", "valid", "1", "half")
        attributes: tuple[tuple[str, tree.Value], ...] = (("pad", pad), ("ceil", "false"))
        pools = [
            tree.Call(self.one("max_pool", "avg_pool"), (window,), (*attributes,)),
            tree.Call("pool", (self.one("avg", "max"), window), attributes),
        ]
        branches = [tree.Statement(self.one(*pools), self.label())]
        for _ in range(self.one(1, 2)):
            last = calls.strided(self, place, window, pad)
            if self.chance(2):
                inner = place.within(even=True, ranked=True)
                first = self._or_relu(inner, self._unit(inner, 0) or calls.op(self, inner))
                branches.append(tree.Statement(tree.Chain((first, last)), self.label()))
            else:
                branches.append(tree.Statement(last, self.label()))
        return tree.Join("concat", tree.Body(tuple(branches)))

    # ------------------------------------------------------------ earlier values

    def _origins(self, place: Place) -> list[str]:
        """Return labels whose values can be joined with the current one."""
        if place.inside and not self.chance(10):
            return []
        names = place.scenes[0].labels
        for scene in place.scenes:
            names = {n: v for n, v in names.items() if n in scene.labels}
        return [
            name
            for name in names
            if all(
                (s.labels[name].height, s.labels[name].width) == (s.shape.height, s.shape.width)
                for s in place.scenes
            )
        ]

    def _back(self, place: Place, depth: int) -> list[tree.Statement | tree.Head]:
        """Return a join with an earlier value."""
        origins = self._origins(place)
        if not origins:
            return []
        origin = self.one(*origins)
        other = tree.Statement(self.one(None, tree.Call("relu")), origin=origin)
        kind = self.one("concat", "add", "mul")
        join = tree.Join(kind, tree.Body((tree.Statement(tree.Call("identity")), other)))
        if not self.fits(place, join):
            join = replace(join, kind="concat")
            if not self.fits(place, join):
                return []
        return self._behind(place, join)

    def _behind(self, place: Place, join: tree.Element) -> list[tree.Statement | tree.Head]:
        label = None if self.chance(2) else self.label()
        place.scenes = [scene.labelled(label) for scene in place.scenes]
        return [tree.Statement(join, label)]

    def _skip(self, place: Place, depth: int) -> list[tree.Statement | tree.Head]:
        """Return two paths from one value, written as statements."""
        if place.inside:
            return []
        found = self._try(place, self._unit(place, 0) or calls.op(self, place), self.label())
        first = found[0]
        assert isinstance(first, tree.Statement) and first.label is not None
        inner = place.within(even=True, ranked=True)
        found += self._try(inner, calls.op(self, inner), self.label())
        second = found[1]
        assert isinstance(second, tree.Statement) and second.label is not None
        inner.scenes = [s.at(s.labels[first.label]) for s in inner.scenes]
        third = self._or_relu(inner, self._unit(inner, 0) or calls.op(self, inner))
        label = self.label()
        inner.scenes = [scene.labelled(label) for scene in inner.scenes]
        found.append(tree.Statement(third, label, origin=first.label))
        branches = (
            tree.Statement(None, origin=second.label),
            tree.Statement(self.one(None, tree.Call("relu")), origin=label),
        )
        for kind in (self.one("concat", "add", "mul"), "concat"):
            join = tree.Join(kind, tree.Body(branches))
            if self.fits(inner, join):
                break
        place.scenes = inner.scenes
        return [*found, *self._behind(place, join)]

    def _aux(self, place: Place, depth: int) -> list[tree.Statement | tree.Head]:
        if not place.top:
            return []
        inner = place.within()
        statements = self.statements(inner, depth - 2, self.one(1, 2))
        if inner.maps and self.chance(2):
            statements += self._try(inner, tree.Call("global_avg_pool"), None)
            statements += self._try(inner, calls.dense(self, inner))
        head: tree.Statement | tree.Head = tree.Head(
            self.fresh("side"), tree.Body(tuple(statements)), self.doc(8)
        )
        flags = [name for name, role in self.roles.items() if role == "flag"]
        if flags and self.chance(2):
            condition = self.one(*flags, f"not {flags[0]}")
            head = tree.Statement(tree.Conditional(condition, tree.Body((head,))))
        return [head, *self._try(place, calls.op(self, place))]

    # ------------------------------------------------------------ definitions

    def _formal(self, taken: set[str]) -> tree.Formal:
        role = self.one("count", *calls.NAMES)
        for name in calls.NAMES[role]:
            if name not in taken:
                return tree.Formal(name, role)
        return tree.Formal(self.fresh(calls.NAMES[role][0]), role)

    def _block(self, place: Place, depth: int) -> tree.Element | None:
        """Return a block: a new one, or one that exists."""
        if self.blocks and self.chance(2):
            known = self._known_block(place, depth)
            if known is not None:
                return known
        formals: list[tree.Formal] = []
        arguments: list[str] = []
        for _ in range(self.one(1, 2, 0, 3)):
            formal = self._formal({each.name for each in formals})
            if formal.role == "flag" and self.chance(3):
                formal = replace(formal, default=self.one("true", "false"))
            elif any(each.default for each in formals) or self.chance(6):
                formal = replace(formal, default=calls.default(self, formal.role))
            if formals and formals[-1].default and not formal.default:
                formal = replace(formal, default=calls.default(self, formal.role))
            formals.append(formal)
            arguments.append(calls.argument(self, place, formal.role))
        scenes = []
        for scene in place.scenes:
            values = {f.name: evaluate(a, scene) for f, a in zip(formals, arguments, strict=True)}
            scenes.append(Scene({**self.tracker.constants, **values}, scene.shape))
        roles = {**self.roles, **{formal.name: formal.role for formal in formals}}
        inner = Place(scenes, roles, even=place.even, ranked=place.ranked)
        doc = self.doc(6)
        statements = self.statements(inner, depth - 1, self.one(1, 2, 3, 4))
        statements += self._unused(formals, statements, inner)
        name = self.fresh(self.one("block", "cell_block", "stage"))
        block = tree.Block(name, tuple(formals), tree.Body(tuple(statements)), doc)
        self.blocks.append(block)
        self.definitions.append(block)
        self.tracker.definitions[name] = block
        return self._use(block, arguments)

    def _use(self, block: tree.Block, arguments: Sequence[str]) -> tree.Call:
        """Return a use of a block: positional and named arguments, with defaults left out."""
        given = dict(zip((f.name for f in block.formals), arguments, strict=True))
        for formal in block.formals:
            if formal.default == given[formal.name] and self.chance(2):
                del given[formal.name]
        positional: list[str] = []
        for formal in block.formals:
            if formal.name not in given or self.chance(4):
                break
            positional.append(given.pop(formal.name))
        return tree.Call(block.name, tuple(positional), tuple(given.items()))

    def _known_block(self, place: Place, depth: int) -> tree.Element | None:
        if not self.blocks:
            return None
        block = self.one(*self.blocks[::-1])
        for _ in range(2):
            arguments = [calls.argument(self, place, f.role) for f in block.formals]
            use = self._use(block, arguments)
            if self.fits(place.within(), use):
                return use
        return None

    def _unused(
        self,
        formals: Sequence[tree.Formal],
        statements: Sequence[tree.Statement | tree.Head],
        place: Place,
    ) -> list[tree.Statement | tree.Head]:
        """Return statements that use the parameters that are still unused."""
        text = tree.body_text(tree.Body(tuple(statements)))
        found: list[tree.Statement | tree.Head] = []
        for formal in formals:
            if not tree.names(formal.name, text):
                element = calls.user(self, place, formal)
                if not self.fits(place.within(), element):
                    element = calls.test(formal)
                found += self._try(place, element, self.label())
        return found

    def _unit(self, place: Place, depth: int) -> tree.Element | None:
        """Return a unit: a new one, or one that exists."""
        if self.units and self.chance(2):
            unit = self.one(*self.units)
            for _ in range(2):
                head = calls.call(self, place, self.tracker.head(unit))
                said = self.tracker.said(unit)
                use = calls.rest_of(self, unit.name, head, said)
                if self.fits(place.within(), use):
                    return use
        head = calls.unit_head(self, place)
        definition, use = calls.split(self, head, set(self.tracker.constants))
        inner = place.within()
        if not self.fits(inner, head):
            return None
        others = self._tail(inner)
        name = self.fresh(self.one("unit", "conv_bn", "act_unit"))
        unit = tree.Unit(name, (definition, *others), self.doc(8))
        if self.units and self.chance(3):
            base = self.one(*self.units)
            if self.tracker.head(base) == head.name:
                said = self.tracker.said(base)
                free = calls.rest_of(self, base.name, head, said)
                definition, use = calls.split(self, free, set(self.tracker.constants))
                unit = tree.Unit(name, (definition, *others), unit.doc)
        self.units.append(unit)
        self.definitions.append(unit)
        self.tracker.definitions[name] = unit
        use = replace(use, name=name)
        if self.fits(place.within(), use):
            return use
        self.units.remove(unit)
        self.definitions.remove(unit)
        return None

    def _tail(self, inner: Place) -> list[tree.Call]:
        """Return the calls after the head of a unit, which state all they need in constants."""
        found: list[tree.Call] = []
        fixed = replace(inner, roles=dict(self.roles))
        for _ in range(self.upto(3)):
            call = self.one(tree.Call("bn"), tree.Call("relu"), None) or calls.op(self, fixed)
            names = re.findall(r"channels|height|width", repr(call))
            if "height" in names or "width" in names:
                continue
            if self.fits(fixed, call):
                found.append(call)
        return found
