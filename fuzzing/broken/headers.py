"""Safetensors files whose headers lie."""

from __future__ import annotations

import json
import re
from random import Random
from typing import Any

#: Placeholder for a list nested this many times: JSON that Python itself cannot write.
_DEEP = re.compile(r'"@(\d+)"')


#: Values that a header could have in place of anything.
_VALUES: tuple[Any, ...] = (
    *(
        None,
        True,
        False,
        0,
        1,
        -1,
        3,
        4,
        7,
        8,
        0.5,
        1e999,
        float("nan"),
        2**31,
        2**32,
        2**53,
        2**63,
    ),
    *(
        2**64,
        10**30,
        -(2**63),
        "",
        "a",
        "F32",
        "f32",
        "F64",
        "BF16",
        "F8_E4M3",
        "BOOL",
        "C64",
        "I64",
    ),
    *(
        [],
        [0],
        [0, 0],
        [-1],
        [1] * 40,
        [2**62] * 30,
        [2**31, 2**31, 4],
        [None],
        ["a"],
        [0.5],
        [True],
    ),
    *(
        "@100",
        "@900",
        "@985",
        [0, 4],
        [4, 0],
        [8, 4],
        [0, 2**63],
        [-8, 8],
        [1, 5],
        [[]],
        {},
        {"a": {}},
        "\ud800",
        "\x1b[2J\n",
    ),
)
_FIELDS = ("dtype", "shape", "data_offsets")
_LENGTHS = (0, 1, 7, 8, 100, 2**20, 100_000_000, 100_000_001, 2**31, 2**32, 2**63, 2**64 - 1)


def lying(dice: Random, data: bytes) -> bytes:
    """Return a file with another header in front of its tensors."""
    length = int.from_bytes(data[:8], "little")
    entries = json.loads(data[8 : 8 + length])
    body = data[8 + length :]
    for _ in range(dice.choice((1, 1, 2))):
        body = _changed(dice, entries, body)
    text = _written(dice, entries)
    said = dice.choice(_LENGTHS) if dice.random() < 0.08 else len(text)
    if dice.random() < 0.05:
        said += dice.choice((-8, -1, 1, 8))
    return (said % 2**64).to_bytes(8, "little") + text + body


def _changed(dice: Random, entries: dict[str, Any], body: bytes) -> bytes:
    """Change an entry of a header, or the data behind it."""
    names = [name for name in entries if name != "__metadata__"]
    if not names:
        return body
    name, other = dice.choice(names), dice.choice(names)
    entry = entries[name]
    match dice.randrange(12) if isinstance(entry, dict) else 0:
        case 0:
            entries[name] = dice.choice(_VALUES)
        case 1 | 2:
            entry[dice.choice(_FIELDS)] = dice.choice(_VALUES)
        case 3:
            entry.pop(dice.choice(_FIELDS), None)
        case 4:
            entries[name] = entries[other]  # both are in the same place
        case 5:
            _shifted(dice, entry)
        case 6:
            del entries[name]  # a hole
        case 7:
            entries[
                dice.choice(("", "__metadata__", "a\nb", "\u202e", "a" * 5_000, f"{name}.x"))
            ] = entry
        case 8:
            entries["__metadata__"] = dice.choice(_METADATA)
        case 9:
            entries["__metadata__"] = {"manifest": dice.choice(_MANIFESTS), "generator": "\x1b[2J"}
        case 10:
            body = body[: dice.randrange(len(body) + 1)]
        case _:
            body += bytes(dice.choice((1, 4, 8, 1_000)))
    return body


_METADATA: tuple[Any, ...] = (
    {"format": 1},
    {"a": "@950"},
    {"a": None},
    {"manifest": "{"},
    {"manifest": "NaN"},
    [],
    "a",
    1,
    None,
)
_MANIFESTS = (
    '{"tensors": {"a.conv.weight": NaN}}',
    '{"tensors": {"a.conv.weight": {"from": [Infinity], "notes": [[]]}}}',
    '{"tensors": {"a.conv.weight": {"from": "x", "notes": {"a": 1}}}, "checkpoint": {"a": 1e999}}',
    '{"tensors": [], "left": 3}',
    '{"tensors": {}, "parameters": [], "spec": "\\u001b[2J", "checked": [{}]}',
    '{"tensors": ' + "[" * 100_000,
    *('{"tensors": {}, "left": ' + "[" * n + "]" * n + "}" for n in (100, 300, 900, 960, 980, 990)),
    '{"tensors": {"\\ud800": {}}, "left": ["\\ud800"]}',
)


def _shifted(dice: Random, entry: dict[str, Any]) -> None:
    offsets = entry.get("data_offsets")
    if isinstance(offsets, list) and all(isinstance(n, int) for n in offsets):
        by = dice.choice((-4, -1, 1, 2, 4, 8, 2**40))
        entry["data_offsets"] = [n + by for n in offsets]


def _deep(match: re.Match[str]) -> str:
    depth = int(match[1])
    return "[" * depth + "]" * depth


def _written(dice: Random, entries: dict[str, Any]) -> bytes:
    """Return a header as bytes, occasionally in a form that no program would write."""
    text = _DEEP.sub(_deep, json.dumps(entries))
    match dice.randrange(20):
        case 0:  # a key twice
            text = "{" + text[1:-1] + (", " + text[1:-1] if text != "{}" else "") + "}"
        case 1:
            text = text[: dice.randrange(len(text) + 1)]
        case 2:
            deep = dice.choice((500, 5_000, 100_000))
            text = '{"a": ' * deep + text + "}" * deep
        case 3:
            text = dice.choice(
                ("", "[]", "null", "{}", "{a}", "NaN", '"a"', "[" * 50_000, "1" * 5_000)
            )
        case 4:
            return b"\xff\xfe" + text.encode("utf-16")
        case 5:
            place = dice.randrange(len(text) + 1)
            return text[:place].encode() + bytes([dice.randrange(256)]) + text[place:].encode()
        case 6:
            text = f"{' ' * dice.choice((1, 7, 1_000))}{text}\n\t "
    return text.encode()
