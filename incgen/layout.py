"""Code trees and statements turned into source lines exactly as ``ruff format`` breaks them.

In goes a tree of nodes (`Call`, `Operation`, `Ternary`, ...) and the statement it stands in
(`assign`, `returns`, `if_header`, ...); out come finished lines of at most 88 columns wherever the
formatter would manage that, so that no formatter has to run on generated code.

Three steps lead there.  Nodes put themselves in normal form when they are made: operands get the
parentheses that precedence asks for, and text such as ``"2 * width"`` becomes a tree.  A statement
that fits on one line is then simply its one-line text (`flat`).  Any other statement becomes a
*document*, text with places where a line may break, and a printer in the manner of Wadler and
Prettier decides which of them break.  The documents follow the formatter's own rules, which is
what makes the result the same: which brackets may open, where parentheses are added, and what is
tried first.

Texts are taken as they are, so they must already be spelled as the formatter spells them: double
quotes, ``1e-05``, ``x[1:]``.
"""

from __future__ import annotations

import ast
import itertools
import re
import textwrap
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from typing import Literal, NamedTuple, assert_never

LINE_LENGTH = 88
INDENT_WIDTH = 4

# --------------------------------------------------------------------------------------------
# Nodes
# --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Name:
    """Text that never breaks: an identifier (dotted or not), a number, a string, a slice.

    Other expressions may be written as text too; they are parsed where they are used.
    """

    text: str


@dataclass(frozen=True, slots=True)
class Parens:
    """An expression in explicit parentheses; other nodes add those that precedence needs."""

    value: Code

    def __post_init__(self) -> None:
        """Put the value in normal form; a second pair of parentheses would be dropped."""
        value = _inner(self.value)
        _put(self, "value", value.value if isinstance(value, Parens) else value)


@dataclass(frozen=True, slots=True)
class Attribute:
    """``value.name``."""

    value: Code
    name: str

    def __post_init__(self) -> None:
        """Parenthesise a value that binds less tightly than the dot."""
        _put(self, "value", _primary(self.value))


@dataclass(frozen=True, slots=True)
class Keyword:
    """``name=value`` in the arguments of a call."""

    name: str
    value: Code

    def __post_init__(self) -> None:
        """Put the value in normal form."""
        _put(self, "value", _inner(self.value))


@dataclass(frozen=True, slots=True)
class Starred:
    """``*value`` or, with two stars, ``**value``."""

    value: Code
    stars: Literal[1, 2] = 1

    def __post_init__(self) -> None:
        """Parenthesise a value that binds less tightly than ``|``."""
        _put(self, "value", _at_least(_inner(self.value), _BITWISE_OR))


@dataclass(frozen=True, slots=True)
class Call:
    """``func(args...)``."""

    func: Code
    args: tuple[Code | Keyword, ...] = ()

    def __post_init__(self) -> None:
        """Parenthesise a function that is not a primary."""
        _put(self, "func", _primary(self.func))
        args = (arg if isinstance(arg, Keyword) else _inner(arg) for arg in self.args)
        _put(self, "args", tuple(args))


@dataclass(frozen=True, slots=True)
class Subscript:
    """``value[index...]``."""

    value: Code
    index: tuple[Code, ...]

    def __post_init__(self) -> None:
        """Parenthesise a value that is not a primary."""
        _put(self, "value", _primary(self.value))
        _put(self, "index", tuple(map(_inner, self.index)))


@dataclass(frozen=True, slots=True)
class List:
    """``[items...]``."""

    items: tuple[Code, ...]

    def __post_init__(self) -> None:
        """Put the items in normal form."""
        _put(self, "items", tuple(map(_inner, self.items)))


@dataclass(frozen=True, slots=True)
class Tuple:
    """``(items...)``; a bare one has parentheses only where it does not fit on one line.

    Only whole values can be bare (``return x, y``) and only with two items or more: inside
    another node a tuple always has its parentheses.
    """

    items: tuple[Code, ...]
    bare: bool = False

    def __post_init__(self) -> None:
        """Put the items in normal form."""
        _put(self, "items", tuple(map(_inner, self.items)))
        _put(self, "bare", self.bare and len(self.items) > 1)


@dataclass(frozen=True, slots=True)
class Dict:
    """``{key: value, ...}``; a key of None unpacks its value (``**value``)."""

    pairs: tuple[tuple[Code | None, Code], ...]

    def __post_init__(self) -> None:
        """Put keys and values in normal form."""
        _put(self, "pairs", tuple(map(_pair, self.pairs)))


@dataclass(frozen=True, slots=True)
class Operation:
    """Operands joined by one binary operator: ``a + b + c``, ``a and b``, ``a < b < c``."""

    operator: str
    operands: tuple[Code, ...]

    def __post_init__(self) -> None:
        """Parenthesise operands by precedence; join a chain of the same operator on the left."""
        if self.operator not in _OPERATORS or len(self.operands) < 2:
            raise ValueError(f"not an operation: {self.operator!r} of {len(self.operands)}")
        operands = _operands(self.operator, tuple(map(_inner, self.operands)))
        _put(self, "operands", operands)


@dataclass(frozen=True, slots=True)
class Unary:
    """``not operand``, ``-operand``, ``+operand`` or ``~operand``."""

    operator: Literal["not", "-", "+", "~"]
    operand: Code

    def __post_init__(self) -> None:
        """Parenthesise an operand that binds less tightly, and any power (as ruff does)."""
        operand = _at_least(_inner(self.operand), _precedence(self))
        is_power = isinstance(operand, Operation) and operand.operator == "**"
        _put(self, "operand", Parens(operand) if is_power else operand)


@dataclass(frozen=True, slots=True)
class Ternary:
    """``then if condition else otherwise``."""

    then: Code
    condition: Code
    otherwise: Code

    def __post_init__(self) -> None:
        """Parenthesise ternaries in the first two places."""
        _put(self, "then", _at_least(_inner(self.then), _OR))
        _put(self, "condition", _at_least(_inner(self.condition), _OR))
        _put(self, "otherwise", _at_least(_inner(self.otherwise), _TERNARY))


@dataclass(frozen=True, slots=True)
class Comprehension:
    """``[element for target in iterable if condition...]``, or a generator or set of the kind."""

    element: Code
    target: str
    iterable: Code
    conditions: tuple[Code, ...] = ()
    kind: Literal["list", "generator", "set"] = "list"

    def __post_init__(self) -> None:
        """Parenthesise ternaries after ``in`` and ``if``."""
        _put(self, "element", _inner(self.element))
        _put(self, "iterable", _at_least(_inner(self.iterable), _OR))
        conditions = (_at_least(_inner(condition), _OR) for condition in self.conditions)
        _put(self, "conditions", tuple(conditions))


Code = (
    Name
    | Parens
    | Attribute
    | Starred
    | Call
    | Subscript
    | List
    | Tuple
    | Dict
    | Operation
    | Unary
    | Ternary
    | Comprehension
)

