"""Published checkpoints: our models compute the same or, if theirs cannot run, hold the same."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import torch
from checkpoints import (
    Array,
    listed,
    listed_slim,
    random_arrays,
    write_caffe,
    write_legacy_keras,
    write_old_keras,
    write_old_tensorflow,
    write_tensorflow,
)
from live import LIVE, fits
from parity import difference
from published import (
    PUBLISHED,
    SPECS,
    Published,
    Trial,
    evaluate,
    evaluation,
    images,
    training,
    trial,
)
from safetensors.numpy import load_file
from torch import nn

import incgen
from incgen.graph.nodes import Graph, Node

#: The bar for those that run; a whole network in float64 differs by about 1e-15.
BAR, BAR_TRAINING, BAR_GRADIENTS = 1e-12, 1e-11, 1e-9


#: One of each library and kind of file, preferably small; `make test-slow` and `make agreement` run
#: all.
EVERY_TIME = {
    "pretrainedmodels bninception",
    "pytorchcv bninception",
    "tf_slim inception_v1",
    "torchvision googlenet",
    "keras InceptionV3",
    "pytorch_fid inception_v3",
    "facenet_pytorch InceptionResnetV1",
    "timm legacy_xception",
}


#: Those with a training step come first: entries in the same places of two lists share a fixture.
STEPPED = [entry for entry in PUBLISHED if entry.steps is not None]
ALL = [*STEPPED, *(entry for entry in PUBLISHED if entry.steps is None)]


def tried(entries: list[Published], every_time: set[str]) -> pytest.MarkDecorator:
    """Give `found` some entries, of which a few are tried every time."""
    return pytest.mark.parametrize(
        "found",
        [
            pytest.param(entry, marks=() if entry.name in every_time else pytest.mark.slow)
            for entry in entries
        ],
        ids=lambda entry: entry.name,
        indirect=True,
        scope="module",
    )


@pytest.fixture(scope="module")
def found(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Trial]:
    with trial(request.param, tmp_path_factory.mktemp("published")) as made:
        yield made


@tried(ALL, EVERY_TIME)
def test_its_layout_is_recognised(found: Trial) -> None:
    layout = found.manifest["layout"]

    assert layout["name"] == found.published.layout
    assert layout["set"].items() <= found.published.settings.items()


@tried(ALL, EVERY_TIME)
def test_it_computes_the_same(found: Trial) -> None:
    for what, apart in evaluation(found).items():
        assert apart <= BAR, what


@tried(STEPPED, {"torchvision googlenet", "tf_slim inception_v1"})
def test_it_trains_the_same(found: Trial) -> None:
    """Including auxiliary outputs, gradients of every parameter, and statistics."""
    for what, apart in training(found).items():
        assert apart <= (BAR_GRADIENTS if what == "gradients" else BAR_TRAINING), what


#: Those that match our spec in what only training uses; ports were trained differently.
AS_TRAINED = {
    "torchvision googlenet",
    "torchvision inception_v3",
    "pytorch_fid inception_v3",
    "facenet_pytorch InceptionResnetV1",
    "pytorchcv inceptionv3",
    "keras Xception",
}


@pytest.mark.parametrize("name", sorted(AS_TRAINED))
def test_what_only_training_sees_is_theirs(name: str) -> None:
    """Dropout and how running averages are kept, by the attributes of their layers."""
    (entry,) = (entry for entry in PUBLISHED if entry.name == name)
    with torch.device("meta"):
        rates, averages = seen_in_training(entry.build())
    nodes = incgen.compile_spec(SPECS / f"{entry.spec}.inc", entry.settings).nodes

    assert sorted(node.args["rate"] for node in nodes if node.op == "dropout") == rates
    kept = {(round(n.args["decay"], 9), n.args["eps"]) for n in nodes if n.op == "bn"}
    assert kept == averages


def seen_in_training(model: Any) -> tuple[list[float], set[tuple[float, float]]]:
    """Return the dropout rates, and the decay of running averages with its epsilon."""
    if isinstance(model, nn.Module):
        layers = list(model.modules())
        rates = [layer.p for layer in layers if isinstance(layer, nn.Dropout)]
        norms = [layer for layer in layers if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d)]
        return sorted(rates), {(round(1 - float(n.momentum or 0), 9), n.eps) for n in norms}
    rates = [layer.rate for layer in model.layers if isinstance(layer, keras.layers.Dropout)]
    batch = keras.layers.BatchNormalization
    norms = [layer for layer in model.layers if isinstance(layer, batch)]
    return sorted(rates), {(norm.momentum, norm.epsilon) for norm in norms}


#: Of `live.LIVE`, which `make agreement` tries in full: a renamed classifier of each kind, another
#: number of classes, no head, no classifier, other containers.
OF_TODAY = {
    "pretrainedmodels inceptionv3",
    "pretrainedmodels xception",
    "torchvision inception_v3, no head",
    "timm inception_v4, features only",
    "facenet_pytorch, embeddings, new classes",
    "pytorchcv bninception, 10 classes",
}


@pytest.mark.parametrize("name", sorted(OF_TODAY))
def test_a_model_of_today_fits(name: str) -> None:
    (live,) = (live for live in LIVE if live.name == name)

    assert (live.part, live.layout) in fits(live)


@pytest.mark.slow  # that the port equals its own spec is tried every time
def test_the_port_of_xception_differs_from_the_original_in_two_things(tmp_path: Path) -> None:
    """An eps and the border of one pooling: each changes much, together they give the port."""
    port = next(entry for entry in PUBLISHED if entry.name == "timm legacy_xception")
    assert port.settings == {"eps": 1e-5, "pool_pad": "half"}
    with trial(port, tmp_path) as case:
        x = images(port.size)
        expected = evaluate(case.theirs, x)
        for settings in ({}, {"eps": 1e-5}, {"pool_pad": "half"}):
            ours = replace(case, published=replace(port, settings=settings))
            assert difference(expected, evaluate(ours.torch_model(), x)) > 1e-3, settings


# ---------------------------------------------------------------- what cannot be run

SLIM = [
    ("inception_v1_slim", "slim_inception_v1", {}),
    ("inception_v1_slim", "slim_inception_v1", {"classes": 1000}),
    ("bn_inception_slim", "slim_inception_v2", {}),
    ("inception_v3_tf", "slim_inception_v3", {}),
    pytest.param("inception_v3_tf", "slim_inception_v3", {"classes": 1001}, marks=pytest.mark.slow),
    ("inception_v3_tf", "slim_inception_v3", {"heads": False}),
    ("inception_v4", "slim_inception_v4", {}),
    ("inception_resnet_v2", "slim_inception_resnet_v2", {}),
]


def scopes_of(name: str) -> list[str]:
    """Return the scopes of a checkpoint's layers, in order."""
    return list(dict.fromkeys(variable.rpartition("/")[0] for variable in listed(name)))


