"""Ends by a signal: nothing half made is left behind, and no process continues."""

from __future__ import annotations

import multiprocessing
import os
import signal
import stat
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import fuzzing.cli
from fuzzing import search
from fuzzing.processes import spread
from incgen.base import files
from incgen.base.ending import Ended, as_exceptions, exit_code
from incgen.cli import main as cli

SIGNALS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]
SPEC = "numerics torch\nnetwork net {\n    input 8x8 3\n    a: conv 3x3 4\n}\n"


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    """Restore signal handlers, which a command that is ended does not."""
    before = {number: signal.getsignal(number) for number in SIGNALS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def send(number: int) -> None:
    os.kill(os.getpid(), number)


@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.parametrize(
    "command",
    [
        ["build", "net.inc", "-o", "out/"],
        ["weights", "init", "net.inc", "-o", "out/net.safetensors"],
        ["format", "out/net.inc"],
    ],
    ids=lambda command: str(command[0]),
)
def test_a_file_that_is_half_written_is_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: list[str], number: int
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("out").mkdir()
    Path("net.inc").write_text(SPEC)
    Path("out/net.inc").write_text(SPEC.replace("    ", ""))
    write, seen = os.write, list[list[str]]()

    def half(descriptor: int, data: memoryview) -> int:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return write(descriptor, data)  # what the formatter is given
        written = write(descriptor, data[: max(1, len(data) // 2)])
        seen.append(os.listdir("out"))
        send(number)
        return written

    monkeypatch.setattr(files.os, "write", half)
    with pytest.raises(SystemExit) as caught:
        cli.main(command)

    assert caught.value.code == 128 + number
    assert len(seen[0]) == 2 or command[0] == "format"  # it was there
    assert os.listdir("out") == ["net.inc"]
    assert Path("out/net.inc").read_text() == SPEC.replace("    ", "")


def test_a_signal_as_soon_as_the_file_is_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = os.open

    def then(*arguments: object) -> int:
        descriptor = opened(*arguments)  # type: ignore[arg-type]
        send(signal.SIGTERM)
        return descriptor

    with as_exceptions(), pytest.raises(Ended), monkeypatch.context() as patch:
        patch.setattr(files.os, "open", then)
        files.replace(tmp_path / "x.py", b"x")

    assert list(tmp_path.iterdir()) == []


def test_further_signals_do_not_disturb_cleaning_up() -> None:
    with as_exceptions():
        with pytest.raises(Ended) as caught:
            send(signal.SIGTERM)
        for number in SIGNALS:
            send(number)

    assert caught.value.number == signal.SIGTERM


def test_what_was_ignored_stays_ignored() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does

    with as_exceptions():
        send(signal.SIGHUP)

    assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN


def test_the_handlers_are_put_back() -> None:
    before = [signal.getsignal(number) for number in SIGNALS]
    with as_exceptions():
        assert [signal.getsignal(number) for number in SIGNALS] != before

    assert [signal.getsignal(number) for number in SIGNALS] == before


def test_exit_codes() -> None:
    caused = RuntimeError()
    caused.__cause__ = Ended(signal.SIGTERM)

    assert exit_code(KeyboardInterrupt()) == 130
    assert exit_code(Ended(signal.SIGHUP)) == 129
    assert exit_code(caused) == 143


def test_an_interrupt_ends_the_processes_at_once() -> None:
    """Whatever they do: the second would take ten minutes."""
    seen = []
    with pytest.raises(KeyboardInterrupt):
        for task, result in spread(_sleeps, [0, 600], 2):
            seen.append((task, result))
            raise KeyboardInterrupt

    assert seen == [(0, 0)]
    assert multiprocessing.active_children() == []


def _sleeps(seconds: int) -> int:
    time.sleep(seconds)
    return seconds


def test_an_exception_of_a_task_is_raised() -> None:
    with pytest.raises(ZeroDivisionError):
        list(spread(_divides, [0], 1))


def _divides(number: int) -> float:
    return 1 / number


def test_a_search_for_a_target_that_does_not_exist_is_refused(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as caught:
        fuzzing.cli.main(["--count", "1", "--target", "onxx"])

    assert caught.value.code == 2
    assert "there is no target `onxx`: did you mean `onnx`?" in capsys.readouterr().err


@pytest.mark.parametrize("error", [KeyboardInterrupt(), Ended(signal.SIGTERM)], ids=repr)
def test_a_search_that_is_interrupted_does_not_succeed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: KeyboardInterrupt
) -> None:
    report = search.Report(0, interrupted=error)
    monkeypatch.setattr(search, "search", lambda *_, **__: report)

    with pytest.raises(SystemExit) as caught:
        fuzzing.cli.main(["--count", "1"])

    assert caught.value.code == exit_code(error)
    assert "interrupted" in capsys.readouterr().out
