"""Syntax errors in the user's terms: what was probably meant, and what to type.

Knows nothing of Lark: the parser hands over the kind of the token that does not fit, its text,
the text around it, and the kinds that would have fitted.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from incgen.base.diagnostics import Code, clipped, near
from incgen.language.arithmetic import FUNCTIONS

#: The kinds that begin an item of a file.
ITEMS = frozenset({"NUMERICS", "DEFAULT", "LET", "UNIT", "BLOCK", "NETWORK", "USE"})
_JOINS = {"CONCAT", "ADD", "MUL"}
_STATEMENTS = {"FROM", "INPUT", "AUX", "REPEAT", "IF", "ELSE"}
_OPERATORS = {"TRUE", "FALSE", "AND", "OR", "NOT"}
#: The words of the language, which nothing can be called.
KEYWORDS = frozenset(word.lower() for word in ITEMS | _JOINS | _STATEMENTS | _OPERATORS)
_ITEM_WORDS = sorted(word.lower() for word in ITEMS)

_SIGNS = {
    "LBRACE": "`{`",
    "RBRACE": "`}`",
    "LPAR": "`(`",
    "RPAR": "`)`",
    "LSQB": "`[`",
    "RSQB": "`]`",
    "EQUAL": "`=`",
    "COLON": "`:`",
    "COMMA": "`,`",
    "_ARROW": "`->`",
    "_NEWLINE": "the end of the line",
    "$END": "the end of the file",
    "NAME": "a name",
    "NUMBER": "a number",
    "STRING": 'a "string"',
    "WINDOW": "a window such as `3x3`",
    "COMPARATOR": "a comparison",
    "SIGN": "`+` or `-`",
    "FACTOR": "`*` or `/`",
    "FUNCTION": "a function",
    "JOIN": "`concat`, `add` or `mul`",
}
_STARTS = {"NAME", "JOIN", "REPEAT", "IF", "LBRACE"}
_STRAY = {
    "×": "a window is written with the letter x: `3x3`",
    "→": "the arrow is written `->`",
    "–": "write the plain `-`",
    "—": "write the plain `-`",
    "−": "write the plain `-`",
    "'": 'a string goes in double quotes, as in `from "common.inc"`; nothing else does',
    "“": 'write plain double quotes: `"`',
    "”": 'write plain double quotes: `"`',
    "^": "there is no power operator: write `(n * n)`",
    "!": "write `not`, or `!=` to compare",
    "&": "write `and`",
    "|": "write `or`",
    "\N{NO-BREAK SPACE}": "write a plain space",
    ".": "a name consists of letters, digits and `_`",
    "\\": "a line that begins with `->` continues the one before",
}


#: Of a long line only so many characters of its beginning and in front of the token are looked at.
_LOOKED_AT = 200


@dataclass(frozen=True, slots=True)
class Slip:
    """What is wrong with a token; `back` and `width` move the span if it is not the token."""

    code: Code
    message: str
    help: str | None = None
    back: int = 0
    width: int | None = None


def stray(char: str, after: str = "") -> Slip:
    """Explain a character that begins no token."""
    if char == '"':
        message = "this string has no closing quote on its line"
        return Slip(Code.BAD_CHARACTER, message, 'close it with `"`')
    shown = f"`{char}`" if char.isprintable() and char != "`" else f"U+{ord(char):04X}"
    help_ = _STRAY.get(char)
    quoted = re.match(r"(\w+)'", after)
    if char == "'" and quoted:
        help_ = f"write `{clipped(quoted[1])}` without quotes"
    if help_ is None and char.isalpha():
        help_ = "names are written with the letters a to z, digits and `_`"
    return Slip(Code.BAD_CHARACTER, f"unexpected character {shown}", help_)


def explain(kind: str, token: str, accepts: set[str], before: str, after: str) -> Slip:
    """Explain why a token does not fit."""
    before = before.rstrip(" \t")
    if len(before) > 2 * _LOOKED_AT:  # patterns take time with the square of what they search
        before = f"{before[:_LOOKED_AT]} {before[-_LOOKED_AT:]}"
    shown = f"`{clipped(token)}`"
    for rule in (_line_end, _arrow, _operator, _definition, _brackets, _equals, _word, _follows):
        slip = rule(kind, token, accepts, before, after)
        if slip is not None:
            return slip
    return Slip(Code.SYNTAX, f"unexpected {shown}{wanted(accepts)}")


def _line_end(kind: str, token: str, accepts: set[str], before: str, after: str) -> Slip | None:
    if kind != "_NEWLINE":
        return None
    if before.endswith("->"):
        message = "there is no op after the `->` on this line"
        return Slip(Code.SYNTAX, message, "put the `->` at the beginning of the next line")
    help_ = "put the `{` on this line" if "LBRACE" in accepts and len(accepts) < 4 else None
    return Slip(Code.SYNTAX, f"the line ends too early{wanted(accepts)}", help_)


def _arrow(kind: str, token: str, accepts: set[str], before: str, after: str) -> Slip | None:
    written = token + after
    for wrong in ("- >", "-->", "=>", "= >", "~>"):
        if written.startswith(wrong):
            return Slip(Code.MISSING_ARROW, "the arrow is written `->`", width=len(wrong))
    if kind == "_ARROW":
        place = "the `->` before it" if before.endswith("->") else "it"
        return Slip(Code.SYNTAX, f"there is no op before this `->`: {place} leads nowhere")
    return None


def _operator(kind: str, token: str, accepts: set[str], before: str, after: str) -> Slip | None:
    if kind not in ("FACTOR", "SIGN", "COMPARATOR", "AND", "OR", "NOT"):
        return None
    if kind == "FACTOR" and re.search(r"[0-9}]x[0-9{][^\s]*$", before):
        return _stride(before, after)
    if token == "//" and not before.strip():
        return Slip(Code.SYNTAX, "a comment begins with `#`", "write `#` in place of `//`", width=2)
    if "_ARROW" in accepts:
        number = re.match(r"[0-9.]+", after) if kind == "SIGN" and before[-1:] not in "=[" else None
        if number:
            message = "a negative number in an argument needs parentheses"
            return Slip(Code.SYNTAX, message, f"write `({token}{clipped(number.group())})`")
        if token == "==":
            message = "an attribute has a single `=`; a comparison needs parentheses"
            return Slip(Code.SYNTAX, message, f"write `{last_word(before)}=...`")
        message = f"an operator in an argument, such as `{token}`, needs parentheses around it"
        return Slip(Code.SYNTAX, message, "for example, write `(channels * 2)`")
    if kind == "COMPARATOR" and "AND" in accepts:
        return Slip(Code.SYNTAX, "a comparison has two sides", "write `a < b and b < c`")
    return None


def _stride(before: str, after: str) -> Slip:
    """Explain a stride that is not part of its window: `3x3/n`, or with spaces."""
    window = before.split()[-1]
    name = re.match(r"[A-Za-z_]\w*", after)
    if name:
        message = "a stride that is not a number goes in braces"
        return Slip(Code.BAD_WINDOW, message, f"write `{window}/{{{name.group()}}}`")
    message = "a window is written without spaces, with its stride right after the `/`"
    number = re.match(r"\s+([1-9])\b", after)  # a larger one is meant as the channels
    return Slip(Code.BAD_WINDOW, message, f"write `{window}/{number[1] if number else 2}`")


def _definition(kind: str, token: str, accepts: set[str], before: str, after: str) -> Slip | None:
    if accepts & ITEMS and kind not in ITEMS:
        message = f"a definition cannot begin with `{clipped(token)}`"
        help_ = _item_help(token, after) if kind == "NAME" else None
        help_ = help_ or "layers go inside `network NAME { ... }` or `block NAME { ... }`"
        return Slip(Code.SYNTAX, message, help_)
    if kind in ITEMS and "$END" in accepts:
        return Slip(Code.SYNTAX, f"`{token}` begins a new definition", "begin a new line")
    begins = before.split(maxsplit=1)[:1]
    if begins == ["unit"] and kind == "LPAR" and accepts == {"EQUAL"}:
        message = "a unit has no parameters; its arguments go to its first op"
        return Slip(Code.SYNTAX, message, "make it a `block`, which has parameters and a body")
    if begins == ["unit"] and kind == "COLON":
        message = "a unit is a chain of ops, without labels"
        return Slip(Code.SYNTAX, message, "leave the label out, or make the unit a `block`")
    if begins == ["unit"] and kind in _STARTS | {"FROM"} and kind != "NAME":
        message = f"a unit is a chain of ops, without `{clipped(token)}`"
        return Slip(Code.SYNTAX, message, "make it a `block`")
    if kind == "COLON" and {"EQUAL", "RPAR"} <= accepts:
        return Slip(Code.SYNTAX, "parameters have no types", "write `name` or `name = 10`")
    return None


#: What begins a definition in other languages.
_ITEMS_ELSEWHERE = {
    "block": ("def", "function", "func", "fn", "class", "module", "macro", "define", "layer"),
    "network": ("model", "net", "graph", "main"),
    "let": ("const", "constant", "var", "param", "set"),
    "use": ("import", "include", "require"),
}


def _item_help(word: str, after: str) -> str | None:
    """Return what to type for a definition that begins with another language's word."""
    for ours, words in _ITEMS_ELSEWHERE.items():
        if word.lower() in words:
            rest = after.strip() if ours != "use" else ""
            rest = rest.rstrip(":{ ") + " {" if rest and ours != "let" else rest
            return f"write `{f'{ours} {rest}'.strip()}`"
    return near(word, _ITEM_WORDS)


