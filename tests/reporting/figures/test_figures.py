"""The figures show the numbers that they are given."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.patches import Rectangle
from sklearn.metrics import auc

from fixture_types import ManifestOf, PredictionsOf
from known import known, span
from radlens.assessment.evaluate import evaluate
from radlens.assessment.misclassified import misclassified
from radlens.config import EvaluateSettings
from radlens.dataset.manifest import DatasetInfo, Manifest
from radlens.reporting.figures.data import balance, class_balance, image_sizes, intensities, labels_long
from radlens.reporting.figures.images import augmented_grid, error_grid, sample_grid
from radlens.reporting.figures.performance import confusion_matrix, precision_recall_curves, roc_curves
from radlens.reporting.figures.scores import reliability, score_histogram
from radlens.reporting.figures.style import class_colour, new_figure, shown, styled
from radlens.reporting.figures.training import training_curves
from radlens.runtime.metrics_record import SplitRecord

Split = Callable[[str], tuple[pd.DataFrame, DatasetInfo, SplitRecord]]
Pixels = npt.NDArray[np.uint8]

SETTINGS = EvaluateSettings(resamples=100)
TASKS = ("binary", "multiclass", "multilabel")


@pytest.fixture(autouse=True)
def no_global_state() -> Iterator[None]:
    before = dict(mpl.rcParams)
    yield
    assert plt.get_fignums() == []
    assert dict(mpl.rcParams) == before


@pytest.fixture
def split_of(predictions_of: PredictionsOf) -> Split:
    def make(task: str) -> tuple[pd.DataFrame, DatasetInfo, SplitRecord]:
        table, info = predictions_of(task)
        part = table[table["split"] == "test"]
        return part, info, evaluate(part, info, 0.5, SETTINGS, seed=0)["test"]

    return make


def texts(figure: Figure) -> list[str]:
    figure.canvas.draw()
    return [text.get_text() for text in figure.findobj(mpl.text.Text) if text.get_text()]


def facts_of(manifest: Manifest) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    n = len(manifest)
    return pd.DataFrame(
        {
            "path": manifest.table["path"],
            "width": rng.integers(100, 300, n),
            "height": rng.integers(100, 300, n),
            "mean": rng.uniform(60, 160, n),
            "std": rng.uniform(20, 60, n),
        }
    )


def gray(value: int) -> Pixels:
    return np.full((20, 30), value, dtype=np.uint8)


def corner(image: AxesImage) -> int:
    pixels = image.get_array()
    assert pixels is not None
    return int(pixels[0, 0])


@pytest.mark.parametrize("task", TASKS)
def test_balance_counts_every_image_and_class(task: str, manifest_of: ManifestOf) -> None:
    manifest = manifest_of(task)
    counts = balance(manifest.table, manifest.info)
    assert list(counts.index) == ["val", "test"]
    expected = manifest.class_counts().loc[["val", "test"]]
    np.testing.assert_array_equal(counts[list(manifest.info.classes)], expected)
    if task == "multilabel":
        assert counts["no finding"].sum() == (manifest.table["label"] == "").sum()
        assert len(labels_long(manifest.table, manifest.info)) == counts.to_numpy().sum()


def test_class_balance_writes_counts_and_shares(manifest_of: ManifestOf) -> None:
    manifest = manifest_of("binary")
    said = texts(class_balance(manifest.table, manifest.info))
    for split, row in manifest.class_counts().loc[["val", "test"]].iterrows():
        total = (manifest.table["split"] == split).sum()
        for count in row:
            assert f"{count:,} ({count / total:.0%})" in said


@pytest.mark.parametrize("task", TASKS)
def test_sizes_and_intensities_name_each_class(task: str, manifest_of: ManifestOf) -> None:
    manifest = manifest_of(task)
    for draw in (image_sizes, intensities):
        said = texts(draw(facts_of(manifest), manifest.table, manifest.info))
        assert set(manifest.info.classes) <= set(said)


def test_many_classes_take_the_form_with_less_room(manifest_of: ManifestOf) -> None:
    manifest = manifest_of("multilabel", images=200, classes=tuple(f"finding {i}" for i in range(14)))
    assert "finding 13" in texts(class_balance(manifest.table, manifest.info))
    assert "finding 13" in texts(intensities(facts_of(manifest), manifest.table, manifest.info))
    assert "finding 13" not in texts(image_sizes(facts_of(manifest), manifest.table, manifest.info))


def test_training_curves_show_the_history_and_mark_the_kept_epoch() -> None:
    history = pd.DataFrame(
        {
            "epoch": [1, 2, 3],
            "train_loss": [0.7, 0.5, 0.4],
            "val_loss": [0.8, 0.6, 0.65],
            "val_auroc": [0.6, 0.8, 0.79],
            "val_accuracy": [0.5, 0.7, 0.7],
            "lr": [1e-3, 1e-4, 1e-5],
        }
    )
    figure = training_curves(history, best_epoch=2)
    panels = figure.axes
    assert [np.asarray(line.get_ydata()).tolist() for line in panels[0].lines[:2]] == [
        [0.7, 0.5, 0.4],
        [0.8, 0.6, 0.65],
    ]
    assert panels[0].lines[2].get_xdata() == [2, 2]
    assert panels[2].get_yscale() == "log"
    assert "epoch 2 kept (dashed)" in texts(figure)
    bare = training_curves(history[["epoch", "train_loss", "val_loss"]].assign(val_auroc=np.nan))
    assert len(bare.axes) == 1


def test_confusion_matrix_shows_counts_and_row_shares(split_of: Split) -> None:
    _, _, block = split_of("multiclass")
    said = texts(confusion_matrix(block))
    for row in np.array(block.confusion_matrix).tolist():
        for count in row:
            assert f"{count:,}\n{count / sum(row):.1%}" in said


def test_multilabel_confusion_shows_found_missed_and_false_alarms(split_of: Split) -> None:
    _, _, block = split_of("multilabel")
    figure = confusion_matrix(block)
    widths = []
    for bar in figure.axes[0].patches:
        assert isinstance(bar, Rectangle)
        widths.append(bar.get_width())
    cells = np.array([known(part.confusion_matrix) for part in block.each.values()])
    assert widths == [*cells[:, 1, 1], *cells[:, 1, 0], *cells[:, 0, 1]]


@pytest.mark.parametrize("task", TASKS)
def test_the_area_under_the_drawn_roc_curve_is_the_auroc(task: str, split_of: Split) -> None:
    part, info, block = split_of(task)
    figure = roc_curves(part, info, block)
    curves = [line for line in figure.axes[0].lines if "AUROC" in str(line.get_label())]
    each = list(block.questions.values())
    assert len(curves) == len(each)
    for line, metrics in zip(curves, each, strict=True):
        low, value, high = span(metrics.auroc)
        assert auc(line.get_xdata(), line.get_ydata()) == pytest.approx(value)
        assert f"{value:.3f}" in str(line.get_label())
        assert f"{low:.3f}–{high:.3f}" in str(line.get_label())


def test_the_operating_point_lies_at_sensitivity_and_specificity(split_of: Split) -> None:
    part, info, block = split_of("binary")
    (point,) = (line for line in roc_curves(part, info, block).axes[0].lines if "operating" in str(line.get_label()))
    assert point.get_xdata() == [1 - known(block.specificity.value)]
    assert point.get_ydata() == [known(block.sensitivity.value)]


def test_precision_recall_has_the_prevalence_as_chance_level(split_of: Split) -> None:
    part, info, block = split_of("binary")
    lines = precision_recall_curves(part, info, block).axes[0].lines
    (chance,) = (line for line in lines if "chance" in str(line.get_label()))
    assert np.asarray(chance.get_ydata())[0] == pytest.approx((part["label"] == "PNEUMONIA").mean())


def test_a_split_with_one_class_is_drawn_without_curves(predictions_of: PredictionsOf) -> None:
    table, info = predictions_of("binary")
    part = table[(table["split"] == "test") & (table["label"] == "NORMAL")]
    block = evaluate(part, info, 0.5, SETTINGS, seed=0)["test"]
    assert not any("AUROC" in text for text in texts(roc_curves(part, info, block)))
    texts(precision_recall_curves(part, info, block))
    texts(score_histogram(part, info, block))
    texts(confusion_matrix(block))


@pytest.mark.parametrize("task", TASKS)
def test_scores_name_the_groups(task: str, split_of: Split) -> None:
    part, info, block = split_of(task)
    said = " ".join(texts(score_histogram(part, info, block)))
    expected = {"binary": info.classes, "multiclass": ("right answers", "wrong answers"), "multilabel": info.classes}
    for name in expected[task]:
        assert name in said


@pytest.mark.parametrize("task", TASKS)
def test_reliability_points_average_to_the_whole(task: str, split_of: Split) -> None:
    part, info, block = split_of(task)
    (line,) = (
        line for line in reliability(known(block.calibration).bins, info).axes[0].lines if line.get_marker() == "o"
    )
    # Fifteen bins of equal size, up to rounding: the mean of the points is the mean of the outcomes.
    truth = {
        "binary": (part["label"] == info.classes[-1]).mean(),
        "multiclass": (part["label"] == part["predicted"]).mean(),
        "multilabel": np.mean([part["label"].str.contains(name).mean() for name in info.classes]),
    }
    assert np.mean(np.asarray(line.get_ydata())) == pytest.approx(truth[task], abs=0.02)


def test_image_grids_show_the_pixels(predictions_of: PredictionsOf) -> None:
    figure = sample_grid(
        {"NORMAL": [("a.png", gray(10))], "PNEUMONIA": [("b.png", gray(20)), ("c", gray(30))]}, columns=2
    )
    assert [corner(image) for axes in figure.axes for image in axes.images] == [10, 20, 30]
    assert {"NORMAL", "PNEUMONIA"} <= set(texts(figure))
    figure = augmented_grid([(gray(1), [gray(2), gray(3)])], columns=3)
    assert [corner(axes.images[0]) for axes in figure.axes] == [1, 2, 3]
    table, info = predictions_of("binary")
    errors = misclassified(table, info)

    def read(path: str) -> Pixels:
        return gray(int(path[-8:-4]))

    figure = error_grid(errors, read, limit=3, columns=3)
    numbers = [int(path[-8:-4]) for path in errors["path"][:3]]
    assert [corner(axes.images[0]) for axes in figure.axes] == numbers
    assert f"image_{numbers[0]:04d}.png" in texts(figure)
    assert "no wrong answer" in texts(error_grid(errors.iloc[:0], read))


@pytest.mark.filterwarnings("ignore:Glyph")
@pytest.mark.parametrize("name", ["$x^2$", "_hidden", "<b>bold</b>", "a\nb", "ill & sick", "$unclosed", "肺炎"])
def test_any_class_name_can_be_drawn(name: str, predictions_of: PredictionsOf) -> None:
    table, info = predictions_of("multiclass", classes=("normal", name, "other"))
    part = table[table["split"] == "test"]
    block = evaluate(part, info, 0.5, SETTINGS, seed=0)["test"]
    for figure in (confusion_matrix(block), roc_curves(part, info, block), score_histogram(part, info, block)):
        texts(figure)
    said = " ".join(texts(roc_curves(part, info, block)))
    assert name.replace("\n", " ") in said


def test_long_names_are_cut_and_colours_repeat() -> None:
    assert shown("x" * 50, 10) == "x" * 9 + "…"
    assert class_colour(0) != class_colour(1)
    assert class_colour(0) == class_colour(8)


def test_style_is_undone_after_an_error() -> None:
    @styled
    def broken() -> None:
        new_figure(1)
        raise RuntimeError

    with pytest.raises(RuntimeError):
        broken()


def test_of_many_labels_the_weakest_are_drawn(predictions_of: PredictionsOf) -> None:
    table, info = predictions_of("multilabel", images=300, classes=tuple(f"finding {i}" for i in range(10)))
    part = table[table["split"] == "test"]
    block = evaluate(part, info, 0.5, SETTINGS, seed=0)["test"]
    areas = {name: known(metrics.auroc.value) for name, metrics in block.each.items()}
    drawn = [
        str(line.get_label())
        for line in roc_curves(part, info, block).axes[0].lines
        if "AUROC" in str(line.get_label())
    ]
    best = sorted(areas, key=areas.__getitem__)[-2:]
    assert len(drawn) == 8
    assert not any(label.startswith(f"{name}:") for label in drawn for name in best)
