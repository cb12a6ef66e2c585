"""`incgen verify` catches planted faults where the list says; `tests/planted.py` tries all."""

from __future__ import annotations

import ast
from collections import Counter
from dataclasses import replace

import planted
import pytest
from planted import Change, ListError

from incgen.targets import TARGETS

FAULTS = planted.read_faults()
#: At least one for every rung; the rest would take too long every time.
SAMPLE = (
    "bias_dropped",
    "normal_cut",
    "channels_not_reversed",
    "eps_of_keras",
    "alpha_in_all",
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
    "he_normal_of_jax",
    "same_for_pixels",
    "dropout_not_scaled",
    "l2_doubled_in_flax",
    "variance_biased_in_flax",
    "border_not_counted",
)


def test_there_are_faults_for_every_rung_and_target() -> None:
    counts = Counter((fault.rung, name) for fault in FAULTS.values() for name in fault.targets)

    assert counts.keys() == {(rung, target) for rung in range(7) for target in TARGETS}
    assert {FAULTS[name].rung for name in SAMPLE} == set(range(7))


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_can_be_planted_and_the_file_is_python(name: str) -> None:
    for source in planted.faulty_sources(FAULTS[name]).values():
        ast.parse(source)


def test_whole_lines_are_replaced_in_the_files_of_the_targets_of_a_fault() -> None:
    fault = FAULTS["decay_in_all"]
    sound = planted.sound_sources(fault.spec, fault.text)

    sources = planted.faulty_sources(fault)

    for target, one, other in (
        ("torch", "eps=1e-5, momentum=0.1)", "eps=1e-5, momentum=0.05)"),
        ("keras", "epsilon=1e-5, momentum=0.9,", "epsilon=1e-5, momentum=0.95,"),
        ("flax", "momentum=0.9,", "momentum=0.95,"),
    ):
        assert sources[target] == sound[target].replace(one, other)


def test_a_fault_of_one_target_leaves_the_file_of_the_other_as_it_is() -> None:
    fault = FAULTS["bias_dropped"]
    sound = planted.sound_sources(fault.spec, fault.text)

    sources = planted.faulty_sources(fault)

    assert sources["torch"] == sound["torch"]
    assert sources["keras"].count("use_bias=False") == sound["keras"].count("use_bias=False") + 2


@pytest.mark.parametrize(
    ("old", "times"),
    [
        ("        kernel=3,", 0),
        ("roups=2,", 0),
        ('@keras.saving.register_keras_serializable("convs")', 2),
    ],
)
def test_lines_that_are_not_there_or_several_times_are_an_error(old: str, times: int) -> None:
    change = Change(old, "        groups=1,", ("keras",))
    fault = replace(FAULTS["bias_dropped"], name="misfit", changes=(change,))

    with pytest.raises(ListError, match=f"misfit in keras: .* {times} times"):
        planted.faulty_sources(fault)


def test_a_fault_that_changes_nothing_is_an_error() -> None:
    fault = FAULTS["bias_dropped"]
    change = replace(fault.changes[0], new=fault.changes[0].old)
    same = replace(fault, name="same", changes=(change,))

    with pytest.raises(ListError, match="same: the keras file of convs is the same"):
        planted.faulty_sources(same)


@pytest.mark.parametrize("name", SAMPLE)
def test_a_fault_is_caught_at_its_rung(name: str) -> None:
    fault = FAULTS[name]

    control = planted.climbed_without(fault, fault.rung, fault.rung)
    report = planted.climbed(fault, fault.rung)  # which finds nothing on lower rungs either

    assert control.passed, control
    assert planted.catches(report, fault), report
