"""PyTorch's own parts of a class: initialisation in place, weight decay, final attributes."""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import replace
from functools import cached_property

from incgen.language import expressions as ex
from incgen.language.expressions import Expression
from incgen.language.initializers import Initializer
from incgen.resolve import definitions as df
from incgen.targets.shared.classes.code import Layer, Path, own
from incgen.targets.shared.classes.scope import Scope
from incgen.targets.shared.classes.writer import ClassWriter
from incgen.targets.shared.code import Bind, Branches, Code, Node, Op, Run
from incgen.targets.shared.file import File
from incgen.targets.shared.symbols import Symbol
from incgen.targets.shared.units import Place
from incgen.targets.shared.values import TRUE, ZERO
from incgen.targets.shared.writer import Flow
from incgen.targets.torch.ops import layer
from incgen.targets.torch.weights import Key, Start, kernels

#: The comment on a scale that is written out.
_BOUND = "Glorot uniform; each filter sees one channel"


class TorchWriter(ClassWriter):
    """Writes one class of PyTorch.

    PyTorch initialises parameters in place, once their module exists. A module inside another
    that needs it gets a variable: `conv = nn.Conv2d(...)`, its initialisation, and then the
    module that contains `conv`.
    """

    gives_starts = False

    def __init__(
        self,
        file: File,
        name: str,
        definition: df.Definition,
        is_map: bool,
        owner: Scope | None = None,
    ) -> None:
        super().__init__(file, name, definition, is_map, owner)
        self.starts: list[Start] = []  # of the module that becomes an attribute
        self.rates: list[tuple[Key, Expression]] = []

    # ------------------------------------------------------------ values

    def applied(self, op: Op, flow: Flow, shape: Symbol) -> Flow:
        """Return an op as a function of a value; a ReLU overwrites what nothing else needs."""
        if op.name == "relu" and flow.fresh:
            op = replace(op, name="relu_in_place")
        return super().applied(op, flow, shape)

    # ------------------------------------------------------------ modules

    def op_layer(self, call: df.OpCall, args: dict[str, df.ArgumentValue], place: Place) -> Layer:
        if place.unit is not None and "init" in place.unit.args:
            args["init"] = call.args["init"]  # a use that sets another applies it itself
        return layer(call.op.name, args, place)

    def op_module(self, layer: Layer, path: Path, name: str) -> Code:
        starts = [Start(path, weight.path, weight) for weight in layer.weights]
        return self.begun(super().op_module(layer, path, name), starts, path, name)

    def constructor(self, instance: df.Instance, shape: Symbol, path: Path) -> Code:
        module = super().constructor(instance, shape, path)
        with self.known_at(instance.span):
            starts = self.kernel_starts(instance, shape, path)
        return self.begun(module, starts, path, instance.definition.name)

    def kernel_starts(self, instance: df.Instance, shape: Symbol, path: Path) -> list[Start]:
        """Return how the kernels of a unit's head are initialised if a use sets that.

        A use inside another unit sets it for that unit; a use of that unit that sets another
        applies it itself, further out.
        """
        unit, init = instance.definition, instance.args.get("init")
        if unit.head is None or not isinstance(init, Initializer):
            return []
        everything = {**unit.defaults, **self.said(instance, shape), "init": init}
        head = _head_path(unit)
        return [
            Start(path, (*head, *weight.path), weight)
            for weight in kernels(unit.head.name, everything)
        ]

    # ------------------------------------------------------------ how parameters are initialised

    def begun(self, module: Code, starts: Sequence[Start], path: Path, name: str) -> Code:
        """Return a module for its place, with statements that initialise its parameters.

        Args:
            module: The module, or a variable that holds it.
            starts: How its parameters are initialised.
            path: The path of the place.
            name: The name of the variable if the path ends in none.
        """
        if self.graph.deployment is not None:
            return module  # its weights are never the initial ones
        if not self.nested:
            self.starts += starts  # once it is an attribute
            return module
        if not starts:
            return module
        if not isinstance(module, ex.Name):
            module = self.in_variable(module, path, name)
        self.begin(module.text, starts)
        return module

    def attribute(self, name: str, module: Code, *, mixed: bool = False) -> None:
        """Write `self.name = module`, and initialise its parameters."""
        super().attribute(name, module, mixed=mixed)
        self.begin(own(name).text, self.starts)
        self.starts.clear()

    def begin(self, module: str, starts: Sequence[Start]) -> None:
        """Write how the parameters of a module are initialised, and their weight decay."""
        for start in starts:
            weight, begin = start.weight, start.weight.begin
            tensor = ex.Name(".".join((module, *start.inner)))
            if begin.name == "glorot_uniform" and isinstance(begin.args["scale"], Expression):
                bound = self.local((), "bound", "a number")
                self.busy.discard(bound)
                self.init.append(Bind(bound, begin.args["scale"], comment=_BOUND))
                begin = Op(begin.name, {"scale": ex.Name(bound)})
            statements: tuple[Node, ...] = (Run(replace(begin, value=tensor)),)
            if not weight.known or weight.condition != TRUE:
                statements = (Branches(((Op("present", {"value": tensor}), statements),)),)
            self.init += statements
            if weight.l2 != ZERO:
                self.decay(Key((*start.path, *start.inner)), weight.l2)

    # ------------------------------------------------------------ weight decay

    def decay(self, key: Key, rate: Expression) -> None:
        """Set the weight decay of a kernel."""
        self.rates.append((key, rate))
        if self.decays_in_place:
            self.init.append(Op("decay", {"key": key, "rate": rate}))

    @cached_property
    def decays_in_place(self) -> bool:
        """Return whether conditions or loops set weight decay, so that no one dictionary does."""
        return any(
            isinstance(inner, df.OpCall) and inner.args.get("l2", ZERO) != ZERO
            for element in self.definition.elements
            if isinstance(element, df.Conditional | df.Repeat)
            for inner in df.within(element)
        )

    def constructor_body(self) -> tuple[list[Node], Container[str]]:
        if self.rates and self.decays_in_place:
            self.init.insert(0, Op("decays", {"rates": ()}))
        elif self.rates:
            self.init.append(Op("decays", {"rates": tuple(self.rates)}))
        return super().constructor_body()

    def declarations(self) -> tuple[Node, ...]:
        """Return the types of attributes: TorchScript prunes branches by those that are final."""
        finals = [Op("final", {"name": name, "type": type_}) for name, type_ in self.finals.items()]
        mixed = [Op("declared", {"name": name, "hint": "module"}) for name in sorted(self.mixed)]
        rates = [Op("declared", {"name": "weight_decay", "hint": "rates"})]
        return (*finals, *mixed, *(rates if self.rates and self.decays_in_place else ()))


def _head_path(unit: df.Definition) -> tuple[str, ...]:
    """Return the path of a unit's head op inside it."""
    head = df.head_of(unit)
    if isinstance(head, df.Instance):
        return (head.name, *_head_path(head.definition))
    return (head.name,)
