"""Rewrite the definitions of a network by the edits of its layers.

What is left keeps its names, so that the layers of the result have the keys that they had before.
An op that is left out leaves nothing, except where something must stand: the branch of a join, the
output of the network, or an element before weights in a chain that numbers its elements.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import assert_never

from incgen.base.source import Span
from incgen.deploy.edits import Tree
from incgen.deploy.variants import Variant, Variants
from incgen.language import expressions as ex
from incgen.language.arithmetic import Value
from incgen.language.initializers import DEFAULT_KERNEL
from incgen.language.ops import OPS
from incgen.resolve import definitions as df
from incgen.resolve.written import expressions_of, mapped, outer_labels, written_in

#: Arguments that only matter in training, and what they are where nothing is trained.
_TRAINING: dict[str, df.ArgumentValue] = {
    "init": DEFAULT_KERNEL,
    "bias_init": ex.Literal(0),
    "l2": ex.Literal(0),
}


class UnplaceableError(Exception):
    """An edit would move layers with weights to other keys."""


@dataclass(frozen=True, slots=True)
class _Made:
    """A rewritten unit or block, and what its uses must know."""

    definition: df.Definition
    own: frozenset[str]  #: The arguments of a unit's head that it sets itself now
    nothing: bool  #: Whether it passes its input through


def rewritten(program: df.Program, edits: Tree) -> df.Program:
    """Return a program whose network is edited.

    Raises:
        UnplaceableError: An edit cannot be made.
    """
    network = program.network
    body = _Rewriter(_Definitions(network, edits), {}, network=True).body(network.body, edits)
    return _with(program, replace(network, body=body))


def fixed(program: df.Program, parameters: Mapping[str, Value]) -> df.Program:
    """Return a program whose network has no parameters, but these values of them."""
    network, known = program.network, {n: ex.Literal(v) for n, v in parameters.items()}
    rewriter = _Rewriter(_Definitions(network, Tree()), known, network=True)
    body = rewriter.body(network.body, Tree())
    pixels = network.pixels
    assert pixels is not None
    sizes = (rewriter.put(size) for size in (pixels.height, pixels.width, pixels.channels))
    height, width, channels = sizes
    pixels = replace(pixels, height=height, width=width, channels=channels)
    return _with(program, replace(network, parameters=(), body=body, pixels=pixels))


def without_heads(program: df.Program) -> df.Program:
    """Return a program without auxiliary heads, and without what only they need."""
    steps: list[df.Step] = []
    taken, wanted = True, set[str]()  # whether the value of a step is taken; labels to come
    for step in reversed(program.network.body.steps):
        if isinstance(step, df.Head):
            continue
        if taken or step.label in wanted:
            steps.append(step)
            taken = step.origin is None
            if step.element is not None:
                wanted |= outer_labels(step.element)
            if step.origin is not None:
                wanted.add(step.origin)
    body = replace(program.network.body, steps=tuple(reversed(steps)))
    return _with(program, replace(program.network, body=body))


def _with(program: df.Program, network: df.Definition) -> df.Program:
    return replace(program, network=network, definitions=df.reached(network))


class _Definitions:
    """Rewrites each variant of a unit or block once."""

    def __init__(self, network: df.Definition, edits: Tree) -> None:
        self._variants = Variants(network, edits)
        self._made: dict[int, _Made] = {}  # by the variant

    def variant(self, definition: df.Definition, edits: Tree) -> _Made:
        """Return a unit or block with the edits of one use."""
        variant = self._variants.of(definition, edits)
        if id(variant) not in self._made:
            self._made[id(variant)] = self._definition(variant)
        return self._made[id(variant)]

    def _definition(self, variant: Variant) -> _Made:
        before = variant.definition
        body = _Rewriter(self, variant.settled).body(before.body, variant.edits)
        made = replace(
            before,
            name=variant.name or before.name,
            parameters=_needed(before, body),
            body=body,
            # what a comment says of a unit are its ops
            doc=before.doc if before.kind != "unit" or not variant.edits.inner else "",
        )
        if before.head is None:
            return _Made(made, frozenset(), _is_nothing(body))
        head = _head(body)
        if head is None:  # no use can give it arguments
            made = replace(made, kind="block", head=None, pads=None)
            return _Made(made, frozenset(), _is_nothing(body))
        return _Made(made, self._own(df.head_of(before), variant.edits), False)

    def _own(self, head: df.OpCall | df.Instance, edits: Tree) -> frozenset[str]:
        """Return the arguments of a unit's head that edits set."""
        inner = edits.at(head)
        if isinstance(head, df.Instance):
            return self.variant(head.definition, inner).own
        return frozenset(inner.edit.args) if inner.edit is not None else frozenset()


