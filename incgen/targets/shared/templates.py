"""The templates of a target. The only module that knows Jinja.

`module.py.jinja` is a file; `helpers/` holds what files define for themselves where they need it,
`macros/` what prints nodes, and `tables.json` what a framework has by default and how tightly its
code binds. Macros are compiled when they are first asked for, since most of the time of a build is
starting; each can call those of its file.
"""

from __future__ import annotations

import json
import re
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, TypeAlias

from jinja2 import (
    ChoiceLoader,
    Environment,
    FileSystemLoader,
    PrefixLoader,
    StrictUndefined,
    Template,
    TemplateSyntaxError,
)

from incgen.base.diagnostics import SpecError
from incgen.base.resources import folder
from incgen.targets.shared.formatting import FormatterError
from incgen.targets.shared.style import TemplateError

#: Prints one node.
Macro: TypeAlias = Callable[..., str]
_CALLED = re.compile(r"\b(\w+)\(")
_MACRO = re.compile(r"^\{% macro (\w+)\(.*?\{% endmacro %\}\n", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, slots=True)
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

    def __init__(self, target: str, own: str | None) -> None:
        """Find the macros, and read the tables beside them.

        Args:
            target: the folder of the templates.
            own: a folder of the user's. The templates in its folder of the target's name go in
                front of ours, file by file; a macro of any file there goes in front of ours, and
                its tables are added to ours.

        Raises:
            TemplateError: a template of the user's is faulty.
        """
        places = [folder("templates") / target, folder("templates") / "shared"]
        ours = FileSystemLoader(places)
        self.own = None if own is None else Path(own, target)
        first = [] if self.own is None else [FileSystemLoader(self.own)]
        # A template of the user's can extend the one that it goes in front of.
        self.loader = ChoiceLoader([*first, ours, PrefixLoader({"incgen": ours})])
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
        #: What the files `tables.json` say, put together.
        self.tables: dict[str, Any] = {"defaults": {}, "strengths": {}, "hints": {}, "typed": []}
        with self.faults():
            for place in [*reversed(places), *([] if self.own is None else [self.own])]:
                if (path := place / "tables.json").exists():
                    self._read_tables(path)
            self._read_macros()

    def _read_macros(self) -> None:
        """Note which file has which macro; those of the user's are noted last."""
        for name in sorted(self._files("macros/"), key=self._is_own):
            self._sources[name] = source = self.loader.get_source(self.environment, name)[0]
            self._places |= {found[1]: name for found in _MACRO.finditer(source)}

    def _read_tables(self, path: Path) -> None:
        """Read tables; defaults stand under several functions, arguments by place under numbers."""
        try:
            tables = json.loads(path.read_text("utf-8"))
        except ValueError as error:
            raise ValueError(f"{path.name}: {error}") from None
        for key, table in tables.items():
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

    def _is_own(self, name: str) -> bool:
        return self.own is not None and (self.own / name).is_file()

    @contextmanager
    def faults(self) -> Iterator[None]:
        """Report whatever goes wrong inside as a fault of the user's templates, if there are any.

        Raises:
            TemplateError: something did; the text has the place.
        """
        try:
            yield
        except (FormatterError, SpecError, TemplateError):
            raise
        except Exception as error:
            if self.own is None:
                raise  # a fault of incgen
            frames = traceback.extract_tb(error.__traceback__)
            places = [f for f in frames if f.filename.endswith(".jinja")]
            lines = [(f.filename, f.lineno) for f in places[-1:]]
            if isinstance(error, TemplateSyntaxError):
                lines = [(error.name or "", error.lineno)]
            where = "".join(f"{file}:{line}: " for file, line in lines)
            raise self.fault(f"{where}{error}") from error

    def fault(self, what: str) -> Exception:
        """Return the error of templates that give something wrong."""
        if self.own is None:
            return AssertionError(what)
        return TemplateError(f"the templates in `{self.own.as_posix()}`: {what}")

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
        return Helper(name, needs, imports, getattr(module, "why", ""), str(module))

    def helper_names(self) -> list[str]:
        """Return the names of all helpers."""
        return [name.split("/")[1].partition(".")[0] for name in self._files("helpers/")]


templates = cache(Templates)
