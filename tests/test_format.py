"""The formatter: what it changes, what it leaves, and that it never changes a tree."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from fuzzing.specs import random_spec
from incgen.base.diagnostics import SpecError
from incgen.base.source import SourceFile
from incgen.syntax import format as module
from incgen.syntax.format import format_lines, format_text
from incgen.syntax.format.proof import same_tree
from incgen.syntax.format.spacing import Spacing
from incgen.syntax.parser import parse

ROOT = Path(__file__).parent.parent
BN_INCEPTION = ROOT / "specs" / "bn_inception.inc"
#: Every spec that is kept formatted.
FORMATTED = sorted(
    path
    for folder in ("specs", "science", "tests/own", "tests/gated")
    for path in (ROOT / folder).rglob("*.inc")
)

UGLY = """\


unit conv_bn=conv bias = false->bn   -> relu\t
let n=3 ;
unit a   = conv


block bottleneck(c,stride=1,
  d = 2) {

## doc
add{
body: conv_bn 1x1 c->conv_bn 3x3/{stride  +  1} c -> conv 1x1 ( c*4 ) bias=false#x
skip:{
if stride != 1 or channels != c * 4 {conv 1x1/{stride} c -> bn}
else{identity}

}
}
-> relu
# why
-> bn
}
network net(classes=10,) {
        input 64x64 3 mean=[ 1,2 ,  3 ]
  stem :conv_bn 3x3 16
  # arrow
  -> conv\t3x3 8
  -> concat {
  a: relu
  b: { c: concat { d: relu
  e: relu ; } }
  }
  -> relu
}
# end\t\t

"""

NEAT = """\
unit conv_bn = conv bias=false -> bn -> relu
let n = 3
unit a = conv

block bottleneck(c, stride = 1,
    d = 2) {
    ## doc
    add {
        body: conv_bn 1x1 c -> conv_bn 3x3/{stride + 1} c -> conv 1x1 (c * 4) bias=false  #x
        skip: {
            if stride != 1 or channels != c * 4 { conv 1x1/{stride} c -> bn }
            else { identity }
        }
    }
    -> relu
    # why
    -> bn
}

network net(classes = 10) {
    input 64x64 3  mean=[1, 2, 3]
    stem: conv_bn 3x3 16
        # arrow
        -> conv 3x3 8
        -> concat {
            a: relu
            b: { c: concat { d: relu
                    e: relu } }
        }
        -> relu
}

# end
"""


def test_a_spec_is_laid_out() -> None:
    assert format_text(UGLY) == NEAT
    assert format_text(NEAT) == NEAT


@pytest.mark.parametrize("path", FORMATTED, ids=lambda path: path.name)
def test_specs_of_the_project_are_laid_out(path: Path) -> None:
    text = path.read_text(encoding="utf-8")

    assert format_text(text, path.name, path) == text


@pytest.mark.parametrize("text", ["", "\n\n", "# only\n", "# no newline"])
def test_texts_without_code(text: str) -> None:
    assert format_text(text) == (f"{text.strip()}\n" if text.strip() else "")


def test_comments_and_strings_keep_their_text() -> None:
    text = 'use a,b   from "x->y.inc"\n#a->b  ,c:d\nunit c=conv ##  e=f  \n'

    assert format_text(text) == ('use a, b from "x->y.inc"\n#a->b  ,c:d\nunit c = conv  ##  e=f\n')


def test_a_spec_with_faults_is_not_laid_out() -> None:
    for faulty in (lambda text: format_text(text, "some.inc"), _all_lines):
        with pytest.raises(SpecError) as caught:
            faulty("unit a = {\n")

        assert str(caught.value).startswith("some.inc:1:10: error[")


def _all_lines(text: str) -> str:
    return format_lines(text, 1, text.count("\n") + 1, "some.inc")


# ---------------------------------------------------------------- blanks in a line


def within(line: str) -> str:
    """Return a line of a body as it is formatted."""
    return format_text(f"block b {{\n{line}\n}}\n").split("\n")[1].strip()


@pytest.mark.parametrize(
    ("typed", "neat"),
    [
        ("a:scale (-1)", "a: scale (-1)"),
        ("a:scale( - 1 )", "a: scale (-1)"),
        ("dense (c*4-1)", "dense (c * 4 - 1)"),
        ("dense (c -1)bias=false", "dense (c - 1) bias=false"),
        ("dense (4 //c % 2)", "dense (4 // c % 2)"),
        ("conv 3x3 n groups = (c//w)", "conv 3x3 n groups=(c // w)"),
        ("dense(max( 8,int((w/4+4)//8*8) ))", "dense (max(8, int((w / 4 + 4) // 8 * 8)))"),
        # In front of a bracket, a blank is the difference between a function and two arguments.
        ("part min  (n)", "part min (n)"),
        ("part min(n,1)", "part min(n, 1)"),
        ("part c(n)", "part c (n)"),
        ("conv 3x3 8 init = normal (  3 / 4 )", "conv 3x3 8 init=normal(3/4)"),
        ("bn eps=1e-3 bias_init = - 1", "bn eps=1e-3 bias_init=-1"),
        ("pad [0 ,1,0, 1,]", "pad [0, 1, 0, 1]"),
        ("conv {n+1}x{ n }/{s}x2   4", "conv {n + 1}x{n}/{s}x2 4"),
        ("if not(a)and -n<=2{relu}else{tanh}", "if not (a) and -n <= 2 { relu } else { tanh }"),
        ("x : relu;add{ identity;tanh; };", "x: relu; add { identity; tanh }"),
        ("from  a->relu", "from a -> relu"),
        ("repeat n-1{ {} }", "repeat n - 1 { {} }"),
    ],
)  # fmt: skip
def test_blanks_between_tokens(typed: str, neat: str) -> None:
    assert within(typed) == neat
    assert within(neat) == neat


def test_brackets_that_go_on_in_the_next_line() -> None:
    text = "block b(c,\nd = (1\n-2),\n) {\ndense (c\n+ 1 -\n-d)\nrelu\n}\n"

    assert format_text(text) == (
        "block b(c,\n    d = (1\n        - 2),\n) {\n"
        "    dense (c\n        + 1 -\n        -d)\n    relu\n}\n"
    )


def test_recipes() -> None:
    text = """\
