"""Convert values from Python programs to the plain values of a spec.

Values end up in generated code as literals, so they must be exactly a `bool`, an `int`, a `float`
or a `str`: a subclass may print itself as anything.
"""

from __future__ import annotations

import numbers
import operator
from typing import Any

from incgen.base.diagnostics import clipped
from incgen.base.help import near
from incgen.language.arithmetic import MAX_NUMBER, Value
from incgen.language.ops import ACTIVATIONS, WORDS
from incgen.language.printing import spec_value

_A_VALUE = "a value is a number, `true`, `false` or a word such as `max`"


def plain_value(value: object, default: Value | None = None) -> Value:
    """Return a value as a spec could write it: whole numbers, numbers, flags and words.

    Accepts equivalents: scalars of NumPy and other array libraries, members of `IntEnum` and
    `StrEnum`, fractions and decimals, which become the nearest float. The message about an unknown
    word says what the default is.

    Raises:
        ValueError: No parameter can have this value; the message says why.
    """
    plain = _plain(value)
    if plain is None:
        what = clipped(type(value).__name__)
        what = f"an object of type `{what}`" if what.isidentifier() else "this object"
        raise ValueError(f"{_A_VALUE}, not {what}")
    if isinstance(plain, str):
        if not plain.isidentifier():
            raise ValueError(_A_VALUE)
        words = WORDS | set(ACTIVATIONS)
        if plain not in words:
            offer, shown = near(plain, words), f"`{clipped(plain)}`"
            known = f"no word {shown}: {offer}" if offer else f"{_wanted(default)}, not {shown}"
            raise ValueError(known)
    elif plain != plain:
        raise ValueError("NaN is not a number")
    elif abs(plain) > MAX_NUMBER:
        raise ValueError(f"numbers go up to 2**53 = {MAX_NUMBER}")
    return plain


def _wanted(default: Value | None) -> str:
    """Return what can stand in the place of a default."""
    if not isinstance(default, int | float):
        return _A_VALUE
    kind = "`true` or `false`" if isinstance(default, bool) else "a number"
    return f"it takes {kind}, {spec_value(default)} by default"


def _plain(value: Any) -> Value | None:
    """Return the plain value of an object, or None if it has none."""
    try:
        if getattr(value, "ndim", None) == 0:  # a scalar of an array library
            value = value.item()
        # use the methods of the plain types: a subclass may override them
        match value:
            case bool():
                return value
            case str():
                return str.__str__(value)
            case int():
                return int.__int__(value)
            case float():
                return float.__float__(value)
            case numbers.Integral():
                return int.__int__(operator.index(value))
            case numbers.Number():
                return float.__float__(float(value))  # type: ignore[arg-type]  # or a TypeError
    except OverflowError:
        return float("inf")
    except Exception:
        # the value's own code failed, whatever it did
        return None
    return None
