"""One writer a folder: told by host, process and start; freed by whatever end, taken over when stale."""

from __future__ import annotations

import json
import os
import platform
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from radlens.base import folder_lock as locks
from radlens.base.errors import RadlensError
from radlens.base.folder_lock import folder_lock, writes_folder

HOLD = """
import sys, time
from pathlib import Path
from radlens.base.folder_lock import folder_lock
with folder_lock(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(600)
"""


def holder(folder: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(folder)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


@pytest.mark.skipif(os.name == "nt", reason="signals")
def test_another_process_is_told_who_holds_the_folder_until_it_ends_in_whatever_way(tmp_path: Path) -> None:
    process = holder(tmp_path / "run")
    try:
        with pytest.raises(RadlensError) as raised, folder_lock(tmp_path / "run"):
            pass
        message = str(raised.value)
        assert f"process {process.pid} on {platform.node()}, started 20" in message
        assert "choose another --out" in message
        with folder_lock(tmp_path / "other"):
            pass
    finally:
        process.send_signal(signal.SIGKILL)
        process.communicate()
    assert list(tmp_path.iterdir()), "a killed process leaves its file"
    with folder_lock(tmp_path / "run"):
        assert json.loads((tmp_path / ".run.radlens-lock").read_text())["process"] == os.getpid()
    assert not list(tmp_path.iterdir())


def test_the_same_folder_by_another_name_is_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "run")
    monkeypatch.chdir(tmp_path)
    with folder_lock(Path("run")), pytest.raises(RadlensError, match="Another process"), folder_lock(tmp_path / "link"):
        pass
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link", "run"]


def test_an_error_releases_and_nothing_is_left_of_folders_made_for_the_lock(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="mine"), folder_lock(tmp_path / "a" / "b" / "run"):
        raise ValueError("mine")
    assert not list(tmp_path.iterdir())
    with folder_lock(tmp_path / "a" / "run"):
        (tmp_path / "a" / "run").mkdir()
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["run"]


def write_lock(folder: Path, **told: object) -> Path:
    place = folder / ".run.radlens-lock"
    starts = locks._starts(os.getpid())
    own = {"host": platform.node(), "process": os.getpid(), "started": "2026-01-01", "starts": starts}
    place.write_text(json.dumps(own | told))
    return place


def test_the_lock_of_another_machine_is_told_with_how_to_go_on(tmp_path: Path) -> None:
    place = write_lock(tmp_path, host="elsewhere", process=7)
    with pytest.raises(RadlensError) as raised, folder_lock(tmp_path / "run"):
        pass
    assert "process 7 on elsewhere, started 2026-01-01" in str(raised.value)
    assert f"delete {place}" in str(raised.value)
    place.unlink()
    with folder_lock(tmp_path / "run"):
        pass


@pytest.mark.parametrize(("told", "is_busy"), [({}, True), ({"starts": "1"}, False), ({"process": 2**22 + 1}, False)])
def test_without_locks_of_the_system_process_and_start_decide(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, told: dict[str, object], is_busy: bool
) -> None:
    def unsupported(descriptor: int, *, blocking: bool) -> bool:
        raise OSError("no locks here")

    monkeypatch.setattr(locks, "lock_descriptor", unsupported)
    write_lock(tmp_path, **told)
    if is_busy:
        with pytest.raises(RadlensError, match="Another process"), folder_lock(tmp_path / "run"):
            pass
        return
    with folder_lock(tmp_path / "run"):
        pass


def test_a_file_that_says_nothing_is_taken_over(tmp_path: Path) -> None:
    (tmp_path / ".run.radlens-lock").write_bytes(b"\xff{")
    with folder_lock(tmp_path / "run"):
        pass


def test_a_folder_below_one_that_may_not_be_written_to_is_locked_in_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RADLENS_CACHE", str(tmp_path / "cache"))
    (tmp_path / "top" / "run").mkdir(parents=True)
    monkeypatch.setattr(os, "access", lambda *_: False)
    with folder_lock(tmp_path / "top" / "run"):
        assert len(list((tmp_path / "cache" / "locks").iterdir())) == 1
        with pytest.raises(RadlensError, match="Another process"), folder_lock(tmp_path / "top" / "run"):
            pass
    assert [path.name for path in (tmp_path / "top").iterdir()] == ["run"]


def test_a_function_is_alone_with_the_folder_that_it_writes_and_with_none_where_it_writes_nothing(
    tmp_path: Path,
) -> None:
    @writes_folder()
    def write(source: str, out: Path | None = None) -> str:
        return source

    with folder_lock(tmp_path / "run"):
        assert write("a") == "a"
        assert write("a", tmp_path / "other") == "a"
        with pytest.raises(RadlensError, match="Another process"):
            write("a", out=tmp_path / "run")
