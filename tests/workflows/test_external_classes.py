"""A model is judged on sets that lack some of its classes; what it does not know is refused."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

import radlens
from radlens.base.errors import DataError, UsageError
from radlens.dataset.manifest import DatasetInfo, Manifest, task_of
from radlens.decision import Task
from radlens.imaging.preprocess import Preprocessing
from radlens.runtime.model_config import ModelConfig
from radlens.workflows.evaluate import for_model


def model(task: Task, *classes: str) -> ModelConfig:
    return ModelConfig(
        radlens_version="0.1.0",
        task=task,
        classes=classes,
        network="small_resnet",
        preprocessing=Preprocessing(height=32, width=32),
        threshold=0.5,
        seed=0,
        best_epoch=1,
    )


def source(*labels: str, task: Task | None = None) -> Manifest:
    classes = tuple(dict.fromkeys(name for label in labels for name in label.split("|") if name))
    table = pd.DataFrame({"path": [f"{number}.png" for number in range(len(labels))], "label": labels})
    info = DatasetInfo(name="x", task=task or task_of(classes), classes=classes, root=".")
    return Manifest(table.assign(patient=table["path"], split=""), info)


@pytest.mark.parametrize(
    ("known", "images", "absent"),
    [
        (("NORMAL", "PNEUMONIA"), ("pneumonia", "pneumonia"), ["NORMAL"]),
        (("a", "b", "c", "d"), ("b", "d", "B"), ["a", "c"]),
        (("a", "b", "c"), ("C",), ["a", "b"]),
    ],
)
def test_classes_without_an_image_are_said(known: tuple[str, ...], images: tuple[str, ...], absent: list[str]) -> None:
    task, labels = task_of(known), [name.casefold() for name in images]
    manifest = for_model(source(*labels, task=task_of(sorted({*labels}))), model(task, *known))
    assert (manifest.info.task, manifest.info.classes) == (task, known)
    assert manifest.absent_classes() == absent
    assert manifest.info.notes == (
        f"No image is of the class {', '.join(absent)}: figures that need one cannot be estimated.",
    )
    assert set(manifest.table["label"]) <= set(known)


def test_every_class_leaves_nothing_to_say() -> None:
    manifest = for_model(source("ill", "well"), model("binary", "well", "ill"))
    assert (manifest.info.classes, manifest.info.notes) == (("well", "ill"), ())


@pytest.mark.parametrize(
    ("images", "of_model"),
    [
        (source("well", "dead"), model("binary", "well", "ill")),
        (source("mass", task="multilabel"), model("multilabel", "mass", "nodule")),
        (source("mass|nodule", task="multilabel"), model("binary", "mass", "nodule")),
    ],
)
def test_what_the_model_does_not_know_or_nobody_looked_for_is_refused(images: Manifest, of_model: ModelConfig) -> None:
    with pytest.raises(DataError, match="Say which is which"):
        for_model(images, of_model)


def test_classes_of_answers_alone_are_not_renamed_without_a_word(tmp_path: Path) -> None:
    (tmp_path / "answers.csv").write_text("path,label,score\na.png,well,0.1\nb.png,ill,0.9\n")
    with pytest.raises(UsageError, match="not the labels in answers.csv. Give the labelled images as SOURCE"):
        radlens.evaluate(tmp_path / "answers.csv", None, tmp_path / "out", settings=["data.class_map={well: NORMAL}"])
    assert not (tmp_path / "out").exists()
