"""The verb ``compare``: runs or evaluations of several models on the same images, and one verdict on them."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from radlens.assessment.comparison import Comparisons
from radlens.assessment.comparison import compare as compare_runs
from radlens.assessment.comparison_verdict import as_json
from radlens.assessment.matched_runs import Run, match_runs
from radlens.base.errors import DataError, UsageError
from radlens.base.files import check_output, claim_output, write_text
from radlens.base.folder_lock import writes_folder
from radlens.config import RunSettings, resolve
from radlens.runtime.framing_records import FramingSummary
from radlens.workflows.result import Result

logger = logging.getLogger(__name__)


@writes_folder()
def compare(
    folders: Sequence[str | Path],
    out: str | Path | None = None,
    *,
    split: str | None = None,
    margin: float = 0.02,
    confidence: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
    overwrite: bool = False,
) -> Comparisons:
    """Compare models on the images that all of them answered; each further one with the first.

    Args:
        folders: run or evaluation folders, each with ``predictions.csv``, ``manifest.csv`` and ``dataset.yaml``.
        out: folder for ``comparison.json`` and the page ``comparison.html``; None: nowhere.
        split: train, val or test; None: test where all have it.
        margin: the largest loss that would not matter, in the metric that the verdict is on; in (0, 1).
        confidence: of the intervals, in (0.5, 1).
        resamples: of the bootstrap, 100 or more.
        seed: of its draws.
        overwrite: replace what lies in ``out``.

    Raises:
        UsageError: fewer than two folders, an option outside its range, or ``out`` is not empty.
        DataError: a folder holds no predictions, or the folders cannot be compared.
    """
    # 1. What was asked for, and the runs.
    if not 0 < margin < 1 or not 0.5 < confidence < 1 or resamples < 100:
        raise UsageError(
            f"margin must lie in (0, 1), confidence in (0.5, 1) and resamples be 100 or more; got {margin}, "
            f"{confidence} and {resamples}."
        )
    if len(folders) < 2:
        raise UsageError("Comparing needs two or more folders: radlens compare A B")
    paths = [Path(folder) for folder in folders]
    if out is not None:
        _check_folder(Path(out), paths, overwrite)
    results = [_result(path) for path in paths]
    names = _names(paths)
    runs = [Run(name, run.manifest.info, run.predictions) for name, run in zip(names, results, strict=True)]
    # 2. The images that all of them answered.
    matched = match_runs(runs, split)
    for note in matched.notes:
        logger.warning("%s", note)
    # 3. Each with the first.
    comparisons = compare_runs(matched, margin, confidence, resamples, seed)
    comparisons = replace(comparisons, framing=_framing(dict(zip(names, results, strict=True)), matched.split))
    # 4. Evidence and page.
    if out is not None:
        _write(comparisons, results[0], claim_output(Path(out), overwrite=overwrite))
    return comparisons


def _framing(results: Mapping[str, Result], split: str) -> dict[str, FramingSummary]:
    """How each model's answers hang on the framing of the images of a split, where its metrics tell it."""
    summaries = {}
    for name, result in results.items():
        known = (result.folder / "metrics.json").is_file()
        record = result.metrics.get(split) if known else None
        if record is not None and record.framing is not None:
            summaries[name] = record.framing.summary
    return summaries


def _write(comparisons: Comparisons, first: Result, folder: Path) -> None:
    from radlens.reporting.comparison_page import write_comparison_page
    from radlens.workflows.pictures import picture_reader

    manifest, config = first.manifest, first.folder / "config.yaml"
    paths = comparisons.matched.tables[0]["path"]
    listed = manifest.table["path"].isin(paths)
    # Matched by file name, the images keep the paths of the first run's manifest.
    kept = manifest.only(listed) if listed.any() else manifest
    kept.write(folder)
    write_text(folder / "comparison.json", json.dumps(as_json(comparisons), indent=2, ensure_ascii=False) + "\n")
    settings = resolve(file=config) if config.is_file() else RunSettings()
    reader = picture_reader(manifest, settings) if listed.any() else None
    write_comparison_page(comparisons, reader, folder / "comparison.html")


def _result(folder: Path) -> Result:
    if not (folder / "predictions.csv").is_file():
        raise DataError(
            f"{folder} holds no predictions.csv: the folder of a run or an evaluation was expected. To compare a model "
            "or the answers of another program, evaluate it first: radlens evaluate MODEL SOURCE --out DIR"
        )
    return Result(folder)


def _check_folder(folder: Path, read: Sequence[Path], overwrite: bool) -> None:
    check_output(folder, overwrite=overwrite)
    for path in read:
        if path.resolve().is_relative_to(folder.resolve()):
            raise UsageError(f"The output folder {folder} holds {path}, which is read. Choose another --out.")


def _names(paths: Sequence[Path]) -> list[str]:
    """The shortest ends of the paths that tell them apart."""
    parts = [path.resolve().parts for path in paths]
    for length in range(1, max(map(len, parts)) + 1):
        names = ["/".join(part[-length:]) for part in parts]
        if len(set(names)) == len(names):
            return names
    raise UsageError("The same folder was named twice; comparing a model with itself says nothing.")
