"""Files in int8: what is in them, what they compute, and what is reported of them."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import numpy_helper
from onnx.reference import ReferenceEvaluator
from PIL import Image
from safetensors.numpy import save_file
from torch.nn import functional as F

import incgen
from fuzzing.specs import random_spec
from incgen.quantization import images as sources
from incgen.quantization.blocks import Quantized
from incgen.quantization.comparing import Classes, Error
from incgen.quantization.images import Images
from incgen.quantization.reading import Reader
from incgen.quantization.report import Report
from incgen.quantization.running import saturates
from incgen.quantization.source import opened
from incgen.verify import drawing, inputs
from incgen.weights.checkpoint import Array

AGREEMENT = sorted((Path(__file__).parent / "agreement").glob("*.inc"))
#: Branches of ReLUs, one without, a smooth activation, a sum, and an LRN.
NET = """\
numerics torch
unit conv_bn = conv bias=false -> bn -> relu
block inception(n) {
    concat {
        one:   conv_bn 1x1 n
        three: conv_bn 3x3 n
    }
}
network net(classes = 3) {
    input 8x6 3  order=bgr range=[-1, 1] mean=[0.5, 0.25, 0] std=[2]
    first: conv_bn 3x3 8
    lrn: lrn 5
    a: inception 4
    b: add { identity
        conv: conv_bn 3x3 8 }
    c: conv 1x1 6 -> silu
    pool: max_pool 2x2/2
    even: avg_pool 3x3/1
    global_avg_pool
    out: dense classes
}
"""


def written(folder: Path, text: str = NET, seed: int = 0, **options: Any) -> Path:
    """Write a float file with random weights."""
    graph = incgen.compile_spec("net.inc", text=text)
    weights = {k: v.astype(np.float32) for k, v in drawing.weights(graph, seed).items()}
    save_file(weights, folder / "net.safetensors")
    given = {"deploy": True, "force": True, **options}
    file = incgen.export_onnx(graph, folder / "net.safetensors", folder / "net.onnx", **given)
    return file.path


def pixels(count: int, *shape: int) -> Array:
    return np.random.default_rng(0).integers(0, 256, (count, *shape), np.uint8)


def made(folder: Path, text: str = NET, count: int = 24, **options: Any) -> Report:
    """Quantise a file with random weights on random images."""
    chosen = {name: options.pop(name) for name in ("deploy", "preprocess") if name in options}
    file = written(folder, text, **chosen)
    shape = incgen.compile_spec("net.inc", text=text).input
    np.save(folder / "images.npy", pixels(count, shape.height, shape.width, shape.channels))
    return incgen.quantize(file, folder / "images.npy", force=True, **options)


def run(path: Path, x: Array) -> Array:
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    (output,) = session.run(None, {"input": x})
    return np.asarray(output)


def weights_of(path: Path) -> dict[str, str]:
    """Return the types of the kernels of all layers, by the names of their nodes."""
    graph = onnx.load(path).graph
    held = {t.name: onnx.TensorProto.DataType.Name(t.data_type) for t in graph.initializer}
    makers = {value: node for node in graph.node for value in node.output}
    types = {}
    for node in graph.node:
        if node.op_type in ("Conv", "Gemm"):
            maker = makers.get(node.input[1])
            types[node.name] = held[maker.input[0] if maker else node.input[1]]
    return types


# ---------------------------------------------------------------- what is in a file


def test_layers_are_in_int8_and_what_8_bits_do_not_hold_is_not(tmp_path: Path) -> None:
    path = made(tmp_path).path

    kernels = weights_of(path)
    assert kernels.pop("lrn/sum") == "FLOAT"
    assert {*kernels} == {*("first.conv", "b.conv.conv", "c.0", "out")} | {
        f"a.{branch}.conv" for branch in ("one", "three")
    }
    assert {*kernels.values()} == {"INT8"}
    proto = onnx.load(path)
    onnx.checker.check_model(proto, full_check=True)
    scales = {t.name: numpy_helper.to_array(t) for t in proto.graph.initializer}
    assert scales["first.conv.weight_scale"].shape == (8,)  # one for each channel
    assert not scales["first.conv.weight_zero_point"].any()
    rounded = {node.input[0] for node in proto.graph.node if node.op_type == "QuantizeLinear"}
    assert rounded == {
        *("input", "first.relu", "lrn", "a.one.relu", "a.three.relu", "a.concat", "b.conv.relu"),
        *("b", "c.0", "even", "global_avg_pool/pool", "global_avg_pool"),
        # and neither silu, nor what its pooling gives, nor the logits
    }


def test_branches_of_a_concat_share_a_range_unless_it_would_undo_a_relu(tmp_path: Path) -> None:
    text = """\
