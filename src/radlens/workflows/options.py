"""What a command was given: its settings, and a folder to write that may be written."""

from __future__ import annotations

from pathlib import Path

from radlens.base.errors import UsageError, did_you_mean
from radlens.base.files import check_output
from radlens.config import RunSettings, resolve
from radlens.dataset.audit import CHECKS
from radlens.dataset.sources import NAMED_SOURCES


def settings_of(
    source: str | Path | None,
    preset: str | None,
    model: str | None,
    seed: int | None,
    config: str | Path | None,
    settings: tuple[str, ...] | list[str],
    allow: tuple[str, ...] | list[str] = (),
) -> RunSettings:
    """The settings of a command, with a source that can be found again from another folder.

    Raises:
        UsageError: a setting cannot be used, or a check to allow does not exist.
    """
    given = None if source is None else str(source)
    if given is not None and given.casefold() not in NAMED_SOURCES and Path(given).expanduser().exists():
        # The settings are written down and used again from other folders.
        given = str(Path(given).expanduser().resolve())
    chosen = resolve(
        preset,
        Path(config) if config else None,
        tuple(settings),
        seed=seed,
        data={"source": given, "allow": tuple(allow) or None},
        train={"network": model},
    )
    strange = [name for name in chosen.data.allow if name not in CHECKS]
    if strange:
        raise UsageError(f"The audit has no check named {strange[0]!r} to allow. {did_you_mean(strange[0], CHECKS)}")
    return chosen


def check_folder(folder: Path, overwrite: bool, *needed: str | Path | None) -> None:
    """The output may neither hold what must be kept nor what is read."""
    check_output(folder, overwrite=overwrite)
    for path in needed:
        if path is not None and Path(path).exists() and Path(path).resolve().is_relative_to(folder.resolve()):
            raise UsageError(f"The output folder {folder} holds {path}, which is read. Choose another --out.")
