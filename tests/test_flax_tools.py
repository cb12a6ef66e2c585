"""Generated Flax models work with the tools of Flax and JAX, which compute the same numbers."""

from __future__ import annotations

import copy
import io
import os
import pickle
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import redirect_stdout
from functools import cache
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import orbax.checkpoint as ocp
import pytest
from flax import nnx
from safetensors.numpy import save_file

import incgen

SPEC = """
numerics torch
unit conv_bn = conv bias=false l2=0.1 -> bn -> relu

block gated(c) {
    mul {
        identity
        gate: { squeeze: { global_avg_pool -> dense c }; excite: sigmoid }
    }
}

block residual(c) {
    add {
        identity
        body: conv_bn 3x3 c -> conv 3x3 c
    }
}

network tools(classes = 3) {
    input 6x6 3
    stem: conv_bn 3x3 4
    mixed: concat {
        left: avg_pool 3x3 count_pad=false -> conv 1x1 2
        right: separable_conv 3x3 2
    }
    biased: bn variance=biased decay=0.8
    bare: bn scale=false shift=false
    blocks: repeat 2 { residual 4 }
    gate: gated 4
    aux side {
        global_avg_pool -> dropout 0.5
        fc: dense classes
    }
    adaptive_avg_pool 2x2
    hidden: dense 5
    dropout 0.25
    logits: dense classes
}
"""
PATH = Path("tools.inc")
X = np.random.default_rng(0).normal(size=(4, 6, 6, 3))


@cache
def module() -> Any:
    return incgen.load(PATH, "flax", text=SPEC)


@nnx.jit(static_argnums=0)
def made(seed: int) -> Any:
    return module().Tools(rngs=nnx.Rngs(seed))


@cache
def _begun(seed: int) -> Any:
    """Make a model in float32, which is how Flax makes one outside of float64 mode."""
    with jax.enable_x64(False):
        return made(seed)


def cast(model: Any, dtype: Any, *kinds: Any) -> Any:
    """Cast variables of a model, as Flax's guides do."""
    state = jax.tree.map(
        lambda v: jnp.asarray(np.asarray(v).astype(dtype)), nnx.state(model, kinds)
    )
    nnx.update(model, state)
    return model


def float32_model(seed: int = 0) -> Any:
    return nnx.clone(_begun(seed))


def model_of(seed: int = 0) -> Any:
    return cast(float32_model(seed), "float64", nnx.Param, nnx.BatchStat)


def values(model: Any, *kinds: Any) -> dict[str, Any]:
    """Return the variables of a model by path, but for keys of random numbers."""
    flat = nnx.to_flat_state(nnx.state(model, kinds or ...))
    named = {".".join(map(str, path)): variable.get_value() for path, variable in flat}
    return {path: np.asarray(value) for path, value in named.items() if not path.endswith(".key")}


def assert_equal(found: Any, wanted: Any, rtol: float = 1e-12) -> None:
    def compare(a: Any, b: Any) -> None:
        np.testing.assert_allclose(a, b, rtol=rtol, atol=rtol)

    jax.tree.map(compare, found, wanted)


def loss_of(model: Any, x: Any) -> Any:
    """Return a loss in training that every weight is part of."""
    outputs = model(x)
    return (outputs.logits**2).mean() + outputs.side.sum() + model.regularization_loss()


@nnx.jit
def run(model: Any, x: Any) -> Any:
    return model(x)


@nnx.jit
def derived(model: Any, x: Any) -> Any:
    return nnx.value_and_grad(loss_of)(model, x)


@pytest.fixture(autouse=True)
def in_float64_with_few_optimisations() -> Iterator[None]:
    option = "jax_disable_most_optimizations"
    before = jax.config.values[option]
    jax.config.update(option, True)
    with jax.enable_x64(True):
        yield
    jax.config.update(option, before)


