"""Complete the word at the cursor."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from lsprotocol import types as lsp

from incgen.base.diagnostics import Reporter
from incgen.base.source import line_end
from incgen.language.initializers import RULES
from incgen.language.ops import ACTIVATIONS, DIMENSIONS, OPS, WORDS
from incgen.language.presets import PRESETS
from incgen.language.signatures import Argument
from incgen.language.signatures import Kind as Takes
from incgen.lsp import describing
from incgen.lsp.completion_recipes import in_recipe
from incgen.lsp.context import Context, context_at
from incgen.lsp.items import item
from incgen.lsp.signatures import Callee, argument_of, callee, given
from incgen.lsp.view import View
from incgen.resolve.arguments import words_of
from incgen.resolve.pixels import ATTRIBUTES, ORDERS
from incgen.syntax import shipped
from incgen.syntax import tree as st
from incgen.syntax.loader import load_around_faults
from incgen.syntax.tokens import Kind, Token, joins, tokens

_KIND = lsp.CompletionItemKind
#: What begins a statement at the top of a file, with a few words on each.
_TOP = {
    "numerics": "the conventions of a framework, by its preset",
    "default": "an attribute for the ops that do not state it",
    "let": "a constant",
    "unit": "a fixed chain that is used as one op",
    "block": "a body with parameters",
    "network": "the model",
    "use": "units and blocks of another file",
    "recipe": "how a network is trained",
}
_JOINS = {
    "concat": "joins branches along the channels",
    "add": "adds branches",
    "mul": "multiplies branches",
}
#: The deepest folder, below that of the spec, in which files are offered.
_MAX_DEPTH = 3


def completion(view: View, offset: int, folder: Path) -> list[lsp.CompletionItem]:
    """Return what can be typed at an offset; the folder is that of the file."""
    context = context_at(view.text, offset)
    if context.comment:
        return []
    if context.string:
        return list(_files(view, context, folder))
    typed = view.text[context.start - 1 : context.start]
    if typed == "/" or (context.statement and typed.isdigit()):
        return []  # inside a number or a window
    if context.expression:
        return list(_values(view, context))
    if context.frame.kind == "file":
        return list(_at_top(view, context))
    if context.frame.kind in ("recipe", "images"):
        return list(in_recipe(context, view.names))
    return list(_in_body(view, context))


# ---------------------------------------------------------------- the top of a file


def _at_top(view: View, context: Context) -> Iterator[lsp.CompletionItem]:
    words = [token.text for token in context.statement]
    match words:
        case []:
            yield from (item(word, _KIND.Keyword, about) for word, about in _TOP.items())
        case ["numerics"]:
            for name in PRESETS:
                yield item(name, _KIND.EnumMember, "preset", describing.preset(name))
        case ["default"]:
            for op in OPS.values():
                if op.attributes:
                    yield item(op.name, _KIND.Function, op.doc, describing.op(op))
        case ["default", name, *_]:
            called = callee(name, view.names)
            yield from _arguments(view, context, called, context.statement[2:], by_position=False)
        case ["let", _, "=", *_]:
            yield from _values(view, context)
        case ["unit", _, "=", *_]:
            yield from _in_unit(view, context)
        case ["use", *_] if "from" not in words:
            yield from _of_file(view, context)
        case ["recipe", _, *rest]:
            yield from _head_of_recipe(view, rest)


def _in_unit(view: View, context: Context) -> Iterator[lsp.CompletionItem]:
    element = context.element
    if not element:
        yield from _ops()
        yield from _definitions(view, ("unit",))
    else:
        yield from _arguments(view, context, callee(element[0].text, view.names), element[1:])


def _of_file(view: View, context: Context) -> Iterator[lsp.CompletionItem]:
    """Yield the units and blocks of the file that the line names behind the cursor."""
    line = view.text[context.start : line_end(view.text, context.start)]
    named = next((token.text for token in tokens(line) if token.kind is Kind.STRING), None)
    if named is None:
        return
    text = f"use it from {named}\n"
    source = Path(view.places.source.name)
    loaded = load_around_faults(source, text, {}, Reporter())
    for used in loaded.uses.values() if loaded is not None else ():
        for entry in used.spec.items:
            if isinstance(entry, (st.Unit, st.Block)) and not isinstance(entry, st.Network):
                yield item(entry.name.text, _KIND.Class, doc=entry.doc)


def _head_of_recipe(view: View, rest: list[str]) -> Iterator[lsp.CompletionItem]:
    names = view.names
    if rest[-1:] == ["for"]:
        for symbol in names.definitions.values():
            if symbol.role.value == "network":
                yield item(symbol.name, _KIND.Module, "network")
    elif rest[-1:] == ["from"]:
        yield from (item(name, _KIND.Event, "recipe") for name in names.recipes)
    elif rest[:1] == ["for"] and len(rest) > 1 and "from" not in rest:
        network = names.definitions.get(rest[1])
        if network is not None and rest[-1] != "=":
            for name in (*names.parameters(network), *names.constants):
                yield item(name, _KIND.Property, "parameter or constant", insert=f"{name}=")
            yield item("from", _KIND.Keyword, "another recipe")
    else:
        known = [word for word in ("for", "from") if word not in rest]
        yield from (item(word, _KIND.Keyword) for word in known)


def _files(view: View, context: Context, folder: Path) -> Iterator[lsp.CompletionItem]:
    """Yield the files that a `use` can name."""
    if not context.statement or context.statement[0].text != "use":
        return
    own = Path(view.places.source.name).resolve()
    paths = [
        path.relative_to(folder).as_posix()
        for depth in range(_MAX_DEPTH)
        for path in folder.glob("*/" * depth + "*.inc")
        if path.resolve() != own
    ]
    end = len(context.prefix) and context.start + len(context.prefix)
    place = view.places.range(context.start, end or context.start)
    for path in (*sorted(paths), *shipped.paths()):
        about = "comes with incgen" if path.startswith(shipped.PREFIX) else ""
        made = item(path, _KIND.File, about)
        made.text_edit = lsp.TextEdit(place, path)
        yield made


# ---------------------------------------------------------------- bodies


def _in_body(view: View, context: Context) -> Iterator[lsp.CompletionItem]:
    element, unlabelled = context.element, context.unlabelled
    words = [token.text for token in element]
    if not words:
        yield from _elements(view, context, begins=not unlabelled)
    elif words == ["from"]:
        for number, label in enumerate(dict.fromkeys(context.labels)):
            yield item(label, _KIND.Field, "label", rank=number)
    elif words[0] in ("repeat", "if"):
        yield from _values(view, context)
    elif words[0] == "input":
        yield from _pixels(words)
    elif element[0].kind is Kind.NAME:
        yield from _arguments(view, context, callee(words[0], view.names), element[1:])


def _elements(view: View, context: Context, *, begins: bool) -> Iterator[lsp.CompletionItem]:
    """Yield what can stand where an op does; `begins` says whether the statement begins there."""
    yield from _ops()
    yield from _definitions(view, ("unit", "block"))
    for word in sorted(joins()):
        yield item(word, _KIND.Keyword, _JOINS.get(word, ""))
    yield item("repeat", _KIND.Keyword, "applies a body several times")
    yield item("if", _KIND.Keyword, "chooses when the model is built")
    if not begins:
        return
    if context.labels:
        yield item("from", _KIND.Keyword, "starts from an earlier value")
    frame = context.frame
    if frame.network and not context.statement:
        yield item("aux", _KIND.Keyword, "an auxiliary head")
        if not frame.statements:
            yield item("input", _KIND.Keyword, "the size and channels of the input")


def _pixels(words: list[str]) -> Iterator[lsp.CompletionItem]:
    if words[-2:] == ["order", "="]:
        yield from (item(word, _KIND.EnumMember) for word in ORDERS)
    elif words[-1] != "=" and len(words) > 2:
        for name in ATTRIBUTES:
            if name not in words:
                yield item(name, _KIND.Property, insert=f"{name}=")


def _ops() -> Iterator[lsp.CompletionItem]:
    for op in OPS.values():
        yield item(op.name, _KIND.Function, op.doc, describing.op(op))
    yield item("activation", _KIND.Function, "The op that a constant names.")


def _definitions(view: View, roles: tuple[str, ...]) -> Iterator[lsp.CompletionItem]:
    for symbol in view.names.definitions.values():
        if symbol.role.value not in roles:
            continue
        called = callee(symbol.name, view.names)
        takes = called.takes if called is not None else None
        usage = takes.usage if takes is not None else ""
        if called is not None and called.block is not None:
            usage = describing.usage_of_block(called.block)
        doc = "\n\n".join(filter(None, (f"```inc\n{usage}\n```", called.doc if called else "")))
        yield item(symbol.name, _KIND.Class, symbol.role.value, doc)


# ---------------------------------------------------------------- arguments


def _arguments(
    view: View,
    context: Context,
    called: Callee | None,
    arguments: Sequence[Token],
    *,
    by_position: bool = True,
) -> Iterator[lsp.CompletionItem]:
    """Yield what can follow the name of a call: values where one is due, and attributes."""
    if called is None:
        if context.element and context.element[0].text == "activation":
            yield from (item(word, _KIND.EnumMember) for word in ACTIVATIONS)
            yield from _names(view, context)
        return
    if arguments and arguments[-1].text == "=":
        yield from _values_of(view, context, argument_of(called, arguments))
        return
    count, named = given(arguments)
    if by_position and count < len(called.positional):
        yield from _values_of(view, context, argument_of(called, arguments))
    if called.block is not None:
        for name in called.positional[count:]:
            if name not in named:
                yield item(name, _KIND.Property, "parameter", insert=f"{name}=", rank=2)
    elif called.takes is not None:
        for attr in called.takes.attributes:
            if attr.name not in named:
                doc = describing.argument(attr, OPS.get(called.name, called.takes))
                yield item(attr.name, _KIND.Property, attr.doc, doc, insert=f"{attr.name}=", rank=2)


def _values_of(
    view: View, context: Context, argument: Argument | None
) -> Iterator[lsp.CompletionItem]:
    """Yield the words that an argument accepts, and the names of values."""
    if argument is None:
        yield from _values(view, context)
        return
    if argument.kind is Takes.INITIALIZER:
        for name, rule in RULES.items():
            insert = f"{name}()" if rule.arguments else name
            shown = f"{name}({', '.join(rule.arguments)})" if rule.arguments else name
            yield item(name, _KIND.EnumMember, shown, rule.formula, insert=insert)
        return
    for word in words_of(argument):
        yield item(word, _KIND.EnumMember, f"`{argument.name}`", rank=0)
    if argument.kind is not Takes.WINDOW:
        yield from _names(view, context)


def _values(view: View, context: Context) -> Iterator[lsp.CompletionItem]:
    """Yield what an expression can name."""
    yield from _names(view, context)
    for word in sorted(WORDS | {"true", "false"}):
        yield item(word, _KIND.EnumMember, rank=3)


def _names(view: View, context: Context) -> Iterable[lsp.CompletionItem]:
    for name in context.parameters:
        yield item(name, _KIND.Variable, "parameter", rank=1)
    line = view.text.rfind("\n", 0, context.start) + 1
    for symbol in view.names.constants.values():
        place = view.now(symbol.span.start)
        if place is not None and place < line:  # those further down are not known yet
            yield item(symbol.name, _KIND.Constant, symbol.item.span.text, rank=1)
    if context.frame.kind != "file":
        for word in DIMENSIONS:
            yield item(word, _KIND.Variable, "of the current value", rank=1)