def in_their_order(graph: Graph, scopes: list[str]) -> list[Node]:
    """Return our layers with kernels in their order: the auxiliary head goes where theirs is."""
    layers = [node for node in graph.nodes if node.op in ("conv", "separable_conv", "dense")]
    heads = tuple(f"{name}." for name in list(graph.outputs)[1:])
    main = [node for node in layers if not node.path.startswith(heads)]
    place = next((i for i, scope in enumerate(scopes) if "AuxLogits" in scope), len(main))
    return [*main[:place], *(node for node in layers if node not in main), *main[place:]]


def normalisation(graph: Graph, layer: Node) -> Node:
    """Return the normalisation after a layer."""
    index = graph.nodes.index(layer)
    (behind,) = (node for node in graph.nodes if index in node.inputs)
    return behind


def outputs_first(kernel: Array, shape: tuple[int, ...], dropped: int) -> Array:
    """Convert a TensorFlow kernel to ours; a 1x1 kernel can belong to a dense layer."""
    axes = (3, 2, 0, 1) if kernel.ndim == 4 else (1, 0)
    ours = kernel.transpose(axes)[dropped:]
    return ours[:, :, 0, 0] if len(shape) == 2 and ours.ndim == 4 else ours


@pytest.mark.parametrize(("spec", "name", "settings"), SLIM)
def test_a_checkpoint_of_slim(
    spec: str, name: str, settings: dict[str, Any], tmp_path: Path
) -> None:
    """Layers are matched by order on both sides, and axes are moved explicitly."""
    theirs = random_arrays(listed_slim(name)) | {"global_step": np.array(1, "int64")}
    kernels = [name for name, value in theirs.items() if value.ndim == 4]
    theirs |= {f"{name}/RMSProp": theirs[name] for name in kernels[:3]}
    old = name == "slim_inception_v1"
    (write_old_tensorflow if old else write_tensorflow)(tmp_path / "model.ckpt", theirs)

    manifest = incgen.import_weights(
        tmp_path / "model.ckpt", SPECS / f"{spec}.inc", tmp_path / "w.safetensors", settings
    )

    assert manifest["layout"]["name"] == "slim"
    graph = incgen.compile_spec(SPECS / f"{spec}.inc", settings)
    scopes = scopes_of(name)
    if settings.get("heads") is False:
        scopes = [scope for scope in scopes if "AuxLogits" not in scope]
    dropped = 1001 - graph_classes(graph)
    is_held(graph, tmp_path / "w.safetensors", theirs, scopes, dropped)


