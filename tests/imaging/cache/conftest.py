"""A cache of its own for every test of this folder, images to fill it, and what is to be found in it."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from radlens.base.files import cache_root
from radlens.imaging.cache import digests, reader
from radlens.imaging.cache.pixel_cache import PixelCache
from radlens.imaging.decode import FileFacts, read_bytes
from radlens.imaging.limits import DecodeLimits
from radlens.imaging.pixels import read_pixels
from radlens.imaging.preprocess import Preprocessing

CONTRACT = Preprocessing(height=16, width=20)
Pixels = npt.NDArray[np.uint8]


@pytest.fixture(autouse=True)
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RADLENS_CACHE", str(tmp_path / "cache"))
    # The files of these tests are new; a change within the same tick of the clock is a test of its own.
    monkeypatch.setattr(digests, "SETTLED_NS", 0)


@pytest.fixture
def images(tmp_path: Path) -> list[str]:
    """Twelve distinct pictures of several sizes and formats."""
    rng = np.random.default_rng(0)
    folder = tmp_path / "images"
    folder.mkdir()
    paths = []
    for number in range(12):
        shape = (30 + number, 40) if number % 3 else (30, 40 + number, 3)
        path = folder / f"{number}.{'jpeg' if number % 2 else 'png'}"
        Image.fromarray(rng.integers(0, 256, shape, dtype=np.uint8)).save(path)
        paths.append(str(path))
    return paths


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The locations that are decoded, in any order."""
    seen: list[str] = []

    def counting(location: str, *rest: object) -> tuple[Pixels, FileFacts]:
        seen.append(location)
        return read_pixels(location, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(reader, "read_pixels", counting)
    return seen


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The locations whose content is read, in any order."""
    seen: list[str] = []

    def counting(location: str, limits: DecodeLimits) -> bytes:
        seen.append(location)
        return read_bytes(location, limits)

    monkeypatch.setattr(reader, "read_bytes", counting)
    return seen


def expected(location: str, contract: Preprocessing = CONTRACT) -> Pixels:
    return read_pixels(location, contract)[0]


def check_rows(cache: PixelCache, locations: Sequence[str], contract: Preprocessing = CONTRACT) -> None:
    """Each row is its image under the contract, and the images without one are those that were rejected."""
    rejected = {location for location, _ in cache.rejected}
    for location, row in zip(locations, cache.rows, strict=True):
        assert (row < 0) == (location in rejected)
        if row >= 0:
            np.testing.assert_array_equal(cache.pixels[row], expected(location, contract))


def all_maps() -> list[str]:
    """The names of all maps, those that nothing refers to as well."""
    return sorted(path.name for path in (cache_root() / "pixels").glob("*.pixels"))


def indexed_maps() -> list[Path]:
    """The maps that the index believes in."""
    path = cache_root() / "pixels" / "index.sqlite"
    if not path.exists():
        return []
    with closing(sqlite3.connect(path)) as index:
        if not index.execute("PRAGMA user_version").fetchone()[0]:
            return []
        return [path.with_name(name) for (name,) in index.execute("SELECT name FROM maps ORDER BY name")]


@pytest.fixture(scope="session")
def check() -> Callable[..., None]:
    """See :func:`check_rows`."""
    return check_rows


@pytest.fixture(scope="session")
def entries() -> Callable[[], list[str]]:
    """See :func:`all_maps`."""
    return all_maps


@pytest.fixture(scope="session")
def finished() -> Callable[[], list[Path]]:
    """See :func:`indexed_maps`."""
    return indexed_maps
