"""A bug of our own is not taken for a damaged image; whatever a third party's decoder raises is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile

from made_pictures import encoded, noise
from radlens.imaging.decode import DecodeError, decode

BUGS = [TypeError, AttributeError, AssertionError, KeyError, ValueError]


def raising(error: type[Exception]) -> Any:
    def failing(*_: Any, **__: Any) -> Any:
        raise error("a bug")

    return failing


@pytest.mark.parametrize("error", BUGS)
@pytest.mark.parametrize("form", ["PNG", "JPEG", "TIFF", "BMP", "WEBP"])
def test_a_bug_of_our_own_surfaces(form: str, error: type[Exception], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("radlens.imaging.decode.displayed", raising(error))
    with pytest.raises(error, match="a bug"):
        decode("x", encoded(noise(3), form))


@pytest.mark.parametrize("error", BUGS)
@pytest.mark.parametrize("step", ["read_dicom", "read_form", "read_values", "render_grey"])
def test_a_bug_of_our_own_in_reading_dicom_surfaces(
    step: str, error: type[Exception], dicom: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(f"radlens.imaging.dicom.picture.{step}", raising(error))
    with pytest.raises(error, match="a bug"):
        dicom.shown(dicom.dataset())


@pytest.mark.parametrize("error", BUGS)
def test_a_bug_of_our_own_in_reading_arrays_surfaces(
    error: type[Exception], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    np.savez(tmp_path / "set.npz", images=noise()[None])
    monkeypatch.setattr("radlens.imaging.arrays.require_size", raising(error))
    with pytest.raises(error, match="a bug"):
        decode(f"{tmp_path / 'set.npz'}::images/0")


@pytest.mark.parametrize("error", [*BUGS, OSError, MemoryError, SyntaxError, RuntimeError, UserWarning])
@pytest.mark.parametrize(("form", "decoder"), [("PNG", PngImageFile), ("JPEG", JpegImageFile), ("TIFF", TiffImageFile)])
def test_whatever_a_decoder_raises_means_damage(
    form: str, decoder: type, error: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decoder, "load", raising(error))
    with pytest.raises(DecodeError, match=r"^x: the image is damaged \(.*a bug"):
        decode("x", encoded(noise(3), form))


def test_a_lack_of_memory_rejects_one_image_and_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("radlens.imaging.decode.displayed", raising(MemoryError))
    with pytest.raises(DecodeError, match=r"^x: there is not enough memory"):
        decode("x", encoded(noise(3), "PNG"))
