"""The recipes of the papers: their scripts compute what they say.

Each recipe trains a small network in every framework, and its own network, on images as small as
fit, in two of them.
"""

from __future__ import annotations

import re

import pytest
from _pytest.mark import ParameterSet
from small import NETWORK

from incgen.base.resources import folder
from incgen.compiling import compile_recipe
from incgen.syntax import tree as st
from incgen.syntax.loader import load
from incgen.verify import verify

SPECS = folder("specs")
#: The side of the smallest images that each network can take, with its heads, and how many of them.
#: The head of Inception v3 is made for maps of 17 x 17, which is 299.
IMAGES = {
    "bn_inception": (64, 2),
    "googlenet": (80, 2),
    "inception_v3_tf": (299, 1),
    "inception_v4": (299, 1),
    "inception_resnet_v1": (75, 2),
    "inception_resnet_v2": (299, 1),
    "xception": (40, 2),
}
RECIPES = {
    (path.stem, item.name.text)
    for path in SPECS.glob("*.inc")
    for item in load(path).spec.of(st.Recipe)
}
#: Those that every run of the tests verifies on a small network, in two frameworks.
OFTEN = {("googlenet", "paper", "torch keras"), ("inception_v3_tf", "paper", "torch keras")}
HEAD = "    aux early {\n        global_avg_pool\n        fc: dense classes\n    }\n"


def cases(*more: str) -> list[ParameterSet]:
    """Return all recipes, each with one of more values, of which most are for the slow tests."""
    triples = [(*case, value) for case in sorted(RECIPES) for value in more]
    slow = {False: (pytest.mark.slow,), True: ()}
    return [pytest.param(*case, marks=slow[case in OFTEN]) for case in triples]


@pytest.mark.parametrize(("spec", "recipe", "targets"), cases("torch keras", "flax"))
def test_scripts_train_a_small_network_as_a_paper_does(
    spec: str, recipe: str, targets: str
) -> None:
    _, paper = compile_recipe(SPECS / f"{spec}.inc", recipe)
    network = NETWORK if paper.loss.heads else NETWORK.replace(HEAD, "")
    first, rest = network.split("\n", 1)
    text = f'{first}\nuse {recipe} from "incgen:{spec}.inc"\n{rest}'
    text += f"recipe small_one for small from {recipe} {{\n    evaluate {{ center_crop }}\n}}\n"
    graph, compiled = compile_recipe("small.inc", "small_one", text=text)

    report = verify(graph, recipe=compiled, rungs=[5], dtypes=["float64"], targets=targets.split())

    assert report.passed, report


@pytest.mark.slow
@pytest.mark.parametrize(("spec", "recipe"), sorted(RECIPES))
def test_scripts_do_what_the_recipe_of_a_paper_says(spec: str, recipe: str) -> None:
    path, (side, batch) = SPECS / f"{spec}.inc", IMAGES[spec]
    text = re.sub(r"input \d+x\d+ ", f"input {side}x{side} ", path.read_text("utf-8"))
    graph, compiled = compile_recipe(path, recipe, {"classes": 5}, text=text)

    report = verify(
        graph,
        recipe=compiled,
        rungs=[5],
        dtypes=["float64"],
        targets=["torch", "keras"],
        batch=batch,
    )

    assert report.passed, report
