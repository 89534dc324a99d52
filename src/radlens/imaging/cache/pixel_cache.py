"""Pixels decoded once and memory-mapped afterwards, keyed by the files' content and the preprocessing contract."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from radlens.base.cpu import available_cores
from radlens.base.errors import RadlensError
from radlens.base.progress import track
from radlens.imaging.cache.batch import Batch
from radlens.imaging.cache.digests import Stamp, recall, remember
from radlens.imaging.cache.index import DamagedError
from radlens.imaging.cache.reader import Reader
from radlens.imaging.cache.store import PixelStore, Stored
from radlens.imaging.decode import FileFacts
from radlens.imaging.limits import DEFAULT_LIMITS, DecodeLimits
from radlens.imaging.preprocess import Preprocessing

A = TypeVar("A")
B = TypeVar("B")

# To read what is missing and to open it; to mend or to read again what is damaged or gone.
_ATTEMPTS = 5


@dataclass(frozen=True)
class PixelCache:
    """The preprocessed pixels of a list of images.

    Attributes:
        pixels: uint8, shape (images, channels, height, width), memory-mapped and read-only: each distinct readable
            image once, among all others that were ever asked for with this contract.
        rows: int64, one for each location asked for: its row in ``pixels``, or -1 where the image was rejected.
        facts: one for each location, None where the image was rejected.
        rejected: location and reason of each image that could not be read.
        digests: SHA-256 of the content at each location, empty where that could not be read.
        contract: what was made of each image.
    """

    pixels: npt.NDArray[np.uint8]
    rows: npt.NDArray[np.int64]
    facts: tuple[FileFacts | None, ...]
    rejected: tuple[tuple[str, str], ...]
    digests: tuple[str, ...]
    contract: Preprocessing = field(default_factory=Preprocessing)

    @classmethod
    def build(
        cls,
        locations: Sequence[str],
        contract: Preprocessing,
        workers: int = 0,
        limits: DecodeLimits = DEFAULT_LIMITS,
    ) -> PixelCache:
        """Open the cache of these images, reading and decoding those not seen before.

        A file is taken for unchanged, and not read again, while its path, size, modification time, change time and
        inode are the same. An image is decoded once for a contract, in whatever sets it is asked for.

        Args:
            locations: what to read; see :func:`radlens.imaging.decode.decode`.
            contract: what to make of each image.
            workers: threads to read and decode with; 0: one for each CPU core.
            limits: bounds on what is opened.

        Raises:
            RadlensError: the cache folder is full, or cannot be written to or read.
        """
        store = PixelStore.of(contract, limits)
        images = _Images(list(locations), [""] * len(locations), {})
        for _ in range(_ATTEMPTS):
            try:
                images.recall()
                stored = store.find(images.digests)
                # Not more than once, unless another process removes meanwhile what we have just written.
                if missing := images.missing(stored):
                    _read_missing(images, missing, store, Reader(contract, limits, store.known()), workers)
                else:
                    return _assemble(images, stored, contract)
            except DamagedError:
                store.mend(images.digests)
        raise RadlensError(f"Another program removes the pixel cache in {store.folder} again and again.")

    def only(self, mask: npt.NDArray[np.bool_]) -> PixelCache:
        """The same for the locations where the mask is true; ``rejected`` still tells of all."""
        chosen = np.flatnonzero(mask)
        facts = tuple(self.facts[number] for number in chosen)
        digests = tuple(self.digests[number] for number in chosen)
        return PixelCache(self.pixels, self.rows[chosen], facts, self.rejected, digests, self.contract)


@dataclass(frozen=True)
class _Images:
    """What is asked for and what became known of it.

    Attributes:
        locations: where the images are.
        digests: of their contents, as far as they are known.
        reasons: why one cannot be read, by its number.
    """

    locations: list[str]
    digests: list[str]
    reasons: dict[int, str]

    def recall(self) -> None:
        """Take up what is remembered of files that were not read yet."""
        if not any(self.digests) and not self.reasons:
            self.digests[:] = recall(self.locations)

    def missing(self, stored: Stored) -> list[int]:
        """The numbers of the images that are to be read: their content is not known, or not stored."""
        digests = enumerate(self.digests)
        return [number for number, digest in digests if digest not in stored.images and number not in self.reasons]


def _read_missing(images: _Images, missing: Sequence[int], store: PixelStore, reader: Reader, workers: int) -> None:
    """Read images, add to the store those that it does not have, and complete what is known of them."""
    jobs = [images.locations[number] for number in missing]
    batch = Batch(store, len(jobs))
    stamps: list[Stamp | None] = []
    passing: dict[str, str] = {}
    with closing(_parallel(reader, jobs, "Reading images", workers)) as reads:
        for number, read in zip(missing, reads, strict=True):
            images.digests[number] = read.digest
            stamps.append(read.stamp)
            if not read.digest:
                images.reasons[number] = str(read.entry)
            elif read.is_passing:
                passing[read.digest] = str(read.entry)
            elif read.entry is not None:
                batch.add(read.digest, read.entry, read.pixels)
    is_larger = batch.finish()
    remember(jobs, stamps, [images.digests[number] for number in missing])
    # Not kept in the cache, where they would be rejected for ever.
    for number, digest in enumerate(images.digests):
        if digest in passing:
            images.digests[number], images.reasons[number] = "", passing[digest]
    if is_larger:
        # It saves space, and a full disk is no reason to stop here.
        with suppress(RadlensError):
            store.shrink(images.digests)


def _assemble(images: _Images, stored: Stored, contract: Preprocessing) -> PixelCache:
    rows = np.full(len(images.locations), -1, dtype=np.int64)
    facts: list[FileFacts | None] = [None] * len(rows)
    rejected = []
    for number, (location, digest) in enumerate(zip(images.locations, images.digests, strict=True)):
        row, entry = stored.images[digest] if digest else (-1, images.reasons[number])
        if isinstance(entry, str):
            rejected.append((location, entry))
        else:
            rows[number], facts[number] = row, entry
    return PixelCache(stored.pixels, rows, tuple(facts), tuple(rejected), tuple(images.digests), contract)


def _parallel(
    function: Callable[[A], B], jobs: Sequence[A], description: str, workers: int
) -> Generator[B, None, None]:
    """Map in order over threads, with progress; reading, decoding and resizing release the interpreter lock."""
    workers = workers or available_cores()
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
