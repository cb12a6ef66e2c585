"""Broken inputs end in reports or in clean results; the examination of them can fail.

Inputs that once failed are kept in `broken/`, reduced: specs as they are, others as JSON.
"""

from __future__ import annotations

import ctypes
import os
import pickle
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from checkpoints import WRITERS, random_arrays, write_caffe

import incgen
from fuzzing.broken import cases, runner, specs, weights
from fuzzing.broken.cases import Case, single
from fuzzing.broken.corpus import corpus
from fuzzing.broken.guard import Bounds
from fuzzing.broken.report import Report
from fuzzing.broken.shrink import shrunk
from fuzzing.broken.trial import Outcome, tried
from incgen.base import files
from incgen.syntax import explaining
from incgen.targets.shared import text as target_text

ROOT = Path(__file__).parent.parent

TESTS = Path(__file__).parent
FOLDERS = (TESTS / "random", TESTS / "agreement", TESTS / "errors", TESTS.parent / "docs")
#: More than the limit in a run: this process has loaded frameworks, and shares the machine.
PATIENT = Bounds(seconds=20, waiting=120)


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> weights.Weights:
    """Return broken weights of every kind of file that does not need TensorFlow."""
    folder = tmp_path_factory.mktemp("good")
    spec = folder / "net.inc"
    spec.write_text(weights.SPEC, "utf-8")
    graph = incgen.compile_spec(spec)
    ours = random_arrays({key: tensor.shape for key, tensor in graph.tensors().items()})
    theirs = random_arrays({"a.conv/kernel": (3, 3, 3, 4), "logits/bias": (3,)})
    for kind in ("safetensors", "torch", "old torch", "npz", "packed npz", "legacy keras", "flax"):
        suffix, write = WRITERS[kind]
        write(folder / f"{kind}{suffix}", theirs if kind in ("legacy keras", "flax") else ours)
    blobs: list[Any] = [np.ones((2, 1, 3, 3), "f4"), np.ones(2, "f4")]
    write_caffe(folder / "x.caffemodel", [("a", "Convolution", blobs)])
    spec.unlink()
    samples = [
        (path.name, ((path.name, path.read_bytes()),))
        for path in sorted(folder.iterdir(), key=lambda path: path.suffix != ".safetensors")
    ]
    return weights.Weights(tuple(samples), 1, PATIENT, keras=False)


def specs_of(seed: int) -> specs.Specs:
    return specs.Specs(corpus(FOLDERS), seed, PATIENT)


def sound(outcome: Outcome) -> bool:
    assert outcome.failure is None, f"{outcome.failure}\n{outcome.detail}"
    return True


# ---------------------------------------------------------------- inputs


def test_broken_specs_end_in_reports_or_clean_code(tmp_path: Path) -> None:
    subject = specs_of(1)
    ends = set[str]()
    for number in range(300):
        case = subject.make(number)
        outcome = tried(subject, case, tmp_path / "case", number)
        assert sound(outcome)
        ends.update(outcome.ends)

    assert {"clean", "refused", "syntax", "bad-use", "not-utf8", "nesting-too-deep"} <= ends


def test_broken_weights_end_in_reports_or_arrays(good: weights.Weights, tmp_path: Path) -> None:
    ends = set[str]()
    for number in range(150):
        outcome = tried(good, good.make(number), tmp_path / "case", number)
        assert sound(outcome)
        ends.update(outcome.ends)

    assert ends == {"shown", "not shown", "imported", "not imported", "mismatch"}


def test_generated_code_loads_all_of_a_broken_file_or_nothing(
    good: weights.Weights, tmp_path: Path
) -> None:
    subject = weights.Weights(good.bases[:1], 2, PATIENT)
    ends = set[str]()
    for number in range(30):
        outcome = tried(subject, subject.make(number), tmp_path / "case", number)
        assert sound(outcome)
        ends.update(outcome.ends)

    assert {"loaded", "not loaded"} <= ends


@pytest.mark.parametrize(
    "path", sorted((TESTS / "broken" / "specs").iterdir()), ids=lambda path: path.name
)
def test_specs_that_once_failed(path: Path, tmp_path: Path) -> None:
    subject = specs.Specs(corpus(), 0, PATIENT)

    for number in (0, 5, 10):  # each of the other commands
        assert sound(tried(subject, cases.kept(path), tmp_path / "case", number))


