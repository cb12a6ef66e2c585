"""The command `draw`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from incgen.cli import completing
from incgen.cli.inputs import compiled
from incgen.cli.options import OK, examples, one_spec, set_values
from incgen.cli.pages import Page
from incgen.cli.terminal import print_text, say, waiting

if TYPE_CHECKING:
    from incgen.language.arithmetic import Value


@click.command(
    "draw",
    cls=Page,
    short_help="Draw a network.",
    epilog=examples(
        "incgen draw bn_inception",
        "incgen draw net.inc -o net.png --open inception_3a --heat parameters",
    ),
)
@one_spec
@click.option(
    "--output",
    "-o",
    metavar="FILE",
    help="FILE.svg, .png, .pdf, .html, .mmd (Mermaid) or .dot; - prints SVG. Default: NETWORK.svg.",
)
@click.option(
    "--depth",
    type=click.IntRange(min=1),
    metavar="N",
    default=1,
    show_default=True,
    help="How many levels are shown; with 1, all blocks are folded.",
)
@click.option(
    "--open",
    "opened",
    metavar="KEY",
    multiple=True,
    help="Open this block or unit too, by key or name. Repeatable.",
    shell_complete=completing.labels,
)
@click.option(
    "--heat",
    metavar="NUMBER",
    type=click.Choice(["multiply-adds", "parameters", "receptive-field"]),
    help="Colour by multiply-adds, parameters or receptive-field.",
)
@click.option(
    "--theme",
    metavar="THEME",
    type=click.Choice(["light", "dark"]),
    default="light",
    help="The page: light (the default) or dark.",
)
@click.option(
    "--direction",
    metavar="WAY",
    type=click.Choice(["down", "right"]),
    default="down",
    help="Where the data goes: down (the default) or right.",
)
@click.option(
    "--definitions/--no-definitions",
    default=True,
    help="Draw folded blocks once beside the network, with a table of uses.",
)
@set_values
def draw(
    spec: str,
    output: str | None,
    depth: int,
    opened: tuple[str, ...],
    heat: str | None,
    theme: str,
    direction: str,
    definitions: bool,
    parameters: dict[str, Value],
) -> int:
    """Draw a network as for a paper: branches side by side, repeated blocks once."""
    from incgen.draw.drawing import drawn, format_of
    from incgen.draw.view import View

    form = "svg" if output in (None, "-") else format_of(output)
    graph = compiled(spec, parameters)
    view = View(depth, opened, heat, theme, direction, definitions)
    with waiting(f"drawing {spec}"):
        data = drawn(graph, view, form)
    if output == "-":
        print_text(data.decode("utf-8"))
        return OK
    path = Path(output or f"{graph.program.network.name}.svg")
    from incgen.base.files import existing, refuse_links, replace

    refuse_links(path)
    changed = existing(path) != data
    if changed:
        replace(path, data)
    say(f"{'wrote' if changed else 'unchanged'} {path.as_posix()}")
    return OK
