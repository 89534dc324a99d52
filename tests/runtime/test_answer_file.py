"""A file of answers is whole or has another name; it is gone on with, and nothing in it is lost or doubled."""

from __future__ import annotations

import logging
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from radlens.base.errors import DataError, RadlensError, UsageError
from radlens.base.folder_lock import folder_lock
from radlens.runtime.answer_file import AnswerFile, answer_file
from radlens.runtime.answer_rows import Maker, Rows, rows_in
from radlens.runtime.answers import Answer

MAKER = Maker("0123456789ab", 0.5)


@pytest.fixture(params=["csv", "json", "jsonl"])
def rows(request: pytest.FixtureRequest, tiny: Any) -> Rows:
    return rows_in(request.param, tiny().config(), MAKER)


def answer(path: str) -> Answer:
    return Answer(path, "NORMAL", {"NORMAL": 0.75, "PNEUMONIA": 0.25})


def write_all(file: AnswerFile, *paths: str) -> None:
    for path in paths:
        if file.takes(path):
            file.write(answer(path))


def written(path: Path, rows: Rows, *paths: str, resume: bool = False, overwrite: bool = False) -> bytes:
    with answer_file(path, rows, MAKER, resume=resume, overwrite=overwrite) as file:
        write_all(file, *paths)
    return path.read_bytes()


def stopped(path: Path, rows: Rows, *paths: str, resume: bool = False) -> Path:
    """The file that a program leaves which is stopped after so many answers."""
    with suppress(KeyboardInterrupt), answer_file(path, rows, MAKER, resume=resume, overwrite=False) as file:
        write_all(file, *paths)
        raise KeyboardInterrupt
    return path.with_name(path.name + ".partial")


def test_the_name_stands_for_a_whole_file(rows: Rows, tmp_path: Path) -> None:
    out = tmp_path / "new" / "answers"
    with answer_file(out, rows, MAKER, resume=False, overwrite=False) as file:
        file.write(answer("a"))
        assert not out.exists()
    assert [one.path for one in rows.read(out.open("rb"))] == ["a"]
    assert [path.name for path in out.parent.iterdir()] == ["answers"]


def test_every_answer_is_in_the_file_when_it_is_given(rows: Rows, tmp_path: Path) -> None:
    with answer_file(tmp_path / "out", rows, MAKER, resume=False, overwrite=False) as file:
        for number in range(3):
            file.write(answer(str(number)))
            found = rows.read((tmp_path / "out.partial").open("rb"))
            assert [one.path for one in found] == [str(one) for one in range(number + 1)]


def test_a_stopped_run_is_gone_on_with_wherever_it_was_torn(
    rows: Rows, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    wanted = written(tmp_path / "whole", rows, "a", "b", "b", "ö\n,", "d")
    out = tmp_path / "out"
    with caplog.at_level(logging.WARNING):
        partial = stopped(out, rows, "a", "b", "b", "ö\n,")
    assert "--resume goes on" in caplog.text
    content = partial.read_bytes()
    for size in {*range(0, len(content), 9), len(content) - 1, len(content)}:
        partial.write_bytes(content[:size])
        assert written(out, rows, "a", "b", "b", "ö\n,", "d", resume=True) == wanted
        assert not partial.exists()
        out.rename(partial)


def test_a_torn_row_goes_even_where_nothing_is_to_be_written(rows: Rows, tmp_path: Path) -> None:
    wanted = written(tmp_path / "whole", rows, "a")
    partial = stopped(tmp_path / "out", rows, "a", "b" * 1000)
    partial.write_bytes(partial.read_bytes()[:-20])
    assert written(tmp_path / "out", rows, "a", resume=True) == wanted


def test_a_whole_file_is_added_to(rows: Rows, tmp_path: Path) -> None:
    wanted = written(tmp_path / "whole", rows, "a", "b", "c")
    written(tmp_path / "out", rows, "a")
    assert written(tmp_path / "out", rows, "b", "a", "c", resume=True) == wanted
    assert written(tmp_path / "out", rows, "a", "b", resume=True) == wanted
    partial = stopped(tmp_path / "out", rows, "a", "b", "c", "d", resume=True)
    assert (tmp_path / "out").read_bytes() == wanted, "the whole file stands until the new one does"
    assert partial.exists()
    assert written(tmp_path / "out", rows, "d", "e", resume=True) == written(tmp_path / "five", rows, *"abcde")


def test_an_image_that_is_named_twice_has_two_answers(rows: Rows, tmp_path: Path) -> None:
    wanted = written(tmp_path / "whole", rows, "a", "a", "b")
    stopped(tmp_path / "out", rows, "a")
    assert written(tmp_path / "out", rows, "a", "a", "b", resume=True) == wanted


def test_nothing_is_replaced_unasked(rows: Rows, tmp_path: Path) -> None:
    out = tmp_path / "out"
    before = written(out, rows, "a")
    with pytest.raises(UsageError, match="out exists.*--resume.*--overwrite"):
        written(out, rows, "b")
    assert out.read_bytes() == before
    assert written(out, rows, "b", overwrite=True) == written(tmp_path / "other", rows, "b")
    out.unlink()
    stopped(out, rows, "a")
    with pytest.raises(UsageError, match=r"stopped run left .*out\.partial"):
        written(out, rows, "b")
    assert written(out, rows, "c", overwrite=True) == written(tmp_path / "third", rows, "c")
    with pytest.raises(UsageError, match="exclude each other"):
        written(out, rows, "b", resume=True, overwrite=True)
    with pytest.raises(UsageError, match="is a folder"):
        written(tmp_path, rows, "b")


@pytest.mark.parametrize("other", [Maker("ba9876543210", 0.5), Maker("0123456789ab", 0.2)])
def test_answers_of_another_model_are_not_mixed_in(rows: Rows, tmp_path: Path, other: Maker) -> None:
    before = written(tmp_path / "out", rows, "a")
    with (
        pytest.raises(
            UsageError, match=r"cannot be gone on with: its answers are of model 0123456789ab at threshold 0\.5"
        ),
        answer_file(tmp_path / "out", rows, other, resume=True, overwrite=False),
    ):
        pass
    assert (tmp_path / "out").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_file_of_something_else_is_left_alone(rows: Rows, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.write_text("dear diary,\ntoday\n")
    with pytest.raises(DataError, match="out cannot be gone on with: "):
        written(out, rows, "a", resume=True)
    assert out.read_text() == "dear diary,\ntoday\n"


def test_two_programs_do_not_write_to_one_file(rows: Rows, tmp_path: Path) -> None:
    fcntl = pytest.importorskip("fcntl")
    partial = tmp_path / "out.partial"
    partial.touch()
    code = (
        f"import fcntl, sys; file = open({str(partial)!r}, 'rb'); fcntl.flock(file, {fcntl.LOCK_EX})\n"
        "print('locked', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        other.stdout.readline()
        with pytest.raises(RadlensError, match="Another program writes answers"):
            written(tmp_path / "out", rows, "a", resume=True)
        other.communicate()
    assert written(tmp_path / "out", rows, "a", resume=True)


def test_the_process_that_writes_is_named(rows: Rows, tmp_path: Path) -> None:
    with folder_lock(tmp_path / "out"), pytest.raises(RadlensError, match=r"process \d+ on .*, started 20"):
        written(tmp_path / "out", rows, "a")


def test_a_folder_that_cannot_be_written_to_is_named(rows: Rows, tmp_path: Path, no_privileges: None) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o500)
    with pytest.raises(RadlensError, match="Could not write .*closed/out"):
        written(closed / "out", rows, "a")