numerics torch
network net {
    input 5x5 2  range=[0, 1]
    both: concat { one: conv 1x1 3 -> relu
        two: conv 3x3 3 -> relu }
    mixed: concat { three: conv 1x1 3 -> relu
        four: conv 3x3 3 }
    twice: concat { identity
        five: conv 1x1 3 }
    last: conv 1x1 2
}
"""
    report = made(tmp_path, text)

    graph = onnx.load(report.path).graph
    held = {t.name: numpy_helper.to_array(t) for t in graph.initializer}
    scale, zero = ({name: held[f"{name}_{what}"] for name in ("both.one.1", "both.two.1", "both",
        "mixed.three.1", "mixed.four", "mixed")} for what in ("scale", "zero_point"))  # fmt: skip
    assert scale["both.one.1"] == scale["both.two.1"] == scale["both"]
    assert zero["both"] == 0
    assert zero["mixed.three.1"] == 0 < zero["mixed.four"]
    assert scale["mixed.three.1"] != scale["mixed.four"]
    assert max(row.own.relative for row in report.blocks) < 0.05


@pytest.mark.parametrize("calibration", ["entropy", "percentile"])
def test_the_range_behind_a_relu_begins_at_0(tmp_path: Path, calibration: str) -> None:
    """Histograms end at the edge of a bin, which is not quite 0."""
    path = made(tmp_path, calibration=calibration, percentile=99).path

    held = {t.name: numpy_helper.to_array(t) for t in onnx.load(path).graph.initializer}
    zeros = {name: int(value) for name, value in held.items() if "relu_zero_point" in name}
    assert len(zeros) == 4 and not any(zeros.values())


def test_a_file_says_what_it_was_made_from_and_how(tmp_path: Path) -> None:
    path = made(tmp_path, keep=["a.one"]).path

    said = {prop.key: prop.value for prop in onnx.load(path).metadata_props}
    before = {prop.key: prop.value for prop in onnx.load(tmp_path / "net.onnx").metadata_props}
    how = json.loads(said.pop("quantized"))
    assert how == {
        "from": "net.onnx",
        "from_sha256": before.pop("sha256"),
        "calibration": "minmax",
        "images": 12,
        "kept": ["a.one"],
        "reduce_range": False,
        "by": f"onnxruntime {onnxruntime.__version__}",
    }
    assert len(said.pop("sha256")) == 64
    assert said == before
    assert onnx.load(path).producer_name == "incgen"


def test_labels_that_are_kept_stay_in_float(tmp_path: Path) -> None:
    assert weights_of(made(tmp_path, keep=["a", "ou*"]).path) == {
        "first.conv": "INT8",
        "lrn/sum": "FLOAT",
        "a.one.conv": "FLOAT",
        "a.three.conv": "FLOAT",
        "b.conv.conv": "INT8",
        "c.0": "INT8",
        "out": "FLOAT",
    }


def test_weights_may_have_7_bits(tmp_path: Path) -> None:
    path = made(tmp_path, reduce_range=True).path

    held = {t.name: numpy_helper.to_array(t) for t in onnx.load(path).graph.initializer}
    assert np.abs(held["first.conv.weight_quantized"].astype(int)).max() == 64


@pytest.mark.parametrize("opset", [14, 27])
def test_every_opset_can_be_quantised(tmp_path: Path, opset: int) -> None:
    file = written(tmp_path, opset=opset)
    np.save(tmp_path / "images.npy", pixels(8, 8, 6, 3))

    report = incgen.quantize(file, tmp_path / "images.npy")

    assert {entry.domain: entry.version for entry in onnx.load(report.path).opset_import} == {
        "": opset
    }
    assert report.comparison.outputs["out"].relative < 0.2


# ---------------------------------------------------------------- what it computes


def test_a_file_computes_what_the_onnx_project_says(tmp_path: Path) -> None:
    """ONNX Runtime fuses the conversions; it may round a value to the next of 255."""
    path = made(tmp_path).path
    images, _ = sources.at(tmp_path / "images.npy")
    ((x, _),) = Reader(opened(tmp_path / "net.onnx"), tmp_path, 24).batches(images)

    found, wanted = run(path, x), ReferenceEvaluator(str(path)).run(None, {"input": x})[0]

    assert np.abs(found - wanted).max() < 0.02 * np.abs(wanted).max()
    exact = run(tmp_path / "net.onnx", x)
    assert 0 < np.abs(found - exact).max() < 0.05 * np.abs(exact).max()


def test_a_training_form_is_quantised_as_its_deployed_form(tmp_path: Path) -> None:
    """Normalisations are folded before, under the names of the layers."""
    reports = [made(tmp_path, deploy=deploy) for deploy in (True, False)]

    deployed, training = ({row.block.label: row for row in report.blocks} for report in reports)
    assert deployed.keys() == training.keys()
    for label, row in deployed.items():
        other = training[label]
        assert other.block.int8 == row.block.int8
        assert other.own.relative == pytest.approx(row.own.relative, rel=0.2, abs=1e-4)


@pytest.mark.parametrize("path", AGREEMENT, ids=lambda path: path.stem)
@pytest.mark.slow
def test_every_op_can_be_in_a_quantised_network(path: Path, tmp_path: Path) -> None:
    graph = incgen.compile_spec(path)
    weights = {k: v.astype(np.float32) for k, v in drawing.weights(graph, 0).items()}
    save_file(weights, tmp_path / "net.safetensors")
    file = incgen.export_onnx(graph, tmp_path / "net.safetensors", tmp_path / "net.onnx")
    np.save(tmp_path / "images.npy", inputs.images(graph, 0, 16).astype(np.float32))
    if not any(tensor.name == "weight" for node in graph.nodes for tensor in node.tensors):
        with pytest.raises(incgen.QuantizeError, match="it would gain nothing"):
            incgen.quantize(file, tmp_path / "images.npy")
        return

    report = incgen.quantize(file, tmp_path / "images.npy", batch=3)

    onnx.checker.check_model(onnx.load(report.path), full_check=True)
    assert max(error.relative for error in report.comparison.outputs.values()) < 0.35
    assert sum(row.block.int8 for row in report.blocks)


@pytest.mark.slow
def test_random_networks_can_be_quantised(tmp_path: Path) -> None:
    """Their values may be extreme, so what they lose says nothing; each file is valid and runs."""
    for number in range(60):
        graph = incgen.compile_spec("net.inc", text=random_spec(3, number).text)
        weights = {k: v.astype(np.float32) for k, v in drawing.weights(graph, 0).items()}
        save_file(weights, tmp_path / "net.safetensors")
        np.save(tmp_path / "images.npy", inputs.images(graph, 0, 6).astype(np.float32))
        options = {"heads": number % 2 == 0, "deploy": number % 3 > 0, "force": True}
        file = incgen.export_onnx(
            graph, tmp_path / "net.safetensors", tmp_path / "net.onnx", **options
        )
        calibration = ("minmax", "entropy", "percentile")[number % 3]
        try:
            report = incgen.quantize(
                file, tmp_path / "images.npy", calibration=calibration, force=True
            )
        except incgen.QuantizeError as error:
            assert str(error).endswith("it would gain nothing"), number
        else:
            onnx.checker.check_model(onnx.load(report.path), full_check=True)
            assert report.comparison.images == 3


# ---------------------------------------------------------------- what is reported


def test_an_error_is_a_part_of_the_size_in_float() -> None:
    error = Error()
    error.add(np.float32([3, 0]), np.float32([3, 4]))
    error.add(np.float32([12]), np.float32([12]))

    assert (error.squares, error.size) == (16, 9 + 16 + 144)
    assert error.relative == 4 / 13
    assert Error().relative == 0


def test_images_are_classified_alike_rightly_or_not() -> None:
    classes = Classes()
    before, after = np.eye(4)[[0, 1, 2, 3]], np.eye(4)[[0, 1, 3, 2]]
    classes.add(before, after, np.array([0, 2, 2, 2]))

    counts = (classes.same, classes.count, classes.float_right, classes.int8_right)
    assert counts == (2, 4, 2, 2)


def test_the_error_of_a_block_is_that_of_its_rounding(tmp_path: Path) -> None:
    """A convolution with the weight 1 gives what it takes, rounded to 255 steps."""
    text = """\
