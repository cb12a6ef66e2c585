"""Explain what is wrong with an invalid use, and what to type instead."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

from incgen.base.diagnostics import clipped, listed
from incgen.base.help import Help, near, offered, put, write
from incgen.language import elsewhere
from incgen.language import expressions as ex
from incgen.language.names import label_fault
from incgen.language.ops import OPS
from incgen.language.presets import PRESETS
from incgen.language.signatures import Argument, Kind, Op, Signature
from incgen.resolve.arguments import words_of
from incgen.syntax import tree as st
from incgen.syntax.edits import named, put_above
from incgen.syntax.translation import takes_of, translated, written, written_attribute

#: Less similar names are not typos: `slice` is not `scale`.
_ALIKE = 0.75
#: A window of larger numbers is the size that a map is resized to, of smaller ones the factor.
_LARGEST_FACTOR = 4


class Advice(NamedTuple):
    """The fault of a use, and what to type instead, if known."""

    message: str
    help: str | None = None


def unknown_op(
    call: st.Call,
    callables: Collection[str],
    values: Collection[str],
    labels: Collection[str],
) -> Advice:
    """Advise on a name that cannot be applied."""
    text = call.name.text
    if text in values:
        help_ = offered(f"an op cannot be passed; a flag can decide: ``if {text} {{ relu }}``")
        return Advice(f"`{text}` is a value, not an op, unit or block", help_)
    if text in labels and not call.positional and not call.attributes:
        return Advice(f"`{text}` is a label, not an op", write(f"from {text}"))
    first = call.positional[0] if len(call.positional) == 1 else None
    ends = text in ("return", "output", "yield")
    if ends and isinstance(first, ex.Name) and first.text in labels:
        message = f"there is no `{text}`: the value of the last line is what comes out"
        return Advice(message, write(f"from {first.text}", over=call.span))
    message = f"no op, unit or block named `{clipped(text)}`"
    windowed = call.positional and isinstance(call.positional[0], st.Window)
    own = [name for name in callables if name not in OPS]
    plain = elsewhere.folded(text)
    same = [name for name in own if elsewhere.folded(name) == plain]
    offer = near(text, ["input"]) if windowed else None
    offer = offer or near(text, same or own, _ALIKE) or _renamed(call) or _labelled(call)
    if offer is not None:
        return Advice(message, offer)
    todo = elsewhere.lacking(text)
    if todo is not None:
        end = "" if todo else ", and no equivalent"
        if isinstance(first, ex.Name) and first.text in OPS and text not in labels:
            todo = write(first.text) if "activation is" in todo else todo
        todo = _with_numbers(todo, [value for value in written(call)[0] if value]).of(call.span)
        return Advice(f"the language has no op `{clipped(text)}`{end}", todo or None)
    chain = elsewhere.made_of_ops(text, OPS)
    if chain is not None and text[0] != "_":
        chain = chain.replace("conv -> bn", "conv bias=false -> bn")
        unit = f"unit {text} = {chain}"
        return Advice(message, Help(f"define it above: `{unit}`", *put_above(unit, call.span)))
    return Advice(message, near(text, OPS, _ALIKE))


def unknown_default(name: str) -> str | None:
    """Return what to type for the unknown op of a `default`."""
    here = elsewhere.called_here(name)
    return called(here) if here and here in OPS else near(name, OPS, _ALIKE)


def called(here: str) -> Help:
    """Return what to type for another tool's name of something."""
    return Help(f"here it is called `{here}`", *put(here))


def attribute_of_default(op: Op, attribute: st.Attribute) -> Advice:
    """Advise on an attribute that a `default` cannot set."""
    name = attribute.name.text
    message = f"`{op.name}` has no attribute `{name}`"
    takes = Signature(op.name, (), op.attributes)
    meaning = elsewhere.meaning(op, name)
    if op.argument(name) is not None:
        return Advice(f"`{name}` of `{op.name}` is given where the op is used, not by a `default`")
    if meaning is not None and all(map(takes.known, meaning.here.split())):
        instead = translated(takes, [], [(name, written_attribute(attribute))])
        if instead is not None:
            edits = put(instead.partition(" ")[2], over=attribute.span)
            return Advice(message, Help(f"write `default {instead}`", *edits))
    if meaning is not None and meaning.here == "/":
        return Advice(message, "a stride follows each window: `3x3/2`")
    return Advice(message, near(name, [a.name for a in op.attributes], _ALIKE) or takes_help(takes))


