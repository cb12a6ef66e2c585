"""Broken specs by number: a seed and a number give the same input in any process."""

from __future__ import annotations

from random import Random

from fuzzing.broken import hostile, structures
from fuzzing.broken.cases import Case, single
from fuzzing.broken.changes import broken, encoded, spliced, truncated
from fuzzing.broken.corpus import Corpus

#: Names of the file that incgen is given, which end up in generated code.
_FILES = (
    f'a"""; {hostile.MARK}() """.inc',
    f"a\nimport {hostile.MARK}\n.inc",
    f"a\rimport {hostile.MARK}.inc",
    f"a\\u{hostile.MARK}\\N{{}}.inc",
    f"{{{{ {hostile.MARK}() }}}}.inc",
    f"a\u2028import {hostile.MARK}.inc",
    "\udcff.inc",
    "\x1b[2J.inc",
    "a'b\".inc",
    "-x.inc",
    "a" * 200,
)


def spec_case(corpus: Corpus, seed: int, number: int) -> Case:
    """Return a broken spec.

    Args:
        corpus: The texts it is made from.
        seed: The seed of the whole run.
        number: The number of the input.
    """
    dice = Random(f"{seed}/{number}")
    kinds = (_changed, _spliced, _cut, _nested, _chained, _many, _used, _set, _named)
    weights = (60, 6, 3, 4, 0.6, 0.4, 9, 9, 3)
    (make,) = dice.choices(kinds, weights)
    return make(dice, corpus)


def _changed(dice: Random, corpus: Corpus) -> Case:
    text = broken(dice, corpus.any(dice), corpus)
    return single(encoded(dice, text), "changed")


def _spliced(dice: Random, corpus: Corpus) -> Case:
    return single(encoded(dice, spliced(dice, corpus.any(dice), corpus)), "spliced")


def _cut(dice: Random, corpus: Corpus) -> Case:
    return single(encoded(dice, truncated(dice, corpus.any(dice), corpus)), "cut off")


def _nested(dice: Random, corpus: Corpus) -> Case:
    return single(structures.nested(dice).encode(), "nested")


def _chained(dice: Random, corpus: Corpus) -> Case:
    return single(structures.chained(dice).encode(), "chained")


def _many(dice: Random, corpus: Corpus) -> Case:
    return single(structures.many(dice).encode(), "many")


def _named(dice: Random, corpus: Corpus) -> Case:
    """Return a file, whole or broken, whose name could do harm in generated code."""
    text = corpus.any(dice)
    if dice.random() < 0.2:
        text = broken(dice, text, corpus)
    name = dice.choice(_FILES)
    return Case(name, ((name, encoded(dice, text)),), kind="named")


# ---------------------------------------------------------------- files that use files

_PARTS = ("block a(n) {\n    conv 1x1 n\n}\n", "block a(n) {\n    identity\n    scale n\n}\n")


def _used(dice: Random, corpus: Corpus) -> Case:
    """Return several files that use each other: wrong paths, cycles, damaged files."""
    names = [
        "spec.inc",
        *dice.sample(("b.inc", "parts/a.inc", "parts/c.inc", "d.inc"), dice.randint(1, 3)),
    ]
    files = []
    for name in names:
        folder = "parts/" if name.startswith("parts/") else ""
        uses = ""
        for _ in range(dice.choice((0, 1, 1, 2)) + (name == "spec.inc")):
            path = dice.choice(names)
            if folder:
                path = path.removeprefix(folder) if path.startswith(folder) else f"../{path}"
            if dice.random() < 0.25:
                path = dice.choice(hostile.PATHS)
            what = dice.choice(
                ("a", "a", "a", "a, a", "b", "n", "conv", dice.choice(hostile.NAMES))
            )
            uses += f'use {what} from "{path}"\n'
        text = dice.choice(_PARTS)
        if name == "spec.inc":
            text = "network n {\n    input 8x8 3\n    x: a 4\n}\n"
        text = dice.choice(("", "", "numerics caffe\n", "numerics tf\n")) + uses + text
        if dice.random() < 0.25:
            text = broken(dice, text, corpus)
        files.append((name, encoded(dice, text)))
    return Case("spec.inc", tuple(files), kind="uses")


# ---------------------------------------------------------------- the command line

_SET = (
    *("network n(classes = 10, kind = max, deep = true) {\n    input 8x8 3\n    pool kind 1x1\n",),
    *("let c = 2\nlet rate = 0.5\nnetwork n(classes = 10) {\n    input 8x8 3\n    dropout rate\n",),
)


def _set(dice: Random, corpus: Corpus) -> Case:
    """Return a spec with values for its parameters and constants that do not fit."""
    text = dice.choice(_SET)
    body = "    if c == 2 { relu }\n" if "let c" in text else "    if deep { relu }\n"
    text += f"{body}    a: dense classes\n}}\n"
    if dice.random() < 0.15:
        text = broken(dice, text, corpus)
    settings = []
    for _ in range(dice.randint(1, 3)):
        name = dice.choice(("classes", "kind", "deep", "c", "rate", "n", "", "classes ", "a.b"))
        if dice.random() < 0.1:
            name = dice.choice(hostile.NAMES)
        value = hostile.number(dice)
        if dice.random() < 0.5:
            value = dice.choice(
                (*hostile.WORDS, *hostile.NAMES, *hostile.TEXTS, "True", "None", "1+1")
            )
        equals = dice.choice(("=", "=", "=", "=", "=", "==", " = ", "", ":="))
        settings.append(f"{name}{equals}{value}".replace("\n", " "))
    return Case("spec.inc", (("spec.inc", text.encode()),), tuple(settings), kind="set")
