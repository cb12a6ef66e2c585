"""From the files of a spec to its network: the pipeline up to the graph.

`compile_spec` gives the network of a spec, and `compile_recipe` a recipe with the network that it
trains; everything else builds on them. What reads recipes is imported where there are some.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from incgen.base.diagnostics import (
    Code,
    Diagnostic,
    Note,
    Reporter,
    SpecError,
    clipped,
    listed,
)
from incgen.base.help import near
from incgen.graph.elaborate import elaborate
from incgen.graph.nodes import Graph
from incgen.graph.remedies import with_remedies
from incgen.language import expressions as ex
from incgen.language.arithmetic import Value
from incgen.language.values import plain_value
from incgen.resolve.program import resolve
from incgen.syntax import tree as st
from incgen.syntax.loader import LoadedFile
from incgen.syntax.loader import load as load_file

if TYPE_CHECKING:
    from incgen.recipes.recipe import Recipe
    from incgen.recipes.resolve import Resolved

#: The location of a spec: a file, or the name of one that ships with incgen, such as
#: `bn_inception`.
SpecPath: TypeAlias = str | os.PathLike[str]
#: Values for the parameters of a network and the constants (`let`) of its file, which override
#: those of the spec.
Parameters: TypeAlias = Mapping[str, Value]


class RequestError(ValueError):
    """A request cannot be met: an unknown target or parameter, or an invalid value."""


def compile_spec(
    spec: SpecPath,
    parameters: Parameters | None = None,
    *,
    text: str | None = None,
    report: Reporter | None = None,
) -> Graph:
    """Read a spec and expand its network: every layer with its shape, key and cost.

    Args:
        spec: The file of the spec, or the name of a shipped one.
        parameters: Values for parameters and constants, in place of what the spec says.
        text: The spec itself, if it does not come from the file; `spec` is then its name, and
            the files it uses are found beside that.
        report: Collects warnings.

    Raises:
        SpecError: The spec has faults; all that could be told apart are in it.
        RequestError: The spec has no such parameter, or the value is invalid.
    """
    loaded = load_file(Path(spec), text=text)
    return graph_of(loaded, parameters or {}, report or Reporter())


def compile_recipe(
    spec: SpecPath,
    recipe: str,
    parameters: Parameters | None = None,
    *,
    text: str | None = None,
    report: Reporter | None = None,
) -> tuple[Graph, Recipe]:
    """Read a recipe of a spec, and expand the network that it trains.

    Args:
        spec: The file with the recipe, or the name of a shipped one.
        recipe: The name of the recipe.
        parameters: Values for parameters and constants of the network, and for constants of the
            file, in place of what they say and what the recipe says.
        text: The spec itself, as for `compile_spec`.
        report: Collects warnings.

    Raises:
        SpecError: The spec or the recipe has faults.
        RequestError: There is no such recipe or parameter, or the value is invalid.
    """
    from incgen.recipes.fitting import fitted
    from incgen.recipes.resolve import RecipeResolver

    report = report or Reporter()
    loaded = load_file(Path(spec), text=text)
    known = {item.name.text: item for item in loaded.spec.of(st.Recipe)}
    if recipe not in known:
        offer = near(recipe, known) or (f"there are {listed(list(known))}" if known else "")
        end = f": {offer}" if offer else ": it has none"
        raise RequestError(f"the spec has no recipe `{clipped(recipe)}`{end}")
    given = plain_parameters(parameters)
    own = _own(loaded, given)
    resolved = RecipeResolver(loaded, report, own).one(known[recipe])
    report.stop_on_errors()
    assert resolved is not None
    if resolved.file is not loaded:
        given = {name: value for name, value in given.items() if name not in own}
    graph = _trained_graph(resolved, given, report)
    fit = fitted(resolved, graph, report)
    report.stop_on_errors()
    return graph, fit


def _own(loaded: LoadedFile, given: Parameters) -> Parameters:
    """Return the values that are given for constants of a file."""
    constants = {item.name.text for item in loaded.spec.of(st.Constant)}
    return {name: value for name, value in given.items() if name in constants}


def _trained_graph(resolved: Resolved, given: Parameters, report: Reporter) -> Graph:
    """Expand the network of a recipe, with its settings and those of the user.

    Raises:
        SpecError: The spec has faults, or the recipe sets what the network does not have.
        RequestError: The user does.
    """
    settings = resolved.recipe.settings
    try:
        _settings(resolved.file, settings)
    except RequestError as error:
        trains = resolved.item.trains
        span = trains.span if trains is not None else resolved.item.name.span
        raise SpecError([Diagnostic(Code.UNFIT_RECIPE, str(error), span)]) from None
    return graph_of(resolved.file, {**settings, **given}, report)


def faults_of_recipes(
    loaded: LoadedFile, parameters: Parameters | None = None, graph: Graph | None = None
) -> list[Diagnostic]:
    """Return what is wrong with the recipes of a spec whose network has no faults.

    The graph is that of the spec and the parameters, which a recipe without settings trains.
    """
    if not loaded.spec.of(st.Recipe):
        return []
    from incgen.recipes.fitting import fitted
    from incgen.recipes.resolve import RecipeResolver

    faults: dict[Diagnostic, None] = {}
    given, report = plain_parameters(parameters), Reporter()
    graphs: dict[object, Graph] = {}  # recipes often share one
    if graph is not None:
        graphs[id(loaded), frozenset()] = graph
    for resolved in RecipeResolver(loaded, report, _own(loaded, given)).all():
        values = given if resolved.file is loaded else {}
        key = (id(resolved.file), _changes(resolved))
        own = Reporter()
        try:
            graphs[key] = graphs.get(key) or _trained_graph(resolved, values, own)
            fitted(resolved, graphs[key], own)
        except SpecError as error:
            faults |= dict.fromkeys(error.diagnostics)
        faults |= dict.fromkeys(own.diagnostics)
    return [*report.diagnostics, *faults]


def _changes(resolved: Resolved) -> frozenset[tuple[str, str]]:
    """Return the settings of a recipe that are not what its file says anyway."""
    parameters, constants = _written(resolved.file.spec)
    said = {
        name: repr(value and ex.literal(value)) for name, value in (parameters | constants).items()
    }
    settings = {name: repr(value) for name, value in resolved.recipe.settings.items()}
    return frozenset(settings.items() - said.items())


def graph_of(loaded: LoadedFile, parameters: Parameters, report: Reporter) -> Graph:
    """Expand the network of a file."""
    constants, settings = _settings(loaded, parameters)
    program = resolve(loaded, constants, report)
    report.stop_on_errors()
    if program is None:
        raise SpecError([_not_one_network(loaded)])
    graph = elaborate(program, settings, report)
    if report.failed:
        values = plain_parameters(parameters)
        faults = with_remedies(
            report.diagnostics, loaded.spec, values, lambda other: _faults_with(loaded, other)
        )
        raise SpecError(faults)
    if graph is None:
        raise AssertionError("elaboration failed without a report")
    return graph


def _not_one_network(loaded: LoadedFile) -> Diagnostic:
    """Return the error for a file that does not define exactly one network."""
    networks = loaded.spec.of(st.Network)
    recipes = [item.name.text for item in loaded.spec.of(st.Recipe)]
    if not networks and recipes:
        return Diagnostic(
            Code.NO_NETWORK,
            f"the file defines no network, but how one is trained: {listed(recipes)}",
            None,
            help=f"add `--recipe {recipes[0]}`, or give the spec of the network",
            file=loaded.source.name,
        )
    if not networks:
        return Diagnostic(
            Code.NO_NETWORK,
            "the file defines no network, so there is nothing to build",
            None,
            help="add `network name() { ... }`, or give a spec that uses this file",
            file=loaded.source.name,
        )
    first, second, *_ = networks
    return Diagnostic(
        Code.NO_NETWORK,
        f"the file defines {len(networks)} networks; a spec defines one",
        second.name.span,
        notes=(Note(f"the first, `{first.name.text}`, is here", first.name.span),),
        help="put each network into a file of its own, and `use` what they share",
    )


def plain_parameters(
    values: Parameters | None, defaults: Mapping[str, Value | None] = {}
) -> dict[str, Value]:
    """Convert the names and values of parameters to plain ones.

    The defaults of the spec, where it is known, are for messages.

    Raises:
        RequestError: A value is not one that a parameter can have.
    """
    plain: dict[str, Value] = {}
    for name, value in (values or {}).items():
        if not isinstance(name, str):
            raise RequestError(f"the name of a parameter is a string, not {type(name).__name__}")
        key = str.__str__(name)
        try:
            plain[key] = plain_value(value, defaults.get(key))
        except ValueError as fault:
            raise RequestError(f"`{clipped(key)}` cannot be set to that: {fault}") from None
    return plain


def _faults_with(loaded: LoadedFile, values: dict[str, Value]) -> list[Diagnostic]:
    """Return the errors in a spec when it is compiled with other values."""
    report = Reporter()
    constants, settings = _settings(loaded, values)
    try:
        program = resolve(loaded, constants, report)
        if program is not None and not report.failed:
            elaborate(program, settings, report)
    except SpecError as error:
        return list(error.diagnostics)
    return report.diagnostics


def _written(spec: st.Spec) -> tuple[dict[str, ex.Expression | None], dict[str, ex.Expression]]:
    """Return the defaults of parameters of networks, and the constants, as a file writes them."""
    networks = spec.of(st.Network)
    parameters = {p.name.text: p.default for network in networks for p in network.parameters}
    return parameters, {item.name.text: item.value for item in spec.of(st.Constant)}


def _settings(loaded: LoadedFile, values: Parameters) -> tuple[dict[str, Value], dict[str, Value]]:
    """Split values into those of constants and those of parameters; reject unknown names."""
    parameters, constants = _written(loaded.spec)
    known = parameters | constants
    plain = plain_parameters(
        values, {key: ex.literal(value) for key, value in known.items() if value}
    )
    for name in plain:
        if name not in known:
            offer = near(name, known) or (f"there are {listed([*known])}" if known else "")
            end = f": {offer}" if offer else ""
            raise RequestError(f"the spec has no parameter and no constant `{name}`{end}")
    given = {name: value for name, value in plain.items() if name in parameters}
    return {name: value for name, value in plain.items() if name not in given}, given
