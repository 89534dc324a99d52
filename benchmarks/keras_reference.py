"""The notebook's own pipeline in Keras, for comparison; runs with TensorFlow in an environment of its own.

``python keras_reference.py epoch FOLDER EPOCHS`` trains on FOLDER/{class folders} with ImageDataGenerator and prints
the seconds of each epoch as JSON. ``python keras_reference.py reach FOLDER EPOCHS AUROC`` trains on FOLDER/train in the
same way and prints the AUROC on FOLDER/val after each epoch as JSON, until it is there.

``python keras_reference.py outputs IN.npz OUT.npz`` loads weights and images and writes the model's outputs. ``python
keras_reference.py serve THREADS`` times ``model.predict`` for each line ``BATCH REPEATS`` that it reads, and answers
with the seconds of each as JSON.
"""

import json
import os
import resource
import sys
import time
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np
import scipy.stats

SIDE = 150
AUGMENTATION: dict[str, Any] = {"rotation_range": 20, "zoom_range": 0.2, "horizontal_flip": True}


def build() -> keras.Model:
    """The notebook's sequential model: 1,995,649 parameters."""
    layers = [keras.Input((SIDE, SIDE, 1))]
    for filters in (32, 64, 128, 256):
        layers += [
            keras.layers.Conv2D(filters, 3, activation="relu"),
            keras.layers.BatchNormalization(),
            keras.layers.MaxPooling2D(2),
        ]
    layers += [
        keras.layers.Flatten(),
        keras.layers.Dense(128, activation="relu"),
        keras.layers.Dense(1, activation="sigmoid"),
    ]
    return keras.Sequential(layers)


class Clock(keras.callbacks.Callback):
    """Seconds of each epoch."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds: list[float] = []

    def on_epoch_begin(self, epoch: int, logs: object = None) -> None:
        self.started = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: object = None) -> None:
        self.seconds.append(time.perf_counter() - self.started)


class Reach(keras.callbacks.Callback):
    """Prints the AUROC on validation after each epoch, and stops once it is there."""

    def __init__(self, batches: Any, auroc: float) -> None:
        super().__init__()
        self.batches, self.auroc = batches, auroc

    def on_epoch_end(self, epoch: int, logs: object = None) -> None:
        shown = self.model.predict(self.batches, verbose=0)[:, 0]
        ill = self.batches.classes == 1
        # The rank-sum statistic (Mann and Whitney), ties at their mean rank, is the AUROC.
        ranks = scipy.stats.rankdata(shown)
        auroc = (ranks[ill].sum() - ill.sum() * (ill.sum() + 1) / 2) / (ill.sum() * (~ill).sum())
        print(json.dumps({"auroc": auroc}), flush=True)
        self.model.stop_training = auroc >= self.auroc


def flow(folder: str, shuffle: bool = True, **augmentation: Any) -> Any:
    """Batches of 32 from FOLDER/{class folders}."""
    from keras.src.legacy.preprocessing.image import ImageDataGenerator

    return ImageDataGenerator(rescale=1 / 255, **augmentation).flow_from_directory(
        folder,
        target_size=(SIDE, SIDE),
        color_mode="grayscale",
        class_mode="binary",
        batch_size=32,
        seed=0,
        shuffle=shuffle,
    )


def compiled() -> keras.Model:
    """The model with Adam at 1e-6."""
    model = build()
    model.compile(keras.optimizers.Adam(1e-6), "binary_crossentropy", metrics=["accuracy"])
    return model


def reach(folder: str, epochs: int, auroc: float) -> None:
    """Train until the AUROC on validation is there."""
    batches, held = flow(f"{folder}/train", **AUGMENTATION), flow(f"{folder}/val", shuffle=False)
    compiled().fit(batches, epochs=epochs, callbacks=[Reach(held, auroc)], verbose=0)


def train(folder: str, epochs: int) -> None:
    """Time the epochs of the notebook's training."""
    batches, model, clock = flow(folder, **AUGMENTATION), compiled(), Clock()
    model.fit(batches, epochs=epochs, callbacks=[clock], verbose=0)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"images": batches.samples, "seconds": clock.seconds, "peak_mib": peak}))


def outputs(source: str, target: str) -> None:
    """Set each layer's weights from the archive and answer its images."""
    archive = np.load(source)
    model = build()
    slots = [layer for layer in model.layers if layer.weights]
    for number, layer in enumerate(slots):
        layer.set_weights([archive[f"layer{number}_{part}"] for part in range(len(layer.weights))])
    np.savez(target, outputs=model.predict(archive["images"], verbose=0), parameters=model.count_params())


def serve(threads: int) -> None:
    """Answer each line with the seconds of each prediction."""
    import tensorflow

    tensorflow.config.threading.set_intra_op_parallelism_threads(threads)
    tensorflow.config.threading.set_inter_op_parallelism_threads(1)
    model = build()
    images = np.random.default_rng(0).random((64, SIDE, SIDE, 1), dtype=np.float32)
    for line in sys.stdin:
        batch, repeats = map(int, line.split())
        model.predict(images[:batch], batch_size=batch, verbose=0)
        seconds = []
        for _ in range(repeats):
            started = time.perf_counter()
            model.predict(images[:batch], batch_size=batch, verbose=0)
            seconds.append(time.perf_counter() - started)
        print(json.dumps(seconds), flush=True)


if __name__ == "__main__":
    if sys.argv[1] == "epoch":
        train(sys.argv[2], int(sys.argv[3]))
    elif sys.argv[1] == "reach":
        reach(sys.argv[2], int(sys.argv[3]), float(sys.argv[4]))
    elif sys.argv[1] == "serve":
        serve(int(sys.argv[2]))
    else:
        outputs(sys.argv[2], sys.argv[3])
