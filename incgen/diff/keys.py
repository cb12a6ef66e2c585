"""Say which tensors of a weights file of one network fit another."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from incgen.diff.aligning import Aligned, Matched, Rewritten, layers
from incgen.diff.changes import Keys
from incgen.graph.nodes import Graph


def keys_of(a: Graph, b: Graph, aligned: Sequence[Aligned]) -> Keys:
    """Compare the tensors of two networks by key, and by the layers that both have."""
    ours = {key: tensor.shape for key, tensor in a.tensors().items()}
    theirs = {key: tensor.shape for key, tensor in b.tensors().items()}
    before = {each.b.path: each.a.path for each in layers(aligned)}
    kept, moved = list[str](), dict[str, str]()
    reshaped = dict[str, tuple[tuple[int, ...], tuple[int, ...]]]()
    new = list[str]()
    for key, shape in theirs.items():
        layer, _, tensor = key.rpartition(".")
        other = f"{before[layer]}.{tensor}" if layer in before else ""
        if ours.get(key) == shape:
            kept.append(key)
        elif ours.get(other) == shape:
            moved[key] = other
        elif key in ours or other in ours:
            reshaped[key] = (ours[key if key in ours else other], shape)
        else:
            new.append(key)
    used = {*kept, *moved.values()}
    used |= {key for key in reshaped if key in ours}
    used |= {f"{before.get(k.rpartition('.')[0], '')}.{k.rpartition('.')[2]}" for k in reshaped}
    gone = tuple(key for key in ours if key not in used)
    rules = _rules(aligned, moved)
    return Keys(tuple(kept), moved, reshaped, tuple(new), gone, rules)


def _rules(aligned: Iterable[Aligned], moved: dict[str, str]) -> dict[str, str]:
    """Return the outermost parts of which every tensor moved to the same place in the other."""
    rules = dict[str, str]()
    for each in aligned:
        if isinstance(each, Rewritten):
            rules |= _rules(each.layers, moved)
        elif isinstance(each, Matched):
            tensors = [f"{n.path}.{t.name}" for n in each.b.nodes for t in n.tensors]
            whole = each.a.path != each.b.path and all(
                moved.get(key) == each.a.path + key.removeprefix(each.b.path) for key in tensors
            )
            if tensors and whole:
                rules[each.b.path] = each.a.path
            else:
                rules |= _rules(each.inner, moved)
    return rules
