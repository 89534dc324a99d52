"""How often 95 % intervals hold the truth: simulated patients with several images each, every metric, every method.

A patient has one to five images and a share of the score in common; now and then an image is unlike the patient's
others in its label. The truth of each metric is that of 400,000 patients drawn in the same way. Each scenario is a set
of rows of ``interval_coverage.csv``; those that are there are not computed again, so the script can be stopped.
"""

from __future__ import annotations

import argparse
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from common import HERE, describe_machine, markdown_table

from radlens.assessment.calibration_evidence import calibration_evidence
from radlens.assessment.decision_curve import STEPS, decision_curve
from radlens.assessment.intervals import bootstrap_logit_limits, percentile_limits
from radlens.assessment.metrics import Answers
from radlens.assessment.predictive_values import predictive_values
from radlens.assessment.summary import Summary
from radlens.config import EvaluateSettings

Ints = npt.NDArray[np.int64]
Key = tuple[str, str]
Limits = tuple[float, float]

RESULTS = HERE / "results" / "interval_coverage.csv"
PAGE = HERE.parent / "docs" / "explanation" / "intervals.md"
PREVALENCE, ACTING = 0.1, 0.2
PROPORTIONS = ("accuracy", "sensitivity", "specificity", "precision")
IMAGES = ", images taken for patients"


@dataclass(frozen=True)
class Scenario:
    """What the patients of a data set are like.

    Attributes:
        patients: how many there are.
        most: images of a patient, one to this many.
        apart: how far the scores of the classes lie apart, in standard deviations.
        prevalence: chance that a patient is positive.
        shared: correlation of the scores of one patient's images.
        sureness: what calibrated logits are multiplied by; above 1 the model is too sure.
    """

    patients: int
    most: int = 5
    apart: float = 1.5
    prevalence: float = 0.5
    shared: float = 0.64
    sureness: float = 1.5

    def draw(self, rng: np.random.Generator, patients: int = 0) -> tuple[Answers, Ints]:
        """Answers of a model, and the patient of each image."""
        count = patients or self.patients
        owner = np.repeat(np.arange(count), rng.integers(1, self.most + 1, count))
        truth = (rng.random(count) < self.prevalence)[owner]
        unlike = rng.random(len(owner)) < 0.05
        truth[unlike] = rng.random(unlike.sum()) < self.prevalence
        common, own = rng.normal(size=count)[owner], rng.normal(size=len(owner))
        score = self.apart * (truth - 0.5) + np.sqrt(self.shared) * common + np.sqrt(1 - self.shared) * own
        logit = self.sureness * (self.apart * score + np.log(self.prevalence / (1 - self.prevalence)))
        positive = 1 / (1 + np.exp(-logit))
        both = np.stack([1 - positive, positive], axis=1)
        return Answers(
            truth.astype(np.int64), both, (positive >= 0.5).astype(np.int64), ("negative", "positive")
        ), owner


SCENARIOS = {
    "200 patients, AUROC .86": Scenario(200),
    "300 patients, AUROC .97": Scenario(300, apart=2.7, prevalence=0.6),
    "60 patients, AUROC .94": Scenario(60, apart=2.2),
    "300 patients, one image each": Scenario(300, most=1, apart=2.0, sureness=1.0),
}


