"""`python -m website`: build the site into build/site, and check it."""

from __future__ import annotations

import sys

from website.building import BuildError, build
from website.checking import faults
from website.offline import MissingError
from website.places import ROOT


def main() -> int:
    """Build the site, and print what is wrong with it; return the exit status."""
    try:
        site = build(ROOT / "build")
    except (BuildError, MissingError) as error:
        print(error, file=sys.stderr)
        return 1
    found = faults(site)
    for fault in found:
        print(fault, file=sys.stderr)
    if not found:
        print(f"wrote {site.relative_to(ROOT)}/: open index.html")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
