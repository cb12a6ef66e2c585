"""A training in Keras as one writes it by hand: what generated scripts are measured against.

    python train_keras.py arrays|images --data DIR --output DIR --steps N --workers N

It trains the generated network beside it, whose file is on the path, and writes the same log.
"""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf
from by_hand import Log, arguments, read_idx

args = arguments()
if args.network == "arrays":
    from arrays_keras import arrays as network
    from arrays_keras import preprocess
else:
    from images_keras import images as network
    from images_keras import preprocess
BATCH = 60 if args.network == "arrays" else 32


def arrays() -> tf.data.Dataset:
    """Return batches of images that are in memory."""
    images, labels = read_idx(args.data)
    data = tf.data.Dataset.from_tensor_slices((images[..., None], labels))
    return data.shuffle(len(labels)).repeat().batch(BATCH)


def folder() -> tf.data.Dataset:
    """Return batches of images in files."""
    files = sorted((args.data / "train").glob("*/*"))
    classes = sorted({file.parent.name for file in files})
    labels = [classes.index(file.parent.name) for file in files]
    data = tf.data.Dataset.from_tensor_slices(([str(file) for file in files], labels))
    data = data.shuffle(len(files)).repeat()
    return data.map(augmented, tf.data.AUTOTUNE).batch(BATCH)


def augmented(file: tf.Tensor, label: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Return a random crop of an image, mirrored or not."""
    image = tf.io.decode_jpeg(tf.io.read_file(file), 3)
    begin, size, _ = tf.image.sample_distorted_bounding_box(
        tf.shape(image),
        tf.zeros([1, 0, 4]),
        area_range=(0.08, 1.0),
        aspect_ratio_range=(3 / 4, 4 / 3),
        use_image_if_no_bounding_boxes=True,
    )
    image = tf.image.resize(tf.slice(image, begin, size), [48, 48], antialias=True)
    return tf.image.random_flip_left_right(tf.ensure_shape(image, [48, 48, 3])), label


class Logging(keras.callbacks.Callback):
    """Write the log."""

    def __init__(self) -> None:
        super().__init__()
        self.log = Log(args.output)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Write every so many steps."""
        if (batch + 1) % args.log_every == 0:
            self.log.write(batch + 1, BATCH, float(logs["loss"]))


keras.utils.set_random_seed(0)
data = arrays() if args.network == "arrays" else folder()
data = data.map(lambda images, labels: (preprocess(images), labels), tf.data.AUTOTUNE)
model = network()
model.compile(
    keras.optimizers.SGD(0.01, momentum=0.9),
    keras.losses.SparseCategoricalCrossentropy(from_logits=True),
)
model.fit(
    data.prefetch(tf.data.AUTOTUNE), steps_per_epoch=args.steps, callbacks=[Logging()], verbose=2
)
