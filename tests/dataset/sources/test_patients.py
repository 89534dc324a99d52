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
        ("NORMAL/patient_001/a.png", "patient_001"),
        ("Subject 12/right/b.png", "Subject 12"),
        ("PATIENT-3/c.dcm", "PATIENT-3"),
        ("train/patient00001_study1_view1_frontal.jpg", "patient00001"),
        ("XR_ELBOW/patient11185/study1_positive/image1.png", "patient11185"),
        ("p10000032_s50414267_02aa804e.jpg", "p10000032"),
        ("nodule/JPCLN001.png", "JPCLN001"),
        ("COVID/NCP_96_1328_0035.png", "NCP_96"),
        ("10_left.jpeg", "10"),
        ("mild/OAS1_0028_MR1_mpr-1_100.jpg", "OAS1_0028"),
        ("AD/ADNI_002_S_0295_MR_axial_12.png", "002_S_0295"),
        ("BraTS20_Training_001/BraTS20_Training_001_flair.png", "BraTS20_Training_001"),
        ("Mass-Training_P_00001_LEFT_CC/1-1.png", "P_00001"),
        ("20586908_6c613a14b80a8591_MG_R_CC_ANON.png", "6c613a14b80a8591"),
        ("benign/SOB_B_A-14-22549AB-40-001.png", "14-22549AB"),
        ("LIDC-IDRI-0001/slice_12.png", "LIDC-IDRI-0001"),
        ("TCGA-02-0001-01Z-00-DX1.png", "TCGA-02-0001"),
        # What file managers, converters and Roboflow make of names.
        ("NORMAL/IM-0115-0001 (1).jpeg", "IM-0115"),
        ("PNEUMONIA/person1_virus_6 - Copy.jpeg", "person1"),
        ("PNEUMONIA/person1_virus_6 - Copy (2).jpeg", "person1"),
        ("PNEUMONIA/person1_virus_6.jpeg.png", "person1"),
        ("person1_virus_6_jpeg.rf.0123456789abcdef0123456789abcdef.jpg", "person1"),
        ("no/known/scheme.png", "no/known/scheme.png"),
        ("person12.png", "person12.png"),
        ("xIM-0115-0001.jpeg", "xIM-0115-0001.jpeg"),
        ("123456789_005.png", "123456789_005.png"),
    ],
)
def test_auto_knows_the_published_schemes(path: str, expected: str) -> None:
    assert patient(path) == expected


def test_merged_sources_keep_the_patients_of_each_scheme(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    paths = pd.Series(
        [f"a/{number // 2:08d}_{number % 2:03d}.png" for number in range(60)]
        + [f"b/person{number // 2}_virus_{number}.png" for number in range(40)]
    )
    patients, notes = assign_patients(paths, "auto")
    assert patients.nunique() == 50
    assert patients.iloc[[0, 1, 99]].tolist() == ["00000000", "00000000", "person19"]
    assert notes == (
        "Patients were told from the names of 100 of 100 files (100.0%), by scheme: 60 of NIH ChestX-ray14, 40 of "
        "Kermany chest X-ray (Kaggle).",
    )
    assert [record.levelno for record in caplog.records] == [logging.INFO]


def test_strangers_are_their_own_patients_and_cost_the_others_nothing(caplog: pytest.LogCaptureFixture) -> None:
    paths = pd.Series(
        [f"x/IM-{n // 3:04d}-{n:04d}.jpeg" for n in range(90)] + [f"COVID19/covid-{n}.jpeg" for n in range(6)]
    )
    patients, notes = assign_patients(paths, "auto")
    assert patients.nunique() == 30 + 6
    assert patients.iloc[-1] == "COVID19/covid-5.jpeg"
    assert "90 of 96 files (93.8%)" in notes[0]
    assert "The other 6 count as a patient each, such as COVID19/covid-0.jpeg." in notes[0]
    assert caplog.text.count("a patient each") == 1


def test_two_schemes_with_one_name_tell_two_people() -> None:
    paths = pd.Series(["00000013_005.png", "00000013_006.png", "NORMAL-00000013-1.png", "00000014_001.png"])
    patients, _ = assign_patients(paths, "auto")
    assert patients.nunique() == 3
    assert patients.iloc[0] == patients.iloc[1] != patients.iloc[2]
    assert patients.iloc[3] == "00000014"


def test_the_rows_may_have_any_index() -> None:
    paths = pd.Series(["IM-0115-0001.jpeg", "x.png"], index=[7, 3])
    assert assign_patients(paths, "auto")[0].to_dict() == {7: "IM-0115", 3: "x.png"}


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


def test_an_expression_wins_and_leaves_the_rest_to_the_schemes(caplog: pytest.LogCaptureFixture) -> None:
    paths = pd.Series(["covid-7-1.png", "covid-7-2.png", "person1_virus_1.png", "person1_virus_2.png", "stray.png"])
    patients, notes = assign_patients(paths, r"^(covid-\d+)-")
    assert patients.tolist() == ["covid-7", "covid-7", "person1", "person1", "stray.png"]
    assert "(2 of 5 files), of 2 by the scheme of Kermany chest X-ray (Kaggle)" in notes[0]
    assert "The other 1 count as a patient each, such as stray.png." in notes[0]
    assert "stray.png" in caplog.text
    wins, _ = assign_patients(paths, r"^(.+)\.")
    assert wins.nunique() == 5


def test_each_alternative_may_have_a_group_of_its_own() -> None:
    paths = pd.Series(["a12_3.png", "case-4-5.png"])
    assert assign_patients(paths, r"^(a\d+)_|^(case-\d+)-")[0].tolist() == ["a12", "case-4"]


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
