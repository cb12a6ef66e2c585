"""Lines as other languages write them, and their equivalents in this one.

A line is looked at once something in it does not fit: what it says is all that is known then.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TypeAlias

from incgen.base.diagnostics import Code, clipped
from incgen.language import elsewhere
from incgen.language.ops import OPS
from incgen.syntax.slips import Slip, input_help, last_word
from incgen.syntax.translation import takes_of, translated

#: Longer lines are not looked at; patterns take time.
_LONGEST = 400
#: Where a statement begins: at the beginning of a line, a body, or behind `;`; then its label.
_BEGIN = r"(?:^|[{};])\s*(?P<label>[A-Za-z_]\w*\s*:\s*)?"
_NAME = r"[A-Za-z_]\w*"

Habit: TypeAlias = Callable[[str, str, str], Slip | None]


def foreign_line(token: str, before: str, after: str) -> Slip | None:
    """Return what is wrong with a line in another language's style; None if unknown."""
    if len(before) + len(token) + len(after) > _LONGEST:
        return None
    after = re.sub(r"\s*#.*", "", after)
    for habit in _HABITS:
        slip = habit(before, token, after)
        if slip is not None:
            return slip
    return None


def _statement(pattern: str, before: str, token: str, after: str) -> re.Match[str] | None:
    """Match the statement that a token stands in against a pattern."""
    line = before + token + after
    found = None
    for match in re.finditer(_BEGIN + pattern, line):
        if match.start() <= len(before):
            found = match
    return found


def _at(found: re.Match[str], group: str, before: str, message: str, help_: str | None) -> Slip:
    """Return a slip that points at a group of a match."""
    start, end = found.span(group)
    return Slip(Code.SYNTAX, message, help_, len(before) - start, end - start)


def _loop(before: str, token: str, after: str) -> Slip | None:
    found = _statement(r"(?P<word>for|foreach|while)\b(?P<rest>.*)", before, token, after)
    if found is None:
        return None
    over = re.search(
        r"\bin\s+(?:range\s*\((?P<range>[^()]*)\)|(?P<one>\w+)\s*[:{]|\[)", found["rest"]
    )
    message = f"there is no `{found['word']}`: a `repeat` applies a body several times"
    count = over and _count(over["range"] or over["one"] or "")
    if count:
        body = found["rest"].partition(":")[2].strip(" {")
        braces = f"{{ {body} }}" if body and "}" not in body else "{"
        help_ = f"write `repeat {count} {braces}`"
    elif over is not None and over.group().endswith("["):
        message = f"there is no `{found['word']}`: all iterations of a `repeat` are alike"
        help_ = "write a line for each value; a `block` with a parameter keeps them short"
    else:
        help_ = "write `repeat 3 {`"
    return _at(found, "word", before, message, help_)


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


def _repeat(before: str, token: str, after: str) -> Slip | None:
    pattern = r"(?P<word>repeat)\s+(?P<rest>.*)"
    found = _statement(pattern, before, token, after)
    if found is None:
        return None
    rest = found["rest"]
    index = re.match(rf"{_NAME}\s+in\s+(?:range\s*\(([^()]*)\)|(\w+))", rest)
    if index:
        message = "a `repeat` has no index: all of its iterations are alike"
        help_ = f"write `repeat {_count(index[1] or index[2] or '') or 3} {{`"
        return _at(found, "word", before, message, help_)
    times = re.match(r"(\w+)\s+times\b", rest)
    if times:
        help_ = f"write `repeat {times[1]} {{`"
        return Slip(Code.SYNTAX, "a `repeat` has its count and then its body", help_)
    plain = re.match(rf"(\w+)\s+({_NAME}\b[^{{}}]*)$", rest)
    if plain and token != "{":
        help_ = f"write `repeat {plain[1]} {{ {plain[2].strip()} }}`"
        return Slip(Code.SYNTAX, "the body of a `repeat` goes in braces", help_)
    return None


def _else_if(before: str, token: str, after: str) -> Slip | None:
    found = _statement(r"(?P<word>elif|elsif|elseif|elif_|else_if)\b", before, token, after)
    if found is None:
        return None
    message = f"there is no `{found['word']}`"
    return _at(found, "word", before, message, "write `else if`")


