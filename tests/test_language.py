"""The language reference is true: what it forbids is refused, and what it allows builds.

Each claim is a phrase of docs/language.md with a spec that tries it; targets are asked too.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from incgen import api

PAGE = " ".join((Path(__file__).parent.parent / "docs" / "language.md").read_text("utf-8").split())


def network(body: str, *, above: str = "", size: str = "32x32 16", parameters: str = "") -> str:
    return f"numerics caffe\n{above}\nnetwork n{parameters} {{\ninput {size}\n{body}\n}}\n"


def block(body: str, use: str = "x: b 3", *, parameters: str = "n") -> str:
    return network(use, above=f"block b({parameters}) {{\n{body}\n}}")


def unit(chain: str, use: str = "x: u") -> str:
    return network(use, above=f"unit u = {chain}")


#: Phrases of the page, specs that do what they forbid, and the code of the first error.
REFUSED = [
    *(
        ("Keywords cannot be names", spec, "reserved-name")
        for spec in (network("repeat: relu"), block("relu", parameters="add"))
    ),
    ("a parameter cannot choose it", block("activation kind", parameters="kind"), "wrong-type"),
    *(
        ("cannot be redefined", spec, "reserved-name")
        for spec in (
            network("relu", above="let channels = 3"),
            network("relu", above="let valid = 3"),
            network("relu", above="unit relu = tanh"),
            block("a: conv 1x1 max", parameters="max"),
        )
    ),
    ("only `use` takes one", network('dropout "0.5"'), "syntax"),
    ("A letter right behind one is an error: `10k`", network("a: dense 10k"), "syntax"),
    ("without spaces: `3x3`", network("a: conv 3 x 3 8"), "bad-window"),
    *(
        ("It is the first statement of a file", f"{line}\n{network('relu')}", "misplaced")
        for line in ("default conv bias=false", "let a = 3")
    ),
    ("there is at most one", f"numerics tf\n{network('relu')}", "duplicate"),
    *(
        ("It can only use constants", network("a: conv 3x3 8", above=above), code)
        for above, code in (
            ("default conv groups=channels", "unknown-name"),
            ("default conv l2=n", "unknown-name"),
        )
    ),
    (
        "It can use constants above it",
        network("relu", above="let a = b\nlet b = 8"),
        "unknown-name",
    ),
    ("The other ops must have all the arguments they need", unit("relu -> conv"), "argument-count"),
    *(
        ("without labels, blocks, joins or parameters", spec, code)
        for spec, code in (
            (unit("a: conv -> relu"), "syntax"),
            (unit("conv -> add { identity; relu }"), "syntax"),
            (unit("relu -> repeat 2 { relu }"), "syntax"),
            (network("x: u", above="block b() { relu }\nunit u = relu -> b"), "misplaced"),
            (network("x: u", above="unit u(n) = conv 1x1 n"), "syntax"),
        )
    ),
    (
        "every parameter after it must have a default too",
        block("a: conv 1x1 (n * m)", "x: b 1 2", parameters="n = 1, m"),
        "argument-count",
    ),
    ("it cannot use another parameter", block("a: conv 1x1 (n * m)", parameters="n, m = n"), None),
    *(
        ("Values are numbers, `true`, `false`, and the words", block("a: conv 1x1 n", use), code)
        for use, code in (
            ("x: b 3x3", "wrong-type"),
            ("x: b [1, 2]", "wrong-type"),
            ("x: b relu", "wrong-type"),
        )
    ),
    ("A parameter that the body never uses is an error", block("a: conv 1x1 8"), "unused"),
    ("but not themselves", block("b n"), "recursion"),
    *(
        ("All of its parameters have defaults", network("a: conv 1x1 c", parameters=given), code)
        for given, code in (("(c)", "argument-count"), ("(c = channels)", "unknown-name"))
    ),
    (
        "A file has one network",
        network("relu") + "network m {\ninput 8x8 3\nrelu\n}\n",
        "no-network",
    ),
    *(
        ("must not leave the folder", network("a: x", above=f'use x from "{path}"'), "bad-use")
        for path in ("../n.inc", "/n.inc", "a\\n.inc")
    ),
    ("Positional arguments come first", network("a: conv pad=1 3x3 8"), "syntax"),
    *(
        ("An operator in an argument needs parentheses", network(line), "syntax")
        for line in ("a: conv 3x3 channels * 2", "scale -1", "scale 1 + 1")
    ),
    *(
        (
            "Heights and widths must be equal, or all branches must be vectors",
            network(f"concat {{\n{body}\n}}"),
            code,
        )
        for body, code in (
            ("identity\na: conv 3x3/2 16", "shape-mismatch"),
            ("identity\nglobal_avg_pool", "shape-mismatch"),
        )
    ),
    *(
        ("needs as many channels as the map", network(f"{kind} {{\n{body}\n}}"), "shape-mismatch")
        for kind in ("add", "mul")
        for body in ("identity\na: conv 3x3 8", "identity\nglobal_avg_pool -> dense 8")
    ),
    *(
        ("if they come before it", network(body), "unknown-label")
        for body in ("from b -> relu\nb: tanh", "b: from b -> tanh")
    ),
    *(
        (
            "Labels inside another body, join, `repeat` or `if` are out of reach",
            network(f"{inner}\nfrom b -> relu"),
            "unknown-label",
        )
        for inner in (
            "a: { b: relu\ntanh }",
            "{ b: relu\ntanh }",
            "a: concat { b: relu\ntanh }",
            "concat { b: relu\ntanh }",
            "repeat 2 { b: relu }",
            "if channels == 16 { b: relu }",
            "aux b { dense 3 }",
        )
    ),
    (
        "a vector beside maps is an error",
        network("concat { identity; global_avg_pool }"),
        "shape-mismatch",
    ),
    ("of the enclosing bodies in the same definition", block("from y -> relu"), None),
    ("expression that is 0 or more", network("repeat 0 - 1 { relu }"), "number-range"),
    *(
        (
            "refuses (`unsupported`) whatever needs to know them afterwards",
            block(f"repeat n {{ {step} }}\n{behind}", use),
            "unsupported",
        )
        for step, behind, use in (
            ("conv 1x1 (channels * 2 + 1)", "c: conv 1x1 8", "x: b 3\ny: b 2"),
            ("conv 1x1 (channels // 2 + 3)", "c: conv 1x1 8", "x: b 3\ny: b 2"),
            ("max_pool 2x2/2", "c: dense 8", "x: b 3"),
        )
    ),
    *(
        ("Unless constants alone decide, both sides must give a map", spec, "undecided")
        for spec in (
            network("if n == 1 { global_avg_pool } else { relu }", parameters="(n = 1)"),
            network("if n == 1 { global_avg_pool }", parameters="(n = 1)"),
            block("if channels == n { global_avg_pool } else { relu }"),
        )
    ),
    *(
        ("It is allowed only at the top level of the network's body", spec, "misplaced")
        for spec in (
            block("aux h { dense n }\nrelu"),
            network("{ aux h { dense 2 }\nrelu }"),
            network("repeat 2 { aux h { dense 2 }\nrelu }"),
        )
    ),
    (
        "makes a head depend on constants",
        network("if n == 1 { aux h { dense 2 } }\nrelu", parameters="(n = 1)"),
        "misplaced",
    ),
    ("comes first in a network", "network n {\nrelu\ninput 8x8 3\n}\n", "no-input"),
    *(
        ("The lists must hold plain numbers", network("relu", size=size), "wrong-type")
        for size in ("8x8 3 mean=[1 / 2]", "8x8 3 mean=[channels]")
    ),
    ("for 3 channels", network("relu", size="8x8 4 order=rgb"), "argument-count"),
    ("one for each channel, above 0", network("relu", size="8x8 3 std=[0]"), "number-range"),
    *(
        ("what joins and bodies without labels contain", network(f"a: relu\n{again}"), "duplicate")
        for again in (
            "concat { a: relu\ntanh }",
            "{ a: relu\ntanh }",
            "if channels > 1 { a: relu }",
        )
    ),
    *(
        ("A label that some target cannot use is an error", network(f"{label}: relu"), code)
        for label, code in (
            ("double", "reserved-name"),
            ("_a", "reserved-name"),
            ("lambda", "reserved-name"),
        )
    ),
    ("`a < b < c` is not allowed", network("if 1 < 2 < 3 { relu }"), "syntax"),
    *(
        ("Arithmetic takes numbers only", network(f"scale {value}"), "wrong-type")
        for value in ("(true + 1)", "(avg * 2)")
    ),
    ("(a vector has only `channels`)", network("global_avg_pool\na: dense height"), "wrong-type"),
    *(
        (
            "a number with a decimal point is an error even if it is whole",
            network(line),
            "wrong-type",
        )
        for line in ("a: conv 1x1 (8 / 2)", "a: conv 1x1 (8 * 0.5)", "repeat 2.0 { relu }")
    ),
    ("Outside bodies there is no current value", network("relu", above="let a = height"), None),
    (
        "no space before the parenthesis",
        network("a: conv 1x1 a", above="let a = int (8.5)"),
        "syntax",
    ),
    ("must divide inputs and outputs", network("a: conv 1x1 8 groups=3"), "groups"),
    ("without a stride", network("adaptive_avg_pool 4x4/2"), "bad-window"),
    *(
        ("A border of a whole span or more is an error", network(line), "bad-padding")
        for line in ("a: conv 3x3 8 pad=3", "max_pool 3x3 pad=[0, 3, 0, 0]")
    ),
    (
        "Arguments must be constants: `init=normal(0.01)`",
        network("a: conv 1x1 8 init=normal(c)", parameters="(c = 0.1)"),
        "wrong-type",
    ),
]

#: Phrases of the page, and specs that do what they allow.
ALLOWED = [
    *(
        ("but each of them can be a label", network(f"{label}: conv 3x3 8"))
        for label in ("conv", "max", "valid", "channels")
    ),
    ("A newline ends a statement, except inside", network("pad [0,\n1, 0, 1]")),
    ("before a line that begins with `->` or `else`", network("a: conv 1x1 8\n-> relu")),
    (
        "before a line that begins with `->` or `else`",
        network("if channels == 3 { relu }\n\nelse { tanh }"),
    ),
    (
        "arguments of the head in the definition are defaults",
        unit("conv 3x3 -> relu", "u 8 window=5x5"),
    ),
    (
        "`channels`, `height` and `width` are those of the value",
        block("a: dense (n * m)", "x: b 2", parameters="n, m = height"),
    ),
    (
        "A positional argument can be given by name too",
        network("a: conv window=3x3 channels=8"),
    ),
    (
        "After `=`, the sign of a number is not an operator",
        network("a: conv 1x1 8 bias_init=-1"),
    ),
    ("broadcast over height and width", network("mul {\nidentity\nglobal_avg_pool\n}")),
    *(
        (
            "A `from` can appear anywhere",
            network(f"b: relu\ntanh\n{body}", parameters="(n = 2)" if "n" in body.split() else ""),
        )
        for body in (
            "concat {\nidentity\nfrom b\n}",
            "repeat 2 { add { identity\nfrom b } }",
            "r: repeat 2 { c: conv 3x3 16\nadd { identity\nfrom b } }",
            "c: conv 3x3 16 -> add { identity\nfrom b } -> relu",
            "if n == 2 { add { identity\nfrom b } }",
            "aux h { from b -> dense 3 }\nd: relu",
        )
    ),
    *(
        (
            "grow by a fixed number or be multiplied by a fixed number",
            block(f"repeat n {{ {step} }}\nc: conv 1x1 8", "x: b 3\ny: b 2"),
        )
        for step in ("relu", "conv 1x1 (channels + 2)", "conv 1x1 (channels * 2)")
    ),
    (
        "unless the count (up to 64) and the size before it are plain numbers",
        network("repeat 3 { conv 1x1 (channels * 2 + 1) }\nc: conv 1x1 8"),
    ),
    ("expression that is 0 or more", network("repeat 0 { relu }\ntanh")),
    ("because only one is built", network("if channels == 1 { a: relu } else { a: tanh }")),
    (
        "Unless constants alone decide",
        network("if c == 1 { global_avg_pool } else { relu }", above="let c = 1"),
    ),
    (
        "Its parts can use the parameters",
        network("a: conv 1x1 c", size="8x8 (c + 1)", parameters="(c = 3)"),
    ),
    ("The op `pad` does it", network("pad 40")),
    ("write `8 // 2` and `int(8 * 0.5)`", network("a: conv 1x1 int(8 * 0.5) -> conv 1x1 (8 // 2)")),
]


def errors(text: str) -> list[str]:
    """Return the codes of the errors of a spec and of what targets refuse, in order."""
    faults = api.check("n.inc", text=text)
    return [fault.code.value for fault in faults if fault.severity == "error"]


@pytest.mark.parametrize(("phrase", "text", "code"), REFUSED)
def test_what_the_page_forbids_is_refused(phrase: str, text: str, code: str | None) -> None:
    assert phrase in PAGE
    codes = errors(text)

    assert codes, text
    assert codes[0] == (code or codes[0])


@pytest.mark.parametrize(("phrase", "text"), ALLOWED)
def test_what_the_page_allows_builds(phrase: str, text: str) -> None:
    assert phrase in PAGE
    assert errors(text) == []


def test_no_sentence_that_forbids_is_left_out() -> None:
    """Every such sentence needs a case here; tables and messages are tested elsewhere."""
    tried = {phrase for phrase, *_ in (*REFUSED, *ALLOWED)}
    text = PAGE[: PAGE.index("## Limits")]
    text = re.sub(r"<!-- table.*?<!-- end -->|```.*?```", " ", text)
    words = r"\b(?:cannot|refuses|rejected|rejects|is an error|are an error|not allowed|must not)\b"
    sentences = [s for s in re.split(r"(?<=[.:;|])\s", text) if re.search(words, s)]

    untried = [s for s in sentences if not any(phrase in s or s in phrase for phrase in tried)]
    untried = [s for s in untried if not any(word in s for word in ELSEWHERE)]
    assert "\n".join(untried) == ""


#: Words of sentences that have tests of their own.
ELSEWHERE = (
    # two files: errors/duplicate_from_two_files
    "Two that differ are an error that shows both locations",
    "are an error that shows how",  # an example of the page has the report
    "In training, PyTorch rejects such a batch",  # the framework itself
)
