"""The names and shapes that current versions of published implementations save.

Published files have the names of their time; models are built with other classes, without heads or
for features only, and their attributes are renamed. Models are built without values: whether one
fits is decided by names and shapes.

`python tests/live.py` tries all of them.
"""

from __future__ import annotations

import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from checkpoints import Array
from published import SPECS, facenet, fid, imported
from torch import nn

import incgen
from incgen.weights import finding, layouts
from incgen.weights.checkpoint import Stored
from incgen.weights.choosing import layers_anew


@dataclass(frozen=True)
class Live:
    """One way to build an implementation.

    Attributes:
        name: Which one, and how it is built.
        spec: Our spec.
        layout: The layout that it fits.
        build: Makes the model.
        settings: The settings with which ours has the same layers.
        fresh: The layers that it does not have.
        part: Where it has the network.
    """

    name: str
    spec: str
    layout: str
    build: Callable[[], Any]
    settings: dict[str, Any] = field(default_factory=dict)
    fresh: tuple[str, ...] = ()
    part: str = "."


def torchvision(name: str, **options: Any) -> Callable[[], nn.Module]:
    def build() -> nn.Module:
        place = "torchvision.models.quantization" if "quantize" in options else "torchvision.models"
        model: nn.Module = getattr(imported(place), name)(init_weights=False, **options)
        return model

    return build


def timm(name: str, **options: Any) -> Callable[[], nn.Module]:
    return lambda: imported("timm").create_model(name, **options)


def cadene(name: str, module: str = "", **options: Any) -> Callable[[], nn.Module]:
    def build() -> nn.Module:
        place = imported(f"pretrainedmodels.models.{module or name}")
        model: nn.Module = getattr(place, name)(pretrained=None, **options)
        return model

    return build


def face(**options: Any) -> Callable[[], nn.Module]:
    place = "facenet_pytorch.models.inception_resnet_v1"
    return lambda: imported(place).InceptionResnetV1(**options)


def pytorchcv(name: str, **options: Any) -> Callable[[], nn.Module]:
    return lambda: getattr(imported(f"pytorchcv.models.{name}"), name)(**options)


def keras(name: str, **options: Any) -> Callable[[], Any]:
    def build() -> Any:
        import keras

        return getattr(keras.applications, name)(weights=None, **options)

    return build


#: Inception v4 and both of Inception-ResNet v2 in PyTorch.
PORT = {"heads": False, "gamma": True}
XCEPTION = {"eps": 1e-5, "pool_pad": "half"}
TEN = {"classes": 10}
HEADLESS = ("logits",)

