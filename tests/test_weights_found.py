"""Prefixes and sets of weights in a file, as an import finds them; reinitialised layers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from shlex import quote
from typing import Any

import numpy as np
import pytest
import torch
from checkpoints import Array, initial, random_arrays, write_safetensors
from safetensors.numpy import load_file

import incgen

SPEC = """\
numerics torch
unit conv_bn = conv bias=false -> bn -> relu
network net(classes = 4) {
    input 6x6 3
    a: conv_bn 3x3 8
    b: conv_bn 3x3 8
    aux side { global_avg_pool
        logits: dense classes }
    global_avg_pool
    dropout 0.5
    logits: dense classes
}
"""
#: Theirs, as PyTorch has it, and the layout of that.
TORCH = {
    **{f"{n}.conv.weight": (8, inputs, 3, 3) for n, inputs in (("first", 3), ("second", 8))},
    **{
        f"{n}.norm.{end}": (8,)
        for n in ("first", "second")
        for end in ("weight", "bias", "running_mean", "running_var")
    },
    "head.weight": (4, 8),
    "head.bias": (4,),
    "side.weight": (4, 8),
    "side.bias": (4,),
}
LAYOUT = """\
convention = "torch"
[parts]
".conv" = "{layer}.conv"
".bn" = "{layer}.norm"
[layers]
"a" = "first"
"b" = "second"
"logits" = "head"
"side.logits" = "side"
"""
TRAINED = [name for name in TORCH if "running" not in name]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the current folder, with a spec and a layout."""
    monkeypatch.chdir(tmp_path)
    Path("net.inc").write_text(SPEC, "utf-8")
    Path("layouts/net").mkdir(parents=True)
    Path("layouts/net/theirs.toml").write_text(LAYOUT, "utf-8")
    return tmp_path


def state(seed: int = 0, shapes: Mapping[str, tuple[int, ...]] = TORCH) -> dict[str, torch.Tensor]:
    return {name: torch.from_numpy(array) for name, array in random_arrays(shapes, seed).items()}


