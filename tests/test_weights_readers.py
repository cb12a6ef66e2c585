"""The readers: every container gives the arrays that were put into it, or one report."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from checkpoints import (
    WRITERS,
    Array,
    caffe_message,
    masked_crc32c,
    random_arrays,
    write_caffe,
    write_tensorflow_entry,
)

import incgen
from incgen.weights.errors import WeightsError
from incgen.weights.readers import apart, open_checkpoint, started

SHAPES = {
    "conv/kernel": (3, 5, 2, 4),
    "conv/bias": (4,),
    "bn/gamma": (4,),
    "bn/beta": (4,),
    "bn/moving_mean": (4,),
    "bn/moving_variance": (4,),
    "logits/kernel": (4, 1),
}


def contents(path: Path) -> dict[str, Array]:
    """Return everything that a file holds."""
    with open_checkpoint(path) as checkpoint:
        arrays = {}
        for name, stored in checkpoint.tensors.items():
            arrays[name] = np.array(stored.values())
            assert arrays[name].shape == stored.shape
        return arrays


def written(kind: str, folder: Path) -> Path:
    suffix, write = WRITERS[kind]
    path = folder / f"file{suffix}"
    write(path, random_arrays(SHAPES))
    return path


@pytest.mark.parametrize("kind", list(WRITERS))
def test_a_file_gives_what_was_put_into_it(kind: str, tmp_path: Path) -> None:
    tensors = contents(written(kind, tmp_path))

    expected = random_arrays(SHAPES)
    assert sorted(tensors) == sorted(expected)
    for name, value in expected.items():
        assert tensors[name].dtype == np.float32
        assert np.array_equal(tensors[name], value), name


@pytest.mark.parametrize("name", ["file.ckpt", "file.ckpt.index", "file.ckpt.data-00000-of-00001"])
def test_a_checkpoint_of_tensorflow_has_several_names(name: str, tmp_path: Path) -> None:
    written("tensorflow", tmp_path)

    assert len(contents(tmp_path / name)) == len(SHAPES)


@pytest.mark.parametrize("how", ["checkpoint", "export", "SavedModel"])
def test_variables_of_objects_have_their_names(how: str, tmp_path: Path) -> None:
    """TensorFlow 2 saves a model like this, here without its optimizer's variables."""
    import tensorflow as tf

    model = keras_model()
    model.compile("adam", "mse")
    model.optimizer.build(model.trainable_variables)
    if how == "checkpoint":
        tf.train.Checkpoint(model=model, optimizer=model.optimizer).write(str(tmp_path / "x"))
    elif how == "export":
        model.export(tmp_path / "x", verbose=False)
    else:
        tf.saved_model.save(model, str(tmp_path / "x"))

    tensors = contents(tmp_path / "x")

    expected = {variable.path: variable.numpy() for variable in model.variables}
    assert sorted(tensors) == sorted(expected)
    assert all(np.array_equal(tensors[name], value) for name, value in expected.items())


def test_different_variables_of_one_name_keep_their_keys(tmp_path: Path) -> None:
    import tensorflow as tf

    one, other = (tf.Variable([value], name="w") for value in (1.0, 2.0))
    tf.train.Checkpoint(a=one, b=other, c=one).write(str(tmp_path / "x"))

    tensors = contents(tmp_path / "x")

    assert {name: value.tolist() for name, value in tensors.items()} == {"a": [1.0], "b": [2.0]}


LAYERS = [
    ("conv1/7x7_s2", "Convolution", (8, 3, 7, 7), (8,)),
    ("fc", "InnerProduct", (5, 6), (5,)),
]


