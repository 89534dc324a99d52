"""Batches of cached pixels, in an order that follows from seed and epoch alone."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypedDict

import lightning.pytorch as pl
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from radlens.config import AugmentSettings
from radlens.files import replacing
from radlens.imaging.preprocess import Preprocessing
from radlens.learning import augment


class Batch(TypedDict):
    """Images, what they are labelled, and which images of their split they are."""

    pixels: Tensor
    target: Tensor
    index: Tensor


@dataclass(frozen=True)
class LabelledPixels:
    """The images of one split.

    Attributes:
        pixels: uint8, shape (any, channels, height, width); may be memory-mapped.
        rows: int64, shape (images,): the row of each image in ``pixels``.
        targets: int64, shape (images,), or (images, classes) for multilabel.
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
    """Hands out whole batches: one indexed read of the cache for each."""

    def __init__(self, split: LabelledPixels) -> None:
        self.split = split

    def __len__(self) -> int:
        return len(self.split)

    def __getitems__(self, indices: list[int]) -> Batch:
        chosen = np.asarray(indices, dtype=np.int64)
        return {
            "pixels": torch.from_numpy(self.split.pixels[self.split.rows[chosen]]),
            "target": torch.from_numpy(self.split.targets[chosen]),
            "index": torch.from_numpy(chosen),
        }


class _EpochShuffle(Sampler[int]):
    """A permutation that is a pure function of seed and epoch, so that a resumed run sees the same order."""

    def __init__(self, data: DataModule) -> None:
        self.data = data

    def __len__(self) -> int:
        return len(self.data.train)

    def __iter__(self) -> Iterator[int]:
        rng = np.random.default_rng((self.data.seed, self.data.epoch, 0))
        return iter(rng.permutation(len(self)).tolist())


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
    ) -> None:
        super().__init__()
        self.train, self.val = train, val
        self.contract, self.settings = contract, settings
        self.batch_size, self.seed, self.record = batch_size, seed, record
        self._drawn: tuple[int, Tensor] | None = None

    @property
    def epoch(self) -> int:
        """Counted from the optimizer's steps: Lightning's own counter lags when a run resumes."""
        if self.trainer is None:
            return 0
        processes = self.trainer.world_size
        images = -(-len(self.train) // processes)
        return int(self.trainer.global_step) // -(-images // self.batch_size)

    def train_dataloader(self) -> DataLoader[Batch]:
        """Shuffled anew each epoch."""
        return DataLoader(_Images(self.train), self.batch_size, sampler=_EpochShuffle(self), collate_fn=_as_is)

    def val_dataloader(self) -> DataLoader[Batch]:
        """In the order of the manifest."""
        return DataLoader(_Images(self.val), self.batch_size, collate_fn=_as_is)

    def on_after_batch_transfer(self, batch: Batch, dataloader_idx: int) -> Batch:  # noqa: ARG002
        """Warp training images on the device they are on; bring the others to the network's range."""
        if self.trainer is not None and self.trainer.training:
            parameters = self._parameters()[batch["index"].cpu()].to(batch["pixels"].device)
            images = augment.apply(batch["pixels"], parameters, self.contract)
        else:
            images = augment.to_network_range(batch["pixels"], self.contract)
        return {**batch, "pixels": images.contiguous(memory_format=torch.channels_last)}

    def _parameters(self) -> Tensor:
        epoch = self.epoch
        if self._drawn is None or self._drawn[0] != epoch:
            table = augment.draw_epoch(len(self.train), self.settings, self.seed, epoch)
            self._drawn = epoch, torch.from_numpy(table)
            if self.record is not None and (self.trainer is None or self.trainer.is_global_zero):
                self._write(self.record, epoch, table)
        return self._drawn[1]

    @staticmethod
    def _write(folder: Path, epoch: int, table: npt.NDArray[np.float32]) -> None:
        """Row i of ``epoch-NNN.npy`` holds what image i of the training split went through."""
        with replacing(folder / f"epoch-{epoch:03d}.npy") as temporary, temporary.open("wb") as file:
            np.save(file, table)
        if epoch == 0:
            with replacing(folder / "columns.json") as temporary:
                temporary.write_text(json.dumps(augment.COLUMNS), encoding="utf-8")
