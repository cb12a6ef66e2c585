"""Calls as other tools write them, in the words of this language: what a help line offers to type.

All of it is text: what stands between blanks, or between the commas of `Conv2D(32, 3)`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from incgen import elsewhere
from incgen import expressions as ex
from incgen import syntax as st
from incgen.initializers import RULES
from incgen.ops import OPS, Argument, Kind

#: A written argument by its name.
Pair = tuple[str, str]


def _words(table: Mapping[str, str]) -> Mapping[str, str]:
    return MappingProxyType({word: ours for ours, words in table.items() for word in words.split()})


#: What arguments are called elsewhere, by what they may be here. A `/` is the stride of the window,
#: a `->` an op behind, a `:` the label; a `-` is left out.
_ELSEWHERE: Final = _words(
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

_NUMBER = re.compile(r"\d+")
_NAME = re.compile(r"[A-Za-z_]\w*")
_WINDOW = re.compile(r"(\d+|\{[^{}]*\})x(\d+|\{[^{}]*\})(/(\d+|\{[^{}]*\})(x(\d+|\{[^{}]*\}))?)?")
#: A window that a variable is in without braces, as `3xk`.
_LOOSE = re.compile(r"(\d+|[A-Za-z_]\w*?)x(\d+|[A-Za-z_]\w*)")


@dataclass(frozen=True, slots=True)
class Takes:
    """What a call takes: an op, or a unit whose arguments go to its head.

    Attributes:
        name: as it is called here.
        positional: the arguments by position that are not given yet, in order.
        attributes: the others.
    """

    name: str
    positional: tuple[Argument, ...]
    attributes: tuple[Argument, ...]

    def known(self, name: str) -> bool:
        """Whether an argument has this name."""
        return any(name == argument.name for argument in (*self.positional, *self.attributes))


def elsewhere_called(takes: Takes, name: str) -> str | None:
    """What an argument of another tool is here: names, `/`, `->`, `:` or `-`; None if unknown."""
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


def _options(takes: Takes, word: str) -> Sequence[str]:
    found = _ELSEWHERE.get(word)
    if found is None:
        return ()
    return (found,) if found in ("scale shift",) else found.split()


def reason(ours: str, name: str) -> str:
    """Why an argument is not written as it was: the end of a help line.

    Args:
        ours: what it is here, as `elsewhere_called` gives it.
        name: as it was called.
    """
    both = " and ".join(f"`{part}`" for part in ours.split())
    match ours:
        case "window":
            return "a window is height by width"
        case "/":
            return "the stride stands behind the window"
        case "->":
            what = "a normalisation" if name in (*_NORMS, "bn") else "an activation"
            return f"{what} is an op of its own"
        case ":":
            return "a name is a label in front"
        case "-" if name in _INPUTS:
            return "what comes in is known"
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


# ---------------------------------------------------------------- calls


def takes_of(name: str) -> Takes | None:
    """What an op takes, by its name here or elsewhere; None if it is none."""
    here = elsewhere.called_here(name)
    op = OPS.get(here or name)
    return None if op is None else Takes(op.name, op.positional, op.attributes)


def written(call: st.Call) -> tuple[list[str], list[Pair]]:
    """The arguments of a call as text."""
    attributes = [(a.name.text, written_attribute(a)) for a in call.attributes]
    return [_text(value) for value in call.positional], attributes


def written_attribute(attribute: st.Attribute) -> str:
    """The value of an attribute as text."""
    return _text(attribute.value, by_name=True)


def _text(value: st.Argument, *, by_name: bool = False) -> str:
    if isinstance(value, st.Text):
        return value.value
    text = value.span.text if value.span is not None else ""
    negative = isinstance(value, ex.Literal) and text.startswith("-") and not by_name
    return f"({text})" if negative or isinstance(value, (ex.Binary, ex.Unary)) else text


def translated(takes: Takes, positional: Sequence[str], attributes: Sequence[Pair]) -> str | None:
    """A call as it is written here, or None where that cannot be told.

    Args:
        takes: what is called.
        positional: the arguments by position, as they were written.
        attributes: the others.

    >>> translated(takes_of("Conv2D"), ["32", "(3, 3)"], [("strides", "2"), ("padding", "same")])
    'conv 3x3/2 32 pad=same'
    >>> translated(takes_of("dense"), ["10"], [("activation", "relu")])
    'dense 10 -> relu'
    """
    found = _Translation(takes)
    sound = all(found.attribute(name, value) for name, value in attributes)
    return found.text() if sound and found.place(list(positional)) else None


@dataclass(slots=True)
class _Translation:
    """One call while it is translated."""

    takes: Takes
    label: str = ""
    slots: dict[str, str] = field(default_factory=dict)
    named: list[Pair] = field(default_factory=list)
    stride: str = ""
    behind: list[str] = field(default_factory=list)

    def attribute(self, name: str, value: str) -> bool:
        """Take an argument by name; whether it can be said here."""
        if self.takes.known(name):
            return self.said(name, value)
        ours = elsewhere_called(self.takes, name)
        plain = value.lower() if value in ("True", "False", "None") else value
        match ours:
            case None:
                return False
            case "-":
                return name not in ("trainable", "dtype", "data_format")
            case ":":
                self.label = value if _NAME.fullmatch(value) else ""
                return bool(self.label)
            case "/":
                self.stride = _stride(value)
                return bool(self.stride)
            case "->":
                return self.applied(name, plain)
            case "scale shift":
                return self.said("scale", plain) and self.said("shift", plain)
            case _:
                translated = _value(name, ours, plain)
                return translated is not None and self.said(ours, translated)

    def applied(self, name: str, value: str) -> bool:
        """An activation or a normalisation that stands behind the call here."""
        if value in ("none", "false", "linear", "null"):
            return True
        if value == "true":
            value = "bn" if name in ("batch_norm", "use_bn", "bn", "norm") else name
        here = elsewhere.called_here(value)
        if here is None or here not in OPS or OPS[here].positional:
            return False
        if here == "bn":
            self.behind.insert(0, here)
        else:
            self.behind.append(here)
        return True

    def said(self, name: str, value: str) -> bool:
        """Take an argument by its name here."""
        if any(name == argument.name for argument in self.takes.positional):
            if name in self.slots:
                return False
            self.slots[name] = value
        elif any(name == known for known, _ in self.named):
            return False
        else:
            self.named.append((name, value))
        return True

    def place(self, loose: list[str]) -> bool:
        """Give the arguments by position their places; whether all that is needed is there."""
        free = [a for a in self.takes.positional if a.name not in self.slots]
        for argument in [a for a in free if a.kind is Kind.WORD]:
            word = next((text for text in loose if text in argument.words), None)
            if word is not None:
                self.slots[argument.name] = word
                loose.remove(word)
                free.remove(argument)
        window = next((a for a in free if a.kind is Kind.WINDOW), None)
        if window is not None and loose:
            index = _window_among(loose, len(free))
            self.slots[window.name] = loose.pop(index)
            free.remove(window)
        if len(loose) > len(free):
            return False
        self.slots.update((a.name, value) for a, value in zip(free, loose, strict=False))
        if any(a.name not in self.slots and not a.must for a in self.takes.positional):
            return False
        return self.windows()

    def windows(self) -> bool:
        """Write windows and strides as windows; whether they can be."""
        of_unit = next((a for a in self.takes.attributes if a.kind is Kind.WINDOW), None)
        for argument in self.takes.positional:
            if argument.kind is not Kind.WINDOW:
                continue
            written = self.slots[argument.name]
            text = window_text(written)
            if text is None:
                return False
            pools = self.takes.name.endswith("pool") and "adaptive" not in self.takes.name
            if pools and _NUMBER.fullmatch(written) and not self.stride and "/" not in text:
                self.stride = written  # poolings stride by their window elsewhere
            if self.stride and "/" not in text:
                text += "" if self.stride == "1" else f"/{self.stride}"
                self.stride = ""
            self.slots[argument.name] = text
        for index, (name, value) in enumerate(self.named):
            if of_unit is not None and name == of_unit.name:
                text = window_text(value)
                if text is None:
                    return False
                self.named[index] = (name, text + (f"/{self.stride}" if self.stride else ""))
                self.stride = ""
        return self.stride in ("", "1")

    def text(self) -> str:
        """The call."""
        ours = [self.slots[a.name] for a in self.takes.positional if a.name in self.slots]
        call = " ".join([self.takes.name, *ours, *(f"{k}={v}" for k, v in self.named)])
        label = f"{self.label}: " if self.label else ""
        return label + " -> ".join([call, *self.behind])


def window_text(text: str) -> str | None:
    """What was meant as a window, as one.

    >>> [window_text(text) for text in ("3", "k", "(3, 5)", "[k, 1]", "3xk", "3x3/2", "(k + 2)")]
    ['3x3', '{k}x{k}', '3x5', '{k}x1', '3x{k}', '3x3/2', '{k + 2}x{k + 2}']
    """
    if _WINDOW.fullmatch(text):
        return text
    loose = _LOOSE.fullmatch(text)
    if loose:
        return f"{_part(loose[1])}x{_part(loose[2])}"
    parts = _parts(text)
    if len(parts) == 1:
        parts *= 2
    return "x".join(map(_part, parts)) if len(parts) == 2 and all(parts) else None


def _stride(text: str) -> str:
    """What was meant as a stride, as it stands behind the `/` of a window; "" if unknown."""
    if _WINDOW.fullmatch(text):
        return "" if "/" in text else text
    parts = _parts(text)
    if len(parts) == 2 and parts[0] == parts[1]:
        parts = parts[:1]
    return "x".join(map(_part, parts)) if 1 <= len(parts) <= 2 and all(parts) else ""


def _parts(text: str) -> list[str]:
    """The parts of `3`, `k`, `(k + 1)`, `(3, 5)` and `[3, 5]`; none of anything else."""
    inner = text[1:-1] if text[:1] + text[-1:] in ("()", "[]") else text
    parts = [part.strip() for part in inner.split(",")]
    plain = all(re.fullmatch(r"[\w +*/%-]+", part) for part in parts)
    whole = inner is not text or all(re.fullmatch(r"\w+", part) for part in parts)
    return parts if plain and whole and not re.search(r"\d\.\d", text) else []


def _part(text: str) -> str:
    return text if _NUMBER.fullmatch(text) else f"{{{text}}}"


def _window_among(loose: Sequence[str], wanted: int) -> int:
    """The argument that is meant as the window: one that looks like it, or the smaller number."""
    for index, text in enumerate(loose):
        if _WINDOW.fullmatch(text) or _LOOSE.fullmatch(text) or text[0] == "[" or "," in text:
            return index
    first_two = loose[:2]
    if wanted >= 2 and len(first_two) == 2 and all(map(_NUMBER.fullmatch, first_two)):
        return 0 if int(first_two[0]) <= int(first_two[1]) else 1
    return 0


def _value(name: str, ours: str, value: str) -> str | None:
    """The value of an argument of another name, as it is written here."""
    if name.startswith("keep_") or name == "momentum":
        return _rest(value) if name != "momentum" or _small(value) else value
    if name in ("no_bias",):
        return {"true": "false", "false": "true"}.get(value)
    match ours:
        case "pad" | "border" if value == "none":
            return "valid" if ours == "pad" else None
        case "pad" | "border":
            parts = _parts(value)
            return "x".join(map(_part, parts)) if len(parts) == 2 else value
        case "init":
            return value if re.match(r"\w*", value)[0] in RULES else None  # type: ignore[index]
        case "bias_init":
            return {"zeros": "0", "zero": "0", "ones": "1"}.get(value, value)
        case "l2" if not re.fullmatch(r"[\d.e-]+", value):
            return None
        case "size" if name in ("depth_radius", "radius"):
            return str(2 * int(value) + 1) if _NUMBER.fullmatch(value) else None
        case "form":
            return {"true": "tanh", "false": "erf", "none": "erf", "tanh": "tanh"}.get(value)
        case "kind":
            return {"average": "avg", "mean": "avg", "maximum": "max"}.get(value, value)
        case _:
            return value


def _small(value: str) -> bool:
    """Whether a momentum is PyTorch's: the fraction of what is new, not of what is kept."""
    try:
        return float(value) < 0.5
    except ValueError:
        return False


def _rest(value: str) -> str | None:
    """1 - a number, without the noise of binary fractions."""
    try:
        return f"{1 - float(value):.12g}"
    except ValueError:
        return None