@pytest.mark.parametrize("old", [False, True], ids=["new", "V1"])
def test_a_caffemodel_names_its_blobs(old: bool, tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    layers = [
        (name, kind, [random.normal(size=shape).astype("f4") for shape in shapes])
        for name, kind, *shapes in LAYERS
    ]
    write_caffe(tmp_path / "x.caffemodel", layers, old=old)

    tensors = contents(tmp_path / "x.caffemodel")

    assert list(tensors) == ["conv1/7x7_s2/weight", "conv1/7x7_s2/bias", "fc/weight", "fc/bias"]
    blobs = [blob for _, _, blobs in layers for blob in blobs]
    for value, blob in zip(tensors.values(), blobs, strict=True):
        assert np.array_equal(value.ravel(), blob.ravel())
    assert tensors["fc/weight"].shape == ((1, 1, 5, 6) if old else (5, 6))


def test_the_blobs_of_caffes_normalisations(tmp_path: Path) -> None:
    vector, one = np.ones(4, "f4"), np.ones(1, "f4")
    layers: list[tuple[str, str, list[Array]]] = [
        ("a", "BatchNorm", [vector, vector, one]),
        ("b", "Scale", [vector, vector]),
        ("c", "BN", [vector.reshape(1, 4)] * 4),
        ("d", "PReLU", [vector]),
        ("e", "ReLU", []),
        ("f", "Convolution", [np.ones((2, 3), "f8")]),
    ]
    write_caffe(tmp_path / "x.caffemodel", layers)

    tensors = contents(tmp_path / "x.caffemodel")

    assert list(tensors) == [
        *("a/mean", "a/variance", "a/factor", "b/scale", "b/shift"),
        *("c/scale", "c/shift", "c/mean", "c/variance", "d/0", "f/weight"),
    ]
    assert tensors["c/mean"].shape == (1, 4)
    assert tensors["f/weight"].dtype == np.float64


@pytest.mark.parametrize("factor", [999.98, 1.0, 0.0])
@pytest.mark.parametrize("old", [False, True], ids=["now", "before 0.16"])
def test_a_normalisation_of_five_blobs_scales_too(old: bool, factor: float, tmp_path: Path) -> None:
    """Statistics with a factor of 0 are unchanged: NVIDIA's cuDNN layer never sets it."""
    blobs = random_arrays({name: (1, 4, 1, 1) for name in ("mean", "variance", "scale", "shift")})
    blobs["factor"] = np.full((1, 1, 1, 1), factor, "f4")
    order = ("scale", "shift", "mean", "variance", "factor")
    order = order if old else ("mean", "variance", "factor", "scale", "shift")
    write_caffe(tmp_path / "x.caffemodel", [("a", "BatchNorm", [blobs[name] for name in order])])

    tensors = contents(tmp_path / "x.caffemodel")

    assert sorted(tensors) == sorted(f"a/{name}" for name in blobs if factor or name != "factor")
    assert all(np.array_equal(value, blobs[name[2:]]) for name, value in tensors.items())


def test_numbers_that_caffe_did_not_pack(tmp_path: Path) -> None:
    blob = caffe_message("BlobProto")(num=2)
    head = blob.SerializeToString()
    data = b"".join(b"\x2d" + np.float32(x).tobytes() for x in (1.5, -2))  # field 5, 32 bits each
    blob_bytes = head + data
    layer = b"\x0a\x01a\x12\x05Other" + b"\x3a" + bytes([len(blob_bytes)]) + blob_bytes
    (tmp_path / "x.caffemodel").write_bytes(b"\xa2\x06" + bytes([len(layer)]) + layer)

    assert contents(tmp_path / "x.caffemodel")["a/0"].ravel().tolist() == [1.5, -2]


# ---------------------------------------------------------------- PyTorch


@pytest.mark.parametrize("old", [False, True], ids=["zip", "old"])
def test_a_state_dict_inside_of_something_else(old: bool, tmp_path: Path) -> None:
    import torch

    state = {"module.a.weight": torch.ones(2), "module.a.num_batches_tracked": torch.tensor(3)}
    slots = {"state": {0: {"momentum_buffer": torch.ones(2)}}, "param_groups": [{"lr": 0.1}]}
    whole = {"epoch": 3, "best": torch.tensor(0.5), "state_dict": state, "optimizer": slots}
    torch.save(whole, tmp_path / "x.pth", _use_new_zipfile_serialization=not old)

    assert list(contents(tmp_path / "x.pth")) == [
        *("best", "state_dict.module.a.weight", "state_dict.module.a.num_batches_tracked")
    ]


@pytest.mark.parametrize(
    ("key", "plain"),
    [
        ("_orig_mod.a", "a"),
        ("module._orig_mod.a", "module.a"),
        ("a._orig_mod.b", "a.b"),
        ("a._checkpoint_wrapped_module.b", "a.b"),
        ("_fsdp_wrapped_module.a._fsdp_wrapped_module.b", "a.b"),
    ],
)
def test_what_wrappers_put_into_keys_is_taken_out(key: str, plain: str, tmp_path: Path) -> None:
    import torch

    torch.save({f"{key}.weight": torch.ones(2)}, tmp_path / "x.pth")

    assert list(contents(tmp_path / "x.pth")) == [f"{plain}.weight"]


def test_what_wrappers_put_into_keys_stays_where_it_tells_two_apart(tmp_path: Path) -> None:
    import torch

    state = {"a.weight": torch.ones(2), "_orig_mod.a.weight": torch.zeros(2)}
    torch.save(state, tmp_path / "x.pth")

    assert list(contents(tmp_path / "x.pth")) == list(state)


def test_containers_in_containers_are_read_once_and_to_their_end(tmp_path: Path) -> None:
    import torch

    state = {"a": torch.ones(1)}
    whole: dict[str, Any] = {"best": state, "last": state, "shadow": [torch.ones(2), 3]}
    whole["itself"] = whole
    torch.save(whole, tmp_path / "x.pth")

    assert list(contents(tmp_path / "x.pth")) == ["best.a", "shadow.0"]


def test_arguments_and_numbers_beside_tensors_are_only_data(tmp_path: Path) -> None:
    import argparse

    import torch

    whole = {"args": argparse.Namespace(lr=0.1), "best": np.float64(0.5), "seen": np.int64(3)}
    torch.save({**whole, "model": {"a": torch.ones(1)}}, tmp_path / "x.pth")

    assert list(contents(tmp_path / "x.pth")) == ["model.a"]


def test_a_torchscript_archive_is_told_with_what_to_do(tmp_path: Path) -> None:
    import torch

    torch.jit.script(torch.nn.Linear(2, 2)).save(tmp_path / "x.pt")

    with pytest.raises(WeightsError) as caught:
        contents(tmp_path / "x.pt")
    assert str(caught.value).partition("cannot be read: ")[2] == (
        "it is a TorchScript archive, which is a program: load it where you trust it and save what "
        "it holds: torch.save(torch.jit.load('x.pt').state_dict(), 'weights.pth')"
    )


def test_a_tensor_without_values_is_told(tmp_path: Path) -> None:
    import torch

    torch.save({"a": torch.ones(2, device="meta")}, tmp_path / "x.pth")

    with pytest.raises(WeightsError, match="`a` has no values"):
        contents(tmp_path / "x.pth")


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors")
def test_a_tensor_of_tensors_is_refused(tmp_path: Path) -> None:
    import torch

    nested = torch.nested.nested_tensor([torch.zeros(2), torch.zeros(3)])
    torch.save({"a.weight": nested}, tmp_path / "x.pth")

    with pytest.raises(WeightsError, match=r"`a\.weight` is not a plain array of real numbers"):
        contents(tmp_path / "x.pth")


def test_parameters_views_and_half_precision(tmp_path: Path) -> None:
    import torch

    base = torch.arange(12.0)
    state = {
        "parameter": torch.nn.Parameter(torch.ones(2)),
        "view": base[2:8].reshape(2, 3).T,
        "half": torch.tensor([0.5], dtype=torch.float16),
        "brain": torch.tensor([1.5, -3.0], dtype=torch.bfloat16),
        "double": torch.tensor([0.1], dtype=torch.float64),
    }
    torch.save(state, tmp_path / "x.pth")

    tensors = contents(tmp_path / "x.pth")

    assert tensors["view"].tolist() == base[2:8].reshape(2, 3).T.tolist()
    assert tensors["brain"].dtype == np.float32 and tensors["brain"].tolist() == [1.5, -3.0]
    assert tensors["double"].dtype == np.float64 and tensors["double"][0] == 0.1


class Program:
    """Runs a program when it is unpickled."""

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return os.mkdir, ("created_by_a_pickle",)


@pytest.mark.parametrize("old", [False, True], ids=["zip", "old"])
def test_a_pickle_that_runs_a_program_does_not_run(
    old: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    monkeypatch.chdir(tmp_path)
    torch.save(
        {"a": torch.ones(1), "b": Program()}, "x.pth", _use_new_zipfile_serialization=not old
    )

    with pytest.raises(WeightsError, match="it is damaged or holds more than tensors") as caught:
        contents(Path("x.pth"))

    assert "torch.save(model.state_dict()" in str(caught.value)
    assert not Path("created_by_a_pickle").exists()


def test_a_whole_model_is_refused(tmp_path: Path) -> None:
    import torch

    torch.save(torch.nn.Linear(2, 2), tmp_path / "x.pth")
    with pytest.raises(WeightsError, match="holds more than tensors") as caught:
        contents(tmp_path / "x.pth")
    assert "(`torch.nn.modules.linear.Linear`)" in str(caught.value)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ({"epoch": 1, "lr": 0.1}, "`epoch` and `lr`"),
        ({f"k{i}": i for i in range(10)}, ", ".join(f"`k{i}`" for i in range(8)) + " and 2 more"),
        ({}, "an empty dictionary"),
        (3, "an object of the type `int`"),
    ],
)
def test_a_file_without_tensors_says_what_it_has(
    content: object, says: str, tmp_path: Path
) -> None:
    import torch

    torch.save(content, tmp_path / "x.pth")

    with pytest.raises(WeightsError) as caught:
        contents(tmp_path / "x.pth")
    assert f"it holds no tensors, only {says}: load it where" in str(caught.value)


