"""Which of two classes is positive: as the settings or the names say, and otherwise a question to the user."""

from __future__ import annotations

import shlex
from dataclasses import replace

import yaml

from radlens.base.errors import DataError
from radlens.config import DataSettings
from radlens.dataset.class_names import Meaning, meaning_of, tell_positive
from radlens.dataset.manifest import Manifest, order_classes

# What told the positive class where a setting did.
STATED = "as data.positive_class says"


def settle_positive(manifest: Manifest, settings: DataSettings) -> Manifest:
    """The manifest with what told its positive class; other tasks than binary stay as they are.

    Raises:
        DataError: neither the settings nor the names tell which of the two classes is positive.
    """
    info = manifest.info
    if info.task != "binary":
        return manifest
    if settings.positive_class is None and info.positive_reason:
        return manifest
    told = tell_positive(info.classes)
    if settings.positive_class is not None:
        reason = STATED
    elif told is not None:
        reason = told.reason
    else:
        raise DataError(_question(*info.classes))
    changed = {"classes": order_classes(info.classes, settings.positive_class), "positive_reason": reason}
    return replace(manifest, info=info.model_copy(update=changed))


def _question(first: str, second: str) -> str:
    meanings = {meaning_of(first), meaning_of(second)}
    why = "Both names are" if meanings == {Meaning.HEALTHY} else "Neither name is"
    ways = "\n".join(
        f"  --set {shlex.quote(f'data.positive_class={_quoted(positive)}')}   sensitivity is then the share of "
        f"{positive} that is found, specificity that of {negative} that is recognised"
        for positive, negative in ((second, first), (first, second))
    )
    return (
        f"Which of the two classes is positive, {first} or {second}? {why} known as that of a healthy class (normal, "
        "healthy, negative, control, no finding and the like), and sensitivity, specificity and the operating point "
        f"depend on it. Run the same command again with one of:\n{ways}"
    )


def _quoted(name: str) -> str:
    """The name as YAML reads it back, as it stands wherever possible."""
    try:
        plain = yaml.safe_load(name) == name
    except yaml.YAMLError:
        plain = False
    return name if plain else f'"{name}"'
