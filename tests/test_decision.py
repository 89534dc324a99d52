"""From probabilities to answers: closed forms on the edges of the operating point."""

from __future__ import annotations

from typing import cast

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from radlens.decision import (
    Calibration,
    CalibrationKind,
    Task,
    adjust_prevalence,
    decide,
    name_answers,
    recalibrate,
)

PROBABILITIES = arrays(np.float64, st.tuples(st.integers(1, 8), st.integers(2, 5)), elements=st.floats(0, 1))


def test_a_binary_probability_equal_to_the_threshold_is_positive() -> None:
    positive = np.array([0.3, np.nextafter(0.3, 0), np.nextafter(0.3, 1), 0.0, 1.0])
    answers = decide(np.stack([1 - positive, positive], axis=1), "binary", 0.3)
    assert answers.tolist() == [1, 0, 1, 0, 1]
    assert answers.dtype == np.int64


def test_multiclass_takes_the_most_probable_class_whatever_the_threshold() -> None:
    probabilities = np.array([[0.2, 0.5, 0.3], [0.4, 0.4, 0.2]])
    assert decide(probabilities, "multiclass", 0.9).tolist() == [1, 0]


def test_multilabel_answers_each_class_by_itself() -> None:
    answers = decide(np.array([[0.7, 0.6, 0.69], [0.1, 0.9, 0.0]]), "multilabel", 0.69)
    assert answers.tolist() == [[1, 0, 1], [0, 1, 0]]


@given(PROBABILITIES, st.floats(0.01, 0.99))
def test_a_higher_threshold_never_adds_a_positive_answer(
    probabilities: npt.NDArray[np.float64], threshold: float
) -> None:
    for task in ("binary", "multilabel"):
        low = decide(probabilities, task, threshold)
        high = decide(probabilities, task, (1 + threshold) / 2)
        assert (high <= low).all()


@pytest.mark.parametrize("threshold", [0.0, 1.0, -0.1, 1.5, float("nan")])
def test_a_threshold_outside_the_open_interval_is_refused(threshold: float) -> None:
    with pytest.raises(ValueError, match="threshold"):
        decide(np.array([[0.5, 0.5]]), "binary", threshold)


def test_probabilities_of_another_shape_are_refused() -> None:
    with pytest.raises(ValueError, match=r"\(3,\)"):
        decide(np.array([0.1, 0.2, 0.7]), "multiclass")


@pytest.mark.parametrize(
    ("answers", "task", "names"),
    [
        (np.array([1, 0]), "binary", ["sick", "healthy"]),
        (np.array([2, 0]), "multiclass", ["other", "healthy"]),
        (np.array([[0, 0, 0], [1, 0, 1]]), "multilabel", ["", "healthy|other"]),
    ],
)
def test_answers_are_named(answers: npt.NDArray[np.int64], task: Task, names: list[str]) -> None:
    assert name_answers(answers, task, ["healthy", "sick", "other"]) == names


@given(PROBABILITIES, st.sampled_from(["binary", "multiclass", "multilabel"]))
def test_named_answers_are_what_was_decided(probabilities: npt.NDArray[np.float64], task: Task) -> None:
    classes = [f"c{number}" for number in range(probabilities.shape[1])]
    answers = decide(probabilities, task)
    names = name_answers(answers, task, classes)
    assert len(names) == len(probabilities)
    if task == "multilabel":
        back = np.array([[name in cell.split("|") for name in classes] for cell in names])
    else:
        back = np.array([classes.index(name) for name in names])
    np.testing.assert_array_equal(back, answers)


@given(PROBABILITIES, st.floats(0.05, 20), st.floats(-5, 5))
def test_probabilities_move_along_a_line_of_their_logits(
    raw: npt.NDArray[np.float64], slope: float, offset: float
) -> None:
    probabilities = np.clip(raw, 1e-6, 1 - 1e-6)
    found = recalibrate(probabilities, "multilabel", slope, offset)
    logits = slope * np.log(probabilities / (1 - probabilities)) + offset
    np.testing.assert_allclose(found, 1 / (1 + np.exp(-logits)), atol=1e-12)
    exclusive = probabilities / probabilities.sum(axis=1, keepdims=True)
    moved = recalibrate(exclusive, "multiclass", slope)
    powers = exclusive**slope
    np.testing.assert_allclose(moved, powers / powers.sum(axis=1, keepdims=True), atol=1e-9)
    np.testing.assert_array_equal(decide(moved, "multiclass"), decide(exclusive, "multiclass"))
    pair = exclusive[:, :2] / exclusive[:, :2].sum(axis=1, keepdims=True)
    binary = recalibrate(pair, "binary", slope, offset)
    np.testing.assert_allclose(binary[:, 1], recalibrate(pair, "multilabel", slope, offset)[:, 1], atol=1e-12)
    np.testing.assert_allclose(binary.sum(axis=1), 1)
    np.testing.assert_allclose(recalibrate(pair, "binary", slope), recalibrate(pair, "multiclass", slope), atol=1e-9)


def test_certain_answers_can_be_moved_and_no_line_falls() -> None:
    found = recalibrate(np.array([[0.0, 1.0]]), "binary", 0.25, -1.0)
    assert np.isfinite(found).all()
    assert found.sum() == pytest.approx(1)
    for wrong in (0.0, -1.0, float("nan")):
        with pytest.raises(ValueError, match="slope must be above 0"):
            recalibrate(np.array([[0.5, 0.5]]), "binary", wrong)
    with pytest.raises(ValueError, match="offset 0 for multiclass"):
        recalibrate(np.array([[0.5, 0.5]]), "multiclass", 1.0, 0.1)


