"""A report shows the settings that had a part in its figures, and no defaults in place of a model's own."""

from __future__ import annotations

import pytest
import yaml

from radlens.config import EvaluateSettings, RunSettings
from radlens.reporting.content import Origin
from radlens.reporting.shown_settings import _NO_PART, shown_place, shown_settings


@pytest.mark.parametrize("origin", ["run", "folds"])
def test_a_run_that_trained_shows_all(origin: Origin) -> None:
    settings = RunSettings()
    assert yaml.safe_load(shown_settings(settings, origin)) == settings.model_dump(mode="json")


def test_what_a_model_carries_is_not_told_from_the_defaults_of_the_command() -> None:
    shown = yaml.safe_load(shown_settings(RunSettings(), "model"))
    assert set(shown) == {"seed", "data", "preprocessing", "evaluate"}
    assert {"resamples", "confidence"} <= set(shown["evaluate"])
    assert not {"threshold", "calibration", "flip_tta", "ood_rate"} & set(shown["evaluate"])


def test_of_another_program_the_threshold_asked_for_is_shown() -> None:
    settings = RunSettings(evaluate=EvaluateSettings(threshold=0.4))
    shown = yaml.safe_load(shown_settings(settings, "outside"))
    assert shown["evaluate"]["threshold"] == 0.4
    assert "train" not in shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("/home/jane/lungs of Ulm", "lungs of Ulm"),
        ("/data/lungs/", "lungs"),
        (r"D:\scans\lungs.csv", "lungs.csv"),
        (r"\\server\share\lungs", "lungs"),
        ("~/lungs", "lungs"),
        ("/", "/"),
        ("kermany", "kermany"),
        ("lungs/train", "lungs/train"),
        ("Mendeley Data, doi:10.17632/rscbjbr9sj.3", "Mendeley Data, doi:10.17632/rscbjbr9sj.3"),
        ("", ""),
    ],
)
def test_a_place_on_this_machine_is_shown_by_its_name(text: str, shown: str) -> None:
    assert shown_place(text) == shown


def test_no_setting_tells_a_place_on_this_machine() -> None:
    data = {
        "source": "/home/jane/lungs",
        "csv": {"image_root": "/home/jane/pixels"},
        "dicom": {"labels": "/home/x.csv"},
    }
    shown = shown_settings(RunSettings.model_validate({"data": data}), "run")
    assert "/home" not in shown
    values = yaml.safe_load(shown)["data"]
    assert (values["source"], values["csv"]["image_root"], values["dicom"]["labels"]) == ("lungs", "pixels", "x.csv")


def test_what_is_left_out_are_settings() -> None:
    for sections, fields in _NO_PART.values():
        assert set(sections) <= set(RunSettings.model_fields)
        assert set(fields) <= set(EvaluateSettings.model_fields)
