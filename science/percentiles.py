"""Run a training script of `sigmoids`, and record the inputs of the last sigmoid (figure 1b, 1c).

    python science/percentiles.py SCRIPT --data DIR --output DIR ...

A hook on the layer `hidden3.out` writes the 15th, 50th and 85th percentile of the input of its
first unit, over a batch, every 100 training steps, to percentiles.csv in the output folder.
"""

from __future__ import annotations

import csv
import runpy
import sys
from pathlib import Path
from typing import Any

from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_pre_hook

_EVERY = 100
_PERCENTILES = (0.15, 0.5, 0.85)


def main() -> None:
    """Run the script with the hook."""
    script, *arguments = sys.argv[1:]
    output = Path(arguments[arguments.index("--output") + 1])
    file = (output / "percentiles.csv").open("w", newline="", buffering=1)
    writer, count, sigmoids = csv.writer(file), 0, list[nn.Module]()
    writer.writerow(["step", *_PERCENTILES])

    def record(module: nn.Module, inputs: tuple[Any, ...]) -> None:
        nonlocal count
        if not isinstance(module, nn.Sigmoid) or not module.training:
            return
        if module not in sigmoids:
            sigmoids.append(module)
        if len(sigmoids) < 3 or module is not sigmoids[2]:
            return
        if count % _EVERY == 0:
            (value,) = inputs
            assert isinstance(value, Tensor)
            units = value.detach().double()[:, 0]
            writer.writerow([count, *(float(units.quantile(part)) for part in _PERCENTILES)])
        count += 1

    register_module_forward_pre_hook(record)
    sys.argv = [script, *arguments]
    sys.path.insert(0, str(Path(script).parent))
    runpy.run_path(script, run_name="__main__")


if __name__ == "__main__":
    main()
