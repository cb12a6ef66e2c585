"""The `[tool.incgen]` table of pyproject.toml, which the command line overrides."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import click

#: The limits of the line length; ruff accepts no more.
COLUMNS = (40, 320)
#: What every pyproject.toml with a table for incgen contains: reading TOML takes as long as
#: compiling a network, and a project that depends on incgen need not have the table.
_TABLE = re.compile(rb"""tool["'\s]*(?:[]=]|\.["'\s]*incgen)""")


def configuration() -> dict[str, Any]:
    """Return the table of the nearest pyproject.toml that has one for incgen, or an empty one.

    The current folder and its parents are searched. A path is relative to the file.

    Raises:
        click.ClickException: The file is not TOML, or the table is invalid.
    """
    here = Path.cwd()
    for folder in (here, *here.parents):
        file = folder / "pyproject.toml"
        try:
            data = file.read_bytes()
        except OSError:
            continue
        table = _table(file, data) if _TABLE.search(data) else None
        if table is not None:
            if "templates" in table:
                table["templates"] = folder / table["templates"]
            return table
    return {}


def _table(file: Path, data: bytes) -> dict[str, Any] | None:
    """Return the table of a file, checked; None if it has none."""
    import tomllib

    try:
        table = tomllib.loads(data.decode("utf-8")).get("tool", {}).get("incgen")
    except (ValueError, AttributeError) as error:
        raise click.ClickException(f"`{file}` cannot be read: {error}") from None
    if table is None:
        return None
    if not isinstance(table, dict):
        raise click.ClickException(f"`{file}`: `tool.incgen` is not a table")
    for key, value in table.items():
        fault = _fault(key, value)
        if fault is not None:
            raise click.ClickException(f"`{file}`: {fault}")
    return table


def _fault(key: str, value: Any) -> str | None:
    """Return what is wrong with an entry of the table, if anything."""
    least, most = COLUMNS
    match key:
        case "line-length" if not isinstance(value, int) or isinstance(value, bool):
            return "`line-length` of [tool.incgen] is not a whole number"
        case "line-length" if not least <= value <= most:
            return f"`line-length` of [tool.incgen] is not between {least} and {most}"
        case "templates" if not isinstance(value, str):
            return "`templates` of [tool.incgen] is not the path of a folder"
        case "line-length" | "templates":
            return None
        case _:
            return f"[tool.incgen] has no key `{key}`: use `line-length` and `templates`"
