"""Tools on shipped specs: the table that `make tools` prints, and the quick ones on one spec."""

from __future__ import annotations

import re

import pytest
import torch
from tools import (
    NAMES,
    PAGE,
    PLACE,
    REFUSALS,
    TOOLS,
    DifferentError,
    Outcome,
    Subject,
    Tool,
    Variant,
    features,
    hold,
    int8_pt2e,
    int8_qat,
    on_jax,
    on_torch,
    onnx,
    outcome,
    table,
    tflite,
    variants,
)

#: A single block, on which all but the tools that start a process or read much run quickly.
SMALL = Variant("inception_v1_block", None)
SLOW = (int8_pt2e, on_torch, on_jax)
#: Those that no other test runs; the others are tried on small networks elsewhere.
OFTEN = (features, int8_qat, onnx, tflite)
QUICK = [
    pytest.param(tool, marks=() if tool in OFTEN else pytest.mark.slow)
    for tools in TOOLS.values()
    for tool in tools
    if tool not in SLOW
]


@pytest.fixture(scope="module")
def subject(tmp_path_factory: pytest.TempPathFactory) -> Subject:
    """Return a small spec with its models."""
    return Subject(SMALL, tmp_path_factory.mktemp("tools"))


@pytest.mark.parametrize("tool", QUICK, ids=lambda tool: tool.__name__)
def test_tools_work_on_a_small_spec(tool: Tool, subject: Subject) -> None:
    assert outcome(tool, subject) == Outcome("works")


def test_another_network_is_told() -> None:
    value = torch.tensor([1.0, -2.0])

    hold(value * 1.001, value, 2e-3)
    with pytest.raises(DifferentError, match=r"^differs by 0\.004, more than 0\.002$"):
        hold(value * 1.004, value, 2e-3)
    with pytest.raises(DifferentError, match=r"^b differs by 2, more than 0\.002$"):
        hold({"a": value, "b": -value}, {"a": value, "b": value}, 2e-3)
    with pytest.raises(DifferentError, match="not finite"):
        hold(value / 0, value, 2e-3)


def test_specs_on_which_all_is_the_same_are_one_column() -> None:
    refused = Outcome("refused", "There is no such thing.")
    works = dict.fromkeys(NAMES, Outcome("works"))
    one, with_heads, without = Variant("a", None), Variant("b", True), Variant("b", False)

    lines = table(
        {one: works, without: works, with_heads: works | {NAMES[0]: refused}}
    ).splitlines()
    whole = table({one: works, without: works, with_heads: works}).splitlines()

    assert lines[0] == "| tool | `a`<br>`b` without heads | `b` with heads |"
    assert lines[2] == f"| {NAMES[0]} | works | refused (1) |"
    assert lines[3] == f"| {NAMES[1]} | works | works |"
    assert lines[-2:] == ["", "1. There is no such thing."]
    assert whole[0] == "| tool | `a`<br>`b` |"


def test_the_page_says_what_came_of_every_tool_on_every_spec() -> None:
    place = PLACE.search(PAGE.read_text("utf-8"))
    assert place
    rows = [line.strip("| ").split(" | ") for line in place[2].splitlines() if line[:2] == "| "]
    header, *tools = rows
    reasons = re.findall(r"^\d+\. (.*)$", place[2], re.MULTILINE)
    specs = set(re.findall(r"`(\w+)`", " ".join(header)))
    numbers = {f"({number})" for number in range(1, 1 + len(reasons))}

    assert [tool for tool, *_ in tools] == NAMES
    assert specs == {variant.spec for variant in variants()}
    assert set(reasons) <= set(REFUSALS.values())
    for tool, *cells in tools:
        assert len(cells) == len(header) - 1, tool
        for cell in cells:
            word, _, number = cell.partition(" ")
            assert (word in ("works", "-") and not number) or (
                word == "refused" and number in numbers
            ), f"{tool}: {cell}"
