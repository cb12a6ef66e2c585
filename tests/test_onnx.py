"""Files of ONNX: what is in them, what engines compute with them, and how they are written."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from checkpoints import initial, write_tensorflow
from onnx.reference import ReferenceEvaluator
from safetensors.numpy import save_file

import incgen
from fuzzing import search
from incgen.cli.main import main
from incgen.graph.nodes import Graph
from incgen.language.ops import OPS
from incgen.onnx import encoding
from incgen.onnx.model import model_of
from incgen.onnx.ops import EMITTERS
from incgen.onnx.options import OPSETS, Options
from incgen.verify import drawing, inputs, verify
from incgen.verify.reference import Reference
from incgen.verify.runners.onnx_ops import OPERATORS
from incgen.verify.show import text as text_of
from incgen.weights import first
from incgen.weights.checkpoint import Array

CASES = sorted((Path(__file__).parent / "agreement").glob("*.inc"))
SPECS = sorted((Path(__file__).parent.parent / "specs").glob("*.inc"))
#: What a network of these specs needs to be small.
NET = """\
numerics torch
unit conv_bn = conv bias=false -> bn -> relu
network net(classes = 7) {
    input 6x6 3  order=bgr range=[-1, 1] mean=[0.5, 0.25, 0] std=[2]
    a: conv_bn 3x3 8
    aux side { global_avg_pool
        fc: dense 2 }
    mul { identity
        gate: { global_avg_pool -> sigmoid } }
    max_pool 3x3/2 pad=0 ceil=true
    dropout 0.5
    out: { dense classes -> dropout 0.1 }
}
"""
FREE = """\
numerics torch
network net {
    input 9x8 2
    a: conv 3x3 4
    max_pool 3x3/2 pad=0 ceil=true
    avg_pool 3x3/2 pad=1 ceil=true count_pad=true
    b: conv 3x3/2 5 pad=same
    c: conv 1x1/2 5 pad=same
}
"""


def bytes_of(graph: Graph, weights: Mapping[str, Array], **options: Any) -> bytes:
    model = model_of(graph, Options(**options))
    return b"".join(map(bytes, encoding.chunks(model, weights, {})))


def proto_of(text: str, **options: Any) -> onnx.ModelProto:
    """Return a model without its weights."""
    return model_of(incgen.compile_spec("net.inc", text=text), Options(**options)).proto


def evaluated(data: bytes, x: Array) -> dict[str, Array]:
    """Return the outputs in float64, as the ONNX project computes them."""
    proto = onnx.load_from_string(data)
    names = [output.name for output in proto.graph.output]
    values = ReferenceEvaluator(proto, new_ops=OPERATORS).run(None, {"input": x})
    return dict(zip(names, values, strict=True))


def run(data: bytes | Path, x: Array) -> dict[str, Array]:
    """Return the outputs in ONNX Runtime."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        data if isinstance(data, bytes) else str(data), options, ["CPUExecutionProvider"]
    )
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(None, {"input": x}), strict=True))


def stated(graph: Graph, weights: Mapping[str, Array], x: Array) -> dict[str, Array]:
    """Return the outputs that the spec states."""
    values = dict(Reference(graph, weights).values(x))
    return {name: values[graph.nodes[number].path] for name, number in graph.outputs.items()}


def assert_close(found: Mapping[str, Array], wanted: Mapping[str, Array], bar: float) -> None:
    assert list(found) == list(wanted)
    for name, value in wanted.items():
        assert found[name].shape == value.shape
        assert np.abs(found[name] - value).max() <= bar * np.abs(value).max(), name


# ---------------------------------------------------------------- what is in a file


