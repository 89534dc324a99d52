"""How each picture is framed: how much is shown above, below and to the sides of the chest, and grey by row and column.

The chest is sought once, in the picture that is typical of the set (:mod:`radlens.dataset.audit.typical_picture`), by
two dark fields left and right of something brighter; where the typical picture has none, its middle stands for the
chest. Each image's frame follows from the window of the typical picture that it shows. So the facts hold where the
lungs of one image are white, and hold as well for other parts of the body.

On 120 images drawn from the training images of the Kaggle chest X-ray set, the box lay by eye where it belongs in 118;
among the 60 that were least like the typical picture, about one in five was wrong.

Limits: only position, height and width are told, no tilt; an image that is unlike the typical one (another view or
part of the body) has no facts; in a set of several kinds of pictures most have none. The build of a patient, the
breath and the age move the edges of the lungs too, so that facts may differ a little between classes that were framed
alike.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from radlens.dataset.audit.thumbnails import equalised
from radlens.dataset.audit.typical_picture import (
    FEWEST,
    HIGH,
    LOW,
    Windows,
    fit_windows,
    structures,
    typical_picture,
)
from radlens.imaging.cache.pixel_cache import PixelCache
from radlens.imaging.framing import Framing

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

PROFILE = 32
# What each fact is a share of: the picture's height or width, its area, or nothing (a ratio).
VERTICAL = ("chest_height", "above_chest", "below_chest")
HORIZONTAL = ("chest_width", "left_of_chest", "right_of_chest")
BOTH = ("chest_aspect", "chest_share")
FACTS = (*VERTICAL, *HORIZONTAL, *BOTH)

# Pictures less like their window than this are not of the typical kind, and nothing is said of them.
LEAST_SIMILAR = 0.55

MIDDLE = Framing(0.15, 0.85, 0.15, 0.85)
# A field is dark when the brighter part between the two stands out by this share of the profile's range.
_STANDS_OUT = 0.2
_CHUNK = 512


def framing_facts(cache: PixelCache, images: Ints, seed: int) -> pd.DataFrame:
    """How the chest lies in each picture, seen from all of them together.

    Args:
        cache: the pixels.
        images: positions of the images wanted.
        seed: which of them the typical picture is made of.

    Returns:
        One row for each of ``images`` with the columns ``FACTS``: the chest's height and what lies above and below it
        as shares of the picture's height (below 0: cut off), its width and what lies left and right of it as shares of
        the width, its height by its width in pixels of the picture as the network gets it, and its share of the area.
        NaN where the picture is unlike the others, and for fewer than 20 images.
    """
    if len(images) < FEWEST:
        return pd.DataFrame(np.full((len(images), len(FACTS)), np.nan), columns=list(FACTS))
    pictures = structures(cache, images)
    canvas = typical_picture(pictures, seed)
    height, width = cache.pixels.shape[2:]
    return _facts(fit_windows(pictures, canvas), chest_of(canvas), height / width)


def _facts(windows: Windows, chest: Framing, form: float) -> pd.DataFrame:
    known = windows.similarity >= LEAST_SIMILAR
    start, length = (np.where(known[:, None], each, np.nan) for each in (windows.start, windows.length))
    first = (np.array([chest.top, chest.left]) - start) / length
    last = (np.array([chest.bottom, chest.right]) - start) / length
    size = last - first
    columns = {
        "chest_height": size[:, 0],
        "above_chest": first[:, 0],
        "below_chest": 1 - last[:, 0],
        "chest_width": size[:, 1],
        "left_of_chest": first[:, 1],
        "right_of_chest": 1 - last[:, 1],
        "chest_aspect": form * size[:, 0] / size[:, 1],
        "chest_share": (np.clip(last, 0, 1) - np.clip(first, 0, 1)).prod(axis=1),
    }
    return pd.DataFrame(columns)[list(FACTS)]


def chest_of(canvas: Floats) -> Framing:
    """The box around two dark fields left and right of something brighter, in the typical picture's frame.

    From the bright middle outwards, a field is where the profile of the columns falls and rises again; the darkest
    places of both fields tell, row by row, how high they are, and the lower rows how wide. An edge is half way up from
    a field to what encloses it. Where there is no such pair, the middle 70 % of the height and of the width stand for
    what is shown.

    Args:
        canvas: from :func:`radlens.dataset.audit.typical_picture.typical_picture`.
    """
    side = len(canvas)
    first, last = round(-LOW / (HIGH - LOW) * side), round((1 - LOW) / (HIGH - LOW) * side)
    inner = canvas[first:last, first:last].astype(np.float64)
    low, high, bottom = (round(share * len(inner)) for share in (0.3, 0.65, 0.75))
    across = inner[low:high].mean(axis=0)
    centre = low + int(across[low:high].argmax())
    left, right = _field(across[centre::-1]), _field(across[centre:])
    if left is None or right is None:
        return MIDDLE
    left, right = centre - left, centre + right
    # The darkest place of each field in a row: the tops of the lungs lie further inwards than their bases.
    down = (inner[:, left:centre].min(axis=1) + inner[:, centre + 1 : right + 1].min(axis=1)) / 2
    dark = low + int(down[low:bottom].argmin())
    top, base = dark + 0.5 - _edge(down[dark::-1]), dark + 0.5 + _edge(down[dark:])
    widest = inner[round((top + base) / 2) : round(base)].mean(axis=0)
    return Framing(
        top=top / len(inner),
        bottom=base / len(inner),
        left=(left + 0.5 - _edge(widest[left::-1])) / len(inner),
        right=(right + 0.5 + _edge(widest[right:])) / len(inner),
    )


def _field(profile: Doubles) -> int | None:
    """Steps to the first place that is darker than both sides of it, by enough to count; None without one."""
    enough, darkest = _STANDS_OUT * np.ptp(profile), 0
    for at, value in enumerate(profile):
        if value < profile[darkest]:
            darkest = at
        elif 1 <= darkest < at and min(value, profile[0]) - profile[darkest] > enough:
            return darkest
    return None


def _edge(profile: Doubles) -> float:
    """Steps from a dark place to half the height of the highest summit after it, sought from the summit backwards."""
    summit = int(profile.argmax())
    if summit == 0:
        return 0.5
    level = (profile[0] + profile[summit]) / 2
    at = int(np.flatnonzero(profile[:summit] < level)[-1])
    return float(at + (level - profile[at]) / (profile[at + 1] - profile[at]))


def profiles(cache: PixelCache, images: Ints) -> tuple[Floats, Floats]:
    """Mean grey of 32 rows and of 32 columns, each of shape (images, 32), exposure and contrast apart.

    Of each grey level only its rank among the picture's own counts, -0.5 to 0.5.
    """
    result = np.empty((2, len(images), PROFILE), dtype=np.float32)
    for start in range(0, len(images), _CHUNK):
        part = equalised(cache.pixels[cache.rows[images[start : start + _CHUNK]]], PROFILE)
        result[:, start : start + len(part)] = part.mean(axis=2), part.mean(axis=1)
    return result[0], result[1]
