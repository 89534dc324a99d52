from __future__ import annotations

import base64
import io
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from radlens.reporting.embed import Chart, to_picture, to_svg
from radlens.reporting.figures.style import new_figure, styled


def decoded(uri: str) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))))


@styled
def small_figure(label: str = "label") -> Figure:
    figure = new_figure(2, 3)
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], label=label, marker="o")
    axes.set_title(label)
    axes.imshow(np.eye(4))
    return figure


def test_a_tiny_image_is_kept_pixel_by_pixel() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (28, 28), dtype=np.uint8)
    picture = to_picture(pixels)
    assert picture.tiny
    assert picture.uri.startswith("data:image/png;base64,")
    np.testing.assert_array_equal(decoded(picture.uri), pixels)


def test_a_large_image_is_reduced_and_looks_the_same() -> None:
    rows, columns = np.mgrid[0:400, 0:600]
    pixels = ((rows + columns) / 1000 * 255).astype(np.uint8)
    picture = to_picture(pixels, longest=240)
    assert (picture.width, picture.height) == (240, 160)
    assert not picture.tiny
    small = np.asarray(Image.fromarray(pixels).resize((240, 160)), dtype=float)
    assert np.abs(decoded(picture.uri) - small).max() < 8


def test_colour_stays_colour() -> None:
    pixels = np.zeros((80, 80, 3), dtype=np.uint8)
    pixels[..., 0] = 200
    assert decoded(to_picture(pixels).uri).mean(axis=(0, 1)) == pytest.approx([200, 0, 0], abs=3)


@pytest.mark.parametrize("pixels", [np.zeros((4, 4)), np.zeros((3, 4, 4), dtype=np.uint8), np.zeros(4, dtype=np.uint8)])
def test_other_pixels_are_refused(pixels: np.ndarray) -> None:
    with pytest.raises(ValueError, match="expected uint8 pixels"):
        to_picture(pixels)


def test_svg_has_title_description_and_role_and_refers_to_nothing_outside() -> None:
    svg = str(to_svg(small_figure(), "one", "A <title>", 'what "it" shows & more'))
    assert svg.startswith('<svg class="chart" role="img" aria-labelledby="one-title one-desc"')
    assert '<title id="one-title">A &lt;title&gt;</title>' in svg
    assert "what &quot;it&quot; shows &amp; more</desc>" in svg
    assert "http" not in svg
    assert "<style" not in svg
    for reference in re.findall(r'(?:href="#|url\(#)([^")]+)', svg):
        assert f'id="{reference}"' in svg
        assert reference.startswith("one-")


def test_two_figures_share_no_identifier() -> None:
    one, two = (str(to_svg(small_figure(), name, "t", "d")) for name in ("one", "two"))
    identifiers = [set(re.findall(r'id="([^"]+)"', svg)) for svg in (one, two)]
    assert identifiers[0]
    assert not identifiers[0] & identifiers[1]


def test_text_stays_text_and_hostile_text_stays_text() -> None:
    svg = str(to_svg(small_figure('</svg><script>alert("x")</script>'), "one", "t", "d"))

    seen: set[str] = set()

    class Parser(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            seen.add(tag)

    Parser().feed(svg)
    assert "text" in seen
    assert "script" not in seen
    assert "&lt;script&gt;" in svg


def test_the_same_figure_gives_the_same_text() -> None:
    chart = Chart(small_figure(), "one", "t", "alt")
    assert chart.svg == Chart(small_figure(), "one", "t", "alt").svg