# --------------------------------------------------------------------------------------------
# Normal form: precedence and texts
# --------------------------------------------------------------------------------------------

_UNREADABLE, _TERNARY, _OR, _NOT, _BITWISE_OR, _UNARY, _POWER, _ATOM = 0, 1, 2, 4, 6, 12, 13, 15

_COMPARISONS = ("==", "!=", "<", "<=", ">", ">=", "in", "not in", "is", "is not")

# How tightly each binary operator binds.
_OPERATORS = {
    "or": _OR,
    "and": 3,
    **dict.fromkeys(_COMPARISONS, 5),
    "|": _BITWISE_OR,
    "^": 7,
    "&": 8,
    "<<": 9,
    ">>": 9,
    "+": 10,
    "-": 10,
    **dict.fromkeys(("*", "/", "//", "%", "@"), 11),
    "**": _POWER,
}

_NUMBER_TEXT = re.compile(r"\d[\d_.]*(?:e-?\d+)?")
_ATOMIC_TEXT = re.compile(
    rf"[^\W\d]\w*(?:\.[^\W\d]\w*)*|{_NUMBER_TEXT.pattern}j?|0[box]\w+|\"[^\"\\]*\"|\.\.\."
)


def _put(node: object, field: str, value: object) -> None:
    """Set a field of a frozen node while it is being made."""
    object.__setattr__(node, field, value)


def _inner(code: Code) -> Code:
    """A child in normal form: text read as a tree, and no tuple without parentheses."""
    match code:
        case Name(text) if _ATOMIC_TEXT.fullmatch(text) is None:
            read = _read(text)
            return Tuple(read.items) if isinstance(read, Tuple) else read
        case Tuple(items, True):
            return Tuple(items)
        case Parens(Tuple() | Comprehension(kind="generator") as inside):
            return inside  # It has parentheses itself, and a second pair would be dropped.
        case _:
            return code


def _pair(pair: tuple[Code | None, Code]) -> tuple[Code | None, Code]:
    key, value = pair
    if key is None:
        return None, _at_least(_inner(value), _BITWISE_OR)
    return _inner(key), _inner(value)


def _primary(code: Code) -> Code:
    """A child in front of a dot, a call or a subscript."""
    code = _inner(code)
    if isinstance(code, Name) and _NUMBER_TEXT.fullmatch(code.text):
        return Parens(code)
    return _at_least(code, _ATOM)


def _at_least(code: Code, precedence: int) -> Code:
    return code if _precedence(code) >= precedence else Parens(code)


def _precedence(code: Code) -> int:
    match code:
        case Name(text):
            return _text_precedence(text)
        case Operation(operator, _):
            return _OPERATORS[operator]
        case Unary(operator, _):
            return _NOT if operator == "not" else _UNARY
        case Ternary():
            return _TERNARY
        case Starred():
            return _UNREADABLE
        case Parens() | Attribute() | Call() | Subscript():
            return _ATOM
        case List() | Tuple() | Dict() | Comprehension():
            return _ATOM
        case _:
            assert_never(code)


@lru_cache(maxsize=4096)
def _text_precedence(text: str) -> int:
    """How tightly a text binds that `_read` could not take apart; to be safe, not at all."""
    if _ATOMIC_TEXT.fullmatch(text):
        return _ATOM
    try:
        tree = ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError):
        return _UNREADABLE
    closed = isinstance(tree, ast.Constant | ast.JoinedStr | ast.Set | ast.DictComp | ast.ListComp)
    return _ATOM if closed else _UNREADABLE


def _operands(operator: str, operands: tuple[Code, ...]) -> tuple[Code, ...]:
    """The operands of one operator with the parentheses they need."""
    own = _OPERATORS[operator]
    if operator == "**":
        # Groups from the right, and only its last operand may be a unary or a power.
        *bases, exponent = operands
        return (*(_at_least(base, own + 1) for base in bases), _at_least(exponent, _UNARY))
    if operator in _COMPARISONS:
        return tuple(_at_least(operand, own + 1) for operand in operands)
    first, *rest = operands
    tighter = tuple(_at_least(operand, own + 1) for operand in rest)
    if isinstance(first, Operation) and first.operator == operator:
        return (*first.operands, *tighter)
    return (_at_least(first, own), *tighter)


@lru_cache(maxsize=4096)
def _read(text: str) -> Code:
    """The tree of a text, or the text as it is where no tree says exactly the same."""
    name = Name(text)
    if _ATOMIC_TEXT.fullmatch(text):
        return name
    try:
        tree = ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError):
        return name
    inside = ast.get_source_segment(text, tree)
    if text == f"({inside})":
        return Parens(_read(inside))
    code = _from_ast(tree, text)
    # Redundant parentheses and unusual spacing are the caller's wish: leave such texts alone.
    return code if flat(code) == text else name


def _from_ast(node: ast.expr, text: str) -> Code:
    """A node of the standard library's tree as one of ours (``text`` is the whole source)."""

    def read(child: ast.expr) -> Code:
        return _from_ast(child, text)

    match node:
        case ast.Attribute():
            value = read(node.value)
            dotted = isinstance(value, Name) and value.text.isidentifier()
            return Name(f"{flat(value)}.{node.attr}") if dotted else Attribute(value, node.attr)
        case ast.Call():
            keywords = (_keyword_from_ast(keyword, text) for keyword in node.keywords)
            return Call(read(node.func), (*map(read, node.args), *keywords))
        case ast.Subscript():
            parts = _bare_items(node.slice, text)
            return Subscript(read(node.value), tuple(map(read, parts)))
        case ast.Starred():
            return Starred(read(node.value))
        case ast.List():
            return List(tuple(map(read, node.elts)))
        case ast.Dict():
            keys = (None if key is None else read(key) for key in node.keys)
            return Dict(tuple(zip(keys, map(read, node.values), strict=True)))
        case ast.GeneratorExp(generators=[loop]) | ast.ListComp(generators=[loop]):
            kind: Literal["list", "generator"] = (
                "list" if isinstance(node, ast.ListComp) else "generator"
            )
            target = ast.get_source_segment(text, loop.target) or ""
            conditions = tuple(map(read, loop.ifs))
            return Comprehension(read(node.elt), target, read(loop.iter), conditions, kind)
        case ast.Tuple():
            bare = text[_offset(text, node) : _offset(text, node) + 1] != "("
            return Tuple(tuple(map(read, node.elts)), bare=bare)
        case ast.IfExp():
            return Ternary(read(node.body), read(node.test), read(node.orelse))
        case ast.UnaryOp():
            return Unary(_UNARY_SYMBOLS[type(node.op)], read(node.operand))
        case ast.BinOp():
            operands = read(node.left), read(node.right)
            return Operation(_BINARY_SYMBOLS[type(node.op)], operands)
        case ast.BoolOp():
            operator = "and" if isinstance(node.op, ast.And) else "or"
            return Operation(operator, tuple(map(read, node.values)))
        case ast.Compare(ops=[operation]):
            operands = read(node.left), read(node.comparators[0])
            return Operation(_COMPARE_SYMBOLS[type(operation)], operands)
        case _:
            return Name(ast.get_source_segment(text, node) or text)


