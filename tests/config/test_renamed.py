"""Settings under the names of the version before: the same settings, and a warning that names the new ones."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from radlens.base.errors import UsageError
from radlens.config import is_stated, resolve, to_yaml
from radlens.config.renamed import GONE, RENAMED, RENAMED_VALUES
from radlens.config.run import RunSettings

VALUES = {"train.first_size": 0.7, "evaluate.mirror": True, "evaluate.error_rate": 0.03, "evaluate.refuse": 0.02}


def test_the_new_names_are_settings_and_the_old_ones_are_not() -> None:
    settings = RunSettings().model_dump()
    for old, new in RENAMED.items():
        section, old_key = old.split(".")
        assert new.split(".")[1] in settings[section]
        assert old_key not in settings[section]
    assert set(VALUES) == set(RENAMED)


@pytest.mark.parametrize("old", RENAMED)
def test_an_assignment_under_the_old_name_sets_the_new_one_and_says_so(
    old: str, caplog: pytest.LogCaptureFixture
) -> None:
    value = str(VALUES[old]).lower()
    with caplog.at_level(logging.WARNING):
        settings = resolve("fast", assignments=(f"{old}={value}",))
    assert settings == resolve("fast", assignments=(f"{RENAMED[old]}={value}",))
    (record,) = caplog.records
    assert f"the setting {old} is called {RENAMED[old]} now" in record.message
    assert is_stated(RENAMED[old], assignments=(f"{old}={value}",))


def test_a_file_of_the_version_before_is_read_as_what_it_meant(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    written = to_yaml(resolve("best", assignments=("evaluate.alpha=0.03",)))
    for old, new in RENAMED.items():
        assert f"  {new.split('.')[1]}: " in written
        written = written.replace(f"  {new.split('.')[1]}: ", f"  {old.split('.')[1]}: ")
    written = written.replace("  calibration: platt", "  calibration: line").replace("train:", "train:\n  teachers: 0")
    (tmp_path / "config.yaml").write_text(written, encoding="utf-8")
    with caplog.at_level(logging.WARNING):
        settings = resolve(file=tmp_path / "config.yaml")
    assert settings == resolve("best", assignments=("evaluate.alpha=0.03",))
    assert len(caplog.records) == len(RENAMED) + len(RENAMED_VALUES) + len(GONE)
    assert all(str(tmp_path / "config.yaml") in record.message for record in caplog.records)


def test_today_s_names_say_nothing(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        resolve("best", assignments=("evaluate.calibration=platt", "evaluate.flip_tta=false"))
    assert not caplog.records


def test_both_names_of_a_setting_are_a_mistake() -> None:
    with pytest.raises(
        UsageError, match=r"states both evaluate\.refuse and evaluate\.ood_rate.*keep evaluate\.ood_rate"
    ):
        resolve("fast", assignments=("evaluate={refuse: 0.01, ood_rate: 0.02}",))


def test_a_setting_that_is_gone_cannot_be_asked_for() -> None:
    with pytest.raises(UsageError, match=r"train\.teachers is no longer a setting"):
        resolve("fast", assignments=("train.teachers=2",))
