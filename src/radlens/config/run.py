"""A whole run's settings, and how they are put together from presets, files and the command line."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, Field, ValidationError

from radlens.base.errors import UsageError, did_you_mean
from radlens.base.yaml_text import dump_yaml
from radlens.config.base import Settings
from radlens.config.data import DataSettings
from radlens.config.evaluation import EvaluateSettings
from radlens.config.presets import presets
from radlens.config.renamed import with_current_names
from radlens.config.training import AugmentSettings, TrainSettings
from radlens.imaging.preprocess import Preprocessing

logger = logging.getLogger(__name__)


class RunSettings(Settings):
    """A whole run: the resolved form of it is written into the run folder as ``config.yaml``."""

    preset: str = Field(default="fast", description="The preset that the other values started from.")
    seed: int = Field(default=0, ge=0, lt=2**31, description="Every random choice of the run follows from it.")
    data: DataSettings = Field(default_factory=DataSettings)
    preprocessing: Preprocessing = Field(default_factory=Preprocessing)
    augment: AugmentSettings = Field(default_factory=AugmentSettings)
    train: TrainSettings = Field(default_factory=TrainSettings)
    evaluate: EvaluateSettings = Field(default_factory=EvaluateSettings)


def resolve(
    preset: str | None = None,
    file: Path | None = None,
    assignments: tuple[str, ...] = (),
    **overrides: Any,
) -> RunSettings:
    """Put the settings of a run together; later sources win: preset, file, overrides, assignments.

    Args:
        preset: name of a preset; none: the one the file names, else ``fast``.
        file: YAML with the same nesting as :class:`RunSettings`.
        assignments: ``section.key=value`` texts; the value is read as YAML.
        overrides: nested values by section; ``None`` values are left out.

    Raises:
        UsageError: naming every error found, not only the first.

    >>> resolve("baseline", assignments=("train.epochs=3",)).train.epochs
    3
    """
    values = _with_current_names(_read_yaml(file), f"The settings file {file}") if file else {}
    name = preset or values.get("preset") or "fast"
    if not isinstance(name, str) or name not in presets():
        raise UsageError(f"Unknown preset {name!r}. {did_you_mean(str(name), presets())}")
    errors: list[str] = []
    merged = _merge(_merge(presets()[name], values), _without_none(overrides))
    for text in assignments:
        try:
            merged = _merge(merged, _with_current_names(_parse_assignment(text), f"--set {text!r}"))
        except UsageError as error:
            errors.append(str(error))
    merged["preset"] = name
    try:
        settings = RunSettings.model_validate(merged)
    except ValidationError as error:
        errors.extend(_explain(error, file))
    if errors:
        listed = "\n".join(f"  - {line}" for line in errors)
        raise UsageError(f"{len(errors)} setting(s) cannot be used:\n{listed}")
    return settings


def is_stated(setting: str, file: Path | None = None, assignments: tuple[str, ...] | list[str] = ()) -> bool:
    """Whether a user stated a setting, in a file of settings or by an assignment; what a preset gives does not count.

    A file with every section is the ``config.yaml`` of a run, in which all settings stand, stated or not. What differs
    in it from its preset was stated; what does not, counts as the preset's.

    Args:
        setting: its name, such as ``evaluate.threshold``.
        file: as for :func:`resolve`.
        assignments: as there.

    Raises:
        UsageError: the file cannot be read, or an assignment is not ``key=value``.

    >>> is_stated("train.epochs", assignments=("train={epochs: 3}",)), is_stated("train.epochs")
    (True, False)
    """
    nothing = object()
    path = setting.split(".")
    stated = (with_current_names(_parse_assignment(text), text)[0] for text in assignments)
    if any(_within(values, path, nothing) is not nothing for values in stated):
        return True
    values = with_current_names(_read_yaml(file), str(file))[0] if file else {}
    value = _within(values, path, nothing)
    if set(values) >= set(RunSettings.model_fields):
        preset = resolve(values["preset"]).model_dump(mode="json")
        return bool(value != _within(preset, path, nothing))
    return value is not nothing


def to_yaml(settings: BaseModel) -> str:
    """The settings as YAML, in the order in which the fields are declared."""
    return dump_yaml(settings.model_dump(mode="json"))


def _with_current_names(values: dict[str, Any], where: str) -> dict[str, Any]:
    current, remarks = with_current_names(values, where)
    for remark in remarks:
        logger.warning("%s", remark)
    return current


def _read_yaml(file: Path) -> dict[str, Any]:
    try:
        values = yaml.safe_load(Path(file).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UsageError(f"The settings file {file} does not exist.") from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UsageError(f"The settings file {file} cannot be read as YAML: {error}") from error
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise UsageError(
            f"The settings file {file} holds a {type(values).__name__}; expected sections such as 'train:'."
        )
    return values


def _merge(base: dict[str, Any], extra: dict[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in extra.items():
        if isinstance(value, dict) and isinstance(merged.get(key), dict):
            merged[key] = _merge(merged[key], value)
        else:
            merged[key] = value
    return merged


def _within(values: Any, path: list[str], otherwise: object) -> Any:
    """The value at a place in nested values."""
    for part in path:
        if not isinstance(values, dict) or part not in values:
            return otherwise
        values = values[part]
    return values


def _without_none(values: dict[str, Any]) -> dict[str, Any]:
    pruned = {key: _without_none(value) if isinstance(value, dict) else value for key, value in values.items()}
    return {key: value for key, value in pruned.items() if value is not None}


def _parse_assignment(text: str) -> dict[str, Any]:
    key, separator, value = text.partition("=")
    if not separator or not key.strip():
        raise UsageError(f"--set {text!r}: expected key=value, such as train.epochs=20")
    if key.strip() == "preset":
        raise UsageError(f"--set {text!r}: a preset is chosen with --preset, since other settings start from it")
    try:
        parsed = yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise UsageError(f"--set {text!r}: the value is not YAML ({error})") from error
    # YAML 1.1 reads 1e-3 as a text; the field it is for makes a number of it, where it takes one.
    for part in reversed(key.strip().split(".")):
        parsed = {part: parsed}
    return dict(parsed)


def _explain(error: ValidationError, file: Path | None) -> list[str]:
    """One line for each setting in error, with where it was, what was received and what was expected."""
    messages: dict[str, list[str]] = {}
    received = {}
    for item in error.errors():
        path = [str(part) for part in item["loc"]]
        if item["type"] == "extra_forbidden":
            section = _section(RunSettings, path[:-1])
            hint = did_you_mean(path[-1], section.model_fields) if section else ""
            messages.setdefault(".".join(path), []).append(f"no such setting. {hint}".strip())
            continue
        where = _setting(path)
        messages.setdefault(where, []).append(item["msg"].removeprefix("Value error, "))
        received[where] = "" if item["type"] == "value_error" else f" (received {item['input']!r})"
    lines = [f"{where}: {', or: '.join(texts)}{received.get(where, '')}" for where, texts in messages.items()]
    if file:
        lines = [f"{line} [{file}]" if index == 0 else line for index, line in enumerate(lines)]
    return lines


def _setting(path: list[str]) -> str:
    """The setting's name; where several types are allowed, pydantic adds the one it tried, which is not part of it."""
    section: type[BaseModel] | None = RunSettings
    depth = 0
    while section is not None and depth < len(path):
        section = _section(section, [path[depth]])
        depth += 1
    return ".".join(path[:depth] + [part for part in path[depth:] if part.isdigit()])


def _section(model: type[BaseModel], path: list[str]) -> type[BaseModel] | None:
    for part in path:
        annotation = model.model_fields[part].annotation if part in model.model_fields else None
        if not (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
            return None
        model = annotation
    return model
