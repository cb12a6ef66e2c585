"""Random networks agree in both frameworks, and so do those that once did not.

`python tests/networks.py --count N --seed S` tries more of them. A spec that fails there is made
small, and kept in `random/` when it is mended.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from networks import Tally, examine, examine_spec, lint

from incgen.fuzz import tree
from incgen.fuzz.reduce import reduced
from incgen.fuzz.strategies import random_specs
from incgen.fuzz.tracking import output_of

KEPT = sorted((Path(__file__).parent / "random").glob("*.inc"))
#: Specs of each group, and how many of those may be no valid ones.
SPECS, INVALID = 8, 4


@pytest.mark.filterwarnings("ignore:You are using a softmax over axis -1:UserWarning")
@pytest.mark.parametrize("number", [1, 2, 3, 4])
def test_random_networks_agree(number: int) -> None:
    tally = Tally()

    for spec in random_specs(SPECS, number):
        examine_spec(spec, tally)

    lint(tally)
    assert tally.agreed >= SPECS - INVALID, tally.report()


@pytest.mark.filterwarnings("ignore:You are using a softmax over axis -1:UserWarning")
@pytest.mark.parametrize("path", KEPT, ids=lambda path: path.stem)
def test_what_once_failed_agrees(path: Path) -> None:
    tally = Tally()

    assert examine(path.read_text("utf-8"), tally), tally.report()
    lint(tally)


def test_the_same_number_gives_the_same_specs() -> None:
    first, second = (random_specs(5, 7) for _ in range(2))

    assert [spec.text for spec in first] == [spec.text for spec in second]


def test_a_failing_spec_is_made_small() -> None:
    found = [
        spec
        for spec in random_specs(30, 1)
        if any(isinstance(each, tree.Block) for each in spec.definitions)
    ]
    assert found

    for spec in found:
        small = reduced(spec, lambda other: "block" in other.text)

        assert len(small.text) <= 120, small.text


def test_shapes_have_rules_of_their_own() -> None:
    # 9 rows: ceil((9 - 3) / 2) + 1 = 4; 8 columns: ceil((8 - 3) / 2) + 1 = 4; 3 + 4 channels
    window = tree.Window(("3", "3"), ("2",))
    branches = (
        tree.Statement(tree.Call("max_pool", (window,))),
        tree.Statement(
            tree.Call("conv", (window, "4"), (("pad", tree.Sides(("0", "1", "0", "1"))),))
        ),
    )
    body = tree.Body((tree.Statement(tree.Join("concat", tree.Body(branches))),))
    network = tree.Network("net", (), ("9", "8"), "3", "", body)
    spec = tree.Spec("", "caffe", (), (), (), network)

    assert str(output_of(spec)) == "7 x 4 x 4"
