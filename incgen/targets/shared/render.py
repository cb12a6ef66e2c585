"""Trees of code to text, by the templates of a target. The only module that knows Jinja.

Each node is printed by the macro of its name, in whichever file of `templates/TARGET/macros/` that
stands, or of `templates/shared/macros/`. A helper that a macro asks for is written into the file,
with those that it needs itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from incgen.base.records import record
from incgen.base.resources import folder
from incgen.language import expressions as ex
from incgen.language.expressions import Expression
from incgen.language.printing import python
from incgen.targets.shared import text
from incgen.targets.shared.code import ATOM, Comment, Node
from incgen.targets.shared.formatting import formatted
from incgen.targets.shared.prose import LINE_LENGTH, comment_lines

#: Columns that a suite is further in than the statement that it belongs to.
_INDENT = 4


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


class Printer:
    """Prints the code of one file, and notes the helpers that it needs.

    Args:
        target: the folder of the templates.
        own: a folder of the user's whose templates go in front of ours, file by file.
        facts: what every template can name.
    """

    def __init__(self, target: str, own: Path | None = None, **facts: object) -> None:
        """Load the macros of the target."""
        self.environment = _environment(target, own)
        self.used: dict[str, Helper] = {}
        self.depth = 0  # of the suite that is printed
        self.shared: dict[str, Any] = {
            "show": self.show,
            "call": self.call,
            "suite": self.suite,
            "filled": self.filled,
            "docstring": self.docstring,
            "helper": self.helper,
            "helpers": self.helpers,
            **facts,
        }
        self.macros: dict[str, Callable[..., str]] = {}
        self.strengths: dict[str, int] = {}
        self.defaults: dict[str, dict[int | str, object]] = {}
        for name in self.environment.list_templates():
            if name.startswith("macros/"):
                module: Any = self.environment.get_template(name).make_module(self.shared)
                self.macros |= {key: each for key, each in vars(module).items() if callable(each)}
                self.strengths |= getattr(module, "strengths", {})
                self.defaults |= getattr(module, "defaults", {})

    def file(self, view: Mapping[str, Any]) -> str:
        """Print a whole file, laid out.

        Args:
            view: what `module.py.jinja` is given.
        """
        source = self.environment.get_template("module.py.jinja").render({**self.shared, **view})
        return formatted(source)

    # ------------------------------------------------------------ expressions

    def show(self, code: object, outer: int = 0) -> str:
        """Print code, in parentheses if it binds less tightly than what is around it.

        Args:
            code: a node, an expression, or finished text.
            outer: how tightly what is around it binds, as in `code.py`.
        """
        if isinstance(code, Expression):
            return python(code, outer=outer)
        if not isinstance(code, Node):
            return str(code)
        source = self.macros[code.macro](*code.given).strip("\n")
        return f"({source})" if self.strengths.get(code.macro, ATOM) < outer else source

    def call(self, function: str, /, *positional: object, **named: object) -> str:
        """Print a call; a default that stands in a template's table of `defaults` is left out.

        The table has the defaults of a function under its name: of an argument by place under
        its number, of another one under its name. What is None is left out as well, and `spread`
        is written as `**spread`.
        """
        defaults = self.defaults.get(function, {})
        given = [*positional]
        while given and _is_default(given[-1], defaults.get(len(given) - 1)):
            given.pop()
        parts = [self.show(value) for value in given]
        for name, value in named.items():
            if value is not None and not _is_default(value, defaults.get(name)):
                parts.append(f"{'**' if name == 'spread' else name + '='}{self.show(value)}")
        return f"{function}({', '.join(parts)})"

    # ------------------------------------------------------------ statements

    def suite(self, statements: Iterable[Node]) -> str:
        """Print statements under one another, further in than what they belong to."""
        given = [*statements]
        self.depth += 1
        try:
            lines = "\n".join(map(self.show, given)).split("\n")
        finally:
            self.depth -= 1
        if all(isinstance(each, Comment) for each in given):
            lines.append("pass")
        return "\n".join(" " * _INDENT + line if line else line for line in lines)

    def filled(self, words: str, line: str | None = None) -> str:
        """Print a comment, filled; beside the line that it is about, if there is room."""
        indent = self.depth * _INDENT
        if line is not None and indent + len(line) + len(words) + 4 <= LINE_LENGTH:
            return f"{line}  # {words}"
        lines = [each[indent:] for each in comment_lines(words, indent=indent)]
        return "\n".join(lines if line is None else [*lines, line])

    def docstring(self, words: str) -> str:
        """Print the docstring of what stands a suite further out."""
        indent = self.depth * _INDENT
        return "\n".join(line[indent:] for line in text.docstring(words, indent))

    # ------------------------------------------------------------ helpers

    def helper(self, name: str) -> str:
        """Note that the file needs a helper; return its name, for the macro to write.

        Raises:
            TemplateNotFound: there is no such helper.
        """
        if name not in self.used:
            self.used[name] = found = self.find_helper(name)
            for needed in found.needs:
                self.helper(needed)
        return name

    def helpers(self) -> list[Helper]:
        """Return the helpers that are needed: those of others in front of them, else by name."""
        ordered: dict[str, Helper] = {}

        def add(name: str) -> None:
            for needed in sorted(self.used[name].needs):
                add(needed)
            ordered.setdefault(name, self.used[name])

        for name in sorted(self.used):
            add(name)
        return [*ordered.values()]

    def find_helper(self, name: str) -> Helper:
        """Return a helper from its file.

        Raises:
            TemplateNotFound: there is no such helper.
        """
        template = self.environment.get_template(f"helpers/{name}.py.jinja")
        module: Any = template.make_module(self.shared)
        needs, imports = (tuple(getattr(module, each, ())) for each in ("needs", "imports"))
        return Helper(name, needs, imports, module.why, str(module))


def _is_default(value: object, default: object) -> bool:
    """Return whether an argument need not be written; True and 1 are equal, but not the same."""
    known = ex.literal(value) if isinstance(value, Expression) else value
    return default is not None and type(known) is type(default) and known == default


@cache
def _environment(target: str, own: Path | None) -> Environment:
    places = [folder("templates") / "shared", folder("templates") / target]
    places += [] if own is None else [own]
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
