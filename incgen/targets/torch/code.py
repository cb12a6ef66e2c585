"""The pieces that PyTorch source is made of: finished classes, values, modules."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import field

from incgen.base.records import record
from incgen.language.expressions import Expression
from incgen.targets.shared.lines import if_header
from incgen.targets.shared.symbols import Symbol
from incgen.targets.torch.ops import ATOM, LOOSE, Function, Weight

_BRACKETS_OR_IF = re.compile(r"[(\[{}\])]| if ")
#: Sizes of the input that a constructor takes if it needs them.
INPUT_SIZES = ("in_channels", "in_height", "in_width")


def sizes_of(value: str) -> tuple[str, str, str]:
    """What a constructor calls the sizes of a value from outside, if it needs them."""
    return f"{value}_channels", f"{value}_height", f"{value}_width"


@record
class View:
    """A class as finished lines.

    Attributes:
        name: of the class.
        base: what it inherits from.
        doc: its docstring.
        finals: attributes that are declared.
        init: the constructor; empty if there is nothing to construct.
        forward: likewise; empty if the base has one.
    """

    name: str
    base: str
    doc: list[str]
    finals: list[str]
    init: list[str]
    forward: list[str]

    @property
    def code(self) -> list[str]:
        """Every line of code, to see which imports are needed."""
        return [*self.finals, *self.init, *self.forward]


@record
class Form:
    """What a user of a class has to know.

    Attributes:
        name: of the class.
        sizes: which sizes of its inputs the constructor takes, in order.
        formals: the spec's parameters in the order of the constructor: (name, default).
        floats: those that are floats.
        either: those that take one number for several equal ones.
    """

    name: str
    sizes: tuple[str, ...]
    formals: tuple[tuple[str, Expression | None], ...]
    floats: frozenset[str] = frozenset()
    either: frozenset[str] = frozenset()


@record
class Flow:
    """A value in `forward`.

    Attributes:
        code: its source.
        shape: as formulas.
        variable: whether it is a plain variable.
        strength: how tightly the source binds.
        typed: whether type checkers know it to be a tensor; the result of a module is Any.
    """

    code: str
    shape: Symbol
    variable: bool = False
    strength: int = ATOM
    typed: bool = False

    @classmethod
    def called(cls, code: str, shape: Symbol) -> Flow:
        """What a module gives."""
        return cls(code, shape, strength=LOOSE if is_ternary(code) else ATOM)

    def through(self, function: Function, shape: Symbol) -> Flow:
        """The value behind a function."""
        code = self.code if self.strength >= function.takes else f"({self.code})"
        called = function.template.startswith("F.")
        return Flow(
            function.template.replace("{x}", code),
            shape,
            False,
            function.gives,
            called or self.typed,
        )


@record
class Start:
    """How a parameter begins, to be written when its module is an attribute.

    Attributes:
        path: of the parameter; `{i}` stands for the variable of a loop.
        weight: what is written.
        around: the loops and conditions around it.
    """

    path: str
    weight: Weight
    around: tuple[str, ...] = ()


@record
class Built:
    """What stands under a label, as one module.

    Attributes:
        module: its constructor.
        call: its source in `forward`, from that of the module and of its input.
    """

    module: str
    call: Callable[[str, str], str] = field(default=lambda module, x: f"{module}({x})")


def mentions(name: str, lines: Iterable[str]) -> bool:
    """Whether a variable occurs in code: not in comments, strings, attributes or keywords."""
    found = re.compile(rf"(?<![\w.\"]){name}\b(?!=[^=])(?!\.\w+\")")
    return any(found.search(line) for line in lines if not line.lstrip().startswith("#"))


def is_ternary(code: str) -> bool:
    """Whether source is `a if b else c` outside of all brackets."""
    depth = 0
    for match in _BRACKETS_OR_IF.finditer(code):
        word = match.group()
        depth += (word in "([{") - (word in ")]}")
        if word == " if " and not depth:
            return True
    return False


def cases(
    sides: list[tuple[str | None, list[str]]], indent: int, *, negative: str = ""
) -> list[str]:
    """An `if` statement whose sides are finished; a side without lines is left out if it can be.

    Args:
        sides: conditions and their lines, one level further in; None is the `else`.
        indent: of the statement.
        negative: the opposite of the first condition.
    """
    while sides and not sides[-1][1]:
        sides = sides[:-1]
    if len(sides) == 2 and not sides[0][1] and sides[1][0] is None:
        sides = [(negative, sides[1][1])]
    lines: list[str] = []
    for number, (condition, inner) in enumerate(sides):
        if condition is None:
            lines.append(" " * indent + "else:")
        else:
            lines += if_header(condition, indent=indent, keyword="elif" if number else "if")
        lines += inner or [" " * (indent + 4) + "pass"]
    return lines