# ---------------------------------------------------------------- Keras


def keras_model() -> Any:
    import keras
    from keras import layers

    inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(4, 3, name="a.conv")(inputs)
    x = layers.BatchNormalization(name="a.bn")(x)
    x = layers.BatchNormalization(scale=False, name="b.bn")(x)
    x = layers.SeparableConv2D(5, 3, depth_multiplier=2, name="c")(x)
    x = layers.DepthwiseConv2D(3, name="d")(x)
    x = layers.GlobalAveragePooling2D()(x)
    model = keras.Model(inputs, layers.Dense(2, name="logits")(x))
    random = np.random.default_rng(0)
    model.set_weights([random.uniform(0.5, 1.5, w.shape) for w in model.get_weights()])
    return model


def archived(path: Path) -> Path:
    """Return the file in a Keras archive."""
    with zipfile.ZipFile(path.with_suffix(".keras"), "w") as archive:
        archive.write(path, "model.weights.h5")
    return path.with_suffix(".keras")


def test_layers_of_keras_come_in_the_order_of_the_model(tmp_path: Path) -> None:
    """HDF5 lists groups by name, and `dense_10` in front of `dense_2`."""
    import keras

    layers = [keras.layers.Dense(1, name="zyxwvutsrqpo"[n]) for n in range(12)]
    model = keras.Sequential([keras.Input((1,)), *layers])
    model.save_weights(tmp_path / "x.weights.h5")

    names = [name.partition("/")[0] for name in contents(tmp_path / "x.weights.h5")]

    assert [*dict.fromkeys(names)] == [layer.name for layer in layers]