def _keyword_from_ast(keyword: ast.keyword, text: str) -> Keyword | Starred:
    value = _from_ast(keyword.value, text)
    return Starred(value, 2) if keyword.arg is None else Keyword(keyword.arg, value)


def _bare_items(index: ast.expr, text: str) -> list[ast.expr]:
    """What stands between the brackets of a subscript, item by item."""
    if isinstance(index, ast.Tuple) and len(index.elts) > 1:
        start = _offset(text, index)
        inner_end = index.elts[-1].end_col_offset
        # A tuple in parentheses ends after its last item; a bare one ends with it.
        if index.end_col_offset == inner_end or text[start] != "(":
            return index.elts
    return [index]


def _offset(text: str, node: ast.expr) -> int:
    """Where a node starts, counted in characters (the parser counts bytes of one line)."""
    return len(text.encode()[: node.col_offset].decode(errors="ignore"))


_UNARY_SYMBOLS: dict[type[ast.unaryop], Literal["not", "-", "+", "~"]] = {
    ast.Not: "not",
    ast.USub: "-",
    ast.UAdd: "+",
    ast.Invert: "~",
}
_BINARY_SYMBOLS: dict[type[ast.operator], str] = {
    ast.Add: "+",
    ast.Sub: "-",
    ast.Mult: "*",
    ast.Div: "/",
    ast.FloorDiv: "//",
    ast.Mod: "%",
    ast.MatMult: "@",
    ast.Pow: "**",
    ast.BitOr: "|",
    ast.BitXor: "^",
    ast.BitAnd: "&",
    ast.LShift: "<<",
    ast.RShift: ">>",
}
_COMPARE_SYMBOLS: dict[type[ast.cmpop], str] = {
    ast.Eq: "==",
    ast.NotEq: "!=",
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
    ast.In: "in",
    ast.NotIn: "not in",
    ast.Is: "is",
    ast.IsNot: "is not",
}

# --------------------------------------------------------------------------------------------
# Convenience constructors
# --------------------------------------------------------------------------------------------


def code(value: str | Code) -> Code:
    """The node for a text, or the node itself: ``code("2 * width")``."""
    return _read(value) if isinstance(value, str) else value


def call(func: str | Code, /, *args: str | Code | Keyword, **keywords: str | Code) -> Call:
    """A call: ``call("nn.Conv2d", "3", "width", bias="False")``."""
    positional = (arg if isinstance(arg, Keyword) else code(arg) for arg in args)
    named = (Keyword(name, code(value)) for name, value in keywords.items())
    return Call(code(func), (*positional, *named))


def method(
    value: str | Code, name: str, /, *args: str | Code | Keyword, **keywords: str | Code
) -> Call:
    """A method call: ``method(call("x.mean", "(2, 3)"), "flatten", "1")``."""
    return call(Attribute(code(value), name), *args, **keywords)


def binary(operator: str, first: str | Code, *rest: str | Code) -> Code:
    """Operands joined by an operator (``binary("+", "a", "b", "c")``); one operand is itself."""
    operands = (code(first), *map(code, rest))
    return Operation(operator, operands) if rest else operands[0]


def ternary(then: str | Code, condition: str | Code, otherwise: str | Code) -> Ternary:
    """A conditional expression: ``ternary("nn.ReLU()", "act", "nn.Identity()")``."""
    return Ternary(code(then), code(condition), code(otherwise))


def list_of(*items: str | Code) -> List:
    """A list: ``list_of("x", "y")``."""
    return List(tuple(map(code, items)))


def tuple_of(*items: str | Code, bare: bool = False) -> Tuple:
    """A tuple: ``tuple_of("1", "1")``."""
    return Tuple(tuple(map(code, items)), bare)


def subscript(value: str | Code, *index: str | Code) -> Subscript:
    """A subscript: ``subscript("x", ":", "0")``."""
    return Subscript(code(value), tuple(map(code, index)))


# --------------------------------------------------------------------------------------------
# One line
# --------------------------------------------------------------------------------------------


def flat(node: Code | Keyword) -> str:
    """A tree on one line."""
    match node:
        case Name(text):
            return text
        case Parens(value):
            return f"({flat(value)})"
        case Attribute(value, name):
            return f"{flat(value)}.{name}"
        case Keyword(name, value):
            return f"{name}={flat(value)}"
        case Starred(value, stars):
            return "*" * stars + flat(value)
        case Call(func, args):
            return f"{flat(func)}({_flat_arguments(args)})"
        case Subscript(value, index):
            return f"{flat(value)}[{_flat_items(index)}]"
        case List(items):
            return f"[{_flat_items(items)}]"
        case Tuple(items, bare):
            inside = _flat_items(items) + ("," if len(items) == 1 else "")
            return inside if bare else f"({inside})"
        case Dict(pairs):
            return "{" + ", ".join(_flat_pair(key, value) for key, value in pairs) + "}"
        case Operation():
            return _flat_operation(node)
        case Unary(operator, operand):
            return operator + (" " if operator == "not" else "") + flat(operand)
        case Ternary(then, condition, otherwise):
            return f"{flat(then)} if {flat(condition)} else {flat(otherwise)}"
        case Comprehension():
            brackets = _BRACKETS[node.kind]
            return f"{brackets[0]}{_flat_comprehension(node)}{brackets[1]}"
        case _:
            assert_never(node)


_BRACKETS = {"list": "[]", "generator": "()", "set": "{}"}


def _flat_items(items: tuple[Code, ...]) -> str:
    return ", ".join(map(flat, items))


def _flat_arguments(args: tuple[Code | Keyword, ...]) -> str:
    generator = _sole_generator(args)
    return ", ".join(map(flat, args)) if generator is None else _flat_comprehension(generator)


def _flat_pair(key: Code | None, value: Code) -> str:
    return f"**{flat(value)}" if key is None else f"{flat(key)}: {flat(value)}"


def _flat_operation(node: Operation) -> str:
    operands = node.operands
    text = flat(operands[0])
    for left, right in itertools.pairwise(operands):
        tight = node.operator == "**" and _is_simple(left) and _is_simple(right)
        text += f"**{flat(right)}" if tight else f" {node.operator} {flat(right)}"
    return text


def _flat_comprehension(node: Comprehension) -> str:
    conditions = "".join(f" if {flat(condition)}" for condition in node.conditions)
    return f"{flat(node.element)} for {node.target} in {flat(node.iterable)}{conditions}"


def _sole_generator(args: tuple[Code | Keyword, ...]) -> Comprehension | None:
    """The generator that is the only argument of a call and so goes without parentheses."""
    match args:
        case (Comprehension(kind="generator") as generator,):
            return generator
        case _:
            return None


