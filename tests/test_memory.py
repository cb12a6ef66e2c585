"""The memory of activations: by hand, by counting once more, and as PyTorch keeps them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import incgen
from incgen.compiling import compile_spec
from incgen.graph.memory import SAME_IN_INFERENCE, memory
from incgen.graph.nodes import Graph
from incgen.graph.unused import needed
from incgen.language.ops import OPS
from incgen.targets import TARGETS

SPECS = sorted((Path(__file__).parent.parent / "specs").glob("*.inc"))


def net(body: str, size: str = "4x4 2") -> Graph:
    text = f"numerics torch\nnetwork net {{\n input {size}\n{body}\n}}\n"
    return compile_spec("net.inc", text=text)


def figures(graph: Graph) -> dict[str, tuple[int, int | None]]:
    """Return what is kept and what is live, by key."""
    usage = memory(graph)
    pairs = zip(usage.kept, usage.live, strict=True)
    return {node.path: pair for node, pair in zip(graph.nodes, pairs, strict=True)}


def test_a_small_network_worked_out_by_hand() -> None:
    """The values have 32, 48, 48, 48, 32, 48, 80, 80, 5 and 4 numbers, of 4 bytes each.

    Kept are the image and both values of the network in front of the branches, since a convolution
    and a normalisation take the first two, and the ReLU's own is needed; the mask of the dropout,
    of 80 bytes; and what the dense layers take.
    """
    graph = net("""
        a: conv 3x3 3 pad=1
        bn -> relu
        concat { b: conv 1x1 2
                 c: max_pool 3x3 }
        aux head { global_avg_pool -> dense 6 }
        dropout 0.5
        global_avg_pool
        logits: dense 4
    """)

    assert figures(graph) == {
        "input": (128, 128),
        "a": (192, 4 * (32 + 48)),
        "bn": (0, 4 * (48 + 48)),
        "relu": (192, 4 * (48 + 48)),
        "b": (0, 4 * (48 + 32)),
        "c": (0, 4 * (48 + 32 + 48)),
        "concat": (0, 4 * (32 + 48 + 80)),
        "head.0": (20, None),
        "head.1": (0, None),
        "dropout": (80, 4 * 80),  # in inference, the same memory
        "global_avg_pool": (20, 4 * (80 + 5)),
        "logits": (0, 4 * (5 + 4)),
    }
    usage = memory(graph)
    assert (usage.training, usage.inference) == (128 + 192 + 192 + 20 + 80 + 20, 640)


def test_a_separable_convolution_is_two() -> None:
    """Between its parts are 3 maps of 4 x 4 for each of 2 channels: 96 numbers."""
    before = net("separable_conv 3x3 5 multiplier=3 -> relu")
    after = net("relu -> separable_conv 3x3 1 multiplier=3")

    assert figures(before)["separable_conv"] == (4 * 96, 4 * (96 + 80))
    assert figures(after)["separable_conv"] == (4 * 96, 4 * (32 + 96))


def test_a_value_lives_until_the_last_layer_that_takes_it() -> None:
    graph = net("""
        a: conv 1x1 1
        b: conv 1x1 3
        c: conv 1x1 1
        add { identity
              from a -> identity }
    """)

    live = {path: live for path, (_, live) in figures(graph).items()}
    assert live == {
        "input": 4 * 32,
        "a": 4 * (32 + 16),
        "b": 4 * (16 + 48),
        "c": 4 * (16 + 48 + 16),
        "add": 4 * (16 + 16 + 16),
    }


def test_nothing_is_kept_where_nothing_in_front_is_trained() -> None:
    usage = figures(net("relu -> max_pool 3x3 -> tanh -> dropout 0.1 -> conv 1x1 2 -> relu"))

    assert [kept for kept, _ in usage.values()] == [0, 0, 0, 0, 128, 0, 128]


def test_a_flattened_map_is_the_same_memory() -> None:
    usage = figures(net("a: conv 1x1 2 -> flatten -> dense 3"))

    assert [kept for kept, _ in usage.values()] == [128, 128, 0, 0]
    assert [live for _, live in usage.values()] == [128, 256, 128, 140]


def test_a_factor_is_kept_for_the_others() -> None:
    """The image needs no derivative, so the gate is not kept for it."""
    gated = figures(net("mul { relu\n g: conv 1x1 2 }"))
    both = figures(net("conv 1x1 2 -> mul { tanh\n g: conv 1x1 2 }"))

    assert [kept for kept, _ in gated.values()] == [128, 128, 0, 0]
    assert [kept for kept, _ in both.values()] == [128, 128, 128, 128, 0]


# ---------------------------------------------------------------- counted once more


def live_values(graph: Graph) -> Iterator[int]:
    """Yield the numbers that are live at each layer, found by asking who still needs what."""
    nodes, output = graph.nodes, next(iter(graph.outputs.values()))
    order = sorted(needed(nodes, (output,)))

    def home(index: int) -> int:
        node = nodes[index]
        return home(node.inputs[0]) if node.op in SAME_IN_INFERENCE else index

    for place, now in enumerate(order):
        later = {home(source) for index in order[place:] for source in nodes[index].inputs}
        made = {home(index) for index in order[: place + 1]}
        after = {home(output)} if home(output) in made else set[int]()
        yield 4 * sum(nodes[index].shape.size for index in made & (later | after | {home(now)}))


@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.stem)
def test_what_is_live_in_the_specs(path: Path) -> None:
    graph = compile_spec(path)
    live = [size for size in memory(graph).live if size is not None]
    separable = {
        place
        for place, index in enumerate(sorted(needed(graph.nodes, [*graph.outputs.values()][:1])))
        if graph.nodes[index].op == "separable_conv"
    }

    for place, (ours, counted) in enumerate(zip(live, live_values(graph), strict=True)):
        assert ours == counted or (place in separable and ours > 0)


# ---------------------------------------------------------------- as PyTorch keeps them

#: Specs that `make test` tries; the others are slow.
QUICK = ("inception_v2_factorized",)
BATCH = 2  # PyTorch normalises no single value


@pytest.mark.parametrize(
    "path",
    [
        pytest.param(path, marks=() if path.stem in QUICK else pytest.mark.slow, id=path.stem)
        for path in SPECS
    ],
)
def test_pytorch_keeps_these_and_what_is_listed(path: Path) -> None:
    """Expect what it keeps besides in `_more`, but for layers of several parts."""
    graph = compile_spec(path)
    kept, saved = BATCH * memory(graph).training + _more(graph), saved_by_pytorch(graph, path)
    if own_layers(graph) <= STORING_NOTHING:
        assert saved == kept
    else:  # some store what is between their parts
        assert kept <= saved


CALLS = (
    *(op.name for op in OPS.values() if op.kind == "activation" and not op.arguments),
    *("leaky_relu 0.1", "gelu tanh", "gelu erf", "scale 0.5", "pad 1", "bn", "conv 3x3 2"),
    *("max_pool 3x3", "avg_pool 3x3", "dropout 0.5", "dropout 0", "depthwise_conv 3x3"),
    "separable_conv 3x3 4",
)


@pytest.mark.parametrize("op", CALLS)
def test_pytorch_keeps_as_much_of_every_op(op: str) -> None:
    text = f"a: conv 1x1 2 -> {op}\n b: conv 1x1 1 -> mul {{ sigmoid\n c: conv 1x1 1 }}"
    graph = net(text)
    source = f"numerics torch\nnetwork net {{\n input 4x4 2\n{text}\n}}\n"

    saved = saved_by_pytorch(graph, "net.inc", source)
    assert saved == BATCH * memory(graph).training + _more(graph)


def saved_by_pytorch(graph: Graph, spec: Path | str, text: str | None = None) -> int:
    """Return the bytes that PyTorch saves in a training step, without parameters and statistics."""
    torch = pytest.importorskip("torch")
    module = incgen.load(spec, "torch", text=text)
    model = getattr(module, TARGETS["torch"].entry(graph.program.network.name))()
    own = {tensor.data_ptr() for tensor in (*model.parameters(), *model.buffers())}
    saved: dict[int, int] = {}

    def pack(tensor: Any) -> Any:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            saved[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        outputs = model.train()(torch.zeros(BATCH, *graph.input.sizes))
    assert outputs is not None  # which holds what is saved
    return sum(saved.values())


#: Layers that generated code defines, and that store no more than ours do.
STORING_NOTHING = {"+", "FlattenLinear", "GlobalAvgPool", "Scale", "SeparableConv2d"}


def own_layers(graph: Graph) -> set[str]:
    """Return the layers of a network that are not PyTorch's own."""
    names = set(TARGETS["torch"].calls(graph).layers.values())
    return {name for name in names if not name.startswith(("nn.", "torch."))}


def _more(graph: Graph) -> int:
    """Return the bytes that PyTorch keeps besides: what it could do without, or once for a batch.

    The place of the largest pixel of each window, in 8 bytes; the mean and variance of each channel
    of a batch; masks of dropouts in float32; and what an average pooling takes.
    """
    kept, total = memory(graph).kept, 0
    trained: set[int] = set()  # values with a parameter in front of them
    averaged: set[int] = set()
    for index, node in enumerate(graph.nodes):
        if node.parameters or trained.intersection(node.inputs):
            trained.add(index)
        if not trained.intersection(node.inputs):
            continue
        if node.op == "max_pool" or node.args.get("kind") == "max":
            total += BATCH * 8 * node.shape.size
        elif node.op == "avg_pool" or node.args.get("kind") == "avg":
            averaged.update(node.inputs)
        elif node.op == "bn":
            total += 2 * 4 * node.shape.channels
        elif node.op == "dropout" and node.args["rate"]:
            total += BATCH * (4 - 1) * node.shape.size
    stored = sum(4 * graph.nodes[index].shape.size for index in averaged if not kept[index])
    return total + BATCH * stored
