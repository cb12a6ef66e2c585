"""Random units and blocks: made where they are first used, and used again where they fit."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from fuzzing import calls, tree, uses, values
from fuzzing.choices import Place
from fuzzing.drafts import Draft
from fuzzing.tracking import Scene, evaluate


class Definitions(Draft):
    """Draws units and blocks."""

    def _formal(self, taken: set[str]) -> tree.Formal:
        role = self.one("count", *values.NAMES)
        for name in values.NAMES[role]:
            if name not in taken:
                return tree.Formal(name, role)
        return tree.Formal(self.fresh(values.NAMES[role][0]), role)

    def _block(self, place: Place, depth: int) -> tree.Element | None:
        """Return a block: a new one, or one that exists."""
        if self.blocks and self.chance(2):
            known = self._known_block(place, depth)
            if known is not None:
                return known
        formals: list[tree.Formal] = []
        arguments: list[str] = []
        for _ in range(self.one(1, 2, 0, 3)):
            formal = self._formal({other.name for other in formals})
            if formal.role == "flag" and self.chance(3):
                formal = replace(formal, default=self.one("true", "false"))
            elif any(other.default for other in formals) or self.chance(6):
                formal = replace(formal, default=values.default(self, formal.role))
            if formals and formals[-1].default and not formal.default:
                formal = replace(formal, default=values.default(self, formal.role))
            formals.append(formal)
            arguments.append(values.argument(self, place, formal.role))
        scenes = []
        for scene in place.scenes:
            given = {f.name: evaluate(a, scene) for f, a in zip(formals, arguments, strict=True)}
            scenes.append(Scene({**self.tracker.constants, **given}, scene.shape))
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
            arguments = [values.argument(self, place, f.role) for f in block.formals]
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
        added: list[tree.Statement | tree.Head] = []
        for formal in formals:
            if not tree.names(formal.name, text):
                element = uses.user(self, place, formal)
                if not self.fits(place.within(), element):
                    element = uses.test(formal)
                added += self._try(place, element, self.label())
        return added

    def _unit(self, place: Place, depth: int) -> tree.Element | None:
        """Return a unit: a new one, or one that exists."""
        if self.units and self.chance(2):
            unit = self.one(*self.units)
            for _ in range(2):
                head = calls.call(self, place, self.tracker.head(unit))
                said = self.tracker.said(unit)
                use = uses.rest_of(self, unit.name, head, said)
                if self.fits(place.within(), use):
                    return use
        head = uses.unit_head(self, place)
        definition, use = uses.split(self, head, set(self.tracker.constants))
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
                free = uses.rest_of(self, base.name, head, said)
                definition, use = uses.split(self, free, set(self.tracker.constants))
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
        tail: list[tree.Call] = []
        fixed = replace(inner, roles=dict(self.roles))
        for _ in range(self.upto(3)):
            call = self.one(tree.Call("bn"), tree.Call("relu"), None) or calls.op(self, fixed)
            names = re.findall(r"channels|height|width", repr(call))
            if "height" in names or "width" in names:
                continue
            if self.fits(fixed, call):
                tail.append(call)
        return tail
