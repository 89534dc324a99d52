"""The command line: exit codes, one message for a mistake, and a quick start."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from radlens.base.version import __version__
from radlens.cli import commands as cli


def call(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    """The exit code of a command."""
    monkeypatch.setattr(sys, "argv", ["radlens", *arguments])
    with pytest.raises(SystemExit) as stopped:
        cli.main()
    code = stopped.value.code
    return code if isinstance(code, int) else 0


def test_help_imports_nothing_heavy() -> None:
    script = (
        "import sys; sys.argv=['radlens','--help']\n"
        "from radlens.cli.commands import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "heavy={'torch','lightning','pandas','numpy','sklearn','matplotlib','scipy','pydantic'} & set(sys.modules)\n"
        "print(sorted(heavy))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
    assert all(verb in done.stdout for verb in ("demo", "run", "index", "audit", "train", "evaluate"))


def test_import_radlens_imports_nothing_heavy() -> None:
    script = "import radlens, sys; print(sorted({'torch','pandas','numpy'} & set(sys.modules)), dir(radlens))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("[]")
    assert "evaluate" in done.stdout


def test_version(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(monkeypatch, "--version") == 0
    assert capsys.readouterr().out.strip() == f"radlens {__version__}"


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("run", "/no/such/folder", "--out", "OUT"), 2, "does not exist"),
        (("run", "kermanny", "--out", "OUT"), 2, "Did you mean 'kermany'"),
        (("run", "phantom", "--out", "OUT", "--preset", "basline"), 2, "Did you mean 'baseline'"),
        (("run", "phantom", "--out", "OUT", "--model", "smal_resnet"), 2, "Did you mean 'small_resnet'"),
        (("run", "phantom", "--out", "OUT", "--set", "train.epochs=0", "--set", "train.lr=1"), 2, "2 setting(s)"),
        (("run", "phantom", "--out", "OUT", "--config", "/no/such.yaml"), 2, "does not exist"),
        (("run", "phantom"), 2, "--out"),
        (("dance",), 2, "No such command"),
        (("evaluate", "/no/model", "phantom", "--out", "OUT"), 1, "There is no model"),
    ],
)
def test_a_mistake_gives_one_message_and_its_exit_code(
    arguments: tuple[str, ...],
    code: int,
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "out"
    assert call(monkeypatch, *(str(out) if part == "OUT" else part for part in arguments)) == code
    said = capsys.readouterr().err
    assert message in said
    assert "Traceback" not in said
    assert not out.exists()


def test_data_that_fails_a_check_exits_with_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "images" / "normal").mkdir(parents=True)
    (tmp_path / "images" / "pneumonia").mkdir()
    assert call(monkeypatch, "run", str(tmp_path / "images"), "--out", str(tmp_path / "out")) == 1
    assert "holds no image" in capsys.readouterr().err


def test_ctrl_c_outside_training_exits_with_130(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(**_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "app", interrupted)
    assert call(monkeypatch) == 130


def test_run_index_audit_and_evaluate_print_what_they_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    small = ["--set", "data.phantom.images=64", "--set", "data.phantom.size=48"]
    quick = ["--set", "train.epochs=1", "--set", "train.network=small_resnet", "--set", "train.progressive_resizing=1"]
    quick += ["--set", "evaluate.ood_rate=0", "--set", "evaluate.resamples=100", "--set", "preprocessing.height=32"]
    assert call(monkeypatch, "index", "phantom", "--out", str(tmp_path / "index"), *small) == 0
    assert "Patients:" in capsys.readouterr().out
    assert call(monkeypatch, "audit", str(tmp_path / "index")) == 0
    assert capsys.readouterr().out.startswith("64 images of ")
    source = str(tmp_path / "index")
    assert call(monkeypatch, "run", source, "--out", str(tmp_path / "run"), *quick) == 0
    said = capsys.readouterr().out
    assert "auroc" in said
    assert "report.html" in said
    assert "Simulated" in said
    again = ["evaluate", str(tmp_path / "run"), source, "--out", str(tmp_path / "again"), *quick]
    assert call(monkeypatch, *again) == 1
    assert "--allow leak" in capsys.readouterr().err
    assert call(monkeypatch, *again, "--allow", "leak") == 0
    assert "n = 64" in capsys.readouterr().out
    table = pd.read_csv(tmp_path / "index" / "manifest.csv")
    root = yaml.safe_load((tmp_path / "index" / "dataset.yaml").read_text())["root"]
    paths = [str(Path(root) / path) for path in table["path"][:2]]
    assert call(monkeypatch, "predict", str(tmp_path / "run"), *paths, "--format", "csv") == 0
    answers = pd.read_csv(io.StringIO(capsys.readouterr().out))
    assert answers["path"].tolist() == paths
    np.testing.assert_allclose(answers[["probability_normal", "probability_pneumonia"]].sum(axis=1), 1, atol=1e-6)
    assert call(monkeypatch, "predict", str(tmp_path / "run"), paths[0]) == 0
    assert answers["predicted"][0] in capsys.readouterr().out
    assert call(monkeypatch, "predict", str(tmp_path / "run"), str(tmp_path / "no.png")) == 1
    assert "no.png" in capsys.readouterr().out
    assert call(monkeypatch, "export", str(tmp_path / "run"), "--out", str(tmp_path / "model")) == 0
    assert f"Model: {tmp_path / 'model'}" in capsys.readouterr().out
    assert call(monkeypatch, "push", str(tmp_path / "model"), "owner/lungs", "--dry-run") == 0
    sent = [line.split()[2] for line in capsys.readouterr().out.splitlines() if line.startswith("Would send")]
    assert {Path(file) for file in sent} == set((tmp_path / "model").iterdir())
    assert call(monkeypatch, "predict", "no-model", paths[0]) == 1
    assert "There is no model 'no-model'" in capsys.readouterr().err