def preset(name: str) -> str:
    """Return what to type for an unknown preset."""
    here = elsewhere.preset(name)
    offer = called(here) if here else near(name, PRESETS)
    return offer or Help(f"the presets are {listed(tuple(PRESETS))}", *put(*PRESETS))


def _renamed(call: st.Call) -> Help | None:
    """Return how to write a call whose op has another name elsewhere."""
    text = call.name.text
    positional, attributes = written(call)
    windowed = re.fullmatch(r"([A-Za-z_]+?)_?(\d+x\d+|[13579])", text)
    takes = windowed and takes_of(windowed[1])
    if windowed and takes and takes.positional[:1] and takes.positional[0].kind is Kind.WINDOW:
        # `conv3x3 8`, `conv3 8`
        text, positional = windowed[1], [windowed[2], *positional]
    here = elsewhere.called_here(text)
    if here is None:
        return None
    name, *given = here.split()
    op = OPS.get(name)
    if op is None:
        branches = f"with a branch in each line: `{name} {{ ... }}`"
        return Help(f"here it is called `{name}`, {branches}")
    if name == "avg_pool" and not positional and not attributes:
        return whole_map(op)
    instead = translated(op, [*given, *positional], attributes, text)
    if instead is None or instead == name:
        return None if windowed else called(name)
    help_ = write(instead, over=call.span)
    return help_ if windowed else Help(f"{called(name)}: {help_}", *help_.edits)


def _labelled(call: st.Call) -> Help | None:
    """Return how to write `conv1 3x3 64`, whose name is meant as a label."""
    numbered = re.fullmatch(r"([A-Za-z_]+?)_?[0-9]\w*", call.name.text)
    here = elsewhere.called_here(numbered[1]) if numbered else None
    if here is None or here not in OPS or named(call.span) != call.span:
        return None
    if elsewhere.lacking(call.name.text) is not None:  # `conv3d`
        return None
    instead = translated(OPS[here], *written(call))
    return write(f"{call.name.text}: {instead}", over=call.span) if instead else None


def whole_map(op: Op) -> Help:
    """Return what to type for a pooling without a window."""
    kind = "max" if op.name == "max_pool" else "avg"
    whole, window = f"global_{kind}_pool", f"{op.name} 3x3"
    return offered(f"write ``{whole}`` for the whole map, ``{window}`` for each window")


def _with_numbers(advice: Help, given: Sequence[str]) -> Help:
    """Replace the numbers in an example by those of the call."""
    window = re.fullmatch(r"(\S+)x(\S+)", given[0]) if given and "nearest-" in advice else None
    number = given[0] if given and re.fullmatch(r"[\d.]+(e-?\d+)?", given[0]) else ""
    others: dict[str, str] = {}
    if window and all(n.isdigit() and int(n) <= _LARGEST_FACTOR for n in window.groups()):
        size = f"{{height * {window[1]}}}x{{width * {window[2]}}}"  # `upsample 2x2`
        others = {"{height * 2}x{width * 2}": size, "by 2 ": f"by {window[0]} "}
    elif window:  # `resize 64x64`
        others = {"{height * 2}x{width * 2}": window[0], "by 2 ": ""}
    elif number.isdigit():
        others = {"* 2}": f"* {number}}}", "by 2 ": f"by {number} "}
    elif number:
        others = {"constant(1e-6)": f"constant({number})", "dropout 0.1": f"dropout {number}"}
    texts = [advice, *(edit.changes[0].text for edit in advice.edits)]
    for old, new in others.items():
        texts = [text.replace(old, new) for text in texts]
    return Help(texts[0], *put(*texts[1:]))


def unknown_attributes(takes: Signature, strange: Sequence[st.Attribute], call: st.Call) -> Advice:
    """Advise on attributes that the called op or unit does not have."""
    names = [attribute.name.text for attribute in strange]
    what = "attribute" if len(names) == 1 else "attributes"
    message = f"`{takes.name}` has no {what} {listed(names[:5])}"
    reasons = list[str]()
    for name in names:
        meaning = elsewhere.meaning(takes, name)
        if meaning is None:
            known = [argument.name for argument in takes.arguments]
            return Advice(message, near(name, known, _ALIKE) or takes_help(takes))
        reasons.append(meaning.reason(takes, name))
    if "trainable" in names and takes.name == "scale":
        help_ = elsewhere.lacking("layer_scale")
        return Advice(message, help_ and help_.of(call.span))
    reasons = list(dict.fromkeys(reasons))
    why = ", and ".join(reasons) if len(reasons) < 3 else "; ".join(reasons)
    instead = translated(takes, *written(call))
    if instead is None:
        return Advice(message, why)
    over = named(call.span) if re.match(r"\w+:", instead) else call.span
    return Advice(message, write(instead, over=over, why=f": {why}"))


