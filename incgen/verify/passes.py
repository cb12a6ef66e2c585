"""The passes that every model runs on each rung, and what is compared."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from incgen.verify import measure

#: The scale of the numbers in a pass: exp(1e5) is infinite in any type, -1e5 is below common
#: substitutes for minus infinity, and 1e-5 is close to the constants that prevent a division by 0.
SCALES = {"large": 1e5, "small": 1e-5}
#: A gate turns a large number into one between 0 and 1, with the rounding of the large one.
_LARGE = measure.EVALUATION * SCALES["large"]


@dataclass(frozen=True, slots=True)
class Pass:
    """A pass that every model runs, and what is compared."""

    rung: int  #: The rung that it belongs to
    what: str  #: The name of what is compared
    bar: float  #: The limit of the relative difference in float64
    #: The input: the examples themselves, the first of them alone, some more at another size if
    #: there is one, or two with which all numbers of the network are large or small
    given: Literal["examples", "one", "many", "large", "small"] = "examples"

    @property
    def rounded(self) -> bool:
        """Return whether float32 shows anything new: other sizes only round differently."""
        return self.given in ("examples", "large", "small")

    @property
    def stated(self) -> bool:
        """Return whether the spec itself determines the result, without derivatives."""
        return self.rung in (1, 2, 4)

    @property
    def of_step(self) -> bool:
        """Return whether the pass is part of one training step."""
        return self.rung in (2, 3, 4)

    @property
    def backward(self) -> bool:
        """Return whether that step takes gradients: some inputs only go forward."""
        return self.given in ("examples", "large")


#: In the order in which they are run.
PASSES = (
    Pass(1, "value", measure.EVALUATION),
    Pass(1, "value of one example", measure.EVALUATION, "one"),
    Pass(1, "value of many examples", measure.EVALUATION, "many"),
    Pass(1, "value of large numbers", _LARGE, "large"),
    Pass(1, "value of small numbers", measure.EVALUATION, "small"),
    Pass(2, "value", measure.TRAINING),
    Pass(2, "value of one example", measure.TRAINING, "one"),
    Pass(2, "value of many examples", measure.TRAINING, "many"),
    Pass(3, "gradient", measure.GRADIENTS),
    Pass(3, "gradient of large numbers", measure.GRADIENTS, "large"),
    Pass(4, "statistic", measure.STATISTICS),
    Pass(4, "statistic of many examples", measure.STATISTICS, "many"),
    Pass(5, "number", measure.TRAJECTORY),
)
