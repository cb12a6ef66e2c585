"""Options and fixtures that all tests share."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Iterator, Sequence
from functools import cache

import pytest

from incgen.targets.shared import formatting, render
from incgen.weights.readers import apart

# Test networks are so small that the threads of a pass mostly wait for each other, and there is a
# process per core. Frameworks read this on import, and child processes inherit it.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# Most programs that JAX compiles run once, so they are compiled in haste, which takes a quarter of
# the time. At level 0, which is faster still, the gradient of a maximum can be NaN.
HASTE = ("backend_optimization_level=1", "llvm_disable_expensive_passes=true")
HASTE += ("cpu_parallel_codegen_split_count=1", "cpu_use_fusion_emitters=false")
os.environ.setdefault("XLA_FLAGS", " ".join(f"--xla_{flag}" for flag in HASTE))

#: This many modules at once must be a framework.
_MANY = 200
_modules = 0


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update-goldens",
        action="store_true",
        help="write what is expected anew from what comes out; read the diff before committing it",
    )


@pytest.fixture
def update_goldens(request: pytest.FixtureRequest) -> bool:
    """Return whether to rewrite the expected files."""
    return bool(request.config.getoption("--update-goldens"))


@pytest.fixture(autouse=True, scope="session")
def tensorflow_is_started_once() -> Iterator[None]:
    """Read all checkpoints of TensorFlow in one process, as long as it does not crash."""
    with apart.reused("tensorflow"):
        yield


@pytest.fixture(autouse=True, scope="session")
def a_text_is_formatted_once() -> Iterator[None]:
    """Keep the layout of each generated text: most tests generate what others have generated."""
    kept = cache(formatting.formatted)

    def formatted(source: str, width: int, beside: Sequence[str] = ()) -> str:
        # without processes it is another function
        once = kept if formatting.PROCESSES else formatting.formatted
        return once(source, width, tuple(beside))

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(render, "formatted", formatted)
        yield


def pytest_runtest_setup() -> None:
    """Exclude the frameworks from garbage collection: every verification ends with a full one."""
    global _modules
    if len(sys.modules) > _modules + _MANY:
        _modules = len(sys.modules)
        gc.collect()
        gc.freeze()
