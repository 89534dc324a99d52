"""Pictures and charts as text that stands inside the page."""

from __future__ import annotations

import base64
import html
import io
import re
from dataclasses import dataclass
from xml.etree import ElementTree as ET

import numpy as np
import pandas as pd
from markupsafe import Markup
from matplotlib.figure import Figure
from PIL import Image

from radlens.reporting.content import Pixels
from radlens.reporting.figures.style import styled

# Images below this size are shown as they are, pixel by pixel.
_TINY = 64
_QUALITY = 85
# A little larger than life on a wide screen.
_POINTS_TO_PIXELS = 1.12 * 96 / 72


@dataclass(frozen=True)
class Picture:
    """An image as a data URI, with its size in pixels."""

    uri: str
    width: int
    height: int

    @property
    def tiny(self) -> bool:
        """Whether it is to be enlarged without smoothing."""
        return max(self.width, self.height) <= _TINY


@dataclass(frozen=True)
class Download:
    """A table as a file that the page itself holds."""

    uri: str
    file: str


@dataclass(frozen=True)
class Chart:
    """A figure for the page.

    Attributes:
        figure: what to draw.
        name: unique on the page.
        title: one line above it.
        alt: what it shows, with the numbers, for readers who do not see it.
        caption: a sentence on how to read it.
        numbers: what is drawn, to be downloaded; None: nothing more than the text says.
    """

    figure: Figure
    name: str
    title: str
    alt: str
    caption: str = ""
    numbers: pd.DataFrame | None = None

    @property
    def download(self) -> Download | None:
        """The numbers as a file named after the chart."""
        return None if self.numbers is None else to_download(self.numbers, self.name)

    @property
    def svg(self) -> Markup:
        """The figure as inline SVG."""
        return to_svg(self.figure, self.name, self.title, self.alt)


def to_download(table: pd.DataFrame, name: str) -> Download:
    """A table as CSV (UTF-8, numbers to six digits) in a data URI.

    Args:
        table: what to hand out; its index is left out.
        name: of the file, without its ending.
    """
    text = base64.b64encode(table.to_csv(index=False, float_format="%.6g").encode("utf-8")).decode("ascii")
    return Download(f"data:text/csv;base64,{text}", f"{name}.csv")


def to_picture(pixels: Pixels, longest: int = 240) -> Picture:
    """Encode an image, reduced so that its longer side is at most ``longest`` pixels.

    Args:
        pixels: uint8, shape (height, width) or (height, width, 3).
        longest: in pixels.

    Raises:
        ValueError: another type or shape.
    """
    if pixels.dtype != np.uint8 or not (pixels.ndim == 2 or (pixels.ndim == 3 and pixels.shape[2] == 3)):
        raise ValueError(
            f"expected uint8 pixels of shape (height, width) or (height, width, 3), got {pixels.dtype} {pixels.shape}"
        )
    image = Image.fromarray(np.ascontiguousarray(pixels))
    image.thumbnail((longest, longest), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    if max(image.size) <= _TINY:
        image.save(buffer, "PNG", optimize=True)
        kind = "png"
    else:
        image.save(buffer, "JPEG", quality=_QUALITY, optimize=True)
        kind = "jpeg"
    text = base64.b64encode(buffer.getvalue()).decode("ascii")
    return Picture(f"data:image/{kind};base64,{text}", image.width, image.height)


@styled
def to_svg(figure: Figure, name: str, title: str, description: str) -> Markup:
    """A figure as SVG to stand inside HTML: text stays text, and nothing in it clashes with other figures.

    Args:
        figure: what to draw.
        name: unique on the page; the identifiers inside begin with it.
        title: read out first by a screen reader.
        description: read out next.
    """
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata=dict.fromkeys(("Creator", "Date", "Format", "Type")))
    root = ET.fromstring(buffer.getvalue())
    _strip(root)
    referenced = _references(root)
    for element in root.iter():
        _rename(element, name, referenced)
    width = round(float(root.attrib["viewBox"].split()[2]) * _POINTS_TO_PIXELS)
    inner = "".join(ET.tostring(child, encoding="unicode") for child in root)
    return Markup(
        f'<svg class="chart" role="img" aria-labelledby="{name}-title {name}-desc" viewBox="{root.attrib["viewBox"]}" '
        f'style="max-width:{width}px">'
        f'<title id="{name}-title">{html.escape(title)}</title><desc id="{name}-desc">{html.escape(description)}</desc>'
        f"{inner}</svg>"
    )


def _strip(element: ET.Element) -> None:
    """Drop namespaces, which HTML does not need, and style sheets, which would hold for the whole page."""
    element.tag = element.tag.rpartition("}")[2]
    for key in list(element.attrib):
        plain = key.rpartition("}")[2]
        if plain != key:
            element.attrib[plain] = element.attrib.pop(key)
    for child in list(element):
        _strip(child)
        if child.tag in ("style", "metadata"):
            element.remove(child)


def _references(root: ET.Element) -> set[str]:
    references: set[str] = set()
    for element in root.iter():
        for key, value in element.attrib.items():
            references.update(re.findall(r"url\(#([^)]+)\)", value))
            if key == "href" and value.startswith("#"):
                references.add(value[1:])
    return references


def _rename(element: ET.Element, name: str, referenced: set[str]) -> None:
    for key, value in list(element.attrib.items()):
        if key == "id":
            if value in referenced:
                element.attrib[key] = f"{name}-{value}"
            else:
                del element.attrib[key]
        elif key == "href" and value.startswith("#"):
            element.attrib[key] = f"#{name}-{value[1:]}"
        elif "url(#" in value:
            element.attrib[key] = value.replace("url(#", f"url(#{name}-")
