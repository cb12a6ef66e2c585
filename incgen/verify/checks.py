"""Checks of results that compare no numbers: shapes, types, counters, unchanged tensors."""

from __future__ import annotations

import numpy as np

from incgen.verify import training
from incgen.verify.models import Models
from incgen.verify.passes import PASSES, Pass
from incgen.verify.record import Limit, Record, Subject, usual_bar


class Incomparable(Exception):
    """The findings on a rung rule out further comparison."""

    def __init__(self, rung: int) -> None:
        super().__init__()
        self.rung = rung


def of_pass(pass_: Pass, models: Models, record: Record) -> None:
    """Check the results of a pass; raise `Incomparable` if an output has another shape."""
    if pass_.rung == 1:
        _shapes(pass_, models, record)
    if pass_.rung < 3:
        _types(pass_, models, record)
    if pass_.rung == 3 and pass_.given == "examples":
        _penalties(models, record)
    if pass_.rung == 4 and pass_.given == "examples":
        _counters(models, record)


def normalised(models: Models, values: int, batch: int | None = None) -> str:
    """Return the first normalisation over this many values per channel in training, or "".

    One number has no unbiased variance; see the language reference, `bn`.
    """
    for node in models.graph.nodes:
        pixels = (node.shape.height or 1) * (node.shape.width or 1)
        if node.op == "bn" and (batch or models.batch) * pixels == values:
            return node.path
    return ""


def _shapes(pass_: Pass, models: Models, record: Record) -> None:
    graph = models.graph_of(pass_)
    count = len(models.input(pass_))
    for output, number in graph.outputs.items():
        node = graph.nodes[number]
        sizes = (node.shape.channels, node.shape.height, node.shape.width)
        wanted = (count, *(size for size in sizes if size is not None))
        for name in models.names:
            found = models.results[pass_][name][node.path].shape
            if found != wanted:
                message = f"{name}: the output {output} has the shape {found}, not {wanted}"
                record.fault(Subject(1, "shape", ("spec", name)), node.path, message)
    if record.wrong(1):
        raise Incomparable(1)


def _types(pass_: Pass, models: Models, record: Record) -> None:
    for name in models.names_on(pass_.rung):
        for path, value in models.results[pass_][name].items():
            if value.dtype != models.dtype:
                message = f"{name}: the {pass_.what} is {value.dtype}, not {models.dtype}"
                record.fault(Subject(pass_.rung, "type", ("spec", name)), path, message)


def _penalties(models: Models, record: Record) -> None:
    """Compare the weight decay penalty: half of the sum of l2 * w ** 2."""
    total, _ = training.penalty(models.weights, training.decays(models.graph, None))
    for name in models.names_on(3):
        pair = np.asarray([total]), np.asarray([models.step(name).penalty])
        limit = Limit(usual_bar(models.dtype))
        record.array(Subject(3, "penalty", ("spec", name)), "", pair, limit)


def _counters(models: Models, record: Record) -> None:
    """Check that a step counts as one batch, in normalisations that count them."""
    for name in models.names_on(4):
        counted = models.step(name).counted
        for path, count in counted.items():
            if count != 1:
                message = f"{name}: a step of training counts as {count} batches"
                subject = Subject(4, "counter", ("spec", name))
                record.fault(subject, f"{path}.num_batches_tracked", message)
        if counted:
            record.same(4, "counters", name)


def repeated_evaluation(models: Models, record: Record) -> None:
    """Check that evaluation changes no state, and that a plain call gives the same."""
    other = models.batches[0]
    before = models.results[PASSES[0]]  # what they were loaded with gives
    for name in models.names:
        models.load(name)
        models.run(name, lambda r: r.evaluate(other))
        after = models.run(name, lambda r: r.called(models.x))
        for output, value in after.items():
            path = models.graph.nodes[models.graph.outputs[output]].path
            subject = Subject(1, "value of a plain call", (name, name))
            record.array(subject, path, (before[name][path], value))
        held = models.run(name, lambda r: r.facts()).tensors
        for key, value in models.weights.items():
            if not np.array_equal(held[key], value.astype(models.dtype)):
                message = f"{name}: it is not as it was loaded, after passes in evaluation"
                record.fault(Subject(1, "tensor", ("spec", name)), key, message)
                break
        else:
            record.same(1, "tensors", name)