def test_jit_trains_and_evaluates_as_without() -> None:
    plain, jitted = model_of(), model_of()

    assert_equal(run(jitted, X), plain(X))
    assert_equal(values(jitted), values(plain))  # the statistics, and the counts of dropout
    plain.eval()
    jitted.eval()
    before = values(plain)
    assert_equal(run(jitted, X), plain(X))
    assert_equal(values(plain), before)


def test_running_statistics_by_hand() -> None:
    model = model_of()
    x = np.random.default_rng(1).normal(3, 2, (2, 3, 3, 4))

    for norm, decay, ddof, eps in ((model.biased, 0.8, 0, 1e-5), (model.bare, 0.9, 1, 1e-5)):
        wanted = (x - x.mean((0, 1, 2))) / np.sqrt(x.var((0, 1, 2)) + eps)
        assert_equal(norm(x), wanted)
        assert_equal(norm.mean[...], (1 - decay) * x.mean((0, 1, 2)))
        assert_equal(norm.var[...], decay + (1 - decay) * x.var((0, 1, 2), ddof=ddof))
        norm.eval()
        wanted = (x - norm.mean[...]) / np.sqrt(norm.var[...] + eps)
        assert_equal(norm(x), wanted)
    model.bare.train()
    before = model.bare.var[...]
    model.bare(x[:1, :1, :1])  # a single value has no unbiased variance: 0 is added
    assert_equal(model.bare.var[...], 0.9 * before)


def test_a_derivative_is_the_slope_of_the_loss() -> None:
    model = model_of()
    graph, params, rest = nnx.split(nnx.clone(model), nnx.Param, ...)
    random = np.random.default_rng(1)
    move = jax.tree.map(lambda v: random.normal(size=v.shape), params)
    loss = jax.jit(lambda p: loss_of(nnx.merge(graph, p, rest, copy=True), X))

    def at(step: float) -> float:
        return float(loss(jax.tree.map(lambda v, m: np.asarray(v) + step * m, params, move)))

    value, gradient = derived(model, X)

    assert_equal(value, at(0))
    products = jax.tree.map(lambda g, m: (np.asarray(g) * m).sum(), gradient, move)
    assert_equal(sum(jax.tree.leaves(products)), (at(1e-5) - at(-1e-5)) / 2e-5, rtol=1e-6)


def test_weight_decay_is_half_the_rate_times_the_squares_of_the_kernels_that_have_one() -> None:
    model = model_of()
    decayed = ("stem.conv.kernel", "blocks.0.body.0.conv.kernel", "blocks.1.body.0.conv.kernel")

    squares = sum((values(model)[path] ** 2).sum() for path in decayed)
    assert_equal(model.regularization_loss(), 0.1 / 2 * squares)


def test_steps_of_an_optimizer_are_those_by_hand() -> None:
    model, by_hand = model_of(), model_of()
    optimizer = nnx.Optimizer(model, optax.sgd(0.1, momentum=0.9), wrt=nnx.Param)
    update = nnx.jit(lambda optimizer, model, gradient: optimizer.update(model, gradient))

    velocity: Any = jax.tree.map(np.zeros_like, nnx.state(by_hand, nnx.Param))
    for x in (X, X + 1):
        loss, gradient = derived(model, x)
        update(optimizer, model, gradient)
        wanted, gradient = derived(by_hand, x)
        velocity = jax.tree.map(lambda v, g: 0.9 * v + np.asarray(g), velocity, gradient)
        weights = nnx.state(by_hand, nnx.Param)
        moved = jax.tree.map(lambda w, v: jnp.asarray(w - 0.1 * v), weights, velocity)
        nnx.update(by_hand, moved)
        assert_equal(loss, wanted)
    assert_equal(values(model), values(by_hand))


