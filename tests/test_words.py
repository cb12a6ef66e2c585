"""Constructors and functions of generated code accept exactly the words that the spec knows."""

from __future__ import annotations

import inspect
from functools import partial
from typing import Any, Literal

import pytest
from flax import nnx

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
TORCH, KERAS, FLAX = (
    incgen.load("net.inc", target, text=SPEC) for target in ("torch", "keras", "flax")
)
MAKERS = pytest.mark.parametrize(
    "make",
    [TORCH.Net, KERAS.net, partial(FLAX.Net, rngs=nnx.Rngs(0))],
    ids=["torch", "keras", "flax"],
)


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

    assert str(caught.value) == f"{name}={value!r} is not one of {known}"


def test_words_are_typed_wherever_they_are_taken() -> None:
    wanted = {
        "kind": Literal["max", "avg"],
        "border": Literal["half", "same", "valid"],
        "least": Literal["erf", "tanh"],
    }
    for makers in ((TORCH.Net, TORCH.Part), (KERAS.net, KERAS.part), (FLAX.Net, FLAX.Part)):
        for make in makers:
            types = types_of(make)
            assert {name: types[name] for name in wanted} == wanted


def types_of(make: Any) -> dict[str, Any]:
    return inspect.get_annotations(make.__init__ if isinstance(make, type) else make)


#: Blocks around a convolution, and the types of `border` in the inner and the outer one.
HANDED_ON = {
    "seen": (
        "i: inner border",
        "a: outer half; b: outer valid; c: inner same",
        Literal["half", "same", "valid"],
        Literal["half", "same", "valid"],
    ),
    "taken in both": (
        "i: inner border; c: conv 3x3 4 pad=border",
        "a: outer half; b: inner same",
        Literal["half", "same"],
        Literal["half"],
    ),
    "numbers too": (
        "i: inner border",
        "a: outer half; b: outer 1",
        int | Literal["half"],
        int | Literal["half"],
    ),
    "not built": (
        "if border == half { i: inner border }; c: conv 3x3 4 pad=border",
        "a: outer half; b: outer valid",
        Literal["half"],
        Literal["half", "valid"],
    ),
    "compared": (
        "if border == same { relu }; i: inner border; c: conv 3x3 4 pad=border",
        "a: outer half; b: inner same",
        Literal["half", "same"],
        Literal["half", "same"],
    ),
}


@pytest.mark.parametrize("case", HANDED_ON)
def test_what_is_handed_on_is_typed_by_what_takes_it(case: str) -> None:
    body, uses, inner, outer = HANDED_ON[case]
    lines = "\n".join(uses.split("; "))
    spec = f"""
numerics torch
block inner(border) {{ c: conv 3x3 4 pad=border }}
block outer(border) {{ {body} }}
network net {{
    input 29x29 3
    {lines}
}}
"""
    torch, keras = (incgen.load("net.inc", target, text=spec) for target in ("torch", "keras"))

    for of_torch, of_keras, wanted in (
        (torch.Inner, keras.inner, inner),
        (torch.Outer, keras.outer, outer),
    ):
        assert types_of(of_torch)["border"] == wanted
        assert types_of(of_keras)["border"] == wanted
    torch.Net()
    keras.net()


def test_a_default_that_no_use_keeps_is_taken_too() -> None:
    spec = """
numerics torch
block part(border = same) { c: conv 3x3/2 4 pad=border }
network net { input 9x9 3
    a: part half
}
"""
    torch, keras = (incgen.load("net.inc", target, text=spec) for target in ("torch", "keras"))

    for make in (torch.Part, keras.part):
        assert types_of(make)["border"] == Literal["half", "same"]
    torch.Part(3)


