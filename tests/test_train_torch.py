"""Training scripts of PyTorch: their text, each of their parts, and whole runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scripts
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from incgen.compiling import compile_recipe
from incgen.recipes import rates

#: A small network that has everything: normalisation, weight decay, dropout, a head.
NETWORK = """\
numerics caffe
unit conv_bn = conv bias=false l2=0.01 -> bn -> relu

network small(classes = 3, drop = 0.25) {
    input 8x8 3  range=[-1, 1]
    conv1: conv_bn 3x3 6
    aux early {
        global_avg_pool
        fc: dense classes
    }
    conv2: conv_bn 3x3/2 8
    global_avg_pool
    dropout drop
    logits: dense classes
}
"""
#: The least.
PLAIN = """\
numerics caffe
network small(classes = 3) {
    input 8x8 3  range=[0, 255]
    conv1: conv 3x3 6
    relu
    global_avg_pool
    logits: dense classes
}
"""
#: Settings of a recipe, by their first word.
SETTINGS = {
    "epochs": "3",
    "batch": "6 synchronized=true",
    "loss": "cross_entropy smoothing=0.1 heads=0.3",
    "optimizer": "sgd momentum=0.9 rate=inside",
    "rate": "0.05 -> warmup 2 steps -> exponential 0.5 every 0.5 epochs",
    "clip": "norm 1",
    "average": "0.9 ramp=true",
    "train": """{
        crop area=[0.3, 1] aspect=[3/4, 4/3] interpolation=random -> flip
        color brightness=0.125 contrast=[0.5, 1.5] saturation=[0.5, 1.5] hue=0.1
    }""",
    "evaluate": "{ resize 9 -> center_crop }",
}


def spec(network: str = NETWORK, drop: Sequence[str] = (), **settings: str) -> str:
    """Return a spec with a recipe `r`: SETTINGS with others in place, or without some."""
    lines = {**SETTINGS, **settings}
    body = "\n".join(f"    {name} {value}" for name, value in lines.items() if name not in drop)
    return f"{network}\nrecipe r for small {{\n{body}\n}}\n"


# ---------------------------------------------------------------- parts of a script


@pytest.fixture(scope="module")
def imported(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Any]:
    """Return what imports the script of a spec."""

    @cache
    def script(text: str) -> Any:
        return scripts.loaded(scripts.built(tmp_path_factory.mktemp("part"), text, "torch"))

    return script


@pytest.fixture
def float64() -> Iterator[None]:
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(before)


#: Rates that change from step to step, and gradients of two weights.
RATES = [0.1, 0.05, 0.2, 0.025]
GRADIENTS = [[0.5, -2.0], [0.25, 1.0], [-1.5, 0.125], [0.75, 0.5]]


def sgd(momentum: float, nesterov: bool, inside: bool) -> list[float]:
    """Return weights from 1 after the steps above, by the docstring of `Sgd`."""
    weights = []
    for gradients in zip(*GRADIENTS, strict=True):
        w, v = 1.0, 0.0
        for rate, g in zip(RATES, gradients, strict=True):
            if inside:
                v = momentum * v - rate * g
                w += momentum * v - rate * g if nesterov else v
            else:
                v = momentum * v + g
                w -= rate * (g + momentum * v) if nesterov else rate * v
        weights.append(w)
    return weights


def rmsprop(form: str, decay: float, momentum: float, eps: float) -> list[float]:
    """Return weights from 1 after the steps above, by the docstring of `RmsProp`."""
    weights = []
    for gradients in zip(*GRADIENTS, strict=True):
        w, v, s = 1.0, 0.0, 1.0 if form == "tf" else 0.0
        for rate, g in zip(RATES, gradients, strict=True):
            s = decay * s + (1 - decay) * g * g
            if form == "torch":
                v = momentum * v + g / (s**0.5 + eps)
                w -= rate * v
            else:
                v = momentum * v - rate * g / (s + eps) ** 0.5
                w += v
        weights.append(w)
    return weights


def adam(beta1: float, beta2: float, eps: float, decay: float = 0.0) -> list[float]:
    """Return weights from 1 after the steps above, by arXiv:1412.6980 and arXiv:1711.05101."""
    weights = []
    for gradients in zip(*GRADIENTS, strict=True):
        w, m, v = 1.0, 0.0, 0.0
        for t, (rate, g) in enumerate(zip(RATES, gradients, strict=True), 1):
            w -= rate * decay * w
            m, v = beta1 * m + (1 - beta1) * g, beta2 * v + (1 - beta2) * g * g
            w -= rate * (m / (1 - beta1**t)) / ((v / (1 - beta2**t)) ** 0.5 + eps)
        weights.append(w)
    return weights


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("sgd", sgd(0, False, False)),
        ("sgd momentum=0.75", sgd(0.75, False, False)),
        ("sgd momentum=0.75 nesterov=true", sgd(0.75, True, False)),
        ("sgd momentum=0.75 rate=inside", sgd(0.75, False, True)),
        ("sgd momentum=0.75 nesterov=true rate=inside", sgd(0.75, True, True)),
        ("rmsprop tf decay=0.9 momentum=0.75 eps=1", rmsprop("tf", 0.9, 0.75, 1)),
        ("rmsprop keras decay=0.9 momentum=0.75 eps=0.01", rmsprop("keras", 0.9, 0.75, 0.01)),
        ("rmsprop torch decay=0.9 momentum=0.75 eps=0.01", rmsprop("torch", 0.9, 0.75, 0.01)),
        ("rmsprop torch decay=0.9 eps=0.01", rmsprop("torch", 0.9, 0, 0.01)),
        ("adam eps=0.1", adam(0.9, 0.999, 0.1)),
        ("adamw beta2=0.95 decay=0.25", adam(0.9, 0.95, 1e-8, 0.25)),
    ],
)
@pytest.mark.usefixtures("float64")
def test_an_optimizer(line: str, expected: list[float], imported: Callable[..., Any]) -> None:
    module = imported(spec(optimizer=line))
    model = nn.Linear(1, 2, bias=False)
    nn.init.ones_(model.weight)
    optimizer = module.make_optimizer(model)
    for rate, gradients in zip(RATES, GRADIENTS, strict=True):
        model.weight.grad = torch.tensor(gradients)[:, None]
        for group in optimizer.param_groups:
            group["lr"] = rate
        optimizer.step()

    assert model.weight.flatten().tolist() == pytest.approx(expected, rel=1e-12)


@pytest.mark.usefixtures("float64")
def test_adamw_decays_kernels_only(imported: Callable[..., Any]) -> None:
    module = imported(spec(optimizer="adamw beta2=0.95 decay=0.25"))
    model = module.Small()
    before = {key: w.detach().clone() for key, w in model.named_parameters()}
    for w in model.parameters():
        w.grad = torch.zeros_like(w)
    optimizer = module.make_optimizer(model)
    for group in optimizer.param_groups:
        group["lr"] = 0.5
    optimizer.step()

    for key, w in model.named_parameters():
        left = 1 - 0.5 * 0.25 if w.dim() > 1 else 1
        torch.testing.assert_close(w, left * before[key], rtol=1e-12, atol=0)


@pytest.mark.parametrize(
    "line",
    [
        "0.3",
        "0.3 -> exponential 0.94 every 2 epochs",
        "0.3 -> exponential 0.94 every 5 steps smooth=true",
        "0.3 per=epoch -> exponential 0.9 every 0.3 epochs",
        "0.3 -> warmup 1.5 epochs start=0.1 -> exponential 0.5 every 3 epochs smooth=true",
        "0.3 -> steps 0.1 at [1.5, 4] epochs",
        "0.3 -> warmup 5 steps -> polynomial 2",
        "0.3 -> polynomial 1 to=0.01",
        "0.3 -> cosine",
        "0.3 -> warmup 1 epoch -> cosine to=0.001",
    ],
)
@pytest.mark.parametrize("length", ["epochs", "steps"])
def test_a_rate(line: str, length: str, imported: Callable[..., Any]) -> None:
    """The reference has tests of its own."""
    text = spec(rate=line) if length == "epochs" else spec(drop=["epochs"], steps="40", rate=line)
    module, (_, recipe) = imported(text), compile_recipe("spec.inc", "r", text=text)
    epoch = 7
    total = module.length(epoch)

    assert total == rates.total_steps(recipe, epoch)
    assert [module.rate(step, epoch, total) for step in range(total)] == [
        rates.rate_at(recipe.rate, step, epoch, total) for step in range(total)
    ]


def test_the_order_of_examples(imported: Callable[..., Any]) -> None:
    full = imported(spec(shuffle="full"))
    assert full.order(3, 10, 7).tolist() == np.random.default_rng([7, 3]).permutation(10).tolist()

    once = imported(spec(shuffle="once"))
    first = np.random.default_rng([7]).permutation(10).tolist()
    assert [once.order(e, 10, 7).tolist() for e in (0, 5)] == [first, first]

    shards = imported(spec(shuffle="shards 4"))
    rng = np.random.default_rng([7, 3])
    expected = [rng.permutation(part).tolist() for part in (first[:4], first[4:8], first[8:])]
    assert shards.order(3, 10, 7).tolist() == [*chain(*expected)]

    assert imported(spec(shuffle="none")).order(3, 10, 7).tolist() == [*range(10)]


def test_processes_share_each_batch(
    imported: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that begins in the middle of an epoch sees what one from the start sees there."""
    module = imported(spec())
    whole = [(epoch, part.tolist()) for epoch, part in module.Order(20, 7, 0, 7)]
    assert [epoch for epoch, _ in whole] == [0, 0, 0, 1, 1, 1, 2]
    for epoch in (0, 1):
        seen = module.order(epoch, 20, 7).tolist()
        assert [*chain(*(part for e, part in whole if e == epoch))] == seen[:18]

    monkeypatch.setattr(module, "PROCESSES", 3)
    shares = []
    for rank in range(3):
        monkeypatch.setattr(module, "RANK", rank)
        shares.append([part.tolist() for _, part in module.Order(20, 7, 4, 7)])
    assert [[*chain(*parts)] for parts in zip(*shares, strict=True)] == [p for _, p in whole[4:]]


