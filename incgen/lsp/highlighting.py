"""Classify each word for editors that colour by meaning."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import pairwise

from lsprotocol import types as lsp

from incgen.language.ops import OPS
from incgen.lsp.names import Occurrence, Role
from incgen.lsp.view import View
from incgen.syntax.tokens import Kind, Token, tokens

#: The standard type for each role of a name.
_ROLES = {
    Role.UNIT: lsp.SemanticTokenTypes.Class,
    Role.BLOCK: lsp.SemanticTokenTypes.Class,
    Role.NETWORK: lsp.SemanticTokenTypes.Class,
    Role.CONSTANT: lsp.SemanticTokenTypes.Variable,
    Role.PARAMETER: lsp.SemanticTokenTypes.Parameter,
    Role.LABEL: lsp.SemanticTokenTypes.Label,
    Role.RECIPE: lsp.SemanticTokenTypes.Class,
    Role.OP: lsp.SemanticTokenTypes.Function,
    Role.ATTRIBUTE: lsp.SemanticTokenTypes.Property,
    Role.DIMENSION: lsp.SemanticTokenTypes.Variable,
    Role.PRESET: lsp.SemanticTokenTypes.EnumMember,
    Role.SETTING: lsp.SemanticTokenTypes.Function,
    Role.WORD: lsp.SemanticTokenTypes.EnumMember,
}
_KINDS = {
    Kind.COMMENT: lsp.SemanticTokenTypes.Comment,
    Kind.KEYWORD: lsp.SemanticTokenTypes.Keyword,
    Kind.NUMBER: lsp.SemanticTokenTypes.Number,
    Kind.WINDOW: lsp.SemanticTokenTypes.Number,
    Kind.STRING: lsp.SemanticTokenTypes.String,
}
_TYPES = list(dict.fromkeys([*_KINDS.values(), *_ROLES.values()]))
_NUMBERS = {kind: number for number, kind in enumerate(_TYPES)}
_MODIFIERS = [
    lsp.SemanticTokenModifiers.Definition,
    lsp.SemanticTokenModifiers.Readonly,
    lsp.SemanticTokenModifiers.DefaultLibrary,
    lsp.SemanticTokenModifiers.Documentation,
]
_DEFINITION, _READONLY, _DEFAULT, _DOCUMENTATION = (1 << n for n in range(len(_MODIFIERS)))
#: What the numbers of a type and the bits of its modifiers stand for.
LEGEND = lsp.SemanticTokensLegend([t.value for t in _TYPES], [m.value for m in _MODIFIERS])


def highlighted(view: View) -> lsp.SemanticTokens:
    """Return the types of all tokens, five numbers for each, as the protocol has it."""
    data: list[int] = []
    text, units = view.text, view.places.units
    line = column = 0  # of the token before
    here = begin = 0  # the line that is reached, and its offset
    for token, kind, modifiers in _typed(view):
        if kind is None:
            here, begin = here + 1, token.end
            continue
        start = units(text[begin : token.start])
        step = here - line
        length = units(token.text)
        data += [step, start if step else start - column, length, _NUMBERS[kind], modifiers]
        line, column = here, start
    return lsp.SemanticTokens(data)


def _typed(view: View) -> Iterator[tuple[Token, lsp.SemanticTokenTypes | None, int]]:
    """Yield the tokens that have a type, with the bits of its modifiers; and ends of lines."""
    now = view.now
    names = {now(occurrence.span.start): occurrence for occurrence in view.names.occurrences}
    for token, following in pairwise([*tokens(view.text), Token(Kind.NEWLINE, "", 0)]):
        if token.kind is Kind.NAME:
            kind, modifiers = _name(token, following, names.get(token.start))
            if kind is not None:
                yield token, kind, modifiers
        elif token.text == "\n":
            yield token, None, 0
        elif token.kind is Kind.WINDOW and "{" in token.text:
            yield from _parts(token, names)
        elif token.kind in _KINDS:
            documents = token.text.startswith("##")
            yield token, _KINDS[token.kind], _DOCUMENTATION if documents else 0


def _parts(
    token: Token, names: Mapping[int | None, Occurrence]
) -> Iterator[tuple[Token, lsp.SemanticTokenTypes, int]]:
    """Split a window at the names inside its braces."""
    kind, begin = _KINDS[Kind.WINDOW], token.start
    for start in range(token.start, token.end):
        name = names.get(start)
        if name is None or start < begin:
            continue
        text = name.span.text
        if start > begin:
            yield _cut(token, begin, start), kind, 0
        yield Token(Kind.NAME, text, start), _ROLES[name.role], 0
        begin = start + len(text)
    if begin < token.end:
        yield _cut(token, begin, token.end), kind, 0


def _cut(token: Token, start: int, end: int) -> Token:
    return Token(token.kind, token.text[start - token.start : end - token.start], start)


def _name(
    token: Token, following: Token, known: Occurrence | None
) -> tuple[lsp.SemanticTokenTypes | None, int]:
    """Return the type of a name: what is known of it, or else what stands behind it says."""
    if known is None or known.role not in _ROLES or known.span.text != token.text:
        if following.text in (":", "="):
            role = Role.LABEL if following.text == ":" else Role.ATTRIBUTE
            return _ROLES[role], 0
        return (_ROLES[Role.OP], 0) if token.text in OPS else (None, 0)
    modifiers = _DEFINITION if known.defines else 0
    if known.role is Role.CONSTANT:
        modifiers |= _READONLY
    elif known.role in (Role.OP, Role.DIMENSION):
        modifiers |= _DEFAULT
    return _ROLES[known.role], modifiers
