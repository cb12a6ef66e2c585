"""Forms of generated Flax modules: compiled, split and merged, exported."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
from flax import nnx

from incgen.verify.runners.flax import FlaxRunner
from incgen.verify.runners.results import Form
from incgen.weights.checkpoint import Array


def forms(runner: FlaxRunner, folder: Path, x: Array) -> Iterator[Form]:
    """Yield the forms of a model, for an input (N, C, H, W)."""
    model = runner.model
    model.eval()
    jitted = nnx.jit(lambda model, y: model(y))

    def merged() -> Any:
        return nnx.merge(*nnx.split(model))

    def exported() -> dict[str, Array]:
        graph, state = nnx.split(model)
        pure = jax.jit(lambda y: nnx.merge(graph, state)(y))
        program = jax.export.export(pure)(
            jax.ShapeDtypeStruct(runner.tensor(x).shape, runner.dtype)
        )
        loaded = jax.export.deserialize(program.serialize())
        return runner.main_output(loaded.call, x)

    yield Form("nnx.split and merge", lambda: runner.main_output(merged(), x))
    yield Form("nnx.jit", lambda: runner.main_output(lambda y: jitted(model, y), x))
    yield Form("jax.export", exported)
