"""Run ONNX files: in float64 as the ONNX project defines it, in float32 in ONNX Runtime."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import checker, helper, numpy_helper, shape_inference
from onnx.reference import ReferenceEvaluator

from incgen.base.diagnostics import Reporter
from incgen.graph.elaborate import elaborate
from incgen.onnx import encoding, pixels
from incgen.onnx.layers import TYPES, Body
from incgen.onnx.model import Model, model_of
from incgen.onnx.options import Options
from incgen.verify.figures import Docs
from incgen.verify.resizing import at_size
from incgen.verify.runners.inference import InferenceRunner
from incgen.verify.runners.onnx_ops import OPERATORS
from incgen.verify.runners.results import Facts, Values
from incgen.weights.checkpoint import Array
from incgen.weights.errors import MismatchError
from incgen.weights.exporting import arrays_of
from incgen.weights.readers import open_checkpoint

#: Runs a model on an input, and returns some of its values in order.
Run = Callable[[list[str], Array], list[Array]]


class OnnxRunner(InferenceRunner):
    """The file of a network, made anew for each set of weights."""

    target = "onnx"
    versions = f"ONNX {onnx.__version__}, ONNX Runtime {onnxruntime.__version__}"

    def precision(self) -> AbstractContextManager[None]:
        return nullcontext()

    def build(self) -> None:
        shapes = {key: tensor.shape for key, tensor in self.graph.tensors().items()}
        self.use({key: np.zeros(shape, self.dtype) for key, shape in shapes.items()})

    def use(self, arrays: Mapping[str, Array]) -> None:
        """Make the file for these weights."""
        self.arrays = dict(arrays)
        for name in ("whole", "_all", "_plain"):
            vars(self).pop(name, None)

    def made(self, **options: Any) -> tuple[Model, bytes]:
        """Return the model for some options, and its file with the weights."""
        model = model_of(self.graph, Options(dtype=self.dtype, **options))
        return model, b"".join(map(bytes, encoding.chunks(model, self.arrays, {})))

    @cached_property
    def whole(self) -> tuple[Model, bytes]:
        """Return the model with its heads, and its file."""
        return self.made(heads=True)

    # ------------------------------------------------------------ facts

    def facts(self) -> Facts:
        proto = onnx.load_from_string(self.whole[1])
        tensors = {
            tensor.name: numpy_helper.to_array(tensor)
            for tensor in proto.graph.initializer
            if "/" not in tensor.name  # which is a constant
        }
        trained = {key for key, tensor in self.graph.tensors().items() if tensor.trained}
        count = sum(value.size for value in tensors.values())
        return Facts(tensors, frozenset(trained & tensors.keys()), count, (), Docs("", {}))

    def another(self, seed: int, arguments: Mapping[str, Any]) -> Facts:
        graph = elaborate(self.graph.program, {**self.graph.parameters, **arguments}, Reporter())
        assert graph is not None
        other = OnnxRunner(graph, "", self.dtype)
        other.build()
        return other.facts()

    def checked(self) -> Iterator[tuple[str, str, str]]:
        """Compare the shapes that the ONNX project infers, and check the file as it does."""
        model, data = self.whole
        proto = onnx.load_from_string(data)
        stated = {info.name: info for info in (*proto.graph.value_info, *proto.graph.output)}
        known = _inferred(proto)
        for node in self.graph.nodes[1:]:
            value, wanted = model.values[node.path], ("batch", *node.shape.sizes)
            if value == pixels.INPUT:
                continue
            for what, shapes in (("inferred shape", known), ("stated shape", stated)):
                found = _sizes(shapes[value]) if value in shapes else None
                yield what, node.path, "" if found == wanted else f"is {found}, not {wanted}"
        names = [node.name for node in proto.graph.node]
        yield "names", "", "" if len({*names}) == len(names) else "are not unique"
        try:
            checker.check_model(proto, full_check=True)  # which infers strictly
        except Exception as error:  # it has several kinds
            message = " ".join(str(error).split())[:300]
            yield "file", "", f"is not valid: {message}"
        else:
            yield "file", "", ""

    def preprocess(self, images: Array) -> Array:
        body = Body(Options(dtype=self.dtype))
        result = pixels.treated(self.graph, body)
        given = helper.np_dtype_to_tensor_dtype(images.dtype)
        sizes = ("batch", images.shape[1], "height", "width")
        graph = helper.make_graph(
            body.nodes,
            "preprocess",
            [helper.make_tensor_value_info(pixels.INPUT, given, sizes)],
            [helper.make_tensor_value_info(result, TYPES[self.dtype], sizes)],
            body.constants,
        )
        opset = helper.make_opsetid("", Options().opset)
        proto = helper.make_model(graph, opset_imports=[opset])
        proto.ir_version = helper.find_min_ir_version_for([opset])
        (output,) = runner_of(proto.SerializeToString(), self.dtype)([result], images)
        return output

    # ------------------------------------------------------------ files of weights

    def load(self, path: Path) -> None:
        with open_checkpoint(path) as checkpoint:
            self.use(arrays_of(path, self.graph, checkpoint))

    def refusal(self, path: Path, before: Mapping[str, Array]) -> str:
        try:
            self.load(path)
        except MismatchError:
            return ""
        with open_checkpoint(path) as checkpoint:
            more = checkpoint.tensors.keys() - self.graph.tensors().keys()
        # in such a file all numbers are 0, and a bias of 0 is none: every weights file may have it
        return "" if more and all(key.endswith(".bias") for key in more) else "are loaded"

    # ------------------------------------------------------------ running

    @contextmanager
    def sized(self, height: int | None, width: int | None) -> Iterator[None]:
        """Switch to the file for another size."""
        before = self.graph
        if height is not None and width is not None:
            other = at_size(before, height, width)
            assert other is not None
            self.graph = other
        try:
            yield
        finally:
            self.graph = before

    @cached_property
    def _all(self) -> Run:
        """Return what runs the model with every value as an output."""
        proto = onnx.load_from_string(self.whole[1])
        named = {output.name for output in proto.graph.output}
        proto.graph.output.extend(info for info in proto.graph.value_info if info.name not in named)
        return runner_of(proto.SerializeToString(), self.dtype)

    @cached_property
    def _plain(self) -> Run:
        """Return what runs the file that users get."""
        return runner_of(self.made()[1], self.dtype)

    def evaluate(self, x: Array, *, inputs: bool = False) -> Values:
        values = self.whole[0].values
        names = [*dict.fromkeys(v for v in values.values() if v != pixels.INPUT)]
        arrays = {pixels.INPUT: x, **dict(zip(names, self._all(names, x), strict=True))}
        nodes = self.graph.nodes
        places = {path: arrays[value] for path, value in values.items()}
        outputs = {name: places[nodes[number].path] for name, number in self.graph.outputs.items()}
        taken = {
            node.path: tuple(places[nodes[number].path] for number in node.inputs)
            for node in nodes
            if inputs
        }
        return Values(outputs, {k: v for k, v in places.items() if k != nodes[0].path}, taken)

    def called(self, x: Array) -> dict[str, Array]:
        return self.outputs_of(self._plain, x)

    def outputs_of(self, run: Run, x: Array) -> dict[str, Array]:
        """Return the single output of a model without heads."""
        name = next(iter(self.graph.outputs))
        (output,) = run([name], x)
        return {name: output}

    def forget(self) -> None:
        self.use({})


def runner_of(data: bytes, dtype: str) -> Run:
    """Return what runs a file: the evaluator of the ONNX project in float64, else ONNX Runtime."""
    if dtype == "float64":
        evaluator = ReferenceEvaluator(onnx.load_from_string(data), new_ops=OPERATORS)

        def run(names: list[str], x: Array) -> list[Array]:
            with np.errstate(all="ignore"):  # what is not finite is a result like others
                return [np.asarray(v) for v in evaluator.run(names, {pixels.INPUT: x})]

        return run
    chosen = onnxruntime.SessionOptions()
    chosen.log_severity_level = 3
    chosen.add_session_config_entry("session.intra_op.allow_spinning", "0")  # others wait too
    session = onnxruntime.InferenceSession(data, chosen, ["CPUExecutionProvider"])
    return lambda names, x: list(session.run(names, {pixels.INPUT: x}))


def _inferred(proto: onnx.ModelProto) -> dict[str, onnx.ValueInfoProto]:
    """Return the types of all values, inferred from those of the input and the weights alone."""
    bare = onnx.ModelProto()
    bare.CopyFrom(proto)
    del bare.graph.value_info[:]
    for output in bare.graph.output:
        output.type.tensor_type.ClearField("shape")
    graph = shape_inference.infer_shapes(bare, data_prop=True).graph
    return {info.name: info for info in (*graph.value_info, *graph.output)}


def _sizes(value: onnx.ValueInfoProto) -> tuple[int | str, ...]:
    """Return the shape of a value, with the names of what is free."""
    return tuple(d.dim_param or d.dim_value for d in value.type.tensor_type.shape.dim)
