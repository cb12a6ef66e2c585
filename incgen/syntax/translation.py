"""Translate calls written the way other tools do into this language, for help lines.

All of it is text: the pieces between blanks, or between the commas of `Conv2D(32, 3)`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from incgen.language import elsewhere
from incgen.language import expressions as ex
from incgen.language.initializers import RULES
from incgen.language.ops import OPS
from incgen.language.signatures import Kind, Op, Signature
from incgen.syntax import tree as st

#: Written arguments by name.
Pair = tuple[str, str]


_NUMBER = re.compile(r"\d+")
_DECIMAL = re.compile(r"\d+\.?\d*(e-?\d+)?")
_NAME = re.compile(r"[A-Za-z_]\w*")
_WINDOW = re.compile(r"(\d+|\{[^{}]*\})x(\d+|\{[^{}]*\})(/(\d+|\{[^{}]*\})(x(\d+|\{[^{}]*\}))?)?")
#: A window with a variable without braces, such as `3xk`.
_LOOSE = re.compile(r"(\d+|[A-Za-z_]\w*?)x(\d+|[A-Za-z_]\w*)")


def takes_of(name: str) -> Op | None:
    """Return an op by its name here or elsewhere; None if it is unknown."""
    return OPS.get(elsewhere.called_here(name) or name)


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
    """Translate a call of another tool into this language; return None if that is unclear.

    It is called so elsewhere; the frameworks' classes do not pad by default.

    >>> translated(takes_of("Conv2D"), ["32", "(3, 3)"], [("strides", "2"), ("padding", "same")])
    'conv 3x3/2 32 pad=same'
    >>> translated(takes_of("Conv2d"), ["3", "64", "3"], [], "Conv2d")
    'conv 3x3 64 pad=valid'
    >>> translated(takes_of("dense"), ["10"], [("activation", "relu")])
    'dense 10 -> relu'
    """
    call = _Translation(takes)
    sound = all(call.attribute(name, value) for name, value in attributes)
    if not sound or not call.place(list(positional)):
        return None
    if re.fullmatch(r"[A-Z]\w*2[dD]", called):
        call.unpadded()
    return call.text()


#: Bare numbers in the order of frameworks' classes: the fewest that can be meant so, and what they
#: are; by what an op takes by position, with a `=` where it is given by name, or by its own name.
_CLASSES = {
    "window channels": (3, "input channels window stride pad"),
    "window= channels": (2, "input channels"),
    "window": (2, "window stride pad"),
    "features": (2, "input features"),
    "bn": (1, "input"),
}


@dataclass(slots=True)
class _Translation:
    """One call being translated."""

    takes: Signature  #: What the callee accepts
    label: str = ""  #: The name that the call gives its layer
    #: The arguments so far, by their names here
    arguments: dict[str, str] = field(default_factory=dict)
    stride: str = ""  #: A stride that is not yet behind its window
    behind: list[str] = field(default_factory=list)  #: Ops that follow

    def attribute(self, name: str, value: str) -> bool:
        """Take an argument by name; return whether it can be expressed here."""
        plain = value.lower() if value in ("True", "False", "None") else value
        if self.takes.known(name):
            return self.say(name, plain)
        meaning = elsewhere.meaning(self.takes, name)
        written = None if meaning is None else _value(meaning, plain)
        if meaning is None or written is None:
            return False
        match meaning.here:
            case "-":
                return True
            case ":":
                self.label = written if _NAME.fullmatch(written) else ""
                return bool(self.label)
            case "/":
                self.stride = _stride(written)
                return bool(self.stride)
            case "->":
                return self.apply(name, written)
            case names:
                return all(self.say(part, written) for part in names.split())

    def apply(self, name: str, value: str) -> bool:
        """Take an activation or normalisation as an op after the call."""
        if value in ("none", "false", "linear", "null"):
            return True
        if value == "true":
            value = "bn" if name in ("batch_norm", "use_bn", "bn", "norm") else name
        here = elsewhere.called_here(value)
        if here is None or here not in OPS or OPS[here].positional:
            return False
        self.behind.insert(0 if here == "bn" else len(self.behind), here)
        return True

    def say(self, name: str, value: str) -> bool:
        """Take an argument by its name here; return whether it is new."""
        new = name not in self.arguments
        self.arguments.setdefault(name, value)
        return new

    def place(self, loose: list[str]) -> bool:
        """Place the positional arguments; return whether all required ones are there."""
        simple = all(_NUMBER.fullmatch(text) or _NAME.fullmatch(text) for text in loose)
        if simple and any(map(_NUMBER.fullmatch, loose)):
            self.take_as_class(loose)
        free = [a for a in self.takes.positional if a.name not in self.arguments]
        for argument in [a for a in free if a.kind is Kind.WORD]:
            word = next((text for text in loose if text in argument.words), None)
            if word is not None:
                self.arguments[argument.name] = word
                loose.remove(word)
                free.remove(argument)
        window = next((a for a in free if a.kind is Kind.WINDOW), None)
        if window is not None and loose:
            self.arguments[window.name] = loose.pop(_window_among(loose, len(free)))
            free.remove(window)
        if len(loose) > len(free):
            return False
        self.arguments.update((a.name, value) for a, value in zip(free, loose, strict=False))
        lacks = any(a.name not in self.arguments and not a.must for a in self.takes.positional)
        return not lacks and self.write_windows()

    def take_as_class(self, loose: list[str]) -> None:
        """Take bare numbers in the order of a class: `Conv2d(3, 64, 3, 2)`, `Linear(512, 10)`."""
        names = [f"{a.name}{'=' * (a.name in self.arguments)}" for a in self.takes.positional]
        fewest, order = _CLASSES.get(" ".join(names) or self.takes.name, (1, ""))
        if not fewest <= len(loose) <= len(order.split()):
            return
        if "pad" in order and not self.takes.known("pad"):
            return
        for name, number in zip(order.split(), loose, strict=False):
            if name == "stride":
                self.stride = self.stride or number
            elif name != "input" and (name, number) != ("pad", "0"):
                self.arguments[name] = number
        loose.clear()

    def unpadded(self) -> None:
        """State that nothing is padded, if that matters and nothing is stated."""
        if self.takes.known("pad") and self.arguments.get("window", "1x1")[:3] != "1x1":
            self.arguments.setdefault("pad", "valid")

    def write_windows(self) -> bool:
        """Write windows and the stride as windows; return whether they can be."""
        pools = self.takes.name.endswith("pool") and "adaptive" not in self.takes.name
        for argument in self.takes.arguments:
            if argument.kind is not Kind.WINDOW or argument.name not in self.arguments:
                continue
            written = self.arguments[argument.name]
            text = window_text(written)
            if text is None:
                return False
            if pools and _NUMBER.fullmatch(written) and not self.stride:
                self.stride = written  # elsewhere, poolings stride by their window
            if self.stride and "/" not in text:
                text += "" if self.stride == "1" else f"/{self.stride}"
                self.stride = ""
            self.arguments[argument.name] = text
        return self.stride in ("", "1")

    def text(self) -> str:
        """Return the call."""
        first = [argument.name for argument in self.takes.positional]
        ours = [self.arguments[name] for name in first if name in self.arguments]
        named = [f"{name}={v}" for name, v in self.arguments.items() if name not in first]
        label = f"{self.label}: " if self.label else ""
        return label + " -> ".join([" ".join([self.takes.name, *ours, *named]), *self.behind])


def window_text(text: str) -> str | None:
    """Write an intended window as a window; return None if that is unclear.

    >>> [window_text(text) for text in ("3", "k", "(3, 5)", "[k, 1]", "3xk", "(3x3/2)", "(k + 2)")]
    ['3x3', '{k}x{k}', '3x5', '{k}x1', '3x{k}', '3x3/2', '{k + 2}x{k + 2}']
    """
    bare = text[1:-1] if text.startswith("(") else text
    if _WINDOW.fullmatch(bare):
        return bare
    loose = _LOOSE.fullmatch(text)
    if loose:
        return f"{_part(loose[1])}x{_part(loose[2])}"
    parts = _parts(text)
    if len(parts) == 1:
        parts *= 2
    return "x".join(map(_part, parts)) if len(parts) == 2 and all(parts) else None


def _stride(text: str) -> str:
    """Write an intended stride as it follows `/`; return "" if that is unclear."""
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
    """Return the index of the argument intended as the window."""
    for index, text in enumerate(loose):
        if _WINDOW.fullmatch(text) or _LOOSE.fullmatch(text) or text[:1] == "[" or "," in text:
            return index
    first_two = loose[:2]
    if wanted >= 2 and len(first_two) == 2 and all(map(_NUMBER.fullmatch, first_two)):
        return 0 if int(first_two[0]) <= int(first_two[1]) else 1
    return 0


def _value(meaning: elsewhere.Meaning, value: str) -> str | None:
    """Translate the value of another tool's argument into this language."""
    if meaning.only is not None:
        return meaning.only.get(value)
    value = meaning.values.get(value, value)
    return _TURNS[meaning.turn](value) if meaning.turn else value


