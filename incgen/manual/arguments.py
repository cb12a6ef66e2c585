"""Arguments of ops in words: their values, their defaults, and what each preset sets."""

from __future__ import annotations

from incgen.language.presets import PRESETS
from incgen.language.printing import spec_value
from incgen.language.signatures import Argument, ByWindow, Kind, Op


def values(argument: Argument) -> str:
    """Return the values that an argument can have."""
    low, high = argument.minimum > -1e19, argument.maximum < 1e19
    match argument.kind:
        case Kind.WORD:
            return ", ".join(f"`{word}`" for word in argument.words)
        case Kind.FACTOR if low and high:
            return f"a number from {argument.minimum:g} to {argument.maximum:g}"
        case Kind.FACTOR if low:
            return f"a number {'above' if argument.open else 'from'} {argument.minimum:g}"
        case Kind.PADDING if argument.positional:
            return "pixels"  # its own text says which forms
        case Kind.WINDOW:
            return "a window"
        case Kind.PADDING:
            return "a padding"
        case Kind.INITIALIZER:
            return "an initialiser"
        case kind:
            return str(kind.value)


def default(argument: Argument) -> str:
    """Return what an argument is where neither the spec nor a preset states it."""
    if argument.must:
        return "must be stated"
    return "required" if argument.positional else shown(argument.default)


def shown(value: object) -> str:
    """Return a value as a spec writes it."""
    match value:
        case ByWindow(plain, strided):
            stated = f"`{strided}`" if strided else "must be stated"
            return f"`{plain}`; strided {stated}; even `valid`"
        case _:
            return f"`{spec_value(value)}`"


def presets() -> list[tuple[str, str, list[str]]]:
    """Return a family of ops and one of its arguments, with what each preset sets, a row each."""
    families: dict[str, dict[str, None]] = {}
    for preset in PRESETS.values():
        for family, said in preset.items():
            families.setdefault(family, {}).update(dict.fromkeys(said))
    return [
        (family, name, [shown(preset[family][name]) for preset in PRESETS.values()])
        for family, names in families.items()
        for name in names
    ]


def presets_of(op: Op) -> list[tuple[str, list[str]]]:
    """Return the arguments of an op that presets set, with what each sets."""
    family = op.family or op.name
    return [(name, said) for of, name, said in presets() if of == family and op.known(name)]
