"""The refusals of valid specs that a target may make; any other is a failure.

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
        r"unsupported: `same` with a stride cannot be passed to the unit ",
        r"unsupported: `same` with a window that may be even cannot be passed to the unit ",
        r"unsupported: the padding `same` cannot be passed to .* by a parameter here",
        r"unsupported: .* takes separate borders for height and width",
        # A separable convolution whose two kernels would be initialised differently.
        r"unsupported: .* has two kernels, which (Flax|Keras) would initialise differently",
        # Layers of PyTorch and Flax are created before their input size is known.
        r"unsupported: (PyTorch|Flax) needs a size here when the model is built: ",
        r"undecided: one side of this `if` ends in a map and the other in a vector",
        r"unsupported: the first iteration of this `repeat` turns a map into a vector",
    )
)
#: Errors that random specs may have although all their shapes fit: the rules for shapes do not
#: cover what is used.
UNSEEN: Final = re.compile(r"unused: ")


def expected(headline: str) -> bool:
    """Return whether a target may refuse a valid spec with this message."""
    return any(pattern.match(headline) for pattern in EXPECTED)
