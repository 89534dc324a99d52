"""What a model that may abstain does with images that were changed: errors answered, referrals, refusals, calibration.

Internal test images of a run, as they are and under every counted change of the framing suite and every corruption (but
inversion), are answered with the limits that the model carries. And: does it help to ask about several framings of each
image, and to refer where the answers differ? How well that tells the errors is compared with how far an answer lies
from the operating point.

    python benchmarks/shifted_answers.py RUN [--images N]
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from common import HERE, KERMANY, describe_machine, markdown_table, write_between
from sklearn.metrics import roc_auc_score

from radlens.dataset.manifest import Manifest
from radlens.decision import REFER, REFUSE, commit, decide, prediction_sets
from radlens.delivery.torch_model import trained_model
from radlens.imaging.cache.pixel_cache import PixelCache
from radlens.imaging.framing import SUITE, Framing, FramingChange, reframe
from radlens.learning.corruptions import SUITE as CORRUPTIONS
from radlens.learning.corruptions import corrupt
from radlens.learning.trained_model import TrainedModel
from radlens.runtime.model_config import ModelConfig
from radlens.runtime.model_folder import read_model_folder
from radlens.statistics.metrics import expected_calibration_error

DATA = HERE / "results" / "shifted_answers.csv"
PAGE = HERE.parent / "docs" / "explanation" / "abstention.md"
Pixels = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float64]
Change = Callable[[Pixels, np.random.Generator], Pixels]
# Framings of one image whose answers are compared: tighter, looser, wider and higher.
VIEWS = (
    *(Framing(share, 1 - share, share, 1 - share) for share in (0.05, 0.1, -0.1, -0.2)),
    *(Framing(left=-0.15, right=1.15), Framing(top=-0.15, bottom=1.15)),
)
# The changes under which that is tried, the worst of the suite for this data among them.
QUERIES = ("top and bottom 15 %", "all sides 10 %", "zoomed out 1.5", "stretched 0.6", "combined 1")


def changes() -> dict[str, Change]:
    """By group and name; every group's figures are means over its changes."""
    framings = {f"framing: {change.name}": partial(_framed, change) for change in SUITE if change.counted}
    corruptions = {
        f"corruption: {kind} {strength}": partial(_corrupted, kind, strength)
        for kind, strength in CORRUPTIONS
        if kind != "inversion"
    }
    return {"unchanged": lambda pixels, _: pixels, **framings, **corruptions}


def _framed(change: FramingChange, pixels: Pixels, rng: np.random.Generator) -> Pixels:
    return reframe(pixels, change.framings(len(pixels), rng))


def _corrupted(kind: str, strength: int, pixels: Pixels, rng: np.random.Generator) -> Pixels:
    return corrupt(pixels, kind, strength, rng)


def sample(run: Path, config: ModelConfig, most: int) -> tuple[Pixels, npt.NDArray[np.int64]]:
    """Pixels and classes of internal test images, drawn in the mixture that they come in."""
    manifest = Manifest.read(run)
    manifest = manifest.only((manifest.table["split"] == "test").to_numpy())
    locations = [str(KERMANY / path) for path in manifest.table["path"]]
    cache = PixelCache.build(locations, config.preprocessing)
    kept = np.sort(np.random.default_rng(53).permutation(len(locations))[:most])
    return cache.pixels[cache.rows[kept]], manifest.targets()[kept]


def answered(model: TrainedModel, config: ModelConfig, pixels: Pixels) -> tuple[Floats, npt.NDArray[np.str_]]:
    """Probabilities of the positive class, and the answers that the model stands by."""
    limits = config.abstention
    assert limits is not None
    assert limits.least is not None
    scores = model.probabilities(pixels)
    predicted = [config.classes[index] for index in decide(scores, config.task, config.threshold)]
    far = None if limits.distance is None else model.distances(pixels, np.arange(len(pixels))) / limits.distance
    answers = commit(predicted, config.classes, prediction_sets(scores, limits.least), far)
    return scores[:, 1], np.array(answers)


