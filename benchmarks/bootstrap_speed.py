"""Seconds for 2,000 resamples of patients, of all metrics of 5,000 images: the aim is 5 at most on one core.

Run it with ``OMP_NUM_THREADS=1``.
"""

from __future__ import annotations

import time

import numpy as np
from common import describe_machine, print_table, spread

from radlens.assessment.summary import Summary
from radlens.config import EvaluateSettings
from radlens.statistics.metrics import METRICS, Answers
from radlens.statistics.resampling import bootstrap
from radlens.statistics.weighted import statistic

IMAGES, RESAMPLES, REPEATS = 5_000, 2_000, 7


def drawn(seed: int) -> tuple[Answers, np.ndarray]:
    """Answers for images of half as many patients."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 2, IMAGES)
    positive = 1 / (1 + np.exp(1 - 2 * truth - rng.normal(size=IMAGES)))
    both = np.stack([1 - positive, positive], axis=1)
    patients = np.array([f"patient{number // 2}" for number in range(IMAGES)])
    return Answers(truth, both, (positive >= 0.5).astype(np.int64), ("negative", "positive")), patients


def main() -> None:
    """Time the resampling alone, and all intervals of a split together."""
    print(describe_machine())
    settings = EvaluateSettings(resamples=RESAMPLES)
    resampling, together = [], []
    for seed in range(REPEATS):
        answers, patients = drawn(seed)
        rng = np.random.default_rng(seed)
        started = time.perf_counter()
        found = bootstrap(statistic(answers, "binary"), patients, RESAMPLES, rng)
        resampling.append(time.perf_counter() - started)
        assert all(np.isfinite(found[name]).all() for name in METRICS)
        started = time.perf_counter()
        Summary.of(answers, "binary", patients, settings, rng).overall()
        together.append(time.perf_counter() - started)
    header = [
        f"{RESAMPLES:,} resamples, {len(METRICS)} metrics and 15 bins, {IMAGES:,} images",
        "seconds, median [range]",
    ]
    print_table(header, [["resampling", spread(resampling, 2)], ["all intervals", spread(together, 2)]])


if __name__ == "__main__":
    main()
