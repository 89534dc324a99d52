"""What is known of an image besides its anatomy: its file, its header, its grey levels, and how its edges look."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from radlens.dataset.manifest import Manifest
from radlens.imaging.cache.pixel_cache import PixelCache

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
Kind = Literal["file", "header", "intensity", "border", "framing"]

FILE_FACTS = ("bytes", "bytes_per_pixel", "width", "height", "aspect", "mode", "format", "compression")
INTENSITY_FACTS = ("intensity_mean", "intensity_std")
# What a manifest may call a fact of the acquisition or of the patient, in lower case with underscores.
HEADER_FACTS: Mapping[str, tuple[str, ...]] = {
    "manufacturer": ("manufacturer", "vendor"),
    "site": ("site", "institution", "hospital"),
    "modality": ("modality",),
    "view": ("view", "view_position"),
    "age": ("age", "patient_age"),
    "sex": ("sex", "patient_sex", "gender", "patient_gender"),
    "laterality": ("laterality",),
    "body_part": ("body_part", "body_part_examined"),
}
THUMBNAIL = 8
# The outer frame that the border view sees, and the side of a corner, as shares of height and width.
FRAME = 0.06
CORNER = 0.12
PIECES = 16

_SIDES = ("top", "bottom", "left", "right")
_CHUNK = 256
_AGE = re.compile(r"^\s*(\d+(?:\.\d+)?)\s*([YMWD]?)\s*$", re.IGNORECASE)
_PER_YEAR = {"": 1.0, "Y": 1.0, "M": 12.0, "W": 52.18, "D": 365.25}


def kind_of(fact: str) -> Kind:
    """Where a fact of :func:`image_facts` comes from.

    >>> kind_of("bytes"), kind_of("sex"), kind_of("border_top_mean")
    ('file', 'header', 'border')
    """
    if fact in FILE_FACTS:
        return "file"
    if fact in HEADER_FACTS:
        return "header"
    return "intensity" if fact in INTENSITY_FACTS else "border"


def is_numeric(facts: pd.Series) -> bool:
    """Whether a column of :func:`image_facts` holds numbers (NaN where unknown), not names (empty where unknown)."""
    return bool(pd.api.types.is_numeric_dtype(facts))


def image_facts(manifest: Manifest, cache: PixelCache, images: Ints, *, border: bool = True) -> pd.DataFrame:
    """The facts of some images.

    Args:
        manifest: the images.
        cache: their pixels and file facts, in the same order.
        images: positions of the images wanted, all of them readable.
        border: also read the pixels, for mean and standard deviation of each side and corner of the picture as the
            network gets it (0 to 255).

    Returns:
        One row for each of ``images``; numbers as float (NaN where unknown), names as text (empty where unknown).
        Facts of the header are there when the manifest has such a column.
    """
    known = [cache.facts[image] for image in images.tolist()]
    facts = [fact for fact in known if fact is not None]
    if len(facts) != len(known):
        raise ValueError(f"{len(known) - len(facts)} of the images could not be read and have no facts")
    width = np.array([fact.width for fact in facts], dtype=np.float64)
    height = np.array([fact.height for fact in facts], dtype=np.float64)
    size = np.array([fact.bytes for fact in facts], dtype=np.float64)
    columns: dict[str, object] = {
        "bytes": size,
        "bytes_per_pixel": size / (width * height),
        "width": width,
        "height": height,
        "aspect": width / height,
        "mode": [fact.mode for fact in facts],
        "format": [fact.format for fact in facts],
        "compression": [fact.compression for fact in facts],
    }
    columns |= _header_facts(manifest.table.iloc[images])
    columns["intensity_mean"] = np.array([fact.mean for fact in facts])
    columns["intensity_std"] = np.array([fact.std for fact in facts])
    if border:
        columns |= border_statistics(cache, images)
    return pd.DataFrame(columns)


def _header_facts(table: pd.DataFrame) -> dict[str, object]:
    spelled = {re.sub(r"[\s\-]+", "_", str(name).strip().lower()): name for name in reversed(table.columns)}
    columns: dict[str, object] = {}
    for fact, names in HEADER_FACTS.items():
        column = next((spelled[name] for name in names if name in spelled), None)
        if column is None:
            continue
        cells = table[column].fillna("").astype(str).str.strip()
        columns[fact] = ages_in_years(cells) if fact == "age" else cells.tolist()
    return columns


def ages_in_years(cells: pd.Series) -> npt.NDArray[np.float64]:
    """Ages in years, of ``57``, ``057Y`` or ``006M``; NaN for anything else."""
    years = {cell: _to_years(cell) for cell in cells.unique()}
    return cells.map(years).to_numpy(dtype=np.float64)


def _to_years(cell: str) -> float:
    match = _AGE.match(cell)
    return float(match[1]) / _PER_YEAR[match[2].upper()] if match else float("nan")


def border_statistics(cache: PixelCache, images: Ints) -> dict[str, npt.NDArray[np.float64]]:
    """Mean and standard deviation of the grey levels in each side of the frame and in each corner."""
    height, width = cache.pixels.shape[2:]
    deep, wide = _depth(height, FRAME), _depth(width, FRAME)
    tall, broad = _depth(height, CORNER), _depth(width, CORNER)
    areas = {
        "border_top": np.s_[:, :deep],
        "border_bottom": np.s_[:, -deep:],
        "border_left": np.s_[:, :, :wide],
        "border_right": np.s_[:, :, -wide:],
        "corner_top_left": np.s_[:, :tall, :broad],
        "corner_top_right": np.s_[:, :tall, -broad:],
        "corner_bottom_left": np.s_[:, -tall:, :broad],
        "corner_bottom_right": np.s_[:, -tall:, -broad:],
    }
    names = [f"{area}_{what}" for area in areas for what in ("mean", "std")]
    values = np.empty((len(images), len(names)))
    for start, pictures in _grey(cache, images):
        columns = []
        for area in areas.values():
            part = pictures[area].reshape(len(pictures), -1)
            columns += [part.mean(axis=1), part.std(axis=1)]
        values[start : start + len(pictures)] = np.stack(columns, axis=1)
    return dict(zip(names, values.T, strict=True))


def thumbnails(cache: PixelCache, images: Ints) -> Floats:
    """Each picture averaged over 8 x 8 fields, shape (images, 64), 0 to 255: structure finer than an eighth is gone."""
    height, width = cache.pixels.shape[2:]
    rows, columns = _edges(height, THUMBNAIL), _edges(width, THUMBNAIL)
    area = np.outer(np.diff(rows), np.diff(columns))
    result = np.empty((len(images), THUMBNAIL * THUMBNAIL), dtype=np.float32)
    for start, pictures in _grey(cache, images):
        sums = np.add.reduceat(np.add.reduceat(pictures, rows[:-1], axis=1), columns[:-1], axis=2)
        result[start : start + len(pictures)] = (sums / area).reshape(len(pictures), -1)
    return result


def borders(cache: PixelCache, images: Ints) -> Floats:
    """The outer frame alone: mean and standard deviation in 16 pieces of each side, shape (images, 128), 0 to 255."""
    height, width = cache.pixels.shape[2:]
    deep, wide = _depth(height, FRAME), _depth(width, FRAME)
    result = np.empty((len(images), 2 * len(_SIDES) * PIECES), dtype=np.float32)
    for start, pictures in _grey(cache, images):
        flat = pictures.transpose(0, 2, 1)
        sides = [pictures[:, :deep], pictures[:, -deep:], flat[:, :wide], flat[:, -wide:]]
        moments = [moment for side in sides for moment in _pieces(side)]
        result[start : start + len(pictures)] = np.concatenate(moments, axis=1)
    return result


def _pieces(side: Floats) -> tuple[Floats, Floats]:
    """Mean and standard deviation in pieces along a side of shape (images, depth, length), each (images, pieces)."""
    # A side shorter than the pieces repeats its pixels.
    edges = _edges(max(side.shape[2], PIECES), PIECES)
    if side.shape[2] < PIECES:
        side = side[:, :, np.arange(PIECES) * side.shape[2] // PIECES]
    area = side.shape[1] * np.diff(edges)
    mean = np.add.reduceat(side.sum(axis=1), edges[:-1], axis=1) / area
    square = np.add.reduceat((side**2).sum(axis=1), edges[:-1], axis=1) / area
    return mean, np.sqrt(np.maximum(square - mean**2, 0))


def _grey(cache: PixelCache, images: Ints) -> Iterator[tuple[int, Floats]]:
    """The pictures in chunks, channels averaged, shape (some images, height, width), with the position of the first."""
    for start in range(0, len(images), _CHUNK):
        part = cache.pixels[cache.rows[images[start : start + _CHUNK]]]
        yield start, part.mean(axis=1, dtype=np.float32)


def _depth(length: int, share: float) -> int:
    return max(1, round(share * length))


def _edges(length: int, parts: int) -> Ints:
    return np.linspace(0, length, parts + 1).astype(np.int64)
