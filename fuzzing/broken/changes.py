"""Changes that break a spec: in its tokens, lines, blocks, characters or bytes."""

from __future__ import annotations

import re
from collections.abc import Callable
from random import Random
from typing import TypeAlias

from fuzzing.broken import hostile, structures
from fuzzing.broken.corpus import Corpus
from incgen.language.ops import OPS

#: A change to a text, which may take pieces from other texts.
Change: TypeAlias = Callable[[Random, str, Corpus], str]

_TOKEN = re.compile(r'\s+|#[^\n]*|"[^"\n]*"|[A-Za-z_]\w*|\d[\dx/.]*|->|[=!<>]=|//|.', re.DOTALL)
_NUMBER = re.compile(r"(?<![\w.])\d+(?:\.\d+)?(?![\w.])")
_WINDOW = re.compile(r"\b\d+x\d+(?:/\d+(?:x\d+)?)?")
_NAME = re.compile(r"\b[A-Za-z_]\w*")
_STRING = re.compile(r'"[^"\n]*"')
_OPS = tuple(OPS)
_OP = re.compile(rf"\b(?:{'|'.join(_OPS)})\b(?!:)")
_ATTRIBUTES = tuple(sorted({each.name for op in OPS.values() for each in op.arguments}))
#: The end of a line that more can be added to.
_STATEMENT_END = re.compile(r"(?<=[^\s{}]) *$", re.MULTILINE)
_LINE_START = re.compile(r"^", re.MULTILINE)


def broken(dice: Random, text: str, others: Corpus) -> str:
    """Return a text with one or more changes."""
    for _ in range(dice.choice((1, 1, 1, 1, 2, 2, 3, 5))):
        text = dice.choice(_CHANGES)(dice, text, others)
    return text


# ---------------------------------------------------------------- tokens


def tokens(dice: Random, text: str, others: Corpus) -> str:
    """Delete, duplicate or swap some tokens, or put others in their place."""
    parts = _TOKEN.findall(text) or ["x"]
    for _ in range(dice.randint(1, 3)):
        i, j = dice.randrange(len(parts)), dice.randrange(len(parts))
        match dice.randrange(7):
            case 0:
                del parts[i]
            case 1:
                parts.insert(i, parts[j])
            case 2:
                parts[i], parts[j] = parts[j], parts[i]
            case 3:
                parts[i] = dice.choice(_TOKEN.findall(others.any(dice)) or [" "])
            case 4:
                parts[i] = dice.choice((*hostile.WORDS, "{", "}", "(", ")", "->", "=", ":", "\n"))
            case 5:
                parts[i:i] = [" ", dice.choice(hostile.WORDS), " "]
            case _:
                del parts[i : i + dice.randint(1, 9)]
        parts = parts or ["x"]
    return "".join(parts)


def number(dice: Random, text: str, others: Corpus) -> str:
    """Replace a number by another."""
    return _replaced(dice, text, _NUMBER, hostile.number(dice))


def window(dice: Random, text: str, others: Corpus) -> str:
    """Replace a window by another."""
    made = dice.choice(hostile.WINDOWS)
    if dice.random() < 0.4:
        made = f"{{{hostile.number(dice)}}}x{dice.randint(0, 9)}"
    return _replaced(dice, text, _WINDOW, made)


def name(dice: Random, text: str, others: Corpus) -> str:
    """Replace a name with a bad one: in one place, or wherever the old one was."""
    names = _NAME.findall(text)
    if not names:
        return text
    old, new = dice.choice(names), dice.choice(hostile.NAMES)
    if dice.random() < 0.5:
        return re.sub(rf"\b{re.escape(old)}\b", lambda _: new, text)
    return _replaced(dice, text, re.compile(rf"\b{re.escape(old)}\b"), new)


def expression(dice: Random, text: str, others: Corpus) -> str:
    """Put an expression in place of a number, or add it as another argument."""
    return _replaced(dice, text, _NUMBER, structures.expression(dice))


def op(dice: Random, text: str, others: Corpus) -> str:
    """Replace an op by another, or add one to a line."""
    new = dice.choice(_OPS)
    if dice.random() < 0.6:
        return _replaced(dice, text, _OP, new)
    form = dice.choice(
        ("{0} 3x3 4", "{0} 4", "{0}", "{0} 3x3/2", "{0} max 3x3", "{0} 0.5", "{0} 1x1 c")
    )
    places = [match.start() for match in _STATEMENT_END.finditer(text)]
    if not places:
        return text
    place = dice.choice(places)
    sign = dice.choice((" -> ", "\n    ", "\n    x: ", "\n    from x -> "))
    return f"{text[:place]}{sign}{form.format(new)}{text[place:]}"


