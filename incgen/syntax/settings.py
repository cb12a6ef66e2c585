"""Values of parameters as people type them: `name=value`, on a command line or in a notebook."""

from __future__ import annotations

from collections.abc import Sequence

from incgen.base.diagnostics import SpecError
from incgen.language.arithmetic import Value
from incgen.language.expressions import Literal, Name
from incgen.syntax.parser import parse_value


def settings(given: Sequence[str]) -> dict[str, Value]:
    """Read values by their names.

    Raises:
        ValueError: One has another form, or is not a value; the message says so.
    """
    values: dict[str, Value] = {}
    for text in given:
        name, equals, written = (part.strip() for part in text.partition("="))
        if not (name and equals and written):
            raise ValueError(f"`{text}` is not of the form name=value")
        try:
            value = parse_value(written)
        except SpecError as error:
            raise ValueError(f"`{text}`: {error.diagnostics[0].message}") from None
        match value:
            case Literal(constant) | Name(constant):
                values[name] = constant
            case _:
                raise ValueError(
                    f"`{text}`: a value is a number, `true`, `false` or a word such as `max`"
                )
    return values
