"""Pixels decoded once and memory-mapped afterwards, keyed by the files' content and the preprocessing contract."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Container, Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from radlens.base.cpu import available_cores
from radlens.base.errors import RadlensError
from radlens.base.progress import track
from radlens.imaging.cache.digests import Stamp, recall, remember
from radlens.imaging.cache.folder import PixelFolder, PixelWriter
from radlens.imaging.cache.reader import Reader
from radlens.imaging.cache.shelf import PixelShelf
from radlens.imaging.decode import FileFacts
from radlens.imaging.limits import DEFAULT_LIMITS, DecodeLimits
from radlens.imaging.preprocess import Preprocessing

A = TypeVar("A")
B = TypeVar("B")

_ATTEMPTS = 3


@dataclass(frozen=True)
class PixelCache:
    """The preprocessed pixels of a list of images.

    Attributes:
        pixels: uint8, shape (images, channels, height, width), memory-mapped and read-only: each distinct readable
            image once, perhaps among others.
        rows: int64, one for each location asked for: its row in ``pixels``, or -1 where the image was rejected.
        facts: one for each location, None where the image was rejected.
        rejected: location and reason of each image that could not be read.
        digests: SHA-256 of the content at each location, empty where that could not be read.
    """

    pixels: npt.NDArray[np.uint8]
    rows: npt.NDArray[np.int64]
    facts: tuple[FileFacts | None, ...]
    rejected: tuple[tuple[str, str], ...]
    digests: tuple[str, ...]

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
        shelf = PixelShelf.of(contract, limits)
        images = _Images(list(locations), recall(locations), {})
        for _ in range(_ATTEMPTS):
            exact = None if images.may_be_more() else shelf.open(images.digests)
            folder = _complete(images, shelf.open_all() if exact is None else [exact], shelf, limits, workers)
            # None: another process found it damaged as we did, and removed what we had just written anew.
            if folder is not None:
                return _assemble(images, folder)
        raise RadlensError(f"Another program removes the pixel caches in {shelf.path} again and again.")

    def only(self, mask: npt.NDArray[np.bool_]) -> PixelCache:
        """The same for the locations where the mask is true; ``rejected`` still tells of all."""
        chosen = np.flatnonzero(mask)
        facts = tuple(self.facts[number] for number in chosen)
        digests = tuple(self.digests[number] for number in chosen)
        return PixelCache(self.pixels, self.rows[chosen], facts, self.rejected, digests)


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

    def may_be_more(self) -> bool:
        """Whether an image of which the digest is not known can perhaps be read."""
        unknown = (number for number, digest in enumerate(self.digests) if not digest and number not in self.reasons)
        return any(Stamp.of(self.locations[number]) is not None for number in unknown)


def _complete(
    images: _Images, folders: Sequence[PixelFolder], shelf: PixelShelf, limits: DecodeLimits, workers: int
) -> PixelFolder | None:
    """A folder with all of the images; those that none of the given folders has are read."""
    known = {digest: (folder, row) for folder in reversed(folders) for digest, row in folder.row_of.items()}
    reader = Reader(shelf.contract, limits, known)
    with PixelWriter(shelf.path, shelf.contract.shape, len(images.locations)) as writer:
        rows = _read_missing(images, known, writer, reader, workers)
        wanted = {*images.digests} - {""}
        whole = next((folder for folder in folders if folder.row_of.keys() >= wanted), None)
        if writer.is_empty and whole is not None:
            return whole
        for row, digest in enumerate(rows):
            if digest in known:
                source, number = known[digest]
                entry = source.entries[number]
                writer.put(row, entry, None if isinstance(entry, str) else source.pixels[number])
        writer.finish([digest if digest in wanted else "" for digest in rows], shelf.folder(images.digests))
    shelf.tidy()
    return shelf.open(images.digests)


def _read_missing(
    images: _Images, known: Container[str], writer: PixelWriter, reader: Reader, workers: int
) -> list[str]:
    """Read the images that are not known, write their pixels, and complete what is known of them.

    Returns:
        The distinct digests in the order in which the images are asked for, which is how their rows will be read.
    """
    missing = [number for number, digest in enumerate(images.digests) if digest not in known]
    jobs = [images.locations[number] for number in missing]
    row_of: dict[str, int] = {}
    stamps: list[Stamp | None] = []
    passing: dict[str, str] = {}
    with closing(_parallel(reader, jobs, "Reading images", workers)) as reads:
        for number, digest in enumerate(images.digests):
            if digest in known:
                row_of.setdefault(digest, len(row_of))
                continue
            read = next(reads)
            images.digests[number] = read.digest
            stamps.append(read.stamp)
            if not read.digest:
                images.reasons[number] = str(read.entry)
                continue
            row = row_of.setdefault(read.digest, len(row_of))
            if read.is_passing:
                passing[read.digest] = str(read.entry)
            elif read.entry is not None:
                writer.put(row, read.entry, read.pixels)
    remember(jobs, stamps, [images.digests[number] for number in missing])
    # Not kept in the cache, where they would be rejected for ever.
    for number, digest in enumerate(images.digests):
        if digest in passing:
            images.digests[number], images.reasons[number] = "", passing[digest]
    return list(row_of)


def _assemble(images: _Images, folder: PixelFolder) -> PixelCache:
    rows = np.full(len(images.locations), -1, dtype=np.int64)
    facts: list[FileFacts | None] = [None] * len(rows)
    rejected = []
    for number, (location, digest) in enumerate(zip(images.locations, images.digests, strict=True)):
        entry = folder.entries[folder.row_of[digest]] if digest else images.reasons[number]
        if isinstance(entry, str):
            rejected.append((location, entry))
        else:
            rows[number], facts[number] = folder.row_of[digest], entry
    return PixelCache(folder.pixels, rows, tuple(facts), tuple(rejected), tuple(images.digests))


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