@pytest.mark.parametrize("name", ["x.weights.h5", "x.keras", "x.h5"])
def test_every_file_that_keras_writes(name: str, tmp_path: Path) -> None:
    model = keras_model()
    if name.endswith(".weights.h5"):
        model.save_weights(tmp_path / name)
    else:
        model.save(tmp_path / name)

    tensors = contents(tmp_path / name)

    expected = {f"{layer.name}/{v.name}": v for layer in model.layers for v in layer.weights}
    new = not name.endswith("x.h5")
    if new:  # which of the two a layer has cannot be seen
        expected["b.bn/gamma_or_beta"] = expected.pop("b.bn/beta")
    assert sorted(tensors) == sorted(expected)
    for key, variable in expected.items():
        assert np.array_equal(tensors[key], np.asarray(variable)), key


def test_a_model_inside_of_a_model_gives_its_layers(tmp_path: Path) -> None:
    import keras

    base = keras_model()
    whole = keras.Sequential([keras.Input((8, 8, 3)), base, keras.layers.Dense(3, name="head")])
    whole.save(tmp_path / "x.h5")

    tensors = contents(tmp_path / "x.h5")

    layers = [*base.layers, *whole.layers[1:]]
    expected = {f"{layer.name}/{v.name}": v for layer in layers for v in layer.weights}
    assert sorted(tensors) == sorted(expected)
    for key, variable in expected.items():
        assert np.array_equal(tensors[key], np.asarray(variable)), key


def test_a_half_precision_file_of_keras(tmp_path: Path) -> None:
    import keras

    keras.config.set_dtype_policy("bfloat16")
    try:
        model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3, name="logits")])
    finally:
        keras.config.set_dtype_policy("float32")
    model.save_weights(tmp_path / "x.weights.h5")

    tensors = contents(tmp_path / "x.weights.h5")

    assert tensors["logits/kernel"].dtype == np.float32
    kernel = np.asarray(model.layers[0].kernel.numpy(), "f4")
    assert np.array_equal(tensors["logits/kernel"], kernel)


def test_links_out_of_a_keras_file_are_not_followed(tmp_path: Path) -> None:
    import h5py

    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["secret"] = np.ones(3, "f4")
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["a/kernel:0"] = np.ones(2, "f4")
        file["b"] = h5py.ExternalLink("other.h5", "secret")
        file["c"] = h5py.SoftLink("/a")
    assert list(contents(tmp_path / "x.h5")) == ["a/kernel"]

    (tmp_path / "raw").write_bytes(bytes(12))
    with h5py.File(tmp_path / "y.h5", "w") as file:
        file.create_dataset("a/kernel:0", (3,), "f4", external=[("raw", 0, 12)])
    with pytest.raises(WeightsError, match="`a/kernel:0` is stored in another file"):
        contents(tmp_path / "y.h5")


@pytest.mark.parametrize("pack", [Path, archived], ids=["file", "archive"])
def test_arrays_are_the_same_however_hdf5_keeps_them(
    pack: Callable[[Path], Path], tmp_path: Path
) -> None:
    import h5py

    values = np.random.default_rng(0).normal(size=(30, 4)).astype("f4")
    ours = h5py.h5t.IEEE_F32LE.copy()
    ours.set_ebias(100)  # as wide as float32, with other numbers
    with h5py.File(tmp_path / "x.h5", "w") as file:
        layers = file.create_group("layers/dense/vars")
        layers.attrs["name"] = "dense"
        layers["0"] = values
        layers["1"] = values.astype(">f8")
        layers["2"] = values.astype("f2")
        layers["3"] = (values * 10).astype("i8")
        layers["4"] = np.float32(3)
        layers["5"] = np.ones((0, 3), "f4")
        layers.create_dataset("6", data=values, chunks=(7, 3), compression="gzip", shuffle=True)
        layers.create_dataset("7", (3, 2), "f4", fillvalue=2.5)  # has no place
        space = h5py.h5s.create_simple(values.shape)
        h5py.h5d.create(layers.id, b"8", ours, space).write(h5py.h5s.ALL, h5py.h5s.ALL, values)
        inside = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        inside.set_layout(h5py.h5d.COMPACT)
        compact = h5py.h5d.create(layers.id, b"9", h5py.h5t.IEEE_F32LE, space, inside)
        compact.write(h5py.h5s.ALL, h5py.h5s.ALL, values)
        expected = {f"dense/{name}": np.asarray(data[()]) for name, data in layers.items()}

    tensors = contents(pack(tmp_path / "x.h5"))

    assert sorted(tensors) == sorted(expected)
    for name, value in expected.items():
        assert (tensors[name].dtype, tensors[name].shape) == (value.dtype, value.shape), name
        assert np.array_equal(tensors[name], value), name


