"""Random specs, drawn statement by statement so that each one fits.

Statements are drawn one after another. Each is tried on the shapes at its position, in every known
use of its definition (`tracking.py`), and replaced by a `relu` if it does not fit. Units and blocks
are made where they are first used, so that they fit there, and reused where they happen to fit.
"""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

from fuzzing import calls, tree, values
from fuzzing.bodies import Bodies
from fuzzing.choices import Place
from fuzzing.tracking import Scene, Tracker, evaluate
from incgen.graph.shapes import Shape

#: Names of constants by purpose; any other is a number of channels.
_CONSTANTS = {
    "flag": "flag",
    "factor": "amount",
    "share": "portion",
    "kernel": "extent",
    "stride": "step",
    "times": "some",
}


def random_spec(seed: int, number: int) -> tree.Spec:
    """Return a spec that is nearly always valid; the same numbers always give the same one."""
    return _Author(random.Random(f"{seed}/{number}")).spec()


class _Author(Bodies):
    """One spec while it is being drawn."""

    def __init__(self, source: random.Random) -> None:
        super().__init__(source)
        self.preset = self.one("torch", "caffe", "tf", None)
        self.constants: list[tuple[str, str]] = []
        for _ in range(self.one(0, 0, 1, 2)):
            self._constant()
        self.defaults = self._defaults(self.preset)
        self.tracker = Tracker(self.preset, self.defaults, self.constants)

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
            name, value = self.fresh(_CONSTANTS[role]), self.one(*values.PLAIN[role])
        else:
            options = ["4", "3", "6", *(f"{n} {o}" for n in counts for o in ("+ 1", "// 2 + 1"))]
            name, value = self.fresh("let"), self.one(*options)
        self.constants.append((name, value))
        self.roles[name] = role

    def _defaults(self, preset: str | None) -> tuple[tuple[str, str, tree.Value], ...]:
        defaults: list[tuple[str, str, tree.Value]] = []
        if preset is None:
            defaults += [
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
            if extra[:2] not in [default[:2] for default in defaults]:
                defaults.append(extra)
        return tuple(defaults)

    def _network(self, roles: dict[str, str]) -> tuple[tree.Network, tuple[tuple[str, str], ...]]:
        doc = self.doc(4)
        names = dict(self.tracker.constants)
        formals, other = self._formals(names)
        roles = {**roles, **{formal.name: formal.role for formal in formals}}
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

    def _formals(self, names: dict[str, Any]) -> tuple[list[tree.Formal], list[tuple[str, str]]]:
        """Return parameters, whose values are added to the names, and other values for some."""
        formals, other = [], []
        for _ in range(self.one(0, 1, 1, 2, 3)):
            formal = self._formal(set(names))
            value = self.one(*values.PLAIN[formal.role])
            formals.append(replace(formal, default=value))
            names[formal.name] = evaluate(value, Scene(self.tracker.constants, Shape(1)))
            if self.chance(2):
                other.append((formal.name, self.one(*values.PLAIN[formal.role])))
        for name, role in self.roles.items():
            if not other and self.chance(3):
                other.append((name, self.one(*values.PLAIN[role])))
        return formals, other

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
        statements: list[tree.Statement | tree.Head] = []
        if place.maps and kind == "logits":
            pool = tree.Call(self.one("global_avg_pool", "global_max_pool"))
            statements += self._try(place, pool, label=None)
        elif place.maps and self.chance(2):
            statements += self._try(place, tree.Call("flatten"), label=None)
        return statements + self._try(place, calls.dense(self, place), label="logits")
