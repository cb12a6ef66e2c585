"""Match a network with a checkpoint under one layout, and report what differs.

No values are read: names and shapes decide.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import TypeAlias

from incgen.graph.nodes import Graph, Node
from incgen.graph.shapes import Tensor
from incgen.language.ops import OPS
from incgen.weights.checkpoint import Stored, shown, size_of
from incgen.weights.conventions import Slot
from incgen.weights.errors import Fault
from incgen.weights.layout import AmbiguousError, Layout
from incgen.weights.recipes import Fresh, Map, Recipe
from incgen.weights.templates import TemplateError

#: Ops of which the second is part of the first, as in the names of the first one's tensors.
_PARTS = {
    "separable_conv": {
        "depthwise.weight": ("depthwise", "depthwise_conv", "weight"),
        "pointwise.weight": ("pointwise", "conv", "weight"),
        "pointwise.bias": ("pointwise", "conv", "bias"),
    }
}
#: The tensors that an op can have, for those that theirs has and ours lacks.
_OPTIONAL = {"conv": "bias", "depthwise_conv": "bias", "separable_conv": "pointwise.bias"}
#: Ops between a flattened map and a dense layer that keep the order of values.
ELEMENTWISE = frozenset(op.name for op in OPS.values() if op.elementwise)

#: The tensors of a checkpoint by the names that a layout uses.
Tensors: TypeAlias = Mapping[str, Stored]


@dataclass(frozen=True, slots=True)
class Anew:
    """The layers to reinitialise instead of importing them, by path, and the seed."""

    layers: frozenset[str] = frozenset()
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Check:
    """A tensor of theirs that ours has no place for, so it must be constant."""

    key: str  #: Our key, if we had such a tensor
    stored: Stored
    value: float  #: The value it must have everywhere


@dataclass(frozen=True, slots=True)
class Match:
    """The result of matching tensors under a layout."""

    layout: Layout
    #: How each tensor of ours comes about, by our keys, in the order of the network
    recipes: dict[str, Recipe]
    checks: tuple[Check, ...]  #: Conditions on values
    left: tuple[str, ...]  #: Names of theirs that are not needed and may be there
    unexpected: tuple[Stored, ...]  #: Tensors that are not needed and may not be there
    faults: tuple[Fault, ...]  #: Other differences


class Names:
    """A layout's names for the tensors of a network; `rules` take precedence over the layout."""

    def __init__(
        self, graph: Graph, layout: Layout, rules: Mapping[str, str] | None = None
    ) -> None:
        self.graph = graph
        self.layout = layout
        self.rules = dict(rules or {})
        self._layers: dict[str, tuple[str, ...]] = {
            ours: (theirs,) for ours, theirs in self.rules.items()
        }

    def of(self, node: Node, name: str) -> list[tuple[str, Slot]]:
        """Return the names that a tensor of a layer can have, and how it is stored under each.

        Raises:
            AmbiguousError: Two rules disagree about the layer.
            TemplateError: A rule computes with something that is not a number.
        """
        places = [(node.path, node.op, name)]
        if name in _PARTS.get(node.op, {}):
            part, op, inner = _PARTS[node.op][name]
            places.append((f"{node.path}.{part}", op, inner))
        convention = self.layout.convention
        names = []
        for path, op, inner in places:
            slot = convention.slots[op][inner]
            for layer in self.layers(path):
                for theirs in self._variables(node, name, slot):
                    names.append((f"{layer}{convention.separator}{theirs}", slot))
        return names

    def layers(self, path: str) -> tuple[str, ...]:
        """Return their layers for one of ours, cached because each of its tensors needs them."""
        if path not in self._layers:
            self._layers[path] = self.layout.layers(path)
        return self._layers[path]

    def all_layers(self, node: Node) -> tuple[str, ...]:
        """Return their layers for one of ours and for its parts."""
        parts = {part for part, _, _ in _PARTS.get(node.op, {}).values()}
        paths = [node.path, *(f"{node.path}.{part}" for part in sorted(parts))]
        return tuple(layer for path in paths for layer in self.layers(path))

    def keys(self) -> dict[str, set[str]]:
        """Return our keys by all the names that theirs can have, except ambiguous ones."""
        keys: dict[str, set[str]] = {}
        for node in self.graph.nodes:
            for tensor in node.tensors:
                try:
                    names = self.of(node, tensor.name)
                except (AmbiguousError, TemplateError):
                    continue
                for name, _ in names:
                    keys.setdefault(name, set()).add(f"{node.path}.{tensor.name}")
        return keys

    def _variables(self, node: Node, name: str, slot: Slot) -> tuple[str, ...]:
        """Return the possible names of a tensor; `gamma_or_beta` only if it is unambiguous."""
        if "gamma_or_beta" not in slot.names:  # nearly all
            return slot.names
        mine = {tensor.name for tensor in node.tensors}
        both = node.op == "bn" and {"weight", "bias"} <= mine
        unclear = both and not (name == "bias" and self.layout.missing_gamma)
        return tuple(text for text in slot.names if not (unclear and text == "gamma_or_beta"))


