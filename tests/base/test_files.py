"""Nothing half-written is ever left under a final name, and nothing of somebody else's is deleted."""

from __future__ import annotations

import errno
import os
import re
import shutil
import time
from contextlib import suppress
from pathlib import Path

import pytest

from radlens.base import files
from radlens.base.errors import RadlensError, UsageError
from radlens.base.files import (
    OUTPUT_MARKS,
    building,
    cache_root,
    check_output,
    claim_output,
    remove_abandoned,
    replacing,
    write_text,
)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def write_half(path: Path, error: BaseException) -> None:
    with replacing(path) as temporary:
        temporary.write_text("half")
        raise error


def build_half(folder: Path, error: BaseException) -> None:
    with building(folder) as temporary:
        (temporary / "a").write_text("half")
        raise error


def test_replacing_makes_the_folder_and_the_file(tmp_path: Path) -> None:
    target = tmp_path / "a" / "b" / "x.txt"
    with replacing(target) as temporary:
        assert temporary.parent == target.parent
        temporary.write_text("new")
        assert not target.exists()
        written = temporary.stat().st_ino
    assert target.read_text() == "new"
    assert target.stat().st_ino == written, "a copy is no single step: it can be seen half-written"
    assert names(target.parent) == ["x.txt"]


def test_replacing_leaves_the_old_file_when_writing_fails(tmp_path: Path) -> None:
    target = tmp_path / "x.txt"
    target.write_text("old")
    with pytest.raises(ZeroDivisionError):
        write_half(target, ZeroDivisionError())
    assert target.read_text() == "old"
    assert names(tmp_path) == ["x.txt"]


