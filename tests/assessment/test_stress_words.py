"""The words of a stress test: the verdict names the worst change, and the advice what would help."""

from __future__ import annotations

import numpy as np
import pandas as pd

from radlens.assessment.changed_answers import NamedChange
from radlens.assessment.framing_evidence import judge_framing
from radlens.assessment.predictions import predictions_table
from radlens.assessment.stress_evidence import is_guessing, judge_quality, stress_table
from radlens.assessment.stress_records import StressRecord, worse
from radlens.assessment.stress_words import advice, advice_in_short, verdict_sentence
from radlens.dataset.manifest import DatasetInfo, Manifest
from radlens.imaging.framing import SUITE

QUALITY = (NamedChange("noise", 1, "noise of 5 grey levels"), NamedChange("gamma", 2, "gamma 1.7"))


def record(
    framing_lost: float = 0.0, quality_lost: float = 0.0, plain: float = 1.0, answered_by: str = "model"
) -> StressRecord:
    """What is found where so large a share of the ill is answered wrongly: all changes of framing, and gamma."""
    labels = ["normal", "ill"] * 60
    table = pd.DataFrame(
        {
            "path": [f"{n}.png" for n in range(120)],
            "label": labels,
            "patient": [f"p{n}" for n in range(120)],
            "split": "test",
        }
    )
    info = DatasetInfo(name="made", task="binary", classes=("normal", "ill"), root="/")

    def scores(right: float) -> np.ndarray:
        ill = np.where(np.arange(60) < right * 60, 0.9, 0.1)
        positive = np.stack([np.full(60, 0.2), ill], axis=1).ravel()
        return np.stack([1 - positive, positive], axis=1)

    predictions = predictions_table(Manifest(table, info), scores(plain))
    framing = judge_framing(predictions, [scores(plain - framing_lost)] * len(SUITE), info, 0.5)
    quality = judge_quality(QUALITY, predictions, [scores(plain), scores(plain - quality_lost)], info, 0.5)
    guesses = is_guessing(framing.unchanged, "binary")
    return StressRecord(
        answered_by="table" if answered_by == "table" else "model",
        name="m",
        sha256="0",
        data="made",
        simulated=False,
        split="test",
        task="binary",
        classes=info.classes,
        threshold=0.5,
        seed=0,
        left_out=0,
        guesses=guesses,
        framing=framing,
        quality=quality,
        verdict=worse((framing.verdict, quality.verdict, "warn" if guesses else "pass")),
    )


def test_what_fails_is_named_and_what_passes_is_not() -> None:
    found = record(quality_lost=0.5)
    assert verdict_sentence(found) == (
        "Fails. The answers hang on exposure, quality or position: with gamma 1.7, the balanced accuracy goes from "
        "100.0% to 75.0%."
    )
    assert "gamma (augment.gamma)" in advice(found)
    assert "augment.sides" not in advice(found)
    assert "augment" not in advice_in_short(found)


def test_both_suites_are_named_where_both_fail() -> None:
    said = verdict_sentence(record(0.5, 0.5))
    assert "framed" in said
    assert "gamma 1.7" in said
    assert "augment.stretch" in advice(record(0.5, 0.5))


def test_settings_of_radlens_are_no_advice_to_another_program() -> None:
    said = advice(record(0.5, 0.5, answered_by="table"))
    assert "augment" not in said
    assert "gamma" in said


def test_few_images_are_asked_for_before_anything_is_trained() -> None:
    found = record(0.5)
    few = found.framing.unchanged.groups["ill"].model_copy(update={"images": 7})
    unchanged = found.framing.unchanged.model_copy(update={"groups": {**found.framing.unchanged.groups, "ill": few}})
    framing = found.framing.model_copy(update={"unchanged": unchanged, "verdict": "warn"})
    unsettled = found.model_copy(update={"framing": framing, "verdict": "warn"})
    assert advice(unsettled).startswith("Give at least 20 images of each class (--images)")
    assert "augment.sides" in advice(unsettled)
    assert advice_in_short(unsettled).startswith("Give at least 20 images of each class (--images)")


def test_a_pass_promises_no_more_than_was_tried() -> None:
    found = record()
    assert verdict_sentence(found).startswith("Passes. The answers stay nearly the same")
    assert "evaluate it on images from elsewhere" in advice(found)


def test_a_model_that_guesses_does_not_pass() -> None:
    found = record(plain=0.1)
    assert found.verdict == "warn"
    assert "hardly better than by guessing" in verdict_sentence(found)


def test_the_table_has_a_row_for_each_change_and_class() -> None:
    table = stress_table(record(quality_lost=0.5))
    assert len(table) == 2 * (1 + len(SUITE) + len(QUALITY))
    assert table.iloc[-1][["suite", "change", "class", "recall", "flipped"]].tolist() == [
        "quality",
        "gamma 1.7",
        "ill",
        0.5,
        0.5,
    ]