def attribute(dice: Random, text: str, others: Corpus) -> str:
    """Add an attribute to a line."""
    value = dice.choice(
        (
            hostile.number(dice),
            dice.choice(hostile.WORDS),
            f"({structures.expression(dice)})",
            "1x0",
        )
    )
    value = dice.choice(
        (value, value, "[0, 1, 2, 3]", "[0, 1]", "normal(0.1)", "constant(c)", "valid")
    )
    places = [match.start() for match in _STATEMENT_END.finditer(text)]
    place = dice.choice(places) if places else 0
    return f"{text[:place]} {dice.choice(_ATTRIBUTES)}={value}{text[place:]}"


def string(dice: Random, text: str, others: Corpus) -> str:
    """Replace a string or a name by another string."""
    inner = dice.choice((*hostile.TEXTS, *hostile.PATHS)).replace("\n", " ")
    pattern = _STRING if _STRING.search(text) and dice.random() < 0.7 else _NAME
    return _replaced(dice, text, pattern, f'"{inner}"')


def _replaced(dice: Random, text: str, pattern: re.Pattern[str], new: str) -> str:
    matches = list(pattern.finditer(text))
    if not matches:
        return text
    place = dice.choice(matches)
    return text[: place.start()] + new + text[place.end() :]


# ---------------------------------------------------------------- lines and blocks


def comment(dice: Random, text: str, others: Corpus) -> str:
    """Insert a comment that would be something else in generated code."""
    said = dice.choice(hostile.TEXTS)
    mark = dice.choice(("##", "##", "## ", "## ", "#", "# "))
    lines = "".join(f"{mark}{line}\n" for line in said.split("\n"))
    places = [match.start() for match in _LINE_START.finditer(text)]
    place = 0 if dice.random() < 0.3 else dice.choice(places)
    return text[:place] + lines + text[place:]


def lines(dice: Random, text: str, others: Corpus) -> str:
    """Delete, duplicate or swap a line, or insert one from another spec."""
    rows = text.split("\n")
    i, j = dice.randrange(len(rows)), dice.randrange(len(rows))
    match dice.randrange(5):
        case 0:
            del rows[i : i + dice.randint(1, 3)]
        case 1:
            rows.insert(j, rows[i])
        case 2:
            rows[i], rows[j] = rows[j], rows[i]
        case 3:
            rows.insert(i, dice.choice(others.any(dice).split("\n")))
        case _:
            rows[i : i + 2] = ["".join(rows[i : i + 2])]
    return "\n".join(rows)


_WRAPS = (
    "repeat {n} {{ {body} }}",
    "concat {{ {body} }}",
    "add {{\nidentity\n{body}\n}}",
    "mul {{ {body} }}",
    "if {n} {{ {body} }}",
    "if channels == {n} {{ {body} }} else {{ {body} }}",
    "aux head {{ {body} }}",
    "a: {{ {body} }}",
    "block b(n) {{ {body} }}",
    "{{ {body} }} -> relu",
    "{body}\n{body}",
    "{body} -> {body}",
    "from a -> {{ {body} }}",
    "",
)


def blocks(dice: Random, text: str, others: Corpus) -> str:
    """Delete, duplicate, swap or move the content of braces, or wrap it in something."""
    braces = _braces(text)
    if not braces:
        return text
    start, end = dice.choice(braces)
    inner = text[start + 1 : end]
    match dice.randrange(4):
        case 0:
            first, last = dice.choice(braces)
            made = text[first + 1 : last]
        case 1:
            other = others.any(dice)
            places = _braces(other)
            first, last = dice.choice(places) if places else (-1, len(other))
            made = other[first + 1 : last]
        case 2:
            form = dice.choice(_WRAPS)
            made = form.format(n=hostile.number(dice), body=inner.strip())
        case _:
            lines = inner.split("\n")
            i = dice.randrange(len(lines))
            form = dice.choice(_WRAPS)
            lines[i] = form.format(n=hostile.number(dice), body=lines[i].strip())
            made = "\n".join(lines)
    return text[: start + 1] + made + text[end:]


