"""Facts of images whose pixels and files are known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from fixture_types import MakeImages
from radlens.dataset.audit.image_facts import borders, image_facts, is_numeric, kind_of, thumbnails


def test_facts_of_files_headers_and_intensity(make_images: MakeImages) -> None:
    manifest, cache = make_images(
        ["ill", "well", "well"],
        facts={"bytes": [8000, 4000, 2000], "mode": ["RGB", "L", "L"], "compression": ["baseline", "", "LZW"]},
        columns={
            "Patient Age": ["057Y", "006M", "unknown"],
            "Gender": ["F", " M ", ""],
            "View Position": ["PA", "AP", None],
            "mask": ["masks/1.png", "", ""],
        },
    )
    facts = image_facts(manifest, cache, np.array([0, 2]))
    assert facts["bytes"].tolist() == [8000, 2000]
    assert facts["bytes_per_pixel"].tolist() == [1.0, 0.25]
    assert facts["aspect"].tolist() == [1.25, 1.25]
    assert facts["mode"].tolist() == ["RGB", "L"]
    assert facts["compression"].tolist() == ["baseline", "LZW"]
    assert facts["age"].tolist() == pytest.approx([57.0, np.nan], nan_ok=True)
    assert facts["sex"].tolist() == ["F", ""]
    assert facts["view"].tolist() == ["PA", ""]
    assert facts["intensity_mean"].tolist() == [100.0, 100.0]
    assert image_facts(manifest, cache, np.array([1]))["age"].tolist() == [0.5]
    assert not {"mask", "site", "label", "patient", "path"} & set(facts)
    assert {name: kind_of(name) for name in ("bytes", "view", "intensity_std", "corner_top_left_mean")} == {
        "bytes": "file",
        "view": "header",
        "intensity_std": "intensity",
        "corner_top_left_mean": "border",
    }
    assert [name for name in facts if not is_numeric(facts[name])] == ["mode", "format", "compression", "view", "sex"]


def test_an_image_that_could_not_be_read_has_no_facts(make_images: MakeImages) -> None:
    manifest, cache = make_images(["ill", "well"])
    with pytest.raises(ValueError, match="1 of the images"):
        image_facts(manifest, replace(cache, facts=(cache.facts[0], None)), np.arange(2))


def test_sides_and_corners(make_images: MakeImages) -> None:
    pixels = np.zeros((2, 1, 100, 50), np.uint8)
    pixels[0, 0, :6] = 200  # the frame's depth is 6 of 100 rows
    pixels[1, 0, -12:, :6] = 80  # a corner is 12 of 100 rows and 6 of 50 columns
    manifest, cache = make_images(["ill", "well"], pixels=pixels)
    facts = image_facts(manifest, cache, np.arange(2))
    assert facts["border_top_mean"].tolist() == [200, 0]
    assert facts["border_top_std"].tolist() == [0, 0]
    assert facts["border_left_mean"].tolist() == pytest.approx([12.0, 9.6])
    assert facts["corner_top_right_mean"].tolist() == [100, 0]
    assert facts["corner_top_right_std"].tolist() == [100, 0]
    assert facts["corner_bottom_left_mean"].tolist() == [0, 80]
    assert facts["corner_bottom_right_mean"].tolist() == [0, 0]
    assert "border_top_mean" not in image_facts(manifest, cache, np.arange(2), border=False)


def test_images_find_their_rows(make_images: MakeImages) -> None:
    pixels = np.stack([np.full((1, 16, 16), level, np.uint8) for level in (10, 20, 30)])
    manifest, cache = make_images(["ill", "well", "ill"], pixels=pixels, rows=[2, 0, 2])
    assert image_facts(manifest, cache, np.array([0, 1]))["border_top_mean"].tolist() == [30, 10]
    assert thumbnails(cache, np.array([1, 2])).mean(axis=1).tolist() == [10, 30]


@pytest.mark.parametrize(("height", "width", "channels"), [(16, 16, 1), (150, 150, 1), (8, 37, 3)])
def test_thumbnail_keeps_the_mean_of_each_field(
    make_images: MakeImages, height: int, width: int, channels: int
) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (300, channels, height, width), dtype=np.uint8)
    _, cache = make_images(["ill", "well"] * 150, pixels=pixels)
    found = thumbnails(cache, np.arange(300)).reshape(300, 8, 8)
    rows, columns = (np.linspace(0, length, 9).astype(int) for length in (height, width))
    for row, column in ((0, 0), (3, 5), (7, 7)):
        field = pixels[:, :, rows[row] : rows[row + 1], columns[column] : columns[column + 1]]
        assert found[:, row, column] == pytest.approx(field.mean(axis=(1, 2, 3)), abs=0.01)


def test_border_does_not_see_the_inside(make_images: MakeImages) -> None:
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (4, 1, 100, 100), dtype=np.uint8)
    inside = pixels.copy()
    inside[:, :, 6:-6, 6:-6] = 0
    views = [borders(make_images(["ill", "well"] * 2, pixels=each)[1], np.arange(4)) for each in (pixels, inside)]
    assert views[0].shape == (4, 128)
    assert (views[0] == views[1]).all()
    # The first piece of the top side: 6 rows by 6 columns.
    assert views[0][:, 0] == pytest.approx(pixels[:, 0, :6, :6].mean(axis=(1, 2)), abs=0.01)
    assert views[0][:, 16] == pytest.approx(pixels[:, 0, :6, :6].std(axis=(1, 2)), abs=0.01)


def test_border_of_a_tiny_picture(make_images: MakeImages) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (2, 1, 8, 8), dtype=np.uint8)
    found = borders(make_images(["ill", "well"], pixels=pixels)[1], np.arange(2))
    assert found.shape == (2, 128)
    assert found[:, 0] == pytest.approx(pixels[:, 0, 0, 0].astype(float))
