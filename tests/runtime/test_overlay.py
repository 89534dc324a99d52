"""Overlays show where a map says for and against, at the place in the picture that the network saw there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from radlens.base.errors import DataError
from radlens.imaging.pixels import read_pixels
from radlens.imaging.preprocess import Preprocessing
from radlens.runtime.answers import Answer
from radlens.runtime.loading import load
from radlens.runtime.overlay import overlay

ANSWER = Answer("x.png", "PNEUMONIA", {"NORMAL": 0.1, "PNEUMONIA": 0.9})


def redness(image: Image.Image, size: tuple[int, int]) -> npt.NDArray[np.int16]:
    """Red less blue in the part of the overlay that is the picture."""
    pixels = np.asarray(image.crop((0, 0, *size)), dtype=np.int16)
    return pixels[..., 0] - pixels[..., 2]


def drawn(tiny: Any, fit: str, size: tuple[int, int], cam: npt.NDArray[np.float32]) -> npt.NDArray[np.int16]:
    contract = Preprocessing.model_validate({"height": 80, "width": 80, "fit": fit})
    config = tiny(contract=contract).config()
    return redness(overlay(Image.new("L", size, 100), cam, ANSWER, config), size)


def test_red_is_for_and_blue_against(tiny: Any) -> None:
    cam = np.zeros((1, 10, 10), np.float32)
    cam[0, :5], cam[0, 5:] = 2.0, -4.0
    shown = drawn(tiny, "squash", (300, 200), cam)
    assert shown.shape == (200, 300)
    assert (shown[:80] > 0).all()
    assert (shown[120:] < 0).all()
    assert abs(int(shown[180, 150])) > int(shown[20, 150]), "the larger value is the stronger colour"


@pytest.mark.parametrize(
    ("fit", "size", "inside", "outside"),
    [
        # The map's middle row, of what the network sees, lies in the picture's middle whatever the fit.
        ("squash", (200, 400), np.s_[180:220], np.s_[:120]),
        ("pad", (400, 100), np.s_[30:70], np.s_[:0]),
        ("crop", (100, 400), np.s_[190:210], np.s_[:140]),
    ],
)
def test_the_map_lies_where_the_network_saw_it(
    tiny: Any, fit: str, size: tuple[int, int], inside: slice, outside: slice
) -> None:
    cam = np.zeros((1, 10, 10), np.float32)
    cam[0, 4:6] = 1.0
    shown = drawn(tiny, fit, size, cam)
    assert (shown[inside] > 20).all()
    assert (shown[outside] == 0).all()


def test_what_was_cut_off_bears_no_colour(tiny: Any) -> None:
    shown = drawn(tiny, "crop", (100, 400), np.ones((1, 10, 10), np.float32))
    assert (shown[160:240] > 20).all()
    assert (shown[:145] == 0).all()
    assert (shown[255:] == 0).all()


def test_the_class_of_the_answer_is_shown(tiny: Any) -> None:
    network = tiny("multiclass", ("a", "b", "c"))
    cam = np.stack([np.full((3, 4), value, np.float32) for value in (-1, 1, -1)])
    for p, sign in (((0.2, 0.5, 0.3), 1), ((0.2, 0.3, 0.5), -1)):
        answer = Answer("x", "abc"[int(np.argmax(p))], dict(zip("abc", p, strict=True)))
        shown = redness(overlay(Image.new("L", (64, 64), 90), cam, answer, network.config()), (64, 64))
        assert (np.sign(shown) == sign).all()


@pytest.mark.parametrize("size", [(1, 1), (28, 28), (2000, 30), (5, 900)])
def test_every_size_is_drawn_and_has_room_for_its_legend(tiny: Any, size: tuple[int, int]) -> None:
    picture = overlay(Image.new("L", size), np.zeros((1, 3, 4), np.float32), ANSWER, tiny().config())
    assert picture.width == max(320, size[0])
    assert picture.height > size[1] + 40
    legend = np.asarray(picture.crop((0, size[1], *picture.size)))
    assert legend.max() == 255, "there is white text"
    bar = legend.reshape(-1, 3).astype(int)
    assert (bar[:, 0] - bar[:, 2]).max() > 50
    assert (bar[:, 2] - bar[:, 0]).max() > 50


def test_explain_shows_the_networks_own_map(tiny: Any, tiny_folder: Path, pictures: list[Path]) -> None:
    model, network = load(tiny_folder), tiny()
    for path in (pictures[0], pictures[2]):
        pixels, _ = read_pixels(str(path), model.preprocessing)
        cam = network.cam(pixels[np.newaxis])[0]
        with Image.open(path) as picture:
            size = picture.size
        shown = redness(model.explain(path), size)
        patches = np.array([[part.mean() for part in np.array_split(row, 4, 1)] for row in np.array_split(shown, 3, 0)])
        assert np.corrcoef(patches.ravel(), cam.ravel())[0, 1] > 0.9
    assert redness(model.explain(pictures[0].read_bytes()), size).shape == size[::-1]
    assert model.explain(np.zeros((40, 50), np.uint8)).width == 320


def test_a_model_without_maps_says_so(tiny: Any, tmp_path: Path, pictures: list[Path]) -> None:
    model = load(tiny().write(tmp_path / "model", has_cam=False))
    assert not model.predict(pictures[0]).error
    with pytest.raises(DataError, match=r"no class activation maps: its network \(tiny\) has no global pooling"):
        model.explain(pictures[0])
    with pytest.raises(DataError, match="no class activation maps"):
        list(model.stream(pictures, onlooker=lambda *_: None))
