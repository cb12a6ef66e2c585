"""The imports of PyTorch's training scripts, for the process from which runs are forked."""

import importlib

import scripts

scripts._prepare()
for name in (
    "matplotlib.backends.backend_agg",
    "matplotlib.figure",
    "safetensors.torch",
    "torch.utils.tensorboard",
    "torchvision.transforms.v2",
    "tqdm",
):
    importlib.import_module(name)
