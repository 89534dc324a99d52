"""Another program's answers: the same evidence as the model that gave them, and one error for each thing wrong."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import radlens
from made_stress import CLASSES, SIZE, write_images, write_model
from radlens.assessment.framing_evidence import framings_of
from radlens.base.errors import DataError, RadlensError, UsageError
from radlens.dataset.access_log import read_access_log
from radlens.dataset.manifest import Manifest
from radlens.decision import Task
from radlens.delivery.torch_model import load_trained
from radlens.imaging.framing import SUITE, reframe
from radlens.imaging.pixels import read_pixels
from radlens.imaging.preprocess import Preprocessing
from radlens.learning.quality import QUALITY_SUITE

pytestmark = pytest.mark.usefixtures("known_networks")
CONTRACT = Preprocessing(height=SIZE, width=SIZE)


def answer(model: Path, pictures: Path, task: Task) -> pd.DataFrame:
    """What a program that reads the pictures with the eyes of a model writes down."""
    table = pd.read_csv(pictures / "stress_images.csv")
    pixels = np.stack([read_pixels(str(pictures / path), CONTRACT)[0] for path in table["path"]])
    # Asked in the same batches, so that the last bit of an answer is the same.
    trained, each = load_trained(model), len(table) // table["original"].nunique()
    scores = np.empty((len(table), len(CLASSES[task])))
    for change in range(each):
        scores[change::each] = trained.probabilities(pixels[change::each])
    return pd.DataFrame(
        {"path": table["path"], **{f"probability_{n}": s for n, s in zip(CLASSES[task], scores.T, strict=True)}}
    )


@pytest.mark.parametrize(
    ("task", "network"), [("binary", "by_frame"), ("multiclass", "by_finding"), ("multilabel", "by_finding")]
)
def test_a_table_gives_the_evidence_of_the_model_whose_answers_it_holds(
    task: Task, network: str, tmp_path: Path
) -> None:
    source = write_images(tmp_path / "source", 24, task)
    model = write_model(tmp_path / "model", network, task)
    written = radlens.write_stress_images(source, tmp_path / "pictures", images=20, longest=SIZE, seed=3)
    assert written.pictures == 20 * (1 + len(SUITE) + len(QUALITY_SUITE))
    table = answer(model, written.folder, task)
    table.sample(frac=1, random_state=0).to_csv(tmp_path / "answers.csv", index=False)
    theirs = radlens.stress(tmp_path / "answers.csv", written.folder, tmp_path / "theirs").record
    ours = radlens.stress(model, source, tmp_path / "ours", images=20, seed=3).record
    assert theirs.framing == ours.framing
    assert theirs.quality == ours.quality
    assert (theirs.verdict, theirs.seed, theirs.answered_by) == (ours.verdict, 3, "table")
    assert theirs.framing.flips or network == "by_finding"
    (access,) = read_access_log(tmp_path / "theirs")
    assert (access.why, access.images) == ("stress", 20)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures of four images, and answers to all of them."""
    folder = tmp_path_factory.mktemp("pictures")
    radlens.write_stress_images(write_images(folder / "source", 8), folder / "pictures", images=4, longest=32)
    rows = pd.read_csv(folder / "pictures" / "stress_images.csv")
    rows["probability_ill"] = np.where(rows["label"] == "ill", 0.9, 0.2)
    rows[["path", "label", "seed", "probability_ill"]].to_csv(folder / "answers.csv", index=False)
    return folder / "pictures"


