"""The command `templates`, which lists, prints and copies the templates of a target."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from incgen.cli import completing
from incgen.cli.options import OK, examples
from incgen.cli.pages import Page
from incgen.cli.terminal import print_text, say


@click.command(
    "templates",
    cls=Page,
    short_help="List or copy templates.",
    epilog=examples(
        "incgen templates torch", "incgen templates torch macros/ops.jinja -o my_templates/"
    ),
)
@click.argument("target", metavar="TARGET", shell_complete=completing.sources)
@click.argument("files", metavar="[FILE]...", nargs=-1)
@click.option("--output", "-o", metavar="DIR", help="Copy the files to the folder DIR/TARGET.")
@click.option("--force", is_flag=True, help="Overwrite existing files.")
def templates(target: str, files: Sequence[str], output: str | None, force: bool) -> int:
    """List, print or copy the templates of a target.

    FILE is a path from that list. With `--templates DIR`, a copy under DIR/TARGET overrides
    incgen's own.
    """
    from incgen import api
    from incgen.base.files import check_new, replace
    from incgen.targets.shared.folders import places_of

    (chosen,) = api.find_targets([target])
    shipped: dict[str, Path] = {}
    for place in reversed(places_of(chosen.name)):
        files_there = [*place.rglob("*.jinja"), *place.rglob("*.json")]
        shipped |= {path.relative_to(place).as_posix(): path for path in files_there}
    unknown = [name for name in files if name not in shipped]
    if unknown:
        raise click.UsageError(
            f"there is no template `{unknown[0]}` of {chosen.name}: "
            f"`incgen templates {chosen.name}` lists them"
        )
    if output is None:
        texts = [shipped[name].read_text("utf-8") for name in files]
        print_text("".join(texts) if files else "".join(f"{name}\n" for name in sorted(shipped)))
        return OK
    copies = {Path(output, chosen.name, name): shipped[name] for name in files or sorted(shipped)}
    for path in copies:
        check_new(path, force=force)
    for path, source in copies.items():
        replace(path, source.read_bytes())
        say(f"wrote {path.as_posix()}")
    return OK
