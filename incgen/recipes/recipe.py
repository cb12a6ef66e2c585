"""A resolved recipe: every convention of a training run, with all defaults filled in.

What each value means is in docs/recipes.md; `rates.py` and `verify/training.py` compute it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

#: What a length of training is counted in.
Unit: TypeAlias = Literal["epochs", "steps"]


@dataclass(frozen=True, slots=True)
class Duration:
    """A length of training, counted from its first step."""

    count: float  #: Epochs may be fractions
    unit: Unit

    def __str__(self) -> str:
        """Write it as in a recipe."""
        return f"{self.count:g} {self.unit if self.count != 1 else self.unit[:-1]}"


@dataclass(frozen=True, slots=True)
class Sgd:
    """Stochastic gradient descent.

    With the rate outside the velocity (PyTorch, optax): v = momentum v + g; w -= rate v.
    With the rate inside (TensorFlow, Keras, Caffe): v = momentum v - rate g; w += v.
    With `nesterov` the step looks ahead: w -= rate (g + momentum v), or w += momentum v - rate g.
    """

    momentum: float
    nesterov: bool
    rate_inside: bool


@dataclass(frozen=True, slots=True)
class RmsProp:
    """RMSProp, in the form of one framework.

    s = decay s + (1 - decay) g ** 2, from `start`; u = g / sqrt(s + eps) if `eps_inside`, else
    g / (sqrt(s) + eps); then as SGD with u in place of g.
    """

    form: Literal["tf", "keras", "torch"]
    decay: float
    momentum: float
    eps: float

    @property
    def start(self) -> float:
        """Return the mean square before the first step: TensorFlow 1 begins with 1."""
        return 1.0 if self.form == "tf" else 0.0

    @property
    def eps_inside(self) -> bool:
        """Return whether eps is added inside the root."""
        return self.form != "torch"

    @property
    def rate_inside(self) -> bool:
        """Return whether the rate multiplies inside the velocity."""
        return self.form != "torch"


@dataclass(frozen=True, slots=True)
class Adam:
    """Adam (arXiv:1412.6980, algorithm 1): eps is added to the root of the corrected v.

    With `decay` it is AdamW (arXiv:1711.05101): before the step, w -= rate decay w, for kernels.
    """

    beta1: float
    beta2: float
    eps: float
    decay: float | None  #: None: Adam; otherwise AdamW


Optimizer: TypeAlias = Sgd | RmsProp | Adam


@dataclass(frozen=True, slots=True)
class Exponential:
    """base * factor ** (t / every), with the exponent rounded down unless `smooth`."""

    factor: float
    every: Duration
    smooth: bool


@dataclass(frozen=True, slots=True)
class Steps:
    """base * factor ** (how many of the milestones have been reached)."""

    factor: float
    at: tuple[Duration, ...]


@dataclass(frozen=True, slots=True)
class Polynomial:
    """to + (base - to) (1 - progress) ** power; progress runs from the warm-up to the end."""

    power: float
    to: float


@dataclass(frozen=True, slots=True)
class Cosine:
    """to + (base - to) (1 + cos(pi progress)) / 2; progress as in `Polynomial`."""

    to: float


Schedule: TypeAlias = Exponential | Steps | Polynomial | Cosine


@dataclass(frozen=True, slots=True)
class Warmup:
    """A linear rise of the rate in front of the schedule, from base * start."""

    length: Duration
    start: float


@dataclass(frozen=True, slots=True)
class Rate:
    """The learning rate by step."""

    base: float
    warmup: Warmup | None
    schedule: Schedule | None  #: None: constant
    per: Literal["step", "epoch"]  #: Whether it changes at any step or only between epochs


@dataclass(frozen=True, slots=True)
class Shuffle:
    """The order of the examples in each epoch.

    `full`: a new order of all. `shards`: a new order within each of the shards of `size` examples
    into which one order was cut. `once`: one order, the same in every epoch. `none`: as they are.
    """

    kind: Literal["full", "shards", "once", "none"]
    size: int | None  #: The examples of a shard


@dataclass(frozen=True, slots=True)
class Loss:
    """Cross-entropy, the mean over the batch, of targets (1 - smoothing) onehot + smoothing / K."""

    smoothing: float
    heads: float | None  #: The weight of the loss of each auxiliary head; None: not stated


@dataclass(frozen=True, slots=True)
class Clip:
    """Clipping of gradients: by the norm of all of them together, or each element by value."""

    kind: Literal["norm", "value"]
    limit: float


@dataclass(frozen=True, slots=True)
class Average:
    """An exponential moving average of everything in the weights file, used in evaluation.

    a = decay a + (1 - decay) w after each step, from the initial weights. With `ramp` the decay of
    step t, from 0, is min(decay, (1 + t) / (10 + t)) (tf.train.ExponentialMovingAverage with
    num_updates).
    """

    decay: float
    ramp: bool


@dataclass(frozen=True, slots=True)
class Transform:
    """One transform of images, by the name that it has in recipes."""

    name: str
    args: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Recipe:
    """The training of a network."""

    name: str
    doc: str  #: Its doc comment
    file: str  #: The name of its file, without folders
    network: str  #: The network that it trains
    #: Values for parameters and constants of the network
    settings: Mapping[str, int | float | bool | str]
    length: Duration  #: The length of the training
    batch: int  #: The examples of a step, over all processes together
    #: Whether batch statistics are those of the whole batch when several processes share it;
    #: otherwise each process has its own
    synchronized: bool
    shuffle: Shuffle  #: The order of the examples
    loss: Loss  #: The loss, to which the network's own weight decay is added
    #: Weight decay of all kernels in place of the network's: adds l2 / 2 * sum(w ** 2) to the loss;
    #: None keeps the network's
    l2: float | None
    optimizer: Optimizer  #: The optimiser
    rate: Rate  #: The learning rate
    clip: Clip | None  #: How gradients are clipped, before anything else is done with them
    average: Average | None  #: The average of weights, if there is one
    train: tuple[Transform, ...]  #: The transforms of training images
    evaluate: tuple[Transform, ...]  #: The transforms of images in evaluation

    def digest(self, network: str) -> str:
        """Return a digest of a recipe and of its network, whose own is given."""
        import hashlib

        return hashlib.sha256(f"{network}\n{self!r}".encode()).hexdigest()
