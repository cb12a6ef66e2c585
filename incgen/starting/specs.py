"""New specs: a template, or a network that comes with incgen, under another name."""

from __future__ import annotations

import re
from pathlib import Path

from incgen.base.diagnostics import SpecError
from incgen.base.help import near
from incgen.base.resources import folder
from incgen.compiling import RequestError, compile_spec
from incgen.language.names import network_fault
from incgen.syntax import shipped
from incgen.syntax import tree as st
from incgen.syntax.loader import load

#: The template of a spec for which none is named.
USUAL = "small"
_NAME = re.compile(r"[A-Za-z]\w*", re.ASCII)
_MAX_NAME = 60


def templates() -> dict[str, Path]:
    """Return the files of the templates by their names."""
    paths = sorted((folder("starters") / "specs").glob("*.inc"))
    return {path.stem: path for path in sorted(paths, key=lambda path: path.stem != USUAL)}


def title(path: Path) -> str:
    """Return the first line of the doc comment of a spec."""
    first = path.read_text("utf-8").partition("\n")[0]
    return first.removeprefix("##").strip()


def name_of(given: str) -> str:
    """Return the name of a network for a file or folder; dashes become underscores.

    Raises:
        RequestError: Nothing in generated code can have that name.
    """
    name = given.replace("-", "_")
    if not _NAME.fullmatch(name) or len(name) > _MAX_NAME:
        raise RequestError(
            f"`{given}` cannot name a network: a name begins with a letter, and has letters, "
            f"digits and `_`, {_MAX_NAME} at most"
        )
    fault = network_fault(name)
    if fault is not None:
        raise RequestError(f"`{given}` cannot name a network: {fault}; try `{name}_net`")
    return name


def spec_from(template: str, name: str) -> str:
    """Return the text of a template or shipped spec with a network of another name.

    Raises:
        RequestError: There is no such template, or the name is taken in it.
    """
    path = templates().get(template)
    if path is None and template in shipped.names():
        path = shipped.root() / f"{template}.inc"
    if path is None:
        known = [*templates(), *shipped.names()]
        offer = near(template, known) or "`incgen new --list` lists them"
        raise RequestError(f"there is no template `{template}`: {offer}")
    text = _renamed(path, name)
    try:
        compile_spec(f"{name}.inc", text=text)
    except SpecError as error:
        message = error.diagnostics[0].message
        raise RequestError(
            f"`{name}` cannot name a network of the template `{template}`: {message}"
        ) from None
    return text


def _renamed(path: Path, name: str) -> str:
    """Return the text of a spec with another name of its network, and with paths of `incgen:`."""
    loaded = load(path)
    text, edits = loaded.source.text, list[tuple[st.Identifier | st.Text, str]]()
    for network in loaded.spec.of(st.Network):
        edits.append((network.name, name))
    for recipe in loaded.spec.of(st.Recipe):
        if recipe.trains is not None:
            edits.append((recipe.trains.network, name))
    for use in loaded.spec.of(st.Use):
        if not use.path.value.startswith(shipped.PREFIX):
            edits.append((use.path, f'"{shipped.PREFIX}{use.path.value}"'))
    for place, new in sorted(edits, key=lambda edit: -edit[0].span.start):
        text = text[: place.span.start] + new + text[place.span.end :]
    return text