def _sides(value: str) -> str:
    """Write a padding of `(1, 2)` as `1x2`."""
    parts = _parts(value)
    return "x".join(map(_part, parts)) if len(parts) == 2 else value


def _rest(value: str) -> str | None:
    """Return 1 minus a number, without the noise of binary fractions."""
    return f"{1 - float(value):.12g}" if _DECIMAL.fullmatch(value) else None


def _kept(value: str) -> str | None:
    """Return what a momentum keeps: PyTorch's, which is small, weights the new value."""
    small = _DECIMAL.fullmatch(value) and float(value) < 0.5
    return _rest(value) if small else value


#: The functions that the table of arguments names.
_TURNS: Mapping[str, Callable[[str], str | None]] = {
    "sides": _sides,
    "rest": _rest,
    "kept": _kept,
    "number": lambda value: value if _DECIMAL.fullmatch(value) else None,
    "diameter": lambda value: str(2 * int(value) + 1) if _NUMBER.fullmatch(value) else None,
    "initializer": lambda value: value if value.partition("(")[0] in RULES else None,
}


def input_line(text: str) -> str:
    """Write an input with the numbers in a text.

    >>> input_line(" 3x224x224 order=rgb"), input_line("(300, 224, 3)")
    ('input 224x224 3', 'input 300x224 3')
    """
    numbers = re.findall(r"[0-9]+", re.split(r"\b(?:order|range|mean|std)\s*=", text)[0])
    if len(numbers) == 4:  # with a batch
        numbers = numbers[1:]
    if len(numbers) != 3:
        return "input 224x224 3"
    if int(numbers[0]) <= 4 < int(numbers[2]):  # channels first
        numbers = [*numbers[1:], numbers[0]]
    return f"input {numbers[0]}x{numbers[1]} {numbers[2]}"