recipe x  for net drop = 0.4   lrns=true from  y{
rate (8/6)->exponential 0.96 every(n * 2)epochs
   train{
crop area = [ 0.08,1 ] aspect=[3 / 4 ,4/3]
  flip->color brightness=.1
}

evaluate {resize 256->center_crop}
}
recipe z from x {}
"""
    assert (
        format_text(text)
        == """\
recipe x for net drop=0.4 lrns=true from y {
    rate (8/6) -> exponential 0.96 every (n * 2) epochs
    train {
        crop area=[0.08, 1] aspect=[3/4, 4/3]
        flip -> color brightness=.1
    }

    evaluate { resize 256 -> center_crop }
}

recipe z from x {}
"""
    )


# ---------------------------------------------------------------- blank lines


def test_blank_lines() -> None:
    text = """\
# About it.


## Doc.
let a = 1
# of b
## b
block b {

relu


tanh

}
# of c
block c { relu }
unit d = conv
block e {
}
"""
    assert (
        format_text(text)
        == """\
# About it.

## Doc.
let a = 1

# of b
## b
block b {
    relu

    tanh
}

# of c
block c { relu }
unit d = conv

block e {
}
"""
    )


# ---------------------------------------------------------------- tables


def test_uses_of_one_definition_are_a_table() -> None:
    """Numbers end below each other; windows, words and attributes begin below each other."""
    text = """\
block b {
    a: conv_bn 3x3/2 32 pad=valid
    longer: conv_bn 3x3 192 pad=same bias=false
    # of c
    c: conv_bn 1x1 64 groups=2
    d: max_pool 3x3/2 pad=valid
    e: conv_bn 1x1 64
    f: pool avg 3x3
    g: pool maximum 5x5/2

    h: pool max 3x3
    i: scale (-1)
    j: scale 10
}
"""
    assert (
        format_text(text)
        == """\
block b {
    a:      conv_bn 3x3/2  32 pad=valid
    longer: conv_bn 3x3   192 pad=same bias=false
    # of c
    c:      conv_bn 1x1    64 groups=2
    d: max_pool 3x3/2 pad=valid
    e: conv_bn 1x1 64
    f: pool avg     3x3
    g: pool maximum 5x5/2

    h: pool max 3x3
    i: scale (-1)
    j: scale 10
}
"""
    )


def test_a_function_is_one_argument_of_a_row_and_a_value_can_be_used() -> None:
    text = """\
block b(n) {
    a: part min(n, 2) 64
    bb: part max(n, 16) 8
    c: part min (n) 8

    d: from a
    ee: from bb
}
"""
    assert (
        format_text(text)
        == """\
