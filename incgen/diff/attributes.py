"""Compare the attributes of the layers that both networks have, over all layers of an op."""

from __future__ import annotations

from collections.abc import Sequence

from incgen.diff.aligning import Aligned, Rewritten, layers
from incgen.diff.arguments import value
from incgen.diff.changes import Convention
from incgen.graph.nodes import Node
from incgen.graph.numerics import acts
from incgen.graph.words import TOLD
from incgen.language.ops import OPS, place_of
from incgen.language.signatures import Argument


def conventions(aligned: Sequence[Aligned]) -> tuple[Convention, ...]:
    """Return the attributes that layers have by another value, for each op and pair of values."""
    groups = dict[tuple[str, str, str, str], list[tuple[str, bool]]]()
    counts = dict[tuple[str, str], int]()
    told = {id(m) for entry in aligned if isinstance(entry, Rewritten) for m in entry.layers}
    for pair in layers(aligned):
        a, b = pair.a.node, pair.b.node
        if a.op != b.op or a.op not in OPS:
            continue
        for argument in OPS[a.op].attributes:
            name = argument.name
            if name in TOLD or not (acts(a, argument) or acts(b, argument)):
                continue
            if name == "bias" and id(pair) in told:
                continue  # what stands in place of what says it
            counts[a.op, name] = counts.get((a.op, name), 0) + 1
            ours, theirs = a.args.get(name), b.args.get(name)
            both = acts(a, argument) and acts(b, argument)
            if ours != theirs and (both or _differs(a, b, argument)):
                key = (a.op, name, value(ours), value(theirs))
                groups.setdefault(key, []).append((b.path, _differs(a, b, argument)))
    rows = [
        Convention(
            *key,
            tuple(path for path, _ in pairs),
            counts[key[0], key[1]],
            sum(differs for _, differs in pairs),
        )
        for key, pairs in groups.items()
    ]
    return tuple(sorted(rows, key=lambda row: (place_of(row.op, row.name), -len(row.layers))))


def _differs(a: Node, b: Node, argument: Argument) -> bool:
    """Return whether two layers compute something else by their values of an attribute."""
    if argument.name == "pad":
        return a.args.get("borders") != b.args.get("borders")
    return True
