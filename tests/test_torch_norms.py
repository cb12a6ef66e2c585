"""Generated batch normalisation keeps the contract of `nn.BatchNorm2d`, in PyTorch's own tools."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from published import imported
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch_tools import Made, copied, exported, int8_fx, int8_pt2e, int8_qat, scripted, synced

import incgen

#: A form of batch normalisation: its arguments in the spec.
FORMS = {
    "stock": "variance=unbiased",
    "scale": "shift=false variance=unbiased",
    "shift": "scale=false variance=unbiased",
    "neither": "scale=false shift=false variance=unbiased",
    "biased": "variance=biased",
    "biased scale": "shift=false variance=biased",
    "biased shift": "scale=false variance=biased",
    "biased neither": "scale=false shift=false variance=biased",
}
#: The class of PyTorch's own layers.
STOCK = ("stock", "scale", "neither")


def norm_net(form: str, *, random: bool = True, vectors: bool = True) -> nn.Module:
    """Return a network with normalisations of maps and of vectors, in float64."""
    spec = f"""
    numerics tf
    network norms {{
        input 8x8 3
        conv: conv 3x3 4 bias=false
        one: bn decay=0.6 {FORMS[form]}
        relu
        global_avg_pool
        fc: dense 5
        {f"two: bn decay=0.75 {FORMS[form]}" if vectors else ""}
    }}
    """
    torch.manual_seed(0)
    model: nn.Module = incgen.load("norms.inc", "torch", text=spec).Norms().double()
    if random:
        for value in model.state_dict().values():
            if value.ndim == 1:
                nn.init.uniform_(value, 0.5, 1.5)
    return model


def norms_of(model: nn.Module) -> Iterator[_BatchNorm]:
    return (module for module in model.modules() if isinstance(module, _BatchNorm))


def images(seed: int = 1) -> Tensor:
    return torch.rand(6, 3, 8, 8, generator=torch.Generator().manual_seed(seed)).double()


def expected(model: nn.Module, x: Tensor) -> Tensor:
    """Return the network's result in evaluation, by the formulas."""
    state = model.state_dict()

    def normalised(value: Tensor, name: str) -> Tensor:
        mean, var, weight, bias = (
            state[f"{name}.{key}"] if f"{name}.{key}" in state else torch.tensor(default)
            for key, default in (
                ("running_mean", 0.0),
                ("running_var", 1.0),
                ("weight", 1.0),
                ("bias", 0.0),
            )
        )
        scaled = (value.movedim(1, -1) - mean) / (var + 1e-3).sqrt() * weight + bias
        return scaled.movedim(-1, 1)

    x = nn.functional.conv2d(x, state["conv.weight"], padding=1)
    x = normalised(x, "one").clamp(min=0).mean((2, 3))
    return normalised(x @ state["fc.weight"].T + state["fc.bias"], "two")


forms = pytest.mark.parametrize("form", FORMS)
#: Those that have what the others lack, because quantising takes long.
quantised = pytest.mark.parametrize("form", ["shift", "biased", "biased neither"])


@forms
def test_in_evaluation_it_is_the_stock_layer(form: str) -> None:
    model, x = norm_net(form).eval(), images()
    gamma, beta = "shift" not in form, "scale" not in form
    keys = {key.partition(".")[2] for key in model.state_dict() if key.startswith("one.")}

    assert ("weight" in keys, "bias" in keys) == (
        gamma and "neither" not in form,
        beta and "neither" not in form,
    )
    assert {name for name, _ in model.one.named_parameters()} == keys & {"weight", "bias"}
    torch.testing.assert_close(model(x), expected(model, x))


@forms
def test_the_running_statistics_of_training(form: str) -> None:
    model, x = norm_net(form, random=False).train(), images()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    batch = model.conv(x)

    model(x).sum().backward()
    model(x).sum().backward()

    unbiased = "biased" not in form
    for key, value in (
        ("one.running_mean", batch.mean((0, 2, 3))),
        ("one.running_var", batch.var((0, 2, 3), unbiased=unbiased)),
    ):
        wanted = 0.6 * (0.6 * before[key] + 0.4 * value) + 0.4 * value
        torch.testing.assert_close(model.state_dict()[key], wanted)
    assert model.one.num_batches_tracked == 2


