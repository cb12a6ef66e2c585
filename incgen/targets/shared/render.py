"""Views to text. The only module that knows Jinja.

Templates lay out and decide nothing: what they are given is finished names, lines and flags.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from incgen.base.resources import folder
from incgen.targets.shared.formatting import formatted


@cache
def _environment() -> Environment:
    return Environment(
        loader=FileSystemLoader(folder("templates")),
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        undefined=StrictUndefined,
        autoescape=False,  # the output is Python source, not markup
        extensions=[],
    )


def render(template: str, view: dict[str, Any]) -> str:
    """A template with its view, as final source text.

    Args:
        template: a path in the templates folder.
        view: what the template can use.
    """
    return formatted(_environment().get_template(template).render(view))
