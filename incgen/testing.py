"""Helpers for the tests of projects that keep generated files beside their specs.

    from incgen.testing import assert_same_network, assert_up_to_date

    def test_the_generated_file_is_that_of_the_spec():
        assert_up_to_date("specs/net.inc", "models/net_torch.py", target="torch")

    def test_both_models_are_the_same_network():
        assert_same_network("specs/net.inc", rungs=range(6), dtypes=["float64"])

They raise AssertionError with a text that says what is wrong and what to type, so any test runner
can call them.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from incgen.api import Parameters, SpecPath, compile_spec, find_targets, plain_parameters

__all__ = ["assert_same_network", "assert_up_to_date"]


def assert_up_to_date(
    spec: SpecPath, file: SpecPath, *, target: str = "torch", parameters: Parameters | None = None
) -> None:
    """A generated file is what the spec gives now, to the byte.

    Args:
        spec: the spec.
        file: the generated file.
        target: which it was generated for.
        parameters: values for parameters and constants with which it was.

    Raises:
        AssertionError: the file differs or is not there; the text has the difference.
        SpecError, RequestError: as `incgen.generate`.
    """
    from incgen.output import compared, sealed

    graph = compile_spec(spec, parameters)
    (emitter,) = find_targets([target])
    found = compared(Path(file), sealed(emitter.emit(graph), graph.digest()))
    if not found.changed:
        return
    plain = plain_parameters(parameters)
    settings = "".join(f" --set {name}={str(value).lower()}" for name, value in plain.items())
    command = f"incgen build {Path(spec).as_posix()} --target {target} -o {Path(file).as_posix()}"
    raise AssertionError(
        f"{Path(file).as_posix()} is not what {Path(spec).as_posix()} gives: "
        f"it {found.difference()}; "
        f"run `{command}{settings}`\n{found.diff()}"
    )


def assert_same_network(
    spec: SpecPath,
    parameters: Parameters | None = None,
    *,
    files: dict[str, SpecPath] | None = None,
    rungs: Sequence[int] = range(7),
    **options: Any,
) -> None:
    """The models of a spec are the same network, as `incgen verify` proves it.

    Args:
        spec: the spec.
        parameters: values for parameters and constants.
        files: generated files by target, to be verified in place of what the spec gives now.
        rungs: the rungs of the ladder to climb.
        options: the others of `incgen.verify.verify`: targets, dtypes, weights, seed, ...

    Raises:
        AssertionError: something diverges or was not compared; the text is that of the command.
        SpecError, RequestError, WeightsError: as `incgen.verify.verify`.
    """
    from incgen.verify import verify
    from incgen.verify.text import text

    graph = compile_spec(spec, parameters)
    sources = {target: Path(file).read_text("utf-8") for target, file in (files or {}).items()}
    report = verify(graph, rungs=rungs, sources=sources, **options)
    if not report.passed:
        raise AssertionError(f"{Path(spec).as_posix()}:\n{text(report, graph)}")
