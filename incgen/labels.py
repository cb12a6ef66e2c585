"""Names of the things in a body: labels as written, and names for what has none.

Parameters are keyed by these names, so each must be unique where it stands. An unlabelled join
or body is transparent: what is inside is named beside what is outside.
"""

from __future__ import annotations

from incgen import syntax as st
from incgen.diagnostics import Code, Note, Reporter
from incgen.names import label_fault
from incgen.source import Span


class Namespace:
    """The names of one prefix: `taken` is shared by exclusive branches, `given` is not."""

    def __init__(self, labels: dict[str, Span]) -> None:
        """Begin with the labels that were written."""
        self.labels = labels
        self.given: set[str] = set()

    def name_for(self, base: str) -> str:
        """A free name from an op's name: `conv`, then `conv_2`, `conv_3`, ..."""
        name, ordinal = base, 1
        while name in self.labels or name in self.given:
            ordinal += 1
            name = f"{base}_{ordinal}"
        self.given.add(name)
        return name


def collect(body: st.Body, report: Reporter, parameters: dict[str, Span]) -> Namespace:
    """The namespace of a body, with its labels checked.

    Args:
        body: the body, and through it every transparent body inside.
        report: takes duplicates and reserved names.
        parameters: of the surrounding definition; a label must not hide one.
    """
    labels: dict[str, Span] = {}
    _collect(body, labels, report, parameters)
    return Namespace(labels)


def _collect(
    body: st.Body, labels: dict[str, Span], report: Reporter, parameters: dict[str, Span]
) -> None:
    for statement in body.statements:
        match statement:
            case st.Input():
                continue
            case st.Aux(label=label) | st.Statement(label=st.Identifier() as label):
                _add(label, labels, report, parameters)
            case st.Statement(label=None):
                for element in statement.elements:
                    _inside(element, labels, report, parameters)


def _inside(
    element: st.Element, labels: dict[str, Span], report: Reporter, parameters: dict[str, Span]
) -> None:
    match element:
        case st.Join() | st.Group():
            _collect(element.body, labels, report, parameters)
        case st.Conditional():
            # Only one of the two is built, so both may use a label.
            then, otherwise = dict(labels), dict(labels)
            _collect(element.then, then, report, parameters)
            if element.otherwise is not None:
                _collect(element.otherwise, otherwise, report, parameters)
            labels.update(then)
            labels.update(otherwise)
        case _:
            pass


def _add(
    label: st.Identifier, labels: dict[str, Span], report: Reporter, parameters: dict[str, Span]
) -> None:
    fault = label_fault(label.text)
    if fault:
        help_ = f"call it `{label.text.strip('_')}_layer`"
        message = f"{fault}, so no layer can have this label in every target"
        report.error(Code.RESERVED_NAME, label.span, message, help=help_)
    first = labels.get(label.text)
    if first is not None:
        report.error(
            Code.DUPLICATE,
            label.span,
            f"the label `{label.text}` is given twice",
            notes=[Note("it is first given here", first)],
        )
    elif label.text in parameters:
        report.error(
            Code.DUPLICATE,
            label.span,
            f"the label `{label.text}` is also the name of a parameter",
            notes=[Note("the parameter is here", parameters[label.text])],
        )
    labels.setdefault(label.text, label.span)
