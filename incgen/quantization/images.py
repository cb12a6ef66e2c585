"""Read images from folders, IDX files and arrays, with their classes if they have any.

The conventions are those of training scripts: a folder with train/ and val/, or with IDX files, has
separate images to compare with, and the folders of classes are numbered in the order of their
names. From anything else, some images calibrate and others are compared.
"""

from __future__ import annotations

import gzip
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from incgen.base.diagnostics import counted, listed
from incgen.base.files import reason
from incgen.quantization.errors import QuantizeError
from incgen.weights.checkpoint import Array

#: The ends of the names of files that are images.
ENDINGS = (".bmp", ".jpeg", ".jpg", ".png", ".webp")
_EXPECTED = (
    f"images ({', '.join(ENDINGS)}), folders of them, train/ and val/ with a folder of images for "
    "each class, IDX files such as train-images-idx3-ubyte.gz, or an array (.npy, .npz)"
)
#: The names of arrays in `.npz` files: images and labels for calibration, and for comparison.
_NAMES = (("images", "labels"), ("x_train", "y_train"), ("x_test", "y_test"))


@dataclass(frozen=True, slots=True)
class Images:
    """Images as files or as one array, and their classes by number if they are known."""

    items: Sequence[Path] | Array
    labels: Array | None = None
    classes: Sequence[str] = ()  #: The folders of classes; none if the classes are numbers

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.items)

    def chosen(self, numbers: Array) -> Images:
        """Return some of the images."""
        labels = None if self.labels is None else self.labels[numbers]
        if isinstance(self.items, np.ndarray):
            return Images(self.items[numbers], labels, self.classes)
        return Images([self.items[number] for number in numbers], labels, self.classes)


def at(path: Path) -> tuple[Images, Images | None]:
    """Return the images at a path: those to calibrate with, and those to compare, if separate.

    Raises:
        QuantizeError: There are none.
    """
    name = path.as_posix()
    if path.suffix in (".npy", ".npz"):
        return _arrays(path)
    if not path.is_dir():
        what = "is not a folder or an array" if path.exists() else "does not exist"
        raise QuantizeError(f"`{name}` {what}: expected {_EXPECTED}")
    if any(path.glob("train-images-*")) or any(path.glob("t10k-images-*")):
        pairs = [_idx_pair(path, prefix) for prefix in ("train", "t10k")]
        if sets := [pair for pair in pairs if pair is not None]:
            return sets[0], sets[1] if len(sets) > 1 else None
        raise QuantizeError(f"`{name}` has no images: expected {_EXPECTED}")
    first, *others = [path / part for part in ("train", "val") if (path / part).is_dir()] or [path]
    images = _folder(first)
    return images, _folder(others[0], images.classes) if others else None


def _folder(folder: Path, classes: Sequence[str] | None = None) -> Images:
    """Return the images in a folder and those below, in the order of their names.

    As in training scripts, what is hidden is none of them. Their classes are numbered by `classes`,
    if these are given.
    """
    paths, inner = [], []
    for path in sorted(folder.rglob("*")):
        parts = path.relative_to(folder).parts
        hidden = any(part.startswith(".") for part in parts)
        if not hidden and path.suffix.lower() in ENDINGS and path.is_file():
            paths.append(path)
            inner.append(parts)
    if not paths:
        raise QuantizeError(f"`{folder.as_posix()}` has no images: expected {_EXPECTED}")
    names = [parts[0] for parts in inner]
    classes = sorted({*names}) if classes is None else classes
    if len(classes) < 2 or any(len(parts) != 2 for parts in inner):
        return Images(paths)
    if unknown := sorted({*names}.difference(classes)):
        raise QuantizeError(f"`{folder.as_posix()}` has classes that train/ lacks: {unknown}")
    return Images(paths, np.searchsorted(classes, names), classes)


