"""Variants of definitions: uses that are edited alike share one, and each has a name.

A unit or block is one class of the generated file. Where a pass applies to some of its uses only,
the others need a class of their own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from incgen.deploy.edits import Tree
from incgen.language import expressions as ex
from incgen.language.arithmetic import Value
from incgen.resolve import definitions as df


@dataclass(slots=True)
class Variant:
    """A definition with the edits of some of its uses."""

    definition: df.Definition
    edits: Tree
    uses: list[df.Instance] = field(default_factory=list)
    name: str = ""
    #: The flags and words that all its uses give, which need no parameter
    settled: dict[str, ex.Expression] = field(default_factory=dict)


class Variants:
    """The variants of all units and blocks of a network."""

    def __init__(self, network: df.Definition, edits: Tree) -> None:
        self.variants: dict[df.Definition, list[Variant]] = {}
        self._visit(network, edits)
        taken = {d.name for d in self.variants}
        for definition, variants in self.variants.items():
            if len(variants) == 1:
                variants[0].name = definition.name
                continue
            for variant in variants:
                variant.settled = _settled(variant)
            _name(variants, taken)

    def of(self, definition: df.Definition, edits: Tree) -> Variant:
        """Return the variant of a definition with these edits."""
        variants = self.variants.setdefault(definition, [])
        for variant in variants:
            if variant.edits == edits:
                return variant
        variants.append(Variant(definition, edits))
        return variants[-1]

    def _visit(self, definition: df.Definition, edits: Tree) -> None:
        for element in definition.elements:
            if isinstance(element, df.Instance):
                inner = edits.at(element)
                variant = self.of(element.definition, inner)
                variant.uses.append(element)
                # What has no edits is the same everywhere. It may be used very often: branches
                # that are not taken count here, too.
                if inner != Tree() or len(variant.uses) == 1:
                    self._visit(element.definition, inner)


def given(use: df.Instance) -> dict[str, df.ArgumentValue]:
    """Return the arguments of a use, with the defaults of what it does not give."""
    return {f.name: f.default for f in use.definition.parameters} | dict(use.args)


def _settled(variant: Variant) -> dict[str, ex.Expression]:
    """Return the flags and words that all uses of a block give alike."""
    first, *others = variant.uses
    return {
        name: value
        for name, value in given(first).items()
        if variant.definition.kind == "block"
        and isinstance(value, ex.Literal)
        and isinstance(value.value, bool | str)
        and all(given(other)[name] == value for other in others)
    }


def _name(variants: list[Variant], taken: set[str]) -> None:
    """Name the variants of one definition: the one with the most uses keeps the name."""
    base = max(variants, key=lambda v: len(v.uses))
    base.name = base.definition.name
    for variant in variants:
        if variant is base:
            continue
        words = list(_told_apart(variant, base))
        marks = Counter(_marks(variant.edits)) - Counter(_marks(base.edits))
        word = next(iter((*words, *marks)), "")
        name = f"{base.name}_{word}" if word else f"{base.name}_2"
        number = 2
        while name in taken:
            name, number = f"{base.name}_{word or 'variant'}{number}", number + 1
        taken.add(name)
        variant.name = name


def _told_apart(variant: Variant, base: Variant) -> Iterator[str]:
    """Yield words for what the uses of a variant give and those of another do not."""
    for name, value in variant.settled.items():
        known: Value | None = ex.literal(value)
        if base.settled.get(name) != value and known is not False:
            yield name if known is True else str(known)


def _marks(edits: Tree) -> Iterator[str]:
    if edits.edit is not None and edits.edit.mark:
        yield edits.edit.mark
    for inner in edits.inner.values():
        yield from _marks(inner)
