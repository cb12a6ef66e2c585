"""Zip archives whose members lie, as `.npz`, `.pth` and `.keras` files."""

from __future__ import annotations

import io
import pickle
import warnings
import zipfile
from random import Random

from fuzzing.broken import hostile

#: Zero bytes, many of which fit into a small compressed file; far more than a test's tensor.
_BOMB = 64 << 20
_NAMES = ("../a.npy", "/a.npy", "a\0.npy", "", ".npy", "a" * 300 + ".npy", "data.pkl", "\u202e.npy")
#: The environment variable that is set if a pickle has run.
RAN = "INCGEN_BROKEN_RAN"
# A state dict that contains itself, and the parts of a file of PyTorch before 1.6: a magic number,
# a version, the system, the content, its storages.
_CIRCLE: dict[str, object] = {}
_CIRCLE["state_dict"] = _CIRCLE
_OLD: tuple[object, ...] = (0x1950A86A20F9469CFC6C, 1001, {}, _CIRCLE, [])
#: Pickles that would run something, or take endless memory or time.
PICKLES = (
    pickle.dumps(_CIRCLE, 2),
    b"".join(pickle.dumps(part, 2) for part in _OLD),
    b"\x80\x02cbuiltins\nexec\n(S'import os; os.environ[\"" + RAN.encode() + b'"] = "1"\'\ntR.',
    b"\x80\x02cposix\nsystem\n(S'false'\ntR.",
    b"\x80\x02ctorch.hub\nload\n(S'a'\nS'b'\ntR.",
    b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n(NJ\xff\xff\xff\x7ftR.",
    pickle.dumps({"a": list(range(1_000))}),
    b"\x80\x02" + b"(" * 10_000 + b".",
    b"\x80\x02" + b"]" * 5_000 + b"a" * 4_999 + b".",
    b"\x80\x04\x95\xff\xff\xff\xff\xff\xff\xff\x7f",
    b"\x80\x04\x8d\xff\xff\xff\xff\xff\xff\xff\x7f",
)


def repacked(dice: Random, data: bytes) -> bytes:
    """Return an archive with other members, whose sizes and checksums are right again."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = [(info.filename, archive.read(info)) for info in archive.infolist()]
    if not members:
        return data
    number = dice.randrange(len(members))
    name, content = members[number]
    packed = zipfile.ZIP_STORED
    match dice.randrange(9):
        case 0:
            del members[number]
        case 1:
            members.insert(number, members[dice.randrange(len(members))])
        case 2:
            members[number] = (dice.choice((*_NAMES, members[0][0])), content)
        case 3:
            members[number] = (name, bitten(dice, content))
        case 4:
            pickled = [i for i, (name, _) in enumerate(members) if name.endswith("data.pkl")]
            number = (pickled or [number])[0]
            members[number] = (members[number][0], dice.choice(PICKLES))
        case 5:
            packed = zipfile.ZIP_DEFLATED
        case 6:
            packed = zipfile.ZIP_DEFLATED
            members[number] = (name, content + bytes(_BOMB))
        case 7:
            members[number] = (name, b"")
        case _:
            members[number] = (name, _numpy(dice))
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", packed) as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # duplicate member names
        for name, content in members:
            archive.writestr(zipfile.ZipInfo(name), content, packed)
    return made.getvalue()


def _numpy(dice: Random) -> bytes:
    """Return a NumPy array whose header lies."""
    dtype = dice.choice(
        ("'<f4'", "'|O'", "'<U4'", "'<c8'", "[('a', '<f4')]", "'<f16'", "'V2'", "'<M8'", "''")
    )
    shape = dice.choice(
        ("()", "(4,)", "(-1,)", "(10**9,)", "(1099511627776,)", "(4, 0)", "4", "(0.5,)")
    )
    order = dice.choice(("False", "True", "1"))
    head = f"{{'descr': {dtype}, 'fortran_order': {order}, 'shape': {shape}}}"
    if dice.random() < 0.2:
        head = dice.choice(
            ("{}", "[]", "(" * 9_000, "__import__('os')", head[:-5], hostile.TEXTS[0])
        )
    text = head.encode() + b"\n"
    version = dice.choice((b"\x01\x00", b"\x01\x00", b"\x02\x00", b"\x03\x00", b"\x09\x00"))
    size = 2 if version == b"\x01\x00" else 4
    return b"\x93NUMPY" + version + len(text).to_bytes(size, "little") + text + bytes(16)


_INTEGERS = (
    0,
    1,
    127,
    128,
    255,
    256,
    2**15,
    2**16 - 1,
    2**31 - 1,
    2**31,
    2**32 - 1,
    2**63,
    2**64 - 1,
)
#: NaN, both infinities and their neighbours, as float32.
_FLOATS = (
    b"\0\0\xc0\x7f",
    b"\0\0\x80\x7f",
    b"\0\0\x80\xff",
    b"\xff\xff\x7f\x7f",
    b"\x01\0\x80\x7f",
)


def bitten(dice: Random, data: bytes) -> bytes:
    """Delete, insert, move or replace bytes."""
    made = bytearray(data)
    for _ in range(dice.choice((1, 1, 1, 2, 3, 8))):
        if not made:
            return bytes(dice.randrange(256) for _ in range(dice.randint(0, 20)))
        place, length = dice.randrange(len(made)), dice.choice((1, 2, 4, 8, 64, 512))
        match dice.randrange(9):
            case 0:
                del made[place:]
            case 1:
                del made[place : place + length]
            case 2:
                made[place:place] = bytes(dice.randrange(256) for _ in range(length))
            case 3:
                made[place] = dice.randrange(256)
            case 4:
                made[place] ^= 1 << dice.randrange(8)
            case 5:
                size = dice.choice((1, 2, 4, 8))
                number = dice.choice(_INTEGERS) % 2 ** (8 * size)
                made[place : place + size] = number.to_bytes(size, dice.choice(("little", "big")))
            case 6:
                made[place - place % 4 : place - place % 4 + 4] = dice.choice(_FLOATS)
            case 7:
                other = dice.randrange(len(made))
                made[place : place + length] = made[other : other + length]
            case _:
                made[place : place + length] = bytes(length)
    return bytes(made)
