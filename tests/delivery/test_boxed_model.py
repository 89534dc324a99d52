"""The model that comes with radlens: it is whole, small, says what it is, and answers a real radiograph offline."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

import radlens
from radlens.imaging.decode import decode
from radlens.runtime.model_folder import boxed_models, find_model, read_model_folder
from radlens.runtime.training_images import read_training_images

NAME = "pneumonia-cxr"


@pytest.fixture(scope="module")
def radiographs() -> Path:
    """Real radiographs of adults in several encodings, of the package pydicom-data."""
    found = importlib.util.find_spec("data_store")
    assert found is not None
    assert found.submodule_search_locations is not None
    return Path(found.submodule_search_locations[0]) / "data"


def test_it_is_in_the_box_whole_and_small() -> None:
    folder = boxed_models()[NAME]
    names = {"README.md", "config.json", "model.onnx", "model.safetensors", "training_images.txt"}
    assert {file.name for file in folder.iterdir()} == names
    assert sum(file.stat().st_size for file in folder.iterdir()) <= 20 * 2**20
    config, _ = read_model_folder(find_model(NAME))
    assert config.classes == ("NORMAL", "PNEUMONIA")
    assert config.preprocessing.channels == 1
    assert len(read_training_images(folder).contents) > 4000
    points = list(config.operating_points.values())
    assert sorted(points, reverse=True) == points, "a higher sensitivity needs a lower threshold"


def test_its_card_says_what_it_is_made_of_and_where_it_fails() -> None:
    card = (boxed_models()[NAME] / "README.md").read_text(encoding="utf-8")
    for needed in (
        "license: cc-by-4.0",
        "10.1016/j.cell.2018.02.010",
        "not a medical device",
        "aged one to five",
        "Adults, and other hospitals",
        "internal test",
    ):
        assert needed in card, needed
    config, _ = read_model_folder(find_model(NAME))
    assert f"threshold {config.threshold:.3f}" in card
    assert "{" not in card.replace("{NORMAL,PNEUMONIA}", ""), "a place was left unfilled"


def test_a_real_radiograph_of_an_adult_gets_the_same_answer_in_every_lossless_encoding(radiographs: Path) -> None:
    answers = radlens.load(NAME).predict([radiographs / name for name in ("RG1_UNCR.dcm", "RG1_J2KR.dcm")])
    scores = np.array([[*answer.probabilities.values()] for answer in answers])
    np.testing.assert_allclose(scores.sum(axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(scores[0], scores[1], atol=1e-3)
    assert {answer.predicted for answer in answers} <= {"NORMAL", "PNEUMONIA"}


def test_a_radiograph_of_inverted_grey_gets_one_answer_from_its_file_its_bytes_and_its_picture(
    radiographs: Path,
) -> None:
    path, model = radiographs / "RG3_UNCR.dcm", radlens.load(NAME)
    picture = decode(str(path))
    assert picture.facts.mode == "MONOCHROME1"
    answers = model.predict([path, path.read_bytes(), np.asarray(picture.image)])
    assert not any(answer.error for answer in answers)
    assert answers[0].probabilities == answers[1].probabilities == answers[2].probabilities
    turned = model.predict(255 - np.asarray(picture.image))
    assert turned.probabilities != answers[0].probabilities


def test_the_command_answers_anywhere_and_without_a_network(radiographs: Path, tmp_path: Path) -> None:
    code = "import socket; socket.socket.connect = None; from radlens.cli.commands import main; main()"
    command = [sys.executable, "-c", code, "predict", NAME, str(radiographs / "RG1_UNCR.dcm"), "--format", "jsonl"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    known = radlens.load(NAME).predict(radiographs / "RG1_UNCR.dcm")
    assert answer["probabilities"] == pytest.approx(known.probabilities, abs=1e-4)
    assert answer["predicted"] == known.predicted


def test_it_tells_the_images_that_it_learnt_from_apart(shared_data: Path) -> None:
    folder = shared_data / "kermany224" / "train"
    paths = [path for label in ("NORMAL", "PNEUMONIA") for path in sorted((folder / label).iterdir())[::60]]
    answers = radlens.load(NAME).predict(paths)
    ill = np.array([path.parent.name == "PNEUMONIA" for path in paths])
    assert roc_auc_score(ill, [answer.probabilities["PNEUMONIA"] for answer in answers]) > 0.98
    assert np.mean([(answer.predicted == "PNEUMONIA") == one for answer, one in zip(answers, ill, strict=True)]) > 0.9
