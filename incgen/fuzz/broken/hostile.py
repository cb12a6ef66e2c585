"""What a hostile spec would write: numbers, names, strings, characters, nesting."""

from __future__ import annotations

import builtins
import keyword
from random import Random

#: Code with this name in it must never come out of a comment, a string or the name of a file.
MARK = "smuggled"
#: What a template language would make of the product in `ARITHMETIC`.
ARITHMETIC, PRODUCT = "{{ 6 * 1000007 }}", "6000042"

NUMBERS = (
    *("0", "00", "007", "1", "2", "3", "7", "1.", ".5", "0.5", "1e0", "1e5", "1e-7", "1e308", "1e309"),
    *("1e-400", "1e", "1_000", "0x10", "1e999999999", "nan", "inf", "-1", "(-1)", "(1/0)", "(1//0)"),
    *("(1%0)", "10000", "10001", "65536", "100000", "100001", "1000000", "2147483647", "2147483648"),
    *("4294967296", "1099511627776", "9007199254740991", "9007199254740992", "9007199254740993"),
    *("9" * 20, "9" * 31, "9" * 5_000, "0" * 5_000, "(9007199254740992*9007199254740992)"),
    *("(100000*100000)", "(1e300*1e300)", "(channels*1000000)", "(height-width-1)", "int(1e300)"),
    *("round(0.5)", "min(1)", "max(1,2,3)", "true", "(1<2)", "(not 1)", "(- - - 1)", "max", "avg"),
    *("٣", "３", "²", "Ⅷ"),
)
WINDOWS = (
    *("0x0", "0x1", "1x0", "1x1/0", "3x3/100000", "100000x100000", "9007199254740992x1", "1x1x1"),
    *("{0}x{0}", "{channels}x1", "{1/3}x{1}", "{}x{}", "{{1}}x1", "3x3/{0}", "3x3/1x{0-1}", "3X3"),
    *("3x", "x3", "3x3/", "3x3//2", "3 x 3", "3.5x3", "{nan}x1", "3x3/2x2x2", "{1e300}x1", "٣x٣"),
)
WORDS = (
    *("numerics", "default", "let", "unit", "block", "network", "use", "from", "input", "aux"),
    *("repeat", "if", "else", "concat", "add", "mul", "true", "false", "and", "or", "not", "channels"),
    *("height", "width", "identity", "conv", "bn", "relu", "pool", "dense", "flatten", "max", "avg"),
    *("valid", "same", "half", "int", "round", "min", "he_normal", "caffe", "torch", "tf"),
)
NAMES = (
    *sorted(keyword.kwlist),
    *("__init__", "__class__", "__import__", "__dict__", "__builtins__", "__file__", "__name__", "_"),
    *("self", "cls", "x", "nn", "F", "torch", "keras", "layers", "ops", "math", "inputs", "Tensor"),
    *("forward", "eval", "exec", "compile", "open", "print", "type", "training", "parameters", "super"),
    *("load_safetensors", "preprocess", "Model", "Module", "Sequential", "name", "range", "object"),
    *(name for name in sorted(vars(builtins)) if name.isidentifier() and name.endswith("Error")),
    *("a" * 60, "a" * 61, "a" * 5_000, "A", "Aa", "aA", "a__b", "a_", "_a", "l", "O", "I", "x1", "x_1"),
    *("é", "ﬁ", "ªb", "名前", "а", "a\u0301", "a\u200bb", "a\u202eb", "a'b", 'a"b', "a.b", "a-b", "a b"),
)
#: What could end a docstring or a comment, or mean something to a template.
TEXTS = (
    f'"""\nimport {MARK}\n"""',
    f'""" + {MARK}() + """',
    f"''' + {MARK}() + '''",
    f'\\"""; {MARK}()',
    f'\\\\"""; {MARK}()',
    f'" "" """" ""; {MARK}()',
    f'"; {MARK}(); "',
    "\\",
    "\\\\\\",
    "ends in a quote\"",
    'ends in three """',
    "ends in a backslash \\",
    f"\\N{{{MARK}}} \\x \\u12 \\777",
    f"{{{{ {MARK}() }}}}",
    f"{{% for {MARK} in () %}}",
    "{% raw %} {% endraw %} {# #} #}",
    ARITHMETIC,
    f"{{{MARK}()}} %({MARK})s %s {{0}}",
    f"a\rimport {MARK}",
    f"a\x0cimport {MARK}",
    f"a\x0bimport {MARK}",
    f"a\x1cimport {MARK}",
    f"a\x85import {MARK}",
    f"a\u2028import {MARK}",
    f"a\u2029import {MARK}",
    f"a\x00import {MARK}",
    f"\u202eimport {MARK}\u202c",
    f"\x1b[2J\x1b]0;{MARK}\x07",
    f"type: ignore[{MARK}]",
    f"noqa: {MARK}",
    f"-*- coding: utf-7 -*- +AAo-import {MARK}",
    f"fmt: off {MARK}",
    "long " * 2_000,
    "x" * 10_000,
    "\U0001f600 \U000e0001 \ufeff \ufffe \uffff",
    "",
    " ",
    "\t\t",
    ".",
    "#",
    "##",
)
#: Characters that other programs stumble over.
CHARACTERS = (
    *"{}()[]=:,\"'`\\#->+*/%<>!;.$@?~^&|_ \t\n\r\x0b\x0c\x00\x01\x07\x08\x1a\x1b\x1c\x7f\x85\xa0\xad",
    *"×→–—−“”éß中あ\u0301\u200b\u200d\u200e\u202a\u202e\u2028\u2029\u2066\u3000\ufeff\ufffd\uffff😀",
)
PATHS = (
    *("", ".", "..", "/", "./spec.inc", "spec.inc", "parts/../spec.inc", "../spec.inc", "../../etc/passwd"),
    *("/etc/passwd", "parts", "parts/", "parts/a.inc", "parts/a.inc/", "missing.inc", "b.inc", "a//b.inc"),
    *("parts\\a.inc", "C:\\a.inc", "file:///etc/passwd", "a\0b", "~", "~/a.inc", "$HOME/a.inc", "*", "CON"),
    *("a" * 300, "a/" * 3_000, "..." * 100, "é.inc", "\u202e.inc", "\u2028.inc", "http://x/a.inc", "-", "{}"),
)


