"""Whatever two processes do to one cache, in any order and at once, each gets the right rows."""

from __future__ import annotations

import multiprocessing
import os
import shutil
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from radlens.imaging.cache import batch, digests, eviction
from radlens.imaging.cache.index import pixel_folder
from radlens.imaging.cache.pixel_cache import PixelCache
from radlens.imaging.pixels import read_pixels
from radlens.imaging.preprocess import Preprocessing

CONTRACTS = (Preprocessing(height=8, width=10), Preprocessing(height=9, width=10))
IMAGES = 8
ROW = 8 * 10
Truth = list[list[npt.NDArray[np.uint8] | None]]
# What to do, with which contract, with which images or within how many rows.
Step = tuple[str, int, list[int], int]


def work(step: Step, locations: list[str], truth: Truth) -> str:
    """Do one step; what was wrong about it, if anything."""
    kind, contract, numbers, rows = step
    if kind == "clear":
        eviction.clear(pixel_folder())
    elif kind == "reduce":
        eviction.reduce(pixel_folder(), rows * ROW)
    elif kind == "cut":
        for path in pixel_folder().glob("*.pixels"):
            os.truncate(path, path.stat().st_size // 2)
    else:
        eviction.DEFAULT_LIMIT = f"{rows * ROW / 1000:.3f} KB"
        cache = PixelCache.build([locations[number] for number in numbers], CONTRACTS[contract], workers=2)
        for row, number in zip(cache.rows, numbers, strict=True):
            wanted = truth[contract][number]
            if (row < 0) != (wanted is None) or (wanted is not None and (cache.pixels[row] != wanted).any()):
                return f"image {number} is wrong in {step}"
    return ""


def serve(pipe: Connection, locations: list[str], truth: Truth) -> None:
    """Do what the other process says, until it says no more."""
    prepare()
    while (order := pipe.recv()) is not None:
        cache, step = order
        os.environ["RADLENS_CACHE"] = cache
        pipe.send(work(step, locations, truth))


def prepare() -> None:
    """Small batches, so that those of two processes come in between each other."""
    digests.SETTLED_NS = 0
    batch.BATCH_BYTES = 2 * ROW


@pytest.fixture(scope="module")
def locations(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Seven images and a file that is none."""
    folder, rng = tmp_path_factory.mktemp("images"), np.random.default_rng(0)
    paths = [folder / f"{number}.png" for number in range(IMAGES)]
    for path in paths[:-1]:
        Image.fromarray(rng.integers(0, 256, (12, 14), dtype=np.uint8)).save(path)
    paths[-1].write_bytes(b"no image")
    return [str(path) for path in paths]


@pytest.fixture(scope="module")
def truth(locations: list[str]) -> Truth:
    """The pixels of each image under each contract; None for the file that is none."""
    return [[*(read_pixels(path, contract)[0] for path in locations[:-1]), None] for contract in CONTRACTS]


@pytest.fixture(scope="module")
def other(locations: list[str], truth: Truth) -> Iterator[Connection]:
    """A pipe to a second process that uses the same cache."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=serve, args=(theirs, locations, truth))
    process.start()
    yield ours
    ours.send(None)
    process.join()


numbers = st.lists(st.integers(0, IMAGES - 1), max_size=IMAGES)
steps = st.tuples(st.sampled_from(["build"] * 5 + ["reduce", "clear"]), st.integers(0, 1), numbers, st.integers(0, 20))
nothing: list[int] = []
cuts = st.tuples(st.just("cut"), st.just(0), st.just(nothing), st.just(0))
relaxed = settings(
    deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


@relaxed
@given(sequence=st.lists(st.one_of(steps, cuts), max_size=8))
def test_any_sequence_of_one_process_gives_the_right_rows(
    locations: list[str], truth: Truth, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sequence: list[Step]
) -> None:
    shutil.rmtree(tmp_path / "cache", ignore_errors=True)
    with monkeypatch.context() as patch:
        patch.setattr(eviction, "DEFAULT_LIMIT", "20 GB")
        patch.setattr(batch, "BATCH_BYTES", 2 * ROW)
        for step in sequence:
            assert not work(step, locations, truth)


@relaxed
@given(sequence=st.lists(st.tuples(steps, steps), max_size=6))
def test_any_sequence_of_two_processes_at_once_gives_both_the_right_rows(
    locations: list[str],
    truth: Truth,
    other: Connection,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    sequence: list[tuple[Step, Step]],
) -> None:
    shutil.rmtree(tmp_path / "cache", ignore_errors=True)
    with monkeypatch.context() as patch:
        patch.setattr(eviction, "DEFAULT_LIMIT", "20 GB")
        patch.setattr(batch, "BATCH_BYTES", 2 * ROW)
        for ours, theirs in sequence:
            other.send((str(tmp_path / "cache"), theirs))
            try:
                assert not work(ours, locations, truth)
            finally:
                answer = other.recv()
            assert not answer
