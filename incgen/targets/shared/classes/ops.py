"""Ops that take the same facts in all frameworks of classes."""

from __future__ import annotations

from collections.abc import Callable

from incgen.targets.shared.code import Op
from incgen.targets.shared.units import Place
from incgen.targets.shared.values import Args, as_float, expression, paired, window


def _lrn(args: Args, place: Place) -> Op:
    floats = {name: as_float(expression(args, name)) for name in ("alpha", "beta", "k")}
    return Op("lrn", {"size": args["size"], **floats})


def _dropout(args: Args, place: Place) -> Op:
    return Op("dropout", {"rate": as_float(expression(args, "rate"))})


def _adaptive_avg_pool(args: Args, place: Place) -> Op:
    return Op("adaptive_avg_pool", {"size": paired(window(args).kernel)})


def _flatten(args: Args, place: Place) -> Op:
    return Op("flatten" if place.shape.is_map else "identity", {})


_MODULES: dict[str, Callable[[Args, Place], Op]] = {
    "lrn": _lrn,
    "adaptive_avg_pool": _adaptive_avg_pool,
    "dropout": _dropout,
    "flatten": _flatten,
}


def plain_module(op: str, args: Args, place: Place) -> Op:
    """Return the module of an op that needs no emitter of a target's own."""
    facts = _MODULES.get(op)
    return facts(args, place) if facts else Op(op, args)