def item_in_body(word: str, line: str, around: str) -> tuple[str, str]:
    """Return what is wrong with a definition inside a body, and what to type.

    Args:
        word: The word that it begins with.
        line: The rest of the line, from that word on.
        around: The line with which the outermost body begins.
    """
    message = f"`{word}` belongs between definitions, not inside one"
    outer = re.match(r"(block|network)\s+[A-Za-z_]\w*", around.strip())
    above = f"`{outer.group()}`" if outer else "the definition it stands in"
    constant = re.match(r"let\s+([A-Za-z_]\w*)\s*=\s*([^#;{}]+)", line)
    if constant and re.search(r"\b(channels|height|width)\b", constant[2]):
        if outer and outer[1] == "network":
            return message, f"write `({constant[2].strip()})` in the place of `{constant[1]}`"
        default = f"`({constant[1]} = {constant[2].strip()})`"
        return message, f"make it a parameter with a default: {default} behind the block's name"
    return message, f"move it out of the braces, above {above}"


def _brackets(kind: str, token: str, accepts: set[str], before: str, after: str) -> Slip | None:
    call = re.search(r"([A-Za-z_]\w*)\s*\([^()]*$", before)
    if kind in ("WINDOW", "COMMA", "EQUAL") and call and "LBRACE" not in accepts:
        message = "arguments follow the name, without parentheses or commas"
        return Slip(Code.SYNTAX, message, f"write `{call.group(1)} 64`")
    if kind == "COMMA" and "_ARROW" in accepts:
        return Slip(Code.SYNTAX, "arguments are separated by spaces", "leave out the `,`")
    if kind in ("WINDOW", "STRING", "LSQB") and re.search(r"\[[^\]]*$", before):
        return Slip(Code.SYNTAX, "a list in brackets can only hold plain values")
    if kind == "RSQB" and before.endswith("["):
        return Slip(Code.SYNTAX, "a list in brackets cannot be empty")
    if kind == "LPAR" and before[-1:].isalnum() and "AND" in accepts:
        if last_word(before.rstrip()) in FUNCTIONS:
            message = "the parenthesis of a function directly follows its name"
            return Slip(Code.SYNTAX, message, f"write `{last_word(before.rstrip())}(`")
        message = f"there is no function `{clipped(last_word(before))}`"
        return Slip(Code.SYNTAX, message, f"there are {', '.join(f'`{f}`' for f in FUNCTIONS)}")
    if kind == "FUNCTION":
        message = f"`{token}` followed by a parenthesis is a function"
        return Slip(Code.RESERVED_NAME, message, f"choose another name, such as `{token}_1`")
    if kind == "RPAR" and before.endswith("("):
        return Slip(Code.SYNTAX, "there is no expression in these parentheses")
    return None


