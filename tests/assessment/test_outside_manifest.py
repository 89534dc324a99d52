"""What a table of predictions says of its own images, and the operating point it states."""

from __future__ import annotations

from pathlib import Path

import pytest

from radlens.assessment.outside_manifest import agree_on_labels, own_manifest, stated_threshold
from radlens.assessment.outside_predictions import OutsidePredictions, read_outside
from radlens.base.errors import DataError
from radlens.config import resolve

DATA = resolve().data


def table(folder: Path, text: str) -> OutsidePredictions:
    file = folder / "answers.csv"
    file.write_text(text, encoding="utf-8")
    return read_outside(file)


def threshold(outside: OutsidePredictions) -> float | None:
    info = own_manifest(outside, DATA).info
    return stated_threshold(outside, outside.probabilities(info), info)


def test_a_whole_table_is_a_manifest(tmp_path: Path) -> None:
    outside = table(
        tmp_path,
        "path,label,patient,split,sex,PatientName,predicted,probability_Normal,probability_Pneumonia\n"
        "a,normal,p,test,F,DOE,Normal,0.9,0.1\nb,PNEUMONIA,p,val,F,DOE,Pneumonia,0.2,0.8\n",
    )
    manifest = own_manifest(outside, DATA)
    assert manifest.table.to_dict("list") == {
        "path": ["a", "b"],
        "label": ["Normal", "Pneumonia"],
        "patient": ["p", "p"],
        "split": ["test", "val"],
        "sex": ["F", "F"],
    }
    assert (manifest.info.task, manifest.info.classes) == ("binary", ("Normal", "Pneumonia"))


@pytest.mark.parametrize(
    ("column", "classes"),
    [("probability_sick", ("well", "sick")), ("probability_well", ("sick", "well")), ("score", ("well", "sick"))],
)
def test_the_one_column_is_of_the_positive_class(column: str, classes: tuple[str, str], tmp_path: Path) -> None:
    outside = table(tmp_path, f"path,label,{column}\na,sick,0.9\nb,well,0.2\n")
    assert own_manifest(outside, DATA).info.classes == classes


def test_three_classes_and_several_labels(tmp_path: Path) -> None:
    header = "path,label,probability_b,probability_normal,probability_c\n"
    three = table(tmp_path, header + "1,b,1,0,0\n2,normal,0,1,0\n3,c,0,0,1\n")
    assert own_manifest(three, DATA).info.classes == ("normal", "b", "c")
    assert threshold(three) is None
    several = table(tmp_path, "path,label,probability_b,probability_c\n1,b|c,0.9,0.9\n2,b,0.9,0.1\n3,,0.1,0.2\n")
    assert own_manifest(several, DATA).info.task == "multilabel"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("path,probability_a\n1,0.5\n", "no column 'label'"),
        (
            "path,label,probability_a,probability_b\n1,a,1,0\n2,c,1,0\n",
            "label 'c' of row 3 .*has no prob",
        ),
    ],
)
def test_labels_that_do_not_fit_are_named_by_their_row(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=message):
        own_manifest(table(tmp_path, text), DATA)


def test_the_threshold_is_that_of_the_file(tmp_path: Path) -> None:
    rows = "1,b,{0},{1},0.9\n2,a,{0},{2},0.4\n3,a,{0},{2},0.1\n"
    header = "path,label,threshold,predicted,probability_b\n"
    assert threshold(table(tmp_path, header + rows.format("0.7", "b", "a"))) == 0.7
    assert threshold(table(tmp_path, header + rows.format("", "b", "a"))) == pytest.approx(0.65)
    assert threshold(table(tmp_path, "path,label,score\n1,b,0.9\n2,a,0.4\n")) is None


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("1,b,0.5,b,0.9\n2,a,0.6,a,0.1\n", "threshold is '0.6' in row 3"),
        ("1,b,2,b,0.9\n2,a,2,a,0.1\n", "threshold is '2' in rows 2, 3"),
        ("1,b,,b,0.2\n2,a,,a,0.3\n", "from a single threshold: row 2 answer positive at 0.2, others negative at 0.3"),
        ("1,b,,c,0.2\n2,a,,a,0.3\n", "predicted class of row 2 is 'c'"),
    ],
)
def test_a_threshold_that_is_none_is_named_by_its_row(rows: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=message):
        threshold(table(tmp_path, "path,label,threshold,predicted,probability_b\n" + rows))


def test_labels_that_contradict_the_source_are_named(tmp_path: Path) -> None:
    outside = table(tmp_path, "path,label,score\n1,B,0.9\n2,,0.4\n3,a,0.1\n")
    agree_on_labels(outside, ["b", "a", "a"], "label")
    agree_on_labels(outside, ["a", "a", "a"], "finding")
    with pytest.raises(DataError, match="label of row 4 .*'a' for '3', which the source calls 'b'"):
        agree_on_labels(outside, ["b", "a", "b"], "label")


def test_labels_are_read_as_in_any_table_and_rows_without_one_left_out(tmp_path: Path) -> None:
    text = "path,label,probability_0,probability_1\na,0.0,0.9,0.1\nb,1,0.2,0.8\nc,NaN,0.5,0.5\nd,TRUE,0.3,0.7\n"
    outside = table(tmp_path, text)
    manifest = own_manifest(outside, DATA)
    assert manifest.table["path"].tolist() == ["a", "b", "d"]
    assert manifest.table["label"].tolist() == ["0", "1", "1"]
    agree_on_labels(outside, ["0", "1", "0", "1.0"], "label")
