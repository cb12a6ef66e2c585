"""The models of a random network on the ladder: as they are, at another size, with other arguments.

Other sizes and arguments are those of the same generated files. The ladder makes models without
arguments, so lines at the end of a file give it a model that has them.
"""

from __future__ import annotations

import linecache
import re
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from incgen.api import compile_spec
from incgen.diagnostics import SpecError
from incgen.fuzz.faults import Fault, known, place_of
from incgen.graph import Graph
from incgen.names import class_name

if TYPE_CHECKING:
    from incgen.verify import Report

#: What is added to the rows and columns of an input.
_MORE = 3, 2


def climb(
    graph: Graph, sources: Mapping[str, str], rungs: Sequence[int], seed: int
) -> Counter[str]:
    """Climb the ladder in float64.

    Args:
        graph: the network.
        sources: the source text of each target.
        rungs: the rungs.
        seed: of the weights and the inputs.

    Returns:
        How often something could not be told: faults of frameworks that are known, and rungs with
        numbers that rounding alone could have moved.

    Raises:
        Fault: models diverge, or something was not compared.
    """
    counts: Counter[str] = Counter()
    left = list(rungs)
    while left:
        report = _verified(graph, sources, left, seed)
        counts.update({f"ill-conditioned, rung {c.rung}" for c in report.ill_conditioned})
        if not report.divergences:
            if report.omissions:
                raise Fault("omitted", report.omissions[0].reason)
            break
        first = report.divergences[0]
        name = known(first.message)
        if name is None:
            place = f" at `{first.path}`" if first.path else ""
            raise Fault(f"rung {first.rung}", f"{first.message}{place}")
        counts[name] += 1
        left = [rung for rung in left if rung > first.rung]
    return counts


def _verified(graph: Graph, sources: Mapping[str, str], rungs: Sequence[int], seed: int) -> Report:
    from incgen.verify import verify

    try:
        return verify(
            graph,
            targets=tuple(sources),
            sources=sources,
            rungs=rungs,
            dtypes=("float64",),
            seed=seed,
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


def climb_at_other_size(
    text: str, graph: Graph, sources: Mapping[str, str], seed: int
) -> Counter[str]:
    """Evaluate the same files on a larger input, if the network does not depend on its size.

    Raises:
        Fault: models diverge.
    """
    if re.search(r"\b(height|width)\b|input \{", text):
        return Counter()
    assert graph.input.height is not None and graph.input.width is not None
    high, wide = graph.input.height + _MORE[0], graph.input.width + _MORE[1]
    larger = re.sub(r"input \S+x\S+", f"input {high}x{wide}", text, count=1)
    try:
        other = compile_spec("random.inc", text=larger)
    except SpecError:
        return Counter()
    if other.tensors() != graph.tensors():
        return Counter()
    # A dense layer on a map has to know its size, also where several sizes end in the same one.
    fixed = any(
        node.op in ("dense", "flatten") and other.nodes[node.inputs[0]].shape.is_map
        for node in other.nodes
    )
    shape = (high, wide) if fixed else (None, None)
    given = {"keras": {"input_shape": (*shape, graph.input.channels)}}
    try:
        return climb(other, _with_arguments(graph, sources, given), (1,), seed)
    except Fault as fault:
        raise Fault("other size", f"{high}x{wide}: {fault}") from None


def climb_with_arguments(
    text: str, graph: Graph, sources: Mapping[str, str], given: Mapping[str, Any], seed: int
) -> Counter[str]:
    """Evaluate the same files with other arguments; files of their own for other constants.

    Raises:
        Fault: models diverge.
    """
    try:
        other = compile_spec("random.inc", given, text=text)
        changed = generated(other)
    except SpecError:
        return Counter()
    if {*given} <= {formal.name for formal in graph.program.network.parameters}:
        changed = _with_arguments(graph, sources, dict.fromkeys(sources, given))
    try:
        return climb(other, changed, (0, 1), seed)
    except Fault as fault:
        values = ", ".join(f"{name}={value}" for name, value in given.items())
        raise Fault("other arguments", f"{values}: {fault}") from None


def generated(graph: Graph) -> dict[str, str]:
    """The source text of every target.

    Raises:
        SpecError: one cannot express the network.
        Fault: a target fails.
    """
    from incgen.targets import TARGETS

    try:
        return {name: target.emit(graph) for name, target in TARGETS.items()}
    except SpecError:
        raise
    except Exception as error:
        raise Fault("build", place_of(error)) from error


def _with_arguments(
    graph: Graph, sources: Mapping[str, str], given: Mapping[str, Mapping[str, Any]]
) -> dict[str, str]:
    """Files whose model has other arguments where it is made without any."""
    name = graph.program.network.name
    made = {"torch": class_name(name), "keras": name}
    changed = dict(sources)
    for target, arguments in given.items():
        listed = "".join(f", {key}={value!r}" for key, value in arguments.items())
        line = f"{made[target]} = functools.partial({made[target]}{listed})"
        changed[target] = f"{sources[target]}\n\nimport functools\n\n{line}\n"
    return changed
