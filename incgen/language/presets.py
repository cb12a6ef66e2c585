"""The presets of `numerics`: the values of each for an op, or a family of ops."""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

from incgen.language.signatures import ByWindow, DefaultValue

_LRN: Final[dict[str, DefaultValue]] = {"size": 5, "alpha": 1e-4, "beta": 0.75, "k": 1}
_CAFFE: Final[dict[str, dict[str, DefaultValue]]] = {
    "conv": {"pad": "half"},
    "pool": {"pad": ByWindow("half", "valid"), "ceil": True, "count_pad": True},
    "bn": {"eps": 1e-5, "decay": 0.9, "variance": "unbiased"},
    "lrn": _LRN,
}
#: What each preset sets, by family and argument. Sources: the defaults of Caffe (pooling_layer.cpp,
#: lrn_layer.cpp, batch_norm as trained in BN-Inception), of PyTorch 2 (nn.BatchNorm2d,
#: nn.MaxPool2d, nn.LocalResponseNorm) and of Keras 3 (BatchNormalization, "same").
PRESETS: Final[MappingProxyType[str, dict[str, dict[str, DefaultValue]]]] = MappingProxyType(
    {
        "caffe": _CAFFE,
        "torch": {
            **_CAFFE,
            "pool": {"pad": ByWindow("half", None), "ceil": False, "count_pad": True},
        },
        "tf": {
            "conv": {"pad": "same"},
            "pool": {"pad": "same", "ceil": False, "count_pad": False},
            "bn": {"eps": 1e-3, "decay": 0.99, "variance": "biased"},
            "lrn": _LRN,
        },
    }
)
