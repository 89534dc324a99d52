"""Tables of other programs: which row is of which image, and what is refused by the number of its row."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from radlens.assessment.outside_predictions import match_images, read_outside
from radlens.base.errors import DataError
from radlens.dataset.manifest import DatasetInfo, Manifest

BINARY = DatasetInfo(name="x", task="binary", classes=("NORMAL", "PNEUMONIA"), root="/scans")
SEVERAL = DatasetInfo(name="x", task="multilabel", classes=("effusion", "mass"), root="/scans")


def write(folder: Path, text: str) -> Path:
    file = folder / "answers.csv"
    file.write_text(text, encoding="utf-8")
    return file


def manifest(*paths: str) -> Manifest:
    labels = ["NORMAL", "PNEUMONIA"] * len(paths)
    table = pd.DataFrame({"path": paths, "label": labels[: len(paths)], "patient": paths, "split": "test"})
    return Manifest(table, BINARY)


@pytest.mark.parametrize(
    ("header", "row"),
    [
        ("path,probability_NORMAL,probability_PNEUMONIA", "a.png,0.25,0.75"),
        ("image;Prob_pneumonia", "a.png;0.75"),
        ("FileName\tscore", "a.png\t0.75"),
        ("file,probability,note", "./a.png,7.5e-1,seen"),
    ],
)
def test_the_positive_class_alone_or_both_say_the_same(header: str, row: str, tmp_path: Path) -> None:
    outside = read_outside(write(tmp_path, f"{header}\n{row}\n"))
    assert outside.paths.tolist() == ["a.png"]
    np.testing.assert_allclose(outside.probabilities(BINARY).to_numpy(), [[0.25, 0.75]])
    assert list(outside.probabilities(BINARY)) == ["NORMAL", "PNEUMONIA"]


def test_probabilities_of_several_labels_need_not_add_up(tmp_path: Path) -> None:
    outside = read_outside(write(tmp_path, "path,probability_mass,probability_effusion\na,0.9,0.8\n"))
    assert outside.probabilities(SEVERAL).to_numpy().tolist() == [[0.8, 0.9]]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("a,0.4,0.6\nb,0.5,1.5\n", r"probability_PNEUMONIA is '1.5' in row 3 .*Logits"),
        ("a,0.4,0.6\nb,,1\n", r"probability_NORMAL is '' in row 3"),
        ("a,nan,0.6\n", r"probability_NORMAL is 'nan' in row 2"),
        ("a,0.4,0.6\n\nb,0.4,0.4\nc,1,1\n", r"rows 4, 5 do not add up to 1 \(2 in all; the first to 0.8\)"),
    ],
)
def test_what_is_no_probability_is_named_by_its_row(rows: str, message: str, tmp_path: Path) -> None:
    outside = read_outside(write(tmp_path, "path,probability_NORMAL,probability_PNEUMONIA\n" + rows))
    with pytest.raises(DataError, match=message):
        outside.probabilities(BINARY)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("path,probability_NORMAL\na,1\na,1\n", r"first 'a' in rows 2, 3"),
        ("scan,probability_NORMAL\na,1\n", r"no column that names the image .*it has: scan"),
        ("path,answer\na,1\n", r"no column of probabilities.*It has: path, answer"),
        ("path,score\n,1\n", r"no image in the column 'path': row 2"),
    ],
)
def test_a_table_that_is_none_is_refused(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=message):
        read_outside(write(tmp_path, text))


@pytest.mark.parametrize(
    ("header", "info", "message"),
    [
        ("path,probability_TUMOUR", BINARY, r"'probability_TUMOUR' belongs to no class"),
        ("path,probability_mass", SEVERAL, r"no probability column of the class\(es\) effusion"),
        ("path,score", SEVERAL, r"'score' says too little for the multilabel classes effusion, mass"),
    ],
)
def test_the_columns_must_be_of_the_classes(header: str, info: DatasetInfo, message: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=message):
        read_outside(write(tmp_path, f"{header}\na,0.5\n")).probabilities(info)


def test_images_are_found_by_path_location_or_a_name_held_once(tmp_path: Path) -> None:
    found = match_images(
        read_outside(write(tmp_path, "path,score\nc.png,0\n/scans/one/b.png,0\none/a.png,1\ntwo/a.png,1\n")),
        manifest("one/a.png", "one/b.png", "two/a.png", "two/c.png"),
    )
    assert found.to_dict() == {2: 3, 3: 1, 4: 0, 5: 2}


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("y.png,0\nz.png,0\n", r"rows 2, 3 \(2 in all\) name no image of the source, first 'y.png'"),
        ("a.png,0\n", r"row 2 .*several images of the source by the file name alone"),
        ("b.png,0\none/b.png,0\n", r"first 'b.png' in rows 2, 3"),
    ],
)
def test_rows_that_name_no_image_or_the_same_are_refused(rows: str, message: str, tmp_path: Path) -> None:
    outside = read_outside(write(tmp_path, "path,score\n" + rows))
    with pytest.raises(DataError, match=message):
        match_images(outside, manifest("one/a.png", "one/b.png", "two/a.png"))
