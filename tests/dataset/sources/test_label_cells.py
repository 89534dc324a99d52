"""What label cells say: one reading for one label column and for many."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from radlens.base.errors import DataError, UsageError
from radlens.config import CsvColumns, DataSettings
from radlens.dataset.sources.label_cells import labels_of
from radlens.dataset.sources.labels import Labels

NO = ["0", "0.0", "00", "0,0", "0e0", "-0", "False", "FALSE", "no", "N", "f", "absent", "negative", "Neg"]
YES = ["1", "1.0", "01", "1,0", "1e0", "+1", "True", "TRUE", "yes", "Y", "t", "present", "Positive", "POS"]
MISSING = ["", "NaN", "nan", "NA", "N/A", "null", "None", "-", "?", "#N/A", "<NA>"]
UNCERTAIN = ["-1", "-1.0", "\u22121", "-1,00", "u", "U", "Uncertain"]


def read(columns: dict[str, list[str]], **rules: Any) -> Labels:
    """The labels of a table; its rows are numbered from 2."""
    raw = pd.DataFrame(columns, dtype=str)
    raw.index = pd.RangeIndex(2, len(raw) + 2)
    settings = DataSettings(csv=CsvColumns.model_validate({"label": tuple(columns), **rules}))
    return labels_of(raw, settings, Path("x.csv"))


def one(cells: list[str], **rules: Any) -> tuple[list[str], tuple[str, ...]]:
    labels = read({"label": cells}, **rules)
    return labels.cells.tolist(), labels.classes


@pytest.mark.parametrize("no", NO)
@pytest.mark.parametrize("yes", ["1", "1.0", "TRUE"])
def test_a_no_is_a_no_in_one_column_and_in_two(no: str, yes: str) -> None:
    assert one([no, yes, "0", "1"]) == (["0", "1", "0", "1"], ("0", "1"))
    labels = read({"mass": [no, yes, yes], "effusion": [yes, no, yes]})
    assert labels.cells.tolist() == ["effusion", "mass", "mass|effusion"]


@pytest.mark.parametrize("yes", YES)
def test_a_yes_is_a_yes_in_one_column_and_in_two(yes: str) -> None:
    assert one([yes, "0", "1.0", "0.0"]) == (["1", "0", "1", "0"], ("0", "1"))
    labels = read({"mass": [yes, "0", yes], "effusion": ["0", yes, yes]})
    assert labels.cells.tolist() == ["mass", "effusion", "mass|effusion"]


def test_words_of_one_pair_keep_their_names() -> None:
    assert one(["Yes", "no", "yes", "yes"]) == (["yes", "no", "yes", "yes"], ("no", "yes"))
    assert one(["FALSE", "TRUE"])[1] == ("FALSE", "TRUE")
    assert one(["n", "y"])[1] == ("n", "y")
    assert one(["+", "-", "-"]) == (["+", "-", "-"], ("-", "+"))


@pytest.mark.parametrize("word", MISSING)
def test_a_cell_without_value_leaves_its_image_out(word: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    labels = read({"label": ["0", "1", word, "0.0"]})
    assert labels.cells.to_dict() == {2: "0", 3: "1", 5: "0"}
    assert "1 cell(s) of the column 'label' have no value (row 4)" in caplog.text
    assert "data.csv.missing=negative" in caplog.text
    assert any("row 4" in note for note in labels.notes)
    several = read({"mass": ["0", "1", word, "1"], "effusion": ["1", "0", "1", "1"]})
    assert list(several.cells.index) == [2, 3, 5]


@pytest.mark.parametrize("word", UNCERTAIN)
def test_an_uncertain_cell_is_treated_as_the_setting_says(word: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    cells = ["0.0", "1.0", word, "0"]
    assert one(cells)[0] == ["0", "1", "0"]
    assert "1 cell(s) of the column 'label' say that the answer is uncertain" in caplog.text
    assert one(cells, uncertain="negative")[0] == ["0", "1", "0", "0"]
    assert one(cells, uncertain="positive")[0] == ["0", "1", "1", "0"]
    assert one(cells, uncertain="ignore-in-loss")[0] == ["0", "1", "0"]
    table = {"mass": ["0", "1", word, "1"], "effusion": ["1", "0", "1", "1"]}
    assert read(table).cells.to_dict() == {2: "effusion", 3: "mass", 5: "mass|effusion"}
    assert read(table, uncertain="negative").cells[4] == "effusion"
    assert read(table, uncertain="positive").cells[4] == "mass|effusion"
    ignored = read(table, uncertain="ignore-in-loss")
    assert (ignored.cells[4], None if ignored.unknown is None else ignored.unknown[4]) == ("effusion", "mass")


def test_minus_one_may_be_meant_as_a_no() -> None:
    alone = read({"label": ["1", "-1", "1", "1"]})
    assert alone.classes == ("1",)
    assert "uncertain" in alone.notes[0]
    assert "data.csv.uncertain=negative" in alone.notes[1], "what leaves one class is said with the way out"
    assert one(["1", "-1", "1", "1"], uncertain="negative") == (["1", "0", "1", "1"], ("0", "1"))


def test_blank_means_not_mentioned_where_a_setting_says_so() -> None:
    assert one(["1.0", "", "0.0", ""], missing="negative") == (["1", "0", "0", "0"], ("0", "1"))
    with pytest.raises(DataError, match=r"2 cell\(s\) .* have no value \(rows 3, 5\)"):
        one(["1.0", "", "0.0", ""], missing="error")


def test_most_rows_are_not_left_out_unasked() -> None:
    cells = ["1", "", "0", "", "", "", ""]
    with pytest.raises(DataError, match=r"5 of 7 rows would be left out.*data\.csv\.missing=exclude"):
        one(cells)
    assert one(cells, missing="exclude")[0] == ["1", "0"]
    with pytest.raises(DataError, match="3 of 3 rows"):
        read({"a": ["1", "0", ""], "b": ["", "", "1"]}, missing="exclude")


def test_the_words_for_missing_can_be_others() -> None:
    assert one(["none", "mass", "none", "n/a"], missing_words=["n/a"]) == (["none", "mass", "none"], ("none", "mass"))


@given(st.lists(st.tuples(*[st.booleans()] * 3), max_size=40))
def test_marks_become_the_names_of_their_columns(marks: list[tuple[bool, bool, bool]]) -> None:
    names = ("mass", "effusion", "nodule")
    rows = [(True, True, True), *marks]
    table = {name: ["1" if row[place] else "0.0" for row in rows] for place, name in enumerate(names)}
    labels = read(table)
    assert (labels.classes, labels.task) == (names, "multilabel")
    wanted = ["|".join(name for name, mark in zip(names, row, strict=True) if mark) for row in rows]
    assert labels.cells.tolist() == wanted


@pytest.mark.parametrize("value", ["2", "0.5", "maybe", "-2"])
def test_a_mark_other_than_zero_and_one_is_refused_with_its_row(value: str) -> None:
    with pytest.raises(DataError, match=rf"'effusion' holds '{value}' in rows 3, 4 \(2 in all\)"):
        read({"mass": ["1", "0", "0"], "effusion": ["1", value, value]})


def test_numbers_are_classes_by_value_and_in_their_order(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    cells, classes = one(["10", "2", "2.0", "0", "9", "-1", "10.0"])
    assert (cells, classes) == (["10", "2", "2", "0", "9", "10"], ("0", "2", "9", "10"))
    assert "'2' (1), '2.0' (1) as '2'" in caplog.text
    with pytest.raises(UsageError, match="for columns of 0 and 1"):
        one(["0", "1", "2", "-1"], uncertain="negative")


def test_grades_may_be_fractions_and_measurements_may_not(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    assert one(["0", "0,5", "1", "0.5"])[1] == ("0", "0.5", "1")
    assert "holds fractions" in caplog.text
    with pytest.raises(DataError, match="measurements"):
        one([f"0.{number:02d}" for number in range(1, 60)])


def test_names_in_several_spellings_are_one_class_and_said(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    cells, classes = one(["Normal", "normal", "Normal", "mass", "Pleural_Effusion", "Pleural Effusion"])
    assert cells[:3] == ["Normal"] * 3
    assert len(classes) == 4
    assert "'Normal' (2), 'normal' (1) as 'Normal'" in caplog.text
    assert "'Pleural Effusion' and 'Pleural_Effusion' are almost the same name" in caplog.text


def test_answers_among_names_are_said(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    assert set(one(["0", "1", "normal", "0.0"])[1]) == {"0", "1", "normal"}
    assert "mixes '0', '1' with other names, such as 'normal'" in caplog.text


@pytest.mark.parametrize(
    "cells",
    [
        ["mass|effusion", "effusion|mass", "mass"],
        ["mass;effusion", "effusion; mass", "mass"],
        ["['mass', 'effusion']", '["effusion", "mass"]', "['mass']"],
        ["['mass' 'effusion']", "[effusion, mass]", "[mass]"],
        ["mass,effusion", "effusion, mass", "mass"],
        ["mass|effusion", "effusion;mass|", "Mass"],
    ],
)
def test_several_labels_in_a_cell_in_any_order(cells: list[str]) -> None:
    labels = read({"label": cells})
    assert (labels.task, labels.classes) == ("multilabel", ("effusion", "mass"))
    assert labels.cells.tolist() == ["effusion|mass", "effusion|mass", "mass"]


def test_a_comma_within_names_does_not_join() -> None:
    assert one(["mass, left", "normal", "mass, left"])[1] == ("normal", "mass, left")
    separated = read({"label": ["mass,left", "normal"]}, label_separator=",")
    assert separated.classes == ("left", "mass")
    assert separated.cells.tolist() == ["left|mass", ""]


def test_no_finding_among_several_labels_is_no_label(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    labels = read({"label": ["Mass|No Finding", "Mass|Effusion", "Mass", "nan", "", *["No Finding"] * 20]})
    assert labels.classes == ("Effusion", "Mass")
    assert labels.cells.tolist() == ["Mass", "Effusion|Mass", "Mass", *[""] * 20]
    assert "'No Finding' in the column 'label' is read as no label: 20 image(s)" in caplog.text
    assert "1 image(s) have 'No Finding' along with other labels" in caplog.text


def test_a_normal_that_stands_with_other_labels_is_one_of_them() -> None:
    assert read({"label": ["normal|viral", "normal", "viral"]}).classes == ("normal", "viral")


def test_without_a_word_for_it_an_empty_cell_is_no_label() -> None:
    assert read({"label": ["mass|effusion", "", "mass"]}).cells.tolist() == ["effusion|mass", "", "mass"]


def test_one_hot_columns_are_exclusive_classes(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    table = {"MEL": ["1.0", "0.0", "0.0", "1"], "NV": ["0.0", "1.0", "0.0", "1"], "UNK": ["0.0", "0.0", "0.0", "0"]}
    labels = read(table, one_hot=True)
    assert (labels.task, labels.classes, labels.cells.to_dict()) == ("binary", ("MEL", "NV"), {2: "MEL", 3: "NV"})
    assert "No image has the label(s) UNK" in caplog.text
    assert "2 row(s) do not have exactly one" in caplog.text


def test_exclusive_columns_are_said_unless_they_are_known_to_be(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    read({"a": ["1", "0", "0"], "b": ["0", "1", "0"], "c": ["0", "0", "1"]})
    assert "data.csv.one_hot=true" in caplog.text


def test_a_single_class_is_one_to_judge_by() -> None:
    assert one(["cat", "cat"]) == (["cat", "cat"], ("cat",))