def _then(before: str, token: str, after: str) -> Slip | None:
    if token not in ("then", "do") or not _statement(r"(?:if|else|repeat)\b", before, token, after):
        return None
    return Slip(Code.SYNTAX, "a body goes in braces", f"write `{{` in place of `{token}`")


def _colon(before: str, token: str, after: str) -> Slip | None:
    """Explain `if n > 1:`, `block part(n):` and `aux head: ...`."""
    if token != ":":
        return None
    opens = r"(?P<head>(?:\}\s*)?(?:if|else|repeat|aux|block|network)\b[^:{}]*)$"
    found = re.search(rf"(?:^|[{{;])\s*(?:{_NAME}\s*:\s*)?{opens}", before)
    if found is None:
        return None
    head, body = found["head"].strip(), after.strip()
    if head in ("if", "repeat", "aux", "block", "network"):
        return None  # meant as a label
    if re.match(r"block\b|network\b", head) and "(" in head and ")" not in head:
        return None  # inside of the parameters
    message = "a body goes in braces, not after a `:`"
    braces = f"{{ {body} }}" if body else "{"
    return Slip(Code.SYNTAX, message, f"write `{head} {braces}`")


def _output(before: str, token: str, after: str) -> Slip | None:
    pattern = rf"(?P<word>outputs?)\s+(?P<name>{_NAME})\s*[:=]\s*(?P<rest>[^{{}}]*)$"
    found = _statement(pattern, before, token, after)
    if found is None:
        return None
    name, rest = found["name"], found["rest"].strip()
    message = f"there is no `{found['word']}`: the value of the last line is what a network gives"
    help_ = f"write `{name}: {rest}` as the last line, or `aux {name} {{ {rest} }}` for one more"
    return _at(found, "word", before, message, help_ if rest else None)


def _input(before: str, token: str, after: str) -> Slip | None:
    found = _statement(r"(?P<word>input)\b(?P<rest>.*)", before, token, after)
    if found is None or (token == ":" and before.split()[-1:] != ["input"]):
        return None
    message = "an input is written as height x width, then channels"
    if found["rest"].lstrip()[:1] in (":", "="):
        message = "`input` is a reserved word and cannot be a name"
        back = len(before) - found.start("word")
        return Slip(Code.RESERVED_NAME, message, input_help(found["rest"]), back, len("input"))
    return Slip(Code.SYNTAX, message, input_help(found["rest"]))


def _joined(before: str, token: str, after: str) -> Slip | None:
    """Explain `concat(a, b)`, `add a b` and `c: a + b`."""
    pattern = r"(?P<word>concat|add|mul)\s*(?P<open>[(\[]|(?=[A-Za-z_]))(?P<rest>[^{}]*)$"
    found = _statement(pattern, before, token, after)
    if found is not None:
        end = {"(": ")", "[": "]"}.get(found["open"], "\n")
        inner, _, behind = found["rest"].partition(end)
        names = [name for name in re.split(r"[\s,]+", inner.strip()) if name]
        message = f"`{found['word']}` has a branch in each line of its braces"
        return Slip(Code.SYNTAX, message, _branches(found["word"], names, behind))
    several = _statement(rf"from\s+({_NAME}(?:\s*,\s*{_NAME})+)(.*)$", before, token, after)
    if several is not None and token == ",":
        names = [name.strip() for name in several[2].split(",")]
        message = "`from` takes one value; several are joined"
        return Slip(Code.SYNTAX, message, _branches("concat", names, f" {several[3].strip()}"))
    sum_ = re.search(rf"(?:^|[{{;])\s*(?:{_NAME}\s*:\s*)?(?P<name>{_NAME})\s*$", before)
    if sum_ is None or token not in ("+", "*") or not re.match(rf"\s*{_NAME}\s*$", after):
        return None
    kind = "add" if token == "+" else "mul"
    names = [sum_["name"], after.strip()]
    message = f"values are joined by `{kind}`, not by `{token}`"
    return Slip(Code.SYNTAX, message, _branches(kind, names, ""))


def _branches(kind: str, names: list[str], behind: str) -> str:
    """Return the help line for joining earlier values."""
    if not 2 <= len(names) <= 6 or not all(re.fullmatch(_NAME, name) for name in names):
        return f"write `{kind} {{`, and `from label` for a branch that is an earlier value"
    branches = "; ".join(f"from {name}" for name in names)
    return f"write `{kind} {{ {branches} }}{behind.rstrip()}`"


