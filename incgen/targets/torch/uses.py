"""Uses of units and blocks: constructor calls, with the arguments that each gives."""

from __future__ import annotations

from collections.abc import Mapping

from incgen.base.source import Span
from incgen.language.expressions import Expression
from incgen.language.initializers import Initializer
from incgen.resolve import definitions as df
from incgen.targets.shared.code import Code, Construct
from incgen.targets.shared.file import Form
from incgen.targets.shared.symbols import Symbol
from incgen.targets.shared.uses import border_of
from incgen.targets.shared.values import ONE, Args, Sides, window
from incgen.targets.shared.windows import SAME, padding
from incgen.targets.torch.code import Path, Start
from incgen.targets.torch.statements import Statements
from incgen.targets.torch.weights import kernels


class Calls(Statements):
    """Writes calls of constructors."""

    def constructor(self, instance: df.Instance, shape: Symbol, path: Path) -> Code:
        """Return the constructor call of a unit or block."""
        definition = instance.definition
        form = self.file.form(definition, shape.is_map)
        with self.known_at(instance.span):
            given = self.given(instance, shape)
            starts = self.kernel_starts(instance, shape, path)
        module = self.construct(form, given, shape, instance.span)
        return self.placed(module, starts, path, definition.name)

    def construct(
        self, form: Form, given: Mapping[str, Code], shape: Symbol, span: Span
    ) -> Construct:
        """Return a constructor call: the sizes of the input come first."""
        with self.known_at(span):
            own = {f"in_{axis}": axis for axis in ("channels", "height", "width")}
            sizes = [shape.size(own[s]) if s in own else given[s] for s in form.sizes]
        return self.call(form, given, sizes)

    def kernel_starts(self, instance: df.Instance, shape: Symbol, path: Path) -> list[Start]:
        """Return how the kernels of a unit's head begin, if a use says so.

        A use that stands in another unit says so for that unit; a use of that unit that says
        something else writes it itself, further out.
        """
        unit, init = instance.definition, instance.args.get("init")
        if unit.head is None or not isinstance(init, Initializer):
            return []
        everything = {**df.unit_defaults(unit), **self.said(instance, shape), "init": init}
        head = _head_path(unit)
        return [
            Start(path, (*head, *weight.path), weight)
            for weight in kernels(unit.head.name, everything)
        ]

    def border(self, unit: df.Definition, sides: Sides) -> Expression:
        """Return a border as a unit takes it."""
        return border_of(sides, self.file.unit_forms[unit])

    def handed_on(self, unit: df.Definition) -> Expression:
        """Return the padding that a unit gives one inside it: its own parameter."""
        form, outer = self.file.unit_forms[unit], self.unit
        if outer is not None and outer.same and outer.pad_sides < form.pad_sides:
            message = f"`{unit.name}` takes its border for height and width apart"
            self.unsupported(unit.span, message, "write the border of every use in pixels")
        return super().handed_on(unit)

    def known_padding(self, unit: df.Definition, args: Args) -> Expression:
        """Return the padding of one use of a unit, which is no parameter of words."""
        form, frame, dilation = self.file.unit_forms[unit], window(args), args.get("dilation", ONE)
        assert isinstance(dilation, Expression)
        found = padding(args.get("pad"), frame.kernel, frame.stride, dilation, odd=form.odd)
        if found.sides is not None:
            return self.border(unit, found.sides)
        if not form.same:
            message = f"`{unit.name}` cannot be given the padding `same` by a parameter here"
            self.unsupported(frame.span or unit.span, message, "write `same` where it is used")
        return SAME


def _head_path(unit: df.Definition) -> tuple[str, ...]:
    """Return the path of a unit's head op inside it."""
    step = unit.body.steps[0]
    assert isinstance(step, df.Step)
    first = step.element.elements[0] if isinstance(step.element, df.Chain) else step.element
    if isinstance(first, df.Instance):
        return (first.name, *_head_path(first.definition))
    assert isinstance(first, df.OpCall)
    return (first.name,)
