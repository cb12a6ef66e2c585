"""Test helpers for projects that keep generated files beside their specs.

    from incgen.testing import assert_same_network, assert_up_to_date

    def test_the_generated_file_is_that_of_the_spec():
        assert_up_to_date("../specs/net.inc", "../models/net_torch.py", target="torch")

    def test_both_models_are_the_same_network():
        assert_same_network("../specs/net.inc", rungs=range(6), dtypes=["float64"])

Paths are relative to the file that calls, wherever the tests are run from; a spec may also be the
name of one that comes with incgen. They raise AssertionError with a text that says what is wrong
and what to type, so any test runner can call them.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from incgen.api import find_targets
from incgen.compiling import Parameters, SpecPath, compile_spec, plain_parameters
from incgen.language.printing import setting
from incgen.syntax.loader import find

if TYPE_CHECKING:
    from incgen.targets.shared.style import Style

__all__ = ["assert_same_as_original", "assert_same_network", "assert_up_to_date"]


def assert_up_to_date(
    spec: SpecPath,
    file: SpecPath,
    *,
    target: str = "torch",
    parameters: Parameters | None = None,
    style: Style | None = None,
) -> None:
    """Assert that a generated file is up to date with its spec, whatever its layout.

    Args:
        spec: The spec.
        file: The generated file.
        target: The target that it was generated for.
        parameters: The values of parameters and constants that it was generated with.
        style: The style that it was generated with; incgen's own if omitted.

    Raises:
        AssertionError: The file differs or does not exist; the message contains the diff.
        SpecError, RequestError: As `incgen.generate`.
    """
    from incgen.output import compared, sealed

    spec, file = _beside(spec), _beside(file)
    graph = compile_spec(spec, parameters)
    (emitter,) = find_targets([target], style)
    result = compared(file, sealed(emitter.emit(graph), graph.digest()))
    if not result.changed:
        return
    plain = plain_parameters(parameters)
    settings = "".join(f" {setting(name, value)}" for name, value in plain.items())
    command = f"incgen build {_shown(spec)} --target {target} -o {_shown(file)}"
    raise AssertionError(
        f"{_shown(file)} is not what {_shown(spec)} gives: "
        f"it {result.difference()}; "
        f"run `{command}{settings}`\n{result.diff()}"
    )


def assert_same_network(
    spec: SpecPath,
    parameters: Parameters | None = None,
    *,
    files: dict[str, SpecPath] | None = None,
    rungs: Sequence[int] | None = None,
    **options: Any,
) -> None:
    """Assert that the models of a spec are the same network, as `incgen verify` does.

    Args:
        spec: The spec.
        parameters: Values for parameters and constants.
        files: Generated files by target, to verify instead of freshly generated ones.
        rungs: The rungs to compare; if omitted, all that there are.
        options: Other arguments of `incgen.verify.verify`: targets, dtypes, weights, seed, ...

    Raises:
        AssertionError: Something diverges or was not compared; the text is that of the command.
        SpecError, RequestError, WeightsError: As `incgen.verify.verify`.
    """
    from incgen.verify import verify
    from incgen.verify.show import text

    spec = _beside(spec)
    graph = compile_spec(spec, parameters)
    sources = {target: _beside(file).read_text("utf-8") for target, file in (files or {}).items()}
    report = verify(graph, rungs=rungs, sources=sources, **options)
    if not report.passed:
        raise AssertionError(f"{_shown(spec)}:\n{text(report, graph)}")


def assert_same_as_original(
    spec: SpecPath,
    original: Any,
    parameters: Parameters | None = None,
    *,
    layout: str | None = None,
    seed: int = 0,
    tolerance: float = 1e-10,
) -> None:
    """Assert that the PyTorch model of a spec evaluates as a module that it is a port of.

    A copy of the module gets random weights, which are imported by a layout of the network. Layers
    are compared in the order of the spec, in float64, and so is the decay of normalisations.

    Args:
        spec: The spec.
        original: The module, a `torch.nn.Module`.
        parameters: Values for parameters and constants.
        layout: The layout of the module's state dict; otherwise the one that fits.
        seed: What weights and images are drawn from.
        tolerance: The largest difference that counts as none, relative to the largest element.

    Raises:
        AssertionError: They differ; the message names the first layer that does, and its line.
        SpecError, RequestError, MismatchError, WeightsError: As `incgen.import_weights`.
    """
    from incgen.verify.runners.original import difference

    spec = _beside(spec)
    found = difference(spec, original, parameters, layout=layout, seed=seed, tolerance=tolerance)
    if found:
        raise AssertionError(f"{_shown(spec)} is not {type(original).__name__}\n{found}")


def _beside(path: SpecPath) -> Path:
    """Resolve a path relative to the file that called this module."""
    frame = sys._getframe()
    while frame.f_back is not None and frame.f_code.co_filename == __file__:
        frame = frame.f_back
    caller = Path(frame.f_code.co_filename)
    beside = Path(os.path.abspath(caller.parent / path)) if caller.is_file() else Path(path)
    return beside if beside.exists() or find(Path(path))[0] == Path(path) else Path(path)


def _shown(path: Path) -> str:
    """Return a path as it is typed here."""
    near = path.is_absolute() and path.is_relative_to(Path.cwd())
    return (path.relative_to(Path.cwd()) if near else path).as_posix()
