"""Names of the elements of a body: labels as written, and names for those without one.

Parameters are keyed by these names, so each must be unique in its place. An unlabelled join or body
is transparent: its content shares the names outside it.
"""

from __future__ import annotations

import re
from collections import ChainMap
from collections.abc import Mapping, MutableMapping, Sequence
from itertools import count
from typing import TypeAlias

from incgen.base.diagnostics import Code, Note, Reporter
from incgen.base.help import Help, write
from incgen.base.source import Span
from incgen.language.names import label_fault
from incgen.syntax import tree as st
from incgen.syntax.edits import renamed


class Namespace:
    """The names of one prefix: labels as written, and names for elements without one.

    The two sides of a conditional have a namespace each below the common one, because only one side
    is built and both may use the same names.
    """

    def __init__(self, labels: Mapping[str, Span], outer: Namespace | None = None) -> None:
        """Start with the labels that were written."""
        self.labels = labels
        self.outer = outer
        self.given: set[str] = set()
        self.ordinals: dict[str, int] = {}

    def name_for(self, base: str) -> str:
        """Return a free name based on an op's name: `conv`, then `conv_2`, `conv_3`, ..."""
        ordinal = self._ordinal(base)
        name = base if ordinal == 1 else f"{base}_{ordinal}"
        while name in self.labels or self._has(name):
            ordinal += 1
            name = f"{base}_{ordinal}"
        self.given.add(name)
        self.ordinals[base] = ordinal
        return name

    def _ordinal(self, base: str) -> int:
        """Return the number below which all names of a base are taken."""
        inner = self.ordinals.get(base)
        if inner is not None:
            return inner
        return 1 if self.outer is None else self.outer._ordinal(base)

    def _has(self, name: str) -> bool:
        return name in self.given or (self.outer is not None and self.outer._has(name))

    def side(self) -> Namespace:
        """Return the namespace of one side of a conditional."""
        return Namespace(self.labels, self)

    def merge(self, sides: Sequence[Namespace]) -> None:
        """Reserve the names that the sides of a conditional use."""
        for side in sides:
            self.given |= side.given
            for base, ordinal in side.ordinals.items():
                self.ordinals[base] = max(ordinal, self._ordinal(base))


#: What names an element: its label or number in a labelled chain, or the names around it.
Naming: TypeAlias = str | Namespace


def collect(body: st.Body, report: Reporter) -> Namespace:
    """Check the labels of a body, and return its namespace."""
    labels: dict[str, Span] = {}
    _collect(body, labels, report)
    return Namespace(labels)


def _collect(body: st.Body, labels: MutableMapping[str, Span], report: Reporter) -> None:
    for statement in body.statements:
        match statement:
            case st.Input():
                continue
            case st.Aux(label=label) | st.Statement(label=st.Identifier() as label):
                _add(label, labels, report)
            case st.Statement(label=None):
                for element in statement.elements:
                    _inside(element, labels, report)


def _inside(element: st.Element, labels: MutableMapping[str, Span], report: Reporter) -> None:
    match element:
        case st.Join() | st.Group():
            _collect(element.body, labels, report)
        case st.Conditional():
            # Only one of the two is built, so both may use a label.
            then: dict[str, Span] = {}
            otherwise: dict[str, Span] = {}
            _collect(element.then, ChainMap(then, labels), report)
            if element.otherwise is not None:
                _collect(element.otherwise, ChainMap(otherwise, labels), report)
            labels.update(then)
            labels.update(otherwise)
        case _:
            pass


def _free(name: str, labels: Mapping[str, Span]) -> str:
    """Return a name that is not a label yet.

    >>> _free("conv", {"conv": None, "conv_2": None}), _free("conv_2", {"conv_2": None})
    ('conv_3', 'conv_3')
    """
    base = re.sub(r"_\d+$", "", name)
    return next(n for i in count(2) if (n := f"{base}_{i}") not in labels)


def _add(label: st.Identifier, labels: MutableMapping[str, Span], report: Reporter) -> None:
    fault = label_fault(label.text)
    if fault:
        other = f"{label.text.strip('_') or 'my'}_layer"
        help_ = Help(f"call it `{other}`", renamed(label.span, other))
        message = f"{fault}, so it cannot be a label in every target"
        report.error(Code.RESERVED_NAME, label.span, message, help=help_)
    first = labels.get(label.text)
    if first is not None:
        report.error(
            Code.DUPLICATE,
            label.span,
            f"the label `{label.text}` is given twice",
            notes=(Note("it is first given here", first),),
            help=write(_free(label.text, labels), why=", or another name"),
        )
    labels.setdefault(label.text, label.span)
