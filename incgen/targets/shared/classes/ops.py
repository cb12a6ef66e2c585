"""The layers of ops in frameworks of classes: their cases, and what takes the same facts in all."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Final, TypeAlias

from incgen.language import expressions as ex
from incgen.language.arithmetic import Value
from incgen.language.expressions import Expression
from incgen.targets.shared.classes.code import Layer
from incgen.targets.shared.code import Chosen, Op
from incgen.targets.shared.units import Place
from incgen.targets.shared.values import Args, as_float, expression, paired, window
from incgen.targets.shared.windows import PADDING
from incgen.targets.shared.words import by_word

Emitters: TypeAlias = Mapping[str, Callable[[Args, Place], Layer]]
Cases: TypeAlias = Mapping[str, Sequence[tuple[str, Sequence[Value]]]]
#: The case that every framework has: its poolings are two layers.
KINDS: Final[Cases] = {"pool": [("kind", ("max", "avg"))]}


#: The arguments that frameworks take as floats only.
_FLOATS: Final[Mapping[str, Sequence[str]]] = {
    "bn": ("eps",),
    "dropout": ("rate",),
    "l2_normalize": ("eps",),
    "leaky_relu": ("slope",),
    "lrn": ("alpha", "beta", "k"),
}


def _adaptive_avg_pool(args: Args, place: Place) -> Op:
    return Op("adaptive_avg_pool", {"size": paired(window(args).kernel)})


_MODULES: dict[str, Callable[[Args, Place], Op]] = {
    "adaptive_avg_pool": _adaptive_avg_pool,
    "flatten": lambda _, place: Op("flatten" if place.shape.is_map else "identity", {}),
}


def layer(op: str, args: Args, place: Place, emitters: Emitters, cases: Cases) -> Layer:
    """Return the layer of an op, with a case for each word or flag that a parameter can be.

    Args:
        op: The name of the op.
        args: Its arguments, in terms of the class.
        place: Its context.
        emitters: The emitters of ops whose macros take more than their arguments.
        cases: The arguments of ops, and their values, each of which is written in another way.
    """
    pad = args.get("pad")
    words = place.words(pad.name) if isinstance(pad, ex.Parameter) and pad != PADDING else ()
    for name, values in (("pad", words), *cases.get(op, ())):
        value = args[name] if values else None
        if isinstance(value, Expression) and ex.literal(value) is None:
            build = partial(layer, op, place=place, emitters=emitters, cases=cases)
            return by_word(args, name, values, build, _chosen)
    if op == "pool":
        kind = ex.literal(expression(args, "kind"))
        return layer(f"{kind}_pool", args, place, emitters, cases)
    args = {**args, **{name: as_float(expression(args, name)) for name in _FLOATS.get(op, ())}}
    if op in emitters:
        return emitters[op](args, place)
    facts = _MODULES.get(op)
    return Layer(facts(args, place) if facts else Op(op, args))


def _chosen(condition: Expression, then: Layer, otherwise: Layer) -> Layer:
    return replace(then, module=Chosen(condition, then.module, otherwise.module))
