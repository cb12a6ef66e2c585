"""JAX: its settings, and functions that are compiled as a whole."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar

import jax

#: Compiles twice as fast; each program runs only a few times. At level 0, which is faster still, a
#: maximum can differ from each of its elements by rounding, and its gradient is NaN then.
_HASTE = {
    "xla_backend_optimization_level": 1,
    "xla_llvm_disable_expensive_passes": True,
    "xla_cpu_parallel_codegen_split_count": 1,
    "xla_cpu_use_fusion_emitters": False,
}


def settings() -> dict[str, Any]:
    """Return the process settings of JAX, by name."""
    names = ["jax_default_matmul_precision", "jax_enable_x64", "jax_debug_nans", "jax_disable_jit"]
    names += ["jax_numpy_dtype_promotion", "jax_default_prng_impl", "jax_default_device"]
    return {name: getattr(jax.config, name) for name in names}


class Programs:
    """Compiled programs: functions that compute the same are compiled once, by any model."""

    #: Models with other arguments are others, of which most make their weights in the same way.
    _compiled: ClassVar[dict[str, Callable[..., Any]]] = {}

    def run(self, function: Callable[..., Any], *given: Any) -> Any:
        """Return the result of a function, both trees of arrays.

        Arrays from outside, such as masks of dropout, are inputs of what is compiled.
        """
        program, shapes = jax.make_jaxpr(function, return_shape=True)(*given)
        text = str(program.jaxpr)
        if text not in self._compiled:
            evaluated = partial(jax.core.eval_jaxpr, program.jaxpr)
            self._compiled[text] = jax.jit(evaluated, compiler_options=_HASTE)
        found = self._compiled[text](program.consts, *jax.tree.leaves(given))
        return jax.tree.unflatten(jax.tree.structure(shapes), found)

    def forget(self) -> None:
        """Free them, and what JAX has compiled besides."""
        self._compiled.clear()
        jax.clear_caches()
