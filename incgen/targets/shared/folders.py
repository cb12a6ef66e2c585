"""The folders of templates, and what a check needs to know of them, which is read without Jinja."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from functools import cache
from pathlib import Path
from typing import Any

from incgen.base.resources import folder
from incgen.language.names import class_name
from incgen.language.ops import OPS

_MACRO = re.compile(r"^{% macro (\w+)", re.MULTILINE)


def places_of(target: str) -> list[Path]:
    """Return the folders of a target's templates: its own, and the shared, which it overrides."""
    return [folder("templates") / target, folder("templates") / "shared"]


@cache
def macro_names(target: str) -> frozenset[str]:
    """Return the names of all macros of a target, if no user has changed them."""
    macros, helpers = set[str](), set[str]()
    for place in places_of(target):
        for file in (place / "macros").glob("*"):
            macros.update(_MACRO.findall(file.read_text("utf-8")))
        helpers.update(file.name.partition(".")[0] for file in (place / "helpers").glob("*"))
    return frozenset(macros | helped(macros, helpers).keys())


def helped(macros: AbstractSet[str], helpers: AbstractSet[str]) -> dict[str, tuple[str, str]]:
    """Return what stands for the macros of ops that have none: the macro of helpers, and a helper.

    The helper is the class or function of the op's name.
    """
    return {
        f"{op}{form}": (f"op_helper{form}", name)
        for op in OPS.keys() - macros
        for name in helpers & {op, class_name(op)}
        for form in ("", "_of")
        if f"op_helper{form}" in macros
    }


@cache
def tables_of(target: str) -> Mapping[str, Any]:
    """Return the tables of a target, if no user has changed them."""
    return merged_tables(places_of(target))


def merged_tables(places: Sequence[Path]) -> dict[str, Any]:
    """Return the contents of all `tables.json` in folders, the first of which goes before others.

    A key of `defaults` names several functions, a number there is a position.

    Raises:
        ValueError: One of them is not JSON.
    """
    tables: dict[str, Any] = {"defaults": {}, "strengths": {}, "hints": {}}
    for path in (place / "tables.json" for place in reversed(places)):
        for key, table in (_read(path) if path.exists() else {}).items():
            if key == "defaults":
                for functions, values in table.items():
                    known = {int(k) if k.isdecimal() else k: v for k, v in values.items()}
                    tables[key] |= dict.fromkeys(functions.split(), known)
            elif isinstance(table, dict):
                tables[key] = tables.get(key, {}) | table
            else:
                tables[key] = table
    return tables


def _read(path: Path) -> dict[str, Any]:
    try:
        tables: dict[str, Any] = json.loads(path.read_text("utf-8"))
    except ValueError as error:
        raise ValueError(f"{path.name}: {error}") from None
    return tables
