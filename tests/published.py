"""Compare published implementations with ours, through the files their weights are published in.

Each is built with random weights and random running statistics, saved in its own format, imported,
and compared with the generated models. Everything is in float64, and differences are relative to
the largest element, so that anything above rounding is a semantic difference.

`python tests/published.py` prints a table of all of them.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf
import torch
from checkpoints import write_tensorflow
from numpy.typing import NDArray
from parity import channels_last, difference, keras_variables, precision
from slim import Slim
from torch import nn

import incgen
from incgen.base.diagnostics import counted
from incgen.language.names import class_name

SPECS = Path(__file__).parent.parent / "specs"

#: The share of a running average that a step replaces: some ports average faster than the original
#: and the spec.
REPLACED = 0.25

Array = NDArray[Any]
State = dict[str, torch.Tensor]


@dataclass(frozen=True)
class Published:
    """One implementation and its file.

    Attributes:
        name: The name of the implementation.
        spec: Our spec.
        layout: The layout that its file must be recognised as.
        build: Makes its model, with any weights.
        file: The name of its file here.
        settings: The settings with which ours is the same.
        size: The size of the images; odd and not square if it takes any.
        saved: What its file has instead of what its model has.
        background: whether it has a class 0 that ours has not.
        heads: our names of its auxiliary outputs, in the order in which it gives them.
        steps: size of the images of a training step.
        again: whether an earlier one has compared the two models of this spec.
    """

    name: str
    spec: str
    layout: str
    build: Callable[[], Any]
    file: str = "weights.pth"
    settings: dict[str, Any] = field(default_factory=dict)
    size: tuple[int, int] = (107, 123)
    saved: Callable[[State], State] | None = None
    background: bool = False
    heads: tuple[str, ...] = ()
    steps: tuple[int, int] | None = None
    again: bool = False


# ---------------------------------------------------------------- theirs

_LIBRARY: list[Any] = []


def imported(module: str) -> Any:
    """Import a package of published models.

    The wheel of torchvision that most of them import is built for CUDA; with a CPU build of torch
    its operators have to be declared before the import.
    """
    if "torchvision" not in sys.modules and not _LIBRARY:
        library = torch.library.Library("torchvision", "DEF")
        library.define("nms(Tensor dets, Tensor scores, float threshold) -> Tensor")
        library.define("qnms(Tensor dets, Tensor scores, float threshold) -> Tensor")
        _LIBRARY.append(library)  # the library must stay alive
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return import_module(module)


def torchvision(name: str) -> Callable[[], nn.Module]:
    return lambda: getattr(imported("torchvision.models"), name)(
        aux_logits=True, init_weights=False, transform_input=False
    )


def timm(name: str) -> Callable[[], nn.Module]:
    return lambda: imported("timm").create_model(name)


def cadene(name: str, classes: int = 1000) -> Callable[[], nn.Module]:
    def build() -> nn.Module:
        module = imported(f"pretrainedmodels.models.{name}")
        model: nn.Module = getattr(module, name)(num_classes=classes, pretrained=None)
        return model

    return build


def facenet() -> nn.Module:
    module = imported("facenet_pytorch.models.inception_resnet_v1")
    model: nn.Module = module.InceptionResnetV1(classify=True, num_classes=8631)
    return model


def pytorchcv(name: str) -> Callable[[], nn.Module]:
    return lambda: getattr(imported(f"pytorchcv.models.{name}"), name)()


def fid() -> nn.Module:
    """Return the network of pytorch-fid, which loads its weights when it is constructed."""
    module = imported("pytorch_fid.inception")
    network = module._inception_v3(num_classes=1008, aux_logits=False, weights=None)
    original, module.load_state_dict_from_url = (
        module.load_state_dict_from_url,
        lambda *_, **__: network.state_dict(),
    )
    try:
        model: nn.Module = module.fid_inception_v3()
    finally:
        module.load_state_dict_from_url = original
    return model


def application(name: str) -> Callable[[], Any]:
    return lambda: getattr(keras.applications, name)(
        weights=None, input_shape=(107, 123, 3), classifier_activation=None
    )


def slim(name: str, size: tuple[int, int]) -> Callable[[], Slim]:
    return lambda: Slim(name, size, decay=1 - REPLACED)


def without_counters(state: State) -> State:
    """Remove the counters, as before PyTorch 0.4.1."""
    return {key: value for key, value in state.items() if "num_batches" not in key}


def as_yjxiong(state: State) -> State:
    """Rewrite as in 2017: normalisations of 1 x C, another name for the classifier."""
    tensors = without_counters(state)
    tensors = {key: value[None] if "_bn." in key else value for key, value in tensors.items()}
    return {key.replace("last_linear", "fc"): value for key, value in tensors.items()}


def as_cadenes_xception(state: State) -> State:
    """Rename the classifier to what the attribute is called before loading."""
    return {key.replace("last_linear", "fc"): value for key, value in state.items()}


PUBLISHED = [
    Published(
        "pretrainedmodels bninception",
        "bn_inception",
        "cadene",
        cadene("bninception"),
        size=(224, 224),
        saved=without_counters,
        steps=(224, 224),
    ),
    Published(
        "yjxiong bninception",
        "bn_inception",
        "yjxiong",
        cadene("bninception"),
        size=(224, 224),
        saved=as_yjxiong,
        again=True,
    ),
    Published(
        "pytorchcv bninception",
        "bn_inception",
        "pytorchcv",
        pytorchcv("bninception"),
        size=(224, 224),
        again=True,
    ),
    Published(
        "tf_slim inception_v2",
        "bn_inception_slim",
        "slim",
        slim("inception_v2", (224, 224)),
        file="weights.ckpt",
        size=(224, 224),
        steps=(224, 224),
    ),
    Published(
        "tf_slim inception_v1",
        "inception_v1_slim",
        "slim",
        slim("inception_v1", (193, 199)),
        file="weights.ckpt",
        size=(193, 199),  # the least that leave 7 x 7
        steps=(193, 199),
    ),
    Published(
        "torchvision googlenet",
        "googlenet_bn",
        "torchvision",
        torchvision("googlenet"),
        heads=("aux2", "aux1"),
        steps=(96, 96),
    ),
    Published(
        "torchvision inception_v3",
        "inception_v3",
        "torchvision",
        torchvision("inception_v3"),
        size=(299, 299),
        heads=("aux_logits",),
        steps=(299, 299),
    ),
    Published(
        "timm inception_v3",
        "inception_v3",
        "timm",
        timm("inception_v3"),
        file="weights.safetensors",
        settings={"heads": False},
        steps=(107, 123),
    ),
    Published(
        "pytorchcv inceptionv3",
        "inception_v3",
        "pytorchcv",
        pytorchcv("inceptionv3"),
        settings={"heads": False},
        size=(299, 299),
        again=True,
    ),
    Published(
        "tf_slim inception_v3",
        "inception_v3_tf",
        "slim",
        slim("inception_v3", (299, 299)),
        file="weights.ckpt",
        settings={"classes": 1001},
        size=(299, 299),
        heads=("aux_logits",),
        steps=(299, 299),
    ),
    Published(
        "keras InceptionV3",
        "inception_v3_tf",
        "keras",
        application("InceptionV3"),
        file="weights.h5",
        settings={"heads": False},
        steps=(107, 123),
    ),
    Published(
        "pytorch_fid inception_v3",
        "inception_v3_fid",
        "pytorch_fid",
        fid,
        steps=(107, 123),
    ),
    Published(
        "timm inception_v4",
        "inception_v4",
        "timm",
        timm("inception_v4"),
        file="weights.safetensors",
        settings={"heads": False, "gamma": True},
        steps=(107, 123),
    ),
    Published(
        "pretrainedmodels inceptionv4",
        "inception_v4",
        "timm",
        cadene("inceptionv4", 1001),
        settings={"heads": False, "gamma": True},
        size=(299, 299),
        background=True,
        again=True,
    ),
    Published(
        "pytorchcv inceptionv4",
        "inception_v4",
        "pytorchcv",
        pytorchcv("inceptionv4"),
        settings={"heads": False, "gamma": True},
        size=(299, 299),
        again=True,
    ),
    Published(
        "timm inception_resnet_v2",
        "inception_resnet_v2",
        "timm",
        timm("inception_resnet_v2"),
        file="weights.safetensors",
        settings={"heads": False, "gamma": True},
        steps=(107, 123),
    ),
    Published(
        "pretrainedmodels inceptionresnetv2",
        "inception_resnet_v2",
        "cadene",
        cadene("inceptionresnetv2", 1001),
        settings={"heads": False, "gamma": True},
        size=(299, 299),
        background=True,
        again=True,
    ),
    Published(
        "pytorchcv inceptionresnetv2",
        "inception_resnet_v2",
        "pytorchcv",
        pytorchcv("inceptionresnetv2"),
        settings={"heads": False, "gamma": True},
        size=(299, 299),
        again=True,
    ),
    Published(
        "keras InceptionResNetV2",
        "inception_resnet_v2",
        "keras",
        application("InceptionResNetV2"),
        file="weights.h5",
        settings={"heads": False},
        steps=(107, 123),
    ),
    Published(
        "facenet_pytorch InceptionResnetV1",
        "inception_resnet_v1",
        "facenet",
        facenet,
        file="weights.pt",
        steps=(107, 123),
    ),
    Published(
        "pytorchcv inceptionresnetv1",
        "inception_resnet_v1",
        "pytorchcv",
        pytorchcv("inceptionresnetv1"),
        settings={"classes": 1000},
        size=(299, 299),
        again=True,
    ),
    Published(
        "keras Xception",
        "xception",
        "keras",
        application("Xception"),
        file="weights.h5",
        steps=(107, 123),
    ),
    Published(
        "timm legacy_xception",
        "xception",
        "timm",
        timm("legacy_xception"),
        file="weights.safetensors",
        settings={"eps": 1e-5, "pool_pad": "half"},
        steps=(107, 123),
    ),
    Published(
        "pretrainedmodels xception",
        "xception",
        "timm",
        cadene("xception"),
        settings={"eps": 1e-5, "pool_pad": "half"},
        saved=as_cadenes_xception,
        again=True,
    ),
    Published(
        "pytorchcv xception",
        "xception",
        "pytorchcv",
        pytorchcv("xception"),
        settings={"eps": 1e-5, "pool_pad": "half"},
        size=(299, 299),
        again=True,
    ),
]


def randomise(model: Any) -> None:
    """Return weights that hide no error; the same in every run."""
    if isinstance(model, nn.Module):
        torch.manual_seed(0)
        for layer in model.modules():
            if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
                nn.init.uniform_(layer.weight, 0.5, 1.5)
                nn.init.normal_(layer.bias, std=0.3)
                layer.running_mean.normal_(0, 0.3)  # type: ignore[union-attr]
                layer.running_var.uniform_(0.5, 2.0)  # type: ignore[union-attr]
            elif isinstance(layer, nn.Conv2d | nn.Linear):
                nn.init.kaiming_normal_(layer.weight)
                if layer.bias is not None:
                    nn.init.normal_(layer.bias, std=0.3)
        return
    random = np.random.default_rng(0)
    if isinstance(model, Slim):
        for name, value in model.weights.items():
            model.weights[name] = random_variable(random, name, value.shape)
        return
    for layer in model.layers:
        for variable in layer.weights:
            variable.assign(random_variable(random, variable.name, tuple(variable.shape)))


def random_variable(random: np.random.Generator, name: str, shape: tuple[int, ...]) -> Array:
    """Return a value for a TensorFlow variable."""
    if name.endswith(("gamma", "moving_variance")):
        return random.uniform(0.5, 1.5, shape)
    if len(shape) == 1:
        return random.normal(0, 0.3, shape)
    fan = np.prod(shape[:2]) if "depthwise" in name else np.prod(shape[:-1])
    return random.normal(0, (2 / fan) ** 0.5, shape)


def save(model: Any, path: Path, saved: Callable[[State], State] | None) -> None:
    """Write a model's weights as their owner does."""
    if isinstance(model, Slim):
        write_tensorflow(path, model.weights)
        return
    if not isinstance(model, nn.Module):
        import h5py
        from keras.src.legacy.saving import legacy_h5_format

        with h5py.File(path, "w") as file:
            legacy_h5_format.save_weights_to_hdf5_group(file, model)
        return
    state = dict(model.state_dict())
    state = saved(state) if saved else state
    if path.suffix == ".safetensors":
        from safetensors.torch import save_file

        save_file(state, path)
    else:  # most of the files were written before PyTorch 1.6
        torch.save(state, path, _use_new_zipfile_serialization=path.suffix == ".pt")


