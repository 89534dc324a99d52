"""A page of real radiographs: its size, and a picture for every wrong answer."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from html_page import Page
from radlens.assessment.evaluate import evaluate
from radlens.assessment.misclassified import misclassified
from radlens.assessment.predictions import predictions_table
from radlens.config import EvaluateSettings
from radlens.dataset.manifest import DatasetInfo, Manifest
from radlens.reporting import ReportContent, write_report

SETTINGS = EvaluateSettings(resamples=100)


def test_real_radiographs_make_a_page_of_reasonable_size(
    shared_data: Path, tmp_path: Path, page_of: type[Page]
) -> None:
    from radlens.imaging.decode import decode

    root = shared_data / "kermany224" / "train"
    files = [path for name in ("NORMAL", "PNEUMONIA") for path in sorted((root / name).iterdir())[:60]]
    table = pd.DataFrame(
        {
            "path": [str(path.relative_to(root)) for path in files],
            "label": [path.parent.name for path in files],
            "patient": [path.stem for path in files],
            "split": "test",
        }
    )
    manifest = Manifest(
        table, DatasetInfo(name="kermany", task="binary", classes=("NORMAL", "PNEUMONIA"), root=str(root))
    )
    score = np.random.default_rng(0).random(120)
    predictions = predictions_table(manifest, np.stack([1 - score, score], axis=1))
    content = ReportContent(
        "Real radiographs",
        manifest.info,
        table,
        predictions,
        evaluate(predictions, manifest.info, 0.5, SETTINGS, seed=0),
        read_pixels=lambda path: np.asarray(decode(str(root / path)).image.convert("L")),
    )
    write_report(content, tmp_path / "report.html")
    page = page_of((tmp_path / "report.html").read_text(encoding="utf-8"))
    assert len(page.all("img")) == len(misclassified(predictions, manifest.info))
    assert (tmp_path / "report.html").stat().st_size < 2 * 2**20
