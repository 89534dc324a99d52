"""Which classes a table of answers is about: those of the images, and those that it answers and no image is of."""

from __future__ import annotations

import logging
from dataclasses import replace

from radlens.assessment.outside_predictions import OutsidePredictions
from radlens.base.errors import DataError
from radlens.dataset.class_names import Meaning, meaning_of
from radlens.dataset.manifest import Manifest, order_classes, task_of

logger = logging.getLogger(__name__)


def with_answered_classes(manifest: Manifest, outside: OutsidePredictions, positive: str | None) -> Manifest:
    """The images with every class that the table answers, so that a set without some of them is judged too.

    Args:
        manifest: the images, which may be of one class alone; several labels an image stay as they are.
        outside: the table.
        positive: the positive one of two classes, where the settings name it.

    Raises:
        DataError: all images are of one class, and nothing tells what the other one is.
    """
    info = manifest.info
    if info.task == "multilabel":
        return manifest
    present = {name.casefold() for name in info.classes}
    absent = [name for name in outside.classes if name.casefold() not in present]
    reason = info.positive_reason
    if len(outside.classes) > 1:
        # Where an image has a label that is not answered, that is said when the columns are read.
        classes = order_classes([*info.classes, *absent], positive if len(present) + len(absent) == 2 else None)
    elif len(present) > 1:
        return manifest
    else:
        absent, classes, reason = _two_of(info.classes[0], absent, outside, positive)
    if not absent:
        return manifest
    note = f"No image is of the class {', '.join(absent)}: figures that need one cannot be estimated."
    logger.warning("%s", note)
    changed = {"classes": classes, "task": task_of(classes), "positive_reason": reason}
    return replace(manifest, info=info.model_copy(update=changed)).with_notes(note)


def _two_of(
    only: str, answered: list[str], outside: OutsidePredictions, positive: str | None
) -> tuple[list[str], tuple[str, ...], str]:
    """The absent class, both in their order, and what told the positive one, where all images are of one class."""
    other = f"other than {only}"
    if answered:
        return answered, (only, answered[0]), f"{outside.file.name} holds the probability of {answered[0]} alone"
    if outside.classes:
        return [other], (other, only), f"{outside.file.name} holds the probability of {only} alone"
    if positive is not None and positive.casefold() != only.casefold():
        return [positive], (only, positive), "as data.positive_class says"
    if positive is not None:
        return [other], (other, only), "as data.positive_class says"
    if meaning_of(only) is Meaning.HEALTHY:
        return [other], (only, other), f"{only} means that nothing was found"
    raise DataError(
        f"All images are of the class {only}, and {outside.file} does not say which class {outside.score} is the "
        f"probability of. Name it: --set data.positive_class={only}, or the class that no image is of"
    )
