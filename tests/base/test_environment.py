"""What a run was made with: present, plain, and the commit told only of the checkout that radlens runs from."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import radlens
from radlens.base import environment
from radlens.base.environment import cpu_name, describe_environment, git_commit


def test_versions_machine_and_seed_are_recorded_as_json() -> None:
    import numpy
    import torch

    from radlens.learning.device import visible_gpus

    found = describe_environment(17, visible_gpus())
    assert found["radlens"] == radlens.__version__
    assert found["seed"] == 17
    assert found["python"] == platform.python_version()
    assert found["packages"]["numpy"] == numpy.__version__
    assert found["packages"]["torch"] == torch.__version__
    assert found["cpu_cores"] == os.cpu_count()
    assert len(found["gpus"]) == torch.cuda.device_count()
    assert describe_environment(0, ["a GPU"])["gpus"] == ["a GPU"]
    assert abs(datetime.now(UTC) - datetime.fromisoformat(found["started"])) < timedelta(minutes=5)
    assert json.loads(json.dumps(found)) == found


def test_a_package_that_is_not_installed_is_recorded_as_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment, "_PACKAGES", ("numpy", "no-such-package"))
    assert describe_environment(0)["packages"]["no-such-package"] is None


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A git checkout that radlens seems to run from."""
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_SYSTEM", os.devnull)
    module = tmp_path / "environment.py"
    module.write_text("one")
    monkeypatch.setattr(environment, "__file__", str(module))
    git(tmp_path, "init", "-q")
    return tmp_path


def git(folder: Path, *arguments: str) -> str:
    who = ["-c", "user.name=x", "-c", "user.email=x@example.org"]
    done = subprocess.run(["git", "-C", str(folder), *who, *arguments], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_the_commit_is_told_and_changes_are_marked(checkout: Path) -> None:
    git(checkout, "add", ".")
    git(checkout, "commit", "-qm", "first")
    commit = git(checkout, "rev-parse", "HEAD")
    assert git_commit() == commit
    (checkout / "beside.txt").write_text("untracked")
    assert git_commit() == commit
    (checkout / "environment.py").write_text("two")
    assert git_commit() == f"{commit}+changes"


def test_an_installed_copy_within_another_checkout_has_no_commit(checkout: Path) -> None:
    git(checkout, "commit", "-qm", "first", "--allow-empty")
    assert git_commit() is None


def test_a_checkout_without_commits_has_no_commit(checkout: Path) -> None:
    assert git_commit() is None


def test_without_git_there_is_no_commit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert git_commit() is None


def test_the_processor_has_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    assert cpu_name()
    if sys.platform == "linux" and "model name" in Path("/proc/cpuinfo").read_text():
        assert f": {cpu_name()}\n" in Path("/proc/cpuinfo").read_text()

    def refuse(*_: object, **__: object) -> str:
        raise OSError

    monkeypatch.setattr(Path, "read_text", refuse)
    assert cpu_name() == (platform.processor() or platform.machine())
