"""Rewrite the definitions of a network by the edits of its layers.

What is left keeps its names, so that the layers of the result have the keys that they had before.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from incgen.deploy.bodies import Made, Rewriter, is_nothing
from incgen.deploy.edits import Tree
from incgen.deploy.values import names_of, put
from incgen.deploy.variants import Variant, Variants
from incgen.language import expressions as ex
from incgen.language.arithmetic import Value
from incgen.resolve import definitions as df
from incgen.resolve.written import outer_labels


def rewritten(program: df.Program, edits: Tree) -> df.Program:
    """Return a program whose network is edited.

    Raises:
        UnplaceableError: An edit cannot be made.
    """
    network = program.network
    body = Rewriter(_Definitions(network, edits), {}, network=True).body(network.body, edits)
    return _with(program, replace(network, body=body))


def fixed(program: df.Program, parameters: Mapping[str, Value]) -> df.Program:
    """Return a program whose network has no parameters, but these values of them."""
    network, known = program.network, {n: ex.Literal(v) for n, v in parameters.items()}
    rewriter = Rewriter(_Definitions(network, Tree()), known, network=True)
    body = rewriter.body(network.body, Tree())
    pixels = network.pixels
    assert pixels is not None
    sizes = (put(size, known) for size in (pixels.height, pixels.width, pixels.channels))
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
        self._made: dict[int, Made] = {}  # by the variant

    def variant(self, definition: df.Definition, edits: Tree) -> Made:
        """Return a unit or block with the edits of one use."""
        variant = self._variants.of(definition, edits)
        if id(variant) not in self._made:
            self._made[id(variant)] = self._definition(variant)
        return self._made[id(variant)]

    def _definition(self, variant: Variant) -> Made:
        before = variant.definition
        body = Rewriter(self, variant.settled).body(before.body, variant.edits)
        made = replace(
            before,
            name=variant.name or before.name,
            parameters=_needed(before, body),
            body=body,
            # what a comment says of a unit are its ops
            doc=before.doc if before.kind != "unit" or not variant.edits.inner else "",
        )
        if before.head is None:
            return Made(made, frozenset(), is_nothing(body))
        head = _head(body)
        if head is None:  # no use can give it arguments
            made = replace(made, kind="block", head=None, pads=None)
            return Made(made, frozenset(), is_nothing(body))
        return Made(made, self._own(df.head_of(before), variant.edits), False)

    def _own(self, head: df.OpCall | df.Instance, edits: Tree) -> frozenset[str]:
        """Return the arguments of a unit's head that edits set."""
        inner = edits.at(head)
        if isinstance(head, df.Instance):
            return self.variant(head.definition, inner).own
        return frozenset(inner.edit.args) if inner.edit is not None else frozenset()


def _needed(before: df.Definition, body: df.Body) -> tuple[df.Formal, ...]:
    """Return the parameters that a body still uses, and those of their defaults."""
    used = names_of(body)
    while True:
        kept = tuple(formal for formal in before.parameters if formal.name in used)
        more = set[str]().union(*(names_of(formal.default) for formal in kept)) - used
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
