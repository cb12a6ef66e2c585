"""The cost of `incgen weights import`: time and memory, for the largest network of the family.

The baseline reads and writes the same bytes with the libraries alone, also in a separate process:
it loads the checkpoint and saves its tensors as safetensors, without renaming or checking anything.
The memory is the peak of the process, compared with the size of the checkpoint, and includes what
the imported libraries take.
"""

from __future__ import annotations

import os
import sys
import tempfile
from importlib import import_module
from pathlib import Path

from engines.preparing import measured
from figures import INCGEN, ROOT, SMALLEST, Figure, at_most, compare, option_parser, report

#: The spec and the published model that it equals, by the format of the publication.
SPEC = ROOT / "specs" / ("bn_inception.inc" if SMALLEST else "inception_resnet_v2.inc")
PUBLISHED = {
    ".pth": f"pretrainedmodels {'bninception' if SMALLEST else 'inceptionresnetv2'}",
    ".h5": "keras InceptionResNetV2",
}
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"  # of the processes that are measured
BAR_TIME, BAR_MEMORY = 2.0, 3.0
PAIRS = 1 if SMALLEST else 5

#: The file, and a program that copies its content, by format.
COPIES = {
    "PyTorch": (
        "x.pth",
        "import sys, torch\n"
        "from safetensors.torch import save_file\n"
        "save_file(torch.load(sys.argv[1], weights_only=True, mmap=True), sys.argv[2])",
    ),
    "Keras": (
        "x.h5",
        "import sys, h5py\n"
        "from safetensors.numpy import save_file\n"
        "found = {}\n"
        "def visit(name, item):\n"
        "    if isinstance(item, h5py.Dataset): found[name] = item[()]\n"
        "h5py.File(sys.argv[1]).visititems(visit)\n"
        "save_file(found, sys.argv[2])",
    ),
    "TensorFlow": (
        "x.ckpt",
        "import sys, tensorflow as tf\n"
        "from safetensors.numpy import save_file\n"
        "reader = tf.train.load_checkpoint(sys.argv[1])\n"
        "names = reader.get_variable_to_shape_map()\n"
        "save_file({name: reader.get_tensor(name) for name in names}, sys.argv[2])",
    ),
}


def measure() -> list[Figure]:
    """Return the ratios for each format, and the times and sizes that they come from."""
    figures = []
    with tempfile.TemporaryDirectory() as folder:
        for name, (file, copy) in list(COPIES.items())[: 1 if SMALLEST else None]:
            path, output = Path(folder, file), Path(folder, "w.safetensors")
            smallest = ["--smallest"] if SMALLEST else []
            measured([sys.executable, __file__, "--make", str(path), *smallest])
            size = sum(part.stat().st_size for part in Path(folder).glob(f"{file}*"))
            figures += _figures(name, path, output, copy, size)
            for part in Path(folder).iterdir():
                part.unlink()
    return figures


def _figures(name: str, path: Path, output: Path, copy: str, size: int) -> list[Figure]:
    peaks: list[int] = []

    def ours() -> None:
        arguments = ["weights", "import", str(path), str(SPEC), "-o", str(output)]
        # TF-slim's has an auxiliary head and a background class, all of which is imported
        settings = ["--set", "classes=1001" if path.suffix == ".ckpt" else "heads=false"]
        settings = [] if SMALLEST else settings
        output.unlink(missing_ok=True)
        _, peak = measured([INCGEN, *arguments, *settings])
        peaks.append(peak)
        output.stat()  # check that it was written

    def theirs() -> None:
        output.unlink(missing_ok=True)
        measured([sys.executable, "-c", copy, str(path), str(output)])

    compared = compare(ours, theirs, PAIRS)
    mine, other = compared.medians
    megabytes, peak = size / 1e6, max(peaks) / 1e6
    return [
        at_most(
            f"weights import, {name}: time / reading and writing with the libraries",
            compared.ratio,
            BAR_TIME,
            f"({mine:.1f} s / {other:.1f} s)",
        ),
        at_most(
            f"weights import, {name}: peak memory / file",
            peak / megabytes,
            BAR_MEMORY,
            f"({peak:.0f} MB / {megabytes:.0f} MB)",
        ),
    ]


# ---------------------------------------------------------------- the checkpoints


def make(path: Path) -> None:
    """Write a checkpoint of the network with random weights, in the format of its suffix."""
    sys.path.insert(0, str(ROOT / "tests"))  # these modules know the published networks
    if path.suffix == ".ckpt":
        checkpoints = import_module("checkpoints")
        shapes = checkpoints.listed_slim("slim_inception_resnet_v2")
        checkpoints.write_tensorflow(path, checkpoints.random_arrays(shapes))
        return
    published = import_module("published")
    name = PUBLISHED[path.suffix]
    (chosen,) = (candidate for candidate in published.PUBLISHED if candidate.name == name)
    model = chosen.build()
    if path.suffix == ".pth":
        import torch

        for key, value in model.state_dict().items():
            if key.endswith("bn.weight"):  # as published
                value.fill_(1)
        torch.save(model.state_dict(), path)
    else:
        published.save(model, path, None)


if __name__ == "__main__":
    parser = option_parser(__doc__)
    parser.add_argument("--make", type=Path, metavar="FILE", help="only write this checkpoint")
    path = parser.parse_args().make
    if path is not None:
        make(path)
    else:
        report(measure())
