"""Look up other tools' names of ops, arguments and settings in `grammar/elsewhere.toml`.

Names are compared without case, underscores and the frameworks' `2d`: `MaxPool2d`, `max_pooling`
and `maxpool` are the same.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Final

from incgen.base.help import Help, offered, put
from incgen.base.resources import folder
from incgen.language.ops import OPS
from incgen.language.signatures import Kind, Signature, Takes

#: The words that join branches.
JOINS: Final = ("concat", "add", "mul")


@dataclass(frozen=True)
class Meaning:
    """The meaning of another tool's argument; the fields are described in the table."""

    here: str
    words: str
    why: str = ""
    values: Mapping[str, str] = field(default_factory=dict)
    only: Mapping[str, str] | None = None
    turn: str = ""

    def fits(self, takes: Signature) -> bool:
        """Return whether a call can take this."""
        if self.here == "/":
            return takes.known("window") or any(a.kind is Kind.WINDOW for a in takes.attributes)
        return self.here in ("->", ":", "-") or all(map(takes.known, self.here.split()))

    def reason(self, takes: Signature, word: str) -> str:
        """Return why the argument is written differently here, as the end of a help line."""
        if self.why:
            return self.why.replace("<name>", word)
        if any(self.here == argument.name for argument in takes.positional):
            return f"`{word}` is the {self.here}, given by position"
        return f"`{word}` is called `{self.here}` here"


@cache
def _table() -> Mapping[str, Any]:
    return tomllib.loads((folder("grammar") / "elsewhere.toml").read_text("utf-8"))


@cache
def called() -> Mapping[str, str]:
    """Return the ops that have other names elsewhere, by those names."""
    return {word: here for here, words in _table()["ops"].items() for word in words.split()}


@cache
def lacked() -> Mapping[str, Help]:
    """Return what to do without an op that the language lacks, by its names elsewhere."""
    lacked = {}
    for row in _table()["lacking"]:
        help_ = Help(row["help"], *put("")) if row.get("leave_out") else offered(row["help"])
        lacked.update(dict.fromkeys(row["words"].split(), help_))
    return lacked


@cache
def _meanings() -> Mapping[str, list[Meaning]]:
    rows = [Meaning(**row) for row in _table()["argument"]]
    words = {word for row in rows for word in row.words.split()}
    return {word: [row for row in rows if word in row.words.split()] for word in words}


def meaning(takes: Signature, word: str) -> Meaning | None:
    """Return what another tool's argument is for a call; None if nothing."""
    options = [*_meanings().get(word, ()), *_meanings().get(word.lower(), ())]
    return next((option for option in options if option.fits(takes)), None)


def preset(name: str) -> str | None:
    """Return the preset that another word names; None if it is unknown."""
    here: str | None = _table()["presets"].get(name.lower())
    return here


def initializer(name: str) -> str | None:
    """Return what to write for another tool's initialiser; None if it is unknown."""
    here: str | None = _table()["initializers"].get(name.removesuffix("_"))
    return here


#: A number above 0 as a setting takes it.
_NUMBER = r"\b[0-9][0-9.]*(?:e-?[0-9]+)?"


def setting(name: str, value: str) -> str | None:
    """Return what to type for another tool's setting of a training; None if it is unknown.

    >>> setting("lr", "0.5"), setting("scheduler", "step"), setting("batch", "8")
    ('rate 0.5', 'rate 0.1 -> cosine', None)
    """
    rows: dict[str, str] = _table()["settings"]
    here = next((here for here, words in rows.items() if folded(name) in words.split()), None)
    if here and re.fullmatch(_NUMBER, value):
        return re.sub(f"{_NUMBER}$", value, here)
    return here


def setting_of_class(name: str, inner: str) -> str | None:
    """Return what to type for a class of a framework with its arguments; None if it is unknown.

    >>> setting_of_class("torch.optim.SGD", "model.parameters(), lr=0.1, momentum=0.9")
    'optimizer sgd momentum=0.9; rate 0.1'
    """
    here: str | None = _table()["classes"].get(folded(name.rpartition(".")[2]))
    if here is None:
        return None
    given = dict(re.findall(rf"\b(\w+)\s*=\s*({_NUMBER})", inner.replace(",", " ")))
    rate = given.get("lr", given.get("learning_rate"))
    momentum = f" momentum={given['momentum']}" if "momentum" in given and "sgd" in here else ""
    return f"{here}{momentum}" + (f"; rate {rate}" if rate else "")


def transform(name: str) -> str | None:
    """Return what another tool's transform of images is called here; None if it is unknown."""
    words: dict[str, str] = _table()["transforms"]
    return next((here for here, other in words.items() if folded(name) in other.split()), None)


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
    if plain in lacked():
        return None
    rest, dimensions = _without_dimensions(plain)
    here = next((t[w] for w in (plain, rest) for t in (_OURS, called()) if w in t), None)
    of_map = here is not None and here in OPS and OPS[here].takes is Takes.MAP
    return None if of_map and dimensions in ("1", "3") else here  # maps have two


def lacking(name: str) -> Help | None:
    """Return advice for an op that the language lacks; "" if there is none, None if unknown.

    >>> lacking("Upsample") == lacking("upsampling2d"), lacking("tile"), lacking("conv")
    (True, '', None)
    """
    plain = folded(name)
    rest, dimensions = _without_dimensions(plain)
    advice = lacked().get(plain, lacked().get(rest))
    if advice is None and dimensions in ("1", "3") and (rest in _OURS or rest in called()):
        return Help("")
    return advice


def _without_dimensions(plain: str) -> tuple[str, str]:
    """Split the `2d` of frameworks off a name; return the name and the digit."""
    parts = re.fullmatch(r"(.+?)([123])d", plain)
    return (parts[1], parts[2]) if parts else (plain, "")


def made_of_ops(name: str, known: Collection[str]) -> str | None:
    """Split a name such as `conv_bn_relu` into a chain of ops; None if it is not one.

    >>> made_of_ops("conv_bn_relu", OPS), made_of_ops("ConvBNReLU", OPS), made_of_ops("con", OPS)
    ('conv -> bn -> relu', 'conv -> bn -> relu', None)
    """
    rest, parts = folded(name), list[str]()
    if len(rest) > 40:
        return None
    longest_first = sorted(known, key=lambda op: -len(folded(op)))
    while rest:
        op = next((op for op in longest_first if rest.startswith(folded(op))), None)
        if op is None:
            return None
        parts.append(op)
        rest = rest.removeprefix(folded(op))
    return " -> ".join(parts) if len(parts) > 1 else None


def body_help(name: str) -> Help | None:
    """Return what to type for another tool's word before a body; None if unknown."""
    here = called_here(name)
    if here in JOINS:
        return Help(f"here it is called `{here}`: write `{here} {{`", *put(here))
    return lacking(name) or None
