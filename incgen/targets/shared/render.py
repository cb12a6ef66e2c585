"""Print trees of code by the templates of a target.

Each node is printed by the macro of its name, in any file of `templates/TARGET/macros/` or
`templates/shared/macros/`. A helper that a macro asks for is added to the file, with those that
it needs itself. An op that a framework lacks needs no macro: it is the helper of its name.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

from incgen.language import expressions as ex
from incgen.language.expressions import Expression
from incgen.language.printing import python
from incgen.targets.shared import text
from incgen.targets.shared.code import ATOM, Comment, Node
from incgen.targets.shared.folders import helped, macro_names, tables_of
from incgen.targets.shared.formatting import formatted
from incgen.targets.shared.style import PLAIN, Style

if TYPE_CHECKING:
    from incgen.targets.shared.templates import Helper, Macro, Templates

#: The template of a file of a model.
MODULE = "module.py.jinja"
#: Columns by which a suite is indented.
_INDENT = 4


class Printer:
    """Prints the code of one file, and collects the helpers that it needs.

    Args:
        target: The folder of the templates.
        style: How the code is written.
        facts: Variables of every template.
    """

    def __init__(self, target: str, style: Style = PLAIN, **facts: object) -> None:
        """Begin with nothing printed."""
        self.target, self.own = target, style.templates
        self.width = style.line_length
        self.used: dict[str, Helper] = {}
        self.depth = 0  # the indentation of the suite being printed
        self.given: dict[str, Any] = {
            "show": self.show,
            "call": self.call,
            "listed": self.listed,
            "suite": self.suite,
            "filled": self.filled,
            "docstring": self.docstring,
            "helper": self.helper,
            "helpers": self.helpers,
            **facts,
        }

    @cached_property
    def templates(self) -> Templates:
        """Return the templates, which are loaded when something is printed: a check does not."""
        from incgen.targets.shared.templates import templates

        return templates(self.target, None if self.own is None else os.fspath(self.own))

    @cached_property
    def tables(self) -> Mapping[str, Any]:
        """Return the contents of all `tables.json`."""
        return tables_of(self.target) if self.own is None else self.templates.tables

    @cached_property
    def macros(self) -> dict[str, Macro]:
        """Return all macros; an op without one is a helper: a class or function of its name."""
        macros = self.templates.macros(self.given)
        ops = helped(macros.keys(), self.templates.helpers)
        return macros | {op: partial(macros[macro], name) for op, (macro, name) in ops.items()}

    def has(self, macro: str) -> bool:
        """Return whether the target has a macro, for instance for a variant of an op."""
        return macro in (macro_names(self.target) if self.own is None else self.macros)

    def draft(self, view: Mapping[str, Any], template: str = MODULE) -> str:
        """Print a whole file as its template writes it, before it is laid out."""
        return self.templates.file({**self.given, **view}, template)

    def file(
        self,
        view: Mapping[str, Any],
        template: str = MODULE,
        beside: Sequence[str] = (),
    ) -> str:
        """Print a whole file.

        Args:
            view: The variables of the template.
            template: The name of the template.
            beside: Modules that stand beside the file.
        """
        source = self.draft(view, template)
        try:
            return formatted(source, self.width, beside)
        except SyntaxError as error:
            line = f": {error.text.strip()}" if error.text else ""
            raise self.templates.fault(
                f"what they give is not Python: {error.msg}{line}"
            ) from error

    # ------------------------------------------------------------ expressions

    def show(self, code: object, outer: int = 0) -> str:
        """Print code, in parentheses if it binds less tightly than its context.

        Args:
            code: A node, an expression, or finished text.
            outer: The precedence of its context.
        """
        if not isinstance(code, Node):
            return python(code, outer=outer) if isinstance(code, Expression) else str(code)
        source = self.macros[code.macro](*code.given).strip("\n")
        return f"({source})" if self.tables["strengths"].get(code.macro, ATOM) < outer else source

    def call(self, function: str, /, *positional: object, **named: object) -> str:
        """Print a call, without the defaults that are in `tables.json`.

        The table has the defaults of a function under its name: those of positional arguments under
        their numbers, those of others under their names. None is left out as well, and `spread` is
        written as `**spread`.
        """
        defaults = self.tables["defaults"].get(function, {})
        given = [*positional]
        while given and _is_default(given[-1], defaults.get(len(given) - 1)):
            given.pop()
        parts = [self.show(value) for value in given]
        for name, value in named.items():
            if value is not None and not _is_default(value, defaults.get(name)):
                parts.append(f"{'**' if name == 'spread' else name + '='}{self.show(value)}")
        return f"{function}({', '.join(parts)})"

    def listed(self, values: Iterable[object], joint: str = ", ", strength: int = -1) -> str:
        """Print values one after another: nodes, expressions or finished text.

        The strength is the precedence of the joint, if that is a left-associative operator.
        """
        return joint.join(
            self.show(value, strength + (number > 0)) for number, value in enumerate(values)
        )

    # ------------------------------------------------------------ statements

    def suite(self, statements: Iterable[Node], levels: int = 1) -> str:
        """Print statements as an indented suite."""
        given = [*statements]
        self.depth += levels
        try:
            lines = [*map(self.show, given)]
        finally:
            self.depth -= levels
        if all(isinstance(node, Comment) for node in given):
            lines.append("pass")
        source = "\n".join(lines)
        return _indented(source, levels)

    def filled(self, words: str, line: str | None = None) -> str:
        """Print a wrapped comment, at the end of the line that it is about if there is room."""
        indent = self.depth * _INDENT
        if line is not None and indent + len(line) + len(words) + 4 <= self.width:
            return f"{line}  # {words}"
        lines = [
            comment[indent:] for comment in text.comment_lines(words, self.width, indent=indent)
        ]
        return "\n".join(lines if line is None else [*lines, line])

    def docstring(self, words: str, levels: int = 0) -> str:
        """Print a docstring, indented by some levels."""
        indent = (self.depth + levels) * _INDENT
        lines = [line[indent:] for line in text.docstring(words, self.width, indent)]
        return _indented("\n".join(lines), levels)

    # ------------------------------------------------------------ helpers

    def helper(self, name: str) -> str:
        """Add a helper to the file; return its name, for the macro to write.

        Raises:
            TemplateNotFound: there is no such helper.
        """
        if name not in self.used:
            self.used[name] = helper = self.find_helper(name)
            for needed in helper.needs:
                self.helper(needed)
        return name

    def find_helper(self, name: str) -> Helper:
        """Return a helper from its file.

        Raises:
            TemplateNotFound: there is no such helper.
        """
        return self.templates.helper(name, self.given)

    def helpers(self) -> list[Helper]:
        """Return the helpers that are needed by name, but each after those that it needs."""
        ordered: dict[str, Helper] = {}

        def add(name: str) -> None:
            for needed in sorted(self.used[name].needs):
                add(needed)
            ordered.setdefault(name, self.used[name])

        for name in sorted(self.used):
            add(name)
        return [*ordered.values()]


def _indented(source: str, levels: int) -> str:
    """Return indented lines; empty ones stay empty."""
    margin = " " * _INDENT * levels
    return "\n".join(margin + line if line else line for line in source.split("\n"))


def _is_default(value: object, default: object) -> bool:
    """Return whether an argument is the default; True and 1 are equal, but not the same."""
    known = ex.literal(value) if isinstance(value, Expression) else value
    return default is not None and type(known) is type(default) and known == default