def _needed(before: df.Definition, body: df.Body) -> tuple[df.Formal, ...]:
    """Return the parameters that a body still uses, and those of their defaults."""
    used = _names_of(body)
    while True:
        kept = tuple(formal for formal in before.parameters if formal.name in used)
        more = set[str]().union(*(_names_of(formal.default) for formal in kept)) - used
        if not more:
            return kept
        used |= more


def _head(body: df.Body) -> df.OpCall | df.Instance | None:
    """Return the first op of a unit if it still takes the arguments of its uses."""
    step = body.steps[0]
    element = step.element if isinstance(step, df.Step) else None
    first = element.elements[0] if isinstance(element, df.Chain) else element
    takes = isinstance(first, df.OpCall | df.Instance) and first.forwards
    return first if takes else None  # type: ignore[return-value]


def _names_of(where: df.Body | df.ArgumentValue) -> set[str]:
    """Return the parameters that a body or an argument names."""
    written = written_in(where) if isinstance(where, df.Body) else expressions_of(where)
    used = (part for part in ex.within(*written) if isinstance(part, ex.Parameter | ex.Item))
    return {part.parameter if isinstance(part, ex.Item) else part.name for part in used}


class _Rewriter:
    """Rewrites the body of one definition."""

    def __init__(
        self, uses: _Definitions, known: Mapping[str, ex.Expression], *, network: bool = False
    ) -> None:
        """Begin with the values of parameters that are none any more."""
        self.uses, self.known = uses, known
        self.network = network  # the last label of a network is the name of its output

    def put(self, expression: ex.Expression) -> ex.Expression:
        """Return an expression with values in place of the parameters that have one."""
        return ex.substitute(expression, self.known, {}) if self.known else expression

    def body(self, body: df.Body, edits: Tree) -> df.Body:
        """Return a body; one in which nothing is left passes its input through."""
        steps: list[df.Step | df.Head] = []
        for number, step in enumerate(body.steps, 1):
            if isinstance(step, df.Head):
                steps.append(replace(step, body=self.body(step.body, edits)))
            else:
                last = self.network and number == len(body.steps)
                made = self._step(step, edits, last=last)
                steps += [] if made is None else [made]
        if not any(isinstance(step, df.Step) for step in steps):
            steps.append(df.Step(None, None, _nothing(body.span), False, "", span=body.span))
        return replace(body, steps=tuple(steps))

    def _step(self, step: df.Step, edits: Tree, *, last: bool) -> df.Step | None:
        if step.element is None:
            return step
        elements = self.element(step.element, edits)
        if elements:
            return replace(step, element=_chained(elements, step.element.span))
        if not (step.kept or step.origin or (last and step.label)):
            return None
        name = step.label or "identity"
        return replace(step, element=_nothing(step.span, name, labelled=step.label is not None))

    def _branches(self, body: df.Body, edits: Tree) -> df.Body:
        steps: list[df.Step] = []
        for step in body.steps:
            assert isinstance(step, df.Step)
            if step.element is not None:
                elements = self.element(step.element, edits) or [
                    _nothing(step.span, _first_name(step.element))
                ]
                if len(elements) > 1 and step.label is not None:
                    raise UnplaceableError
                step = replace(step, element=_chained(elements, step.element.span))
            steps.append(step)
        return replace(body, steps=tuple(steps))

    def element(self, element: df.Element, edits: Tree) -> list[df.Element]:
        """Return what becomes of an element, in order; empty if nothing is left of it."""
        match element:
            case df.OpCall():
                return self._op(element, edits.at(element))
            case df.Instance():
                return self._use(element, edits.at(element))
            case df.Chain():
                return self._chain(element, edits)
            case df.Join():
                return [replace(element, body=self._branches(element.body, edits))]
            case df.Group():
                body = self.body(element.body, edits)
                return [] if _is_nothing(body) else [replace(element, body=body)]
            case df.Repeat():
                body = self.body(element.body, edits)
                count = self.put(element.count)
                return [] if _is_nothing(body) else [replace(element, body=body, count=count)]
            case df.Conditional():
                return self._conditional(element, edits)
            case _:
                assert_never(element)

    def _conditional(self, element: df.Conditional, edits: Tree) -> list[df.Element]:
        condition = self.put(element.condition)
        decided = ex.literal(condition)
        if decided is not None:
            taken = element.then if decided else element.otherwise
            if taken is None:
                return []
            return self.element(df.Group(taken, None, span=element.span), edits)
        then = self.body(element.then, edits)
        otherwise = None if element.otherwise is None else self.body(element.otherwise, edits)
        if otherwise is not None and _is_nothing(otherwise):
            otherwise = None
        if otherwise is None and _is_nothing(then):
            return []
        return [replace(element, condition=condition, then=then, otherwise=otherwise)]

    def _op(self, call: df.OpCall, edits: Tree) -> list[df.Element]:
        edit = edits.edit
        args = {name: mapped(value, self.put) for name, value in call.args.items()}
        args |= {name: value for name, value in _TRAINING.items() if name in args}
        call = replace(call, args=args, said=call.said - _TRAINING.keys())
        if call.op.name == "identity" and not call.labelled:
            return []
        if edit is None:
            return [call]
        if edit.args:
            said = call.said | edit.args.keys()
            call = replace(call, args={**args, **edit.args}, said=said)
        return [*([] if edit.drop else [call]), *edit.behind]

    def _use(self, use: df.Instance, edits: Tree) -> list[df.Element]:
        made = self.uses.variant(use.definition, edits)
        if made.nothing:
            return []
        definition = made.definition
        if definition.head is not None:
            names = use.args.keys() - made.own - _TRAINING.keys()
        else:
            names = use.args.keys() & {formal.name for formal in definition.parameters}
        args = {n: mapped(v, self.put) for n, v in use.args.items() if n in names}
        forwards = use.forwards and definition.head is not None
        return [replace(use, definition=definition, args=args, forwards=forwards)]

    def _chain(self, chain: df.Chain, edits: Tree) -> list[df.Element]:
        children = [self.element(child, edits) for child in chain.elements]
        if chain.name is None:
            elements = [element for several in children for element in several]
            return [_chained(elements, chain.span)] if elements else []
        numbered: list[tuple[int, df.Element]] = []
        for number, several in enumerate(children):
            behind = [element for more in children[number:] for element in more]
            missing = len(numbered) <= number and any(map(_has_weights, behind))
            if several or missing:
                kept = several or [_nothing(chain.span, str(number))]
                numbered += [(number, one) for one in kept]
        if not numbered:
            return []
        named = (_named(element, old, new) for new, (old, element) in enumerate(numbered))
        return [replace(chain, elements=tuple(named))]


