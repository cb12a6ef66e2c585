"""Together, the specs of tests/agreement use everything in the language.

What they use is read off their syntax trees, definitions and graphs; what exists, off the classes
of the syntax tree and the table of ops. So a new op, argument, word, preset or statement fails here
until some spec uses it, and both generated models are compared on that.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import get_args

from incgen.base.source import Span
from incgen.compiling import compile_spec
from incgen.graph.nodes import Graph
from incgen.language import expressions as ex
from incgen.language.arithmetic import FUNCTIONS, PRECEDENCE
from incgen.language.initializers import RULES, Initializer
from incgen.language.ops import DIMENSIONS, OPS, WORDS
from incgen.language.presets import PRESETS
from incgen.language.signatures import Argument, Kind
from incgen.resolve import definitions as df
from incgen.resolve.arguments import PAD_WORDS
from incgen.syntax import tree as st
from incgen.syntax.loader import LoadedFile, load

CASES = sorted((Path(__file__).parent / "agreement").glob("*.inc"))
_NUMBERS = ("a number", "HxW", "[top, bottom, left, right]")


def kind(cls: type) -> str:
    """Return what a class of the syntax tree is called in a report."""
    return cls.__name__.lower()


def test_the_agreement_specs_use_everything() -> None:
    used = {what for path in CASES for what in used_by(path)}

    missing = sorted(needed() - used)
    assert not missing, "no spec in tests/agreement has:\n" + "\n".join(missing)


# ---------------------------------------------------------------- what there is


def needed() -> set[str]:
    """Return everything that some spec must contain."""
    return {*statements(), *details(), *arguments()}


def statements() -> Iterator[str]:
    """Yield statements, elements and operands, from the classes of the syntax tree."""
    for cls in (*get_args(st.Item), st.Statement, st.Input, st.Aux):
        if cls is not st.Recipe:  # it is not part of a network: tests/test_recipes.py
            yield kind(cls)
    for cls in get_args(st.Element):
        yield f"{kind(cls)} with a label"
        yield f"{kind(cls)} without a label"
        yield f"{kind(cls)} behind an arrow"
    yield from ("concat", "add", "mul")
    for operator in PRECEDENCE.keys() - {"**", "in"}:  # specs cannot write these two
        yield f"operator {operator}"
    for function in FUNCTIONS:
        yield f"function {function}"
    for cls in (st.Window, st.Items, st.Applied):
        yield kind(cls)


def details() -> Iterator[str]:
    """Yield the forms of statements."""
    for preset in PRESETS:
        yield f"numerics {preset}"
    for what in ("file", "unit", "block", "network", "statement", "aux"):
        yield f"doc comment of a {what}"
    for what in ("block", "network"):
        yield f"parameter of a {what} with a default"
    yield "parameter of a block without a default"
    yield "argument of a block by position"
    yield "argument of a block by name"
    yield "a unit as the head of a unit"
    yield from ("use of one name", "use of several names", "use of a file that has `numerics`")
    yield "use of a file that has no `numerics`"
    yield from ("if without else", "if with else", "if with else if", "if around heads")
    yield from ("from and nothing else", "from and a chain")
    yield from ("window with braces", "window with a stride", "window with two strides")
    yield from ("a constant", "a word", *DIMENSIONS)
    yield from (f"input {name}" for name in ("order=rgb", "order=bgr", "range", "mean", "std"))


def arguments() -> Iterator[str]:
    """Yield every op with every argument stated, and with every value that can be listed."""
    for op in OPS.values():
        yield op.name
        for argument in op.arguments:
            yield f"{op.name}: {argument.name}"
            for value in values(argument):
                yield f"{op.name}: {argument.name} is {value}"
    for name in RULES:
        yield f"initialiser {name}"


def values(argument: Argument) -> tuple[str, ...]:
    match argument.kind:
        case Kind.FLAG:
            return "true", "false"
        case Kind.WORD:
            return argument.words
        case Kind.PADDING:
            return _NUMBERS if argument.positional else (*PAD_WORDS, *_NUMBERS)
        case _:
            return ()


# ---------------------------------------------------------------- what a spec has


def used_by(path: Path) -> Iterator[str]:
    """Yield everything that a spec contains, in the words of `needed`."""
    graph = compile_spec(path)
    blocks = {d.name for d in graph.program.definitions if d.kind == "block"}
    yield from of_file(load(path), blocks)
    yield from of_definitions(graph)
    yield from of_graph(graph)


def of_file(file: LoadedFile, blocks: set[str]) -> Iterator[str]:
    """Yield the features of a file and of those it uses; `blocks` holds the blocks of all."""
    if file.spec.doc:
        yield "doc comment of a file"
    constants = {item.name.text for item in file.spec.items if isinstance(item, st.Constant)}
    for thing in parts(file.spec):
        yield kind(type(thing))
        yield from of_thing(thing)
        if isinstance(thing, ex.Name) and thing.text in constants:
            yield "a constant"
        if isinstance(thing, st.Call) and thing.name.text in blocks:
            yield from ("argument of a block by position" for _ in thing.positional)
            yield from ("argument of a block by name" for _ in thing.attributes)
    for used in file.uses.values():
        own = any(isinstance(item, st.Numerics) for item in used.spec.items)
        yield f"use of a file that has {'' if own else 'no '}`numerics`"
        yield from of_file(used, blocks)


def parts(thing: object) -> Iterator[object]:
    """Yield a syntax tree and everything in it."""
    if isinstance(thing, tuple):
        for part in thing:
            yield from parts(part)
    elif is_dataclass(thing) and not isinstance(thing, Span):
        yield thing
        for field in fields(thing):
            yield from parts(getattr(thing, field.name))


def of_thing(thing: object) -> Iterator[str]:
    """Yield the form of one part of a syntax tree."""
    if isinstance(thing, (st.Unit, st.Block, st.Network, st.Statement, st.Aux)) and thing.doc:
        yield f"doc comment of a {kind(type(thing))}"
    match thing:
        case st.Numerics(preset):
            yield f"numerics {preset.text}"
        case st.Block() | st.Network():
            for parameter in thing.parameters:
                default = "without" if parameter.default is None else "with"
                yield f"parameter of a {kind(type(thing))} {default} a default"
        case st.Use(names):
            yield "use of one name" if len(names) == 1 else "use of several names"
        case st.Statement():
            yield from of_statement(thing)
            if st.choice_of_heads(thing):
                yield "if around heads"
        case st.Join():
            yield thing.kind
        case st.Conditional(otherwise=None):
            yield "if without else"
        case st.Conditional(otherwise=st.Body((st.Statement(None, None, (st.Conditional(),)),))):
            yield "if with else if"
        case st.Conditional():
            yield "if with else"
        case st.Input():
            for attribute in thing.attributes:
                word = f"={attribute.value.text}" if isinstance(attribute.value, ex.Name) else ""
                yield f"input {attribute.name.text}{word}"
        case st.Window():
            sizes = thing.height, thing.width
            if not all(isinstance(size, ex.Literal) for size in sizes):
                yield "window with braces"
            if thing.stride_height is not None:
                same = thing.stride_height == thing.stride_width
                yield f"window with {'a stride' if same else 'two strides'}"
        case ex.Unary() | ex.Binary():
            yield f"operator {thing.operator}"
        case ex.Call(function):
            yield f"function {function}"
        case ex.Name(text):
            yield "a word" if text in WORDS else text


def of_statement(statement: st.Statement) -> Iterator[str]:
    if statement.origin is not None:
        yield f"from and {'a chain' if statement.elements else 'nothing else'}"
    for element in statement.elements[1:]:
        yield f"{kind(type(element))} behind an arrow"
    if len(statement.elements) == 1:
        label = "without" if statement.label is None else "with"
        yield f"{kind(type(statement.elements[0]))} {label} a label"


def of_definitions(graph: Graph) -> Iterator[str]:
    """Yield what definitions state: the arguments of a unit count as those of its head."""
    program = graph.program
    for definition in (*program.definitions, program.network):
        for element in df.elements(definition.body):
            yield from said_by(element)


def said_by(element: df.Element) -> Iterator[str]:
    match element:
        case df.OpCall():
            yield element.op.name
            yield from (f"{element.op.name}: {name}" for name in element.said)
        case df.Instance():
            head = element.definition.head
            if head is not None:
                yield from (f"{head.name}: {name}" for name in element.args)
                if element.forwards:
                    yield "a unit as the head of a unit"


def of_graph(graph: Graph) -> Iterator[str]:
    """Yield the values of arguments once all parameters are known."""
    for node in graph.nodes:
        for name, value in node.args.items():
            if isinstance(value, Initializer):
                yield f"initialiser {value.name}"
            yield f"{node.op}: {name} is {written(value)}"


def written(value: object) -> str:
    """Return the form of a value."""
    match value:
        case bool():
            return str(value).lower()
        case str():
            return value
        case (_, _):
            return "HxW"
        case (_, _, _, _):
            return "[top, bottom, left, right]"
        case int() | float():
            return "a number"
        case _:
            return kind(type(value))
