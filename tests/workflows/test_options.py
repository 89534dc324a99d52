"""The options of a run are listed once, and shown, typed and checked wherever they are taken."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import radlens
from radlens.cli.options import run_options
from radlens.config import to_yaml
from radlens.workflows.options import RunKeywords, RunOptions, settings_of, settings_to_resume

FIELDS = {field.name: field.type for field in dataclasses.fields(RunOptions)}


def test_keywords_and_command_line_have_the_fields_of_the_options() -> None:
    declared = {name: kind.__forward_arg__ for name, kind in RunKeywords.__annotations__.items()}
    assert declared == FIELDS
    parameters = inspect.signature(run_options).parameters
    assert list(parameters) == list(FIELDS)
    for name, parameter in parameters.items():
        # What is left out on the command line is left out of the call.
        assert parameter.default in (None, getattr(RunOptions(), name)), name


@pytest.mark.parametrize("verb", [radlens.run, radlens.train, radlens.cross_validate])
def test_a_verb_shows_every_option_with_its_default(verb: Callable[..., Any]) -> None:
    parameters = inspect.signature(verb).parameters
    assert {name: parameters[name].default for name in FIELDS} == dataclasses.asdict(RunOptions())
    assert list(parameters)[:2] == ["source", "out"]
    assert not any(each.kind is inspect.Parameter.VAR_KEYWORD for each in parameters.values())


@pytest.mark.parametrize("verb", [radlens.run, radlens.train, radlens.cross_validate])
def test_an_option_that_does_not_exist_is_refused_by_name(verb: Callable[..., Any], tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="prest"):
        verb("phantom", tmp_path / "out", prest="fast")
    assert not (tmp_path / "out").exists()


def test_settings_follow_from_all_options(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "settings.yaml").write_text("train: {epochs: 4, batch_size: 8}", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    options = RunOptions(
        preset="baseline",
        model="small_resnet",
        seed=5,
        config="settings.yaml",
        settings=["train.epochs=3"],
        allow=["leak"],
    )
    settings = settings_of("images", options)
    assert (settings.preset, settings.train.network, settings.seed) == ("baseline", "small_resnet", 5)
    assert (settings.train.epochs, settings.train.batch_size) == (3, 8)
    assert settings.data.source == str(tmp_path / "images")
    assert settings.data.allow == ("leak",)
    assert options.state("train.batch_size")
    assert not options.state("train.optimizer")
    with pytest.raises(radlens.UsageError, match="no check named 'leek' to allow. Did you mean 'leak'"):
        settings_of("images", RunOptions(allow=("leek",)))


def test_what_is_gone_on_with_may_be_stated_again_and_not_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "images").mkdir()
    monkeypatch.chdir(tmp_path)
    started = RunOptions(preset="baseline", seed=5, settings=("train.epochs=3",), allow=("leak",))
    settings = settings_of("images", started)
    decided = settings.model_copy(update={"preprocessing": settings.preprocessing.model_copy(update={"depth": 12})})
    (tmp_path / "config.yaml").write_text(to_yaml(decided), encoding="utf-8")
    assert settings_to_resume(tmp_path, None, RunOptions(resume=True)) == decided
    assert settings_to_resume(tmp_path, "images", dataclasses.replace(started, resume=True, allow=())) == decided
    for source, options, names in (
        (None, RunOptions(settings=("data.split.overlap=drop_train",)), r"differ in data\.split\.overlap\."),
        (None, RunOptions(preset="fast", seed=6), r"differ in preset, seed\."),
        ("phantom", RunOptions(model="efficientnet_lite0"), r"differ in data\.source, train\.network\."),
    ):
        with pytest.raises(radlens.UsageError, match=names):
            settings_to_resume(tmp_path, source, options)
