"""The limits keep their promise on new images drawn as those of validation were, whatever the scores look like."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from radlens.assessment.conformal import farthest_distance, least_probabilities
from radlens.dataset.manifest import DatasetInfo
from radlens.decision import prediction_sets

INFO = DatasetInfo(name="made up", root="", task="binary", classes=("well", "ill"))


def table(truth: np.ndarray, ill: np.ndarray, split: str = "val") -> pd.DataFrame:
    names = np.array(INFO.classes)[truth]
    return pd.DataFrame(
        {"split": split, "label": names, "predicted": names, "probability_well": 1 - ill, "probability_ill": ill}
    )


def draw(rng: np.random.Generator, images: int, share: float) -> tuple[np.ndarray, np.ndarray]:
    """Scores of a poor model, which is sure of much that is wrong."""
    truth = (rng.random(images) < share).astype(np.int64)
    return truth, np.where(truth == 1, rng.beta(2.0, 1.2, images), rng.beta(0.7, 1.5, images))


@pytest.mark.parametrize("rate", [0.05, 0.1, 0.2])
def test_each_class_is_left_out_as_often_as_stated(rate: float) -> None:
    rng = np.random.default_rng(3)
    repeats, left_out, expected = 600, np.zeros((600, 2)), np.zeros((600, 2))
    for repeat in range(repeats):
        truth, ill = draw(rng, 150, 0.3)
        least = least_probabilities(table(truth, ill), INFO, rate)
        new, score = draw(rng, 2000, 0.6)
        sets = prediction_sets(np.stack([1 - score, score], axis=1), least)
        for index in (0, 1):
            left_out[repeat, index] = 1 - sets[new == index, index].mean()
            count = int((truth == index).sum())
            # Exactly so often for scores without ties: a rank among n + 1 that are all equally likely.
            expected[repeat, index] = np.floor(rate * (count + 1)) / (count + 1)
    error = (left_out - expected).std(axis=0) / np.sqrt(repeats)
    assert (np.abs((left_out - expected).mean(axis=0)) < 4 * error).all()
    assert (left_out.mean(axis=0) <= rate + 4 * error).all()


def test_a_class_with_too_few_images_is_never_ruled_out() -> None:
    truth = np.array([0] * 200 + [1] * 15)
    least = least_probabilities(table(truth, np.linspace(0, 1, 215)), INFO, 0.05)
    assert least[1] == 0
    assert least[0] > 0


def test_equal_scores_stay_in_the_set() -> None:
    truth = np.repeat([0, 1], 100)
    least = least_probabilities(table(truth, np.full(200, 0.5)), INFO, 0.1)
    assert prediction_sets(np.array([[0.5, 0.5]]), least).all()


@pytest.mark.parametrize(
    ("split", "rate", "task"), [("test", 0.1, "binary"), ("val", 0, "binary"), ("val", 1, "binary")]
)
def test_what_the_limits_cannot_be_chosen_on(split: str, rate: float, task: str) -> None:
    with pytest.raises(ValueError, match=r"validation images only|a rate in \(0, 1\)"):
        least_probabilities(table(np.array([0, 1]), np.array([0.1, 0.9]), split), INFO, rate)


def test_several_labels_have_no_set() -> None:
    info = DatasetInfo(name="made up", root="", task="multilabel", classes=("a", "b"))
    with pytest.raises(ValueError, match="one class an image"):
        least_probabilities(pd.DataFrame({"split": ["val"]}), info, 0.1)


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=300), st.floats(0.001, 0.4))
def test_at_most_the_stated_share_of_validation_is_refused(distances: list[float], rate: float) -> None:
    values = np.array(distances)
    assert (values > farthest_distance(values, rate)).mean() <= rate


def test_new_images_are_refused_as_often_as_stated() -> None:
    rng = np.random.default_rng(5)
    refused = []
    for _ in range(800):
        limit = farthest_distance(rng.gamma(3.0, size=299), 0.05)
        refused.append((rng.gamma(3.0, size=1000) > limit).mean())
    # 14 of the 299 lie beyond the limit, 15 of the 300 places: the 15th is the limit itself.
    assert abs(np.mean(refused) - 15 / 300) < 4 * np.std(refused) / np.sqrt(800)
    assert farthest_distance(np.array([1.0, 2.0]), 0.01) == 2.0
    with pytest.raises(ValueError, match="distances and a rate"):
        farthest_distance(np.array([]), 0.01)
