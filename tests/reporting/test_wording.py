from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from fixture_types import PredictionsOf
from known import known
from radlens.assessment.evaluate import evaluate
from radlens.config import EvaluateSettings
from radlens.reporting import wording
from radlens.runtime.metrics_record import SplitRecord
from radlens.runtime.metrics_sections import Metric
from radlens.runtime.record_base import Figure

BlockOf = Callable[..., SplitRecord]

SETTINGS = EvaluateSettings(resamples=100)


@pytest.fixture
def block_of(predictions_of: PredictionsOf) -> BlockOf:
    def make(task: str, threshold: float = 0.5, split: str = "test", **options: object) -> SplitRecord:
        table, info = predictions_of(task, threshold=threshold, **options)
        return evaluate(table, info, threshold, SETTINGS, seed=0)[split]

    return make


def test_the_headline_counts_what_the_confusion_matrix_counts(block_of: BlockOf) -> None:
    block = block_of("binary")
    (tn, fp), (fn, tp) = np.array(block.confusion_matrix).tolist()
    text = wording.headline(block, "test")
    assert text.startswith(f"Right for {tn + tp} of {block.n} test images: {block.accuracy.value:.1%} (95% CI ")
    assert wording.errors(block) == (
        f"{fn + fp} errors: {fn} PNEUMONIA called NORMAL (missed), {fp} NORMAL called PNEUMONIA (false alarms)."
    )
    details = [card.detail for card in wording.cards(block)]
    assert f"{tp} of {tp + fn} PNEUMONIA found" in details
    assert f"{tn} of {tn + fp} NORMAL recognised" in details


def test_multiclass_names_the_most_frequent_confusion(block_of: BlockOf) -> None:
    block = block_of("multiclass")
    counts = np.array(block.confusion_matrix)
    off = counts - np.diag(np.diag(counts))
    true, called = np.unravel_index(off.argmax(), off.shape)
    text = wording.errors(block)
    assert text.startswith(f"{off.sum()} errors; the most frequent: ")
    assert f"{block.classes[true]} called {block.classes[called]} ({off.max()})" in text
    assert f"{off[1:, 0].sum()} images with a finding were called normal." in text


def test_multilabel_counts_missed_and_raised_labels(block_of: BlockOf) -> None:
    block = block_of("multilabel")
    counts = np.array(block.confusion_matrix)
    assert wording.errors(block) == (
        f"Wrong answers: {counts[:, 1, 0].sum()} findings missed and {counts[:, 0, 1].sum()} raised falsely."
    )
    right = round(known(known(block.exact_match).value) * block.n)
    assert wording.headline(block, "test").startswith(f"All 3 labels right for {right} of {block.n} test images")


def test_a_model_that_says_always_the_same_is_named(block_of: BlockOf) -> None:
    block = block_of("binary", threshold=0.001)
    assert any("calls every image PNEUMONIA" in text for text in wording.cautions(block, "test"))
    assert not any("calls every image" in text for text in wording.cautions(block_of("binary"), "test"))


def test_an_accuracy_below_the_largest_class_is_named(block_of: BlockOf) -> None:
    counts, accuracy = {"NORMAL": 10, "PNEUMONIA": 70}, Metric(value=0.85, low=0.8, high=0.9)
    block = block_of("binary").model_copy(update={"class_counts": counts, "accuracy": accuracy})
    (text,) = (text for text in wording.cautions(block, "test") if "no better" in text)
    assert "always answering PNEUMONIA, which would be right for 87.5%" in text


def test_few_patients_and_validation_images_are_named(block_of: BlockOf) -> None:
    block = block_of("binary", split="val")
    said = " ".join(wording.cautions(block, "val"))
    assert f"Only {block.n_patients} patients" in said
    assert "expect worse" in said
    assert "expect worse" not in " ".join(wording.cautions(block, "test"))


def test_numbers_and_limits() -> None:
    assert wording.estimate(Figure(value=None, low=None, high=None), 0.95) == "not defined"
    assert wording.estimate(Figure(value=0.5, low=None, high=None), 0.95) == "0.500"
    assert wording.estimate(Figure(value=1.0, low=1.0, high=1.0), 0.95) == "1.000"
    assert wording.limits(Figure(value=1.0, low=1.0, high=1.0)) == "–"
    assert wording.limits(Figure(value=0.9, low=0.85, high=0.95)) == "0.850–0.950"
    assert wording.images(1) == "1 image"


def test_an_undefined_metric_gives_its_reason_on_the_card(block_of: BlockOf) -> None:
    undefined = Metric(value=None, reason="no image is NORMAL")
    block = block_of("binary").model_copy(update={"auroc": undefined})
    card = wording.cards(block)[-1]
    assert (card.value, card.interval, card.detail) == ("not defined", "", "no image is NORMAL")
