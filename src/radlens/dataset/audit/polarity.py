"""Which way round the pictures are: raw detector values among others, and negatives told by what the pictures show."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from radlens.dataset.audit.findings import Finding
from radlens.dataset.audit.image_facts import thumbnails
from radlens.dataset.manifest import Manifest
from radlens.imaging.cache.pixel_cache import PixelCache
from radlens.imaging.dicom.polarity import RAW_VALUES

EXAMPLES = 10
SHOWN = 6
# Correlation of an image's 8 x 8 thumbnail with the mean of all. Of 1,086 chest radiographs of three sets none lies
# below this, and of those turned over 98.5 to 100 % do (benchmarks/negatives.py).
NEGATIVE = -0.3
# Where half of the images are less alike than this, they are of several kinds, and there is no typical one.
ALIKE = 0.4
FEWEST = 20
_ROUNDS = 3


def presentation_findings(manifest: Manifest, cache: PixelCache) -> list[Finding]:
    """Images of raw detector values (DICOM, FOR PROCESSING): a warning where others are among them, else a note."""
    raw = np.array(
        [facts is not None and any(remark.startswith(RAW_VALUES) for remark in facts.remarks) for facts in cache.facts],
        dtype=np.bool_,
    )
    if not raw.any():
        return []
    mixed = not raw.all()
    message = f"{int(raw.sum())} of {len(raw)} image(s) are raw detector values (DICOM, FOR PROCESSING), which are "
    message += "meant for further processing and not for display. They are shown with bone white where their header "
    message += "tells the polarity, but without the contrast that a workstation gives. "
    message += (
        "The others are meant for display: a model sees the two as different kinds of picture, and may learn the kind "
        "instead of the disease. Keep one kind."
        if mixed
        else "A model that learns from them should get no others in use."
    )
    of_label = Counter(manifest.table["label"][raw])
    return [
        Finding(
            check="presentation_intent",
            severity="warn" if mixed else "note",
            message=message,
            count=int(raw.sum()),
            examples=tuple(f"{label}: {count} image(s)" for label, count in of_label.most_common(EXAMPLES)),
            groups=_pair(manifest, raw) if mixed else (),
        )
    ]


def negative_findings(manifest: Manifest, cache: PixelCache) -> list[Finding]:
    """Warn of pictures that look like negatives of the others, whatever their headers say."""
    negative = find_negatives(thumbnails(cache, np.arange(len(manifest))))
    if not negative.any():
        return []
    paths = manifest.table["path"][negative]
    return [
        Finding(
            check="polarity",
            severity="warn",
            message=f"{len(paths)} of {len(manifest)} image(s) look like negatives of the others: dark where these are "
            "bright, and bright where these are dark. Bone is to be white in all of them. Look at them, and turn their "
            "grey levels over or leave them out.",
            count=len(paths),
            examples=tuple(paths.head(EXAMPLES)),
            groups=_pair(manifest, negative),
        )
    ]


def find_negatives(small: npt.NDArray[np.float32]) -> npt.NDArray[np.bool_]:
    """Which of some pictures are dark where the others are bright; none where they are few or of several kinds.

    The typical picture is the mean of all, each turned over where that makes it more like the mean; so a few negatives
    do not blur it, and the side that the larger part is on is taken for the right one.

    Args:
        small: shape (images, fields), grey levels averaged over fields of the picture.
    """
    if len(small) < FEWEST:
        return np.zeros(len(small), dtype=np.bool_)
    centred = small - small.mean(axis=1, keepdims=True)
    patterns = centred / np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), 1e-6)
    typical = patterns.mean(axis=0)
    for _ in range(_ROUNDS):
        sides = np.where(patterns @ typical < 0, -1.0, 1.0)
        typical = (patterns * sides[:, np.newaxis]).mean(axis=0)
    likeness = patterns @ typical / max(float(np.linalg.norm(typical)), 1e-6)
    if np.median(likeness) < 0:
        likeness = -likeness
    if np.median(np.abs(likeness)) < ALIKE:
        return np.zeros(len(small), dtype=np.bool_)
    return np.asarray(likeness < NEGATIVE)


def _pair(manifest: Manifest, apart: Sequence[bool] | npt.NDArray[np.bool_]) -> tuple[tuple[str, ...], ...]:
    """Paths of some images that stand apart, and of one of the others to look at next to each."""
    chosen = np.asarray(apart)
    paths = manifest.table["path"]
    return tuple(zip(paths[chosen].head(SHOWN), paths[~chosen].head(SHOWN), strict=False))
