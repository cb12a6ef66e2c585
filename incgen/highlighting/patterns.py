"""Regular expressions for the words of a spec, made from the grammar and the tables.

They are tried in order at each place, like those of a TextMate grammar or of a Pygments lexer, and
use only what the regular expressions of Python, Oniguruma and JavaScript share.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

from incgen.language.initializers import RULES
from incgen.language.ops import DIMENSIONS, OPS, WORDS
from incgen.language.presets import PRESETS
from incgen.recipes.table import SETTINGS, TRANSFORMS
from incgen.syntax.parser import terminals
from incgen.syntax.tokens import keywords

_TRUTHS = ("true", "false")
#: The words that a definition begins with, each with the scope of the name behind it.
_DEFINING = {
    "unit": "entity.name.function.unit",
    "block": "entity.name.type.block",
    "network": "entity.name.type.network",
    "recipe": "entity.name.type.recipe",
    "let": "variable.other.constant",
}


@dataclass(frozen=True, slots=True)
class Pattern:
    """A regular expression, and what it finds."""

    regex: str
    #: Scopes as TextMate names them: one of the whole, or one of each group, "" for none
    scopes: tuple[str, ...]


def _words(words: Iterable[str]) -> str:
    """Return an expression for whole words."""
    return rf"\b(?:{'|'.join(sorted(words, key=lambda word: (-len(word), word)))})\b"


@cache
def patterns() -> tuple[Pattern, ...]:
    """Return the patterns in the order in which they are tried."""
    regexes = dict(terminals())
    name = regexes["NAME"]
    word = [keyword for keyword in sorted(keywords()) if keyword not in _TRUTHS]
    signs = [r"->", regexes["COMPARATOR"], regexes["FACTOR"], regexes["SIGN"], "="]
    named = [(rf"\b({word})[ \t]+({name})", scope) for word, scope in _DEFINING.items()]
    return (
        Pattern(r"##.*$", ("comment.line.documentation",)),
        Pattern(r"#.*$", ("comment.line.number-sign",)),
        Pattern(regexes["STRING"], ("string.quoted.double",)),
        Pattern(rf"(?<![A-Za-z0-9_]){regexes['WINDOW']}", ("constant.numeric.window",)),
        *(Pattern(regex, ("keyword.other", scope)) for regex, scope in named),
        Pattern(_words(word), ("keyword.control",)),
        Pattern(_words(_TRUTHS), ("constant.language.boolean",)),
        Pattern(regexes["FUNCTION"], ("support.function.builtin",)),
        Pattern(rf"\b{name}(?=[ \t]*:)", ("entity.name.label",)),
        Pattern(rf"\b{name}(?=[ \t]*=(?!=))", ("variable.parameter.attribute",)),
        Pattern(
            rf"(?<![A-Za-z0-9_]){regexes['NUMBER']}(?![A-Za-z0-9_])", ("constant.numeric.number",)
        ),
        Pattern(_words({*OPS, "activation"}), ("support.function.op",)),
        Pattern(
            rf"((?:^|[{{;])[ \t]*)({_words({*SETTINGS, *TRANSFORMS})})",
            ("", "support.type.setting"),
        ),
        Pattern(_words({*WORDS, *RULES, *PRESETS} - set(OPS)), ("support.constant.word",)),
        Pattern(_words(DIMENSIONS), ("variable.language.size",)),
        Pattern("|".join(signs), ("keyword.operator",)),
        Pattern(rf"\b{name}", ()),
    )
