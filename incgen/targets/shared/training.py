"""Training scripts: the text of a script from a recipe, and what its templates get to know.

`train.py.jinja` of a target is a whole script. What is plain Python in every script is in
`templates/shared/train/`, which it includes; a file of the same name in the target's own folder
takes its place.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from typing import Any

from incgen.graph.nodes import Graph
from incgen.language.printing import plain
from incgen.recipes.identity import identity
from incgen.recipes.recipe import Duration, Recipe, Transform
from incgen.targets import TARGETS
from incgen.targets.shared.preamble import header, origin
from incgen.targets.shared.render import Printer
from incgen.targets.shared.style import PLAIN, Style
from incgen.targets.shared.text import docstring

#: How many random numbers an image gets, enough for every transform; docs/recipes.md lists them.
_NUMBERS = 32
#: The transforms that draw random numbers.
_RANDOM = ("crop", "random_crop", "flip", "color")
#: The crops that a transform of evaluation makes of an image.
_CROPS = {"ten_crop": 10, "multi_crop": 144}
#: The ops with a depthwise kernel.
_DEPTHWISE = ("depthwise_conv", "separable_conv")
#: The largest denominator of a fraction.
_DENOMINATOR = 16
#: What the data are: only grey images come in IDX files.
_DATA = {
    True: (
        "The folder has train/ and val/ with a folder of images for each class, or the IDX",
        "files of MNIST and its kin. `--help` lists the options.",
    ),
    False: (
        "The folder has train/ and val/ with a folder of images for each class. `--help`",
        "lists the options.",
    ),
}
#: The scales of `multi_crop`: the shorter side in sevenths of the crop, 256 to 352 for 224.
_SCALES = (8, 9, 10, 11)


@dataclass(frozen=True, slots=True)
class Step:
    """One transform of images as templates see it."""

    name: str  #: The name of the transform
    #: Height and width of the result, in pixels; for `resize` the shorter side, twice
    size: tuple[int, int]
    #: The other arguments. Also `sides` of `multi_crop`; the `least` height and width that a crop
    #: takes, what is said of `small` images, and whether that has to be `checked`
    args: dict[str, Any]


def file_name(network: str, recipe: str, target: str) -> str:
    """Return the name of a script."""
    return f"train_{network}_{recipe}_{target}.py"


def script(
    graph: Graph, recipe: Recipe, target: str, style: Style = PLAIN, *, module: str = ""
) -> str:
    """Return the source text of the script that trains a network by a recipe.

    Args:
        graph: The network, with the settings of the recipe.
        recipe: The recipe.
        target: The name of the target.
        style: How the code is written.
        module: The module of the model, if it is not `NETWORK_TARGET`.

    Raises:
        TemplateError: A template of the user's is faulty.
    """
    printer = Printer(target, style, package=graph.program.network.name)
    with printer.templates.faults():
        facts = view(graph, recipe, target, style.line_length)
        facts["module"] = module or facts["module"]
        print_ = partial(printer.file, template="train.py.jinja", beside=[facts["module"]])
        text, entry = print_(facts), facts["entry"]
        if _bindings(text, entry) > 1:  # a name of the script's own
            facts["entry"] = entry + ("Network" if entry[0].isupper() else "_network")
            facts["imported"] = f"{entry} as {facts['entry']}"
            text = print_(facts)
        return text


def view(graph: Graph, recipe: Recipe, target: str, width: int) -> dict[str, Any]:
    """Return the variables of the templates of a script; the width is that of a line."""
    network = graph.program.network.name
    entry = TARGETS[target].entry(network)
    return {
        **_facts(graph),
        **_images(graph, recipe),
        "header": header(graph.program, width),
        "described": partial(_docstring, graph, recipe, width),
        "recipe": recipe,
        "identity": identity(graph, recipe),
        "penalty": _penalty(graph, recipe),
        "optimizer": type(recipe.optimizer).__name__,
        "schedule_kind": type(recipe.rate.schedule).__name__,
        "network": network,
        "entry": entry,
        "imported": entry,
        "module": f"{network}_{target}",
        "script": file_name(network, recipe.name, target),
        "number": plain,
        "fraction": fraction,
        "lerp": lerp,
        "in_steps": in_steps,
    }


def _facts(graph: Graph) -> dict[str, Any]:
    """Return what a script has to know of its network."""
    shape, nodes = graph.input, graph.nodes
    main, *heads = graph.outputs
    norms = [node.args for node in nodes if node.op == "bn"]
    return {
        "height": shape.height,
        "width": shape.width,
        "channels": shape.channels,
        "classes": nodes[graph.outputs[main]].shape.channels,
        "settable": "classes" in graph.parameters,
        "main": main,
        "heads": heads,
        "drops": any(node.args.get("rate") for node in nodes if node.op == "dropout"),
        "norms": sorted({norm["variance"] for norm in norms}),
        "unscaled": any(norm["shift"] and not norm["scale"] for norm in norms),
        "depthwise": any(node.op in _DEPTHWISE for node in nodes),
    }


def _images(graph: Graph, recipe: Recipe) -> dict[str, Any]:
    """Return the transforms of a recipe, and what they need."""
    train, evaluate = steps(recipe.train, graph), steps(recipe.evaluate, graph)
    return {
        "train": train,
        "evaluate": evaluate,
        "uses": {step.name for step in (*train, *evaluate)},
        "random": any(step.name in _RANDOM for step in train),
        "resampled": any(step.args.get("interpolation") == "random" for step in train),
        "crops": max([_CROPS.get(step.name, 1) for step in evaluate], default=1),
        "numbers": _NUMBERS,
    }


def _bindings(source: str, name: str) -> int:
    """Count the places of a program that give a name to something."""
    count = 0
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.FunctionDef(name=own) | ast.ClassDef(name=own) | ast.arg(arg=own):
                count += own == name
            case ast.Name(id=own, ctx=ast.Store()):
                count += own == name
            case ast.alias(name=own, asname=other):
                count += (other or own).partition(".")[0] == name
    return count


def steps(transforms: tuple[Transform, ...], graph: Graph) -> list[Step]:
    """Return transforms with their sizes; without one of its own it is that of the network."""
    shape, result, least = graph.input, list[Step](), 1
    assert shape.height is not None and shape.width is not None
    for transform in transforms:
        args: dict[str, Any] = dict(transform.args)
        size = args.pop("size", None)
        both = (shape.height, shape.width) if size is None else (int(size), int(size))
        if transform.name == "multi_crop":
            args["sides"] = [round(min(both) * scale / 7) for scale in _SCALES]
        elif transform.name in ("center_crop", "random_crop", "ten_crop"):
            args["least"], args["small"] = _least(both, args)
            args["checked"] = least < max(args["least"])
        least = least if transform.name in ("flip", "color") else min(both)
        result.append(Step(transform.name, both, args))
    return result


def _least(size: tuple[int, int], args: dict[str, Any]) -> tuple[tuple[int, int], str]:
    """Return how high and wide an image must be for a crop, and what one is that has less."""
    pad, (height, width) = args.get("pad") or 0, size
    if not pad:
        return size, f"smaller than {height} x {width}"
    # An image is mirrored at each edge once, which is not repeated.
    least = pad + 1 if args["border"] == "reflect" else 1
    sides = max(height - 2 * pad, least), max(width - 2 * pad, least)
    return sides, f"too small for random_crop {height} pad={pad}"


def fraction(value: float) -> str:
    """Return a number as Python source, as a fraction if that is shorter.

    >>> fraction(4 / 3), fraction(0.75)
    ('4 / 3', '0.75')
    """
    near = Fraction(value).limit_denominator(_DENOMINATOR)
    short = f"{near.numerator} / {near.denominator}"
    same = near.numerator / near.denominator == value
    return short if same and len(short) < len(plain(value)) else plain(value)


def lerp(low: float, high: float, number: str) -> str:
    """Return what lies between two numbers, by a number in 0..1, as Python source.

    >>> lerp(0, 1, "r"), lerp(0.5, 1.5, "r"), lerp(0.08, 1, "r"), lerp(0.2, 1.1, "r")
    ('r', '(0.5 + r)', '(0.08 + 0.92 * r)', '(0.2 + (1.1 - 0.2) * r)')
    """
    if (low, high) == (0, 1):
        return number
    span = min(plain(high - low), f"({fraction(high)} - {fraction(low)})", key=len)
    return f"({fraction(low)} + {number if span == '1' else f'{span} * {number}'})"


def in_steps(duration: Duration, epoch: str = "epoch_steps") -> str:
    """Return a duration in steps as Python source, for an `epoch` of so many steps.

    >>> in_steps(Duration(0.5, "epochs")), in_steps(Duration(24, "epochs"))
    ('max(1, round(0.5 * epoch_steps))', '24 * epoch_steps')
    """
    count = duration.count
    if duration.unit == "steps":
        return plain(max(1, round(count)))
    if float(count).is_integer() and count >= 1:
        return epoch if count == 1 else f"{plain(count)} * {epoch}"
    return f"max(1, round({fraction(count)} * {epoch}))"


def _docstring(graph: Graph, recipe: Recipe, width: int, commands: Sequence[str]) -> list[str]:
    """Return the docstring of a script: the recipe, and the commands that run it."""
    doc = f"Train {graph.program.network.name} by the recipe {recipe.name}."
    if recipe.doc:
        doc += f"\n\n{recipe.doc}"
    facts = (
        "Run it beside the file of the model:",
        "",
        *(f"    {command}" for command in commands),
        "",
        *_DATA[graph.input.channels == 1],
    )
    return docstring(doc, width, facts=facts, last=origin(graph, recipe.file))


def _penalty(graph: Graph, recipe: Recipe) -> str | None:
    """Return where weight decay in the loss comes from: `network`, `recipe` or nowhere."""
    if recipe.l2 is not None:
        return "recipe" if recipe.l2 else None
    return "network" if any(node.args.get("l2") for node in graph.nodes) else None
