"""A PyTorch model of a spec beside the module that it is a port of, compared layer by layer.

Both get the same random weights: those of a copy of the original are drawn anew, statistics
included, saved, and imported as a published checkpoint is. Then both evaluate the same images.
Layers with weights stand for each other as the layout says, so a difference is either in a layer,
such as another padding, or between layers, such as a forgotten activation.
"""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from incgen.api import find_targets, imported
from incgen.base.diagnostics import listed
from incgen.compiling import Parameters, SpecPath, compile_spec
from incgen.graph.nodes import Graph, Node
from incgen.verify import measure
from incgen.weights.importing import import_weights
from incgen.weights.into_torch import load_into

if TYPE_CHECKING:
    from torch import Tensor, nn

_BATCH = 2
#: What to look at in a layer that gives something else for the same input.
_SUSPECTS = {
    "bn": "`eps`, the layout, and an activation that may be part of the original's layer",
    "dense": "the order of a flattened map, and whether it is this layer",
}
_SUSPECTS_OF_CONVOLUTIONS = "stride, `pad`, `dilation`, `groups`, and whether it is this layer"


def difference(
    spec: SpecPath,
    original: nn.Module,
    parameters: Parameters | None = None,
    *,
    layout: str | None = None,
    seed: int = 0,
    tolerance: float = 1e-10,
) -> str:
    """Say where the network of a spec begins to differ from the original; "" if it does not.

    Args:
        spec: The spec.
        original: The module; it stays as it is.
        parameters: Values for parameters and constants.
        layout: The layout of its state dict; otherwise the one that fits.
        seed: What weights and images are drawn from.
        tolerance: The largest difference that counts as none, relative to the largest element.

    Raises:
        SpecError, RequestError, MismatchError, WeightsError: As `incgen.import_weights`.
    """
    import torch

    graph = compile_spec(spec, parameters)
    (target,) = find_targets(["torch"])
    module = imported(graph, target)
    ours = getattr(module, target.entry(graph.program.network.name))().double().eval()
    theirs = _drawn(original, seed)
    with tempfile.TemporaryDirectory() as folder:
        saved, port = Path(folder, "original.pth"), Path(folder, "port.safetensors")
        torch.save(theirs.state_dict(), saved)
        made = import_weights(saved, spec, port, parameters, layout=layout, dtype="float64")
        load_into(ours, module, port)
    layers = {
        key.rpartition(".")[0]: tensor["from"][0].rpartition(".")[0]
        for key, tensor in made["tensors"].items()
    }
    generator = torch.Generator().manual_seed(seed)
    images = torch.randn(_BATCH, *graph.input.sizes, generator=generator, dtype=torch.float64)
    mine, other = _seen(ours, layers, images), _seen(theirs, {*layers.values()}, images)
    found = _Comparison(graph, layers, mine, other, tolerance).first()
    return found or _decay(graph, layers, theirs)


def _drawn(original: nn.Module, seed: int) -> nn.Module:
    """Return a copy with random numbers in all that is trained or averaged."""
    import torch

    theirs = copy.deepcopy(original).double().eval()
    generator = torch.Generator().manual_seed(seed)
    for name, value in theirs.state_dict().items():
        if value.is_floating_point():
            noise = torch.rand(value.shape, generator=generator, dtype=value.dtype)
            if value.dim() > 1:  # as wide as keeps the scale of what passes a ReLU
                value.copy_((noise - 0.5) * (24 / value[0].numel()) ** 0.5)
            else:
                value.copy_(noise + (0.5 if name.endswith(("weight", "running_var")) else -0.5))
    return theirs


@dataclass(frozen=True, slots=True)
class _Pass:
    """The input and the output of a layer."""

    taken: Tensor
    given: Tensor


def _seen(model: nn.Module, names: Collection[str], images: Tensor) -> dict[str, _Pass]:
    """Return what layers take and give in an evaluation; the output of the whole is under ""."""
    import torch

    seen: dict[str, _Pass] = {}

    def keep(name: str) -> Any:
        taken: list[Tensor] = []  # cloned before an activation changes it in place

        def before(_: nn.Module, arguments: tuple[Tensor, ...]) -> None:
            taken[:] = [arguments[0].clone()]

        def after(_: nn.Module, __: Any, given: Tensor) -> None:
            seen.setdefault(name, _Pass(taken[0], given.clone()))

        return before, after

    handles = []
    for name in names:
        layer = model.get_submodule(name)
        before, after = keep(name)
        handles += [layer.register_forward_pre_hook(before), layer.register_forward_hook(after)]
    try:
        with torch.no_grad():
            result = model(images)
    finally:
        for handle in handles:
            handle.remove()
    if isinstance(result, Mapping):
        result = next(iter(result.values()))
    seen[""] = _Pass(images, result[0] if isinstance(result, tuple) else result)
    return seen