def _idx_pair(folder: Path, name: str) -> Images | None:
    """Return the images and labels of two IDX files; None if there are no such images."""
    images = _idx(folder / f"{name}-images-idx3-ubyte")
    if images is None:
        return None
    labels = _idx(folder / f"{name}-labels-idx1-ubyte")
    if labels is None:
        return Images(images)
    if images.ndim != 3 or labels.shape != (len(images),):
        where = folder.as_posix()
        raise QuantizeError(f"`{where}`: the images and labels of {name} do not belong together")
    return Images(images, labels.astype(np.int64))


def _idx(path: Path) -> Array | None:
    """Read an IDX file, compressed or not: 0, 0, 8 for bytes, how many axes, sizes, values."""
    if not path.is_file():
        path = path.with_name(f"{path.name}.gz")
        if not path.is_file():
            return None
    try:
        data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        if data[:3] != b"\0\0\x08":
            raise ValueError("it does not begin with 0, 0, 8")
        start = 4 + 4 * data[3]
        shape = np.frombuffer(data[4:start], ">u4").tolist()
        return np.frombuffer(data, np.uint8, offset=start).reshape(shape)
    except (OSError, EOFError, IndexError, ValueError, zlib.error) as error:
        what = f"`{path.as_posix()}` cannot be read as an IDX file: {reason(error)}"
        raise QuantizeError(what) from None


def _arrays(path: Path) -> tuple[Images, Images | None]:
    """Return the images of an array, or of the arrays of a file."""
    try:
        held = np.load(path, allow_pickle=False)
        if isinstance(held, np.ndarray):
            return _array(path, held, None), None
        with held:
            arrays = {name: held[name] for name in held.files}
    except (OSError, EOFError, ValueError, zipfile.BadZipFile, zlib.error) as error:
        raise QuantizeError(f"`{path.as_posix()}` cannot be read: {reason(error)}") from None
    sets = [_array(path, arrays[x], arrays.get(y)) for x, y in _NAMES if x in arrays]
    if not sets:
        known = listed([f"{x} and {y}" for x, y in _NAMES], "or")
        held_ = listed(list(arrays)) or "nothing"
        raise QuantizeError(f"`{path.as_posix()}` holds {held_}: expected the arrays {known}")
    return sets[0], sets[1] if len(sets) > 1 else None


def _array(path: Path, images: Array, labels: Any) -> Images:
    if images.ndim not in (3, 4) or (images.dtype != np.uint8 and images.dtype.kind != "f"):
        what = f"an array {images.shape} of {images.dtype}"
        raise QuantizeError(
            f"`{path.as_posix()}` holds {what}: expected bytes (N, H, W), (N, H, W, C) or "
            "(N, C, H, W), or floats (N, C, H, W) that are preprocessed"
        )
    if labels is None:
        return Images(images)
    labels = np.asarray(labels).reshape(-1)
    if len(labels) != len(images) or labels.dtype.kind not in "iu" or labels.min(initial=0) < 0:
        raise QuantizeError(f"`{path.as_posix()}`: the images and labels do not belong together")
    return Images(images, labels.astype(np.int64))


def split(
    images: Images, others: Images | None, count: int, compare: int, path: Path
) -> tuple[Images, Images]:
    """Choose images to calibrate with and others to compare: the same ones every time.

    Of fewer images than `count` and some to compare, one half calibrates.

    Raises:
        QuantizeError: There are not enough.
    """
    order = np.random.default_rng(0).permutation(len(images))
    if others is None:
        if len(images) < 2:
            have = counted(len(images), "image")
            what = "one to calibrate with and another to compare"
            raise QuantizeError(f"`{path.as_posix()}` has {have}: at least 2 are needed, {what}")
        used = min(count, (len(images) + 1) // 2)
        rest = images.chosen(order[used:][:compare])
        return images.chosen(order[:used]), rest
    if not len(images) or not len(others):
        raise QuantizeError(f"`{path.as_posix()}` has no images in one of its two sets")
    second = np.random.default_rng(0).permutation(len(others))
    return images.chosen(order[:count]), others.chosen(second[:compare])
