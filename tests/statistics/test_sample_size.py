"""How many more patients: the number found is enough, one fewer is not, and textbooks say about the same."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from radlens.statistics.delong import Area, area_limits, clustered_auroc
from radlens.statistics.metrics import Answers
from radlens.statistics.proportions import Proportion, wilson_limits
from radlens.statistics.sample_size import half, patients_for_share, sample_size, times_for_area


def answered(truth: npt.ArrayLike, score: npt.ArrayLike) -> Answers:
    score = np.asarray(score, dtype=float)
    return Answers(np.asarray(truth), np.stack([1 - score, score], axis=1), (score >= 0.5).astype(np.int64), ("n", "p"))


@settings(deadline=None)
@given(share=st.floats(0, 1), margin=st.sampled_from([0.02, 0.05, 0.1]))
def test_the_number_is_enough_and_one_fewer_is_not(share: float, margin: float) -> None:
    needed = patients_for_share(Proportion(share, 40, 40, 1.0), margin, 0.95)
    assert half(wilson_limits(share, needed, 0.95)) <= margin
    if needed > 1:
        assert half(wilson_limits(share, needed - 1, 0.95)) > margin


def test_it_is_near_the_formula_of_buderer() -> None:
    for share, margin in ((0.9, 0.05), (0.8, 0.03), (0.95, 0.03)):
        normal = 1.959964**2 * share * (1 - share) / margin**2
        assert patients_for_share(Proportion(share, 40, 40, 1.0), margin, 0.95) == pytest.approx(normal, rel=0.1)


def test_images_that_are_alike_need_as_many_patients_as_single_ones() -> None:
    single = patients_for_share(Proportion(0.9, 100, 100, 1.0), 0.05, 0.95)
    alike = patients_for_share(Proportion(0.9, 300, 100, 3.0), 0.05, 0.95)
    unlike = patients_for_share(Proportion(0.9, 300, 100, 1.0), 0.05, 0.95)
    assert alike == pytest.approx(single, abs=4)
    assert unlike < single / 2


def test_the_interval_of_auroc_would_be_as_narrow_with_so_many_times_the_patients() -> None:
    area = Area(0.85, 0.04**2, 30, 60)
    times = times_for_area(area, 0.03, 0.95)
    larger = Area(0.85, 0.04**2 / times, round(30 * times), round(60 * times))
    assert half(area_limits(larger, 0.95)) == pytest.approx(0.03, rel=0.02)
    assert times == pytest.approx((half(area_limits(area, 0.95)) / 0.03) ** 2, rel=0.1)
    assert times_for_area(area, 0.2, 0.95) <= 1


def test_what_is_missing_is_told_by_kind_of_patient() -> None:
    rng = np.random.default_rng(0)
    truth = np.repeat([1, 0], [20, 4000])
    score = np.clip(rng.normal(0.3 + 0.4 * truth, 0.2), 0, 1)
    found = sample_size(answered(truth, score), np.arange(4020), 0.05, 0.95)
    assert found["sensitivity"].half_width > 0.05 > found["specificity"].half_width
    assert found["sensitivity"].more_positive > 0 == found["sensitivity"].more_negative
    assert (found["specificity"].more_positive, found["specificity"].more_negative) == (0, 0)
    area = clustered_auroc(truth, score, np.arange(4020))
    assert found["auroc"].half_width == half(area_limits(area, 0.95))


def test_what_cannot_be_claimed_at_all_is_left_out() -> None:
    found = sample_size(answered([1, 1, 1], [0.9, 0.8, 0.2]), np.arange(3), 0.05, 0.95)
    assert "specificity" not in found
    assert "auroc" not in found
    assert found["sensitivity"].more_positive > 100
