"""Write the TextMate grammar of specs, whose words come from incgen's own tables.

    python editors/textmate.py

`tests/test_highlighting.py` fails if the file is not what this writes.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

from incgen.highlighting.patterns import patterns

FILE = Path(__file__).parent / "vscode/syntaxes/inc.tmLanguage.json"


def grammar() -> str:
    """Return the grammar as JSON."""
    rules: list[dict[str, object]] = []
    for pattern in patterns():
        rule: dict[str, object] = {"match": pattern.regex}
        named = {
            str(number): {"name": f"{scope}.inc"}
            for number, scope in enumerate(pattern.scopes, 1)
            if scope
        }
        if len(pattern.scopes) == 1:
            rule |= named["1"]
        elif named:
            rule["captures"] = named
        rules.append(rule)
    whole = {
        "name": "inc",
        "scopeName": "source.inc",
        "fileTypes": ["inc"],
        "patterns": rules,
    }
    return json.dumps(whole, indent=2) + "\n"


def scopes(text: str) -> list[tuple[int, int, str]]:
    """Return the pieces of a text that have a scope, as an editor finds them, line by line.

    Each is a start and an end, in characters, and a scope.
    """
    rules = [(re.compile(pattern.regex), pattern.scopes) for pattern in patterns()]
    found: list[tuple[int, int, str]] = []
    begin = 0
    for line in text.split("\n"):
        at = 0
        while at < len(line):
            matches = [(rule.search(line, at), names) for rule, names in rules]
            hits = [(match, names) for match, names in matches if match and match.group()]
            if not hits:
                break
            match, names = min(hits, key=lambda hit: hit[0].start())  # the first of equals
            groups = [0] if len(names) == 1 else range(1, len(names) + 1)
            for group, name in zip(groups, names, strict=False):
                if name:
                    found.append((begin + match.start(group), begin + match.end(group), name))
            at = match.end()
        begin += len(line) + 1
    return found


def main(arguments: list[str]) -> None:
    """Write the grammar, or print the scopes of some files for the test of the extension."""
    if not arguments:
        FILE.write_text(grammar(), "utf-8")
    else:
        texts = {name: Path(name).read_text("utf-8") for name in arguments}
        print(json.dumps({name: [text, scopes(text)] for name, text in texts.items()}))


if __name__ == "__main__":
    main(sys.argv[1:])