def test_a_keras_file_that_grew_shorter_is_told(tmp_path: Path) -> None:
    path = written("legacy keras", tmp_path)
    with open_checkpoint(path) as checkpoint:
        os.truncate(path, 3000)

        with pytest.raises(WeightsError, match="`logits/kernel` is truncated"):
            checkpoint.tensors["logits/kernel"].values()


def test_a_packed_keras_archive_is_refused(tmp_path: Path) -> None:
    keras_model().save(tmp_path / "x.keras")
    with zipfile.ZipFile(tmp_path / "x.keras") as archive:
        data = archive.read("model.weights.h5")
    with zipfile.ZipFile(tmp_path / "y.keras", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("model.weights.h5", data)

    with pytest.raises(WeightsError, match="is compressed"):
        contents(tmp_path / "y.keras")


# ---------------------------------------------------------------- the process that reads them


def damaged_keras(path: Path) -> Path:
    """Return a small Keras file that libhdf5 loops on: a heap's free space says it is 0."""
    import h5py

    with h5py.File(path, "w") as file:
        file["layers/dense/vars/0"] = np.ones(2, "f4")
        file["layers/dense/vars"].attrs["name"] = "dense"
    data = bytearray(path.read_bytes())
    space = data.index(b"GCOL") + 16 + 24  # behind the head of the heap and its one string
    data[space : space + 16] = bytes(16)
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("pack", [Path, archived], ids=["file", "archive"])
def test_a_keras_file_without_an_end_is_told(
    pack: Callable[[Path], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = pack(damaged_keras(tmp_path / "x.h5"))
    monkeypatch.setattr(apart, "PATIENCE", 1.0)

    with pytest.raises(WeightsError) as caught:
        contents(path)

    assert str(caught.value) == (
        f"`{path.as_posix()}` cannot be read: it is damaged, or its disk is very slow: "
        "the HDF5 library has not finished after 1 seconds"
    )


def test_the_time_for_a_keras_file_grows_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = damaged_keras(tmp_path / "x.h5")
    monkeypatch.setattr(apart, "PATIENCE", 0.5)
    monkeypatch.setattr(apart, "PACE", path.stat().st_size)

    with pytest.raises(WeightsError, match=r"not finished after 1\.5 seconds"):
        contents(path)


def test_a_crash_of_the_hdf5_library_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written("legacy keras", tmp_path)
    (tmp_path / "h5py.py").write_text("import ctypes\nctypes.string_at(0)\n", "utf-8")
    monkeypatch.syspath_prepend(tmp_path)

    with pytest.raises(WeightsError) as caught:
        contents(path)

    assert str(caught.value) == (
        f"`{path.as_posix()}` cannot be read: it is damaged: the HDF5 library crashes "
        f"(exit code {-signal.SIGSEGV})"
    )


def test_a_crash_between_tensors_is_told_for_each_that_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import h5py

    started: list[subprocess.Popen[bytes]] = []

    class Noted(subprocess.Popen[bytes]):
        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **options)
            started.append(self)

    monkeypatch.setattr(subprocess, "Popen", Noted)
    with h5py.File(tmp_path / "x.h5", "w") as file:
        for name in ("a/kernel", "b/kernel", "c/kernel"):
            file.create_dataset(name, data=np.ones(9, "f4"), compression="gzip")
    with open_checkpoint(tmp_path / "x.h5") as checkpoint:
        first, *others = checkpoint.tensors.values()
        assert first.values().tolist() == [1.0] * 9
        started[0].kill()

        for stored in others:
            with pytest.raises(WeightsError) as caught:
                stored.values()
            assert str(caught.value) == (
                f"`{stored.name}` cannot be read: it is damaged: "
                f"the HDF5 library crashes (exit code {-signal.SIGKILL})"
            )


def test_a_program_that_is_no_python_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "program"
    program.write_text("#!/bin/sh\nexec sleep 1000\n", "utf-8")
    program.chmod(0o755)
    monkeypatch.setattr(apart, "_START", 0.5)
    monkeypatch.setattr(sys, "executable", str(program))

    with pytest.raises(WeightsError, match=r"incgen\.weights\.readers\.worker` ends with -9$"):
        contents(written("legacy keras", tmp_path))


def test_the_process_that_reads_ends_with_the_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also if an error prevents a checkpoint from being written."""
    ends: list[int] = []
    close = apart._Worker.close

    def closed(worker: apart._Worker) -> None:
        close(worker)
        ends.append(worker._process.returncode)

    monkeypatch.setattr(apart._Worker, "close", closed)
    contents(written("legacy keras", tmp_path))
    (tmp_path / "x.h5").write_bytes(b"\x89HDF\r\n\x1a\n")
    with pytest.raises(WeightsError):
        contents(tmp_path / "x.h5")

    assert len(ends) == 2 and None not in ends


@pytest.fixture
def processes(monkeypatch: pytest.MonkeyPatch) -> list[subprocess.Popen[bytes]]:
    """Return the processes that read, as they are started."""
    running: list[subprocess.Popen[bytes]] = []
    begin = apart._Worker.__init__

    def begun(worker: apart._Worker, kind: apart._Kind) -> None:
        begin(worker, kind)
        running.append(worker._process)

    monkeypatch.setattr(apart._Worker, "__init__", begun)
    return running


def test_the_process_that_reads_is_started_ahead_and_ends_even_if_nothing_is_opened(
    tmp_path: Path, processes: list[subprocess.Popen[bytes]]
) -> None:
    path = written("legacy keras", tmp_path)
    with started(path):
        assert len(processes) == 1
        contents(path)
    with pytest.raises(KeyError), started(path):
        raise KeyError
    with started(tmp_path / "missing.h5"):
        pass

    assert len(processes) == 2 and all(process.returncode is not None for process in processes)


def test_a_process_is_reused_after_files_of_another_kind(
    tmp_path: Path, processes: list[subprocess.Popen[bytes]]
) -> None:
    path = written("legacy keras", tmp_path)
    with apart.reused("keras"):
        with apart.reused("tensorflow"):
            contents(path)
        contents(path)

    assert [process.returncode for process in processes] == [-signal.SIGKILL]


def entry(dtype: int, *dimensions: int, data: bytes) -> bytes:
    """Return a `BundleEntryProto`, with one-byte dimensions where they are below 128."""
    sizes = [n.to_bytes(1) if n >= 0 else b"\xff" * 9 + b"\x01" for n in dimensions]  # -1
    shape = b"".join(b"\x12" + bytes([1 + len(n)]) + b"\x08" + n for n in sizes)
    crc = masked_crc32c(data).to_bytes(4, "little")
    fields = b"\x08" + bytes([dtype]) + b"\x12" + bytes([len(shape)]) + shape
    return fields + b"\x28" + bytes([len(data)]) + b"\x35" + crc


FLOATS = np.arange(6, dtype="<f4").tobytes()


def test_a_small_checkpoint_made_by_hand(tmp_path: Path) -> None:
    """The crafted ones below differ from it in one thing each."""
    write_tensorflow_entry(tmp_path / "x.ckpt", entry(1, 2, 3, data=FLOATS), FLOATS)

    assert contents(tmp_path / "x.ckpt")["v"].tolist() == [[0, 1, 2], [3, 4, 5]]


@pytest.mark.parametrize(
    ("made", "where"),
    [
        (entry(1, -1, data=FLOATS), "it is damaged"),
        (entry(101, 2, 3, data=FLOATS), "`v` cannot be read: it is damaged"),  # a reference
    ],
    ids=["dimension", "type"],
)
def test_what_tensorflow_aborts_on_is_told(made: bytes, where: str, tmp_path: Path) -> None:
    path = tmp_path / "x.ckpt"
    write_tensorflow_entry(path, made, FLOATS)

    with pytest.raises(WeightsError, match=f"{where}: TensorFlow crashes") as caught:
        contents(path)

    assert str(caught.value).endswith(f"(exit code {-signal.SIGABRT})")
    write_tensorflow_entry(path, entry(1, 6, data=FLOATS), FLOATS)
    assert contents(path)["v"].tolist() == [0, 1, 2, 3, 4, 5]  # another process does


SCRIPT = """\
import sys
sys.path.insert(0, {root!r})
from incgen.weights.readers import open_checkpoint
from pathlib import Path
print("once")
with open_checkpoint(Path(sys.argv[1])) as checkpoint:
    print(len(checkpoint.tensors), checkpoint.tensors["conv/bias"].values().size)
"""


@pytest.mark.parametrize("flags", [(), ("-I",)], ids=["", "isolated"])
def test_a_script_that_is_only_lines_reads_keras_files(
    flags: tuple[str, ...], tmp_path: Path
) -> None:
    """It runs once, finds incgen where it says, and executes nothing from its own folder."""
    path = written("legacy keras", tmp_path)
    script = tmp_path / "scripts" / "script.py"
    script.parent.mkdir()
    script.write_text(SCRIPT.format(root=str(Path(incgen.__file__).parent.parent)), "utf-8")
    (tmp_path / "h5py.py").write_text("raise AssertionError\n", "utf-8")

    command = [sys.executable, *flags, str(script), path.name]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)

    assert (done.returncode, done.stdout) == (0, "once\n7 4\n"), done.stderr


def test_what_python_prints_as_it_starts_is_no_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sitecustomize.py").write_text("print('good morning')\n", "utf-8")
    monkeypatch.syspath_prepend(tmp_path)

    assert len(contents(written("legacy keras", tmp_path))) == len(SHAPES)


@pytest.mark.parametrize(
    ("executable", "says"),
    [
        ("", "`sys.executable` does not say where Python is"),
        (None, "`sys.executable` does not say where Python is"),
        ("/no/python", "`/no/python` does not start: no such file or directory"),
        (shutil.which("false"), "incgen.weights.readers.worker` ends with 1"),
    ],
)
def test_a_python_that_cannot_be_started_is_told(
    executable: str | None, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written("legacy keras", tmp_path)
    monkeypatch.setattr(sys, "executable", executable)

    with pytest.raises(WeightsError) as caught:
        contents(path)

    assert str(caught.value).startswith(f"`{path.as_posix()}` cannot be read: ")
    assert says in str(caught.value)


# ---------------------------------------------------------------- safetensors


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16", "bfloat16", "int64"])
def test_types_of_safetensors(dtype: str, tmp_path: Path) -> None:
    import torch
    from safetensors.torch import save_file

    value = torch.tensor([1.0, -2.5, 3e4]).to(getattr(torch, dtype))
    save_file({"a": value}, tmp_path / "x.safetensors")

    assert contents(tmp_path / "x.safetensors")["a"].tolist() == value.double().tolist()


HEADERS = {
    "too short": b"1234",
    "longer than the file": (1 << 40).to_bytes(8, "little") + b"{}",
    "no JSON": (3).to_bytes(8, "little") + b"{a}",
    "a list": (2).to_bytes(8, "little") + b"[]",
}


def header(entry: object) -> bytes:
    text = json.dumps({"a": entry}).encode()
    return len(text).to_bytes(8, "little") + text + bytes(8)


ENTRIES = {
    "no entry": 3,
    "no offsets": {"dtype": "F32", "shape": [2]},
    "beyond the file": {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]},
    "another size": {"dtype": "F32", "shape": [1], "data_offsets": [0, 8]},
    "negative": {"dtype": "F32", "shape": [-2], "data_offsets": [8, 0]},
    "backwards": {"dtype": "F32", "shape": [2], "data_offsets": [8, 0]},
    "fractions": {"dtype": "F32", "shape": [2.0], "data_offsets": [0, 8]},
    "too many axes": {"dtype": "F32", "shape": [1] * 40, "data_offsets": [0, 4]},
    "an unknown type": {"dtype": "F8_E4M3", "shape": [8], "data_offsets": [0, 8]},
    "huge": {"dtype": "F32", "shape": [2**62] * 30, "data_offsets": [0, 8]},
}


@pytest.mark.parametrize("data", [*HEADERS.values(), *map(header, ENTRIES.values())])
def test_a_lying_header_is_told(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    path.write_bytes(data)

    with pytest.raises(WeightsError, match=r"`.*x\.safetensors` cannot be read: "):
        contents(path)


# ---------------------------------------------------------------- Flax


def packed(content: Any, path: Path) -> Path:
    """Write a Flax file of anything that Flax can write."""
    from flax.serialization import msgpack_serialize

    path.write_bytes(msgpack_serialize(content))
    return path


def test_what_is_no_array_of_a_flax_file_is_left_out(tmp_path: Path) -> None:
    kernel = np.arange(6, dtype="f8").reshape(2, 3)
    state = {"step": 5, "name": "a", "none": None, "params": {"0": {1: {"kernel": kernel}}}}

    tensors = contents(packed(state, tmp_path / "x.msgpack"))

    assert list(tensors) == ["params/0/1/kernel"]
    assert np.array_equal(tensors["params/0/1/kernel"], kernel)


def test_a_large_array_of_a_flax_file_is_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Flax cuts what would not fit into one entry of msgpack."""
    monkeypatch.setattr("flax.serialization.MAX_CHUNK_SIZE", 16)
    kernel = np.arange(12, dtype="f4").reshape(3, 4)

    path = packed({"a": {"kernel": kernel}}, tmp_path / "x.msgpack")

    assert b"chunks" in path.read_bytes()
    assert np.array_equal(contents(path)["a/kernel"], kernel)


def test_half_precision_in_a_flax_file(tmp_path: Path) -> None:
    import jax.numpy as jnp

    kernel = jnp.asarray([1.5, -2], "bfloat16")

    with open_checkpoint(packed({"kernel": kernel}, tmp_path / "x.msgpack")) as checkpoint:
        stored = checkpoint.tensors["kernel"]
        assert stored.dtype == "bfloat16"
        assert stored.values().dtype == np.float32
        assert stored.values().tolist() == [1.5, -2]


NESTED = b"\x81\xa1a" * 1000 + b"\x01"
#: A long key, with many arrays below it: names that would fill the memory.
LONG = b"\x81\xdb" + (10**6).to_bytes(4, "big") + b"n" * 10**6 + b"\xde\xff\xff"


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "it is empty"),
        (b"\x93\x01\x02\x03", "it holds no arrays by name"),
        (b"\x81\xa1a\x01", "it holds no arrays by name"),
        (b"\x81\xa1a", "not a file written by Flax: Unpack failed: incomplete input"),
        (b"hello, this is a text", "not a file written by Flax: unpack(b) received extra data"),
        (b"\x81\xa1a\xdd\xff\xff\xff\xff", "not a file written by Flax: 4294967295 exceeds"),
        (NESTED, "not a file written by Flax: "),
        (NESTED[3 * 600 :], "it holds no arrays by name"),
        (LONG + b"".join(b"\xcd%b\x01" % n.to_bytes(2, "big") for n in range(65535)), "1,000,000"),
    ],
)
def test_what_flax_did_not_write_is_told(data: bytes, says: str, tmp_path: Path) -> None:
    (tmp_path / "x.msgpack").write_bytes(data)

    with pytest.raises(WeightsError) as caught:
        contents(tmp_path / "x.msgpack")

    assert says in str(caught.value)
    assert len(str(caught.value)) < 400


