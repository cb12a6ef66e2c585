"""The style of generated code, as far as users can choose it."""

from __future__ import annotations

import os
from dataclasses import dataclass


class TemplateError(Exception):
    """A template of the user's is faulty; the message says which, and why."""


@dataclass(frozen=True, slots=True)
class Style:
    """The style of generated code.

    Attributes:
        line_length: The columns of a line.
        templates: A folder of the user's. Templates in its subfolder of the target's name replace
            incgen's own, file by file.
    """

    line_length: int = 88
    templates: str | os.PathLike[str] | None = None


#: The default style.
PLAIN = Style()
