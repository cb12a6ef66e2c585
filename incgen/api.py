"""The Python API: the compilation of a spec, from its file to source text.

`compile_spec` runs the pipeline up to the graph; everything else here builds on it. Targets and
their dependencies are imported where they are needed, so that a check does not pay for them.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, TypeAlias

from incgen.base.diagnostics import (
    Code,
    Diagnostic,
    Note,
    Reporter,
    SpecError,
    clipped,
    listed,
    near,
)
from incgen.base.modules import import_source
from incgen.graph.elaborate import elaborate
from incgen.graph.nodes import Graph
from incgen.graph.remedies import with_remedies
from incgen.language.arithmetic import Value
from incgen.language.values import plain_value
from incgen.resolve.program import resolve
from incgen.syntax import tree as st
from incgen.syntax.loader import LoadedFile
from incgen.syntax.loader import load as load_file

if TYPE_CHECKING:
    from incgen.output import GeneratedFile
    from incgen.targets import Target
    from incgen.targets.shared.style import Style

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
    report = report or Reporter()
    loaded = load_file(Path(spec), text=text)
    constants, settings = _settings(loaded, parameters or {})
    program = resolve(loaded, constants, report)
    report.stop_on_errors()
    if program is None:
        raise SpecError([_not_one_network(loaded)])
    graph = elaborate(program, settings, report)
    if report.failed:
        values = plain_parameters(parameters or {})
        found = with_remedies(
            report.diagnostics, loaded.spec, values, lambda other: _faults_with(loaded, other)
        )
        raise SpecError(found)
    if graph is None:
        raise AssertionError("elaboration failed without a report")
    return graph


def check(
    spec: SpecPath, parameters: Parameters | None = None, *, text: str | None = None
) -> list[Diagnostic]:
    """Return all errors and warnings in a spec; a file of units and blocks needs no network.

    The arguments are those of `compile_spec`.

    Raises:
        RequestError: The spec has no such parameter, or no parameter has such a value.
    """
    from incgen.targets import TARGETS

    report = Reporter()
    try:
        graph = compile_spec(spec, parameters, text=text, report=report)
    except SpecError as error:
        lone = error.diagnostics[0]
        if lone.code is Code.NO_NETWORK and lone.span is None:
            return report.diagnostics
        return list(error.diagnostics)
    refused: dict[Diagnostic, None] = {}  # report what no target can express once
    for target in find_targets(list(TARGETS)):
        try:
            target.check(graph)
        except SpecError as error:
            refused |= dict.fromkeys(error.diagnostics)
    return [*refused, *report.diagnostics]


def generate(
    spec: SpecPath,
    target: str = "torch",
    parameters: Parameters | None = None,
    *,
    text: str | None = None,
    style: Style | None = None,
) -> str:
    """Return the source text of a spec for one target.

    Args:
        spec: The spec's file.
        target: `torch`, `keras` or `flax`.
        parameters: Values for parameters and constants, which override the spec's.
        text: The spec itself, if it does not come from the file.
        style: The line length and the user's own templates; incgen's if omitted.

    Raises:
        SpecError: The spec has faults, or the target cannot express it.
        RequestError: There is no such target, parameter or value.
        TemplateError: A template of the user's is faulty.
    """
    (found,) = find_targets([target], style)
    return found.emit(compile_spec(spec, parameters, text=text))


def build(
    spec: SpecPath,
    target: str | Sequence[str] = "torch",
    output: SpecPath | None = None,
    parameters: Parameters | None = None,
    *,
    force: bool = False,
    check: bool = False,
    style: Style | None = None,
) -> list[GeneratedFile]:
    """Write the source files of a spec, one for each target.

    Nothing is written until everything has been generated; a file that is up to date is left alone.

    Args:
        spec: The file of the spec, or the name of a shipped one.
        target: A target or several.
        output: A file, for one target; or a folder: an existing one, or a path with a trailing
            slash. The default is the folder `generated`.
        parameters: Values for parameters and constants, in place of what the spec says.
        force: Overwrite files even if incgen did not write them or they were edited since.
        check: Write nothing.
        style: The length of lines, and templates of the user's; otherwise incgen's own.

    Returns:
        The files in the order of the targets; `changed` says which differed from what is there.

    Raises:
        SpecError: The spec has faults, or a target cannot express it.
        RequestError: There is no such target, parameter or value.
        OutputError: A file cannot or must not be written.
        TemplateError: A template of the user's is faulty.
    """
    targets = find_targets([target] if isinstance(target, str) else target, style)
    return build_graphs([compile_spec(spec, parameters)], targets, output, force=force, check=check)


def build_graphs(
    graphs: Sequence[Graph],
    targets: Sequence[Target],
    output: SpecPath | None,
    *,
    force: bool = False,
    check: bool = False,
) -> list[GeneratedFile]:
    """Write the source files of several networks, all or none, as `build` does for one.

    Raises:
        SpecError: A target cannot express a network.
        OutputError: A file cannot or must not be written, or two networks would share one.
    """
    from incgen.base.files import OutputError
    from incgen.output import compared, places, sealed, write_all

    texts: dict[Path, str] = {}
    for graph in graphs:
        sources = emit_all(graph, targets)
        for name, path in places(graph.program.network.name, tuple(sources), output).items():
            if path in texts:
                help_ = "give a folder as the output, and networks of different names"
                raise OutputError(f"two specs would be written to `{path.as_posix()}`: {help_}")
            texts[path] = sealed(sources[name], graph.digest())
    if check:
        return [compared(path, text) for path, text in texts.items()]
    return write_all(texts, force=force)


def load(
    spec: SpecPath,
    target: str = "torch",
    parameters: Parameters | None = None,
    *,
    text: str | None = None,
    style: Style | None = None,
) -> ModuleType:
    """Generate the source of a spec and import it, without a file.

    As with an import, the same source gives the same module again. Its classes can be pickled;
    tracebacks and `inspect.getsource` show its lines. The target's framework must be installed.

    Args:
        spec: The spec's file.
        target: `torch`, `keras` or `flax`.
        parameters: Values for parameters and constants, which override the spec's.
        text: The spec itself, if it does not come from the file.
        style: The line length and the user's own templates; incgen's if omitted.

    Raises:
        SpecError: The spec has faults, or the target cannot express it.
        RequestError: There is no such target, parameter or value.
        TemplateError: A template of the user's is faulty.
        ImportError: The framework is not installed.
    """
    (found,) = find_targets([target], style)
    graph = compile_spec(spec, parameters, text=text)
    network = graph.program.network.name
    return import_source(network, graph.program.file, found.name, found.emit(graph))


def find_targets(names: Sequence[str], style: Style | None = None) -> list[Target]:
    """Look up targets by name; return each one once, in order.

    Args:
        names: Names or aliases of targets.
        style: The style of the code; incgen's own if omitted.

    Raises:
        RequestError: There is no such target or folder of templates, or no name is given.
    """
    from incgen.targets import TARGETS, target_named

    own = style.templates if style is not None else None
    if own is not None and not any(Path(own, name).is_dir() for name in TARGETS):
        places = listed([Path(own, name).as_posix() for name in TARGETS])
        raise RequestError(f"there are no templates: none of {places} is a folder")

    found: dict[str, Target] = {}
    for name in names:
        target = target_named(name)
        if target is None:
            known = [*TARGETS, *(alias for each in TARGETS.values() for alias in each.aliases)]
            offer = near(name, known) or f"the targets are {listed(sorted(TARGETS))}"
            raise RequestError(f"there is no target `{name}`: {offer}")
        found[target.name] = target if style is None else target.styled(style)
    if not found:
        raise RequestError(f"no target is given: the targets are {listed(sorted(TARGETS))}")
    return list(found.values())


def emit_all(graph: Graph, targets: Sequence[Target]) -> dict[str, str]:
    """Return the source text for each target by the target's name.

    Raises:
        SpecError: Some target cannot express the network; the error holds the reasons of all of
            them.
    """
    sources: dict[str, str] = {}
    faults: list[Diagnostic] = []
    for target in targets:
        try:
            sources[target.name] = target.emit(graph)
        except SpecError as error:
            faults.extend(error.diagnostics)
    if faults:
        raise SpecError(faults)
    return sources


def _not_one_network(loaded: LoadedFile) -> Diagnostic:
    """Return the error for a file that does not define exactly one network."""
    networks = [item for item in loaded.spec.items if isinstance(item, st.Network)]
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


def plain_parameters(values: Parameters | None) -> dict[str, Value]:
    """Convert the names and values of parameters to plain ones.

    Raises:
        RequestError: A value is not one that a parameter can have.
    """
    plain: dict[str, Value] = {}
    for name, value in (values or {}).items():
        if not isinstance(name, str):
            raise RequestError(f"the name of a parameter is a string, not {type(name).__name__}")
        key = str.__str__(name)
        try:
            plain[key] = plain_value(value)
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


def _settings(loaded: LoadedFile, values: Parameters) -> tuple[dict[str, Value], dict[str, Value]]:
    """Split values into those of constants and those of parameters; reject unknown names."""
    items = loaded.spec.items
    networks = [item for item in items if isinstance(item, st.Network)]
    parameters = [p.name.text for network in networks for p in network.parameters]
    constants = [item.name.text for item in items if isinstance(item, st.Constant)]
    plain = plain_parameters(values)
    for name in plain:
        known = [*parameters, *constants]
        if name not in known:
            offer = near(name, known) or (f"there are {listed(known)}" if known else "")
            end = f": {offer}" if offer else ""
            raise RequestError(f"the spec has no parameter and no constant `{name}`{end}")
    given = {name: value for name, value in plain.items() if name in parameters}
    return {name: value for name, value in plain.items() if name not in given}, given