def is_held(
    graph: Graph, weights: Path, theirs: dict[str, Array], scopes: list[str], dropped: int
) -> None:
    """Check that every tensor of ours comes from the scope in the same position."""
    ours = load_file(weights)
    layers = in_their_order(graph, scopes)
    assert len(layers) == len(scopes)
    for layer, scope in zip(layers, scopes, strict=True):
        prefix = layer.path
        first = dropped if f"{scope}/biases" in theirs and "ogits" in scope else 0
        if layer.op == "separable_conv":
            kernel = theirs[f"{scope}/depthwise_weights"]
            expected = np.stack([kernel[:, :, c, m] for c in range(3) for m in range(8)])
            assert np.array_equal(ours.pop(f"{prefix}.depthwise.weight"), expected[:, None])
            kernel, prefix = theirs[f"{scope}/pointwise_weights"], f"{prefix}.pointwise"
        else:
            kernel = theirs[f"{scope}/weights"]
        weight = ours.pop(f"{prefix}.weight")
        assert np.array_equal(weight, outputs_first(kernel, weight.shape, first)), prefix
        if f"{scope}/biases" in theirs:
            assert np.array_equal(ours.pop(f"{prefix}.bias"), theirs[f"{scope}/biases"][first:])
        else:
            norm = normalisation(graph, layer).path
            for end, variable in {
                "bias": "beta",
                "running_mean": "moving_mean",
                "running_var": "moving_variance",
            }.items():
                expected = theirs[f"{scope}/BatchNorm/{variable}"]
                assert np.array_equal(ours.pop(f"{norm}.{end}"), expected)
            if (gamma := ours.pop(f"{norm}.weight", None)) is not None:
                assert (gamma == 1).all()  # theirs has none
    assert not ours


def graph_classes(graph: Graph) -> int:
    return graph.nodes[next(iter(graph.outputs.values()))].shape.channels


@pytest.mark.parametrize("old", [False, True], ids=["new", "V1"])
def test_the_caffemodel_of_googlenet(old: bool, tmp_path: Path) -> None:
    kernels = listed("caffe_googlenet")
    theirs = random_arrays(kernels)
    biases = random_arrays({name: shape[:1] for name, shape in kernels.items()}, 1)
    layers = [
        (name, "Convolution" if kernel.ndim == 4 else "InnerProduct", [kernel, biases[name]])
        for name, kernel in theirs.items()
    ]
    write_caffe(tmp_path / "x.caffemodel", layers, old=old)
    spec = SPECS / "googlenet.inc"

    manifest = incgen.import_weights(tmp_path / "x.caffemodel", spec, tmp_path / "w.safetensors")

    assert manifest["layout"]["name"] == "caffe"
    ours = load_file(tmp_path / "w.safetensors")
    nodes = [node for node in incgen.compile_spec(spec).nodes if node.tensors]
    assert len(nodes) == len(theirs)
    for node, name in zip(nodes, theirs, strict=True):
        assert np.array_equal(ours[f"{node.path}.weight"], theirs[name]), node.path
        assert np.array_equal(ours[f"{node.path}.bias"], biases[name])


