"""The ladder catches planted faults, where the list says; `tests/planted.py` tries all of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import planted
import pytest
from planted import Fault, ListError, Workshop

FAULTS = planted.read_faults()
#: Of every rung one at least, of both targets; the rest take too long to be tried every time.
SAMPLE = (
    "bias_dropped",
    "normal_cut",
    "channels_not_reversed",
    "eps_of_keras",
    "alpha_in_both",
    "odd_pixel_before",
    "dropout_keeps_the_rate",
    "heads_swapped",
    "branch_detached",
    "l2_doubled",
    "momentum_inverted",
    "variance_stops",
    "activations_kept",
    "unexpected_bias_dropped",
    "third_word",
    "softmax_without_maximum",
    "normalised_by_groups",
    "sigmoid_of_a_large_number",
    "batches_not_counted",
)


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workshop]:
    with Workshop(tmp_path_factory.mktemp("planted")) as made:
        yield made


def test_there_are_faults_for_every_rung_and_target() -> None:
    counts = Counter((fault.rung, name) for fault in FAULTS.values() for name in fault.targets)

    assert counts.keys() == {(rung, t) for rung in range(7) for t in ("torch", "keras")}
    assert {FAULTS[name].rung for name in SAMPLE} == set(range(7))


def test_every_fault_can_be_planted_and_changes_what_is_generated(workshop: Workshop) -> None:
    for fault in FAULTS.values():
        workshop.faulty(fault)


def test_a_copy_without_a_fault_generates_the_same(workshop: Workshop) -> None:
    for fault in (FAULTS["bias_dropped"], FAULTS["fan_out"]):
        sound = planted.sound_source(fault.spec, fault.text, fault.target)
        assert workshop.compiled(fault, workshop.sound, fault.target) == sound


@pytest.mark.parametrize("change", [{"old": "no such text"}, {"old": "def "}, {"place": 2}])
def test_a_fault_that_fits_no_place_or_several_is_an_error(
    workshop: Workshop, change: dict[str, object]
) -> None:
    fault = Fault(**{**vars(FAULTS["bias_dropped"]), "name": "misfit", **change})

    with pytest.raises(ListError, match="misfit: "):
        workshop.faulty(fault)


def test_a_fault_that_changes_nothing_is_an_error(workshop: Workshop) -> None:
    fault = FAULTS["bias_dropped"]
    same = Fault(**{**vars(fault), "name": "same", "new": fault.old})

    with pytest.raises(ListError, match="same: the keras file of convs is the same"):
        workshop.faulty(same)


@pytest.mark.parametrize("name", SAMPLE)
def test_a_fault_is_caught_at_its_rung(name: str, workshop: Workshop) -> None:
    fault = FAULTS[name]

    control = planted.climbed_without(fault, fault.rung)
    report = planted.climbed(fault, workshop.sources(fault), fault.rung)

    assert control.passed, control
    assert planted.catches(report, fault), report