def test_arrays_of_no_numbers_in_a_flax_file_are_refused(tmp_path: Path) -> None:
    path = packed({"a": {"mask": np.array([True])}}, tmp_path / "x.msgpack")

    with pytest.raises(WeightsError, match="`a/mask` holds bool, not numbers"):
        contents(path)


# ---------------------------------------------------------------- files that are none


@pytest.mark.parametrize(
    ("name", "data", "says"),
    [
        ("x.pth", b"", "it is empty"),
        ("x.tar.gz", b"\x1f\x8b\x08\x00", "it is a compressed archive: `tar xzf x.tar.gz`"),
        ("x.pth", b"version https://git-lfs.github.com/spec/v1\n", "`git lfs pull`"),
        ("x.txt", b"hello, this is a text", "not a file of PyTorch, safetensors"),
        ("x.caffemodel", b"hello, this is a text", "not a Caffe model"),
        ("x.caffemodel", b"\x0a\x03net", "not a Caffe model with weights"),
        ("x.h5", b"\x89HDF\r\n\x1a\n" + bytes(100), "not an HDF5 file written by Keras"),
        ("x.npz", b"PK\x03\x04" + bytes(50), "it may be truncated"),
        ("x.pth", b"\x80\x02" + bytes(50), "it is damaged"),
    ],
)
def test_what_is_no_checkpoint_is_told(name: str, data: bytes, says: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(data)

    with pytest.raises(WeightsError) as caught:
        contents(tmp_path / name)

    assert says in str(caught.value)


def test_what_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="no such file or directory"):
        contents(tmp_path / "x.pth")
    with pytest.raises(WeightsError, match="it is a folder but not a SavedModel"):
        contents(tmp_path)