def _equals(kind: str, token: str, accepts: set[str], before: str, after: str) -> Slip | None:
    if kind != "EQUAL":
        return None
    if re.fullmatch(r"\s*[A-Za-z_]\w*", before):
        name = before.strip()
        return Slip(Code.SYNTAX, "a label is followed by `:`", f"write `{name}:{after[:20]}`")
    if "COMPARATOR" in accepts:
        return Slip(Code.SYNTAX, "a comparison is written `==`", "write `==`")
    return None


def _word(kind: str, token: str, accepts: set[str], before: str, after: str) -> Slip | None:
    if kind == "COLON" and last_word(before) in KEYWORDS:
        word = last_word(before)
        back = len(before) - before.rindex(word)
        return _reserved(word, back)
    starts_chain = kind in _STARTS and {"_ARROW", "_NEWLINE"} <= accepts
    if kind == "ELSE":
        return Slip(Code.SYNTAX, "this `else` does not follow an `if ... { ... }`")
    if "NAME" in accepts and token in KEYWORDS and not starts_chain:
        return _reserved(token, 0)
    if kind == "NAME" and accepts == {"STRING"}:
        return Slip(Code.SYNTAX, "the path of a file goes in quotes", 'write `from "file.inc"`')
    if kind == "STRING" and accepts == {"NAME"}:
        return Slip(
            Code.SYNTAX, "a name is written without quotes", f"write `{clipped(token[1:-1])}`"
        )
    if kind == "STRING":
        word = token[1:-1]
        help_ = f"write `{word}` without quotes" if word.isidentifier() and len(word) < 40 else None
        return Slip(Code.SYNTAX, "a string is not allowed here; only `use` takes one", help_)
    return None


