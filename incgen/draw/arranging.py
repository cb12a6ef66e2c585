"""Arrange panels: in columns beside a network that goes down, or in rows below one.

Of all ways to break them into columns (or rows) of at most some length, the one whose page is most
nearly square is taken: it loses least when it is scaled to the width of a text.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from incgen.draw.panels import Panel

_BESIDE, _BETWEEN = 44.0, 20.0  #: Between the network and panels, and between panels


@dataclass(frozen=True, slots=True)
class Spot:
    """A panel and its place."""

    panel: Panel
    x: float
    y: float
    width: float


def arranged(main: tuple[float, float], panels: Sequence[Panel], down: bool) -> list[Spot]:
    """Return places for panels, in order.

    The network has a width and height, stands at (0, 0), and goes down or right.
    """
    if not panels:
        return []
    sizes = [panel.height if down else panel.width for panel in panels]
    limits = {max(main[1] if down else main[0], *sizes)}
    for first in range(len(sizes)):
        lengths = (sum(sizes[first:last]) for last in range(first + 1, len(sizes) + 1))
        limits |= {length + _BETWEEN * count for count, length in enumerate(lengths)}
    tries = [_broken(main, panels, down, limit) for limit in sorted(limits) if limit >= max(sizes)]
    # by the longer side of the page, then the shorter one
    return min(tries, key=lambda spots: sorted(_extent(spots, main), reverse=True))


def _extent(spots: Sequence[Spot], main: tuple[float, float]) -> tuple[float, float]:
    wide = max(main[0], *(spot.x + spot.width for spot in spots))
    return wide, max(main[1], *(spot.y + spot.panel.height for spot in spots))


def _broken(
    main: tuple[float, float], panels: Sequence[Panel], down: bool, limit: float
) -> list[Spot]:
    """Return places in columns (or rows) that are at most so long."""
    lines: list[list[Panel]] = [[]]
    length = 0.0
    for panel in panels:
        size = panel.height if down else panel.width
        if lines[-1] and length + _BETWEEN + size > limit:
            lines.append([])
        length = size + (length + _BETWEEN if lines[-1] else 0)
        lines[-1].append(panel)
    spots: list[Spot] = []
    across = (main[0] if down else main[1]) + _BESIDE
    for line in lines:
        along = 0.0
        widest = max(panel.width for panel in line)
        for panel in line:
            if down:
                spots.append(Spot(panel, across, along, widest))
                along += panel.height + _BETWEEN
            else:
                spots.append(Spot(panel, along, across, panel.width))
                along += panel.width + _BETWEEN
        across += (widest if down else max(panel.height for panel in line)) + _BETWEEN
    return spots