block b(n) {
    a:  part min(n, 2)  64
    bb: part max(n, 16) 8
    c:  part min        (n) 8

    d:  from a
    ee: from bb
}
"""
    )


def test_what_is_no_row_of_a_table() -> None:
    text = """\
block b {
    a: conv_bn 3x3/2 32
    b: conv_bn 3x3 8
        -> relu
    c: conv_bn 3x3/2 32
    d: conv_bn 3x3 8 -> relu
    e: conv_bn 3x3/2 32
    f: repeat 2 { conv_bn 3x3 8 }
    g: conv_bn 3x3/2 32; h: conv_bn 3x3 8
    conv_bn 3x3 8
    i: conv_bn 3x3/2 32
}
"""
    assert format_text(text) == text


def test_a_table_that_would_fall_apart_or_become_too_long_is_left() -> None:
    wide = """\
block b {
    a: conv 1x1 c
    b: conv {kernel}x{kernel} c
}
"""
    long = f"""\
block b {{
    #  of
    a: part 1 {"x" * 60}
    b: part {"y" * 40} 1
}}
"""
    assert format_text(wide) == wide
    assert format_text(long) == long


LOST = """\
block inception(n1x1, n3x3_reduce, n3x3, kind, proj) { pool kind }
block reduction(n3x3_reduce, n3x3, stride = 2) { relu }
block other(n1x1, what) { relu }

network net {
    # 1x1 3x3r 3x3 pool
    a: inception 64 64 64 avg 32
    bb: inception 128 96 192 avg 64
    ## Halves.
    c: reduction 128 1600
    p: max_pool 3x3/2
    if heads { aux aux1 { head } }
    d: inception 224 64 96 max 128
    e: reduction 128 192 stride=1
    f: other 1 2
    g: other 10 2

    h: inception 1 2 3 avg 4
}
"""

FOUND = """\
block inception(n1x1, n3x3_reduce, n3x3, kind, proj) { pool kind }
block reduction(n3x3_reduce, n3x3, stride = 2) { relu }
block other(n1x1, what) { relu }

network net {
    #              1x1  3x3r   3x3  pool
    a:  inception   64    64    64  avg   32
    bb: inception  128    96   192  avg   64
    ## Halves.
    c:  reduction        128  1600
    p: max_pool 3x3/2
    if heads { aux aux1 { head } }
    d:  inception  224    64    96  max  128
    e:  reduction        128   192            stride=1
    f: other  1 2
    g: other 10 2

    h: inception 1 2 3 avg 4
}
"""


def test_a_table_with_headings_goes_on_to_the_next_blank_line() -> None:
    """Rows of another definition belong to it by the names of their parameters."""
    assert format_text(LOST) == FOUND
    assert format_text(FOUND) == FOUND
    other = FOUND.replace("n1x1, what", "what, n1x1").replace("other  1 2", "other 1 2")
    assert format_text(other) == other.replace("other 1 2", "other  1 2")


def test_parameters_of_used_files(tmp_path: Path) -> None:
    blocks, network = LOST.split("\n\n", 1)
    (tmp_path / "parts.inc").write_text(f"{blocks}\n", encoding="utf-8")
    head = 'use inception, reduction, other from "parts.inc"\n\n'
    path, neat = tmp_path / "net.inc", head + FOUND.split("\n\n", 1)[1]

    assert format_text(head + network, "net.inc", path) == neat
    # Without the file, what was aligned stays so, and nothing else is known of it.
    assert format_text(neat) == neat
    moved = neat.replace("reduction        128  1600", "reduction   128   1600")
    assert "    c: reduction 128 1600\n" in format_text(moved)
    (tmp_path / "parts.inc").write_text("unit = \n", encoding="utf-8")
    assert format_text(neat, "net.inc", path) == neat


@pytest.mark.parametrize(
    ("comment", "found"),
    [
        ("# the wide ones", "# the wide ones"),  # prose
        ("#  k  c", "#      k  c"),
        ("#\tk c", "#      k  c"),
        ("#         c", "#         c"),  # above the second column, where it was typed
        ("#            n", "#      n"),  # above none
        ("#  k  c  d", "#  k  c  d"),  # more than there are
        ("## k  c", "## k  c"),
        ("#k  c", "#k  c"),
    ],
)
def test_what_is_a_heading(comment: str, found: str) -> None:
    text = f"block b {{\n    {comment}\n    a: to  1  8\n    b: to  3  4\n}}\n"

    assert format_text(text).split("\n")[1] == f"    {found}"


def test_headings_without_their_blanks() -> None:
    """They are told by the parameters that they abbreviate, or by their digits."""
    text = "block b(kernel, width) { relu }\n\nblock c {\n    # k wd\n    a: b 1 8\n}\n"

    assert "    #     k  wd\n    a: b  1   8\n" in format_text(text)
    assert "    # k wd\n" in format_text(text.replace("width", "depth"))
    digits = "block c {\n    # 1x1 3x3 out\n    a: b 1 8 9\n}\n"
    assert "    #     1x1  3x3  out\n    a: b    1    8    9\n" in format_text(digits)


# ---------------------------------------------------------------- branches


def test_branches_of_a_join() -> None:
    """Labels and arrows are aligned; a chain that is continued is too, in its first line."""
    text = """\
