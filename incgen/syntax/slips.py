"""Syntax errors in the user's terms: what was probably meant, and what to type.

The known slips are in `grammar/slips.toml`. Nothing here knows Lark: the parser passes the kind of
the token that does not fit, the text around it, and the kinds that would fit.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from incgen.base.diagnostics import Code, clipped
from incgen.base.help import Help, near, offered, put
from incgen.base.resources import folder
from incgen.language import elsewhere
from incgen.language.arithmetic import FUNCTIONS
from incgen.language.ops import OPS
from incgen.syntax import characters
from incgen.syntax.translation import input_line, takes_of, translated

#: The kinds that begin an item of a file.
ITEMS = frozenset({"NUMERICS", "DEFAULT", "LET", "UNIT", "BLOCK", "NETWORK", "USE", "RECIPE"})
#: Longer lines are not searched for statements, and of the text before a token only this many
#: characters at both ends are: patterns take time.
_LONGEST = 400
#: Nor is anything longer shown as what to type, which would be wrong if it were cut.
_LONGEST_TYPED = 300
_LOOKED_AT = 200
_CUT = "\n"  # between the two ends


@dataclass(frozen=True, slots=True)
class Slip:
    """The fault of a token: what it is about and what help replaces, counted from the token."""

    code: Code
    message: str
    help: Help | None
    about: tuple[int, int]
    over: tuple[int, int]
    edit: str = ""  #: What else the help asks for: a function of `syntax/edits.py`


@dataclass(frozen=True, slots=True)
class Misfit:
    """A token that does not fit, the rest of its line, and the kinds that would fit."""

    kind: str
    token: str
    accepts: set[str]
    before: str
    after: str


@dataclass(frozen=True)
class _Row:
    """A row of the table, whose head describes the fields."""

    message: str
    help: str = ""
    write: list[str] | None = None
    edit: str = ""
    code: str = "SYNTAX"
    kind: str = ""
    accepts: str = ""
    only: str = ""
    refuses: str = ""
    before: str = ""
    here: str = ""
    line: str = ""
    at: str = "at"
    through: bool = False
    offer: str = ""

    def explain(self, misfit: Misfit) -> Slip | None:
        """Explain why a token does not fit; None if the row is about something else."""
        matches = self._matches(misfit) if self._is_about(misfit) else None
        if matches is None:
            return None
        groups, spans = matches
        low, high = spans.get("around", (0, 0))
        if not low <= 0 <= high:
            return None
        if self.offer:
            offer = _OFFERS[self.offer](groups)
            if not offer:
                return None
            groups["offer"] = offer
        message = _filled(self.message, _short(groups))
        help_ = self._helped(groups) if self._is_whole(groups) else None
        start, end = spans.get(self.at, (0, len(misfit.token)))
        end = len(misfit.token) if self.through else end
        typed = [(start, end), *(spans[name] for name in self._typed() if name in spans)]
        over = min(first for first, _ in typed), max(last for _, last in typed)
        return Slip(Code[self.code], message, help_ or None, (start, end), over, self.edit)

    def _helped(self, groups: Mapping[str, str]) -> Help:
        """Return the help, with the edits of what it offers."""
        offer = groups.get("offer")
        if isinstance(offer, Help):
            return offer
        help_ = offered(self.help)
        edits = help_.edits if self.write is None else put(*self.write)
        texts = (_filled(edit.changes[0].text, groups) for edit in edits)
        return Help(_filled(help_, groups), *put(*(text for text in texts if "..." not in text)))

    def _typed(self) -> list[str]:
        """Return the groups that what is typed is made of, or takes the place of."""
        return ["over", *re.findall(r"<(\w+)>", "".join(self.write or [self.help]))]

    def _is_whole(self, groups: Mapping[str, str]) -> bool:
        """Return whether nothing of what the help inserts is long, or was cut."""
        typed = [groups[name] for name in self._typed() if name in groups]
        return all(len(said) <= _LONGEST_TYPED and _CUT not in said for said in typed)

    def _is_about(self, misfit: Misfit) -> bool:
        """Return whether the kinds are those of the row."""
        return (
            (not self.kind or misfit.kind in self.kind.split())
            and misfit.accepts.issuperset(self.accepts.split())
            and misfit.accepts.isdisjoint(self.refuses.split())
            and (not self.only or misfit.accepts == {self.only})
        )

    def _matches(self, misfit: Misfit) -> tuple[dict[str, str], dict[str, tuple[int, int]]] | None:
        """Return what groups match, and the span from the token on; None if a pattern fails."""
        token = "" if misfit.kind == "_NEWLINE" else misfit.token
        before = misfit.before.rstrip(" \t")
        blanks = len(misfit.before) - len(before)
        if len(before) > 2 * _LOOKED_AT:
            before = f"{before[:_LOOKED_AT]}{_CUT}{before[-_LOOKED_AT:]}"
        begin = max(map(misfit.before.rfind, "{};")) + 1
        line = misfit.before + token + misfit.after
        if self.line and len(line) > _LONGEST:
            return None
        groups, spans = _facts(misfit), dict[str, tuple[int, int]]()
        statement = self.line and _STATEMENT + self.line
        for pattern, text, shift, search in (
            (self.before, before, -blanks - len(before), re.search),
            (self.here, token + misfit.after, 0, re.match),
            (statement, line[begin:], begin - len(misfit.before), re.match),
        ):
            match = search(_expanded(pattern), text)
            if match is None:
                return None
            for name, group in match.groupdict().items():
                groups[name] = group or ""
                if group is not None:
                    start, end = match.start(name) + shift, match.end(name) + shift
                    first, last = spans.get(name, (start, end))
                    spans[name] = min(first, start), max(last, end)
        return groups, spans


#: A statement with its label, which patterns of lines begin with.
_STATEMENT = r"\s*(?P<named>NAME\s*:\s*)?"


@cache
def _table() -> Mapping[str, Any]:
    return tomllib.loads((folder("grammar") / "slips.toml").read_text("utf-8"))


@cache
def _rows() -> list[_Row]:
    return [_Row(**row) for row in _table()["row"]]


@cache
def _expanded(pattern: str) -> re.Pattern[str]:
    """Compile a pattern, expanding its words in capitals."""
    for word, meant in _table()["patterns"].items():
        pattern = pattern.replace(word, meant)
    return re.compile(pattern)


def explain(misfit: Misfit) -> Slip:
    """Explain why a token does not fit."""
    after = re.sub(r"(?<!\s)\s*#.*", "", misfit.after)
    misfit = replace(misfit, after=after)
    return next(slip for row in _rows() if (slip := row.explain(misfit)) is not None)


def _facts(misfit: Misfit) -> dict[str, str]:
    """Return what messages can use for any token."""
    token = misfit.token
    shown = f"`{token}`" if token.isprintable() and token != "`" else f"U+{ord(token[0]):04X}"
    return {"token": token, "shown": shown, "expected": wanted(misfit.accepts)}


def _short(groups: Mapping[str, str]) -> dict[str, str]:
    """Shorten what groups matched for a message, except for what is ours."""
    return {k: said if k in ("expected", "offer") else clipped(said) for k, said in groups.items()}


def _filled(text: str, groups: Mapping[str, str]) -> str:
    """Insert what groups matched into a text."""
    return re.sub(r"<(\w+)>", lambda match: groups[match[1]], text)


def wanted(accepts: set[str]) -> str:
    """List what could be here, as the end of a message; "" if there is too much."""
    words = sorted({_table()["signs"].get(name, f"`{name.lower()}`") for name in accepts})
    if not words or len(words) > 6:
        return ""
    if len(words) == 1:
        return f"; expected {words[0]}"
    return f"; expected {', '.join(words[:-1])} or {words[-1]}"


# ---------------------------------------------------------------- offers


def _braces(groups: Mapping[str, str]) -> str:
    """Put a body in braces, or open them for one that follows."""
    body = groups.get("body", "").strip(" {")
    return f"{{ {body} }}" if body and "}" not in body else "{"


def _loop(groups: Mapping[str, str]) -> str | None:
    """Write a loop over a range as a `repeat`."""
    count = _count(groups["range"] or groups["one"])
    return f"repeat {count} {_braces(groups)}" if count else None


def _count(text: str) -> str | None:
    """Return the number of values in a range as text; None if it is unknown or zero."""
    parts = [part.strip() for part in text.split(",")]
    if all(re.fullmatch("-?[0-9]{1,9}", part) for part in parts):
        try:
            count = len(range(*map(int, parts)))
        except (TypeError, ValueError):  # four values, or a step of 0
            return None
        return str(count) if count else None
    if not all(re.fullmatch("[A-Za-z0-9_ .+*/-]+", part) for part in parts):
        return None
    if len(parts) == 1 or (len(parts) == 2 and parts[0] == "0"):
        return parts[-1]
    first = parts[0] if parts[0].isidentifier() or parts[0].isdecimal() else f"({parts[0]})"
    return f"{parts[1]} - {first}" if len(parts) == 2 else None


def _branches(groups: Mapping[str, str]) -> str | None:
    """Write a join of earlier values."""
    kind = {"": "concat", "+": "add", "*": "mul"}.get(groups.get("kind", ""), groups.get("kind"))
    names = [name for name in re.split(r"[\s,+*]+", groups["names"].strip()) if name]
    if not 2 <= len(names) <= 6 or not all(map(str.isidentifier, names)):
        return None
    branches = "; ".join(f"from {name}" for name in names)
    return f"{kind} {{ {branches} }}{groups.get('behind', '').rstrip()}"


def _call(groups: Mapping[str, str]) -> str | None:
    """Translate `Conv2D(32, 3)`, a call whose arguments are in parentheses."""
    name, inner = groups["name"], groups["inner"].strip()
    takes = takes_of(name) if name not in FUNCTIONS else None
    if takes is None:
        return None
    if "around" in groups and inner and not re.search(r"[,=x]", inner):
        return None  # `dense (10)` is one argument
    parts = _values(inner)
    behind = groups.get("behind", "").split()
    if behind:  # `conv (3, 3) 64`
        parts = [f"({inner})", *behind]
    positional, attributes = list[str](), list[tuple[str, str]]()
    for part in parts:
        key, equals, value = part.partition("=")
        if equals:
            attributes.append((key.strip(), value.strip(" \"'")))
        else:
            positional.append(part.strip(" \"'"))
    return translated(takes, positional, attributes, name) or takes.name


#: What stands between two values: a comma, or a blank that no operator is beside.
_BETWEEN = re.compile(
    r"\s*,\s*|(?<=[\w.#])(?<!\band)(?<!\bor)(?<!\bnot)\s+(?!(?:and|or)\b)(?=[\w.#]|[+-][\w.#])"
)


def _values(text: str) -> list[str]:
    """Split values at the blanks or commas between them.

    >>> _values("0.5 -1, (c * 2) d, [1 2] n and m {k}x3/2 pad = 1")
    ['0.5', '-1', '(c * 2)', 'd', '[1 2]', 'n and m', '{k}x3/2', 'pad = 1']
    """
    gaps = [gap.span() for gap in _BETWEEN.finditer(_without_brackets(text))]
    starts, ends = [0, *(end for _, end in gaps)], [*(start for start, _ in gaps), len(text)]
    parts = (text[start:end].strip() for start, end in zip(starts, ends, strict=True))
    return [part for part in parts if part]


def _without_brackets(text: str) -> str:
    """Replace brackets and what is in them by as many `#`."""
    while True:
        rest = re.sub(r"[(\[{][^()\[\]{}]*[)\]}]", lambda found: "#" * len(found[0]), text)
        if rest == text:
            return rest
        text = rest


def _use(groups: Mapping[str, str]) -> str | None:
    """Write the arguments of `part(8, c * 2)` as a use has them."""
    if _is_function(groups):
        return None
    given = [_argument(value) for value in _values(f"{groups['first']} {groups['last']}")]
    return " ".join(given if groups["last"] else [*given, "..."])


def _argument(text: str) -> str:
    """Write a value as an argument.

    >>> [_argument(text) for text in ("k = c * 2", "int(c / 2)", "3x{k}/2", "(c) * (d)", "[1 2]")]
    ['k=(c * 2)', 'int(c / 2)', '3x{k}/2', '((c) * (d))', '[1, 2]']
    """
    named = re.match(r"([A-Za-z_]\w*)\s*=(?!=)\s*", text)
    key, value = (f"{named[1]}=", text[named.end() :]) if named else ("", text)
    bare = _without_brackets(value)
    if value.startswith("[") and not bare.strip("#"):
        return f"{key}[{', '.join(_values(value[1:-1]))}]"
    plain = re.fullmatch(r"[\w.]*#*|(\d+|#+)x(\d+|#+)(/[\dx#]+)?", bare)
    return f"{key}{value if plain else f'({value})'}"


def _list(groups: Mapping[str, str]) -> str | None:
    """Put the commas between values that blanks separate, without the unit of each."""
    if _is_function(groups):
        return None
    values = _values(f"{groups['first']} {groups['last']}")
    return ", ".join(value for value in values if value.rstrip("s") != groups.get("unit"))


def _is_function(groups: Mapping[str, str]) -> bool:
    """Return whether what does not fit is the parenthesis behind a name."""
    behind_name = re.search(r"(?<!\w)[A-Za-z_]\w*$", groups["first"])
    return behind_name is not None and groups["last"].startswith("(")


def _character(groups: Mapping[str, str]) -> Help | None:
    """Return what to type instead of a character that is not part of the language."""
    return characters.instead(groups["token"], _table()["characters"], _table()["alike"])


def _setting(groups: Mapping[str, str]) -> str:
    """Write a setting of a recipe without the sign behind its name."""
    name, rest = groups["name"], groups["rest"]
    if name in ("train", "evaluate") and rest != "{":
        return f"{name} {{ {rest} }}"
    return elsewhere.setting(name, rest) or f"{name} {rest}"


def _part(groups: Mapping[str, str]) -> str | None:
    """Write a percentage as a part of 1."""
    number = groups["number"]
    return f"{float(number) / 100:g}" if re.fullmatch(r"[0-9]{1,9}\.?[0-9]{0,9}", number) else None


#: Letters that are typed for digits.
_DIGITS = str.maketrans("oOlI", "0011")


def _activation(groups: Mapping[str, str]) -> str | None:
    """Return the op that a string names, unless it is a word that the call takes."""
    takes, word = takes_of(groups["name"]), groups["word"]
    taken = takes is not None and any(word in argument.words for argument in takes.arguments)
    return word if word in OPS and not taken else None


#: The values of <offer>, by the names that rows use for it.
_OFFERS: Mapping[str, Callable[[dict[str, str]], str | None]] = {
    "activation": _activation,
    "body": lambda groups: elsewhere.body_help(groups["at"]) if groups["at"] not in OPS else None,
    "braces": _braces,
    "branches": _branches,
    "call": _call,
    "called": lambda groups: elsewhere.called_here(groups["name"]),
    "character": _character,
    "class": lambda groups: elsewhere.setting_of_class(groups["class"], groups["inner"]),
    "digits": lambda groups: (groups["number"] + groups["digits"]).translate(_DIGITS),
    "hexadecimal": lambda groups: str(int(groups["hex"], 16)),
    "input": lambda groups: input_line(groups["rest"]),
    "lacking": lambda groups: elsewhere.lacking(groups["at"]) if groups["at"] not in OPS else None,
    "list": _list,
    "item": lambda groups: near(groups["token"], sorted(map(str.lower, ITEMS))),
    "loop": _loop,
    "named": lambda groups: " ".join(_values(f"{groups['first']}={groups['last']}")),
    "op": lambda groups: groups["word"] if groups["word"] in OPS else None,
    "part": _part,
    "setting": _setting,
    "use": _use,
    "value": lambda groups: None if (text := groups["inside"]) in OPS else _argument(text),
}
