"""Random networks are the same in every framework, including those that once were not.

`python -m fuzzing --count N --seed S` tries more of them. A spec that fails there is reduced and
saved; once fixed, it is kept in `random/`.
"""

from __future__ import annotations

import os
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest

from fuzzing import search, tree
from fuzzing.coverage import Coverage, everything
from fuzzing.examine import examine
from fuzzing.faults import Fault, known
from fuzzing.lint import lint
from fuzzing.processes import spread
from fuzzing.reduce import reduced
from fuzzing.specs import random_spec
from fuzzing.tracking import output_of
from incgen.base.diagnostics import Code, Diagnostic, SpecError
from incgen.compiling import compile_spec
from incgen.deploy import fold_norm
from incgen.graph.nodes import Graph
from incgen.language.expressions import Literal
from incgen.language.ops import OPS
from incgen.targets import TARGETS, Target
from incgen.targets.keras import ops as keras_ops
from incgen.targets.keras.code import Layer
from incgen.targets.torch import ops as torch_ops

KEPT = sorted((Path(__file__).parent / "random").glob("*.inc"))
#: Those whose fault only training showed, or a word that no use built; the others showed theirs in
#: evaluation, and climb higher in `make test-slow`.
IN_TRAINING = {
    "gradient_of_an_average_over_a_smaller_map",
    "labels_of_ops",
    "noise_of_training_in_a_gradient",
    "same_of_a_strided_dilated_unit",
    "slope_of_a_small_part",
    "word_of_a_branch_not_taken",
    "word_that_nothing_built_gives",
}
#: The targets of the networks that every run tries.
PAIR = ("torch", "keras")
#: The number of networks per group, and how many of them may be invalid.
NETWORKS, INVALID = 8, 3


@pytest.mark.parametrize(
    "group", [1, *(pytest.param(group, marks=pytest.mark.slow) for group in (0, *range(2, 8)))]
)
def test_random_networks_agree(group: int) -> None:
    numbers = range(group * NETWORKS, (group + 1) * NETWORKS)
    targets = PAIR if group == 1 else tuple(TARGETS)  # JAX compiles each pass of each network

    tally = search.examine_batch(numbers, seed=0, rungs=search.RUNGS, targets=targets)

    assert not tally.found, tally.found[0].message + "\n" + tally.found[0].text
    assert tally.agreed + tally.undecided >= NETWORKS - INVALID, "\n".join(tally.lines())


def test_deployed_forms_of_a_few_random_networks_agree() -> None:
    tally = search.examine_batch(range(5), 7, (1,), ("torch", "onnx"), deploy=True)

    assert not tally.found, tally.found[0].message + "\n" + tally.found[0].text
    assert tally.agreed == 5


@pytest.mark.slow
@pytest.mark.parametrize(
    ("count", "targets"), [(60, (*TARGETS, "onnx")), (1000, ("torch", "onnx"))]
)
def test_deployed_forms_of_random_networks_agree(count: int, targets: tuple[str, ...]) -> None:
    report = search.search(count, seed=7, processes=2, rungs=(1,), targets=targets, deploy=True)

    assert report.passed, report.text()
    assert report.tally.agreed + report.tally.undecided >= 0.8 * count, report.text()


@pytest.mark.filterwarnings("ignore:You are using a softmax over axis")  # on purpose
@pytest.mark.parametrize("path", KEPT, ids=lambda path: path.stem)
def test_what_once_failed_agrees(path: Path) -> None:
    rungs = search.RUNGS if path.stem in IN_TRAINING else (0, 1)

    assert examine(path.read_text("utf-8"), rungs=rungs, targets=PAIR).graph is not None


@pytest.mark.slow  # JAX compiles each pass of each network
@pytest.mark.filterwarnings("ignore:You are using a softmax over axis")  # on purpose
@pytest.mark.parametrize("path", KEPT, ids=lambda path: path.stem)
def test_what_once_failed_agrees_on_all_rungs_in_all_targets(path: Path) -> None:
    assert examine(path.read_text("utf-8")).graph is not None


def test_ruff_finds_nothing_in_what_once_failed() -> None:
    examined = [examine(path.read_text("utf-8"), models=False, targets=PAIR) for path in KEPT]

    assert not lint({number: each.sources for number, each in enumerate(examined)})


@pytest.mark.parametrize(
    "uses",
    [
        "unit u = conv 2x2 -> dense 2\nnetwork n {\n    input 4x4 1\n    a: u 1 pad=same\n}\n",
        "unit v = u -> relu\nunit u = conv\nnetwork n {\n    input 6x6 1\n    a: u 1x3 2 pad=0x1\n"
        "    b: v 3x3/2 2 pad=same\n}\n",
    ],
    ids=["size behind a padding by a word", "word for a border of two numbers"],
)
def test_what_no_class_can_say_is_refused(uses: str) -> None:
    assert examine(f"numerics torch\n{uses}").refused.startswith("unsupported: ")