#: What letters in front of numbers stand for in tables of papers: `k3 s2 p1`.
_LETTERS = {
    "k": "kernel_size",
    "s": "stride",
    "p": "padding",
    "d": "dilation",
    "g": "groups",
    "c": "channels",
}


def shorthand(takes: Signature, call: st.Call, names: Sequence[str]) -> Advice | None:
    """Advise on names that are letters with numbers, if these are the arguments of a call."""
    letters = "".join(_LETTERS)
    if not all(re.fullmatch(rf"([{letters}][0-9]+)+", name) for name in names):
        return None
    meant = re.findall(rf"([{letters}])([0-9]+)", " ".join(names))
    positional, attributes = written(call)
    positional = [text for text in positional if text not in names]
    named_ = [*attributes, *((_LETTERS[letter], number) for letter, number in meant)]
    instead = translated(takes, positional, named_)
    if instead is None:
        return None
    are = "is" if len(names) == 1 else "are"
    return Advice(f"{listed(names)} {are} not defined here", write(instead, over=call.span))


def takes_help(takes: Signature) -> str:
    """Say in a help line which arguments a call accepts."""
    if takes.attributes:
        return f"its attributes are {listed([a.name for a in takes.attributes])}"
    if takes.positional:
        names = listed([a.name for a in takes.positional])
        return f"it has no attributes; its {names} is given by position"
    return "it has no attributes"


def surplus(call: st.Call, names: Sequence[str], takes: Signature | None) -> Help:
    """Return what to do with more positional arguments than a use takes.

    They have names; an op or unit has arguments that are given by name too, a block has none.
    """
    if takes is None:
        which = f": its parameters are {listed(names)}, in this order" if names else ""
        return Help(f"leave it out{which}", *put(""))
    first, *rest = call.positional[len(names) :]
    word = first.text if isinstance(first, ex.Name) else ""
    of = next((a.name for a in takes.attributes if word and word in words_of(a)), None)
    pair = (of, word) if of else (word, _source(rest[0])) if len(rest) == 1 else None
    if word and pair:  # `same`, or `stride 2`
        positional, attributes = written(call)
        instead = translated(takes, positional[: len(names)], [pair, *attributes])
        if instead is not None:
            return write(instead, over=call.span)
    others = [argument.name for argument in takes.attributes][:6]
    which = f", or give it by name: its attributes are {listed(others)}" if others else ""
    return Help(f"leave it out{which}", *put(""))


def _source(value: st.Argument) -> str:
    return value.span.text if value.span is not None else ""


def wrong_window(takes: Signature, call: st.Call) -> str | None:
    """Return what to type if something else is in place of a window."""
    values = written(call)[0]
    first = [int(v) for v in values if v.isdecimal()]
    if len(first) == len(values) == 3 and first[0] <= first[1] < first[2]:  # `conv 3 3 64`
        values[:2] = [f"{first[0]}x{first[1]}"]
        named = [f"{name}={value}" for name, value in written(call)[1]]
        return write(" ".join([takes.name, *values, *named]), over=call.span)
    instead = translated(takes, *written(call))
    if instead is None:
        return None
    pools = takes.name.endswith("_pool") and "/" in instead and not call.attributes
    return write(instead, over=call.span, why=": without `/` the stride is 1" if pools else "")


def unseen_label(name: str, items: Iterable[st.Item], parameters: Collection[str]) -> Advice:
    """Advise on a `from` whose label belongs to another definition."""
    if name in parameters:
        message = f"`{name}` is a parameter, not a label"
        help_ = "a block takes one value; join it with others where the block is used, with `from`"
        return Advice(message, help_)
    message = f"no earlier value here has the label `{name}`"
    for owner in items:
        if not isinstance(owner, st.Block):
            continue
        if all(s.label is None or s.label.text != name for s in st.statements(owner.body)):
            continue
        message = f"`{name}` is a label of `{owner.name.text}`, and is not visible here"
        help_ = "a definition sees only its own labels"
        if isinstance(owner, st.Network):
            help_ += f"; join the values in `{owner.name.text}`, with `from {name}` for a branch"
        return Advice(message, help_)
    return Advice(message)


def label_as_value(name: str) -> Advice:
    """Advise on a label where a number, a flag or a word is expected."""
    message = f"`{name}` is a label, and labels are used only after `from`"
    help_ = f"a block takes one value; join it with others by `from {name}` in a branch"
    return Advice(message, help_)


