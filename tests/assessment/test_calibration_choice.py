"""Each kind finds what was planted for it, and patients left out choose the kind that was."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.isotonic import IsotonicRegression

from radlens.assessment.calibration import log_loss
from radlens.assessment.calibration_choice import KINDS, choose_kind, fit_kind
from radlens.base.errors import DataError
from radlens.decision import Calibration, CalibrationKind
from radlens.statistics.metrics import Floats, Ints


def both(positive: Floats) -> Floats:
    return np.stack([1 - positive, positive], axis=1)


def logit(score: Floats) -> Floats:
    return np.log(score / (1 - score))


def drawn(distort: Callable[[Floats], Floats], images: int = 6000, seed: int = 0) -> tuple[Floats, Ints, Floats]:
    """What a model says, distorted, and labels drawn by the truth."""
    rng = np.random.default_rng(seed)
    true = 1 / (1 + np.exp(-rng.normal(0, 1.8, images)))
    return both(distort(true)), (rng.random(images) < true).astype(np.int64), true


# What undoes each: with the kind's own map the truth comes out.
PLANTED: dict[CalibrationKind, Callable[[Floats], Floats]] = {
    "none": lambda true: true,
    "temperature": lambda true: 1 / (1 + np.exp(-2.5 * logit(true))),
    "platt": lambda true: 1 / (1 + np.exp(-2.0 * logit(true) - 1.5)),
    # A step: all truths of a third of the range are said alike, and the rest is bent.
    "isotonic": lambda true: np.where(true < 0.5, 0.2 * true, np.where(true < 0.75, 0.4 + 0.01 * true, true**0.3)),
}


@pytest.mark.parametrize("kind", list(PLANTED))
def test_a_planted_distortion_is_undone_and_chosen(kind: CalibrationKind) -> None:
    scores, targets, true = drawn(PLANTED[kind])
    found, losses = choose_kind(scores, targets, np.arange(len(targets)) // 2, "binary")
    assert set(losses) == set(KINDS["binary"])
    np.testing.assert_allclose(fit_kind(kind, scores, targets, "binary").apply(scores, "binary")[:, 1], true, atol=0.12)
    # A freer kind may be as good as the planted one by chance, a poorer one may not.
    assert losses[found.kind] <= losses[kind]
    assert losses[kind] < min(losses.values()) + 5e-4
    if kind != "none":
        assert losses["none"] > losses[kind] + 0.01


def test_a_planted_beta_is_found_again() -> None:
    rng = np.random.default_rng(1)
    said = rng.beta(0.8, 0.8, 100_000)
    planted = Calibration("beta", (0.6, 1.4, 0.8))
    targets = (rng.random(100_000) < planted.apply(both(said), "binary")[:, 1]).astype(np.int64)
    found = fit_kind("beta", both(said), targets, "binary")
    assert found.numbers == pytest.approx(planted.numbers, abs=0.08)
    line = fit_kind("platt", both(said), targets, "binary")
    losses = [log_loss(each.apply(both(said), "binary"), targets, "binary") for each in (found, line)]
    assert losses[0] < losses[1]


@settings(deadline=None, max_examples=15)
@given(seed=st.integers(0, 500), decimals=st.sampled_from([1, 2, 8]))
def test_isotonic_is_that_of_scikit_learn_but_for_the_doubt(seed: int, decimals: int) -> None:
    scores, targets, _ = drawn(lambda true: np.round(true, decimals), images=80, seed=seed)
    found = fit_kind("isotonic", scores, targets, "binary").apply(scores, "binary")[:, 1]
    wanted = IsotonicRegression(y_min=0, y_max=1).fit_transform(scores[:, 1], targets)
    np.testing.assert_allclose(found, np.clip(wanted, 1 / 82, 81 / 82), atol=1e-9)
    assert found.min() > 0
    assert found.max() < 1


def test_copies_of_a_patients_images_are_left_out_with_them() -> None:
    # Labels that follow from nothing: the freest kind learns them by heart, and copies would give it away.
    rng = np.random.default_rng(2)
    said, targets = rng.random(150), rng.integers(0, 2, 150)
    scores, patients = np.tile(both(said), (8, 1)), np.tile(np.arange(150), 8)
    kept = choose_kind(scores, np.tile(targets, 8), patients, "binary")[1]
    leaked = choose_kind(scores, np.tile(targets, 8), rng.permutation(1200), "binary")[1]
    assert leaked["isotonic"] < kept["isotonic"] - 0.01
    assert kept["isotonic"] > kept["platt"]


def test_multilabel_shares_one_map_and_multiclass_takes_the_slope_alone() -> None:
    rng = np.random.default_rng(3)
    scores = rng.random((300, 3))
    targets = (rng.random((300, 3)) < scores).astype(np.int64)
    for kind in KINDS["multilabel"]:
        moved = fit_kind(kind, scores, targets, "multilabel").apply(scores, "multilabel")
        assert moved.shape == (300, 3)
    shares = scores / scores.sum(axis=1, keepdims=True)
    assert fit_kind("platt", shares, rng.integers(0, 3, 300), "multiclass").kind == "temperature"
    for kind in ("beta", "isotonic"):
        with pytest.raises(DataError, match=f"cannot be calibrated by {kind}"):
            fit_kind(kind, shares, rng.integers(0, 3, 300), "multiclass")
    assert set(choose_kind(shares, rng.integers(0, 3, 300), np.arange(300), "multiclass")[1]) == {"none", "temperature"}


def test_a_single_patient_chooses_nothing() -> None:
    scores, targets, _ = drawn(lambda true: true, images=20)
    assert choose_kind(scores, targets, np.zeros(20), "binary") == (Calibration(), {})
