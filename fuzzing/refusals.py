"""What a target may refuse in a valid spec; any other refusal is a failure.

A refused network is not compared with anything: a target that refused everything would pass.
"""

from __future__ import annotations

import re
from typing import Final

#: The beginnings of targets' errors, with any numbers and names.
EXPECTED: Final = tuple(
    re.compile(pattern)
    for pattern in (
        # A unit is one class, with its padding as an argument, and `same` is not a number.
        r"unsupported: `same` with a stride cannot be given to the unit ",
        r"unsupported: `same` with a window that may be even cannot be given to the unit ",
        r"unsupported: .* cannot be given the padding `same` by a parameter here",
        r"unsupported: the padding of .* follows a stride that is a parameter here",
        r"unsupported: .* takes its border for height and width apart",
        # A separable convolution whose two kernels would be initialised differently.
        r"unsupported: .* has two kernels, which Keras would begin in different ways",
        # PyTorch's layers are created before their input size is known.
        r"unsupported: PyTorch needs a size here when the model is built: ",
        r"undecided: one side of this `if` gives a map and the other a vector",
        r"unsupported: the first iteration of this `repeat` makes a vector of a map",
        # Nothing depends on the value, so the file would have an unused line.
        r"unsupported: the value of .* is used by nothing",
    )
)
#: Errors that random specs may have although all their shapes fit: the rules for shapes do not
#: cover what is used.
UNSEEN: Final = re.compile(r"unused: ")


def expected(headline: str) -> bool:
    """Return whether a target may refuse a valid spec with this message."""
    return any(pattern.match(headline) for pattern in EXPECTED)
