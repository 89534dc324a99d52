"""Settings: presets, precedence, every error at once, and a lossless way through YAML."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import BaseModel, ValidationError

from radlens.base.errors import UsageError
from radlens.config import (
    CsvColumns,
    RunSettings,
    TrainSettings,
    is_stated,
    resolve,
    to_yaml,
)
from radlens.config.presets import presets
from radlens.learning.networks import check_network


def written(folder: Path, text: str) -> Path:
    path = folder / "settings.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def lines_of(caught: pytest.ExceptionInfo[UsageError]) -> list[str]:
    return str(caught.value).splitlines()[1:]


@pytest.mark.parametrize("preset", sorted(presets()))
def test_every_preset_is_valid_and_resolves_again_from_its_own_yaml(tmp_path: Path, preset: str) -> None:
    settings = resolve(preset)
    assert settings.preset == preset
    check_network(settings.train.network, settings.preprocessing.shape)
    again = resolve(file=written(tmp_path, to_yaml(settings)))
    assert again == settings
    assert to_yaml(again) == to_yaml(settings)


def test_the_baseline_preset_holds_the_notebooks_values() -> None:
    settings = resolve("baseline")
    assert (settings.train.network, settings.train.optimizer, settings.train.schedule) == (
        "baseline_cnn",
        "adam",
        "constant",
    )
    assert (settings.train.learning_rate, settings.train.epochs, settings.train.batch_size) == (1e-6, 15, 32)
    assert settings.preprocessing.shape == (1, 150, 150)
    assert (settings.preprocessing.low, settings.preprocessing.high) == (0.0, 1.0)
    assert settings.preprocessing.fit == "squash"
    assert settings.augment.rotation > 0
    assert settings.augment.flip_horizontal == 0.5
    assert settings.augment.zoom == (0.8, 1.2)


def test_presets_cannot_be_changed_by_who_asks_for_them() -> None:
    resolve("fast", assignments=("train.epochs=99", "augment.zoom=[1, 1]"))
    assert resolve("fast") == resolve("fast")
    assert resolve("fast").train.epochs != 99


def test_fast_is_what_is_used_when_nothing_is_said() -> None:
    assert resolve() == resolve("fast")
    assert resolve().preset == "fast"


def test_later_sources_win(tmp_path: Path) -> None:
    file = written(tmp_path, "preset: baseline\nseed: 1\ntrain: {epochs: 2, batch_size: 2, patience: 2}\n")
    settings = resolve(
        None, file, ("train.patience=4", "seed=4"), train={"batch_size": 3, "patience": 3, "network": None}, seed=None
    )
    # From preset, file, overrides, assignments in turn.
    assert settings.train.learning_rate == 1e-6
    assert settings.train.epochs == 2
    assert settings.train.batch_size == 3
    assert settings.train.patience == 4
    assert settings.seed == 4
    assert settings.train.network == "baseline_cnn"


def test_a_named_preset_wins_over_the_files_and_the_files_values_stay(tmp_path: Path) -> None:
    file = written(tmp_path, "preset: baseline\ntrain: {epochs: 2}\n")
    assert resolve(file=file).preset == "baseline"
    settings = resolve("fast", file)
    assert (settings.preset, settings.train.epochs) == ("fast", 2)
    assert settings.train.network == resolve("fast").train.network


def test_an_override_of_none_leaves_what_is_there() -> None:
    settings = resolve("fast", data={"source": None, "csv": {"patient": None}}, train={"network": None}, seed=None)
    assert settings == resolve("fast")


@pytest.mark.parametrize(
    ("assignment", "section", "key", "value"),
    [
        ("train.learning_rate=1e-3", "train", "learning_rate", 1e-3),
        ("train.learning_rate=1.5E-4", "train", "learning_rate", 1.5e-4),
        ("train.learning_rate=0.01", "train", "learning_rate", 0.01),
        ("train.epochs=7", "train", "epochs", 7),
        (" train.epochs = 7", "train", "epochs", 7),
        ("augment.enabled=false", "augment", "enabled", False),
        ("augment.zoom=[0.5, 2]", "augment", "zoom", (0.5, 2.0)),
        ("augment.zoom=[5e-1, 2e0]", "augment", "zoom", (0.5, 2.0)),
        ("evaluate.threshold=balanced", "evaluate", "threshold", "balanced"),
        ("evaluate.threshold=0.25", "evaluate", "threshold", 0.25),
        ("data.patient_from=^(a=.)_", "data", "patient_from", "^(a=.)_"),
        ("data.source=null", "data", "source", None),
        ("data.source='123'", "data", "source", "123"),
        ("data.csv={label: [a, b]}", "data", "csv", CsvColumns(label=("a", "b"))),
    ],
)
def test_an_assignment_is_read_as_yaml(assignment: str, section: str, key: str, value: object) -> None:
    assert getattr(getattr(resolve(assignments=(assignment,)), section), key) == value


def test_assignments_reach_any_depth_and_the_last_wins() -> None:
    settings = resolve(assignments=("data.csv.label=[a]", "data.csv.label=[b, c]", "data.csv.path=file", "seed=9"))
    assert settings.data.csv == CsvColumns(label=("b", "c"), path="file")
    assert settings.seed == 9


@pytest.mark.parametrize("assignment", ["train.epochs", "=3", " =3", "train.epochs=[1,"])
def test_an_assignment_that_is_none_is_named(assignment: str) -> None:
    with pytest.raises(UsageError) as caught:
        resolve(assignments=(assignment,))
    assert repr(assignment) in str(caught.value)


def test_a_preset_is_not_chosen_by_assignment() -> None:
    with pytest.raises(UsageError, match="--preset"):
        resolve("fast", assignments=("preset=baseline",))


def test_every_error_of_every_source_is_listed(tmp_path: Path) -> None:
    file = written(
        tmp_path,
        "seed: -1\ntrain: {epochs: many, learning_rat: 1}\naugment: {zoom: [2, 1]}\nevaluate: {threshold: often}\n",
    )
    with pytest.raises(UsageError) as caught:
        resolve(None, file, ("data.csv.lable=x", "nonsense"), preprocessing={"low": 1.0, "high": 0.0})
    text = str(caught.value)
    assert text.startswith("8 setting(s) cannot be used:")
    lines = lines_of(caught)
    assert len(lines) == 8
    for start in (
        "--set 'nonsense': expected key=value",
        "seed: ",
        "train.epochs: ",
        "train.learning_rat: no such setting. Did you mean 'learning_rate'?",
        "data.csv.lable: no such setting. Did you mean 'label'?",
        "augment: zoom must be",
        "evaluate.threshold: ",
        "preprocessing: low must be below high",
    ):
        assert any(line.startswith(f"  - {start}") for line in lines), start
    assert "(received 'many')" in text
    assert str(file) in text


@pytest.mark.parametrize(
    "assignment",
    [
        "train.learning_rate=0",
        "train.learning_rate=.inf",
        "train.learning_rate=.nan",
        "train.epochs=0",
        "train.epochs=1.5",
        "train.optimizer=adan",
        "train.precision=8-bit",
        "augment.zoom=[0, 1]",
        "augment.zoom=[1, .inf]",
        "augment.zoom=[1]",
        "augment.hide_border=[0, 0.1]",
        "augment.hide_border=[0.1, 0.5]",
        "augment.sides=[0.2, 0.1]",
        "augment.sides=[0, 0.45]",
        "augment.sides=[-0.6, 0]",
        "augment.stretch=-0.1",
        "augment.rotation=-1",
        "augment.contrast=1",
        "evaluate.threshold=1",
        "evaluate.threshold=0",
        "evaluate.confidence=0.5",
        "preprocessing.channels=2",
        "preprocessing.height=4",
        "preprocessing.low=-.inf",
        "data.split.test=0.5",
        "data.csv.label=[]",
        "data.phantom.images=0",
        "seed=2147483648",
    ],
)
def test_a_value_out_of_its_limits_is_one_error_that_names_the_setting(assignment: str) -> None:
    with pytest.raises(UsageError, match="1 setting") as caught:
        resolve(assignments=(assignment,))
    (line,) = lines_of(caught)
    section = assignment.partition(".")[0].partition("=")[0]
    assert line.startswith(f"  - {section}")


def test_the_nearest_section_is_named() -> None:
    with pytest.raises(UsageError, match="trian: no such setting. Did you mean 'train'"):
        resolve(assignments=("trian.epochs=3",))


@pytest.mark.parametrize("text", ["preset: basline", "preset: [fast]", "preset: 5"])
def test_an_unknown_preset_lists_the_known(tmp_path: Path, text: str) -> None:
    with pytest.raises(UsageError, match=r"Unknown preset.*Known: .*baseline.*fast"):
        resolve(file=written(tmp_path, text))
    with pytest.raises(UsageError, match="Did you mean 'baseline'"):
        resolve("baselin")


def test_a_missing_settings_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"nowhere\.yaml does not exist"):
        resolve(file=tmp_path / "nowhere.yaml")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"- a\n- b\n", "holds a list; expected sections"),
        (b"just words", "holds a str"),
        (b"42", "holds a int"),
        (b"train: {epochs: 3", "cannot be read as YAML"),
        (b"train:\n\t- x", "cannot be read as YAML"),
        (b"\xff\xfe\x00train", "cannot be read as YAML"),
        (b"!!python/object/apply:os.getcwd []", "cannot be read as YAML"),
        (b"1: 2", "cannot be used"),
        (b"train:\n", "train: "),
        (b"train: 3\n", "train: "),
    ],
)
def test_a_settings_file_of_another_form_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "settings.yaml"
    path.write_bytes(content)
    with pytest.raises(UsageError, match=message):
        resolve(file=path)


def test_a_folder_as_settings_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read as YAML"):
        resolve(file=tmp_path)


def test_an_empty_settings_file_changes_nothing(tmp_path: Path) -> None:
    assert resolve(file=written(tmp_path, "# nothing yet\n")) == resolve()


def test_settings_do_not_change_once_made() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        resolve().train.epochs = 3  # type: ignore[misc]


def test_every_setting_is_documented() -> None:
    def undocumented(model: type[BaseModel], path: str) -> list[str]:
        missing = []
        for name, field in model.model_fields.items():
            nested = isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)
            if nested:
                missing += undocumented(field.annotation, f"{path}{name}.")  # type: ignore[arg-type]
            elif not field.description:
                missing.append(path + name)
        return missing

    assert undocumented(RunSettings, "") == []
    assert undocumented(TrainSettings, "") == []


def test_a_setting_is_stated_by_a_file_or_an_assignment_and_not_by_a_preset(tmp_path: Path) -> None:
    file = tmp_path / "settings.yaml"
    file.write_text("preset: best\nevaluate: {threshold: balanced}\n", encoding="utf-8")
    assert is_stated("evaluate.threshold", file)
    assert not is_stated("evaluate.flip_tta", file)
    assert is_stated("evaluate.flip_tta", file, ("evaluate.flip_tta=true",))
    assert is_stated("evaluate.flip_tta", assignments=("evaluate={flip_tta: true}",))
    assert not is_stated("evaluate.flip_tta", assignments=("evaluate.stress=3",))
    with pytest.raises(UsageError, match="expected key=value"):
        is_stated("evaluate.flip_tta", assignments=("evaluate.flip_tta",))


@pytest.mark.parametrize("preset", sorted(presets()))
def test_in_the_config_of_a_run_what_its_preset_gives_was_not_stated(preset: str, tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(to_yaml(resolve(preset, assignments=("evaluate.ood_rate=0.02",))), encoding="utf-8")
    assert is_stated("evaluate.ood_rate", file)
    others = ("evaluate.threshold", "augment.zoom", "train.epochs", "preprocessing.height", "evaluate.prevalence")
    assert not any(is_stated(name, file) for name in others)
    assert is_stated("train.epochs", file, ("train.epochs=3",))
