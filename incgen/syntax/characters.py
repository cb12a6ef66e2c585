"""Characters that are not part of the language, and what was meant by them."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping

from incgen.base.help import Help, offered, put


def instead(char: str, known: Mapping[str, str], alike: Mapping[str, str]) -> Help | None:
    r"""Return what to do about a character; None if that is unclear.

    Args:
        char: The character.
        known: Advice on characters that are known.
        alike: The Latin letters that letters of other alphabets look like.

    >>> instead("\uff0c", {}, {}), instead("\u0445", {}, {"\u0445": "x"})
    ('write the plain `,`', 'write the plain `x`')
    >>> instead("\u200b", {}, {}), instead("\u3000", {}, {})
    ('remove it: this character is invisible', 'write a plain space')
    """
    if char in known:
        return offered(known[char])
    plain = alike.get(char) or unicodedata.normalize("NFKC", char)
    if unicodedata.category(char) == "Cf":
        return Help("remove it: this character is invisible", *put(""))
    if plain == " ":
        return Help("write a plain space", *put(" "))
    if plain != char and plain.isascii() and plain.isprintable():
        return offered(f"write the plain ``{plain}``")
    letters = Help("names are written with the letters a to z, digits and `_`")
    return letters if char.isalpha() else None
