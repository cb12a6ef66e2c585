"""The table of recipe settings: what each takes, its defaults, and what it means.

This is the one place that knows them. Reading, documentation and advice follow it; what the values
do is in `recipe.py` and docs/recipes.md.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from types import MappingProxyType
from typing import Final

from incgen.recipes import recipe as rp
from incgen.recipes.forms import Field, Form, Kind, Setting

_count = partial(Field, kind=Kind.COUNT)
_flag = partial(Field, kind=Kind.FLAG, default=False)
_word = partial(Field, kind=Kind.WORD)
_above = partial(Field, minimum=0, open=True)
_amount = partial(_above, positional=True)
_fraction = partial(Field, minimum=0, maximum=1)
_range = partial(Field, kind=Kind.RANGE, minimum=0)


def _form(name: str, doc: str, *fields: Field, made: Callable[..., object]) -> Form:
    return Form(name, doc, fields, made)


def _setting(
    name: str, doc: str, *forms: Form, parts: tuple[Form, ...] = (), key: str = ""
) -> Setting:
    by_name = MappingProxyType({form.name: form for form in forms})
    following = MappingProxyType({form.name: form for form in parts})
    return Setting(name, doc, by_name, following, key or name)


def _alone(
    name: str,
    doc: str,
    *fields: Field,
    made: Callable[..., object],
    parts: tuple[Form, ...] = (),
    key: str = "",
) -> Setting:
    """Return a setting of one form, which has no name."""
    return _setting(name, doc, _form("", "", *fields, made=made), parts=parts, key=key)


_MOMENTUM = _fraction("momentum", "the part of the velocity that a step keeps", default=0.0)
_BETAS = (
    _fraction("beta1", "the part of the first moment that a step keeps", default=0.9),
    _fraction("beta2", "the part of the second moment that a step keeps", default=0.999),
    _above("eps", "added to the root of the corrected second moment", default=1e-8),
)
_TO = _fraction("to", "the rate at the end", default=0.0, maximum=1e20)

_SCHEDULES = (
    _form(
        "warmup",
        "A linear rise in front of the schedule.",
        Field("length", "how long it takes", kind=Kind.DURATION, positional=True),
        _fraction("start", "the part of the rate that it begins with", default=0.0),
        made=rp.Warmup,
    ),
    _form(
        "exponential",
        "The rate times a factor, again and again.",
        _amount("factor", "the factor", example="0.94"),
        Field("every", "after how long", kind=Kind.DURATION, positional=True, lead="every"),
        _flag("smooth", "whether it falls a little with each step"),
        made=rp.Exponential,
    ),
    _form(
        "steps",
        "The rate times a factor at each milestone.",
        _amount("factor", "the factor", example="0.94"),
        Field("at", "the milestones", kind=Kind.TIMES, positional=True, lead="at"),
        made=rp.Steps,
    ),
    _form(
        "polynomial",
        "A power of what is left of the training.",
        _amount("power", "the power", example="2"),
        _TO,
        made=rp.Polynomial,
    ),
    _form("cosine", "Half a turn of a cosine.", _TO, made=rp.Cosine),
)

_SETTINGS = (
    _alone(
        "epochs",
        "The length of the training, in passes over the examples.",
        _amount("count", "how many; fractions are rounded to whole steps", example="24"),
        made=partial(rp.Duration, unit="epochs"),
        key="length",
    ),
    _alone(
        "steps",
        "The length of the training, in steps.",
        _count("count", "how many", positional=True),
        made=partial(rp.Duration, unit="steps"),
        key="length",
    ),
    _alone(
        "batch",
        "The examples of a step, over all processes together.",
        _count("size", "how many", positional=True),
        _flag("synchronized", "whether processes that share a batch share its statistics, too"),
        made=lambda size, synchronized: (size, synchronized),
    ),
    _setting(
        "shuffle",
        "The order of the examples; without it, `full`.",
        _form(
            "full",
            "A new order of all examples in each epoch.",
            made=partial(rp.Shuffle, "full", None),
        ),
        _form(
            "shards",
            "One order, cut into shards; in each epoch a new order within each.",
            _count("size", "the examples of a shard", positional=True),
            made=partial(rp.Shuffle, "shards"),
        ),
        _form(
            "once",
            "One order, the same in every epoch, so that batches stay together.",
            made=partial(rp.Shuffle, "once", None),
        ),
        _form("none", "The order of the data.", made=partial(rp.Shuffle, "none", None)),
    ),
    _setting(
        "loss",
        "What is minimised, beside the decay of weights; without it, `cross_entropy`.",
        _form(
            "cross_entropy",
            "The mean cross-entropy of the outputs, as logits, and the classes.",
            _fraction(
                "smoothing",
                "e in the targets (1 - e) * onehot + e / classes (arXiv:1512.00567, section 7)",
                default=0.0,
            ),
            Field(
                "heads",
                "the weight of each auxiliary head's loss; must be stated if there are heads",
                minimum=0,
                default=None,
            ),
            made=rp.Loss,
        ),
    ),
    _alone(
        "l2",
        "Weight decay in the loss, in place of the network's own.",
        Field("factor", "adds factor / 2 * sum(w ** 2) of all kernels", minimum=0, positional=True),
        made=lambda factor: factor,
    ),
    _setting(
        "optimizer",
        "The optimiser.",
        _form(
            "sgd",
            "Stochastic gradient descent.",
            _MOMENTUM,
            _flag("nesterov", "whether the step looks ahead along the velocity"),
            _word(
                "rate",
                "whether the rate multiplies what enters the velocity, or the step",
                words=("outside", "inside"),
                default="outside",
            ),
            made=lambda momentum, nesterov, rate: rp.Sgd(momentum, nesterov, rate == "inside"),
        ),
        _form(
            "rmsprop",
            "RMSProp, in the form of TensorFlow 1, Keras or PyTorch.",
            _word("form", "whose formula", words=("tf", "keras", "torch"), positional=True),
            _fraction("decay", "the part of the mean square that a step keeps", example="0.9"),
            _MOMENTUM,
            _above(
                "eps", "added to the mean square, or to its root in PyTorch's form", example="1"
            ),
            made=rp.RmsProp,
        ),
        _form("adam", "Adam.", *_BETAS, made=partial(rp.Adam, decay=None)),
        _form(
            "adamw",
            "Adam with decoupled weight decay.",
            *_BETAS,
            Field(
                "decay", "each step takes rate * decay * w from kernels", minimum=0, example="0.05"
            ),
            made=rp.Adam,
        ),
    ),
    _alone(
        "rate",
        "The learning rate, and its schedule.",
        _amount("base", "the rate that the schedule begins with", example="0.1"),
        _word(
            "per",
            "whether it changes at any step or only between epochs",
            words=("step", "epoch"),
            default="step",
        ),
        made=lambda base, per: (base, per),
        parts=_SCHEDULES,
    ),
    _setting(
        "clip",
        "Clipping of gradients.",
        _form(
            "norm",
            "All gradients together are scaled down to a norm.",
            _amount("limit", "the largest norm", example="2"),
            made=partial(rp.Clip, "norm"),
        ),
        _form(
            "value",
            "Each element is cut at a value.",
            _amount("limit", "the largest magnitude", example="1"),
            made=partial(rp.Clip, "value"),
        ),
    ),
    _alone(
        "average",
        "A moving average of the weights, which evaluation uses.",
        _fraction(
            "decay", "the part of the average that a step keeps", positional=True, example="0.9999"
        ),
        _flag("ramp", "whether step t, from 0, keeps at most (1 + t) / (10 + t)"),
        made=rp.Average,
    ),
)

#: Every setting by name, in the order of the reference.
SETTINGS: Final = MappingProxyType({setting.name: setting for setting in _SETTINGS})


def _transform(name: str, doc: str, *fields: Field) -> Form:
    return _form(name, doc, *fields, made=lambda **args: rp.Transform(name, args))


_SIZE = _count(
    "size",
    "the side of the result, in pixels; the network's if omitted",
    positional=True,
    default=None,
)
_TRAIN = (
    _transform(
        "crop",
        "A random box, resized to the size.",
        _SIZE,
        _range(
            "area",
            "the part of the image that it covers",
            maximum=1,
            open=True,
            example="[0.08, 1]",
        ),
        _range("aspect", "its width / height", open=True, example="[3/4, 4/3]"),
        _word(
            "interpolation",
            "how it is resized; `random` is one of nearest, bilinear and bicubic each time",
            words=("bilinear", "random"),
            default="bilinear",
        ),
    ),
    _transform(
        "random_crop",
        "A random box, which is not resized.",
        _SIZE,
        _count(
            "pad", "the pixels that are first added on each side; none if omitted", default=None
        ),
        _word(
            "border",
            "what they hold: `zero`, which is black, or the image mirrored at its edge",
            words=("zero", "reflect"),
            default="zero",
        ),
    ),
    _transform(
        "flip",
        "A mirror image, left to right.",
        _fraction("p", "its probability", positional=True, default=0.5),
    ),
    _transform(
        "color",
        "Photometric distortion, in this order.",
        _fraction("brightness", "the most that is added, as a part of the full range", default=0.0),
        _range("contrast", "the factor of the distance from the mean grey", default=None),
        _range("saturation", "the factor of the distance from grey", default=None),
        _fraction(
            "hue", "the most that the hue turns, as a part of a turn", default=0.0, maximum=0.5
        ),
    ),
)
_EVALUATE = (
    _transform(
        "resize", "The shorter side becomes so long.", _count("size", "in pixels", positional=True)
    ),
    _transform("center_crop", "The square in the middle.", _SIZE),
    _transform("ten_crop", "The corners and the middle, and their mirror images.", _SIZE),
    _transform(
        "multi_crop",
        "GoogLeNet's 144 crops: 4 scales, 3 squares, 6 crops, mirror images (arXiv:1409.4842).",
        _SIZE,
    ),
)
#: The transforms of images, by where they are used and by name.
TRANSFORMS: Final = MappingProxyType(
    {
        "train": MappingProxyType({form.name: form for form in (*_TRAIN, *_EVALUATE[:2])}),
        "evaluate": MappingProxyType({form.name: form for form in _EVALUATE}),
    }
)
