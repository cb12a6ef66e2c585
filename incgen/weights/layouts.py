"""Layouts: data files that say where a published checkpoint keeps each of our layers.

`docs/weights.md` explains them to people who write one. A layout belongs to a network by the name
of its folder; it is looked for in `layouts/NETWORK/` beside the spec, then among those that come
with incgen. A file beside the spec wins over a packaged one of the same name. A network that comes
with no layouts, such as a copy under another name, takes those of all networks with its layers.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from incgen.base import resources
from incgen.base.diagnostics import listed, near
from incgen.base.files import reason
from incgen.language.arithmetic import Value
from incgen.weights import templates
from incgen.weights.conventions import CONVENTIONS, Convention
from incgen.weights.errors import WeightsError
from incgen.weights.templates import Pattern, Tables, TemplateError

FOLDER = "layouts"
#: In place of a rule's right side, in the table `parts`.
_LAYER = "layer"
#: Bytes of one file.
_MAX_BYTES = 1_000_000
#: As many layers of a network tell whether it has the structure of another.
_SAMPLE = 40
#: So many layers of a small network may be called like some of a large one by chance.
_FEW = 10

_NUMBERED = re.compile(
    r"(conv2d|convolution2d|separable_conv2d|separableconvolution2d|depthwise_conv2d|dense"
    r"|batch_normalization|batchnormalization)(?:_(\d+))?"
)
#: What Keras 1 called them.
_OLD_KINDS = {
    "convolution2d": "conv2d",
    "separableconvolution2d": "separable_conv2d",
    "batchnormalization": "batch_normalization",
}


class AmbiguousError(ValueError):
    """Two rules of a layout say different things of one layer; the text is a sentence."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One line of a layout: our layer, and theirs; several where they keep one of ours in parts."""

    left: Pattern
    right: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Published:
    """A checkpoint that has a layout.

    Attributes:
        file: what it is called.
        source: where its owner publishes it.
        settings: parameters and constants of the spec for it alone.
    """

    file: str
    source: str
    settings: Mapping[str, Value]


@dataclass(frozen=True, slots=True)
class Layout:
    """Where a checkpoint keeps each of our layers.

    Attributes:
        name: of the layout: that of its file.
        place: its file, for reports.
        convention: what their tensors are called.
        published: the checkpoints that have it.
        rules: layer by layer.
        parts: what a layer inside of a unit is called, by the end of our name.
        tables: what placeholders can stand for.
        ignored: wildcards of what is left of theirs without being needed, where ours has nothing
            of it.
        background: our classifiers of which theirs may have one class more, the first, and how
            many it has then.
        channels_last: whether they flatten maps in the order H, W, C.
        missing_gamma: whether theirs keeps no gamma where it is 1.
        numbered: whether Keras numbered layers without a name: then only their order counts.
        settings: what the spec's parameters and constants have to be for the published network.
        dot: of files with our own layers, what stands for the dots of our names; None for others.
    """

    name: str
    place: str
    convention: Convention
    published: tuple[Published, ...]
    rules: tuple[Rule, ...]
    parts: Mapping[str, tuple[str, ...]]
    tables: Tables
    ignored: tuple[str, ...]
    background: Mapping[str, int]
    channels_last: bool
    missing_gamma: bool
    numbered: bool
    settings: Mapping[str, Value]
    dot: str | None = None

    def layers(self, ours: str) -> tuple[str, ...]:
        """Their layers for one of ours; empty if no rule is for it.

        The most specific rule wins; a rule for the layer itself and one for the unit that it is in
        are equal.

        Raises:
            AmbiguousError: two rules, equally specific, say different things.
        """
        if self.dot is not None:
            return (ours.replace(".", self.dot),)
        found: dict[tuple[str, ...], str] = {}
        least: tuple[int, int, int] | None = None
        for generality, text, layers in self._said(ours):
            if least is None or generality < least:
                found, least = {}, generality
            if generality == least:
                found[layers] = text
        if len(found) > 1:
            one, other, *_ = found.values()
            raise AmbiguousError(f"`{one}` and `{other}` say different things of it")
        return next(iter(found), ())

    def has(self, ours: str) -> bool:
        """Whether there is a rule for a layer of ours."""
        try:
            return bool(self.layers(ours))
        except (AmbiguousError, TemplateError):
            return True

    def _said(self, ours: str) -> Iterable[tuple[tuple[int, int, int], str, tuple[str, ...]]]:
        """How general each rule for a layer is, what stands on its left, and what it says."""
        for rule in self.rules:
            left = rule.left
            values = left.match(ours)
            if values is not None:
                layers = (templates.fill(text, values, self.tables) for text in rule.right)
                yield left.generality, left.text, tuple(layers)
            for end, forms in self.parts.items():
                values = left.match(ours.removesuffix(end)) if ours.endswith(end) else None
                if values is not None and len(rule.right) == 1:
                    layer = templates.fill(rule.right[0], values, self.tables)
                    names, written, bound = left.generality
                    filled = (templates.fill(form, {_LAYER: layer}, {}) for form in forms)
                    yield (names, written - len(end), bound), left.text, tuple(filled)


