"""The classes and functions of a framework that make up each layer, for whoever reads its code."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Calls:
    """The classes and functions that one framework's code has, by key."""

    layers: Mapping[str, str]  #: Those of single layers; joined by ` + ` if a layer takes several
    uses: Mapping[str, str] = field(default_factory=dict)  #: Those of units and blocks
