"""Check one random spec: its text, its shapes, its models, its generated source."""

from __future__ import annotations

import re
import tempfile
import zlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from fuzzing import tree
from fuzzing.climbing import climb, climb_with_arguments, generated
from fuzzing.faults import Fault, place_of
from fuzzing.refusals import UNSEEN, expected
from fuzzing.tracking import Misfit, TooLarge, output_of
from incgen.api import refusals
from incgen.base.diagnostics import Severity, SpecError
from incgen.compiling import compile_spec
from incgen.graph.nodes import Graph
from incgen.language.expressions import Literal, Name
from incgen.syntax.format import format_text
from incgen.syntax.parser import parse_value
from incgen.targets import TARGETS

#: The rungs of the ladder that random networks climb.
RUNGS = (0, 1, 2, 3, 4)


@dataclass
class Examined:
    """The results for a spec.

    Attributes:
        rejected: Its first error, if it is not valid.
        refused: Why a target cannot express it, if one cannot.
        counts: Inconclusive results; see `climb`.
        sources: The source text of each target.
        graph: The network, if every target can express it.
    """

    rejected: str = ""
    refused: str = ""
    counts: Counter[str] = field(default_factory=Counter)
    sources: Mapping[str, str] = field(default_factory=dict)
    graph: Graph | None = None


def examine(
    text: str,
    spec: tree.Spec | None = None,
    rungs: Sequence[int] = RUNGS,
    *,
    models: bool = True,
    targets: Sequence[str] = tuple(TARGETS),
    deploy: bool = False,
) -> Examined:
    """Check a spec and, if it is valid, its models.

    Args:
        text: The spec; a line `# arguments: n=3` requests models with these too.
        spec: The same as a tree, if it is a random one.
        rungs: The rungs of the ladder.
        models: Whether to make models of it.
        targets: The targets that write it.
        deploy: Whether its deployed forms are verified too.

    Raises:
        Fault: Something is wrong.
    """
    try:
        graph = compile_spec("random.inc", text=text)
    except SpecError as error:
        if spec is not None:
            _misfits(spec, _headline(error))
        return Examined(rejected=_headline(error))
    except Exception as error:
        raise Fault("check", place_of(error)) from error
    try:
        sources = generated(graph, targets)
    except SpecError as error:
        if not expected(_headline(error)):
            raise Fault("refused", _headline(error)) from error
        *_, refused = refusals(graph)
        if not set(error.diagnostics) <= set(refused):
            raise Fault("check", f"does not find: {_headline(error)}") from error
        return Examined(refused=_headline(error))
    _format_keeps_it(text, graph)
    if spec is not None:
        _same_shape(spec, graph)
        _files_keep_it(spec, graph)
    examined = Examined(sources=sources, graph=graph)
    if models:
        number = _seed(text)
        examined.counts += climb(graph, sources, rungs, number, deploy)
        given = arguments_of(text)
        if given:
            examined.counts += climb_with_arguments(text, graph, sources, given, number)
    return examined


def _seed(text: str) -> int:
    """Return the seed of a spec, which ignores any notes above it on how it was found."""
    return zlib.crc32(re.sub(r"\A# Network .*\n", "", text).encode())


def _headline(error: SpecError) -> str:
    """Return the first error, without numbers and names."""
    first = next(
        diagnostic for diagnostic in error.diagnostics if diagnostic.severity is Severity.ERROR
    )
    message = re.sub(r"\d+", "9", re.sub(r"`\w+\d`", "`...`", first.message))
    return f"{first.code.value}: {message}"


def _format_keeps_it(text: str, graph: Graph) -> None:
    neat = format_text(text)
    if neat != text:
        if format_text(neat) != neat:
            raise Fault("format", "formatting twice is not formatting once")
        if _facts(compile_spec("random.inc", text=neat)) != _facts(graph):
            raise Fault("format", "the formatted spec is another network")
    untidy = re.sub(r"^ +", "", text, flags=re.MULTILINE)
    if format_text(untidy) != neat:
        raise Fault("format", "the layout depends on the indentation before")
    other = re.sub(r"^ +", "\t", text, flags=re.MULTILINE).replace("\n", "\r\n")
    if _facts(compile_spec("random.inc", text=other)) != _facts(graph):
        raise Fault("format", "tabs and Windows' ends of lines make another network")


def _files_keep_it(spec: tree.Spec, graph: Graph) -> None:
    """Check that units and blocks in a separate file give the same network."""
    body = repr(spec.network)
    used = [
        definition.name
        for definition in spec.definitions
        if re.search(rf"\b{definition.name}\b", body)
    ]
    if not used:
        return
    head, _, network = replace(spec, definitions=()).text.rpartition("\nnetwork ")
    lines = head.split("\n")
    place = len(lines)
    while place and lines[place - 1].startswith("##"):
        place -= 1
    lines.insert(place, f'use {", ".join(used)} from "parts.inc"\n')
    parts = spec.text.rpartition("\nnetwork ")[0].rstrip("\n")
    parts = re.sub(r"(\n##.*)+\Z", "", parts)
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "parts.inc").write_text(f"{parts}\n", "utf-8")
        main = Path(folder, "random.inc")
        main.write_text("\n".join(lines) + f"\nnetwork {network}", "utf-8")
        try:
            divided = compile_spec(main)
        except SpecError as error:
            raise Fault("files", _headline(error)) from error
    if _facts(divided) != _facts(graph):
        raise Fault("files", "definitions in a file of their own make another network")


def _facts(graph: Graph) -> list[object]:
    return [(n.path, n.op, repr(n.args), n.inputs, n.shape, n.tensors) for n in graph.nodes]


def _misfits(spec: tree.Spec, headline: str) -> None:
    """Check that what incgen rejects does not fit by the generator's own rules either."""
    if UNSEEN.match(headline):
        return
    try:
        output_of(spec)
    except (Misfit, TooLarge, LookupError):  # a reduced spec may lack a definition
        return
    raise Fault("rejected", f"the generator says that it fits: {headline}")


def _same_shape(spec: tree.Spec, graph: Graph) -> None:
    """Check that the generator's own rules for shapes agree with incgen's."""
    shape = graph.nodes[next(iter(graph.outputs.values()))].shape
    try:
        expected = output_of(spec)
    except TooLarge:
        return
    except Misfit as error:
        raise Fault("rules", f"the generator says that it does not fit: {error}") from error
    if shape != expected:
        raise Fault("rules", f"the generator expects {expected}, the graph has {shape}")


# ---------------------------------------------------------------- other arguments


def examined_text(spec: tree.Spec) -> str:
    """Return a random spec with a line that names the other arguments to try."""
    known = [*(formal.name for formal in spec.network.formals), *(n for n, _ in spec.constants)]
    other = [f"{name}={value}" for name, value in spec.other if name in known]
    return f"# arguments: {' '.join(other)}\n{spec.text}" if other else spec.text


def arguments_of(text: str) -> dict[str, Any]:
    """Return the values that such a line names."""
    line = re.search(r"^# arguments: (.*)", text, re.MULTILINE)
    given = dict(pair.split("=") for pair in line[1].split()) if line else {}
    return {name: _setting(value) for name, value in given.items()}


def _setting(text: str) -> Any:
    match parse_value(text):
        case Literal(value) | Name(value):
            return value
        case _:
            raise ValueError(text)
