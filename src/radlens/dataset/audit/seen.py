"""Images that the model to be judged was made with, told by their contents and by what they show."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from radlens.dataset.audit.findings import Finding
from radlens.dataset.audit.picture_hash import picture_hashes, same_pictures
from radlens.dataset.manifest import Manifest
from radlens.imaging.cache.pixel_cache import PixelCache
from radlens.runtime.known_images import KnownImages

EXAMPLES = 10


def seen_images(images: PixelCache, trained_on: KnownImages) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Which images a model was made with.

    Args:
        images: contents and pixels.
        trained_on: the images that the model was made with.

    Returns:
        Two arrays of shape (images,): those known by their bytes, and other files of the same pictures.
    """
    lengths = {len(known) for known in trained_on.contents}
    exact = np.array(
        [any(digest[:length] in trained_on.contents for length in lengths) for digest in images.digests], np.bool_
    )
    near = np.zeros(len(exact), dtype=np.bool_)
    if trained_on.pictures:
        near = same_pictures(picture_hashes(images.pixels, images.rows), trained_on.pictures) & ~exact
    return exact, near


def seen_findings(manifest: Manifest, images: PixelCache, trained_on: KnownImages) -> list[Finding]:
    """Which of the images the model was trained or chosen on, and which are other files of the same pictures.

    Args:
        manifest: the images that the model is to be judged on.
        images: their contents and pixels, in the order of the manifest.
        trained_on: the images that the model was made with.
    """
    exact, near = seen_images(images, trained_on)
    return [
        *_finding(manifest, exact, "are among those that the model was trained or chosen on"),
        *_finding(
            manifest,
            near,
            "are copies of images that the model was trained or chosen on (the same picture in other bytes)",
        ),
    ]


def _finding(manifest: Manifest, seen: npt.NDArray[np.bool_], words: str) -> list[Finding]:
    paths = manifest.table["path"].to_numpy()[seen]
    if not len(paths):
        return []
    return [
        Finding(
            check="leak",
            severity="block",
            message=f"{len(paths)} of the {len(manifest)} images {words}: what it says of them is not evidence. Give "
            "images that it has never seen.",
            count=len(paths),
            examples=tuple(paths[:EXAMPLES]),
        )
    ]
