"""Order and augmentation follow from seed and epoch alone; validation images are never changed."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import lightning.pytorch as pl
import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from radlens.config import AugmentSettings
from radlens.imaging.preprocess import Preprocessing, to_network_range
from radlens.learning import augment
from radlens.learning.data_module import Batch, DataModule, LabelledPixels, draw_order

CONTRACT = Preprocessing(height=8, width=10, low=-1.0, high=1.0)
AUGMENT = AugmentSettings(rotation=10, zoom=(0.9, 1.1), flip_horizontal=0.5, brightness=0.1)


def split(images: int, seed: int = 0) -> LabelledPixels:
    """Images that lie in the cache in another order, among others."""
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 256, (images + 5, *CONTRACT.shape), dtype=np.uint8)
    return LabelledPixels(pixels, rng.permutation(images + 5)[:images], rng.integers(0, 2, images))


def module(images: int = 23, batch_size: int = 4, seed: int = 0, record: Path | None = None) -> DataModule:
    return DataModule(split(images), split(9, seed=1), CONTRACT, AUGMENT, batch_size, seed, record)


def at(data: DataModule, step: int, processes: int = 1, training: bool = True) -> DataModule:
    """The data module as it stands after so many optimisation steps."""
    stand_in: Any = SimpleNamespace(global_step=step, world_size=processes, training=training, is_global_zero=True)
    data.trainer = stand_in
    return data


def order(data: DataModule) -> list[int]:
    return [int(index) for batch in data.train_dataloader() for index in batch["index"]]


@given(st.integers(1, 60), st.integers(1, 20), st.integers(0, 2**31 - 1), st.integers(0, 50))
def test_every_image_comes_once_an_epoch(images: int, batch_size: int, seed: int, epoch: int) -> None:
    data = module(images, batch_size, seed)
    steps = -(-images // batch_size)
    at(data, epoch * steps)
    assert data.epoch == epoch
    batches = list(data.train_dataloader())
    assert [len(batch["index"]) for batch in batches[:-1]] == [batch_size] * (steps - 1)
    assert len(batches) == steps
    assert sorted(torch.cat([batch["index"] for batch in batches]).tolist()) == list(range(images))


def test_the_order_follows_from_seed_and_epoch_alone() -> None:
    steps = 6
    first = order(at(module(seed=3), 2 * steps))
    torch.manual_seed(99)
    np.random.default_rng().random(10)
    assert order(at(module(seed=3), 2 * steps)) == first
    assert order(at(module(seed=3), 2 * steps + 5)) == first, "the order must not change within an epoch"
    assert order(at(module(seed=3), 3 * steps)) != first
    assert order(at(module(seed=4), 2 * steps)) != first


def test_orders_of_different_epochs_are_independent() -> None:
    orders = [order(at(module(200, 10), 20 * epoch)) for epoch in range(4)]
    between = np.corrcoef(orders) - np.eye(4)
    assert np.abs(between).max() < 0.3


TARGETS = st.lists(st.integers(0, 3), min_size=1, max_size=60).map(lambda drawn: np.array(drawn, dtype=np.int64))


@given(TARGETS, st.integers(0, 2**31 - 1), st.integers(0, 50))
def test_balanced_draws_take_classes_and_the_images_of_a_class_equally_often(
    targets: npt.NDArray[np.int64], seed: int, epoch: int
) -> None:
    order = draw_order(targets, seed, epoch, balanced=True)
    assert len(order) == len(targets)
    np.testing.assert_array_equal(order, draw_order(targets, seed, epoch, balanced=True))
    classes = np.bincount(targets[order], minlength=4)[np.unique(targets)]
    assert np.ptp(classes) <= 1
    for name in np.unique(targets):
        assert np.ptp(np.bincount(order, minlength=len(targets))[targets == name]) <= 1


def test_balanced_draws_of_one_image_are_augmented_apart() -> None:
    part = LabelledPixels(split(40).pixels, np.arange(40), np.array([1] * 36 + [0] * 4))
    data = at(DataModule(part, part, CONTRACT, AUGMENT, 40, 3, balanced=True), 0)
    (batch,) = data.train_dataloader()
    assert np.bincount(batch["index"], minlength=40)[36:].tolist() == [5, 5, 5, 5]
    found = data.on_after_batch_transfer(batch, 0)["pixels"]
    same = np.flatnonzero(batch["index"].numpy() == 36)
    assert all(not torch.equal(found[same[0]], found[other]) for other in same[1:])


def test_the_sizes_of_the_epochs_are_those_of_the_training_images_alone() -> None:
    data = DataModule(split(8), split(8), CONTRACT, AUGMENT, 8, 0, sizes=(0.5, 0.8))
    (batch,) = data.train_dataloader()
    for epoch, size in enumerate([(4, 5), (6, 8), (8, 10)]):
        assert at(data, epoch).on_after_batch_transfer(batch, 0)["pixels"].shape[-2:] == size
    validation = at(data, 0, training=False).on_after_batch_transfer(batch, 0)
    assert validation["pixels"].shape[-2:] == (8, 10)


@pytest.mark.parametrize(("processes", "steps"), [(1, 6), (2, 3), (3, 2)])
def test_the_epoch_counts_the_steps_of_one_process(processes: int, steps: int) -> None:
    data = module(23, 4)
    for step in range(4 * steps):
        assert at(data, step, processes).epoch == step // steps


def test_before_a_trainer_is_there_it_is_the_first_epoch() -> None:
    assert module().epoch == 0
    assert order(module()) == order(at(module(), 0))


def test_a_batch_holds_the_pixels_and_targets_of_its_images() -> None:
    data = module()
    for loader, part in ((data.train_dataloader(), data.train), (data.val_dataloader(), data.val)):
        for batch in loader:
            chosen = batch["index"].numpy()
            assert batch["pixels"].dtype == torch.uint8
            np.testing.assert_array_equal(batch["pixels"], part.pixels[part.rows[chosen]])
            np.testing.assert_array_equal(batch["target"], part.targets[chosen])


def test_validation_comes_in_its_own_order_at_every_epoch() -> None:
    for step in (0, 17):
        data = at(module(), step)
        assert [int(index) for batch in data.val_dataloader() for index in batch["index"]] == list(range(9))


def test_pixels_may_be_a_read_only_memory_map_and_targets_of_several_labels(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    np.save(tmp_path / "pixels.npy", rng.integers(0, 256, (6, *CONTRACT.shape), dtype=np.uint8))
    pixels = np.load(tmp_path / "pixels.npy", mmap_mode="r")
    targets = rng.integers(0, 2, (4, 3))
    part = LabelledPixels(pixels, np.array([5, 0, 0, 2]), targets)
    data = DataModule(part, part, CONTRACT, AUGMENT, 4, 0)
    (batch,) = data.val_dataloader()
    assert batch["target"].shape == (4, 3)
    np.testing.assert_array_equal(batch["pixels"], pixels[[5, 0, 0, 2]])
    batch["pixels"].add_(1)


def test_training_images_are_warped_by_the_epochs_parameters() -> None:
    data = at(module(seed=5), 2 * 6 + 1)
    batch = next(iter(data.train_dataloader()))
    found = data.on_after_batch_transfer(batch, 0)
    table = augment.draw_epoch(23, AUGMENT, 5, 2)
    parameters = torch.from_numpy(table)[batch["draw"]]
    torch.testing.assert_close(found["pixels"], augment.apply(batch["pixels"], parameters, CONTRACT))
    assert torch.equal(found["target"], batch["target"])
    assert found["pixels"].is_contiguous(memory_format=torch.channels_last)


def test_validation_images_are_never_warped() -> None:
    data = at(module(), 3, training=False)
    for batch in data.val_dataloader():
        found = data.on_after_batch_transfer(batch, 0)
        wanted = to_network_range(batch["pixels"].numpy(), CONTRACT)
        np.testing.assert_allclose(found["pixels"], wanted, atol=1e-6)


def test_what_was_drawn_is_recorded_once_an_epoch(tmp_path: Path) -> None:
    data = module(seed=7, record=tmp_path / "augmentation")
    for step in range(2 * 6):
        at(data, step)
        data.on_after_batch_transfer(next(iter(data.train_dataloader())), 0)
    names = sorted(path.name for path in (tmp_path / "augmentation").iterdir())
    assert names == ["columns.json", "epoch-000.npy", "epoch-001.npy"]
    assert json.loads((tmp_path / "augmentation" / "columns.json").read_text()) == ["image", *augment.COLUMNS]
    for epoch in (0, 1):
        recorded = np.load(tmp_path / "augmentation" / f"epoch-{epoch:03d}.npy", allow_pickle=False)
        np.testing.assert_array_equal(recorded[:, 0], draw_order(data.train.targets, 7, epoch))
        np.testing.assert_array_equal(recorded[:, 1:], augment.draw_epoch(23, AUGMENT, 7, epoch))


def test_validation_records_nothing(tmp_path: Path) -> None:
    data = at(module(record=tmp_path / "augmentation"), 0, training=False)
    data.on_after_batch_transfer(next(iter(data.val_dataloader())), 0)
    assert not (tmp_path / "augmentation").exists()


class Recorder(pl.LightningModule):
    """Trains one number, and keeps what it was shown."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.trained: list[list[tuple[int, Tensor]]] = []
        self.validated: list[list[Tensor]] = []

    def on_train_epoch_start(self) -> None:
        """Begin a list."""
        self.trained.append([])

    def on_validation_epoch_start(self) -> None:
        """Begin a list."""
        self.validated.append([])

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Keep which image was shown, and how."""
        self.trained[-1] += [(int(i), image) for i, image in zip(batch["index"], batch["pixels"], strict=True)]
        return self.weight * batch["pixels"].mean()

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Keep how the images were shown."""
        self.validated[-1] += list(batch["pixels"])

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Any will do."""
        return torch.optim.SGD(self.parameters(), 0.1)


@pytest.mark.filterwarnings("ignore")
def test_in_a_real_training_every_epoch_has_its_own_order_and_parameters() -> None:
    data, recorder = module(23, 4, seed=11), Recorder()
    trainer = pl.Trainer(
        accelerator="cpu",
        max_epochs=3,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
    )
    trainer.fit(recorder, datamodule=data)
    assert len(recorder.trained) == 3
    for epoch, shown in enumerate(recorder.trained):
        rng = np.random.default_rng((11, epoch, 0))
        assert [index for index, _ in shown] == rng.permutation(23).tolist()
        table = torch.from_numpy(augment.draw_epoch(23, AUGMENT, 11, epoch))
        pixels = torch.from_numpy(data.train.pixels[data.train.rows[[index for index, _ in shown]]])
        wanted = augment.apply(pixels, table, CONTRACT)
        for number, (_, image) in enumerate(shown):
            torch.testing.assert_close(image, wanted[number])
    unchanged = to_network_range(data.val.pixels[data.val.rows], CONTRACT)
    assert len(recorder.validated) == 3
    for seen in recorder.validated:
        np.testing.assert_allclose(torch.stack(seen), unchanged, atol=1e-6)


@pytest.mark.parametrize(
    ("rows", "targets"),
    [([], []), ([0, 1], [0]), ([0, 3], [0, 1]), ([-1, 0], [0, 1])],
)
def test_rows_that_do_not_fit_the_cache_or_the_targets_are_refused(rows: list[int], targets: list[int]) -> None:
    pixels: npt.NDArray[np.uint8] = np.zeros((3, *CONTRACT.shape), dtype=np.uint8)
    with pytest.raises(ValueError, match="expected|within"):
        LabelledPixels(pixels, np.array(rows, dtype=np.int64), np.array(targets, dtype=np.int64))
