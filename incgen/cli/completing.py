"""Complete names in a shell: specs, targets, recipes, labels and columns.

A function here gets what is typed so far. Whatever goes wrong while it looks around, it offers
nothing: a completion must not print a report into the line that is being typed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import wraps
from typing import TYPE_CHECKING, TypeAlias

import click

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

#: Returns what a word may be, from what is typed in front of it.
_Known: TypeAlias = Callable[[click.Context], Iterable[str]]
#: What click calls for a parameter.
Completion: TypeAlias = Callable[[click.Context, click.Parameter, str], "list[CompletionItem]"]


def _offering(known: _Known, *, files: bool = False) -> Completion:
    """Return what offers the known words that begin as what is typed, and files if asked to."""

    @wraps(known)
    def offer(
        context: click.Context, parameter: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        from click.shell_completion import CompletionItem

        try:
            words = sorted(word for word in known(context) if word.startswith(incomplete))
        except Exception:  # a faulty spec, for instance
            words = []
        first = [CompletionItem(incomplete, type="file")] if files else []
        return [*first, *map(CompletionItem, words)]

    return offer


def _spec_of(context: click.Context) -> str:
    """Return the spec in front, the first if there are several."""
    given = context.params
    # behind an option without a value, click leaves the other words as they are
    several = given.get("specs") or context.args
    spec = given.get("spec") or given.get("a") or several[0]
    assert isinstance(spec, str) and spec != "-"
    return spec


def _specs(context: click.Context) -> Iterable[str]:
    from incgen.syntax import shipped

    return shipped.names()


def _targets(context: click.Context) -> Iterable[str]:
    from incgen.targets import ONNX, TARGETS

    return *TARGETS, ONNX


def _sources(context: click.Context) -> Iterable[str]:
    from incgen.targets import TARGETS

    return TARGETS


def _passes(context: click.Context) -> Iterable[str]:
    from incgen.deploy.passes import PASSES

    return PASSES


def _recipes(context: click.Context) -> Iterable[str]:
    from pathlib import Path

    from incgen.syntax.loader import load
    from incgen.syntax.tree import Recipe

    return (recipe.name.text for recipe in load(Path(_spec_of(context))).spec.of(Recipe))


def _settings(context: click.Context) -> Iterable[str]:
    from incgen.compiling import compile_spec

    return (f"{name}=" for name in compile_spec(_spec_of(context)).parameters)


def _labels(context: click.Context) -> Iterable[str]:
    """Return the keys of blocks and units, and the names of their definitions."""
    from incgen.compiling import compile_spec

    graph = compile_spec(_spec_of(context))
    uses = [use for node in graph.nodes for use in node.uses()]
    return {use.path for use in uses} | {use.definition.name for use in uses}


def _ops(context: click.Context) -> Iterable[str]:
    from incgen.manual.ops import entries

    return entries()


def _codes(context: click.Context) -> Iterable[str]:
    from incgen.base.diagnostics import Code

    return (code.value for code in Code)


def _templates(context: click.Context) -> Iterable[str]:
    from incgen.starting.specs import templates
    from incgen.syntax import shipped

    return *templates(), *shipped.names()


def columns(
    context: click.Context, parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Offer the columns of a table, behind those with commas in front."""
    from click.shell_completion import CompletionItem

    from incgen.show.columns import COLUMNS

    before, comma, _ = incomplete.rpartition(",")
    plus = "+" if not before and incomplete.startswith("+") else ""
    front = before + comma + plus
    words = (front + name for name in (*COLUMNS, *([] if front else ["all"])))
    return [CompletionItem(word) for word in words if word.startswith(incomplete)]


specs = _offering(_specs, files=True)
targets = _offering(_targets)
sources = _offering(_sources)
passes = _offering(_passes)
recipes = _offering(_recipes)
settings = _offering(_settings)
labels = _offering(_labels)
ops = _offering(_ops)
codes = _offering(_codes)
templates = _offering(_templates)
