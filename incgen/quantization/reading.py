"""Images as the network takes them: read, resized if asked to, and treated as `preprocess` does."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import numpy as np
from PIL import Image

from incgen.base.files import reason
from incgen.onnx.pixels import affine
from incgen.quantization.errors import QuantizeError
from incgen.quantization.images import Images
from incgen.quantization.source import Source
from incgen.weights.checkpoint import Array

#: The modes of Pillow by the number of channels.
_MODES = {1: "L", 3: "RGB"}


@dataclass(frozen=True, slots=True)
class Reader:
    """Reads the images that a file takes, in batches."""

    source: Source  #: The file
    where: Path  #: Where the images come from
    batch: int  #: The most images of a batch; all have one size
    #: What the shorter side becomes before the middle is cropped; None to take images as they are
    resize: int | None = None

    def batches(self, images: Images) -> Iterator[tuple[Array, Array | None]]:
        """Yield the images with their classes, if they are known."""
        begun: list[Array] = []
        size, start = self.source.batch or self.batch, 0
        for number in range(len(images)):
            image = self._treated(images, number)
            if begun and (len(begun) == size or begun[0].shape != image.shape):
                yield from self._batch(images, start, begun)
                start, begun = number, []
            begun.append(image)
        yield from self._batch(images, start, begun)

    def _batch(
        self, images: Images, start: int, begun: list[Array]
    ) -> Iterator[tuple[Array, Array | None]]:
        """Yield a batch, unless it is empty or the file takes more examples only."""
        if begun and self.source.batch in (None, len(begun)):
            labels = images.labels
            yield np.stack(begun), None if labels is None else labels[start : start + len(begun)]

    def _treated(self, images: Images, number: int) -> Array:
        """Return an image (C, H, W) as the network takes it."""
        item = images.items[number]
        if isinstance(item, Path):
            return self._preprocessed(self._sized(self._read(item), item.as_posix()))
        name = f"{self.where.as_posix()}, image {number}"
        if item.dtype != np.uint8:
            if self.source.takes_pixels:
                self._fail(name, "holds floats, and the network takes bytes: give bytes")
            if not np.isfinite(item).all():
                self._fail(name, "holds numbers that are not finite")
            return np.asarray(self._checked(item, name), np.float32)
        return self._preprocessed(self._sized(self._first(item, name), name))

    def _read(self, path: Path) -> Array:
        """Return the pixels of a file (C, H, W), as in training: of 16 bits, the upper 8."""
        channels = self.source.channels
        if channels not in _MODES:
            self._fail(path.as_posix(), f"cannot have {channels} channels: give an array (.npy)")
        try:
            with Image.open(path) as file:
                image = file.point(lambda x: x / 256) if file.mode == "I;16" else file
                pixels = np.asarray(image.convert(_MODES[channels]))
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
            self._fail(path.as_posix(), f"cannot be read as an image: {reason(error)}")
        return pixels.reshape(*pixels.shape[:2], channels).transpose(2, 0, 1)

    def _first(self, pixels: Array, name: str) -> Array:
        """Return an image of an array with its channels first."""
        channels = self.source.channels
        if pixels.ndim == 2 and channels == 1:
            return pixels[None]
        if pixels.ndim == 3 and pixels.shape[2] == channels:
            return pixels.transpose(2, 0, 1)
        if pixels.ndim == 3 and pixels.shape[0] == channels:
            return pixels
        self._fail(name, f"is an array {pixels.shape}, and the network takes {channels} channels")

    def _sized(self, pixels: Array, name: str) -> Array:
        """Return an image in the size of the network.

        Resizing is that of recipes: half-pixel centres, antialiased, in float32.
        """
        if self.resize is None:
            return self._checked(pixels, name)
        sides = pixels.shape[1:]
        height, width = (round(self.resize * side / min(sides)) for side in sides)
        maps = [Image.fromarray(channel.astype(np.float32)) for channel in pixels]
        wide = [channel.resize((width, height), Image.Resampling.BILINEAR) for channel in maps]
        scaled = np.stack([np.asarray(channel) for channel in wide])
        if self.source.size is None:
            return scaled
        h, w = self.source.size
        if height < h or width < w:
            help_ = f"--resize must be at least {max(h, w)}"
            self._fail(name, f"is {width} x {height} when it is resized: {help_}")
        top, left = (height - h) // 2, (width - w) // 2
        return scaled[:, top : top + h, left : left + w]

    def _checked(self, image: Array, name: str) -> Array:
        """Return an image that has the channels and the size of the network."""
        channels, size = self.source.channels, self.source.size
        if image.ndim != 3 or image.shape[0] != channels:
            self._fail(name, f"is an array {image.shape}: expected ({channels}, height, width)")
        if size is not None and image.shape[1:] != size:
            (height, width), (h, w) = image.shape[1:], size
            # floats are preprocessed, and never resized
            option = f", or add `--resize {max(h, w)}`" if image.dtype == np.uint8 else ""
            help_ = f"resize it before{option}"
            self._fail(name, f"is {width} x {height}, and the network takes {w} x {h}: {help_}")
        return image

    def _preprocessed(self, pixels: Array) -> Array:
        """Return pixels from 0 to 255 as the weights expect them, as `preprocess` does."""
        source = self.source
        if source.takes_pixels:
            return np.asarray(np.clip(np.rint(pixels), 0, 255), np.uint8)
        said = source.pixels
        if not said:
            what = f"{source.spec}: `input` does not say what pixels the weights expect"
            help_ = "add it, such as `range=[0, 1]`, and build again; or give preprocessed arrays"
            raise QuantizeError(f"{what}: {help_}")
        if said.get("order") == "bgr":
            pixels = pixels[::-1]
        numbers = said.get("range"), said.get("mean", ()), said.get("std", ())
        factor, summand = np.asarray(affine(*numbers, source.channels), np.float32)[..., None, None]
        treated: Array = pixels.astype(np.float32) * factor + summand
        return treated

    def _fail(self, name: str, why: str) -> NoReturn:
        raise QuantizeError(f"`{name}` {why}")
