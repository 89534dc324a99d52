"""Raw values among pictures for display, and negatives among the others, planted in known numbers."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from fixture_types import MakeImages
from radlens.dataset.audit.header_faults import header_findings
from radlens.dataset.audit.polarity import find_negatives, negative_findings, presentation_findings

RAW = ("raw detector values: FOR PROCESSING, and nothing tells whether bone is white",)
RNG = np.random.default_rng(5)


def chests(count: int, negatives: int) -> npt.NDArray[np.uint8]:
    """Pictures with two dark fields and a bright middle, each placed and exposed in its own way; the first inverted."""
    rows, columns = np.mgrid[-1:1:32j, -1:1:32j]
    pictures = []
    for number in range(count):
        left, right = (
            ((columns - side * RNG.normal(0.5, 0.05)) / 0.35) ** 2 + ((rows - RNG.normal(0, 0.1)) / 0.7) ** 2 < 1
            for side in (-1, 1)
        )
        picture = 170 - RNG.uniform(60, 120) * (left | right) + RNG.normal(0, 20, rows.shape)
        pictures.append(255 - picture if number < negatives else picture)
    return np.asarray(np.clip(pictures, 0, 255)[:, np.newaxis], dtype=np.uint8)


@pytest.mark.parametrize("negatives", [0, 1, 20])
def test_negatives_are_those_that_were_turned_over(negatives: int, make_images: MakeImages) -> None:
    manifest, cache = make_images(["ill", "well"] * 25, pixels=chests(50, negatives))
    found = negative_findings(manifest, cache)
    if not negatives:
        assert found == []
        return
    (finding,) = found
    assert (finding.check, finding.severity, finding.count) == ("polarity", "warn", negatives)
    assert finding.examples == tuple(manifest.table["path"][: min(negatives, 10)])


def test_of_pictures_of_no_common_form_none_is_a_negative() -> None:
    assert not find_negatives(RNG.normal(100, 30, (200, 64)).astype(np.float32)).any()


def test_of_few_or_blank_pictures_none_is_a_negative() -> None:
    assert not find_negatives(np.zeros((100, 64), np.float32)).any()
    assert not find_negatives(chests(10, 2).reshape(10, -1).astype(np.float32)).any()


def test_a_set_that_mixes_raw_values_with_others_is_warned_of(make_images: MakeImages) -> None:
    manifest, cache = make_images(["ill", "well", "ill", "well"], facts={"remarks": [RAW, (), RAW, ()]})
    (finding,) = presentation_findings(manifest, cache)
    assert (finding.check, finding.severity, finding.count) == ("presentation_intent", "warn", 2)
    assert finding.examples == ("ill: 2 image(s)",)
    assert header_findings(manifest, cache) == []


def test_a_set_of_raw_values_alone_is_noted_and_one_without_is_not(make_images: MakeImages) -> None:
    (finding,) = presentation_findings(*make_images(["ill", "well"], facts={"remarks": [RAW, RAW]}))
    assert (finding.severity, finding.count) == ("note", 2)
    assert presentation_findings(*make_images(["ill", "well"])) == []
