"""Write a quantised file, with what it says about itself."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import onnx

from incgen.base.files import OutputError, reason, refuse_links, replace
from incgen.onnx import SUFFIX, encoding
from incgen.onnx.files import OnnxFile, refuse_foreign, stated
from incgen.quantization.source import Source


def place_for(source: Source, output: Path | None, *, force: bool) -> Path:
    """Return where the file is written: unless asked otherwise, beside the float one.

    Raises:
        OutputError: A file that incgen did not write is there.
    """
    place = output or source.path.with_name(f"{source.path.stem}_int8{SUFFIX}")
    name = place.as_posix()
    if place.suffix != SUFFIX:
        raise OutputError(f"`{name}`: an ONNX file ends in {SUFFIX}")
    refuse_links(place)
    if not place.exists():
        return place
    if not place.is_file():
        raise OutputError(f"`{name}` is not a regular file: choose another")
    if place.samefile(source.path):
        raise OutputError(f"`{name}` is the float file: choose another output with -o")
    try:
        before, untouched = stated(place)
    except OSError as error:
        raise OutputError(f"`{name}` cannot be read: {reason(error)}") from None
    if not force:
        refuse_foreign(OnnxFile(place, "", before, untouched))
    return place


def write(place: Path, proto: onnx.ModelProto, metadata: Mapping[str, str]) -> tuple[int, bool]:
    """Write a model in one step, and return its bytes, and whether they differ from those before.

    As in every file of incgen, the digest of the whole comes first.

    Raises:
        OutputError: It cannot be written.
    """
    del proto.metadata_props[:]
    for key, value in metadata.items():
        if key != encoding.DIGEST:
            proto.metadata_props.add(key=key, value=value)
    content = proto.SerializeToString(deterministic=True)
    digest = hashlib.sha256(encoding.entry(encoding.NO_DIGEST) + content).hexdigest()
    data = encoding.entry(digest) + content
    changed = not place.exists() or place.read_bytes() != data
    if changed:
        replace(place, data)
    return len(data), changed
