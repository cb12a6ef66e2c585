"""The templates of a target. The only module that knows Jinja.

`module.py.jinja` is a whole file, `train.py.jinja` a whole training script, of which `train/` holds
parts; `helpers/` holds classes and functions that files define for themselves if they need them,
`macros/` prints nodes, and `tables.json` lists the defaults of a framework and how tightly its code
binds. Compiled templates are cached, since most of the time of a build is start-up.
"""

from __future__ import annotations

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
from incgen.targets.shared.folders import merged_tables, places_of
from incgen.targets.shared.formatting import FormatterError
from incgen.targets.shared.style import TemplateError

#: Prints one node.
Macro: TypeAlias = Callable[..., str]


@dataclass(frozen=True, slots=True)
class Helper:
    """A class or function that files define for themselves if they need it."""

    name: str  #: The name of the helper, and of its file in `templates/TARGET/helpers/`
    needs: tuple[str, ...]  #: The helpers that it uses
    imports: tuple[str, ...]  #: The import statements that it needs
    why: str  #: The line about it in the documentation
    text: str  #: The text of the definition


class _Kept(BytecodeCache):
    """Compiled templates, cached beside the tables of the grammar."""

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


class Templates:
    """The templates of one target, compiled when they are first used."""

    def __init__(self, target: str, own: str | None) -> None:
        """Find the macros, and read the tables.

        Args:
            target: The folder of the templates.
            own: A folder of the user's. The templates in its folder of the target's name replace
                ours, file by file; a macro of any file there replaces ours of its name, and its
                tables are added to ours.

        Raises:
            TemplateError: A template of the user's is faulty.
        """
        self.own = None if own is None else Path(own, target)
        #: The folders of templates, in order of precedence.
        self.places = [*([] if self.own is None else [self.own]), *places_of(target)]
        # A template of the user's can extend the one that it replaces.
        ours = PrefixLoader({"incgen": FileSystemLoader(places_of(target))})
        self.loader = ChoiceLoader([FileSystemLoader(self.places), ours])
        self.environment = Environment(
            loader=self.loader,
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=True,
            undefined=StrictUndefined,
            autoescape=False,  # the output is Python source, not markup
            bytecode_cache=_Kept(),
        )
        with self.faults():
            self.tables = merged_tables(self.places)
            self.environment.globals |= self.tables
            files = self.loader.list_templates()
            names = [name for name in files if name.startswith("macros/")]
            names.sort(key=self._place, reverse=True)
            self._macros = [self.environment.get_template(name) for name in names]
        #: The names of all helpers.
        self.helpers = {
            name.removeprefix("helpers/").partition(".")[0]
            for name in files
            if name.startswith("helpers/")
        }

    def _place(self, name: str) -> int:
        """Return the number of the folder that a template comes from."""
        return next(n for n, place in enumerate(self.places) if (place / name).is_file())

    @contextmanager
    def faults(self) -> Iterator[None]:
        """Report any error inside as a fault of the user's templates, if there are any.

        Raises:
            TemplateError: Something did; the text has the place.
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
        """Return all macros by name: the user's, then the target's, then the shared.

        Args:
            given: What they can use besides the tables.
        """
        macros: dict[str, Macro] = {}
        for template in self._macros:
            module = template.make_module(dict(given))
            macros |= {name: macro for name, macro in vars(module).items() if callable(macro)}
        return macros

    def file(self, view: Mapping[str, Any], name: str) -> str:
        """Return the text of a file.

        Args:
            view: The variables of the template.
            name: The name of the template.
        """
        return self.environment.get_template(name).render(view)

    def helper(self, name: str, given: Mapping[str, Any]) -> Helper:
        """Return a helper from its file, which can use what is given.

        Raises:
            TemplateNotFound: There is no such helper.
        """
        template = self.environment.get_template(f"helpers/{name}.py.jinja")
        module: Any = template.make_module(dict(given))
        needs, imports = (tuple(getattr(module, attr, ())) for attr in ("needs", "imports"))
        return Helper(name, needs, imports, getattr(module, "why", ""), str(module))


templates = cache(Templates)
