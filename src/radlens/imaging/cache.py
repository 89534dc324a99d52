"""Pixels decoded once and memory-mapped afterwards, keyed by the files' content and the preprocessing contract."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from radlens.errors import RadlensError
from radlens.files import building, cache_root, replacing
from radlens.imaging.decode import DecodeError, FileFacts, decode, read_bytes
from radlens.imaging.preprocess import Preprocessing, preprocess
from radlens.progress import track

# Raise this when the same contract comes to give other bytes: old caches are then left alone.
CACHE_VERSION = 1

A = TypeVar("A")
B = TypeVar("B")


@dataclass(frozen=True)
class PixelCache:
    """The preprocessed pixels of a list of images.

    Attributes:
        pixels: uint8, shape (distinct readable images, channels, height, width), memory-mapped and read-only.
        rows: int64, one for each location asked for: its row in ``pixels``, or -1 where the image was rejected.
        facts: one for each location, None where the image was rejected.
        rejected: location and reason of each image that could not be read.
    """

    pixels: npt.NDArray[np.uint8]
    rows: npt.NDArray[np.int64]
    facts: tuple[FileFacts | None, ...]
    rejected: tuple[tuple[str, str], ...]

    @classmethod
    def build(cls, locations: Sequence[str], contract: Preprocessing, workers: int = 0) -> PixelCache:
        """Open the cache of these images, decoding those not seen before.

        Args:
            locations: what to read; see :func:`radlens.imaging.decode.decode`.
            contract: what to make of each image.
            workers: processes to decode with; 0: one for each CPU core.

        Raises:
            RadlensError: the cache folder is full or cannot be written to.
        """
        digests = _digests(locations, workers)
        readable = {digest: location for location, (digest, _) in zip(locations, digests, strict=True) if digest}
        order = sorted(readable)
        folder = cache_root() / "pixels" / _key(order, contract)
        if not folder.is_dir():
            _decode_all([readable[digest] for digest in order], contract, workers, folder)
        entries = json.loads((folder / "images.json").read_text(encoding="utf-8"))
        row_of = {digest: number for number, digest in enumerate(order)}
        rows = np.full(len(locations), -1, dtype=np.int64)
        facts: list[FileFacts | None] = []
        rejected = []
        for number, (location, (digest, reason)) in enumerate(zip(locations, digests, strict=True)):
            entry = entries[row_of[digest]] if digest else {"error": reason}
            if "error" in entry:
                facts.append(None)
                rejected.append((location, str(entry["error"])))
            else:
                facts.append(FileFacts(**entry))
                rows[number] = row_of[digest]
        pixels = np.load(folder / "pixels.npy", mmap_mode="r", allow_pickle=False)
        return cls(pixels, rows, tuple(facts), tuple(rejected))


def _key(digests: Sequence[str], contract: Preprocessing) -> str:
    state = hashlib.sha256(f"{CACHE_VERSION}:{contract.model_dump_json()}".encode())
    for digest in digests:
        state.update(digest.encode())
    return state.hexdigest()[:32]


def _digest(location: str) -> tuple[str, str]:
    """Content hash, or an empty text and the reason why the image cannot be read."""
    try:
        return hashlib.sha256(read_bytes(location)).hexdigest(), ""
    except DecodeError as error:
        return "", _reason(location, error)


def _digests(locations: Sequence[str], workers: int) -> list[tuple[str, str]]:
    return list(_parallel(_digest, locations, "Reading files", workers))


def _reason(location: str, error: DecodeError) -> str:
    return str(error).removeprefix(f"{location}: ")


def _decode_one(job: tuple[str, Preprocessing]) -> tuple[npt.NDArray[np.uint8] | None, dict[str, object]]:
    location, contract = job
    try:
        decoded = decode(location, target=(contract.width, contract.height))
    except DecodeError as error:
        return None, {"error": _reason(location, error)}
    return preprocess(decoded.image, contract), asdict(decoded.facts)


def _decode_all(locations: Sequence[str], contract: Preprocessing, workers: int, folder: Path) -> None:
    """Fill the cache folder: ``pixels.npy`` and ``images.json``, in the order of the locations."""
    shape = (len(locations), *contract.shape)
    with building(folder) as temporary:
        _require_space(temporary, int(np.prod(shape)))
        pixels = np.lib.format.open_memmap(temporary / "pixels.npy", mode="w+", dtype=np.uint8, shape=shape)
        entries = []
        jobs = [(location, contract) for location in locations]
        for row, (image, entry) in enumerate(_parallel(_decode_one, jobs, "Decoding images", workers)):
            if image is not None:
                pixels[row] = image
            entries.append(entry)
        pixels.flush()
        with replacing(temporary / "images.json") as file:
            file.write_text(json.dumps(entries), encoding="utf-8")


def _require_space(folder: Path, needed: int) -> None:
    # A memory map on a full disk dies of a bus error, so the space is checked before it is mapped.
    free = shutil.disk_usage(folder).free
    if free < needed + 2**20:
        raise RadlensError(
            f"No space left on the device: the pixel cache in {folder.parent} needs {needed / 2**20:,.0f} MiB and "
            f"{free / 2**20:,.0f} MiB are free. Free some space, or set RADLENS_CACHE to another folder."
        )


def _parallel(function: Callable[[A], B], jobs: Sequence[A], description: str, workers: int) -> Iterator[B]:
    """Map in order over threads, with progress; reading, decoding and resizing release the interpreter lock."""
    workers = workers or os.cpu_count() or 1
    with ThreadPoolExecutor(workers) as pool:
        try:
            yield from track(_windowed(pool, function, jobs, 8 * workers), description, len(jobs))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _windowed(pool: ThreadPoolExecutor, function: Callable[[A], B], jobs: Sequence[A], window: int) -> Iterator[B]:
    """Like ``pool.map`` with at most ``window`` results waiting, so that memory stays flat for any number of jobs."""
    waiting: deque[Future[B]] = deque()
    for job in jobs:
        if len(waiting) == window:
            yield waiting.popleft().result()
        waiting.append(pool.submit(function, job))
    while waiting:
        yield waiting.popleft().result()