def test_paths_are_the_label_paths() -> None:
    pure = nnx.to_pure_dict(nnx.state(float32_model(), (nnx.Param, nnx.BatchStat)))
    paths = [path for path, _ in jax.tree_util.tree_leaves_with_path(pure)]

    assert sorted(".".join(str(entry.key) for entry in path) for path in paths) == sorted(
        [f"{name}.{leaf}" for name in NORMS for leaf in ("mean", "var")]
        + [f"{name}.{leaf}" for name in NORMS if name != "bare" for leaf in ("bias", "scale")]
        + [f"{name}.kernel" for name in (*BIASED, *UNBIASED)]
        + [f"{name}.bias" for name in BIASED]
    )


NORMS = ("stem.bn", "biased", "bare", "blocks.0.body.0.bn", "blocks.1.body.0.bn")
BIASED = (
    "mixed.left.1",
    "mixed.right.pointwise",
    "blocks.0.body.1",
    "blocks.1.body.1",
    "gate.gate.squeeze.1",
    "side.fc",
    "hidden",
    "logits",
)
UNBIASED = ("stem.conv", "mixed.right.depthwise", "blocks.0.body.0.conv", "blocks.1.body.0.conv")


def test_models_in_one_vmap_are_the_models_by_themselves() -> None:
    @nnx.jit
    @nnx.split_rngs(splits=2)
    @nnx.vmap
    def several(rngs: Any) -> Any:
        return module().Tools(rngs=rngs)

    together = cast(several(nnx.Rngs(0)), "float64", nnx.Param, nnx.BatchStat)
    graph, state = nnx.graphdef(model_of()), nnx.state(together)
    alone = [nnx.merge(graph, jax.tree.map(lambda v, n=n: v[n], state), copy=True) for n in (0, 1)]

    found = nnx.jit(nnx.vmap(lambda model, x: model(x), in_axes=(0, None)))(together, X)

    wanted = [run(model, X) for model in alone]
    assert_equal(found, jax.tree.map(lambda *parts: jnp.stack(parts), *wanted))
    parts = [values(model) for model in alone]
    assert_equal(values(together), {key: np.stack([v[key] for v in parts]) for key in parts[0]})
    assert not np.allclose(parts[0]["stem.conv.kernel"], parts[1]["stem.conv.kernel"])


def test_a_repeat_can_be_scanned() -> None:
    model, scanned = model_of(), model_of()
    x = np.random.default_rng(1).normal(size=(2, 6, 6, 4))
    graph, first = nnx.split(scanned.blocks[0])
    stacked = jax.tree.map(lambda *v: jnp.stack(v), first, nnx.state(scanned.blocks[1]))
    layers = nnx.merge(graph, stacked)

    @nnx.jit
    @nnx.scan(in_axes=(0, nnx.Carry), out_axes=nnx.Carry)
    def forward(layer: Any, x: Any) -> Any:
        return layer(x)

    assert_equal(forward(layers, x), run(model.blocks, x))
    one, two = (values(layer) for layer in model.blocks)
    assert_equal(values(layers), {key: np.stack([one[key], two[key]]) for key in one})


def test_iterations_may_take_a_value_from_before_the_repeat() -> None:
    text = """network net {
        input 1x1 1
        a: conv 1x1 1 init=constant(2)
        r: repeat 2 { b: conv 1x1 1 init=ones; add { identity; from a } }
    }"""
    model = incgen.load("net.inc", "flax", text=text).Net(rngs=nnx.Rngs(0))

    assert model(jnp.ones((1, 1, 1, 1))).item() == 2 + 2 + 2


def test_remat_changes_no_number() -> None:
    model, again = model_of().blocks[0], model_of().blocks[0]
    x = np.random.default_rng(1).normal(size=(2, 6, 6, 4))

    def gradient(call: Any) -> Any:
        return nnx.jit(nnx.grad(lambda model, x: (call(model, x) ** 2).sum()))

    wanted = gradient(lambda model, x: model(x))(model, x)
    found = gradient(nnx.remat(lambda model, x: model(x)))(again, x)

    assert_equal(found, wanted)
    assert_equal(values(again), values(model))


