"""Standard output and standard error, whatever is at the other end."""

from __future__ import annotations

import io
import os
import re
import shutil
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import click

_CONTROL = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


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
    """Show progress in one line of a terminal, and nothing elsewhere."""
    shown = sys.stderr is not None and sys.stderr.isatty()

    def show(message: str) -> None:
        if shown:
            click.echo(f"\r\x1b[K{harmless(message)}", nl=False, err=True)

    try:
        yield show
    finally:
        if shown:
            click.echo("\r\x1b[K", nl=False, err=True)


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
