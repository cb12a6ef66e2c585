"""Say which tensors of a weights file of one network fit another."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from incgen.diff.aligning import Aligned, Rewritten, layers
from incgen.diff.changes import Keys
from incgen.graph.nodes import Graph


def keys_of(a: Graph, b: Graph, aligned: Sequence[Aligned]) -> Keys:
    """Compare the tensors of two networks by key, and by the layers that both have.

    Each tensor of the first network is used once; that of the same key and shape comes first.
    """
    ours = {key: tensor.shape for key, tensor in a.tensors().items()}
    theirs = {key: tensor.shape for key, tensor in b.tensors().items()}
    layers_before = {pair.b.path: pair.a.path for pair in layers(aligned)}
    kept = {key: shape for key, shape in theirs.items() if ours.get(key) == shape}
    left = {key: shape for key, shape in ours.items() if key not in kept}
    moved = dict[str, str]()
    others = {key: shape for key, shape in theirs.items() if key not in kept}
    for key, shape in others.items():
        before = _before(key, layers_before)
        if left.get(before) == shape:
            moved[key] = before
            del left[before]
    reshaped = dict[str, tuple[tuple[int, ...], tuple[int, ...]]]()
    for key, shape in others.items():
        before = key if key in left else _before(key, layers_before)
        if key not in moved and before in left:
            reshaped[key] = (left.pop(before), shape)
    new = tuple(key for key in others if key not in moved and key not in reshaped)
    return Keys(tuple(kept), moved, reshaped, new, tuple(left), _rules(aligned, moved))


def _before(key: str, layers_before: Mapping[str, str]) -> str:
    """Return the key of a tensor in the first network, if its layer is there; else ""."""
    layer, _, tensor = key.rpartition(".")
    return f"{layers_before[layer]}.{tensor}" if layer in layers_before else ""


def _rules(aligned: Iterable[Aligned], moved: dict[str, str]) -> dict[str, str]:
    """Return the outermost parts of which every tensor moved to the same place in the other."""
    rules = dict[str, str]()
    for entry in aligned:
        if isinstance(entry, Rewritten):
            rules |= _rules(entry.layers, moved)
        else:
            tensors = [f"{n.path}.{t.name}" for n in entry.b.nodes for t in n.tensors]
            whole = entry.a.path != entry.b.path and all(
                moved.get(key) == entry.a.path + key.removeprefix(entry.b.path) for key in tensors
            )
            if tensors and whole:
                rules[entry.b.path] = entry.a.path
            else:
                rules |= _rules(entry.inner, moved)
    return rules
