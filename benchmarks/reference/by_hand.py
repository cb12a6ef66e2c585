"""The common parts of the hand-written training loops: options, IDX files, and their log."""

from __future__ import annotations

import argparse
import csv
import gzip
import time
from pathlib import Path

import numpy as np


def arguments() -> argparse.Namespace:
    """Read the command line, whose options are those of generated scripts."""
    parser = argparse.ArgumentParser()
    parser.add_argument("network", choices=["arrays", "images"])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--steps", type=int, required=True)
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--log-every", type=int, default=50)
    args = parser.parse_args()
    args.output.mkdir(parents=True)
    return args


def read_idx(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return images (N, H, W) and labels (N,) of IDX files."""
    images = gzip.decompress((folder / "train-images-idx3-ubyte.gz").read_bytes())
    labels = gzip.decompress((folder / "train-labels-idx1-ubyte.gz").read_bytes())
    pixels = np.frombuffer(images, np.uint8, offset=16).reshape(-1, 28, 28)
    return pixels.copy(), np.frombuffer(labels, np.uint8, offset=8).astype(np.int64)


class Log:
    """The loss and the speed of every so many steps."""

    def __init__(self, folder: Path) -> None:
        self.file = (folder / "log.csv").open("w", newline="")
        self.rows = csv.writer(self.file)
        self.rows.writerow(["step", "loss", "images_per_second"])
        self.step, self.clock = 0, time.perf_counter()

    def write(self, step: int, batch: int, loss: float) -> None:
        """Write the loss of a step, and the speed since the last one that was written."""
        speed = batch * (step - self.step) / (time.perf_counter() - self.clock)
        self.rows.writerow([step, loss, speed])
        self.file.flush()
        self.step, self.clock = step, time.perf_counter()
