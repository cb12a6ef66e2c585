"""Standard output and standard error, whatever is at the other end."""

from __future__ import annotations

import io
import os
import re
import shutil
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event, Thread
from typing import Any, TextIO

import click

from incgen.base.diagnostics import clipped
from incgen.base.painting import Paint, unpainted

_CONTROL = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
#: The seconds after which a command says what it does, and between two times that it does.
_PATIENCE = 1.0
#: The styles of a table on a terminal.
_STYLES: dict[str, dict[str, Any]] = {
    "heading": {"bold": True},
    "faint": {"dim": True},
    "total": {"bold": True},
    "short": {"fg": "green"},
    "middle": {"fg": "yellow"},
    "long": {"fg": "red"},
}


def in_colour(stream: TextIO | None) -> bool:
    """Return whether what a stream shows is to be coloured.

    `NO_COLOR` says that it is not (no-color.org), and `FORCE_COLOR` that it is (force-color.org);
    otherwise it is on a terminal that can.
    """
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR"):
        return True
    return os.environ.get("TERM") != "dumb" and is_terminal(stream)


def is_terminal(stream: TextIO | None) -> bool:
    """Return whether a stream is a terminal; a closed one is None."""
    return stream is not None and stream.isatty()


def painter() -> Paint:
    """Return what writes a text in a style: in colour on standard output, or as it is."""
    if not in_colour(sys.stdout):
        return unpainted
    return lambda text, style: click.style(text, **_STYLES[style])


def terminal_width() -> int | None:
    """Return the columns of the terminal that standard output is; None if it is none."""
    return shutil.get_terminal_size().columns if is_terminal(sys.stdout) else None


def print_text(text: str) -> None:
    """Write output to standard output: the same bytes on every system."""
    if sys.stdout is None:
        raise click.ClickException("standard output is closed")
    buffer = getattr(sys.stdout, "buffer", None)
    if buffer is None:  # a program has replaced it
        sys.stdout.write(text)
        return
    sys.stdout.flush()
    buffer.write(text.encode("utf-8", "backslashreplace"))


def say(text: str) -> None:
    """Print a message on standard error."""
    if text:
        click.echo(harmless(text), err=True)


def text_width() -> int:
    """Return how many columns prose is filled into: those of the terminal, within reason."""
    return max(60, min(shutil.get_terminal_size().columns, 100))


def harmless(text: str) -> str:
    """Return a text without control characters, which could manipulate the terminal."""
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", text)


@contextmanager
def progress_line() -> Iterator[Callable[[str], None]]:
    """Show progress in one line of a terminal that can erase it, and nothing elsewhere."""
    terminal, shown = is_terminal(sys.stderr) and os.environ.get("TERM") != "dumb", False

    def show(message: str) -> None:
        nonlocal shown
        if terminal:
            shown = True
            line = clipped(harmless(message), shutil.get_terminal_size().columns - 1)
            click.echo(f"\r\x1b[K{line}", nl=False, err=True)

    try:
        yield show
    finally:
        if shown:
            click.echo("\r\x1b[K", nl=False, err=True)


@contextmanager
def waiting(what: str) -> Iterator[None]:
    """Say on a terminal what is being done once it has taken a second, and for how long.

    Args:
        what: What is done, as in `reading net.pth`. Nothing else may be printed meanwhile.
    """
    if not is_terminal(sys.stderr):
        yield
        return
    done, begin = Event(), time.monotonic()

    def tick(show: Callable[[str], None]) -> None:
        while not done.wait(_PATIENCE):
            show(f"{what} ... {time.monotonic() - begin:.0f} s")

    with progress_line() as show:
        thread = Thread(target=tick, args=(show,), daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()


@contextmanager
def frameworks_silent() -> Iterator[None]:
    """Keep the frameworks' own messages off the terminal: warnings and TensorFlow's log.

    The log comes from C++ and ignores levels until it is set up, so its descriptor is redirected;
    Python's own output is not affected.
    """
    if sys.stderr is None or not _is_file(2):
        yield
        return
    ours, before = os.dup(2), sys.stderr
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        sys.stderr.flush()
        os.dup2(nowhere, 2)
        if _descriptor(before) == 2:
            sys.stderr = io.TextIOWrapper(
                os.fdopen(ours, "wb", closefd=False), before.encoding, write_through=True
            )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        sys.stderr.flush()
        sys.stderr = before
        os.dup2(ours, 2)
        os.close(ours)
        os.close(nowhere)


def _is_file(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True


def _descriptor(stream: Any) -> int | None:
    try:
        number: int = stream.fileno()
    except (OSError, AttributeError, ValueError):
        return None
    return number


def close_output() -> None:
    """Discard what is left in the buffer of a closed standard output, which would fail at exit."""
    try:
        descriptor = os.open(os.devnull, os.O_WRONLY)
        os.dup2(descriptor, sys.stdout.fileno())
        os.close(descriptor)
    except (OSError, AttributeError, ValueError):
        pass
