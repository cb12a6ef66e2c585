"""The templates of a target. The only module that knows Jinja.

`module.py.jinja` is a file; `helpers/` holds what files define for themselves where they need it,
`macros/` what prints nodes, and `tables.json` what a framework has by default and how tightly its
code binds. Macros are compiled when they are first asked for, since most of the time of a build is
starting; each can call those of its file.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, TypeAlias

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template

from incgen.base.records import record
from incgen.base.resources import folder

#: Prints one node.
Macro: TypeAlias = Callable[..., str]
_CALLED = re.compile(r"\b(\w+)\(")
_MACRO = re.compile(r"^\{% macro (\w+)\(.*?\{% endmacro %\}\n", re.MULTILINE | re.DOTALL)


@record
class Helper:
    """A class or function that files define for themselves where they need it.

    Attributes:
        name: of the helper, and of its file in `templates/TARGET/helpers/`.
        needs: the helpers that it is written with.
        imports: what else it is written with, as statements.
        why: what the documentation says of it.
        text: of the definition.
    """

    name: str
    needs: tuple[str, ...]
    imports: tuple[str, ...]
    why: str
    text: str


class Templates:
    """The templates of one target, compiled where they are asked for."""

    def __init__(self, target: str, own: Path | None) -> None:
        """Find the macros, and read the tables beside them.

        Args:
            target: the folder of the templates.
            own: a folder of the user's whose templates go in front of ours, file by file.
        """
        places = [folder("templates") / "shared", folder("templates") / target]
        places += [] if own is None else [own]
        self.loader = FileSystemLoader(list(reversed(places)))
        self.environment = Environment(
            loader=self.loader,
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=True,
            undefined=StrictUndefined,
            autoescape=False,  # the output is Python source, not markup
            optimized=False,
        )
        self._sources: dict[str, str] = {}
        self._places: dict[str, str] = {}  # the files of macros
        self._compiled: dict[str, Template] = {}
        #: What `tables.json` of the target and of all targets say, put together.
        self.tables: dict[str, Any] = {"defaults": {}, "strengths": {}, "hints": {}, "typed": []}
        for place in places:
            if (path := place / "tables.json").exists():
                self._read_tables(path)
        for name in self._files("macros/"):
            self._sources[name] = source = self.loader.get_source(self.environment, name)[0]
            self._places |= {found[1]: name for found in _MACRO.finditer(source)}

    def _read_tables(self, path: Path) -> None:
        """Read tables; defaults stand under several functions, arguments by place under numbers."""
        for key, table in json.loads(path.read_text("utf-8")).items():
            if key == "defaults":
                for functions, values in table.items():
                    known = {int(k) if k.isdecimal() else k: each for k, each in values.items()}
                    self.tables[key] |= dict.fromkeys(functions.split(), known)
            elif isinstance(table, dict):
                self.tables[key] = self.tables.get(key, {}) | table
            else:
                self.tables[key] = table

    def _files(self, place: str) -> Iterator[str]:
        return (name for name in self.loader.list_templates() if name.startswith(place))

    def has(self, macro: str) -> bool:
        """Return whether there is a macro."""
        return macro in self._places

    def macros(self, names: Iterable[str], given: Mapping[str, Any]) -> dict[str, Macro]:
        """Return macros by name; those of one file are compiled together, which is sooner done.

        Args:
            names: of the macros.
            given: what they can use beside the tables.
        """
        files: dict[str, set[str]] = {}
        for name in names:
            files.setdefault(self._places[name], set()).add(name)
        found: dict[str, Macro] = {}
        for file, wanted in files.items():
            self._compile(file, wanted - self._compiled.keys())
            for template in {self._compiled[name] for name in wanted}:
                module = template.make_module(dict(given))
                found |= {name: getattr(module, name) for name in wanted if hasattr(module, name)}
        return found

    def _compile(self, file: str, wanted: set[str]) -> None:
        """Compile some macros of a file, and those that they call, on the lines of the file."""
        source, text, end = self._sources[file], "", 0
        texts = {macro[1]: macro[0] for macro in _MACRO.finditer(source)}
        needed, pending = set[str](), [*wanted]
        while pending:
            needed.add(name := pending.pop())
            pending += {*_CALLED.findall(texts[name])} & texts.keys() - needed
        for macro in _MACRO.finditer(source):
            if macro[1] in needed:
                text += "\n" * source.count("\n", end, macro.start()) + macro[0]
                end = macro.end()
        if wanted:
            code = self.environment.compile(text, file, file)
            globals_ = self.environment.make_globals(self.tables)
            template = Template.from_code(self.environment, code, globals_)
            self._compiled |= dict.fromkeys(wanted, template)

    def file(self, view: Mapping[str, Any]) -> str:
        """Return the text of a file.

        Args:
            view: what `module.py.jinja` is given.
        """
        return self.environment.get_template("module.py.jinja").render(view)

    def helper(self, name: str, given: Mapping[str, Any]) -> Helper:
        """Return a helper from its file.

        Args:
            name: of the helper.
            given: what it can use.

        Raises:
            TemplateNotFound: there is no such helper.
        """
        template = self.environment.get_template(f"helpers/{name}.py.jinja")
        module: Any = template.make_module(dict(given))
        needs, imports = (tuple(getattr(module, each, ())) for each in ("needs", "imports"))
        return Helper(name, needs, imports, module.why, str(module))

    def helper_names(self) -> list[str]:
        """Return the names of all helpers."""
        return [name.split("/")[1].partition(".")[0] for name in self._files("helpers/")]


templates = cache(Templates)
