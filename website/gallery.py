"""The gallery: a page for each spec that comes with incgen, with its drawing, costs and text."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from incgen.compiling import compile_spec
from incgen.draw.drawing import drawn
from incgen.draw.view import View
from incgen.graph.nodes import Graph
from incgen.graph.words import short
from incgen.show.sheet import View as Shown
from incgen.show.sheet import sheet
from incgen.show.text import table
from incgen.syntax import tree as st
from incgen.syntax.loader import load
from website.places import ROOT

FOLDER = "gallery"
SPECS = tuple(sorted((ROOT / "specs").glob("*.inc")))

_INDEX = """\
# Gallery

The networks that come with incgen. Each names the publication and the implementation that it
matches, and every deviation from it. `incgen build NAME` writes the source of one from any folder.
Its page has the drawing, the table of layers, the recipes of its training and the spec itself.

| network | parameters | multiply-adds | input |
| --- | ---: | ---: | ---: |
"""
_PAGE = """\
# {title}

{doc}

<div class="facts" markdown>

- **{parameters}**{{ title="{trained:,}" }} parameters
- **{cost}**{{ title="{multiply_adds:,}" }} multiply-adds
- **{size}** input
- **{layers}** layers

</div>

```console
$ incgen build {name} --target torch --target keras --target flax
```

[Look around in it]({name}.explorer.html){{ .md-button target=_blank }}
<a class="md-button" href="../playground.html#example={name}">Open it in the playground</a>

## Drawing

[![Drawing of {name}]({name}-light.svg#only-light)]({name}-light.svg)
[![Drawing of {name}]({name}-dark.svg#only-dark)]({name}-dark.svg)

## Layers

```text
{table}
```
{recipes}
## Spec

```inc title="{name}.inc"
{text}
```
"""
_RECIPES = """
## Recipes

`incgen build {name} --recipe NAME` writes a [script that trains it](../training.md) too.

{lines}
"""


def write(pages: Path) -> None:
    """Write the pages of the gallery and their drawings into a folder of pages."""
    folder = pages / FOLDER
    folder.mkdir(parents=True)
    index = [_INDEX.rstrip("\n")]
    for path in SPECS:
        graph = compile_spec(path.stem)
        index.append(_row(path.stem, graph))
        _draw(folder, path.stem, graph)
        (folder / f"{path.stem}.md").write_text(_page(path, graph), "utf-8")
    (folder / "index.md").write_text("\n".join([*index, ""]), "utf-8")


def _draw(folder: Path, name: str, graph: Graph) -> None:
    for theme in ("light", "dark"):
        (folder / f"{name}-{theme}.svg").write_bytes(drawn(graph, View(theme=theme), "svg"))
    (folder / f"{name}.explorer.html").write_bytes(drawn(graph, View(), "html"))


def _row(name: str, graph: Graph) -> str:
    title, _, _ = _doc(graph).partition("\n")
    cells = (
        f"[{name}]({name}.md)<br>{title.rstrip('.')}",
        short(graph.trained),
        short(graph.multiply_adds),
        f'<span class="size">{graph.input}</span>',
    )
    return f"| {' | '.join(cells)} |"


def _doc(graph: Graph) -> str:
    return graph.program.doc or graph.program.network.doc or graph.program.network.name


def _page(path: Path, graph: Graph) -> str:
    recipes = "\n".join(_recipes(path))
    return _PAGE.format(
        name=path.stem,
        title=path.stem,
        doc=_linked(_doc(graph)),
        parameters=short(graph.trained),
        trained=graph.trained,
        cost=short(graph.multiply_adds),
        multiply_adds=graph.multiply_adds,
        size=graph.input,
        layers=sum(node.op not in ("input", "concat", "add", "mul") for node in graph.nodes),
        table=_rows(table(sheet(graph, Shown(depth=1)))),
        recipes=_RECIPES.format(name=path.stem, lines=recipes) if recipes else "",
        text=path.read_text("utf-8").rstrip(),
    )


def _rows(text: str) -> str:
    """Return a table without its heading, which the page has already."""
    return text.partition("\n\n")[2].rstrip()


def _linked(doc: str) -> str:
    """Link what a comment cites."""
    return re.sub(r"arXiv:(\d{4}\.\d{5})", r"[arXiv:\1](https://arxiv.org/abs/\1)", doc)


def _recipes(path: Path) -> Iterator[str]:
    for item in load(path).spec.of(st.Recipe):
        doc = " ".join((item.doc or "").split())
        yield f"- `{item.name.text}`: {doc}" if doc else f"- `{item.name.text}`"