def number(dice: Random) -> str:
    """A number that has no place, or is none; half of them random."""
    if dice.random() < 0.6:
        return dice.choice(NUMBERS)
    digits = dice.choice((1, 2, 3, 5, 8, 13, 17, 25))
    value = str(dice.randrange(10**digits))
    return dice.choice((value, value, f"{value}.5", f".{value}", f"{value}e{dice.randint(-330, 330)}"))


def expression(dice: Random, depth: int = 3) -> str:
    """An expression that can be read; whether it has a value is another matter."""
    if depth == 0 or dice.random() < 0.2:
        return dice.choice((*_OPERANDS, str(dice.randint(0, 40))))
    left, right = expression(dice, depth - 1), expression(dice, depth - 1)
    if dice.random() < 0.2:
        return dice.choice((f"int({left})", f"round({left})", f"min({left}, {right})", f"(-{left})"))
    return f"({left} {dice.choice(_OPERATORS)} {right})"


_OPERANDS = ("channels", "height", "width", "n", "c", "classes", "true", "max", "0", "1", "0.5", "1e300")
_OPERATORS = ("+", "-", "*", "/", "//", "%", "==", "!=", "<", ">=", "and", "or")


#: What stands in front of, and behind, what is nested; with the innermost part.
_BODIES = (
    ("{ ", "relu", " }"),
    ("{\n", "relu", "\n}"),
    ("concat { identity\n", "relu", "\n}"),
    ("add {\nidentity\n", "relu", "\n}"),
    ("repeat 2 { ", "relu", " }"),
    ("repeat 1 { ", "relu", " }"),
    ("repeat 10000 { ", "relu", " }"),
    ("r: repeat 3 { a: ", "conv 1x1 3", " }"),
    ("if true { ", "relu", " }"),
    ("if channels == 1 { relu } else { ", "relu", " }"),
    ("if channels == 1 { relu } else ", "if channels == 2 { relu }", ""),
    ("a: { ", "conv 1x1 4", " }"),
    ("b: add { identity\n", "conv 1x1 3", " }"),
    ("aux a { ", "relu", " }"),
    ("relu -> ", "relu", ""),
    ("relu\n-> ", "relu", ""),
    ("relu\n", "relu", ""),
    ("from a -> ", "relu", ""),
    ("[", "1", "]"),
)
_EXPRESSIONS = (
    ("(", "1", ")"),
    ("-", "1", ""),
    ("- ", "channels", ""),
    ("+", "1", ""),
    ("not ", "true", ""),
    ("1 + ", "channels", ""),
    ("1 - (", "1", ")"),
    ("(1 * ", "2", ")"),
    ("2 * ", "2", ""),
    ("9007199254740992 * ", "2", ""),
    ("1 / ", "3", ""),
    ("channels // ", "3", ""),
    ("1 < ", "2", ""),
    ("true or ", "false", ""),
    ("true and (", "false", ")"),
    ("min(1, ", "2", ")"),
    ("max(channels, ", "2", ")"),
    ("int(", "1.5", ")"),
    ("round(- ", "1.5", ")"),
    ("{", "1", "}"),
)
_HOSTS = (
    "scale (@)",
    "scale @",
    "conv 1x1 (@) pad=valid",
    "conv {@}x1 3 pad=valid",
    "conv 1x1/{@} 3 pad=[@, 0, 0, 0]",
    "conv 1x1 3 init=normal(@)",
    "repeat @ { relu }",
    "if @ { relu } else { tanh }",
    "b @",
)


