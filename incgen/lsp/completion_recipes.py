"""Completion inside a recipe."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from lsprotocol import types as lsp

from incgen.lsp import describing
from incgen.lsp.context import Context
from incgen.lsp.items import item
from incgen.lsp.names import Names
from incgen.lsp.signatures import given
from incgen.recipes.forms import Field, Form, Kind
from incgen.recipes.table import SETTINGS, TRANSFORMS

_KIND = lsp.CompletionItemKind


def in_recipe(context: Context, names: Names) -> Iterator[lsp.CompletionItem]:
    """Yield what can be typed in the body of a recipe, or among its transforms of images."""
    words = [token.text for token in context.element]
    if context.frame.kind == "images":
        forms: Mapping[str, Form] = TRANSFORMS.get(context.frame.name, {})
        if not words:
            yield from _forms(forms)
        elif words[0] in forms:
            yield from _fields(forms[words[0]], context, 1, names)
        return
    setting = SETTINGS.get(context.statement[0].text) if context.statement else None
    if not context.statement:
        for entry in SETTINGS.values():
            yield item(entry.name, _KIND.Property, entry.doc)
        for name in TRANSFORMS:
            yield item(name, _KIND.Property, "transforms of images")
    elif setting is None:
        return
    elif any(token.text == "->" for token in context.statement):
        if not words:
            yield from _forms(setting.parts)
        elif words[0] in setting.parts:
            yield from _fields(setting.parts[words[0]], context, 1, names)
    elif "" in setting.forms:
        yield from _fields(setting.forms[""], context, 1, names)
    elif len(words) == 1:
        yield from _forms(setting.forms, setting.name)
    elif words[1] in setting.forms:
        yield from _fields(setting.forms[words[1]], context, 2, names)


def _forms(forms: Mapping[str, Form], setting: str = "") -> Iterator[lsp.CompletionItem]:
    for form in forms.values():
        yield item(form.name, _KIND.Function, form.doc, describing.form(form, setting))


def _fields(form: Form, context: Context, skip: int, names: Names) -> Iterator[lsp.CompletionItem]:
    """Yield the values and attributes that a form still takes."""
    arguments = context.element[skip:]
    if arguments and arguments[-1].text == "=":
        field = next((f for f in form.fields if f.name == arguments[-2].text), None)
        yield from _values(field, names)
        return
    count, named = given(arguments)
    words = _words(form.positional)
    if count < len(words):
        for word in words[count]:
            yield item(word, _KIND.EnumMember, rank=0)
    for field in form.attributes:
        if field.name not in named:
            yield item(field.name, _KIND.Property, field.doc, insert=f"{field.name}=", rank=1)


def _words(fields: Sequence[Field]) -> list[tuple[str, ...]]:
    """Return the words that each place takes; a number has none, a duration has two places."""
    places: list[tuple[str, ...]] = []
    for field in fields:
        if field.lead:
            places.append((field.lead,))
        places.append(field.words)
        if field.kind in (Kind.DURATION, Kind.TIMES):
            places.append(("epochs", "steps"))
    return places


def _values(field: Field | None, names: Names) -> Iterator[lsp.CompletionItem]:
    if field is None:
        return
    words = ("true", "false") if field.kind is Kind.FLAG else field.words
    yield from (item(word, _KIND.EnumMember, f"`{field.name}`", rank=0) for word in words)
    if field.kind is not Kind.WORD:
        yield from (item(name, _KIND.Constant, "constant") for name in names.constants)
