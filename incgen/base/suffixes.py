"""Kinds of files, by the ends of their names."""

from __future__ import annotations

from enum import Enum
from pathlib import PurePath
from typing import Final


class Kind(Enum):
    """A kind of file, as messages call one."""

    SPEC = "a spec"
    SOURCE = "Python"
    WEIGHTS = "a weights file"
    ONNX = "an ONNX file"
    DRAWING = "a drawing or an image"
    TEXT = "a text in another format"


_ENDS: Final = {
    Kind.SPEC: ".inc",
    Kind.SOURCE: ".ipynb .py .pyi",
    Kind.WEIGHTS: """
        .bin .caffemodel .ckpt .h5 .hdf5 .keras .msgpack .npz .pb .pt .pth .safetensors .tflite
    """,
    Kind.ONNX: ".onnx",
    Kind.DRAWING: ".dot .gif .html .jpeg .jpg .mmd .pdf .png .svg .webp",
    Kind.TEXT: ".csv .json .prototxt .toml .xml .yaml .yml",
}


def kind_of(path: PurePath) -> Kind | None:
    """Return what a file is by its name; None if that does not say.

    >>> kind_of(PurePath("net.pth")), kind_of(PurePath("net"))
    (<Kind.WEIGHTS: 'a weights file'>, None)
    """
    end = path.suffix.lower()
    return next((kind for kind, ends in _ENDS.items() if end in ends.split()), None)
