"""Generated files of deployed forms: they load the weights of the training form, and only infer."""

from __future__ import annotations

import fnmatch
import ntpath
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jax.numpy as jnp
import numpy as np
import onnxruntime
import pytest
import safetensors.numpy
import safetensors.torch
import torch
from flax import nnx

import incgen
from incgen.inference import deployed, find_passes
from incgen.targets import ONNX, TARGETS
from incgen.verify import drawing, inputs, verify
from incgen.verify.reference import Reference
from incgen.weights.checkpoint import Array
from incgen.weights.errors import WeightsError
from incgen.weights.exporting import export_weights

EVERYTHING = Path(__file__).parent / "deploy" / "everything.inc"
GRAPH = incgen.compile_spec(EVERYTHING)
WEIGHTS = {key: value.astype(np.float32) for key, value in drawing.weights(GRAPH, 0).items()}
X = inputs.images(GRAPH, 0, 3).astype(np.float32)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the weights file of the training form."""
    path = tmp_path_factory.mktemp("weights") / "everything.safetensors"
    safetensors.numpy.save_file(WEIGHTS, path)
    return path


@pytest.fixture(scope="module")
def wanted() -> Array:
    """Return the output of the training form in evaluation."""
    doubles = {key: value.astype(np.float64) for key, value in WEIGHTS.items()}
    path = GRAPH.nodes[next(iter(GRAPH.outputs.values()))].path
    return dict(Reference(GRAPH, doubles).values(X.astype(np.float64)))[path]


@cache
def module_of(target: str) -> Any:
    return incgen.load(EVERYTHING, target, deploy=True)


def model_of(target: str, module: Any) -> Any:
    make = getattr(module, TARGETS[target].entry("everything"))
    return make(rngs=nnx.Rngs(0)) if target == "flax" else make()


def called(target: str, model: Any, *, training: bool = False) -> Array:
    """Return the output of a model; `training` tells it to train as its framework does."""
    last = X.transpose(0, 2, 3, 1)
    if target == "torch":
        if training:
            model.train()
        output: Array = model(torch.from_numpy(X)).numpy()
        return output
    if target == "keras":
        return np.asarray(model(last, training=training))
    if training:
        model.train()
    return np.asarray(model(jnp.asarray(last)))


@pytest.mark.parametrize("target", list(TARGETS))
def test_a_deployed_model_loads_the_weights_of_the_training_form(
    target: str, weights: Path, wanted: Array
) -> None:
    module = module_of(target)
    model = model_of(target, module)

    module.load_safetensors(model, weights)

    np.testing.assert_allclose(called(target, model), wanted, rtol=0, atol=1e-5)


@pytest.mark.parametrize("target", list(TARGETS))
def test_a_deployed_model_does_not_train(target: str, weights: Path, wanted: Array) -> None:
    module = module_of(target)
    model = model_of(target, module)
    module.load_safetensors(model, weights)

    # a normalisation is left in it, whose statistics of the batch would show
    np.testing.assert_allclose(called(target, model, training=True), wanted, rtol=0, atol=1e-5)
    if target == "torch":
        assert not any(parameter.requires_grad for parameter in model.parameters())
    if target == "keras":
        assert model.trainable_weights == []


@pytest.mark.parametrize("target", list(TARGETS))
def test_a_deployed_model_loads_deployed_weights(
    target: str, weights: Path, wanted: Array, tmp_path: Path
) -> None:
    file = tmp_path / "deployed.safetensors"
    export_weights(weights, EVERYTHING, file, format="safetensors", deploy=True)
    module = module_of(target)
    model = model_of(target, module)

    module.load_safetensors(model, file)

    np.testing.assert_allclose(called(target, model), wanted, rtol=0, atol=1e-5)


def test_exported_weights_are_those_that_the_loader_makes(weights: Path, tmp_path: Path) -> None:
    file = tmp_path / "deployed.pth"
    export_weights(weights, EVERYTHING, file, format="torch", deploy=True)
    module = module_of("torch")
    model = model_of("torch", module)
    module.load_safetensors(model, weights)

    exported = torch.load(file)

    assert exported.keys() == model.state_dict().keys()
    for key, value in model.state_dict().items():
        torch.testing.assert_close(exported[key], value, rtol=1e-6, atol=0)


@pytest.mark.parametrize("target", list(TARGETS))
def test_weights_that_other_passes_deployed_are_refused(
    target: str, weights: Path, tmp_path: Path
) -> None:
    file = tmp_path / "deployed.safetensors"
    export_weights(weights, EVERYTHING, file, format="safetensors", deploy=["fold-scale"])
    module = module_of(target)

    with pytest.raises(ValueError, match="was deployed by `fold-scale`, not by `heads fold-scale"):
        module.load_safetensors(model_of(target, module), file)


@pytest.mark.parametrize("target", list(TARGETS))
def test_branches_of_which_nothing_is_left_are_all_there(target: str) -> None:
    text = """network net {
        input 1x1 1
        sum: add { dropout 0.5; dropout 0.4; identity; dropout 0.3 -> identity }
    }"""
    module = incgen.load("net.inc", target, text=text, deploy=True)
    make = getattr(module, TARGETS[target].entry("net"))
    model = make(rngs=nnx.Rngs(0)) if target == "flax" else make()

    one = np.ones((1, 1, 1, 1), np.float32)

    assert np.asarray(model(torch.from_numpy(one) if target == "torch" else one)).item() == 4


@pytest.mark.parametrize("target", list(TARGETS))
def test_keys_that_differ_in_case_are_others_on_every_system(
    target: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = """network net {
        input 1x1 1
        a: { conv: conv 1x1 1 bias=false; scale 2 }
        A: { conv: conv 1x1 1 bias=false; scale 3 }
    }"""
    one = np.ones((1, 1, 1, 1), np.float32)
    safetensors.numpy.save_file({"a.conv.weight": one, "A.conv.weight": one}, tmp_path / "w")
    module = incgen.load("net.inc", target, text=text, deploy=True)
    make = getattr(module, TARGETS[target].entry("net"))
    model = make(rngs=nnx.Rngs(0)) if target == "flax" else make()
    monkeypatch.setattr(fnmatch, "os", SimpleNamespace(path=ntpath))

    module.load_safetensors(model, tmp_path / "w")

    assert np.asarray(model(torch.from_numpy(one) if target == "torch" else one)).item() == 6


@pytest.mark.parametrize("target", [*TARGETS, ONNX])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_weights_of_16_bits_are_not_rounded_to_16_again(
    target: str, dtype: torch.dtype, tmp_path: Path
) -> None:
    stored = {key: torch.from_numpy(value).to(dtype) for key, value in WEIGHTS.items()}
    safetensors.torch.save_file(stored, tmp_path / "half.safetensors")
    doubles = {key: value.double().numpy() for key, value in stored.items()}
    path = GRAPH.nodes[next(iter(GRAPH.outputs.values()))].path
    wanted = dict(Reference(GRAPH, doubles).values(X.astype(np.float64)))[path]

    if target == ONNX:
        file = tmp_path / "deployed.onnx"
        incgen.export_onnx(deployed(GRAPH), tmp_path / "half.safetensors", file)
        (found,) = onnxruntime.InferenceSession(file).run(None, {"input": X})
    else:
        module = module_of(target)
        model = model_of(target, module)
        module.load_safetensors(model, tmp_path / "half.safetensors")
        found = called(target, model)

    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-5)


@pytest.mark.parametrize("target", list(TARGETS))
def test_a_unit_for_vectors_may_say_the_same_as_one_for_maps(target: str) -> None:
    text = """
    unit of_map = relu
    unit of_vector = relu
    block two() { dense 3; of_vector; dense 2 }
    network net { input 2x2 1; of_map; two }
    """
    module = incgen.load("net.inc", target, text=text, deploy=True)
    make = getattr(module, TARGETS[target].entry("net"))
    model = make(rngs=nnx.Rngs(0)) if target == "flax" else make()

    shape = (4, 1, 2, 2) if target == "torch" else (4, 2, 2, 1)
    zeros = np.zeros(shape, np.float32)

    assert model(torch.from_numpy(zeros) if target == "torch" else zeros).shape == (4, 2)


@pytest.mark.parametrize("target", list(TARGETS))
def test_what_is_left_of_an_iteration_keeps_its_key(target: str, tmp_path: Path) -> None:
    text = """numerics torch
    unit dense_unit = dense 1
    network net { input 1x1 1; flatten; a: repeat 2 { dense_unit; bn } }
    """
    norm = {"weight": 1, "bias": 1, "running_mean": 0, "running_var": 4 - 1e-5}
    weights = {"dense_unit.dense.weight": 3, "dense_unit.dense.bias": 1}
    weights |= {f"bn.{name}": value for name, value in norm.items()}
    arrays = {
        f"a.{i}.{key}": np.full((1,), w, np.float32) for i in (0, 1) for key, w in weights.items()
    }
    for i in (0, 1):
        arrays[f"a.{i}.dense_unit.dense.weight"] = np.full((1, 1), 3, np.float32)
    safetensors.numpy.save_file(arrays, tmp_path / "net.safetensors")
    module = incgen.load("net.inc", target, text=text, deploy=True)
    make = getattr(module, TARGETS[target].entry("net"))
    model = make(rngs=nnx.Rngs(0)) if target == "flax" else make()

    module.load_safetensors(model, tmp_path / "net.safetensors")

    one = np.ones((1, 1, 1, 1), np.float32)
    y = model(torch.from_numpy(one) if target == "torch" else one)
    # (3 * 1 + 1) / 2 + 1 = 3, and then (3 * 3 + 1) / 2 + 1
    np.testing.assert_allclose(np.asarray(y), [[6]], rtol=1e-6)


SCALED = """numerics torch
network scaled {
    input 4x4 1
    conv: conv 1x1 1
    halved: scale 0.5
}
"""


@pytest.fixture(scope="module")
def halved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return weights with a folded factor, which leaves no trace in their keys."""
    folder = tmp_path_factory.mktemp("scaled")
    one = {"conv.weight": np.ones((1, 1, 1, 1), np.float32), "conv.bias": np.ones(1, np.float32)}
    safetensors.numpy.save_file(one, folder / "trained.safetensors")
    file = folder / "deployed.safetensors"
    trained, passes = folder / "trained.safetensors", ["fold-scale"]
    export_weights(trained, "scaled.inc", file, format="safetensors", deploy=passes, text=SCALED)
    return file