def _is_simple(operand: Code) -> bool:
    """Whether a power of this operand is written without spaces."""
    match operand:
        case Name(text):
            return _ATOMIC_TEXT.fullmatch(text) is not None and text[0] not in '".'
        case Attribute(value, _):
            return _is_simple(value)
        case Unary(operator, value):
            return operator != "not" and _is_simple(value)
        case _:
            return False


# --------------------------------------------------------------------------------------------
# Documents: text with places where lines may break
# --------------------------------------------------------------------------------------------


class _Line(Enum):
    """A place where a line may (or must) break, and what stands there if it does not."""

    SOFT = ""
    SPACE = " "
    HARD = "\n"


_GroupId = int


@dataclass(frozen=True, slots=True)
class _Group:
    """Content whose own breaks happen all together or not at all."""

    content: _Doc
    id: _GroupId | None = None
    expand: bool = False


@dataclass(frozen=True, slots=True)
class _GroupIfBroken:
    """A group if group ``id`` is broken, else no more than its content."""

    content: _Doc
    id: _GroupId


@dataclass(frozen=True, slots=True)
class _When:
    """Content that is there only if a group (by default the enclosing one) is or is not broken."""

    content: _Doc
    broken: bool = True
    id: _GroupId | None = None


@dataclass(frozen=True, slots=True)
class _Indent:
    """Content one level further in; with an id, only if that group is broken."""

    content: _Doc
    id: _GroupId | None = None


@dataclass(frozen=True, slots=True)
class _MayExpand:
    """Brackets that may open although group ``id`` around them stays unbroken."""

    content: _Doc
    id: _GroupId


@dataclass(frozen=True, slots=True)
class _FitParens:
    """Content that gets parentheses only if it then fits on lines of its own."""

    content: _Doc
    id: _GroupId


@dataclass(frozen=True, slots=True)
class _FirstFit:
    """The first of several layouts that fits, else the last."""

    layouts: tuple[_Doc, ...]


_Doc = (
    str
    | tuple["_Doc", ...]
    | _Line
    | _Group
    | _GroupIfBroken
    | _When
    | _Indent
    | _MayExpand
    | _FitParens
    | _FirstFit
)


class _Measure(Enum):
    """What a trial looks at: the first line, all lines, or only text around the content."""

    FIRST_LINE = 1
    ALL_LINES = 2
    ANY_WIDTH = 3


class _Frame(NamedTuple):
    """A document still to be printed, and how."""

    doc: _Doc
    indent: int
    is_flat: bool
    measure: _Measure = _Measure.FIRST_LINE

    def of(self, doc: _Doc) -> _Frame:
        """Another document printed in the same way."""
        return _Frame(doc, self.indent, self.is_flat, self.measure)

    def flattened(self, doc: _Doc, is_flat: bool = True) -> _Frame:
        """Another document, broken or unbroken."""
        return _Frame(doc, self.indent, is_flat, self.measure)

    def indented(self, doc: _Doc) -> _Frame:
        """Another document, one level further in."""
        return _Frame(doc, self.indent + INDENT_WIDTH, self.is_flat, self.measure)


class _Printer:
    """Prints one document from left to right, deciding group by group what breaks.

    A trial (`_fits`) reads on until the line is full or ends, so a group costs no more than a
    line's worth of text; only the few constructs that look at all lines cost more, and they
    occur once in a statement.
    """

    def __init__(self, indent: int) -> None:
        """Start at the beginning of a line."""
        self._pieces: list[str] = []
        self._column = 0
        self._margin = indent  # Spaces still to come before the next text.
        self._flat_groups: dict[_GroupId, bool] = {}
        self._is_measured = False  # The enclosing flat group is known to fit.
        self._stack: list[_Frame] = []

    def print(self, doc: _Doc) -> list[str]:
        """The lines of a document."""
        self._stack.append(_Frame(doc, self._margin, is_flat=False))
        while self._stack:
            self._print(self._stack.pop())
        return "".join(self._pieces).split("\n")

    def _print(self, frame: _Frame) -> None:
        doc = frame.doc
        match doc:
            case str():
                self._text(doc)
            case tuple():
                self._stack.extend(map(frame.of, reversed(doc)))
            case _Line():
                self._break(doc, frame)
            case _Group(content, group, expand):
                is_flat = not expand and self._fits_flat(content, group, frame)
                if group is not None:
                    self._flat_groups[group] = is_flat
                self._stack.append(frame.flattened(content, is_flat))
            case _GroupIfBroken(content, group):
                grouped = not self._flat_groups[group]
                is_flat = self._fits_flat(content, None, frame) if grouped else frame.is_flat
                self._stack.append(frame.flattened(content, is_flat))
            case _When() | _Indent():
                self._stack.extend(self._conditional(doc, frame))
            case _MayExpand(content, group):
                # Its inside was taken as broken so far: find out now whether it has to be.
                self._is_measured = self._is_measured and not self._flat_groups[group]
                self._stack.append(frame.of(content))
            case _FitParens():
                self._fit_parens(doc, frame)
            case _FirstFit(layouts):
                self._first_fit(layouts, frame)
            case _:
                assert_never(doc)

    def _text(self, text: str) -> None:
        if text:
            self._pieces.append(" " * self._margin + text)
            self._column += self._margin + _width(text)
            self._margin = 0

    def _break(self, line: _Line, frame: _Frame) -> None:
        if frame.is_flat and line is not _Line.HARD:
            self._text(line.value)
        else:
            self._pieces.append("\n")
            self._column = 0
            self._margin = frame.indent

    def _conditional(self, doc: _When | _Indent, frame: _Frame) -> Iterable[_Frame]:
        """What is left of content that depends on whether a group is broken."""
        is_flat = frame.is_flat if doc.id is None else self._flat_groups[doc.id]
        match doc:
            case _When(content, broken, _):
                return () if broken is is_flat else (frame.of(content),)
            case _Indent(content, group):
                stays = group is not None and is_flat
                return (frame.of(content) if stays else frame.indented(content),)
            case _:
                assert_never(doc)

    def _fits_flat(self, content: _Doc, group: _GroupId | None, frame: _Frame) -> bool:
        if frame.is_flat and self._is_measured:
            return True
        self._is_measured = True
        if group is not None:
            self._flat_groups[group] = True
        return self._fits(frame.flattened(content))

    def _fit_parens(self, doc: _FitParens, frame: _Frame) -> None:
        opened: tuple[_Doc, ...] = ("(", _Indent((_Line.HARD, doc.content)), _Line.HARD, ")")
        is_flat = self._fits_flat(doc.content, doc.id, frame)
        if not is_flat:
            self._flat_groups[doc.id] = False
            trial = _Frame(opened, frame.indent, frame.is_flat, _Measure.ALL_LINES)
            is_flat = not self._fits(trial)
        self._flat_groups[doc.id] = is_flat
        self._stack.append(frame.flattened(doc.content if is_flat else opened, is_flat))

    def _first_fit(self, layouts: tuple[_Doc, ...], frame: _Frame) -> None:
        if frame.is_flat and self._is_measured:
            self._stack.append(frame.of(layouts[0]))
            return
        self._is_measured = True
        *tries, last = layouts
        for layout in tries:
            if self._fits(frame.flattened(layout)):
                self._stack.append(frame.flattened(layout))
                return
        self._stack.append(frame.flattened(last, is_flat=False))

    def _fits(self, trial: _Frame) -> bool:
        """Whether a document, with what follows it on the line, stays within the line length."""
        frames = [trial]
        following = reversed(self._stack)
        column, margin = self._column, self._margin
        while (frame := frames.pop() if frames else next(following, None)) is not None:
            doc = frame.doc
            if isinstance(doc, _Line):
                if not frame.is_flat or doc is _Line.HARD:
                    if frame.is_flat or frame.measure is _Measure.FIRST_LINE:
                        return True
                    column, margin = 0, frame.indent
                    continue
                doc = doc.value
            if not isinstance(doc, str):
                frames.extend(self._measured(doc, frame))
            elif doc:
                column, margin = column + margin + _width(doc), 0
                if column > LINE_LENGTH and frame.measure is not _Measure.ANY_WIDTH:
                    return False
        return True

    def _measured(self, doc: _Doc, frame: _Frame) -> Iterable[_Frame]:
        """The parts of a document to be measured, the last first."""
        match doc:
            case tuple():
                return map(frame.of, reversed(doc))
            case _Group(content, group, expand):
                is_flat = frame.is_flat and not expand
                if group is not None:
                    self._flat_groups[group] = is_flat
                return (frame.flattened(content, is_flat),)
            case _GroupIfBroken(content, _):
                return (frame.of(content),)
            case _When() | _Indent():
                return self._conditional(doc, frame)
            case _MayExpand(content, group):
                if frame.is_flat and self._flat_groups[group]:
                    return (_Frame(content, frame.indent, False, _Measure.ANY_WIDTH),)
                return (frame.of(content),)
            case _FitParens(content, group):
                self._flat_groups[group] = frame.is_flat
                return (frame.of(content),)
            case _FirstFit(layouts):
                return (frame.of(layouts[0 if frame.is_flat else -1]),)
            case str() | _Line():
                return (frame,)
            case _:
                assert_never(doc)


