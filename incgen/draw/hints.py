"""Describe a part of a drawing as the lines of a tooltip."""

from __future__ import annotations

from incgen.draw.diagram import Box, Card, counted
from incgen.draw.text import times


def hint(part: Box | Card) -> str:
    """Describe a part: its key, what it is, its shape and cost, and its line in the spec."""
    lines = [" · ".join(filter(None, (part.key, counted(part))))]
    facts = part.facts
    if facts is not None:
        lines.append(f"output {times(facts.shape)}")
        if facts.parameters:
            lines.append(f"{facts.parameters:,} parameters")
        if facts.multiply_adds:
            lines.append(f"{facts.multiply_adds:,} multiply-adds")
        lines.append(f"receptive field {times(facts.field)}")
        lines.append(f"{facts.place}  {facts.said}")
    return "\n".join(lines)
