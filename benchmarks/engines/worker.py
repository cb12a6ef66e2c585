"""A process that runs the models of one library, and times them when it is asked to.

It reads requests as lines of JSON and answers each by a line: the cell to make ready with what its
output is, or the cell to time with the seconds of a pass. Between requests it sleeps.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from engines.files import COMPARED, expected_of
from engines.plan import CONVOLUTION, INFERENCE, INT8, NETWORKS, ONNX2TF, Cell, Network

#: A turn lasts so many seconds at least, and a pass at least.
TURN = 0.25

#: The module that runs the models of each process.
MODULES = {
    "torch": "torch_models",
    "keras": "keras_models",
    "keras_torch": "keras_models",
    "flax": "flax_models",
    "onnxruntime": "onnx_models",
    "openvino": "onnx_models",
}


class Worker:
    """The model that the process runs.

    Attributes:
        process: The name of the process.
        network: The network that it measures.
        folder: Where what was prepared is.
    """

    def __init__(self, process: str, network: Network, folder: Path) -> None:
        self.process, self.network, self.folder = process, network, folder
        self.runs: dict[Cell, Callable[[], Any]] = {}

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """Carry out a request; what fails is told, with its kind."""
        cell = Cell(**request["cell"])
        try:
            if request["do"] == "prepare":
                return self.prepare(cell)
            return {"seconds": self.turn(cell, request["short"])}
        except Exception as error:
            first = str(error).strip().splitlines() or ["no message"]
            return {"error": f"{type(error).__name__}: {first[0]}"[:300]}

    def prepare(self, cell: Cell) -> dict[str, Any]:
        """Make a cell ready by running it once; return how far its output is from the expected."""
        models = importlib.import_module(f"engines.{MODULES[self.process]}")
        self.runs[cell] = models.runner(cell, self.network, self.folder)
        output = self.runs[cell]()
        if cell.work != INFERENCE or cell.model == CONVOLUTION:
            return {}
        return {"difference": self._difference(cell, np.asarray(output))}

    def _difference(self, cell: Cell, output: np.ndarray) -> float:
        spec = self.network.name if cell.model == ONNX2TF else self.network.spec(self.process)
        expected = np.load(expected_of(self.folder, spec))[: cell.batch]
        computed = output[:COMPARED]
        return float(np.abs(computed - expected).max() / np.abs(expected).max())

    def turn(self, cell: Cell, short: bool) -> float:
        """Return the median seconds of the passes of a turn.

        The first is not timed: while other processes ran, caches have gone cold, and the system
        may have dropped pages of the library, which it reads from the disk again.
        """
        run = self.runs[cell]
        gc.collect()
        if not short:
            run()
        passes, begun = list[float](), time.perf_counter()
        while not passes or (time.perf_counter() - begun < TURN and not short):
            passes.append(timed(run))
        return statistics.median(passes)


def timed(run: Callable[[], Any]) -> float:
    """Return the seconds that a run takes."""
    begun = time.perf_counter()
    run()
    return time.perf_counter() - begun


#: How far an output may be from the published model's, relative to the largest number.
AGREEMENT = 1e-3


def agrees(cell: Cell, difference: float) -> bool:
    """Tell whether an output is that of the same network; int8 is allowed to differ."""
    return cell.model == INT8 or difference <= AGREEMENT


def serve(worker: Worker, requests: TextIO, answers: TextIO) -> None:
    """Answer requests until there are no more."""
    for line in requests:
        print(json.dumps(worker.answer(json.loads(line))), file=answers, flush=True)


def main() -> None:
    """Serve the process and network that the command line names."""
    process, network, folder = sys.argv[1:4]
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print is not an answer
    serve(Worker(process, NETWORKS[network], Path(folder)), sys.stdin, answers)


if __name__ == "__main__":
    main()
