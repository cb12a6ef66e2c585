"""What other tools call ops, and what to type for those that the language does not have.

Names are compared without case, underscores and the `2d` of frameworks: `MaxPool2d`, `max_pooling`
and `maxpool` are one word.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import Final

from incgen.language.ops import OPS, Takes

#: The words that join branches, and those that have a body besides.
JOINS: Final = ("concat", "add", "mul")


def inverted(table: Mapping[str, str]) -> Mapping[str, str]:
    """Map each of the words to the name that they stand for."""
    return MappingProxyType({word: ours for ours, words in table.items() for word in words.split()})


#: What is called otherwise elsewhere, by what it is here.
_CALLED = inverted(
    {
        "conv": "convolution convlayer groupconv groupedconv dilatedconv atrousconv",
        "conv 1x1": "pointwiseconv pointwise",
        "depthwise_conv": "depthwise depthwiseconvolution dwconv convdw convdepthwise",
        "separable_conv": "sepconv separableconvolution depthwiseseparableconv",
        "dense": "linear fc fullyconnected innerproduct ip affine denselayer mlp",
        "bn": "batchnorm batchnormalization bnorm syncbatchnorm frozenbatchnorm syncbn",
        "lrn": "localresponsenorm localresponsenormalization crossmaplrn responsenorm",
        "l2_normalize": "l2norm l2normalization",
        "max_pool": "maxpooling maxpoollayer poolmax",
        "avg_pool": "avgpooling averagepool averagepooling meanpool poolavg",
        "global_avg_pool": "gap globalaveragepool globalaveragepooling globalavgpooling",
        "global_max_pool": "gmp globalmaxpooling",
        "adaptive_avg_pool": "adaptiveaveragepool adaptiveavgpooling adaptiveaveragepooling",
        "silu": "swish",
        "hard_swish": "hswish",
        "hard_sigmoid": "hsigmoid",
        "leaky_relu": "lrelu",
        "sigmoid": "logistic",
        "tanh": "hyperbolictangent",
        "flatten": "flat ravel flattenlayer",
        "pad": "zeropad zeropadding constantpad padding zeros",
        "scale": "rescale rescaling mulscalar multiplyscalar",
        "identity": "noop passthrough pass id",
        "concat": "cat concatenate concatenation merge depthconcat filterconcat",
        "add": "sum eltwise eltwisesum elementwiseadd plus addition",
        "mul": "multiply product eltwisemul times",
    }
)

_LARGER = "`adaptive_avg_pool {height * 2}x{width * 2}`"
_TRAINING = "leave it out: it acts in training only"
_BRANCH = "`add { identity; body: conv 3x3 channels }`"
#: What to do without an op; nothing if there is nothing near it.
_LACKING = inverted(
    {
        f"{_LARGER} repeats each pixel, as nearest-neighbour upsampling by 2 does; "
        "no op interpolates": "upsample upsampling upsamplingnearest interpolate resize upscale "
        "upsamplingbilinear resizebilinear resizenearest nearest bilinear",
        f"{_LARGER} makes a map larger, and a `conv` can follow": "convtranspose transposedconv "
        "transposeconv deconv deconvolution convolutiontranspose conv2dtranspose upconv",
        "`depthwise_conv 1x1 bias=false init=constant(1e-6)` learns a factor for each channel": (
            "layerscale channelscale gamma"
        ),
        "leave it out: it drops whole branches in training only, and does nothing in "
        "evaluation": "droppath stochasticdepth dropconnect dropblockpath",
        "`dropout 0.1` is the closest: it drops single values": "dropblock spatialdropout "
        "dropout2d dropout3d featuredropout alphadropout gaussiandropout",
        _TRAINING: "gaussiannoise noise",
        "`leaky_relu 0.25` is the closest: its slope is not learned": "prelu",
        "`relu6` cuts at 0 and 6; there are no other bounds": "hardtanh clip clamp relun",
        "`concat { relu; scale (-1) -> relu }`": "crelu",
        "`mul { conv 1x1 channels; conv 1x1 channels -> sigmoid }` is a gate": "glu gate gated",
        "`softmax` gives probabilities; a loss that takes logits needs nothing here": "logsoftmax",
        "`flatten` turns a map into a vector; there are no other shapes": (
            "reshape view squeeze unflatten"
        ),
        "`global_max_pool` is the one of 1x1": "adaptivemaxpool adaptivemaxpooling",
        "`global_avg_pool` or `global_max_pool`": "globalpool globalpooling",
        "`global_avg_pool` averages over height and width": "mean average reducemean",
        "`global_max_pool` is the largest over height and width": "max maximum reducemax amax",
        "end a branch of `add` in `scale (-1)`": "sub subtract minus difference",
        "`scale (-1)`": "neg negative negate",
        "`mul { identity; identity }`": "square",
        "`conv 16x16/16 768 pad=valid`": "patchembed patchembedding",
        f"a shortcut is a branch of a join: {_BRANCH}": "residual shortcut skip skipconnection",
        "each line of `concat { ... }` is a branch": "parallel branch branches fork inception",
        "a body is a sequence: `{ conv 3x3 8 -> relu }`": "sequential seq sequence",
        "write it as a `block`: `mul { identity; gate: { global_avg_pool -> dense 4 -> relu -> "
        "dense 64 -> sigmoid } }` for 64 channels": "se seblock selayer squeezeexcite "
        "squeezeexcitation squeezeandexcite squeezeandexcitation",
        "`bn`, `lrn` and `l2_normalize`; `mean=` and `std=` behind `input` are for pixels": (
            "norm normalize normalization"
        ),
        "an activation is an op of its own, such as `relu`": "activation act nonlinearity",
        "the last line of a network is its output; `aux name { ... }` makes one more": (
            "output outputs out"
        ),
        "the last line of a body is its value; `from label` takes an earlier one": "return yield",
        "`repeat 3 { ... }` repeats a body": "for while loop foreach",
        "write `else if` behind the `}`": "elif elsif elseif",
        "a constant is `let name = 8`, above the network": "const var constant define",
        "": "pixelshuffle depthtospace spacetodepth focus subpixel unpool maxunpool unpooling "
        "slice narrow split chunk crop centercrop cropping gather index select take getitem unbind "
        "channelshuffle shuffle permute transpose unsqueeze expand tile stack "
        "softplus elu selu celu mish softsign logsigmoid threshold maxout snake rrelu "
        "layernorm groupnorm instancenorm rmsnorm weightnorm spectralnorm layernormalization "
        "groupnormalization instancenormalization "
        "attention multiheadattention selfattention mha transformer embedding positionalembedding "
        "lstm gru rnn parameter clstoken deformconv involution "
        "lppool minpool stochasticpool fractionalmaxpool roipool roialign spp "
        "reflectionpad replicationpad div divide matmul dot einsum bmm minimum min exp log sqrt "
        "abs pow lambda custom argmax",
    }
)

#: Presets as other words name them.
PRESETS_ELSEWHERE: Final = MappingProxyType(
    {"pytorch": "torch", "tensorflow": "tf", "keras": "tf", "slim": "tf", "caffe2": "caffe"}
)


def folded(name: str) -> str:
    """Return a name without case and underscores."""
    return name.lower().replace("_", "")


_OURS = {folded(name): name for name in (*OPS, *JOINS)}


def called_here(name: str) -> str | None:
    """Return the name here of another tool's op or join; None if there is none.

    >>> called_here("BatchNorm2d"), called_here("linear"), called_here("conv3d")
    ('bn', 'dense', None)
    """
    plain = folded(name)
    if plain in _LACKING:
        return None
    rest, dimensions = _without_dimensions(plain)
    here = _OURS.get(plain) or _CALLED.get(plain) or _OURS.get(rest) or _CALLED.get(rest)
    if (
        here is not None
        and here in OPS
        and OPS[here].takes is Takes.MAP
        and dimensions in ("1", "3")
    ):
        return None  # maps have two
    return here


def lacking(name: str) -> str | None:
    """Return advice for an op that the language lacks; "" if there is no way, None if unknown.

    >>> lacking("Upsample") == lacking("upsampling2d"), lacking("softplus"), lacking("conv")
    (True, '', None)
    """
    plain = folded(name)
    rest, dimensions = _without_dimensions(plain)
    advice = _LACKING.get(plain, _LACKING.get(rest))
    if advice is None and dimensions in ("1", "3") and (rest in _OURS or rest in _CALLED):
        return ""
    return advice


def _without_dimensions(plain: str) -> tuple[str, str]:
    """Split the `2d` of frameworks off a name; return the name and the digit."""
    found = re.fullmatch(r"(.+?)([123])d", plain)
    return (found[1], found[2]) if found else (plain, "")


def made_of_ops(name: str, known: Collection[str]) -> str | None:
    """Split a name such as `conv_bn_relu` into a chain of ops; None if it is not one.

    >>> made_of_ops("conv_bn_relu", OPS), made_of_ops("ConvBNReLU", OPS), made_of_ops("con", OPS)
    ('conv -> bn -> relu', 'conv -> bn -> relu', None)
    """
    rest, parts = folded(name), list[str]()
    if len(rest) > 40:
        return None
    by_length = sorted(((folded(word), word) for word in known), key=lambda pair: -len(pair[0]))
    while rest:
        found = next((pair for pair in by_length if rest.startswith(pair[0])), None)
        if found is None:
            return None
        parts.append(found[1])
        rest = rest.removeprefix(found[0])
    return " -> ".join(parts) if len(parts) > 1 else None


def body_help(name: str) -> str | None:
    """Return what to type for another tool's word in front of a body; None if unknown."""
    here = called_here(name)
    if here in JOINS:
        return f"here it is called `{here}`: write `{here} {{`"
    return lacking(name) or None
