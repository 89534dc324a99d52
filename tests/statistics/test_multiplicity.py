"""Adjusted p-values and the share of the error that each of several intervals may make."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from radlens.statistics.multiplicity import holm, tail


def test_holm_adjusts_step_by_step_and_keeps_the_order() -> None:
    assert holm([0.04, 0.01, 0.03, 0.005]) == pytest.approx([0.06, 0.03, 0.06, 0.02])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([0.02]) == [0.02]


@given(arrays(np.float64, st.integers(1, 12), elements=st.floats(0, 1)))
def test_holm_only_raises_p_keeps_the_order_and_is_below_bonferroni(p: np.ndarray) -> None:
    corrected = np.array(holm(p.tolist()))
    assert (corrected >= p).all()
    assert (corrected <= np.minimum(p * len(p), 1)).all()
    assert (np.diff(corrected[np.argsort(p, kind="stable")]) >= 0).all()


def test_several_intervals_share_the_error_of_one() -> None:
    assert tail(0.9) == pytest.approx(0.05)
    assert 2 * 7 * tail(0.9, intervals=7) == pytest.approx(0.1)