LIVE = [
    Live(
        "torchvision inception_v3",
        "inception_v3",
        "torchvision",
        torchvision("inception_v3"),
    ),
    Live(
        "torchvision inception_v3, 10 classes",
        "inception_v3",
        "torchvision",
        torchvision("inception_v3", num_classes=10),
        TEN,
    ),
    Live(
        "torchvision inception_v3, no head",
        "inception_v3",
        "torchvision",
        torchvision("inception_v3", aux_logits=False),
        {"heads": False},
    ),
    Live(
        "torchvision inception_v3, to be quantised",
        "inception_v3",
        "torchvision",
        torchvision("inception_v3", quantize=False),
    ),
    Live(
        "torchvision googlenet",
        "googlenet_bn",
        "torchvision",
        torchvision("googlenet"),
    ),
    Live(
        "torchvision googlenet, no heads",
        "googlenet_bn",
        "torchvision",
        torchvision("googlenet", aux_logits=False),
        {"heads": False},
    ),
    Live(
        "torchvision googlenet, to be quantised",
        "googlenet_bn",
        "torchvision",
        torchvision("googlenet", quantize=False),
    ),
    Live(
        "timm inception_v3, a head",
        "inception_v3",
        "torchvision",
        timm("inception_v3", aux_logits=True),
    ),
    Live(
        "timm inception_v3 as from TensorFlow",
        "inception_v3_tf",
        "timm",
        timm("inception_v3"),
        {"heads": False},
    ),
    *(
        live
        for name, spec, settings, part in (
            ("inception_v3", "inception_v3", {"heads": False}, "."),
            ("inception_v4", "inception_v4", PORT, "."),
            ("inception_resnet_v2", "inception_resnet_v2", PORT, "."),
            ("legacy_xception", "xception", XCEPTION, "body"),
        )
        for live in (
            Live(f"timm {name}", spec, "timm", timm(name), settings),
            Live(
                f"timm {name}, 10 classes",
                spec,
                "timm",
                timm(name, num_classes=10),
                settings | TEN,
            ),
            Live(
                f"timm {name}, no classifier",
                spec,
                "timm",
                timm(name, num_classes=0),
                settings,
                HEADLESS,
            ),
            Live(
                f"timm {name}, features only",
                spec,
                "timm",
                timm(name, features_only=True),
                settings,
                HEADLESS,
                part,
            ),
        )
    ),
    Live("pretrainedmodels bninception", "bn_inception", "cadene", cadene("bninception")),
    Live(
        "pretrainedmodels inceptionv3",
        "inception_v3",
        "torchvision",
        cadene("inceptionv3", "torchvision_models"),
    ),
    Live("pretrainedmodels inceptionv4", "inception_v4", "timm", cadene("inceptionv4"), PORT),
    Live(
        "pretrainedmodels inceptionresnetv2",
        "inception_resnet_v2",
        "cadene",
        cadene("inceptionresnetv2"),
        PORT,
    ),
    Live("pretrainedmodels xception", "xception", "timm", cadene("xception"), XCEPTION),
    Live("facenet_pytorch", "inception_resnet_v1", "facenet", facenet),
    Live(
        "facenet_pytorch, 10 classes",
        "inception_resnet_v1",
        "facenet",
        face(classify=True, num_classes=10),
        TEN,
    ),
    Live(
        "facenet_pytorch, embeddings",
        "inception_resnet_v1",
        "facenet",
        face(),
        {"classify": False},
    ),
    Live(
        "facenet_pytorch, embeddings, new classes",
        "inception_resnet_v1",
        "facenet",
        face(),
        TEN,
        HEADLESS,
    ),
    *(
        Live(
            f"pytorchcv {name}, 10 classes",
            spec,
            "pytorchcv",
            pytorchcv(name, num_classes=10),
            settings | TEN,
        )
        for name, spec, settings in (
            ("bninception", "bn_inception", {}),
            ("inceptionv3", "inception_v3", {"heads": False}),
            ("inceptionv4", "inception_v4", PORT),
            ("inceptionresnetv2", "inception_resnet_v2", PORT),
            ("inceptionresnetv1", "inception_resnet_v1", {}),
            ("xception", "xception", XCEPTION),
        )
    ),
    Live("pytorch_fid inception_v3", "inception_v3_fid", "pytorch_fid", fid),
    *(
        live
        for name, spec, settings in (
            ("InceptionV3", "inception_v3_tf", {"heads": False}),
            ("InceptionResNetV2", "inception_resnet_v2", {"heads": False}),
            ("Xception", "xception", {}),
        )
        for live in (
            Live(
                f"keras {name}, 10 classes", spec, "keras", keras(name, classes=10), settings | TEN
            ),
            Live(
                f"keras {name}, no classifier",
                spec,
                "keras",
                keras(name, include_top=False),
                settings,
                HEADLESS,
            ),
        )
    ),
]


def _nothing() -> Array:
    raise AssertionError("values are not needed")


def stored(live: Live) -> dict[str, Stored]:
    """Return the names and shapes in its file."""
    with torch.device("meta"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = live.build()
    if isinstance(model, nn.Module):
        shapes = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    else:
        shapes = {
            f"{layer.name}/{variable.name}": tuple(variable.shape)
            for layer in model.layers
            for variable in layer.weights
        }
    return {name: Stored(name, shape, "float32", _nothing) for name, shape in shapes.items()}


def fits(live: Live) -> set[tuple[str, str]]:
    """Return the parts and layouts under which all of it fits, with nothing left over."""
    path = SPECS / f"{live.spec}.inc"
    graph = incgen.compile_spec(path, live.settings)
    known = layouts.find(path, graph.program.network.name)
    anew = layers_anew(graph, live.fresh, 0)
    candidates = finding.search(graph, stored(live), known, anew=anew)
    return {(c.part, c.layout.name) for c in candidates if not c.faults and not c.beside}


if __name__ == "__main__":
    wanted = [live for live in LIVE if not sys.argv[1:] or {live.name, live.spec} & {*sys.argv[1:]}]
    start = time.monotonic()
    lost = [live.name for live in wanted if (live.part, live.layout) not in fits(live)]
    print(f"{len(wanted) - len(lost)} of {len(wanted)} models of today fit", file=sys.stderr)
    print(f"{time.monotonic() - start:.0f} s", file=sys.stderr)
    sys.exit("\n".join(["do not fit:", *lost]) if lost else 0)
