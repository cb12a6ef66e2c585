"""Views to text. The only module that knows Jinja.

Templates lay out and decide nothing: what they are given is finished names, lines and flags.
"""

from __future__ import annotations

from functools import cache
from importlib import resources
from typing import Any

from jinja2 import BaseLoader, Environment, StrictUndefined, TemplateNotFound

from incgen.targets.formatting import formatted


class _Packaged(BaseLoader):
    """Templates from the package data, wherever the package lies."""

    def get_source(self, environment: Environment, template: str) -> tuple[str, None, Any]:
        file = resources.files("incgen.templates").joinpath(template)
        try:
            return file.read_text("utf-8"), None, lambda: True
        except FileNotFoundError:
            raise TemplateNotFound(template) from None


@cache
def _environment() -> Environment:
    return Environment(
        loader=_Packaged(),
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
