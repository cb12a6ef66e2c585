"""A training loop in PyTorch as one writes it by hand: what generated scripts are measured against.

    python train_torch.py arrays|images --data DIR --output DIR --steps N --workers N

It trains the generated network beside it, whose file is on the path, and writes the same log.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from by_hand import Log, arguments, read_idx
from torch import Tensor
from torch.nn import functional as F

args = arguments()
if args.network == "arrays":
    from arrays_torch import Arrays as Network
    from arrays_torch import preprocess
else:
    from images_torch import Images as Network  # type: ignore[assignment]
    from images_torch import preprocess


def arrays() -> Iterator[tuple[Tensor, Tensor]]:
    """Yield batches of images that are in memory."""
    images, labels = map(torch.from_numpy, read_idx(args.data))
    while True:
        order = torch.randperm(len(labels))
        for numbers in order.split(60):
            yield images[numbers][:, None], labels[numbers]


def folder() -> Iterator[tuple[Tensor, Tensor]]:
    """Yield batches of images in files."""
    from torch.utils.data import DataLoader
    from torchvision.datasets import ImageFolder
    from torchvision.transforms import v2

    transform = v2.Compose(
        [
            v2.PILToTensor(),
            v2.RandomResizedCrop(48, antialias=True),
            v2.RandomHorizontalFlip(),
        ]
    )
    loader = DataLoader(
        ImageFolder(args.data / "train", transform),
        batch_size=32,
        shuffle=True,
        drop_last=True,
        num_workers=args.workers,
        persistent_workers=args.workers > 0,
    )
    while True:
        yield from loader


torch.manual_seed(0)
model = Network().train()
optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
log = Log(args.output)
batches = arrays() if args.network == "arrays" else folder()
for step, (images, labels) in zip(range(1, args.steps + 1), batches, strict=False):
    optimizer.zero_grad()
    loss = F.cross_entropy(model(preprocess(images)), labels)
    loss.backward()
    optimizer.step()
    if step % args.log_every == 0:
        log.write(step, len(labels), loss.item())
