"""Poolings in PyTorch: the stock ones, and what stands for those that they cannot be."""

from __future__ import annotations

from incgen.language import expressions as ex
from incgen.language.expressions import Expression
from incgen.targets.shared.code import Chosen, Code, Op
from incgen.targets.shared.values import (
    FALSE,
    ONE,
    TRUE,
    ZERO,
    Args,
    Pair,
    Sides,
    as_tuple,
    paired,
    sides_with_ceil,
    window,
)
from incgen.targets.torch.padding import Padding, padding


def pool(args: Args, average: bool) -> Code:
    """Return the module of a pooling."""
    around = padding(args["pad"], window(args).kernel, window(args).stride)
    flags = ("ceil", "count_pad") if average else ("ceil",)
    for flag in flags:
        # Only the stock poolings take these as they are.
        value = args[flag]
        if isinstance(value, Expression) and ex.literal(value) is None and not _stock(args, around):
            then, otherwise = (pool({**args, flag: side}, average) for side in (TRUE, FALSE))
            return then if then == otherwise else Chosen(value, then, otherwise)
    if _stock(args, around):
        assert around.both is not None
        return _stock_pool(args, around.both, average)
    if around.same:
        return _same_pool(args, average)
    if around.sides is not None:
        return _padded_pool(args, around.sides, average)
    assert around.both is not None
    high, wide = around.both
    return _padded_pool(args, (high, high, wide, wide), average)


def _stock(args: Args, around: Padding) -> bool:
    """Return whether the stock poolings take a padding: no more than half the window."""
    kernel = window(args).kernel
    return around.both is not None and all(
        _at_most_half(p, k) for p, k in zip(around.both, kernel, strict=True)
    )


def _at_most_half(pad: Expression, kernel: Expression) -> bool:
    p, k = ex.literal(pad), ex.literal(kernel)
    if isinstance(p, int) and isinstance(k, int):
        return p <= k // 2
    return p == 0 or pad == kernel // 2


def _stock_pool(args: Args, around: Pair, average: bool) -> Op:
    kernel, stride = window(args).kernel, window(args).stride
    facts: dict[str, object] = {
        "kernel": paired(kernel),
        "stride": paired(stride),
        "padding": paired(around),
        "ceil": FALSE if stride == (ONE, ONE) else args["ceil"],
    }
    if not average:
        return Op("max_pool", facts)
    return Op(
        "avg_pool", facts | {"count_pad": args["count_pad"] if around != (ZERO, ZERO) else TRUE}
    )


def _same_pool(args: Args, average: bool) -> Op:
    frame = window(args)
    facts: dict[str, object] = {"kernel": as_tuple(frame.kernel), "stride": as_tuple(frame.stride)}
    if not average:
        return Op("max_pool_same", facts)
    return Op("avg_pool_same", facts | {"count_pad": args["count_pad"]})


def _padded_pool(args: Args, sides: Sides, average: bool) -> Op:
    """Return a pooling whose border the stock ones do not take: pad first, then pool."""
    frame, (top, bottom, left, right) = window(args), sides
    below, beside = bottom, right
    if args["ceil"] == TRUE and frame.stride != (ONE, ONE):
        _, below, _, beside = sides_with_ceil(sides, frame)
    facts = {"kernel": paired(frame.kernel), "stride": paired(frame.stride)}
    border = ex.Tuple((left, beside, top, below))
    if not average:
        return Op("max_pool_padded", {**facts, "border": border})
    if args["count_pad"] != TRUE:
        return Op("avg_pool_padded", {**facts, "border": border})
    inner = Op("avg_pool", {**facts, "padding": ZERO, "ceil": FALSE, "count_pad": TRUE})
    if (below, beside) != (bottom, right):
        over = ex.Tuple((ZERO, beside - right, ZERO, below - bottom))
        inner = Op("avg_pool_padded", {**facts, "border": over})
    return Op("avg_pool_zeros", {"border": ex.Tuple((left, right, top, bottom)), "pool": inner})
