"""Layouts: where a published checkpoint keeps each of our layers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from incgen.language.arithmetic import Value
from incgen.weights import templates
from incgen.weights.conventions import CONVENTIONS, Convention
from incgen.weights.templates import Pattern, Tables, TemplateError

#: In place of a rule's right side, in the table `parts`.
LAYER = "layer"


class AmbiguousError(ValueError):
    """Two rules of a layout say different things about one layer; the text is a sentence."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One line of a layout: our layer, and theirs; several where they keep one of ours in parts."""

    left: Pattern
    right: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Published:
    """A checkpoint that has a layout."""

    file: str  #: The name of the file
    source: str  #: The URL where it is published
    settings: Mapping[str, Value]  #: Parameters and constants of the spec for this checkpoint alone


@dataclass(frozen=True, slots=True)
class Layout:
    """The places of our layers in a checkpoint."""

    name: str  #: The name of the layout's file
    convention: Convention  #: The checkpoint's names of tensors
    rules: tuple[Rule, ...] = ()  #: The rules, layer by layer
    published: tuple[Published, ...] = ()  #: The checkpoints that have this layout
    #: What a layer inside of a unit is called, by the end of our name
    parts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    tables: Tables = field(default_factory=dict)  #: What placeholders can stand for
    #: Wildcards of what may be left over, where our network has nothing of it
    ignored: tuple[str, ...] = ()
    #: Our classifiers of which theirs may have one class more, the first, and how many it has then
    background: Mapping[str, int] = field(default_factory=dict)
    channels_last: bool = False  #: Whether they flatten maps in the order H, W, C
    missing_gamma: bool = False  #: Whether they keep no gamma where it is 1
    #: Whether Keras numbered layers without a name, so that only their order counts
    numbered: bool = False
    #: What the spec's parameters and constants must be for the published network
    settings: Mapping[str, Value] = field(default_factory=dict)
    #: What stands for the dots of our names in files with our own layers; None for others
    dot: str | None = None

    @property
    def is_of_another(self) -> bool:
        """Return whether it is a layout of another network, which may be a copy of this one."""
        return "/" in self.name

    def layers(self, ours: str) -> tuple[str, ...]:
        """Return their layers for one of ours; none if no rule is for it.

        The most specific rule wins; a rule for the layer itself and one for the unit that it is in
        are equal.

        Raises:
            AmbiguousError: Two equally specific rules say different things.
        """
        if self.dot is not None:
            return (ours.replace(".", self.dot),)
        best: dict[tuple[str, ...], str] = {}
        least: tuple[int, int, int] | None = None
        for generality, text, layers in self._said(ours):
            if least is None or generality < least:
                best, least = {}, generality
            if generality == least:
                best[layers] = text
        if len(best) > 1:
            one, other, *_ = best.values()
            raise AmbiguousError(f"`{one}` and `{other}` disagree about it")
        return next(iter(best), ())

    def has(self, ours: str) -> bool:
        """Return whether there is a rule for a layer of ours."""
        try:
            return bool(self.layers(ours))
        except (AmbiguousError, TemplateError):
            return True

    def _said(self, ours: str) -> Iterable[tuple[tuple[int, int, int], str, tuple[str, ...]]]:
        """Give for each rule that fits how general it is, its left side, and what it says."""
        inside = [
            (ours.removesuffix(end), len(end), texts)
            for end, texts in self.parts.items()
            if ours.endswith(end)
        ]
        for rule in self.rules:
            left = rule.left
            if (values := left.match(ours)) is not None:
                layers = (templates.fill(text, values, self.tables) for text in rule.right)
                yield left.generality, left.text, tuple(layers)
            for unit, cut, texts in inside if len(rule.right) == 1 else ():
                if (values := left.match(unit)) is not None:
                    layer = templates.fill(rule.right[0], values, self.tables)
                    names, written, bound = left.generality
                    filled = (templates.fill(text, {LAYER: layer}, {}) for text in texts)
                    yield (names, written - cut, bound), left.text, tuple(filled)


def identity(convention: str) -> Layout:
    """Return the layout of files with our own layers: those we write, or trained from them."""
    name = "incgen" if convention == "torch" else f"incgen-{convention}"
    # channels come first: generated models turn maps to C, H, W before they flatten them
    dot = {"keras": "-", "flax": "/"}.get(convention, ".")
    return Layout(name, CONVENTIONS[convention], dot=dot)
