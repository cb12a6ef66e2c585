"""The identity of a training: another for other steps, the same in later versions."""

from __future__ import annotations

from dataclasses import field, make_dataclass, replace

import pytest
from small import spec

from incgen.compiling import compile_recipe
from incgen.recipes import recipe as rp
from incgen.recipes.identity import identity


def of(text: str) -> str:
    """Return the identity of the recipe of a spec."""
    return identity(*compile_recipe("spec.inc", "r", text=text))


@pytest.mark.parametrize(
    ("text", "digest"),
    [
        (spec(), "c8dae12b490fbc0c"),
        (spec(optimizer="rmsprop tf decay=0.9 eps=1", rate="0.1 -> cosine"), "29cde36c7e548fb1"),
        (spec(optimizer="adamw decay=0.05", rate="0.1 -> polynomial 2"), "c2262b41061620cf"),
    ],
)
def test_it_stays_the_same(text: str, digest: str) -> None:
    """If this fails, runs that were begun with an earlier version can no longer be resumed."""
    assert of(text) == digest


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("epochs 3", "epochs 4"),
        ("resize 9 -> center_crop", "center_crop"),
        ("3x3 6", "3x3 6 dilation=1"),
        ("momentum=0.9", "momentum=(1 - 0.1)"),
        ("for small {", "for small classes=3 {"),
    ],
)
def test_what_changes_no_step(old: str, new: str) -> None:
    assert old in spec()
    assert of(spec().replace(old, new)) == of(spec())


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("range=[-1, 1]", "range=[0, 1]"),
        ("8x8 3", "9x9 3"),
        ("bias=false ", ""),
        ("l2=0.01", "l2=0.02"),
        ("drop = 0.25", "drop = 0.5"),
        ("-> bn ->", "-> bn scale=false ->"),
        ("heads=0.3", "heads=0.4"),
        ("rate=inside", "rate=outside"),
        ("warmup 2 steps", "warmup 2 epochs"),
        ("every 0.5 epochs", "every 0.5 epochs smooth=true"),
        ("synchronized=true", ""),
        ("interpolation=random", ""),
        ("recipe r for small {", "recipe r for small {\n    l2 0"),
    ],
)
def test_what_changes_steps(old: str, new: str) -> None:
    assert old in spec()
    assert of(spec().replace(old, new)) != of(spec())


def test_the_length_counts_if_the_rate_depends_on_it() -> None:
    three, four = (spec(rate="0.1 -> cosine", epochs=count) for count in ("3", "4"))
    assert of(three) != of(four)


def test_which_layer_takes_what_counts() -> None:
    line = "    concat { a: conv 1x1 2; b: conv 1x1 2 }\n    global_avg_pool\n    dropout"
    text = spec().replace("    global_avg_pool\n    dropout", line)
    assert of(text.replace("a: conv 1x1 2", "a: conv 1x1 2 -> conv 1x1 2")) != of(text)


def test_what_a_later_version_can_state_counts_once_it_is_stated() -> None:
    graph, recipe = compile_recipe("spec.inc", "r", text=spec())
    more = [("more", float, field(default=0.0))]
    later = make_dataclass("Loss", more, bases=(rp.Loss,), frozen=True)
    digests = [
        identity(graph, replace(recipe, loss=later(0.1, 0.3, stated))) for stated in (0.0, 0.5)
    ]
    assert digests[0] == identity(graph, recipe) != digests[1]
