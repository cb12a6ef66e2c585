"""The names in scope where a definition is resolved: those of its file, and its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from incgen.base.diagnostics import Code, Reporter
from incgen.base.source import Span
from incgen.language import expressions as ex
from incgen.resolve.arguments import Binder, Conventions
from incgen.resolve.scope import FileScope
from incgen.syntax import tree as st


@dataclass
class Context:
    """The context in which the parts of one definition are resolved."""

    scope: FileScope  #: The names of the file
    conventions: Conventions  #: The presets and defaults where the definition stands
    parameters: dict[str, Span]  #: The parameters of the definition, with their places
    unit: st.Unit | None = None  #: The definition if it is a unit, where nothing is warned of
    used: set[str] = field(default_factory=set)  #: The parameters that occur in what is built
    #: The parameters that occur in what constants keep from being built
    idle: set[str] = field(default_factory=set)
    labels: set[str] = field(default_factory=set)  #: All labels that are written in the definition

    @property
    def report(self) -> Reporter:
        """Return the reporter."""
        return self.scope.report

    @property
    def binder(self) -> Binder:
        """Return the checker of arguments."""
        return Binder(self.report, self.expression, self.known)

    def expression(self, written: ex.Expression) -> ex.Expression | None:
        """Resolve an expression; return None after a report."""
        if isinstance(written, ex.Name) and self.is_label(written.text):
            from incgen.resolve import advice

            told = advice.label_as_value(written.text)
            self.report.error(Code.UNKNOWN_NAME, written.span, told.message, help=told.help)
            return None
        return self.scope.values.resolve(written, self.parameters, self.used)

    def size(self, written: ex.Expression) -> ex.Expression | None:
        """Resolve a part of the input's size, where there is no current value."""
        return self.scope.values.resolve(written, self.parameters, self.used, dimensions=False)

    @contextmanager
    def side(self, built: bool) -> Iterator[None]:
        """Count parameters as used inside only if this side of an `if` is built."""
        used = self.used
        if not built:
            self.used = self.idle
        yield
        self.used = used

    def known(self, name: str) -> bool:
        """Return whether a name is defined here."""
        return name in self.parameters or self.scope.values.known(name)

    def is_label(self, name: str) -> bool:
        """Return whether a name is a label and not a value."""
        return name in self.labels and not self.known(name)

    def is_op(self, name: str) -> bool:
        """Return whether a name is an op, unit or block and not a value."""
        value = name in self.parameters or name in self.scope.values.constants
        return not value and self.scope.values.can_apply(name)
