"""The material of broken specs: whole specs, and short pieces of large ones."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from random import Random

from incgen.base import resources

#: Specs up to this length (characters) are used whole, longer ones mostly in pieces.
_SMALL = 350
_FENCE = re.compile(r"^```inc([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_ITEM = re.compile(r"^(?=(?:numerics|default|let|unit|block|network|use)\b)", re.MULTILINE)


@dataclass(frozen=True)
class Corpus:
    """Texts of specs.

    Attributes:
        small: Short texts.
        large: The others.
    """

    small: tuple[str, ...]
    large: tuple[str, ...]

    def any(self, dice: Random) -> str:
        """Return a text: mostly a short one or a piece, rarely a long one."""
        if not self.large or (self.small and dice.random() < 0.7):
            return dice.choice(self.small)
        text = dice.choice(self.large)
        return text if dice.random() < 0.02 else _piece(dice, text)


def corpus(folders: Iterable[Path] = ()) -> Corpus:
    """Return the shipped specs, and those in the `.inc` and `.md` files of folders."""
    texts = [path.read_text("utf-8") for path in sorted(resources.folder("specs").rglob("*.inc"))]
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            if path.suffix in (".inc", ".md"):
                text = path.read_bytes().decode("utf-8", "replace").replace("\r", "\n")
                texts += [text] if path.suffix == ".inc" else _examples(text)
    distinct = dict.fromkeys(text for text in texts if text.strip())
    return Corpus(
        tuple(text for text in distinct if len(text) <= _SMALL),
        tuple(text for text in distinct if len(text) > _SMALL),
    )


def _examples(page: str) -> list[str]:
    """Return the specs on a page, with parts of one spec put together."""
    specs = []
    for info, text in _FENCE.findall(page):
        how, _, rest = info.strip().partition(" ")
        if how in ("body", "block"):
            use = rest.partition(" error")[0] if how == "block" else text
            above = text if how == "block" else ""
            text = (
                "numerics caffe\nlet classes = 10\n"
                "unit conv_bn = conv bias=false -> bn -> relu\n"
                f"{above}network example {{\n    input 16x16 8\n    {use}\n}}\n"
            )
        specs.append(text)
    return specs


def _piece(dice: Random, text: str) -> str:
    """Return a few definitions of a spec, and a few lines of its network."""
    items = _ITEM.split(text)[1:]
    if not items:
        return text[:_SMALL]
    network = next((item for item in items if item.startswith("network")), "")
    others = [item for item in items if item is not network and not item.startswith("use")]
    short = [item for item in others if len(item) <= _SMALL]
    few = dice.sample(range(len(short)), min(len(short), dice.randint(0, 3)))
    chosen = [
        item
        for number, item in enumerate(short)
        if number in few or item.startswith(("numerics", "unit"))
    ]
    lines = network.split("\n")
    start = dice.randrange(len(lines))
    body = lines[start : start + dice.randint(1, 4)]
    head = "network piece(classes = 10) {\n    input 35x35 16\n"
    return "".join(chosen) + head + "\n".join(body) + "\n}\n"