def _width(text: str) -> int:
    """Columns that a text takes up."""
    return len(text) if text.isascii() else sum(map(_columns, text))


def _columns(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


# --------------------------------------------------------------------------------------------
# Which parentheses a whole value may get
# --------------------------------------------------------------------------------------------


class _Need(Enum):
    """When a value that does not fit on its line is put in parentheses."""

    NEVER = 1  # It has brackets of its own.
    IF_BROKEN = 2  # It cannot break without them.
    IF_FITTING = 3  # It has nothing to break in front of its first bracket.


def _need(node: Code) -> _Need:
    match node:
        case Name():
            return _Need.IF_FITTING
        case Operation() | Ternary() | Starred():
            return _Need.IF_BROKEN
        case Parens() | List() | Tuple() | Dict() | Comprehension():
            return _Need.NEVER
        case Unary(_, operand):
            return _need(operand)
        case Attribute(value, _) | Call(value, _) | Subscript(value, _):
            return _Need.IF_BROKEN if _is_fluent(node) else _need(value)
        case _:
            assert_never(node)


def _is_fluent(node: Code) -> bool:
    """Whether a chain breaks before its dots: two dots or more that follow a bracket."""
    dots = 0
    while True:
        match node:
            case Attribute(Parens(), _):
                return dots + 1 >= 2
            case Attribute(value, _):
                dots += isinstance(value, Call | Subscript)
                node = value
            case Call(value, _) | Subscript(value, _):
                node = value
            case _:
                return dots >= 2


def _has_brackets(node: Code) -> bool | None:
    """Whether a node has brackets with something in them; None if it has no brackets."""
    match node:
        case Parens() | Subscript() | Comprehension():
            return True
        case Call(_, items) | List(items) | Tuple(items) | Dict(items):
            return bool(items)
        case Name() | Attribute() | Starred() | Operation() | Unary() | Ternary():
            return None
        case _:
            assert_never(node)


# How loosely operators hold their operands together when a line is broken: a line breaks at the
# loosest ones first.  Unlike in precedence, "and" and "or" are on a par.
_LOOSE_DOT, _LOOSE_INVERT, _LOOSE_TERNARY = 1, 3, 100


def _looseness(operator: str) -> int:
    if operator in ("and", "or"):
        return 50
    if operator == "**":
        return 2
    return 20 - _OPERATORS[operator]


def _opens_well(end: Code | None) -> bool:
    """Whether the first or last operand has brackets that are good to open."""
    value = end.value if isinstance(end, Parens) else end
    # A subscript would look odd, in parentheses or not.
    return end is not None and not isinstance(value, Subscript) and _has_brackets(end) is True


class _Shape:
    """What decides whether a value should rather open its brackets than get parentheses."""

    def __init__(self, node: Code) -> None:
        """Look at the value and all that is not in brackets inside it."""
        self.loosest = 0
        self.count = 0
        self.has_brackets = False
        self.last: Code | None = None
        self.first: Code | None = None
        self._has_first = False
        self._look(node)

    def prefers_brackets(self) -> bool:
        """Whether opening brackets comes before adding parentheses."""
        if not self.has_brackets or self.count > 1:
            return False
        if self.loosest <= _LOOSE_DOT:
            return True
        return any(_opens_well(end) for end in (self.last, self.first))

    def _visit(self, node: Code) -> None:
        self.last = node
        if isinstance(node, Parens):
            self.has_brackets = True
        else:
            self._look(node)
        self._begin(node)

    def _begin(self, node: Code | None) -> None:
        if not self._has_first:
            self._has_first = True
            self.first = node

    def _operator(self, looseness: int, count: int = 1) -> None:
        if looseness > self.loosest:
            self.loosest, self.count = looseness, count
        elif looseness == self.loosest:
            self.count += count

    def _look(self, node: Code) -> None:
        match node:
            case List() | Tuple() | Dict() | Comprehension() | Parens():
                self.has_brackets = True
            case Operation(operator, operands):
                self._operator(_looseness(operator), len(operands) - 1)
                for operand in operands:
                    self._visit(operand)
            case Ternary(then, condition, otherwise):
                self._operator(_LOOSE_TERNARY, 2)
                for part in (then, condition, otherwise):
                    self._visit(part)
            case Call(value, _) | Subscript(value, _):
                self.has_brackets = True
                self._visit(value)
                self.last = node
            case Attribute(value, _):
                self._visit(value)
                if _has_brackets(value) is not None:
                    self._operator(_LOOSE_DOT)
                self.last = node
            case Unary(operator, operand):
                if operator == "~":
                    self._operator(_LOOSE_INVERT)
                self._begin(None)
                self._visit(operand)
            case Starred(value, _):
                self._begin(None)
                self._visit(value)
            case Name():
                pass
            case _:
                assert_never(node)


# --------------------------------------------------------------------------------------------
# Trees into documents
# --------------------------------------------------------------------------------------------

# Where an expression stands: outside all brackets, inside some, or (any other number) inside the
# group of that id, which may still get parentheses.
_Place = int
_OUTSIDE: _Place = -1
_INSIDE: _Place = -2


class _Builder:
    """Makes the documents of one statement."""

    def __init__(self) -> None:
        """Start counting groups."""
        self._ids: Iterator[_GroupId] = itertools.count()

    def value(self, node: Code, need: _Need | None = None, *, always_grouped: bool = False) -> _Doc:
        """The document of a whole value, with parentheses around it where the rules want them."""
        need = _need(node) if need is None else need
        if isinstance(node, Tuple) and node.bare:
            return self._bare_tuple(node)
        if need is _Need.NEVER:
            return self.code(node, _OUTSIDE)
        if need is _Need.IF_FITTING and not always_grouped:
            group = next(self._ids)
            return _FitParens(self.code(node, group), group)
        if _Shape(node).prefers_brackets():
            return self.optional_parens(lambda place: self.code(node, place))
        return self.parens_if_broken(lambda place: self.code(node, place))

    def optional_parens(self, content: Callable[[_Place], _Doc]) -> _Doc:
        """Parentheses for content whose own brackets open first."""
        group = next(self._ids)
        return self._parens(content(group), group)

    def parens_if_broken(self, content: Callable[[_Place], _Doc]) -> _Doc:
        """Parentheses for content that is not on one line."""
        return self._parens(content(_INSIDE), next(self._ids))

    def _parens(self, content: _Doc, group: _GroupId) -> _Doc:
        inside = _Indent((_Line.SOFT, content), group)
        return _Group((_When("("), inside, _Line.SOFT, _When(")")), group)

    def _bare_tuple(self, node: Tuple) -> _Doc:
        return self.parens_if_broken(lambda place: self.items(node.items, place))

    def pair(self, items: tuple[Code, ...]) -> _Doc:
        """Two returned values: brackets in them open first, then parentheses go around both."""
        group = next(self._ids)
        # With its parentheses it would next be read as a tuple that has always had them.
        broken = self.code(Tuple(items), _OUTSIDE)
        return _Group((_When(broken), _When(self.items(items, group), False)), group)

    def items(self, items: Iterable[Code | Keyword], place: _Place) -> _Doc:
        """Items with commas between them, and one at the end if there are several lines."""
        docs = [self._argument(item, place) for item in items]
        return (_joined(docs), _When(",")) if len(docs) > 1 else _joined(docs)

    def _argument(self, node: Code | Keyword, place: _Place) -> _Doc:
        if isinstance(node, Keyword):
            return (f"{node.name}=", self.code(node.value, place))
        return self.code(node, place)

    def code(self, node: Code, place: _Place) -> _Doc:
        """The document of an expression."""
        match node:
            case Name(text):
                return text
            case Parens(value):
                return self._brackets("()", self.code(value, _INSIDE), place)
            case Attribute() | Call() | Subscript():
                return self._link(node, place, None)
            case Starred(value, stars):
                return ("*" * stars, self.code(value, place))
            case List(items):
                return self._brackets("[]", self.items(items, _INSIDE), place) if items else "[]"
            case Tuple(items, _):
                return self._tuple(items, place)
            case Dict(pairs):
                return self._dict(pairs, place)
            case Operation():
                return self._operation(node, place)
            case Unary(operator, operand):
                sign = "not " if operator == "not" else operator
                return (sign, self.code(operand, place))
            case Ternary():
                return self._group(self._ternary(node, place), place)
            case Comprehension():
                content = _Group(self._comprehension(node))
                return self._brackets(_BRACKETS[node.kind], content, place)
            case _:
                assert_never(node)

    def _brackets(self, brackets: str, content: _Doc, place: _Place) -> _Doc:
        body: _Doc = _Group((_Indent((_Line.SOFT, content)), _Line.SOFT))
        if place >= 0:
            body = _MayExpand(body, place)
        return (brackets[0], body, brackets[1])

    def _tuple(self, items: tuple[Code, ...], place: _Place) -> _Doc:
        if not items:
            return "()"
        content = self.items(items, _INSIDE)
        return self._brackets("()", (content, ",") if len(items) == 1 else content, place)

    def _dict(self, pairs: tuple[tuple[Code | None, Code], ...], place: _Place) -> _Doc:
        if not pairs:
            return "{}"
        items = _joined([_Group(self._pair(key, value)) for key, value in pairs])
        return self._brackets("{}", (items, _When(",")) if len(pairs) > 1 else items, place)

    def _pair(self, key: Code | None, value: Code) -> _Doc:
        if key is None:
            return ("**", self.code(value, _INSIDE))
        return (self.code(key, _INSIDE), ": ", self.code(value, _INSIDE))

    # Calls, subscripts and dots

    def _link(self, node: Attribute | Call | Subscript, place: _Place, chain: bool | None) -> _Doc:
        """A link of a chain; ``chain`` says whether the chain is fluent, None for its last link."""
        fluent = (place != _OUTSIDE and _is_fluent(node)) if chain is None else chain
        match node:
            case Attribute(value, name):
                breaks = fluent and isinstance(value, Parens | Call | Subscript)
                dot: _Doc = (_Line.SOFT, f".{name}") if breaks else f".{name}"
                doc: _Doc = (self._linked(value, place, fluent), dot)
            case Call(func, args):
                doc = (self._linked(func, place, fluent), self.arguments(args, place))
            case Subscript(value, index):
                doc = (self._linked(value, place, fluent), self._index(index, place))
            case _:
                assert_never(node)
        return _Group(doc) if fluent and chain is None else doc

    def _linked(self, value: Code, place: _Place, fluent: bool) -> _Doc:
        if isinstance(value, Attribute | Call | Subscript):
            return self._link(value, place, fluent)
        return self.code(value, place)

    def arguments(self, args: tuple[Code | Keyword, ...], place: _Place) -> _Doc:
        """The arguments of a call with their parentheses: all on one line, or one a line."""
        if not args:
            return "()"
        alone = _sole_generator(args)
        content = self.items(args, _INSIDE) if alone is None else self._comprehension(alone)
        return self._brackets("()", _Group(content), place)

    def _index(self, index: tuple[Code, ...], place: _Place) -> _Doc:
        content = self.items(index, _INSIDE)
        return self._brackets("[]", _Group(content) if len(index) > 1 else content, place)

    def _comprehension(self, node: Comprehension) -> _Doc:
        """A comprehension without its brackets."""
        iterable = self.code(node.iterable, _INSIDE)
        loop: _Doc = (f"for {node.target} in ", iterable)
        conditions = ((_Line.SPACE, "if ", self.code(c, _INSIDE)) for c in node.conditions)
        return (_Group(self.code(node.element, _INSIDE)), _Line.SPACE, loop, *conditions)

    # Operators

    def _group(self, content: _Doc, place: _Place) -> _Doc:
        """A group wherever lines can break at operators."""
        if place == _OUTSIDE:
            return content
        return _Group(content) if place == _INSIDE else _GroupIfBroken(content, place)

    def _line(self, line: _Line, place: _Place) -> _Doc:
        """A break wherever lines can break at operators."""
        if place == _OUTSIDE:
            return line.value
        if place == _INSIDE:
            return line
        return (_When(line, True, place), _When(line.value, False, place))

    def _ternary(self, node: Ternary, place: _Place) -> _Doc:
        line = self._line(_Line.SPACE, place)
        then, condition = self.code(node.then, place), self.code(node.condition, place)
        if isinstance(node.otherwise, Ternary):
            otherwise = self._ternary(node.otherwise, place)
        else:
            otherwise = self._group(self.code(node.otherwise, place), place)
        return (then, line, "if ", condition, line, "else ", otherwise)

    def _operation(self, node: Operation, place: _Place) -> _Doc:
        operands: list[Code] = []
        operators: list[str] = []
        _flatten(node, operands, operators)
        return self._group(self._operators(operands, operators, place), place)

    def _operators(self, operands: Sequence[Code], operators: Sequence[str], place: _Place) -> _Doc:
        """Operands and operators, with breaks before the loosest operators."""
        loosest = max(map(_looseness, operators))
        parts: list[_Doc] = []
        start = 0
        for index, operator in enumerate(operators):
            if _looseness(operator) == loosest:
                parts.append(self._part(operands, operators, start, index, place))
                tight = operator == "**" and all(map(_is_simple, operands[index : index + 2]))
                parts.extend(self._operator(operator, tight, place))
                start = index + 1
        parts.append(self._part(operands, operators, start, len(operators), place))
        return tuple(parts)

    def _part(
        self,
        operands: Sequence[Code],
        operators: Sequence[str],
        start: int,
        end: int,
        place: _Place,
    ) -> _Doc:
        """The operands from ``start`` to ``end`` and the operators between them."""
        if start == end:
            return self.code(operands[start], place)
        content = self._operators(operands[start : end + 1], operators[start:end], place)
        return self._group(content, place)

    def _operator(self, operator: str, tight: bool, place: _Place) -> tuple[_Doc, ...]:
        if not tight:
            return (self._line(_Line.SPACE, place), f"{operator} ")
        if place == _OUTSIDE:
            return (operator,)
        space = _When(" ", True, None if place == _INSIDE else place)
        return (self._line(_Line.SOFT, place), operator, space)


def _joined(docs: Sequence[_Doc]) -> _Doc:
    """Documents with commas between them, after which lines may break."""
    first, *rest = docs
    return (first, *((",", _Line.SPACE, doc) for doc in rest))


def _flatten(node: Operation, operands: list[Code], operators: list[str]) -> None:
    """Write out an operation and those directly inside it as one row of operands."""
    for index, operand in enumerate(node.operands):
        if index:
            operators.append(node.operator)
        if isinstance(operand, Operation):
            _flatten(operand, operands, operators)
        else:
            operands.append(operand)


# --------------------------------------------------------------------------------------------
# Statements
# --------------------------------------------------------------------------------------------


def _whole(value: str | Code) -> Code:
    """The value of a statement: a tuple may be bare, and parentheses around it all are dropped."""
    value = code(value)
    match value:
        case Name(text):
            return _read(text)
        case Parens(inside):
            return inside
        case _:
            return value


def assign(
    target: str,
    value: str | Code,
    *,
    indent: int = 0,
    annotation: str | None = None,
    comment: str | None = None,
    operator: str = "=",
) -> list[str]:
    """An assignment: ``assign("x", call("self.conv", "x"), indent=8)``."""
    whole = _whole(value)
    head = target if annotation is None else f"{target}: {annotation}"
    line = f"{head} {operator} {flat(whole)}"
    return _statement(
        line, indent, comment, lambda: _assignment(target, annotation, operator, whole)
    )


def returns(
    value: str | Code | None = None, *, indent: int = 0, comment: str | None = None
) -> list[str]:
    """A return statement: ``returns(binary("+", "x", "residual"), indent=8)``."""
    if value is None:
        return _statement("return", indent, comment, lambda: "return")
    whole = _whole(value)
    return _statement(f"return {flat(whole)}", indent, comment, lambda: _return(whole))


def expression(value: str | Code, *, indent: int = 0, comment: str | None = None) -> list[str]:
    """An expression that is a statement: ``expression(call("super().__init__"), indent=8)``."""
    whole = _whole(value)
    return _statement(flat(whole), indent, comment, lambda: _expression(whole))


def def_header(
    name: str, params: Sequence[str], returned: str | None = None, *, indent: int = 0
) -> list[str]:
    """The first line or lines of a function: ``def_header("f", ["x: int"], "int")``."""
    arrow = "" if returned is None else f" -> {returned}"
    line = f"def {name}({', '.join(params)}){arrow}:"
    return _statement(line, indent, None, lambda: _def(name, params, returned))


def class_header(name: str, bases: Sequence[str | Code] = (), *, indent: int = 0) -> list[str]:
    """The first line or lines of a class: ``class_header("Net", ["nn.Module"])``."""
    args = tuple(map(code, bases))
    head = f"class {name}"
    if not args:
        return _statement(f"{head}:", indent, None, lambda: f"{head}:")
    line = f"{head}({_flat_arguments(args)}):"
    return _statement(line, indent, None, lambda: (head, _Builder().arguments(args, _OUTSIDE), ":"))


def if_header(condition: str | Code, *, indent: int = 0) -> list[str]:
    """The head of an if statement: ``if_header(binary("==", "stride", "1"), indent=8)``."""
    return _condition("if", condition, indent)


def elif_header(condition: str | Code, *, indent: int = 0) -> list[str]:
    """The head of an elif branch: ``elif_header("stride == 2", indent=8)``."""
    return _condition("elif", condition, indent)


def while_header(condition: str | Code, *, indent: int = 0) -> list[str]:
    """The head of a while loop: ``while_header("stages", indent=8)``."""
    return _condition("while", condition, indent)


def for_header(target: str, iterable: str | Code, *, indent: int = 0) -> list[str]:
    """The head of a for loop: ``for_header("block", "self.blocks", indent=8)``."""
    whole = _whole(iterable)
    line = f"for {target} in {flat(whole)}:"
    return _statement(line, indent, None, lambda: _for(target, whole))


def comment_lines(comment: str, *, indent: int = 0) -> list[str]:
    """A comment on lines of its own: ``comment_lines("Stem.", indent=8)``."""
    lines = wrap(comment, LINE_LENGTH - 2, indent)
    return [f"{' ' * indent}# {line[indent:]}".rstrip() for line in lines]


def _statement(
    line: str, indent: int, comment: str | None, document: Callable[[], _Doc]
) -> list[str]:
    """A statement on one line if that fits, else broken, with its comment beside or above it."""
    line = " " * indent + line
    comment = comment and comment.strip()
    if _width(line) > LINE_LENGTH:
        lines = _Printer(indent).print(document())
        return [*comment_lines(comment, indent=indent), *lines] if comment else lines
    if not comment:
        return [line]
    beside = f"{line}  # {comment}"
    if "\n" not in comment and _width(beside) <= LINE_LENGTH:
        return [beside]
    return [*comment_lines(comment, indent=indent), line]


def _condition(keyword: str, condition: str | Code, indent: int) -> list[str]:
    whole = _whole(condition)
    line = f"{keyword} {flat(whole)}:"
    return _statement(line, indent, None, lambda: (f"{keyword} ", _Builder().value(whole), ":"))


def _return(value: Code) -> _Doc:
    builder = _Builder()
    match value:
        case Tuple(items, True) if len(items) == 2:
            doc = builder.pair(items)
        case _:
            doc = builder.value(value)
    return ("return ", doc)


def _expression(value: Code) -> _Doc:
    builder = _Builder()
    match value:
        case Tuple(_, True) | Operation("|" | "^" | "<<" | ">>" | "+" | "-", _):
            return builder.value(value)
        case _:
            # Nothing adds parentheses here: only brackets that are already there can open.
            return builder.code(value, _OUTSIDE)


def _for(target: str, iterable: Code) -> _Doc:
    builder = _Builder()
    match code(target):
        case Tuple(items, True):
            doc = builder.optional_parens(lambda place: builder.items(items, place))
        case other:
            doc = builder.value(other)
    return ("for ", doc, " in ", builder.value(iterable), ":")


def _assignment(target: str, annotation: str | None, operator: str, value: Code) -> _Doc:
    builder = _Builder()
    left = code(target)
    if annotation is not None:
        noted = code(annotation)
        if _is_splittable(noted):
            return (f"{target}: ", *_from_right(builder, noted, operator, value))
        return (f"{target}: {flat(noted)} {operator} ", builder.value(value))
    if isinstance(left, Tuple) or _has_brackets(left) is not None:
        return _from_right(builder, left, operator, value)
    return (builder.code(left, _OUTSIDE), f" {operator} ", builder.value(value))


def _is_splittable(node: Code) -> bool:
    """Whether an annotation has places where a line can break."""
    match node:
        case Name():
            return False
        case Attribute(value, _) | Unary(_, value) | Starred(value, _):
            return isinstance(value, Parens) or _is_splittable(value)
        case Call(_, items) | List(items) | Tuple(items) | Dict(items):
            return bool(items)
        case Parens() | Subscript() | Operation() | Ternary() | Comprehension():
            return True
        case _:
            assert_never(node)


def _from_right(builder: _Builder, left: Code, operator: str, value: Code) -> tuple[_Doc, ...]:
    """An assignment to something that could break itself, but only once the value has to."""
    before = _target(builder, left)
    equals = f" {operator} "
    is_chain = isinstance(value, Call | Subscript | Attribute)
    is_word = isinstance(value, Name) and value.text != "..."
    if not (is_word or (is_chain and _need(value) is _Need.IF_FITTING)):
        return (before, equals, builder.value(value))
    doc = builder.code(value, _OUTSIDE)
    opened: _Doc = ("(", _Group((_Indent((_Line.SOFT, doc)), _Line.SOFT), expand=True), ")")
    layouts: list[_Doc] = [
        (before, equals, doc),
        (before, equals, opened),
        (_Group(before, expand=True), equals, doc),
    ]
    if is_chain:
        layouts.insert(1, (before, equals, _Group(doc, expand=True)))
    return (_FirstFit(tuple(layouts)),)


def _target(builder: _Builder, left: Code) -> _Doc:
    """What stands left of the operator."""
    if isinstance(left, Tuple) and left.bare:
        return builder.value(left)
    if _has_brackets(left) is not None or _opens(left):
        return builder.code(left, _OUTSIDE)
    return builder.value(left, _Need.IF_BROKEN)


def _opens(node: Code) -> bool:
    """Whether an attribute belongs to something with brackets."""
    match node:
        case Attribute(value, _):
            return _has_brackets(value) is not None or _opens(value)
        case _:
            return _has_brackets(node) is True


def _def(name: str, params: Sequence[str], returned: str | None) -> _Doc:
    builder = _Builder()
    arrow: _Doc = () if returned is None else (" -> ", _returned(builder, code(returned), params))
    return (f"def {name}", _Group((_parameters(params), arrow)), ":")


def _parameters(params: Sequence[str]) -> _Doc:
    if not params:
        return "()"
    content: _Doc = (_joined(params), _When(","))
    # Several parameters may share a line of their own; a single one gets its comma there.
    inside = _Group(content) if len(params) > 1 else content
    return ("(", _Indent((_Line.SOFT, inside)), _Line.SOFT, ")")


def _returned(builder: _Builder, node: Code, params: Sequence[str]) -> _Doc:
    """The annotation of what a function returns: parameters break before it does."""
    need = _need(node)
    if isinstance(node, Subscript) and need is _Need.IF_FITTING:
        need = _Need.NEVER if params else _Need.IF_BROKEN
    return builder.value(node, need, always_grouped=not params)


# --------------------------------------------------------------------------------------------
# Prose
# --------------------------------------------------------------------------------------------


def wrap(text: str, width: int = LINE_LENGTH, indent: int = 0) -> list[str]:
    """Fill a docstring's or comment's text: ``wrap("One. Two.", 88, 4)``.

    ``width`` counts the indent.  Blank lines stay and separate paragraphs; a line that starts
    with a space stays by itself, and if it is too long its rest lines up with its start.
    """
    margin = " " * indent
    room = max(width - indent, 1)
    lines: list[str] = []
    for block in _blocks(text):
        own = block[: len(block) - len(block.lstrip())]
        own = own if len(own) < room else ""
        kept = bool(own) and len(block) <= room
        filled = [block] if kept else _fill(block.strip(), own, room)
        lines.extend(f"{margin}{line}".rstrip() for line in filled or [""])
    return lines


def _blocks(text: str) -> Iterator[str]:
    """Whole paragraphs, indented lines and blank lines of a text."""
    paragraph: list[str] = []
    for line in (line.expandtabs().rstrip() for line in text.strip("\n").splitlines()):
        if line and not line.startswith(" "):
            paragraph.append(line)
            continue
        if paragraph:
            yield " ".join(paragraph)
            paragraph = []
        yield line
    if paragraph:
        yield " ".join(paragraph)


def _fill(text: str, own: str, room: int) -> list[str]:
    return textwrap.wrap(
        text, room, initial_indent=own, subsequent_indent=own, break_on_hyphens=False
    )
