"""Hostile specs as a whole: deep nesting, long chains of definitions, too much of something."""

from __future__ import annotations

from random import Random

from fuzzing.broken.hostile import number


def expression(dice: Random, depth: int = 3) -> str:
    """Return an expression that parses; whether it has a value is another matter."""
    if depth == 0 or dice.random() < 0.2:
        return dice.choice((*_OPERANDS, str(dice.randint(0, 40))))
    left, right = expression(dice, depth - 1), expression(dice, depth - 1)
    if dice.random() < 0.2:
        return dice.choice(
            (f"int({left})", f"round({left})", f"min({left}, {right})", f"(-{left})")
        )
    return f"({left} {dice.choice(_OPERATORS)} {right})"


_OPERANDS = (
    "channels",
    "height",
    "width",
    "n",
    "c",
    "classes",
    "true",
    "max",
    "0",
    "1",
    "0.5",
    "1e300",
)
_OPERATORS = ("+", "-", "*", "/", "//", "%", "==", "!=", "<", ">=", "and", "or")


#: The text before and after each level of nesting, and the innermost part.
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
    """Return a spec with something nested deeper than anyone would write."""
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
    """Return definitions that use each other: long chains, wide ones, cycles."""
    length = dice.choice((2, 5, 20, 39, 41, dice.choice((60, 101, 300))))
    times = dice.choice((1, 1, 2, 3))
    around = dice.choice(
        ("@", "{ @ }", "repeat 2 { @ }", "concat { identity\n@ }", "if true { @ }")
    )
    kind = dice.choice(("block", "block", "unit", "let", "parameter"))
    last = dice.choice(("relu", "conv 1x1 3", f"b{dice.randrange(length)}", "b0", "missing"))
    lines = []
    for place in range(length):
        following = f"b{place + 1}" if place + 1 < length else last
        if kind == "unit":
            lines.append(f"unit b{place} = {' -> '.join([following] * times)}")
        elif kind == "let":
            lines.append(f"let b{place} = {' + '.join([following] * times)}")
        elif kind == "parameter":
            lines.append(f"block b{place}(n) {{\nconv 1x1 n\n{following} (n * 2)\n}}")
        else:
            body = around.replace("@", " -> ".join([following] * times))
            lines.append(f"block b{place}() {{ {body} }}")
    if dice.random() < 0.5:
        lines.reverse()
    use = {"let": "scale b0", "parameter": "b0 1"}.get(kind, "a: b0")
    text = "\n".join(lines)
    return f"numerics torch\n{text}\nnetwork n {{\ninput 8x8 3\n{use}\n}}\n"


def many(dice: Random) -> str:
    """Return a spec with too much of something."""
    huge = dice.choice((300, 300, 300, 1_000, 1_000, 12_000, 100_000))
    count = dice.choice((20, 50, 64, 65, 101, dice.choice((300, 1_000, huge))))
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
            inner = dice.choice(
                ("relu", "a: conv 3x3 {c}", "max_pool 2x2/2", "pad 1000", "conv 1x1 {c}")
            )
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
