"""The options of `build` for ONNX files."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from incgen.graph.nodes import Graph
    from incgen.onnx.files import OnnxFile

Command = TypeVar("Command", bound=Callable[..., Any])

_FLAGS = {
    "any_size": "leave height and width free too.",
    "heads": "also return the auxiliary heads.",
    "with_preprocess": "take RGB bytes, treated as `input` says.",
}


def onnx_options(command: Command) -> Command:
    """Add the options that only ONNX takes."""
    for name, what in reversed(_FLAGS.items()):
        flag = f"--{name.replace('_', '-')}"
        command = click.option(flag, is_flag=True, help=f"ONNX: {what}")(command)
    command = click.option(
        "--batch",
        type=click.IntRange(1),
        metavar="N",
        help="ONNX: the number of examples. Default: any.",
    )(command)
    command = click.option(
        "--opset", type=int, metavar="N", help="ONNX: the version of the operators. Default: 20."
    )(command)
    return click.option("--weights", metavar="FILE", help="ONNX: the weights, which it needs.")(
        command
    )


def options_of(given: Mapping[str, Any], specs: Sequence[str], asked: bool) -> dict[str, Any]:
    """Return the options of a file, without those that were not given.

    Raises:
        UsageError: They do not go with the targets, or there are no weights.
    """
    options = {name: value for name, value in given.items() if value}
    if not asked:
        if options:
            option = f"--{next(iter(options)).replace('_', '-')}"
            raise click.UsageError(f"{option} is for ONNX: add `--target onnx`")
        return {}
    if len(specs) > 1:
        raise click.UsageError("the weights are those of one spec: build ONNX files one by one")
    if "weights" not in options:
        first = f"`incgen weights init {specs[0]} -o weights.safetensors`"
        raise click.UsageError(
            f"an ONNX file holds weights: add `--weights FILE`; {first} writes initial ones"
        )
    options["preprocess"] = options.pop("with_preprocess", False)
    return options


def onnx_file(
    graph: Graph, output: Path, given: dict[str, Any], *, check: bool, force: bool
) -> AbstractContextManager[OnnxFile]:
    """Write a file beside its place, which it takes when the context ends without an error."""
    from incgen.onnx.exporting import exported
    from incgen.onnx.options import Options

    weights = Path(given.pop("weights"))
    return exported(graph, weights, output, Options(**given), check=check, force=force)