@forms
def test_swa_averages_the_statistics_of_all_batches(form: str) -> None:
    model, batches = norm_net(form), [images(1), images(2), images(3)]
    momenta = [norm.momentum for norm in norms_of(model)]

    torch.optim.swa_utils.update_bn(batches, model)

    values = [model.conv(x).var((0, 2, 3), unbiased="biased" not in form) for x in batches]
    torch.testing.assert_close(model.one.running_var, torch.stack(values).mean(0).detach())
    assert [norm.momentum for norm in norms_of(model)] == momenta


@forms
def test_without_running_statistics_the_batch_counts(form: str) -> None:
    model, x = norm_net(form), images()
    with torch.no_grad():
        wanted = copy.deepcopy(model).train()(x)
    removed, untracked = copy.deepcopy(model), copy.deepcopy(model)
    torch.func.replace_all_batch_norm_modules_(removed)
    for norm in norms_of(untracked):
        norm.track_running_stats = False

    torch.testing.assert_close(removed.train()(x), wanted)
    torch.testing.assert_close(removed.eval()(x), wanted)
    torch.testing.assert_close(untracked.train()(x), wanted)
    torch.testing.assert_close(untracked.one.running_var, model.one.running_var)


@forms
def test_parameters_are_reset_and_frozen(form: str) -> None:
    model, x = norm_net(form), images()
    fresh = norm_net(form, random=False)
    frozen = copy.deepcopy(model).train()
    for norm in norms_of(model):
        norm.reset_parameters()
    for norm in norms_of(frozen):
        norm.eval().requires_grad_(False)
    before = copy.deepcopy(frozen.state_dict())
    frozen(x).sum().backward()

    for key, value in model.state_dict().items():
        if key.startswith(("one", "two")):
            torch.testing.assert_close(value, fresh.state_dict()[key])
    for key, value in frozen.state_dict().items():
        torch.testing.assert_close(value, before[key], rtol=0, atol=0)


@forms
def test_conversion_to_sync_batch_norm_is_right_or_refused(form: str) -> None:
    model, x = norm_net(form).eval(), images()
    wanted = model(x)
    if form in STOCK:
        made: Any = synced(model, x)
        assert isinstance(made.one, nn.SyncBatchNorm)
        torch.testing.assert_close(made(x), wanted)
        return

    reason = "averages the unbiased variance" if "biased" in form else "parameter 'weight'"
    with pytest.raises(TypeError, match=reason):
        nn.SyncBatchNorm.convert_sync_batchnorm(model)
    torch.testing.assert_close(model(x), wanted)  # it is as it was


def test_a_refused_conversion_leaves_the_children_before_it_converted() -> None:
    spec = """numerics torch
    network mixed { input 8x8 3
        one: bn variance=unbiased
        two: bn variance=biased
    }"""
    model = incgen.load("mixed.inc", "torch", text=spec).Mixed()

    with pytest.raises(TypeError, match="averages the unbiased variance"):
        nn.SyncBatchNorm.convert_sync_batchnorm(model)

    # so the docs say to convert a copy
    kinds = [type(norm).__name__ for norm in (model.one, model.two)]
    assert kinds == ["SyncBatchNorm", "BiasedBatchNorm2d"]


@forms
def test_timm_freezes_it_as_it_is(form: str) -> None:
    freeze = imported("timm.utils.model").freeze_batch_norm_2d
    model, x = norm_net(form).eval(), images()
    wanted = model(x)
    if form.endswith("scale"):
        with pytest.raises(AttributeError):  # of a stock layer with `bias=False` too
            freeze(model)
        return

    frozen = freeze(copy.deepcopy(model))

    assert type(frozen.one).__name__ == "FrozenBatchNorm2d"
    torch.testing.assert_close(frozen(x), wanted)


@forms
@pytest.mark.parametrize("training", [False, True])
def test_fx_traces_it(form: str, training: bool) -> None:
    model, twin = norm_net(form).train(training), norm_net(form).train(training)
    traced = torch.fx.symbolic_trace(twin)

    for seed in (1, 2):
        torch.testing.assert_close(traced(images(seed)), model(images(seed)))
    found, wanted = traced.state_dict(), model.state_dict()
    assert {key for key in wanted if not key.endswith("tracked")} <= found.keys()
    for key in wanted.keys() & found.keys():
        torch.testing.assert_close(found[key], wanted[key])