def test_objects_in_an_npz_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", a=np.array([Program()], dtype=object))

    with pytest.raises(WeightsError, match="`a` holds object, not numbers"):
        contents(tmp_path / "x.npz")


@pytest.mark.parametrize("kind", [*WRITERS, "caffe", "keras archive"])
def test_a_damaged_file_gives_a_report_or_numbers(kind: str, tmp_path: Path) -> None:
    """Truncated or changed anywhere, a file never causes another exception."""
    if kind == "caffe":
        path = tmp_path / "x.caffemodel"
        write_caffe(path, [("a", "Convolution", [np.ones((2, 1, 3, 3), "f4"), np.ones(2, "f4")])])
    elif kind == "keras archive":
        path = tmp_path / "x.keras"
        keras_model().save(path)
    else:
        path = written(kind, tmp_path)
    if kind == "tensorflow":
        path = path.with_name("file.ckpt.index")
    data = path.read_bytes()
    random = np.random.default_rng(0)
    reports = 0
    with apart.reused("keras"):
        for trial in range(60):
            made = bytearray(data)
            if trial % 3 == 0:
                made = made[: int(random.integers(1, len(data)))]
            else:
                for place in random.integers(0, len(data), 1 + trial % 5):
                    made[place] = int(random.integers(256))
            path.write_bytes(made)
            try:
                contents(path)
            except WeightsError:
                reports += 1

    assert reports > 5


