"""What a target may refuse in a valid spec; any other refusal is a failure.

A network that a target refuses is compared with nothing: a target that refused all would pass.
"""

from __future__ import annotations

import re
from typing import Final

#: The errors of targets, as they begin; numbers and names may be any.
EXPECTED: Final = tuple(
    re.compile(pattern)
    for pattern in (
        # A unit is one class: its padding is one of its arguments, and `same` is no number.
        r"unsupported: `same` with a stride cannot be given to the unit ",
        r"unsupported: `same` with a window that may be even cannot be given to the unit ",
        r"unsupported: .* cannot be given the padding `same` by a parameter here",
        r"unsupported: the padding of .* follows a stride that is a parameter here",
        r"unsupported: .* takes its border for height and width apart",
        # A separable convolution whose two kernels would begin in different ways.
        r"unsupported: .* has two kernels, which Keras would begin in different ways",
        # PyTorch's layers are made before the size of their input is known.
        r"unsupported: PyTorch needs a size here when the model is built: ",
        r"undecided: one side of this `if` gives a map and the other a vector",
        r"unsupported: the first iteration of this `repeat` makes a vector of a map",
        # Nothing depends on it, so that a file would have a line without a use.
        r"unsupported: the value of .* is used by nothing",
        # Keras names the border of a pooling itself.
        r"unsupported: Keras itself gives the name ",
    )
)
#: The errors of specs that random ones may have although all their shapes fit: their rules of
#: shapes do not say what is used.
UNSEEN: Final = re.compile(r"unused: ")


def expected(headline: str) -> bool:
    """Return whether a target may refuse a valid spec with this message."""
    return any(pattern.match(headline) for pattern in EXPECTED)
