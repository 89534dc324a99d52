"""The verb ``doctor``: what this installation can do, what it lacks for what, and what it may use of the machine."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from radlens.base.cpu import available_cores
from radlens.base.environment import cpu_name
from radlens.base.errors import MissingPackageError, RadlensError
from radlens.base.memory import machine_memory, usable_memory
from radlens.base.optional import EXTRAS, import_optional, is_installed
from radlens.base.version import __version__
from radlens.workflows.cache import CacheContents, cache

# What each extra is for; the base has no extra.
PURPOSES = {
    "": "predict, cache, doctor: answers of a model folder",
    "train": "demo, run, train, index, audit, evaluate, compare, stress, export",
    "dicom": "compressed DICOM files",
    "backbones": "networks of MONAI and transformers, EfficientNet-Lite1 and 2",
    "hub": "push, and models of the Hugging Face hub",
}


@dataclass(frozen=True)
class Extra:
    """Whether the packages of an extra are there.

    Attributes:
        name: as in ``pip install "radlens[name]"``; empty for the base.
        purpose: the commands and inputs that need it.
        missing: packages that are not installed.
        broken: what packages say that are installed and cannot be imported.
    """

    name: str
    purpose: str
    missing: tuple[str, ...] = ()
    broken: tuple[str, ...] = ()

    @property
    def install(self) -> str:
        """The command that brings what is missing."""
        return f'pip install "radlens[{self.name}]"' if self.name else "pip install radlens"


@dataclass(frozen=True)
class Diagnosis:
    """What ``radlens doctor`` tells.

    Attributes:
        radlens: its version.
        python: that of Python.
        system: the operating system and its version.
        cpu: the processor as the system calls it.
        machine_cores: how many cores the machine has.
        cores: how many of them radlens may use: see :func:`radlens.base.cpu.available_cores`.
        machine_memory: bytes; None where the system does not say.
        memory: bytes of it that radlens may use.
        gpus: the names of the GPUs that PyTorch can use.
        extras: what is installed, the base first.
        cache: what the cache holds; None where it cannot be read.
        cache_error: why it cannot.
        cache_free: bytes free on the drive of the cache; None where there is no such folder yet nor one above it.
    """

    radlens: str
    python: str
    system: str
    cpu: str
    machine_cores: int
    cores: int
    machine_memory: int | None
    memory: int | None
    gpus: tuple[str, ...]
    extras: tuple[Extra, ...]
    cache: CacheContents | None
    cache_error: str = ""
    cache_free: int | None = None

    @property
    def broken(self) -> tuple[str, ...]:
        """What packages say that are installed and cannot be imported."""
        return tuple(message for extra in self.extras for message in extra.broken)


def doctor() -> Diagnosis:
    """Look at this installation and this machine; every installed package is imported, which takes seconds."""
    extras = tuple(_extra(name, packages) for name, packages in EXTRAS.items())
    contents, error = _cache()
    return Diagnosis(
        radlens=__version__,
        python=sys.version.split()[0],
        system=platform.platform(),
        cpu=cpu_name(),
        machine_cores=os.cpu_count() or 1,
        cores=available_cores(),
        machine_memory=machine_memory(),
        memory=usable_memory(),
        gpus=_gpus(),
        extras=extras,
        cache=contents,
        cache_error=error,
        cache_free=_free(contents.folder) if contents else None,
    )


def _extra(name: str, packages: tuple[str, ...]) -> Extra:
    missing, broken = [], []
    for package in packages:
        if not is_installed(package):
            missing.append(package)
            continue
        try:
            import_optional(package, "radlens")
        except MissingPackageError as error:
            broken.append(str(error))
    return Extra(name, PURPOSES[name], tuple(missing), tuple(broken))


def _gpus() -> tuple[str, ...]:
    try:
        torch = import_optional("torch")
        return tuple(torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count()))
    except MissingPackageError:
        return ()


def _cache() -> tuple[CacheContents | None, str]:
    try:
        return cache(), ""
    except RadlensError as error:
        return None, str(error)


def _free(folder: Path) -> int | None:
    there = next((place for place in (folder, *folder.parents) if place.is_dir()), None)
    return shutil.disk_usage(there).free if there else None
