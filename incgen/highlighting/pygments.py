"""A Pygments lexer for specs: Sphinx, MkDocs, LaTeX's minted and `pygmentize` find it as `inc`."""

from __future__ import annotations

import re

from pygments.lexer import RegexLexer, bygroups
from pygments.token import (
    Comment,
    Generic,
    Keyword,
    Name,
    Number,
    Operator,
    Punctuation,
    String,
    Text,
    _TokenType,
)

from incgen.highlighting.patterns import Pattern, patterns

#: The token for each scope, by its beginning; the first that fits counts.
_TOKENS: dict[str, _TokenType] = {
    "comment.line.documentation": String.Doc,
    "comment": Comment.Single,
    "string": String.Double,
    "constant.numeric": Number,
    "constant.language": Keyword.Constant,
    "keyword.operator": Operator,
    "keyword": Keyword,
    "support.function.builtin": Name.Builtin,
    "support.function": Name.Builtin,
    "support.type": Name.Builtin,
    "support.constant": Name.Constant,
    "entity.name.label": Name.Label,
    "entity.name.function": Name.Function,
    "entity.name.type": Name.Class,
    "variable.parameter": Name.Attribute,
    "variable.language": Name.Builtin.Pseudo,
    "variable": Name.Variable,
}


def _token(scope: str) -> _TokenType:
    if not scope:
        return Text
    return next((token for start, token in _TOKENS.items() if scope.startswith(start)), Generic)


def _rule(pattern: Pattern) -> tuple[str, object]:
    """Return a rule of the lexer; blanks between its groups become one of their own."""
    tokens = [_token(scope) for scope in pattern.scopes]
    if len(tokens) < 2:
        return pattern.regex, tokens[0] if tokens else Name
    if ")[ \\t]+(" in pattern.regex:
        tokens.insert(1, Text)
    return pattern.regex.replace(")[ \\t]+(", ")([ \\t]+)("), bygroups(*tokens)


class IncLexer(RegexLexer):  # type: ignore[misc]  # Pygments has no types
    """Colours specs."""

    name = "inc"
    aliases = ["inc", "incgen"]  # noqa: RUF012  # as Pygments has it
    filenames = ["*.inc"]  # noqa: RUF012
    flags = re.MULTILINE
    tokens = {  # noqa: RUF012
        "root": [
            *map(_rule, patterns()),
            (r"\n|[ \t\r\f]+", Text),
            (r"[{}()\[\],:;]", Punctuation),
        ]
    }
