"""The settings that a report shows: those that had a part in its figures."""

from __future__ import annotations

import re
from typing import Any

from radlens.base.files import is_place_here
from radlens.base.yaml_text import dump_yaml
from radlens.config import RunSettings
from radlens.reporting.content import Origin

_TRAINING = ("preset", "augment", "train")
_LATER = ("calibration", "stress", "flip_tta", "alpha", "ood_rate")
_CHOICE = ("threshold", "cost_missed", "cost_alarm", "cost_prevalence")
# Sections, and fields of the section evaluate, by who answered: what the model carries, or another program decided.
_NO_PART: dict[Origin, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "run": ((), ()),
    "folds": ((), ()),
    "model": (_TRAINING, _LATER + _CHOICE),
    "outside": (_TRAINING, _LATER),
}


def shown_settings(settings: RunSettings, origin: Origin) -> str:
    """The resolved settings as YAML, without those that another run than this one decided, and without the places of
    files on this machine.

    Args:
        settings: of the run.
        origin: who answered. A model trained before was made with other settings than an evaluation has by default.
    """
    sections, fields = _NO_PART[origin]
    values = {name: value for name, value in settings.model_dump(mode="json").items() if name not in sections}
    values["evaluate"] = {name: value for name, value in values["evaluate"].items() if name not in fields}
    return dump_yaml(_for_readers(values))


def shown_place(text: str) -> str:
    """A place on this machine by its name alone, which a reader elsewhere can use; other texts as they are.

    >>> shown_place("/home/jane/lungs"), shown_place("kermany")
    ('lungs', 'kermany')
    """
    if not is_place_here(text):
        return text
    return re.split(r"[\\/]", text.rstrip("\\/"))[-1] or text


def _for_readers(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _for_readers(part) for name, part in value.items()}
    if isinstance(value, list):
        return [_for_readers(part) for part in value]
    return shown_place(value) if isinstance(value, str) else value
