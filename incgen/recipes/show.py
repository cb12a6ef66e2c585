"""A recipe as a readable page and as JSON, with its schedule in numbers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from fractions import Fraction

from incgen.base.tables import aligned
from incgen.graph.nodes import Graph
from incgen.language.printing import plain
from incgen.recipes import recipe as rp
from incgen.recipes.rates import in_steps, rate_at, total_steps

#: The training examples of ImageNet's ILSVRC 2012 (arXiv:1409.0575, table 2).
IMAGENET = 1_281_167
#: The most lines of a schedule; others are left out evenly.
_LINES = 12
_HEADINGS = ("step", "epoch", "rate", "images")


def page(graph: Graph, recipe: rp.Recipe, examples: int) -> str:
    """Format a recipe, with the schedule for so many training examples."""
    epoch = steps_of_epoch(recipe, examples)
    total = total_steps(recipe, epoch)
    head = [f"{recipe.name}: trains {recipe.network}, {graph.trained:,} parameters"]
    head += [f"  {line}" for line in recipe.doc.splitlines()]
    body = aligned([*_settings(recipe, heads=len(graph.outputs) > 1)], gap="  ")
    ends = f"{examples:,} examples: {epoch:,} steps of an epoch, {total:,} in all, "
    ends += f"{total * recipe.batch:,} images"
    rows = [_HEADINGS, *(_row(recipe, step, epoch, total) for step in _shown(recipe, epoch, total))]
    table = aligned(rows, range(len(_HEADINGS)), gap="  ")
    return "\n".join([*head, "", *body, "", ends, "", *table]) + "\n"


def as_json(graph: Graph, recipe: rp.Recipe, examples: int) -> str:
    """Format a recipe as JSON, with the schedule for so many training examples."""
    epoch = steps_of_epoch(recipe, examples)
    total = total_steps(recipe, epoch)
    rows = [
        {"step": step, "rate": rate_at(recipe.rate, step, epoch, total)}
        for step in _shown(recipe, epoch, total)
    ]
    said = {**asdict(recipe), "optimizer": {"name": _name(recipe.optimizer)}}
    said["optimizer"].update(asdict(recipe.optimizer))
    schedule = {"examples": examples, "epoch": epoch, "steps": total, "rates": rows}
    whole = {"parameters": graph.parameters, "recipe": said, "schedule": schedule}
    return json.dumps(whole, indent=2) + "\n"


def steps_of_epoch(recipe: rp.Recipe, examples: int) -> int:
    """Return the steps of an epoch; examples that do not fill a batch are left out."""
    return max(1, examples // recipe.batch)


def _row(recipe: rp.Recipe, step: int, epoch: int, total: int) -> tuple[str, ...]:
    rate = plain(float(f"{rate_at(recipe.rate, step, epoch, total):.4g}"))
    return f"{step:,}", f"{step / epoch:.2f}", rate, f"{step * recipe.batch:,}"


def _shown(recipe: rp.Recipe, epoch: int, total: int) -> list[int]:
    """Return the steps to show: the first, the last, and where the schedule turns."""
    rate, turns = recipe.rate, list[int]()
    match rate.schedule:
        case rp.Exponential(_, every, False):
            turns = list(range(0, total, in_steps(every, epoch)))
        case rp.Steps(_, at):
            turns = [in_steps(duration, epoch) for duration in at]
        case rp.Exponential() | rp.Polynomial() | rp.Cosine():
            turns = [index * total // _LINES for index in range(_LINES)]
    if len(turns) > _LINES:
        turns = [turns[index * len(turns) // _LINES] for index in range(_LINES)]
    if rate.warmup is not None:
        turns.append(in_steps(rate.warmup.length, epoch))
    if rate.per == "epoch":
        turns = [-(-turn // epoch) * epoch for turn in turns]
    return sorted({turn for turn in (0, *turns, total - 1) if turn < total})


# ---------------------------------------------------------------- settings, as they are written


def _settings(recipe: rp.Recipe, *, heads: bool) -> Iterator[tuple[str, str]]:
    """Yield each setting with its values, defaults included; that of heads if there are any."""
    if recipe.settings:
        yield "network", " ".join(f"{k}={_value(v)}" for k, v in recipe.settings.items())
    yield recipe.length.unit, _value(recipe.length.count)
    yield "batch", f"{recipe.batch}{' synchronized=true' if recipe.synchronized else ''}"
    shuffle = recipe.shuffle
    yield "shuffle", shuffle.kind if shuffle.size is None else f"{shuffle.kind} {shuffle.size}"
    loss = f"cross_entropy smoothing={_value(recipe.loss.smoothing)}"
    yield "loss", loss + (f" heads={_value(recipe.loss.heads)}" if heads else "")
    yield "l2", "the network's own" if recipe.l2 is None else plain(recipe.l2)
    yield "optimizer", _optimizer(recipe.optimizer)
    yield "rate", " -> ".join(_rate(recipe.rate))
    if recipe.clip is not None:
        yield "clip", f"{recipe.clip.kind} {_value(recipe.clip.limit)}"
    if recipe.average is not None:
        yield (
            "average",
            f"{_value(recipe.average.decay)}{' ramp=true' if recipe.average.ramp else ''}",
        )
    for name, transforms in (("train", recipe.train), ("evaluate", recipe.evaluate)):
        if transforms:
            yield name, " -> ".join(map(_transform, transforms))


def _name(optimizer: rp.Optimizer) -> str:
    if isinstance(optimizer, rp.Adam):
        return "adam" if optimizer.decay is None else "adamw"
    return "sgd" if isinstance(optimizer, rp.Sgd) else "rmsprop"


def _optimizer(optimizer: rp.Optimizer) -> str:
    name = _name(optimizer)
    match optimizer:
        case rp.Sgd(momentum, nesterov, rate_inside):
            inside = "inside" if rate_inside else "outside"
            return f"{name} momentum={_value(momentum)} nesterov={_value(nesterov)} rate={inside}"
        case rp.RmsProp(form, decay, momentum, eps):
            return (
                f"{name} {form} decay={_value(decay)} momentum={_value(momentum)} eps={_value(eps)}"
            )
        case rp.Adam(beta1, beta2, eps, decay_):
            end = "" if decay_ is None else f" decay={_value(decay_)}"
            return f"{name} beta1={plain(beta1)} beta2={plain(beta2)} eps={_value(eps)}{end}"


def _rate(rate: rp.Rate) -> Iterator[str]:
    yield f"{_value(rate.base)}{' per=epoch' if rate.per == 'epoch' else ''}"
    if rate.warmup is not None:
        start = f" start={_value(rate.warmup.start)}" if rate.warmup.start else ""
        yield f"warmup {rate.warmup.length}{start}"
    match rate.schedule:
        case rp.Exponential(factor, every, smooth):
            yield f"exponential {_value(factor)} every {every}{' smooth=true' if smooth else ''}"
        case rp.Steps(factor, at):
            times = ", ".join(_value(duration.count) for duration in at)
            yield f"steps {_value(factor)} at [{times}] {at[0].unit}"
        case rp.Polynomial(power, to):
            yield f"polynomial {_value(power)} to={_value(to)}"
        case rp.Cosine(to):
            yield f"cosine to={_value(to)}"


def _transform(transform: rp.Transform) -> str:
    positional = ("size", "p")
    first = [f"{_value(transform.args[name])}" for name in positional if name in transform.args]
    named = [
        f"{name}={_value(value)}"
        for name, value in transform.args.items()
        if name not in positional and value
    ]
    return " ".join([transform.name, *first, *named])


def _value(value: object) -> str:
    if isinstance(value, tuple):
        return f"[{', '.join(map(_ratio, value))}]"
    if isinstance(value, bool):
        return str(value).lower()
    return plain(value) if isinstance(value, float) else str(value)


def _ratio(value: object) -> str:
    """Return an element of a list; `4/3` for a number that is one and takes many digits.

    >>> _ratio(4 / 3), _ratio(0.75), _ratio(0.1234567891)
    ('4/3', '0.75', '0.1234567891')
    """
    text = _value(value)
    if isinstance(value, float) and len(text) > 9:
        ratio = Fraction(value).limit_denominator(99)
        return str(ratio) if float(ratio) == value else text
    return text
