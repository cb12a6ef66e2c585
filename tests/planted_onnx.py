"""Plant faults in what writes ONNX files; `incgen verify --target onnx` must catch each.

An ONNX file has no lines to change, so the lines are those of the modules that make it.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

import incgen
from incgen.verify import Report, verify

PATH = Path(__file__).parent / "faults" / "onnx" / "faults.toml"


@dataclass(frozen=True)
class Fault:
    """A change to a module of `incgen/onnx` that makes files wrong.

    Attributes:
        name: The name of the fault.
        text: The spec that shows it.
        rung: The rung that must catch it first.
        old: A whole line of the module, which is in it once.
        new: Its replacement.
        module: The module.
        dtype: The type in which it shows: some operators are only used in float32.
        block: The place that the report must name.
        what: How the report must begin.
    """

    name: str
    text: str
    rung: int
    old: str
    new: str
    module: str = "ops"
    dtype: str = "float64"
    block: str = ""
    what: str = ""


def read_faults() -> dict[str, Fault]:
    """Return the faults by name."""
    data = tomllib.loads(PATH.read_text("utf-8"))
    faults = {}
    for row in data["fault"]:
        fields = {name: value for name, value in row.items() if name != "spec"}
        faults[row["name"]] = Fault(**fields, text=data["specs"][row["spec"]])
    assert len(faults) == len(data["fault"])
    return faults


def source_of(fault: Fault) -> Path:
    """Return the file of the module that a fault changes."""
    return Path(import_module(f"incgen.onnx.{fault.module}").__file__ or "")


@contextmanager
def planted(fault: Fault) -> Iterator[None]:
    """Change the module while the context lasts."""
    module, path = import_module(f"incgen.onnx.{fault.module}"), source_of(fault)
    lines = path.read_text("utf-8").splitlines()
    before, place = dict(vars(module)), lines.index(fault.old)
    changed = "\n".join([*lines[:place], fault.new, *lines[place + 1 :]])
    # functions that others hold already find the new ones by name
    exec(compile(changed, str(path), "exec"), vars(module))
    try:
        yield
    finally:
        vars(module).update(before)


def climbed(text: str, dtype: str) -> Report:
    """Verify a spec."""
    graph = incgen.compile_spec("planted.inc", text=text)
    return verify(graph, targets=["onnx"], dtypes=[dtype])


def catches(report: Report, fault: Fault) -> bool:
    """Return whether a report says what the list says."""
    if not report.divergences:
        return False
    first = report.divergences[0]
    inside = f"{first.path}.".startswith(fault.block) if fault.block else True
    said = first.message.startswith(fault.what)
    return (first.rung, first.dtype) == (fault.rung, fault.dtype) and inside and said
