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
        # Pickle, inspect and the frameworks find a class by way of sys.modules, some of them
        # while the module is still running.
        sys.modules[name] = module
        try:
            # Our own `from __future__ import annotations` must not reach it: TorchScript
            # reads annotations as objects.
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
    """Return the end of a sentence that says what is missing and how to install it.

    Args:
        error: The exception that the import raised.
        extra: The extra of incgen that has what is imported.
        verb: In the form that fits the beginning of the sentence.
    """
    missing = (error.name or "a library").partition(".")[0]
    if missing == os.environ.get("KERAS_BACKEND"):  # its own choice of what it runs on
        return f"{verb} {missing}, which KERAS_BACKEND names: install it, or unset KERAS_BACKEND"
    return f"{verb} {missing}: pip install 'incgen[{extra}]'"


def _pseudo_file(title: str, source: str) -> str:
    """Register a source text with `linecache` and return its name there."""
    import io
    import linecache

    lines = io.StringIO(source).readlines()  # str.splitlines knows more newlines than Python code
    number, name = 1, f"<{title}>"
    while linecache.getlines(name) not in ([], lines):
        number += 1
        name = f"<{title} {number}>"
    # Without a time of modification the entry is never taken for outdated.
    linecache.cache[name] = (len(source), None, lines, name)
    return name
