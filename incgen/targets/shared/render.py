"""Trees of code to text, by the templates of a target. The only module that knows Jinja.

Each node is printed by the macro of its name, in whichever file of `templates/TARGET/` that
stands. A helper that a macro asks for is written into the file, with those that it needs itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from incgen.base.resources import folder
from incgen.language.expressions import Expression, python
from incgen.targets.shared.code import ATOM, Node
from incgen.targets.shared.formatting import formatted

#: Where the helpers of a target stand, each in a file of its own.
HELPERS = "helpers"


class Printer:
    """Prints the code of one file, and notes the helpers that it needs.

    Args:
        target: the folder of the templates.
        own: a folder of the user's whose templates go in front of ours, file by file.
    """

    def __init__(self, target: str, own: Path | None = None) -> None:
        """Load the macros of the target."""
        self.environment = _environment(target, own)
        self.helpers: dict[str, None] = {}  # in the order in which they are asked for
        shared = {"show": self.show, "helper": self.helper}
        names = [name for name in self.environment.list_templates() if name.startswith("macros/")]
        self.macros: dict[str, Callable[..., str]] = {}
        self.strengths: dict[str, int] = {}
        for name in names:
            module = self.environment.get_template(name).make_module(shared)
            found = {key: value for key, value in vars(module).items() if callable(value)}
            self.macros |= found
            self.strengths |= getattr(module, "strengths", {})
        self.shared = shared

    def show(self, code: object, outer: int = 0) -> str:
        """Print code, in parentheses if it binds less tightly than what is around it."""
        if isinstance(code, Expression):
            return python(code, outer=outer)
        if not isinstance(code, Node):
            return str(code)
        text = self.macros[code.macro](code)
        return f"({text})" if self.strengths.get(code.macro, ATOM) < outer else text

    def helper(self, name: str) -> str:
        """Note that the file needs a helper; return its name, for the macro to write.

        Raises:
            TemplateNotFound: there is no such helper.
        """
        if name not in self.helpers:
            for needed in getattr(self._helper(name), "needs", ()):
                self.helper(needed)
            self.helpers[name] = None
        return name

    def _helper(self, name: str) -> Any:
        return self.environment.get_template(f"{HELPERS}/{name}.py.jinja").make_module(self.shared)

    def file(self, view: Mapping[str, Any]) -> str:
        """Print a whole file, laid out.

        Args:
            view: what `module.py.jinja` is given.
        """
        text = self.environment.get_template("module.py.jinja").render({**self.shared, **view})
        return formatted(text)


@cache
def _environment(target: str, own: Path | None) -> Environment:
    places = [folder("templates") / target] + ([] if own is None else [own])
    return Environment(
        loader=FileSystemLoader(list(reversed(places))),
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        undefined=StrictUndefined,
        autoescape=False,  # the output is Python source, not markup
        extensions=[],
    )


def render(template: str, view: dict[str, Any]) -> str:
    """Print a view of finished lines: what targets do until each prints trees."""
    target, _, name = template.partition("/")
    return formatted(_environment(target, None).get_template(name).render(view))