def test_a_graph_is_the_network_with_the_names_of_its_layers() -> None:
    text = onnx.printer.to_text(proto_of(NET))

    nodes = [line.strip() for line in text[text.index("{\n") :].splitlines()[1:-1]]
    assert nodes == [
        '["a.conv"] "a.conv" = Conv <dilations: ints = [1, 1], group: int = 1, '
        "kernel_shape: ints = [3, 3], pads: ints = [1, 1, 1, 1], strides: ints = [1, 1]> "
        '(input, "a.conv.weight")',
        '["a.bn"] "a.bn" = BatchNormalization <epsilon: float = 1e-05> ("a.conv", "a.bn.weight", '
        '"a.bn.bias", "a.bn.running_mean", "a.bn.running_var")',
        '["a.relu"] "a.relu" = Relu ("a.bn")',
        '["gate.0/pool"] "gate.0/pool" = GlobalAveragePool ("a.relu")',
        '["gate.0"] "gate.0" = Flatten <axis: int = 1> ("gate.0/pool")',
        '["gate.1"] "gate.1" = Sigmoid ("gate.0")',
        '["mul/vector1"] "mul/vector1" = Unsqueeze ("gate.1", "mul/axes1")',
        '[mul] mul = Mul ("a.relu", "mul/vector1")',
        # 6 - 3 = 3 is odd: the second window begins at 2, the third at 4 reaches one row beyond
        "[max_pool] max_pool = MaxPool <kernel_shape: ints = [3, 3], pads: ints = [0, 0, 1, 1], "
        "strides: ints = [2, 2]> (mul)",
        '["out.0/flat"] "out.0/flat" = Flatten <axis: int = 1> (max_pool)',
        '["out.0"] "out.0" = Gemm <transB: int = 1> ("out.0/flat", "out.0.weight", "out.0.bias")',
        '["out/output"] out = Identity ("out.0")',
    ]
    assert "net (float[batch,3,6,6] input) => (float[batch,7] out)" in text


def test_a_node_says_where_the_spec_has_it() -> None:
    places = {node.name: node.doc_string for node in proto_of(NET).graph.node}

    assert places["a.conv"] == "net.inc:2, net.inc:5"  # in the unit, and where that is used
    assert places["max_pool"] == "net.inc:10"


def test_heads_are_outputs_where_they_are_asked_for_and_else_left_out() -> None:
    main_only, all_ = proto_of(NET).graph, proto_of(NET, heads=True).graph

    assert [output.name for output in main_only.output] == ["out"]
    assert not [node.name for node in main_only.node if node.name.startswith("side")]
    assert [output.name for output in all_.output] == ["out", "side"]
    assert [node.name for node in all_.node if node.output[0] == "side"] == ["side.fc"]


def test_sizes_are_free_or_fixed() -> None:
    assert "(float[batch,2,9,8] input)" in onnx.printer.to_text(proto_of(FREE))
    assert "(float[4,2,9,8] input)" in onnx.printer.to_text(proto_of(FREE, batch=4))
    free = onnx.printer.to_text(proto_of(FREE, any_size=True))
    assert "(float[batch,2,height,width] input) => (float[batch,5,?,?] c)" in free


def test_an_output_may_have_the_name_of_an_inner_layer() -> None:
    text = """\
numerics torch
network net {
    input 4x4 2
    output: conv 1x1 3
    relu
}
"""
    graph = incgen.compile_spec("net.inc", text=text)
    weights, x = drawing.weights(graph, 0), inputs.images(graph, 0, 2)

    outputs = evaluated(bytes_of(graph, weights, dtype="float64"), x)

    assert_close(outputs, stated(graph, weights, x), 1e-14)
    assert outputs["output"].min() == 0


def test_a_network_may_do_nothing_at_all() -> None:
    graph = incgen.compile_spec("net.inc", text="network net { input 2x2 1\n dropout 0.5 }")
    x = inputs.images(graph, 0, 3)

    assert_close(evaluated(bytes_of(graph, {}, dtype="float64"), x), {"output": x}, 0)


def test_every_op_has_an_emitter() -> None:
    assert EMITTERS.keys() == OPS.keys() | {"concat", "add", "mul"}


# ---------------------------------------------------------------- what engines compute


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_a_file_computes_what_the_spec_says(path: Path) -> None:
    graph = incgen.compile_spec(path)
    weights, x = drawing.weights(graph, 0), inputs.images(graph, 0, 2)
    wanted = stated(graph, weights, x)

    exact = bytes_of(graph, weights, heads=True, dtype="float64")
    single = bytes_of(graph, weights, heads=True)

    proto = onnx.load_from_string(single)
    onnx.checker.check_model(proto, full_check=True)
    onnx.shape_inference.infer_shapes(proto, check_type=True, strict_mode=True, data_prop=True)
    assert_close(evaluated(exact, x), wanted, 1e-12)
    assert_close(run(single, x.astype(np.float32)), wanted, 1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.stem)
def test_a_shipped_spec_computes_what_it_says(path: Path) -> None:
    graph = incgen.compile_spec(path)
    weights, x = drawing.weights(graph, 0), inputs.images(graph, 0, 1)
    wanted = stated(graph, weights, x)

    data = bytes_of(graph, weights, heads=True)

    onnx.checker.check_model(onnx.load_from_string(data), full_check=True)
    assert_close(run(data, x.astype(np.float32)), wanted, 1e-4)