block b {
    concat {
        a: conv 1x1 n
        long: conv 1x1 reduced -> conv 3x3 n -> relu
        # why
        b: conv 1x1 n -> conv 3x3 reduced -> relu
            -> conv 1x1 n -> bn
        pool: if kind { max_pool 3x3 -> relu } -> conv 1x1 n
        identity
        x: relu
    }
    c: conv 3x3 n -> relu
    down: conv 3x3 reduced -> relu
}
"""
    assert (
        format_text(text)
        == """\
block b {
    concat {
        a:    conv 1x1 n
        long: conv 1x1 reduced                 -> conv 3x3 n       -> relu
        # why
        b:    conv 1x1 n                       -> conv 3x3 reduced -> relu
            -> conv 1x1 n -> bn
        pool: if kind { max_pool 3x3 -> relu } -> conv 1x1 n
        identity
        x: relu
    }
    c: conv 3x3 n -> relu
    down: conv 3x3 reduced -> relu
}
"""
    )


def test_branches_that_would_become_too_long_are_not_aligned() -> None:
    long = "x" * 50
    text = f"""\
block b {{
    concat {{
        a:    conv {long} -> relu
        long: conv 1x1 -> conv {long}
    }}
}}
"""
    assert format_text(text) == text


# ---------------------------------------------------------------- comments


def test_comments_at_the_ends_of_lines() -> None:
    text = f"""\
let a = 1 # one
let long = 2    # two
default conv bias=false # other
numerics torch

block b {{
    relu# one
    activation act    # two
    tanh
    relu   # three
    -> bn # more
    add {{   # four
        identity  # five
    }}
    relu  # {"x" * 85}
    activation act  # seven
}}
"""
    assert (
        format_text(text)
        == f"""\
let a = 1     # one
let long = 2  # two
default conv bias=false  # other
numerics torch

