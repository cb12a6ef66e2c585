"""A network against a checkpoint under one layout: how each tensor comes about, what differs.

Nothing is read yet: names and shapes decide.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from fnmatch import fnmatchcase
from typing import TypeAlias

from incgen.graph import Graph, Node
from incgen.records import record
from incgen.shapes import Tensor
from incgen.weights.checkpoint import Stored, shown, size_of
from incgen.weights.conventions import Slot
from incgen.weights.errors import Fault
from incgen.weights.layouts import AmbiguousError, Layout, renumbered
from incgen.weights.recipes import Map, Recipe
from incgen.weights.templates import TemplateError

#: Ops of which the second is a part of the first, as the first names its tensors.
_PARTS = {
    "separable_conv": {
        "depthwise.weight": ("depthwise", "depthwise_conv", "weight"),
        "pointwise.weight": ("pointwise", "conv", "weight"),
        "pointwise.bias": ("pointwise", "conv", "bias"),
    }
}
#: What every op can have, for what theirs has and ours lacks.
_OPTIONAL = {
    "conv": "bias",
    "depthwise_conv": "bias",
    "separable_conv": "pointwise.bias",
}
#: Between a flattened map and a dense layer: what keeps the order of values.
_ELEMENTWISE = frozenset(
    {
        "dropout",
        "gelu",
        "hard_sigmoid",
        "hard_swish",
        "identity",
        "leaky_relu",
        "relu",
        "relu6",
        "scale",
        "sigmoid",
        "silu",
        "tanh",
    }
)

#: Tensors of a checkpoint by the names that a layout uses.
Tensors: TypeAlias = Mapping[str, Stored]


@record
class Check:
    """A tensor of theirs that ours has no place for: it may only hold one value.

    Attributes:
        key: ours, if we had one.
        stored: theirs.
        value: what it has to be everywhere.
    """

    key: str
    stored: Stored
    value: float


@record
class Match:
    """What a layout makes of a checkpoint.

    Attributes:
        layout: which.
        recipes: how each tensor of ours comes about, by our keys, in the order of the network.
        checks: what has to hold of values.
        left: names of theirs that are not needed and may be there.
        faults: what differs.
    """

    layout: Layout
    recipes: dict[str, Recipe]
    checks: tuple[Check, ...]
    left: tuple[str, ...]
    faults: tuple[Fault, ...]


def match(graph: Graph, tensors: Tensors, layout: Layout) -> Match:
    """Hold a network against a checkpoint under a layout."""
    return _Matcher(graph, tensors, layout).run()


def is_plausible(graph: Graph, tensors: Tensors, layout: Layout) -> bool:
    """Whether anything can fit: the first or the last layer with tensors is found."""
    matcher = _Matcher(graph, tensors, layout)
    nodes = [node for node in graph.nodes if node.tensors]
    try:
        return any(matcher.find(n, n.tensors[0].name)[0] for n in nodes[:1] + nodes[-1:])
    except (AmbiguousError, TemplateError):
        return True


class _Matcher:
    """The state of one match."""

    def __init__(self, graph: Graph, tensors: Tensors, layout: Layout) -> None:
        self.graph = graph
        self.layout = layout
        self.tensors = _as_numbered(tensors) if layout.numbered else dict(tensors)
        self.recipes: dict[str, Recipe] = {}
        self.taken: set[str] = set()
        self.known: dict[str, tuple[str, ...]] = {}
        self.checks: list[Check] = []
        self.faults: list[Fault] = []
        self.users: dict[int, list[Node]] = {}
        for node in graph.nodes:
            for index in node.inputs:
                self.users.setdefault(index, []).append(node)

    def run(self) -> Match:
        """Do it."""
        for node in self.graph.nodes:
            for tensor in node.tensors:
                self.tensor(node, tensor)
        for index, node in enumerate(self.graph.nodes):
            self.surplus(index, node)
        used = self.used_once()
        layout = self.layout
        layers = {name.rpartition(layout.convention.separator)[0] for name in used}
        rest = [name for name in self.tensors if name not in used and not self.counts(name, layers)]
        # What ours has something of is held to be all there.
        ignored = (*layout.ignored, *layout.convention.training)
        absent = [p for p in ignored if not any(fnmatchcase(name, p) for name in used)]
        left = [name for name in rest if any(fnmatchcase(name, p) for p in absent)]
        for name in rest:
            if name not in left:
                shape = shown(self.tensors[name].shape)
                self.faults.append(Fault("unexpected", name, shape))
        for key, recipe in self.recipes.items():
            if fault := recipe.fault():
                self.faults.append(Fault("misshapen", key, fault))
        return Match(layout, self.recipes, tuple(self.checks), tuple(left), tuple(self.faults))

    def counts(self, name: str, layers: Collection[str]) -> bool:
        """Whether a tensor only counts steps, of a layer that is needed or of all."""
        convention = self.layout.convention
        layer, _, last = name.rpartition(convention.separator)
        one = size_of(self.tensors[name].shape) == 1
        return one and last in convention.counters and (not layer or layer in layers)

    # ------------------------------------------------------------ ours

    def tensor(self, node: Node, tensor: Tensor) -> None:
        """Find theirs for one of ours."""
        key = f"{node.path}.{tensor.name}"
        try:
            stored, slot, wanted = self.find(node, tensor.name)
        except (AmbiguousError, TemplateError) as error:
            self.faults.append(Fault("ambiguous", key, str(error)))
            return
        if stored is None or slot is None:
            if node.op == "bn" and tensor.name == "weight" and self.layout.missing_gamma and wanted:
                self.recipes[key] = Recipe(tensor.shape, None)
                return
            why = (
                f"no `{wanted}`" if wanted else f"the layout {self.layout.name} has no rule for it"
            )
            self.faults.append(Fault("missing", key, f"{shown(tensor.shape)}, {why}"))
            return
        self.taken.add(stored.name)
        self.recipes[key] = Recipe(
            tensor.shape,
            stored,
            slot.axes,
            flattened=self.flattened(node, tensor, stored),
            first_dropped=self.background(node, tensor, stored, slot),
            divided_by=self.factor(node, tensor),
        )

    def find(self, node: Node, name: str) -> tuple[Stored | None, Slot | None, str]:
        """Theirs for a tensor of a layer, and else the name under which it was looked for."""
        places = [(node.path, node.op, name)]
        if name in _PARTS.get(node.op, {}):
            part, op, inner = _PARTS[node.op][name]
            places.append((f"{node.path}.{part}", op, inner))
        separator = self.layout.convention.separator
        wanted = ""
        for path, op, inner in places:
            slot = self.layout.convention.slots[op][inner]
            for layer in self.layers(path):
                for theirs in self.names(node, name, slot):
                    full = f"{layer}{separator}{theirs}"
                    if full in self.tensors:
                        return self.tensors[full], slot, full
                    wanted = wanted or full
        return None, None, wanted

    def layers(self, path: str) -> tuple[str, ...]:
        """Their layers for one of ours, which is asked for each of its tensors."""
        if path not in self.known:
            self.known[path] = self.layout.layers(path)
        return self.known[path]

    def names(self, node: Node, name: str, slot: Slot) -> tuple[str, ...]:
        """The names that a tensor can have; `gamma_or_beta` only where it is clear which."""
        mine = {tensor.name for tensor in node.tensors}
        both = node.op == "bn" and {"weight", "bias"} <= mine
        unclear = both and not (name == "bias" and self.layout.missing_gamma)
        return tuple(text for text in slot.names if not (unclear and text == "gamma_or_beta"))

    def factor(self, node: Node, tensor: Tensor) -> Stored | None:
        """Caffe's factor, which its statistics are multiplied by."""
        if node.op != "bn" or tensor.trained or self.layout.convention.name != "caffe":
            return None
        layers = self.layers(node.path)
        return next((s for s in (self.tensors.get(f"{name}/factor") for name in layers) if s), None)

    def background(self, node: Node, tensor: Tensor, stored: Stored, slot: Slot) -> bool:
        """Whether theirs has one class more than ours, and the layout says what it is."""
        if self.layout.background.get(node.path) != tensor.shape[0] + 1:
            return False
        more = Recipe((tensor.shape[0] + 1, *tensor.shape[1:]), stored, slot.axes)
        return not more.fault()

    def flattened(self, node: Node, tensor: Tensor, stored: Stored) -> Map | None:
        """The map behind a dense layer, if theirs has its values in another order than ours."""
        if node.op != "dense" or tensor.name != "weight" or len(stored.shape) != 2:
            return None
        if not self.layout.channels_last:
            return None
        before = self.graph.nodes[node.inputs[0]]
        while before.op in _ELEMENTWISE and not before.shape.is_map:
            before = self.graph.nodes[before.inputs[0]]
        if before.op == "flatten":
            before = self.graph.nodes[before.inputs[0]]
        if before.shape.height is None or before.shape.width is None:
            return None
        if before.shape.height == before.shape.width == 1:
            return None
        return before.shape.channels, before.shape.height, before.shape.width

    # ------------------------------------------------------------ theirs

    def surplus(self, index: int, node: Node) -> None:
        """What theirs has of a layer and ours has not, where it changes nothing or can be moved."""
        mine = {tensor.name for tensor in node.tensors}
        for name, value in (("weight", 1.0), ("bias", 0.0)) if node.op == "bn" else ():
            stored = self.extra(node, name) if name not in mine else None
            if stored is not None:
                self.checks.append(Check(f"{node.path}.{name}", stored, value))
        optional = _OPTIONAL.get(node.op)
        if optional is None or optional in mine:
            return
        users = self.users.get(index, [])
        bias = self.extra(node, optional)
        if bias is None or len(users) != 1 or users[0].op != "bn":
            return
        key = f"{users[0].path}.running_mean"
        if (mean := self.recipes.get(key)) is not None:
            self.recipes[key] = Recipe(
                mean.shape, mean.stored, mean.axes, divided_by=mean.divided_by, minus=bias
            )

    def extra(self, node: Node, name: str) -> Stored | None:
        """Theirs for a tensor that ours does not have."""
        try:
            stored, _, _ = self.find(node, name)
        except (AmbiguousError, TemplateError):
            return None  # said already, of what ours has
        return None if stored is None or stored.name in self.taken else stored

    def used_once(self) -> set[str]:
        """The names of theirs that are used; a fault for each that is used for two of ours."""
        users: dict[str, list[str]] = {}
        names = {stored.name: name for name, stored in self.tensors.items()}
        for key, recipe in self.recipes.items():
            for stored in recipe.sources:
                if stored is not recipe.divided_by:
                    users.setdefault(names[stored.name], []).append(key)
        for name, keys in users.items():
            if len(keys) > 1:
                text = f"`{name}` is also taken for {keys[0]}"
                self.faults += [Fault("ambiguous", key, text) for key in keys[1:]]
        used = set(users)
        used |= {names[r.divided_by.name] for r in self.recipes.values() if r.divided_by}
        return used | {names[check.stored.name] for check in self.checks}


def _as_numbered(tensors: Tensors) -> dict[str, Stored]:
    """Tensors of Keras under names whose numbers count from 0."""
    layers = renumbered(name.partition("/")[0] for name in tensors)
    found = {}
    for name, stored in tensors.items():
        layer, slash, rest = name.partition("/")
        found[f"{layers[layer]}{slash}{rest}"] = stored
    return found
