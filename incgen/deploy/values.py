"""Arguments of definitions: which parameters they name, and values in place of those."""

from __future__ import annotations

from collections.abc import Mapping

from incgen.language import expressions as ex
from incgen.resolve import definitions as df
from incgen.resolve.written import expressions_of, written_in


def substituted(value: df.ArgumentValue, known: Mapping[str, ex.Expression]) -> df.ArgumentValue:
    """Return an argument with values in place of parameters."""
    match value:
        case df.WindowValue(kernel, stride, span):
            (a, b), (c, d) = (tuple(put(e, known) for e in pair) for pair in (kernel, stride))
            return df.WindowValue((a, b), (c, d), span)
        case df.SidesValue(sides, span):
            return df.SidesValue(tuple(put(side, known) for side in sides), span)
        case None:
            return None
        case _ if isinstance(value, ex.Expression):
            return put(value, known)
        case _:
            return value


def put(expression: ex.Expression, known: Mapping[str, ex.Expression]) -> ex.Expression:
    """Return an expression with values in place of parameters."""
    return ex.substitute(expression, known, {}) if known else expression


def names_of(where: df.Body | df.ArgumentValue) -> set[str]:
    """Return the parameters that a body or an argument names."""
    written = written_in(where) if isinstance(where, df.Body) else expressions_of(where)
    return set[str]().union(*map(_names_in, written))


def _names_in(expression: ex.Expression) -> set[str]:
    match expression:
        case ex.Parameter(name) | ex.Item(name, _):
            return {name}
        case _:
            return set[str]().union(*map(_names_in, ex.children(expression)))
