"""Syntax tree to definitions: resolve every name and fill in every default.

Nothing is expanded: a block stays one definition however often it is used. An op in a shared file
follows the `numerics` of that file or, if it has none, of the file that uses it.
"""

from __future__ import annotations

from collections.abc import Mapping

from incgen.base.diagnostics import Code, Reporter
from incgen.base.help import Help, write
from incgen.base.source import Span
from incgen.language.arithmetic import Value
from incgen.language.names import network_fault
from incgen.language.signatures import ByWindow
from incgen.resolve import definitions as df
from incgen.resolve.arguments import Conventions
from incgen.resolve.body import BodyResolver
from incgen.resolve.clashes import check_names
from incgen.resolve.context import Context
from incgen.resolve.formals import check_used, formals
from incgen.resolve.pixels import resolve_pixels
from incgen.resolve.scope import Entry, FileScope, Shared
from incgen.syntax import tree as st
from incgen.syntax.edits import renamed
from incgen.syntax.loader import LoadedFile
from incgen.syntax.shipped import plain_name


def resolve(
    loaded: LoadedFile, settings: Mapping[str, Value], report: Reporter
) -> df.Program | None:
    """Return the network of a spec with what it reaches; None if it has none or an error.

    The settings are values for constants of the spec's own file, which override it.
    """
    scope = FileScope(loaded, report, Conventions(), Shared(_definition), settings)
    for name in scope.entries:
        scope.definition(name)
    if not scope.entries and not loaded.spec.of(st.Recipe) and not report.failed:
        report.error(
            Code.NO_NETWORK,
            Span(loaded.source, 0, 0),
            "the file defines no network, unit or block",
            help="add `network name { ... }`, or `unit`s and `block`s for other files to use",
        )
    networks = [d for d in scope.done.values() if d is not None and d.kind == "network"]
    if len(networks) != 1:
        return None
    network = networks[0]
    reached = df.reached(network)
    check_names((*reached, network), report)
    if not report.failed:  # a faulty use does not count as one
        _warn_unused(scope, reached)
    spec, name = loaded.spec, plain_name(loaded.source.name)
    recipes = tuple(item.name.text for item in spec.of(st.Recipe))
    return df.Program(
        network, reached, spec.doc, spec.header, name, dict(settings), recipes, loaded.digest()
    )


def _definition(scope: FileScope, entry: Entry) -> df.Definition | None:
    item = entry.item
    text = item.name.text
    fault = network_fault(text) if isinstance(item, st.Network) else None
    if text[0] == "_":
        fault = f"`{text}` begins with an underscore"
    if fault:
        what = "network" if isinstance(item, st.Network) else "block"
        other = f"{text.strip('_') or 'my'}_{what}"
        help_ = Help(f"call it `{other}`", renamed(item.name.span, other, everywhere=True))
        message = f"{fault}, so it cannot name a definition"
        scope.report.error(Code.RESERVED_NAME, item.name.span, message, help=help_)
    if isinstance(item, st.Unit):
        return _unit(scope, item, entry.conventions)
    errors = scope.report.errors
    network = isinstance(item, st.Network)
    parameters, declared = formals(item.parameters, scope.values, scope.report, network=network)
    context = Context(scope, entry.conventions, parameters)
    bodies = BodyResolver(context, network=network)
    pixels = None
    if isinstance(item, st.Network):
        if any(f.default is None for f in declared):
            bare = next(f for f in declared if f.default is None)
            message = f"the parameter `{bare.name}` of a network needs a default"
            help_ = write(f"{bare.name} = 1")
            scope.report.error(Code.ARGUMENT_COUNT, bare.span, message, help=help_)
        pixels = resolve_pixels(item, context)
    body = bodies.definition_body(item.body)
    kind = "network" if network else "block"
    # a use in a faulty line, or of something faulty, is not counted
    if scope.report.errors == errors and not bodies.calls.refused:
        check_used(item, context.used | context.idle, scope.report)
    if network:
        # what only an excluded side uses is not an argument of the model
        declared = tuple(formal for formal in declared if formal.name in context.used)
    return df.Definition(
        kind, item.name.text, declared, body, None, pixels, item.doc, item.name.span
    )


def _unit(scope: FileScope, item: st.Unit, conventions: Conventions) -> df.Definition | None:
    body = BodyResolver(Context(scope, conventions, {}, item)).unit_body(item)
    if body is None:
        return None
    step = body.steps[0]
    assert isinstance(step, df.Step)
    first = step.element
    if isinstance(first, df.Chain):
        first = first.elements[0]
    name, pads = item.name, None
    head = first.op if isinstance(first, df.OpCall) else None
    if isinstance(first, df.Instance):
        head, pads = first.definition.head, first.definition.pads
    elif head is not None and (argument := head.argument("pad")) is not None:
        default, _ = conventions.default(head, argument)
        pads = default if isinstance(default, ByWindow) else None
    if any(attribute.name.text == "pad" for attribute in item.calls[0].attributes):
        pads = None
    return df.Definition("unit", name.text, (), body, head, None, item.doc, name.span, pads)


def _warn_unused(scope: FileScope, reached: tuple[df.Definition, ...]) -> None:
    """Warn about constants, units and blocks of the network's own file that nothing uses."""
    names = {id(definition) for definition in reached}
    scope.values.read |= st.recipe_names(scope.loaded.spec)
    for name, entry in scope.entries.items():
        done = scope.done.get(name)
        idle = done is not None and id(done) not in names and name not in scope.values.read
        if done is not None and idle and done.kind != "network":
            message = f"the {done.kind} `{name}` is never used"
            scope.report.warning(Code.UNUSED, entry.item.name.span, message)
    for name in (*scope.values.constants, *scope.imported):
        if name not in scope.values.read:
            message = f"`{name}` is never used"
            scope.report.warning(Code.UNUSED, scope.values.places[name], message)
