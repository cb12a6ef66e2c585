"""Generated classes: any size of input, and a `NamedTuple` of outputs in training."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any, ClassVar

from incgen.base.diagnostics import listed
from incgen.verify.runners.base import Runner
from incgen.verify.runners.results import RunFault


class ClassRunner(Runner):
    """A generated class.

    Attributes:
        kind: What an output is, as a type of the framework.
        word: The same in messages.
    """

    kind: ClassVar[type]
    word: ClassVar[str]

    def sized(self, height: int | None, width: int | None) -> AbstractContextManager[None]:
        return nullcontext()  # a module takes any input size

    def named(self, result: Any, *, heads: bool = True) -> dict[str, Any]:
        """Return the outputs of a model by name.

        Raises:
            RunFault: These are not the outputs of the network.
        """
        names = list(self.graph.outputs)
        if len(names) == 1 or not heads:
            if not isinstance(result, self.kind):
                raise RunFault(f"the output is a {type(result).__name__}, not {self.word}")
            return {names[0]: result}
        if isinstance(result, self.kind):
            raise RunFault(f"the output with heads is {self.word}, not {listed(names)}")
        found: dict[str, Any] = result._asdict()
        if list(found) != names:
            raise RunFault(f"the outputs with heads are {listed(list(found))}, not {listed(names)}")
        return found
