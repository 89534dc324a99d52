"""Patients told from file names."""

from __future__ import annotations

import logging
from pathlib import Path

import pandas as pd
import pytest

from radlens.base.errors import DataError, UsageError
from radlens.dataset.sources.patients import assign_patients


def patient(path: str, rule: str = "auto") -> str:
    return str(assign_patients(pd.Series([path]), rule)[0].iloc[0])


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("train/PNEUMONIA/person1000_bacteria_2931.jpeg", "person1000"),
        ("PNEUMONIA/person1_virus_6.jpeg", "person1"),
        ("PNEUMONIA/person23_virus_12_3.jpeg", "person23"),
        ("train/NORMAL/IM-0115-0001.jpeg", "IM-0115"),
        ("IM-0660-0001-0002.jpeg", "IM-0660"),
        ("train/NORMAL/NORMAL2-IM-0374-0001-0002.jpeg", "NORMAL2-IM-0374"),
        ("train/PNEUMONIA/BACTERIA-1008087-0001.jpeg", "1008087"),
        ("train/CNV/CNV-1016042-1.jpeg", "1016042"),
        ("images/00000013_005.png", "00000013"),
        ("train/patient00001/study1/view1_frontal.jpg", "patient00001"),
        ("files/p10/p10000032/s50414267/02aa804e-bde0afdd-112c0b34-7bc16630-4e384014.jpg", "p10000032"),
        ("CHNCXR_0001_0.png", "CHNCXR_0001"),
        ("MCUCXR_0104_1.png", "MCUCXR_0104"),
        ("images/normal/P000007-2.jpeg", "P000007"),
        ("sub-01/ses-1/sub-01_ses-1_view-pa.png", "sub-01"),
        ("no/known/scheme.png", "no/known/scheme.png"),
        ("person12.png", "person12.png"),
        ("xIM-0115-0001.jpeg", "xIM-0115-0001.jpeg"),
        ("123456789_005.png", "123456789_005.png"),
    ],
)
def test_auto_knows_the_published_schemes(path: str, expected: str) -> None:
    assert patient(path) == expected


def test_schemes_are_not_mixed(caplog: pytest.LogCaptureFixture) -> None:
    paths = pd.Series([f"{number:08d}_000.png" for number in range(60)] + [f"person{n}_virus_1.png" for n in range(40)])
    patients, notes = assign_patients(paths, "auto")
    assert list(patients) == list(paths)
    assert "each image counts as its own patient" in notes[0]
    assert "--set data.patient_from" in caplog.text


def test_a_few_strays_are_their_own_patients_and_said_aloud(caplog: pytest.LogCaptureFixture) -> None:
    paths = pd.Series([f"{number // 2:08d}_{number % 2:03d}.png" for number in range(200)] + ["stray.png"])
    patients, notes = assign_patients(paths, "auto")
    assert patients.nunique() == 101
    assert patients.iloc[-1] == "stray.png"
    assert "1 file(s) do not follow that scheme" in notes[1]
    assert "stray.png" in caplog.text


def test_too_many_strays_make_every_image_its_own_patient() -> None:
    paths = pd.Series(
        [f"{number // 2:08d}_{number % 2:03d}.png" for number in range(200)] + ["a.png", "b.png", "c.png"]
    )
    assert assign_patients(paths, "auto")[0].nunique() == len(paths)


def test_none_is_not_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    paths = pd.Series(["person1_virus_1.png", "person1_virus_2.png"])
    assert list(assign_patients(paths, "none")[0]) == list(paths)
    assert not caplog.records


def test_expression_is_searched_in_the_file_name_or_with_a_slash_in_the_path() -> None:
    assert patient("P9/NORMAL/P12_1.png", r"^(P\d+)_") == "P12"
    assert patient("P9/NORMAL/P12_1.png", r"(P\d+)/") == "P9"


@pytest.mark.parametrize("rule", ["([", r"\d+"])
def test_unusable_expression(rule: str) -> None:
    with pytest.raises(UsageError, match=r"data\.patient_from"):
        patient("a1.png", rule)


def test_files_that_do_not_match_the_expression_are_counted_with_an_example() -> None:
    paths = pd.Series(["x/P1_1.png", "x/Q2_1.png", "x/Q3_1.png"])
    with pytest.raises(DataError, match=r"2 of 3 file\(s\) do not match .* 'Q2_1\.png'"):
        assign_patients(paths, r"^(P\d+)_")


def test_an_empty_group_is_no_match() -> None:
    with pytest.raises(DataError, match="1 of 1"):
        patient("_1.png", r"^(\d*)_")


def test_kermany_training_set(shared_data: Path) -> None:
    folder = shared_data / "kermany224" / "train"
    paths = pd.Series(sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.jpeg")))
    patients, notes = assign_patients(paths, "auto")
    assert len(paths) == 5216
    assert patients.nunique() == 2846
    assert (patients.value_counts() > 1).sum() == 1075
    people = patients[patients.str.startswith("person")]
    assert (len(people), people.nunique()) == (3875, 1635)
    assert patients.str.startswith("IM-").sum() == 597
    assert patients.str.startswith("NORMAL2-IM-").sum() == 744
    assert len(notes) == 1
