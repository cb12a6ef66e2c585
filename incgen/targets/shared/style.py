"""How generated code is spelt and laid out: what a user can choose of it."""

from __future__ import annotations

import os
from dataclasses import dataclass


class TemplateError(Exception):
    """A template of the user's is faulty; the text says which, and what is wrong."""


@dataclass(frozen=True, slots=True)
class Style:
    """The style of generated code.

    Attributes:
        line_length: columns of a line.
        templates: a folder of the user's, whose templates go in front of incgen's own, file by
            file: those in its subfolder of the target's name.
    """

    line_length: int = 88
    templates: str | os.PathLike[str] | None = None


#: What is written where nothing else is asked for.
PLAIN = Style()