def test_views_and_modes() -> None:
    model = model_of()
    view = nnx.view(model, deterministic=True, use_running_average=True)

    output = run(view, X)
    assert type(run(model, X)) is module().ToolsOutput
    before = values(view, nnx.BatchStat)
    assert_equal(before, values(model, nnx.BatchStat))  # shared
    model.eval()
    assert isinstance(output, jax.Array)
    assert output.shape == run(model, X).shape == (4, 3)
    assert_equal(values(model, nnx.BatchStat), before)
    assert type(run(nnx.view(model, deterministic=False), X)) is module().ToolsOutput
    assert "Tools:\n  set_view(self, deterministic: bool | None = None)" in nnx.view_info(model)


def test_models_of_equal_arguments_share_what_is_compiled() -> None:
    graphs = [nnx.eval_shape(lambda: module().Tools(rngs=nnx.Rngs(0))) for _ in range(2)]
    other = nnx.eval_shape(lambda: module().Tools(classes=4, rngs=nnx.Rngs(0)))

    first, second, third = map(nnx.graphdef, [*graphs, other])
    assert first == second
    assert first != third


def test_outputs_of_the_parts_can_be_captured() -> None:
    model = model_of()
    model.eval()

    output, captured = nnx.capture(model, nnx.Intermediate, method_outputs=nnx.Intermediate)(X)

    assert_equal(output, model(X))
    stem = model.stem(X)
    assert_equal(captured["stem"]["__call__"][0], stem)
    assert_equal(captured["mixed"]["__call__"][0], model.mixed(stem))
    assert captured["blocks"][0]["body"][1]["__call__"][0].shape == (4, 6, 6, 4)


def test_an_empty_batch_gives_an_empty_output() -> None:
    model = model_of()
    model.eval()

    assert run(model, X[:0]).shape == (0, 3)


def test_copies_and_checkpoints_give_the_same_output(tmp_path: Path) -> None:
    model = model_of()
    run(model, X)
    model.eval()
    wanted = run(model, X)
    with ocp.StandardCheckpointer() as checkpointer:
        checkpointer.save(tmp_path / "model", nnx.state(model))
        checkpointer.wait_until_finished()
        restored = model_of(1)
        restored.eval()
        nnx.update(restored, checkpointer.restore(tmp_path / "model", nnx.state(restored)))

    assert_equal(run(restored, X), wanted)
    assert_equal(run(nnx.merge(*nnx.split(model)), X), wanted)
    assert_equal(run(copy.deepcopy(model), X), wanted)
    block = model.blocks  # JAX's own functions, as `nnx.sigmoid` in `gate`, cannot be pickled
    x = np.random.default_rng(1).normal(size=(2, 6, 6, 4))
    assert_equal(run(pickle.loads(pickle.dumps(block)), x), run(block, x))


def test_an_export_takes_any_number_of_images() -> None:
    model = model_of()
    model.eval()
    images = jax.ShapeDtypeStruct(jax.export.symbolic_shape("n, 6, 6, 3"), jnp.float64)

    parts = nnx.split(model)
    program = jax.export.export(jax.jit(lambda x: nnx.merge(*parts)(x)))(images)

    loaded = jax.export.deserialize(program.serialize())
    wanted = run(model, X)
    assert_equal(loaded.call(X), wanted)
    assert_equal(loaded.call(X[:1]), wanted[:1])


def test_an_export_for_training_takes_any_number_of_vectors() -> None:
    spec = "numerics torch\nnetwork net {\ninput 1x1 2\nflatten -> bn\n}"
    model = incgen.load("net.inc", "flax", text=spec).Net(rngs=nnx.Rngs(0))
    graph, state = nnx.split(cast(model, "float64", nnx.Param, nnx.BatchStat))
    x = np.arange(6.0).reshape(3, 1, 1, 2)

    @jax.jit
    def variance(x: Any) -> Any:
        (norm,) = nnx.iter_children(trained := nnx.merge(graph, state, copy=True))
        trained(x)
        return norm[1].var[...]

    images = jax.ShapeDtypeStruct(jax.export.symbolic_shape("n, 1, 1, 2"), jnp.float64)
    program = jax.export.export(variance)(images)
    assert_equal(program.call(x), 0.9 + 0.1 * x.var(0, ddof=1).ravel())
    assert_equal(variance(x[:1]), [0.9, 0.9])


