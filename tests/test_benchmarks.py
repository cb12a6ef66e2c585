"""The benchmark of all engines: how it measures, and what it makes of the measurements."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engines import bars, page, preparing, rounds, stages
from engines.plan import ENGINES, NETWORKS, STEP, Cell, cells, plain_multiply_adds
from engines.results import Building, Missing, Results, read, write
from engines.worker import Worker

NET = "bn_inception"
MACHINE = {
    "processor": "P",
    "family": "model 1",
    "instructions": ["avx2"],
    "cores": 2,
    "memory": 2**33,
    "system": "Linux",
    "load": 0.1,
}


def cell(engine: str, model: str, batch: int = 32, work: str = "inference") -> Cell:
    return Cell(NET, engine, model, batch, work)


@pytest.fixture
def results() -> Results:
    """Return what a run of three rounds might find."""
    times = {
        cell("torch", "published"): [4.0, 2.0, 2.0],
        cell("torch", "training"): [2.0, 2.0, 2.2],
        cell("torch-channels-last", "deployed"): [1.0, 0.8, 1.0],
        cell("torch-channels-last", "convolution"): [1.6, 0.8, 0.8],
        cell("openvino", "convolution"): [1.0, 1.0, 1.0],
        cell("torch", "training", 8, STEP): [4.0, 4.0, 4.0],
        cell("keras-on-torch", "published", 8, STEP): [4.0, 5.0, 6.0],
    }
    run = Results("2026-01-31", 90.0, MACHINE, {"torch": "2"}, times=times)
    run.networks = {NET: {"multiply_adds": plain_multiply_adds() // 2, "weights": 10_000_000}}
    run.building = [Building(NET, "incgen build, ONNX", (0.5, 1.5, 0.6), 40_000_000)]
    run.missing = [Missing("OpenVINO", "it is not installed: `pip install openvino`")]
    return run


def test_results_are_read_as_they_were_written(results: Results, tmp_path: Path) -> None:
    write(results, tmp_path / "new" / "r.json")

    assert read(tmp_path / "new" / "r.json") == results


def test_figures_are_medians_of_the_ratios_of_rounds(results: Results) -> None:
    figures = {f.name.removeprefix(f"{NET}: "): (f.value, f.reached) for f in bars.figures(results)}
    measured = {name: value for name, value in figures.items() if value[0] != "not measured"}

    assert measured == {
        "training form / published, slowest engine": (
            "1.00  [0.91 to 2.00]  (PyTorch, batch 32; 1 compared)",
            True,
        ),
        "deployed PyTorch, channels_last / published as its README runs it, batch 32": (
            "2.50  [2.00 to 4.00]",
            True,
        ),
        "PyTorch file / Keras on torch, training step, batch 8": ("1.25  [1.00 to 1.50]", False),
        # half of a convolution's work in 1 s, and a whole convolution in 0.8 s
        "share of a plain convolution's speed, batch 32, best engine": (
            "40%  (30 of 74 G/s; PyTorch, channels_last, PyTorch, channels_last)",
            False,
        ),
        "ONNX file written, whole command": ("0.60 s", True),
        "ONNX file written, memory at the peak": ("4.0 times the weights  (40 MB)", False),
    }
    assert all(figures[name][1] is None for name in figures.keys() - measured.keys())


def test_what_is_near_a_bar_gets_more_rounds(results: Results) -> None:
    step = {
        cell(engine, m, 8, STEP)
        for engine, m in (("torch", "training"), ("keras-on-torch", "published"))
    }
    both = {cell("torch", "published"), cell("torch", "training")}
    deployed = cell("torch-channels-last", "deployed")

    # 2.5 [2 to 4] of 2, 1 [0.91 to 2] of 1, and 1.25 [1 to 1.5] of 1.5
    assert bars.undecided(results, NET) == {*both, deployed, *step}
    results.times[deployed] = [1.0, 0.8, 0.8]  # 2.5 [2.5 to 4]
    assert bars.undecided(results, NET) == {*both, *step}
    results.times[cell("torch", "training", 8, STEP)] = [4.0, 4.0, 4.5]  # 1.25 [1 to 1.33]
    assert bars.undecided(results, NET) == both


def test_the_tables_of_a_page(results: Results) -> None:
    tables = page.tables(results)

    assert tables["benchmark bn_inception"] == (
        "| engine | model | batch 32 | by published |\n"
        "| --- | --- | --- | --- |\n"
        "| PyTorch | Cadene's `bninception` | 16.0 [8.0 to 16.0] |  |\n"
        "| PyTorch | ours, training form | 16.0 [14.5 to 16.0] | 1.00 |\n"
        "| PyTorch, channels_last | ours, deployed | 32.0 [32.0 to 40.0] |  |"
    )
    assert tables["benchmark steps"].splitlines()[2:] == [
        "| bn_inception | PyTorch | ours, training form | 2.0 [2.0 to 2.0] |  |",
        "| bn_inception | Keras on torch | written by hand | 1.6 [1.3 to 2.0] |  |",
    ]
    assert tables["benchmark missing"].splitlines()[2:] == [
        "| OpenVINO | it is not installed: `pip install openvino` |"
    ]
    assert tables["benchmark machine"] == (
        "Measured on 2026-01-31 in 2 minutes, 3 to 3 rounds. 2 cores of P (model 1; avx2), 8 GiB; "
        "Linux; load 0.1 when it began. torch 2."
    )
    assert "| ✗ 40% (30 of 74 G/s;" in tables["benchmark bars"]


def test_what_compiles_is_measured_with_the_largest_batch() -> None:
    network = NETWORKS["inception_v3"]
    largest = cells(network, [ENGINES["flax"]], (1, 8), steps=True, every=False)
    every = cells(network, [ENGINES["flax"]], (1, 8), steps=True, every=True)

    # what is published of it is not for Flax
    step = ("training", 8, STEP)
    assert [(c.model, c.batch, c.work) for c in largest] == [
        ("training", 8, "inference"),
        ("deployed", 8, "inference"),
        step,
    ]
    assert [(c.model, c.batch) for c in every][:2] == [("training", 1), ("training", 8)]


class Stub:
    """A process that answers at once, and ends before its third turn."""

    def __init__(self, log: list[tuple[str, str]]) -> None:
        self.log = log

    def ask(self, cell: Cell, do: str, **more: Any) -> dict[str, Any]:
        """Answer a request."""
        self.log.append((do, cell.model))
        if do == "prepare":
            return {"difference": 0.1 if cell.model == "pnnx" else 1e-6}
        return {"error": "its process ended with -9"} if len(self.log) > 7 else {"seconds": 1.0}

    def end(self) -> None:
        """Take note."""
        self.log.append(("end", ""))


def test_rounds_go_forward_and_backward_and_what_fails_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    log: list[tuple[str, str]] = []
    monkeypatch.setattr(rounds, "Process", lambda *_: Stub(log))
    monkeypatch.setattr(rounds, "find_spec", lambda name: None if name == "openvino" else 1)
    wanted = [cell("torch", name) for name in ("published", "training", "pnnx")]
    result = Results("")
    silent = str

    done = rounds.measure(
        NETWORKS[NET], [*wanted, cell("openvino", "training")], tmp_path, result, 0, (3, 9), silent
    )

    assert done == 3
    turns = [model for do, model in log if do == "time"]
    assert turns == ["published", "training", "training", "published", "published", "training"]
    assert result.times == {wanted[0]: [1.0, 1.0], wanted[1]: [1.0, 1.0]}
    assert [(missing.what, missing.why) for missing in result.missing] == [
        ("OpenVINO", "it is not installed: `pip install openvino`"),
        (str(wanted[2]), "its output differs by 1.0e-01, more than 0.001"),
        (str(wanted[0]), "its process ended with -9"),
        (str(wanted[1]), "its process ended with -9"),
    ]


def test_after_the_rounds_of_all_come_those_of_what_is_undecided(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    log: list[tuple[str, str]] = []
    monkeypatch.setattr(rounds, "Process", lambda *_: Stub(log))
    wanted = [cell("torch", name) for name in ("published", "deployed")]
    monkeypatch.setattr(bars, "undecided", lambda *_: {wanted[1]})
    result = Results("")

    done = rounds.measure(NETWORKS[NET], wanted, tmp_path, result, float("inf"), (2, 4), str)

    assert done == 4
    assert {c.model: len(times) for c, times in result.times.items()} == {
        "published": 2,
        "deployed": 3,
    }


def test_a_worker_tells_what_fails_and_how_far_outputs_are(tmp_path: Path) -> None:
    np.save(tmp_path / f"expected_{NET}.npy", np.array([[1.0, -4.0]], np.float32))
    worker = Worker("onnxruntime", NETWORKS[NET], tmp_path)

    answer = worker.answer({"do": "prepare", "cell": {**CELL, "engine": "onnxruntime"}})

    assert answer["error"].startswith("FileNotFoundError: ")
    assert worker._difference(Cell(**CELL), np.array([[1.5, -4.0]], np.float32)) == 0.125


def test_what_a_converter_writes_in_keras_is_the_network_of_its_file(tmp_path: Path) -> None:
    """Keras' own variant has other weights; the ONNX file is that of the other."""
    for spec, value in (("inception_v3", 2.0), ("inception_v3_tf", 4.0)):
        np.save(tmp_path / f"expected_{spec}.npy", np.array([[value]], np.float32))
    worker = Worker("keras", NETWORKS["inception_v3"], tmp_path)

    differences = [
        worker._difference(
            Cell("inception_v3", "keras-function", model, 1), np.array([[2.0]], np.float32)
        )
        for model in ("onnx2tf", "training")
    ]

    assert differences == [0, 0.5]


