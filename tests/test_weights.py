"""The initial weights of a network, and the bytes of their file."""

from __future__ import annotations

import hashlib
import json
import math
import subprocess
import sys
from pathlib import Path

import pytest

from incgen.base.diagnostics import SpecError
from incgen.base.files import OutputError
from incgen.compiling import compile_spec
from incgen.graph.nodes import Graph

np = pytest.importorskip("numpy")

from checkpoints import initial  # noqa: E402

from incgen.weights import first  # noqa: E402
from incgen.weights.sampling import sample  # noqa: E402 - after numpy is known to be there

SPEC = """\
numerics torch
network net(n = 6) {
    input 8x8 4
    a: conv 3x3 8 init=he_normal bias_init=0.5
    b: bn
    c: separable_conv 3x3 n multiplier=2
    global_avg_pool
    d: dense 3 bias=false init=normal(0.01)
}
"""
# The digests of this network's tensors and of their file for seed 7: a change of the first changes
# everybody's weights.
TENSORS_SHA256 = "1b03a7080034f6fe9995e00c0f3d86f7d9a3982d0676bc52722a2296605b50b5"
SHA256 = "fabb68bb8cf918980736eb94542a46dcb94f12b8bc7fe3aa3e6bdbef22e2c242"


@pytest.fixture(scope="module")
def graph() -> Graph:
    return compile_spec("net.inc", text=SPEC)


def test_every_tensor_begins_as_its_spec_says(graph: Graph) -> None:
    tensors = initial(graph, 7)

    assert {key: values.shape for key, values in tensors.items()} == {
        "a.weight": (8, 4, 3, 3),
        "a.bias": (8,),
        "b.weight": (8,),
        "b.bias": (8,),
        "b.running_mean": (8,),
        "b.running_var": (8,),
        "c.depthwise.weight": (16, 1, 3, 3),
        "c.pointwise.weight": (6, 16, 1, 1),
        "c.pointwise.bias": (6,),
        "d.weight": (3, 6),
    }
    assert {values.dtype for values in tensors.values()} == {np.dtype("float32")}
    for key, value in {
        "a.bias": 0.5,
        "b.weight": 1,
        "b.bias": 0,
        "b.running_mean": 0,
        "b.running_var": 1,
        "c.pointwise.bias": 0,
    }.items():
        assert (tensors[key] == value).all(), key
    expected = sample(7, "a.weight", (8, 4, 3, 3), kind="normal", scale=math.sqrt(2 / 36))
    assert np.array_equal(tensors["a.weight"], expected)
    scale = math.sqrt(6 / (9 + 2 * 9))  # one input reaches both outputs of its channel
    expected = sample(7, "c.depthwise.weight", (16, 1, 3, 3), kind="uniform", scale=scale)
    assert np.array_equal(tensors["c.depthwise.weight"], expected)
    expected = sample(7, "d.weight", (3, 6), kind="normal", scale=0.01)
    assert np.array_equal(tensors["d.weight"], expected)


def test_another_seed_gives_other_weights(graph: Graph) -> None:
    assert not np.array_equal(initial(graph, 0)["a.weight"], initial(graph, 1)["a.weight"])


def test_the_file_is_one_that_safetensors_reads(graph: Graph, tmp_path: Path) -> None:
    safetensors = pytest.importorskip("safetensors")
    numpy_files = pytest.importorskip("safetensors.numpy")
    path = tmp_path / "new" / "net.safetensors"

    size = first.write(graph, path, 7)

    assert size == path.stat().st_size
    read, made = numpy_files.load_file(path), initial(graph, 7)
    assert sorted(read) == sorted(made)
    assert all(np.array_equal(read[key], made[key]) for key in made)
    with safetensors.safe_open(path, "numpy") as file:
        metadata = file.metadata()
    digest = metadata.pop("sha256")
    assert metadata == {
        "format": "pt",
        "generator": "incgen weights init",
        "network": "net",
        "seed": "7",
    }
    blank = path.read_bytes().replace(digest.encode(), b"0" * 64)
    assert digest == hashlib.sha256(blank).hexdigest()