def under(prefix: str, tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {f"{prefix}{name}": tensor for name, tensor in tensors.items()}


def imported(content: object, **options: Any) -> tuple[dict[str, Array], dict[str, Any]]:
    """Import a PyTorch file; return the result and the manifest."""
    torch.save(content, "x.pth")
    return read("x.pth", **options)


def read(path: str, **options: Any) -> tuple[dict[str, Array], dict[str, Any]]:
    manifest = incgen.import_weights(path, "net.inc", "w.safetensors", force=True, **options)
    return load_file("w.safetensors"), manifest


def refused(content: object, **options: Any) -> str:
    """Return why a PyTorch file is rejected."""
    torch.save(content, "x.pth")
    with pytest.raises(incgen.WeightsError) as caught:
        incgen.import_weights("x.pth", "net.inc", "no.safetensors", **options)
    assert not Path("no.safetensors").exists()
    return str(caught.value)


def is_held(ours: Mapping[str, Array], theirs: Mapping[str, torch.Tensor]) -> bool:
    """Return whether every tensor of ours equals theirs, layer by layer as listed here."""
    layers = {
        **{"a.conv": "first.conv", "a.bn": "first.norm", "b.conv": "second.conv"},
        **{"b.bn": "second.norm", "logits": "head", "side.logits": "side"},
    }
    for key, value in ours.items():
        layer, _, name = key.rpartition(".")
        if not np.array_equal(value, theirs[f"{layers[layer]}.{name}"].numpy()):
            return False
    return len(ours) == len(TORCH)


# ---------------------------------------------------------------- prefixes


@pytest.mark.parametrize(
    "prefix",
    ["module.", "model.", "net.backbone.", "module.base_model.", "FeatureExtractor/", "a/b.c."],
)
def test_a_prefix_is_found_and_said(prefix: str, folder: Path) -> None:
    theirs = state()

    tensors, manifest = imported(under(prefix, theirs))

    assert is_held(tensors, theirs)
    assert manifest["layout"]["name"] == "theirs"
    assert manifest["checkpoint"]["part"] == prefix[:-1]
    assert manifest["tensors"]["a.conv.weight"]["from"] == [f"{prefix}first.conv.weight"]
    assert manifest["beside"] == manifest["left"] == []


@pytest.mark.parametrize(
    "around",
    ["state_dict", "params", "generator", "weights", "model_state_dict", "anything at all"],
)
def test_a_state_dict_is_found_whatever_is_around_it(around: str, folder: Path) -> None:
    theirs = state()
    optimizer = {"state": {0: {"exp_avg": torch.ones(3)}}, "param_groups": [{"lr": 0.1}]}
    whole = {"epoch": 3, around: under("model.", theirs), "optimizer": optimizer}

    tensors, manifest = imported(whole)

    assert is_held(tensors, theirs)
    assert manifest["checkpoint"]["part"] == f"{around}.model"
    assert manifest["beside"] == []


def test_a_prefix_is_found_in_every_format(folder: Path) -> None:
    theirs = {name: value.numpy() for name, value in under("module.", state()).items()}
    write_safetensors(Path("x.safetensors"), theirs)
    np.savez("x.npz", **theirs)  # type: ignore[arg-type]

    for path in ("x.safetensors", "x.npz"):
        tensors, manifest = read(path)
        assert is_held(tensors, state())
        assert manifest["checkpoint"]["part"] == "module"


def test_our_own_keys_have_prefixes_too(folder: Path) -> None:
    ours = initial(incgen.compile_spec("net.inc"), 3)
    torch.save(under("module.", {k: torch.from_numpy(v) for k, v in ours.items()}), "x.pth")

    tensors, manifest = read("x.pth")
    assert manifest["layout"]["name"] == "incgen"
    assert all(np.array_equal(tensors[key], ours[key]) for key in ours)

    incgen.export_weights("x.pth", "net.inc", "y.npz", format="npz")
    assert list(np.load("y.npz")) == list(ours)


def test_what_is_beside_the_model_is_listed_as_what_it_is(folder: Path) -> None:
    more = {"criterion.weight": torch.ones(10), "val_acc.correct": torch.tensor(3)}
    counters = {"model.first.norm.num_batches_tracked": torch.tensor(3)}
    counters |= {"n_averaged": torch.tensor(1)}

    tensors, manifest = imported({"state_dict": under("model.", state()) | more | counters})

    assert is_held(tensors, state())
    assert manifest["beside"] == [
        *("state_dict.criterion.weight: 10", "state_dict.val_acc.correct: ()")
    ]


def test_what_is_inside_of_the_prefix_is_a_fault(folder: Path) -> None:
    more = {"model.more.weight": torch.ones(2, 3), "criterion.weight": torch.ones(10)}

    said = refused(under("model.", state()) | more)

    assert said.split("\n") == [
        "`x.pth` does not fit `net` with its part `model` under the layout `theirs`, which is the "
        "closest of 4",
        "  unexpected (1):",
        "    model.more.weight: 2 x 3",
        "  not of this network (1):",
        "    criterion.weight: 10",
        "help: `--ignore 'model.more.*'` leaves out what is not part of the network",
    ]


def test_without_a_prefix_everything_has_to_fit(folder: Path) -> None:
    theirs = state() | {"loss.weight": torch.ones(10)}

    said = refused(theirs)
    assert "  unexpected (1):\n    loss.weight: 10\n" in said
    assert said.endswith("help: `--ignore 'loss.*'` leaves out what is not part of the network")

    tensors, manifest = imported(theirs, ignore=["loss.*"])
    assert is_held(tensors, state())
    assert manifest["left"] == ["loss.weight"]


def test_what_is_missing_is_called_as_in_the_file(folder: Path) -> None:
    theirs = under("state_dict.model.", state())
    del theirs["state_dict.model.first.conv.weight"]

    said = refused(theirs)

    assert "    a.conv.weight: 8 x 3 x 3 x 3, no `state_dict.model.first.conv.weight`" in said
    assert "unexpected" not in said


# ---------------------------------------------------------------- several sets


#: The places where programs keep averages of the weights.
AVERAGES = [
    *("ema", "ema_state_dict", "model_ema_state_dict", "ema_model", "state_dict_ema", "averaged"),
    *("swa_state_dict", "teacher", "shadow", "best_state_dict", "anything at all"),
]


@pytest.mark.parametrize("name", AVERAGES)
def test_of_several_sets_the_user_chooses(name: str, folder: Path) -> None:
    raw, averaged = state(0), state(1)
    whole = {"state_dict": raw, name: under("module.", averaged), "n": torch.tensor(3)}

    assert refused(whole).split("\n") == [
        "`x.pth` holds several sets of weights that fit `net`",
        "  `--part state_dict`: 14 tensors",
        f"  `--part {quote(f'{name}.module')}`: 14 tensors",
        "help: `--part NAME` takes one of them",
    ]
    tensors, manifest = imported(whole, part="state_dict")
    assert is_held(tensors, raw)
    assert manifest["beside"] == ["n: ()"]
    assert len(manifest["left"]) == len(TORCH)
    tensors, manifest = imported(whole, part=name)
    assert is_held(tensors, averaged)
    assert manifest["checkpoint"]["part"] == f"{name}.module"


def test_several_sets_can_have_prefixes_only(folder: Path) -> None:
    """Lightning saves such files for a module that holds a model and its average."""
    raw, averaged = state(0), state(1)
    whole = {"state_dict": under("model.", raw) | under("model_ema.module.", averaged)}

    assert "  `--part state_dict.model_ema.module`: 14 tensors\n" in refused(whole)
    assert is_held(imported(whole, part="model")[0], raw)
    assert is_held(imported(whole, part="model_ema")[0], averaged)
    assert "`--part state_dict.model`" in refused(whole, part="state_dict")  # both are in it


def test_one_of_several_sets_can_be_without_a_prefix(folder: Path) -> None:
    raw, averaged = state(0), state(1)
    whole = raw | under("ema.", averaged)

    assert "  `--part .`: 14 tensors without a prefix\n" in refused(whole)
    assert is_held(imported(whole, part=".")[0], raw)
    assert is_held(imported(whole, part="ema")[0], averaged)


def test_averages_of_parameters_go_with_the_statistics_of_the_weights(folder: Path) -> None:
    raw, averaged = state(0), state(1)
    whole = {"model": raw, "shadow": {name: averaged[name] for name in TRAINED}}

    line = "  `--part shadow`: 10 tensors, the running statistics of `model`"
    assert line in refused(whole).split("\n")
    tensors, manifest = imported(whole, part="shadow")
    assert is_held(tensors, averaged | {n: v for n, v in raw.items() if n not in TRAINED})
    assert manifest["tensors"]["a.bn.running_mean"] == {
        "from": ["model.first.norm.running_mean"],
        "notes": ["of the part `model`"],
    }


def test_averages_without_names_are_in_the_order_of_the_parameters(folder: Path) -> None:
    """torch_ema keeps them like this, in a list."""
    raw, averaged = state(0), state(1)
    listed = [averaged[name] for name in TRAINED]
    whole = {"model": raw, "ema": {"decay": 0.9, "shadow_params": listed}}

    assert "  `--part ema.shadow_params`: 10 tensors, the running" in refused(whole)
    tensors, _ = imported(whole, part="ema")
    assert is_held(tensors, averaged | {n: v for n, v in raw.items() if n not in TRAINED})
    tensors, manifest = imported({"model": raw, "other": [*listed, torch.ones(1)]})
    assert is_held(tensors, raw)
    assert len(manifest["beside"]) == len(listed) + 1


def test_the_same_weights_twice_are_no_question(folder: Path) -> None:
    theirs = state()
    copy = {name: tensor.clone() for name, tensor in theirs.items()}

    assert is_held(imported({"model": theirs, "best": copy})[0], theirs)


def test_a_set_that_does_not_fit_is_no_question(folder: Path) -> None:
    theirs = state()
    other = state(1, {"x.weight": (3, 3), "y.weight": (8,)})

    tensors, manifest = imported({"generator": theirs, "discriminator": other})

    assert is_held(tensors, theirs)
    assert manifest["beside"] == ["discriminator.x.weight: 3 x 3", "discriminator.y.weight: 8"]


def test_a_part_that_is_not_there_is_told(folder: Path) -> None:
    whole = {"model": state(), "ema": {"x": torch.ones(2)}}

    for part in ("teacher", "emma"):
        assert refused(whole, part=part) == (
            f"`x.pth` has no part `{part}` with weights of `net`: "
            "there is `model` with 14 tensors, `ema` with 1 tensor"
        )


def test_a_part_that_does_not_fit_is_held_against_the_network(folder: Path) -> None:
    averaged = state(1)
    del averaged["head.weight"]

    said = refused({"model": state(), "ema": averaged}, part="ema")

    assert said.startswith("`x.pth` does not fit `net` with its part `ema` under the layout")
    assert "    logits.weight: 4 x 8, no `ema.head.weight`" in said


SLIM = {
    **{"Net/first/weights": (3, 3, 3, 8), "Net/second/weights": (3, 3, 8, 8)},
    **{
        f"Net/{n}/BatchNorm/{end}": (8,)
        for n in ("first", "second")
        for end in ("gamma", "beta", "moving_mean", "moving_variance")
    },
    **{f"Net/{n}/{end}": s for n in ("head", "side") for end, s in (("weights", (8, 4)),)},
    **{f"Net/{n}/biases": (4,) for n in ("head", "side")},
}
SLIM_LAYOUT = """\
convention = "slim"
[parts]
".conv" = "Net/{layer}"
".bn" = "Net/{layer}/BatchNorm"
[layers]
"a" = "first"
"b" = "second"
"logits" = "Net/head"
"side.logits" = "Net/side"
"""


@pytest.mark.parametrize("scope", ["", "FeatureExtractor/"])
@pytest.mark.parametrize("statistics", [False, True], ids=["parameters", "all"])
def test_the_averages_of_slim_are_a_set_of_their_own(
    scope: str, statistics: bool, folder: Path
) -> None:
    Path("layouts/net/slim.toml").write_text(SLIM_LAYOUT, "utf-8")
    raw, averaged = random_arrays(SLIM, 0), random_arrays(SLIM, 1)
    kept = {n: v for n, v in averaged.items() if statistics or "moving" not in n}
    theirs = {f"{scope}{name}": value for name, value in raw.items()}
    slots = {f"{scope}{name}/ExponentialMovingAverage": value for name, value in kept.items()}
    more = {f"{scope}Net/first/weights/Momentum": raw["Net/first/weights"]}
    np.savez("x.npz", **theirs, **slots, **more, global_step=np.array(3))  # type: ignore[arg-type]
    name = scope.rstrip("/") or "."

    with pytest.raises(incgen.WeightsError) as caught:
        read("x.npz")
    assert f"  `--part {name}`: 14 tensors" in str(caught.value)

    tensors, manifest = read("x.npz", part=name)
    assert np.array_equal(tensors["logits.weight"], raw["Net/head/weights"].T)
    assert manifest["beside"] == []
    tensors, manifest = read("x.npz", part="ExponentialMovingAverage")
    assert np.array_equal(tensors["logits.weight"], averaged["Net/head/weights"].T)
    expected = (averaged if statistics else raw)["Net/second/BatchNorm/moving_mean"]
    assert np.array_equal(tensors["b.bn.running_mean"], expected)
    assert manifest["beside"] == []


def test_of_layouts_that_agree_the_one_of_the_network_asked_for_is_named(folder: Path) -> None:
    like = 'like = "net/theirs"\n[set]\nclasses = 7\n'
    Path("layouts/net/a.toml").write_text(like, "utf-8")

    _, manifest = imported(state())

    assert manifest["layout"]["name"] == "theirs"


def test_averages_that_the_layout_ignores_are_its_authors_choice(folder: Path) -> None:
    layout = f'ignore = ["*/ExponentialMovingAverage"]\n{SLIM_LAYOUT}'
    Path("layouts/net/slim.toml").write_text(layout, "utf-8")
    raw, averaged = random_arrays(SLIM, 0), random_arrays(SLIM, 1)
    slots = {f"{name}/ExponentialMovingAverage": value for name, value in averaged.items()}
    np.savez("x.npz", **raw, **slots)  # type: ignore[arg-type]

    tensors, manifest = read("x.npz")
    assert np.array_equal(tensors["logits.bias"], raw["Net/head/biases"])
    assert sorted(manifest["left"]) == sorted(slots)
    tensors, _ = read("x.npz", part="ExponentialMovingAverage")
    assert np.array_equal(tensors["logits.bias"], averaged["Net/head/biases"])


# ---------------------------------------------------------------- reinitialised layers


def test_a_classifier_can_be_drawn_anew(folder: Path) -> None:
    theirs, ten = state(), {"classes": 10}

    tensors, manifest = imported(theirs, parameters=ten, fresh=["logits", "side"], seed=7)

    expected = initial(incgen.compile_spec("net.inc", ten), 7)
    for key, value in tensors.items():
        if "logits" in key:
            assert np.array_equal(value, expected[key])
            assert manifest["tensors"][key] == {
                "from": [],
                "notes": ["reinitialised with the seed 7"],
            }
        else:
            assert manifest["tensors"][key]["from"]
    assert np.array_equal(tensors["b.conv.weight"], theirs["second.conv.weight"].numpy())
    assert manifest["fresh"] == {"layers": ["logits", "side.logits"], "seed": 7}
    assert sorted(manifest["left"]) == ["head.bias", "head.weight", "side.bias", "side.weight"]


@pytest.mark.parametrize("patterns", [["*logits"], ["logits", "side.*"], ["[ls]*"]])
def test_patterns_name_layers(patterns: list[str], folder: Path) -> None:
    _, manifest = imported(state(), parameters={"classes": 10}, fresh=patterns)

    assert manifest["fresh"]["layers"] == ["logits", "side.logits"]


def test_a_file_without_a_head_is_one_whose_head_is_drawn(folder: Path) -> None:
    theirs = {name: v for name, v in state().items() if not name.startswith(("head", "side"))}

    said = refused(theirs)
    help_ = "help: `--fresh logits --fresh side.logits` reinitialises these layers as the spec says"
    assert said.split("\n")[-1] in (
        help_,
        help_.replace("logits --fresh side.logits", "side.logits --fresh logits"),
    )

    tensors, manifest = imported(under("module.", theirs), fresh=["*logits"])
    assert tensors["logits.weight"].std() > 0
    assert manifest["left"] == manifest["beside"] == []


def test_a_refusal_says_which_option_is_meant(folder: Path) -> None:
    said = refused(state(), parameters={"classes": 10})

    assert said.split("\n")[-2] == (
        "help: `--set classes=4` gives the network as many classes as the file has"
    )
    assert "help: `--fresh " in said


def test_a_classifier_with_another_name_is_taken_by_a_rule(folder: Path) -> None:
    renamed = {name.replace("head.", "new_fc."): value for name, value in state().items()}

    said = refused(renamed)

    assert said.split("\n")[-3:] == [
        "help: `--rule logits=new_fc` imports what the file has under another name",
        "help: `--fresh logits` reinitialises the layer as the spec says",
        "help: `--ignore 'new_fc.*'` leaves out what is not part of the network",
    ]
    tensors, manifest = imported(renamed, rules={"logits": "new_fc"})
    assert is_held(tensors, state())
    assert manifest["tensors"]["logits.bias"] == {"from": ["new_fc.bias"]}
    tensors, manifest = imported(renamed, fresh=["logits"], ignore=["new_fc.*"])
    assert manifest["fresh"]["layers"] == ["logits"]


def test_such_a_classifier_can_be_outside_of_the_prefix(folder: Path) -> None:
    """TSN keeps one there, with classes of its own."""
    nine = state(0, TORCH | {"side.weight": (9, 8), "side.bias": (9,)})
    main = {name: value for name, value in nine.items() if not name.startswith("head")}
    new = state(1, {"module.new_fc.weight": (9, 8), "module.new_fc.bias": (9,), "x.weight": (3, 3)})
    whole = {"state_dict": under("module.base_model.", main) | new}

    said = refused(whole)

    options = "--set classes=9 --rule logits=state_dict.module.new_fc"
    assert f"help: `{options}` imports what the file has under another name" in said.split("\n")
    rules = {"logits": "state_dict.module.new_fc"}
    tensors, manifest = imported(whole, parameters={"classes": 9}, rules=rules)
    assert np.array_equal(tensors["logits.weight"], new["module.new_fc.weight"].numpy())
    assert manifest["beside"] == ["state_dict.x.weight: 3 x 3"]


def test_of_several_such_classifiers_the_closest_name_is_meant(folder: Path) -> None:
    """Fine-tuning in Caffe leaves them behind, because it renames the layers it retrains."""
    renamed = {
        name.replace("head.", "new_head.").replace("side.", "new_side."): value
        for name, value in state().items()
    }

    for theirs in (renamed, dict(reversed(renamed.items()))):
        line = next(line for line in refused(theirs).split("\n") if "--rule" in line)
        assert "--rule logits=new_head" in line and "--rule side.logits=new_side" in line
    rules = {"logits": "new_head", "side.logits": "new_side"}
    assert is_held(imported(under("net.", renamed), rules=rules)[0], state())


def test_a_rule_names_what_is_there(folder: Path) -> None:
    assert refused(state(), rules={"logit": "head"}) == (
        "no layer with weights is called `logit`: did you mean `logits` or `side.logits`?"
    )
    assert refused(state(), rules={"logits": "haed"}) == (
        "the file has no layer `haed`: did you mean `head`?"
    )


def test_a_refusal_says_nothing_of_it_where_more_differs(folder: Path) -> None:
    theirs = state()
    theirs["first.conv.weight"] = torch.ones(8, 3, 1, 1)

    assert "--fresh" not in refused(theirs, parameters={"classes": 10})


def test_what_cannot_be_drawn_is_told(folder: Path) -> None:
    assert refused(state(), fresh=["logit"]) == (
        "no layer with weights is called `logit`: did you mean `logits` or `side.logits`?"
    )
    assert refused(state(), fresh=["*"]) == (
        "nothing is left to take from the file: use `incgen weights init`"
    )


def test_a_bias_in_front_of_a_fresh_normalisation_is_left(folder: Path) -> None:
    theirs = state() | {"first.conv.bias": torch.ones(8)}

    tensors, manifest = imported(theirs, fresh=["a.bn"])

    assert (tensors["a.bn.running_mean"] == 0).all() and (tensors["a.bn.running_var"] == 1).all()
    assert "first.conv.bias" in manifest["left"]


def test_the_file_says_what_was_drawn(folder: Path) -> None:
    from incgen.weights import manifest
    from incgen.weights.readers import open_checkpoint

    imported(state(), fresh=["logits"])

    with open_checkpoint(Path("w.safetensors")) as checkpoint:
        text = manifest.text(checkpoint)
        stored = json.loads(checkpoint.metadata["manifest"])
    assert stored["fresh"] == {"layers": ["logits"], "seed": 0}
    assert "fresh       layers ['logits']" in text
