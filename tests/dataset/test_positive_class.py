"""Which class is positive: told, stated, or asked for."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from radlens.base.errors import DataError, UsageError
from radlens.config import DataSettings, resolve
from radlens.dataset.sources import read_source
from radlens.imaging.preprocess import Preprocessing
from radlens.runtime.model_config import ModelConfig
from radlens.workflows.evaluate import for_model


def source_of(tmp_path: Path, *classes: str) -> Path:
    for name in classes:
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.png").touch()
    return tmp_path


def test_the_healthy_class_tells_it_and_the_manifest_says_so(tmp_path: Path) -> None:
    info = read_source(DataSettings(source=str(source_of(tmp_path, "Sano", "Neumonia")))).info
    assert info.classes == ("Sano", "Neumonia")
    assert info.positive_reason == "Sano is the name of a healthy class"


@pytest.mark.parametrize("names", [("cat", "dog"), ("Viral Pneumonia", "COVID"), ("1", "2"), ("normal", "healthy")])
def test_where_nothing_tells_it_the_question_names_settings_that_answer_it(
    tmp_path: Path, names: tuple[str, str]
) -> None:
    source = str(source_of(tmp_path, *names))
    with pytest.raises(DataError, match="Which of the two classes is positive") as raised:
        read_source(DataSettings(source=source))
    ways = [shlex.split(line)[1] for line in str(raised.value).splitlines() if line.startswith("  --set ")]
    told = [read_source(resolve(assignments=(way,), data={"source": source}).data).info for way in ways]
    assert {info.classes for info in told} == {names, names[::-1]}
    assert {info.positive_reason for info in told} == {"as data.positive_class says"}


def test_it_is_not_asked_where_it_does_not_matter(tmp_path: Path) -> None:
    source = str(source_of(tmp_path, "cat", "dog"))
    assert read_source(DataSettings(source=source), ask_positive=False).info.classes == ("cat", "dog")
    source_of(tmp_path, "bird")
    assert read_source(DataSettings(source=source)).info.positive_reason == ""


@pytest.mark.parametrize("stated", [None, "dog", "cat"])
def test_a_model_keeps_its_positive_class(tmp_path: Path, stated: str | None) -> None:
    model = ModelConfig.model_construct(
        task="binary",
        classes=("Dog", "Cat"),
        network="x",
        preprocessing=Preprocessing(),
        threshold=0.5,
        radlens_version="0",
    )
    settings = DataSettings(source=str(source_of(tmp_path, "cat", "dog")), positive_class=stated)
    source = read_source(settings, ask_positive=False)
    if stated == "dog":
        with pytest.raises(UsageError, match="data.positive_class=dog: for the model Cat is positive"):
            for_model(source, model)
    else:
        info = for_model(source, model).info
        assert (info.classes, info.positive_reason) == (("Dog", "Cat"), "as the model has it")


@pytest.mark.parametrize("value", ["yes", "no", "Yes", "1", "0", "true"])
def test_names_that_yaml_takes_for_values_can_be_stated(tmp_path: Path, value: str) -> None:
    names = {"yes": ("no", "yes"), "no": ("yes", "no"), "Yes": ("No", "Yes"), "1": ("0", "1"), "0": ("1", "0")}
    classes = names.get(value, ("False", "True"))
    source = str(source_of(tmp_path, *classes))
    data = resolve(assignments=(f"data.positive_class={value}",), data={"source": source}).data
    assert read_source(data).info.classes == classes