# ---------------------------------------------------------------- the comparison


@dataclass
class Trial:
    """An implementation with random weights, and ours with the same weights from its file."""

    published: Published
    theirs: Any
    manifest: dict[str, Any]
    weights: Path

    @property
    def spec(self) -> Path:
        """Return our spec."""
        return SPECS / f"{self.published.spec}.inc"

    def torch_model(self) -> Any:
        """Return our PyTorch model, with the imported weights."""
        from safetensors.torch import load_file

        module = incgen.load(self.spec, "torch", self.published.settings)
        model = getattr(module, class_name(self.published.spec))()
        model.load_state_dict(load_file(self.weights))
        return model

    def keras_model(self) -> Any:
        """Return our Keras model, with the imported weights."""
        module = incgen.load(self.spec, "keras", self.published.settings)
        model = getattr(module, self.published.spec)(input_shape=(*self.published.size, 3))
        module.load_safetensors(model, self.weights)
        return model


@contextmanager
def trial(published: Published, folder: Path) -> Iterator[Trial]:
    """Build, save and import one implementation, in float64."""
    with precision("float64"):
        theirs = published.build()
        randomise(theirs)
        path = folder / published.file
        save(theirs, path, published.saved)
        weights = folder / "imported.safetensors"
        manifest = incgen.import_weights(
            path,
            SPECS / f"{published.spec}.inc",
            weights,
            published.settings,
            dtype="float64",
            force=True,
        )
        yield Trial(published, theirs, manifest, weights)
        keras.backend.clear_session()


