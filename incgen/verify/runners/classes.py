"""Generated classes: any size of input, and a `NamedTuple` of outputs in training."""

from __future__ import annotations

from abc import abstractmethod
from contextlib import AbstractContextManager, ExitStack, nullcontext
from types import ModuleType
from typing import Any, ClassVar

from incgen.base.diagnostics import listed
from incgen.verify.figures import Docs
from incgen.verify.lines import arguments_of, seen_by_object
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
    base: ClassVar[type]  #: What every module is
    stock: ClassVar[tuple[type, ...]]  #: Classes of the framework that make modules in the file
    has_channels_last: ClassVar[bool] = False  #: Whether shapes in docstrings are (N, H, W, C)
    docs = Docs("", {})

    @abstractmethod
    def modules(self) -> list[tuple[str, Any]]:
        """Return the modules that were made, except the model itself, by their paths."""

    def make_model(self, module: ModuleType) -> None:
        own = [member for member in vars(module).values() if isinstance(member, type)]
        own = [e for e in own if issubclass(e, self.base) and e.__module__ == module.__name__]
        seen: dict[int, int] = {}
        given: dict[int, dict[str, Any]] = {}
        with ExitStack() as stack:
            for cls in (*own, *self.stock):
                if "__init__" in cls.__dict__:
                    stack.enter_context(seen_by_object(cls, module.__file__ or "", seen))
            stack.enter_context(arguments_of(own, given))
            stack.enter_context(self.kept("making the model", drawn=True))
            self.model = self.fresh()
        named = dict(self.modules())
        blocks = {
            path: (type(submodule).__doc__ or "", given[id(submodule)])
            for path, submodule in named.items()
            if id(submodule) in given
        }
        self.docs = Docs(module.__doc__ or "", blocks, self.has_channels_last)
        self.lines = {
            path: seen[id(submodule)] for path, submodule in named.items() if id(submodule) in seen
        }

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
        outputs: dict[str, Any] = result._asdict()
        if list(outputs) != names:
            raise RunFault(
                f"the outputs with heads are {listed(list(outputs))}, not {listed(names)}"
            )
        return outputs
