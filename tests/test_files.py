"""Nothing half-written is ever left under a final name, and nothing of somebody else's is deleted."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

import pytest

from radlens.errors import RadlensError, UsageError
from radlens.files import OUTPUT_MARKS, building, cache_root, check_output, claim_output, replacing, write_text


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