def relative(found: Tensor, wanted: Tensor) -> float:
    return float((found - wanted).detach().norm() / wanted.detach().norm())


@quantised
def test_fx_quantises_it(form: str) -> None:
    model, x = norm_net(form, vectors=False).float().eval(), images().float()

    assert relative(int8_fx(model, x)(x), model(x)) < 0.03


@pytest.mark.parametrize("form", ["stock", "shift", "biased shift"])
def test_quantisation_aware_training_trains_and_converts_it(form: str) -> None:
    model, x = norm_net(form, vectors=False).float().train(), images().float()
    if form == "shift":  # its convolution takes the weight for a parameter
        with pytest.raises((AssertionError, TypeError)):
            int8_qat(model, x, 1)
        return

    output = int8_qat(model, x, 12)(x)

    for _ in range(12):
        model(x)
    assert relative(output, model.eval()(x)) < 0.15  # without beta it is 0.5


@quantised
def test_pt2e_quantises_it(form: str) -> None:
    model, x = norm_net(form, vectors=False).float().eval(), images().float()

    assert relative(int8_pt2e(model, x)(x), model(x)) < 0.03


@forms
def test_functional_transforms(form: str) -> None:
    model, x = norm_net(form).train(), images()
    parameters = dict(model.named_parameters())
    buffers = {name: value.clone() for name, value in model.named_buffers()}

    def loss(parameters: dict[str, Tensor], buffers: dict[str, Tensor]) -> Tensor:
        output: Any = torch.func.functional_call(model, (parameters, buffers), (x,))
        return output.square().sum()  # type: ignore[no-any-return]

    gradients = torch.func.grad(loss)(parameters, buffers)
    model(x).square().sum().backward()

    for name, value in model.named_parameters():
        torch.testing.assert_close(gradients[name], value.grad)
    for name, value in model.named_buffers():
        torch.testing.assert_close(buffers[name], value)
    model.eval()
    torch.testing.assert_close(torch.vmap(lambda z: model(z[None])[0])(x), model(x))


def through_meta(model: nn.Module, form: str) -> nn.Module:
    with torch.device("meta"):
        made = norm_net(form, random=False)
    made.load_state_dict(model.state_dict(), assign=True)
    return made.eval()


def emptied(model: nn.Module, form: str) -> nn.Module:
    made = copy.deepcopy(model).to("meta").to_empty(device="cpu")
    for tensor in (*made.parameters(), *made.buffers()):
        nn.init.constant_(tensor, 7)
    made.load_state_dict(model.state_dict())
    return made


COPIES: dict[str, Callable[[nn.Module, str], Made]] = {
    "copy": lambda model, form: copied(model, images()),
    "meta": through_meta,
    "to_empty": emptied,
    "script": lambda model, form: scripted(model, images()),
    "export": lambda model, form: exported(model, images()),
}


@forms
@pytest.mark.parametrize("way", COPIES)
def test_copies_are_the_same(form: str, way: str) -> None:
    model, x = norm_net(form).eval(), images()

    torch.testing.assert_close(COPIES[way](model, form)(x), model(x))


@forms
def test_half_precision(form: str) -> None:
    model, x = norm_net(form).eval(), images()
    wanted = model(x)

    for dtype in (torch.float16, torch.bfloat16):
        lower = copy.deepcopy(model).to(dtype)
        torch.testing.assert_close(lower(x.to(dtype)).double(), wanted, rtol=0.05, atol=0.05)
        lower.train()(x.to(dtype)).sum().backward()
        assert {b.dtype for b in lower.buffers()} == {dtype, torch.int64}


def test_flags_that_parameters_decide() -> None:
    spec = """
    numerics tf
    block norm(s, h, v) { bn: bn scale=s shift=h variance=v }
    network flags {
        input 4x4 3
        a: norm true false biased
        b: norm false true unbiased
        c: norm false false biased
        d: norm true true unbiased
    }
    """
    model = incgen.load("flags.inc", "torch", text=spec).Flags()
    keys = {key for key in model.state_dict() if key.endswith(("weight", "bias"))}
    kinds = [type(norm).__name__ for norm in norms_of(model)]

    assert keys == {"a.bn.weight", "b.bn.bias", "d.bn.weight", "d.bn.bias"}
    assert kinds == ["BiasedBatchNorm2d", "BatchNorm2d", "BiasedBatchNorm2d", "BatchNorm2d"]