class _Comparison:
    """Two evaluations, of the model of a spec and of the original."""

    def __init__(
        self,
        graph: Graph,
        layers: Mapping[str, str],
        ours: Mapping[str, _Pass],
        theirs: Mapping[str, _Pass],
        tolerance: float,
    ) -> None:
        self.graph, self.tolerance = graph, tolerance
        self.layers = {
            path: name for path, name in layers.items() if path in ours and name in theirs
        }
        self.ours, self.theirs = ours, theirs
        self.behind: list[list[str]] = []  #: For each node, the nearest layers that it depends on
        for node in graph.nodes:
            nearest = (self.parts(graph.nodes[i])[-1:] or self.behind[i] for i in node.inputs)
            self.behind.append([*dict.fromkeys(path for paths in nearest for path in paths)])

    def parts(self, node: Node) -> list[str]:
        """Return what is compared of a layer: itself, or the two halves of a separable one."""
        paths = (node.path, f"{node.path}.depthwise", f"{node.path}.pointwise")
        return [path for path in paths if path in self.layers]

    def first(self) -> str:
        """Return what is known of the first difference; "" if there is none."""
        for node, behind in zip(self.graph.nodes, self.behind, strict=True):
            for path in self.parts(node):
                other = self.layers[path]
                if how := self.unlike(self.ours[path].taken, self.theirs[other].taken):
                    what = f"what `{path}` takes is not what `{other}` takes: {how}"
                    return f"{_place(node)}: {what}\n{_between(behind)}"
                how = self.unlike(self.ours[path].given, self.theirs[other].given)
                if how and not self.is_made_good(path):
                    what = f"`{path}` takes what `{other}` takes, and gives something else: {how}"
                    look = _SUSPECTS.get(node.op, _SUSPECTS_OF_CONVOLUTIONS)
                    return f"{_place(node)}: {what}\nlook at {look}"
        how = self.unlike(self.ours[""].given, self.theirs[""].given)
        last = next(iter(self.graph.outputs.values()))
        between = _between(self.parts(self.graph.nodes[last]) or self.behind[last])
        return (
            f"{_place(self.graph.nodes[last])}: the output differs: {how}\n{between}" if how else ""
        )

    def is_made_good(self, path: str) -> bool:
        """Return whether what depends on a layer agrees, as behind an activation inside theirs."""
        users = [
            part
            for node, behind in zip(self.graph.nodes, self.behind, strict=True)
            if path in behind
            for part in self.parts(node)[:1]
        ]
        pairs = [(self.ours[u].taken, self.theirs[self.layers[u]].taken) for u in users]
        pairs = pairs or [(self.ours[""].given, self.theirs[""].given)]
        return not any(self.unlike(one, other) for one, other in pairs)

    def unlike(self, ours: Tensor, theirs: Tensor) -> str:
        """Return how two values differ; "" if they do not. Axes of length 1 do not count."""
        if ours.squeeze().shape != theirs.squeeze().shape:
            sizes = [" x ".join(map(str, value.shape[1:])) for value in (ours, theirs)]
            return f"{sizes[0]}, not {sizes[1]}"
        _, apart = measure.difference(theirs.squeeze().numpy(), ours.squeeze().numpy())
        return "" if apart <= self.tolerance else f"apart by {apart:.1e}"


def _between(behind: Sequence[str]) -> str:
    """Say where to look if what is in front of a layer agrees, and what it takes does not."""
    since = listed(list(behind)) if behind else "the input"
    agree = "agree" if len(behind) > 1 else "agrees"
    return f"{since} {agree}: look at activations, poolings and joins in between"


def _place(node: Node) -> str:
    """Return the line of the spec that a layer is from: for one of a unit, where that is used."""
    of_unit = node.use if node.use and node.use.definition.kind == "unit" else None
    span = of_unit.span if of_unit else node.span
    return f"{span.source.name}:{span.line}"


def _decay(graph: Graph, layers: Mapping[str, str], theirs: nn.Module) -> str:
    """Return which normalisation averages otherwise in training."""
    for node in graph.nodes:
        if node.op == "bn" and node.path in layers:
            momentum = getattr(theirs.get_submodule(layers[node.path]), "momentum", None)
            decay = node.args.number("decay")
            if momentum is not None and abs(1 - momentum - decay) > 1e-9:
                return (
                    f"{_place(node)}: `{node.path}` keeps {decay:g} of its statistics in a "
                    f"step, `{layers[node.path]}` {1 - momentum:g}: `bn decay={1 - momentum:g}`"
                )
    return ""
