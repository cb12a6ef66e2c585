"""A training loop in Flax as one writes it by hand: what generated scripts are measured against.

    python train_flax.py arrays|images --data DIR --output DIR --steps N --workers N

It trains the generated network beside it, whose file is on the path, and writes the same log.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import optax
from by_hand import Log, arguments, read_idx
from flax import nnx
from jax import Array
from PIL import Image

args = arguments()
if args.network == "arrays":
    from arrays_flax import Arrays as Network
    from arrays_flax import preprocess
else:
    from images_flax import Images as Network  # type: ignore[assignment]
    from images_flax import preprocess
random = np.random.default_rng(0)


def arrays() -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield batches of images that are in memory."""
    images, labels = read_idx(args.data)
    while True:
        order = random.permutation(len(labels))
        for start in range(0, len(labels) - 59, 60):
            numbers = order[start : start + 60]
            yield images[numbers][..., None], labels[numbers]


def folder() -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield batches of images in files, which threads read ahead."""
    files = sorted((args.data / "train").glob("*/*"))
    classes = sorted({file.parent.name for file in files})
    labels = np.array([classes.index(file.parent.name) for file in files])
    workers = max(1, args.workers)
    with ThreadPoolExecutor(workers) as pool:
        ahead = deque[tuple[Future[np.ndarray], np.ndarray]]()
        while True:
            order = random.permutation(len(files))
            for start in range(0, len(files) - 31, 32):
                numbers = order[start : start + 32]
                chosen = [files[number] for number in numbers]
                ahead.append((pool.submit(read, chosen, random.random((32, 5))), labels[numbers]))
                if len(ahead) > workers:
                    batch, of_batch = ahead.popleft()
                    yield batch.result(), of_batch


def read(files: list[Path], numbers: np.ndarray) -> np.ndarray:
    """Return random crops of images, mirrored or not."""
    return np.stack([augmented(*pair) for pair in zip(files, numbers, strict=True)])


def augmented(file: Path, r: np.ndarray) -> np.ndarray:
    """Return a random crop of an image, mirrored or not."""
    image = Image.open(file).convert("RGB")
    area = (0.08 + 0.92 * r[0]) * image.width * image.height
    ratio = math.exp(math.log(3 / 4) + math.log(16 / 9) * r[1])
    width = min(image.width, round(math.sqrt(area * ratio)))
    height = min(image.height, round(math.sqrt(area / ratio)))
    left, top = (image.width - width) * r[2], (image.height - height) * r[3]
    box = (int(left), int(top), int(left) + width, int(top) + height)
    pixels = np.asarray(image.resize((48, 48), Image.Resampling.BILINEAR, box))
    return pixels[:, ::-1] if r[4] < 0.5 else pixels


@nnx.jit
def train_step(
    model: nnx.Module, optimizer: nnx.Optimizer[Any], images: Array, labels: Array
) -> Array:
    """Train on a batch; return its loss."""

    def loss_of(model: Any) -> Array:
        logits = model(preprocess(images))
        return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean()

    loss, gradients = nnx.value_and_grad(loss_of)(model)
    optimizer.update(model, gradients)
    return loss


model = Network(rngs=nnx.Rngs(0))
model.train()
optimizer = nnx.Optimizer(model, optax.sgd(0.01, momentum=0.9), wrt=nnx.Param)
log = Log(args.output)
batches = arrays() if args.network == "arrays" else folder()
for step, (images, labels) in zip(range(1, args.steps + 1), batches, strict=False):
    loss = train_step(model, optimizer, images, labels)
    if step % args.log_every == 0:
        log.write(step, len(labels), float(loss))
