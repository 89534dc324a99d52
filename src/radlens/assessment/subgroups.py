"""Who a model fails: its metrics in groups of images, and which groups differ from the rest by more than chance."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from radlens.assessment.evaluate import answers_of, decided_at, summary_of
from radlens.assessment.subgroup_columns import UNKNOWN, group_order, subgroup_columns
from radlens.config import EvaluateSettings
from radlens.dataset.manifest import DatasetInfo
from radlens.decision import Task
from radlens.runtime.metrics_sections import Metric as MetricRecord
from radlens.statistics.groups import Bools, Ints, count_patients
from radlens.statistics.heterogeneity import (
    FEWEST_PATIENTS,
    Metric,
    difference_test,
    share_metric,
)
from radlens.statistics.metrics import Answers
from radlens.statistics.multiplicity import holm
from radlens.statistics.ranking import concordance

SUBGROUP_COLUMNS = (
    "split",
    "column",
    "group",
    "n",
    "n_patients",
    "metric",
    "value",
    "low",
    "high",
    "rest",
    "difference",
    "p",
    "p_holm",
    "remark",
)
SHOWN = ("accuracy", "sensitivity", "specificity", "auroc")
TESTED: dict[Task, tuple[str, ...]] = {
    "binary": ("sensitivity", "specificity", "auroc"),
    "multiclass": ("accuracy",),
    "multilabel": ("accuracy",),
}


def find_subgroups(
    predictions: pd.DataFrame,
    manifest: pd.DataFrame,
    info: DatasetInfo,
    threshold: float,
    settings: EvaluateSettings,
    seed: int,
    split: str,
    wanted: Sequence[str] = (),
) -> pd.DataFrame:
    """Measure a model in groups of the images of one split.

    Args:
        predictions: the predictions table.
        manifest: the manifest's table, with the columns that make groups.
        info: the task and the classes.
        threshold: that the predictions were decided with.
        settings: number of resamples, which is also that of permutations, and confidence.
        seed: of the draws.
        split: of the images.
        wanted: see :func:`radlens.assessment.subgroup_columns.subgroup_columns`.

    Returns:
        One row for each group and metric: ``split, column, group, n, n_patients, metric``; its ``value`` with limits
        ``low`` and ``high``; for the metrics that are tested, the value of the ``rest``, the ``difference`` from it,
        ``p`` of the permutation of patients and ``p_holm``, adjusted for all tests of the table; and a ``remark``
        where something is not defined or was not tested. Empty when no column makes groups.

    Raises:
        DataError: the table is invalid, or was decided with another threshold.
        UsageError: a wanted column does not exist or has too many values.
    """
    part = decided_at(predictions[predictions["split"] == split], info, threshold)
    known = manifest.set_index("path").loc[part["path"]].reset_index()
    columns = subgroup_columns(known, wanted)
    rows: list[dict[str, Any]] = []
    for number, (column, groups) in enumerate(columns.items()):
        rng = np.random.default_rng([seed, 17, number])
        tests = _tests(answers_of(part, info), info.task, part["patient"], groups, settings.resamples, rng)
        for group in group_order(groups):
            summary = summary_of(part[(groups == group).to_numpy()], info, settings, seed, SHOWN)
            figures = summary.overall()
            rows += [
                {
                    "split": split,
                    "column": column,
                    "group": group,
                    "n": len(summary.patients),
                    "n_patients": len(np.unique(summary.patients)),
                    "metric": metric,
                    **_figures(figures[metric]),
                    **tests.get((group, metric), {}),
                }
                for metric in SHOWN
            ]
    table = pd.DataFrame(rows, columns=[*SUBGROUP_COLUMNS, "test"])
    return _adjusted(table.assign(remark=table["remark"].astype(object).fillna("")))


def _figures(metric: MetricRecord) -> dict[str, float | str | None]:
    limits: dict[str, float | str | None] = {"value": metric.value, "low": metric.low, "high": metric.high}
    return {**limits, "remark": metric.reason} if metric.value is None else limits


def _tests(
    answers: Answers, task: Task, patients: pd.Series, groups: pd.Series, permutations: int, rng: np.random.Generator
) -> dict[tuple[str, str], dict[str, Any]]:
    """How each group differs from the rest; images whose group is unknown are of no side."""
    code = np.unique(patients.to_numpy(dtype=str), return_inverse=True)[1]
    known = (groups != UNKNOWN).to_numpy()
    tests: dict[tuple[str, str], dict[str, Any]] = {}
    for metric in TESTED[task]:
        rows = _rows(answers, metric) & known
        held = [group for group in group_order(groups) if (rows & (groups == group)).any()]
        if len(held) < 2:
            continue
        for group in held:
            inside = (groups == group).to_numpy()
            fewest = min(_patients(answers, metric, rows & side, code) for side in (inside, ~inside))
            if fewest == 0:
                continue
            if fewest < FEWEST_PATIENTS:
                counted = f"{fewest} patient{'' if fewest == 1 else 's'}"
                tests[group, metric] = {"remark": f"too small to test: {counted}, {FEWEST_PATIENTS} are needed"}
            elif len(held) == 2 and group == held[1]:
                # Of two groups, one is the rest of the other: the same test, seen from the other side.
                other = tests[held[0], metric]
                tests[group, metric] = {
                    **other,
                    "rest": other["rest"] + other["difference"],
                    "difference": -other["difference"],
                }
            else:
                judge = _metric(answers, task, metric, rows)
                strata = np.zeros_like(code) if task == "multilabel" else answers.truth
                own = np.unique(code[rows], return_inverse=True)[1]
                difference, p_value = difference_test(judge, inside[rows], own, strata[rows], permutations, rng)
                rest = float(judge((~inside[rows])[None].astype(np.float64))[0])
                test = f"{metric} of {group}"
                tests[group, metric] = {"rest": rest, "difference": difference, "p": p_value, "test": test}
    return tests


def _rows(answers: Answers, metric: str) -> Bools:
    """The images that count for a metric."""
    if metric in ("sensitivity", "specificity"):
        return np.asarray(answers.truth == (metric == "sensitivity"))
    return np.ones(len(answers.truth), dtype=bool)


def _metric(answers: Answers, task: Task, metric: str, rows: Bools) -> Metric:
    """The metric on the images that count for it."""
    if metric == "auroc":
        return concordance(answers.probabilities[rows, 1], answers.truth[rows])
    right = answers.predicted[rows] == answers.truth[rows]
    return share_metric(right.mean(axis=1) if task == "multilabel" else right)


def _patients(answers: Answers, metric: str, rows: Bools, patients: Ints) -> int:
    """The patients that count for a metric; for AUROC, of the rarer class."""
    if metric == "auroc":
        return min(count_patients(patients, rows & (answers.truth == label)) for label in (0, 1))
    return count_patients(patients, rows)


def _adjusted(table: pd.DataFrame) -> pd.DataFrame:
    """With p-values adjusted for all tests; one that two groups share counts once."""
    name = table["column"] + ": " + table["test"]
    tests = table.assign(name=name)[table["p"].notna()].drop_duplicates("name")
    adjusted = dict(zip(tests["name"], holm(tests["p"].tolist()), strict=True)) if len(tests) else {}
    return table.assign(p_holm=name.map(adjusted).astype(np.float64))[list(SUBGROUP_COLUMNS)]
