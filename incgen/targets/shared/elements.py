"""Facts about definitions: the names in them, and what stands alone in a body."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from incgen.resolve import definitions as df
from incgen.resolve.written import bodies


def only(body: df.Body) -> df.Step | None:
    """Return the only step of a body, if it has an element."""
    step = body.steps[0] if len(body.steps) == 1 else None
    return step if isinstance(step, df.Step) and step.element is not None else None


def unwrapped(element: df.Element) -> tuple[df.Element, str | None]:
    """Return the only element in braces, and the label that it starts from."""
    origin = None
    while isinstance(element, df.Group) and element.name is None and origin is None:
        step = only(element.body)
        if step is None or step.element is None or step.label is not None:
            break
        element, origin = step.element, step.origin
    return element, origin


def single(element: df.Element) -> df.Element:
    """Return the only element in braces that add nothing."""
    while isinstance(element, df.Group) and element.name is None:
        step = only(element.body)
        if step is None or step.element is None or step.origin is not None or step.kept:
            break
        element = step.element
    return element


def part_name(element: df.Element) -> str | None:
    """Return the name that an element adds to keys, if there is one."""
    match element:
        case df.Conditional():
            return slot_of(element)
        case _:
            return element.name


def slot_of(element: df.Conditional) -> str | None:
    """Return the name of the only element on both sides of a condition, if there is one."""
    names = set()
    for body in (element.then, element.otherwise):
        if body is None:
            continue
        step = only(body)
        if step is None or step.element is None or step.origin is not None:
            return None
        inner = step.element
        if isinstance(inner, df.OpCall | df.Instance) and not inner.labelled:
            return None
        names.add(part_name(single(inner)))
    return names.pop() if len(names) == 1 else None


def names_in(body: df.Body) -> set[str]:
    """Return the names of everything in a body."""
    names = {name for e in df.elements(body) if (name := getattr(e, "name", None))}
    return names | {step.label for step in _steps(body) if step.label}


def _steps(body: df.Body) -> Iterator[df.Step | df.Head]:
    for step in body.steps:
        yield step
        if isinstance(step, df.Head):
            yield from _steps(step.body)
        elif step.element is not None:
            for element in df.within(step.element):
                for inner in bodies(element):
                    yield from inner.steps


def flag_name(body: df.Body | None, sides: Sequence[tuple[object, df.Body | None]]) -> str:
    """Return a name for the condition of a side, after something that the other sides lack."""
    others = {name for _, other in sides if other is not body for name in _told_by(other)}
    return next((name for name in _told_by(body) if name not in others), "condition")


def _told_by(body: df.Body | None) -> list[str]:
    """Return words for what a body does, the best first."""
    if body is None:
        return []
    kinds = [element.kind for element in df.elements(body) if isinstance(element, df.Join)]
    words = [word for kind, word in (("add", "residual"), ("mul", "gated")) if kind in kinds]
    labels = [step.label for step in _steps(body) if step.label]
    names = [name for e in df.elements(body) if (name := getattr(e, "name", None))]
    return [*words, *(f"has_{name}" for name in (*labels, *names))]


def unnamed_branch(join: df.Join, number: int) -> tuple[str, ...]:
    """Return variables for a branch without a label, such as `residual`."""
    plain = [_is_identity(step) for step in join.body.steps]
    if len(plain) == 2 and any(plain) and not plain[number - 1]:
        first = {"add": ("residual",), "mul": ("gate", "factor"), "concat": ("features",)}
        return (*first[join.kind], "branch")
    return (f"branch{number}",)


def _is_identity(step: df.Step | df.Head) -> bool:
    element = step.element if isinstance(step, df.Step) else None
    return isinstance(element, df.OpCall) and element.op.name == "identity"
