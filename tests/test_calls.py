"""`show --target` is right: each layer of the real models has that class or function."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import incgen
from incgen.compiling import compile_spec
from incgen.graph.nodes import Graph
from incgen.onnx import model
from incgen.show.as_json import as_json
from incgen.show.sheet import View, sheet
from incgen.show.text import as_csv
from incgen.targets import TARGETS

ROOT = Path(__file__).parent.parent
SPECS = sorted((ROOT / "specs").glob("*.inc"))
SMALL = """\
numerics torch
unit conv_bn = conv bias=false -> bn -> relu
block pair(n) {
    concat {
        left: conv_bn 1x1 n
        right: avg_pool 3x3 pad=same count_pad=false -> separable_conv 3x3 n
    }
}
network small {
    input 8x8 4
    mixed: pair 2
    bn scale=false
    max_pool 3x3/2 pad=[0, 1, 0, 1] ceil=false
    add { identity
          conv 1x1 4 }
    logits: dense 3
}
"""


KEYS = (
    *("mixed.left.conv", "mixed.left.bn", "mixed.left.relu", "mixed.right.0", "mixed.right.1"),
    *("mixed.concat", "bn", "max_pool", "conv", "add", "logits"),
)
#: What each framework calls the layers of `KEYS`.
CALLS = {
    "torch": (
        *("nn.Conv2d", "nn.BatchNorm2d", "nn.ReLU", "nn.AvgPool2d", "SeparableConv2d"),
        *("torch.cat", "nn.BatchNorm2d", "nn.ReplicationPad2d + nn.MaxPool2d", "nn.Conv2d", "+"),
        "nn.Flatten + nn.Linear",
    ),
    "keras": (
        *("layers.Conv2D", "UnbiasedBatchNormalization", "layers.ReLU", "Float32AveragePooling2D"),
        *("layers.DepthwiseConv2D + layers.Conv2D", "layers.Concatenate"),
        *("UnbiasedBatchNormalization", "EdgePadding2D + layers.MaxPooling2D", "layers.Conv2D"),
        *("layers.Add", "layers.Permute + layers.Flatten + layers.Dense"),
    ),
    "flax": (
        *("nnx.Conv", "UnbiasedBatchNorm", "nnx.relu", "float32_avg_pool", "SeparableConv"),
        *("jnp.concatenate", "UnbiasedBatchNorm", "nnx.max_pool", "nnx.Conv", "+"),
        "flatten + nnx.Linear",
    ),
    "onnx": (
        *("Conv", "BatchNormalization", "Relu", "AveragePool", "Conv + Conv", "Concat"),
        *("BatchNormalization", "MaxPool", "Conv", "Add", "Flatten + Gemm"),
    ),
}
#: And its unit and block; in ONNX there are none.
USES = {
    "torch": {"mixed": "Pair", "mixed.left": "ConvBN"},
    "keras": {"mixed": "pair", "mixed.left": "conv_bn"},
    "flax": {"mixed": "Pair", "mixed.left": "ConvBN"},
    "onnx": {},
}


@pytest.mark.parametrize("target", list(CALLS))
def test_what_each_framework_calls_them(target: str) -> None:
    graph = compile_spec("small.inc", text=SMALL)
    if target == "onnx":
        pytest.importorskip("onnx")
        calls = model.calls(graph)
    else:
        calls = TARGETS[target].calls(graph)

    assert calls.layers == dict(zip(KEYS, CALLS[target], strict=True))
    assert calls.uses == USES[target]


def test_a_column_for_each_framework() -> None:
    """A unit that a framework has no name for is told by what is inside it."""
    pytest.importorskip("onnx")
    graph = compile_spec("small.inc", text=SMALL)
    calls = {"torch": TARGETS["torch"].calls(graph), "onnx": model.calls(graph)}

    lines = as_csv(sheet(graph, View(columns="op"), calls)).splitlines()

    assert lines[:3] == [
        "layer,op,torch,onnx",
        "input,,,",
        'mixed.left,conv_bn 1x1,ConvBN,"Conv, BatchNormalization, Relu"',
    ]
    layers = json.loads(as_json(graph, depth=1, calls=calls))["layers"]
    assert [layer["calls"] for layer in layers[1:3]] == [
        {"torch": "Pair", "onnx": None},
        {"torch": "nn.BatchNorm2d", "onnx": "BatchNormalization"},
    ]


#: The spec that `make test` tries in PyTorch: its layers differ with the unit that they are in.
QUICK = "inception_v1_slim"
CASES = [
    pytest.param(path, marks=() if path.stem == QUICK else pytest.mark.slow, id=path.stem)
    for path in SPECS
]


def last(name: str) -> str:
    """Return the class of a layer without its module; of several layers that of the last."""
    return name.rpartition(" + ")[2].rpartition(".")[2]


@pytest.mark.parametrize("path", CASES)
def test_modules_of_pytorch_have_these_classes(path: Path) -> None:
    torch = pytest.importorskip("torch")
    graph = compile_spec(path)
    with torch.device("meta"):
        model = model_of(graph, path, "torch")
    modules = dict(model.named_modules())
    calls = TARGETS["torch"].calls(graph)
    joins = {node.path for node in graph.nodes if node.call is None}

    seen = 0
    for key, name in calls.layers.items():
        if key in modules and key not in joins:
            assert type(modules[key]).__name__ == last(name), key
            seen += 1
    for key, name in calls.uses.items():
        if key in modules:
            assert type(modules[key]).__name__ == name, key
    assert seen >= sum(bool(node.tensors) for node in graph.nodes)


@pytest.mark.slow
@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.stem)
def test_layers_of_keras_have_these_classes(path: Path) -> None:
    pytest.importorskip("keras")
    graph = compile_spec(path)
    model = model_of(graph, path, "keras")
    layers = {layer.name.replace("-", "."): type(layer).__name__ for layer in model.layers}
    calls = TARGETS["keras"].calls(graph)

    seen = 0
    for key, name in calls.layers.items():
        if key in layers:
            assert layers[key] == last(name), key
            seen += 1
    assert seen >= sum(bool(node.tensors) for node in graph.nodes)


@pytest.mark.slow
@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.stem)
def test_modules_of_flax_have_these_classes(path: Path) -> None:
    nnx = pytest.importorskip("flax.nnx")
    graph = compile_spec(path)
    model = model_of(graph, path, "flax", rngs=nnx.Rngs(0))
    modules = {".".join(map(str, key)): value for key, value in nnx.iter_modules(model)}
    calls = TARGETS["flax"].calls(graph)

    for node in graph.nodes:
        if node.tensors:
            assert type(modules[node.path]).__name__ == last(calls.layers[node.path]), node.path
    for key, name in calls.uses.items():
        if key in modules:
            assert type(modules[key]).__name__ == name, key


def model_of(graph: Graph, path: Path, target: str, **given: Any) -> Any:
    module = incgen.load(path, target)
    return getattr(module, TARGETS[target].entry(graph.program.network.name))(**given)


SMALL_SPECS = sorted((ROOT / "tests/agreement").glob("*.inc"))


@pytest.mark.parametrize("target", list(TARGETS))
@pytest.mark.parametrize(
    "path",
    [
        pytest.param(path, marks=() if path.stem == "elements" else pytest.mark.slow, id=path.stem)
        for path in SMALL_SPECS
    ],
)
def test_every_layer_of_every_op_has_a_name(path: Path, target: str) -> None:
    """Only a vector that is flattened has no layer in Keras."""
    graph = compile_spec(path)
    calls = TARGETS[target].calls(graph)

    assert list(calls.layers) == [node.path for node in graph.nodes[1:]]
    for node in graph.nodes[1:]:
        assert calls.layers[node.path] or node.op == "flatten", node.path
    assert all(calls.uses.values())