@pytest.mark.parametrize("target", list(TARGETS))
def test_a_training_form_refuses_folded_factors(target: str, halved: Path) -> None:
    module = incgen.load("scaled.inc", target, text=SCALED)
    make = getattr(module, TARGETS[target].entry("scaled"))
    model = make(rngs=nnx.Rngs(0)) if target == "flax" else make()

    with pytest.raises((RuntimeError, ValueError), match=r"(?i)unexpected.*deployed by fold-scale"):
        if target == "torch":
            model.load_state_dict(safetensors.torch.load_file(halved))
        else:
            module.load_safetensors(model, halved)


@pytest.mark.parametrize("target", list(TARGETS))
def test_a_deployed_form_loads_folded_factors(target: str, halved: Path) -> None:
    module = incgen.load("scaled.inc", target, text=SCALED, deploy=["fold-scale"])
    make = getattr(module, TARGETS[target].entry("scaled"))
    model = make(rngs=nnx.Rngs(0)) if target == "flax" else make()

    for file in (halved, halved.with_name("trained.safetensors")):
        module.load_safetensors(model, file)

        x = np.ones((1, 1, 4, 4) if target == "torch" else (1, 4, 4, 1), np.float32)
        given = torch.from_numpy(x) if target == "torch" else x
        np.testing.assert_array_equal(np.asarray(model(given)), x)  # (1 * 1 + 1) * 0.5


