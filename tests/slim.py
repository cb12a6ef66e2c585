"""The networks of TF-slim: functions that add to a graph of TensorFlow 1."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

Array = NDArray[Any]

v1 = tf.compat.v1
tf.get_logger().setLevel("ERROR")  # otherwise it warns about every deprecated call of TF-slim


@dataclass
class Graph:
    """A network in a graph with initialised variables."""

    session: Any
    inputs: Any
    outputs: list[Any]
    variables: dict[str, Any]


class Slim:
    """A network with its variables as arrays, under the names that its checkpoint has.

    Attributes:
        weights: The variables.
    """

    def __init__(self, name: str, size: tuple[int, int], decay: float) -> None:
        self.name, self.decay = name, decay
        self.weights: dict[str, Array] = {}
        with self.graph((1, *size, 3), training=False) as graph:
            shapes = {key: tuple(v.shape) for key, v in graph.variables.items()}
        self.weights = {key: np.zeros(shape) for key, shape in shapes.items()}

    @contextmanager
    def graph(self, shape: tuple[int, ...], *, training: bool) -> Iterator[Graph]:
        """Build the network for images (N, H, W, C), in float64 and without dropout."""
        nets = inception()
        with tf.Graph().as_default(), v1.Session() as session, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Keras warns about calls in TF-slim
            inputs = v1.placeholder(tf.float64, shape)
            scope = getattr(nets, f"{self.name}_arg_scope")()
            for arguments in scope.values():
                arguments.get("normalizer_params", {})["decay"] = self.decay
            with import_module("tf_slim").arg_scope(scope):
                logits, points = getattr(nets, self.name)(
                    inputs, num_classes=1001, is_training=training, dropout_keep_prob=1.0
                )
            outputs = [logits, *(points[key] for key in ("AuxLogits",) if key in points)]
            variables = {v.op.name: v for v in v1.global_variables()}
            starts = {key: variables[key].initializer for key in self.weights}
            values = {starts[key].inputs[1]: value for key, value in self.weights.items()}
            session.run(list(starts.values()), values)
            yield Graph(session, inputs, outputs, variables)

    def evaluate(self, x: Array) -> Array:
        """Return the logits in evaluation mode."""
        with self.graph(x.shape, training=False) as graph:
            return np.asarray(graph.session.run(graph.outputs[0], {graph.inputs: x}))

    def step(self, x: Array) -> tuple[list[Array], dict[str, Array], dict[str, Array]]:
        """Return outputs, gradients and running statistics for a loss that weights every output."""
        with self.graph(x.shape, training=True) as graph:
            random = np.random.default_rng(1)
            factors = [random.normal(size=output.shape) for output in graph.outputs]
            loss = tf.add_n(
                [tf.reduce_sum(o * f) for o, f in zip(graph.outputs, factors, strict=True)]
            )
            leaves = {"input": graph.inputs, **{v.op.name: v for v in v1.trainable_variables()}}
            gradients = dict(zip(leaves, tf.gradients(loss, list(leaves.values())), strict=True))
            updates = v1.get_collection(v1.GraphKeys.UPDATE_OPS)
            fetched = [graph.outputs, gradients, updates]
            outputs, grads, _ = graph.session.run(fetched, {graph.inputs: x})
            moving = {k: v for k, v in graph.variables.items() if k not in leaves}
            return outputs, grads, graph.session.run(moving)


def inception() -> Any:
    """Import the module of the networks."""
    # TensorFlow looks for these layers where tf_keras no longer has them.
    for end in ("", ".normalization"):
        moved = import_module(f"tf_keras.src.legacy_tf_layers{end}")
        sys.modules.setdefault(f"tf_keras.legacy_tf_layers{end}", moved)
    return import_module("tf_slim.nets.inception")
