"""Find the line of a generated file that creates each layer, unit and block."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial, wraps
from types import FrameType
from typing import Any


def _frames(file: str) -> Iterator[FrameType]:
    """Yield the frames of a file on the call stack, the innermost first."""
    frame: FrameType | None = sys._getframe(2)
    while frame is not None:
        if frame.f_code.co_filename == file:
            yield frame
        frame = frame.f_back


@contextmanager
def seen_by_object(cls: type, file: str, lines: dict[int, int]) -> Iterator[None]:
    """Record for each object of a class, by id, the line of a file that creates it.

    A class's own constructor may be in that file too; the frame outside it creates the object.
    """

    def note(made: object, *_: Any, **__: Any) -> None:
        for frame in _frames(file):
            if frame.f_locals.get("self") is not made:
                lines[id(made)] = frame.f_lineno
                return

    with _after_init(cls, note):
        yield


@contextmanager
def seen_by_name(cls: type, file: str, lines: dict[str, int]) -> Iterator[None]:
    """Record for each object of a class, by `name`, the line of a file that creates it.

    Functions of the file that take a `name` create what has that name, so they are recorded too.
    """

    def note(made: Any, *_: Any, **__: Any) -> None:
        name: str | None = made.name
        for frame in _frames(file):
            if frame.f_locals.get("self") is made:
                continue
            if name is not None:
                lines.setdefault(name, frame.f_lineno)
            value = frame.f_locals.get("name")
            name = value if isinstance(value, str) else None

    with _after_init(cls, note):
        yield


@contextmanager
def arguments_of(classes: Iterable[type], given: dict[int, dict[str, Any]]) -> Iterator[None]:
    """Record for each object of some classes, by id, its constructor arguments."""

    def note(signature: inspect.Signature, made: object, *args: Any, **kwargs: Any) -> None:
        bound = signature.bind(made, *args, **kwargs)
        bound.apply_defaults()
        given[id(made)] = bound.arguments

    with ExitStack() as stack:
        for cls in classes:
            if own := cls.__dict__.get("__init__"):
                stack.enter_context(_after_init(cls, partial(note, inspect.signature(own))))
        yield


@contextmanager
def _after_init(cls: Any, note: Callable[..., None]) -> Iterator[None]:
    """Call a function with each new object of a class, and with the constructor's arguments."""
    original = cls.__init__

    @wraps(original)
    def noting(self: Any, *args: Any, **kwargs: Any) -> None:
        original(self, *args, **kwargs)
        note(self, *args, **kwargs)

    cls.__init__ = noting
    try:
        yield
    finally:
        cls.__init__ = original
