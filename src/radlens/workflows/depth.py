"""The pixels of a set of images on one scale: what is white in files that do not declare it, decided for all."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from radlens.config import DataSettings, RunSettings
from radlens.dataset.manifest import Manifest
from radlens.imaging.cache.pixel_cache import PixelCache
from radlens.imaging.decode import DecodeError, FileFacts, decode
from radlens.imaging.depth import decide_depth
from radlens.imaging.limits import DecodeLimits
from radlens.imaging.preprocess import Preprocessing

ReadImages: TypeAlias = Callable[[Manifest, DataSettings, Preprocessing], PixelCache]

# Looked at beforehand, so that all images need hardly ever be decoded twice.
_SAMPLE = 12
_SMALL = (64, 64)


def read_on_one_scale(manifest: Manifest, settings: RunSettings, read: ReadImages) -> tuple[RunSettings, PixelCache]:
    """Decode every image, with ``preprocessing.depth=auto`` replaced by what is decided from the training images.

    Where the images have no splits, from all of them.

    Args:
        manifest: the images.
        settings: of the run.
        read: what decodes them, such as :func:`radlens.workflows.prepare.read_images`.

    Returns:
        The settings with the depth that was decided, and the pixels.

    Raises:
        DataError: what ``read`` raises.
    """
    if settings.preprocessing.depth != "auto":
        return settings, read(manifest, settings.data, settings.preprocessing)
    training = training_images(manifest)
    locations = list(itertools.compress(manifest.locations, training))
    expected = at_decided_depth(settings, _some_facts(locations, settings.data.limits))
    cache = read(manifest, settings.data, expected.preprocessing)
    decided = at_decided_depth(settings, list(itertools.compress(cache.facts, training)))
    if decided != expected:
        cache = read(manifest, settings.data, decided.preprocessing)
    return decided, cache


def training_images(manifest: Manifest) -> npt.NDArray[np.bool_]:
    """Which images are for training; all of them where none is said to be."""
    is_training = (manifest.table["split"] == "train").to_numpy(dtype=bool)
    return is_training if is_training.any() else np.ones(len(manifest), dtype=bool)


def at_decided_depth(settings: RunSettings, facts: Sequence[FileFacts | None]) -> RunSettings:
    """The settings with ``preprocessing.depth=auto`` replaced by what is decided from these images."""
    if settings.preprocessing.depth != "auto":
        return settings
    depth = decide_depth([image.values for image in facts if image is not None and image.values is not None])
    contract = settings.preprocessing.model_copy(update={"depth": depth})
    return settings.model_copy(update={"preprocessing": contract})


def has_undeclared(cache: PixelCache) -> bool:
    """Whether any image holds values of more than 8 bits without saying how many are in use."""
    return any(facts is not None and facts.undeclared for facts in cache.facts)


def _some_facts(locations: Sequence[str], limits: DecodeLimits) -> list[FileFacts]:
    """Of some evenly spaced images, those that can be read."""
    facts: list[FileFacts] = []
    for number in np.unique(np.linspace(0, len(locations) - 1, _SAMPLE).round().astype(int)):
        try:
            facts.append(decode(locations[number], target=_SMALL, limits=limits, grey=True).facts)
        except DecodeError:
            continue
    return facts