def measure(run: Path, most: int) -> pd.DataFrame:
    """One row a change, and one for each way to tell errors."""
    config, tensors = read_model_folder(run)
    model = trained_model(config, tensors)
    pixels, truth = sample(run, config, most)
    names = np.array(config.classes)[truth]
    rows: list[dict[str, Any]] = []
    for number, (name, change) in enumerate(changes().items()):
        scores, answers = answered(model, config, change(pixels, np.random.default_rng((59, number))))
        given = ~np.isin(answers, (REFER, REFUSE))
        wrong = (scores >= config.threshold) != truth
        rows.append(
            {
                "change": name,
                "images": len(truth),
                "wrong": wrong.mean(),
                "answered wrongly": (given & (answers != names)).mean(),
                "referred": (answers == REFER).mean(),
                "refused": (answers == REFUSE).mean(),
                "ece": expected_calibration_error(scores, truth),
                "auroc": roc_auc_score(truth, scores),
            }
        )
    return pd.DataFrame([*rows, *error_detection(model, config, pixels[: most // 2], truth[: most // 2])])


def error_detection(
    model: TrainedModel, config: ModelConfig, pixels: Pixels, truth: npt.NDArray[np.int64]
) -> list[dict[str, Any]]:
    """AUROC for telling wrong answers from right ones, over all queries."""
    margins, spreads, nearest, wrong = [], [], [], []
    limit = np.log(config.threshold / (1 - config.threshold))
    for number, query in enumerate(change for change in SUITE if change.name in QUERIES):
        shown = reframe(pixels, query.framings(len(pixels), np.random.default_rng((61, number))))
        views = np.stack([_logits(model, view) for view in (shown, *(reframe(shown, window) for window in VIEWS))])
        distances = views - limit
        sides = np.sign(distances[0])
        margins.append(-np.abs(distances[0]))
        spreads.append(views.std(axis=0))
        nearest.append(-(distances * sides).min(axis=0))
        wrong.append((distances[0] >= 0) != truth)
    every = np.concatenate(wrong)
    ways = {"distance from the operating point": margins, "spread over framings": spreads, "nearest framing": nearest}
    return [
        {
            "change": f"errors told by: {name}",
            "images": len(every),
            "auroc": roc_auc_score(every, np.concatenate(values)),
        }
        for name, values in ways.items()
    ]


def _logits(model: TrainedModel, pixels: Pixels) -> Floats:
    scores = np.clip(model.probabilities(pixels)[:, 1], 1e-9, 1 - 1e-9)
    return np.asarray(np.log(scores) - np.log1p(-scores))


def report() -> None:
    """Print the tables from the data file and put them into the documentation."""
    data = pd.read_csv(DATA)
    groups = data["change"].str.partition(":")[0]
    shares = ["wrong", "answered wrongly", "referred", "refused"]
    rows = []
    for group in ("unchanged", "framing", "corruption"):
        part = data[groups == group]
        rows.append([group, *_cells(part[[*shares, "ece"]].mean().to_dict(), shares)])
        if len(part) > 1:
            worst = part.sort_values("answered wrongly").to_dict("records")[-1]
            rows.append([f"worst: {worst['change']}", *_cells(worst, shares)])
    first = markdown_table(["images", *shares, "ECE"], rows)
    told = data[groups == "errors told by"].to_dict("records")
    second = markdown_table(
        ["what tells a wrong answer", "AUROC"],
        [[str(row["change"]).partition(": ")[2], f"{row['auroc']:.3f}"] for row in told],
    )
    print(first + "\n" + second, end="")
    write_between(PAGE, "shifted", first + "\n" + second)


def _cells(values: Mapping[Any, Any], shares: list[str]) -> list[str]:
    return [*(f"{values[name]:.1%}" for name in shares), f"{values['ece']:.3f}"]


def main() -> None:
    """Measure, keep the figures, print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path, nargs="?", help="a binary run on the Kaggle images; none: only print")
    parser.add_argument("--images", type=int, default=260, help="most internal test images")
    options = parser.parse_args()
    if options.run is not None:
        print(describe_machine())
        measure(options.run, options.images).to_csv(DATA, index=False, float_format="%.4f")
    report()


if __name__ == "__main__":
    main()