def test_replacing_leaves_nothing_on_ctrl_c(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        write_half(tmp_path / "x.txt", KeyboardInterrupt())
    assert names(tmp_path) == []


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_said_in_words(tmp_path: Path, code: int) -> None:
    target = tmp_path / "x.txt"
    target.write_text("old")
    with pytest.raises(RadlensError, match=r"No space left on the device while writing .*x\.txt") as caught:
        write_half(target, OSError(code, os.strerror(code)))
    assert caught.value.exit_code == 1
    assert target.read_text() == "old"
    assert names(tmp_path) == ["x.txt"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full on this system")
def test_a_device_that_is_really_full_is_said_in_words(tmp_path: Path) -> None:
    with pytest.raises(RadlensError, match="No space left"), replacing(tmp_path / "x.txt"):
        Path("/dev/full").write_text("no room for this")


def test_any_other_failure_names_the_file_and_the_cause(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(RadlensError, match=r"Could not write .*x\.txt: "):
        write_text(tmp_path / "file" / "x.txt", "text")
    with pytest.raises(RadlensError, match=r"Could not write .*y"), building(tmp_path / "file" / "y"):
        pass


def test_write_text_writes_utf_8_whatever_the_locale(tmp_path: Path) -> None:
    write_text(tmp_path / "x.txt", "Lungenentzündung 肺炎\n")
    assert (tmp_path / "x.txt").read_bytes() == "Lungenentzündung 肺炎\n".encode()


def test_building_shows_the_folder_only_when_complete(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "cache"
    with building(target) as temporary:
        (temporary / "a").write_text("1")
        assert not target.exists()
    assert names(target) == ["a"]
    assert names(target.parent) == ["cache"]


@pytest.mark.parametrize("error", [ZeroDivisionError, KeyboardInterrupt])
def test_building_leaves_nothing_on_failure(tmp_path: Path, error: type[BaseException]) -> None:
    with pytest.raises(error):
        build_half(tmp_path / "cache", error())
    assert names(tmp_path) == []


def test_building_on_a_full_disk_is_said_in_words(tmp_path: Path) -> None:
    with pytest.raises(RadlensError, match="No space left"):
        build_half(tmp_path / "cache", OSError(errno.ENOSPC, "full"))
    assert names(tmp_path) == []


def test_who_finishes_building_first_wins_and_the_other_is_no_error(tmp_path: Path) -> None:
    target = tmp_path / "cache"
    with building(target) as slow:
        (slow / "a").write_text("slow")
        with building(target) as quick:
            (quick / "a").write_text("quick")
    assert (target / "a").read_text() == "quick"
    assert names(tmp_path) == ["cache"]


def test_building_onto_a_file_is_refused_and_leaves_it(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file")
    with pytest.raises(RadlensError, match="Could not write"), building(tmp_path / "cache"):
        pass
    assert (tmp_path / "cache").read_text() == "a file"
    assert names(tmp_path) == ["cache"]


def partial(folder: Path, *, machine: str | None = None, age: float = 0.0) -> Path:
    """A temporary folder such as a killed process leaves it."""
    with suppress(ZeroDivisionError), building(folder / "cache") as temporary:
        name = temporary.name
        raise ZeroDivisionError
    if machine is not None:
        name = re.sub(r"\.[0-9a-f]{8}\.", f".{machine}.", name)
    path = folder / name
    path.mkdir()
    (path / "a").write_text("half")
    for each in (path / "a", path):
        os.utime(each, (time.time() - age, time.time() - age))
    return path


DAY = 24 * 3600


def test_what_a_killed_process_left_is_removed_by_the_next_one(tmp_path: Path) -> None:
    left = partial(tmp_path)
    with building(tmp_path / "other") as temporary:
        assert not left.exists()
        (temporary / "a").write_text("1")
    assert names(tmp_path) == ["other"]


def test_what_a_living_process_fills_is_left_alone_however_long_it_takes(tmp_path: Path) -> None:
    with building(tmp_path / "cache") as temporary:
        os.utime(temporary, (0, 0))
        remove_abandoned(tmp_path)
        assert temporary.is_dir()
    assert names(tmp_path) == ["cache"]


@pytest.mark.parametrize(("age", "stays"), [(0, True), (0.9 * DAY, True), (1.1 * DAY, False)])
def test_of_other_machines_and_where_there_are_no_locks_a_day_decides(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, age: float, stays: bool
) -> None:
    elsewhere = partial(tmp_path, machine="0123abcd", age=age)
    remove_abandoned(tmp_path)
    assert elsewhere.exists() == stays
    monkeypatch.setattr("radlens.base.files.lock_descriptor", _no_locks)
    here = partial(tmp_path, age=age)
    remove_abandoned(tmp_path)
    assert here.exists() == stays


def _no_locks(descriptor: int, *, blocking: bool) -> bool:
    """As on a file system that has none."""
    raise OSError(errno.ENOLCK, "No locks available")


def test_a_folder_that_is_still_written_to_elsewhere_counts_as_changed(tmp_path: Path) -> None:
    elsewhere = partial(tmp_path, machine="0123abcd", age=2 * DAY)
    (elsewhere / "a").write_text("more")
    os.utime(elsewhere, (0, 0))
    remove_abandoned(tmp_path)
    assert elsewhere.exists()


def test_files_that_a_killed_process_left_are_removed_after_a_day(tmp_path: Path) -> None:
    for age in (0.5 * DAY, 2 * DAY):
        with replacing(tmp_path / "x.txt") as temporary:
            temporary.write_text("new")
            left = temporary
        left.write_text("half")
        os.utime(left, (time.time() - age, time.time() - age))
    remove_abandoned(tmp_path)
    assert len(names(tmp_path)) == 2


def test_only_what_radlens_itself_names_so_is_ever_removed(tmp_path: Path) -> None:
    for name in (".x.partial", "x.partial", ".movie.mkv.0123abcd.partial", ".rsync-partial"):
        (tmp_path / name).mkdir()
        os.utime(tmp_path / name, (0, 0))
    before = names(tmp_path)
    remove_abandoned(tmp_path)
    remove_abandoned(tmp_path / "nowhere")
    assert names(tmp_path) == before


def test_a_temporary_folder_taken_for_an_abandoned_one_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process may see it between its making and its locking."""
    plain, times = files._lock, [0]

    def raced(folder: Path) -> int | None:
        times[0] += 1
        if times[0] == 1:
            folder.rmdir()
        elif times[0] == 2:
            raise BlockingIOError
        elif times[0] == 3:
            lock = plain(folder)
            folder.rmdir()
            return lock
        return plain(folder)

    monkeypatch.setattr(files, "_lock", raced)
    with building(tmp_path / "cache") as temporary:
        (temporary / "a").write_text("1")
    assert times[0] == 4
    assert (tmp_path / "cache" / "a").read_text() == "1"


def test_the_cache_lies_where_the_environment_says_else_with_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RADLENS_CACHE", "/elsewhere")
    assert cache_root() == Path("/elsewhere")
    monkeypatch.setenv("RADLENS_CACHE", "")
    assert cache_root().name == "radlens"
    monkeypatch.delenv("RADLENS_CACHE")
    assert cache_root().name == "radlens"


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_new_or_empty_output_folder_is_taken(tmp_path: Path, overwrite: bool) -> None:
    assert claim_output(tmp_path / "new" / "run", overwrite=overwrite).is_dir()
    (tmp_path / "empty").mkdir()
    assert claim_output(tmp_path / "empty", overwrite=overwrite) == tmp_path / "empty"
    assert names(tmp_path / "empty") == []


@pytest.mark.parametrize("overwrite", [False, True])
def test_an_output_that_is_a_file_is_refused(tmp_path: Path, overwrite: bool) -> None:
    (tmp_path / "run").write_text("precious")
    with pytest.raises(UsageError, match="is a file"):
        claim_output(tmp_path / "run", overwrite=overwrite)
    assert (tmp_path / "run").read_text() == "precious"


def test_an_earlier_run_is_replaced_only_with_overwrite(tmp_path: Path) -> None:
    run = tmp_path / "run"
    (run / "deep").mkdir(parents=True)
    for mark in OUTPUT_MARKS:
        (run / mark).write_text("x")
    (run / "deep" / "y").write_text("y")
    with pytest.raises(UsageError, match="not empty.*--overwrite"):
        claim_output(run, overwrite=False)
    assert names(run) == sorted([*OUTPUT_MARKS, "deep"])
    claim_output(run, overwrite=True)
    assert names(run) == []


def test_overwrite_never_deletes_what_radlens_did_not_write(tmp_path: Path) -> None:
    home = tmp_path / "documents"
    # Marks deeper down make it no run, and neither does one mark alone or a folder of that name.
    (home / "run").mkdir(parents=True)
    for mark in OUTPUT_MARKS:
        (home / "run" / mark).write_text("x")
    (home / "manifest.csv").write_text("a table of one's own")
    (home / "dataset.yaml").mkdir()
    (home / "thesis.tex").write_text("three years of work")
    with pytest.raises(UsageError, match="no radlens run wrote"):
        claim_output(home, overwrite=True)
    assert names(home) == ["dataset.yaml", "manifest.csv", "run", "thesis.tex"]


def test_check_output_changes_nothing(tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    for mark in OUTPUT_MARKS:
        (run / mark).write_text("x")
    assert check_output(run, overwrite=True) == run
    assert check_output(tmp_path / "new", overwrite=False) == tmp_path / "new"
    assert names(run) == sorted(OUTPUT_MARKS)
    assert names(tmp_path) == ["run"]


def test_an_output_folder_that_cannot_be_emptied_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: Path) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    run = tmp_path / "run"
    run.mkdir()
    for mark in OUTPUT_MARKS:
        (run / mark).write_text("x")
    monkeypatch.setattr(shutil, "rmtree", refuse)
    with pytest.raises(RadlensError, match="Could not write.*Permission denied"):
        claim_output(run, overwrite=True)


def test_a_linked_output_folder_keeps_what_the_link_points_to(tmp_path: Path) -> None:
    real = tmp_path / "real"
    real.mkdir()
    for mark in OUTPUT_MARKS:
        (real / mark).write_text("x")
    (tmp_path / "link").symlink_to(real)
    with pytest.raises(RadlensError):
        claim_output(tmp_path / "link", overwrite=True)
    assert names(real) == sorted(OUTPUT_MARKS)
