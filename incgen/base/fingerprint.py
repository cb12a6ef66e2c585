"""A digest of what Python source says: its code and comments, but not its layout."""

from __future__ import annotations

import ast
import hashlib
import re
from collections.abc import Iterator

#: A string, whose `#` does not begin a comment, or a comment.
_STRING_OR_COMMENT = re.compile(
    r"""'{3}(?:[^\\]|\\.)*?'{3}|"{3}(?:[^\\]|\\.)*?"{3}"""
    r"""|'(?:[^\\\n]|\\.)*'|"(?:[^\\"\n]|\\.)*"|#[^\n]*""",
    re.DOTALL,
)


def fingerprint(source: str) -> str:
    """Return 16 hexadecimal digits that formatting and sorting imports do not change.

    A different word in a comment or docstring does change them, as does different code. For text
    that is not Python, they are the digest of its characters.
    """
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        said = source
    else:
        imports = sorted(_imported(tree))
        tree.body = [n for n in tree.body if not isinstance(n, ast.Import | ast.ImportFrom)]
        said = "\n".join([*imports, *_parts(tree), *_comments(source)])
    return hashlib.sha256(said.encode("utf-8", "replace")).hexdigest()[:16]


def _imported(tree: ast.Module) -> Iterator[str]:
    """Yield what a module imports at the top level, one name at a time."""
    for node in tree.body:
        match node:
            case ast.Import(names):
                yield from (f"import {alias.name} as {alias.asname}" for alias in names)
            case ast.ImportFrom(module, names, level):
                place = "." * level + (module or "")
                yield from (f"from {place} import {a.name} as {a.asname}" for a in names)
            case _:
                pass


def _parts(root: ast.AST) -> Iterator[str]:
    """Yield the nodes of a tree in order, in the same form for every version of Python.

    `ast.dump` omits empty fields from Python 3.13 on, so they are always omitted here.
    """
    pending: list[object] = [root]
    while pending:
        node = pending.pop()
        match node:
            case str():  # the most frequent
                yield node
            case list():
                pending.append("]")
                pending += reversed(node)
                pending.append("[")
            case ast.Constant(value):
                yield f"{type(value).__name__} {value!r}"
            case ast.Expr(ast.Constant(str(doc))):
                yield f"doc {' '.join(doc.split())}"
            case ast.expr_context():
                pass
            case ast.AST():
                yield type(node).__name__
                for name in reversed(node._fields):
                    if value := getattr(node, name, None):
                        pending += [value, f".{name}"]
            case _:
                yield str(node)


def _comments(source: str) -> Iterator[str]:
    """Yield the words of all comments, so that refilled comments count as the same."""
    tokens = (match.group() for match in _STRING_OR_COMMENT.finditer(source))
    words = [word for token in tokens if token[0] == "#" for word in token.lstrip("#: ").split()]
    yield " ".join(words)
