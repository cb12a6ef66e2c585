"""Signatures of calls of an op, a unit or a block."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lsprotocol import types as lsp

from incgen.language.ops import OPS
from incgen.language.signatures import Argument, Signature
from incgen.lsp import describing
from incgen.lsp.context import Context, context_at
from incgen.lsp.names import Names
from incgen.lsp.view import View
from incgen.syntax import tree as st
from incgen.syntax.tokens import Kind, Token


@dataclass(frozen=True)
class Callee:
    """The referent of a name in front of arguments."""

    name: str
    takes: Signature | None  #: The arguments of an op or unit
    block: st.Block | None  #: The definition of a block
    doc: str

    @property
    def positional(self) -> Sequence[str]:
        """Return the names of what can be given by position, in order."""
        if self.block is not None:
            return [parameter.name.text for parameter in self.block.parameters]
        return [a.name for a in self.takes.positional] if self.takes is not None else []


def callee(name: str, names: Names) -> Callee | None:
    """Return what a name stands for in front of arguments."""
    op = OPS.get(name)
    if op is not None:
        return Callee(name, op, None, op.doc)
    symbol = names.definitions.get(name)
    if symbol is None:
        return None
    if isinstance(symbol.item, st.Block):
        return Callee(name, None, symbol.item, symbol.item.doc)
    assert isinstance(symbol.item, st.Unit)
    return Callee(name, of_unit(symbol.item, names), None, symbol.item.doc)


def of_unit(unit: st.Unit, names: Names) -> Signature | None:
    """Return what a unit takes: what its head takes, and what it sets itself only by name."""
    head = unit.calls[0]
    # units that begin with each other have no op at their head
    inner = callee(head.name.text, names) if names.head(head.name.text) is not None else None
    if inner is None or inner.takes is None:
        return None
    takes = inner.takes
    given = {argument.name for argument in takes.positional[: len(head.positional)]}
    given |= {attribute.name.text for attribute in head.attributes}
    open_ = tuple(argument for argument in takes.positional if argument.name not in given)
    fixed = tuple(argument for argument in takes.positional if argument.name in given)
    return Signature(unit.name.text, open_, (*fixed, *takes.attributes))


def given(arguments: Sequence[Token]) -> tuple[int, list[str]]:
    """Return how many arguments are given by position, and the names of the others."""
    count, named, at = 0, list[str](), 0
    while at < len(arguments):
        if at + 1 < len(arguments) and arguments[at + 1].text == "=":
            named.append(arguments[at].text)
            at = _behind_value(arguments, at + 2)
        else:
            count += 1
            at = _behind(arguments, at)
    return count, named


def _behind_value(arguments: Sequence[Token], at: int) -> int:
    """Return the number of the token behind a value: `-1`, `[0, 255]` or `normal(0.01)`."""
    if at < len(arguments) and arguments[at].text in ("+", "-"):
        at += 1
    at = _behind(arguments, at)
    adjoins = at < len(arguments) and arguments[at].start == arguments[at - 1].end
    return _behind(arguments, at) if adjoins and arguments[at].text == "(" else at


def _behind(arguments: Sequence[Token], at: int) -> int:
    """Return the number of the token behind one, or behind the bracket that it opens."""
    depth = 0
    while at < len(arguments):
        depth += (arguments[at].text in ("(", "[")) - (arguments[at].text in (")", "]"))
        at += 1
        if depth <= 0:
            break
    return at


def signature(view: View, offset: int) -> lsp.SignatureHelp | None:
    """Return what the call around an offset takes, and which argument is next."""
    context = context_at(view.text, offset)
    if context.comment or context.string or context.frame.kind in ("recipe", "images"):
        return None
    element = _call(context)
    called = callee(element[0].text, view.names) if element else None
    if called is None:
        return None
    parameters = _parameters(called)
    active = _active(called, element[1:], context)
    label = " ".join([called.name, *(text for text, _ in parameters)])
    shown = [
        lsp.ParameterInformation(text, lsp.MarkupContent(lsp.MarkupKind.Markdown, doc))
        for text, doc in parameters
    ]
    one = lsp.SignatureInformation(
        label, lsp.MarkupContent(lsp.MarkupKind.Markdown, called.doc), shown, active
    )
    return lsp.SignatureHelp([one], 0, active)


def _call(context: Context) -> Sequence[Token]:
    """Return the call at the cursor, from its name on."""
    element = context.element
    if context.frame.kind == "file":
        first = context.statement[0].text if context.statement else ""
        if first == "default":
            return context.statement[1:]
        if first != "unit":
            return ()
    return element if element and element[0].kind is Kind.NAME else ()


def _parameters(called: Callee) -> list[tuple[str, str]]:
    if called.block is not None:
        return [(describing.parameter(parameter), "") for parameter in called.block.parameters]
    takes = called.takes
    if takes is None:
        return []
    return [(a.usage, describing.argument(a, takes)) for a in takes.arguments]


def _active(called: Callee, arguments: Sequence[Token], context: Context) -> int | None:
    """Return the number of the argument at the cursor."""
    everything = [*called.positional]
    if called.takes is not None:
        everything += [attribute.name for attribute in called.takes.attributes]
    count, named = given(arguments)
    if arguments and arguments[-1].text == "=" and named and named[-1] in everything:
        return everything.index(named[-1])
    if context.expression and count:
        count -= 1  # the parenthesis is the argument that is being written
    free = [n for n, name in enumerate(called.positional) if name not in named]
    return free[count] if count < len(free) else None


def argument_of(called: Callee, arguments: Sequence[Token]) -> Argument | None:
    """Return the argument whose value comes next: the one behind `=`, or the next by position."""
    if called.takes is None:
        return None
    if len(arguments) > 1 and arguments[-1].text == "=":
        return called.takes.argument(arguments[-2].text)
    count, _ = given(arguments)
    positional = called.takes.positional
    return positional[count] if count < len(positional) else None
