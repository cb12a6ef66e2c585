"""Draft a layout file for a checkpoint that has none."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from incgen.base.files import OutputError, check_new, replace
from incgen.compiling import Parameters, SpecPath, compile_spec, plain_parameters
from incgen.graph.nodes import Graph
from incgen.language.arithmetic import Value
from incgen.weights.alignable import Shape
from incgen.weights.aligning import Alignment, align
from incgen.weights.checkpoint import Checkpoint, shown
from incgen.weights.conventions import CONVENTIONS, Convention
from incgen.weights.errors import WeightsError
from incgen.weights.generalising import DraftedRule, Generalised, Row, generalised
from incgen.weights.layout import AmbiguousError, Layout
from incgen.weights.layout_file import of_content
from incgen.weights.numbering import with_numbers
from incgen.weights.readers import open_checkpoint

#: The convention of each file format; all others follow PyTorch.
_CONVENTIONS = {"Keras": "keras", "TensorFlow": "slim", "Caffe": "caffe", "Flax": "flax"}


@dataclass(frozen=True, slots=True)
class Draft:
    """A draft of a layout."""

    text: str  #: The text of the file
    layers: int  #: How many layers of ours it has a place for
    doubtful: int  #: How many rules are marked
    missing: tuple[str, ...]  #: Layers of ours without a place
    left: tuple[str, ...]  #: Layers of theirs that are nobody's


def draft_layout(
    checkpoint: SpecPath,
    spec: SpecPath,
    output: SpecPath,
    parameters: Parameters | None = None,
    *,
    force: bool = False,
    text: str | None = None,
) -> Draft:
    """Write a draft of a layout file, from the shapes and the order of tensors.

    Args:
        checkpoint: A weights file, as for an import.
        spec: The spec of its network.
        output: The layout file; `layouts/NETWORK/NAME.toml` beside the spec is where it is found.
        parameters: Values for parameters of the network, in place of their defaults.
        force: Overwrite an existing file.
        text: The spec itself, if it does not come from the file.

    Raises:
        SpecError: The spec has faults.
        RequestError: A parameter or value does not exist.
        WeightsError: The checkpoint cannot be read, or has no layer of this network.
        OutputError: The file cannot or must not be written.
    """
    parameters = plain_parameters(parameters)
    checkpoint, output = Path(checkpoint), Path(output)
    if output.suffix != ".toml":
        raise OutputError(f"`{output.as_posix()}`: a layout file ends in `.toml`")
    check_new(output, force=force)
    graph = compile_spec(spec, parameters, text=text)
    with open_checkpoint(checkpoint) as opened:
        made = draft(graph, opened, checkpoint.name, parameters)
    if not made.layers:
        network = graph.program.network.name
        raise WeightsError(f"`{checkpoint.as_posix()}` has no layer with the shapes of `{network}`")
    replace(output, made.text.encode("utf-8"))
    return made


def draft(graph: Graph, checkpoint: Checkpoint, name: str, settings: Parameters) -> Draft:
    """Draft a layout; its text contains the name of the file and the given parameters."""
    convention = CONVENTIONS[_CONVENTIONS.get(checkpoint.format, "torch")]
    tensors = checkpoint.tensors
    counted = with_numbers(tensors) if convention.name == "keras" else tensors
    numbered = counted.keys() != tensors.keys()
    tensors = dict(counted)
    alignment = align(graph, tensors, convention)
    rows: dict[str, Row] = {}
    for pair in alignment.pairs:
        if "{" in pair.layer or "}" in pair.layer:
            raise WeightsError(
                f"`{pair.layer}` contains a brace, which a layout cannot express: rename it"
            )
        before = rows.get(pair.path, Row(pair.path, ()))
        rows[pair.path] = Row(pair.path, (*before.theirs, pair.layer))
    rules = _checked(convention, generalised(list(rows.values()), convention.separator), rows)
    doubts = {pair.path: pair.doubt for pair in alignment.pairs if pair.doubt}
    doubtful = [r for r in rules.rules if all(path in doubts for path in r.layers)]
    lines = [
        *_head(convention, alignment, name, numbered),
        *_left(alignment),
        *_settings(settings),
        *_parts(rules.parts),
        "[layers]",
        *_rules(rules.rules, doubtful, doubts),
        *_missing(alignment.missing),
    ]
    return Draft(
        "\n".join(lines).rstrip() + "\n",
        len(rows),
        len(doubtful),
        (*alignment.missing,),
        (*alignment.left,),
    )


def _checked(convention: Convention, rules: Generalised, rows: Mapping[str, Row]) -> Generalised:
    """Return rules that give these rows; rows with nothing in common stay as they are."""
    content = {
        "convention": convention.name,
        "parts": dict(rules.parts),
        "layers": {rule.left: list(rule.right) for rule in rules.rules},
    }
    layout = of_content(content, "draft", "draft")
    exact = [
        DraftedRule(path, row.theirs, (path,))
        for path, row in rows.items()
        if _said(layout, path) != row.theirs
    ]
    return Generalised((*rules.rules, *exact), rules.parts)


def _said(layout: Layout, path: str) -> tuple[str, ...]:
    try:
        return layout.layers(path)
    except AmbiguousError:
        return ()


# ---------------------------------------------------------------- text


def _head(convention: Convention, alignment: Alignment, name: str, numbered: bool) -> Iterator[str]:
    yield f"# A draft by `incgen weights layout`, from the shapes and the order of {_quoted(name)}."
    yield "# Check what is marked as doubtful against the program that wrote the file."
    if alignment.sorted:
        yield "# The file lists tensors by name, so its order says little: check all rows."
    yield f'convention = "{convention.name}"'
    if alignment.missing_gamma:
        yield "missing_gamma = true"
    if numbered:
        yield "numbered = true"


def _left(alignment: Alignment) -> Iterator[str]:
    if alignment.left:
        yield "# Layers of the checkpoint without a counterpart. Ignore those that do not matter:"
        for layer, shapes in alignment.left.items():
            yield f"#   {_quoted(layer)}  {_shapes(shapes)}"
        names = ", ".join(_quoted(f"{layer}*") for layer in _tops(alignment.left))
        yield f"# ignore = [{names}]"
    yield ""


def _tops(layers: Iterable[str]) -> list[str]:
    """Return the first parts of names, which is enough to type."""
    return list(dict.fromkeys(layer.split("/")[0].split(".")[0] for layer in layers))


def _settings(settings: Mapping[str, Value]) -> Iterator[str]:
    if settings:
        yield "[set]"
        for name, value in settings.items():
            yield f"{name} = {json.dumps(value)}"
        yield ""


def _parts(parts: Mapping[str, str]) -> Iterator[str]:
    if parts:
        yield "[parts]"
        for end, part in parts.items():
            yield f"{_quoted(end)} = {_quoted(part)}"
        yield ""


def _rules(
    rules: Sequence[DraftedRule], doubtful: Sequence[DraftedRule], doubts: Mapping[str, str]
) -> Iterator[str]:
    for rule in rules:
        if rule in doubtful:
            for doubt in dict.fromkeys(doubts[path] for path in rule.layers):
                yield f"# doubtful: {doubt}"
        theirs = ", ".join(map(_quoted, rule.right))
        yield f"{_quoted(rule.left)} = {theirs if len(rule.right) == 1 else f'[{theirs}]'}"


def _missing(missing: Mapping[str, tuple[Shape, ...]]) -> Iterator[str]:
    if missing:
        yield "# doubtful: no remaining layer of the checkpoint has the shapes of these"
        for path, shapes in missing.items():
            yield f'# {_quoted(path)} = "?"  # {_shapes(shapes)}'


def _shapes(shapes: Iterable[Shape]) -> str:
    return ", ".join(map(shown, shapes))


def _quoted(text: str) -> str:
    """Quote a text for TOML: what JSON escapes, it escapes alike."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