def _reserved(word: str, back: int) -> Slip:
    message = f"`{word}` is a reserved word and cannot be a name"
    help_ = f"choose another name, such as `{word}_1`"
    return Slip(Code.RESERVED_NAME, message, help_, back, len(word))


def _follows(kind: str, token: str, accepts: set[str], before: str, after: str) -> Slip | None:
    if "_ARROW" not in accepts:
        return None
    shown = clipped(token)
    if kind in _STARTS and "_NEWLINE" in accepts:
        message = f"`{shown}` follows without an arrow"
        help_ = f"write `-> {shown}`, or begin a new line"
        return Slip(Code.MISSING_ARROW, message, help_)
    return None


def last_word(text: str) -> str:
    """Return the word at the end of a text; "" if it ends in something else."""
    found = re.search(r"[A-Za-z_]\w*$", text)
    return found.group() if found else ""


def wanted(accepts: set[str]) -> str:
    """List what could stand here, as the end of a message; "" if there is too much."""
    words = sorted({_SIGNS.get(name, f"`{name.lower()}`") for name in accepts})
    if not words or len(words) > 6:
        return ""
    if len(words) == 1:
        return f"; expected {words[0]}"
    return f"; expected {', '.join(words[:-1])} or {words[-1]}"


def input_help(text: str) -> str:
    """Return how to write an input with the numbers in a text.

    >>> input_help(" 3x224x224 order=rgb"), input_help("(300, 224, 3)")
    ('write `input 224x224 3`', 'write `input 300x224 3`')
    """
    numbers = re.findall(r"[0-9]+", re.split(r"\b(?:order|range|mean|std)\s*=", text)[0])
    if len(numbers) == 4:  # with a batch
        numbers = numbers[1:]
    if len(numbers) != 3:
        return "write `input 224x224 3`"
    if int(numbers[0]) <= 4 < int(numbers[2]):  # channels first
        numbers = [*numbers[1:], numbers[0]]
    return f"write `input {numbers[0]}x{numbers[1]} {numbers[2]}`"
