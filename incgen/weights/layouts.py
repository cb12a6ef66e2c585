"""Find the layouts of a network.

A layout belongs to a network by the name of its folder; it is searched for in `layouts/NETWORK/`
beside the spec, then among the shipped ones. A file beside the spec takes precedence over a shipped
one of the same name. A network without layouts, such as a copy under another name, uses those of
all networks with the same layers.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path

from incgen.base import resources
from incgen.base.diagnostics import listed
from incgen.base.help import near
from incgen.weights.errors import WeightsError
from incgen.weights.layout import Layout, identity
from incgen.weights.layout_file import read

FOLDER = "layouts"
#: The number of layers that show whether a network has the structure of another.
_SAMPLE = 40
#: This many layers of a small network may have the same names as some of a large one by chance.
_FEW = 10


def find(spec: Path, network: str, layers: Sequence[str] = ()) -> list[Layout]:
    """Return all layouts of a network in the order of their names, our own first.

    Args:
        spec: The spec's file.
        network: The name of the network.
        layers: Its layers with tensors. Layouts of another network, which are called
            `NETWORK/NAME`, are found if they have a rule for at least half of them; shipped layouts
            are for large networks, and must have rules for more than a few.

    Raises:
        WeightsError: A layout is faulty.
    """
    beside, packaged = spec.parent / FOLDER, resources.folder("specs") / FOLDER
    layouts: dict[str, Layout] = {}
    for folder in (beside, packaged):
        for file in _files(folder.joinpath(network)):
            name = file.name.removesuffix(".toml")
            if name not in layouts:
                layouts[name] = read(file, name)
    if layers and not _files(packaged.joinpath(network)):
        some = layers[:: len(layers) // _SAMPLE + 1]
        for folder, least in ((beside, 1), (packaged, _FEW)):
            for name, layout in _of_others(folder, network, kept=folder is not beside):
                known = sum(map(layout.has, some))
                if name not in layouts and known >= max(least, len(some) / 2):
                    layouts[name] = layout
    own = (identity("torch"), identity("keras"), identity("flax"))
    return [*own, *(layouts[name] for name in sorted(layouts))]


def _of_others(folder: Path, network: str, *, kept: bool) -> Iterator[tuple[str, Layout]]:
    """Yield the layouts of other networks; faulty ones are reported when they are requested."""
    for other in _folders(folder):
        for file in _files(other) if other.name != network else ():
            name = f"{other.name}/{file.name.removesuffix('.toml')}"
            with suppress(WeightsError):
                yield name, _kept(name) if kept else read(file, name)


@cache
def _kept(name: str) -> Layout:
    """Return a shipped layout, which does not change."""
    return read(resources.folder("specs") / FOLDER / f"{name}.toml", name)


def named(name: str, layouts: Iterable[Layout]) -> Layout:
    """Return the layout with a name."""
    known = {layout.name: layout for layout in layouts}
    if name not in known:
        offer = near(name, known) or f"there are {listed(list(known))}"
        raise WeightsError(f"this network has no layout `{name}`: {offer}")
    return known[name]


def _folders(folder: Path) -> list[Path]:
    try:
        return sorted((path for path in folder.iterdir() if path.is_dir()), key=lambda f: f.name)
    except OSError:
        return []


def _files(folder: Path) -> list[Path]:
    try:
        return [file for file in folder.iterdir() if file.name.endswith(".toml")]
    except OSError:
        return []