def match(names: Names, tensors: Tensors, prefix: str = "", anew: Anew | None = None) -> Match:
    """Match a network with tensors under a layout.

    The prefix precedes the layout's names in the file, for reports.
    """
    return _Matcher(names, tensors, prefix, anew or Anew()).run()


def is_left(name: str, stored: Stored, layout: Layout) -> bool:
    """Return whether programs store such a tensor beside weights, like a counter."""
    convention = layout.convention
    last = name.rpartition(convention.separator)[2]
    counter = last in convention.counters and size_of(stored.shape) == 1
    return counter or any(fnmatchcase(name, pattern) for pattern in convention.training)


class _Matcher:
    """The state of one match."""

    def __init__(self, names: Names, tensors: Tensors, prefix: str, anew: Anew) -> None:
        self.names = names
        self.graph, self.layout = names.graph, names.layout
        self.tensors = tensors
        self.prefix = prefix
        self.anew = anew
        self.recipes: dict[str, Recipe] = {}
        self.taken: set[str] = set()
        self.replaced: list[str] = []
        self.checks: list[Check] = []
        self.faults: list[Fault] = []
        self.users: dict[int, list[Node]] = {}
        for node in self.graph.nodes:
            for index in node.inputs:
                self.users.setdefault(index, []).append(node)

    def run(self) -> Match:
        """Match all of ours, and collect what is left of theirs."""
        for node in self.graph.nodes:
            for tensor in node.tensors:
                self.tensor(node, tensor)
        for index, node in enumerate(self.graph.nodes):
            self.surplus(index, node)
        used = self.used_once() | set(self.replaced)
        layout = self.layout
        layers = {name.rpartition(layout.convention.separator)[0] for name in used}
        rest = [name for name in self.tensors if name not in used and not self.counts(name, layers)]
        # If ours has a part of something, all of it must exist.
        ignored = (*layout.ignored, *layout.convention.training)
        absent = [p for p in ignored if not any(fnmatchcase(name, p) for name in used)]
        left = [name for name in rest if any(fnmatchcase(name, p) for p in absent)]
        unexpected = tuple(self.tensors[name] for name in rest if name not in left)
        for key, recipe in self.recipes.items():
            if fault := recipe.fault():
                self.faults.append(Fault("misshapen", key, fault))
        left = [self.tensors[name].name for name in (*left, *self.replaced)]
        return Match(
            layout, self.recipes, tuple(self.checks), tuple(left), unexpected, tuple(self.faults)
        )

    def counts(self, name: str, layers: Collection[str]) -> bool:
        """Return whether a tensor only counts steps, of a layer that is needed or of all."""
        convention = self.layout.convention
        layer, _, last = name.rpartition(convention.separator)
        one = size_of(self.tensors[name].shape) == 1
        return one and last in convention.counters and (not layer or layer in layers)

    # ------------------------------------------------------------ ours

    def tensor(self, node: Node, tensor: Tensor) -> None:
        """Find the counterpart of one of ours."""
        key = f"{node.path}.{tensor.name}"
        if node.path in self.anew.layers:
            self.recipes[key] = Recipe(tensor.shape, None, fresh=Fresh(self.anew.seed, key, tensor))
            return
        try:
            stored, slot, wanted = self.find(node, tensor.name)
        except (AmbiguousError, TemplateError) as error:
            self.faults.append(Fault("ambiguous", key, str(error)))
            return
        if stored is None or slot is None:
            if node.op == "bn" and tensor.name == "weight" and self.layout.missing_gamma and wanted:
                self.recipes[key] = Recipe(tensor.shape, None)
                return
            why = f"the layout {self.layout.name} has no rule for it"
            if wanted:
                why = f"no `{self.prefix}{wanted}`"
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
        """Return theirs for a tensor, or else the name it was looked up by."""
        names = self.names.of(node, name)
        for full, slot in names:
            if full in self.tensors:
                return self.tensors[full], slot, full
        return None, None, names[0][0] if names else ""

    def factor(self, node: Node, tensor: Tensor) -> Stored | None:
        """Return Caffe's factor, which its statistics are multiplied by."""
        if node.op != "bn" or tensor.trained or self.layout.convention.name != "caffe":
            return None
        layers = self.names.layers(node.path)
        return next((s for s in (self.tensors.get(f"{name}/factor") for name in layers) if s), None)

    def background(self, node: Node, tensor: Tensor, stored: Stored, slot: Slot) -> bool:
        """Return whether theirs has one class more than ours, as the layout says."""
        if self.layout.background.get(node.path) != tensor.shape[0] + 1:
            return False
        more = Recipe((tensor.shape[0] + 1, *tensor.shape[1:]), stored, slot.axes)
        return not more.fault()

    def flattened(self, node: Node, tensor: Tensor, stored: Stored) -> Map | None:
        """Return the map that a dense layer takes, if theirs has its values in another order."""
        if node.op != "dense" or tensor.name != "weight" or len(stored.shape) != 2:
            return None
        if not self.layout.channels_last:
            return None
        before = self.graph.nodes[node.inputs[0]]
        while before.op in ELEMENTWISE and not before.shape.is_map:
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
        """Handle what theirs has and ours lacks, if it changes nothing or can be merged."""
        if node.path in self.anew.layers:
            self.replace(node)
            return
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
        if users[0].path in self.anew.layers:  # its statistics are reinitialised, without the bias
            self.replaced += [name for name, stored in self.tensors.items() if stored is bias]
            return
        key = f"{users[0].path}.running_mean"
        if (mean := self.recipes.get(key)) is not None:
            self.recipes[key] = replace(mean, minus=bias)

    def replace(self, node: Node) -> None:
        """Skip all that theirs has of a layer that is reinitialised."""
        try:
            layers = self.names.all_layers(node)
        except (AmbiguousError, TemplateError):
            return
        separator = self.layout.convention.separator
        scopes = tuple(f"{layer}{separator}" for layer in layers)
        self.replaced += [
            name
            for name, stored in self.tensors.items()
            if name.startswith(scopes) and stored.name not in self.taken
        ]

    def extra(self, node: Node, name: str) -> Stored | None:
        """Return theirs for a tensor that ours does not have."""
        try:
            stored, _, _ = self.find(node, name)
        except (AmbiguousError, TemplateError):
            return None  # already reported, for ours
        return None if stored is None or stored.name in self.taken else stored

    def used_once(self) -> set[str]:
        """Return the names that are used; record a fault for each that two of ours use."""
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


def unplaced(match: Match) -> list[Fault]:
    """Return the tensors that would be dropped although they change the network."""
    return [
        Fault(
            "without a place here",
            check.key,
            f"`{check.stored.name}` is not {check.value:g} everywhere",
        )
        for check in match.checks
        if not (check.stored.values() == check.value).all()
    ]
