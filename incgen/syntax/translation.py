"""Translate calls written the way other tools do into this language, for help lines.

All of it is text: what stands between blanks, or between the commas of `Conv2D(32, 3)`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from incgen.language import elsewhere
from incgen.language import expressions as ex
from incgen.language.elsewhere_arguments import elsewhere_called
from incgen.language.initializers import RULES
from incgen.language.ops import OPS, Kind
from incgen.language.signature import Signature
from incgen.syntax import tree as st

#: A written argument by its name.
Pair = tuple[str, str]


_NUMBER = re.compile(r"\d+")
_NAME = re.compile(r"[A-Za-z_]\w*")
_WINDOW = re.compile(r"(\d+|\{[^{}]*\})x(\d+|\{[^{}]*\})(/(\d+|\{[^{}]*\})(x(\d+|\{[^{}]*\}))?)?")
#: A window that a variable is in without braces, as `3xk`.
_LOOSE = re.compile(r"(\d+|[A-Za-z_]\w*?)x(\d+|[A-Za-z_]\w*)")


def takes_of(name: str) -> Signature | None:
    """Return what an op takes, by its name here or elsewhere; None if it is unknown."""
    here = elsewhere.called_here(name)
    op = OPS.get(here or name)
    return None if op is None else Signature(op.name, op.positional, op.attributes)


def written(call: st.Call) -> tuple[list[str], list[Pair]]:
    """Return the arguments of a call as text."""
    attributes = [(a.name.text, written_attribute(a)) for a in call.attributes]
    return [_text(value) for value in call.positional], attributes


def written_attribute(attribute: st.Attribute) -> str:
    """Return the value of an attribute as text."""
    return _text(attribute.value, by_name=True)


def _text(value: st.Argument, *, by_name: bool = False) -> str:
    if isinstance(value, st.Text):
        return value.value
    text = value.span.text if value.span is not None else ""
    negative = isinstance(value, ex.Literal) and text.startswith("-") and not by_name
    return f"({text})" if negative or isinstance(value, (ex.Binary, ex.Unary)) else text


def translated(
    takes: Signature, positional: Sequence[str], attributes: Sequence[Pair], called: str = ""
) -> str | None:
    """Write a call of another tool as it is written here; None if that is unclear.

    Args:
        takes: What the callee accepts.
        positional: The arguments by position, as they were written.
        attributes: The arguments that are given by name.
        called: The name elsewhere; frameworks' classes do not pad by default.

    >>> translated(takes_of("Conv2D"), ["32", "(3, 3)"], [("strides", "2"), ("padding", "same")])
    'conv 3x3/2 32 pad=same'
    >>> translated(takes_of("Conv2d"), ["3", "64", "3"], [], "Conv2d")
    'conv 3x3 64 pad=valid'
    >>> translated(takes_of("dense"), ["10"], [("activation", "relu")])
    'dense 10 -> relu'
    """
    found = _Translation(takes)
    sound = all(found.attribute(name, value) for name, value in attributes)
    if not sound or not found.place(list(positional)):
        return None
    if re.fullmatch(r"[A-Z]\w*2[dD]", called):
        found.unpadded()
    return found.text()


@dataclass(slots=True)
class _Translation:
    """One call while it is translated."""

    takes: Signature
    label: str = ""
    slots: dict[str, str] = field(default_factory=dict)
    named: list[Pair] = field(default_factory=list)
    stride: str = ""
    behind: list[str] = field(default_factory=list)

    def attribute(self, name: str, value: str) -> bool:
        """Take an argument by name; whether it can be said here."""
        plain = value.lower() if value in ("True", "False", "None") else value
        if self.takes.known(name):
            return self.said(name, plain)
        ours = elsewhere_called(self.takes, name)
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
        """Return an activation or normalisation as an op behind the call."""
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
        self.as_constructors_take(loose)
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

    def as_constructors_take(self, loose: list[str]) -> None:
        """Read bare numbers in the order of a class: `Conv2d(3, 64, 3, 2)`, `Linear(512, 10)`."""
        if not all(map(_NUMBER.fullmatch, loose)):
            return
        names = {argument.name for argument in self.takes.positional}
        window, pads = "window" in self.slots, self.takes.known("pad")
        match len(loose):
            case 3 | 4 | 5 if {"window", "channels"} <= names and pads and not window:
                _, self.slots["channels"], self.slots["window"], *rest = loose
            case 2 if {"window", "channels"} <= names and window:
                rest, self.slots["channels"] = [], loose[1]
            case 2 if names == {"features"}:
                rest, self.slots["features"] = [], loose[1]
            case 2 | 3 if names == {"window"} and pads:
                self.slots["window"], *rest = loose
            case 1 if self.takes.name == "bn":
                rest = []
            case _:
                return
        loose.clear()
        if rest:
            self.stride = self.stride or rest[0]
        if rest[1:] and rest[1] != "0":
            self.said("pad", rest[1])

    def unpadded(self) -> None:
        """Say that nothing is padded, where that matters and nothing was said."""
        window = self.slots.get("window", "1x1")
        if self.takes.known("pad") and "pad" not in dict(self.named) and window[:3] != "1x1":
            self.named.append(("pad", "valid"))

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
        """Return the call."""
        ours = [self.slots[a.name] for a in self.takes.positional if a.name in self.slots]
        call = " ".join([self.takes.name, *ours, *(f"{k}={v}" for k, v in self.named)])
        label = f"{self.label}: " if self.label else ""
        return label + " -> ".join([call, *self.behind])


def window_text(text: str) -> str | None:
    """Write what was meant as a window as a window; None if that is unclear.

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
    """Write what was meant as a stride as it stands behind `/`; "" if that is unclear."""
    if _WINDOW.fullmatch(text):
        return "" if "/" in text else text
    parts = _parts(text)
    if len(parts) == 2 and parts[0] == parts[1]:
        parts = parts[:1]
    return "x".join(map(_part, parts)) if 1 <= len(parts) <= 2 and all(parts) else ""


def _parts(text: str) -> list[str]:
    """Split `3`, `k`, `(k + 1)`, `(3, 5)` or `[3, 5]` into parts; [] for anything else."""
    inner = text[1:-1] if text[:1] + text[-1:] in ("()", "[]") else text
    parts = [part.strip() for part in inner.split(",")]
    plain = all(re.fullmatch(r"[\w +*/%-]+", part) for part in parts)
    whole = inner is not text or all(re.fullmatch(r"\w+", part) for part in parts)
    return parts if plain and whole and not re.search(r"\d\.\d", text) else []


def _part(text: str) -> str:
    return text if _NUMBER.fullmatch(text) else f"{{{text}}}"


def _window_among(loose: Sequence[str], wanted: int) -> int:
    """Return the index of the argument meant as the window."""
    for index, text in enumerate(loose):
        if _WINDOW.fullmatch(text) or _LOOSE.fullmatch(text) or text[0] == "[" or "," in text:
            return index
    first_two = loose[:2]
    if wanted >= 2 and len(first_two) == 2 and all(map(_NUMBER.fullmatch, first_two)):
        return 0 if int(first_two[0]) <= int(first_two[1]) else 1
    return 0


def _value(name: str, ours: str, value: str) -> str | None:
    """Write the value of another tool's argument as it is written here."""
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
    """Return whether a momentum is PyTorch's, which weights the new value."""
    try:
        return float(value) < 0.5
    except ValueError:
        return False


def _rest(value: str) -> str | None:
    """Return 1 minus a number, without the noise of binary fractions."""
    try:
        return f"{1 - float(value):.12g}"
    except ValueError:
        return None
