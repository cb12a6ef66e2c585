"""Read layout files, which are TOML; `docs/weights.md` explains how to write one."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from incgen.base import resources
from incgen.base.diagnostics import listed
from incgen.base.files import reason
from incgen.base.help import near
from incgen.language.arithmetic import Value
from incgen.weights import templates
from incgen.weights.conventions import CONVENTIONS
from incgen.weights.errors import WeightsError
from incgen.weights.layout import LAYER, Layout, Published, Rule
from incgen.weights.templates import Tables, TemplateError

#: Bytes of one file.
_MAX_BYTES = 1_000_000
#: The meaning of Python's ValueError on integers with too many digits.
_DIGITS = "a number has too many digits"
#: The full name of a layout: `NETWORK/NAME`.
_LIKE = re.compile(r"\w[\w.-]*/\w[\w.-]*")


def read(file: Path, name: str) -> Layout:
    """Read a layout, including the rules of the one that it is `like`.

    Raises:
        WeightsError: The layout is faulty.
    """
    place, content = file.as_posix(), _content(file)
    if isinstance(like := content.pop("like", None), str):
        content = _merged(content, file, like)
    elif like is not None:
        raise WeightsError(f"{place}: `like` must be a string")
    try:
        return of_content(content, name, place)
    except TemplateError as error:
        raise WeightsError(f"{place}: {error}") from None
    except ValueError:
        raise WeightsError(f"{place}: {_DIGITS}") from None


def _merged(content: dict[str, Any], file: Path, like: str) -> dict[str, Any]:
    """Return the content of a layout merged with that of the layout it is `like`."""
    folders = (file.parent.parent, resources.folder("specs") / "layouts")
    files = [path for folder in folders if (path := folder / f"{like}.toml").is_file()]
    if not _LIKE.fullmatch(like) or not files:
        raise WeightsError(f"{file.as_posix()}: `like`: there is no layout `{like}`")
    other = _content(files[0])
    if "like" in other:
        raise WeightsError(f"{file.as_posix()}: `like`: `{like}` is like another layout itself")
    for table in ("layers", "parts", "tables"):
        ours, theirs = content.get(table, {}), other.get(table, {})
        if isinstance(ours, dict) and isinstance(theirs, dict):
            content[table] = {**theirs, **ours}
    return {"convention": other.get("convention", ""), **content}


def _content(file: Path) -> dict[str, Any]:
    place = file.as_posix()
    try:
        with file.open("rb") as opened:
            data = opened.read(_MAX_BYTES + 1)
        if len(data) > _MAX_BYTES:
            raise WeightsError(f"{place}: the file is larger than {_MAX_BYTES} bytes")
        return tomllib.loads(data.decode("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise WeightsError(f"{place}: {error}") from None
    except RecursionError:
        raise WeightsError(f"{place}: tables are nested too deeply") from None
    except ValueError:
        raise WeightsError(f"{place}: {_DIGITS}") from None
    except OSError as error:
        raise WeightsError(f"{place}: cannot be read: {reason(error)}") from None


class _Table:
    """A table of a layout, whose entries are read once each and must have the right type."""

    def __init__(self, content: dict[str, Any], place: str) -> None:
        self.content = dict(content)
        self.place = place
        self.known: list[str] = []

    def fault(self, message: str) -> WeightsError:
        return WeightsError(f"{self.place}: {message}")

    def take(self, name: str, default: Any) -> Any:
        self.known.append(name)
        value = self.content.pop(name, default)
        if type(value) is not type(default):
            kinds = {str: "a string", bool: "`true` or `false`", list: "a list", dict: "a table"}
            raise self.fault(f"`{name}` must be {kinds[type(default)]}")
        return value

    def texts(self, name: str, value: object) -> tuple[str, ...]:
        """Return a string or a list of strings as a tuple."""
        values = [value] if isinstance(value, str) else value
        if not isinstance(values, list) or not all(isinstance(text, str) for text in values):
            raise self.fault(f"`{name}` must be a string or a list of strings")
        return tuple(values)

    def values(self, name: str, types: tuple[type, ...], what: str) -> dict[str, Any]:
        table = self.take(name, {})
        if not all(type(value) in types for value in table.values()):
            raise self.fault(f"`{name}`: its values must be {what}")
        return dict(table)

    def settings(self) -> dict[str, Value]:
        what = "those of parameters and constants"
        return self.values("set", (bool, int, float, str), what)

    def end(self) -> None:
        for name in self.content:
            offer = near(name, self.known) or f"there are {listed(self.known)}"
            raise self.fault(f"a layout has no `{name}`: {offer}")


def of_content(content: dict[str, Any], name: str, place: str) -> Layout:
    """Return a layout from the content of its file.

    Raises:
        WeightsError: The layout is faulty.
        TemplateError: A name in it is malformed.
    """
    table = _Table(content, place)
    convention = table.take("convention", "")
    if convention not in CONVENTIONS:
        raise table.fault(f"`convention` must be {listed(list(CONVENTIONS), 'or')}")
    tables = {
        placeholder: {key: str(value) for key, value in _entries(table, placeholder, entries)}
        for placeholder, entries in table.take("tables", {}).items()
    }
    parts = {end: table.texts(end, texts) for end, texts in table.take("parts", {}).items()}
    for text in (text for texts in parts.values() for text in texts):
        templates.check(text, frozenset([LAYER]))
    layout = Layout(
        name=name,
        convention=CONVENTIONS[convention],
        published=tuple(_published(table)),
        rules=tuple(_rules(table, tables)),
        parts=parts,
        tables=tables,
        ignored=table.texts("ignore", table.take("ignore", [])),
        background=table.values("background", (int,), "numbers of classes"),
        channels_last=CONVENTIONS[convention].channels_last,
        missing_gamma=table.take("missing_gamma", False),
        numbered=table.take("numbered", False),
        settings=table.settings(),
    )
    table.end()
    return layout


def _rules(table: _Table, tables: Tables) -> Iterable[Rule]:
    for left, right in table.take("layers", {}).items():
        texts = table.texts(left, right)
        numbers = frozenset[str]().union(*map(templates.computed, texts))
        rule = Rule(templates.pattern(left, tables, numbers), texts)
        for text in rule.right:
            templates.check(text, rule.left.names)
        if not rule.right:
            raise table.fault(f"`{left}`: a rule must name at least one of their layers")
        yield rule


def _published(table: _Table) -> Iterable[Published]:
    for content in table.take("published", []):
        if not isinstance(content, dict):
            raise table.fault("`published`: each checkpoint must be a table `[[published]]`")
        entry = _Table(content, f"{table.place}: in `published`")
        settings = entry.settings()
        yield Published(entry.take("file", ""), entry.take("source", ""), settings)
        entry.end()


def _entries(table: _Table, name: str, entries: object) -> Iterable[tuple[str, object]]:
    if not isinstance(entries, dict) or not entries:
        raise table.fault(f"`tables.{name}` must be a table with an entry for each value")
    if not all(isinstance(value, str | int) for value in entries.values()):
        raise table.fault(f"`tables.{name}`: its values must be strings or whole numbers")
    return entries.items()