def headline(summary: Summary, rng: np.random.Generator, resamples: int) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every figure with its interval as ``metrics.json`` has it."""
    answers, owner, confidence = summary.answers, summary.patients, summary.confidence
    yield from summary.overall().items()
    evidence = calibration_evidence(summary)
    yield from ((name, evidence[name]) for name in ("ece_corrected", "mce", "slope", "intercept"))
    (values,) = predictive_values(answers, owner, (PREVALENCE,), confidence)
    yield from (("PPV at 10 %", values["ppv"]), ("NPV at 10 %", values["npv"]))
    curve = decision_curve(answers, owner, resamples, confidence, rng)
    at = int(np.flatnonzero(np.isclose(STEPS, ACTING))[0])
    benefit = {"value": curve["net_benefit"][at], "low": curve["low"][at], "high": curve["high"][at]}
    yield "net benefit from 20 %", {**benefit, "method": curve["method"]}


def all_intervals(
    answers: Answers, owner: Ints, settings: EvaluateSettings, rng: np.random.Generator
) -> dict[Key, tuple[bool, Limits]]:
    """Limits by metric and method, and whether the method is the one that the headline has."""
    found: dict[Key, tuple[bool, Limits]] = {}
    for label, patients in (("", owner), (IMAGES, np.arange(len(owner)))):
        summary = Summary.of(answers, "binary", patients, settings, rng)
        for name, block in headline(summary, rng, settings.resamples):
            if block["low"] is not None and block["low"] < block["high"]:
                method = block["method"] + ", clustered" * (block["method"] in ("Wilson", "DeLong"))
                found[name, (method + label).replace(f", clustered{IMAGES}", IMAGES)] = (
                    not label,
                    (block["low"], block["high"]),
                )
        for name in (*PROPORTIONS, "f1", "auroc", "average_precision", "brier", "ece"):
            replicates, value = summary.replicates[name], float(summary.observed[name][0])
            found.setdefault((name, f"bootstrap, percentile{label}"), (False, percentile_limits(replicates, 0.95)))
            if name != "ece" and not label:
                scarcer = min(len(np.unique(owner[answers.truth == kind])) for kind in (0, 1))
                limits = bootstrap_logit_limits(replicates, value, 0.95, scarcer)
                found.setdefault((name, "bootstrap, logit"), (False, limits))
    return found


def true_values(scenario: Scenario, rng: np.random.Generator) -> dict[str, float]:
    """Of so many patients that chance plays no part."""
    answers, owner = scenario.draw(rng, patients=400_000)
    # Next to no resamples: the intervals are not looked at.
    settings = EvaluateSettings().model_copy(update={"resamples": 2})
    summary = Summary.of(answers, "binary", owner, settings, rng)
    truth = {name: float(block["value"]) for name, block in headline(summary, rng, resamples=2)}
    return truth | {"ece_corrected": truth["ece"]}


def measure(name: str, datasets: int, resamples: int) -> pd.DataFrame:
    """The share of data sets whose interval holds the truth."""
    scenario, rng = SCENARIOS[name], np.random.default_rng(list(SCENARIOS).index(name))
    truth = true_values(scenario, rng)
    settings = EvaluateSettings(resamples=resamples)
    seen: dict[Key, list[tuple[bool, bool, float]]] = defaultdict(list)
    used: dict[Key, bool] = {}
    for _ in range(datasets):
        for key, (own, (low, high)) in all_intervals(*scenario.draw(rng), settings, rng).items():
            true = truth[key[0]]
            seen[key].append((true < low, true > high, high - low))
            used[key] = own
    rows = []
    for (metric, method), outcomes in seen.items():
        below, above, width = np.mean(outcomes, axis=0)
        share = {"covered": 1 - below - above, "truth_below": below, "truth_above": above, "width": width}
        about = {"scenario": name, "metric": metric, "method": method, "headline": used[metric, method]}
        rows.append({**about, "datasets": len(outcomes), "truth": truth[metric], **share})
    return pd.DataFrame(rows).round(5)


def report() -> None:
    """Print the table from the data file and put it into the documentation."""
    data = pd.read_csv(RESULTS)
    scenarios = [name for name in SCENARIOS if name in set(data["scenario"])]
    rows = []
    order = {metric: number for number, metric in enumerate(data["metric"].unique())}
    data = data.sort_values(["headline"], ascending=False, kind="stable")
    data = data.sort_values("metric", key=lambda names: names.map(order), kind="stable")
    for (metric, method), part in data.groupby(["metric", "method"], sort=False):
        shares = part.set_index("scenario")["covered"]
        cells = [f"{100 * shares[name]:.1f}" if name in shares else "–" for name in scenarios]
        mark = "**" if part["headline"].any() else ""
        rows.append([str(metric), f"{mark}{method}{mark}", *cells])
    table = markdown_table(["metric", "method", *scenarios], rows)
    print(table, end="")
    before, _, rest = PAGE.read_text(encoding="utf-8").partition("<!-- coverage -->")
    _, _, after = rest.partition("<!-- /coverage -->")
    PAGE.write_text(f"{before}<!-- coverage -->\n\n{table}\n<!-- /coverage -->{after}", encoding="utf-8")


def main() -> None:
    """Compute the scenarios that are missing, then print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--datasets", type=int, default=1000)
    parser.add_argument("--resamples", type=int, default=1000)
    parser.add_argument("--only", nargs="*", choices=list(SCENARIOS), help="these scenarios alone")
    parser.add_argument("--report", action="store_true", help="only print what is there")
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    if not options.report:
        print(describe_machine())
        for name in options.only or SCENARIOS:
            done = pd.read_csv(options.out) if options.out.exists() else pd.DataFrame(columns=["scenario"])
            if (done["scenario"] == name).any():
                continue
            started = time.perf_counter()
            rows = measure(name, options.datasets, options.resamples)
            pd.concat([part for part in (done, rows) if len(part)]).to_csv(options.out, index=False)
            print(f"{name}: {options.datasets} data sets in {time.perf_counter() - started:.0f} s", flush=True)
    if options.out == RESULTS:
        report()


if __name__ == "__main__":
    main()
