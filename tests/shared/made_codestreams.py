"""Frames in every compressed form of DICOM, by encoders of their own."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest

imagecodecs = pytest.importorskip("imagecodecs", reason="imagecodecs is not installed (radlens[dicom])")

UID = "1.2.840.10008.1.2.4."
BASELINE, EXTENDED, LOSSLESS, LOSSLESS_SV1 = (UID + number for number in ("50", "51", "57", "70"))
LS, LS_NEAR, J2K_LOSSLESS, J2K = (UID + number for number in ("80", "81", "90", "91"))
HTJ2K_LOSSLESS, HTJ2K_RPCL, HTJ2K = (UID + number for number in ("201", "202", "203"))

RNG = np.random.default_rng(7)
SMOOTH = np.add.outer(np.arange(48) * 40, np.arange(64) * 25)
VALUES12 = (SMOOTH + RNG.integers(0, 60, SMOOTH.shape)).clip(0, 4095).astype(np.uint16)
VALUES8 = (VALUES12 >> 4).astype(np.uint8)
COLOURS = np.stack([VALUES8, VALUES8[::-1], VALUES8[:, ::-1]], axis=2)

Encoder = Callable[[npt.NDArray[np.generic]], bytes]


def jpeg12(values: npt.NDArray[np.generic]) -> bytes:
    """JPEG extended, 12 bits."""
    return bytes(imagecodecs.jpeg8_encode(values, level=100, bitspersample=12))


def jpeg_lossless(values: npt.NDArray[np.generic]) -> bytes:
    """JPEG lossless."""
    return bytes(imagecodecs.jpeg8_encode(values, lossless=True, bitspersample=8 * values.dtype.itemsize))


def jpeg_ls(values: npt.NDArray[np.generic]) -> bytes:
    """JPEG-LS without loss."""
    return bytes(imagecodecs.jpegls_encode(values))


def jpeg_ls_near(values: npt.NDArray[np.generic]) -> bytes:
    """JPEG-LS within 2 grey values."""
    return bytes(imagecodecs.jpegls_encode(values, level=2))


def jpeg_2000(values: npt.NDArray[np.generic]) -> bytes:
    """JPEG 2000 without loss."""
    return bytes(imagecodecs.jpeg2k_encode(values, codecformat="j2k", level=0, mct=False))


def jpeg_2000_lossy(values: npt.NDArray[np.generic]) -> bytes:
    """JPEG 2000 with loss."""
    return bytes(imagecodecs.jpeg2k_encode(values, codecformat="j2k", level=85, reversible=False))


def htj2k(values: npt.NDArray[np.generic]) -> bytes:
    """High-throughput JPEG 2000 without loss."""
    return bytes(imagecodecs.htj2k_encode(values, reversible=True))


def htj2k_lossy(values: npt.NDArray[np.generic]) -> bytes:
    """High-throughput JPEG 2000 with loss."""
    return bytes(imagecodecs.htj2k_encode(values, reversible=False))


LOSSLESS_FORMS: dict[str, tuple[str, Encoder]] = {
    "JPEG lossless": (LOSSLESS_SV1, jpeg_lossless),
    "JPEG lossless process 14": (LOSSLESS, jpeg_lossless),
    "JPEG-LS": (LS, jpeg_ls),
    "JPEG-LS in the near syntax": (LS_NEAR, jpeg_ls),
    "JPEG 2000": (J2K_LOSSLESS, jpeg_2000),
    "JPEG 2000 in the lossy syntax": (J2K, jpeg_2000),
    "HTJ2K": (HTJ2K_LOSSLESS, htj2k),
    "HTJ2K RPCL": (HTJ2K_RPCL, htj2k),
    "HTJ2K in the lossy syntax": (HTJ2K, htj2k),
}
LOSSY_FORMS: dict[str, tuple[str, Encoder]] = {
    "JPEG extended": (EXTENDED, jpeg12),
    "JPEG-LS near": (LS_NEAR, jpeg_ls_near),
    "JPEG 2000": (J2K, jpeg_2000_lossy),
    "HTJ2K": (HTJ2K, htj2k_lossy),
}
ALL_FORMS = {**LOSSLESS_FORMS, **{f"{name}, lossy": form for name, form in LOSSY_FORMS.items()}}
