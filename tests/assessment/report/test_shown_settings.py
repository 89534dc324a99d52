"""A report shows the settings that had a part in its figures, and no defaults in place of a model's own."""

from __future__ import annotations

import pytest
import yaml

from radlens.assessment.report.content import Origin
from radlens.assessment.report.shown_settings import _NO_PART, shown_settings
from radlens.config import EvaluateSettings, RunSettings


@pytest.mark.parametrize("origin", ["run", "folds"])
def test_a_run_that_trained_shows_all(origin: Origin) -> None:
    settings = RunSettings()
    assert yaml.safe_load(shown_settings(settings, origin)) == settings.model_dump(mode="json")


def test_what_a_model_carries_is_not_told_from_the_defaults_of_the_command() -> None:
    shown = yaml.safe_load(shown_settings(RunSettings(), "model"))
    assert set(shown) == {"seed", "data", "preprocessing", "evaluate"}
    assert {"resamples", "confidence"} <= set(shown["evaluate"])
    assert not {"threshold", "calibration", "mirror", "refuse"} & set(shown["evaluate"])


def test_of_another_program_the_threshold_asked_for_is_shown() -> None:
    settings = RunSettings(evaluate=EvaluateSettings(threshold=0.4))
    shown = yaml.safe_load(shown_settings(settings, "outside"))
    assert shown["evaluate"]["threshold"] == 0.4
    assert "train" not in shown


def test_what_is_left_out_are_settings() -> None:
    for sections, fields in _NO_PART.values():
        assert set(sections) <= set(RunSettings.model_fields)
        assert set(fields) <= set(EvaluateSettings.model_fields)
