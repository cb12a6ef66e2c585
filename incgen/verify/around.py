"""The inputs and outputs of a diverging place, for each side, saved as files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from io import BytesIO
from pathlib import Path

import numpy as np

from incgen.base.files import replace
from incgen.verify.models import Models
from incgen.verify.passes import Pass
from incgen.verify.report import Divergence
from incgen.weights.checkpoint import Array


def save(
    folder: Path,
    divergence: Divergence,
    models: Models,
    last: Pass | None,
    forms: Mapping[str, dict[str, Array]],
) -> None:
    """Write a NumPy file for each side: the models, the spec, or a form of a model.

    The frameworks of the models are in the type of the divergence. `last` is the pass that was run
    last; `forms` holds the results of a model and of a form that differs from it, or those of each
    side of a training step.

    Raises:
        OutputError: A file cannot be written.
    """
    place = divergence.path.replace("/", ".") or "network"
    for side, arrays in _sides(divergence.rung, divergence.path, models, last, forms):
        if arrays:
            data = BytesIO()
            np.savez(data, **arrays)  # type: ignore[arg-type]
            file = folder / f"{models.dtype}_rung{divergence.rung}_{place}_{side}.npz"
            replace(file, data.getvalue())


def _sides(
    rung: int,
    path: str,
    models: Models,
    last: Pass | None,
    forms: Mapping[str, dict[str, Array]],
) -> Iterator[tuple[str, dict[str, Array]]]:
    if rung == 0:
        for name, facts in models.facts.items():
            yield name, {"initial_value": facts.tensors[path]} if path in facts.tensors else {}
    elif forms:
        yield from forms.items()
    elif last is not None and last.rung == rung and last in models.results:
        what = "output" if rung < 3 else last.what.replace(" ", "_")
        layer = path if rung < 3 else path.rpartition(".")[0]
        for name in models.names_on(rung):
            result = models.results[last][name]
            arrays = {what: result[path]} if path in result else {}
            # the inputs of a layer in training, if the pass itself is not a single forward pass
            taken = models.taken(last, name, layer) if rung < 5 else ()
            yield name, {**arrays, **{f"input_{i}": value for i, value in enumerate(taken)}}
        stated = models.stated(last) if last.stated and models.dtype == "float64" else {}
        yield "spec", {what: stated[path]} if path in stated else {}
