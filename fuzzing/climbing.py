"""Verify the models of a random network: as they are, and with other arguments.

Other arguments are tried on the same generated files. The ladder makes models without arguments, so
a line at the end of a file sets them.
"""

from __future__ import annotations

import ast
import linecache
import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from fuzzing.faults import Fault, known, place_of
from incgen.base.diagnostics import SpecError
from incgen.compiling import compile_spec
from incgen.graph.nodes import Graph

if TYPE_CHECKING:
    from incgen.verify import Report


#: The numbers of examples in an input, one of which each network gets.
BATCHES = (4, 2, 3, 5)


def climb(
    graph: Graph,
    sources: Mapping[str, str],
    rungs: Sequence[int],
    seed: int,
    deploy: bool = False,
) -> Counter[str]:
    """Climb the ladder in float64.

    Args:
        graph: The network.
        sources: The source text of each target.
        rungs: The rungs.
        seed: The seed of the weights and the inputs.
        deploy: Whether rung 1 compares deployed forms too.

    Returns:
        How often the result was inconclusive: known framework bugs, and rungs with numbers that
        rounding alone could have moved.

    Raises:
        Fault: Models diverge, or something was not compared.
    """
    counts: Counter[str] = Counter()
    left = list(rungs)
    while left:
        report = _verified(graph, sources, left, seed, deploy and 1 in left)
        counts.update({f"ill-conditioned, rung {c.rung}" for c in report.ill_conditioned})
        if not report.divergences:
            if report.omissions:
                raise Fault("omitted", report.omissions[0].reason)
            break
        first = report.divergences[0]
        wrong = [
            comparison.path
            for comparison in report.comparisons
            if comparison.rung == first.rung and comparison.verdict == "diverges"
        ]
        name = known(first.message, wrong, graph)
        if name is None:
            place = f" at `{first.path}`" if first.path else ""
            raise Fault(f"rung {first.rung}", f"{first.message}{place}")
        counts[name] += 1
        left = [rung for rung in left if rung > first.rung]
    return counts


def _verified(
    graph: Graph, sources: Mapping[str, str], rungs: Sequence[int], seed: int, deploy: bool
) -> Report:
    from incgen.verify import verify

    try:
        return verify(
            graph,
            targets=tuple(sources),
            sources=sources,
            rungs=rungs,
            dtypes=("float64",),
            seed=seed,
            batch=BATCHES[seed % len(BATCHES)],
            deploy=deploy,
        )
    except Exception as error:
        raise Fault("verify", place_of(error)) from error
    finally:
        _forget()


def _forget() -> None:
    """Free what thousands of generated modules would otherwise keep."""
    for name in [name for name in sys.modules if name.startswith("incgen_")]:
        del sys.modules[name]
    for name in [name for name in linecache.cache if name.startswith("<incgen ")]:
        del linecache.cache[name]


def climb_with_arguments(
    text: str, graph: Graph, sources: Mapping[str, str], given: Mapping[str, Any], seed: int
) -> Counter[str]:
    """Evaluate the same files with other arguments, and separate files with other constants.

    Raises:
        Fault: Models diverge.
    """
    from incgen.verify.variants import sources_with

    try:
        other = compile_spec("random.inc", given, text=text)
        changed = generated(other, sources)
    except SpecError:
        return Counter()
    if {*given} <= {formal.name for formal in graph.program.network.parameters}:
        own = {target: ast.get_docstring(ast.parse(source)) for target, source in changed.items()}
        same = sources_with(graph, sources, given)
        # The figures in a docstring hold for the arguments that a file was written for.
        changed = {target: f"{same[target]}\n__doc__ = {doc!r}\n" for target, doc in own.items()}
    try:
        return climb(other, changed, (0, 1), seed)
    except Fault as fault:
        values = ", ".join(f"{name}={value}" for name, value in given.items())
        raise Fault("other arguments", f"{values}: {fault}") from None


def generated(graph: Graph, targets: Iterable[str]) -> dict[str, str]:
    """Return the source text for some targets.

    Raises:
        SpecError: A target cannot express the network.
        Fault: A target fails.
    """
    from incgen.targets import TARGETS

    try:  # an ONNX file has no source text
        return {name: TARGETS[name].emit(graph) if name in TARGETS else "" for name in targets}
    except SpecError:
        raise
    except Exception as error:
        raise Fault("build", place_of(error)) from error