def changed(name: str, value: float | str) -> Callable[[pd.DataFrame], pd.DataFrame]:
    def change(table: pd.DataFrame) -> pd.DataFrame:
        table[name] = table[name].astype(object)
        table.loc[7, name] = value
        return table

    return change


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda table: table.drop(index=[5, 6]), r"no row for 2 of 324 pictures, first:\n  - pictures/0000/"),
        (lambda table: pd.concat([table, table.iloc[:1]]), "1 image.* predicted more than once"),
        (lambda table: pd.concat([table.drop(index=7), table.iloc[8:9]]), "predicted more than once"),
        (changed("path", "elsewhere/1.png"), "no row for 1 of 324 pictures"),
        (changed("probability_ill", np.nan), "probability_ill is '' in row 9"),
        (changed("probability_ill", 1.3), "expected a probability from 0 to 1"),
        (changed("seed", 4), "row 9 .* written with seed '4'; those in .* have seed 0"),
        (changed("label", "ill"), "the label of row 9 .* is not that of the source"),
        (lambda table: table.rename(columns={"probability_ill": "probability_flu"}), "to no class"),
        (
            lambda table: table.assign(path=table["path"].str.replace(r"-\w{8}-", "-0123abcd-", regex=True)),
            "written at another time",
        ),
    ],
)
def test_a_table_that_does_not_answer_every_picture_once_is_refused(
    spoil: Callable[[pd.DataFrame], pd.DataFrame], message: str, pictures: Path, tmp_path: Path
) -> None:
    spoil(pd.read_csv(pictures.parent / "answers.csv")).to_csv(tmp_path / "answers.csv", index=False)
    with pytest.raises(DataError, match=message):
        radlens.stress(tmp_path / "answers.csv", pictures, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_operating_point_is_the_one_stated(pictures: Path, tmp_path: Path) -> None:
    answers = pictures.parent / "answers.csv"
    at_half = radlens.stress(answers, pictures, tmp_path / "half").record
    assert at_half.threshold == 0.5
    assert any("for want of another" in note for note in at_half.notes)
    assert at_half.framing.unchanged.balanced_accuracy == 1.0
    strict = radlens.stress(answers, pictures, tmp_path / "strict", settings=("evaluate.threshold=0.95",)).record
    assert strict.framing.unchanged.groups["ill"].recall == 0.0
    with pytest.raises(UsageError, match="not chosen on the images"):
        radlens.stress(answers, pictures, tmp_path / "no", settings=("evaluate.threshold=balanced",))


def test_a_threshold_of_a_preset_does_not_overrule_that_of_the_table(pictures: Path, tmp_path: Path) -> None:
    table = pd.read_csv(pictures.parent / "answers.csv").assign(threshold=0.95)
    table.to_csv(tmp_path / "answers.csv", index=False)
    (tmp_path / "settings.yaml").write_text("preset: baseline", encoding="utf-8")
    record = radlens.stress(
        tmp_path / "answers.csv", pictures, tmp_path / "out", config=tmp_path / "settings.yaml"
    ).record
    assert record.threshold == 0.95
    assert any("as the column threshold of the file has it" in note for note in record.notes)


def test_a_folder_that_holds_no_pictures_is_refused(pictures: Path, tmp_path: Path) -> None:
    answers = pictures.parent / "answers.csv"
    with pytest.raises(UsageError, match="name their folder"):
        radlens.stress(answers, None, tmp_path / "out")
    with pytest.raises(DataError, match="--write-images SOURCE"):
        radlens.stress(answers, pictures.parent / "source", tmp_path / "out")


def test_pictures_are_the_images_changed_at_their_own_size(pictures: Path) -> None:
    table = pd.read_csv(pictures / "stress_images.csv", keep_default_na=False)
    assert table["path"].str.rpartition("/")[2].is_unique
    originals = Manifest.read(pictures)
    source = pictures.parent / "source"
    contract = Preprocessing(height=32, width=32)
    for number, path in enumerate(originals.table["path"]):
        own = table[table["original"] == path]
        unchanged = read_pixels(str(pictures / own["path"].iloc[0]), contract)[0]
        assert abs(unchanged.astype(float) - read_pixels(str(source / path), contract)[0]).mean() < 6
        for place, change in enumerate(SUITE, start=1):
            framing = framings_of(change, len(originals), 0)[number]
            shown = read_pixels(str(pictures / own["path"].iloc[place]), contract)[0]
            np.testing.assert_array_equal(shown, reframe(unchanged[None], framing)[0])
            assert float(own["top"].iloc[place]) == pytest.approx(framing.top, abs=1e-5)
    assert set(table["seed"]) == {0}
    assert table["patient"].tolist() == [p for p in originals.table["patient"] for _ in range(len(table) // 4)]


def test_a_writing_that_was_stopped_goes_on_and_ends_the_same(pictures: Path, tmp_path: Path) -> None:
    source, folder = pictures.parent / "source", tmp_path / "again"
    radlens.write_stress_images(source, folder, images=4, longest=32)
    gone = sorted(folder.glob("pictures/*/*.png"))[::7]
    for path in (*gone, folder / "stress_images.csv"):
        path.unlink()
    with pytest.raises(DataError, match="not complete.*--resume"):
        radlens.stress(pictures.parent / "answers.csv", folder, tmp_path / "out")
    kept = next(path for path in folder.glob("pictures/*/*.png") if path not in gone)
    before = kept.stat().st_mtime_ns
    with pytest.raises(UsageError, match="beginning of other pictures: seed 0"):
        radlens.write_stress_images(source, folder, images=4, longest=32, seed=1, resume=True)
    radlens.write_stress_images(source, folder, images=4, longest=32, resume=True)
    assert kept.stat().st_mtime_ns == before
    for path in pictures.rglob("*"):
        if path.is_file():
            assert (folder / path.relative_to(pictures)).read_bytes() == path.read_bytes(), path.name


def test_space_is_looked_at_before_anything_is_written(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 1000})())
    with pytest.raises(RadlensError, match=r"take about .* MB, and .* has 0.0 MB left"):
        radlens.write_stress_images(pictures.parent / "source", tmp_path / "out", images=4)
    assert not (tmp_path / "out").exists()
    with pytest.raises(UsageError, match="at least 16 pixels"):
        radlens.write_stress_images(pictures.parent / "source", tmp_path / "out", longest=8)
