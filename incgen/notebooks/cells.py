"""Cells of notebooks that define a network: `%%inc`, after `%load_ext incgen`."""

from __future__ import annotations

from typing import Any

from IPython.core.error import UsageError
from IPython.core.interactiveshell import InteractiveShell
from IPython.core.magic import Magics, cell_magic, magics_class
from IPython.core.magic_arguments import argument, magic_arguments, parse_argstring

from incgen import api
from incgen.base.diagnostics import SpecError
from incgen.cli.reports import coloured
from incgen.compiling import RequestError
from incgen.language.arithmetic import Value
from incgen.notebooks.network import Network
from incgen.syntax.settings import settings


class CellError(SpecError):
    """The spec of a cell has errors."""

    def _render_traceback_(self) -> list[str]:
        """Return the report in colours, in place of a traceback."""
        return coloured(str(self)).split("\n")


def load_ipython_extension(shell: InteractiveShell) -> None:
    """Add the magic `%%inc` to a notebook."""
    shell.register_magics(SpecMagics)


@magics_class
class SpecMagics(Magics):
    """The magic `%%inc`."""

    @magic_arguments()
    @argument("name", nargs="?", help="The variable. Default: the name of the network.")
    @argument(
        "--target",
        "-t",
        help="torch, keras or flax: the variable is a model, and not the network.",
    )
    @argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="Set a parameter of the network or a `let` constant. Repeatable.",
    )
    @argument("--quiet", "-q", action="store_true", help="Show nothing.")
    @cell_magic
    def inc(self, line: str, cell: str) -> Network | None:
        """Define a network by the spec in this cell, and show it.

        Errors are shown with the line of the cell.
        """
        given = parse_argstring(self.inc, line)
        target = _target(given.target)
        if given.name is not None and not given.name.isidentifier():
            raise UsageError(f"`{given.name}` cannot name a variable")
        network = self._network(cell, _values(given.set))
        made: Any = network if target is None else getattr(network, target)()
        self._shell.user_ns[given.name or network.name] = made
        for warning in network.warnings:
            print(coloured(warning.render()))
        return None if given.quiet else network

    @property
    def _shell(self) -> InteractiveShell:
        assert self.shell is not None
        return self.shell

    def _network(self, cell: str, values: dict[str, Value]) -> Network:
        """Compile a cell, whose first line is that of the magic.

        Raises:
            CellError: It has errors.
            UsageError: It has no such parameter.
        """
        # The number of the cell is that of what it gives, `Out[3]`.
        name = f"In[{self._shell.displayhook.prompt_count}]"
        try:
            return Network(name, values, text=f"\n{cell}")
        except SpecError as error:
            raise CellError(error.diagnostics) from None
        except RequestError as error:
            raise UsageError(str(error)) from None


def _target(given: str | None) -> str | None:
    """Return the name of a target, which may be given by an alias; None if none is.

    Raises:
        UsageError: There is no such target.
    """
    if given is None:
        return None
    try:
        return api.find_targets([given])[0].name
    except RequestError as error:
        raise UsageError(str(error)) from None


def _values(given: list[str]) -> dict[str, Value]:
    """Read the values of `--set`.

    Raises:
        UsageError: One is not of the form `name=value`, or no value.
    """
    try:
        return settings(given)
    except ValueError as error:
        raise UsageError(str(error)) from None
