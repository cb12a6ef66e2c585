"""Map generated lines to the spec: its line, as a comment at the end of each.

Tracebacks, debuggers and editors show the line of the code that failed; with such a comment, each
of them shows the line of the spec as well.
"""

from __future__ import annotations

import ast
import io
import tokenize
from collections.abc import Callable, Iterator

from incgen.base.source import Span
from incgen.language.names import class_name
from incgen.resolve import definitions as df

#: The places in a spec, by the lines of generated code that they belong to.
_Places = dict[int, dict[str, None]]


def with_places(source: str, program: df.Program, shown: Callable[[str], str]) -> str:
    """Return generated source whose lines say which line of the spec they come from.

    Args:
        source: The text of a generated file.
        program: What it was generated from.
        shown: Returns what the file of a spec is called in the comments.
    """
    places: _Places = {}
    known = _definitions(program)
    for item in ast.parse(source).body:
        if isinstance(item, ast.ClassDef | ast.FunctionDef) and item.name in known:
            names = known[item.name]
            for line, name in _mentions(item):
                if (span := names.get(name)) is not None:
                    place = f"{shown(span.source.name)}:{span.line}"
                    places.setdefault(line, {})[place] = None
    return _commented(source, places)


def _definitions(program: df.Program) -> dict[str, dict[str, Span]]:
    """Return where the names in each definition stand, by the names of classes and functions."""
    places: dict[str, dict[str, Span]] = {}
    for definition in (*program.definitions, program.network):
        names: dict[str, Span] = {}
        for name, span in _named(definition.body):
            names.setdefault(name, span)
        places[class_name(definition.name)] = places[definition.name] = names
    return places


def _named(body: df.Body) -> Iterator[tuple[str, Span]]:
    """Yield the names of layers in a body and their places; a label hides what is under it."""
    for step in body.steps:
        if step.label is not None:
            yield step.label, step.span
        elif isinstance(step, df.Step) and step.element is not None:
            yield from _within(step.element)


def _within(element: df.Element) -> Iterator[tuple[str, Span]]:
    """Yield the names in an element that has no label."""
    name = getattr(element, "name", None)
    if name is not None:
        yield name, element.span
    match element:
        case df.Chain(elements=elements):
            for inner in elements:
                yield from _within(inner)
        case df.Join(body=body) | df.Group(body=body):
            yield from _named(body)
        case df.Conditional(then=then, otherwise=otherwise):
            yield from _named(then)
            if otherwise is not None:
                yield from _named(otherwise)


def _mentions(item: ast.ClassDef | ast.FunctionDef) -> Iterator[tuple[int, str]]:
    """Yield the lines of a class or function that mention a layer, and its name.

    A class has layers as attributes; a function gives them names, which begin with its own.
    """
    for node in ast.walk(item):
        match node:
            case ast.Attribute(value=ast.Name(id="self"), attr=name):
                yield node.lineno, name
            case ast.Call(keywords=keywords):
                for keyword in keywords:
                    label = _first_label(keyword.value) if keyword.arg == "name" else None
                    if label is not None:
                        yield node.lineno, label


def _first_label(value: ast.expr) -> str | None:
    """Return the first label in the name of a layer: `conv` of `conv-bn`, of `{name}-conv`."""
    match value:
        case ast.Constant(value=str(text)):
            return text.partition("-")[0]
        case ast.JoinedStr(values=[ast.FormattedValue(), ast.Constant(value=str(text)), *_]):
            return text.removeprefix("-").partition("-")[0]
    return None


def _commented(source: str, places: _Places) -> str:
    """Put places at the ends of lines, behind the comments that are there."""
    lines = source.splitlines()
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    commented = {token.start[0] for token in tokens if token.type == tokenize.COMMENT}
    for line, texts in places.items():
        begin = "; " if line in commented else "  # "
        lines[line - 1] += begin + ", ".join(texts)
    return "\n".join(lines) + "\n"
