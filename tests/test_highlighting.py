"""Colours without a language server, held against the lexer that the parser uses."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from pygments.lexers import get_lexer_by_name
from pygments.token import Comment, Error, Keyword, Number, String

from incgen.language.ops import OPS
from incgen.syntax.tokens import Kind, keywords, tokens

ROOT = Path(__file__).parent.parent
sys.path.append(str(ROOT / "editors"))
import textmate  # noqa: E402  # a script beside the extension

SPECS = sorted((ROOT / "specs").rglob("*.inc"))
#: How the scopes of a token begin, by its kind; a name has any other.
SCOPES = {
    Kind.COMMENT: "comment.",
    Kind.STRING: "string.",
    Kind.NUMBER: "constant.numeric.number",
    Kind.WINDOW: "constant.numeric.window",
    Kind.KEYWORD: ("keyword.control", "keyword.other", "constant.language", "support.function."),
}
FIXED = ("comment.", "string.", "constant.numeric", "keyword.", "constant.language")


def test_the_grammar_has_the_words_of_the_tables(update_goldens: bool) -> None:
    if update_goldens:
        textmate.main([])
    assert textmate.FILE.read_text("utf-8") == textmate.grammar()
    assert f"({'|'.join(sorted({*OPS, 'activation'}, key=lambda w: (-len(w), w)))})" in (
        textmate.FILE.read_text("utf-8").replace("(?:", "(")
    )


@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.stem)
def test_the_grammar_sees_the_tokens_of_the_parser(path: Path) -> None:
    text = path.read_text("utf-8")
    scopes = {(start, end): scope for start, end, scope in textmate.scopes(text)}

    for token in tokens(text):
        scope = scopes.pop((token.start, token.end), "")
        if token.kind in SCOPES:
            assert scope.startswith(SCOPES[token.kind]), (token, scope)
        elif token.kind is Kind.NAME:
            assert not scope.startswith(FIXED), (token, scope)
        else:
            assert scope in ("", "keyword.operator"), (token, scope)
    assert scopes == {}  # nothing is a part of a token, or of several


@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.stem)
def test_pygments_sees_the_tokens_of_the_parser(path: Path) -> None:
    text = path.read_text("utf-8")
    lexed = list(get_lexer_by_name("inc").get_tokens_unprocessed(text))

    assert "".join(value for _, _, value in lexed) == text
    assert not [value for _, kind, value in lexed if kind is Error]
    kinds = {Kind.COMMENT: (Comment, String.Doc), Kind.NUMBER: (Number,), Kind.STRING: (String,)}
    for token in tokens(text):
        if token.kind in kinds:
            at = next(entry for entry in lexed if entry[0] == token.start)
            assert at[2] == token.text and any(at[1] in kind for kind in kinds[token.kind])
    words = {value for _, kind, value in lexed if kind in Keyword}
    assert words <= keywords()


def test_names_have_the_scopes_of_what_they_are() -> None:
    text = "block b(n, kind = max) {\n    conv: conv 3x{n} channels pad=half -> my_op max(2, n)\n}"
    scopes = {text[start:end]: scope for start, end, scope in textmate.scopes(text)}

    assert scopes == {
        "block": "keyword.other",
        "b": "entity.name.type.block",
        "kind": "variable.parameter.attribute",
        "=": "keyword.operator",
        "max": "support.function.builtin",
        "conv": "support.function.op",
        "3x{n}": "constant.numeric.window",
        "channels": "variable.language.size",
        "pad": "variable.parameter.attribute",
        "half": "support.constant.word",
        "->": "keyword.operator",
        "2": "constant.numeric.number",
    }
    label = text.index("conv:")
    assert (label, label + 4, "entity.name.label") in textmate.scopes(text)
