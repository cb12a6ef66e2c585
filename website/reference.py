"""The page on the Python API, from the docstrings of what `incgen` and `incgen.testing` offer."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import griffe

import incgen
from incgen.base.tables import markdown
from website.places import ROOT

_HEAD = """\
# Python

Everything that `import incgen` offers; the commands are made of the same functions. Names are
imported when they are first used, so importing incgen costs nothing. Arguments are checked, and
every error is one of [those below](#errors).

"""
_ERRORS = "\n## Errors\n"
_TESTING = "\n## Helpers for tests\n\n"


def write(pages: Path) -> None:
    """Write the page into a folder of pages."""
    package = griffe.load("incgen", search_paths=[str(ROOT)])
    assert isinstance(package, griffe.Module)
    found = [_object(package, name) for name in incgen.__all__ if name != "__version__"]
    functions = [each for each in found if isinstance(each, griffe.Function)]
    classes = [each for each in found if isinstance(each, griffe.Class)]
    errors = [each for each in classes if each.name.endswith("Error")]
    values = [each for each in classes if each not in errors]
    testing = package["testing"]
    helpers = [
        each
        for each in testing.members.values()
        if isinstance(each, griffe.Function) and not each.name.startswith("_")
    ]
    lines = [_HEAD, "## Functions", ""]
    for function in functions:
        lines += _function(function, "incgen")
    lines += ["## Values", ""]
    for one in values:
        lines += _class(one)
    lines.append(_ERRORS)
    for one in errors:
        lines += _class(one)
    lines += [_TESTING, *_prose(testing)]
    for function in helpers:
        lines += _function(function, "incgen.testing")
    (pages / "api.md").write_text("\n".join(lines), "utf-8")


def _object(package: griffe.Module, name: str) -> griffe.Object:
    """Return what a public name of the package stands for."""
    found = package[f"{incgen._HOMES[name].partition('.')[2]}.{name}"]
    assert isinstance(found, griffe.Object | griffe.Alias)
    return found.final_target if isinstance(found, griffe.Alias) else found


def _sections(one: griffe.Object) -> list[griffe.DocstringSection]:
    return one.docstring.parse("google", warnings=False) if one.docstring else []


def _prose(one: griffe.Object) -> Iterator[str]:
    """Yield the text and the tables of a docstring."""
    for section in _sections(one):
        match section:
            case griffe.DocstringSectionText():
                yield from (_code(section.value), "")
            case griffe.DocstringSectionParameters() | griffe.DocstringSectionAttributes():
                what = "argument" if section.kind.value == "parameters" else "attribute"
                rows = [
                    (f"`{each.name}`", _type(each.annotation), _line(each.description))
                    for each in section.value
                ]
                yield markdown((what, "type", "meaning"), rows)
            case griffe.DocstringSectionReturns():
                yield from (f"**Returns** {_line(section.value[0].description)}", "")
            case griffe.DocstringSectionRaises():
                faults = [
                    (_type(each.annotation), _line(each.description)) for each in section.value
                ]
                yield markdown(("raises", "when"), faults)


def _type(annotation: object) -> str:
    return f"`{annotation}`" if annotation else ""


def _line(text: str) -> str:
    return " ".join(text.split())


def _code(text: str) -> str:
    """Return a text in which indented lines are Python."""
    lines = list[str]()
    for paragraph in text.split("\n\n"):
        if paragraph.startswith("    "):
            code = "\n".join(line.removeprefix("    ") for line in paragraph.splitlines())
            lines.append(f"```python\n{code}\n```")
        else:
            lines.append(paragraph)
    return "\n\n".join(lines)


def _function(one: griffe.Function, package: str) -> Iterator[str]:
    yield from (f"### `{package}.{one.name}`", "", "```python", *_signature(one), "```", "")
    yield from _prose(one)


def _signature(one: griffe.Function) -> Iterator[str]:
    """Yield the signature of a function, a line for each argument."""
    yield f"{one.name}("
    named = False
    for each in one.parameters:
        if each.kind is griffe.ParameterKind.keyword_only and not named:
            named = True
            yield "    *,"
        default = f" = {each.default}" if each.default is not None else ""
        yield f"    {each.name}: {each.annotation}{default},"
    yield f") -> {one.returns}"


def _class(one: griffe.Class) -> Iterator[str]:
    bases = ", ".join(str(base) for base in one.bases)
    yield from (f"### `incgen.{one.name}`", "")
    if bases:
        yield from (f"A kind of `{bases}`.", "")
    yield from _prose(one)
    methods = [
        each
        for each in one.members.values()
        if isinstance(each, griffe.Function | griffe.Attribute)
        and not each.name.startswith("_")
        and each.docstring
    ]
    for each in methods:
        call = "()" if isinstance(each, griffe.Function) else ""
        summary = each.docstring.value.partition("\n")[0] if each.docstring else ""
        yield f"- `{each.name}{call}`: {summary}"
    yield ""