def _braces(text: str) -> list[tuple[int, int]]:
    """Return the positions of braces and of those that close them."""
    pairs, opened = [], []
    for place, sign in enumerate(text):
        if sign == "{":
            opened.append(place)
        elif sign == "}" and opened:
            pairs.append((opened.pop(), place))
    return pairs


def spliced(dice: Random, text: str, others: Corpus) -> str:
    """Join the beginning of one spec to the end of another."""
    other = others.any(dice)
    first, second = dice.randrange(len(text) + 1), dice.randrange(len(other) + 1)
    if dice.random() < 0.6:
        first, second = text.rfind("\n", 0, first) + 1, other.rfind("\n", 0, second) + 1
    return text[:first] + other[second:]


def truncated(dice: Random, text: str, others: Corpus) -> str:
    """Cut off the end or the beginning."""
    place = dice.randrange(len(text) + 1)
    return text[:place] if dice.random() < 0.8 else text[place:]


def characters(dice: Random, text: str, others: Corpus) -> str:
    """Delete, insert or replace some characters."""
    for _ in range(dice.randint(1, 4)):
        place = dice.randrange(len(text) + 1)
        new = dice.choice(hostile.CHARACTERS) * dice.choice((1, 1, 1, 1, 2, 60))
        match dice.randrange(3):
            case 0:
                text = text[:place] + text[place + 1 :]
            case 1:
                text = text[:place] + new + text[place:]
            case _:
                text = text[:place] + new + text[place + 1 :]
    return text


def numerics(dice: Random, text: str, others: Corpus) -> str:
    """Replace the first line, or insert one like it somewhere."""
    preset = dice.choice(
        (
            "",
            "caffe",
            "torch",
            "tf",
            "Torch",
            "tensorflow",
            "caffe torch",
            "1",
            '"tf"',
            "numerics",
            "a=1",
        )
    )
    line = f"numerics {preset}\n"
    if dice.random() < 0.5:
        return line + text
    return re.sub(r"^numerics[^\n]*\n", lambda _: line, text, flags=re.MULTILINE)


def default(dice: Random, text: str, others: Corpus) -> str:
    """Return a default for some op."""
    owner = dice.choice(
        (*hostile.WORDS, "max_pool", "avg_pool", "depthwise_conv", "lrn", "dropout")
    )
    argument = dice.choice(_ATTRIBUTES)
    value = dice.choice(
        (hostile.number(dice), dice.choice(hostile.WORDS), "1x1", "[1, 2, 3, 4]", '"a"')
    )
    place = dice.choice([match.start() for match in _LINE_START.finditer(text)])
    return f"{text[:place]}default {owner} {argument}={value}\n{text[place:]}"


#: All changes; those listed twice are twice as likely.
_CHANGES: tuple[Change, ...] = (
    *(tokens, tokens, tokens, number, number, number, window, window, name, name, string, comment),
    *(comment, lines, lines, blocks, blocks, blocks, spliced, truncated, characters, numerics),
    *(default, expression, expression, expression, op, op, op, attribute, attribute, attribute),
)

# ---------------------------------------------------------------- bytes


def encoded(dice: Random, text: str) -> bytes:
    """Encode a text: mostly as UTF-8, otherwise as something that is not or not quite UTF-8."""
    data = text.encode("utf-8", "surrogatepass")
    if dice.random() < 0.95:
        return data
    match dice.randrange(9):
        case 0:
            return b"\xef\xbb\xbf" * dice.randint(1, 2) + data
        case 1:
            return data.replace(
                b"\n", dice.choice((b"\r\n", b"\r", b"\n\r", b"\x0b", b"\x0c", b"\x85"))
            )
        case 2:
            return text.encode(dice.choice(("utf-16", "utf-16-le", "utf-32", "utf-7")), "replace")
        case 3:
            return text.encode("latin-1", "replace") + bytes([dice.randrange(128, 256)])
        case 4:
            wrong = dice.choice(
                (b"\xff", b"\xc0\xaf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe2\x80")
            )
            place = dice.randrange(len(data) + 1)
            return data[:place] + wrong + data[place:]
        case 5:
            place = dice.randrange(len(data) + 1)
            return data[:place] + bytes(dice.choice((1, 4, 500))) + data[place:]
        case 6:
            return data[: dice.randrange(len(data) + 1)]
        case 7:
            return bytes(dice.randrange(256) for _ in range(dice.randint(0, 60)))
        case _:
            made = bytearray(data)
            for _ in range(dice.randint(1, 6)):
                if made:
                    made[dice.randrange(len(made))] = dice.randrange(256)
            return bytes(made)
