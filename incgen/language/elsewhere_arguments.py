"""What other tools call the arguments of ops, and how to write them here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from incgen.language.elsewhere import inverted
from incgen.language.ops import Kind
from incgen.language.signature import Signature

#: What arguments are called elsewhere, by what they may be here. A `/` is the stride of the window,
#: a `->` an op behind, a `:` the label; a `-` is left out.
_ELSEWHERE: Final = inverted(
    {
        "window": "kernel_size kernel kernel_shape pool_size ksize filter_size window_size k size "
        "output_size",
        "/": "stride strides subsample",
        "channels features": "filters out_channels out_planes outputs num_output num_outputs "
        "num_filter num_filters n_filters units out_features output_dim num_classes classes width "
        "channels features num_hidden",
        "pad border": "padding pads pad_size border zero_padding",
        "dilation": "dilation_rate dilations dilate atrous rate",
        "groups": "group num_group num_groups cardinality",
        "multiplier": "depth_multiplier channel_multiplier channels_multiplier expansion",
        "bias": "use_bias bias_term with_bias no_bias",
        "init": "kernel_initializer weights_initializer weight_init weight_filler kernel_init "
        "initializer depthwise_initializer pointwise_initializer",
        "bias_init": "bias_initializer biases_initializer bias_filler bias_value",
        "l2": "weight_decay kernel_regularizer weights_regularizer regularizer l2_reg decay",
        "eps": "epsilon",
        "decay": "momentum moving_average_fraction",
        "scale": "gamma use_scale",
        "shift": "beta center use_shift use_beta",
        "scale shift": "affine",
        "ceil": "ceil_mode",
        "count_pad": "count_include_pad include_pad",
        "rate": "p prob probability drop_prob drop_rate dropout_rate dropout dropout_ratio ratio "
        "drop keep_prob keep_rate keep_probability",
        "slope": "alpha negative_slope leak leakiness",
        "form": "approximate",
        "size": "local_size depth_radius radius n",
        "k": "bias",
        "factor": "scale multiplier value by",
        "kind": "pool_type mode pool type method",
        "->": "activation activation_fn act nonlinearity normalizer_fn norm norm_layer "
        "normalization batch_norm use_bn bn relu",
        ":": "name label scope",
        "-": "in_channels in_planes input_channels in_features num_features input_shape input_dim "
        "axis dim inplace training trainable data_format dtype",
    }
)
#: Of those that are left out: what is known without them.
_INPUTS: Final = (
    *("in_channels", "in_planes", "input_channels", "in_features", "num_features"),
    *("input_shape", "input_dim"),
)
_NORMS: Final = ("normalizer_fn", "norm", "norm_layer", "normalization", "batch_norm", "use_bn")


def elsewhere_called(takes: Signature, name: str) -> str | None:
    """Return what another tool's argument is here: names, `/`, `->`, `:`, `-`, or None."""
    for word in (name, name.lower()):
        for ours in _options(takes, word):
            if ours in ("/", "->", ":", "-"):
                window = takes.known("window") or any(
                    argument.kind is Kind.WINDOW for argument in takes.attributes
                )
                if ours != "/" or window:
                    return ours
            elif all(takes.known(part) for part in ours.split()):
                return ours
    return None


def _options(takes: Signature, word: str) -> Sequence[str]:
    found = _ELSEWHERE.get(word)
    if found is None:
        return ()
    return (found,) if found in ("scale shift",) else found.split()


def reason(ours: str, name: str) -> str:
    """Return why an argument is written differently here, as the end of a help line.

    Args:
        ours: What it is here, as `elsewhere_called` returns it.
        name: The name that was written.
    """
    both = " and ".join(f"`{part}`" for part in ours.split())
    match ours:
        case "window":
            return "a window is height by width"
        case "/":
            return "the stride follows the window"
        case "->":
            what = "a normalisation" if name in (*_NORMS, "bn") else "an activation"
            return f"{what} is an op of its own"
        case ":":
            return "a name is written as a label in front"
        case "-" if name in _INPUTS:
            return "the input is known"
        case "-" if name in ("axis", "dim"):
            return "every op knows its axes"
        case "-":
            return f"there is no `{name}`"
        case "size" if name in ("depth_radius", "radius"):
            return "the size is 2 * radius + 1"
        case "channels" | "features":
            return f"`{name}` are the {ours}, given by position"
        case "rate" | "slope" | "factor" | "form" | "size" | "kind":
            return f"`{name}` is the {ours}, given by position"
        case "decay":
            return "`decay` is the fraction that is kept: Keras' momentum, or 1 - PyTorch's"
        case "l2":
            return "`l2` adds l2 / 2 * sum(w ** 2)"
        case _:
            return f"`{name}` is called {both} here"
