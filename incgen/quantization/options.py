"""The options of quantisation."""

from __future__ import annotations

from dataclasses import dataclass

from incgen.base.diagnostics import listed
from incgen.compiling import RequestError

#: The ways to find the range of a value.
CALIBRATIONS = ("minmax", "entropy", "percentile")


@dataclass(frozen=True, slots=True)
class Options:
    """The options of quantisation and of the comparison after it.

    Raises:
        RequestError: A value is out of its range.
    """

    count: int = 128  #: How many images calibrate
    compare: int = 500  #: How many others are compared
    calibration: str = "minmax"  #: How ranges follow from the values that were seen
    percentile: float = 99.999  #: How many per cent of the values a range holds
    batch: int = 16  #: How many images are computed at once
    resize: int | None = None  #: What the shorter side becomes before the middle is cropped
    keep: tuple[str, ...] = ()  #: The labels of what stays in float
    reduce_range: bool = False  #: Whether weights have 7 bits, for processors without VNNI
    depth: int = 1  #: How many levels of labels the report shows

    def __post_init__(self) -> None:
        """Check the values."""
        if self.calibration not in CALIBRATIONS:
            known = listed(CALIBRATIONS, "or")
            raise RequestError(f"there is no calibration `{self.calibration}`: use {known}")
        if not 50 < self.percentile <= 100:
            raise RequestError(f"a percentile is above 50 and at most 100, not {self.percentile:g}")
        for name in ("count", "compare", "batch", "resize", "depth"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise RequestError(f"`{name}` must be at least 1, not {value}")
