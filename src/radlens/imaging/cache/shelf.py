"""All pixel caches of one contract."""

from __future__ import annotations

import hashlib
import importlib.metadata
import logging
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, fields
from pathlib import Path

from radlens.base.errors import RadlensError
from radlens.base.files import cache_root, remove_abandoned, scratch
from radlens.imaging.cache.folder import DamagedError, PixelFolder
from radlens.imaging.decode import FileFacts
from radlens.imaging.limits import DecodeLimits
from radlens.imaging.preprocess import Preprocessing

log = logging.getLogger("radlens")

# Raise this when the same contract comes to give other bytes, or the files another form: old caches are left alone.
CACHE_VERSION = 2

# Another version may give other bytes, and one that is newly installed reads what was rejected before.
_DECODERS = ("imagecodecs", "pillow", "pydicom")


@dataclass(frozen=True)
class PixelShelf:
    """The folder that holds the caches of one contract, each named by the images it is of.

    Attributes:
        path: the folder.
        contract: what was made of each image.
    """

    path: Path
    contract: Preprocessing

    @classmethod
    def of(cls, contract: Preprocessing, limits: DecodeLimits) -> PixelShelf:
        """The shelf for a contract, and for all else that decides what is in a cache.

        The limits are part of it since they decide what is rejected, and the decoders since they do the work. The
        range that the network sees is none, since it is applied to what is stored.
        """
        state = "\n".join(
            [
                str(CACHE_VERSION),
                contract.model_dump_json(exclude={"low", "high"}),
                limits.model_dump_json(),
                *(field.name for field in fields(FileFacts)),
                *(f"{name} {_version(name)}" for name in _DECODERS),
            ]
        )
        return cls(cache_root() / "pixels" / hashlib.sha256(state.encode()).hexdigest()[:16], contract)

    def folder(self, digests: Sequence[str]) -> Path:
        """Where the cache of these contents is, or will be."""
        state = hashlib.sha256("".join(sorted({*digests} - {""})).encode())
        return self.path / state.hexdigest()[:32]

    def open(self, digests: Sequence[str]) -> PixelFolder | None:
        """The cache of just these contents; None if there is none. One that is damaged is removed.

        Raises:
            RadlensError: it cannot be read, or is damaged and cannot be removed.
        """
        return self._open(self.folder(digests))

    def open_all(self) -> list[PixelFolder]:
        """All caches that can be read; damaged ones are removed."""
        opened = []
        with suppress(FileNotFoundError, NotADirectoryError):
            for folder in sorted(self.path.iterdir()):
                if not folder.name.startswith("."):
                    with suppress(RadlensError):
                        opened.append(self._open(folder))
        return [folder for folder in opened if folder is not None]

    def tidy(self) -> None:
        """Remove what killed processes left here and on the other shelves."""
        with suppress(OSError):
            for shelf in self.path.parent.iterdir():
                remove_abandoned(shelf)

    def _open(self, folder: Path) -> PixelFolder | None:
        try:
            return PixelFolder.open(folder, self.contract.shape)
        except DamagedError as error:
            log.warning("The pixel cache %s is damaged (%s); what it held is decoded again.", folder, error)
            # Out of sight in one step, so that no other process sees a part of it.
            with scratch(folder) as temporary, suppress(FileNotFoundError):
                folder.replace(temporary / folder.name)
            return None


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "none"
