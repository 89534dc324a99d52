"""Two-sample tests on patients: right under the null, and what is planted is found."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import chi2_contingency, ks_2samp
from scipy.stats.contingency import association

from fixture_types import MakeImages
from radlens.dataset.audit import drift as module
from radlens.dataset.audit.drift import Drift, compare_splits, cramers_v
from radlens.dataset.manifest import Manifest
from radlens.imaging.cache.pixel_cache import PixelCache

SPLITS = np.repeat(["train", "val", "test"], [120, 40, 60])


def null_set(make_images: MakeImages, seed: int, per_patient: int = 3) -> tuple[Manifest, PixelCache]:
    """220 patients of one population with several images each, alike in width, mode and (nearly) in intensity."""
    rng = np.random.default_rng(seed)
    owner = np.repeat(np.arange(220), per_patient)
    width = rng.integers(200, 900, 220)
    mode = np.where(rng.random(220) < 0.3, "RGB", "L")
    mean = rng.normal(100, 20, 220)
    sex = np.array(["F", "M", ""])[rng.integers(0, 3, 220)]
    return make_images(
        np.where(rng.random(220) < 0.5, "ill", "well")[owner],
        patients=owner,
        splits=SPLITS[owner],
        facts={"width": width[owner].tolist(), "mode": mode[owner].tolist(), "mean": (mean[owner]).tolist()},
        columns={"sex": sex[owner]},
    )


def test_false_alarms_are_as_rare_as_they_should_be(make_images: MakeImages, monkeypatch: pytest.MonkeyPatch) -> None:
    # The pixels are all black here; reading them would only cost time.
    monkeypatch.setattr(module, "image_facts", lambda *given: facts_without_border(*given))
    single, families, naive = [], 0, 0
    for seed in range(200):
        manifest, cache = null_set(make_images, seed)
        found = compare_splits(manifest, cache, seed)
        single += [each.p for each in found if each.fact in ("width", "intensity_mean")]
        families += any(each.p_corrected < 0.05 for each in found)
        width = np.array([fact.width for fact in cache.facts if fact])
        split = manifest.table["split"]
        naive += ks_2samp(width[split == "train"], width[split == "test"]).pvalue < 0.05
    # 800 tests at 5 %: 40 expected; among 200 sets, at most 5 % with any alarm: 10, and three standard errors.
    assert len(single) == 800
    assert 20 <= np.sum(np.array(single) < 0.05) <= 60
    assert families <= 19
    # Tests on images as if they were independent would cry wolf.
    assert naive > 40


def facts_without_border(*given: object) -> pd.DataFrame:
    from radlens.dataset.audit.image_facts import image_facts

    return image_facts(*given, border=False)  # type: ignore[arg-type]


def by_fact(found: tuple[Drift, ...], split: str) -> dict[str, Drift]:
    return {each.fact: each for each in found if each.split == split}


def test_what_differs_is_found_with_its_size(make_images: MakeImages) -> None:
    rng = np.random.default_rng(0)
    splits = np.repeat(["train", "val", "test"], 200)
    width = np.where(splits == "test", rng.uniform(150, 250, 600), rng.uniform(100, 200, 600))
    sites = np.where(np.arange(600) % 10 < np.where(splits == "val", 9, 5), "A", "B")
    manifest, cache = make_images(
        ["ill", "well"] * 300,
        splits=splits,
        facts={"width": width.astype(int).tolist(), "height": [80] * 600},
        columns={"site": sites},
    )
    found = compare_splits(manifest, cache)
    assert [each.p for each in found] == sorted(each.p for each in found)
    test, val = by_fact(found, "test"), by_fact(found, "val")
    # Two uniform distributions that overlap by half are half apart.
    assert test["width"].effect == pytest.approx(0.5, abs=0.06)
    assert test["width"].p_corrected < 1e-9
    assert (test["width"].value, test["width"].reference_value) == pytest.approx((200, 150), abs=8)
    assert val["width"].p_corrected > 0.05
    assert val["site"].p_corrected < 1e-9
    assert val["site"].method == "chi-square"
    # Shares of 0.9 and 0.5 around 0.7: 0.2 / sqrt(0.7 * 0.3), less a little for the bias.
    assert val["site"].effect == pytest.approx(0.4364, abs=0.005)
    assert (val["site"].value, val["site"].reference_value) == pytest.approx(
        (0.9, 0.5) if val["site"].level == "A" else (0.1, 0.5)
    )
    assert test["site"].p_corrected > 0.05
    assert test["label"].p_corrected > 0.05
    # What never varies is not compared.
    assert "height" not in test
    assert (test["width"].patients, test["width"].reference_patients) == (200, 200)


def test_one_image_of_each_patient_counts(make_images: MakeImages) -> None:
    manifest, cache = null_set(make_images, 0, per_patient=5)
    found = compare_splits(manifest, cache)
    assert {(each.split, each.patients, each.reference_patients) for each in found} == {
        ("val", 40, 120),
        ("test", 60, 120),
    }


def test_a_patient_of_two_splits_counts_once(make_images: MakeImages) -> None:
    patients = [*range(100), *range(100)]
    splits = ["train"] * 100 + ["test"] * 100
    widths = list(range(1, 201))
    found = compare_splits(
        *make_images(["ill", "well"] * 100, patients=patients, splits=splits, facts={"width": widths})
    )
    width = by_fact(found, "test")["width"]
    assert width.patients + width.reference_patients == 100


def test_nothing_to_compare(make_images: MakeImages) -> None:
    labels = ["ill", "well"] * 20
    facts = {"width": list(range(1, 41))}
    assert compare_splits(*make_images(labels, facts=facts)) == ()
    assert compare_splits(*make_images(labels, splits=["train"] * 40, facts=facts)) == ()
    assert compare_splits(*make_images(labels, splits=["test"] * 40, facts=facts)) == ()
    assert compare_splits(*make_images(labels, splits=["train"] * 35 + ["test"] * 5, facts=facts)) == ()


def test_few_in_a_cell_are_compared_exactly(make_images: MakeImages) -> None:
    modes = ["RGB"] * 6 + ["L"] * 34
    found = compare_splits(
        *make_images(["ill", "well"] * 20, splits=["test"] * 12 + ["train"] * 28, facts={"mode": modes})
    )
    mode = by_fact(found, "test")["mode"]
    assert mode.method == "Fisher"
    # Six of 12 against none of 28: the chance of the six is C(12, 6) / C(40, 6).
    assert mode.p == pytest.approx(924 / 3838380, rel=1e-6)


def test_rare_names_are_put_together(make_images: MakeImages) -> None:
    sites = (["A", "B"] * 45 + [f"rare {number}" for number in range(10)]) * 2
    found = compare_splits(
        *make_images(["ill", "well"] * 100, splits=["train"] * 100 + ["test"] * 100, columns={"site": sites})
    )
    site = by_fact(found, "test")["site"]
    assert (site.method, site.p, site.effect) == ("chi-square", 1.0, 0.0)


def test_a_number_that_is_hardly_ever_known_is_compared_by_whether_it_is(make_images: MakeImages) -> None:
    ages = ["50"] * 60 + [""] * 40 + [""] * 100
    found = compare_splits(
        *make_images(["ill", "well"] * 100, splits=["train"] * 100 + ["test"] * 100, columns={"age": ages})
    )
    age = by_fact(found, "test")["age"]
    assert (age.method, age.p_corrected < 1e-9) == ("chi-square", True)
    assert {age.level, "known"} <= {"known", ""}


def test_labels_are_compared_too(make_images: MakeImages) -> None:
    labels = ["a|b"] * 50 + ["a"] * 50 + ["a"] * 100
    manifest, cache = make_images(
        labels, task="multilabel", classes=("a", "b"), splits=["train"] * 100 + ["test"] * 100
    )
    found = by_fact(compare_splits(manifest, cache), "test")
    assert list(found) == ["label: b"]
    assert found["label: b"].p_corrected < 1e-9


def test_of_many_patients_a_part_is_drawn(make_images: MakeImages, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LIMIT", 30)
    found = compare_splits(*null_set(make_images, 0))
    assert {(each.patients, each.reference_patients) for each in found} == {(30, 30)}


def test_cramers_v_is_that_of_scipy_but_for_the_bias() -> None:
    rng = np.random.default_rng(0)
    counts = rng.integers(200, 400, (4, 2)).astype(float)
    plain = association(counts.astype(int), method="cramer")
    assert cramers_v(counts * 1000) == pytest.approx(plain, rel=1e-3)
    # Where there is nothing, the plain one is above 0 by chance; this one is mostly 0.
    assert chi2_contingency(counts).statistic > 0
    draws = [rng.multinomial(100, [0.25] * 4, 2).T.astype(float) for _ in range(200)]
    assert (
        np.mean([cramers_v(draw) for draw in draws])
        < 0.04
        < np.mean([association(draw.astype(int), method="cramer") for draw in draws])
    )
