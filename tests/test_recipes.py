"""Recipes as they are read: values, defaults, inheritance, other files; and how they are shown."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from incgen.base.diagnostics import Reporter, SpecError
from incgen.compiling import RequestError, compile_recipe, compile_spec
from incgen.language import elsewhere
from incgen.recipes import recipe as rp
from incgen.recipes import show
from incgen.recipes.forms import Form
from incgen.recipes.table import SETTINGS, TRANSFORMS

NETWORK = """numerics torch

network small(classes = 10) {
    input 28x28 3 range=[0, 1]
    a: conv 3x3 8
    global_avg_pool
    logits: dense classes
}
"""
LEAST = {"epochs": "2", "batch": "32", "optimizer": "sgd", "rate": "0.1"}


def read(settings: str) -> rp.Recipe:
    """Return a recipe of the least settings, with others in place of them."""
    lines = settings.splitlines()
    said = {line.split()[0] for line in lines}
    said |= {"epochs"} if "steps" in said else set()
    least = [f"{name} {value}" for name, value in LEAST.items() if name not in said]
    return whole([*least, *lines])


def whole(lines: list[str]) -> rp.Recipe:
    """Return a recipe of these lines."""
    text = "\n".join([NETWORK, "recipe r for small {", *lines, "}"])
    return compile_recipe("r.inc", "r", text=text)[1]


def test_what_the_least_recipe_means() -> None:
    assert read("") == rp.Recipe(
        name="r",
        doc="",
        file="r.inc",
        network="small",
        settings={},
        length=rp.Duration(2, "epochs"),
        batch=32,
        synchronized=False,
        shuffle=rp.Shuffle("full", None),
        loss=rp.Loss(smoothing=0, heads=0),
        l2=None,
        optimizer=rp.Sgd(momentum=0, nesterov=False, rate_inside=False),
        rate=rp.Rate(0.1, None, None, "step"),
        clip=None,
        average=None,
        train=(),
        evaluate=(),
    )


@pytest.mark.parametrize(
    ("line", "attribute", "value"),
    [
        ("steps 500", "length", rp.Duration(500, "steps")),
        ("epochs 0.5", "length", rp.Duration(0.5, "epochs")),
        ("batch 8 synchronized=true", "synchronized", True),
        ("shuffle shards 1024", "shuffle", rp.Shuffle("shards", 1024)),
        ("shuffle once", "shuffle", rp.Shuffle("once", None)),
        ("shuffle none", "shuffle", rp.Shuffle("none", None)),
        ("loss cross_entropy smoothing=0.1", "loss", rp.Loss(0.1, 0)),
        ("l2 4e-5", "l2", 4e-5),
        ("optimizer sgd momentum=0.9 nesterov=true", "optimizer", rp.Sgd(0.9, True, False)),
        ("optimizer sgd momentum=0.9 rate=inside", "optimizer", rp.Sgd(0.9, False, True)),
        (
            "optimizer rmsprop tf decay=0.9 momentum=0.9 eps=1",
            "optimizer",
            rp.RmsProp("tf", 0.9, 0.9, 1),
        ),
        ("optimizer adam", "optimizer", rp.Adam(0.9, 0.999, 1e-8, None)),
        (
            "optimizer adamw beta2=0.99 eps=1e-6 decay=0.05",
            "optimizer",
            rp.Adam(0.9, 0.99, 1e-6, 0.05),
        ),
        ("clip norm 2", "clip", rp.Clip("norm", 2)),
        ("clip value 1/2", "clip", rp.Clip("value", 0.5)),
        ("average 0.9999", "average", rp.Average(0.9999, False)),
        ("average 0.99 ramp=true", "average", rp.Average(0.99, True)),
    ],
)
def test_a_setting(line: str, attribute: str, value: object) -> None:
    if "1/2" in line:  # an operator needs parentheses
        line = line.replace("1/2", "(1/2)")
    assert getattr(read(line), attribute) == value


@pytest.mark.parametrize(
    ("line", "warmup", "schedule"),
    [
        ("cosine", None, rp.Cosine(0)),
        ("cosine to=0.001", None, rp.Cosine(0.001)),
        ("polynomial 2", None, rp.Polynomial(2, 0)),
        (
            "exponential 0.94 every 0.5 epochs",
            None,
            rp.Exponential(0.94, rp.Duration(0.5, "epochs"), False),
        ),
        (
            "exponential 0.94 every 1 step smooth=true",
            None,
            rp.Exponential(0.94, rp.Duration(1, "steps"), True),
        ),
        (
            "steps 0.1 at [30, 60] epochs",
            None,
            rp.Steps(0.1, (rp.Duration(30, "epochs"), rp.Duration(60, "epochs"))),
        ),
        ("warmup 5 epochs", rp.Warmup(rp.Duration(5, "epochs"), 0), None),
        (
            "warmup 10 steps start=0.1 -> cosine",
            rp.Warmup(rp.Duration(10, "steps"), 0.1),
            rp.Cosine(0),
        ),
    ],
)
def test_a_schedule(line: str, warmup: rp.Warmup | None, schedule: rp.Schedule | None) -> None:
    assert read(f"rate 0.1 per=epoch -> {line}").rate == rp.Rate(0.1, warmup, schedule, "epoch")


def test_transforms_take_their_size_from_the_network() -> None:
    recipe = read(
        "train { crop area=[0.08, 1] aspect=[3/4, 4/3] interpolation=random -> flip\n"
        "color brightness=0.125 saturation=[0.5, 1.5] }\n"
        "evaluate { resize 32 -> ten_crop }"
    )

    crop = {
        "size": 28,
        "area": (0.08, 1.0),
        "aspect": (0.75, 4 / 3),
        "interpolation": "random",
    }
    color = {"brightness": 0.125, "contrast": None, "saturation": (0.5, 1.5), "hue": 0.0}
    assert recipe.train == (
        rp.Transform("crop", crop),
        rp.Transform("flip", {"p": 0.5}),
        rp.Transform("color", color),
    )
    assert recipe.evaluate == (
        rp.Transform("resize", {"size": 32}),
        rp.Transform("ten_crop", {"size": 28}),
    )


def test_a_recipe_replaces_lines_of_the_one_that_it_is_made_from() -> None:
    parent = "recipe p for small classes=7 { batch 64; epochs 9; rate 1 -> cosine; optimizer adam }"
    text = f"{NETWORK}\n{parent}\n## Ours.\nrecipe r from p {{ rate 2; steps 5 }}\n"

    graph, recipe = compile_recipe("r.inc", "r", text=text)

    assert recipe.rate == rp.Rate(2, None, None, "step")  # the whole line, with its schedule
    assert recipe.length == rp.Duration(5, "steps")
    assert (recipe.batch, recipe.optimizer) == (64, rp.Adam(0.9, 0.999, 1e-8, None))
    assert (recipe.doc, recipe.name) == ("Ours.", "r")
    assert graph.parameters == {"classes": 7}
    graph, recipe = compile_recipe("r.inc", "r", {"classes": 5}, text=text)
    assert graph.parameters == {"classes": 5}  # what the user sets comes first


def test_a_recipe_of_another_file(tmp_path: Path) -> None:
    least = "\n".join(f"{name} {value}" for name, value in LEAST.items())
    (tmp_path / "net.inc").write_text(f"{NETWORK}\nrecipe p for small {{\n{least}\n}}\n")
    (tmp_path / "mine.inc").write_text(
        'use small, p from "net.inc"\n'
        "let wide = 12\n"
        "recipe a from p { batch (wide * 2) }\n"
        f"recipe b for small classes=wide {{\n{least}\n}}\n"
    )

    graph, recipe = compile_recipe(tmp_path / "mine.inc", "a")
    assert (recipe.batch, graph.parameters["classes"]) == (24, 10)
    graph, recipe = compile_recipe(tmp_path / "mine.inc", "b", {"wide": 3})
    assert graph.parameters["classes"] == 3
    (tmp_path / "base.inc").write_text(
        f'use small from "net.inc"\nlet wide = 5\nrecipe c for small classes=wide {{\n{least}\n}}\n'
    )
    (tmp_path / "yours.inc").write_text(
        'use c from "base.inc"\nlet wide = 8\nrecipe d from c { batch wide }\n'
    )
    graph, recipe = compile_recipe(tmp_path / "yours.inc", "d", {"wide": 16})
    assert (recipe.batch, graph.parameters["classes"]) == (16, 5)  # each file has its own constants
    graph, recipe = compile_recipe(tmp_path / "mine.inc", "b", {"classes": 4})
    assert graph.parameters["classes"] == 4
    with pytest.raises(SpecError, match="no-network"):
        compile_spec(tmp_path / "mine.inc")


def test_a_constant_that_only_a_recipe_uses_is_used() -> None:
    least = "\n".join(f"{name} {value}" for name, value in LEAST.items() if name != "batch")
    text = f"{NETWORK}let many = 48\nrecipe r for small {{\n{least}\nbatch many\n}}\n"
    report = Reporter()

    assert compile_recipe("r.inc", "r", text=text, report=report)[1].batch == 48
    assert not report.diagnostics


def test_a_value_that_the_user_gives_is_not_blamed_on_the_recipe() -> None:
    least = "\n".join(f"{name} {value}" for name, value in LEAST.items())
    text = f"{NETWORK}recipe r for small classes=3 {{\n{least}\n}}\n"

    with pytest.raises(RequestError, match="no constant `clases`: did you mean `classes`"):
        compile_recipe("r.inc", "r", {"clases": 4}, text=text)


def test_a_recipe_that_is_not_there() -> None:
    text = f"{NETWORK}recipe one for small {{}}\nrecipe two for small {{}}\n"

    with pytest.raises(RequestError, match="no recipe `on`: did you mean `one`"):
        compile_recipe("r.inc", "on", text=text)
    with pytest.raises(RequestError, match="there are `one` and `two`"):
        compile_recipe("r.inc", "x5", text=text)
    with pytest.raises(RequestError, match="it has none"):
        compile_recipe("r.inc", "x5", text=NETWORK)


def forms() -> list[tuple[str, Form]]:
    """Return what help can offer, as whole lines."""
    lines = []
    for setting in SETTINGS.values():
        lines += [(form.usage(setting.name), form) for form in setting.forms.values()]
        lines += [(f"rate 0.1 -> {form.usage()}", form) for form in setting.parts.values()]
    for name, table in TRANSFORMS.items():
        for form in table.values():
            crop = " -> center_crop" if form.name == "resize" else ""
            lines.append((f"{name} {{ {form.usage()}{crop} }}", form))
    return lines


@pytest.mark.parametrize("line", [line for line, _ in forms()])
def test_what_help_offers_can_be_typed(line: str) -> None:
    read(line)


@pytest.mark.parametrize(
    "word", ["lr", "learning_rate", "batchSize", "weight_decay", "EMA", "label_smoothing"]
)
def test_what_other_tools_say_has_a_line_here(word: str) -> None:
    line = elsewhere.setting(word, "")
    assert line is not None
    read(line)


def test_how_a_recipe_is_shown() -> None:
    text = f"""{NETWORK}
        ## Two lines
        ## of words.
        recipe r for small classes=3 {{
            epochs 3
            batch 10
            optimizer sgd momentum=0.9
            rate 0.5 -> warmup 1 epoch -> steps 0.1 at [2] epochs
            clip norm 2
            average 0.9
            train {{ random_crop pad=4 -> flip }}
        }}
    """
    graph, recipe = compile_recipe("r.inc", "r", text=text)

    # 29 examples: 2 steps of an epoch
    assert show.page(graph, recipe, 29) == (
        "r: trains small, 251 parameters\n"
        "  Two lines\n"
        "  of words.\n"
        "\n"
        "network    classes=3\n"
        "epochs     3\n"
        "batch      10\n"
        "shuffle    full\n"
        "loss       cross_entropy smoothing=0\n"
        "l2         the network's own\n"
        "optimizer  sgd momentum=0.9 nesterov=false rate=outside\n"
        "rate       0.5 -> warmup 1 epoch -> steps 0.1 at [2] epochs\n"
        "clip       norm 2\n"
        "average    0.9\n"
        "train      random_crop 28 pad=4 border=zero -> flip 0.5\n"
        "\n"
        "29 examples: 2 steps of an epoch, 6 in all, 60 images\n"
        "\n"
        "step  epoch  rate  images\n"
        "   0   0.00     0       0\n"
        "   2   1.00   0.5      20\n"
        "   4   2.00  0.05      40\n"
        "   5   2.50  0.05      50\n"
    )
    shown = json.loads(show.as_json(graph, recipe, 29))
    assert shown["recipe"]["optimizer"]["name"] == "sgd"
    assert [row["rate"] for row in shown["schedule"]["rates"]] == [0, 0.5, 0.05, 0.05]


@pytest.mark.parametrize("weight", ["0", "0.3"])
def test_the_weight_of_heads_is_shown_if_there_are_any(weight: str) -> None:
    head = "    aux side { global_avg_pool; dense classes }\n    global_avg_pool"
    text = NETWORK.replace("    global_avg_pool", head)
    text += "recipe r for small { batch 32; epochs 2; optimizer sgd; rate 0.1\n"
    text += f"loss cross_entropy heads={weight} }}"
    assert f"\nloss       cross_entropy smoothing=0 heads={weight}\n" in show.page(
        *compile_recipe("r.inc", "r", text=text), 1000
    )


@pytest.mark.parametrize("line", [line for line, _ in forms()])
def test_what_is_shown_can_be_typed(line: str) -> None:
    recipe = read(line)
    page = show.page(compile_spec("r.inc", text=NETWORK), recipe, 1000).split("\n\n")[1]

    typed = []
    for name, said in (row.split(None, 1) for row in page.splitlines()):
        if "network's own" not in said:
            typed.append(f"{name} {{ {said} }}" if name in TRANSFORMS else f"{name} {said}")

    assert whole(typed) == recipe
