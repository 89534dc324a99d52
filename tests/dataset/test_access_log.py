"""The ledger of test images: nothing is lost, nothing is counted twice, and the report says how often."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Any

import pytest

from radlens.base.errors import UsageError
from radlens.base.files import ACCESS_LOG_FILE, OUTPUT_MARKS, claim_output
from radlens.dataset.access_log import Access, access_note, new_access, read_access_log, record


def access(day: int, model: str = "m", data: str = "d") -> Access:
    return Access(when=f"2026-01-{day:02d}T10:00:00+00:00", why="evaluate", model=model, data=data, images=9)


def test_the_data_are_known_by_content_and_label_in_any_order() -> None:
    images = [("aa", "NORMAL"), ("bb", "PNEUMONIA")]
    one, turned = new_access("run", "m", images), new_access("run", "m", images[::-1])
    assert one.data == turned.data
    assert one.images == 2
    assert one.data != new_access("run", "m", [("aa", "PNEUMONIA"), ("bb", "NORMAL")]).data


def test_the_run_and_the_evaluation_both_remember(tmp_path: Path) -> None:
    run, first, second = tmp_path / "run", tmp_path / "first", tmp_path / "second"
    for folder in (run, first, second):
        folder.mkdir()
    record(access(1), run)
    record(access(2), first, run)
    record(access(3), second, run)
    assert [one.when[8:10] for one in read_access_log(run)] == ["01", "02", "03"]
    assert [one.when[8:10] for one in read_access_log(first)] == ["01", "02"]
    assert read_access_log(second) == read_access_log(run)


def test_overwriting_does_not_forget(tmp_path: Path) -> None:
    for name in ("manifest.csv", "dataset.yaml", "report.html"):
        (tmp_path / name).touch()
    record(access(1), tmp_path)
    with pytest.raises(UsageError, match="not empty"):
        claim_output(tmp_path, overwrite=False)
    claim_output(tmp_path, overwrite=True)
    assert [path.name for path in tmp_path.iterdir()] == [ACCESS_LOG_FILE]
    record(access(2), tmp_path)
    assert len(read_access_log(tmp_path)) == 2
    assert not list(claim_output(tmp_path / "new", overwrite=True).iterdir())


@pytest.mark.parametrize("operation", ["unlink", "rmdir", "mkdir"])
def test_an_interrupt_at_any_step_of_replacing_a_folder_loses_no_opening(
    operation: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = getattr(os, operation)
    left = 0

    def interrupted(*given: Any, **named: Any) -> Any:
        nonlocal left
        left -= 1
        if left < 0:
            raise KeyboardInterrupt
        return done(*given, **named)

    for steps in range(20):
        run = tmp_path / f"{steps}"
        (run / "model" / "deeper").mkdir(parents=True)
        for name in (*OUTPUT_MARKS, "report.html", "model/config.json", "model/deeper/x"):
            (run / name).touch()
        record(access(1), run)
        left = steps
        with monkeypatch.context() as patched:
            patched.setattr(os, operation, interrupted)
            try:
                claim_output(run, overwrite=True)
            except KeyboardInterrupt:
                assert read_access_log(run) == [access(1)], f"after {steps} x {operation}"
                continue
        break
    assert steps > 0
    assert [path.name for path in run.iterdir()] == [ACCESS_LOG_FILE]


def test_a_folder_with_nothing_but_openings_is_taken(tmp_path: Path) -> None:
    """Such as an interrupt leaves behind."""
    record(access(1), tmp_path)
    for overwrite in (True, False):
        assert read_access_log(claim_output(tmp_path, overwrite=overwrite)) == [access(1)]


def test_a_run_that_cannot_be_written_to_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, no_privileges: None
) -> None:
    run, out = tmp_path / "run", tmp_path / "out"
    run.mkdir(mode=0o500)
    with caplog.at_level(logging.WARNING):
        record(access(1), out, run)
    assert "could not be written down in the run" in caplog.text
    assert read_access_log(out) == [access(1)]


def test_a_damaged_line_is_said_and_the_others_count(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    record(access(1), tmp_path)
    with (tmp_path / ACCESS_LOG_FILE).open("a") as ledger:
        ledger.write('{"when": "2026-')
    with caplog.at_level(logging.WARNING):
        assert read_access_log(tmp_path) == [access(1)]
    assert "Line 2" in caplog.text
    record(access(3), tmp_path / "out", tmp_path)
    assert read_access_log(tmp_path) == [access(1), access(3)]


@pytest.mark.parametrize(
    ("accesses", "said"),
    [
        ([access(1)], "scored once, on 2026-01-01."),
        ([access(1), access(5)], "scored 2 times, from 2026-01-01 to 2026-01-05, each time by the same model."),
        ([access(1), access(2, model="n")], "by 2 different models. Whatever was changed or chosen after the first"),
        ([access(1, data="x"), access(2)], "scored once, on 2026-01-02. It knows of 1 other set of test images."),
    ],
)
def test_the_note_counts_looks_models_and_sets(accesses: list[Access], said: str) -> None:
    assert said in access_note(accesses)
