"""Generated classes: any size of input, and a `NamedTuple` of outputs in training."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, ExitStack, nullcontext
from types import ModuleType
from typing import Any, ClassVar

from incgen.base.diagnostics import listed
from incgen.verify.figures import Docs
from incgen.verify.lines import arguments_of, seen_by_object
from incgen.verify.runners.base import Runner
from incgen.verify.runners.results import RunFault, Values
from incgen.weights.checkpoint import Array


class ClassRunner(Runner):
    """A generated class."""

    kind: ClassVar[type]  #: What an output is, as a type of the framework
    word: ClassVar[str]  #: The same in messages
    base: ClassVar[type]  #: What every module is
    stock: ClassVar[tuple[type, ...]]  #: Classes of the framework that make modules in the file
    has_channels_last: ClassVar[bool] = False  #: Whether shapes in docstrings are (N, H, W, C)
    in_training: ClassVar[tuple[str, bool]]  #: The attribute by which a module knows that it is
    docs = Docs("", {})

    def constructed(self) -> Any:
        """Return the object that the constructor of the class made."""
        return self.model

    @abstractmethod
    def modules(self, model: Any) -> list[tuple[str, Any]]:
        """Return the modules inside a model by their paths."""

    @abstractmethod
    def array(self, value: Any) -> Array:
        """Return a copy of a value, channels first."""

    def arrays(self, values: Mapping[str, Any]) -> dict[str, Array]:
        """Return copies of values, channels first."""
        return {name: self.array(value) for name, value in values.items()}

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
        named = dict(self.modules(self.constructed()))
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

    def evaluate(self, x: Array, *, inputs: bool = False) -> Values:
        self.model.eval()
        before = self.counters()
        with self.kept("evaluation"):
            values = self.values(x, inputs, heads=False)
            if len(self.graph.outputs) > 1:
                # Only the network itself asks whether it is in training.
                setattr(self.model, *self.in_training)
                values = values.before(self.values(x, inputs, heads=True))
                self.model.eval()
        if self.counters() != before:
            raise RunFault("it counts batches in evaluation mode")
        return values

    @abstractmethod
    def values(self, x: Array, inputs: bool, *, heads: bool) -> Values:
        """Run the model as it is set, without gradients."""

    def recorded(
        self, x: Any, inputs: bool, *, heads: bool = True
    ) -> tuple[dict[str, Any], Values]:
        """Return the outputs, with or without heads, and the output of every module."""
        places: dict[str, Array] = {}
        taken: dict[str, tuple[Array, ...]] = {}

        def keeping(path: str, module: Any, call: Callable[..., Any]) -> Callable[..., Any]:
            place = self.places.name_of(path)

            def kept(*given: Any, **named: Any) -> Any:
                output = call(*given, **named)
                if place is not None and isinstance(output, self.kind):
                    places[place] = self.array(output)  # at once: it may be changed in place
                    if inputs:
                        values = (value for value in given if isinstance(value, self.kind))
                        taken[place] = tuple(map(self.array, values))
                return output

            return kept

        with self.calling(self.modules(self.model), keeping):
            outputs = self.named(self.model(x), heads=heads)
        return outputs, Values(self.arrays(outputs), places, taken)

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
