"""Which labelled images a model is stressed with: a sample of those that it was not made with."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from radlens.assessment.framing_evidence import sample_images
from radlens.base.errors import DataError, UsageError
from radlens.config import DataSettings
from radlens.dataset.audit.seen import seen_images
from radlens.dataset.manifest import Manifest
from radlens.imaging.cache.pixel_cache import PixelCache
from radlens.imaging.preprocess import Preprocessing
from radlens.runtime.known_images import NO_IMAGES_KNOWN, KnownImages
from radlens.workflows.prepare import read_images

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Sample:
    """Readable images with their pixels.

    Attributes:
        manifest: the images.
        cache: their pixels, in the same order.
        left_out: how many were left out because the model was made with them, of those looked at.
    """

    manifest: Manifest
    cache: PixelCache
    left_out: int

    @property
    def pixels(self) -> npt.NDArray[np.uint8]:
        """uint8, shape (images, channels, height, width), as the contract gives them."""
        return np.ascontiguousarray(self.cache.pixels[self.cache.rows])


def draw_sample(
    manifest: Manifest,
    data: DataSettings,
    contract: Preprocessing,
    images: int,
    seed: int,
    known: KnownImages = NO_IMAGES_KNOWN,
) -> Sample:
    """Draw images, of each class as many, for multilabel any; those that the model was made with are left out.

    Args:
        manifest: the images to draw from.
        data: how they are read.
        contract: what to make of each.
        images: how many at most.
        seed: what the draw follows from.
        known: the images that the model was made with.

    Raises:
        UsageError: ``images`` is below 1.
        DataError: too many cannot be read, none is left, or none of a class.
    """
    if images < 1:
        raise UsageError(f"--images {images}: at least one image is needed.")
    drawn = _only(manifest, sample_images(manifest.table, manifest.info, images, seed))
    cache = read_images(drawn, data, contract)
    seen = _seen(cache, known)
    if not seen.any() and (cache.rows >= 0).all():
        return _checked(Sample(drawn, cache, 0), len(manifest))
    if len(drawn) < len(manifest):
        logger.info("Some of the images drawn cannot be used; looking through all %d.", len(manifest))
        cache = read_images(manifest, data, contract)
        seen = _seen(cache, known)
    usable = ~seen & (cache.rows >= 0)
    if not usable.any():
        raise DataError(
            f"None of the {len(manifest):,} images of {manifest.info.name} is left: the model was trained or chosen on "
            f"{int(seen.sum()):,} of them, and what it says of those is not evidence. Give images that it has never "
            "seen, or ask about them all the same: --allow leak"
        )
    left, cache = manifest.only(usable), cache.only(usable)
    places = sample_images(left.table, left.info, images, seed)
    return _checked(Sample(_only(left, places), cache.only(_mask(len(left), places)), int(seen.sum())), len(manifest))


def _seen(cache: PixelCache, known: KnownImages) -> npt.NDArray[np.bool_]:
    exact, near = seen_images(cache, known)
    return exact | near


def _checked(sample: Sample, listed: int) -> Sample:
    """The sample, if every class has an image in it; of several labels an image, some may be missing."""
    info, counts = sample.manifest.info, sample.manifest.class_counts().sum(axis=0)
    none = [str(name) for name, count in counts.items() if count == 0]
    if none and info.task != "multilabel":
        why = f"{sample.left_out:,} of {listed:,} were left out because the model was made with them"
        raise DataError(
            f"No image of the class(es) {', '.join(none)} of {info.name} is among the {len(sample.manifest):,} images "
            f"to ask about{f': {why}' if sample.left_out else ''}. Give more images of each class, or raise --images."
        )
    return sample


def _only(manifest: Manifest, places: npt.NDArray[np.int64]) -> Manifest:
    return manifest.only(_mask(len(manifest), places))


def _mask(length: int, places: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    mask = np.zeros(length, dtype=np.bool_)
    mask[places] = True
    return mask
