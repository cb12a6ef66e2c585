"""Compile a small textual network spec into PyTorch, Keras and Flax source.

    import incgen

    incgen.build("specs/bn_inception.inc", ["torch", "keras"])  # writes generated/*.py
    net = incgen.load("specs/bn_inception.inc", "torch").BNInception()

The same functions are behind the command line. They are imported when they are first used, because
the start-up time of the command counts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from incgen.base.version import VERSION as __version__

if TYPE_CHECKING:
    from incgen.api import build, check, drawing, generate, load
    from incgen.base.diagnostics import Diagnostic, SpecError
    from incgen.base.files import OutputError
    from incgen.compiling import RequestError, compile_recipe, compile_spec
    from incgen.draw.view import DrawError
    from incgen.inference import deployed
    from incgen.notebooks.network import Network
    from incgen.onnx.exporting import export_onnx
    from incgen.output import GeneratedFile
    from incgen.quantization.api import quantize
    from incgen.quantization.errors import QuantizeError
    from incgen.targets.shared.style import Style, TemplateError
    from incgen.weights.errors import MismatchError, WeightsError
    from incgen.weights.exporting import export_weights
    from incgen.weights.importing import import_weights

__all__ = [
    "Diagnostic",
    "DrawError",
    "GeneratedFile",
    "MismatchError",
    "Network",
    "OutputError",
    "QuantizeError",
    "RequestError",
    "SpecError",
    "Style",
    "TemplateError",
    "WeightsError",
    "__version__",
    "build",
    "check",
    "compile_recipe",
    "compile_spec",
    "deployed",
    "drawing",
    "export_onnx",
    "export_weights",
    "generate",
    "import_weights",
    "load",
    "quantize",
]

#: The modules of all names; the last is what IPython looks for, for `%load_ext incgen`.
_HOMES = {
    "Diagnostic": "incgen.base.diagnostics",
    "DrawError": "incgen.draw.view",
    "GeneratedFile": "incgen.output",
    "MismatchError": "incgen.weights.errors",
    "Network": "incgen.notebooks.network",
    "OutputError": "incgen.output",
    "QuantizeError": "incgen.quantization.errors",
    "RequestError": "incgen.compiling",
    "SpecError": "incgen.base.diagnostics",
    "Style": "incgen.targets.shared.style",
    "TemplateError": "incgen.targets.shared.style",
    "WeightsError": "incgen.weights.errors",
    "build": "incgen.api",
    "check": "incgen.api",
    "compile_recipe": "incgen.compiling",
    "compile_spec": "incgen.compiling",
    "deployed": "incgen.inference",
    "drawing": "incgen.api",
    "export_onnx": "incgen.onnx.exporting",
    "export_weights": "incgen.weights.exporting",
    "generate": "incgen.api",
    "import_weights": "incgen.weights.importing",
    "load": "incgen.api",
    "quantize": "incgen.quantization.api",
    "load_ipython_extension": "incgen.notebooks.cells",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value: Any = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """Return the public names, including those not imported yet."""
    return sorted({*globals(), *__all__})
