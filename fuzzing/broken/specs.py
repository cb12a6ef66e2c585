"""Broken specs as a subject of the runner."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from fuzzing.broken.cases import Case
from fuzzing.broken.corpus import Corpus
from fuzzing.broken.examine import LOOKS, examine_spec
from fuzzing.broken.guard import Bounds
from fuzzing.broken.inputs import spec_case

#: How many inputs there are for each one that another command, in turn, is tried on too.
_EVERY = 5


@dataclass(frozen=True)
class Specs:
    """Broken specs.

    Attributes:
        corpus: The texts they are made from.
        seed: The seed of the whole run.
        bounds: The limits of one input.
    """

    corpus: Corpus
    seed: int
    bounds: Bounds = field(default_factory=Bounds)

    def prepare(self) -> None:
        """Read the grammar and the templates."""
        from incgen import api

        text = "network n {\n    input 8x8 3\n    relu\n}\n"
        for target in ("torch", "keras"):
            api.generate("n.inc", target, text=text)

    def make(self, number: int) -> Case:
        """Return a broken spec."""
        return spec_case(self.corpus, self.seed, number)

    def examine(self, case: Case, folder: Path, number: int) -> tuple[str, ...]:
        """Examine how it ends."""
        turn, rest = divmod(number, _EVERY)
        return examine_spec(case, folder, "" if rest else LOOKS[turn % len(LOOKS)])
