"""The plan of the measurements: networks, engines, the models in each, and their cells."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

#: The models that may run in an engine, with what they are called.
PUBLISHED, TRAINING, DEPLOYED = "published", "training", "deployed"
PNNX, ONNX2TF, INT8, CONVOLUTION = "pnnx", "onnx2tf", "int8", "convolution"
BATCHES = (1, 8, 32)
STEP_BATCH = 8
#: What a cell is about.
INFERENCE, STEP = "inference", "training step"
#: The plain convolution: a window of 3x3 over so many channels, in and out, and pixels of a side.
CHANNELS, SIDE = 256, 56


@dataclass(frozen=True, slots=True)
class Network:
    """A network that is measured.

    Attributes:
        name: The name of its spec.
        size: Pixels of a side.
        keras: The spec of what Keras has of it.
        peers: What is measured in its place, by the family of engines.
        share: How much of the time of a run it gets, beside the others.
        parameters: Parameters of the specs.
        slow: Engines that take minutes to compile it, so that only who asks for them gets them.
    """

    name: str
    size: int
    keras: str
    peers: dict[str, str]
    share: int
    parameters: dict[str, bool] = field(default_factory=dict)
    slow: tuple[str, ...] = ()

    def spec(self, process: str) -> str:
        """Return the name of the spec that a process measures."""
        return self.keras if process.startswith("keras") else self.name

    def settings(self) -> list[str]:
        """Return the parameters as options of `incgen`."""
        return [f"--set={name}={str(value).lower()}" for name, value in self.parameters.items()]


NETWORKS = {
    "bn_inception": Network(
        "bn_inception",
        224,
        "bn_inception",
        {"torch": "Cadene's `bninception`", "keras": "written by hand", "flax": "written by hand"},
        3,
    ),
    "inception_v3": Network(
        "inception_v3",
        299,
        "inception_v3_tf",
        {"torch": "torchvision's `inception_v3`", "keras": "`keras.applications.InceptionV3`"},
        4,
        {"heads": False},
        ("torch-compile",),
    ),
}


@dataclass(frozen=True, slots=True)
class Engine:
    """A way to run networks.

    Attributes:
        name: What users type.
        title: What it is called in tables.
        process: The process that it is measured in: one for each library.
        package: What has to be installed.
        models: The models that run in it.
        family: The family of published models that runs in it.
        compiles: Whether each size of a batch is compiled by itself, which takes long.
        steps: Which models are trained in it.
        exports: Whether it runs a file that the published module was exported to.
    """

    name: str
    title: str
    process: str
    package: str
    models: tuple[str, ...]
    family: str
    compiles: bool = False
    steps: tuple[str, ...] = ()
    exports: bool = False


_OURS = (PUBLISHED, TRAINING, DEPLOYED)
_TABLE = (
    Engine(
        "torch",
        "PyTorch",
        "torch",
        "torch",
        (*_OURS, PNNX),
        "torch",
        steps=(PUBLISHED, TRAINING),
    ),
    Engine(
        "torch-channels-last",
        "PyTorch, channels_last",
        "torch",
        "torch",
        (*_OURS, PNNX, CONVOLUTION),
        "torch",
        steps=(PUBLISHED, TRAINING),
    ),
    Engine("torch-compile", "PyTorch, torch.compile", "torch", "torch", _OURS, "torch", True),
    Engine("keras-predict", "Keras, predict", "keras", "tensorflow", _OURS, "keras"),
    Engine(
        "keras-function", "Keras, tf.function", "keras", "tensorflow", (*_OURS, ONNX2TF), "keras"
    ),
    Engine("keras-xla", "Keras, XLA", "keras", "tensorflow", _OURS, "keras", True),
    Engine(
        "keras-on-torch",
        "Keras on torch",
        "keras_torch",
        "keras",
        (PUBLISHED, TRAINING),
        "keras",
        steps=(PUBLISHED,),
    ),
    Engine("flax", "Flax, jit", "flax", "flax", _OURS, "flax", True, steps=(PUBLISHED, TRAINING)),
    Engine(
        "onnxruntime",
        "ONNX Runtime",
        "onnxruntime",
        "onnxruntime",
        (*_OURS, INT8, CONVOLUTION),
        "torch",
        exports=True,
    ),
    Engine(
        "openvino",
        "OpenVINO",
        "openvino",
        "openvino",
        (*_OURS, CONVOLUTION),
        "torch",
        exports=True,
    ),
)
#: Every engine by name.
ENGINES = {engine.name: engine for engine in _TABLE}


@dataclass(frozen=True, slots=True, order=True)
class Cell:
    """One thing that is timed: a model of a network in an engine."""

    network: str
    engine: str
    model: str
    batch: int
    work: str = INFERENCE

    def __str__(self) -> str:
        title = ENGINES[self.engine].title
        return f"{self.network}: {self.model} in {title}, {self.work}, batch {self.batch}"


def cells(
    network: Network, engines: Sequence[Engine], batches: Sequence[int], steps: bool, every: bool
) -> list[Cell]:
    """Return what is measured of a network, in the order of engines, models and batches.

    Args:
        network: The network.
        engines: The engines.
        batches: Examples at a time, in inference.
        steps: Whether training steps are measured.
        every: Whether engines that compile for each batch are measured with all batches, and not
            only with the largest.
    """
    result: list[Cell] = []
    for engine in engines:
        chosen = batches if every or not engine.compiles else [max(batches)]
        wanted = [
            (model, batch, INFERENCE)
            for model in engine.models
            for batch in ([max(batches)] if model == CONVOLUTION else chosen)
        ]
        wanted += [(model, STEP_BATCH, STEP) for model in engine.steps if steps]
        result += [
            Cell(network.name, engine.name, *cell)
            for cell in wanted
            if cell[0] != PUBLISHED or engine.family in network.peers
        ]
    return result


def plain_multiply_adds() -> int:
    """Return the multiply-adds of the plain convolution, for one example."""
    return 9 * CHANNELS * CHANNELS * SIDE * SIDE
