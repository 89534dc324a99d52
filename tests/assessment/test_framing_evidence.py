"""The framing suite tells a model that goes by the framing from one that goes by the anatomy; figures by hand."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fixture_types import ManifestOf, PredictionsOf
from radlens.assessment.evaluate import evaluate
from radlens.assessment.framing_evidence import (
    affordable_images,
    framings_of,
    judge_framing,
    measure_framing,
    sample_images,
)
from radlens.assessment.predictions import predictions_table, probabilities_of, targets_of
from radlens.base.errors import DataError
from radlens.config import EvaluateSettings
from radlens.dataset.manifest import DatasetInfo, Manifest
from radlens.imaging.framing import SUITE, Framing, reframe
from radlens.runtime.framing_records import FramingEvidence
from radlens.runtime.metrics_record import read_metrics, write_metrics

Floats = npt.NDArray[np.float64]
Pixels = npt.NDArray[np.uint8]
Model = Callable[[Pixels], Floats]

INFO = DatasetInfo(name="planted", task="binary", classes=("NORMAL", "PNEUMONIA"), root=".")
COUNTED = [number for number, change in enumerate(SUITE) if change.counted]


def planted(each: int = 30, side: int = 40) -> tuple[Pixels, Manifest]:
    """Half with a bright spot in the middle, which is the disease; all of those also have a bright upper edge."""
    rng = np.random.default_rng(0)
    pixels = rng.integers(40, 120, (2 * each, 1, side, side), dtype=np.uint8)
    pixels[each:, :, 16:24, 16:24] = 255
    pixels[each:, :, :2] = 230
    pixels[:each, :, :2] = 10
    table = pd.DataFrame(
        {
            "path": [f"{number}.png" for number in range(2 * each)],
            "label": ["NORMAL"] * each + ["PNEUMONIA"] * each,
            "patient": [f"p{number}" for number in range(2 * each)],
            "split": "test",
        }
    )
    return pixels, Manifest(table, INFO)


def two(score: Floats) -> Floats:
    """Probabilities of two classes from a logit."""
    positive = 1 / (1 + np.exp(-score))
    return np.stack([1 - positive, positive], axis=1)


def by_middle(pixels: Pixels) -> Floats:
    """Bright in the middle half: proof against any framing of the suite."""
    side = pixels.shape[-1]
    middle = pixels[:, 0, side // 4 : -side // 4, side // 4 : -side // 4]
    return two((middle.max(axis=(1, 2)) > 200) * 6.0 - 3.0)


def by_upper_rows(pixels: Pixels) -> Floats:
    return two((pixels[:, 0, :2].mean(axis=(1, 2)) - 120) / 20)


def measured(predict: Model, each: int = 30, seed: int = 0) -> tuple[FramingEvidence, Pixels]:
    pixels, manifest = planted(each)
    return measure_framing(predict, pixels, predictions_table(manifest, predict(pixels)), INFO, 0.5, seed=seed), pixels


def test_a_model_that_goes_by_the_upper_rows_fails() -> None:
    found, _ = measured(by_upper_rows)
    assert found.verdict == "fail"
    assert found.unchanged.balanced_accuracy == 1.0
    assert found.worst_balanced_accuracy.value == pytest.approx(0.5, abs=0.1)
    assert found.loss.low > 0.3
    assert {"top", "top and bottom"} <= set(found.losing)
    assert "bottom" not in found.losing
    cut = next(change for change in found.changes if change.name == "top 10 %")
    # All of one class are answered wrongly: without its edge, every picture is grey at the top.
    assert cut.groups["PNEUMONIA"].recall == 0.0
    assert cut.groups["PNEUMONIA"].flipped == 1.0
    assert cut.groups["NORMAL"].flipped == 0.0
    assert cut.groups["PNEUMONIA"].shift < -3


def test_a_model_that_goes_by_what_stays_passes() -> None:
    found, _ = measured(by_middle)
    assert found.verdict == "pass"
    assert (found.loss.value, found.losing, found.flips) == (0.0, (), ())
    assert all(change.balanced_accuracy == 1.0 for change in found.changes if change.counted)


@pytest.mark.parametrize("predict", [by_upper_rows, by_middle])
def test_few_images_prove_nothing_either_way(predict: Model) -> None:
    assert measured(predict, each=19)[0].verdict == "warn"
    assert measured(predict, each=20)[0].verdict == ("fail" if predict is by_upper_rows else "pass")


def test_a_class_without_images_is_no_pass() -> None:
    pixels, manifest = planted()
    predictions = predictions_table(manifest, by_middle(pixels)).query("label == 'NORMAL'")
    found = measure_framing(by_middle, pixels[:30], predictions, INFO, 0.5)
    assert list(found.unchanged.groups) == ["NORMAL"]
    assert found.verdict == "warn"


def test_the_same_seed_gives_the_same_evidence_and_another_other_windows() -> None:
    first, second = measured(by_upper_rows)[0], measured(by_upper_rows)[0]
    assert first == second
    assert FramingEvidence.model_validate(first.model_dump(mode="json")) == first
    assert measured(by_upper_rows, seed=1)[0].changes != first.changes
    shifted = next(change for change in SUITE if change.kind == "shifted")
    assert framings_of(shifted, 50, 0) == framings_of(shifted, 50, 0) != framings_of(shifted, 50, 1)


def test_flips_can_be_shown_once_more_and_answer_the_same() -> None:
    found, pixels = measured(by_upper_rows)
    assert found.flips
    assert len({flip.path for flip in found.flips}) == len(found.flips)
    for flip in found.flips:
        image = pixels[[int(flip.path.removesuffix(".png"))]]
        changed = reframe(image, Framing(*flip.window))
        assert by_upper_rows(changed)[0, 1] == pytest.approx(flip.after)
        assert by_upper_rows(image)[0, 1] == pytest.approx(flip.before)
        assert (flip.label, flip.asked) == ("PNEUMONIA", "PNEUMONIA") or flip.label == "NORMAL"
        assert flip.predicted != flip.label
    # Several kinds of change are shown where several turn answers.
    assert len({flip.change.rsplit(" ", 2)[0] for flip in found.flips}) > 2


def test_pixels_and_predictions_must_be_as_many() -> None:
    pixels, manifest = planted()
    with pytest.raises(ValueError, match="59 images and 60 predictions"):
        measure_framing(by_middle, pixels[1:], predictions_table(manifest, by_middle(pixels)), INFO, 0.5)


def test_binary_figures_are_those_by_hand() -> None:
    _, manifest = planted(4)
    plain = np.array([-2.0, -1.0, -1.0, 1.0, 2.0, 1.0, 1.0, -1.0])
    answers = [two(plain)] * len(SUITE)
    # One change moves every logit by 1.5: of the negatives two more are called positive, of the positives one less.
    answers[3] = two(plain + 1.5)
    found = judge_framing(predictions_table(manifest, two(plain)), answers, INFO, 0.5)
    assert found.unchanged.balanced_accuracy == pytest.approx(0.75)
    change = found.changes[3]
    negative, positive = change.groups["NORMAL"], change.groups["PNEUMONIA"]
    assert (negative.images, negative.recall, positive.recall) == (4, 0.25, 1.0)
    assert (negative.flipped, positive.flipped) == (0.5, 0.25)
    assert (negative.shift, positive.shift) == pytest.approx((1.5, 1.5))
    assert negative.quartiles == pytest.approx(tuple(np.quantile(plain[:4] + 1.5, [0.25, 0.5, 0.75])))
    assert found.worst == SUITE[3].name
    assert found.worst_balanced_accuracy.value == pytest.approx(0.625)
    assert found.loss.value == pytest.approx(0.125)
    assert found.losing == (SUITE[3].kind,)
    assert found.worst_change == change


def test_what_is_not_counted_is_measured_and_has_no_part_in_the_verdict() -> None:
    _, manifest = planted()
    right = two(np.where(np.arange(60) < 30, -3.0, 3.0))
    answers = [right if change.counted else right[:, ::-1] for change in SUITE]
    found = judge_framing(predictions_table(manifest, right), answers, INFO, 0.5)
    assert found.verdict == "pass"
    assert {change.balanced_accuracy for change in found.changes if not change.counted} == {0.0}
    assert found.flips == ()


def test_multiclass_is_by_class_and_its_own_logit(manifest_of: ManifestOf) -> None:
    manifest = manifest_of("multiclass", images=90)
    truth = manifest.targets()
    right = np.where(np.eye(3)[truth] == 1, 0.8, 0.1)
    # The third class is taken for the first one.
    wrong = np.where((truth == 2)[:, None], [0.7, 0.1, 0.2], right)
    answers = [right] * len(SUITE)
    answers[COUNTED[0]] = wrong
    found = judge_framing(predictions_table(manifest, right), answers, manifest.info, 0.5)
    groups = found.changes[COUNTED[0]].groups
    assert {name: group.recall for name, group in groups.items()} == {"normal": 1, "bacterial": 1, "viral": 0}
    assert groups["viral"].shift == pytest.approx(np.log(0.2 / 0.8) - np.log(0.8 / 0.2))
    assert found.worst_balanced_accuracy.value == pytest.approx(2 / 3)
    assert found.verdict == "fail"
    flip = found.flips[0]
    assert (flip.label, flip.predicted, flip.asked) == ("viral", "normal", "viral")
    assert (flip.before, flip.after) == pytest.approx((0.8, 0.2))


def test_multilabel_is_by_label_present_and_absent(manifest_of: ManifestOf) -> None:
    manifest = manifest_of("multilabel", images=120)
    truth = manifest.targets()
    right = np.where(truth == 1, 0.9, 0.1)
    wrong = right.copy()
    wrong[:, 1] = 0.05
    answers = [right] * len(SUITE)
    answers[COUNTED[0]] = wrong
    found = judge_framing(predictions_table(manifest, right), answers, manifest.info, 0.5)
    assert list(found.unchanged.groups) == ["effusion", "no effusion", "mass", "no mass", "nodule", "no nodule"]
    groups = found.changes[COUNTED[0]].groups
    assert (groups["mass"].recall, groups["no mass"].recall, groups["effusion"].recall) == (0.0, 1.0, 1.0)
    assert groups["mass"].images + groups["no mass"].images == 120
    assert groups["no mass"].shift == pytest.approx(np.log(0.05 / 0.95) - np.log(0.1 / 0.9))
    assert found.worst_balanced_accuracy.value == pytest.approx(5 / 6)
    assert {flip.asked for flip in found.flips} == {"mass"}
    assert all("mass" in flip.label.split("|") and "mass" not in flip.predicted.split("|") for flip in found.flips)


def test_images_of_a_patient_count_as_one() -> None:
    """The same answers said ten times over by ten images of each patient are no surer."""
    _, manifest = planted(40)
    rng = np.random.default_rng(0)
    plain = two(np.where(np.arange(80) < 40, -2.0, 2.0))
    answers = [plain] * len(SUITE)
    answers[COUNTED[5]] = np.where(rng.random((80, 1)) < 0.3, plain[:, ::-1], plain)
    once = judge_framing(predictions_table(manifest, plain), answers, INFO, 0.5)
    table = pd.concat([manifest.table.assign(path=manifest.table["path"] + str(copy)) for copy in range(10)])
    often = Manifest(table.reset_index(drop=True), INFO)
    said = judge_framing(
        predictions_table(often, np.tile(plain, (10, 1))), [np.tile(each, (10, 1)) for each in answers], INFO, 0.5
    )
    assert (said.images, said.patients) == (800, 80)
    assert said.loss.low == pytest.approx(once.loss.low)
    assert said.worst_balanced_accuracy.high == pytest.approx(once.worst_balanced_accuracy.high)


def test_the_interval_of_the_loss_covers_what_the_worst_change_truly_loses() -> None:
    """The change is chosen for its loss, which flatters the loss; the interval is to make up for that."""
    _, manifest = planted(60)
    rng = np.random.default_rng(1)
    truth = np.arange(120) >= 60
    # What each change truly turns wrong, of images all answered rightly before.
    lost = dict(zip(COUNTED, np.linspace(0.02, 0.2, len(COUNTED)), strict=True))
    names = {SUITE[number].name: share for number, share in lost.items()}
    plain = two(np.where(truth, 2.0, -2.0))
    predictions = predictions_table(manifest, plain)
    covered, above = 0, 0
    for _ in range(60):
        answers = [
            np.where(rng.random((120, 1)) < lost.get(number, 0.0), plain[:, ::-1], plain)
            for number in range(len(SUITE))
        ]
        found = judge_framing(predictions, answers, INFO, 0.5)
        true = names[found.worst]
        covered += found.loss.low <= true <= found.loss.high
        above += found.loss.value > true
    # By chance alone 60 intervals of 95 % leave out 8 or more with a probability below .01.
    assert covered >= 53
    # The choice of the worst does flatter the estimate: a plain interval would not do.
    assert above > 40


@given(st.integers(1, 100_000), st.integers(1, 100), st.sampled_from([1, 2]))
def test_the_suite_costs_at_most_a_tenth_of_training(images: int, epochs: int, passes: int) -> None:
    afforded = affordable_images(images, epochs, passes)
    suite, training = afforded * len(SUITE) * passes, 3 * images * epochs
    assert afforded == 64 or suite <= 0.1 * training
    assert afforded >= 64
    # And no less than it may.
    assert (afforded + 1) * len(SUITE) * passes > 0.1 * training


@given(st.integers(1, 80), st.integers(0, 5))
def test_of_each_class_as_many_are_drawn(most: int, seed: int) -> None:
    _, manifest = planted(40)
    # 10 of one class and 40 of the other.
    predictions = predictions_table(manifest, np.full((80, 2), 0.5)).iloc[30:]
    drawn = sample_images(predictions, INFO, most, seed)
    assert len(drawn) == min(most, 50)
    assert list(drawn) == sorted(set(drawn.tolist()))
    normal, pneumonia = np.bincount(targets_of(predictions.iloc[drawn], INFO), minlength=2)
    assert normal == min(10, normal)
    assert abs(normal - pneumonia) <= 1 or normal == 10
    np.testing.assert_array_equal(drawn, sample_images(predictions, INFO, most, seed))


def test_another_seed_draws_other_images(predictions_of: PredictionsOf) -> None:
    for task in ("binary", "multilabel"):
        predictions, info = predictions_of(task)
        first, second = (sample_images(predictions, info, 30, seed) for seed in (0, 1))
        assert len(first) == len(second) == 30
        assert list(first) != list(second)


def test_what_another_version_wrote_is_refused_with_what_to_do(predictions_of: PredictionsOf, tmp_path: Path) -> None:
    predictions, info = predictions_of("binary")
    answers = [probabilities_of(predictions, info)] * len(SUITE)
    found = judge_framing(predictions, answers, info, 0.5)
    metrics, path = evaluate(predictions, info, 0.5, EvaluateSettings(resamples=100), seed=0), tmp_path / "metrics.json"
    metrics["test"] = metrics["test"].model_copy(update={"framing": found})
    write_metrics(metrics, path)
    assert read_metrics(path)["test"].framing == found
    assert read_metrics(path)["val"].framing is None
    text = path.read_text(encoding="utf-8")
    path.write_text(
        text.replace(f'"framing": {{\n      "images": {found.images}', '"framing": {\n      "images": "many"')
    )
    with pytest.raises(DataError, match=r"framing\.images.*radlens evaluate"):
        read_metrics(path)
