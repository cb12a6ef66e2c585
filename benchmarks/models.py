"""Time the generated models against published and hand-written ones.

PyTorch against `bninception` of Cadene's pretrainedmodels, Keras and Flax against
`reference/bn_inception_*.py`; one forward pass in evaluation mode, at batch 1 and 32, both models
in turn, with the same weights. In Flax, where the step is the user's and compiled as one program, a
training step too. "Not slower" is a statement about noisy numbers: two instances of one class,
measured like this on a quiet machine, came out at ratios of 0.98 to 1.03. So it holds up to 1.03,
and the 95 % interval of the ratio is printed beside it.

`--only torch`, `--only keras` and `--only flax` measure one framework; without it each is measured
in a process of its own, because two frameworks in one process fight for the cores.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

import incgen
from figures import REFERENCE, SMALLEST, SPEC, Figure, compare, from_script, option_parser, report

PAIRS = {1: 1} if SMALLEST else {1: 60, 32: 9}  # batch: how many pairs of forward passes are timed
STEPS = {2: 1} if SMALLEST else {1: 20, 32: 3}  # the same for training steps
#: Pixels of a side in Flax, in a pass and in a training step; the network halves them five times.
FLAX_SIZE, STEP_SIZE = (64, 64) if SMALLEST else (224, 96)
NOISE = 0.03  # of a ratio
AGREEMENT = 1e-4  # in float32, relative to the largest logit: checks that both models are the same
#: The same in training, where normalisations by the batch magnify what is rounded.
AGREEMENT_IN_TRAINING = 1e-3


def measure_torch() -> list[Figure]:
    """Return the times of the generated PyTorch model against Cadene's."""
    import torch

    torch.manual_seed(0)
    published = import_pretrainedmodels().bninception(pretrained=None).eval()
    generated = incgen.load(SPEC, target="torch").BNInception().eval()
    randomise_statistics(published)
    copy_in_order(published, generated)

    def forward(model: torch.nn.Module, images: torch.Tensor) -> Callable[[], Any]:
        def run() -> Any:
            with torch.inference_mode():
                return model(images).numpy()

        return run

    figures = []
    for batch, pairs in PAIRS.items():
        images = torch.randn(batch, 3, 224, 224)
        runs = forward(generated, images), forward(published, images)
        figures.append(not_slower("PyTorch, generated / Cadene", batch, *runs, pairs))
    return figures


def measure_keras() -> list[Figure]:
    """Return the times of the generated Keras model against the hand-written one."""
    import keras
    import tensorflow as tf

    keras.utils.set_random_seed(0)
    by_hand = import_file(REFERENCE / "bn_inception_keras.py").bn_inception(name="by_hand")
    generated = incgen.load(SPEC, target="keras").bn_inception()
    copy_by_name(by_hand, generated)

    def forward(model: Any, images: Any) -> Callable[[], Any]:
        compiled = tf.function(lambda inputs: model(inputs, training=False))
        return lambda: compiled(images).numpy()

    figures = []
    for batch, pairs in PAIRS.items():
        images = tf.random.normal((batch, 224, 224, 3))
        runs = forward(generated, images), forward(by_hand, images)
        figures.append(not_slower("Keras, generated / by hand", batch, *runs, pairs))
    return figures


def measure_flax() -> list[Figure]:
    """Return the times of the generated Flax module against the hand-written one."""
    import jax
    from flax import nnx

    jax.config.update("jax_disable_most_optimizations", SMALLEST)  # compiling takes longest
    forward = nnx.jit(lambda model, images: model(images))
    figures = []
    for batch, pairs in PAIRS.items():
        images = jax.random.normal(jax.random.key(1), (batch, FLAX_SIZE, FLAX_SIZE, 3))
        models = flax_models()
        for model in models:
            model.eval()
        ours, theirs = (partial(ready, forward, model, images) for model in models)
        figures.append(not_slower("Flax, generated / by hand", batch, ours, theirs, pairs))
    return figures + [training_step(batch, pairs) for batch, pairs in STEPS.items()]


def training_step(batch: int, pairs: int) -> Figure:
    """Return the time of a training step of the generated Flax module against by hand."""
    import jax
    import optax
    from flax import nnx

    @nnx.jit
    def step(model: Any, optimizer: Any, images: Any, labels: Any) -> Any:
        def loss(model: Any) -> tuple[Any, Any]:
            logits = model(images)
            losses = optax.softmax_cross_entropy_with_integer_labels(logits, labels)
            return losses.mean(), logits

        gradients, logits = nnx.grad(loss, has_aux=True)(model)
        optimizer.update(model, gradients)
        return logits

    images = jax.random.normal(jax.random.key(1), (batch, STEP_SIZE, STEP_SIZE, 3))
    labels = jax.random.randint(jax.random.key(2), (batch,), 0, 1000)
    models = flax_models()

    def run(model: Any) -> Callable[[], Any]:
        model.train()
        # The rate is so small that later steps still agree.
        optimizer = nnx.Optimizer(model, optax.sgd(1e-9, momentum=0.9), wrt=nnx.Param)
        return partial(ready, step, model, optimizer, images, labels)

    ours, theirs = map(run, models)
    check_same(ours(), theirs(), AGREEMENT_IN_TRAINING)
    for mine, other in zip(*map(statistics, models), strict=True):
        check_same(mine, other, AGREEMENT_IN_TRAINING)
    name = f"Flax training step, {STEP_SIZE} px, generated / by hand"
    return not_slower(name, batch, ours, theirs, pairs, AGREEMENT_IN_TRAINING)


def ready(function: Callable[..., Any], *arguments: Any) -> Any:
    """Return the array that a compiled function of JAX returns, once it has been computed."""
    return np.asarray(function(*arguments))


