"""The cache: without it, or with a damaged one, nothing is wrong and nothing fails."""

from __future__ import annotations

import os
import pickle
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from incgen.base import cache
from incgen.base.ending import Ended
from incgen.base.source import SourceFile
from incgen.syntax import parser
from incgen.syntax.building import Builder
from incgen.syntax.lexing import Lines

SPEC = "numerics torch\nnetwork net {\n    input 8x8 3\n    a: conv 3x3/{1 + 1} 4 -> relu\n}\n"
VALUE = {"a": [1, 2.5, "\u00e9", None, True], "b": {3: [{"4x": {5: 6}}]}}
#: Runs a command with a file size limit of 0, as on a full disk.
NO_ROOM = """
import resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
from incgen.cli.main import main
main(sys.argv[1:])
"""


@pytest.fixture(autouse=True)
def forgotten() -> Iterator[None]:
    """Give each test its own folder."""
    cache._folder.cache_clear()
    yield
    cache._folder.cache_clear()


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("INCGEN_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def tables_work() -> bool:
    """Return whether the parser built from the cache reads a spec as ever."""
    build, source = parser._parser()[1], SourceFile("net.inc", SPEC)
    expected = parser.parse(source)
    build.source = source
    tables: Any = parser._tables(build, Lines(build.span_of))
    return bool(tables.parse(SPEC, start="start")[0] == expected)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the entry with the tables of the parser, which are made once."""
    folder = tmp_path_factory.mktemp("made")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("INCGEN_CACHE", str(folder))
        cache._folder.cache_clear()
        build = Builder()
        parser._tables(build, Lines(build.span_of))
    (entry,) = folder.iterdir()
    return entry


@pytest.fixture
def entry(made: Path, place: Path) -> Path:
    """Return a copy of it in the folder of the test."""
    place.mkdir()
    return Path(shutil.copy(made, place))


def test_what_is_kept_comes_back(place: Path) -> None:
    assert cache.load("x") is None
    cache.store("x", VALUE)

    assert cache.load("x") == VALUE
    assert [path.name for path in place.iterdir()] == ["x"]


def test_a_signal_leaves_nothing_half_made(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache.store("x", VALUE)

    def ended(*_: object) -> None:
        raise Ended(signal.SIGTERM)

    with monkeypatch.context() as patch, pytest.raises(Ended):
        patch.setattr(os, "replace", ended)
        cache.store("x", {})

    assert cache.load("x") == VALUE
    assert [path.name for path in place.iterdir()] == ["x"]


def test_tables_are_made_once(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert tables_work()
    (entry,) = place.iterdir()
    before = entry.read_bytes()
    monkeypatch.setattr(cache, "store", lambda name, value: pytest.fail("they are made again"))

    assert tables_work()
    assert entry.read_bytes() == before


@pytest.mark.parametrize("length", [0, 1, 17, 20, 63, 64, 65, 1000, -1])
def test_a_truncated_entry_is_made_again(entry: Path, length: int) -> None:
    whole = entry.read_bytes()
    entry.write_bytes(whole[:length])

    assert tables_work()
    assert cache.load(entry.name) is not None


def test_a_flipped_bit_is_seen_wherever_it_is(place: Path) -> None:
    cache.store("x", VALUE)
    whole = (place / "x").read_bytes()

    for index in range(len(whole)):
        damaged = bytearray(whole)
        damaged[index] ^= 1 << index % 8
        (place / "x").write_bytes(damaged)
        assert cache.load("x") is None


@pytest.mark.parametrize("value", [None, 1, [], {}, {"data": 1}, {"data": {"options": {}}}])
def test_an_entry_that_is_whole_but_of_something_else_is_made_again(
    entry: Path, value: object
) -> None:
    cache.store(entry.name, value)

    assert tables_work()


def test_a_pickle_in_the_cache_is_no_entry(place: Path, entry: Path) -> None:
    class Runs:
        def __reduce__(self) -> tuple[object, tuple[object, ...]]:
            return os.mkdir, (str(place / "ran"),)

    head, data = entry.read_bytes()[:64], pickle.dumps(Runs())
    for content in (data, head + data, cache.digest(data).encode("ascii") + data):
        entry.write_bytes(content)
        assert tables_work()

    assert not (place / "ran").exists()


def test_nothing_fails_where_there_is_no_room(tmp_path: Path) -> None:
    spec = tmp_path / "net.inc"
    spec.write_text(SPEC)

    done = subprocess.run(
        [sys.executable, "-c", NO_ROOM, "build", str(spec), "-o", "-"],
        env={**os.environ, "INCGEN_CACHE": str(tmp_path / "cache")},
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.returncode, done.stderr) == (0, "")
    assert "class Net(nn.Module)" in done.stdout
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_folder_that_cannot_be_written_is_done_without(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def denied(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", denied)

    assert tables_work()
    assert list(place.iterdir()) == []


def test_a_file_in_the_place_of_the_folder_is_done_without(place: Path) -> None:
    place.write_text("")

    assert tables_work()


@pytest.mark.parametrize("variable", ["XDG_CACHE_HOME", "LOCALAPPDATA", "INCGEN_CACHE"])
def test_a_relative_folder_is_ignored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    """A relative folder would lie in whatever project is the current directory."""
    for name in ("XDG_CACHE_HOME", "LOCALAPPDATA", "INCGEN_CACHE"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "project").mkdir()
    monkeypatch.chdir(tmp_path / "project")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv(variable, "cache")
    cache.store("x", VALUE)

    assert list((tmp_path / "project").iterdir()) == []
    # our variable is not part of the XDG specification: it was set, so nothing replaces it
    assert (tmp_path / "home/.cache/incgen/x").exists() == (variable != "INCGEN_CACHE")


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="modes of files are those of Unix")
@pytest.mark.parametrize("mode", [0o770, 0o707])
def test_a_folder_that_others_can_write_to_is_not_used(place: Path, mode: int) -> None:
    cache.store("x", VALUE)
    place.chmod(mode)
    cache._folder.cache_clear()

    assert cache.load("x") is None
    place.chmod(0o700)
    cache._folder.cache_clear()
    assert cache.load("x") == VALUE
