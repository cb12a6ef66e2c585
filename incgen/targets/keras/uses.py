"""Uses of units and blocks in Keras: the parameters of their functions, and the arguments."""

from __future__ import annotations

from incgen.language import expressions as ex
from incgen.language.expressions import Expression
from incgen.resolve import definitions as df
from incgen.targets.keras.code import Title
from incgen.targets.keras.ops import COUNTED
from incgen.targets.keras.padding import (
    begins_with_pool,
    is_pointwise,
    unit_border,
    unit_padding,
    usual_padding,
)
from incgen.targets.keras.scope import Scope
from incgen.targets.shared.code import Formal, Type
from incgen.targets.shared.file import Parameter
from incgen.targets.shared.symbols import Symbol
from incgen.targets.shared.units import UnitForm
from incgen.targets.shared.uses import Given
from incgen.targets.shared.values import ZERO, Args, Sides, one_of_equal
from incgen.targets.shared.windows import PADDING, SAME, VALID
from incgen.targets.shared.writer import Flow


class Calls(Scope):
    """Writes calls of functions."""

    counted = COUNTED

    # ------------------------------------------------------------ what functions take

    def formulas(self) -> dict[str, Expression]:
        """Return the defaults of a block that are formulas, which its function computes."""
        parameters = self.definition.parameters if self.definition.kind == "block" else ()
        return {
            formal.name: formal.default
            for formal in parameters
            if formal.default is not None and not isinstance(formal.default, ex.Literal)
        }

    def formals(self) -> list[Parameter]:
        """Return the parameters of the definition with their defaults; those without come first."""
        formulas = self.formulas()
        formals = [
            (name, ex.Name("None") if name in formulas else default)
            for name, default in super().formals()
        ]
        return sorted(formals, key=lambda parameter: parameter[1] is not None)

    def usual_padding(self, unit: UnitForm) -> Expression:
        """Return the default of the padding of the unit being written."""
        if not unit.padding:
            return ZERO
        return usual_padding(self.graph.program, self.definition, unit)

    def formal(self, name: str, default: Expression | None) -> Formal:
        """Return the declaration of a parameter; only words have a type."""
        if default is not None and name in self.one_or_several(self.statements):
            default = one_of_equal(default)
        return Formal(name, self.type(name), default)

    def type(self, name: str) -> Type | None:
        """Return the type of a parameter that can be a word, else None."""
        if self.unit is None or name != "padding":
            return self.file.words.type(self.definition, name)
        if not self.unit.padding or begins_with_pool(self.definition):
            return None  # pixels
        sides = ("int", "tuple") if self.definition in self.file.explicit else ()
        return Type(sides, words=("same", "valid"))

    # ------------------------------------------------------------ what they are given

    def use(self, instance: df.Instance, flow: Flow, variable: str) -> Flow:
        """Write a use of a unit or block: a call of its function."""
        form = self.file.form(instance.definition, flow.shape.is_map)
        flow = self.bound(flow, variable)
        given = self.given(instance, flow.shape)
        title = ("name", Title(self.path(instance.name)))
        return self.value(self.call(form, given, (flow.code,), (title,)), form.gives_map)

    def given(self, instance: df.Instance, shape: Symbol) -> Given:
        """Return the arguments of a use; a block computes its own defaults."""
        given = super().given(instance, shape)
        if instance.definition.kind == "unit":
            return given
        return {name: value for name, value in given.items() if name in instance.args}

    def unit_given(self, instance: df.Instance, shape: Symbol) -> Given:
        """Return the arguments of a use of a unit."""
        unit, given = instance.definition, super().unit_given(instance, shape)
        args = {**df.unit_defaults(unit), **self.said(instance, shape)}
        if self.file.unit_forms[unit].padding and is_pointwise(args):
            usual = dict(self.file.form(unit, shape.is_map).formals)["padding"]
            if {given["padding"], usual} <= {SAME, VALID}:
                del given["padding"]
        return given

    def border(self, unit: df.Definition, sides: Sides) -> Expression:
        """Return a border as a unit takes it."""
        return unit_border(unit, self.file.unit_forms[unit], sides)

    def handed_on(self, unit: df.Definition) -> Expression:
        """Return the padding that a unit passes to one inside it: its own parameter."""
        return super().handed_on(unit) if begins_with_pool(unit) else PADDING

    def known_padding(self, unit: df.Definition, args: Args) -> Expression:
        """Return the padding of one use of a unit; it is not a parameter that carries words."""
        return unit_padding(unit, self.file.unit_forms[unit], args)
