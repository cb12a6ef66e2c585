"""The contents of hostile specs: numbers, names, strings, characters, nesting."""

from __future__ import annotations

import builtins
import keyword
from random import Random

#: Code containing this name must never result from a comment, a string or a file name.
MARK = "smuggled"
#: The result of the product in `ARITHMETIC`, if a template language evaluated it.
ARITHMETIC, PRODUCT = "{{ 6 * 1000007 }}", "6000042"

NUMBERS = (
    *(
        "0",
        "00",
        "007",
        "1",
        "2",
        "3",
        "7",
        "1.",
        ".5",
        "0.5",
        "1e0",
        "1e5",
        "1e-7",
        "1e308",
        "1e309",
    ),
    *(
        "1e-400",
        "1e",
        "1_000",
        "0x10",
        "1e999999999",
        "nan",
        "inf",
        "-1",
        "(-1)",
        "(1/0)",
        "(1//0)",
    ),
    *(
        "(1%0)",
        "10000",
        "10001",
        "65536",
        "100000",
        "100001",
        "1000000",
        "2147483647",
        "2147483648",
    ),
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
    *(
        "repeat",
        "if",
        "else",
        "concat",
        "add",
        "mul",
        "true",
        "false",
        "and",
        "or",
        "not",
        "channels",
    ),
    *(
        "height",
        "width",
        "identity",
        "conv",
        "bn",
        "relu",
        "pool",
        "dense",
        "flatten",
        "max",
        "avg",
    ),
    *("valid", "same", "half", "int", "round", "min", "he_normal", "caffe", "torch", "tf"),
)
NAMES = (
    *sorted(keyword.kwlist),
    *(
        "__init__",
        "__class__",
        "__import__",
        "__dict__",
        "__builtins__",
        "__file__",
        "__name__",
        "_",
    ),
    *("self", "cls", "x", "nn", "F", "torch", "keras", "layers", "ops", "math", "inputs", "Tensor"),
    *(
        "forward",
        "eval",
        "exec",
        "compile",
        "open",
        "print",
        "type",
        "training",
        "parameters",
        "super",
    ),
    *("load_safetensors", "preprocess", "Model", "Module", "Sequential", "name", "range", "object"),
    *(name for name in sorted(vars(builtins)) if name.isidentifier() and name.endswith("Error")),
    *(
        "a" * 60,
        "a" * 61,
        "a" * 5_000,
        "A",
        "Aa",
        "aA",
        "a__b",
        "a_",
        "_a",
        "l",
        "O",
        "I",
        "x1",
        "x_1",
    ),
    *(
        "é",
        "ﬁ",
        "ªb",
        "名前",
        "а",
        "a\u0301",
        "a\u200bb",
        "a\u202eb",
        "a'b",
        'a"b',
        "a.b",
        "a-b",
        "a b",
    ),
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
    'ends in a quote"',
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
#: Characters that trip up other programs.
CHARACTERS = (
    *"{}()[]=:,\"'`\\#->+*/%<>!;.$@?~^&|_",
    *" \t\n\r\x0b\x0c\x00\x01\x07\x08\x1a\x1b\x1c\x7f\x85\xa0\xad",
    *"×→–—−“”éß中あ\u0301\u200b\u200d\u200e\u202a\u202e\u2028\u2029\u2066\u3000\ufeff\ufffd\uffff😀",
)
PATHS = (
    *(
        "",
        ".",
        "..",
        "/",
        "./spec.inc",
        "spec.inc",
        "parts/../spec.inc",
        "../spec.inc",
        "../../etc/passwd",
    ),
    *(
        "/etc/passwd",
        "parts",
        "parts/",
        "parts/a.inc",
        "parts/a.inc/",
        "missing.inc",
        "b.inc",
        "a//b.inc",
    ),
    *(
        "parts\\a.inc",
        "C:\\a.inc",
        "file:///etc/passwd",
        "a\0b",
        "~",
        "~/a.inc",
        "$HOME/a.inc",
        "*",
        "CON",
    ),
    *(
        "a" * 300,
        "a/" * 3_000,
        "..." * 100,
        "é.inc",
        "\u202e.inc",
        "\u2028.inc",
        "http://x/a.inc",
        "-",
        "{}",
    ),
)


def number(dice: Random) -> str:
    """Return a number that does not belong anywhere, or is none; half of them are random."""
    if dice.random() < 0.6:
        return dice.choice(NUMBERS)
    digits = dice.choice((1, 2, 3, 5, 8, 13, 17, 25))
    value = str(dice.randrange(10**digits))
    return dice.choice(
        (value, value, f"{value}.5", f".{value}", f"{value}e{dice.randint(-330, 330)}")
    )