#: The versions in which an operator that is used changes, and their neighbours.
CHANGING = (OPSETS[0], 17, 18, 19, 20, 22, OPSETS[-1])


@pytest.mark.parametrize("opset", CHANGING)
def test_every_version_of_the_operators_computes_the_same(opset: int) -> None:
    for name in ("activations", "elements", "merges", "pool_borders"):
        graph = incgen.compile_spec(Path(CASES[0]).with_name(f"{name}.inc"))
        weights, x = drawing.weights(graph, 0), inputs.images(graph, 0, 2)

        data = bytes_of(graph, weights, heads=True, opset=opset)

        onnx.checker.check_model(onnx.load_from_string(data), full_check=True)
        assert_close(run(data, x.astype(np.float32)), stated(graph, weights, x), 1e-5)


def test_any_size_and_any_batch_can_come_in() -> None:
    graph = incgen.compile_spec("net.inc", text=FREE)
    weights = drawing.weights(graph, 0)
    data = bytes_of(graph, weights, any_size=True)
    exact = bytes_of(graph, weights, any_size=True, dtype="float64")
    for batch, height, width in ((1, 9, 8), (3, 14, 11), (2, 33, 40), (2, 10, 7)):
        text = FREE.replace("9x8", f"{height}x{width}")
        other = incgen.compile_spec("net.inc", text=text)
        x = inputs.images(other, 0, batch)
        wanted = stated(other, weights, x)

        assert_close(evaluated(exact, x), wanted, 1e-13)
        assert_close(run(data, x.astype(np.float32)), wanted, 1e-5)


@pytest.mark.parametrize("pool", ["max_pool", "avg_pool"])
@pytest.mark.parametrize("window", ["3x3/2", "2x2/2", "2x3/3x2"])
@pytest.mark.parametrize("border", ["valid", "1 COUNT", "[0, 1, 1, 0] COUNT"])
@pytest.mark.parametrize("counted", ["true", "false"])
def test_what_rounds_up_at_any_size_is_a_border(
    pool: str, window: str, border: str, counted: str
) -> None:
    """Engines differ about `ceil_mode`: OpenVINO 2026.4 counts and keeps what lies beyond."""
    count = f"count_pad={counted}" if pool == "avg_pool" else ""
    border = border.replace("COUNT", count)
    text = "numerics torch\nnetwork net {{\n    input {}x{} 1\n    {} {} pad={} ceil=true\n}}\n"
    graph = incgen.compile_spec("net.inc", text=text.format(5, 5, pool, window, border))
    data = bytes_of(graph, {}, any_size=True)
    assert "ceil_mode" not in onnx.printer.to_text(onnx.load_from_string(data))
    for height, width in ((5, 6), (6, 7), (7, 8), (8, 9)):
        sized = text.format(height, width, pool, window, border)
        other = incgen.compile_spec("net.inc", text=sized)
        x = inputs.images(other, 0, 1)
        assert_close(run(data, x.astype(np.float32)), stated(other, {}, x), 1e-5)


def test_pixels_are_treated_in_the_graph() -> None:
    text = NET[: NET.index("    a:")] + "    scale 1\n}\n"
    graph = incgen.compile_spec("net.inc", text=text.replace("(classes = 7)", ""))
    x = np.zeros((1, 3, 6, 6), np.uint8)
    x[0, :, 0, 0] = 0, 51, 255  # red, green, blue

    pixels = run(bytes_of(graph, {}, preprocess=True), x)["output"][0, :, 0, 0]

    # blue: (1 - 0.5) / 2; green: 51 / 255 = 0.2 is -0.6: (-0.6 - 0.25) / 2; red: (-1 - 0) / 2
    np.testing.assert_allclose(pixels, [0.25, -0.425, -0.5], rtol=1e-6)


