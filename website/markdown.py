"""From a page that is read in the repository to one that the generator of the site understands.

What they disagree on: links between files, and words behind the language of a fence. What stands
inside an item of a list is indented by four in the pages, which both understand.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from website.places import from_page, linked, place

_FENCE = re.compile(r"^( *)(`{3,})([^`\n]*)$")
_LINK = re.compile(r"(?<=\]\()(?!https?://|mailto:|#)([^)\s#]+)(#[^)\s]*)?(?=[)\s])")
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
        return "\n".join([*self._lines(text.splitlines()), ""])

    def _lines(self, lines: list[str]) -> Iterator[str]:
        fence = ""
        for line in lines:
            mark = _FENCE.match(line)
            if mark and (not fence or mark[2] == fence):
                fence = "" if fence else mark[2]
                yield f"{mark[1]}{mark[2]}{_language(mark[3])}"
            elif fence:
                yield line
            elif not _TABLE_MARK.match(line):
                yield self._linked(line)

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