@pytest.mark.usefixtures("float64")
def test_clipping(imported: Callable[..., Any]) -> None:
    def clipped(line: str, scale: float) -> list[float]:
        weights = [nn.Parameter(torch.zeros(n)) for n in (2, 1)]
        weights[0].grad, weights[1].grad = (
            torch.tensor([3.0, 0]) * scale,
            torch.tensor([4.0]) * scale,
        )
        imported(spec(clip=line)).clip(weights)
        return [value for w in weights for value in (w.grad if w.grad is not None else w).tolist()]

    assert clipped("norm 2", 1) == pytest.approx([1.2, 0, 1.6], rel=1e-15)
    assert clipped("norm 2", 0.25) == [0.75, 0, 1]
    assert clipped("norm 2", 0) == [0, 0, 0]
    assert clipped("value 3.5", 1) == [3, 0, 3.5]
    assert clipped("value 3.5", -1) == [-3, 0, -3.5]


@pytest.mark.parametrize(
    ("line", "decays"), [("0.9", [0.9] * 3), ("0.25 ramp=true", [0.1, 2 / 11, 0.25])]
)
@pytest.mark.usefixtures("float64")
def test_the_average(line: str, decays: list[float], imported: Callable[..., Any]) -> None:
    module = imported(spec(average=line))
    model = module.Small()
    average = module.Average(model)
    expected = {key: value.clone() for key, value in model.state_dict().items()}
    for step, decay in enumerate(decays):
        for value in model.state_dict().values():
            value.add_(step + 1)
        average.update(step)
        for key, value in model.state_dict().items():
            old = expected[key]
            new = decay * old + (1 - decay) * value if value.is_floating_point() else value.clone()
            expected[key] = new

    found = average.model.state_dict()
    assert found.keys() == expected.keys()
    for key in expected:
        torch.testing.assert_close(found[key], expected[key], rtol=1e-13, atol=0)


