"""What the default rate of error costs on four classes: chosen by its costs, and by the rule of earlier versions.

Simulated, since it is about the choice and not about a network: 800 validation and 1,311 test images, answered with an
accuracy of about .96 and an AUROC of about .997, and six changed copies of each validation image, of which the model is
sure of fewer. The earlier rule took the lowest of four rates at which at most 5 % of images and copies were referred.
"""

from __future__ import annotations

import argparse

import numpy as np
import pandas as pd
from common import HERE, markdown_table, write_between

from radlens.assessment.abstention import wrong_answers
from radlens.assessment.alpha_choice import choose_alpha
from radlens.assessment.conformal import ALPHAS, common_limits
from radlens.assessment.predictions import with_answers
from radlens.config import EvaluateSettings
from radlens.dataset.manifest import DatasetInfo
from radlens.decision import REFER

RESULTS = HERE / "results" / "abstention_rate.csv"
PAGE = HERE.parent / "docs" / "explanation" / "abstention.md"
INFO = DatasetInfo(name="simulated", root="", task="multiclass", classes=("a", "b", "c", "d"))
HARD = 0.07


def answers(rng: np.random.Generator, truth: np.ndarray, hard: float) -> pd.DataFrame:
    """Predictions of a model that is sure of all images but the share ``hard``."""
    logits = rng.normal(0, 1.2, (len(truth), 4))
    margin = np.where(rng.random(len(truth)) < hard, rng.normal(1, 1.5, len(truth)), rng.normal(7, 1.8, len(truth)))
    logits[np.arange(len(truth)), truth] += margin
    odds = np.exp(logits - logits.max(axis=1, keepdims=True))
    names = np.array(INFO.classes)
    columns = {f"probability_{name}": share for name, share in zip(names, (odds.T / odds.sum(axis=1)), strict=True)}
    patients = [f"p{number}" for number in range(len(truth))]
    about = {"split": "val", "patient": patients, "label": names[truth], "predicted": names[odds.argmax(axis=1)]}
    return pd.DataFrame({**about, **columns})


def earlier_rate(tables: list[pd.DataFrame]) -> float:
    """The rule of earlier versions."""
    every = pd.concat(tables)
    shares = {rate: referred(every, common_limits(tables, INFO, rate)).mean() for rate in ALPHAS}
    allowed = [rate for rate, share in shares.items() if share <= 0.05]
    return min(allowed) if allowed else min(shares, key=lambda rate: (shares[rate], rate))


def referred(table: pd.DataFrame, least: tuple[float, ...]) -> np.ndarray:
    """Which images are referred under these limits."""
    return (with_answers(table, INFO, least, None)["answer"] == REFER).to_numpy()


def measure(repeats: int) -> pd.DataFrame:
    """One row for each share of hard copies, repeat and rule."""
    rows = []
    for hard in (HARD, 0.5, 0.8, 1.0):
        for repeat in range(repeats):
            rng = np.random.default_rng((repeat, 31))
            truth = rng.integers(0, 4, 800)
            tables = [answers(rng, truth, share) for share in (HARD, *[hard] * 6)]
            test = answers(rng, rng.integers(0, 4, 1311), HARD)
            wrong = wrong_answers(test, INFO)
            before = earlier_rate(tables)
            now = choose_alpha(tables[0], tables[1:], INFO, EvaluateSettings(), repeat)
            limits = {"earlier": (before, common_limits(tables, INFO, before)), "cost": (now.alpha, now.least)}
            for rule, (alpha, least) in limits.items():
                left = referred(test, least)
                counts = {"referred": left.sum(), "errors": wrong.sum(), "avoided": (wrong & left).sum()}
                accuracy = 1 - wrong_answers(tables[1], INFO).mean()
                rows.append(
                    {"hard": hard, "copies": accuracy, "repeat": repeat, "rule": rule, "alpha": alpha, **counts}
                )
    return pd.DataFrame(rows)


def report() -> None:
    """Print the table from the data file and put it into the documentation."""
    data = pd.read_csv(RESULTS)
    names = {"earlier": "earlier", "cost": "by cost"}
    cells = []
    for (_, rule), part in data.groupby(["hard", "rule"], sort=True):
        mean = part.mean(numeric_only=True)
        low, high = part["referred"].quantile(0.05), part["referred"].quantile(0.95)
        errors = f"{mean['avoided']:.0f} of {mean['errors']:.0f}"
        counts = f"{mean['referred']:.0f} ({low:.0f}, {high:.0f})"
        cells.append([f"{mean['copies']:.2f}", names[str(rule)], f"{mean['alpha']:.3f}", counts, errors])
    table = markdown_table(["accuracy on copies", "rule", "rate", "referred of 1,311", "errors avoided"], cells)
    print(table, end="")
    write_between(PAGE, "rates", table)


def main() -> None:
    """Simulate, keep the figures, print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=40)
    measure(parser.parse_args().repeats).to_csv(RESULTS, index=False, float_format="%.4f")
    report()


if __name__ == "__main__":
    main()
