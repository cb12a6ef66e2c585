"""The syntax of a recipe's settings: forms with fields, whose types and ranges are checked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import KW_ONLY, dataclass
from enum import Enum
from types import MappingProxyType
from typing import Final


class Kind(Enum):
    """The type of a value."""

    COUNT = "a whole number from 1"
    NUMBER = "a number"
    FLAG = "`true` or `false`"
    WORD = "a word"
    RANGE = "a list `[low, high]`"
    DURATION = "a number of `epochs` or `steps`"
    TIMES = "a list of numbers, then `epochs` or `steps`"


#: What help shows for a value, if its field names no example.
_EXAMPLES = {
    Kind.COUNT: "32",
    Kind.NUMBER: "0.5",
    Kind.FLAG: "true",
    Kind.RANGE: "[0.5, 1.5]",
    Kind.DURATION: "2 epochs",
    Kind.TIMES: "[30, 60] epochs",
}
#: The units of a duration by what they may be called.
UNITS: Final = MappingProxyType(
    {"epoch": "epochs", "epochs": "epochs", "step": "steps", "steps": "steps"}
)
#: The default of what must be stated.
STATED: Final = object()


@dataclass(frozen=True, slots=True)
class Field:
    """One value of a form."""

    name: str  #: The name of the attribute, or what errors call a positional value
    doc: str  #: Its meaning, with the unit
    _: KW_ONLY
    kind: Kind = Kind.NUMBER  #: The type of its values
    positional: bool = False  #: Whether it is given by position rather than as `name=value`
    lead: str = ""  #: The word in front of it, such as `every`
    default: object = STATED  #: The value if it is not stated
    words: tuple[str, ...] = ()  #: The words it accepts, for `Kind.WORD`
    minimum: float = -1e20  #: The smallest number
    maximum: float = 1e20  #: The largest number
    open: bool = False  #: Whether the minimum itself is excluded
    example: str = ""  #: A value to show in help

    @property
    def shown(self) -> str:
        """Return a value to show in help."""
        return self.example or (self.words[0] if self.words else _EXAMPLES[self.kind])


@dataclass(frozen=True, slots=True)
class Form:
    """One way to write a setting, a part of one, or a transform."""

    name: str  #: The word that it begins with; "" if the setting itself does
    doc: str  #: One sentence
    fields: tuple[Field, ...]  #: What it takes, positional values first
    made: Callable[..., object]  #: Makes the value of the fields by name

    @property
    def positional(self) -> tuple[Field, ...]:
        """Return the fields given by position, in order."""
        return tuple(field for field in self.fields if field.positional)

    @property
    def attributes(self) -> tuple[Field, ...]:
        """Return the fields given by name."""
        return tuple(field for field in self.fields if not field.positional)

    def usage(self, setting: str = "", given: Mapping[str, str] = MappingProxyType({})) -> str:
        """Return how it is written, with what must be stated.

        Args:
            setting: The setting; "" for a part of one, or a transform.
            given: The text of values by name, in place of examples.

        >>> from incgen.recipes.table import SETTINGS
        >>> SETTINGS["rate"].parts["exponential"].usage()
        'exponential 0.94 every 2 epochs'
        """
        words = [setting, self.name] if setting != self.name else [setting]
        for field in self.fields:
            if field.name in given or field.default is STATED:
                value = given.get(field.name, field.shown)
                words += [field.lead, value] if field.positional else [f"{field.name}={value}"]
        return " ".join(filter(None, words))


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting of a recipe."""

    name: str  #: The word that its line begins with
    doc: str  #: One sentence
    #: Its forms by their first word; one form without a name if there is no choice
    forms: MappingProxyType[str, Form]
    parts: MappingProxyType[str, Form]  #: What can follow behind `->`, by name
    key: str  #: The attribute of `Recipe` that it sets
