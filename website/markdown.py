"""From a page that is read in the repository to one that the generator of the site understands.

What they disagree on: links between files, words behind the language of a fence, and how far the
inside of a list is indented.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from website.places import from_page, linked, place

_FENCE = re.compile(r"^( *)(`{3,})([^`\n]*)$")
_LINK = re.compile(r"(?<=\]\()(?!https?://|mailto:|#)([^)\s#]+)(#[^)\s]*)?(?=[)\s])")
_ITEM = re.compile(r"^( *)([-*]|\d+\.)( +)(?=\S)")
#: A number at the beginning of a line within a paragraph, which begins no list.
_SENTENCE = re.compile(r"^ *(?!1\.)\d+\. ")
_TABLE_MARK = re.compile(r"^<!-- (table: .*|end) -->$")
_FAULT = re.compile(r"\b(error|warning): ([a-z0-9-]+)")


@dataclass(slots=True)
class Conversion:
    """A page on its way to the site, with the files of the repository that it links to."""

    origin: str  #: The page in the repository
    page: str  #: The page on the site
    links: set[str] = field(default_factory=set)

    def text(self, text: str) -> str:
        """Return the page for the site."""
        lines = list(self._lines(text.splitlines()))
        return "\n".join([*_separated(lines), ""])

    def _lines(self, lines: list[str]) -> Iterator[str]:
        indents: list[tuple[int, int]] = []  # of open items: where their text stands, and is moved
        fence = before = ""
        for line in lines:
            before, last = line, before
            bare = line.lstrip(" ")
            depth = len(line) - len(bare)
            open_ = len(indents)
            if not fence and bare:
                while indents and depth < indents[-1][0]:
                    indents.pop()
            here, there = indents[-1] if indents else (0, 0)
            moved = " " * there + line[here:] if bare else ""
            mark = _FENCE.match(line)
            if mark and (not fence or mark[2] == fence):
                fence = "" if fence else mark[2]
                yield (" " * there + line[here:depth] + mark[2] + _language(mark[3])).rstrip()
            elif fence:
                yield moved
            elif last and len(indents) == open_ and _SENTENCE.match(line):
                yield self._linked(moved.replace(".", "\\.", 1))
            elif item := _ITEM.match(line):
                indents.append((item.end(), there + 4))
                text = f"{item[2]} ".ljust(4) + line[item.end() :]
                yield self._linked(" " * there + text)
            elif not _TABLE_MARK.match(line):
                yield self._linked(moved)

    def _linked(self, line: str) -> str:
        """Let the links of a line lead to pages of the site."""

        def moved(found: re.Match[str]) -> str:
            target = linked(self.origin, found[1])
            self.links.add(target)
            return from_page(self.page, place(target)) + (found[2] or "")

        return _LINK.sub(moved, line)


def _language(info: str) -> str:
    """Return the info of a fence without what only the tests read."""
    language, _, rest = info.strip().partition(" ")
    titles = [rest.split()[1]] if rest.startswith("file ") else []
    titles = titles or [f"{kind}: {code}" for kind, code in _FAULT.findall(rest)]
    return f'{language} title="{", ".join(titles)}"' if titles else language


def _separated(lines: list[str]) -> Iterator[str]:
    """Put a blank line before lists and tables that follow a paragraph at once."""
    before, fence = "", ""
    for line in lines:
        if mark := _FENCE.match(line):
            fence = "" if fence == mark[2] else fence or mark[2]
        item = _ITEM.match(line)
        begins = item and not _ITEM.match(before) and not before.startswith(" " * 4)
        if not fence and before and begins:
            yield ""
        yield line
        before = line
