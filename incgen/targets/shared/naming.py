"""Find the names that generated code gives the layers of a network, using the same templates.

Each layer is printed by itself, with its arguments as numbers, and the names of what constructs or
computes it are found in that code. For a layer that a framework has both as a class and as a
function, it is the class.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator

from incgen.graph.calls import Calls
from incgen.graph.nodes import Graph, Node
from incgen.graph.shapes import Shape, Window
from incgen.language import expressions as ex
from incgen.language.initializers import Initializer
from incgen.resolve import definitions as df
from incgen.targets.shared.code import Code
from incgen.targets.shared.file import File
from incgen.targets.shared.symbols import Symbol
from incgen.targets.shared.units import Place

#: Calls that stand for what they are given: containers, functions with some of their arguments, and
#: what leaves a parameter of a layer as it is.
_AROUND = ("Sequential", "partial", "unscaled")
_OPERATORS = {ast.Add: "+", ast.Mult: "*"}


def calls(file: File) -> Calls:
    """Return what a file calls the layers, units and blocks of its network.

    Raises:
        SpecError: The framework cannot express something; code `unsupported` or `undecided`.
    """
    file.written_network()  # writes every class or function that is used
    graph, known = file.graph, dict[object, str]()
    layers: dict[str, str] = {}
    for node in graph.nodes[1:]:
        shape = graph.nodes[node.inputs[0]].shape
        unit = node.use.definition.name if node.call and node.call.forwards and node.use else ""
        look = repr(
            (node.op, node.args, shape, len(node.inputs), unit, _is_never_negative(file, node))
        )
        if look not in known:
            known[look] = " + ".join(_named(file, node, shape))
        layers[node.path] = known[look]
    return Calls(layers, dict(_uses(file, graph)))


def _uses(file: File, graph: Graph) -> Iterator[tuple[str, str]]:
    """Yield the key of each use of a unit or block, and its class or function."""
    seen: set[str] = set()
    for node in graph.nodes[1:]:  # the first layer of a use takes its input
        is_map = graph.nodes[node.inputs[0]].shape.is_map
        uses = {use.path: use for use in node.uses()}  # of one key, the outer one
        yield from (
            (key, _form(file, uses[key].definition, is_map)) for key in uses if key not in seen
        )
        seen |= set(uses)


def _form(file: File, definition: df.Definition, is_map: bool) -> str:
    form = file.forms.get((definition, is_map)) or file.forms.get((definition, not is_map))
    return form.name if form else ""


def _named(file: File, node: Node, shape: Shape) -> Iterator[str]:
    """Yield the names of the layers that one is written as."""
    for code in _codes(file, node, shape):
        tree = ast.parse(file.printer.show(code).strip(), mode="eval")
        yield from _names(tree.body)


def _codes(file: File, node: Node, shape: Shape) -> Iterable[Code]:
    if node.call is None:
        return file.join_alone(node.op, len(node.inputs))
    args = {name: _argument(node.args[name]) for name in node.call.args}
    forms = file.analysis.unit_forms
    unit = forms[node.use.definition] if node.call.forwards and node.use else None
    place = Place(_symbol(shape), lambda _: [], unit, never_negative=_is_never_negative(file, node))
    return file.op_alone(node.op, args, place)


def _is_never_negative(file: File, node: Node) -> bool:
    return node.call is not None and node.call.span in file.analysis.never_negative


def _names(tree: ast.expr) -> Iterator[str]:
    match tree:
        case ast.Call(func, [first, *_] as given):
            name = ast.unparse(func)
            around = name.rpartition(".")[2] in _AROUND
            if not around:
                yield name
            for argument in (given if name.endswith("Sequential") else [first]) if around else ():
                yield from _names(argument)
        case ast.Call(func):
            yield ast.unparse(func)
        case ast.BinOp(op=operator) if type(operator) in _OPERATORS:
            yield _OPERATORS[type(operator)]
        case ast.IfExp(body=body):
            yield from _names(body)
        case _:
            yield ast.unparse(tree)


def _argument(value: object) -> df.ArgumentValue:
    """Return the value of an argument as if it were written in place of a parameter."""
    match value:
        case Window((a, b), (c, d)):
            return df.WindowValue((_number(a), _number(b)), (_number(c), _number(d)))
        case tuple():
            return df.SidesValue(tuple(map(_number, value)))
        case None | Initializer():
            return value
        case bool() | int() | float() | str():
            return ex.Literal(value)
        case _:
            raise AssertionError(value)


def _number(value: int) -> ex.Literal:
    return ex.Literal(value)


def _symbol(shape: Shape) -> Symbol:
    sizes = dict(zip(("channels", "height", "width"), shape.sizes, strict=False))
    return Symbol(shape.is_map, lambda axis: ex.Literal(sizes[axis]))