def test_tables_and_displays() -> None:
    model = float32_model()
    text = io.StringIO()
    with jax.enable_x64(False), redirect_stdout(text):
        nnx.display(model)
        table = nnx.tabulate(model, X.astype("float32"), console_kwargs={"width": 200})

    count = sum(value.size for value in values(model, nnx.Param).values())
    assert count == 903 + 15
    assert "Parameters  903, and 15 in the" in module().__doc__
    (totals,) = re.findall(r"Total Parameters: .*", table)
    every = count + sum(v.size for v in values(model, nnx.BatchStat).values())
    assert f"Total Parameters: {every + 4:,}" in totals, totals  # with the state of dropout
    assert "blocks/1/body/0/bn" in table


# ---------------------------------------------------------------- half precision


def test_attributes_set_the_type_of_the_computation() -> None:
    with jax.enable_x64(False):
        model, half = float32_model(), float32_model()
        half.set_attributes(dtype=jnp.bfloat16)
        x = X.astype("float32")

        wanted, found = run(model, x), run(half, x)

        assert {str(leaf.dtype) for leaf in jax.tree.leaves(found)} == {"bfloat16"}
        assert {str(v.dtype) for v in values(half, nnx.Param, nnx.BatchStat).values()} == {
            "float32"
        }
        model.eval()
        half.eval()
        wanted, found = run(model, x), run(half, x)
        assert_equal(found.astype("float32"), wanted, rtol=0.05)
        assert_equal(values(half, nnx.BatchStat), values(model, nnx.BatchStat), rtol=0.02)


@pytest.mark.parametrize("dtype", [None, "bfloat16"])
@pytest.mark.parametrize("params", ["float32", "bfloat16"])
def test_types_of_a_normalisation_are_those_of_the_stock_layer(dtype: Any, params: Any) -> None:
    with jax.enable_x64(False):
        own = float32_model().stem.bn
        stock = nnx.BatchNorm(4, momentum=0.9, use_fast_variance=False, rngs=nnx.Rngs(0))
        x = jnp.asarray(np.random.default_rng(1).normal(size=(2, 6, 6, 4)), "bfloat16")
        for norm in (own, stock):
            cast(norm, params, nnx.Param)
            norm.set_attributes(dtype=dtype)

        assert_equal(own(x).astype("float32"), stock(x).astype("float32"))
        assert own(x).dtype == stock(x).dtype
        assert own.var[...].dtype == own.mean[...].dtype == jnp.float32
        own.eval(), stock.eval()
        assert own(x).dtype == stock(x).dtype


def test_averages_of_half_precision_are_summed_in_float32() -> None:
    average = module().float32_avg_pool
    x = jnp.linspace(1, 2, 49 * 49, dtype="float32").reshape(1, 49, 49, 1)

    for dtype in ("bfloat16", "float16"):
        pooled = average(x.astype(dtype) * 30000, (49, 49))
        assert pooled.dtype == dtype
        assert_equal(pooled.astype("float32"), 45000, rtol=4e-3)
    sides = average(x, (3, 3), padding="SAME", count_include_pad=False)
    assert sides.dtype == jnp.float32  # also where float64 is the default


def test_gelu_of_large_values_in_half_precision() -> None:
    spec = "numerics torch\nnetwork net {\ninput 1x1 2\ngelu tanh -> gelu erf\n}"
    model = incgen.load("net.inc", "flax", text=spec).Net(rngs=nnx.Rngs(0))
    x = jnp.asarray([[[[3000, -3000]]]], "float16")  # whose cubes do not fit

    assert_equal(model(x), [[[[3000, 0]]]])
    gradient = jax.grad(lambda x: model(x).sum())(x)
    assert gradient.dtype == jnp.float16
    assert_equal(gradient, [[[[1, 0]]]])


