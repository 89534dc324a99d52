"""The rule that chose an operating point, and what the point does at least, in plain words."""

from __future__ import annotations

from dataclasses import replace
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from radlens.assessment.operating_words import bound, bounds_in_words, rule_in_words
from radlens.config import EvaluateSettings
from radlens.decision import OperatingPoint

POINT = OperatingPoint("balanced", 0.9849, 0.9725, 0.9938, 0.9723, 0.95, 199, 1147)


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ("balanced", "the highest mean of sensitivity and specificity on validation images (balanced)"),
        ("youden", "the highest sum of sensitivity and specificity (Youden's index plus 1) on validation"),
        ("cost", "the least expected cost of wrong answers on validation images (cost)"),
        ("sensitivity:0.985", "the highest threshold that reaches a sensitivity of 98.5%"),
        ("specificity:0.9", "the lowest threshold that reaches a specificity of 90%"),
        ("0.3", "the threshold 0.3 was stated in the settings, not chosen on images"),
    ],
)
def test_each_rule_is_told_in_words(rule: str, words: str) -> None:
    assert words in rule_in_words(replace(POINT, rule=rule), "binary")


def test_copies_that_the_rule_went_by_are_told() -> None:
    for copies, words in (
        (0, "validation images (balanced)"),
        (1, "and 1 changed copy of"),
        (4, "and 4 changed copies of"),
    ):
        assert words in rule_in_words(replace(POINT, copies=copies), "binary")


def test_no_rule_of_the_settings_is_taken_for_a_fixed_threshold() -> None:
    annotation = EvaluateSettings.model_fields["threshold"].annotation
    named = [name for part in get_args(annotation) for name in get_args(part) if isinstance(name, str)]
    for rule in [*(name for name in named if name.isalpha()), "sensitivity:0.9", "specificity:0.9"]:
        assert "stated in the settings" not in rule_in_words(replace(POINT, rule=rule), "binary"), rule


def test_costs_are_named_where_they_are_known() -> None:
    cost = replace(POINT, rule="cost", cost_missed=5.0, cost_alarm=0.5)
    text = rule_in_words(cost, "binary")
    assert "a missed finding costing 5 and a false alarm 0.5, positives being as frequent as there," in text
    assert "2.5% of the images being positive" in rule_in_words(replace(cost, cost_prevalence=0.025), "binary")


def test_bounds_name_patients_classes_and_confidence() -> None:
    text = bounds_in_words(POINT, "binary", ("NORMAL", "PNEUMONIA"))
    assert "patients: 199 with PNEUMONIA, 1,147 with NORMAL" in text
    assert "sensitivity is 98.5%, at least 97.2%; its specificity 99.4%, at least 97.2%" in text
    assert "95% confidence" in text
    assert "chosen on these very images" in text
    assert "chosen on these" not in bounds_in_words(replace(POINT, rule="0.5"), "binary", ("NORMAL", "PNEUMONIA"))
    several = bounds_in_words(POINT, "multilabel", ("mass", "nodule", "effusion"))
    assert "for each label at least 199 with it, 1,147 without" in several
    assert "mean sensitivity" in several


@given(st.floats(0, 1))
def test_a_bound_is_never_rounded_up(value: float) -> None:
    shown = float(bound(value).removesuffix("%")) / 100
    assert value - 0.001 < shown <= value + 1e-9
