"""Batches of cached pixels, in an order that follows from seed and epoch alone."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypedDict

import lightning.pytorch as pl
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, SequentialSampler

from radlens.base.files import replacing
from radlens.config import AugmentSettings
from radlens.imaging.preprocess import Preprocessing
from radlens.learning import augment


class Batch(TypedDict):
    """Images, what they are labelled, which images of their split they are, and which draws of the epoch.

    ``hidden`` tells the images of which nothing but the border is shown.
    """

    pixels: Tensor
    target: Tensor
    index: Tensor
    draw: Tensor
    hidden: Tensor


@dataclass(frozen=True)
class LabelledPixels:
    """The images of one split.

    Attributes:
        pixels: uint8, shape (any, channels, height, width); may be memory-mapped.
        rows: int64, shape (images,): the row of each image in ``pixels``.
        targets: int64, shape (images,), or (images, classes) for multilabel, -1 where a label is not known.
    """

    pixels: npt.NDArray[np.uint8]
    rows: npt.NDArray[np.int64]
    targets: npt.NDArray[np.int64]

    def __post_init__(self) -> None:
        if len(self.rows) == 0 or len(self.rows) != len(self.targets):
            raise ValueError(f"{len(self.rows)} images and {len(self.targets)} targets; equal and above 0 expected")
        if self.rows.min() < 0 or self.rows.max() >= len(self.pixels):
            raise ValueError(f"rows must lie within the {len(self.pixels)} images of the cache")

    def __len__(self) -> int:
        return len(self.rows)


class _Images(Dataset[Batch]):
    """Hands out whole batches: one indexed read of the cache for each.

    Args:
        split: the images.
        order: which image each draw takes; None: the images in turn.
    """

    def __init__(self, split: LabelledPixels, order: Callable[[], npt.NDArray[np.int64]] | None = None) -> None:
        self.split, self.order = split, order

    def __len__(self) -> int:
        return len(self.split)

    def __getitems__(self, draws: list[int]) -> Batch:
        drawn = np.asarray(draws, dtype=np.int64)
        batch = drawn if self.order is None else self.order()[drawn]
        return {
            "pixels": torch.from_numpy(self.split.pixels[self.split.rows[batch]]),
            "target": torch.from_numpy(self.split.targets[batch]),
            "index": torch.from_numpy(batch),
            "draw": torch.from_numpy(drawn),
            "hidden": torch.zeros(len(drawn), dtype=torch.bool),
        }


def draw_order(
    targets: npt.NDArray[np.int64], seed: int, epoch: int, *, balanced: bool = False
) -> npt.NDArray[np.int64]:
    """Which image each draw of an epoch takes: a pure function of seed and epoch, so a resumed run sees the same.

    Args:
        targets: class of each image, shape (images,).
        seed: of the run.
        epoch: counted from 0.
        balanced: draw each class equally often, up to one draw, each image of a class as often as any other of it, up
            to one draw; else every image is drawn once.

    Returns:
        int64, shape (images,).
    """
    rng = np.random.default_rng((seed, epoch, 0))
    order = rng.permutation(len(targets))
    if not balanced:
        return order
    present = rng.permutation(np.unique(targets))
    drawn = []
    for number, name in enumerate(present):
        own = order[targets[order] == name]
        wanted = len(targets) // len(present) + (number < len(targets) % len(present))
        drawn.append(np.resize(own, wanted))
    return rng.permutation(np.concatenate(drawn))


def _as_is(batch: Any) -> Any:
    return batch


class DataModule(pl.LightningDataModule):
    """Training batches shuffled and augmented, validation batches as they are.

    Args:
        train: training images.
        val: validation images.
        contract: the preprocessing that the pixels went through; gives the network's range.
        settings: the augmentation of training images.
        batch_size: images in a batch of one process.
        seed: what order and augmentation follow from.
        record: folder that the drawn augmentation parameters are written to, one file an epoch; None: nowhere.
        balanced: draw each class equally often; see :func:`draw_order`.
        sizes: image size of each epoch as a share of the whole; past the last, and if there are none, 1.
    """

    def __init__(
        self,
        train: LabelledPixels,
        val: LabelledPixels,
        contract: Preprocessing,
        settings: AugmentSettings,
        batch_size: int,
        seed: int,
        record: Path | None = None,
        *,
        balanced: bool = False,
        sizes: Sequence[float] = (),
    ) -> None:
        super().__init__()
        self.train, self.val = train, val
        self.contract, self.settings = contract, settings
        self.batch_size, self.seed, self.record = batch_size, seed, record
        self.balanced, self.sizes = balanced, tuple(sizes)
        self._drawn: tuple[int, npt.NDArray[np.int64], Tensor] | None = None

    @property
    def epoch(self) -> int:
        """Counted from the optimizer's steps: Lightning's own counter lags when a run resumes."""
        if self.trainer is None:
            return 0
        processes = self.trainer.world_size
        images = -(-len(self.train) // processes)
        return int(self.trainer.global_step) // -(-images // self.batch_size)

    def train_dataloader(self) -> DataLoader[Batch]:
        """Drawn again in each epoch."""
        images = _Images(self.train, lambda: self._drawing()[0])
        return DataLoader(images, self.batch_size, sampler=SequentialSampler(images), collate_fn=_as_is)

    def val_dataloader(self) -> DataLoader[Batch]:
        """In the order of the manifest."""
        return DataLoader(_Images(self.val), self.batch_size, collate_fn=_as_is)

    def on_after_batch_transfer(self, batch: Batch, dataloader_idx: int) -> Batch:  # noqa: ARG002
        """Warp training images on the device they are on; bring the others to the network's range."""
        hidden = batch["hidden"]
        if self.trainer is not None and self.trainer.training:
            parameters = self._drawing()[1][batch["draw"].cpu()].to(batch["pixels"].device)
            share = self.sizes[self.epoch] if self.epoch < len(self.sizes) else 1.0
            images = augment.apply(batch["pixels"], parameters, self.contract, share)
            hidden = parameters[:, augment.HIDDEN] > 0
        else:
            images = augment.to_network_range(batch["pixels"], self.contract)
        return {**batch, "pixels": images.contiguous(memory_format=torch.channels_last), "hidden": hidden}

    def _drawing(self) -> tuple[npt.NDArray[np.int64], Tensor]:
        """Image and augmentation parameters of each draw of this epoch."""
        epoch = self.epoch
        if self._drawn is None or self._drawn[0] != epoch:
            order = draw_order(self.train.targets, self.seed, epoch, balanced=self.balanced)
            table = augment.draw_epoch(len(order), self.settings, self.seed, epoch)
            self._drawn = epoch, order, torch.from_numpy(table)
            if self.record is not None and (self.trainer is None or self.trainer.is_global_zero):
                self._write(self.record, epoch, np.column_stack([order.astype(np.float32), table]))
        return self._drawn[1:]

    @staticmethod
    def _write(folder: Path, epoch: int, table: npt.NDArray[np.float32]) -> None:
        """Row i of ``epoch-NNN.npy`` holds which image the i-th draw took, and what the image went through."""
        with replacing(folder / f"epoch-{epoch:03d}.npy") as temporary, temporary.open("wb") as file:
            np.save(file, table)
        if epoch == 0:
            with replacing(folder / "columns.json") as temporary:
                temporary.write_text(json.dumps(["image", *augment.COLUMNS]), encoding="utf-8")