# ---------------------------------------------------------------- bounds


def headed(path: Path, names: list[str]) -> Path:
    """Return a safetensors file whose tensors have no numbers."""
    entry = {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}
    head = json.dumps(dict.fromkeys(names, entry)).encode()
    path.write_bytes(len(head).to_bytes(8, "little") + head)
    return path


def test_a_file_has_no_more_tensors_than_a_network(tmp_path: Path) -> None:
    several = headed(tmp_path / "several.safetensors", [f"t{i}" for i in range(50_000)])
    many = headed(tmp_path / "many.safetensors", [f"t{i}" for i in range(50_001)])

    assert len(contents(several)) == 50_000
    with pytest.raises(WeightsError, match="it has 50,001 tensors, more than the 50,000"):
        open_checkpoint(many)


def test_a_long_name_is_not_shown_in_full(tmp_path: Path) -> None:
    with pytest.raises(WeightsError) as caught:
        open_checkpoint(headed(tmp_path / "x.safetensors", ["n" * 5_000_000]))

    assert "has 5,000,000 characters, not 1,000 at most" in str(caught.value)
    assert len(str(caught.value)) < 250


def test_a_long_header_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    path.write_bytes((25_000_001).to_bytes(8, "little") + bytes(25_000_001))

    with pytest.raises(WeightsError, match="its header has 25,000,001 bytes, more than 25,000,000"):
        open_checkpoint(path)


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)

    for path in (pipe, Path("/dev/zero")):
        with pytest.raises(WeightsError, match="not a regular file"):
            open_checkpoint(path)
