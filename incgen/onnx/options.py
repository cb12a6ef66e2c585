"""The options of an ONNX file."""

from __future__ import annotations

from dataclasses import dataclass

from incgen.compiling import RequestError

#: The versions of the operators: from the first whose batch normalisation has one meaning (before,
#: evaluation was told by the number of its outputs), to the newest of ONNX 1.23, all of which ONNX
#: Runtime 1.32 runs. The default is that of `torch.onnx.export` in PyTorch 2.13.
OPSETS = range(14, 29)
DEFAULT_OPSET = 20


@dataclass(frozen=True, slots=True)
class Options:
    """The options of an ONNX file.

    Raises:
        RequestError: A number is out of its range.
    """

    opset: int = DEFAULT_OPSET  #: The version of ONNX's operators
    batch: int | None = None  #: The number of examples; None for any
    any_size: bool = False  #: Whether height and width are free, instead of the spec's
    heads: bool = False  #: Whether the auxiliary heads are outputs too; otherwise they are left out
    preprocess: bool = False  #: Whether the input is RGB bytes, treated as the `input` line says
    #: The type of all numbers. Engines run float32; float64 is for proofs
    dtype: str = "float32"

    def __post_init__(self) -> None:
        """Check the numbers."""
        if self.opset not in OPSETS:
            known = f"incgen writes {OPSETS[0]} to {OPSETS[-1]}"
            raise RequestError(f"there is no opset {self.opset} here: {known}")
        if self.batch is not None and self.batch < 1:
            raise RequestError("a batch must have at least 1 example")