def images(size: tuple[int, int], batch: int = 2) -> Array:
    """Return random images (N, C, H, W)."""
    return np.random.default_rng(0).normal(0, 1, (batch, 3, *size))


def first(result: Any) -> Any:
    """Return the main output of a model."""
    if isinstance(result, dict):
        return next(iter(result.values()))
    return result[0] if isinstance(result, tuple) else result


def evaluate(model: Any, x: Array) -> Array:
    """Return the main output of a model in evaluation mode."""
    if isinstance(model, nn.Module):
        model.eval()
        with torch.no_grad():
            return np.asarray(first(model(torch.from_numpy(x))))
    if isinstance(model, Slim):
        return model.evaluate(channels_last(x))
    return np.asarray(first(model(channels_last(x), training=False)))


def evaluation(case: Trial) -> dict[str, float]:
    """Return differences in evaluation: ours to theirs in its framework, and between ours."""
    x = images(case.published.size)
    expected = evaluate(case.theirs, x)[:, int(case.published.background) :]
    models = [case.torch_model, case.keras_model]
    if not isinstance(case.theirs, nn.Module):
        models.reverse()
    same = evaluate(models[0](), x)
    differences = {"to theirs": difference(expected, same)}
    if not case.published.again:
        differences["PyTorch to Keras"] = difference(same, evaluate(models[1](), x))
    return differences