@pytest.mark.parametrize(
    ("format", "suffix"),
    [("torch", ".pth"), ("npz", ".npz"), ("flax", ".msgpack"), ("keras", ".weights.h5")],
)
def test_a_format_that_cannot_say_what_is_folded_is_refused(
    format: str, suffix: str, halved: Path, tmp_path: Path
) -> None:
    trained, file = halved.with_name("trained.safetensors"), tmp_path / f"deployed{suffix}"

    with pytest.raises(WeightsError, match="would have the keys of the training form"):
        export_weights(trained, "scaled.inc", file, format=format, deploy=True, text=SCALED)


def test_a_file_that_lacks_a_layer_is_refused(weights: Path, tmp_path: Path) -> None:
    file = tmp_path / "less.safetensors"
    kept = {key: value for key, value in WEIGHTS.items() if key != "fc.0.weight"}
    safetensors.numpy.save_file(kept, file)
    module = module_of("torch")

    with pytest.raises(RuntimeError, match=r"(?s)Missing.*fc\.0\.weight.*Unexpected.*fc\.1\."):
        module.load_safetensors(model_of("torch", module), file)


@pytest.mark.parametrize(
    "targets", [("torch",), pytest.param(tuple(TARGETS), marks=pytest.mark.slow)], ids=len
)
def test_every_form_is_verified_in_every_target(targets: tuple[str, ...]) -> None:
    passes = ["fold-norm", "project-first"]
    report = verify(GRAPH, rungs=(1,), dtypes=("float64",), deploy=passes, targets=targets)

    assert report.passed, report
    forms = {c.what: set[str]() for c in report.comparisons if "deployed" in c.what}
    for comparison in report.comparisons:
        if comparison.what in forms:
            forms[comparison.what].add(comparison.between[1])
    assert forms == {
        f"value deployed by {name}": {"NumPy", *targets}
        for name in ("fold-norm", "project-first", "all passes")
    }


