"""What a command is given: its options, the settings that follow from them, and a folder that may be written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypedDict

from radlens.base.errors import UsageError, did_you_mean
from radlens.base.files import check_output
from radlens.config import RunSettings, is_stated, resolve
from radlens.dataset.audit import CHECKS
from radlens.dataset.sources import NAMED_SOURCES


class RunKeywords(TypedDict, total=False):
    """The fields of :class:`RunOptions` as keyword arguments."""

    preset: str | None
    model: str | None
    seed: int | None
    config: str | Path | None
    settings: tuple[str, ...] | list[str]
    allow: tuple[str, ...] | list[str]
    overwrite: bool
    resume: bool


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """The options of :func:`radlens.run`, :func:`radlens.train` and :func:`radlens.cross_validate`.

    Attributes:
        preset: ``fast``, ``best`` or ``baseline``; None: the one that ``config`` names, else ``fast``.
        model: network to train, by name.
        seed: every random choice follows from it.
        config: YAML file of settings, such as an earlier run's ``config.yaml``.
        settings: further settings as ``section.key=value``.
        allow: checks of the audit whose blocking findings shall not stop the run, such as ``leak``; written down.
        overwrite: replace what lies in the output folder.
        resume: go on with the stopped run in the output folder, with the settings that it was started with.
    """

    preset: str | None = None
    model: str | None = None
    seed: int | None = None
    config: str | Path | None = None
    settings: tuple[str, ...] | list[str] = ()
    allow: tuple[str, ...] | list[str] = ()
    overwrite: bool = False
    resume: bool = False

    def state(self, setting: str) -> bool:
        """Whether a setting is stated in ``config`` or ``settings``; see :func:`radlens.config.is_stated`."""
        return is_stated(setting, Path(self.config) if self.config else None, self.settings)


def settings_of(source: str | Path | None, options: RunOptions) -> RunSettings:
    """The settings of a command, with a source that can be found again from another folder.

    Raises:
        UsageError: a setting cannot be used, or a check to allow does not exist.
    """
    given = None if source is None else str(source)
    if given is not None and given.casefold() not in NAMED_SOURCES and Path(given).expanduser().exists():
        # The settings are written down and used again from other folders.
        given = str(Path(given).expanduser().resolve())
    settings = resolve(
        options.preset,
        Path(options.config) if options.config else None,
        tuple(options.settings),
        seed=options.seed,
        data={"source": given, "allow": tuple(options.allow) or None},
        train={"network": options.model},
    )
    unknown = [name for name in settings.data.allow if name not in CHECKS]
    if unknown:
        raise UsageError(f"The audit has no check named {unknown[0]!r} to allow. {did_you_mean(unknown[0], CHECKS)}")
    return settings


def settings_to_resume(folder: Path, source: str | Path | None, options: RunOptions) -> RunSettings:
    """The settings of a stopped run; a command may state them again, and change none.

    What the run itself decides, such as the depth of its pixels, and what the audit is to allow are not compared.

    Raises:
        UsageError: a setting that was given differs from that of the run.
    """
    kept = resolve(file=folder / "config.yaml")
    given = replace(options, config=options.config or folder / "config.yaml", allow=())
    asked = settings_of(kept.data.source if source is None else source, given)
    same: dict[str, dict[str, Any]] = {"data": {"allow": kept.data.allow}}
    if asked.preprocessing.depth == "auto":
        same["preprocessing"] = {"depth": kept.preprocessing.depth}
    changed = list(_differing(kept.model_dump(), _updated(asked.model_dump(), same)))
    if changed:
        raise UsageError(
            f"--resume goes on in {folder} with the settings that its run was started with, and those given now differ "
            f"in {', '.join(changed)}. Leave them out; or, to start with others, give the whole command without "
            "--resume (and with --overwrite, where the folder holds more than a run that the audit stopped)."
        )
    return kept


def _updated(values: dict[str, Any], changes: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    return {**values, **{section: {**values[section], **fields} for section, fields in changes.items()}}


def _differing(first: Mapping[str, Any], second: Mapping[str, Any], above: str = "") -> Iterator[str]:
    """Names of the settings that differ, by section."""
    for name, value in first.items():
        if isinstance(value, dict) and isinstance(second[name], dict) and value.keys() == second[name].keys():
            yield from _differing(value, second[name], f"{above}{name}.")
        elif value != second[name]:
            yield f"{above}{name}"


def check_folder(folder: Path, overwrite: bool, *needed: str | Path | None) -> None:
    """The output may neither hold what must be kept nor what is read."""
    check_output(folder, overwrite=overwrite)
    for path in needed:
        if path is not None and Path(path).exists() and Path(path).resolve().is_relative_to(folder.resolve()):
            raise UsageError(f"The output folder {folder} holds {path}, which is read. Choose another --out.")
