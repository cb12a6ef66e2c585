"""The `[tool.incgen]` table of pyproject.toml, which the command line overrides."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from incgen.cli.options import COLUMNS

#: What a pyproject.toml that has a table for incgen contains in any case.
_TABLE = b"incgen"


@dataclass(frozen=True, slots=True)
class Configuration:
    """What a project says of its generated code; None where it says nothing.

    Attributes:
        line_length: The columns of a line.
        templates: The folder of the project's templates.
    """

    line_length: int | None = None
    templates: Path | None = None


def configuration() -> Configuration:
    """Return what the nearest pyproject.toml with a table for incgen says.

    It is looked for in the current folder and those around it. A path is taken from where the
    file stands.

    Raises:
        click.ClickException: The file is no TOML, or the table says something else.
    """
    here = Path.cwd()
    for folder in (here, *here.parents):
        file = folder / "pyproject.toml"
        try:
            data = file.read_bytes()
        except OSError:
            continue
        table = _table(file, data) if _TABLE in data else None
        if table is not None:
            templates = table.get("templates")
            return Configuration(
                table.get("line-length"), None if templates is None else folder / templates
            )
    return Configuration()


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
    """Return what is wrong with a line of the table, if anything is."""
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
