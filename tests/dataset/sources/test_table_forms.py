"""The tables of public sets in the form in which they are published, made small."""

from __future__ import annotations

import gzip
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from radlens.base.errors import UsageError
from radlens.config import resolve
from radlens.dataset.manifest import Manifest
from radlens.dataset.sources import read_source

CHEXPERT = (
    "No Finding,Enlarged Cardiomediastinum,Cardiomegaly,Lung Opacity,Lung Lesion,Edema,Consolidation,Pneumonia,"
    "Atelectasis,Pneumothorax,Pleural Effusion,Pleural Other,Fracture,Support Devices"
)


def images(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.zeros((4, 4), np.uint8)).save(folder / name)


def write(folder: Path, name: str, *lines: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    text = "\n".join(lines) + "\n"
    (folder / name).write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
    return folder / name


def read(source: Path, form: str, *settings: str) -> Manifest:
    return read_source(resolve(assignments=(f"data.csv.form={form}", *settings), data={"source": str(source)}).data)


def by_name(manifest: Manifest, column: str) -> dict[str, Any]:
    return {Path(path).stem: cell for path, cell in zip(manifest.table["path"], manifest.table[column], strict=True)}


@pytest.fixture
def nih(tmp_path: Path) -> Path:
    names = ["00000001_000.png", "00000001_001.png", "00000002_000.png", "00000003_000.png"]
    for number, name in enumerate(names):
        images(tmp_path / f"images_{number % 2 + 1:03d}" / "images", name)
    findings = ["Cardiomegaly", "Cardiomegaly|Emphysema", "No Finding", "Emphysema"]
    rows = [
        f"{name},{finding},0,{int(name[:8])},058Y,M,PA,2682,2749,0.143,0.143,"
        for name, finding in zip(names, findings, strict=True)
    ]
    header = (
        "Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender,View Position,"
        "OriginalImage[Width,Height],OriginalImagePixelSpacing[x,y],"
    )
    return write(tmp_path, "Data_Entry_2017.csv", header, *rows)


def test_nih(nih: Path) -> None:
    write(nih.parent, "train_val_list.txt", "00000001_000.png", "00000001_001.png", "00000002_000.png")
    write(nih.parent, "test_list.txt", "00000003_000.png")
    manifest = read(nih, "nih")
    assert (manifest.info.task, manifest.info.classes) == ("multilabel", ("Cardiomegaly", "Emphysema"))
    assert by_name(manifest, "label") == {
        "00000001_000": "Cardiomegaly",
        "00000001_001": "Cardiomegaly|Emphysema",
        "00000002_000": "",
        "00000003_000": "Emphysema",
    }
    assert by_name(manifest, "split")["00000003_000"] == "test"
    assert manifest.table["split"].tolist().count("train") == 3
    assert by_name(manifest, "patient")["00000001_001"] == "1"
    assert by_name(manifest, "sex")["00000001_000"] == "M"
    assert by_name(manifest, "view")["00000001_000"] == "PA"
    assert all(Path(location).is_file() for location in manifest.locations)


def test_nih_without_the_lists_and_as_two_classes(nih: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    settings = "data.class_map={No Finding: NORMAL, '*': ABNORMAL}"
    manifest = read(nih, "nih", settings)
    assert manifest.info.classes == ("NORMAL", "ABNORMAL")
    assert sorted(manifest.table["label"]) == ["ABNORMAL"] * 3 + ["NORMAL"]
    assert "radlens makes the splits" in caplog.text


@pytest.fixture
def chexpert(tmp_path: Path) -> Path:
    root = tmp_path / "CheXpert-v1.0-small"
    header = f"Path,Sex,Age,Frontal/Lateral,AP/PA,{CHEXPERT}"
    cells = {
        "train/patient00001/study1/view1_frontal.jpg": "Female,68,Frontal,AP,1.0,,,,,,,,,0.0,,,,1.0",
        "train/patient00002/study1/view1_frontal.jpg": "Male,60,Frontal,PA,,,-1.0,1.0,,-1.0,,,,,-1.0,,1.0,",
        "train/patient00002/study1/view2_lateral.jpg": "Male,60,Lateral,,,,1.0,1.0,,,,,,,,,1.0,",
        "train/patient00003/study2/view1_frontal.jpg": "Male,41,Frontal,AP,,,,,,1.0,,,,0.0,,,,",
        "valid/patient64541/study1/view1_frontal.jpg": "Male,73,Frontal,AP," + ",".join(["0.0", "1.0"] * 7),
    }
    images(root, *cells)
    rows = {path: f"CheXpert-v1.0-small/{path},{row}" for path, row in cells.items()}
    write(root, "valid.csv", header, *(row for path, row in rows.items() if path.startswith("valid")))
    return write(root, "train.csv", header, *(row for path, row in rows.items() if path.startswith("train")))


def test_chexpert(chexpert: Path) -> None:
    manifest = read(chexpert, "chexpert")
    table = manifest.table.set_index("patient")
    assert list(table.index) == ["patient00001", "patient00002", "patient00003", "patient64541"]
    assert table["split"].tolist() == ["train", "train", "train", "val"]
    assert table.loc["patient00001", "label"] == "No Finding|Support Devices"
    assert table.loc["patient00002", "label"] == "Lung Opacity|Fracture"
    assert table.loc["patient00002", "unknown_labels"] == "Edema"
    assert "Pleural Effusion" not in manifest.info.classes
    assert table["view"].tolist() == ["AP", "PA", "AP", "AP"]
    assert any("1 Lateral" in note for note in manifest.info.notes)


def test_chexpert_otherwise(chexpert: Path) -> None:
    assert len(read(chexpert, "chexpert", "data.csv.only={}")) == 5
    one = read(chexpert, "chexpert", "data.csv.label=Edema", "data.csv.uncertain=positive")
    assert (one.info.task, one.info.classes) == ("binary", ("0", "1"))
    assert one.table["label"].tolist() == ["0", "1", "1", "1"]
    valid = read(chexpert.parent / "valid.csv", "chexpert", "data.csv.label=[Edema, Cardiomegaly, Pneumonia]")
    assert (len(valid), set(valid.table["split"])) == (1, {"val"})


def test_mimic(tmp_path: Path) -> None:
    images(
        tmp_path,
        "files/p10/p10000032/s50414267/02aa804e-bde0afdd.jpg",
        "files/p10/p10000032/s50414267/174413ec-4ec4c1f7.jpg",
        "files/p10/p10000764/s57375967/096052b7-d256dc40.jpg",
    )
    table = write(
        tmp_path,
        "mimic-cxr-2.0.0-chexpert.csv.gz",
        "subject_id,study_id,Atelectasis,Cardiomegaly,Consolidation,Edema,Enlarged Cardiomediastinum,Fracture,"
        "Lung Lesion,Lung Opacity,No Finding,Pleural Effusion,Pleural Other,Pneumonia,Pneumothorax,Support Devices",
        "10000032,50414267,,,,,,,,,1.0,,,,,",
        "10000764,57375967,,1.0,,,,,,,,,,-1.0,,1.0",
        "10000898,50771383,1.0,,,,,,,,,,,,,",
    )
    write(
        tmp_path,
        "mimic-cxr-2.0.0-split.csv.gz",
        "dicom_id,study_id,subject_id,split",
        "02aa804e-bde0afdd,50414267,10000032,train",
        "174413ec-4ec4c1f7,50414267,10000032,train",
        "096052b7-d256dc40,57375967,10000764,validate",
    )
    write(
        tmp_path,
        "mimic-cxr-2.0.0-metadata.csv.gz",
        "dicom_id,subject_id,study_id,PerformedProcedureStepDescription,ViewPosition,Rows,Columns",
        "02aa804e-bde0afdd,10000032,50414267,CHEST (PA AND LAT),PA,3056,2544",
        "174413ec-4ec4c1f7,10000032,50414267,CHEST (PA AND LAT),LATERAL,3056,2544",
        "096052b7-d256dc40,10000764,57375967,CHEST (PA AND LAT),AP,3056,2544",
    )
    manifest = read(table, "mimic")
    assert by_name(manifest, "label") == {
        "02aa804e-bde0afdd": "No Finding",
        "096052b7-d256dc40": "Cardiomegaly|Support Devices",
    }
    assert by_name(manifest, "split") == {"02aa804e-bde0afdd": "train", "096052b7-d256dc40": "val"}
    assert manifest.table["patient"].tolist() == ["10000032", "10000764"]
    assert len(read(table, "mimic", "data.csv.only={}")) == 3
    (tmp_path / "mimic-cxr-2.0.0-metadata.csv.gz").unlink()
    with pytest.raises(UsageError, match=r"data\.csv\.join: there is no file 'mimic-cxr-\*-metadata"):
        read(table, "mimic")


def test_padchest(tmp_path: Path) -> None:
    images(tmp_path / "0", "1_a.png", "1_b.png", "2_c.png", "3_d.png")
    table = write(
        tmp_path,
        "PADCHEST_chest_x_ray_images_labels_160K_01.02.19.csv",
        ",ImageID,ImageDir,StudyDate_DICOM,StudyID,PatientID,PatientBirth,PatientSex_DICOM,Projection,Report,Labels",
        "0,1_a.png,0,20140915,s1,p1,1930,M,PA,sin hallazgos,['normal']",
        "1,1_b.png,0,20140915,s1,p1,1930,M,L,sin hallazgos,['normal']",
        "2,2_c.png,0,20140915,s2,p2,1931,F,AP_horizontal,\"a, b\",\"['pleural effusion', 'cardiomegaly']\"",
        "3,3_d.png,0,20140915,s3,p3,1932,F,PA,c,\"['cardiomegaly', 'pleural effusion', ' pneumonia']\"",
    )
    manifest = read(table, "padchest")
    assert by_name(manifest, "label") == {
        "1_a": "",
        "2_c": "cardiomegaly|pleural effusion",
        "3_d": "cardiomegaly|pleural effusion|pneumonia",
    }
    assert manifest.table["patient"].tolist() == ["p1", "p2", "p3"]
    assert manifest.table["sex"].tolist() == ["M", "F", "F"]
    assert "PatientBirth" not in manifest.table


def test_rsna(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    images(tmp_path / "stage_2_train_images", "0004cfab.png", "00436515.png", "000924cf.png")
    boxes = write(
        tmp_path,
        "stage_2_train_labels.csv",
        "patientId,x,y,width,height,Target",
        "0004cfab,,,,,0",
        "00436515,264.0,152.0,213.0,379.0,1",
        "00436515,562.0,152.0,256.0,453.0,1",
        "000924cf,,,,,0",
    )
    manifest = read(boxes, "rsna")
    assert by_name(manifest, "label") == {"0004cfab": "0", "00436515": "1", "000924cf": "0"}
    assert by_name(manifest, "patient")["00436515"] == "00436515"
    assert "(4 rows, 3 images)" in caplog.text
    details = write(
        tmp_path,
        "stage_2_detailed_class_info.csv",
        "patientId,class",
        "0004cfab,No Lung Opacity / Not Normal",
        "00436515,Lung Opacity",
        "00436515,Lung Opacity",
        "000924cf,Normal",
    )
    assert len(read(details, "rsna_classes").info.classes) == 3


def test_isic(tmp_path: Path) -> None:
    images(tmp_path / "in", "ISIC_0000000.jpg", "ISIC_0000001.jpg", "ISIC_0000002.jpg")
    truth = write(
        tmp_path,
        "ISIC_2019_Training_GroundTruth.csv",
        "image,MEL,NV,BCC,AK,BKL,DF,VASC,SCC,UNK",
        "ISIC_0000000,0.0,1.0,0.0,0.0,0.0,0.0,0.0,0.0,0.0",
        "ISIC_0000001,1.0,0.0,0.0,0.0,0.0,0.0,0.0,0.0,0.0",
        "ISIC_0000002,0.0,0.0,0.0,0.0,1.0,0.0,0.0,0.0,0.0",
    )
    manifest = read(truth, "isic2019")
    assert (manifest.info.task, manifest.info.classes) == ("multiclass", ("MEL", "NV", "BKL"))
    assert manifest.table["label"].tolist() == ["NV", "MEL", "BKL"]
    later = write(
        tmp_path,
        "train.csv",
        "image_name,patient_id,sex,age_approx,anatom_site_general_challenge,diagnosis,benign_malignant,target",
        "ISIC_0000000,IP_1,male,45.0,head/neck,unknown,benign,0",
        "ISIC_0000001,IP_1,male,45.0,torso,melanoma,malignant,1",
    )
    manifest = read(later, "isic2020")
    assert (manifest.table["label"].tolist(), manifest.table["patient"].tolist()) == (["0", "1"], ["IP_1", "IP_1"])
    assert manifest.table["age"].tolist() == ["45.0", "45.0"]


def test_aptos_and_ham10000(tmp_path: Path) -> None:
    images(tmp_path / "train_images", *(f"{name}.png" for name in "abcde"))
    grades = write(tmp_path, "train.csv", "id_code,diagnosis", *(f"{name},{n}" for n, name in enumerate("abcde")))
    assert read(grades, "aptos").info.classes == ("0", "1", "2", "3", "4")
    images(tmp_path / "HAM10000_images_part_1", "ISIC_1.jpg", "ISIC_2.jpg", "ISIC_3.jpg")
    lines = ["HAM_1,ISIC_1,bkl,histo", "HAM_1,ISIC_2,mel,histo", "HAM_2,ISIC_3,nv,histo"]
    ham = read(write(tmp_path, "HAM10000_metadata.csv", "lesion_id,image_id,dx,dx_type", *lines), "ham10000")
    assert by_name(ham, "patient") == {"ISIC_1": "HAM_1", "ISIC_2": "HAM_1", "ISIC_3": "HAM_2"}


def test_a_table_of_a_known_form_is_recognised_and_wrong_forms_are_listed(nih: Path) -> None:
    with pytest.raises(UsageError, match=r"the columns of a known form: --set data\.csv\.form=nih"):
        read_source(resolve(data={"source": str(nih)}).data)
    with pytest.raises(UsageError, match=r"data\.csv\.form: .*'chexpert'"):
        read(nih, "chexprt")


def test_what_a_form_gives_is_written_down_and_reads_back() -> None:
    settings = resolve(assignments=("data.csv.form=chexpert", "data.csv.uncertain=negative")).data.csv
    again = type(settings).model_validate(settings.model_dump(mode="json"))
    assert again == settings
    assert (settings.path, settings.missing, settings.uncertain) == ("Path", "negative", "negative")
