"""What ``radlens doctor`` tells of packages that are there, absent and broken, and of the machine."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import typer

import radlens
from radlens.base import optional
from radlens.base.version import __version__
from radlens.cli import doctor as command
from radlens.cli.commands import COMMANDS
from radlens.workflows import doctor as verb
from radlens.workflows.doctor import PURPOSES, doctor


def test_every_extra_is_told_with_what_it_is_for() -> None:
    diagnosis = doctor()
    assert [extra.name for extra in diagnosis.extras] == list(optional.EXTRAS)
    assert set(PURPOSES) == set(optional.EXTRAS)
    assert not diagnosis.broken
    assert diagnosis.radlens == __version__
    assert 1 <= diagnosis.cores <= diagnosis.machine_cores
    assert diagnosis.cache is not None
    assert diagnosis.cache_free


def test_every_command_is_told_with_the_extra_that_it_needs() -> None:
    told = {extra: set(re.findall(r"\w+", purpose)) for extra, purpose in PURPOSES.items()}
    assert [named for command, extra in COMMANDS if (named := command.__name__) not in told[extra]] == []


def test_what_is_missing_and_what_is_broken_are_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "broken_package.py").write_text("raise OSError('libfoo.so.1: cannot open shared object file')\n")
    monkeypatch.syspath_prepend(tmp_path)
    extras = {"": ("numpy",), "dicom": ("no_such_package", "broken_package")}
    monkeypatch.setattr(verb, "EXTRAS", extras)
    monkeypatch.setitem(optional._EXTRA_OF, "broken_package", "dicom")
    base, dicom = doctor().extras
    assert (base.missing, base.broken) == ((), ())
    assert dicom.missing == ("no_such_package",)
    (message,) = dicom.broken
    assert "libfoo.so.1" in message
    assert 'radlens[dicom]"' in dicom.install


def test_the_command_prints_all_of_it_and_ends_with_one_where_something_is_broken(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    command.doctor()
    said = capsys.readouterr().out
    assert f"radlens {__version__}" in said
    assert str(Path(os.environ["RADLENS_CACHE"])) in said
    assert all(f"  {name or 'base'}" in said for name in optional.EXTRAS)

    monkeypatch.setattr(verb, "cache", lambda: (_ for _ in ()).throw(radlens.DataError("the cache is damaged")))
    with pytest.raises(typer.Exit) as ended:
        command.doctor()
    assert ended.value.exit_code == 1
    assert "the cache is damaged" in capsys.readouterr().out


def test_limits_of_the_process_are_heeded() -> None:
    code = "from radlens.workflows.doctor import doctor; print(doctor().cores)"
    said = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, check=True
    )
    assert said.stdout.split() == [b"1"]