# ---------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("body", "message", "line"),
    [
        ("a: dense 3", "`dense` takes a map of one size", "leave out --any-size, or put"),
        ("flatten", "`flatten` takes a map of one size", "leave out --any-size, or put"),
        ("adaptive_avg_pool 3x2", "the windows of `adaptive_avg_pool 3x2` need", "leave out"),
        ("max_pool 2x2/3 pad=same ceil=false", "depends on the size, and skips pixels", "leave"),
        ("a: conv 3x3/2 4 pad=same dilation=2", "depends on the size, with a dilation", "leave"),
        ("a: conv {height}x1 3 pad=valid", "`net` computes with the height of a map", "leave out"),
    ],
)
def test_what_needs_one_size_is_refused_for_any_size(body: str, message: str, line: str) -> None:
    text = f"numerics torch\nnetwork net {{\n    input 8x8 2\n    {body}\n}}\n"
    with pytest.raises(incgen.SpecError) as raised:
        proto_of(text, any_size=True)

    (fault,) = raised.value.diagnostics
    assert fault.headline.startswith("net.inc:4:")
    assert message in fault.headline
    assert fault.help is not None and fault.help.startswith(line)
    assert proto_of(text).graph.node  # at the spec's own size there is nothing to refuse


def test_pixels_that_the_spec_does_not_describe_cannot_be_treated() -> None:
    with pytest.raises(incgen.SpecError, match="does not say what pixels") as raised:
        proto_of(FREE, preprocess=True)

    assert raised.value.diagnostics[0].span is not None


@pytest.mark.parametrize(("given", "message"), [({"opset": 13}, "opset 13"), ({"batch": 0}, "1")])
def test_options_out_of_range_are_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(incgen.RequestError, match=message):
        Options(**given)