def identity(convention: str) -> Layout:
    """The layout of files with our own layers: those that we write, or trained from them."""
    name = "incgen" if convention == "torch" else f"incgen-{convention}"
    return Layout(
        name=name,
        place="",
        convention=CONVENTIONS[convention],
        published=(),
        rules=(),
        parts={},
        tables={},
        ignored=(),
        background={},
        channels_last=False,  # generated models turn maps to C, H, W before they flatten them
        missing_gamma=False,
        numbered=False,
        settings={},
        dot="-" if convention == "keras" else ".",
    )


def find(spec: Path, network: str, layers: Sequence[str] = ()) -> list[Layout]:
    """All layouts of a network by the order of their names, our own first.

    Args:
        spec: its file.
        network: its name.
        layers: its layers with tensors. Layouts of another network, which are called
            `NETWORK/NAME`, are found where they have a rule for at least half of them; those that
            come with incgen are of large networks, and have it for more than a few.

    Raises:
        WeightsError: a layout is faulty.
    """
    beside, packaged = spec.parent / FOLDER, resources.folder("specs") / FOLDER
    found: dict[str, Layout] = {}
    for folder in (beside, packaged):
        for file in _files(folder.joinpath(network)):
            name = file.name.removesuffix(".toml")
            if name not in found:
                found[name] = read(file, name)
    if layers and not _files(packaged.joinpath(network)):
        some = layers[:: len(layers) // _SAMPLE + 1]
        for folder, least in ((beside, 1), (packaged, _FEW)):
            for name, layout in _of_others(folder, network, kept=folder is not beside):
                known = sum(map(layout.has, some))
                if name not in found and known >= max(least, len(some) / 2):
                    found[name] = layout
    own = (identity("torch"), identity("keras"))
    return [*own, *(found[name] for name in sorted(found))]


def _of_others(folder: Path, network: str, *, kept: bool) -> Iterator[tuple[str, Layout]]:
    """The layouts of other networks; a faulty one is told when it is asked for as its own."""
    for other in _folders(folder):
        for file in _files(other) if other.name != network else ():
            name = f"{other.name}/{file.name.removesuffix('.toml')}"
            with suppress(WeightsError):
                yield name, _kept(name) if kept else read(file, name)


@cache
def _kept(name: str) -> Layout:
    """A layout that comes with incgen, which does not change."""
    return read(resources.folder("specs") / FOLDER / f"{name}.toml", name)


def named(name: str, layouts: Iterable[Layout]) -> Layout:
    """The layout of a name.

    Raises:
        WeightsError: there is none.
    """
    known = {layout.name: layout for layout in layouts}
    if name not in known:
        offer = near(name, known) or f"there are {listed(list(known))}"
        raise WeightsError(f"this network has no layout `{name}`: {offer}")
    return known[name]


def renumbered(layers: Iterable[str]) -> dict[str, str]:
    """Layers that Keras numbered, counted from 0: `conv2d_7` and `conv2d_9` are 0 and 1.

    Numbers go on from model to model in one program, and Keras 1 and 2 began with 1. The first of
    a program has no number in Keras 3; here it is `conv2d_0`.

    >>> renumbered(["conv2d", "conv2d_1", "block1_conv1"])
    {'conv2d': 'conv2d_0', 'conv2d_1': 'conv2d_1', 'block1_conv1': 'block1_conv1'}
    """
    names = {layer: layer for layer in layers}
    kinds: dict[str, list[tuple[int, str]]] = {}
    for layer in names:
        if numbered := _NUMBERED.fullmatch(layer):
            kind = _OLD_KINDS.get(numbered[1], numbered[1])
            kinds.setdefault(kind, []).append((int(numbered[2] or 0), layer))
    for kind, found in kinds.items():
        names |= {layer: f"{kind}_{place}" for place, (_, layer) in enumerate(sorted(found))}
    return names


def _folders(folder: Path) -> list[Path]:
    try:
        return sorted((each for each in folder.iterdir() if each.is_dir()), key=lambda f: f.name)
    except OSError:
        return []


def _files(folder: Path) -> list[Path]:
    try:
        return [file for file in folder.iterdir() if file.name.endswith(".toml")]
    except OSError:
        return []


# ---------------------------------------------------------------- one file


def read(file: Path, name: str) -> Layout:
    """Read a layout.

    Raises:
        WeightsError: it is faulty.
    """
    place = file.as_posix() if isinstance(file, Path) else f"{FOLDER}/{file.name}"
    try:
        with file.open("rb") as opened:
            data = opened.read(_MAX_BYTES + 1)
        if len(data) > _MAX_BYTES:
            raise WeightsError(f"{place}: it is larger than {_MAX_BYTES} bytes")
        return of_content(tomllib.loads(data.decode("utf-8")), name, place)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, TemplateError) as error:
        raise WeightsError(f"{place}: {error}") from None
    except RecursionError:
        raise WeightsError(f"{place}: it is nested too deep") from None
    except ValueError:  # Python's bound on the digits of whole numbers
        raise WeightsError(f"{place}: a number in it has too many digits") from None
    except OSError as error:
        raise WeightsError(f"{place}: it cannot be read: {reason(error)}") from None