@pytest.mark.parametrize(
    "path", sorted((TESTS / "broken" / "weights").iterdir()), ids=lambda path: path.name
)
def test_weights_that_once_failed(path: Path, tmp_path: Path) -> None:
    subject = weights.Weights((), 0, PATIENT, keras=False)

    assert sound(tried(subject, cases.kept(path), tmp_path / "case", 0))


def test_the_same_seed_gives_the_same_inputs(good: weights.Weights) -> None:
    first, second, other = specs_of(5), specs_of(5), specs_of(6)

    assert [first.make(n) for n in range(100)] == [second.make(n) for n in range(100)]
    assert [first.make(n) for n in range(100)] != [other.make(n) for n in range(100)]
    assert [good.make(n) for n in range(30)] == [good.make(n) for n in range(30)]


def test_any_number_of_processes_tries_the_same_inputs() -> None:
    one, two = (runner.run(specs_of(7), 90, processes) for processes in (1, 2))

    assert (one.inputs, one.ends, one.kinds) == (two.inputs, two.ends, two.kinds)
    assert one.inputs == 90 and not one.failed and one.memory > 0


def test_an_interrupt_ends_with_what_was_seen() -> None:
    def progress(so_far: Report) -> None:
        if so_far.inputs:
            raise KeyboardInterrupt

    report = runner.run(specs_of(7), 1_000_000, 1, progress)

    assert report.interrupted and 0 < report.inputs < 1_000_000
    assert report.text().endswith("failures: 0\ninterrupted")


@pytest.mark.parametrize("terminal", [True, False], ids=["terminal", "pipe"])
def test_progress_is_shown_on_a_terminal(terminal: bool) -> None:
    ours, theirs = os.openpty() if terminal else os.pipe()
    command = [sys.executable, "-m", "fuzzing", "--broken", "specs", "--count", "20"]

    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=theirs, check=False)

    os.write(theirs, b"!")
    shown = ""
    while not shown.endswith("!"):  # a terminal returns what it has, which may not be everything
        shown += os.read(ours, 100_000).decode()
    os.close(ours)
    os.close(theirs)
    assert done.returncode == 0 and done.stdout.startswith(b"20 inputs in ")
    if terminal:
        assert shown.endswith("\r\x1b[K20 of 20 inputs, 0 failures\r\x1b[K!")
    else:
        assert shown == "!"


# ---------------------------------------------------------------- planted faults


@dataclass(frozen=True)
class Planted:
    """A subject with one input that does not end as it should."""

    fault: str
    bounds: Bounds = field(default_factory=lambda: Bounds(0.3, 1.0, 256 << 20))

    def prepare(self) -> None:
        """Do nothing."""

    def make(self, number: int) -> Case:
        """Return an input, the third of which is bad."""
        return single(b"good\n" * number + (b"bad" if number == 3 else b""))

    def examine(self, case: Case, folder: Path, number: int) -> tuple[str, ...]:
        """End as the fault says."""
        if b"bad" in case.data:
            FAULTS[self.fault]()
        return ("fine",)


def crash() -> None:
    ctypes.string_at(0)


def stay() -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGALRM, signal.SIGPROF])
    time.sleep(1000)


def count() -> None:
    while True:
        pass


FAULTS: dict[str, Callable[[], Any]] = {
    "KeyError in test_broken.py, <lambda>": lambda: {}["key"],
    "hang": count,
    "hang ": lambda: time.sleep(1000),
    "memory": lambda: bytearray(1 << 30),
    "crash": crash,
    "crash ": lambda: os._exit(3),
    "hang that cannot be interrupted": stay,
}


@pytest.mark.parametrize("fault", list(FAULTS))
def test_the_runner_finds_what_is_planted(
    fault: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "_GRACE", 1.0)
    told: list[Report] = []

    report = runner.run(Planted(fault), 8, 2, told.append, keep=tmp_path)

    (failed,) = report.failures
    assert (failed.kind, failed.number) == (fault.strip(), 3)
    assert report.inputs == 8 and report.ends["fine"] == 7
    assert told and fault.strip() in report.text() and "input 3" in report.text()
    assert failed.kept is not None
    expected = Planted(fault).make(3) if "crash" in fault or "cannot" in fault else single(b"bad")
    assert cases.kept(failed.kept).data == expected.data


def test_a_process_that_does_not_start_is_told() -> None:
    report = runner.run(Unprepared("hang"), 4)

    assert [failed.kind for failed in report.failures] == ["process"]