def test_a_form_without_passes_is_the_only_one_that_is_verified() -> None:
    report = verify(GRAPH, rungs=(1,), dtypes=("float64",), deploy=[], targets=["torch"])

    assert report.passed, report
    forms = {c.what for c in report.comparisons if "deployed" in c.what}
    assert forms == {"value deployed by all passes"}


def test_deployed_weights_of_keras_are_a_model(
    weights: Path, wanted: Array, tmp_path: Path
) -> None:
    import keras

    file = tmp_path / "deployed.keras"
    export_weights(weights, EVERYTHING, file, format="keras", deploy=True)

    model = keras.saving.load_model(file)

    np.testing.assert_allclose(called("keras", model), wanted, rtol=0, atol=1e-5)


def test_the_graph_of_a_deployed_form_says_how_it_was_made() -> None:
    made = deployed(GRAPH).deployment

    assert made is not None
    assert made.training is GRAPH
    assert made.label == "heads fold-scale fold-norm"


def test_a_file_of_onnx_is_deployed_with_its_weights(
    weights: Path, wanted: Array, tmp_path: Path
) -> None:
    from incgen.onnx.exporting import export_onnx

    made = deployed(GRAPH)
    export_onnx(made, weights, tmp_path / "deployed.onnx")

    session = onnxruntime.InferenceSession(tmp_path / "deployed.onnx")
    (found,) = session.run(None, {session.get_inputs()[0].name: X})
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-5)
    assert session.get_modelmeta().custom_metadata_map["deployed"].split() == [*find_passes()]


def test_a_deployed_model_takes_other_sizes_as_the_training_form_does(weights: Path) -> None:
    """Windows that pad by `same` or count a border must not depend on the spec's size."""
    made = module_of("torch")
    model = model_of("torch", made)
    made.load_safetensors(model, weights)
    training = incgen.load(EVERYTHING, "torch").Everything()
    training.load_state_dict(safetensors.torch.load_file(weights))

    for height, width in ((6, 13), (15, 7)):
        x = torch.randn(2, 3, height, width, dtype=torch.float64)
        wanted = training.eval().double()(x)
        # kernels are folded in float64 and kept in float32
        torch.testing.assert_close(model.double()(x), wanted, rtol=0, atol=1e-5)
