"""The verb ``cache``: what the cache folder holds, and removing what was decoded."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from radlens.base.errors import DataError
from radlens.base.files import cache_root
from radlens.imaging.cache import eviction
from radlens.imaging.cache.eviction import CachedContract, bytes_in, cache_limit
from radlens.imaging.cache.index import DamagedError, pixel_folder


@dataclass(frozen=True)
class CacheContents:
    """What the cache folder holds.

    Attributes:
        folder: where it is.
        limit: bytes that decoded pixels may take up.
        contracts: the images decoded, by the preprocessing contract, the one used last first.
        folders: bytes of each folder within, by name: ``pixels`` and what else was made or downloaded.
    """

    folder: Path
    limit: int
    contracts: tuple[CachedContract, ...]
    folders: dict[str, int]


def cache(*, clear: bool = False, limit: str | None = None) -> CacheContents:
    """Look at the cache, after removing what is asked for; phantoms and downloads stay.

    A run that has the pixels open keeps them, and a later one decodes its images again.

    Args:
        clear: remove all decoded pixels and what is remembered of files.
        limit: remove the contracts not used for longest until the others take up no more than this, such as ``5 GB``.

    Raises:
        UsageError: the limit is not a size.
        DataError: the cache is damaged.
        RadlensError: it cannot be read, or nothing can be removed from it.
    """
    root, folder = cache_root(), pixel_folder()
    try:
        if clear:
            eviction.clear(folder)
        elif limit is not None:
            eviction.reduce(folder, cache_limit(limit))
        contracts = eviction.contents(folder)
    except DamagedError as error:
        raise DataError(
            f"The pixel cache {folder} is damaged ({error}). The next run makes it again; "
            "radlens cache --clear removes it now."
        ) from error
    folders = {path.name: bytes_in(path) for path in sorted(root.glob("*")) if path.is_dir()}
    return CacheContents(root, cache_limit(), tuple(contracts), folders)