@dataclass
class Step:
    """The results of a training step: outputs, gradients and running statistics by name."""

    outputs: list[Array]
    gradients: dict[str, Array]
    statistics: dict[str, Array]


def training(case: Trial) -> dict[str, float]:
    """Return differences in a training step in the framework of the implementation."""
    published = case.published
    assert published.steps is not None
    x = images(published.steps, 3)
    if isinstance(case.theirs, nn.Module):
        theirs = torch_step(case.theirs, x)
        ours = torch_step(case.torch_model(), x, published.heads)
    elif isinstance(case.theirs, Slim):
        theirs = Step(*case.theirs.step(channels_last(x)))
        ours = keras_step(case.keras_model(), x, keras_variables)
    else:
        theirs = keras_step(case.theirs, x, _layer_variables)
        ours = keras_step(case.keras_model(), x, keras_variables)
    assert len(theirs.outputs) == len(ours.outputs) == 1 + len(published.heads)
    pairs = zip(theirs.outputs, ours.outputs, strict=True)
    return {
        "outputs": max(difference(a, b) for a, b in pairs),
        "gradients": _gradients(case, theirs, ours),
        "batch statistics": _statistics(case, theirs, ours),
    }


def torch_step(model: nn.Module, x: Array, heads: tuple[str, ...] = ()) -> Step:
    """Take a step in PyTorch on a loss that weights every output; ours has named heads."""
    for layer in model.modules():
        if isinstance(layer, nn.Dropout):
            layer.p = 0.0  # random layers cannot be compared
        elif isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
            layer.momentum = REPLACED
    model.train()
    inputs = torch.from_numpy(x).requires_grad_()
    result = model(inputs)
    outputs = [result] if isinstance(result, torch.Tensor) else list(result)
    if heads:
        outputs = [outputs[0], *(getattr(result, head) for head in heads)]
    random = np.random.default_rng(1)
    loss = torch.zeros(())
    for output in outputs:
        loss = loss + (output * torch.from_numpy(random.normal(size=output.shape))).sum()
    leaves = {"input": inputs, **dict(model.named_parameters())}
    grads = torch.autograd.grad(loss, list(leaves.values()))
    gradients = {name: value.numpy() for name, value in zip(leaves, grads, strict=True)}
    statistics = {name: value.numpy() for name, value in model.named_buffers()}
    return Step([output.detach().numpy() for output in outputs], gradients, statistics)


