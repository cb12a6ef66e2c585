"""A network for inference from its training form: run passes until they find nothing more."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from incgen.base.diagnostics import Reporter, Severity
from incgen.deploy.edits import Pass, Rewrite, by_site, consistent
from incgen.deploy.passes import PASSES
from incgen.deploy.rewriting import UnplaceableError, fixed, rewritten, without_heads
from incgen.graph.changes import Change
from incgen.graph.elaborate import elaborate
from incgen.graph.nodes import Deployment, Done, Graph, Left
from incgen.resolve import definitions as df

_NOT_EACH = "its `repeat` has other iterations, for which it is not so"
_OTHER_KEYS = "the weights of other layers would get other keys"


def run_passes(graph: Graph, passes: Sequence[str] = tuple(PASSES)) -> Graph:
    """Return a network for inference that computes the same in evaluation.

    It is one network: what were parameters of the training form are numbers in it. Passes run in
    the order of `PASSES`, whatever that of their names is.
    """
    current = _elaborated(fixed(graph.program, graph.parameters))
    changes, left, done = list[Change](), list[Left](), list[Done]()
    for pass_ in (p for name, p in PASSES.items() if name in passes):
        run = _Run(pass_, current)
        run.run()
        current = run.graph
        changes += run.changes
        left += (Left(path, pass_.name, reason) for path, reason in run.left.items())
        done.append(Done(pass_.name, run.places, len(run.changes), current.costs()))
    made = Deployment(graph, tuple(done), tuple(changes), tuple(left))
    return replace(current, deployment=made)


class _Run:
    """A pass while it rewrites a network, again and again until it finds nothing more."""

    def __init__(self, made_by: Pass, graph: Graph) -> None:
        self.made_by, self.graph = made_by, graph
        self.places = 0
        self.changes: list[Change] = []
        self.left: dict[str, str] = {}

    def run(self) -> None:
        """Rewrite the network."""
        unplaceable = set[str]()
        while True:
            findings = self.made_by.find(self.graph)
            if not findings.heads:
                self._leave_out_heads(findings.changes)
            possible = [r for r in findings.rewrites if _path(self.graph, r) not in unplaceable]
            rewrites, refused = consistent(self.graph, possible)
            if not rewrites:
                self.left |= findings.left
                self.left |= {_path(self.graph, rewrite): _NOT_EACH for rewrite in refused}
                self.left |= dict.fromkeys(unplaceable, _OTHER_KEYS)
                return
            try:
                program = rewritten(self.graph.program, by_site(self.graph, rewrites))
            except UnplaceableError:
                fine = {id(rewrite) for rewrite in _placeable(self.graph, rewrites)}
                lone = [rewrite for rewrite in rewrites if id(rewrite) not in fine]
                unplaceable |= {_path(self.graph, rewrite) for rewrite in lone or rewrites}
                continue
            self.places += len(rewrites)
            self.changes += [change for rewrite in rewrites for change in rewrite.changes]
            self.graph = _elaborated(program)

    def _leave_out_heads(self, changes: Sequence[Change]) -> None:
        """Leave out the heads, if the others still make a network."""
        _, *heads = self.graph.outputs.values()
        report = Reporter()
        graph = elaborate(without_heads(self.graph.program), {}, report)
        if graph is None:  # an `if` that is not taken names a layer that only a head needs
            why = next(d.message for d in report.diagnostics if d.severity is Severity.ERROR)
            reason = f"without heads {why}"
            self.left |= {self.graph.nodes[head].path: reason for head in heads}
            return
        self.places += len(heads)
        self.changes += changes
        self.graph = graph


def _placeable(graph: Graph, rewrites: list[Rewrite]) -> list[Rewrite]:
    """Return the steps that can be taken, in few attempts if only few cannot."""
    try:
        rewritten(graph.program, by_site(graph, rewrites))
    except UnplaceableError:
        half = len(rewrites) // 2
        if not half:
            return []
        return [*_placeable(graph, rewrites[:half]), *_placeable(graph, rewrites[half:])]
    return rewrites


def _path(graph: Graph, rewrite: Rewrite) -> str:
    """Return the path of the layer that a step is about."""
    return graph.nodes[next(iter(rewrite.edits))].path


def _elaborated(program: df.Program) -> Graph:
    report = Reporter()
    graph = elaborate(program, {}, report)
    assert graph is not None, [fault.message for fault in report.diagnostics]
    return graph