def _label(before: str, token: str, after: str) -> Slip | None:
    """Explain a label in the middle of a line."""
    if token != ":":
        return None
    label = last_word(before.rstrip())
    rest = before.rstrip()[: len(before.rstrip()) - len(label)]
    if not label or not rest.strip() or rest.strip()[-1] in "{;(,=[":
        return None
    statement = re.split(r"->|[{};]", after)[0].strip()
    back = len(before) - len(rest)
    if rest.rstrip().endswith("->"):
        message = "a label goes in front of a whole chain, whose ops are then numbered"
        help_ = f"write `{label}: {statement}` on a line of its own"
        return Slip(Code.SYNTAX, message, help_, back, len(label) + 1)
    message = f"the label `{clipped(label)}` begins a new statement on the same line"
    help_ = f"begin a new line with `{label}: {statement}`, or write `;` in front of it"
    return Slip(Code.SYNTAX, message, help_, back, len(label) + 1)


def _assigned(before: str, token: str, after: str) -> Slip | None:
    """Explain `x = Conv2D(32, 3)(x)`."""
    name = re.fullmatch(rf"\s*({_NAME})\s*", before)
    made = re.match(rf"\s*(?:{_NAME}\.)*({_NAME})(\((?:[^()]|\([^()]*\))*\))", after)
    if token != "=" or name is None or made is None:
        return None
    slip = _parentheses(made[1], ".", made[2])
    if slip is None or slip.help is None:
        return None
    help_ = slip.help.replace("`", f"`{name[1]}: ", 1)
    return Slip(Code.SYNTAX, "a label is followed by `:`, and then by an op", help_)


def _body_of(before: str, token: str, after: str) -> Slip | None:
    """Explain `sum {`: another tool's word in front of a body."""
    if token != "{":
        return None
    found = re.search(rf"(?:^|[{{;]|->)\s*(?:{_NAME}\s*:\s*)?(?P<word>{_NAME})\s*$", before)
    if found is None or found["word"] in OPS:
        return None
    help_ = elsewhere.body_help(found["word"])
    message = f"a body cannot follow `{clipped(found['word'])}`"
    return _at(found, "word", before, message, help_) if help_ else None


def _parentheses(before: str, token: str, after: str) -> Slip | None:
    """Explain `Conv2D(32, 3)`: arguments in parentheses."""
    line = before + token.replace(".", "") + after
    found = re.search(rf"(?P<name>{_NAME})\s*\((?P<inner>(?:[^()]|\([^()]*\))*)\)", line)
    if found is None or not found.start("inner") - 1 <= len(before) <= found.end():
        return None
    if found["name"] in ("int", "round", "min", "max", *elsewhere.JOINS):
        return None
    takes = takes_of(found["name"])
    inner = found["inner"].strip()
    if takes is None:
        return None
    if token != "." and inner and not re.search(r"[,=x]", inner):  # `dense (10)` is one argument
        return None
    positional, attributes = list[str](), list[tuple[str, str]]()
    parts = re.findall(r"(?:[^,()\[\]]|\([^()]*\)|\[[^\[\]]*\])+", inner)
    behind = re.split(r"->|[{};]", line[found.end() :])[0].split()
    if behind:  # `conv (3, 3) 64`
        parts = [f"({inner})", *behind]
    for part in parts:
        name, equals, value = part.strip().partition("=")
        if equals:
            attributes.append((name.strip(), value.strip().strip("\"'")))
        else:
            positional.append(part.strip().strip("\"'"))
    instead = translated(takes, positional, attributes, found["name"])
    message = "arguments follow the name, without parentheses or commas"
    return _at(found, "name", before, message, f"write `{instead or takes.name}`")


_HABITS: tuple[Habit, ...] = (
    _loop,
    _repeat,
    _else_if,
    _then,
    _colon,
    _output,
    _input,
    _joined,
    _label,
    _assigned,
    _body_of,
    _parentheses,
)


def dotted(before: str, after: str) -> str | None:
    """Return what to type for `nn.Conv2d(3, 64, 3)`, whose dot starts the fault."""
    word = re.match(_NAME, after)
    if word is None or not last_word(before):
        return None
    here = elsewhere.called_here(word.group())
    opened = after[word.end() :].lstrip().startswith("(")
    slip = _parentheses(word.group(), ".", after[word.end() :]) if opened else None
    return slip.help if slip else f"here it is called `{here}`" if here else None