# ---------------------------------------------------------------- weights


def tensors() -> dict[str, Any]:
    """Return the tensors of another model, as a file has them."""
    names = {"kernel": "weight", "scale": "weight", "mean": "running_mean", "var": "running_var"}
    arrays = {}
    for path, value in values(float32_model(1), nnx.Param, nnx.BatchStat).items():
        stem, _, name = path.rpartition(".")
        moved = value.transpose(3, 2, 0, 1) if value.ndim == 4 else value.T
        arrays[f"{stem}.{names.get(name, name)}"] = np.ascontiguousarray(moved)
    return arrays


@pytest.mark.parametrize("saved", ["float16", "bfloat16", "float32", "float64"])
def test_weights_of_any_type_load_in_the_type_of_the_model(saved: str, tmp_path: Path) -> None:
    given = {key: value.astype(saved) for key, value in tensors().items()}
    counted = {"stem.bn.num_batches_tracked": np.array(3)}
    save_file({**given, **counted}, tmp_path / "w.safetensors")
    model = cast(float32_model(), "bfloat16", nnx.Param)
    model.bare.mean.set_value(np.zeros(4, "float32"))  # as some checkpoints are restored

    module().load_safetensors(model, tmp_path / "w.safetensors")

    wanted = float32_model(1)
    for path, value in values(model, nnx.Param, nnx.BatchStat).items():
        kept = "float32" if path.endswith((".mean", ".var")) else "bfloat16"
        assert value.dtype == kept, path
        again = values(wanted, nnx.Param, nnx.BatchStat)[path].astype(saved)
        np.testing.assert_array_equal(value, again.astype(kept))


def test_weights_load_into_a_model_without_values(tmp_path: Path) -> None:
    save_file(tensors(), tmp_path / "w.safetensors")
    with jax.enable_x64(False):
        model = nnx.eval_shape(lambda: module().Tools(rngs=nnx.Rngs(0)))
        module().load_safetensors(model, tmp_path / "w.safetensors")

    assert_equal(
        values(model, nnx.Param, nnx.BatchStat), values(_begun(1), nnx.Param, nnx.BatchStat)
    )


def test_a_file_that_does_not_fit_loads_nothing(tmp_path: Path) -> None:
    given = tensors()
    del given["logits.bias"], given["bare.running_var"]
    given["stem.conv.weight"] = given["stem.conv.weight"][:, :2]
    given["more"] = np.zeros(2, "float32")
    save_file(given, tmp_path / "w.safetensors")
    model = float32_model()

    with pytest.raises(ValueError, match="does not fit") as raised:
        module().load_safetensors(model, tmp_path / "w.safetensors")

    assert str(raised.value).split("\n")[1:] == [
        "misshapen: stem.conv.weight (3, 3, 2, 4), not (3, 3, 3, 4)",
        "missing: bare.running_var",
        "missing: logits.bias",
        "unexpected: more",
    ]
    assert_equal(values(model), values(_begun(0)))


# ---------------------------------------------------------------- several devices


def test_statistics_of_a_named_axis_are_those_of_the_whole_batch() -> None:
    whole, parts = model_of().bare, model_of().bare
    x = np.random.default_rng(1).normal(3, 2, (2, 3, 3, 3, 4))
    parts.axis_name = "devices"
    graph, state = nnx.split(parts)

    def forward(x: Any) -> Any:
        norm = nnx.merge(graph, state, copy=True)
        y = norm(x)
        return y, nnx.to_pure_dict(nnx.state(norm))

    y, statistics = jax.vmap(forward, axis_name="devices")(x)

    assert_equal(y.reshape(6, 3, 3, 4), whole(x.reshape(6, 3, 3, 4)))
    for name, value in values(whole).items():
        assert_equal(statistics[name][0], value)
        assert_equal(statistics[name][1], value)