def test_sizes_tell_only_the_words_that_a_parameter_takes() -> None:
    spec = """
numerics torch
block inner(border) { c: conv 3x3/2 4 pad=border }
block outer(border) {
    i: inner border
    c: conv 5x5/2 4 pad=border
    d: dense 5
}
network net { input 29x29 3
    x: inner same
    y: concat { a: outer half; b: outer valid }
}
"""
    code = incgen.generate("net.inc", "torch", text=spec)

    assert '"same"' not in code.partition("class Outer(")[2].partition("\n\n\n")[0]


def test_a_word_that_is_only_compared_has_code_of_its_own() -> None:
    spec = """
numerics torch
block part(border) {
    if border == same { relu }
    c: conv 3x3/2 4 pad=border
}
network net { input 9x9 3
    a: part half
    b: part valid
}
"""
    part = incgen.load("net.inc", "torch", text=spec).Part

    kinds = {word: type(part(3, word).c).__name__ for word in ("half", "same", "valid")}
    assert kinds == {"half": "Conv2d", "same": "Conv2dSame", "valid": "Conv2d"}


def test_the_padding_of_a_unit_is_typed_by_its_words() -> None:
    spec = """
numerics torch
unit plain = conv -> relu
unit wide = conv -> relu
network net { input 9x9 3
    a: plain 3x3/2 4 pad=same
    b: plain 3x3 4 pad=valid
    c: wide 3x3/2 4 pad=1
}
"""
    torch, keras = (incgen.load("net.inc", target, text=spec) for target in ("torch", "keras"))

    words = Literal["same", "valid"]
    assert types_of(torch.Plain)["padding"] == int | Literal["same"]
    assert types_of(torch.Wide)["padding"] is int
    assert types_of(keras.plain)["padding"] == words
    assert types_of(keras.wide)["padding"] == int | tuple | words


ALIKE = """
numerics torch
block part(border, flag) {
    c: conv 3x3 3 pad=border
    if flag { relu } else { k: { if border == same { h: conv 1x1 3 } } }
    if flag { tanh } else { pool max 3x3/1 pad=border }
}
network net(border = half) {
    input 9x9 3
    a: part border true
}
"""


def test_words_with_one_result_are_one_case_in_torch() -> None:
    code = incgen.generate("net.inc", "torch", text=ALIKE)

    assert (
        """
        self.c = (
            nn.Conv2d(in_channels, 3, 3, padding=1)
            if border in ("half", "same")
            else nn.Conv2d(in_channels, 3, 3)
        )
"""
        in code
    )


def test_words_with_one_result_are_one_case_and_no_else_is_but_an_if_in_keras() -> None:
    code = incgen.generate("net.inc", "keras", text=ALIKE)

    assert (
        """
    x = layers.Conv2D(
        3,
        3,
        padding="same" if border in ("half", "same") else "valid",
        **NHWC,
        name=f"{name}-c",
    )(x)
    if flag:
        x = layers.ReLU(name=f"{name}-relu")(x)
    elif border == "same":
        x = layers.Conv2D(3, 1, **NHWC, name=f"{name}-k-h")(x)
    if flag:
        x = layers.Activation("tanh", name=f"{name}-tanh")(x)
    else:
        x = layers.MaxPooling2D(
            3,
            1,
            "same" if border in ("half", "same") else "valid",
            **NHWC,
            name=f"{name}-pool",
        )(x)
    return x
"""
        in code
    )


def test_units_and_blocks_refuse_them_too() -> None:
    known = r"^kind='MEAN' is not one of max, avg$"
    with pytest.raises(ValueError, match=known):
        TORCH.Part("MEAN", "half")
    with pytest.raises(ValueError, match=known):
        TORCH.Pooled("MEAN", 2)
    with pytest.raises(ValueError, match=known):
        FLAX.Part("MEAN", "half", rngs=nnx.Rngs(0))
    with pytest.raises(ValueError, match=known):
        FLAX.Pooled("MEAN", 2, rngs=nnx.Rngs(0))
    with pytest.raises(ValueError, match=known):
        KERAS.part(None, "MEAN", "half", name="a")
    with pytest.raises(ValueError, match=known):
        KERAS.pooled(None, "MEAN", 2, name="a")
