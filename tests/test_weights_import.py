"""The import: each quirk of published files by hand; all fits, or nothing is written."""

from __future__ import annotations

import hashlib
import json
import os
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from checkpoints import (
    Array,
    Arrays,
    random_arrays,
    write_caffe,
    write_flax,
    write_legacy_keras,
    write_torch,
)
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

import incgen
from incgen.weights import manifest
from incgen.weights.readers import open_checkpoint

SPEC = """\
numerics torch
unit conv_bn = conv bias=false -> bn -> relu
network net(classes = 4) {
    input 6x6 3
    a: conv_bn 3x3 8
    b: depthwise_conv 3x3 multiplier=2
    c: separable_conv 3x3 6
    d: dense 7
    logits: dense classes
}
"""
#: Theirs, as PyTorch has it.
TORCH = {
    "first.weight": (8, 3, 3, 3),
    "first_bn.weight": (8,),
    "first_bn.bias": (8,),
    "first_bn.running_mean": (8,),
    "first_bn.running_var": (8,),
    "second.weight": (16, 1, 3, 3),
    "second.bias": (16,),
    "third.deep.weight": (16, 1, 3, 3),
    "third.flat.weight": (6, 16, 1, 1),
    "third.flat.bias": (6,),
    "fourth.weight": (7, 216),
    "fourth.bias": (7,),
    "last.weight": (4, 7),
    "last.bias": (4,),
}
LAYOUT = """\
convention = "torch"

[[published]]
file = "theirs.pth"
source = "where it is"

[parts]
".conv" = "{layer}"
".bn" = "{layer}_bn"

[layers]
"a" = "first"
"b" = "second"
"c.depthwise" = "third.deep"
"c.pointwise" = "third.flat"
"d" = "fourth"
"logits" = "last"
"""
#: Ours for theirs, where nothing is converted.
OURS = {
    "a.conv.weight": "first.weight",
    "a.bn.weight": "first_bn.weight",
    "a.bn.bias": "first_bn.bias",
    "a.bn.running_mean": "first_bn.running_mean",
    "a.bn.running_var": "first_bn.running_var",
    "b.weight": "second.weight",
    "b.bias": "second.bias",
    "c.depthwise.weight": "third.deep.weight",
    "c.pointwise.weight": "third.flat.weight",
    "c.pointwise.bias": "third.flat.bias",
    "d.weight": "fourth.weight",
    "d.bias": "fourth.bias",
    "logits.weight": "last.weight",
    "logits.bias": "last.bias",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with the spec and its layout."""
    (tmp_path / "net.inc").write_text(SPEC, "utf-8")
    put_layout(tmp_path, "theirs", LAYOUT)
    return tmp_path


def put_layout(folder: Path, name: str, text: str) -> None:
    place = folder / "layouts" / "net" / f"{name}.toml"
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(text, "utf-8")


def imported(folder: Path, arrays: Arrays, **options: Any) -> dict[str, Array]:
    """Import a state dict."""
    write_torch(folder / "x.pth", arrays)
    incgen.import_weights(
        folder / "x.pth", folder / "net.inc", folder / "w.safetensors", force=True, **options
    )
    return load_file(folder / "w.safetensors")


def refused(folder: Path, arrays: Arrays, **options: Any) -> incgen.MismatchError:
    """Return why a state dict does not fit, and check that nothing was written."""
    with pytest.raises(incgen.MismatchError) as caught:
        imported(folder, arrays, **options)
    assert not (folder / "w.safetensors").exists()
    assert not list(folder.glob(".w*"))
    return caught.value


def test_every_tensor_has_its_place(folder: Path) -> None:
    theirs = random_arrays(TORCH)

    tensors = imported(folder, theirs)

    assert list(tensors) == list(OURS)
    for ours, name in OURS.items():
        assert tensors[ours].dtype == np.float32
        assert np.array_equal(tensors[ours], theirs[name]), ours


def test_the_order_of_the_file_does_not_matter(folder: Path) -> None:
    theirs = random_arrays(TORCH)
    one = imported(folder, theirs)
    other = imported(folder, dict(reversed(theirs.items())))

    assert all(np.array_equal(one[key], other[key]) for key in one)


# ---------------------------------------------------------------- quirks


def test_a_bias_in_front_of_a_normalisation_moves_its_mean(folder: Path) -> None:
    theirs = random_arrays(TORCH | {"first.bias": (8,)})

    tensors = imported(folder, theirs, dtype="float64")

    mean = theirs["first_bn.running_mean"].astype("f8") - theirs["first.bias"].astype("f8")
    assert np.array_equal(tensors["a.bn.running_mean"], mean)


def test_a_bias_without_a_normalisation_has_no_place(folder: Path) -> None:
    spec = SPEC.replace("b: depthwise_conv 3x3", "b: depthwise_conv 3x3 bias=false")
    (folder / "net.inc").write_text(spec, "utf-8")

    error = refused(folder, random_arrays(TORCH))

    assert [(fault.kind, fault.key) for fault in error.faults] == [("unexpected", "second.bias")]


def test_a_bias_in_front_of_two_users_has_no_place(folder: Path) -> None:
    spec = """\
numerics torch
network net {
    input 6x6 3
    a: conv 3x3 8 bias=false
    concat { b: bn
        identity }
}
"""
    (folder / "net.inc").write_text(spec, "utf-8")
    put_layout(folder, "theirs", 'convention = "torch"\n[layers]\n"{x}" = "{x}"\n')
    theirs = random_arrays(
        {"a.weight": (8, 3, 3, 3), "a.bias": (8,)}
        | {f"b.{end}": (8,) for end in ("weight", "bias", "running_mean", "running_var")}
    )

    error = refused(folder, theirs, layout="theirs")

    assert [(fault.kind, fault.key) for fault in error.faults] == [("unexpected", "a.bias")]


def test_axes_of_length_1_do_not_matter(folder: Path) -> None:
    theirs = random_arrays(TORCH | {"first_bn.running_mean": (1, 8), "last.weight": (4, 7, 1, 1)})

    tensors = imported(folder, theirs)

    assert np.array_equal(tensors["a.bn.running_mean"], theirs["first_bn.running_mean"][0])
    assert np.array_equal(tensors["logits.weight"], theirs["last.weight"][:, :, 0, 0])


def test_a_kernel_is_not_a_turned_one(folder: Path) -> None:
    spec = SPEC.replace("conv_bn 3x3 8", "conv_bn 1x3 8")
    (folder / "net.inc").write_text(spec, "utf-8")
    right = random_arrays(TORCH | {"first.weight": (8, 3, 1, 3)})
    imported(folder, right)
    (folder / "w.safetensors").unlink()

    error = refused(folder, right | random_arrays({"first.weight": (8, 3, 3, 1)}))

    (fault,) = error.faults
    text = "a.conv.weight: 8 x 3 x 1 x 3 here, but `first.weight` is 8 x 3 x 3 x 1"
    assert str(fault) == text


def test_counters_are_left(folder: Path) -> None:
    theirs = random_arrays(TORCH)
    tensors = imported(folder, theirs | {"first_bn.num_batches_tracked": np.array(3)})

    assert list(tensors) == list(OURS)


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("first_bn.num_batches_tracked", (7, 7)),
        ("nobody.num_batches_tracked", ()),
        ("xnum_batches_tracked", ()),
    ],
)
def test_what_only_looks_like_a_counter_is_unexpected(
    name: str, shape: tuple[int, ...], folder: Path
) -> None:
    error = refused(folder, random_arrays(TORCH | {name: shape}))

    assert [(fault.kind, fault.key) for fault in error.faults] == [("unexpected", name)]


def test_whole_numbers_are_no_weights(folder: Path) -> None:
    theirs = random_arrays(TORCH)
    theirs["last.bias"] = np.arange(4, dtype="i1")

    error = refused(folder, theirs)
    assert [str(fault) for fault in error.faults] == ["logits.bias: it has integers (int8)"]


def test_what_the_layout_ignores_is_left_and_listed(folder: Path) -> None:
    put_layout(folder, "theirs", f'ignore = ["ema.*"]\n{LAYOUT}')
    theirs = random_arrays(TORCH | {"ema.first.weight": (8, 3, 3, 3)})

    imported(folder, theirs)

    with open_checkpoint(folder / "w.safetensors") as checkpoint:
        assert json.loads(checkpoint.metadata["manifest"])["left"] == ["ema.first.weight"]


def test_what_is_ignored_is_not_what_ours_has_something_of(folder: Path) -> None:
    put_layout(folder, "theirs", f'ignore = ["last.*"]    # if there are no logits\n{LAYOUT}')
    theirs = random_arrays(TORCH | {"last.scale": (4,)})

    error = refused(folder, theirs)
    assert [(fault.kind, fault.key) for fault in error.faults] == [("unexpected", "last.scale")]

    (folder / "net.inc").write_text(SPEC.replace("    logits: dense classes\n", ""), "utf-8")
    text = (folder / "net.inc").read_text("utf-8").replace("(classes = 4)", "")
    (folder / "net.inc").write_text(text, "utf-8")
    assert "logits.weight" not in imported(folder, theirs)


GAMMALESS = {name: shape for name, shape in TORCH.items() if name != "first_bn.weight"}


def test_a_gamma_that_is_left_out_is_1_if_the_layout_says_so(folder: Path) -> None:
    error = refused(folder, random_arrays(GAMMALESS))
    assert [(fault.kind, fault.key) for fault in error.faults] == [("missing", "a.bn.weight")]

    put_layout(folder, "theirs", f"missing_gamma = true\n{LAYOUT}")
    tensors = imported(folder, random_arrays(GAMMALESS))

    assert (tensors["a.bn.weight"] == 1).all()


def test_a_gamma_for_which_there_is_no_place_has_to_be_1(folder: Path) -> None:
    spec = SPEC.replace("-> bn", "-> bn scale=false")
    (folder / "net.inc").write_text(spec, "utf-8")
    theirs = random_arrays(TORCH)

    error = refused(folder, theirs)
    assert str(error.faults[0]) == "a.bn.weight: `first_bn.weight` is not 1 everywhere"

    theirs["first_bn.weight"][:] = 1
    tensors = imported(folder, theirs)
    assert "a.bn.weight" not in tensors


def test_a_background_class_is_dropped_if_the_layout_says_so(folder: Path) -> None:
    theirs = random_arrays(TORCH | {"last.weight": (5, 7), "last.bias": (5,)})
    assert {fault.kind for fault in refused(folder, theirs).faults} == {"misshapen"}

    put_layout(folder, "theirs", f"background = {{ logits = 6 }}\n{LAYOUT}")
    assert {fault.kind for fault in refused(folder, theirs).faults} == {"misshapen"}

    put_layout(folder, "theirs", f"background = {{ logits = 5 }}\n{LAYOUT}")
    tensors = imported(folder, theirs)
    assert np.array_equal(tensors["logits.weight"], theirs["last.weight"][1:])
    assert np.array_equal(tensors["logits.bias"], theirs["last.bias"][1:])

    whole = imported(folder, theirs, parameters={"classes": 5})
    assert np.array_equal(whole["logits.weight"], theirs["last.weight"])


KERAS = {
    "first/kernel": (3, 3, 3, 8),
    "first_bn/gamma": (8,),
    "first_bn/beta": (8,),
    "first_bn/moving_mean": (8,),
    "first_bn/moving_variance": (8,),
    "second/depthwise_kernel": (3, 3, 8, 2),
    "second/bias": (16,),
    "third/depthwise_kernel": (3, 3, 16, 1),
    "third/pointwise_kernel": (1, 1, 16, 6),
    "third/bias": (6,),
    "fourth/kernel": (216, 7),
    "fourth/bias": (7,),
    "last/kernel": (7, 4),
    "last/bias": (4,),
}


def test_the_axes_of_keras(folder: Path) -> None:
    layout = LAYOUT.replace('"torch"', '"keras"').replace('"c.depthwise" = "third.deep"\n', "")
    put_layout(folder, "theirs", layout.replace('"c.pointwise" = "third.flat"', '"c" = "third"'))
    theirs = random_arrays(KERAS)
    write_legacy_keras(folder / "x.h5", theirs)

    incgen.import_weights(folder / "x.h5", folder / "net.inc", folder / "w.safetensors")

    state = load_file(folder / "w.safetensors")
    assert state["a.conv.weight"][5, 1, 2, 0] == theirs["first/kernel"][2, 0, 1, 5]
    assert state["a.bn.running_var"][3] == theirs["first_bn/moving_variance"][3]
    # output 2 c + j belongs to input c
    assert state["b.weight"][2 * 6 + 1, 0, 2, 1] == theirs["second/depthwise_kernel"][2, 1, 6, 1]
    assert state["c.depthwise.weight"][9, 0, 1, 2] == theirs["third/depthwise_kernel"][1, 2, 9, 0]
    assert state["c.pointwise.weight"][4, 11, 0, 0] == theirs["third/pointwise_kernel"][0, 0, 11, 4]
    assert np.array_equal(state["c.pointwise.bias"], theirs["third/bias"])
    # a dense layer on a map of 6 channels, 6 x 6: theirs has the channels last
    ours = state["d.weight"].reshape(7, 6, 6, 6)
    assert ours[3, 4, 1, 2] == theirs["fourth/kernel"].reshape(6, 6, 6, 7)[1, 2, 4, 3]
    assert np.array_equal(state["logits.weight"], theirs["last/kernel"].T)


def test_the_axes_of_flax(folder: Path) -> None:
    """Channels of a flattened map come last, as in whatever is not generated by incgen."""
    put_layout(folder, "theirs", LAYOUT.replace('"torch"', '"flax"'))
    shapes = {
        "first/kernel": (3, 3, 3, 8),
        **{f"first_bn/{name}": (8,) for name in ("scale", "bias", "mean", "var")},
        "second/kernel": (3, 3, 1, 16),
        "second/bias": (16,),
        "third.deep/kernel": (3, 3, 1, 16),
        "third.flat/kernel": (1, 1, 16, 6),
        "third.flat/bias": (6,),
        "fourth/kernel": (216, 7),
        "fourth/bias": (7,),
        "last/kernel": (7, 4),
        "last/bias": (4,),
    }
    theirs = random_arrays(shapes)
    write_flax(folder / "x.msgpack", theirs)

    incgen.import_weights(folder / "x.msgpack", folder / "net.inc", folder / "w.safetensors")

    state = load_file(folder / "w.safetensors")
    assert state["a.conv.weight"][5, 1, 2, 0] == theirs["first/kernel"][2, 0, 1, 5]
    assert np.array_equal(state["a.bn.weight"], theirs["first_bn/scale"])
    assert np.array_equal(state["a.bn.running_var"], theirs["first_bn/var"])
    assert state["b.weight"][13, 0, 2, 1] == theirs["second/kernel"][2, 1, 0, 13]
    assert state["c.pointwise.weight"][4, 11, 0, 0] == theirs["third.flat/kernel"][0, 0, 11, 4]
    ours = state["d.weight"].reshape(7, 6, 6, 6)
    assert ours[3, 4, 1, 2] == theirs["fourth/kernel"].reshape(6, 6, 6, 7)[1, 2, 4, 3]
    assert np.array_equal(state["logits.weight"], theirs["last/kernel"].T)


def caffe_layers(factor: float) -> list[tuple[str, str, list[Array]]]:
    random = np.random.default_rng(0)

    def blob(*shape: int) -> Array:
        return random.uniform(0.5, 1.5, shape).astype("f4")

    return [
        ("first", "Convolution", [blob(8, 3, 3, 3), blob(8)]),
        ("first_bn", "BatchNorm", [blob(8), blob(8), np.array([factor], "f4")]),
        ("first_scale", "Scale", [blob(8), blob(8)]),
        ("second", "Convolution", [blob(16, 1, 3, 3), blob(16)]),
        ("third/deep", "Convolution", [blob(16, 1, 3, 3)]),
        ("third/flat", "Convolution", [blob(6, 16, 1, 1), blob(6)]),
        ("fourth", "InnerProduct", [blob(7, 216), blob(7)]),
        ("last", "InnerProduct", [blob(4, 7), blob(4)]),
    ]


@pytest.mark.parametrize("factor", [999.98, 1.0, 0.0])
def test_caffes_normalisation_is_two_layers_and_a_factor(factor: float, folder: Path) -> None:
    layout = LAYOUT.replace('"torch"', '"caffe"').replace("third.", "third/")
    layout = layout.replace('"{layer}_bn"', '["{layer}_bn", "{layer}_scale"]')
    put_layout(folder, "theirs", layout)
    layers = caffe_layers(factor)
    write_caffe(folder / "x.caffemodel", layers)

    incgen.import_weights(
        folder / "x.caffemodel", folder / "net.inc", folder / "w.safetensors", dtype="float64"
    )

    state = load_file(folder / "w.safetensors")
    (kernel, bias), (mean, variance, stored), (scale, shift), *_ = (blobs for *_, blobs in layers)
    times = 1 / float(stored[0]) if factor else 0.0
    assert np.array_equal(state["a.conv.weight"], kernel)
    assert np.allclose(state["a.bn.running_mean"], mean.astype("f8") * times - bias, 1e-15)
    assert np.allclose(state["a.bn.running_var"], variance.astype("f8") * times, 1e-15)
    assert np.array_equal(state["a.bn.weight"], scale)
    assert np.array_equal(state["a.bn.bias"], shift)


# ---------------------------------------------------------------- strictness


def test_everything_that_differs_is_listed(folder: Path) -> None:
    shapes = dict(TORCH)
    del shapes["second.bias"]
    shapes |= {"last.weight": (4, 8), "more.weight": (2, 3)}

    error = refused(folder, random_arrays(shapes), layout="theirs")

    assert str(error).split("\n") == [
        f"`{(folder / 'x.pth').as_posix()}` does not fit `net` under the layout `theirs`",
        "  missing (1):",
        "    b.bias: 16, no `second.bias`",
        "  unexpected (1):",
        "    more.weight: 2 x 3",
        "  misshapen (1):",
        "    logits.weight: 4 x 7 here, but `last.weight` is 4 x 8",
    ]


def test_of_a_file_that_fits_nothing_the_closest_layout_is_shown(folder: Path) -> None:
    put_layout(folder, "other", LAYOUT.replace("third", "drei").replace("fourth", "vier"))

    error = refused(folder, random_arrays({f"x{i}": (1,) for i in range(30)} | GAMMALESS))

    assert "under the layout `theirs`, which is the closest of 5" in str(error)
    assert "  unexpected (30):\n" in str(error)
    assert "    ... and 20 more" in str(error)
    assert str(error).endswith("\nhelp: `--layout theirs` lists everything")


def test_settings_of_the_published_network_are_told(folder: Path) -> None:
    put_layout(folder, "theirs", LAYOUT.replace("[parts]", "[set]\nclasses = 5\n\n[parts]"))
    theirs = random_arrays(TORCH | {"last.weight": (5, 7), "last.bias": (5,)})

    error = refused(folder, theirs)

    help_ = str(error).splitlines()[-2:]
    assert help_ == [
        "help: the published network is that of `--set classes=5`",
        "help: `--fresh logits` reinitialises the layer as the spec says",
    ]
    said = refused(folder, random_arrays(TORCH), parameters={"classes": 5})
    assert "help: the published network" not in str(said)


def test_two_layouts_that_say_different_things_are_told(folder: Path) -> None:
    spec = SPEC.replace("b: depthwise_conv 3x3 multiplier=2", "b: conv 3x3 8\n    b2: conv 3x3 8")
    (folder / "net.inc").write_text(spec.replace("c: separable_conv 3x3 6", ""), "utf-8")
    shapes = {k: v for k, v in TORCH.items() if not k.startswith("third")}
    shapes |= {"second.weight": (8, 8, 3, 3), "second.bias": (8,), "fourth.weight": (7, 288)}
    shapes |= {"zweite.weight": (8, 8, 3, 3), "zweite.bias": (8,)}
    one = LAYOUT.replace('"b" = "second"', '"b" = "second"\n"b2" = "zweite"')
    two = LAYOUT.replace('"b" = "second"', '"b2" = "second"\n"b" = "zweite"')
    put_layout(folder, "theirs", one)
    put_layout(folder, "same", one)
    assert imported(folder, random_arrays(shapes))  # two with equal content need no choice
    put_layout(folder, "same", two)
    (folder / "w.safetensors").unlink()

    with pytest.raises(incgen.WeightsError, match="fits the layouts `same` and `theirs`"):
        imported(folder, random_arrays(shapes))

    tensors = imported(folder, random_arrays(shapes), layout="theirs")
    assert np.array_equal(tensors["b.weight"], random_arrays(shapes)["second.weight"])


def test_one_of_theirs_is_not_taken_twice(folder: Path) -> None:
    put_layout(
        folder, "theirs", LAYOUT.replace('"c.depthwise" = "third.deep"', '"c.depthwise" = "second"')
    )
    shapes = {k: v for k, v in TORCH.items() if not k.startswith("third.deep")}

    error = refused(folder, random_arrays(shapes), layout="theirs")

    assert [str(fault) for fault in error.faults if fault.kind == "ambiguous"] == [
        "c.depthwise.weight: `second.weight` is also taken for b.weight"
    ]


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_that_are_none_are_listed(value: float, folder: Path) -> None:
    theirs = random_arrays(TORCH)
    theirs["second.weight"][3, 0, 1, 1] = value
    theirs["last.bias"][0] = value

    error = refused(folder, theirs)

    assert [str(fault) for fault in error.faults] == [
        "b.weight: it has NaN or infinite values",
        "logits.bias: it has NaN or infinite values",
    ]


def test_a_variance_below_0_is_told(folder: Path) -> None:
    theirs = random_arrays(TORCH)
    theirs["first_bn.running_var"][2] = -0.5

    assert [fault.key for fault in refused(folder, theirs).faults] == ["a.bn.running_var"]


def test_sums_that_overflow_are_no_fault(folder: Path) -> None:
    theirs = random_arrays(TORCH)
    theirs["last.bias"][:] = 3e38

    assert (imported(folder, theirs)["logits.bias"] == np.float32(3e38)).all()


# ---------------------------------------------------------------- types


def test_every_type_becomes_float32(folder: Path) -> None:
    theirs = {
        name: value.astype(["f2", "f4", "f8"][i % 3])
        for i, (name, value) in enumerate(random_arrays(TORCH).items())
    }

    tensors = imported(folder, theirs)

    for ours, name in OURS.items():
        assert tensors[ours].dtype == np.float32
        assert np.array_equal(tensors[ours], theirs[name].astype("f4"))


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
def test_another_type_if_that_is_said(dtype: str, folder: Path) -> None:
    import torch
    from safetensors.torch import load_file as load_tensors

    theirs = random_arrays(TORCH)
    theirs["last.bias"] = np.array([1 + 2**-8, 1 + 3 * 2**-8, -1.00390625, 1e-3], "f4")
    imported_ = imported_raw(folder, theirs, dtype)

    tensors = load_tensors(imported_)
    for ours, name in OURS.items():
        expected = torch.from_numpy(theirs[name]).to(getattr(torch, dtype))
        assert torch.equal(tensors[ours], expected), ours  # PyTorch rounds halves to even too


def imported_raw(folder: Path, arrays: Arrays, dtype: str) -> Path:
    write_torch(folder / "x.pth", arrays)
    incgen.import_weights(
        folder / "x.pth", folder / "net.inc", folder / "w.safetensors", dtype=dtype
    )
    return folder / "w.safetensors"


@pytest.mark.parametrize(
    ("dtype", "value"), [("float16", 7e4), ("float32", 1e39), ("bfloat16", 3.4028e38)]
)
def test_what_a_type_cannot_hold_is_told(dtype: str, value: float, folder: Path) -> None:
    theirs = {name: array.astype("f8") for name, array in random_arrays(TORCH).items()}
    theirs["last.bias"][1] = value

    error = refused(folder, theirs, dtype=dtype)

    assert str(error.faults[0]) == f"logits.bias: it has values that {dtype} cannot hold"


# ---------------------------------------------------------------- the file


def test_the_same_input_gives_the_same_bytes(folder: Path) -> None:
    imported(folder, random_arrays(TORCH))
    one = (folder / "w.safetensors").read_bytes()
    imported(folder, random_arrays(TORCH))

    assert (folder / "w.safetensors").read_bytes() == one
    assert str(folder).encode() not in one


def test_the_manifest_says_where_everything_comes_from(folder: Path) -> None:
    theirs = random_arrays(TORCH | {"first.bias": (8,)})
    write_torch(folder / "x.pth", theirs)

    returned = incgen.import_weights(
        folder / "x.pth", folder / "net.inc", folder / "w.safetensors", {"classes": 4}
    )

    with safe_open(folder / "w.safetensors", "numpy") as file:
        metadata = file.metadata()
    manifest = json.loads(metadata.pop("manifest"))
    assert len(metadata.pop("sha256")) == 64
    assert metadata == {"format": "pt", "generator": "incgen weights import", "network": "net"}
    assert manifest == returned
    tensors = manifest.pop("tensors")
    assert manifest == {
        "incgen": incgen.__version__,
        "network": "net",
        "parameters": {"classes": 4},
        "spec": {"net.inc": hashlib.sha256(SPEC.encode()).hexdigest()},
        "checkpoint": {
            "file": "x.pth",
            "format": "PyTorch",
            "bytes": (folder / "x.pth").stat().st_size,
            "sha256": hashlib.sha256((folder / "x.pth").read_bytes()).hexdigest(),
            "part": ".",
        },
        "layout": {
            "name": "theirs",
            "convention": "torch",
            "published": ["where it is"],
            "set": {},
        },
        "dtype": "float32",
        "fresh": {},
        "left": [],
        "beside": [],
        "checked": [],
    }
    assert list(tensors) == list(incgen.compile_spec(folder / "net.inc").tensors())
    assert tensors["b.weight"] == {"from": ["second.weight"]}
    assert tensors["a.bn.running_mean"] == {
        "from": ["first_bn.running_mean", "first.bias"],
        "notes": ["minus the bias before the normalisation"],
    }


def test_the_manifest_names_every_file_of_the_spec(folder: Path) -> None:
    unit = "unit conv_bn = conv bias=false -> bn -> relu\n"
    (folder / "parts").mkdir()
    (folder / "parts" / "unit.inc").write_text(unit, "utf-8")
    spec = SPEC.replace(unit, 'use conv_bn from "parts/unit.inc"\n')
    (folder / "net.inc").write_text(spec, "utf-8")
    write_torch(folder / "x.pth", random_arrays(TORCH))

    manifest = incgen.import_weights(folder / "x.pth", folder / "net.inc", folder / "w.safetensors")

    assert manifest["spec"] == {
        "net.inc": hashlib.sha256(spec.encode()).hexdigest(),
        "parts/unit.inc": hashlib.sha256(unit.encode()).hexdigest(),
    }


def test_a_spec_with_half_a_surrogate_pair_is_taken(folder: Path) -> None:
    write_torch(folder / "x.pth", random_arrays(TORCH))
    paths = (folder / "x.pth", folder / "net.inc", folder / "w.safetensors")
    spec = f"{SPEC}# \ud800\n"

    manifest = incgen.import_weights(*paths, text=spec)

    digest = hashlib.sha256(spec.encode("utf-8", "surrogatepass")).hexdigest()
    assert manifest["spec"] == {"net.inc": digest}


def test_a_refused_pipe_is_not_hashed(folder: Path) -> None:
    pipe = folder / "pipe"
    os.mkfifo(pipe)
    before = set(threading.enumerate())
    try:
        with pytest.raises(incgen.WeightsError, match="not a regular file"):
            incgen.import_weights(pipe, folder / "net.inc", folder / "w.safetensors")
        assert set(threading.enumerate()) == before
    finally:
        os.close(os.open(pipe, os.O_RDWR))  # ends whatever waits for it


def test_a_refusal_does_not_wait_for_the_hash(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped: list[bool] = []

    def endless(files: list[Path], stop: threading.Event) -> str:
        stopped.append(stop.wait(20))
        return ""

    monkeypatch.setattr(manifest, "sha256", endless)
    theirs = random_arrays(TORCH)
    del theirs["last.bias"]
    refused(folder, theirs)

    assert stopped == [True]


def test_a_hash_can_be_stopped(folder: Path) -> None:
    stop = threading.Event()
    digest = hashlib.sha256(SPEC.encode()).hexdigest()

    assert manifest.sha256([folder / "net.inc"], stop) == digest
    stop.set()
    assert manifest.sha256([folder / "net.inc"], stop) == ""


def test_weights_that_were_trained_are_not_written_over(folder: Path) -> None:
    theirs = random_arrays(TORCH)
    tensors = imported(folder, theirs)
    save_file(tensors, folder / "w.safetensors")

    def again(force: bool) -> None:
        paths = (folder / "x.pth", folder / "net.inc", folder / "w.safetensors")
        incgen.import_weights(*paths, force=force)

    with pytest.raises(incgen.OutputError, match="was not written by `incgen weights import`"):
        again(False)
    again(True)
    again(False)  # its own


def test_our_own_files_are_read_too(folder: Path) -> None:
    tensors = imported(folder, random_arrays(TORCH))

    manifest = incgen.import_weights(
        folder / "w.safetensors", folder / "net.inc", folder / "v.safetensors"
    )

    assert manifest["layout"]["name"] == "incgen"
    again = load_file(folder / "v.safetensors")
    assert all(np.array_equal(again[key], tensors[key]) for key in tensors)


@pytest.mark.parametrize("name", ["x.weights.h5", "x.keras"])
def test_a_generated_keras_model_comes_back(name: str, folder: Path) -> None:
    tensors = imported(folder, random_arrays(TORCH))
    module = incgen.load(folder / "net.inc", "keras")
    model = module.net()
    module.load_safetensors(model, folder / "w.safetensors")
    model.save_weights(folder / name) if name.endswith(".h5") else model.save(folder / name)

    manifest = incgen.import_weights(folder / name, folder / "net.inc", folder / "v.safetensors")

    assert manifest["layout"]["name"] == "incgen-keras"
    again = load_file(folder / "v.safetensors")
    assert all(np.array_equal(again[key], tensors[key]) for key in tensors)


def test_a_generated_flax_model_comes_back(folder: Path) -> None:
    from flax import nnx
    from flax.serialization import to_bytes

    spec = folder / "net.inc"
    spec.write_text(SPEC.replace("    d:", "    rest: repeat 2 { conv_bn 3x3 6 }\n    d:"), "utf-8")
    shapes = {key: tensor.shape for key, tensor in incgen.compile_spec(spec).tensors().items()}
    assert "rest.1.conv.weight" in shapes
    expected = random_arrays(shapes)
    save_file(expected, folder / "w.safetensors")
    module = incgen.load(spec, "flax")
    model = module.Net(rngs=nnx.Rngs(0))
    module.load_safetensors(model, folder / "w.safetensors")
    state = nnx.state(model, (nnx.Param, nnx.BatchStat))
    (folder / "x.msgpack").write_bytes(to_bytes(nnx.to_pure_dict(state)))

    manifest = incgen.import_weights(folder / "x.msgpack", spec, folder / "v.safetensors")

    assert manifest["layout"]["name"] == "incgen-flax"
    again = load_file(folder / "v.safetensors")
    assert again.keys() == expected.keys()
    assert all(np.array_equal(again[key], value) for key, value in expected.items())


def test_a_layer_derived_from_a_stock_one_has_its_variables(tmp_path: Path) -> None:
    """A grouped convolution is a `GroupedConv2D`, by which a Keras file calls it."""
    spec = tmp_path / "grouped.inc"
    spec.write_text(
        "numerics torch\nnetwork grouped {\n    input 4x4 4\n    a: conv 3x3 6 groups=2\n}\n"
    )
    module = incgen.load(spec, "keras")
    model = module.grouped()
    kernel, bias = model.get_layer("a").get_weights()
    model.save_weights(tmp_path / "x.weights.h5")

    incgen.import_weights(tmp_path / "x.weights.h5", spec, tmp_path / "v.safetensors")

    tensors = load_file(tmp_path / "v.safetensors")
    assert np.array_equal(tensors["a.weight"], kernel.transpose(3, 2, 0, 1))
    assert np.array_equal(tensors["a.bias"], bias)
