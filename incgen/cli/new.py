"""The command `new`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import click

from incgen.cli import completing
from incgen.cli.options import OK, examples, several_targets
from incgen.cli.pages import Page
from incgen.cli.terminal import print_text, say, text_width, waiting


@click.command(
    "new",
    cls=Page,
    short_help="Start a project or spec.",
    epilog=examples(
        "incgen new my_net --target torch --target flax",
        "incgen new specs/other.inc --template residual",
    ),
)
@click.argument("name", metavar="[NAME]", required=False)
@click.option(
    "--template",
    metavar="TEMPLATE",
    help="What the spec begins as; see --list.",
    shell_complete=completing.templates,
)
@several_targets("A framework that the project generates code for. Default: torch.")
@click.option("--list", "listing", is_flag=True, help="List the templates of specs.")
def new(name: str | None, template: str | None, targets: Sequence[str], listing: bool) -> int:
    """Start a project, or a spec.

    A project is a folder NAME, and a spec a file NAME.inc. A project has a spec, its generated
    code, tests of both, and what runs them before commits and in CI. Nothing is ever overwritten.
    """
    from incgen.starting import specs

    if listing:
        print_text(_listing())
        return OK
    if name is None:
        raise click.UsageError("give the name of a project, or of a spec such as `net.inc`")
    template = template or specs.USUAL
    if name.endswith(".inc"):
        if targets:
            raise click.UsageError("--target is for projects: `incgen build` takes it for a spec")
        path = Path(name)
        _write({path: specs.spec_from(template, specs.name_of(path.stem))})
        return OK
    return _project(name, template, targets or ("torch",))


def _project(name: str, template: str, targets: Sequence[str]) -> int:
    """Write the files of a project, and say what comes next."""
    from incgen import api
    from incgen.base.files import OutputError
    from incgen.starting.projects import Project

    place = Path(name)
    with waiting("writing the source"):
        files = Project(place.name, template, api.find_targets(targets)).files()
    if place.is_symlink() or (place.exists() and (not place.is_dir() or any(place.iterdir()))):
        raise OutputError(f"`{name}` exists: choose another name, or remove it")
    _write({place / path: text for path, text in files.items()})
    say(f"\nNext: cd {name}; pip install -e '.[dev]'; pytest")
    return OK


def _write(texts: Mapping[Path, str]) -> None:
    """Write new files, or none if one of them exists."""
    from incgen.base.files import OutputError, replace

    for path in texts:
        if path.is_symlink() or path.exists():
            raise OutputError(f"`{path.as_posix()}` exists: choose another name, or remove it")
    for path, text in texts.items():
        replace(path, text.encode("utf-8"))
        say(f"wrote {path.as_posix()}")


def _listing() -> str:
    """Return the templates of specs, and the networks that can be copied."""
    from incgen.base.tables import columns
    from incgen.starting import specs
    from incgen.syntax import shipped

    copies = {name: shipped.root() / f"{name}.inc" for name in shipped.names()}
    rows = [(name, specs.title(path)) for name, path in (specs.templates() | copies).items()]
    lines = columns(rows, text_width())
    first = lines.index(f"\n{next(iter(copies))} ") + 1
    return f"{lines[:first]}\nCopies of networks that come with incgen:\n{lines[first:]}"
