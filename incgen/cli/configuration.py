"""The table `[tool.incgen]` of pyproject.toml, for what the command line does not say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

#: What a pyproject.toml that has a table for incgen contains in any case.
_TABLE = b"incgen"
#: The keys of the table, with the options that they stand for.
KEYS = ("line-length", "templates")


def configured(option: str) -> Any:
    """Return what the nearest pyproject.toml that has a table for incgen says of an option.

    It is looked for in the current folder and those around it. A path is taken from where the
    file stands.

    Args:
        option: A name in `KEYS`.

    Returns:
        The value; None if there is no file, or nothing in it.

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
            value = table.get(option)
            return folder / value if option == "templates" and value is not None else value
    return None


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
        if key not in KEYS:
            known = " and ".join(f"`{each}`" for each in KEYS)
            raise click.ClickException(f"`{file}`: [tool.incgen] has no key `{key}`: use {known}")
        if not isinstance(value, str if key == "templates" else int) or isinstance(value, bool):
            kind = "the path of a folder" if key == "templates" else "a whole number"
            raise click.ClickException(f"`{file}`: `{key}` of [tool.incgen] is not {kind}")
    return table
