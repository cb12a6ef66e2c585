"""Deployed forms: each pass alone, and all together, must compute what the training form does.

It is asked twice. The rewritten graph with weights folded by `weights/folding.py` is computed in
NumPy, which says whether the algebra of a pass holds; and each target's file is generated, run, and
loaded as its users do, from the weights file of the training form.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from incgen.api import find_targets
from incgen.base.diagnostics import SpecError
from incgen.deploy.deploying import run_passes
from incgen.graph.nodes import Graph, Node
from incgen.inference import stem_of
from incgen.language.ops import ACTIVATIONS
from incgen.targets import ONNX
from incgen.targets.shared.style import Style
from incgen.verify import drawing, measure
from incgen.verify.models import Failure, Models
from incgen.verify.record import Limit, Record, Subject
from incgen.verify.reference import Reference
from incgen.verify.report import Place
from incgen.verify.runners import RUNNERS
from incgen.weights.checkpoint import Array
from incgen.weights.folding import folded

#: The name of the form that all passes make.
ALL = "all passes"
#: Stands for the network's own output, whose layer may have another path.
_OUTPUT = ""


@dataclass(frozen=True, slots=True)
class Forms:
    """The deployed forms to compare: those of each pass alone, and that of all."""

    passes: Sequence[str]  #: The names of the passes
    #: The source texts of the form that all passes make, by target, instead of generated ones
    sources: Mapping[str, str] = field(default_factory=dict)
    style: Style | None = None  #: How the generated ones are written


class Deployed:
    """Compares the deployed forms of a network with its training form, in evaluation."""

    def __init__(self, models: Models, record: Record, forms: Forms) -> None:
        self.models, self.record = models, record
        self.forms = forms

    def climb(self) -> None:
        """Compare each form, up to the first that differs."""
        x = self.models.x[: drawing.EXAMPLES]
        stated = dict(self._values(self.models.graph, self.models.weights, x))
        for name, graph in self._forms():
            self._stated(name, graph, x, stated)
            for target in () if self.record.wrong(1) else self.models.names:
                self._run(name, graph, target, x, stated)
            if self.record.wrong(1):
                return

    def _forms(self) -> Iterator[tuple[str, Graph]]:
        """Yield the forms by name: those of single passes that do anything, and that of all."""
        graph = self.models.graph
        whole = run_passes(graph, self.forms.passes)
        assert whole.deployment is not None
        useful = [pass_.name for pass_ in whole.deployment.passes if pass_.places]
        for name in useful if len(useful) > 1 else ():
            yield name, run_passes(graph, [name])
        yield ALL, whole

    def _values(
        self, graph: Graph, weights: Mapping[str, Array], x: Array
    ) -> Iterator[tuple[str, Array]]:
        """Yield what no pass changes: the values of activations, and the network's output."""
        first = graph.nodes[next(iter(graph.outputs.values()))].path
        kept = {node.path for node in graph.nodes if _is_kept(node)} | {first}
        with np.errstate(all="ignore"):  # what is not finite is a result like others
            for path, value in Reference(graph, weights).values(x):
                if path in kept:
                    yield _OUTPUT if path == first else path, value

    def _stated(self, name: str, graph: Graph, x: Array, stated: Mapping[str, Array]) -> None:
        """Compare a form in NumPy, where the place is known at which it begins to differ."""
        values = dict(self._values(graph, folded(graph, self.models.weights), x))
        self._compare(name, "NumPy", values, stated)

    def _run(
        self, name: str, graph: Graph, target: str, x: Array, stated: Mapping[str, Array]
    ) -> None:
        """Compare a form in a target."""
        source = self.forms.sources.get(target, "") if name == ALL else ""
        try:
            if target != ONNX and not source:
                (made,) = find_targets([target], self.forms.style)
                source = made.emit(graph)
            runner = RUNNERS[target].make(graph, source, self.models.dtype)
            runner.build()
            runner.load(self.models.file())
            value = runner.called(x)[next(iter(graph.outputs))]
        except SpecError as error:
            reason = f"{target} cannot express the form of {name}: {error.diagnostics[0].headline}"
            self.record.omit(1, reason)
            return
        except Exception as error:
            self._failed(Failure(target, error), graph, source, name)
            return
        self._compare(name, target, {_OUTPUT: value}, stated)

    def _failed(self, failure: Failure, graph: Graph, source: str, name: str) -> None:
        """Record that a form failed, with the line of its own source."""
        place = None
        if failure.line is not None:
            file = f"{stem_of(graph)}_{failure.target}.py"
            text = source.split("\n")[failure.line - 1].strip()
            place = Place(file, failure.line, text)
        self.record.failure(1, failure, f"output deployed by {name}", place)

    def _compare(
        self, name: str, side: str, computed: Mapping[str, Array], stated: Mapping[str, Array]
    ) -> None:
        graph = self.models.graph
        last = graph.nodes[next(iter(graph.outputs.values()))].path
        subject = Subject(1, f"value deployed by {name}", ("spec", side))
        limit = Limit(measure.EVALUATION)
        pairs = [
            {last if path == _OUTPUT else path: values[path] for path in computed.keys() & stated}
            for values in (stated, computed)
        ]
        self.record.arrays(subject, (pairs[0], pairs[1]), limit)


def _is_kept(node: Node) -> bool:
    """Return whether no pass changes a value or its path: the number in a chain may change."""
    return node.op in ACTIVATIONS and not node.path.rpartition(".")[2].isdecimal()