def flax_models() -> list[Any]:
    """Return the generated Flax module and the hand-written one, with the same random weights."""
    by_hand = import_file(REFERENCE / "bn_inception_flax.py").BNInception
    return [flax_model(cls) for cls in (incgen.load(SPEC, target="flax").BNInception, by_hand)]


def flax_model(cls: Any) -> Any:
    """Return a module of a class; its initial weights are not drawn, which takes a minute."""
    from flax import nnx

    model = nnx.eval_shape(lambda: cls(rngs=nnx.Rngs(0)))
    numbers = np.random.default_rng(0)
    for path, variable in nnx.to_flat_state(nnx.state(model)):
        variable.set_value(flax_value(str(path[-1]), variable.shape, numbers))
    return model


def flax_value(name: str, shape: tuple[int, ...], numbers: np.random.Generator) -> Any:
    """Return a random value of a variable, which changes what passes through."""
    import jax.numpy as jnp

    if name in ("scale", "var"):
        return jnp.asarray(numbers.uniform(0.5, 1.5, shape), jnp.float32)
    scale = (2 / np.prod(shape[:-1])) ** 0.5 if name == "kernel" else 0.1
    return jnp.asarray(numbers.normal(0, scale, shape), jnp.float32)


def statistics(model: Any) -> list[Any]:
    """Return the running statistics of a Flax model."""
    from flax import nnx

    state = nnx.to_flat_state(nnx.state(model, nnx.BatchStat))
    return [np.asarray(variable[...]) for _, variable in state]


def not_slower(
    name: str,
    batch: int,
    ours: Callable[[], Any],
    theirs: Callable[[], Any],
    pairs: int,
    agreement: float = AGREEMENT,
) -> Figure:
    """Time two models that must give the same output, and return how ours compares."""
    check_same(ours(), theirs(), agreement)
    compared = compare(ours, theirs, pairs)
    low, high = compared.interval
    first, second = (1e3 * median for median in compared.medians)
    times = f"{first:.0f} ms / {second:.0f} ms, 95 %: {low:.2f} to {high:.2f}"
    value = f"{compared.ratio:.2f}  ({times})"
    reached = compared.ratio <= 1 + NOISE
    return Figure(f"{name}, batch {batch}", value, f"at most 1 (+ {NOISE})", reached)


def check_same(ours: Any, theirs: Any, agreement: float) -> None:
    """Raise an error if two arrays differ: the times would compare different networks."""
    difference = float(np.abs(ours - theirs).max() / np.abs(theirs).max())
    if not difference <= agreement:
        raise RuntimeError(f"the models differ: {difference:.1e} of the largest number")


def import_pretrainedmodels() -> ModuleType:
    """Import pretrainedmodels, whose torchvision may be built for another kind of torch.

    The wheels of torchvision are built for CUDA. With a CPU build of torch its import fails because
    two of its operators are missing, so they are declared first. No classification model uses them.
    """
    import torch

    declared: Any = torch.library  # has no types
    if torch.version.cuda is None and not LIBRARIES:
        library = declared.Library("torchvision", "DEF")
        for name in ("nms", "qnms"):
            library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        LIBRARIES.append(library)
    return importlib.import_module("pretrainedmodels")


LIBRARIES: list[Any] = []  # declarations disappear with their library


def randomise_statistics(model: Any) -> None:
    """Give every batch normalisation statistics that change what passes through."""
    import torch

    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            assert module.running_mean is not None
            assert module.running_var is not None
            torch.nn.init.normal_(module.running_mean, std=0.1)
            torch.nn.init.uniform_(module.running_var, 0.5, 2.0)


def copy_in_order(published: Any, generated: Any) -> None:
    """Copy Cadene's weights into the generated model.

    Both hold the same layers in the same order, convolutions followed by their normalisation;
    Cadene's convolutions have a bias, which the generated ones leave to the normalisation, so it is
    set to zero.
    """
    import torch

    for module in published.modules():
        if isinstance(module, torch.nn.Conv2d):
            assert module.bias is not None
            torch.nn.init.zeros_(module.bias)
    source, target = (layers_with_weights(model) for model in (published, generated))
    for theirs, ours in zip(source, target, strict=True):
        ours.load_state_dict(without_bias_of_conv(theirs))


def layers_with_weights(model: Any) -> list[Any]:
    """Return the layers of a PyTorch model that have weights of their own, in order."""
    return [module for module in model.modules() if list(module.parameters(recurse=False))]


def without_bias_of_conv(layer: Any) -> Mapping[str, Any]:
    """Return the weights of a layer, for a convolution without its bias."""
    import torch

    weights: Mapping[str, Any] = layer.state_dict()
    if isinstance(layer, torch.nn.Conv2d):
        return {name: weight for name, weight in weights.items() if name != "bias"}
    return weights


def copy_by_name(by_hand: Any, generated: Any) -> None:
    """Copy the weights between two Keras models whose layers have the same names."""
    for layer in by_hand.layers:
        if layer.weights:
            generated.get_layer(layer.name).set_weights(layer.get_weights())


def import_file(path: Path) -> ModuleType:
    """Import a file as a module of its own name."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def main() -> None:
    """Measure the framework named on the command line, or all of them in separate processes."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    measures = {"torch": measure_torch, "keras": measure_keras, "flax": measure_flax}
    parser = option_parser(__doc__)
    parser.add_argument("--only", choices=measures, help="measure this one, in this process")
    only = parser.parse_args().only
    if only is not None:
        report(measures[only]())
    else:
        report([figure for name in measures for figure in from_script(__file__, "--only", name)])


if __name__ == "__main__":
    main()