def both(positive: list[float]) -> npt.NDArray[np.float64]:
    return np.stack([1 - np.array(positive), np.array(positive)], axis=1)


KINDS = {
    "none": Calibration(),
    "temperature": Calibration("temperature", (0.5,)),
    "platt": Calibration("platt", (1.5, -0.3)),
    "beta": Calibration("beta", (0.7, 1.3, 0.2)),
    "isotonic": Calibration("isotonic", (0.1, 0.4, 0.9, 0.05, 0.5, 0.8)),
}


@pytest.mark.parametrize("kind", list(KINDS))
@given(positive=st.lists(st.floats(0, 1), min_size=1, max_size=6))
def test_every_calibration_keeps_the_order_and_gives_probabilities(kind: str, positive: list[float]) -> None:
    moved = KINDS[kind].apply(both(positive), "binary")
    assert ((moved >= 0) & (moved <= 1)).all()
    np.testing.assert_allclose(moved.sum(axis=1), 1)
    assert (np.diff(moved[np.argsort(positive), 1]) >= 0).all()
    columns = np.array(positive)[:, None].repeat(3, axis=1)
    np.testing.assert_allclose(KINDS[kind].apply(columns, "multilabel")[:, 2], moved[:, 1], atol=1e-12)


def test_calibrations_by_hand() -> None:
    half = both([0.2])
    assert KINDS["platt"].apply(half, "binary")[0, 1] == pytest.approx(1 / (1 + np.exp(1.5 * np.log(4) + 0.3)))
    assert KINDS["temperature"].apply(half, "binary")[0, 1] == pytest.approx(1 / (1 + 2))
    wanted = 0.2**0.7 / 0.8**1.3 * np.exp(0.2)
    assert KINDS["beta"].apply(half, "binary")[0, 1] == pytest.approx(wanted / (1 + wanted))
    assert KINDS["isotonic"].apply(both([0.0, 0.2, 0.65, 1.0]), "binary")[:, 1] == pytest.approx([0.05, 0.2, 0.65, 0.8])
    assert (KINDS["platt"].slope, KINDS["platt"].offset) == (1.5, -0.3)
    assert (KINDS["isotonic"].slope, KINDS["isotonic"].offset) == (1, 0)
    # A beta calibration with equal exponents is a line.
    line = Calibration("platt", (0.8, 0.4)).apply(both([0.1, 0.6]), "binary")
    np.testing.assert_allclose(Calibration("beta", (0.8, 0.8, 0.4)).apply(both([0.1, 0.6]), "binary"), line)


@pytest.mark.parametrize(
    ("kind", "numbers"),
    [
        ("none", (1.0,)),
        ("temperature", ()),
        ("temperature", (0.0,)),
        ("platt", (1.0,)),
        ("platt", (float("nan"), 0.0)),
        ("beta", (1.0, -0.1, 0.0)),
        ("isotonic", ()),
        ("isotonic", (0.1, 0.1, 0.2, 0.3)),
        ("isotonic", (0.1, 0.2, 0.3, 0.2)),
        ("isotonic", (0.1, 0.2, 0.3)),
    ],
)
def test_numbers_that_a_kind_cannot_have_are_refused(kind: str, numbers: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match=f"a calibration of kind {kind} cannot have"):
        Calibration(cast(CalibrationKind, kind), numbers)


@pytest.mark.parametrize("kind", ["beta", "isotonic"])
def test_multiclass_knows_no_such_calibration(kind: str) -> None:
    with pytest.raises(ValueError, match="multiclass task has no calibration"):
        KINDS[kind].apply(np.array([[0.2, 0.3, 0.5]]), "multiclass")


def test_a_change_of_prevalence_is_bayes_rule() -> None:
    # Images of the classes have densities f and g: 40 % and 10 % positive, the same images.
    rng = np.random.default_rng(0)
    seen = rng.normal(size=50)
    ratio = np.exp(2 * seen)

    def posterior(prevalence: float) -> npt.NDArray[np.float64]:
        return both(list(prevalence * ratio / (prevalence * ratio + 1 - prevalence)))

    moved = adjust_prevalence(posterior(0.4), "binary", (0.6, 0.4), (0.9, 0.1))
    np.testing.assert_allclose(moved, posterior(0.1))
    np.testing.assert_allclose(adjust_prevalence(moved, "binary", (0.9, 0.1), (0.6, 0.4)), posterior(0.4))
    column = posterior(0.4)[:, 1:]
    np.testing.assert_allclose(adjust_prevalence(column, "multilabel", (0.4,), (0.1,)), posterior(0.1)[:, 1:])


def test_multiclass_frequencies_weigh_the_classes() -> None:
    moved = adjust_prevalence(np.array([[0.5, 0.3, 0.2]]), "multiclass", (0.2, 0.3, 0.5), (0.5, 0.3, 0.2))
    wanted = np.array([0.5 * 2.5, 0.3, 0.2 * 0.4])
    np.testing.assert_allclose(moved[0], wanted / wanted.sum())


@pytest.mark.parametrize("after", [(0.5, 0.6), (0.0, 1.0), (1.0,)])
def test_frequencies_that_there_cannot_be_are_refused(after: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="frequency of each class"):
        adjust_prevalence(both([0.3]), "binary", (0.5, 0.5), after)
