"""`show` agrees with what torchinfo, fvcore and Keras say of their models."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

import incgen
from incgen.compiling import compile_spec
from incgen.graph.nodes import Graph
from incgen.targets import TARGETS

SPECS = sorted((Path(__file__).parent.parent / "specs").glob("*.inc"))
#: The spec that `make test` tries; the others are slow.
QUICK = "inception_v1_block"
CASES = [
    pytest.param(path, marks=() if path.stem == QUICK else pytest.mark.slow, id=path.stem)
    for path in SPECS
]
#: PyTorch normalises no single value in training, which the heads are for.
BATCH = 2


def model_of(graph: Graph, path: Path, target: str) -> Any:
    module = incgen.load(path, target)
    return getattr(module, TARGETS[target].entry(graph.program.network.name))()


def in_training(graph: Graph, path: Path) -> tuple[Any, Any]:
    """Return the model of PyTorch as it is trained, and a batch for it."""
    torch = pytest.importorskip("torch")
    return model_of(graph, path, "torch").train(), torch.zeros(BATCH, *graph.input.sizes)


@pytest.mark.parametrize("path", CASES)
def test_torchinfo(path: Path) -> None:
    """It has the same parameters, and the same output of every layer that is a module."""
    torchinfo = pytest.importorskip("torchinfo")
    graph = compile_spec(path)
    model, images = in_training(graph, path)
    modules = {id(module): name for name, module in model.named_modules()}
    summary = torchinfo.summary(
        model, input_data=images, verbose=0, device="cpu", mode="train", depth=99
    )

    seen = {modules[row.layer_id]: row for row in summary.summary_list if row.executed}
    layers = [node for node in graph.nodes if node.path in seen]
    assert {node.path for node in graph.nodes if node.tensors} <= {node.path for node in layers}
    for node in layers:
        theirs = seen[node.path]
        assert tuple(theirs.output_size[1:]) == node.shape.sizes, node.path
        if node.call is not None:  # the module of a join may have its branches inside
            assert max(theirs.trainable_params, 0) == node.parameters, node.path
    assert (summary.trainable_params, summary.total_params) == (graph.trained, graph.trained)


@pytest.mark.parametrize("path", CASES)
def test_fvcore(path: Path) -> None:
    """It counts the same multiplications by weights, layer by layer."""
    fvcore = pytest.importorskip("fvcore.nn")
    graph = compile_spec(path)
    model, images = in_training(graph, path)
    counted = fvcore.FlopCountAnalysis(model, images)
    counted.unsupported_ops_warnings(False).uncalled_modules_warnings(False)
    by_layer = counted.by_module_and_operator()

    def multiplied(key: str) -> int:
        return int(sum(by_layer[key][op] for op in ("conv", "linear"))) // BATCH

    assert multiplied("") == graph.multiply_adds
    for node in graph.nodes:
        if node.multiply_adds:
            assert multiplied(node.path) == node.multiply_adds, node.path


@pytest.mark.parametrize("path", CASES)
def test_the_summary_of_keras(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It has the same numbers in every layer, running statistics included."""
    pytest.importorskip("keras")
    graph = compile_spec(path)
    monkeypatch.setenv("COLUMNS", "240")
    lines: list[str] = []
    model_of(graph, path, "keras").summary(print_fn=lines.append, line_length=240)
    text = "\n".join(lines)

    rows = re.findall(r"^│ (\S+) \(\w+\) *│ \(None, ([\d, ]+)\) *│ +([\d,]+) │", text, re.M)
    listed = {
        name.replace("-", "."): ([*map(int, sizes.split(", "))], int(count.replace(",", "")))
        for name, sizes, count in rows
    }
    seen = 0
    for node in graph.nodes:
        numbers = sum(tensor.size for tensor in node.tensors)
        if node.op != "separable_conv" and (numbers or node.path in listed):
            channels, *sizes = node.shape.sizes
            assert listed[node.path] == ([*sizes, channels], numbers), node.path
            seen += 1
    assert seen
    total = re.search(r"Total params: ([\d,]+)", text)
    assert total is not None
    assert int(total[1].replace(",", "")) == sum(tensor.size for tensor in graph.tensors().values())