block b {{
    relu            # one
    activation act  # two
    tanh
    relu       # three
        -> bn  # more
    add {{  # four
        identity  # five
    }}
    relu  # {"x" * 85}
    activation act  # seven
}}
"""
    )


# ---------------------------------------------------------------- some lines


def test_only_some_lines() -> None:
    """Lines that are aligned with one of them are formatted with it."""
    text = (
        "let a=1\nblock b {\n\n relu\n x: to 1 64\n y: to 32 8\n relu  # a\n tanh # b\n\n\n}\n\n\n"
    )

    assert format_lines(text, 1, 1) == text.replace("a=1", "a = 1")
    assert format_lines(text, 4, 4) == text.replace(" relu\n x", "    relu\n x")
    table = text.replace(" x: to 1 64\n y: to 32 8\n", "    x: to  1 64\n    y: to 32  8\n")
    assert format_lines(text, 5, 5) == table
    assert format_lines(text, 6, 6) == table
    ends = text.replace(" relu  # a\n tanh # b\n", "    relu  # a\n    tanh  # b\n")
    assert format_lines(text, 8, 8) == ends
    assert format_lines(text, 2, 2) == text.replace("\nblock", "\n\nblock")
    assert format_lines(text, 3, 3) == text.replace("{\n\n", "{\n")
    assert format_lines(text, 9, 13) == text.replace("\n\n\n}\n\n\n", "\n}\n")
    assert format_lines(text, 1, 13) == format_text(text)
    assert format_lines("let a=1", 2, 5) == "let a=1"
    assert format_lines("let a=1\nlet b=2", 1, 1) == "let a = 1\nlet b=2"


# ---------------------------------------------------------------- safety


@pytest.mark.parametrize("run", [format_text, lambda text: format_lines(text, 1, 9)])
def test_a_text_whose_tree_would_change_is_left(
    run: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "unit a=conv -> bn\n\n## doc\nlet b=1\n"
    for faulty in (0, 1):  # `unita=...` is not a spec, and `- >` no arrow
        monkeypatch.setattr(Spacing, "gaps", lambda self, tokens, gap=faulty: [gap] * len(tokens))
        assert run(text) == text if not faulty else run(text).endswith(" let b = 1\n")
    monkeypatch.undo()
    monkeypatch.setattr(module, "set_blanks", lambda lines: [x for x in lines if not x.comment])
    assert run(text) == text


def test_a_layout_that_does_not_stay_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        Spacing, "gaps", lambda self, tokens: [0] + [t.start % 3 + 1 for t in tokens[1:]]
    )
    text = "unit  a   = conv\n"

    assert format_text(text) == text


@pytest.mark.parametrize(
    "other",
    [
        "let a = 2\n## doc\nblock b { conv 3x3 }\n",
        "let a = 1\n## dot\nblock b { conv 3x3 }\n",
        "let a = 1\n## doc\n\nblock b { conv 3x3 }\n",
        "## doc\nlet a = 1\nblock b { conv 3x3 }\n",
        "let a = 1\n## doc\nblock b { conv 3x{3} }\n",
        "let a = 1\n## doc\nblock b { conv; 3x3 }\n",
        "let a = 1\n## doc\nblock b { conv -> bn }\n",
    ],
)
def test_what_makes_another_tree(other: str) -> None:
    text = "let a = 1\n## doc\nblock b { conv 3x3 }\n"

    assert same_tree(text, "\n\nlet a=1;\n\n  ## doc\nblock b {\n\nconv 3x3;}")
    assert not same_tree(text, other)


_PIECES = re.compile(r" +|[^ ]+")


def messy(text: str, draw: random.Random) -> str:
    """Return a spec with other blanks in its lines, except inside comments."""
    lines = list[str]()
    for line in text.split("\n"):
        code, sign, comment = line.partition("#")
        parts = [
            draw.choice([" ", "\t", "  ", " \t "]) if part.isspace() else part
            for part in _PIECES.findall(code.strip())
        ]
        blanks = " " * draw.randrange(9)
        lines.append(f"{blanks}{''.join(parts)}{blanks if code.strip() else ''}{sign}{comment}")
    return "\n".join(lines)


@settings(deadline=None, max_examples=25)
@given(some.integers(0, 2**32), some.sampled_from([NEAT, FOUND, *FORMATTED]))
def test_any_blanks_give_the_same_layout(seed: int, spec: str | Path) -> None:
    path = spec if isinstance(spec, Path) else None
    text = spec.read_text(encoding="utf-8") if isinstance(spec, Path) else spec
    typed = messy(text, random.Random(seed))

    assert parse(SourceFile("typed", typed)) == parse(SourceFile("neat", text))
    assert format_text(typed, "typed", path) == text


@settings(deadline=None, max_examples=20)
@given(some.integers(0, 2**32), some.sampled_from([NEAT, FOUND, BN_INCEPTION]))
def test_any_lines_can_be_formatted_alone(seed: int, spec: str | Path) -> None:
    text = spec.read_text(encoding="utf-8") if isinstance(spec, Path) else spec
    draw = random.Random(seed)
    typed = messy(text, draw)
    first = draw.randrange(1, text.count("\n") + 2)
    last = draw.randrange(first, text.count("\n") + 2)

    result = format_lines(typed, first, last)

    lines = zip(result.split("\n"), text.split("\n"), typed.split("\n"), strict=True)
    for number, (after, neat, before) in enumerate(lines, 1):
        assert after == neat if first <= number <= last else after in (neat, before)
    assert parse(SourceFile("result", result)) == parse(SourceFile("typed", typed))


@settings(deadline=None, max_examples=15)
@given(some.integers(0, 2**32))
def test_random_specs_keep_their_trees(seed: int) -> None:
    draw = random.Random(seed)
    text = random_spec(seed, 0).text
    neat = format_text(text)

    assert parse(SourceFile("neat", neat)) == parse(SourceFile("text", text))
    assert format_text(neat) == neat
    assert format_text(messy(neat, draw)) == neat
    assert [line for line in neat.split("\n") if line != line.rstrip()] == []
    assert "\n\n\n" not in neat
    assert "{\n\n" not in neat
    assert re.search(r"\n\n *}", neat) is None