class Unprepared(Planted):
    """A subject that needs a missing module."""

    def prepare(self) -> None:
        """Stop the process."""
        os._exit(1)


def ends_of(text: str, folder: Path) -> Outcome:
    """Return how a spec ends, under `incgen build` too."""
    subject = specs.Specs(corpus(), 0, Bounds(2, 4))
    return tried(subject, single(text.encode()), folder / "case", 0)


SPEC = "## {}\nnumerics torch\n\nnetwork n {{\n    input 8x8 3\n    a: conv 3x3 4\n}}\n"


def test_a_parser_that_fails_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert ends_of("x", tmp_path).failure is None

    def fail(*arguments: object) -> None:
        raise IndexError

    monkeypatch.setattr(explaining, "explain", fail)
    end = ends_of("network ? {\n", tmp_path)

    assert end.failure == "IndexError in test_broken.py, fail"
    assert end.detail


def test_a_parser_that_hangs_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(explaining, "explain", lambda *arguments: time.sleep(100))

    assert ends_of("relu\n", tmp_path).failure == "hang"


@pytest.mark.parametrize(
    ("doc", "failure"),
    [('"""; smuggled(); """', "smuggled"), ('"""', "AssertionError in render.py"), ("\\", None)],
)
def test_smuggled_code_is_found(
    doc: str, failure: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert ends_of(SPEC.format(doc), tmp_path).failure is None
    if failure is not None:
        monkeypatch.setattr(target_text, "escaped", lambda doc: doc)
        assert str(ends_of(SPEC.format(doc), tmp_path).failure).startswith(failure)


def test_a_partial_output_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def half(self: files.Replacement, data: bytes) -> None:
        self.path.write_bytes(data[: len(data) // 2])
        raise files.OutputError("no room")

    monkeypatch.setattr(files.Replacement, "write", half)

    assert ends_of(SPEC.format("n"), tmp_path).failure in ("not written", "partial output")


def test_a_pickle_that_runs_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    case = cases.kept(TESTS / "broken" / "weights" / "pickle_runs_code.json")
    subject = weights.Weights((), 0, PATIENT, keras=False)

    def load(path: Path, *arguments: object, **options: object) -> object:
        return pickle.loads(path.read_bytes())

    monkeypatch.setattr("torch.load", load)

    assert tried(subject, case, tmp_path / "case", 0).failure == "a pickle has run"


def test_damaged_values_that_are_written_are_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from incgen.weights import importing

    spec = tmp_path / "net.inc"
    spec.write_text(weights.SPEC, "utf-8")
    arrays = random_arrays(
        {key: tensor.shape for key, tensor in incgen.compile_spec(spec).tensors().items()}
    )
    arrays["logits.bias"][0] = np.nan
    WRITERS["safetensors"][1](tmp_path / "w.safetensors", arrays)
    files = tuple((name, (tmp_path / name).read_bytes()) for name in ("w.safetensors", "net.inc"))
    subject = weights.Weights((), 0, PATIENT, keras=False)
    case = Case("w.safetensors", files)
    assert sound(tried(subject, case, tmp_path / "case", 0))

    monkeypatch.setattr(importing, "fault_of", lambda key, values: None)
    monkeypatch.setattr(importing, "finite", lambda values: True)

    assert tried(subject, case, tmp_path / "case", 0).failure == "damaged values are written"


# ---------------------------------------------------------------- made small, and kept


def test_a_failing_input_is_made_small() -> None:
    spec = (TESTS.parent / "specs" / "bn_inception.inc").read_bytes()
    case = Case("spec.inc", (("spec.inc", spec), ("b.inc", b"b")), ("a=1", "b=2"))

    small = shrunk(case, lambda other: b"max_pool" in other.data and "b=2" in other.settings)

    assert small == Case("spec.inc", (("spec.inc", b"max_pool"),), ("b=2",), "kept")


def test_a_kept_input_comes_back(tmp_path: Path) -> None:
    plain = single(b"\xff\r\n\0")
    other = Case("a\nb", (("a\nb", bytes(range(256))), ("parts/c", b"")), ("a=\udcff", ""))

    assert cases.keep(plain, tmp_path, "plain").suffix == ".inc"
    for case in (plain, other):
        assert cases.kept(cases.keep(case, tmp_path, "case")) == case
