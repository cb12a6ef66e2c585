"""Check that code generated from a hostile spec is Python with nothing injected."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from fuzzing.broken import hostile
from fuzzing.broken.cases import Case
from fuzzing.broken.trial import Failure

#: The modules that generated files import, by target.
_IMPORTS = {
    "torch": {"collections", "sys", "torch", "typing", "warnings"},
    "keras": {"contextlib", "keras", "math", "safetensors", "typing", "warnings"},
    "flax": {"collections", "flax", "functools", "jax", "math", "numpy", "os", "safetensors"}
    | {"typing", "warnings"},
}
_NO_CODE = re.compile(r'"[^"\n]*"|#[^\n]*')


def check(case: Case, target: str, source: str) -> None:
    """Check the generated text of one target.

    Raises:
        Failure: It contains something that it should not.
    """
    try:
        compile(source, target, "exec", dont_inherit=True)
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise Failure(
            f"no Python, {error.args[0]}", f"{target}: {type(error).__name__}: {error}"
        ) from error
    if hostile.PRODUCT in source:
        raise Failure("smuggled", f"{target}: a template was run")
    legal = any(hostile.MARK in _NO_CODE.sub("", _text(data)) for _, data in case.files)
    for identifier in _identifiers(tree):
        if hostile.MARK in identifier and not legal:
            raise Failure("smuggled", f"{target}: `{identifier}` is in the code")
    for module in _imported(tree):
        if module.partition(".")[0] not in _IMPORTS[target]:
            raise Failure("smuggled", f"{target}: it imports {module}")


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace").replace("\r", "\n")


def _identifiers(tree: ast.AST) -> Iterator[str]:
    """Yield every name in the code, whatever it is for."""
    for node in ast.walk(tree):
        for _, value in ast.iter_fields(node):
            if isinstance(value, str) and not isinstance(node, ast.Constant):
                yield value
            elif isinstance(value, list):
                yield from (item for item in value if isinstance(item, str))


def _imported(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or "."
