"""Whether the answers keep the stated rate of error on images of real patients that chose nothing.

The model of a run gave probabilities for validation and internal test images, which it was not trained on. Their
patients are halved at random again and again: limits are chosen on one half, and the other half is answered by them.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from common import HERE, markdown_table, write_between

from radlens.assessment.abstention import wrong_answers
from radlens.assessment.conformal import ALPHAS, least_probabilities
from radlens.assessment.predictions import probabilities_of, targets_of, with_answers
from radlens.decision import REFER, prediction_sets
from radlens.workflows.result import Result

RESULTS = HERE / "results" / "conformal_folds.csv"
PAGE = HERE.parent / "docs" / "explanation" / "abstention.md"


def measure(run: Path, repeats: int) -> pd.DataFrame:
    """One row for each rate, halving and class."""
    result = Result(run)
    info, table = result.manifest.info, result.predictions
    patients = table["patient"].unique()
    rows = []
    for repeat in range(repeats):
        first = np.random.default_rng((repeat, 29)).permutation(patients)[: len(patients) // 2]
        chooses = table["patient"].isin(first)
        other = table[~chooses]
        truth, wrong = targets_of(other, info), wrong_answers(other, info)
        for rate in ALPHAS:
            least = least_probabilities(table[chooses].assign(split="val"), info, rate)
            sets = prediction_sets(probabilities_of(other, info), least)
            referred = (with_answers(other, info, least, None)["answer"] == REFER).to_numpy()
            for index, name in enumerate(info.classes):
                own = truth == index
                rows.append(
                    {
                        "rate": rate,
                        "repeat": repeat,
                        "class": name,
                        "left out of the set": 1 - sets[own, index].mean(),
                        "answered wrongly": (wrong & ~referred)[own].mean(),
                        "referred": referred[own].mean(),
                    }
                )
    return pd.DataFrame(rows)


def report() -> None:
    """Print the table from the data file and put it into the documentation."""
    data = pd.read_csv(RESULTS)
    shares = ["left out of the set", "answered wrongly", "referred"]
    cells = []
    for (rate, name), part in data.groupby(["rate", "class"], sort=True):
        low, high = part[shares].quantile(0.05), part[shares].quantile(0.95)
        mean = part[shares].mean()
        cells.append([f"{rate:g}", str(name), *(f"{mean[s]:.1%} ({low[s]:.1%}, {high[s]:.1%})" for s in shares)])
    table = markdown_table(["stated rate", "class", *shares], cells)
    print(table, end="")
    write_between(PAGE, "folds", table)


def main() -> None:
    """Measure, keep the figures, print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "run", type=Path, nargs="?", help="a run folder of a binary or multiclass task; none: only print"
    )
    parser.add_argument("--repeats", type=int, default=200)
    options = parser.parse_args()
    if options.run is not None:
        measure(options.run, options.repeats).to_csv(RESULTS, index=False, float_format="%.5f")
    report()


if __name__ == "__main__":
    main()
