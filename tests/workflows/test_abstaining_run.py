"""A run whose model may abstain: limits, answers and evidence hang together, and the model carries them elsewhere."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import radlens
from known import known
from radlens.base.errors import DataError, UsageError
from radlens.cli.tables import show_result
from radlens.runtime.model_config import ModelConfig
from radlens.runtime.model_folder import CONFIG_FILE, WEIGHTS_FILE, read_model_folder, write_model_folder

SMALL = (
    "data.phantom.images=160",
    "data.phantom.size=64",
    "preprocessing.height=48",
    "preprocessing.width=48",
    "train.network=small_resnet",
    "train.epochs=2",
    "train.progressive_resizing=1",
    "evaluate.stress=0",
    "evaluate.resamples=100",
    "evaluate.alpha=0.2",
    "evaluate.ood_rate=0.05",
)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Any:
    os.environ["RADLENS_CACHE"] = str(tmp_path_factory.getbasetemp() / "cache")
    return radlens.run("phantom", tmp_path_factory.mktemp("abstain") / "one", settings=SMALL)


def test_the_answers_follow_from_what_the_model_carries(finished: Any) -> None:
    config, tensors = read_model_folder(finished.folder)
    limits = config.abstention
    assert limits is not None
    assert limits.least is not None
    assert {"familiarity.centre", "familiarity.whitening", "familiarity.references"} <= set(tensors)
    rows = finished.predictions
    for row in rows.itertuples():
        plausible = [
            getattr(row, "probability_" + name) >= least
            for name, least in zip(config.classes, limits.least, strict=True)
        ]
        expected = row.predicted if plausible == [name == row.predicted for name in config.classes] else "refer"
        assert row.answer == ("refuse" if row.unfamiliarity > 1 else expected)
    val = rows[rows["split"] == "val"]
    assert (val["unfamiliarity"] > 1).mean() <= 0.05
    for name, least in zip(config.classes, limits.least, strict=True):
        own = val.loc[val["label"] == name, "probability_" + name]
        assert (own < least).mean() <= 0.2


def test_the_report_and_the_metrics_tell_of_it(finished: Any) -> None:
    found = finished.metrics["test"].abstention
    assert (known(found).alpha, known(found).alpha_rule) == (0.2, "stated")
    page = finished.report.read_text(encoding="utf-8")
    assert f"the model answers {found.n_answered:,}, refers {found.n_referred:,}" in page
    assert 'id="abstention"' in page
    wrong = finished.predictions.query("split == 'test' and label != predicted")
    assert page.count('alt="Where the model looks in') == len(wrong) > 0
    assert page.count('alt="Like it in training') == 3 * len(wrong)


def test_evaluating_elsewhere_gives_the_same_answers_and_refuses_what_is_strange(finished: Any, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for name in finished.manifest.info.classes:
        (tmp_path / "strange" / name).mkdir(parents=True)
        for number in range(4):
            noise = rng.integers(0, 256, (64, 64), dtype=np.uint8)
            Image.fromarray(noise).save(tmp_path / "strange" / name / f"{number}.png")
    strange = radlens.evaluate(finished.folder, tmp_path / "strange", tmp_path / "out")
    assert (strange.predictions["answer"] == "refuse").all()
    assert known(strange.metrics["test"].abstention).n_refused == 8
    again = radlens.evaluate(finished.folder, finished.folder, tmp_path / "again", split="test", settings=SMALL[-3:])
    same = finished.predictions[finished.predictions["split"] == "test"].reset_index(drop=True)
    pd.testing.assert_frame_equal(again.predictions, same, rtol=1e-4, atol=1e-5)


def test_the_command_line_tells_what_was_answered(finished: Any, capsys: pytest.CaptureFixture[str]) -> None:
    show_result(finished)
    found = finished.metrics["test"].abstention
    said = f"on test: {found.n_answered:,} answered, {found.n_referred:,} referred, {found.n_refused:,} refused"
    assert said in capsys.readouterr().out


def test_without_pytorch_the_answers_are_those_of_the_evaluation(finished: Any) -> None:
    model = radlens.load(finished.folder)
    rows = finished.predictions[finished.predictions["split"] == "test"]
    root = Path(finished.manifest.info.root)
    answers = model.predict([root / path for path in rows["path"]])
    assert [answer.answer for answer in answers] == list(rows["answer"])
    assert [answer.predicted for answer in answers] == list(rows["predicted"])
    scores = []
    for answer in answers:
        assert answer.familiar is not None
        scores.append(answer.familiar.score)
    np.testing.assert_allclose(scores, rows["unfamiliarity"], rtol=1e-3)
    noise = model.predict(np.random.default_rng(0).integers(0, 256, (64, 64), dtype=np.uint8))
    assert noise.familiar is not None
    assert (noise.answer, noise.familiar.is_familiar) == ("refuse", False)
    assert noise.conformal in (*finished.manifest.info.classes, "refer")


def test_another_prevalence_moves_odds_and_threshold_and_no_answer(finished: Any) -> None:
    model, there = radlens.load(finished.folder), radlens.load(finished.folder, prevalence=0.02)
    paths = [Path(finished.manifest.info.root) / path for path in finished.predictions["path"][:12]]
    assert model.config.training_data is not None
    counts = model.config.training_data.classes
    negative, positive = (counts[name] for name in model.classes)
    factor = 0.02 / 0.98 * negative / positive
    for old, new in zip(model.predict(paths), there.predict(paths), strict=True):
        before, after = (each.probabilities[model.classes[1]] for each in (old, new))
        assert after / (1 - after) == pytest.approx(factor * before / (1 - before), rel=1e-4)
        assert (new.answer, new.predicted, new.familiar) == (old.answer, old.predicted, old.familiar)
        assert (after >= there.threshold) == (before >= model.threshold)
    with pytest.raises(UsageError, match="between 0 and 1"):
        radlens.load(finished.folder, prevalence=2)


def test_a_folder_whose_limits_do_not_fit_is_refused(finished: Any, tmp_path: Path) -> None:
    config, tensors = read_model_folder(finished.folder)
    own = {name: value for name, value in tensors.items() if not name.startswith("familiarity.")}
    write_model_folder(tmp_path, config, own)
    with pytest.raises(DataError, match="lacks the statistics of familiar images"):
        radlens.load(tmp_path)
    write_model_folder(tmp_path, config, tensors)
    changes: list[dict[str, object]] = [
        {"alpha": 0.3},
        {"farthest": {}},
        {"ood_rate": 0.0},
        {"ood_rate": 0.4},
    ]
    for change in changes:
        values = json.loads(config.model_dump_json())
        values["abstention"] |= change
        (tmp_path / CONFIG_FILE).write_text(json.dumps(values))
        with pytest.raises(DataError, match="cannot be read"):
            radlens.load(tmp_path)
    assert ModelConfig.model_validate_json(config.model_dump_json()) == config
    assert (tmp_path / WEIGHTS_FILE).is_file()