# ---------------------------------------------------------------- writing


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the current folder, with a spec and its weights."""
    monkeypatch.chdir(tmp_path)
    Path("net.inc").write_text(NET, "utf-8")
    first.write(incgen.compile_spec("net.inc"), "w.safetensors", 3)
    return tmp_path


def command(*arguments: str) -> int:
    """Run a command in this process, and return its exit code."""
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    return int(ended.value.code or 0)


BUILD = ("build", "net.inc", "--target", "onnx", "--weights", "w.safetensors")


def test_a_file_is_written_and_then_unchanged(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(*BUILD) == 0
    data = Path("generated/net.onnx").read_bytes()
    assert command(*BUILD, "--check") == 0
    assert command(*BUILD) == 0

    assert capsys.readouterr().err.splitlines() == [
        "wrote generated/net.onnx",
        "unchanged generated/net.onnx",
    ]
    assert Path("generated/net.onnx").read_bytes() == data
    assert [path.name for path in Path("generated").iterdir()] == ["net.onnx"]


def test_a_file_holds_the_weights_by_their_keys(folder: Path) -> None:
    made = incgen.export_onnx("net.inc", "w.safetensors", "net.onnx", heads=True)

    proto = onnx.load("net.onnx")
    held = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in proto.graph.initializer}
    expected = initial(incgen.compile_spec("net.inc"), 3)
    assert made.changed
    assert {key for key in held if "/" not in key} == expected.keys()
    for key, value in expected.items():
        assert held[key].dtype == np.float32
        np.testing.assert_array_equal(held[key], value)


def test_a_file_says_what_it_was_made_from(folder: Path) -> None:
    incgen.export_onnx("net.inc", "w.safetensors", "net.onnx")

    proto = onnx.load("net.onnx")
    said = {prop.key: prop.value for prop in proto.metadata_props}
    assert (proto.producer_name, proto.producer_version) == ("incgen", incgen.__version__)
    assert said["spec_text"] == NET
    assert said["spec_sha256"] == incgen.compile_spec("net.inc").digest()
    assert said["weights"] == "w.safetensors"
    assert json.loads(said["parameters"]) == {"classes": 7}
    assert json.loads(said["pixels"]) == {
        "order": "bgr",
        "range": [-1, 1],
        "mean": [0.5, 0.25, 0],
        "std": [2],
        "in_the_graph": False,
    }


def test_a_file_holds_the_manifest_of_weights_that_were_imported(folder: Path) -> None:
    arrays = initial(incgen.compile_spec("net.inc"), 3)
    np.savez("published.npz", **arrays)
    made = incgen.import_weights("published.npz", "net.inc", "imported.safetensors")

    incgen.export_onnx("net.inc", "imported.safetensors", "net.onnx")

    said = {prop.key: prop.value for prop in onnx.load("net.onnx").metadata_props}
    manifest = json.loads(said["weights_manifest"])
    assert manifest == made
    assert manifest["tensors"].keys() == arrays.keys()


def test_source_text_and_a_file_are_written_together_or_not_at_all(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("generated").mkdir()
    Path("generated/net_torch.py").write_text("mine = True\n", "utf-8")

    assert command(*BUILD, "--target", "torch") == 2
    assert not Path("generated/net.onnx").exists()
    assert command(*BUILD, "--target", "torch", "--force") == 0
    assert "wrote generated/net_torch.py\nwrote generated/net.onnx" in capsys.readouterr().err
    assert len(list(Path("generated").iterdir())) == 2


def test_a_file_of_a_network_that_has_another_name_now_is_left_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    text = "numerics torch\nnetwork net { input 8x8 3\n a: conv 3x3 2 }\n"
    Path("net.inc").write_text(text)
    assert command("weights", "init", "net.inc", "-o", "w.safetensors") == 0
    build = ("build", "net.inc", "-t", "onnx", "--weights", "w.safetensors", "-o")
    for output in ("out/", "out/mine.onnx"):  # the second has a name of its user's
        assert command(*build, output) == 0
    Path("out/broken.onnx").write_bytes(b"")
    Path("net.inc").write_text(text.replace("network net", "network other"))
    capsys.readouterr()

    assert command(*build, "out/") == 0

    assert capsys.readouterr().err == (
        "wrote out/other.onnx\nout/net.onnx may be left over: "
        "the network of net.inc is called `other` now; if so, remove it\n"
    )
    assert command(*build, "out/mine.onnx") == 0
    assert capsys.readouterr().err == "wrote out/mine.onnx\n"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda data: b"not ours", "was not generated by incgen"),
        (lambda data: data[:-1] + b"\1", "was edited since incgen wrote it"),
    ],
)
def test_the_work_of_others_is_not_overwritten(
    folder: Path, capsys: pytest.CaptureFixture[str], change: Any, said: str
) -> None:
    incgen.export_onnx("net.inc", "w.safetensors", "net.onnx")
    path = Path("net.onnx")
    path.write_bytes(change(path.read_bytes()))
    before = path.read_bytes()

    assert command(*BUILD, "-o", "net.onnx") == 2
    assert f"`net.onnx` {said}: choose another output" in capsys.readouterr().err
    assert path.read_bytes() == before
    assert command(*BUILD, "-o", "net.onnx", "--force") == 0
    assert path.read_bytes() != before


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--set", "classes=8"), "spec and weights changed"),
        (("--opset", "18"), "options changed"),
        (("--batch", "2"), "options changed"),
    ],
)
def test_a_check_says_what_changed(
    folder: Path, capsys: pytest.CaptureFixture[str], options: tuple[str, ...], said: str
) -> None:
    assert command(*BUILD) == 0
    first.write(incgen.compile_spec("net.inc", {"classes": 8}), "other.safetensors", 3)
    weights = "other.safetensors" if "--set" in options else "w.safetensors"

    assert command(*BUILD, "--weights", weights, "--check", *options) == 1
    assert f"generated/net.onnx was written before its {said}" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (BUILD[:4], "an ONNX file holds weights: add `--weights FILE`; `incgen weights init"),
        (("build", "net.inc", "--opset", "18"), "--opset is for ONNX: add `--target onnx`"),
        (("build", "net.inc", "--any-size"), "--any-size is for ONNX: add `--target onnx`"),
        ((*BUILD, "-o", "-"), "ONNX is not text: give another output than `-`"),
        ((*BUILD, "-o", "net.pb"), "`net.pb`: an ONNX file ends in .onnx"),
        ((*BUILD, "other.inc"), "the weights are those of one spec"),
        ((*BUILD, "--opset", "3"), "there is no opset 3 here: incgen writes 14 to 28"),
        ((*BUILD, "-t", "torch", "-o", "net.onnx"), "`net.onnx` is one file for 2 targets"),
        ((*BUILD, "--set", "classes=8"), "`w.safetensors` does not hold the weights of `net`"),
        (("verify", "net.inc", "-t", "onxx"), "did you mean `onnx`?"),
    ],
)
def test_what_cannot_be_done_is_said(
    folder: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], said: str
) -> None:
    assert command(*arguments) in (1, 2)
    assert said in " ".join(capsys.readouterr().err.split())
    assert not Path("generated").exists()


def test_source_text_of_it_cannot_be_generated(folder: Path) -> None:
    with pytest.raises(incgen.RequestError, match=r"call `incgen\.export_onnx`"):
        incgen.generate("net.inc", "onnx")


def test_a_file_that_no_engine_would_read_is_not_written(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(encoding, "MAX_BYTES", 5_000)

    with pytest.raises(
        incgen.OutputError, match=r"would have \d,\d+ bytes, and ONNX files at most"
    ):
        incgen.export_onnx("net.inc", "w.safetensors", "net.onnx")
    assert not Path("net.onnx").exists()


def test_weights_of_other_types_become_float32(folder: Path) -> None:
    arrays = initial(incgen.compile_spec("net.inc"), 3)
    save_file({key: value.astype(np.float16) for key, value in arrays.items()}, "h.safetensors")

    incgen.export_onnx("net.inc", "h.safetensors", "net.onnx")

    (kernel,) = (e for e in onnx.load("net.onnx").graph.initializer if e.name == "a.conv.weight")
    wanted = arrays["a.conv.weight"].astype(np.float16).astype(np.float32)
    np.testing.assert_array_equal(onnx.numpy_helper.to_array(kernel), wanted)


def test_the_files_of_a_checkpoint_are_hashed_together(folder: Path) -> None:
    prefix = folder / "w"
    write_tensorflow(prefix, initial(incgen.compile_spec("net.inc"), 3))

    incgen.export_onnx("net.inc", prefix, "net.onnx")

    said = {entry.key: entry.value for entry in onnx.load("net.onnx").metadata_props}
    parts = [Path(f"w{end}").read_bytes() for end in (".index", ".data-00000-of-00001")]
    assert said["weights_sha256"] == hashlib.sha256(b"".join(parts)).hexdigest()


def test_a_missing_library_is_named(folder: Path) -> None:
    script = "import sys; sys.modules['onnx'] = None\nfrom incgen.cli.main import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", script, *BUILD], capture_output=True, text=True, check=False
    )

    assert done.stderr == "Error: ONNX files need onnx: pip install 'incgen[onnx]'\n"
    assert done.returncode == 2


# ---------------------------------------------------------------- proof

#: In every run; `make test-slow` verifies all.
VERIFIED = ("activations", "heads", "kinds", "local_norm", "pixels_bgr", "same_conv", "units")
KEPT = sorted((Path(__file__).parent / "random").glob("*.inc"))


@pytest.mark.parametrize(
    "path",
    [
        path if path.stem in VERIFIED else pytest.param(path, marks=pytest.mark.slow)
        for path in [*CASES, *KEPT]
    ],
    ids=lambda path: path.stem,
)
def test_a_file_climbs_the_ladder(path: Path) -> None:
    graph = incgen.compile_spec(path)

    report = verify(graph, targets=["onnx"])

    assert report.passed, text_of(report, graph)
    assert report.asked == (0, 1, 6)
    assert {c.rung for c in report.comparisons if c.dtype == "float32"} == {0, 1, 6}


def test_a_file_is_compared_with_a_framework_where_both_are_evaluated() -> None:
    graph = incgen.compile_spec("net.inc", text=NET)

    report = verify(graph, targets=["torch", "onnx"], rungs=(0, 1, 2, 3), dtypes=["float64"])

    pairs = {(c.rung, c.between) for c in report.comparisons}
    assert {(0, ("spec", "onnx")), (1, ("torch", "onnx")), (1, ("spec", "onnx"))} <= pairs
    assert not [between for rung, between in pairs if rung == 2 and "onnx" in between]
    assert not report.divergences
    assert [omission.reason for omission in report.omissions] == [
        "torch is the only target that can be trained"
    ]


def test_the_form_for_inference_computes_the_same() -> None:
    graph = incgen.compile_spec("net.inc", text=NET)

    report = verify(graph, targets=["onnx"], rungs=(1,), dtypes=["float64"], deploy=True)

    assert report.passed, text_of(report, graph)
    made = {(c.what, c.between) for c in report.comparisons}
    assert ("value deployed by all passes", ("spec", "onnx")) in made


def test_a_file_for_inference_says_so_and_takes_the_weights_of_training(folder: Path) -> None:
    assert command(*BUILD, "--deploy") == 0

    proto = onnx.load("generated/net_deployed.onnx")
    said = {prop.key: prop.value for prop in proto.metadata_props}
    assert "fold-norm" in said["deployed"].split()
    assert "BatchNormalization" not in {node.op_type for node in proto.graph.node}


def test_a_file_alone_is_not_trained() -> None:
    report = verify(incgen.compile_spec("net.inc", text=NET), targets=["onnx"], rungs=(4,))

    assert {omission.reason for omission in report.omissions} == {"onnx cannot be trained"}
    assert not report.passed


def test_random_networks_compute_what_they_say() -> None:
    tally = search.examine_batch(range(2), seed=5, rungs=(0, 1, 6), targets=("onnx",))

    assert not tally.found, tally.found[0].message + "\n" + tally.found[0].text
    assert tally.agreed == 2
