"""Names with placeholders, such as `inception_{block}.conv1x1`: the patterns of layout files.

On the left, `{block}` stands for any text without a dot, or, if the layout has a table of that
name, for one of its entries. On the right it stands for the same text, or for what the table makes
of it. `{i+1}` and `{i*6+j+7}` compute: what such a placeholder stands for is a whole number.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from incgen.base.diagnostics import listed

_PLACEHOLDER = re.compile(r"\{([^{}]+)\}")
#: What a sum consists of: a placeholder and its factor, or a number.
_TERM = re.compile(r"([+-]?)(?:([^\W\d]\w*)(?:\*(\d{1,6}))?|(\d{1,6}))", re.ASCII)
_BRACE = re.compile(r"[{}]")
#: Placeholders of a left side: the time to match one grows with the power of their number.
MAX_PLACEHOLDERS = 8

#: What placeholders can stand for and what becomes of it, by their names.
Tables = Mapping[str, Mapping[str, str]]


class TemplateError(ValueError):
    """A template that means nothing; the text says why."""


@dataclass(frozen=True, slots=True)
class Pattern:
    """The left side of a rule."""

    text: str  #: The side as it is written
    expression: re.Pattern[str]  #: What it matches
    names: frozenset[str]  #: Its placeholders
    #: The placeholders that stand for a whole number or for an entry of a table
    bound: frozenset[str] = frozenset()

    @property
    def generality(self) -> tuple[int, int, int]:
        """Return what decides between two rules for one name: the smaller is the more specific.

        A rule with fewer placeholders, then one with more text beside them, then one of whose
        placeholders more are bound. So a rule is more specific than another that it is a case of.
        """
        written = len(_PLACEHOLDER.sub("", self.text))
        return len(self.names), -written, -len(self.bound)

    def match(self, name: str) -> dict[str, str] | None:
        """Return what the placeholders stand for in a name, if it is of this form."""
        match = self.expression.fullmatch(name)
        return match.groupdict() if match else None


@dataclass(frozen=True, slots=True)
class _Sum:
    """The braces of a right side: a name alone, or a sum to compute."""

    name: str
    terms: tuple[tuple[str, int], ...]
    constant: int

    @property
    def names(self) -> frozenset[str]:
        return frozenset(name for name, _ in self.terms) | {self.name} - {""}


@cache
def _sum(written: str) -> _Sum:
    """Read what stands in braces."""
    terms: list[tuple[str, int]] = []
    constant = at = 0
    while at < len(written):
        term = _TERM.match(written, at)
        if term is None or bool(term[1]) is not bool(at):
            raise TemplateError(
                f"`{{{written}}}`: a placeholder is a name, such as `{{block}}`; on the right it "
                "can be a sum of names, their multiples and numbers, such as `{i*6+j+1}`"
            )
        sign = -1 if term[1] == "-" else 1
        if term[2]:
            terms.append((term[2], sign * int(term[3] or 1)))
        else:
            constant += sign * int(term[4])
        at = term.end()
    name = written if terms == [(written, 1)] else ""
    return _Sum(name, tuple(terms), constant)


def computed(text: str) -> frozenset[str]:
    """Return the placeholders of a right side that it computes with."""
    sums = (_sum(match[1]) for match in _PLACEHOLDER.finditer(text))
    return frozenset(name for total in sums if not total.name for name in total.names)


def pattern(text: str, tables: Tables, numbers: frozenset[str]) -> Pattern:
    """Read the left side of a rule, of whose placeholders `numbers` stand for whole numbers."""
    parts: list[str] = []
    names: list[str] = []
    at = 0
    for placeholder in _PLACEHOLDER.finditer(text):
        name = _sum(placeholder[1]).name
        if not name:
            raise TemplateError(f"`{placeholder[0]}`: only the right side of a rule computes")
        if len(names) == MAX_PLACEHOLDERS:
            raise TemplateError(f"`{text}`: a rule has at most {MAX_PLACEHOLDERS} placeholders")
        if names and placeholder.start() == at:
            pair = f"`{{{names[-1]}}}` and `{placeholder[0]}`"
            raise TemplateError(f"`{text}`: write something between {pair}")
        parts.append(_literal(text[at : placeholder.start()]))
        known = r"\d{1,6}" if name in numbers else "[^.]+"
        if name in tables:
            known = "|".join(re.escape(key) for key in tables[name])
        parts.append(f"(?P={name})" if name in names else f"(?P<{name}>{known})")
        names.append(name)
        at = placeholder.end()
    parts.append(_literal(text[at:]))
    bound = (numbers | frozenset(tables)) & set(names)
    return Pattern(text, re.compile("".join(parts)), frozenset(names), bound)


def check(text: str, names: frozenset[str]) -> None:
    """Hold the right side of a rule against the placeholders of its left side."""
    _literal(_PLACEHOLDER.sub("", text))
    for placeholder in _PLACEHOLDER.finditer(text):
        for name in sorted(_sum(placeholder[1]).names - names):
            offer = f"there are {listed(sorted(names))}" if names else "there is none"
            raise TemplateError(f"`{text}`: no placeholder `{name}` on the left: {offer}")


def fill(text: str, values: Mapping[str, str], tables: Tables) -> str:
    """Return the right side of a rule with its placeholders filled in."""

    def value_of(name: str) -> str:
        return tables[name][values[name]] if name in tables else values[name]

    def number(name: str) -> int:
        value = value_of(name)
        if not (value.isascii() and value.isdecimal()):
            raise TemplateError(f"`{text}` computes with `{value}`, which is not a whole number")
        return int(value)

    def filled(placeholder: re.Match[str]) -> str:
        made = _sum(placeholder[1])
        if made.name:
            return value_of(made.name)
        return str(made.constant + sum(number(name) * factor for name, factor in made.terms))

    return _PLACEHOLDER.sub(filled, text)


def _literal(text: str) -> str:
    if brace := _BRACE.search(text):
        raise TemplateError(f"`{brace[0]}` in `{text}` belongs to no placeholder")
    return re.escape(text)
