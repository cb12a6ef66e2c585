"""Docstrings and comments: their words, filled into lines."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterator

from incgen.graph.nodes import Graph
from incgen.resolve import definitions as df


def escaped(doc: str) -> str:
    """Return a doc comment that cannot end its docstring or be an escape sequence in it."""
    plain = "".join(c if c.isprintable() or c == "\n" else " " for c in doc)
    return plain.replace("\\", "\\\\").replace('"""', "'''")


def docstring(
    doc: str, width: int, indent: int = 0, facts: tuple[str, ...] = (), last: str = ""
) -> list[str]:
    """Return a docstring as lines, closed on its own line if it has more than one.

    Args:
        doc: The words; the first line is a paragraph of its own.
        width: The length of a line, including the indentation.
        indent: The indentation of the docstring, in spaces.
        facts: Lines that are not wrapped.
        last: A closing paragraph.
    """
    margin = " " * indent
    words = _titled(escaped(doc).strip())
    if not words:
        return []
    # The quotes take room on the first line, and on the last if there is only one.
    lines = wrap(f'"""{words}', width, indent)
    if facts:
        lines += ["", *(f"{margin}{escaped(fact)}" for fact in facts)]
    if last:
        lines += ["", *wrap(escaped(last), width, indent)]
    if len(lines) == 1:
        # Ruff puts a space between a quote and the closing ones.
        touching = " " if lines[0].endswith('"') else ""
        if len(lines[0]) + len(touching) + 3 <= width:
            return [f'{lines[0]}{touching}"""']
        # Ruff closes a single line where it ends, however long, so make it two.
        lines = wrap(lines[0].strip(), width - 4, indent)
    return [*lines, f'{margin}"""']


def _titled(doc: str) -> str:
    """Return a comment whose first line is a paragraph of its own, as in docstrings."""
    first, _, rest = doc.partition("\n")
    if rest and rest[0] != "\n" and first.endswith("."):
        return f"{first}\n\n{rest}"
    return doc


def network_doc(graph: Graph, shapes: str) -> str:
    """Return the docstring of the model: what that of the module does not say, and the shapes."""
    program = graph.program
    own = program.network.doc if program.doc else ""
    return f"{own}\n\n{shapes}" if own else shapes


def paragraph_before(previous: df.Step | df.Head | None, step: df.Step | df.Head) -> bool:
    """Return whether the spec has an empty line before a statement."""
    if previous is None:
        return False
    between = step.span.source.text[previous.span.end : step.span.start]
    return any(not line.strip() for line in between.split("\n")[1:-1])


def described(unit: df.Definition, named: Callable[[df.Definition], str]) -> str:
    """Return a docstring for a unit without a comment: its ops.

    `named` returns the name of another unit in the code.
    """
    words = [
        element.op.noun if isinstance(element, df.OpCall) else f"`{named(element.definition)}`"
        for element in unit.elements
        if isinstance(element, df.OpCall | df.Instance)
    ]
    *first, last = words
    if first == [last] and last.startswith("`"):
        return f"Two {last}."
    listed = f"{', '.join(first)} and {last}" if first else last
    return f"{listed[:1].upper()}{listed[1:]}."


# ---------------------------------------------------------------- lines


def comment_lines(comment: str, width: int, *, indent: int = 0) -> list[str]:
    """Return a comment on lines of its own: ``comment_lines("Stem.", 88, indent=8)``."""
    lines = wrap(comment, width - 2, indent)
    return [f"{' ' * indent}# {line[indent:]}".rstrip() for line in lines]


def wrap(text: str, width: int, indent: int) -> list[str]:
    """Wrap the text of a docstring or comment: ``wrap("One. Two.", 88, 4)``.

    ``width`` counts the indent. Blank lines stay and separate paragraphs; a line that starts
    with a space stays by itself, and if it is too long its rest lines up with its start.
    """
    margin = " " * indent
    room = max(width - indent, 1)
    lines: list[str] = []
    for block in _blocks(text):
        own = block[: len(block) - len(block.lstrip())]
        own = own if len(own) < room else ""
        kept = bool(own) and len(block) <= room
        filled = [block] if kept else _fill(block.strip(), own, room)
        lines.extend(f"{margin}{line}".rstrip() for line in filled or [""])
    return lines


def _blocks(text: str) -> Iterator[str]:
    """Yield whole paragraphs, indented lines and blank lines of a text."""
    paragraph: list[str] = []
    lines = text.strip("\n").split("\n") if text.strip("\n") else []
    for line in (line.expandtabs().rstrip() for line in lines):
        if line and not line.startswith(" "):
            paragraph.append(line)
            continue
        if paragraph:
            yield " ".join(paragraph)
            paragraph = []
        yield line
    if paragraph:
        yield " ".join(paragraph)


def _fill(text: str, own: str, room: int) -> list[str]:
    return textwrap.wrap(
        text, room, initial_indent=own, subsequent_indent=own, break_on_hyphens=False
    )
