"""Time the generated training scripts against loops written by hand.

Both train the same generated network on the same data: a perceptron on arrays in memory, where
what surrounds a step shows, and a small convolutional network on JPEG files with crops and mirror
images. Each run is a process on one thread; the two take turns. The figure is the images per second
of the script over those of the loop, each the median of its log, with the 95 % interval of the
ratio over the pairs. Beside it is the ratio of the processor time of both, start-up taken off: it
says the same on a machine that does something else, too.

`--only torch-arrays`, for instance, measures that alone.
"""

from __future__ import annotations

import csv
import gzip
import os
import statistics
import struct
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

import incgen
from figures import REFERENCE, ROOT, SMALLEST, Comparison, Figure, option_parser, report

SPECS = ROOT / "benchmarks" / "training"
NAMES = {"torch": "PyTorch", "keras": "Keras", "flax": "Flax"}
#: The steps of a run, and of one that shows what start-up takes.
STEPS = {"arrays": (2000, 200), "images": (500, 50)}
if SMALLEST:
    STEPS = dict.fromkeys(STEPS, (20, 0))
PAIRS = 1 if SMALLEST else 5
LOG_EVERY = 10 if SMALLEST else 50
BAR = 0.97
#: Two operators that torchvision lacks beside a build of torch for CPUs; scripts do not use them.
DECLARED = """
import torch
if torch.version.cuda is None:
    library = torch.library.Library("torchvision", "DEF")
    for name in ("nms", "qnms"):
        library.define(name + "(Tensor dets, Tensor scores, float threshold) -> Tensor")
"""
#: One thread each, so that neither is faster because cores are free.
ONE_THREAD = {
    "OMP_NUM_THREADS": "1",
    "TF_NUM_INTRAOP_THREADS": "1",
    "TF_NUM_INTEROP_THREADS": "1",
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1",
}


@dataclass(frozen=True)
class Run:
    """The time of a run.

    Attributes:
        pace: Seconds for an image, by the median of the log.
        processor: Seconds of processor time, start-up included.
    """

    pace: float
    processor: float


def main() -> None:
    """Measure what is asked for, and print the figures."""
    parser = option_parser(__doc__)
    cases = {f"{target}-{kind}": (target, kind) for kind in STEPS for target in NAMES}
    usual = [name for name in cases if not SMALLEST or name.endswith("arrays")]
    parser.add_argument("--only", choices=cases, help="measure this one")
    only = parser.parse_args().only
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_arrays(folder / "data" / "arrays")
        write_images(folder / "data" / "images")
        (folder / "torch").mkdir()
        (folder / "torch" / "sitecustomize.py").write_text(DECLARED, "utf-8")
        report([compared(folder, *cases[name]) for name in ([only] if only else usual)])


def compared(folder: Path, target: str, kind: str) -> Figure:
    """Return how a script compares with the loop by hand."""
    incgen.build(SPECS / f"{kind}.inc", target, f"{folder}/", recipe="r")
    # The loop neither evaluates nor saves.
    script = [str(folder / f"train_{kind}_r_{target}.py")]
    script += ["--evaluate-every=1000000", "--save-every=1000000"]
    loop = [str(REFERENCE / f"train_{target}.py"), kind]
    long, short = STEPS[kind]
    # The first start finds cold caches, and compiles what it imports.
    begun = [
        min(run(folder, kind, command, short).processor for _ in range(2)) if short else 0.0
        for command in (script, loop)
    ]
    ours, theirs = list[Run](), list[Run]()
    for pair in range(PAIRS):
        first, second = ((script, ours), (loop, theirs))[:: 1 if pair % 2 == 0 else -1]
        for command, runs in (first, second):
            runs.append(run(folder, kind, command, long))
    paces = [tuple(timed.pace for timed in runs) for runs in (ours, theirs)]
    result = Comparison(paces[1], paces[0])  # the images per second of ours over theirs
    low, high = result.interval
    speeds = " / ".join(f"{1 / statistics.median(times):.0f}" for times in paces)
    mine, other = (
        statistics.median(timed.processor for timed in runs) - start
        for runs, start in zip((ours, theirs), begun, strict=True)
    )
    value = f"{result.ratio:.2f}  ({speeds} images/s, 95 %: {low:.2f} to {high:.2f}; "
    value += f"by processor time {other / mine:.2f})"
    name = f"{NAMES[target]} training, {kind}, generated / by hand"
    return Figure(name, value, f"at least {BAR}", result.ratio >= BAR)


def run(folder: Path, kind: str, command: list[str], steps: int) -> Run:
    """Run a program for so many steps, and return what it took."""
    with tempfile.TemporaryDirectory(dir=folder) as output:
        options = [f"--data={folder}/data/{kind}", f"--output={output}/run", f"--steps={steps}"]
        # In Flax, the loop by hand has a thread that reads images ahead.
        workers = int(kind == "images" and "flax" in Path(command[0]).stem)
        options += [f"--workers={workers}", f"--log-every={LOG_EVERY}"]
        paths = [str(folder), os.environ.get("PYTHONPATH", "")]
        if kind == "images" and "torch" in Path(command[0]).stem:
            paths.insert(0, str(folder / "torch"))
        before = os.times()
        done = subprocess.run(
            [sys.executable, *command, *options],
            env={**os.environ, **ONE_THREAD, "PYTHONPATH": os.pathsep.join(paths)},
            capture_output=True,
            text=True,
            check=False,
        )
        after = os.times()
        if done.returncode != 0:
            sys.exit(f"{' '.join(command)} failed:\n{done.stderr}")
        with Path(output, "run", "log.csv").open(newline="") as file:
            rows = [row["images_per_second"] for row in csv.DictReader(file)]
    speeds = [float(speed) for speed in rows if speed][len(rows) // 5 :]  # it warms up
    processor = after.children_user + after.children_system
    processor -= before.children_user + before.children_system
    return Run(1 / statistics.median(speeds), processor)


def write_arrays(folder: Path) -> None:
    """Write IDX files of random images of 28 x 28 pixels in 10 classes."""
    folder.mkdir(parents=True)
    numbers = np.random.default_rng(0)
    for name, count in (("train", 600 if SMALLEST else 60_000), ("t10k", 60)):
        for what, shape, limit in (
            ("images-idx3", (count, 28, 28), 256),
            ("labels-idx1", (count,), 10),
        ):
            head = bytes([0, 0, 8, len(shape)]) + struct.pack(f">{len(shape)}I", *shape)
            content = head + numbers.integers(limit, size=shape, dtype=np.uint8).tobytes()
            path = folder / f"{name}-{what}-ubyte.gz"
            path.write_bytes(gzip.compress(content, 1))


def write_images(folder: Path) -> None:
    """Write JPEG files of 128 x 96 pixels in 10 classes."""
    numbers = np.random.default_rng(0)
    for split, count in (("train", 32), ("val", 4)):
        for label in range(10):
            place = folder / split / f"class{label}"
            place.mkdir(parents=True)
            for number in range(count):
                small = numbers.integers(256, size=(12, 16, 3), dtype=np.uint8)
                image = Image.fromarray(small).resize((128, 96), Image.Resampling.BICUBIC)
                image.save(place / f"{number}.jpg", quality=90)


if __name__ == "__main__":
    main()