def test_the_caffemodel_of_bn_inception(tmp_path: Path) -> None:
    kernels = listed("caffe_bn_inception")
    theirs = random_arrays(kernels)
    random = np.random.default_rng(1)
    layers: list[tuple[str, str, list[Array]]] = []
    for name, kernel in theirs.items():
        bias = random.normal(size=kernel.shape[0]).astype("f4")
        if kernel.ndim == 2:
            layers.append((name, "InnerProduct", [kernel, bias]))
            continue
        norm = [random.uniform(0.5, 1.5, (1, len(bias))).astype("f4") for _ in range(4)]
        layers += [(name, "Convolution", [kernel, bias]), (f"{name}_bn", "BN", norm)]
    write_caffe(tmp_path / "x.caffemodel", layers)
    spec = SPECS / "bn_inception.inc"

    manifest = incgen.import_weights(
        tmp_path / "x.caffemodel", spec, tmp_path / "w.safetensors", dtype="float64"
    )

    assert manifest["layout"]["name"] == "caffe"
    ours = load_file(tmp_path / "w.safetensors")
    nodes = [node for node in incgen.compile_spec(spec).nodes if node.tensors]
    bias = np.zeros(0)
    for node, (_, kind, blobs) in zip(nodes, layers, strict=True):
        if kind == "BN":
            scale, shift, mean, variance = (blob[0].astype("f8") for blob in blobs)
            assert np.array_equal(ours[f"{node.path}.weight"], scale)
            assert np.array_equal(ours[f"{node.path}.bias"], shift)
            assert np.array_equal(ours[f"{node.path}.running_mean"], mean - bias)
            assert np.array_equal(ours[f"{node.path}.running_var"], variance)
        else:
            assert np.array_equal(ours[f"{node.path}.weight"], blobs[0])
            bias = blobs[1].astype("f8")
    assert np.array_equal(ours["logits.bias"], bias)


def test_a_checkpoint_of_facenets_training(tmp_path: Path) -> None:
    """It has no gamma, but also holds what training needs."""
    theirs = random_arrays(listed_slim("facenet_inception_resnet_v1"))
    other: dict[str, tuple[int, ...]] = {"centers": (8631, 512), "beta1_power": ()}
    for slot, count in (("ExponentialMovingAverage", None), ("Adam", 6), ("Adam_1", 6)):
        other |= {f"{name}/{slot}": theirs[name].shape for name in [*theirs][:count]}
    write_tensorflow(tmp_path / "model.ckpt-9", theirs | random_arrays(other, 1))
    spec, weights = SPECS / "inception_resnet_v1.inc", tmp_path / "w.safetensors"

    manifest = incgen.import_weights(tmp_path / "model.ckpt-9", spec, weights)

    assert manifest["layout"]["name"] == "facenet_tf"
    scopes = scopes_of("facenet_inception_resnet_v1")
    is_held(incgen.compile_spec(spec), weights, theirs, scopes, dropped=0)


def test_the_file_of_kerass_inception_resnet_has_the_names_of_slim(tmp_path: Path) -> None:
    slim = listed_slim("slim_inception_resnet_v2")
    main = {name: shape for name, shape in slim.items() if "AuxLogits" not in name}
    theirs = random_arrays({name: _with_1000(shape) for name, shape in main.items()})
    renamed = {_as_keras_was(name): value for name, value in theirs.items()}
    write_legacy_keras(tmp_path / "x.h5", renamed)
    spec, weights, settings = SPECS / "inception_resnet_v2.inc", tmp_path / "w", {"heads": False}

    manifest = incgen.import_weights(tmp_path / "x.h5", spec, weights, settings)

    assert manifest["layout"]["name"] == "keras_slim_names"
    scopes = [s for s in scopes_of("slim_inception_resnet_v2") if "AuxLogits" not in s]
    is_held(incgen.compile_spec(spec, settings), weights, theirs, scopes, dropped=0)


def _with_1000(shape: tuple[int, ...]) -> tuple[int, ...]:
    return (*shape[:-1], 1000) if shape[-1] == 1001 else shape


