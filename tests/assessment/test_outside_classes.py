"""A set without some of the classes that are answered is judged, even one of a single class."""

from __future__ import annotations

from pathlib import Path

import pytest

from radlens.assessment.outside_classes import with_answered_classes
from radlens.assessment.outside_manifest import own_manifest
from radlens.assessment.outside_predictions import number_of, read_outside
from radlens.base.errors import DataError
from radlens.config import resolve
from radlens.dataset.manifest import Manifest

DATA = resolve().data


def completed(folder: Path, text: str, positive: str | None = None) -> Manifest:
    file = folder / "answers.csv"
    file.write_text(text, encoding="utf-8")
    outside = read_outside(file)
    return with_answered_classes(own_manifest(outside, DATA), outside, positive)


@pytest.mark.parametrize(
    ("text", "positive", "classes", "absent"),
    [
        ("path,label,probability_well,probability_ill\n1,ill,0.2,0.8\n", None, {"well", "ill"}, "well"),
        ("path,label,probability_ill\n1,Normal,0.8\n", None, ("Normal", "ill"), "ill"),
        ("path,label,probability_ill\n1,ill,0.8\n", None, ("other than ill", "ill"), "other than ill"),
        ("path,label,score\n1,Normal,0.8\n", None, ("Normal", "other than Normal"), "other than Normal"),
        ("path,label,score\n1,grade 2,0.8\n", "grade 2", ("other than grade 2", "grade 2"), "other than grade 2"),
        ("path,label,score\n1,grade 2,0.8\n", "grade 3", ("grade 2", "grade 3"), "grade 3"),
        ("path,label,probability_a,probability_b,probability_c\n1,a,1,0,0\n2,c,0,0,1\n", None, ("a", "b", "c"), "b"),
        ("path,label,predicted\n1,normal,viral\n2,bacterial,normal\n", None, ("normal", "bacterial", "viral"), "viral"),
    ],
)
def test_classes_without_an_image_are_those_of_the_answers(
    text: str, positive: str | None, classes: tuple[str, ...] | set[str], absent: str, tmp_path: Path
) -> None:
    manifest = completed(tmp_path, text, positive)
    named = manifest.info.classes
    assert (named if isinstance(classes, tuple) else {*named}) == classes
    assert manifest.absent_classes() == [absent]
    assert f"No image is of the class {absent}" in manifest.info.notes[-1]
    assert manifest.info.task == ("binary" if len(manifest.info.classes) == 2 else "multiclass")


def test_nothing_is_added_where_every_class_has_images(tmp_path: Path) -> None:
    manifest = completed(tmp_path, "path,label,score\n1,Normal,0.1\n2,ill,0.9\n")
    assert (manifest.info.classes, manifest.info.notes) == (("Normal", "ill"), ())


def test_a_label_that_no_image_has_is_a_label_still(tmp_path: Path) -> None:
    text = "path,label,probability_mass,probability_nodule,probability_effusion\n1,mass|effusion,1,0,1\n2,,0,0,0\n"
    manifest = completed(tmp_path, text)
    assert set(manifest.info.classes) == {"mass", "nodule", "effusion"}
    assert manifest.absent_classes() == ["nodule"]


def test_where_nothing_tells_what_a_score_is_of_it_is_asked(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"does not say which class score is the probability of.*data.positive_class"):
        completed(tmp_path, "path,label,score\n1,grade 2,0.8\n")


def test_answers_alone_are_as_sure_as_0_and_1(tmp_path: Path) -> None:
    file = tmp_path / "reader.csv"
    file.write_text("image,label,predicted\na,well,ill\nb,ill,ILL\nc,well,well\n", encoding="utf-8")
    outside = read_outside(file)
    info = own_manifest(outside, DATA).info
    assert outside.probabilities(info)[["well", "ill"]].to_numpy().tolist() == [[0, 1], [0, 1], [1, 0]]


@pytest.mark.parametrize(
    ("text", "value"), [("0,25", 0.25), ("87 %", 0.87), ("True", 1.0), ("false", 0.0), ("1e-3", 0.001)]
)
def test_numbers_as_spreadsheets_and_programs_write_them(text: str, value: float) -> None:
    assert number_of(text) == pytest.approx(value)


@pytest.mark.parametrize("text", ["", "high", "1,000.5", "0,1,2", "%"])
def test_what_is_no_number_is_none(text: str) -> None:
    assert number_of(text) != number_of(text)
