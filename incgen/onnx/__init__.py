"""Write ONNX files: the graph as one, with its weights, for engines that only run networks."""

from __future__ import annotations

#: The end of a file's name.
SUFFIX = ".onnx"