def _as_keras_was(name: str) -> str:
    """Rename `InceptionResnetV2/Repeat/block35_1/Conv2d_1x1/weights` to Keras 1's form."""
    scope, _, variable = name.removeprefix("InceptionResnetV2/").rpartition("/")
    layer, _, _ = scope.partition("/BatchNorm")
    if layer == "Logits/Logits":
        layer = "Logits"
    parts = [part for part in layer.split("/") if not part.startswith("Repeat")]
    parts[0] = parts[0][:1].upper() + parts[0][1:]
    if parts[0] == "Block8":
        parts[0] = "Block8_10"
    renamed = {"weights": "kernel", "biases": "bias"}.get(variable, variable)
    layer = "_".join(parts) + ("_BatchNorm" if "/BatchNorm" in scope else "")
    return f"{layer}/{renamed}"


def test_the_file_of_kerass_xception_numbers_layers_as_they_were_written(tmp_path: Path) -> None:
    """It has the names of Keras 1, which wrote a shortcut before the layers that it bypasses."""
    spec = SPECS / "xception.inc"
    graph = incgen.compile_spec(spec)
    written = ["block1_conv1", "block1_conv2"]
    for block in ("block2", "block3", "block4"):
        written += [f"{block}.skip", f"{block}.body.sepconv1", f"{block}.body.sepconv2"]
    written += [f"middle.{n}.body.{i}.1" for n in range(8) for i in range(3)]
    written += ["block13.skip", "block13.body.sepconv1", "block13.body.sepconv2"]
    written += ["block14_sepconv1", "block14_sepconv2"]
    nodes = {node.path: node for node in graph.nodes}
    counts = {"convolution2d": 0, "separableconvolution2d": 0, "batchnormalization": 0}
    shapes: dict[str, tuple[int, ...]] = {}
    expected: dict[str, str] = {}

    def layer(kind: str, path: str, variables: dict[str, tuple[str, tuple[int, ...]]]) -> None:
        counts[kind] += 1
        for ours, (theirs, shape) in variables.items():
            shapes[f"{kind}_{counts[kind]}/{theirs}"] = shape
            expected[f"{path}.{ours}"] = f"{kind}_{counts[kind]}/{theirs}"

    for path in written:
        names = [f"{path}.conv", f"{path}.separable_conv", f"{path}.0"]
        (conv,) = (nodes[name] for name in names if name in nodes)
        sizes = {tensor.name: tensor.shape for tensor in conv.tensors}
        if conv.op == "conv":
            outputs, inputs, high, wide = sizes["weight"]
            kernel = ("kernel", (high, wide, inputs, outputs))
            layer("convolution2d", conv.path, {"weight": kernel})
        else:
            outputs, inputs, _, _ = sizes["pointwise.weight"]
            depthwise = ("depthwise_kernel", (3, 3, inputs, 1))
            pointwise = ("pointwise_kernel", (1, 1, inputs, outputs))
            both = {"depthwise.weight": depthwise, "pointwise.weight": pointwise}
            layer("separableconvolution2d", conv.path, both)
        norm = normalisation(graph, conv).path
        variables = {
            "weight": "gamma",
            "bias": "beta",
            "running_mean": "moving_mean",
            "running_var": "moving_variance",
        }
        layer("batchnormalization", norm, {k: (v, (outputs,)) for k, v in variables.items()})
    shapes |= {"dense_2/kernel": (2048, 1000), "dense_2/bias": (1000,)}
    expected |= {"logits.weight": "dense_2/kernel", "logits.bias": "dense_2/bias"}
    theirs = random_arrays(shapes)
    write_old_keras(tmp_path / "x.h5", theirs)

    manifest = incgen.import_weights(tmp_path / "x.h5", spec, tmp_path / "w.safetensors")

    assert manifest["layout"]["name"] == "keras1"
    ours = load_file(tmp_path / "w.safetensors")
    assert set(ours) == set(expected)
    for key, name in expected.items():
        value = theirs[name]
        if name.endswith("depthwise_kernel"):
            value = value.transpose(2, 3, 0, 1)
        elif value.ndim == 4:
            value = value.transpose(3, 2, 0, 1)
        elif value.ndim == 2:
            value = value.T
        assert np.array_equal(ours[key], value), key