def cross_entropy(logits: np.ndarray, labels: Sequence[int], smoothing: float) -> float:
    """Return the mean cross-entropy, by the docstring of `Loss`."""
    logits = logits - logits.max(1, keepdims=True)
    log_p = logits - np.log(np.exp(logits).sum(1, keepdims=True))
    targets = (1 - smoothing) * np.eye(logits.shape[1])[list(labels)] + smoothing / logits.shape[1]
    return float(-(targets * log_p).sum(1).mean())


@pytest.mark.parametrize("l2", [None, "0.125", "0"])
@pytest.mark.usefixtures("float64")
def test_the_loss(l2: str | None, imported: Callable[..., Any]) -> None:
    """Its own weight decay is of the convolutions, that of the recipe is of all kernels."""
    module = imported(spec(**({} if l2 is None else {"l2": l2})))
    torch.manual_seed(0)
    model, labels = module.Small(), [0, 2, 1, 2]
    outputs = model(torch.randn(4, 3, 8, 8))
    loss = module.loss_of(model, outputs, torch.tensor(labels))

    main, head = (output.detach().numpy() for output in outputs)
    expected = cross_entropy(main, labels, 0.1) + 0.3 * cross_entropy(head, labels, 0.1)
    for weight in model.parameters():
        if weight.dim() == 4:
            expected += (
                (0.01 if l2 is None else float(l2)) / 2 * float(weight.detach().square().sum())
            )
        elif weight.dim() == 2:
            expected += float(l2 or 0) / 2 * float(weight.detach().square().sum())
    assert float(loss) == pytest.approx(expected, rel=1e-13)