PROGRAM = """
import jax, jax.numpy as jnp, numpy as np, sys
from flax import nnx
import incgen

jax.config.update("jax_enable_x64", True)
jax.config.update("jax_disable_most_optimizations", True)
text, images, file = sys.stdin.read(), np.load(sys.argv[1]), sys.argv[2]
module = incgen.load("tools.inc", "flax", text=text)
mesh = jax.make_mesh((2,), ("data",))
replicated = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec())
split = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec("data"))
model = nnx.jit(lambda: module.Tools(rngs=nnx.Rngs(0)))()
weights = nnx.state(model, (nnx.Param, nnx.BatchStat))
weights = jax.tree.map(lambda v: jax.device_put(v.astype("float64"), replicated), weights)
nnx.update(model, weights)
module.load_safetensors(model, file)
assert model.stem.conv.kernel.sharding == replicated
x = jax.device_put(images, split)
run = nnx.jit(lambda model, x: model(x))
outputs = run(model, x)
assert len(outputs.logits.devices()) == 2
print(x.addressable_shards[0].data.shape)

every, own = jax.P(), jax.P("data")
model.set_attributes(nnx.BatchNorm, axis_name="data")
graph, state = nnx.split(model.bare)

@jax.jit
@jax.shard_map(mesh=mesh, in_specs=(every, own), out_specs=every)
def by_itself(state, x):
    norm = nnx.merge(graph, state, copy=True)
    norm(x)
    return norm.var[...]

together = by_itself(state, jnp.concatenate([x, x[..., :1]], axis=-1))
np.savez(sys.argv[3], together=together, side=outputs.side, logits=outputs.logits, **{
    ".".join(map(str, path)): v.get_value()
    for path, v in nnx.to_flat_state(nnx.state(model, nnx.BatchStat))
})
"""


def test_a_batch_split_over_devices_has_the_statistics_of_one(tmp_path: Path) -> None:
    save_file(tensors(), tmp_path / "w.safetensors")
    np.save(tmp_path / "x.npy", X)
    names = [str(tmp_path / name) for name in ("x.npy", "w.safetensors", "found.npz")]
    flags = f"{os.environ['XLA_FLAGS']} --xla_force_host_platform_device_count=2"
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *names],
        input=SPEC,
        text=True,
        capture_output=True,
        env={**os.environ, "XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"},
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout == "(2, 6, 6, 3)\n"
    found = dict(np.load(tmp_path / "found.npz"))

    model = model_of()
    module().load_safetensors(model, tmp_path / "w.safetensors")
    outputs = run(model, X)

    variance = np.concatenate([X, X[..., :1]], axis=-1).var((0, 1, 2), ddof=1)
    together = 0.9 * model.bare.var[...] + 0.1 * variance
    wanted = {**values(model, nnx.BatchStat), **outputs._asdict(), "together": together}
    assert_equal(found, {key: np.asarray(value) for key, value in wanted.items()})


@pytest.mark.parametrize(("pad", "compiles"), [("half", False), ("same", True)])
def test_what_the_compiler_does_not_survive(pad: str, compiles: bool) -> None:
    """If it does, docs/flax.md need not tell of it any more."""
    program = f"""
import incgen, jax, jax.numpy as jnp
from flax import nnx
spec = "network net {{\\n    input 8x8 3\\n    a: conv 5x2/2 4 pad={pad}\\n}}"
net = incgen.load("net.inc", "flax", text=spec).Net(rngs=nnx.Rngs(0))
jax.jit(jax.grad(lambda x: net(x).sum())).lower(jnp.ones((2, 8, 8, 3))).compile()
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)

    assert (done.returncode == 0) is compiles, done.stderr
    assert ("Check failed: computation->Accept(this)" in done.stderr) is not compiles
