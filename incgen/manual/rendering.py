"""Show what each target writes for a statement: the lines of its code that belong to it alone."""

from __future__ import annotations

import ast
import re
import textwrap
from dataclasses import dataclass
from importlib.util import find_spec

from incgen.base.resources import folder
from incgen.graph.nodes import Graph

#: What a network has without its layers, by the beginning of the line.
_FRAME = ('"""', "super().__init__()", "inputs = keras.Input(", "return keras.Model(", "pass")
#: A line between files.
_BETWEEN = "# ---------------------------------------------------------------- the next file"
#: The call of the one layer that the constructor has made.
_CALL = re.compile(r"return self\.\w+\(x\)(  #.*)?$")


@dataclass(frozen=True, slots=True)
class Rendering:
    """A statement in the words of one target."""

    target: str
    code: str
    helpers: dict[str, str]  #: Why stock layers do not do, by the names in the code that do instead


def network_of(statement: str) -> str:
    """Return a spec whose network consists of a statement, with what that needs."""
    body = textwrap.indent(statement.strip(), "    ")
    return f"numerics caffe\n\nnetwork example {{\n    input 32x32 16\n{body}\n}}\n"


def renderings(statement: str) -> list[Rendering]:
    """Return what each target writes for a statement; for ONNX, if that is there, its operators."""
    from incgen import compiling
    from incgen.targets import ONNX, TARGETS
    from incgen.targets.shared.formatting import laid_out

    graph = compiling.compile_spec("example.inc", text=network_of(statement))
    drafts = (target.draft(graph) for target in TARGETS.values())
    texts = laid_out(f"\n{_BETWEEN}\n".join(drafts)).split(_BETWEEN)  # ruff is started once
    result = []
    for target, text in zip(TARGETS.values(), texts, strict=True):
        code = _own_lines(text, target.entry(graph.program.network.name))
        result.append(Rendering(target.name, code, _helpers(target.name, code)))
    if find_spec("onnx") is None:
        return [*result, Rendering(ONNX, "needs onnx: pip install 'incgen[onnx]'", {})]
    return [*result, Rendering(ONNX, " -> ".join(_operators(graph)), {})]


def _own_lines(source: str, entry: str) -> str:
    """Return the lines of a network's class or function that its frame does not have."""
    lines = source.splitlines()
    definition = next(node for node in ast.parse(source).body if getattr(node, "name", "") == entry)
    functions = [node for node in ast.walk(definition) if isinstance(node, ast.FunctionDef)]
    parts = []
    for statement in (node for function in functions for node in function.body):
        text = textwrap.dedent("\n".join(lines[statement.lineno - 1 : statement.end_lineno]))
        if not text.startswith(_FRAME) and not _CALL.match(text):
            parts.append(re.sub(r"\binputs\b", "x", text))
    return "\n".join(parts) or "nothing: the value itself"


def _helpers(target: str, code: str) -> dict[str, str]:
    from incgen.targets.shared.render import Printer

    printer = Printer(target, package="net")
    places = (folder("templates") / target / "helpers").glob("*")
    names = sorted({path.name.partition(".")[0] for path in places} & set(re.findall(r"\w+", code)))
    return {name: printer.find_helper(name).why for name in names}


def _operators(graph: Graph) -> list[str]:
    from incgen.onnx.model import model_of
    from incgen.onnx.options import Options

    return [node.op_type for node in model_of(graph, Options()).proto.graph.node]
