"""Choose the set of tensors that is meant among all that fit a network, or report them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from fnmatch import fnmatchcase
from pathlib import Path
from shlex import quote

from incgen.base.diagnostics import SpecError, counted, listed
from incgen.base.help import near
from incgen.compiling import Parameters
from incgen.graph.nodes import Graph, Node
from incgen.language.arithmetic import Value
from incgen.language.printing import setting
from incgen.syntax.loader import STDIN
from incgen.weights.checkpoint import Stored
from incgen.weights.errors import MOST, Fault, MismatchError, WeightsError
from incgen.weights.finding import TOP, Candidate
from incgen.weights.layout import Layout
from incgen.weights.layouts import FOLDER
from incgen.weights.matching import ELEMENTWISE, Anew, Tensors
from incgen.weights.recipes import Recipe

#: Ops between a classifier and the output of a network: they have no tensors and keep the classes.
_BEHIND = ELEMENTWISE | {"softmax", "global_avg_pool", "global_max_pool", "flatten"}
#: The advice of commands with that option on choosing one of several sets.
TAKE_PART = "`--part NAME` takes one of them"
#: The advice of commands without it.
MAKE_ONE = "make a file of one with `incgen weights import --part NAME`"
#: The most layers of theirs that a report offers to ignore.
_FEW = 3


@dataclass(frozen=True, slots=True)
class Request:
    """The request of a user, for reports."""

    path: Path
    graph: Graph
    parameters: Parameters  #: The given parameters
    part: str | None  #: The requested set of tensors, if any
    layouts: int  #: How many layouts were tried; 1 if one was requested
    with_parameters: Callable[[Parameters], Graph]  #: Makes the network with other parameters
    remedy: str = TAKE_PART  #: What a report of several sets says about choosing one

    @property
    def name(self) -> str:
        """Return what reports call the file."""
        return f"`{self.path.as_posix()}`"

    @property
    def network(self) -> str:
        """Return what reports call the network."""
        return f"`{self.graph.program.network.name}`"


def layers_anew(graph: Graph, patterns: Iterable[str], seed: int) -> Anew:
    """Return what is reinitialised: layers that a pattern names, or that are in what it names.

    Raises:
        WeightsError: A pattern names no layer, or together they name all.
    """
    weighted = [node.path for node in graph.nodes if node.tensors]
    chosen: set[str] = set()
    for pattern in patterns:
        named = {path for path in weighted if any(fnmatchcase(p, pattern) for p in _within(path))}
        if not named:
            known = dict.fromkeys(place for path in weighted for place in _within(path))
            offer = near(pattern, known) or "`incgen show` lists the layers"
            raise WeightsError(f"no layer with weights is called `{pattern}`: {offer}")
        chosen |= named
    if chosen and len(chosen) == len(weighted):
        raise WeightsError("nothing is left to take from the file: use `incgen weights init`")
    return Anew(frozenset(chosen), seed)


def checked_rules(graph: Graph, rules: Mapping[str, str], tensors: Tensors) -> dict[str, str]:
    """Return rules, each of which maps a layer of ours to one of theirs."""
    weighted = [node.path for node in graph.nodes if node.tensors]
    scopes = {scope for name in tensors for scope in _scopes(name)}
    for ours, theirs in rules.items():
        if ours not in weighted:
            offer = near(ours, weighted) or "`incgen show --all` lists the layers"
            raise WeightsError(f"no layer with weights is called `{ours}`: {offer}")
        if theirs not in scopes:
            offer = near(theirs, scopes) or "`incgen weights show` lists its tensors"
            raise WeightsError(f"the file has no layer `{theirs}`: {offer}")
    return dict(rules)


def _scopes(name: str) -> Iterator[str]:
    """Yield all names for the layer of a tensor in a rule, with and without its prefix."""
    places = [match.start() for match in re.finditer("[./]", name)]
    for start in (0, *(place + 1 for place in places)):
        yield from (name[start:end] for end in places if end > start)


def _within(path: str) -> list[str]:
    """Return a layer and everything that contains it."""
    parts = path.split(".")
    return [".".join(parts[: end + 1]) for end in range(len(parts))]


def choose(request: Request, candidates: Sequence[Candidate], tensors: Tensors) -> Candidate:
    """Return the requested set.

    A layout of the network itself goes before those of others. Of layouts that take the same
    tensors it has the one whose published network was asked for.

    Raises:
        MismatchError: No set fits; the report is for the closest one.
        WeightsError: Several sets fit, or there is no such part.
    """
    if not candidates:
        raise WeightsError(
            f"{request.name} has no part `{request.part}` with weights of {request.network}: "
            f"there is {_parts(tensors)}"
        )
    fitting: dict[str, Candidate] = {}
    whole = [candidate for candidate in candidates if not candidate.faults]
    own = {c.part for c in whole if not c.layout.is_of_another}
    for candidate in whole:
        if candidate.layout.is_of_another and candidate.part in own:
            continue
        other = fitting.setdefault(candidate.part, candidate)
        if other.match.recipes != candidate.match.recipes:
            names = listed([other.layout.name, candidate.layout.name])
            raise WeightsError(
                f"{request.name} fits the layouts {names}, which disagree about it: "
                "choose one with --layout"
            )
        given = request.parameters
        if settings(other.layout, given) and not settings(candidate.layout, given):
            fitting[candidate.part] = candidate
    if not fitting:
        raise _mismatch(request, min(candidates, key=lambda c: len(c.faults)))
    first, *others = fitting.values()
    if others and not all(_same_values(first, other) for other in others):
        raise _several(request, [first, *others], tensors)
    return first


def _parts(tensors: Tensors) -> str:
    """Describe the top level of a file."""
    counts: dict[str, int] = {}
    for name in tensors:
        top = name.partition("/" if "/" in name else ".")[0]
        counts[top] = counts.get(top, 0) + 1
    some = [f"`{top}` with {counted(n, 'tensor')}" for top, n in list(counts.items())[:MOST]]
    more = [f"{len(counts) - MOST} more"] if len(counts) > MOST else []
    return ", ".join(some + more)


def _same_values(one: Candidate, other: Candidate) -> bool:
    """Return whether two sets hold the same numbers: one model under two names."""
    import numpy as np

    try:
        return all(
            np.array_equal(recipe.values(), other.match.recipes[key].values())
            for key, recipe in one.match.recipes.items()
        )
    except WeightsError:
        return False


def _sources(candidate: Candidate) -> set[Stored]:
    """Return the tensors of the set itself that are used."""
    recipes = candidate.match.recipes.values()
    return {stored for recipe in recipes for stored in recipe.sources if not recipe.part}


def _several(request: Request, candidates: Sequence[Candidate], tensors: Tensors) -> WeightsError:
    lines = [f"{request.name} holds several sets of weights that fit {request.network}"]
    order = {stored.name: place for place, stored in enumerate(tensors.values())}
    for candidate in sorted(candidates, key=lambda c: min(order[s.name] for s in _sources(c))):
        what = counted(len(_sources(candidate)), "tensor")
        if candidate.part == TOP:
            what += " without a prefix"
        if rest := {recipe.part for recipe in candidate.match.recipes.values() if recipe.part}:
            what += f", the running statistics of {listed(sorted(rest))}"
        lines.append(f"  `--part {quote(candidate.part)}`: {what}")
    lines.append(f"help: {request.remedy}")
    return WeightsError("\n".join(lines))


# ---------------------------------------------------------------- what does not fit


def _mismatch(request: Request, closest: Candidate) -> MismatchError:
    title = title_of(request, closest)
    faults = closest.faults
    help_ = [*settings(closest.layout, request.parameters), *_advice(request, closest)]
    most = None
    if request.layouts > 1:
        title += f", which is the closest of {request.layouts}"
        most = MOST
        if len(faults) > MOST:
            help_.append(f"`--layout {closest.layout.name}` lists everything")
        help_ += _drafting(request, closest)
    return MismatchError(title, [*faults, *closest.strays], help=help_, most=most)


def _drafting(request: Request, candidate: Candidate) -> list[str]:
    """Say what to type if less than half of the network matches the names in any layout."""
    if 2 * len(candidate.match.recipes) >= len(request.graph.tensors()):
        return []
    network = request.graph.program.network
    spec = Path(network.span.source.name)
    output = spec.parent / FOLDER / network.name / "NAME.toml"
    given = "-" if spec.as_posix() == STDIN else quote(spec.as_posix())
    command = f"incgen weights layout {quote(str(request.path))} {given} -o {quote(str(output))}"
    if request.parameters:
        command += f" {said(request.parameters)}"
    return [f"`{command}` drafts a layout for a file whose layers no layout knows"]


def title_of(request: Request, candidate: Candidate) -> str:
    """Describe what does not fit."""
    under = f"under the layout `{candidate.layout.name}`"
    if candidate.part != TOP:
        under = f"with its part `{candidate.part}` {under}"
    return f"{request.name} does not fit {request.network} {under}"


def settings(layout: Layout, parameters: Parameters) -> list[str]:
    """Name the settings of the published network, if they differ from the given ones."""
    other = {name: v for name, v in layout.settings.items() if parameters.get(name) != v}
    return [f"the published network is that of `{said(other)}`"] if other else []


def said(parameters: Parameters) -> str:
    """Write values of parameters as on a command line."""
    return " ".join(setting(name, value) for name, value in parameters.items())


def _advice(request: Request, candidate: Candidate) -> list[str]:
    """Say what to type if only a classifier differs, or only something is left over."""
    lacking = [fault for fault in candidate.match.faults if fault.kind in ("missing", "misshapen")]
    if len(lacking) < len(candidate.match.faults):
        return []
    heads = _classifiers(request.graph)
    layers = list(dict.fromkeys(_layer(fault) for fault in lacking))
    if not {*layers} <= {*heads}:
        return []
    lines = []
    classes, rules = _theirs(candidate, [heads[layer] for layer in layers])
    other = _with_classes(request, classes)
    options = " ".join([*([said(other)] if other else []), *rules])
    if rules:
        lines.append(f"`{options}` imports what the file has under another name")
    elif other and not other.items() <= candidate.layout.settings.items():
        lines.append(f"`{options}` gives the network as many classes as the file has")
    if layers:
        options = " ".join(f"--fresh {layer}" for layer in layers)
        what = "the layer" if len(layers) == 1 else "these layers"
        lines.append(f"`{options}` reinitialises {what} as the spec says")
    separator = candidate.layout.convention.separator
    scopes = dict.fromkeys(_scope(stored, separator) for stored in candidate.match.unexpected)
    if 0 < len(scopes) <= _FEW:
        options = " ".join(f"--ignore {quote(scope)}" for scope in scopes)
        lines.append(f"`{options}` leaves out what is not part of the network")
    return lines


def _layer(fault: Fault) -> str:
    key = fault.key
    for end in ("depthwise.weight", "pointwise.weight", "pointwise.bias"):
        if key.endswith(f".{end}"):
            return key.removesuffix(f".{end}")
    return key.rpartition(".")[0]


def _scope(stored: Stored, separator: str) -> str:
    layer, sep, _ = stored.name.rpartition(separator)
    return f"{layer}{separator}*" if sep else stored.name


def _classifiers(graph: Graph) -> dict[str, Node]:
    """Return the layers that the outputs of a network come from, by their paths."""
    heads = {}
    for index in graph.outputs.values():
        node = graph.nodes[index]
        while not node.tensors and node.op in _BEHIND:
            node = graph.nodes[node.inputs[0]]
        if node.op in ("dense", "conv"):
            heads[node.path] = node
    return heads


def _theirs(candidate: Candidate, heads: Sequence[Node]) -> tuple[dict[str, int], list[str]]:
    """Return how many classes theirs has, and rules for classifiers with another name."""
    classes: dict[str, int] = {}
    rules: list[str] = []
    spare = [*candidate.match.unexpected, *candidate.beside]
    for node in heads:
        recipe = candidate.match.recipes.get(f"{node.path}.weight")
        if recipe is None and (recipe := _alike(candidate.layout, node, spare)) is not None:
            assert recipe.stored is not None
            spare.remove(recipe.stored)
            layer = recipe.stored.name.rpartition(candidate.layout.convention.separator)[0]
            rules.append(f"--rule {quote(f'{node.path}={layer}')}")
        if recipe is not None and recipe.outputs is not None:
            classes[node.path] = recipe.outputs
    return classes, rules


def _alike(layout: Layout, node: Node, spare: Sequence[Stored]) -> Recipe | None:
    """Return the weights of the classifier with the closest name."""
    slot = layout.convention.slots[node.op]["weight"]
    wanted = next(iter(layout.layers(node.path)), node.path)
    (ours,) = (tensor.shape for tensor in node.tensors if tensor.name == "weight")
    alike: list[tuple[float, Recipe]] = []
    for stored in spare:
        layer, _, name = stored.name.rpartition(layout.convention.separator)
        outputs = Recipe(ours, stored, slot.axes).outputs
        if name not in slot.names or outputs is None:
            continue
        recipe = Recipe((outputs, *ours[1:]), stored, slot.axes)
        if not recipe.fault():
            alike.append((SequenceMatcher(None, wanted, layer).ratio(), recipe))
    return max(alike, key=lambda pair: pair[0], default=(0.0, None))[1]


def _with_classes(request: Request, theirs: Mapping[str, int]) -> dict[str, Value]:
    """Return the parameter that gives classifiers as many classes as theirs, if any."""
    keys = {f"{layer}.weight": classes for layer, classes in theirs.items()}
    ours = request.graph.tensors()
    if len(set(keys.values())) != 1 or all(ours[key].shape[0] == n for key, n in keys.items()):
        return {}
    classes = next(iter(keys.values()))
    for formal in request.graph.program.network.parameters:
        value: dict[str, Value] = {formal.name: classes}
        try:
            shapes = request.with_parameters({**request.parameters, **value}).tensors()
        except (SpecError, ValueError):
            continue
        if all(key in shapes and shapes[key].shape[0] == classes for key in keys):
            return value
    return {}
