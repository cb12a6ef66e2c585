"""Constructors and functions of generated code take words that the spec knows, and no others."""

from __future__ import annotations

import inspect
from typing import Any, Literal

import pytest

import incgen

SPEC = """
numerics torch
unit pooled = pool -> relu

block part(kind, border, least = erf) {
    pool kind 3x3/2 pad=border
    gelu least
}

network net(kind = max, border = half, variance = biased, least = erf) {
    input 9x9 4
    a: part kind border least
    b: pooled kind 2x2/1 pad=valid
    c: conv 3x3/2 2 pad=border
    d: bn variance=variance
}
"""
TORCH, KERAS = (incgen.load("net.inc", target, text=SPEC) for target in ("torch", "keras"))
MAKERS = pytest.mark.parametrize("make", [TORCH.Net, KERAS.net], ids=["torch", "keras"])


@MAKERS
@pytest.mark.parametrize(
    "words",
    [
        {},
        {"kind": "avg", "border": "same"},
        {"kind": "max", "border": "valid", "variance": "unbiased", "least": "tanh"},
    ],
)
def test_known_words_are_taken(make: Any, words: dict[str, str]) -> None:
    make(**words)


@MAKERS
@pytest.mark.parametrize(
    ("name", "value", "known"),
    [
        ("kind", "MAX", "max, avg"),
        ("kind", "average", "max, avg"),
        ("kind", 1, "max, avg"),
        ("border", "Same", "half, same, valid"),
        ("border", "reflect", "half, same, valid"),
        ("border", 2, "half, same, valid"),
        ("variance", "none", "unbiased, biased"),
        ("least", None, "erf, tanh"),
    ],
)
def test_other_words_are_refused(make: Any, name: str, value: Any, known: str) -> None:
    with pytest.raises(ValueError) as caught:
        make(**{name: value})

    assert str(caught.value) == f"{name}={value!r} is none of: {known}"


def test_words_are_typed_wherever_they_are_taken() -> None:
    kinds, forms = Literal["max", "avg"], Literal["erf", "tanh"]
    for makers in ((TORCH.Net, TORCH.Part), (KERAS.net, KERAS.part)):
        for make in makers:
            types = inspect.get_annotations(make.__init__ if isinstance(make, type) else make)
            assert (types["kind"], types["least"]) == (kinds, forms)


def test_units_and_blocks_refuse_them_too() -> None:
    known = r"^kind='MEAN' is none of: max, avg$"
    with pytest.raises(ValueError, match=known):
        TORCH.Part("MEAN", "half")
    with pytest.raises(ValueError, match=known):
        TORCH.Pooled("MEAN", 2)
    with pytest.raises(ValueError, match=known):
        KERAS.part(None, "MEAN", "half", name="a")
    with pytest.raises(ValueError, match=known):
        KERAS.pooled(None, "MEAN", 2, name="a")
