"""Say what the parameters of a definition are called: of the spec itself, or of a file it uses."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

from incgen.base.diagnostics import SpecError
from incgen.syntax.loader import load
from incgen.syntax.tree import Block, Spec, Use


class Definitions:
    """The blocks that a spec can use, of which tables need the names of the parameters."""

    def __init__(self, tree: Spec, text: str, path: Path | None) -> None:
        """Know a spec; without its path, the files that it uses are not read."""
        self._tree, self._text, self._path = tree, text, path
        self._own = _parameters(tree)

    def parameters(self, name: str) -> tuple[str, ...] | None:
        """Return the names of the parameters of a block, in order; those of an op or unit are ().

        None stands for a definition of another file that cannot be read.
        """
        if name in self._own or name not in self._imported:
            return self._own.get(name, ())
        return self._used.get(name)

    @cached_property
    def _imported(self) -> set[str]:
        """Return the names that come from other files."""
        return {name.text for use in self._tree.of(Use) for name in use.names}

    @cached_property
    def _used(self) -> dict[str, tuple[str, ...]]:
        """Return the parameters of what comes from other files; nothing, if one has a fault."""
        if self._path is None:
            return {}
        try:
            files = load(self._path, text=self._text).uses
        except SpecError:
            return {}
        parameters = dict[str, tuple[str, ...]]()
        for use in self._tree.of(Use):
            known = _parameters(files[use.path.value].spec)
            parameters |= {name.text: known.get(name.text, ()) for name in use.names}
        return parameters


def _parameters(tree: Spec) -> dict[str, tuple[str, ...]]:
    blocks = tree.of(Block)
    return {b.name.text: tuple(p.name.text for p in b.parameters) for b in blocks}
