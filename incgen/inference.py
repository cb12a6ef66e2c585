"""The form of a network for inference, as users ask for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from incgen.base.diagnostics import clipped, listed
from incgen.base.help import near
from incgen.compiling import RequestError
from incgen.graph.nodes import Graph

#: Whether to make a deployed form, or the names of the passes that make it.
Deploy: TypeAlias = bool | Sequence[str]


def find_passes(only: Sequence[str] = (), without: Sequence[str] = ()) -> tuple[str, ...]:
    """Return the names of the passes of a deployment, in the order in which they run.

    Args:
        only: The passes to choose from; all if there are none.
        without: Those that are left out.

    Raises:
        RequestError: There is no such pass.
    """
    from incgen.deploy.passes import PASSES

    for name in (*only, *without):
        if name not in PASSES:
            offer = near(name, PASSES) or f"the passes are {listed([*PASSES])}"
            raise RequestError(f"there is no pass `{clipped(name)}`: {offer}")
    return tuple(name for name in PASSES if name in (only or PASSES) and name not in without)


def passes_of(deploy: Deploy) -> tuple[str, ...]:
    """Return the names of the passes that make a form, in the order in which they run.

    Raises:
        RequestError: There is no such pass.
    """
    if deploy is True:
        return find_passes()
    return find_passes(deploy) if deploy else ()  # to choose from none would mean from all


def deployed(graph: Graph, passes: Deploy = True) -> Graph:
    """Return the form of a network for inference, which computes the same in evaluation.

    It has no parameters: it is the network of one choice of them. Its `deployment` says what has
    been done.

    Args:
        graph: The training form, as `compile_spec` returns it.
        passes: Whether to run the passes, or the names of those to run.

    Raises:
        RequestError: There is no such pass.
    """
    from incgen.deploy.deploying import run_passes

    return run_passes(graph, passes_of(passes))


def formed(graph: Graph, deploy: Deploy) -> Graph:
    """Return the form of a network that is asked for."""
    return graph if deploy is False else deployed(graph, deploy)


def stem_of(graph: Graph) -> str:
    """Return the beginning of the names of a network's files: a deployed form has its own."""
    return f"{graph.program.network.name}{'_deployed' if graph.deployment is not None else ''}"
