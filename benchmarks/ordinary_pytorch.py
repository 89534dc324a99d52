"""One epoch of a network trained the ordinary way: a plain DataLoader, Pillow for each image, default allocator.

This is what a copied notebook does, with the same network, image size, batch, optimiser and kinds of augmentation as
the preset ``fast``; run in a process of its own by ``train_speed.py``.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from pathlib import Path

import numpy as np
import torch
from common import KERMANY, peak_memory
from PIL import Image, ImageEnhance
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from radlens.config import RunSettings, resolve
from radlens.learning.networks import build_network, load_pretrained


class Radiographs(Dataset[tuple[Tensor, float]]):
    """Reads, resizes and augments one image at a time."""

    def __init__(self, paths: list[Path], settings: RunSettings) -> None:
        self.paths, self.settings = paths, settings

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, number: int) -> tuple[Tensor, float]:
        path, drawn = self.paths[number], self.settings.augment
        size = (self.settings.preprocessing.width, self.settings.preprocessing.height)
        image = Image.open(path).convert("L").resize(size, Image.Resampling.BILINEAR)
        image = image.rotate(random.uniform(-drawn.rotation, drawn.rotation), Image.Resampling.BILINEAR)
        if random.random() < drawn.flip_horizontal:
            image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        side = random.uniform(0.6, 1.0)
        left, top = (round(random.uniform(0, length * (1 - side))) for length in size)
        box = (left, top, left + round(size[0] * side), top + round(size[1] * side))
        image = image.crop(box).resize(size, Image.Resampling.BILINEAR)
        image = ImageEnhance.Brightness(image).enhance(1 + random.uniform(-drawn.brightness, drawn.brightness))
        image = ImageEnhance.Contrast(image).enhance(1 + random.uniform(-drawn.contrast, drawn.contrast))
        pixels = torch.from_numpy(np.asarray(image, dtype=np.float32))[None] / 127.5 - 1
        return pixels, float(path.parent.name == "PNEUMONIA")


def main() -> None:
    """Print seconds, images and peak memory as one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=0, help="images of the epoch, drawn at random; 0: all")
    parser.add_argument("--workers", type=int, default=0, help="processes of the DataLoader; 0, as by default: none")
    options = parser.parse_args()
    settings = resolve("fast")
    paths = sorted(KERMANY.glob("*/*"))
    random.Random(0).shuffle(paths)
    data = Radiographs(paths[: options.images or None], settings)
    loader = DataLoader(data, settings.train.batch_size, shuffle=True, num_workers=options.workers)
    network = build_network(settings.train.network, settings.preprocessing.shape, 1).train()
    load_pretrained(settings.train.network, network)
    optimizer = torch.optim.AdamW(network.parameters(), settings.train.learning_rate)
    loss_of = nn.BCEWithLogitsLoss()
    started = time.perf_counter()
    for images, targets in loader:
        optimizer.zero_grad()
        loss = loss_of(network(images)[:, 0], targets.float())
        loss.backward()
        optimizer.step()
    seconds = time.perf_counter() - started
    print(json.dumps({"seconds": seconds, "images": len(data), "peak_mib": peak_memory()}))


if __name__ == "__main__":
    main()
