"""The formatter: what it changes, what it leaves, and that it never changes a tree."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from incgen.base.diagnostics import SpecError
from incgen.base.source import SourceFile
from incgen.syntax import format as module
from incgen.syntax.format import format_text
from incgen.syntax.parser import parse

BN_INCEPTION = Path(__file__).parent.parent / "specs" / "bn_inception.inc"

UGLY = """\


unit conv_bn=conv bias = false->bn   -> relu\t
let n=3
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
  e: relu } }
  }
  -> relu
}
# end\t\t

"""

NEAT = """\
unit conv_bn = conv bias=false -> bn   -> relu
let n = 3
unit a   = conv

block bottleneck(c, stride = 1,
    d = 2) {
    ## doc
    add {
        body: conv_bn 1x1 c -> conv_bn 3x3/{stride  +  1} c -> conv 1x1 (c*4) bias=false  #x
        skip: {
            if stride != 1 or channels != c * 4 { conv 1x1/{stride} c -> bn }
            else { identity }
        }
    }
    -> relu
    # why
    -> bn
}
network net(classes = 10,) {
    input 64x64 3 mean=[1, 2,  3]
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


def test_bn_inception_stays_as_it_is() -> None:
    text = BN_INCEPTION.read_text(encoding="utf-8")

    assert format_text(text) == text


@pytest.mark.parametrize("text", ["", "\n\n", "# only\n", "# no newline"])
def test_texts_without_code(text: str) -> None:
    assert format_text(text) == (f"{text.strip()}\n" if text.strip() else "")


def test_comments_and_strings_keep_their_text() -> None:
    text = 'use a,b   from "x->y.inc"\n#a->b  ,c:d\nunit c=conv ##  e=f  \n'

    assert format_text(text) == (
        'use a, b   from "x->y.inc"\n#a->b  ,c:d\nunit c = conv  ##  e=f\n'
    )


def test_a_spec_with_faults_is_not_laid_out() -> None:
    with pytest.raises(SpecError) as caught:
        format_text("unit a = {\n", "some.inc")

    assert str(caught.value).startswith("some.inc:1:10: error[")


def test_a_text_whose_tree_would_change_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "unit a=conv\n"
    for faulty in ("", " -> relu -> "):  # no spec any more; another spec
        monkeypatch.setattr(
            module, "_gap", lambda left, *_, gap=faulty, **__: gap if left == "unit" else " "
        )
        assert format_text(text) == text
    monkeypatch.setattr(module, "_gap", lambda left, *_, **__: " relu -> " if left == "=" else " ")
    assert format_text(text) == text


_PIECES = re.compile(r"\n|[ ]+|[^ \n]+")


@settings(deadline=None)
@given(some.randoms(use_true_random=False), some.sampled_from([NEAT, "bn_inception"]))
def test_any_blanks_give_the_same_tree_and_a_layout_that_stays(random, text) -> None:  # type: ignore[no-untyped-def]
    if text == "bn_inception":
        text = BN_INCEPTION.read_text(encoding="utf-8")
    messy = ""
    for line in text.split("\n"):
        if line.lstrip().startswith("#"):
            messy += f"{' ' * random.randrange(9)}{line.lstrip()}"
        else:
            blanks = ["", " ", "\t", "     "][random.randrange(4)]
            parts = [
                random.choice([" ", "\t", "  ", " \t "]) if part.isspace() else part
                for part in _PIECES.findall(line.strip())
            ]
            messy += blanks + "".join(parts) + blanks
        # A doc comment belongs to what is directly below it.
        doc = line.lstrip().startswith("##")
        messy += "\n" if doc else "\n" * random.choice([1, 1, 2, 4])
    tree = parse(SourceFile("messy", messy))

    result = format_text(messy)

    assert parse(SourceFile("result", result)) == tree
    assert format_text(result) == result
    assert result != messy
    assert [line for line in result.split("\n") if line != line.rstrip()] == []
    assert "\n\n\n" not in result
    assert "{\n\n" not in result
    assert re.search(r"\n\n *}", result) is None


def test_a_semicolon_stays_and_what_follows_is_a_statement() -> None:
    text = "let   a=1 ;let b =  2;\nnetwork n { input 8x8 3;x : relu;add { identity; tanh } }\n"

    assert format_text(text) == (
        "let   a = 1; let b =  2;\nnetwork n { input 8x8 3; x: relu; add { identity; tanh } }\n"
    )
