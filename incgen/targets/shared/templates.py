"""The templates of a target. The only module that knows Jinja.

`module.py.jinja` is a file; `helpers/` holds what files define for themselves where they need it,
`macros/` what prints nodes, and `tables.json` what a framework has by default and how tightly its
code binds. What they are compiled to is kept, since most of the time of a build is starting.
"""

from __future__ import annotations

import json
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, TypeAlias

from jinja2 import (
    BytecodeCache,
    ChoiceLoader,
    Environment,
    FileSystemLoader,
    PrefixLoader,
    StrictUndefined,
    TemplateSyntaxError,
)
from jinja2.bccache import Bucket

from incgen.base import cache as cache_folder
from incgen.base.diagnostics import SpecError
from incgen.base.resources import folder
from incgen.targets.shared.formatting import FormatterError
from incgen.targets.shared.style import TemplateError

#: Prints one node.
Macro: TypeAlias = Callable[..., str]


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


class _Kept(BytecodeCache):
    """What templates are compiled to, kept beside the tables of the grammar."""

    def load_bytecode(self, bucket: Bucket) -> None:
        """Take a template's code, if it is there and intact."""
        kept = cache_folder.load(self._name(bucket))
        if kept is not None:
            bucket.bytecode_from_string(kept)

    def dump_bytecode(self, bucket: Bucket) -> None:
        """Keep a template's code."""
        cache_folder.store(self._name(bucket), bucket.bytecode_to_string())

    def _name(self, bucket: Bucket) -> str:
        return f"template-{bucket.key}-{bucket.checksum[:16]}"


def places_of(target: str) -> list[Path]:
    """Return the folders of a target's templates: its own, which go in front, and the shared."""
    return [folder("templates") / target, folder("templates") / "shared"]


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
        places = places_of(target)
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
            bytecode_cache=_Kept(),
        )
        #: What the files `tables.json` say, put together.
        self.tables: dict[str, Any] = {"defaults": {}, "strengths": {}, "hints": {}}
        with self.faults():
            for place in [*reversed(places), *([] if self.own is None else [self.own])]:
                if (path := place / "tables.json").exists():
                    self._read_tables(path)
            self.environment.globals |= self.tables
            names = sorted(self._files("macros/"), key=self._is_own)
            self._macros = [self.environment.get_template(name) for name in names]

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

    def macros(self, given: Mapping[str, Any]) -> dict[str, Macro]:
        """Return all macros by name; of those of one name, the user's.

        Args:
            given: what they can use beside the tables.
        """
        found: dict[str, Macro] = {}
        for template in self._macros:
            module = template.make_module(dict(given))
            found |= {name: each for name, each in vars(module).items() if callable(each)}
        return found

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
