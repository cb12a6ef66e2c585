"""A small network with recipes, and what a step of training does to numbers, by hand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageEnhance, ImageOps

Array = NDArray[Any]

#: A small network that has everything: normalisation, weight decay, dropout, a head.
NETWORK = """\
numerics caffe
unit conv_bn = conv bias=false l2=0.01 -> bn -> relu

network small(classes = 3, drop = 0.25) {
    input 8x8 3  range=[-1, 1]
    conv1: conv_bn 3x3 6
    aux early {
        global_avg_pool
        fc: dense classes
    }
    conv2: conv_bn 3x3/2 8
    global_avg_pool
    dropout drop
    logits: dense classes
}
"""
#: The same for grey images, which may come in IDX files.
GREY = NETWORK.replace("8x8 3", "8x8 1")
#: The least.
PLAIN = """\
numerics caffe
network small(classes = 3) {
    input 8x8 3  range=[0, 255]
    conv1: conv 3x3 6
    relu
    global_avg_pool
    logits: dense classes
}
"""
#: Settings of a recipe, by their first word.
SETTINGS = {
    "epochs": "3",
    "batch": "6 synchronized=true",
    "loss": "cross_entropy smoothing=0.1 heads=0.3",
    "optimizer": "sgd momentum=0.9 rate=inside",
    "rate": "0.05 -> warmup 2 steps -> exponential 0.5 every 0.5 epochs",
    "clip": "norm 1",
    "average": "0.9 ramp=true",
    "train": """{
        crop area=[0.3, 1] aspect=[3/4, 4/3] interpolation=random -> flip
        color brightness=0.125 contrast=[0.5, 1.5] saturation=[0.5, 1.5] hue=0.1
    }""",
    "evaluate": "{ resize 9 -> center_crop }",
}
#: What a recipe can do without.
OPTIONAL = ("clip", "average", "train", "evaluate")


def spec(network: str = NETWORK, drop: Sequence[str] = (), **settings: str) -> str:
    """Return a spec with a recipe `r`: SETTINGS with others in place, or without some."""
    lines = {**SETTINGS, **settings}
    body = "\n".join(f"    {name} {value}" for name, value in lines.items() if name not in drop)
    return f"{network}\nrecipe r for small {{\n{body}\n}}\n"


#: Recipes whose scripts have other forms in every target, by their names.
FORMS = {
    "all": spec(),
    "least": spec(
        PLAIN.replace("8x8 3", "8x8 1"),
        loss="cross_entropy",
        optimizer="sgd",
        rate="0.1",
        drop=OPTIONAL,
    ),
    "grey": spec(GREY, train="{ random_crop pad=2 -> flip }", clip="value 1"),
    "many": spec(
        train="{ random_crop pad=3 border=reflect }",
        evaluate="{ multi_crop }",
        shuffle="shards 10",
        optimizer="adamw decay=0.05",
    ),
    "decay": spec(l2="0.125", rate="0.1 per=epoch -> cosine to=0.01", average="0.9"),
    "arrays": spec(GREY, drop=["train"], evaluate="{ resize 9 -> center_crop }"),
    "torch": spec(optimizer="rmsprop torch decay=0.9 eps=1 momentum=0.5", shuffle="once"),
}
#: The network without dropout.
STILL = NETWORK.replace("    dropout drop\n", "").replace(", drop = 0.25", "")
#: Layers with depthwise kernels, of which one is a grouped convolution.
DEPTHWISE = """    separable_conv 3x3 10 multiplier=2
    depthwise_conv 3x3 multiplier=2
    conv 3x3 8 groups=4
    global_avg_pool
    dropout"""


def forms(target: str) -> dict[str, str]:
    """Return recipes that together have every form of a script, by their names."""
    end, bn = "    global_avg_pool\n    dropout", "-> bn ->"
    inside, eps = "sgd momentum=0.5 nesterov=true rate=inside", "decay=0.9 eps=1"
    own = {
        "torch": {
            "biased": spec(NETWORK.replace("caffe", "tf"), optimizer=f"rmsprop tf {eps}"),
            "mixed": spec(
                NETWORK.replace(bn, "-> bn variance=biased ->", 1).replace(
                    end, f"    bn variance=unbiased\n{end}"
                )
            ),
            "unscaled": spec(NETWORK.replace(bn, "-> bn scale=false ->", 1)),
            "crops": spec(evaluate="{ ten_crop }", optimizer=inside),
        },
        "keras": {
            "biased": spec(NETWORK.replace("caffe", "tf"), optimizer=f"rmsprop tf {eps}"),
            "crops": spec(evaluate="{ ten_crop }", optimizer="sgd momentum=0.5 nesterov=true"),
            "stock": spec(optimizer=f"rmsprop keras {eps}", batch="6", drop=["clip", "average"]),
            "depth": spec(NETWORK.replace(end, DEPTHWISE)),
        },
        "flax": {
            "apart": spec(batch="6"),
            "biased": spec(STILL.replace("caffe", "tf"), batch="6", optimizer=f"rmsprop tf {eps}"),
            "crops": spec(evaluate="{ ten_crop }", optimizer=inside, drop=["clip"]),
            "depth": spec(NETWORK.replace(end, DEPTHWISE)),
        },
    }
    return {**FORMS, **own[target]}


#: Rates that change from step to step, and gradients of two weights.
RATES = [0.1, 0.05, 0.2, 0.025]
GRADIENTS = [[0.5, -2.0], [0.25, 1.0], [-1.5, 0.125], [0.75, 0.5]]


def sgd(momentum: float, nesterov: bool, inside: bool) -> list[float]:
    """Return weights from 1 after the steps above, by the docstring of `Sgd`."""
    weights = []
    for gradients in zip(*GRADIENTS, strict=True):
        w, v = 1.0, 0.0
        for rate, g in zip(RATES, gradients, strict=True):
            if inside:
                v = momentum * v - rate * g
                w += momentum * v - rate * g if nesterov else v
            else:
                v = momentum * v + g
                w -= rate * (g + momentum * v) if nesterov else rate * v
        weights.append(w)
    return weights


def rmsprop(form: str, decay: float, momentum: float, eps: float) -> list[float]:
    """Return weights from 1 after the steps above, by the docstring of `RmsProp`."""
    weights = []
    for gradients in zip(*GRADIENTS, strict=True):
        w, v, s = 1.0, 0.0, 1.0 if form == "tf" else 0.0
        for rate, g in zip(RATES, gradients, strict=True):
            s = decay * s + (1 - decay) * g * g
            if form == "torch":
                v = momentum * v + g / (s**0.5 + eps)
                w -= rate * v
            else:
                v = momentum * v - rate * g / (s + eps) ** 0.5
                w += v
        weights.append(w)
    return weights


def adam(beta1: float, beta2: float, eps: float, decay: float = 0.0) -> list[float]:
    """Return weights from 1 after the steps above, by arXiv:1412.6980 and arXiv:1711.05101."""
    weights = []
    for gradients in zip(*GRADIENTS, strict=True):
        w, m, v = 1.0, 0.0, 0.0
        for t, (rate, g) in enumerate(zip(RATES, gradients, strict=True), 1):
            w -= rate * decay * w
            m, v = beta1 * m + (1 - beta1) * g, beta2 * v + (1 - beta2) * g * g
            w -= rate * (m / (1 - beta1**t)) / ((v / (1 - beta2**t)) ** 0.5 + eps)
        weights.append(w)
    return weights


def cross_entropy(logits: Array, labels: Sequence[int], smoothing: float) -> float:
    """Return the mean cross-entropy, by the docstring of `Loss`."""
    logits = logits - logits.max(1, keepdims=True)
    log_p = logits - np.log(np.exp(logits).sum(1, keepdims=True))
    targets = (1 - smoothing) * np.eye(logits.shape[1])[list(labels)] + smoothing / logits.shape[1]
    return float(-(targets * log_p).sum(1).mean())


# ---------------------------------------------------------------- images


def picture(height: int, width: int) -> Array:
    """Return an image (H, W, 3) of bytes, with edges and noise."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:height, :width]
    waves = [np.sin(x / 3 + c) * np.cos(y / (4 + c)) * 90 + 128 for c in range(3)]
    noise = rng.normal(0, 20, (height, width, 3))
    return (np.stack(waves, -1) + noise).clip(0, 255).round().astype(np.uint8)


