"""The parameters that constructors of units take, in order."""

from __future__ import annotations

from incgen.language import expressions as ex
from incgen.language.expressions import Expression
from incgen.language.ops import Kind
from incgen.resolve import definitions as df
from incgen.targets.shared.units import UnitForm
from incgen.targets.shared.values import ONE, ZERO


def unit_formals(unit: df.Definition, form: UnitForm) -> list[tuple[str, Expression | None]]:
    """Return the parameters of a unit in the order of its constructor."""
    head = unit.head
    assert head is not None
    defaults = df.unit_defaults(unit)
    required: list[tuple[str, Expression | None]] = []
    optional: list[tuple[str, Expression | None]] = []
    for argument in head.arguments:
        if argument.name not in form.args or argument.kind is Kind.INITIALIZER:
            continue
        if argument.kind is Kind.WINDOW:
            required.append(("kernel", None))
            if form.strided:
                optional.insert(0, ("stride", ONE if form.square_stride else ex.Tuple((ONE, ONE))))
        elif argument.kind is Kind.PADDING:
            several = ex.Tuple((ZERO,) * form.pad_sides)
            optional.append(("padding", ZERO if form.pad_sides == 1 else several))
        else:
            default = defaults.get(argument.name)
            known = default if isinstance(default, ex.Literal) else None
            (required if known is None else optional).append((argument.name, known))
    # channels before the kernel, as in nn.Conv2d
    required.sort(key=lambda pair: pair[0] == "kernel")
    return required + optional


def constant(default: Expression | None) -> Expression | None:
    """Return a default that is the same in every use."""
    return default if isinstance(default, ex.Literal) else None
