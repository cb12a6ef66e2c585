"""JAX: its settings, and functions that are compiled as a whole."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar

import jax

#: Compiles twice as fast; each program runs only a few times.
_HASTE = {
    "xla_llvm_disable_expensive_passes": True,
    "xla_cpu_parallel_codegen_split_count": 1,
    "xla_cpu_use_fusion_emitters": False,
}
#: How far a program is optimised, by whether it has gradients. Level 0 compiles three times as
#: fast; gradients are compiled at XLA's own level, at which users find them.
_LEVELS = {False: 0, True: 3}


def settings() -> dict[str, Any]:
    """Return the process settings of JAX, by name."""
    names = ["jax_default_matmul_precision", "jax_enable_x64", "jax_debug_nans", "jax_disable_jit"]
    names += ["jax_numpy_dtype_promotion", "jax_default_prng_impl", "jax_default_device"]
    return {name: getattr(jax.config, name) for name in names}


class Programs:
    """Compiled programs: functions that compute the same are compiled once, by any model."""

    #: Models with other arguments are others, of which most make their weights in the same way.
    _compiled: ClassVar[dict[tuple[str, bool], Callable[..., Any]]] = {}

    def run(self, function: Callable[..., Any], *given: Any, derived: bool = False) -> Any:
        """Return the result of a function, both trees of arrays."""
        return self.compiled(function, *given, derived=derived)(*given)

    def compiled(
        self, function: Callable[..., Any], *given: Any, derived: bool
    ) -> Callable[..., Any]:
        """Return a function that computes the same, for trees of arrays like these.

        `derived` says whether it computes gradients. Arrays from outside, such as masks of dropout,
        are inputs of what is compiled.
        """
        program, shapes = jax.make_jaxpr(function, return_shape=True)(*given)
        known = str(program.jaxpr), derived
        if known not in self._compiled:
            evaluated = partial(jax.core.eval_jaxpr, program.jaxpr)
            options = {**_HASTE, "xla_backend_optimization_level": _LEVELS[derived]}
            self._compiled[known] = jax.jit(evaluated, compiler_options=options)
        compiled = self._compiled[known]

        def run(*given: Any) -> Any:
            leaves = compiled(program.consts, *jax.tree.leaves(given))
            return jax.tree.unflatten(jax.tree.structure(shapes), leaves)

        return run

    def forget(self) -> None:
        """Free them, and what JAX has compiled besides."""
        self._compiled.clear()
        jax.clear_caches()