def outside_head(unit: st.Unit, op: Op, missing: Iterable[Argument]) -> Advice:
    """Advise on an op of a unit, other than the first, that lacks arguments."""
    lacks = " and ".join(f"its `{argument.name}`" for argument in missing)
    head = unit.calls[0].name.text
    message = f"`{op.name}` needs {lacks} here: what a unit is given goes to its first op, `{head}`"
    return Advice(message, _as_block(unit))


#: Names for the parameters of a block made from a unit, and the arguments they are for.
_PARAMETERS = {
    Kind.WINDOW: ("k", "3"),
    Kind.COUNT: ("n", "64"),
    Kind.FACTOR: ("x", "0.5"),
    Kind.WORD: ("kind", "max"),
}


def _as_block(unit: st.Unit) -> str | None:
    """Rewrite a unit as a block with a parameter for each missing argument."""
    statements, parameters, examples = list[str](), list[str](), list[str]()
    labels: dict[str, int] = {}
    for call in unit.calls:
        op = OPS.get(call.name.text)
        if op is None or (call.attributes and not op.attributes):
            return None
        given = {a.name.text for a in call.attributes}
        lacking = op.positional[len(call.positional) :]
        words = [call.name.text, *written(call)[0]]
        for argument in lacking:
            if argument.name in given or argument.must:
                continue
            if argument.kind not in _PARAMETERS:
                return None
            name, example = _PARAMETERS[argument.kind]
            count = sum(p.rstrip("0123456789") == name for p in parameters)
            name += str(count + 1) if count else ""
            parameters.append(name)
            examples.append(argument.words[0] if argument.words else example)
            words.append(f"{{{name}}}x{{{name}}}" if argument.kind is Kind.WINDOW else name)
        words += [f"{name}={value}" for name, value in written(call)[1]]
        labels[op.name] = labels.get(op.name, 0) + 1
        label = op.name if labels[op.name] == 1 else f"{op.name}_{labels[op.name]}"
        statements.append(" ".join([f"{label}:", *words] if op.weighted else words))
    name, inner = unit.name.text, "; ".join(statements)
    block = f"block {name}({', '.join(parameters)}) {{ {inner} }}"
    help_ = f"make it a block, `{block}`, and use it as `{' '.join([name, *examples])}`"
    return Help(help_, *put(block, over=unit.span))


def given_by_unit(
    unit: str, window: st.Window, open_: Sequence[Argument], call: st.Call
) -> str | None:
    """Return what to type if a use repeats the window that the unit sets."""
    values = [value for value in call.positional if value is not window]
    if len(values) > len(open_):
        return None
    positional, attributes = written(
        st.Call(call.name, tuple(values), call.attributes, span=call.span)
    )
    own = " ".join([unit, *positional, *(f"{name}={value}" for name, value in attributes)])
    other = f"{own} window={window.span.text}"
    return Help(f"write `{own}`, or `{other}` for another window", *put(own, other, over=call.span))


def op_as_argument(name: str, parameter: str, block: str) -> Advice:
    """Advise on an op, unit or block that is passed to a parameter."""
    message = f"`{name}` is an op and cannot be passed as `{parameter}` of `{block}`"
    help_ = f"give `true` or `false`, and in `{block}` write `if {parameter} {{ {name} }}`"
    return Advice(message, Help(help_, *put("true", "false")))


def label_as_argument(label: str, block: str, call: st.Call) -> Advice:
    """Advise on an earlier value that is passed to a parameter."""
    message = f"`{label}` is a label, but arguments of a block are numbers, flags or words"
    rest = tuple(v for v in call.positional if not (isinstance(v, ex.Name) and v.text == label))
    positional, _ = written(st.Call(call.name, rest, (), span=call.span))
    own = " ".join([block, *positional])
    own = own if label_fault(block) else f"{block}: {own}"
    joined = f"concat {{ from {label}; {own} }}"
    edits = put(joined, over=call.span)
    return Advice(message, Help(f"join it here, for example `{joined}`", *edits))


def window_of_block(value: st.Argument, parameter: str, block: str) -> str | None:
    """Return what to type if a parameter of a block is given a window."""
    if not isinstance(value, st.Window):
        return None
    sides = re.split("[x/]", value.span.text)
    part = f"`{{{parameter}}}x{{{parameter}}}`"
    if sides.count(sides[0]) != len(sides) or not sides[0].isdigit():
        return f"give a number; a window in `{block}` is written {part}"
    return write(sides[0], why=f"; in `{block}` the window is then {part}")
