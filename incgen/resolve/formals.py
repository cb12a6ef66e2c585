"""Parameters of blocks and networks: names, defaults, and whether they are used."""

from __future__ import annotations

from incgen.base.diagnostics import Code, Note, Reporter
from incgen.base.help import Change, Edit, Help, put
from incgen.base.source import Span
from incgen.language import expressions as ex
from incgen.language.names import parameter_fault
from incgen.language.ops import DIMENSIONS, WORDS
from incgen.resolve import definitions as df
from incgen.resolve.values import Values
from incgen.syntax import tree as st
from incgen.syntax.edits import renamed


def formals(
    written: tuple[st.Parameter, ...], values: Values, report: Reporter, *, network: bool
) -> tuple[dict[str, Span], tuple[df.Formal, ...]]:
    """Resolve the parameters of a block or network, and return their locations too."""
    places: dict[str, Span] = {}
    own = {parameter.name.text for parameter in written}
    formals: list[df.Formal] = []
    for parameter in written:
        name, span = parameter.name.text, parameter.name.span
        _check_name(name, span, report)
        if name in places:
            message = f"the parameter `{name}` is given twice"
            notes = (Note("it is first given here", places[name]),)
            report.error(Code.DUPLICATE, span, message, notes=notes)
            continue
        default = None
        if parameter.default is not None:
            used = (n for n in ex.names(parameter.default) if n.text not in values.constants)
            other = next((n for n in used if n.text in own), None)
            if other is None:
                # that of a block may depend on the input
                default = values.fixed(parameter.default, dimensions=not network)
            else:
                message = f"the default of `{name}` cannot use another parameter, `{other.text}`"
                help_ = Help(
                    f"leave the default out, or compute with `{other.text}` in the body",
                    Edit((Change(name, parameter.span),), "Leave the default out"),
                )
                report.error(Code.UNKNOWN_NAME, other.span, message, help=help_)
            default = default or ex.Literal(1)
        elif any(formal.default is not None for formal in formals):
            message = f"`{name}` has no default but follows a parameter that has one"
            first = next(formal.name for formal in formals if formal.default is not None)
            help_ = Help(f"put `{name}` in front of `{first}`, or give it a default")
            report.error(Code.ARGUMENT_COUNT, span, message, help=help_)
        places[name] = span
        formals.append(df.Formal(name, default, span=span))
    return places, tuple(formals)


def _check_name(name: str, span: Span, report: Reporter) -> None:
    fault = parameter_fault(name)
    if name in WORDS or name in DIMENSIONS:
        fault = f"`{name}` is a reserved word"
    if fault:
        message = f"{fault} and cannot name a parameter"
        other = f"{name.strip('_')}_value"
        help_ = Help(f"call it `{other}`", renamed(span, other))
        report.error(Code.RESERVED_NAME, span, message, help=help_)


def check_used(item: st.Block, used: set[str], report: Reporter) -> None:
    """Report parameters that nothing uses."""
    for parameter in item.parameters:
        name, span = parameter.name.text, parameter.name.span
        if name not in used:
            message = f"the parameter `{name}` of `{item.name.text}` is never used"
            help_ = Help("use it or remove it", *put("", over=parameter.span))
            report.error(Code.UNUSED, span, message, help=help_)
