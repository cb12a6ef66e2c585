"""A comparison as text for a terminal, and as Markdown for a pull request."""

from __future__ import annotations

import textwrap

from incgen.base import tables
from incgen.base.tables import aligned
from incgen.diff.changes import Comparison
from incgen.diff.prose import change, paragraphs

#: The longest line of text.
_WIDTH = 98
#: How many of the keys that changed are listed in text; JSON has all of them.
_MOST = 12


def text(comparison: Comparison) -> str:
    """Return a comparison as paragraphs, and the keys under which weights are found."""
    lines = [f"{_title(comparison, 0)} -> {_title(comparison, 1)}"]
    for paragraph in paragraphs(comparison):
        whole = paragraph.replace(" %", "\N{NO-BREAK SPACE}%")
        filled = textwrap.fill(whole, _WIDTH, break_on_hyphens=False)
        lines += ["", filled.replace("\N{NO-BREAK SPACE}", " ")]
    rules = [(theirs, ours) for ours, theirs in comparison.keys.rules.items()]
    if rules:
        rows = [(f"  {theirs}", "->", ours) for theirs, ours in rules[:_MOST]]
        lines += ["", "Weights under another key:", *aligned(rows, gap="  ")]
        if len(rules) > _MOST:
            lines.append(f"  and {len(rules) - _MOST} more; `--format json` lists all")
    return "\n".join(lines) + "\n"


def _title(comparison: Comparison, number: int) -> str:
    """Return what a network is called, with its spec if that says more."""
    side = (comparison.a, comparison.b)[number]
    return side.source if side.name in side.source else f"{side.name} ({side.source})"


def markdown(comparison: Comparison) -> str:
    """Return a comparison as Markdown: paragraphs, a table of sizes, and all keys that changed."""
    title = f"### `{_title(comparison, 0)}` → `{_title(comparison, 1)}`"
    parts = [title, *paragraphs(comparison)]
    if not comparison.same:
        parts.append(_sizes(comparison))
    if comparison.keys.rules:
        rows = [(f"`{theirs}`", f"`{ours}`") for ours, theirs in comparison.keys.rules.items()]
        parts += [
            "<details><summary>Weights under another key</summary>",
            tables.markdown(("before", "after"), rows).rstrip(),
            "</details>",
        ]
    return "\n\n".join(parts) + "\n"


def _sizes(comparison: Comparison) -> str:
    """Return a table of what the networks cost, and of the tensors that fit."""
    a, b, keys = comparison.a, comparison.b, comparison.keys
    rows = [
        (
            "parameters",
            f"{a.parameters:,}",
            f"{b.parameters:,}",
            change(a.parameters, b.parameters),
        ),
        (
            "multiply-adds",
            f"{a.multiply_adds:,}",
            f"{b.multiply_adds:,}",
            change(a.multiply_adds, b.multiply_adds),
        ),
    ]
    counts = (len(keys.kept), len(keys.moved), len(keys.reshaped), len(keys.gone), len(keys.new))
    fits = ("tensors that fit", "under another key", "of another shape", "without a place", "new")
    sizes = tables.markdown(("", "before", "after", ""), rows, range(1, 4))
    return f"{sizes}\n{tables.markdown(fits, [[*map(str, counts)]], range(5))}".rstrip()