def by_pillow(
    image: Array, box: tuple[int, int, int, int], size: tuple[int, int], mode: Any
) -> Array:
    """Return a box (top, left, height, width) of an image in a size, in floats (C, H, W)."""
    top, left, h, w = box
    channels = [Image.fromarray(c.astype(np.float32)) for c in np.moveaxis(image, -1, 0)]
    cut = [c.crop((left, top, left + w, top + h)).resize(size[::-1], mode) for c in channels]
    return np.stack([np.asarray(c) for c in cut])


def padded(image: Array, pad: int, border: str) -> Array:
    """Return an image (H, W, C) with a border, black or mirrored at its edges."""
    if border == "zero":
        return np.asarray(ImageOps.expand(Image.fromarray(image), pad))
    for axis in (0, 1):
        last = image.shape[axis] - 1
        places = [last - abs(last - abs(n)) for n in range(-pad, last + pad + 1)]
        image = image.take(places, axis)
    return image


def lighter(image: Image.Image, number: float) -> Image.Image:
    """Change the brightness by at most a fifth."""
    return image.point(lambda value: value + 255 * 0.2 * (2 * number - 1))


def contrasted(image: Image.Image, number: float) -> Image.Image:
    """Change the contrast by at most a half."""
    return ImageEnhance.Contrast(image).enhance(0.5 + number)


def saturated(image: Image.Image, number: float) -> Image.Image:
    """Change the saturation by at most a half."""
    return ImageEnhance.Color(image).enhance(0.5 + number)


def crops_of_googlenet(image: Array, size: int) -> list[Array]:
    """Return the 144 crops (C, size, size) of an image."""
    crops, lengths = list[Array](), image.shape[:2]
    for side in (round(size * scale / 7) for scale in (8, 9, 10, 11)):
        height, width = (round(length * side / min(lengths)) for length in lengths)
        scaled = by_pillow(image, (0, 0, *lengths), (height, width), Image.Resampling.BILINEAR)
        for corner in (0, (max(height, width) - side) // 2, max(height, width) - side):
            square = scaled[:, corner:][:, :side] if height > width else scaled[:, :, corner:]
            square, last = square[:, :, :side], side - size
            for y, x in ((0, 0), (0, last), (last, 0), (last, last), (last // 2, last // 2)):
                crops.append(square[:, y : y + size, x : x + size])
            moved, box = np.moveaxis(square, 0, -1), (0, 0, side, side)
            crops.append(by_pillow(moved, box, (size, size), Image.Resampling.BILINEAR))
    return [*crops, *(crop[:, :, ::-1] for crop in crops)]
