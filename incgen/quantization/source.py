"""The float file that is quantised: one that incgen wrote, with what it says about itself."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import onnx
from google.protobuf.message import DecodeError

from incgen.base.files import reason
from incgen.onnx import SUFFIX, encoding
from incgen.onnx.pixels import INPUT
from incgen.quantization.errors import QuantizeError

#: The entry of the metadata that says how a file was quantised.
QUANTIZED = "quantized"
#: The operators that only a quantised graph has.
CONVERSIONS = ("QuantizeLinear", "DequantizeLinear")
#: The newest operators whose conversions ONNX Runtime 1.32 has.
_NEWEST = 27
_WRITE_ONE = "write one with `incgen build SPEC --target onnx --deploy --weights FILE`"


@dataclass(frozen=True, slots=True)
class Source:
    """A float file of incgen."""

    path: Path
    proto: onnx.ModelProto = field(repr=False)
    said: dict[str, str]  #: Its metadata

    @property
    def spec(self) -> str:
        """Return the name of its spec."""
        return self.said["spec"]

    @property
    def takes_pixels(self) -> bool:
        """Return whether the treatment of pixels is in the graph, whose input is bytes."""
        return bool(self._input.elem_type == onnx.TensorProto.UINT8)

    @property
    def batch(self) -> int | None:
        """Return the number of examples that it takes; None for any."""
        return int(self._input.shape.dim[0].dim_value) or None

    @property
    def channels(self) -> int:
        """Return the number of channels of its input."""
        return int(self._input.shape.dim[1].dim_value)

    @property
    def size(self) -> tuple[int, int] | None:
        """Return the height and width of its input; None for any."""
        height, width = (int(dim.dim_value) for dim in self._input.shape.dim[2:])
        return (height, width) if height and width else None

    @property
    def classes(self) -> int | None:
        """Return how many classes its first output has; None if that is not a vector."""
        sizes = self.proto.graph.output[0].type.tensor_type.shape.dim
        return int(sizes[1].dim_value) if len(sizes) == 2 else None

    @property
    def pixels(self) -> dict[str, Any]:
        """Return the pixel settings of the spec's `input` line; nothing if there are none."""
        said: dict[str, Any] = json.loads(self.said.get("pixels", "{}"))
        return said

    @property
    def _input(self) -> Any:
        return self.proto.graph.input[0].type.tensor_type


def opened(path: Path) -> Source:
    """Read a file that incgen wrote.

    Raises:
        QuantizeError: It cannot be read, is not incgen's, is quantised already, or too new.
    """
    name = path.as_posix()
    if path.suffix != SUFFIX and not path.exists():
        raise QuantizeError(f"`{name}` is not an ONNX file: {_WRITE_ONE}")
    try:
        proto = onnx.load(path)
    except OSError as error:
        raise QuantizeError(f"`{name}` cannot be read: {reason(error)}") from None
    except DecodeError:
        raise QuantizeError(f"`{name}` is not an ONNX file: {_WRITE_ONE}") from None
    said = {prop.key: prop.value for prop in proto.metadata_props}
    if QUANTIZED in said or any(node.op_type in CONVERSIONS for node in proto.graph.node):
        before = json.loads(said[QUANTIZED])["from"] if QUANTIZED in said else ""
        help_ = f"the float file that it was made from, `{before}`" if before else "the float file"
        raise QuantizeError(f"`{name}` is quantised already: give {help_}")
    ours = {encoding.DIGEST, "spec", "network"} <= said.keys()
    if not ours or [info.name for info in proto.graph.input] != [INPUT]:
        raise QuantizeError(f"`{name}` was not written by incgen: {_WRITE_ONE}")
    opset = max(entry.version for entry in proto.opset_import)
    if opset > _NEWEST:
        what = f"`{name}` has opset {opset}, for which ONNX Runtime has no int8"
        raise QuantizeError(f"{what}: build it with `--opset {_NEWEST}` or less")
    return Source(path, proto, said)
