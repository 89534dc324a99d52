"""Settings that had another name or value in the version before: accepted with a warning, for one version."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from radlens.base.errors import UsageError

RENAMED = {
    "train.first_size": "train.progressive_resizing",
    "evaluate.mirror": "evaluate.flip_tta",
    "evaluate.error_rate": "evaluate.alpha",
    "evaluate.refuse": "evaluate.ood_rate",
}
RENAMED_VALUES = {"evaluate.calibration": {"line": "platt"}}
# Settings that are gone, with the value that meant to do without; any other value can no longer be had.
GONE = {"train.teachers": 0}


def with_current_names(values: Mapping[str, Any], where: str) -> tuple[dict[str, Any], list[str]]:
    """Nested settings with today's names and values in place of those of the version before.

    Args:
        values: settings by section.
        where: what holds them, for the messages.

    Returns:
        The settings, and a sentence for each that was renamed or left out.

    Raises:
        UsageError: a setting stands there under both names, or one that is gone is asked for.

    >>> with_current_names({"train": {"first_size": 0.6}}, "--set")[0]
    {'train': {'progressive_resizing': 0.6}}
    """
    current = {name: dict(section) if isinstance(section, Mapping) else section for name, section in values.items()}
    remarks = []
    for old, new in RENAMED.items():
        settings, key = _section(current, old)
        if key not in settings:
            continue
        if (new_key := new.partition(".")[2]) in settings:
            raise UsageError(f"{where} states both {old} and {new}. They are one setting: keep {new} alone.")
        settings[new_key] = settings.pop(key)
        remarks.append(
            f"{where}: the setting {old} is called {new} now. The old name is accepted in this version only."
        )
    for name, renamed in RENAMED_VALUES.items():
        settings, key = _section(current, name)
        value = settings.get(key)
        if isinstance(value, str) and value in renamed:
            settings[key] = renamed[value]
            remarks.append(
                f"{where}: {name}={value} is {renamed[value]} now. The old value is accepted in this version only."
            )
    for name, without in GONE.items():
        settings, key = _section(current, name)
        if key in settings:
            if settings.pop(key) != without:
                raise UsageError(f"{where}: {name} is no longer a setting: train.epochs gives more for the same time")
            remarks.append(f"{where}: {name} is no longer a setting and is passed over.")
    return current, remarks


def _section(values: dict[str, Any], setting: str) -> tuple[dict[str, Any], str]:
    """The section that a setting would stand in, empty where there is none, and its name there."""
    section, _, key = setting.partition(".")
    settings = values.get(section)
    return (settings if isinstance(settings, dict) else {}), key