def nested(dice: Random) -> str:
    """A spec with something inside of itself, as deep as nobody would write."""
    expression = dice.random() < 0.5
    kinds = _EXPRESSIONS if expression else _BODIES
    opened, inner, closed = dice.choice(kinds)
    if dice.random() < 0.25:
        other, _, end = dice.choice(kinds)
        opened, closed = opened + other, end + closed
    depth = dice.choice((3, 10, 24, 47, 49, 50, 51, 52, 99, 101, dice.choice((150, 300, 1_000))))
    missing = dice.randint(0, depth) if dice.random() < 0.2 else 0
    core = opened * depth + inner + closed * (depth - missing)
    head = ""
    if expression and dice.random() < 0.2:
        head, core = f"let a = {core}\n", "scale a"
    elif expression:
        core = dice.choice(_HOSTS).replace("@", core)
        head = "block b(n) { scale n }\n"
    return f"numerics torch\n{head}network n {{\ninput 8x8 3\na: relu\n{core}\n}}\n"


def chained(dice: Random) -> str:
    """Definitions that use one another: long chains, wide ones, circles."""
    length = dice.choice((2, 5, 20, 39, 41, dice.choice((60, 101, 300))))
    times = dice.choice((1, 1, 2, 3))
    around = dice.choice(("@", "{ @ }", "repeat 2 { @ }", "concat { identity\n@ }", "if true { @ }"))
    kind = dice.choice(("block", "block", "unit", "let", "parameter"))
    last = dice.choice(("relu", "conv 1x1 3", f"b{dice.randrange(length)}", "b0", "missing"))
    lines = []
    for number in range(length):
        following = f"b{number + 1}" if number + 1 < length else last
        if kind == "unit":
            lines.append(f"unit b{number} = {' -> '.join([following] * times)}")
        elif kind == "let":
            lines.append(f"let b{number} = {' + '.join([following] * times)}")
        elif kind == "parameter":
            lines.append(f"block b{number}(n) {{\nconv 1x1 n\n{following} (n * 2)\n}}")
        else:
            body = around.replace("@", " -> ".join([following] * times))
            lines.append(f"block b{number}() {{ {body} }}")
    if dice.random() < 0.5:
        lines.reverse()
    use = {"let": "scale b0", "parameter": "b0 1"}.get(kind, "a: b0")
    text = "\n".join(lines)
    return f"numerics torch\n{text}\nnetwork n {{\ninput 8x8 3\n{use}\n}}\n"


def many(dice: Random) -> str:
    """A spec with too much of one thing."""
    count = dice.choice((20, 50, 64, 65, 101, dice.choice((300, 1_000))))
    numbers = range(count)
    match dice.randrange(12):
        case 0:
            body = "\n".join(f"a{i}: relu" for i in numbers)
        case 1:
            body = "\n".join(f"a{i}: rellu" for i in numbers)
        case 2:
            body = "concat {\n" + "identity\n" * count + "}"
        case 3:
            body = "a: conv 1x1 3 " + " ".join(f"x{i}=1" for i in numbers)
        case 4:
            body = "a: conv " + "1 " * count
        case 5:
            body = "a: pad [" + "1, " * count + "1]"
        case 6:
            body = "scale max(" + ", ".join(map(str, numbers)) + ")"
        case 7:
            inner = dice.choice(("relu", "conv 1x1 3", "concat { identity\nidentity }", "dense 2"))
            body = f"r: repeat {number(dice)} {{ repeat {number(dice)} {{ {inner} }} }}"
        case 8:
            inner = dice.choice(("relu", "a: conv 3x3 {c}", "max_pool 2x2/2", "pad 1000", "conv 1x1 {c}"))
            body = f"r: repeat {dice.choice((100, 1_000, 10_000))} {{ {inner} }}"
            body = body.replace("{c}", dice.choice(("(channels * 2)", "(channels + 1)", "8")))
        case 9:
            body = " ".join(["relu"] * count)
        case 10:
            parameters = ", ".join(f"p{i} = {i}" for i in numbers)
            return f"network n({parameters}) {{\ninput 8x8 3\nrelu\n}}\n"
        case _:
            body = "\n".join(f"aux h{i} {{ a: relu }}" for i in numbers) + "\nrelu"
    return f"numerics torch\nnetwork n {{\ninput 8x8 3\n{body}\n}}\n"
