"""Random bodies: statements, and the elements, joins and earlier values in them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TypeAlias

from fuzzing import calls, tree, uses, values
from fuzzing.choices import Place
from fuzzing.definitions import Definitions
from fuzzing.tracking import evaluate

#: Ways to draw an element, and statements that belong together; None if none fits.
_Element: TypeAlias = Callable[[Place, int], tree.Element | None]
_Statements: TypeAlias = Callable[[Place, int], list[tree.Statement | tree.Head]]


class Bodies(Definitions):
    """Draws statements, each of which fits in its place."""

    def body(self, place: Place, depth: int, most: int = 3) -> tree.Body:
        """Return a body that begins at a place, and advance the place past it."""
        return tree.Body(tuple(self.statements(place, depth, 1 + self.upto(most - 1))))

    def statements(self, place: Place, depth: int, number: int) -> list[tree.Statement | tree.Head]:
        """Return consecutive statements, and advance the place past them."""
        statements: list[tree.Statement | tree.Head] = []
        for _ in range(number):
            statements += self._statement(place, depth)
        return statements

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
                statements = self.one(*many)(place, depth)
                return statements or self._try(place, tree.Call("relu"))
        element = self.one(*single)(place, depth) or calls.op(self, place)
        return self._try(place, element)

    def _op(self, place: Place, depth: int) -> tree.Element:
        return calls.op(self, place)

    def _chain(self, place: Place, depth: int) -> tree.Element:
        inner = place.within(inside=True)
        elements: list[tree.Element] = []
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
                elements.append(element)
        if len(elements) < 2:
            return elements[0] if elements else tree.Call("relu")
        return tree.Chain(tuple(elements))

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
        condition = values.condition(self, place)
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
        chained = tree.Conditional(values.condition(self, place), sides[1], last)
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
        return self.one(*options, None, values.count(self, place))

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
        project = uses.projection(self, inner, goal)
        parts = element.elements if isinstance(element, tree.Chain) else (element,)
        return tree.Statement(tree.Chain((*parts, project)), label)

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
        window = values.window(self, place, strided=True)
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
        statements = self._try(place, self._unit(place, 0) or calls.op(self, place), self.label())
        first = statements[0]
        assert isinstance(first, tree.Statement) and first.label is not None
        inner = place.within(even=True, ranked=True)
        statements += self._try(inner, calls.op(self, inner), self.label())
        second = statements[1]
        assert isinstance(second, tree.Statement) and second.label is not None
        inner.scenes = [s.at(s.labels[first.label]) for s in inner.scenes]
        third = self._or_relu(inner, self._unit(inner, 0) or calls.op(self, inner))
        label = self.label()
        inner.scenes = [scene.labelled(label) for scene in inner.scenes]
        statements.append(tree.Statement(third, label, origin=first.label))
        branches = (
            tree.Statement(None, origin=second.label),
            tree.Statement(self.one(None, tree.Call("relu")), origin=label),
        )
        for kind in (self.one("concat", "add", "mul"), "concat"):
            join = tree.Join(kind, tree.Body(branches))
            if self.fits(inner, join):
                break
        place.scenes = inner.scenes
        return [*statements, *self._behind(place, join)]

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