def test_the_bytes_are_the_same_everywhere(graph: Graph, tmp_path: Path) -> None:
    path = tmp_path / "net.safetensors"
    first.write(graph, path, 7)
    data = path.read_bytes()

    length = int.from_bytes(data[:8], "little")
    assert length % 8 == 0
    assert hashlib.sha256(data[8 + length :]).hexdigest() == TENSORS_SHA256
    assert hashlib.sha256(data).hexdigest() == SHA256


def test_the_header_is_in_the_order_of_the_network(graph: Graph, tmp_path: Path) -> None:
    path = tmp_path / "net.safetensors"
    first.write(graph, path, 0)
    data = path.read_bytes()
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])

    keys = [key for key in header if key != "__metadata__"]
    assert keys == list(graph.tensors())
    ends = [header[key]["data_offsets"] for key in keys]
    assert [start for start, _ in ends] == [0, *(end for _, end in ends[:-1])]


def test_only_first_weights_are_written_over(graph: Graph, tmp_path: Path) -> None:
    numpy_files = pytest.importorskip("safetensors.numpy")
    path = tmp_path / "net.safetensors"
    first.write(graph, path, 0)
    first.write(graph, path, 1)  # its own
    numpy_files.save_file(initial(graph, 0), path)  # as after a training
    trained = path.read_bytes()

    with pytest.raises(OutputError, match="was not written by `incgen weights init`"):
        first.write(graph, path, 2)

    assert path.read_bytes() == trained
    first.write(graph, path, 2, force=True)
    assert path.read_bytes() != trained


def test_weights_that_were_trained_are_kept_even_with_our_metadata(
    graph: Graph, tmp_path: Path
) -> None:
    safetensors = pytest.importorskip("safetensors.torch")
    path = tmp_path / "net.safetensors"
    first.write(graph, path, 0)
    with safetensors.safe_open(path, "pt") as file:
        metadata, tensors = file.metadata(), {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - it is not a dict
    tensors["b.bias"] += 1  # "training"
    safetensors.save_file(tensors, path, metadata)
    trained = path.read_bytes()

    message = "net.safetensors` has changed since `incgen weights init` wrote it: choose another"
    with pytest.raises(OutputError, match=message):
        first.write(graph, path, 0)

    assert path.read_bytes() == trained
    first.write(graph, path, 0, force=True)
    first.write(graph, path, 0)  # its own again


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"network":"net"', b'"network":"ten"'),  # what is said of it
        (b'"a.weight"', b'"A.weight"'),  # a key
        (b'"sha256":"', b'"sha257":"'),  # the digest
        (b"\x00\x00\x80\x3f", b"\x00\x00\x80\x40"),  # a gamma
    ],
)
def test_a_file_that_differs_in_anything_is_kept(
    graph: Graph, tmp_path: Path, old: bytes, new: bytes
) -> None:
    path = tmp_path / "net.safetensors"
    first.write(graph, path, 0)
    data = path.read_bytes()
    changed = data.replace(old, new, 1)
    assert changed != data
    path.write_bytes(changed)

    with pytest.raises(OutputError, match="has changed since"):
        first.write(graph, path, 0)

    assert path.read_bytes() == changed


@pytest.mark.parametrize("content", [b"", b"\xff" * 20, b"\x02" + bytes(7) + b"[]", b"12345678{}"])
def test_a_file_of_another_kind_is_kept(graph: Graph, tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "net.safetensors"
    path.write_bytes(content)

    with pytest.raises(OutputError):
        first.write(graph, path, 0)

    assert path.read_bytes() == content


def test_a_network_too_large_for_a_file_is_refused_before_anything_is_written(
    tmp_path: Path,
) -> None:
    text = "network net {\n input 1000x1000 1000\n d: dense 3\n}\n"

    with pytest.raises(SpecError, match=r"error\[too-large\]: the network has 3000000003 numbers"):
        first.write(compile_spec("net.inc", text=text), tmp_path / "net.safetensors", 0)

    assert list(tmp_path.iterdir()) == []


def test_a_seed_out_of_range_leaves_no_file(graph: Graph, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="a seed must be from 0"):
        first.write(graph, tmp_path / "net.safetensors", -1)

    assert list(tmp_path.iterdir()) == []


def test_without_numpy_the_extra_is_named() -> None:
    code = "import sys; sys.modules['numpy'] = None\nfrom incgen.weights import first"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert done.stderr.splitlines()[-1] == (
        "ModuleNotFoundError: weights need numpy: pip install 'incgen[weights]'"
    )