@pytest.mark.parametrize("target", ["keras", "flax"])
def test_two_kernels_with_one_initialiser_are_refused_by_each_target(target: str) -> None:
    text = "numerics torch\nunit u = separable_conv\nnetwork n {\n    input 4x4 1\n"
    refused = examine(f"{text}    a: u 3x3 2 init=glorot_uniform\n}}\n", targets=[target]).refused

    assert refused.endswith(f"which {target.capitalize()} would initialise differently")


def test_what_is_refused_has_to_be_found_by_a_check(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "numerics torch\nunit u = conv 2x2 -> dense 2\nnetwork n {\n    input 4x4 1\n"
    monkeypatch.setattr(Target, "check", lambda target, graph, analysis: None)

    with pytest.raises(Fault, match="check: does not find: unsupported: "):
        examine(f"{text}    a: u 1 pad=same\n}}\n")


def test_what_no_target_has_to_refuse_is_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "numerics torch\nnetwork n {\n    input 4x4 1\n    relu\n}\n"
    assert examine(text, models=False).graph is not None

    def refused(args: object, shape: object) -> None:
        raise SpecError([Diagnostic(Code.UNSUPPORTED, "this target has no relu", None)])

    monkeypatch.setitem(torch_ops.EMITTERS, "relu", refused)

    with pytest.raises(Fault, match="refused: unsupported: this target has no relu"):
        examine(text, models=False)


def test_what_fits_by_the_other_rules_is_not_rejected(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = random_spec(2, 0)
    assert not examine(spec.text, spec, models=False).rejected

    def rejected(name: str, text: str) -> None:
        raise SpecError([Diagnostic(Code.GROUPS, "no groups divide anything", None)])

    monkeypatch.setattr("fuzzing.examine.compile_spec", rejected)

    with pytest.raises(Fault, match="rejected: the generator says that it fits: groups: no groups"):
        examine(spec.text, spec, models=False)


def test_definitions_in_a_file_of_their_own_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = next(
        spec
        for spec in (random_spec(4, number) for number in range(99))
        if "block" in spec.text and examine(spec.text, spec, models=False).graph is not None
    )

    def other(path: Path | str, text: str | None = None, **options: object) -> Graph:
        if text is None:
            text = "numerics torch\nnetwork n {\n    input 4x4 1\n    relu\n}\n"
        return compile_spec(path, text=text)

    monkeypatch.setattr("fuzzing.examine.compile_spec", other)

    with pytest.raises(Fault, match="files: definitions in a file of their own make another"):
        examine(spec.text, spec, models=False)


@pytest.mark.parametrize(
    ("paths", "excused"),
    [
        (["input", "a.weight", "side.weight"], True),
        (["b.weight"], False),  # behind the average
        (["input", "b.weight"], False),
    ],
)
def test_a_known_fault_excuses_what_is_in_front_of_it(paths: list[str], excused: bool) -> None:
    text = """
    numerics tf
    network n {
        input 4x4 2
        side: conv 1x1 2
        a: conv 1x1 2
        avg_pool 5x5
        b: conv 1x1 2
    }
    """
    graph = compile_spec("n.inc", text=text)
    message = "gradient of torch and keras differ; in keras it is not the slope of the loss itself"

    assert (known(message, paths, graph) is not None) is excused
    assert known("gradient of torch and keras differ", paths, graph) is None


def test_the_same_numbers_give_the_same_spec_in_any_order() -> None:
    forward = [random_spec(7, number).text for number in range(5)]
    backward = [random_spec(7, number).text for number in reversed(range(5))]

    assert forward == backward[::-1]
    assert len({*forward, random_spec(8, 0).text}) == 6


def test_a_failing_spec_is_made_small() -> None:
    specs = [
        spec
        for spec in (random_spec(1, number) for number in range(30))
        if any(isinstance(definition, tree.Block) for definition in spec.definitions)
    ]
    assert specs

    for spec in specs:
        small = reduced(spec, lambda other: "block" in other.text)

        assert len(small.text) <= 120, small.text


@pytest.fixture(scope="module")
def seen() -> Coverage:
    """Return what several hundred random specs use."""
    seen = Coverage()
    for number in range(500):
        spec = random_spec(2, number)
        with suppress(SpecError):
            seen.count(spec, compile_spec("random.inc", text=spec.text))
    return seen


def test_every_op_and_each_of_its_arguments_is_drawn(seen: Coverage) -> None:
    """A new op or argument needs a case in `fuzzing/calls.py`."""
    drawn = {row for row, _ in seen.counts}
    rows = [f"{op} in" for op in OPS]
    rows += [f"{op.name} {argument.name}" for op in OPS.values() for argument in op.arguments]

    assert [row for row in rows if row not in drawn] == []


def test_random_specs_reach_nearly_all_of_the_language(seen: Coverage) -> None:
    missing = seen.missing()

    assert len(missing) <= 0.06 * len(list(everything())), seen.table()
    whole = ("statements", "definitions", "expressions", "numerics")
    assert not [key for key in missing if key[0] in whole or key[0].endswith(" in")]


def test_coverage_names_what_was_never_seen() -> None:
    spec = random_spec(2, 0)
    seen = Coverage()
    seen.count(spec, compile_spec("random.inc", text=spec.text))

    assert set(seen.missing()) == set(everything()) - set(seen.counts)
    assert f"{len(seen.missing()):,} never seen" in seen.table()


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


# ---------------------------------------------------------------- searches


def test_a_fault_is_found_made_small_and_saved(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def fails(args: object, shape: object) -> None:
        raise KeyError("planted")

    monkeypatch.setitem(torch_ops.EMITTERS, "lrn", fails)
    number = next(n for n in range(99) if " lrn " in random_spec(3, n).text)

    tally = search.examine_batch(range(number, number + 1), 3, search.RUNGS)
    (fault,) = tally.found
    small = search.minimised(fault, 3, search.RUNGS)
    path = search.saved(small, 3, tmp_path)

    assert fault.where == "build" and "planted" in fault.message and tally.agreed == 0
    assert path.name == f"build_3_{number}.inc"
    assert len(small.text) < 120, small.text
    with pytest.raises(Fault, match="planted"):
        examine(path.read_text("utf-8"))


def test_models_that_differ_are_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "numerics torch\nnetwork n {\n    input 4x4 2\n    a: bn decay=0.7\n}\n"
    assert examine(text, targets=PAIR).graph

    monkeypatch.setattr(torch_ops, "_one_minus", lambda decay: decay)

    with pytest.raises(Fault, match=r"rung 4: statistic") as caught:
        examine(text, targets=PAIR)
    assert caught.value.kind == "rung 4: statistic" and caught.value.numeric


def test_deployed_forms_are_examined_where_they_are_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    text = "numerics torch\nnetwork n {\n    input 4x4 2\n    a: conv 1x1 3\n    b: bn eps=0.1\n}\n"
    examined = partial(examine, text, rungs=(0, 1), targets=["torch"])
    assert examined(deploy=True).graph

    changed = fold_norm.FoldedNorm
    monkeypatch.setattr(fold_norm, "FoldedNorm", lambda a, b, eps, c, d: changed(a, b, 0.0, c, d))

    assert examined(deploy=False).graph
    with pytest.raises(Fault, match="rung 1: value deployed by all passes"):
        examined(deploy=True)


def test_other_arguments_are_those_of_the_same_file(monkeypatch: pytest.MonkeyPatch) -> None:
    text = (
        "# arguments: n=2\nnumerics torch\n"
        "network net(n = 1) {\n    input 4x4 2\n    a: bn\n    scale n\n}\n"
    )
    assert examine(text, targets=PAIR).graph

    one = {"factor": Literal(1)}
    monkeypatch.setitem(keras_ops.EMITTERS, "scale", lambda args, context: (Layer("scale", one),))

    with pytest.raises(Fault, match="rung 1: value with n=2 of torch and keras differ"):
        examine(text, targets=PAIR)


def test_what_ruff_says_is_a_fault_of_its_network() -> None:
    fine, wrong = "x = 1\n", "import os\nx = 1\n"

    faults = lint({1: {"torch": fine}, 2: {"torch": fine, "keras": wrong}})

    assert list(faults) == [2] and "F401" in faults[2]


def test_a_process_that_dies_takes_no_other_task_along() -> None:
    done = dict(spread(_dies_at_two, range(4), 2))

    assert done == {0: 0, 1: 10, 2: None, 3: 30}


def _dies_at_two(number: int) -> int:
    if number == 2:
        os._exit(1)
    return number * 10


def test_one_target_alone_is_examined_on_the_rungs_that_it_has(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[tuple[int, ...]] = []

    def spread_to_none(action: partial[object], *_: object) -> tuple[()]:
        asked.append(action.keywords["rungs"])
        return ()

    monkeypatch.setattr(search, "spread", spread_to_none)
    for targets in (("pytorch",), ("torch", "onnx"), ("onnx",), ("tf", "torch")):
        search.search(1, targets=targets)

    assert asked == [(0, 1, 2, 4), (0, 1, 2, 4), (0, 1, 6), (0, 1, 2, 3, 4)]


def test_an_interrupt_ends_with_what_was_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "BATCH", 1)
    said: list[str] = []

    def progress(line: str) -> None:
        said.append(line)
        if len(said) == 2:
            raise KeyboardInterrupt

    report = search.search(5, processes=1, rungs=(0,), progress=progress, targets=("torch",))

    assert report.interrupted and report.tally.seen == 2 and not report.kinds
    assert "2 random networks" in report.text() and said[1].startswith("2 of 5 networks")