def _nothing(span: Span, name: str = "identity", *, labelled: bool = False) -> df.OpCall:
    """Return an op that passes its input through."""
    return df.OpCall(OPS["identity"], {}, frozenset(), name, labelled, False, span=span)


def _first_name(element: df.Element) -> str:
    """Return a name of an element that nothing beside it has: its own, or the first inside it."""
    names = (getattr(inside, "name", None) for inside in df.within(element))
    return next(name for name in names if isinstance(name, str))


def _is_nothing(body: df.Body) -> bool:
    """Return whether a body passes its input through."""
    match body.steps:
        case (df.Step(_, None, df.OpCall(op)),):
            return op.name == "identity"
        case _:
            return False


def _has_weights(element: df.Element) -> bool:
    """Return whether an element contains parameters."""
    return any(map(df.is_weighted, df.within(element)))


def _chained(elements: list[df.Element], span: Span) -> df.Element:
    return elements[0] if len(elements) == 1 else df.Chain(tuple(elements), None, span=span)


def _named(element: df.Element, old: int, new: int) -> df.Element:
    """Return an element of a chain under its number, which is part of the keys inside it."""
    if old != new and _has_weights(element):
        raise UnplaceableError
    # what has no name of its own, such as a condition, leaves the number to what is inside it
    match element:
        case df.Conditional(then=then, otherwise=otherwise):
            other = None if otherwise is None else _renumbered(otherwise, old, new)
            return replace(element, then=_renumbered(then, old, new), otherwise=other)
        case df.Group(name=None):
            return replace(element, body=_renumbered(element.body, old, new))
        case _ if element.name is None:
            return element
        case _:
            return replace(element, name=str(new))


def _renumbered(body: df.Body, old: int, new: int) -> df.Body:
    """Return a body in which what has the number of the element around it has another."""

    def renumbered(step: df.Step | df.Head) -> df.Step | df.Head:
        element = step.element if isinstance(step, df.Step) else None
        if element is None or getattr(element, "name", None) not in (None, str(old)):
            return step
        assert isinstance(step, df.Step)
        return replace(step, element=_named(element, old, new))

    return replace(body, steps=tuple(map(renumbered, body.steps)))
