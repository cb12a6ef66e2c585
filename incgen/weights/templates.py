"""Names with placeholders, such as `inception_{block}.conv1x1`: the language of layout files.

On the left, `{block}` stands for any text without a dot, or, if the layout has a table of that
name, for one of its entries. On the right it stands for the same text, or for what the table makes
of it. `{i+1}` and `{i*6+7}` compute: what such a placeholder stands for is a whole number.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from incgen.diagnostics import listed
from incgen.records import record

_PLACEHOLDER = re.compile(r"\{(\w+)(?:\*(\d{1,6}))?(?:([+-])(\d{1,6}))?\}")
_BRACE = re.compile(r"[{}]")

#: What placeholders can stand for and what becomes of it, by their names.
Tables = Mapping[str, Mapping[str, str]]


class TemplateError(ValueError):
    """A template that means nothing; the text says why."""


@record
class Pattern:
    """The left side of a rule.

    Attributes:
        text: as it is written.
        exact: whether it has no placeholder.
        expression: what it matches.
        names: its placeholders.
    """

    text: str
    exact: bool
    expression: re.Pattern[str]
    names: frozenset[str]

    def match(self, name: str) -> dict[str, str] | None:
        """What the placeholders stand for in a name, if it is of this form."""
        found = self.expression.fullmatch(name)
        return found.groupdict() if found else None


def computed(text: str) -> frozenset[str]:
    """The placeholders of a right side that it computes with."""
    return frozenset(f[1] for f in _PLACEHOLDER.finditer(text) if f[2] or f[3])


def pattern(text: str, tables: Tables, numbers: frozenset[str]) -> Pattern:
    """Read the left side of a rule.

    Args:
        text: as it is written.
        tables: what placeholders can stand for.
        numbers: the placeholders that stand for whole numbers.

    Raises:
        TemplateError: it is malformed.
    """
    parts: list[str] = []
    names: list[str] = []
    at = 0
    for found in _PLACEHOLDER.finditer(text):
        name = found[1]
        if found[2] or found[3]:
            raise TemplateError(f"`{found[0]}`: only the right side of a rule computes")
        parts.append(_literal(text[at : found.start()]))
        known = r"\d{1,6}" if name in numbers else "[^.]+"
        if name in tables:
            known = "|".join(re.escape(key) for key in tables[name])
        parts.append(f"(?P={name})" if name in names else f"(?P<{name}>{known})")
        names.append(name)
        at = found.end()
    parts.append(_literal(text[at:]))
    try:
        expression = re.compile("".join(parts))
    except re.error:
        raise TemplateError(f"`{text}`: a placeholder has a name, such as `{{block}}`") from None
    return Pattern(text, not names, expression, frozenset(names))


def check(text: str, names: frozenset[str]) -> None:
    """Hold the right side of a rule against the placeholders of its left side.

    Raises:
        TemplateError: it is malformed, or has others.
    """
    _literal(_PLACEHOLDER.sub("", text))
    for found in _PLACEHOLDER.finditer(text):
        if found[1] not in names:
            offer = f"there are {listed(sorted(names))}" if names else "there is none"
            raise TemplateError(f"`{text}`: no placeholder `{found[1]}` on the left: {offer}")


def fill(text: str, values: Mapping[str, str], tables: Tables) -> str:
    """The right side of a rule with its placeholders filled in.

    Raises:
        TemplateError: a placeholder that is computed with is no whole number.
    """

    def filled(found: re.Match[str]) -> str:
        name, factor, sign, added = found.groups()
        value = values[name]
        value = tables[name][value] if name in tables else value
        if factor is None and added is None:
            return value
        if not (value.isascii() and value.isdecimal()):
            raise TemplateError(f"`{text}` computes with `{value}`, which is no whole number")
        offset = int(f"{sign}{added}") if added is not None else 0
        return str(int(value) * int(factor or 1) + offset)

    return _PLACEHOLDER.sub(filled, text)


def _literal(text: str) -> str:
    if found := _BRACE.search(text):
        raise TemplateError(f"`{found[0]}` in `{text}` belongs to no placeholder")
    return re.escape(text)
