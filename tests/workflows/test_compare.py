"""The verb compare: from two folders to a sentence, a page and a file."""

from __future__ import annotations

import html
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import radlens
from radlens.assessment.framing_evidence import judge_framing
from radlens.assessment.predictions import probabilities_of
from radlens.base.errors import DataError, UsageError
from radlens.cli import commands as cli
from radlens.cli.tables import show_comparison
from radlens.imaging.framing import SUITE
from radlens.reporting.comparison_page import framing_rows
from radlens.runtime.metrics_record import write_metrics
from radlens.workflows.result import Result


@pytest.fixture(scope="module")
def evaluations(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two programs judged on the same images, and a third on others."""
    folder = tmp_path_factory.mktemp("compare")
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 2, 200)
    made = []
    for name, strength, root in (("weak", 1.0, "a"), ("strong", 3.0, "a"), ("elsewhere", 1.0, "b")):
        score = 1 / (1 + np.exp(strength * (0.5 - truth) - rng.normal(size=200)))
        table = pd.DataFrame(
            {
                "path": [f"{root}/{root}{number}.png" for number in range(200)],
                "label": np.where(truth, "PNEUMONIA", "NORMAL"),
                "patient": [f"p{number // 2}" for number in range(200)],
                "score": score,
            }
        )
        table.to_csv(folder / f"{name}.csv", index=False)
        settings = ("evaluate.resamples=100", "evaluate.threshold=0.5")
        radlens.evaluate(folder / f"{name}.csv", None, folder / name, settings=settings)
        made.append(folder / name)
    return made


def test_compare_prints_writes_and_shows_one_verdict(
    evaluations: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    command = ["radlens", "compare", *map(str, evaluations[:2]), "--out", str(out), "--margin", "0.05"]
    monkeypatch.setattr(sys, "argv", command)
    with pytest.raises(SystemExit) as stopped:
        cli.main()
    assert not stopped.value.code
    said = " ".join(capsys.readouterr().out.split())
    written = json.loads((out / "comparison.json").read_text(encoding="utf-8"))
    assert written["verdict"] in said
    assert "strong has a higher AUROC than weak" in written["verdict"]
    assert (written["margin"], written["n"], written["n_patients"]) == (0.05, 200, 100)
    assert written["verdict"] in html.unescape((out / "comparison.html").read_text(encoding="utf-8"))
    assert radlens.compare(evaluations[:2], out, margin=0.05, overwrite=True).pairs[0].second == "strong"
    # Comparing reads; it leaves the folders as they were.
    assert not list(evaluations[0].glob("comparison*"))


def test_compare_needs_no_torch(evaluations: list[Path]) -> None:
    script = (
        f"import sys, radlens; radlens.compare({[str(path) for path in evaluations[:2]]!r}, resamples=100); "
        "print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_what_cannot_be_compared_gives_one_message(evaluations: list[Path], tmp_path: Path) -> None:
    with pytest.raises(DataError, match="weak and elsewhere have no test image in common"):
        radlens.compare([evaluations[0], evaluations[2]])
    with pytest.raises(DataError, match=r"holds no predictions.csv.*radlens evaluate"):
        radlens.compare([evaluations[0], tmp_path])
    with pytest.raises(UsageError, match="same folder"):
        radlens.compare([evaluations[0], evaluations[0]])
    with pytest.raises(UsageError, match="two or more"):
        radlens.compare(evaluations[:1])
    with pytest.raises(UsageError, match="margin"):
        radlens.compare(evaluations[:2], margin=2)
    with pytest.raises(UsageError, match="which is read"):
        radlens.compare(evaluations[:2], evaluations[0], overwrite=True)


def with_framing(folder: Path, to: Path, *, turned: bool) -> Path:
    """A copy of an evaluation whose metrics tell of framing: one change turns every answer, or none does."""
    shutil.copytree(folder, to)
    result = Result(to)
    info, predictions = result.manifest.info, result.predictions
    plain = probabilities_of(predictions, info)
    answers = [plain] * len(SUITE)
    answers[0] = plain[:, ::-1] if turned else plain
    evidence = judge_framing(predictions, answers, info, 0.5)
    metrics = dict(result.metrics)
    metrics["test"] = metrics["test"].model_copy(update={"framing": evidence})
    write_metrics(metrics, to / "metrics.json")
    return to


def test_framing_is_told_of_each_model_that_has_it(
    evaluations: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    turned = with_framing(evaluations[1], tmp_path / "turned", turned=True)
    steady = with_framing(evaluations[1], tmp_path / "steady", turned=False)
    found = radlens.compare([evaluations[0], turned, steady], tmp_path / "out", resamples=100)
    assert {name: one.verdict for name, one in found.framing.items()} == {"turned": "fail", "steady": "pass"}
    written = json.loads((tmp_path / "out" / "comparison.json").read_text(encoding="utf-8"))["framing"]
    assert written["turned"]["worst"] == SUITE[0].name
    assert [row[:2] for row in framing_rows(found)] == [
        ("weak", "not measured"),
        ("turned", "fail"),
        ("steady", "pass"),
    ]
    worst = f"{found.framing['turned'].worst_balanced_accuracy.value:.1%}"
    page = html.unescape((tmp_path / "out" / "comparison.html").read_text(encoding="utf-8"))
    assert "What changes their minds" in page
    assert worst in page
    show_comparison(found)
    said = capsys.readouterr().out
    assert f"Framing, turned: fail, worst balanced accuracy {worst}" in said
    assert "Framing, weak: not measured" in said


def test_nothing_is_said_of_framing_where_no_model_has_it(evaluations: list[Path], tmp_path: Path) -> None:
    found = radlens.compare(evaluations[:2], tmp_path / "out", resamples=100)
    assert framing_rows(found) == []
    assert "What changes their minds" not in (tmp_path / "out" / "comparison.html").read_text(encoding="utf-8")
