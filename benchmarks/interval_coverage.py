"""How often 95 % intervals hold the truth: simulated patients with several images each, every metric, every method.

A patient has one to five images and a share of the score in common; now and then an image is unlike the patient's
others in its label. The truth of each metric is that of 400,000 patients drawn in the same way; of calibration errors
that of four million, since two draws of the fewer differ by 3 % in them. Each scenario and group of figures is a set of
rows of ``interval_coverage.csv``; those that are there are not computed again, so the script can be stopped.
"""

from __future__ import annotations

import argparse
import itertools
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
from common import HERE, describe_machine, markdown_table, write_between

from radlens.assessment.calibration_evidence import calibration_evidence
from radlens.assessment.calibration_line import calibration_line
from radlens.assessment.decision_curve import STEPS, decision_curve
from radlens.assessment.predictive_values import predictive_values
from radlens.assessment.summary import Summary
from radlens.config import EvaluateSettings
from radlens.runtime.metrics_sections import Metric
from radlens.statistics.intervals import bootstrap_logit_limits, percentile_limits
from radlens.statistics.metrics import Answers

Ints = npt.NDArray[np.int64]
# Metric, method, whether it is the one of metrics.json, value and limits.
Found = tuple[str, str, bool, float, tuple[float, float]]

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


def resampled(answers: Answers, owner: Ints, settings: EvaluateSettings, rng: np.random.Generator) -> Iterator[Found]:
    """Metrics, with the intervals of ``metrics.json`` and those of other methods."""
    for label, patients in (("", owner), (IMAGES, np.arange(len(owner)))):
        summary = Summary.of(answers, "binary", patients, settings, rng)
        overall = summary.overall()
        yield from named({name: overall[name] for name in overall if name != "ece"}, label)
        scarcer = min(len(np.unique(owner[answers.truth == kind])) for kind in (0, 1))
        for name in (*PROPORTIONS, "f1", "auroc", "average_precision", "brier"):
            replicates, value = summary.replicates[name], float(summary.observed[name][0])
            yield name, f"bootstrap, percentile{label}", False, value, percentile_limits(replicates, 0.95)
            if name in (*PROPORTIONS, "auroc") and not label:
                limits = bootstrap_logit_limits(replicates, value, 0.95, scarcer)
                yield name, "bootstrap, logit", False, value, limits


def calibration_errors(
    answers: Answers, owner: Ints, settings: EvaluateSettings, rng: np.random.Generator
) -> Iterator[Found]:
    """ECE, as it is and corrected, and MCE."""
    for label, patients in (("", owner), (IMAGES, np.arange(len(owner)))):
        summary = Summary.of(answers, "binary", patients, settings, rng)
        evidence = calibration_evidence(summary)
        yield from named(
            {"ece": summary.overall()["ece"], "ece_corrected": evidence.ece_corrected, "mce": evidence.mce}, label
        )
        value, limits = float(summary.observed["ece"][0]), percentile_limits(summary.replicates["ece"], 0.95)
        yield "ece", f"bootstrap, percentile{label}", False, value, limits


def closed_form(answers: Answers, owner: Ints) -> Iterator[Found]:
    """Figures whose intervals need no resampling."""
    for label, patients in (("", owner), (IMAGES, np.arange(len(owner)))):
        metrics = calibration_line(answers.probabilities[:, 1], answers.truth, patients, 0.95)
        (values,) = predictive_values(answers, patients, (PREVALENCE,), 0.95)
        metrics |= {"PPV at 10 %": values.ppv, "NPV at 10 %": values.npv}
        curve = decision_curve(answers, patients, 0.95)
        at = int(np.flatnonzero(np.isclose(STEPS, ACTING))[0])
        benefit = Metric(value=curve.net_benefit[at], low=curve.low[at], high=curve.high[at], method=curve.method)
        yield from named({**metrics, "net benefit from 20 %": benefit}, label)


def named(metrics: Mapping[str, Metric], label: str) -> Iterator[Found]:
    """Figures that have an interval; what is clustered by images is not clustered at all."""
    for name, metric in metrics.items():
        value, low, high = metric.value, metric.low, metric.high
        if value is not None and low is not None and high is not None and low < high:
            method = str(metric.method).removesuffix(", clustered")
            clustered = ", clustered" if method in ("Wilson", "DeLong") and not label else ""
            yield name, method + clustered + label, not label, value, (low, high)


GROUPS: Mapping[str, Callable[..., Iterator[Found]]] = {
    "resampled": resampled,
    "closed form": lambda answers, owner, *_: closed_form(answers, owner),
    "calibration errors": calibration_errors,
}
# Data sets of each scenario: a thousand leave the share known to 1.4 %, four thousand to .7 %.
DATASETS = {"resampled": 1000, "closed form": 1000, "calibration errors": 4000}
# So many that chance plays no part in the truth.
PATIENTS = {"resampled": 400_000, "closed form": 400_000, "calibration errors": 4_000_000}


def true_values(scenario: Scenario, group: str, rng: np.random.Generator) -> dict[str, float]:
    """Of far more patients than a data set has."""
    answers, owner = scenario.draw(rng, patients=PATIENTS[group])
    # Next to no resamples: the intervals are not looked at.
    settings = EvaluateSettings().model_copy(update={"resamples": 2})
    truth = {name: value for name, _, used, value, _ in GROUPS[group](answers, owner, settings, rng) if used}
    return truth | ({"ece_corrected": truth["ece"]} if "ece" in truth else {})


def measure(name: str, group: str, datasets: int, resamples: int) -> pd.DataFrame:
    """The share of data sets whose interval holds the truth."""
    scenario, rng = SCENARIOS[name], np.random.default_rng((list(SCENARIOS).index(name), list(GROUPS).index(group)))
    truth = true_values(scenario, group, rng)
    settings = EvaluateSettings(resamples=resamples)
    seen: dict[tuple[str, str, bool], list[tuple[bool, bool, float]]] = defaultdict(list)
    for _ in range(datasets):
        for metric, method, used, _, (low, high) in GROUPS[group](*scenario.draw(rng), settings, rng):
            seen[metric, method, used].append((truth[metric] < low, truth[metric] > high, high - low))
    rows = []
    for (metric, method, used), outcomes in seen.items():
        below, above, width = np.mean(outcomes, axis=0)
        share = {"covered": 1 - below - above, "truth_below": below, "truth_above": above, "width": width}
        about = {"scenario": name, "group": group, "metric": metric, "method": method, "headline": used}
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
    write_between(PAGE, "coverage", table)


def main() -> None:
    """Compute the scenarios that are missing, then print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--datasets", type=int, help="of each scenario; of each group its own number unless given")
    parser.add_argument("--resamples", type=int, default=1000)
    parser.add_argument("--only", nargs="*", choices=list(SCENARIOS), help="these scenarios alone")
    parser.add_argument("--report", action="store_true", help="only print what is there")
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    if not options.report:
        print(describe_machine())
        for name, group in itertools.product(options.only or SCENARIOS, GROUPS):
            done = pd.read_csv(options.out) if options.out.exists() else pd.DataFrame(columns=["scenario", "group"])
            if ((done["scenario"] == name) & (done["group"] == group)).any():
                continue
            started = time.perf_counter()
            rows = measure(name, group, options.datasets or DATASETS[group], options.resamples)
            pd.concat([part for part in (done, rows) if len(part)]).to_csv(options.out, index=False)
            print(f"{name}, {group}: {time.perf_counter() - started:.0f} s", flush=True)
    if options.out == RESULTS:
        report()


if __name__ == "__main__":
    main()