numerics torch
network net {
    input 4x4 1
    a: conv 1x1 1 bias=false
    b: conv 1x1 1 bias=false
    scale 1
    out: conv 1x1 1 bias=false
}
"""
    graph = incgen.compile_spec("net.inc", text=text)
    one = {key: np.ones((1, 1, 1, 1), np.float32) for key in graph.tensors()}
    save_file(one, tmp_path / "net.safetensors")
    file = incgen.export_onnx(graph, tmp_path / "net.safetensors", tmp_path / "net.onnx")
    x = np.random.default_rng(0).normal(size=(10, 1, 4, 4)).astype(np.float32)
    x[0, 0, 0, :2] = [-3, 5]
    both = np.concatenate([x, x])  # whatever is chosen to calibrate with, the ends are among it
    both[np.abs(both) > 5] = 0
    both[:, 0, 0, :2] = [-3, 5]
    np.save(tmp_path / "images.npy", both)

    report = incgen.quantize(file, tmp_path / "images.npy", count=10)

    (_, second) = sources.split(Images(both), None, 10, 500, Path())
    values = np.asarray(second.items, np.float64)
    step = np.float64(np.float32(8 / 255))
    zero = round(3 / step)
    rounded = (np.clip(np.rint(values / step) + zero, 0, 255) - zero) * step
    wanted = np.sqrt(np.square(rounded - values).sum() / np.square(values).sum())
    rows = {row.block.label: row for row in report.blocks}
    assert rows["a"].own.relative == pytest.approx(wanted, rel=0.02)
    assert rows["b"].own.relative == pytest.approx(wanted, rel=0.02)
    # what is rounded already is not moved again
    assert rows["b"].total.relative == pytest.approx(wanted, rel=0.02)


def test_errors_are_those_of_a_block_alone_and_in_the_network(tmp_path: Path) -> None:
    whole = {row.block.label: row for row in made(tmp_path).blocks}
    path, others = tmp_path / "net_int8.onnx", [label for label in whole if label != "c"]
    proto, before = onnx.load(path), onnx.load(tmp_path / "net.onnx")
    (seen,) = (n.output[0] for n in proto.graph.node if n.input[0] == "b_QuantizeLinear_Output")
    values = {}
    images, _ = sources.at(tmp_path / "images.npy")
    _, second = sources.split(images, None, 128, 500, Path())
    ((x, _),) = Reader(opened(tmp_path / "net.onnx"), tmp_path, 24).batches(second)
    for model, name in ((before, "b"), (proto, seen)):
        del model.graph.output[:]
        model.graph.output.add(name=name).type.tensor_type.elem_type = onnx.TensorProto.FLOAT
        onnx.save(model, tmp_path / "other.onnx")
        values[name] = run(tmp_path / "other.onnx", x).astype(np.float64)
    alone = {row.block.label: row for row in made(tmp_path, keep=others, output=path).blocks}

    error = np.linalg.norm(values[seen] - values["b"]) / np.linalg.norm(values["b"])
    assert whole["b"].total.relative == pytest.approx(error, rel=0.05)
    assert whole["first"].own.relative == whole["first"].total.relative
    # with everything else in float, what a block loses is its own
    assert alone["c"].total.relative == pytest.approx(whole["c"].own.relative, rel=0.05)
    assert whole["c"].total.relative > 1.2 * whole["c"].own.relative


def test_a_block_takes_what_it_is_given_and_gives_what_others_take(tmp_path: Path) -> None:
    path = made(tmp_path).path

    blocks = {block.label: block for block in Quantized(onnx.load(path)).blocks(1, {})}

    assert [*blocks] == ["first", "lrn", "a", "b", "c", "pool", "even", "global_avg_pool", "out"]
    assert (blocks["a"].takes, blocks["a"].gives) == (["lrn"], ["a.concat"])
    assert (blocks["b"].takes, blocks["b"].gives) == (["a.concat"], ["b"])
    assert [(b.int8, b.layers) for b in blocks.values()] == [
        *((1, 1), (0, 0), (2, 2), (1, 1), (1, 1), (0, 0), (0, 0), (0, 0), (1, 1)),
    ]


def test_the_report_begins_with_the_worst_and_says_where_it_is(tmp_path: Path) -> None:
    report = made(tmp_path, depth=2)

    lines = report.text().splitlines()
    assert lines[0] == "12 images for the ranges (minmax), 12 others compared"
    assert lines[2].split() == ["block", "own", "error", "so", "far", "int8", "line"]
    errors = [float(line.split()[1]) for line in lines[4:-4]]
    assert errors == sorted(errors, reverse=True)
    rows = {line.split()[0]: line for line in lines[4:-4]}
    assert rows["a.one"].endswith("1/1   net.inc:5, 13")
    assert rows["first.conv"].endswith("1/1   net.inc:2, 11")
    assert rows["lrn"].endswith("net.inc:12")
    assert lines[-2].startswith("the same class for ")
    assert lines[-1] == "no top-1: the images are not in a folder for each class"


def test_a_processor_without_vnni_is_noted(tmp_path: Path) -> None:
    assert saturates("model name\t: some\nflags\t\t: fpu avx2 fma\n")
    assert not saturates("flags\t\t: fpu avx2 avx_vnni\n")
    assert not saturates("Features\t: fp asimd asimddp\n")  # no x86

    report = replace(made(tmp_path), saturates=True)
    note = "note: this processor has no VNNI, and sums of products may saturate: compare with"
    assert f"{note} `--reduce-range`" in report.text().splitlines()


def test_a_report_for_programs_has_all_of_it(tmp_path: Path) -> None:
    said = json.loads((report := made(tmp_path)).as_json())

    assert said["file"] == (tmp_path / "net_int8.onnx").as_posix()
    assert (said["bytes"], said["float_bytes"]) == (
        report.path.stat().st_size,
        (tmp_path / "net.onnx").stat().st_size,
    )
    assert [row["label"] for row in said["blocks"]] == [row.block.label for row in report.blocks]
    first = next(row for row in said["blocks"] if row["label"] == "first")
    assert (first["places"], first["layers"], first["int8_layers"]) == (["net.inc:11"], 1, 1)
    error = said["outputs"]["out"]
    assert error["decibel"] == pytest.approx(-20 * np.log10(error["error"]))


# ---------------------------------------------------------------- images


def test_images_are_treated_as_preprocess_treats_them(tmp_path: Path) -> None:
    preprocess = incgen.load("net.inc", "torch", text=NET).preprocess
    batch = pixels(5, 8, 6, 3)
    for number, image in enumerate(batch):
        Image.fromarray(image).save(tmp_path / f"{number}.png")
    np.save(tmp_path / "first.npy", batch.transpose(0, 3, 1, 2))
    np.save(tmp_path / "last.npy", batch)
    source = opened(written(tmp_path))
    wanted = preprocess(torch.from_numpy(batch.transpose(0, 3, 1, 2).copy())).numpy()

    for path in (tmp_path, tmp_path / "first.npy", tmp_path / "last.npy"):
        images, others = sources.at(path)
        parts = [x for x, _ in Reader(source, path, 2).batches(images)]

        assert others is None
        assert [len(part) for part in parts] == [2, 2, 1]
        np.testing.assert_allclose(np.concatenate(parts), wanted, atol=1e-6)


def test_of_16_bits_the_upper_8_count(tmp_path: Path) -> None:
    image = np.full((8, 6), 255 * 256 + 128, np.uint16)
    image[0, :3] = 0, 51 * 256 + 255, 128 * 256
    Image.fromarray(image).save(tmp_path / "a.png")
    source = opened(written(tmp_path, preprocess=True))

    (found, _), *_ = Reader(source, tmp_path, 1).batches(sources.at(tmp_path)[0])

    for channel in found[0]:
        assert channel[0].tolist() == [0, 51, 128, 255, 255, 255]


def test_images_are_resized_and_cropped_as_recipes_say(tmp_path: Path) -> None:
    image = pixels(1, 31, 45, 3)[0]
    Image.fromarray(image).save(tmp_path / "a.png")
    source = opened(written(tmp_path))
    preprocess = incgen.load("net.inc", "torch", text=NET).preprocess
    whole = torch.from_numpy(image).permute(2, 0, 1)[None].float()
    scaled = F.interpolate(whole, (10, 15), mode="bilinear", antialias=True)

    (found, _), *_ = Reader(source, tmp_path, 1, 10).batches(sources.at(tmp_path)[0])

    wanted = preprocess(scaled[:, :, 1:9, 4:10])
    np.testing.assert_allclose(found, wanted.numpy(), atol=1e-4)


def test_a_file_that_takes_pixels_is_given_pixels(tmp_path: Path) -> None:
    plain, inside = (made(tmp_path, preprocess=preprocess) for preprocess in (False, True))

    assert (
        onnx.load(inside.path).graph.input[0].type.tensor_type.elem_type == onnx.TensorProto.UINT8
    )
    for before, after in zip(plain.comparison.rows, inside.comparison.rows, strict=True):
        assert after.block.label == before.block.label
        assert after.own.relative == pytest.approx(before.own.relative, rel=0.1)


def folders(folder: Path, counts: dict[str, int], size: tuple[int, int] = (8, 6)) -> None:
    """Write images of one shade each."""
    for name, count in counts.items():
        (folder / name).mkdir(parents=True, exist_ok=True)
        for number in range(count):
            shade = Image.new("RGB", size[::-1], (number, 0, 0))
            shade.save(folder / name / f"{number}.png")


def test_folders_of_classes_and_of_anything_else(tmp_path: Path) -> None:
    folders(tmp_path / "flat", {"b": 2, "a": 1})
    folders(tmp_path / "deep", {"b/c": 2, "a": 1})
    folders(tmp_path / "both", {"train/x": 1, "train/y": 2, "val/y": 3})

    flat, none = sources.at(tmp_path / "flat")
    deep, _ = sources.at(tmp_path / "deep")
    train, val = sources.at(tmp_path / "both")

    assert none is None and flat.labels is not None
    assert (flat.labels.tolist(), flat.classes) == ([0, 1, 1], ["a", "b"])
    assert len(deep) == 3 and deep.labels is None
    assert train.labels is not None and val is not None and val.labels is not None
    assert (train.labels.tolist(), val.labels.tolist()) == ([0, 1, 1], [1, 1, 1])
    assert val.classes == ["x", "y"]


def test_classes_are_those_that_a_training_script_numbers(tmp_path: Path) -> None:
    """A folder that is empty or hidden is no class, as in `list_images` of the scripts."""
    counts = {"train/.a": 1, "train/b": 0, "train/x": 1, "train/y": 2, "val/y": 3, "val/.git": 1}
    folders(tmp_path, {**counts, "val/empty": 0})

    train, val = sources.at(tmp_path)

    assert train.labels is not None and val is not None and val.labels is not None
    assert (train.labels.tolist(), val.labels.tolist()) == ([0, 1, 1], [1, 1, 1])
    (tmp_path / "val" / "z").mkdir()
    (tmp_path / "val" / "y" / "0.png").rename(tmp_path / "val" / "z" / "0.png")
    with pytest.raises(incgen.QuantizeError, match=r"val` has classes that train/ lacks: \['z'\]"):
        sources.at(tmp_path)


@pytest.mark.parametrize("other", ["val", "val/x/below", "val/y"])
def test_images_outside_a_folder_of_a_class_have_none(tmp_path: Path, other: str) -> None:
    folders(tmp_path, {"train/x": 1, "train/y": 2, "val/x": 1, other: 2})
    below = other != "val/y"

    _, val = sources.at(tmp_path)

    assert val is not None and (val.labels is None) == below


def test_idx_files_and_arrays_of_both_sets(tmp_path: Path) -> None:
    images, labels = pixels(3, 8, 6), np.array([2, 0, 1], np.uint8)
    idx = tmp_path / "idx"
    idx.mkdir()
    for name in ("train", "t10k"):
        head = b"\0\0\x08\x03" + np.array([3, 8, 6], ">u4").tobytes()
        (idx / f"{name}-images-idx3-ubyte").write_bytes(head + images.tobytes())
        head = b"\0\0\x08\x01" + np.array([3], ">u4").tobytes()
        (idx / f"{name}-labels-idx1-ubyte.gz").write_bytes(gzip.compress(head + labels.tobytes()))
    arrays = {"x_train": images, "y_train": labels, "x_test": images, "y_test": labels}
    np.savez(tmp_path / "all.npz", **arrays)

    for path in (idx, tmp_path / "all.npz"):
        for split in sources.at(path):
            assert split is not None and split.labels is not None
            assert split.labels.tolist() == [2, 0, 1]
            assert np.array_equal(np.asarray(split.items), images)


def test_images_to_compare_are_others_than_those_to_calibrate_with() -> None:
    def numbers(images: Images) -> list[int]:
        return sorted(np.asarray(images.items).ravel().tolist())

    whole = Images(np.arange(10), np.arange(10))
    first, second = sources.split(whole, None, 4, 3, Path())
    again, _ = sources.split(whole, None, 4, 3, Path())
    few, rest = sources.split(whole, None, 128, 500, Path())

    assert (len(first), len(second)) == (4, 3)
    assert not {*numbers(first)} & {*numbers(second)}
    assert numbers(again) == numbers(first)
    assert first.labels is not None and first.labels.tolist() == np.asarray(first.items).tolist()
    assert sorted(numbers(few) + numbers(rest)) == [*range(10)] and len(few) == len(rest) == 5


def test_top_1_is_told_where_folders_are_the_classes(tmp_path: Path) -> None:
    folders(tmp_path / "images", {"a": 4, "b": 4, "c": 4})
    file = written(tmp_path)

    report = incgen.quantize(file, tmp_path / "images", count=6)

    assert report.top1 is not None and report.note == ""
    _, second = sources.split(*sources.at(tmp_path / "images"), 6, 500, Path())
    right = 0
    for x, labels in Reader(opened(file), tmp_path, 1).batches(second):
        assert labels is not None
        right += int(run(file, x).argmax() == labels[0])
    assert report.top1[0] == right / 6
    before, after = (100 * part for part in report.top1)
    top1 = f"top-1: float {before:.2f} %, int8 {after:.2f} % ({after - before:+.2f})"
    assert top1 in report.text().splitlines()


def test_a_file_may_take_a_fixed_number_of_images_or_images_of_any_size(tmp_path: Path) -> None:
    folders(tmp_path / "images", {"small": 4})
    folders(tmp_path / "images" / "large", {"more": 3}, (12, 9))
    folders(tmp_path / "same", {"all": 11})

    any_size = incgen.quantize(written(tmp_path, any_size=True), tmp_path / "images", batch=2)
    fixed = incgen.quantize(written(tmp_path, batch=4), tmp_path / "same", count=5, force=True)

    assert any_size.comparison.images == 3
    assert fixed.comparison.images == 4  # two are left over


# ---------------------------------------------------------------- what stands against it


def refused(*arguments: object, cwd: Path) -> str:
    """Return the message of a command that must fail."""
    words = [sys.executable, "-m", "incgen", "quantize", *map(str, arguments)]
    done = subprocess.run(words, cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 2 and not done.stdout, done.stderr
    return done.stderr.strip()


def message(*arguments: Any, **options: Any) -> str:
    with pytest.raises((incgen.QuantizeError, incgen.OutputError, incgen.RequestError)) as raised:
        incgen.quantize(*arguments, **options)
    return str(raised.value)


def test_files_that_are_not_of_incgen_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    made(Path("."))
    Path("text.onnx").write_text("not one\n")
    proto = onnx.load("net.onnx")
    del proto.metadata_props[:]
    onnx.save(proto, "foreign.onnx")
    help_ = "write one with `incgen build SPEC --target onnx --deploy --weights FILE`"
    Path("new").mkdir()
    new = written(Path("new"), opset=28)

    assert message("no.onnx", ".") == "`no.onnx` cannot be read: no such file or directory"
    assert message("net.inc", ".") == f"`net.inc` is not an ONNX file: {help_}"
    assert message("text.onnx", ".") == f"`text.onnx` is not an ONNX file: {help_}"
    assert message("foreign.onnx", ".") == f"`foreign.onnx` was not written by incgen: {help_}"
    assert message(new, ".") == (
        "`new/net.onnx` has opset 28, for which ONNX Runtime has no int8: build it with "
        "`--opset 27` or less"
    )
    assert message("net_int8.onnx", ".") == (
        "`net_int8.onnx` is quantised already: give the float file that it was made from, "
        "`net.onnx`"
    )


def test_images_that_do_not_fit_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    written(Path("."))
    folders(Path("wide"), {"a": 2}, (8, 7))
    folders(Path("one"), {"a": 1})
    folders(Path("bad"), {"a": 2})
    for name in ("0", "1"):
        Path(f"bad/a/{name}.png").write_text("x")
    np.save("floats.npy", np.zeros((4, 2, 8, 6), np.float32))
    np.save("nan.npy", np.full((4, 3, 8, 6), np.nan, np.float32))
    np.save("ints.npy", np.zeros((4, 8, 6, 3), int))
    np.savez("named.npz", what=np.zeros(1))
    np.save("small.npy", np.zeros((4, 3, 7, 6), np.float32))
    Path("idx").mkdir()
    Path("idx/train-images-idx3-ubyte.zip").touch()

    said = {path: message("net.onnx", path) for path in ("wide", "one", "floats.npy", "ints.npy")}

    assert said["wide"].partition(" ")[0] in ("`wide/a/0.png`", "`wide/a/1.png`")
    assert said["wide"].partition(" ")[2] == (
        "is 7 x 8, and the network takes 6 x 8: resize it before, or add `--resize 8`"
    )
    assert said["one"] == (
        "`one` has 1 image: at least 2 are needed, one to calibrate with and another to compare"
    )
    assert said["floats.npy"].endswith("is an array (2, 8, 6): expected (3, height, width)")
    assert message("net.onnx", "small.npy").endswith("takes 6 x 8: resize it before")
    assert message("net.onnx", "idx").startswith("`idx` has no images: expected images (")
    assert message("net.onnx", "nan.npy").endswith("` holds numbers that are not finite")
    assert said["ints.npy"] == (
        "`ints.npy` holds an array (4, 8, 6, 3) of int64: expected bytes (N, H, W), (N, H, W, C) "
        "or (N, C, H, W), or floats (N, C, H, W) that are preprocessed"
    )
    assert message("net.onnx", "named.npz").startswith("`named.npz` holds `what`: expected")
    assert "cannot be read as an image: cannot identify image file" in message("net.onnx", "bad")
    assert message("net.onnx", "nowhere").startswith("`nowhere` does not exist: expected images (")
    assert message("net.onnx", "wide", resize=5).endswith(
        "is 5 x 6 when it is resized: --resize must be at least 8"
    )


def test_pixels_that_the_spec_does_not_describe_are_refused(tmp_path: Path) -> None:
    file = written(tmp_path, "network net {\n    input 4x4 1\n    a: conv 1x1 2\n}\n")
    np.save(tmp_path / "images.npy", pixels(4, 4, 4))

    assert message(file, tmp_path / "images.npy") == (
        "net.inc: `input` does not say what pixels the weights expect: add it, such as "
        "`range=[0, 1]`, and build again; or give preprocessed arrays"
    )


def test_labels_and_options_that_do_not_exist_are_refused(tmp_path: Path) -> None:
    made(tmp_path)
    given = tmp_path / "net.onnx", tmp_path / "images.npy"

    assert message(*given, keep=["frist"]) == (
        "the network has no layer `frist`: did you mean `first`?"
    )
    assert message(*given, keep=["*"]) == (
        "no convolution and no dense layer is left that could be in int8: keep less"
    )
    assert message(*given, calibration="mean") == (
        "there is no calibration `mean`: use `minmax`, `entropy` or `percentile`"
    )
    assert message(*given, percentile=2) == "a percentile is above 50 and at most 100, not 2"
    assert message(*given, count=0) == "`count` must be at least 1, not 0"


def test_a_file_of_somebody_else_is_not_overwritten(tmp_path: Path) -> None:
    first = made(tmp_path)
    given = tmp_path / "net.onnx", tmp_path / "images.npy"
    again = incgen.quantize(*given)
    before = sorted(path.name for path in tmp_path.iterdir())

    assert (first.changed, again.changed) == (True, False)
    assert before == ["images.npy", "net.onnx", "net.safetensors", "net_int8.onnx"]
    data = first.path.read_bytes()
    first.path.write_bytes(data + b"\0")
    help_ = "choose another output with -o, or overwrite it with --force"
    assert message(*given) == (
        f"`{first.path.as_posix()}` was edited since incgen wrote it: {help_}"
    )
    assert message(*given, tmp_path / "net.onnx").endswith(
        "is the float file: choose another output with -o"
    )
    assert message(*given, tmp_path / "net.tflite").endswith("an ONNX file ends in .onnx")
    incgen.quantize(*given, force=True)
    assert first.path.read_bytes() == data


def test_the_command_reports_and_what_is_wrong_is_one_line(tmp_path: Path) -> None:
    made(tmp_path)
    words = [sys.executable, "-m", "incgen", "quantize", "net.onnx", "--images", "images.npy"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=True)

    size, before = (tmp_path / f"{n}.onnx" for n in ("net_int8", "net"))
    assert done.stderr == (
        f"unchanged net_int8.onnx ({size.stat().st_size:,} bytes, "
        f"{before.stat().st_size:,} in float)\n"
    )
    assert done.stdout.startswith("12 images for the ranges (minmax), 12 others compared\n\nblock")
    assert refused("net.onnx", "--images", "no", cwd=tmp_path).startswith("Error: `no` does not")


def test_a_missing_library_is_named_with_the_extra_that_installs_it(tmp_path: Path) -> None:
    program = (
        "import sys; sys.modules['onnxruntime'] = None\n"
        "from incgen.cli.main import main; main(['quantize', 'net.onnx', '--images', '.'])"
    )
    words = [sys.executable, "-c", program]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)

    assert done.returncode == 2
    assert done.stderr == (
        "Error: files in int8 need onnxruntime: pip install 'incgen[quantize]'\n"
    )
