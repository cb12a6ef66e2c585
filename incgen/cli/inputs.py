"""The specs that a command is given: files, names, or standard input."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from incgen.base.diagnostics import Code, Diagnostic, Reporter, SpecError
from incgen.cli.options import USAGE
from incgen.cli.reports import exit_code_of, report_faults
from incgen.cli.terminal import say, waiting

if TYPE_CHECKING:
    from incgen.graph.nodes import Graph
    from incgen.language.arithmetic import Value
    from incgen.recipes.recipe import Recipe


def compiled(
    spec: str, parameters: dict[str, Value], *, warn: bool = False, alone: bool = True
) -> Graph:
    """Return the graph of a spec as typed, and print its warnings if asked to.

    If it is not the only spec, parameters that it does not have may belong to another.
    """
    from incgen import compiling

    path, text = source_of(spec)
    report = Reporter()
    try:
        with waiting(f"compiling {spec}"):
            graph = compiling.compile_spec(path, parameters, text=text, report=report)
    except compiling.RequestError:
        if not alone:  # a file without a network does not have the parameters of the others
            compiling.compile_spec(path, text=text)
        raise
    if warn:
        report_faults(report.diagnostics)
    return graph


def compiled_recipe(
    spec: str, recipe: str, parameters: dict[str, Value], *, warn: bool = False
) -> tuple[Graph, Recipe]:
    """Return a recipe of a spec as typed with its network, and print warnings if asked to."""
    from incgen import compiling

    path, text = source_of(spec)
    report = Reporter()
    with waiting(f"compiling {spec}"):
        both = compiling.compile_recipe(path, recipe, parameters, text=text, report=report)
    if warn:
        report_faults(report.diagnostics)
    return both


def all_compiled(specs: Sequence[str], parameters: dict[str, Value]) -> list[Graph] | None:
    """Return the graphs of the specs with a network; None after reporting errors."""
    graphs: list[Graph] = []
    faults: list[Diagnostic] = []
    for spec in specs:
        try:
            graphs.append(compiled(spec, parameters, warn=True, alone=len(specs) == 1))
        except SpecError as error:
            lone = error.diagnostics[0]
            if len(specs) == 1 or exit_code_of(error.diagnostics) == USAGE:
                raise
            if lone.code is Code.NO_NETWORK and lone.span is None:
                say(f"{spec} defines no network")
            else:
                faults += [d for d in error.diagnostics if d not in faults]
    report_faults(faults)
    return None if faults else graphs


def source_of(spec: str) -> tuple[str, str | None]:
    """Return the name of a spec, and its text if it comes from standard input."""
    if spec != "-":
        return spec, None
    from incgen.syntax.loader import STDIN, decoded

    return STDIN, decoded(standard_input(), STDIN)


def standard_input() -> bytes:
    """Return standard input, cut off at the length limit of a spec."""
    from incgen.syntax.loader import MAX_BYTES

    if sys.stdin is None:
        raise click.ClickException("standard input is closed")
    return sys.stdin.buffer.read(MAX_BYTES + 1)
