"""The rate of error that a model states unasked: the cheapest, and still kept although it was chosen from the data."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from known import known
from radlens.assessment.alpha_choice import RATES, ChosenAlpha, cheapest_alpha, choose_alpha, choosing_images
from radlens.assessment.conformal import common_limits, least_probabilities
from radlens.config import EvaluateSettings
from radlens.dataset.manifest import DatasetInfo
from radlens.runtime.records import AlphaChoice, AlphaCost
from radlens.statistics.metrics import Floats, Ints

INFO = DatasetInfo(name="made up", root="", task="multiclass", classes=("a", "b", "c", "d"))
BINARY = DatasetInfo(name="made up", root="", task="binary", classes=("well", "ill"))
SETTINGS = EvaluateSettings()


def table(truth: Ints, scores: Floats, info: DatasetInfo = INFO, each: int = 1) -> pd.DataFrame:
    """Validation rows of as many patients as there are images by ``each``."""
    names = np.array(info.classes)
    rows = {"split": "val", "label": names[truth], "predicted": names[scores.argmax(axis=1)]}
    patients = [f"p{number // each}" for number in range(len(truth))]
    probabilities = {f"probability_{name}": column for name, column in zip(info.classes, scores.T, strict=True)}
    return pd.DataFrame({**rows, "patient": patients, **probabilities})


def four_classes(rng: np.random.Generator, truth: Ints, hard: float) -> Floats:
    """Probabilities of a model that is sure of most images, and not of the share ``hard``."""
    logits = rng.normal(0, 1.2, (len(truth), 4))
    margin = np.where(rng.random(len(truth)) < hard, rng.normal(1, 1.5, len(truth)), rng.normal(7, 1.8, len(truth)))
    logits[np.arange(len(truth)), truth] += margin
    odds = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(odds / odds.sum(axis=1, keepdims=True))


def choice(costs: dict[float, tuple[int, int]], errors: int, most_referred: float = 0.1) -> AlphaChoice:
    points = tuple(AlphaCost(alpha=alpha, referred=r, errors_avoided=e) for alpha, (r, e) in costs.items())
    return AlphaChoice(
        images=400, patients=400, errors=errors, referrals_per_error=10, most_referred=most_referred, points=points
    )


@pytest.mark.parametrize(
    ("costs", "alpha"),
    [
        # Ten more errors avoided for 60 more referrals pay, one more for 30 does not.
        ({0.01: (40, 12), 0.05: (10, 11), 0.1: (2, 1)}, 0.05),
        # As cheap within one error: the fewest referrals.
        ({0.01: (20, 12), 0.05: (11, 11)}, 0.05),
        # More than a tenth of the images is too much, whatever it avoids.
        ({0.01: (41, 20), 0.05: (39, 5)}, 0.05),
        # Where every rate refers more: the fewest.
        ({0.01: (90, 20), 0.05: (70, 5), 0.1: (70, 5)}, 0.05),
    ],
)
def test_the_cheapest_rate_is_taken(costs: dict[float, tuple[int, int]], alpha: float) -> None:
    assert cheapest_alpha(choice(costs, errors=20)) == alpha


def chosen(seed: int, hard_copies: float) -> tuple[ChosenAlpha, list[pd.DataFrame]]:
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 4, 800)
    shares = (0.07, *([hard_copies] * 2))
    tables = [table(truth, four_classes(rng, truth, hard)) for hard in shares]
    return choose_alpha(tables[0], tables[1:], INFO, SETTINGS, seed), tables


@pytest.mark.parametrize("hard_copies", [0.07, 0.35])
def test_the_images_that_choose_have_no_part_in_the_limits(hard_copies: float) -> None:
    found, tables = chosen(3, hard_copies)
    mask = known(choosing_images(tables[0], INFO, 3))
    assert found.least == common_limits([each[~mask] for each in tables], INFO, found.alpha)
    assert found.alpha == cheapest_alpha(known(found.choice))
    assert known(found.choice).images == mask.sum() == pytest.approx(400, abs=4)
    counts = tables[0].loc[mask, "label"].value_counts() / tables[0]["label"].value_counts()
    assert counts.to_numpy() == pytest.approx(0.5, abs=0.02)
    # Other scores of the images that set the limits change nothing of the choice.
    shuffled = tables[0].assign(**{name: tables[0][name].where(mask, 0.25) for name in tables[0].columns[4:]})
    again = choose_alpha(shuffled, [], INFO, SETTINGS, 3)
    assert known(again.choice).points == known(choose_alpha(tables[0], [], INFO, SETTINGS, 3).choice).points


def test_a_model_of_four_classes_refers_few_of_its_images() -> None:
    """At an accuracy of about .96 a tenth or less, and most of the errors."""
    for seed in range(4):
        found, _ = chosen(seed, 0.35)
        at = known(found.choice).at(found.alpha)
        assert at.referred <= 40
        assert at.errors_avoided >= 0.5 * known(found.choice).errors


def test_the_chosen_rate_is_kept_although_the_data_chose_it() -> None:
    """In closed form: the chance that a new score of a class lies below the limit, over many validation sets."""
    ends = (stats.beta(5.0, 1.2), stats.beta(4.0, 1.0))
    rng = np.random.default_rng(8)
    excess, alphas = [], []
    for seed in range(150):
        truth = np.repeat([0, 1], [70, 90])
        own = np.concatenate([ends[0].rvs(70, random_state=rng), ends[1].rvs(90, random_state=rng)])
        ill = np.where(truth == 1, own, 1 - own)
        found = choose_alpha(table(truth, np.stack([1 - ill, ill], axis=1), BINARY), [], BINARY, SETTINGS, seed)
        missed = [end.cdf(limit) for end, limit in zip(ends, found.least, strict=True)]
        excess.append(np.array(missed) - found.alpha)
        alphas.append(found.alpha)
    assert len(set(alphas)) > 3, "the data choose"
    mean, error = np.mean(excess, axis=0), np.std(excess, axis=0) / np.sqrt(len(excess))
    assert (mean < 3 * error).all()
    # Rounded down to a place among n + 1, and no more careful than that.
    assert (mean > -1 / 36 - 3 * error).all()


def test_a_patient_is_on_one_side() -> None:
    rng = np.random.default_rng(1)
    truth = np.repeat(rng.integers(0, 4, 100), 4)
    rows = table(truth, four_classes(rng, truth, 0.1), each=4)
    mask = known(choosing_images(rows, INFO, 0))
    assert not set(rows.loc[mask, "patient"]) & set(rows.loc[~mask, "patient"])


@pytest.mark.parametrize(
    ("images", "patients_each", "alpha"),
    [(19, 1, 0.05), (18, 1, 0.07), (12, 1, 0.1), (3, 1, 0.05), (100, 200, 0.05)],
)
def test_with_too_few_images_or_patients_their_number_alone_decides(
    images: int, patients_each: int, alpha: float
) -> None:
    truth = np.repeat([0, 1], images)
    for seed in (1, 2):
        ill = np.clip(truth * 0.4 + np.random.default_rng(seed).random(len(truth)) * 0.6, 0, 1)
        rows = table(truth, np.stack([1 - ill, ill], axis=1), BINARY, patients_each)
        found = choose_alpha(rows, [], BINARY, SETTINGS, 0)
        assert (found.alpha, found.choice) == (alpha, None)
        assert found.least == least_probabilities(rows, BINARY, alpha)


def test_rates_rise() -> None:
    assert list(RATES) == sorted(RATES)