@pytest.mark.usefixtures("float64")
def test_the_loss_of_a_network_without_heads_and_decay(imported: Callable[..., Any]) -> None:
    module = imported(spec(PLAIN, loss="cross_entropy"))
    logits, labels = torch.randn(4, 3), [0, 2, 1, 2]
    loss = module.loss_of(module.Small(), logits, torch.tensor(labels))

    assert float(loss) == pytest.approx(cross_entropy(logits.numpy(), labels, 0), rel=1e-13)


def test_half_precision_does_not_round_the_loss(imported: Callable[..., Any]) -> None:
    module = imported(spec(PLAIN, loss="cross_entropy"))
    logits = torch.tensor([[3.0, 2.75, -1.0]], dtype=torch.bfloat16)
    loss = module.loss_of(module.Small(), logits, torch.tensor([0]))

    assert float(loss) == pytest.approx(cross_entropy(logits.double().numpy(), [0], 0), rel=1e-6)


# ---------------------------------------------------------------- whole runs


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return scripts.folder_of_images(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return scripts.built(tmp_path_factory.mktemp("script"), spec(), "torch")


@pytest.fixture(scope="module")
def whole(script: Path, images: Path, tmp_path_factory: pytest.TempPathFactory) -> scripts.Run:
    """Return a run that nothing interrupted."""
    output = tmp_path_factory.mktemp("runs") / "whole"
    run = scripts.run(script, images, output, "--log-every=1")
    assert run.code == 0, run.said
    return run


def weights(run: scripts.Run, name: str = "last") -> dict[str, Tensor]:
    return load_file(run.output / f"{name}.safetensors")


def test_a_run_writes_its_files(whole: scripts.Run) -> None:
    names = {path.name.partition(".out")[0] for path in whole.output.iterdir()}
    assert names == {
        "average.safetensors",
        "checkpoint.pt",
        "curves.png",
        "events",
        "last.safetensors",
        "log.csv",
    }
    log = whole.log()
    assert [row["step"] for row in log if row["loss"]] == [str(n) for n in range(1, 16)]
    assert [row["step"] for row in log if row["top1"]] == ["5", "10", "15"]


@pytest.mark.parametrize(
    ("number", "code"),
    [(scripts.KILL, -9), (scripts.TERMINATE, 143), (scripts.INTERRUPT, 130)],
)
def test_an_interrupted_run_goes_on_as_if_it_had_not_been(
    number: int, code: int, script: Path, images: Path, tmp_path: Path, whole: scripts.Run
) -> None:
    options = ["--log-every=1", "--save-every=4"]
    first = scripts.run(script, images, tmp_path / "run", *options, at=(number, 6))
    again = scripts.run(script, images, tmp_path / "run", *options, "--resume")

    assert (first.code, again.code) == (code, 0), first.said + again.said
    assert again.log() == whole.log()
    for name in ("last", "average"):
        expected, found = weights(whole, name), weights(again, name)
        assert {k: torch.equal(v, found[k]) for k, v in expected.items()} == dict.fromkeys(
            expected, True
        )


@pytest.mark.parametrize("numerics", ["caffe", "tf"])
def test_two_processes_are_one(numerics: str, images: Path, tmp_path: Path) -> None:
    """The two conventions differ in which variance is averaged."""
    text = spec(NETWORK.replace("caffe", numerics).replace("drop = 0.25", "drop = 0"))
    script = scripts.built(tmp_path / "script", text, "torch")
    runs = [
        scripts.run(
            script, images, tmp_path / f"run{n}", "--log-every=1", processes=n, dtype="float64"
        )
        for n in (1, 2)
    ]
    assert [run.code for run in runs] == [0, 0], runs[1].said

    one, two = (weights(run) for run in runs)
    assert one.keys() == two.keys()
    for key in one:
        torch.testing.assert_close(two[key], one[key], rtol=1e-9, atol=1e-9)
    for row, other in zip(*(run.log() for run in runs), strict=True):
        for column in row:
            assert float(other[column] or 0) == pytest.approx(float(row[column] or 0), rel=1e-9)