CELL = {"network": NET, "engine": "torch", "model": "training", "batch": 1}


def test_a_turn_is_the_median_of_its_passes(tmp_path: Path) -> None:
    worker = Worker("torch", NETWORKS[NET], tmp_path)
    runs: list[int] = []

    def run() -> None:
        runs.append(1)
        if len(runs) == 2:
            time.sleep(0.3)  # the first of the second turn: as after pages were dropped

    worker.runs[Cell(**CELL)] = run

    one = worker.answer({"do": "time", "cell": CELL, "short": True})

    assert len(runs) == 1
    assert 0 < one["seconds"] < 0.1
    assert worker.answer({"do": "time", "cell": CELL, "short": False})["seconds"] < 0.1
    assert len(runs) > 4


def test_commands_are_measured_and_their_faults_shown() -> None:
    def python(program: str) -> Sequence[str]:
        return [sys.executable, "-c", program]

    own = bytearray(b"x") * (2 * 10**8)  # which is not the command's
    seconds, peak = preparing.measured(python("bytearray(b'x') * 10**8"))

    assert seconds > 0
    assert 1e8 < peak < 1.5e8 < len(own)
    with pytest.raises(RuntimeError, match="no such thing"):
        preparing.measured(python("raise SystemExit('no such thing')"))


def test_what_was_not_converted_is_not_measured(tmp_path: Path) -> None:
    engines = [ENGINES["torch"], ENGINES["onnxruntime"]]
    wanted = cells(NETWORKS[NET], engines, (1,), steps=False, every=False)
    (tmp_path / "pnnx").mkdir()
    (tmp_path / "pnnx" / "model_pnnx.py").touch()

    left = {str(c) for c in wanted} - {str(c) for c in preparing.present(wanted, tmp_path)}

    assert left == {
        f"{NET}: published in ONNX Runtime, inference, batch 1",
        f"{NET}: int8 in ONNX Runtime, inference, batch 1",
    }


def test_what_is_not_installed_and_what_fails_is_told_with_its_reason() -> None:
    def missing() -> None:
        raise ModuleNotFoundError("No module named 'pnnx'", name="pnnx")

    assert stages.attempted("a", missing) == (
        "a",
        0.0,
        "it is not installed: `pip install pnnx`",
    )
    assert stages.attempted("b", lambda: int("x"))[2] == (
        "it failed: ValueError: invalid literal for int() with base 10: 'x'"
    )
    assert stages.attempted("c", list)[2] is None