class _Table:
    """A table of a layout, from which each entry is taken once and has to have its type."""

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
            kinds = {str: "a text", bool: "`true` or `false`", list: "a list", dict: "a table"}
            raise self.fault(f"`{name}` is {kinds[type(default)]}")
        return value

    def texts(self, name: str) -> tuple[str, ...]:
        return self.all_texts(name, self.take(name, []))

    def all_texts(self, name: str, value: object) -> tuple[str, ...]:
        """A text or a list of texts, as a tuple."""
        values = [value] if isinstance(value, str) else value
        if not isinstance(values, list) or not all(isinstance(text, str) for text in values):
            raise self.fault(f"`{name}`: what belongs here is a text or a list of texts")
        return tuple(values)

    def counts(self, name: str) -> dict[str, int]:
        found = self.take(name, {})
        if not all(type(value) is int for value in found.values()):
            raise self.fault(f"`{name}`: its values are numbers of classes")
        return dict(found)

    def settings(self, name: str) -> dict[str, Value]:
        found = self.take(name, {})
        if not all(isinstance(value, bool | int | float | str) for value in found.values()):
            raise self.fault(f"`{name}`: its values are those of parameters and constants")
        return dict(found)

    def end(self) -> None:
        for name in self.content:
            offer = near(name, self.known) or f"there are {listed(self.known)}"
            raise self.fault(f"a layout has no `{name}`: {offer}")


def of_content(content: dict[str, Any], name: str, place: str) -> Layout:
    """A layout from the content of its file.

    Raises:
        WeightsError: it is faulty.
        TemplateError: a name in it is.
    """
    table = _Table(content, place)
    convention = table.take("convention", "")
    if convention not in CONVENTIONS:
        raise table.fault(f"`convention` is one of {listed(list(CONVENTIONS), 'or')}")
    tables = {
        placeholder: {key: str(value) for key, value in _entries(table, placeholder, entries)}
        for placeholder, entries in table.take("tables", {}).items()
    }
    parts = {end: table.all_texts(end, forms) for end, forms in table.take("parts", {}).items()}
    for forms in parts.values():
        for form in forms:
            templates.check(form, frozenset([_LAYER]))
    rules = []
    for left, right in table.take("layers", {}).items():
        texts = table.all_texts(left, right)
        numbers = frozenset[str]().union(*map(templates.computed, texts))
        made = Rule(templates.pattern(left, tables, numbers), texts)
        for text in made.right:
            templates.check(text, made.left.names)
        if not made.right:
            raise table.fault(f"`{left}`: a rule names at least one layer of theirs")
        rules.append(made)
    layout = Layout(
        name=name,
        place=place,
        convention=CONVENTIONS[convention],
        published=_published(table),
        rules=tuple(rules),
        parts=parts,
        tables=tables,
        ignored=table.texts("ignore"),
        background=table.counts("background"),
        channels_last=CONVENTIONS[convention].channels_last,
        missing_gamma=table.take("missing_gamma", False),
        numbered=table.take("numbered", False),
        settings=table.settings("set"),
    )
    table.end()
    return layout


def _published(table: _Table) -> tuple[Published, ...]:
    found = []
    for content in table.take("published", []):
        if not isinstance(content, dict):
            raise table.fault("`published`: each checkpoint is a table `[[published]]`")
        entry = _Table(content, f"{table.place}: in `published`")
        settings = entry.settings("set")
        found.append(Published(entry.take("file", ""), entry.take("source", ""), settings))
        entry.end()
    return tuple(found)


def _entries(table: _Table, name: str, entries: object) -> Iterable[tuple[str, object]]:
    if not isinstance(entries, dict) or not entries:
        raise table.fault(f"`tables.{name}` is a table with an entry for each value")
    if not all(isinstance(value, str | int) for value in entries.values()):
        raise table.fault(f"`tables.{name}`: its values are texts or whole numbers")
    return entries.items()
