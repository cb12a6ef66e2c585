"""Published checkpoints: ours computes what theirs does or, of what cannot be run, holds it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from checkpoints import (
    Array,
    listed,
    listed_slim,
    random_arrays,
    write_caffe,
    write_old_tensorflow,
    write_tensorflow,
)
from parity import difference
from published import PUBLISHED, SPECS, Trial, evaluate, evaluation, images, training, trial
from safetensors.numpy import load_file

import incgen
from incgen.graph import Graph, Node

#: Of what runs; a whole network in float64 differs by some 1e-15.
BAR, BAR_TRAINING, BAR_GRADIENTS = 1e-12, 1e-11, 1e-9


@pytest.fixture(scope="module", params=PUBLISHED, ids=lambda published: published.name)
def found(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Trial]:
    with trial(request.param, tmp_path_factory.mktemp("published")) as made:
        yield made


def test_its_layout_is_recognised(found: Trial) -> None:
    layout = found.manifest["layout"]

    assert layout["name"] == found.published.layout
    assert layout["set"].items() <= found.published.settings.items()


def test_it_computes_the_same(found: Trial) -> None:
    for what, apart in evaluation(found).items():
        assert apart <= BAR, what


def test_it_trains_the_same(found: Trial) -> None:
    """Auxiliary outputs, gradients by every parameter and statistics too."""
    if found.published.steps is None:
        return  # the same implementation as another
    for what, apart in training(found).items():
        assert apart <= (BAR_GRADIENTS if what == "gradients" else BAR_TRAINING), what


def test_the_port_of_xception_differs_from_the_original_in_two_things(tmp_path: Path) -> None:
    """An eps and the border of one pooling: each alone changes much, both together are the port."""
    port = next(each for each in PUBLISHED if each.name == "timm legacy_xception")
    assert port.settings == {"eps": 1e-5, "pool_pad": "half"}
    with trial(port, tmp_path) as found:
        x = images(port.size)
        expected = evaluate(found.theirs, x)
        for settings in ({}, {"eps": 1e-5}, {"pool_pad": "half"}):
            ours = replace(found, published=replace(port, settings=settings))
            assert difference(expected, evaluate(ours.torch_model(), x)) > 1e-3, settings


# ---------------------------------------------------------------- what cannot be run

SLIM = [
    ("inception_v1_slim", "slim_inception_v1", {}),
    ("inception_v1_slim", "slim_inception_v1", {"classes": 1000}),
    ("bn_inception_slim", "slim_inception_v2", {}),
    ("inception_v3_tf", "slim_inception_v3", {}),
    ("inception_v3_tf", "slim_inception_v3", {"classes": 1001}),
    ("inception_v3_tf", "slim_inception_v3", {"heads": False}),
    ("inception_v4", "slim_inception_v4", {}),
    ("inception_resnet_v2", "slim_inception_resnet_v2", {}),
]


def in_their_order(graph: Graph, scopes: list[str]) -> list[Node]:
    """Our layers with kernels as they list theirs: the auxiliary head where theirs is."""
    layers = [node for node in graph.nodes if node.op in ("conv", "separable_conv", "dense")]
    heads = tuple(f"{name}." for name in list(graph.outputs)[1:])
    main = [node for node in layers if not node.path.startswith(heads)]
    place = next((i for i, scope in enumerate(scopes) if "AuxLogits" in scope), len(main))
    return [*main[:place], *(node for node in layers if node not in main), *main[place:]]


def normalisation(graph: Graph, layer: Node) -> Node:
    """The normalisation behind a layer."""
    index = graph.nodes.index(layer)
    (behind,) = (node for node in graph.nodes if index in node.inputs)
    return behind


def outputs_first(kernel: Array, shape: tuple[int, ...], dropped: int) -> Array:
    """A kernel of TensorFlow as ours."""
    axes = (3, 2, 0, 1) if kernel.ndim == 4 else (1, 0)
    return kernel.transpose(axes)[dropped:].reshape(shape)


@pytest.mark.parametrize(("spec", "name", "settings"), SLIM)
def test_a_checkpoint_of_slim(
    spec: str, name: str, settings: dict[str, Any], tmp_path: Path
) -> None:
    """By the order in which both list their layers, and axes that are written out here."""
    theirs = random_arrays(listed_slim(name)) | {"global_step": np.array(1, "int64")}
    old = name == "slim_inception_v1"
    (write_old_tensorflow if old else write_tensorflow)(tmp_path / "model.ckpt", theirs)

    manifest = incgen.import_weights(
        tmp_path / "model.ckpt", SPECS / f"{spec}.inc", tmp_path / "w.safetensors", settings
    )

    assert manifest["layout"]["name"] == "slim"
    ours = load_file(tmp_path / "w.safetensors")
    graph = incgen.compile_spec(SPECS / f"{spec}.inc", settings)
    scopes = list(dict.fromkeys(variable.rpartition("/")[0] for variable in listed(name)))
    if settings.get("heads") is False:
        scopes = [scope for scope in scopes if "AuxLogits" not in scope]
    layers = in_their_order(graph, scopes)
    assert len(layers) == len(scopes)
    for layer, scope in zip(layers, scopes, strict=True):
        prefix = layer.path
        dropped = int(
            f"{scope}/biases" in theirs and "ogits" in scope and graph_classes(graph) == 1000
        )
        if layer.op == "separable_conv":
            kernel = theirs[f"{scope}/depthwise_weights"]
            expected = np.stack([kernel[:, :, c, m] for c in range(3) for m in range(8)])
            assert np.array_equal(ours.pop(f"{prefix}.depthwise.weight"), expected[:, None])
            kernel, prefix = theirs[f"{scope}/pointwise_weights"], f"{prefix}.pointwise"
        else:
            kernel = theirs[f"{scope}/weights"]
        found = ours.pop(f"{prefix}.weight")
        assert np.array_equal(found, outputs_first(kernel, found.shape, dropped)), prefix
        if f"{scope}/biases" in theirs:
            assert np.array_equal(ours.pop(f"{prefix}.bias"), theirs[f"{scope}/biases"][dropped:])
        else:
            norm = normalisation(graph, layer).path
            for end, variable in {
                "bias": "beta",
                "running_mean": "moving_mean",
                "running_var": "moving_variance",
            }.items():
                expected = theirs[f"{scope}/BatchNorm/{variable}"]
                assert np.array_equal(ours.pop(f"{norm}.{end}"), expected)
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


def test_the_original_of_facenet_has_no_gamma_and_more_than_weights(tmp_path: Path) -> None:
    """By way of Inception-ResNet-v2, whose blocks have the same names and other widths."""
    spec = SPECS / "inception_resnet_v1.inc"
    graph = incgen.compile_spec(spec)
    match = match_by_names(graph, spec)

    assert match["mixed_7a.wide3x3.1.conv.weight"] == "Mixed_7a/Branch_0/Conv2d_1a_3x3/weights"
    names = {name.partition("/")[2] for name in listed("slim_inception_resnet_v2")}
    kernels = [name for key, name in match.items() if key.endswith("conv.weight")]
    assert [name for name in kernels if name not in names] == ["Conv2d_4b_3x3/weights"]


def match_by_names(graph: Graph, spec: Path) -> dict[str, str]:
    """The names under which the layout looks for our tensors, without their scope."""
    from incgen.weights import layouts
    from incgen.weights.matching import match

    layout = layouts.named("facenet_tf", layouts.find(spec, "inception_resnet_v1"))
    found = match(graph, {}, layout)
    looked = {fault.key: fault.detail.partition("no `")[2].rstrip("`") for fault in found.faults}
    assert not any(key.endswith("bn.weight") for key in looked)
    return {key: name.removeprefix("InceptionResnetV1/") for key, name in looked.items()}
