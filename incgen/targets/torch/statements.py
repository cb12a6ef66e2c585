"""Statements of a constructor: attributes, variables for what they hold, how parameters begin."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TypeVar

from incgen.language import expressions as ex
from incgen.language.expressions import Expression
from incgen.targets.shared.code import BOOL, Bind, Branches, Code, Node, Op, Run, parameters_in
from incgen.targets.shared.values import TRUE, ZERO
from incgen.targets.torch.code import Key, Path, Start, assigned, hint_of, is_nested, kind_of, own
from incgen.targets.torch.scope import Scope

T = TypeVar("T")
#: What is said of a scale that is written out.
_BOUND = "Glorot's, with the fans of a single channel"


class Statements(Scope):
    """Writes the statements of a constructor.

    A module whose parameters are begun in a way of their own, and that stands inside another,
    has a variable: `conv = nn.Conv2d(...)`, then what begins it, then what holds `conv`.
    """

    # ------------------------------------------------------------ attributes

    def attribute(self, name: str, module: Code, *, mixed: bool = False) -> None:
        """Write `self.name = module`, and how its parameters begin.

        Args:
            name: of the attribute.
            module: its constructor.
            mixed: whether other places give it modules of other kinds.
        """
        kind = kind_of(module)
        known = self.kinds.setdefault(name, "" if mixed else kind)
        if self.level and known and known != kind:
            self.mixed.add(name)
        target = own(name).text
        self.init += assigned(target, module, "module" if mixed else hint_of(module))
        self.begin(target, self.starts)
        self.starts.clear()
        self.busy.clear()

    def append(self, module: Code) -> None:
        """Write `self.append(module)`."""
        self.init.append(Op("append", {"target": "self", "module": module}))
        self.busy.clear()

    # ------------------------------------------------------------ what stands inside a module

    @contextmanager
    def inside(self) -> Iterator[None]:
        """Write what stands inside another module."""
        self.nested += 1
        yield
        self.nested -= 1

    def apart(self, build: Callable[[], T]) -> tuple[T, list[Node]]:
        """Return what a function gives, and the statements that it wrote for it."""
        outer, self.init = self.init, []
        result = build()
        written, self.init = self.init, outer
        return result, written

    def placed(self, module: Code, starts: Sequence[Start], path: Path, name: str) -> Code:
        """Return a module for its place: itself, or the variable that it needs there.

        Args:
            module: its constructor.
            starts: how its parameters begin.
            path: of the place.
            name: what the module is called where the place has no name.
        """
        if not self.nested:
            self.starts += starts
            return module
        if not starts and not is_nested(module):
            return module
        hint = hint_of(module)
        variable = self.local(path, name, hint or kind_of(module))
        self.init += assigned(variable, module, self.new_hint(variable, hint))
        self.begin(variable, starts)
        return ex.Name(variable)

    def local(self, path: Path, name: str, kind: object) -> str:
        """Take a variable for a module at a path; one that another attribute has used will do."""
        wanted = (*path[-1:], name)
        names = (each for each in wanted if isinstance(each, str) and each.isidentifier())
        base = next(names, "layer")
        used = self.locals.setdefault((base, kind), [])
        variable = next((known for known in used if known not in self.busy), None)
        if variable is None:
            variable = self.variables.take(base, joint="")
            used.append(variable)
        self.busy.add(variable)
        return variable

    def new_hint(self, variable: str, hint: str) -> str:
        """Return the type of a variable, to be said where it is first assigned."""
        if variable in self.hinted:
            return ""
        self.hinted |= {variable} if hint else set()
        return hint

    # ------------------------------------------------------------ how parameters begin

    def begin(self, module: str, starts: Sequence[Start]) -> None:
        """Write how the parameters of a module begin, and their weight decay."""
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
            if weight.l2 == ZERO:
                continue
            self.decaying = self.file.decaying = True
            key = Key((*start.path, *start.inner))
            if self.in_place:
                self.init.append(Op("decay", {"key": key, "rate": weight.l2}))
            else:
                self.rates.append((key, weight.l2))

    # ------------------------------------------------------------ conditions

    def flag(self, condition: Expression, name: str = "condition") -> Expression:
        """Return a condition for `forward`: Final attributes, by which TorchScript prunes.

        Args:
            condition: on parameters.
            name: of the attribute, where the condition is no parameter itself.
        """
        if isinstance(condition, ex.Unary) and condition.operator == "not":
            return ex.Unary("not", self.flag(condition.operand, name))
        if isinstance(condition, ex.Parameter):
            attribute = self.attribute_of(condition.name)
            self.stored[attribute] = condition
            self.finals[attribute] = self.type(condition.name)
            return own(attribute)
        flags = {name for name in parameters_in(condition) if self.type(name) == BOOL}
        condition = ex.as_truth(condition, flags)
        for attribute, known in self.stored.items():
            if known == condition:
                return own(attribute)
        attribute = self.attributes.take(name, joint="")
        self.stored[attribute], self.finals[attribute] = condition, BOOL
        return own(attribute)
