"""Import a module from source text, without a file."""

from __future__ import annotations

import os
import sys
import threading
from types import ModuleType

_LOCK = threading.Lock()


def import_source(network: str, file: str, target: str, source: str) -> ModuleType:
    """Import source text as a module; the same text gives the same module.

    Raises:
        ModuleNotFoundError: The framework is not installed.
    """
    import hashlib

    digest = hashlib.sha256(f"{file}\0{source}".encode("utf-8", "surrogatepass")).hexdigest()[:12]
    name = f"incgen_{network}_{target}_{digest}"
    with _LOCK:
        known = sys.modules.get(name)
        if known is not None:
            return known
        module = ModuleType(name)
        module.__file__ = _pseudo_file(f"incgen {file} {target}", source)
        # Pickle, inspect and the frameworks find classes through sys.modules, some of them while
        # the module is still being executed.
        sys.modules[name] = module
        try:
            # Our own `from __future__ import annotations` must not apply to it: TorchScript reads
            # annotations as objects.
            exec(compile(source, module.__file__, "exec", dont_inherit=True), module.__dict__)
        except ModuleNotFoundError as error:
            del sys.modules[name]
            message = f"the target `{target}` {needs(error, target)}"
            raise ModuleNotFoundError(message, name=error.name) from error
        except BaseException:
            del sys.modules[name]
            raise
        return module


def needs(error: ModuleNotFoundError, extra: str, verb: str = "needs") -> str:
    """Return the end of a sentence that says what an import lacked and which extra installs it."""
    missing = (error.name or "a library").partition(".")[0]
    if missing == os.environ.get("KERAS_BACKEND"):  # the user chose the backend
        return f"{verb} {missing}, which KERAS_BACKEND names: install it, or unset KERAS_BACKEND"
    return f"{verb} {missing}: pip install 'incgen[{extra}]'"


def _pseudo_file(title: str, source: str) -> str:
    """Register a source text with `linecache` and return its name there."""
    import io
    import linecache

    # str.splitlines splits at more characters than Python does
    lines = io.StringIO(source).readlines()
    number, name = 1, f"<{title}>"
    while linecache.getlines(name) not in ([], lines):
        number += 1
        name = f"<{title} {number}>"
    # Without a modification time, the entry never counts as outdated.
    linecache.cache[name] = (len(source), None, lines, name)
    return name