def keras_step(model: Any, x: Array, named: Callable[[Any], dict[str, Any]]) -> Step:
    """Take a step in Keras on a loss that weights every output; `named` names the variables."""
    for layer in model.layers:
        if isinstance(layer, keras.layers.Dropout):
            layer.rate = 0.0
        elif isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 1 - REPLACED
    variables = named(model)
    inputs = tf.constant(channels_last(x))
    leaves = {"input": inputs, **{n: v.value for n, v in variables.items() if v.trainable}}
    random = np.random.default_rng(1)
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        result = model(inputs, training=True)
        outputs = list(result.values()) if isinstance(result, dict) else [result]
        parts = [tf.reduce_sum(output * random.normal(size=output.shape)) for output in outputs]
        loss = tf.add_n(parts)
    gradients = tape.gradient(loss, leaves)
    statistics = {name: np.asarray(v) for name, v in variables.items() if not v.trainable}
    return Step(
        [np.asarray(output) for output in outputs],
        {name: np.asarray(gradient) for name, gradient in gradients.items()},
        statistics,
    )


def _layer_variables(model: Any) -> dict[str, Any]:
    """Return the variables of a Keras model by the names in its files."""
    return {f"{layer.name}/{v.name}": v for layer in model.layers for v in layer.weights}


def _gradients(case: Trial, theirs: Step, ours: Step) -> float:
    """Return the largest difference of gradients, each relative to the largest of its tensor."""
    sources = {key: origin["from"][0] for key, origin in case.manifest["tensors"].items()}
    sources["input"] = "input"
    largest = 0.0
    for key, gradient in ours.gradients.items():
        other = theirs.gradients[sources[key]]
        largest = max(largest, difference(other, gradient.reshape(other.shape)))
    return largest


def _statistics(case: Trial, theirs: Step, ours: Step) -> float:
    """Return the largest difference of the running statistics after a step.

    PyTorch averages the unbiased variance and Keras the biased one. If a spec has the other, that
    of its original, it is not compared.
    """
    kept = "unbiased" if isinstance(case.theirs, nn.Module) else "biased"
    largest = 0.0
    for node in incgen.compile_spec(case.spec, case.published.settings).nodes:
        if node.op != "bn":
            continue
        same = node.args["variance"] == kept
        for name in ("running_mean", "running_var") if same else ("running_mean",):
            key = f"{node.path}.{name}"
            source, *bias = case.manifest["tensors"][key]["from"]
            expected = theirs.statistics[source]
            if bias:
                expected = expected - case.theirs.state_dict()[bias[0]].numpy()
            largest = max(largest, difference(expected, ours.statistics[key]))
    return largest


# ---------------------------------------------------------------- the table


#: What is compared: the heading in the table, and the name in the functions above.
COLUMNS = {
    "ours to theirs": "to theirs",
    "PyTorch to Keras": "PyTorch to Keras",
    "training: outputs": "outputs",
    "gradients": "gradients",
    "statistics": "batch statistics",
}


def table(chosen: list[Published]) -> Iterator[list[str]]:
    """Yield a row per implementation: spec, implementation, and the largest differences."""
    for published in chosen:
        with tempfile.TemporaryDirectory() as folder, trial(published, Path(folder)) as case:
            differences = evaluation(case)
            if published.steps is not None:
                differences |= training(case)
        name = f"`{published.spec}`"
        if published.settings:
            words = (f"{k}={str(v).lower()}" for k, v in published.settings.items())
            name += f" with `{' '.join(words)}`"
        heads = f", {counted(len(published.heads), 'head')}" if published.heads else ""
        cells = (differences.get(key) for key in COLUMNS.values())
        values = ["" if value is None else f"{value:.0e}" if value else "0" for value in cells]
        yield [name, f"{published.name}{heads}", *values]


if __name__ == "__main__":
    wanted = [p for p in PUBLISHED if not sys.argv[1:] or {p.spec, p.name} & {*sys.argv[1:]}]
    print(f"| spec | implementation | {' | '.join(COLUMNS)} |")
    print(f"|{'---|' * (2 + len(COLUMNS))}")
    start = time.monotonic()
    for row in table(wanted):
        print(f"| {' | '.join(row)} |", flush=True)
    print(f"{time.monotonic() - start:.0f} s", file=sys.stderr)
