"""Errors that a setting avoids, because they are under an `if` on a flag.

This is tested, not guessed: the network is expanded once more with the other value.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

from incgen.base.diagnostics import Diagnostic, Severity
from incgen.base.help import Help, edits_of
from incgen.base.source import Span
from incgen.language import expressions as ex
from incgen.language.arithmetic import Value
from incgen.language.printing import setting
from incgen.syntax import tree as st

#: How many flags are tried; each costs an expansion of the network.
_MAX_TRIED = 4


def with_remedies(
    faults: list[Diagnostic],
    spec: st.Spec,
    values: Mapping[str, Value],
    faults_with: Callable[[dict[str, Value]], list[Diagnostic]],
) -> list[Diagnostic]:
    """Return the errors, adding to the help of each the setting that avoids it, if any.

    `faults_with` returns the errors for other values of constants and parameters than `values`.
    """
    tried: dict[str, list[Diagnostic]] = {}
    result = []
    for fault in faults:
        if fault.severity is not Severity.ERROR:
            result.append(fault)
            continue
        spans = [span for span in (fault.span, *(note.span for note in fault.notes)) if span]
        for name, value in _flags_around(spans, spec, values):
            if name not in tried and len(tried) < _MAX_TRIED:
                tried[name] = faults_with({**values, name: not value})
            others = tried.get(name, faults)
            fewer = _errors(others) < _errors(faults)
            if fewer and not any(_is_same(fault, other) for other in others):
                help_ = f"`{setting(name, not value)}` leaves it out"
                both = f"{fault.help}; {help_}" if fault.help else help_
                fault = replace(fault, help=Help(both, *edits_of(fault.help)))
                break
        result.append(fault)
    return result


def _errors(faults: list[Diagnostic]) -> int:
    return sum(fault.severity is Severity.ERROR for fault in faults)


def _is_same(fault: Diagnostic, other: Diagnostic) -> bool:
    return (fault.code, fault.span, fault.message) == (other.code, other.span, other.message)


def _flags_around(
    spans: list[Span], spec: st.Spec, values: Mapping[str, Value]
) -> Iterator[tuple[str, bool]]:
    """Yield the flags that decide whether some places are built, with their values."""
    for item in spec.items:
        if not isinstance(item, st.Block):
            continue
        flags = dict(_flags(spec, item, values))
        for statement in st.statements(item.body):
            for choice in statement.elements:
                if isinstance(choice, st.Conditional) and any(_holds(choice, s) for s in spans):
                    for name in ex.names(choice.condition):
                        if name.text in flags:
                            yield name.text, flags[name.text]


def _holds(choice: st.Conditional, span: Span) -> bool:
    """Return whether a place lies in a body of an `if`."""
    bodies = [choice.then.span, *([choice.otherwise.span] if choice.otherwise else [])]
    return any(
        body.source is span.source and body.start <= span.start and span.end <= body.end
        for body in bodies
    )


def _flags(
    spec: st.Spec, item: st.Block, values: Mapping[str, Value]
) -> Iterator[tuple[str, bool]]:
    """Yield the constants and parameters that are true or false, with their values."""
    written = [(i.name.text, i.value) for i in spec.items if isinstance(i, st.Constant)]
    if isinstance(item, st.Network):
        written += [(p.name.text, p.default) for p in item.parameters if p.default is not None]
    for name, default in written:
        value = values.get(name, ex.literal(default))
        if isinstance(value, bool):
            yield name, value
