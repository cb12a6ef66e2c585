"""`incgen verify --target onnx` catches planted faults where the list says."""

from __future__ import annotations

from functools import cache

import planted_onnx
import pytest

from incgen.onnx.ops import EMITTERS

FAULTS = planted_onnx.read_faults()
#: In every run: each module, rung and type, and each kind of op; `make test-slow` plants all.
SAMPLE = (
    "groups_dropped",
    "bias_dropped",
    "borders_in_the_order_of_pytorch",
    "sides_exchanged",
    "any_size_with_the_pixel_before",
    "any_size_without_ceil",
    "eps_of_keras",
    "not_rounded_up",
    "beyond_the_border_counted",
    "other_neighbour_of_an_even_size",
    "hard_sigmoid_of_onnx",
    "gelu_of_the_other_form",
    "branches_exchanged",
    "outputs_exchanged",
    "channels_not_reversed",
)


@cache
def passes(text: str, dtype: str) -> bool:
    return planted_onnx.climbed(text, dtype).passed


@pytest.mark.parametrize(
    "name",
    [name if name in SAMPLE else pytest.param(name, marks=pytest.mark.slow) for name in FAULTS],
)
def test_a_fault_in_a_file_is_caught_where_it_is(name: str) -> None:
    fault = FAULTS[name]

    assert passes(fault.text, fault.dtype)
    with planted_onnx.planted(fault):
        report = planted_onnx.climbed(fault.text, fault.dtype)

    assert planted_onnx.catches(report, fault), [
        (d.rung, d.dtype, d.path, d.message) for d in report.divergences
    ]


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_the_line_that_a_fault_changes_is_in_its_module_once(fault: planted_onnx.Fault) -> None:
    lines = planted_onnx.source_of(fault).read_text("utf-8").splitlines()

    assert lines.count(fault.old) == 1


def test_the_sample_has_a_fault_of_every_rung_module_and_type() -> None:
    assert {*SAMPLE} <= FAULTS.keys()
    for part in ("rung", "module", "dtype"):
        parts = {getattr(fault, part) for fault in FAULTS.values()}
        assert {getattr(FAULTS[name], part) for name in SAMPLE} == parts


def test_nothing_is_left_of_a_fault() -> None:
    before = dict(EMITTERS)

    with planted_onnx.planted(FAULTS["factor_of_one"]):
        pass

    assert before == EMITTERS
    assert passes(FAULTS["factor_of_one"].text, "float64")
