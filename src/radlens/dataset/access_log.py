"""How often test images were looked at: a line in the run's ledger for each scoring, never taken back."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from radlens.base.files import ACCESS_LOG_FILE, write_error, write_text

logger = logging.getLogger(__name__)


class Access(BaseModel):
    """One scoring of images of the split test."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    when: str = Field(description="Date and time, UTC.")
    why: str = Field(description="The command.")
    model: str = Field(description="SHA-256 of the weights, or of the table of predictions.")
    data: str = Field(description="SHA-256 of the images' contents and labels, whatever their order and place.")
    images: int = Field(ge=1, description="How many were scored.")


def new_access(why: str, model: str, images: Iterable[tuple[str, str]]) -> Access:
    """What is written down of a scoring that happens now.

    Args:
        why: the command.
        model: hash of what scored.
        images: for each the hash of its content (its path, where it was not opened) and its label.
    """
    scored = list(images)
    when = datetime.now(UTC).isoformat(timespec="seconds")
    return Access(when=when, why=why, model=model, data=hash_images(scored), images=len(scored))


def hash_images(images: Iterable[tuple[str, str]]) -> str:
    """SHA-256 of a set of images, whatever their order and place.

    Args:
        images: for each the hash of its content (its path, where it was not opened) and its label.
    """
    lines = sorted(f"{digest} {label}" for digest, label in images)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def record(access: Access, folder: Path, run: Path | None = None) -> None:
    """Write a scoring down, before anything of it is shown.

    Args:
        access: the scoring.
        folder: where the evidence goes; its ledger tells the whole story that is known.
        run: the run folder that the model is of, if it is of one; where it cannot be written to, that is said.

    Raises:
        RadlensError: ``folder`` cannot be written to.
    """
    known = read_access_log(folder)
    if run is not None and Path(run).resolve() != Path(folder).resolve():
        earlier = read_access_log(run)
        known = [*earlier, *(entry for entry in known if entry not in earlier)]
        try:
            _append(Path(run) / ACCESS_LOG_FILE, access)
            logger.info("This look at test images is written down in %s.", Path(run) / ACCESS_LOG_FILE)
        except OSError as error:
            logger.warning("This look at test images could not be written down in the run: %s", write_error(run, error))
    lines = [entry.model_dump_json() for entry in sorted([*known, access], key=lambda entry: entry.when)]
    write_text(Path(folder) / ACCESS_LOG_FILE, "\n".join(lines) + "\n")


def read_access_log(folder: Path) -> list[Access]:
    """The scorings written down in a folder, the oldest first; a line that is damaged is said and left out."""
    try:
        lines = (Path(folder) / ACCESS_LOG_FILE).read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return []
    accesses = []
    for number, line in enumerate(lines, start=1):
        try:
            accesses.append(Access.model_validate_json(line))
        except ValidationError:
            logger.warning("Line %d of %s cannot be read and does not count.", number, Path(folder) / ACCESS_LOG_FILE)
    return accesses


def access_note(accesses: Sequence[Access]) -> str:
    """What the report says of the ledger, of which the last line is the scoring that is reported.

    >>> access = Access(when="2026-01-02T10:00:00+00:00", why="run", model="m", data="d", images=9)
    >>> access_note([access])
    'By the ledger, these test images were scored once, on 2026-01-02.'
    """
    last = accesses[-1]
    same = [access for access in accesses if access.data == last.data]
    other_sets = len({access.data for access in accesses}) - 1
    more = f" It knows of {other_sets} other set{'' if other_sets == 1 else 's'} of test images." if other_sets else ""
    if len(same) == 1:
        return f"By the ledger, these test images were scored once, on {last.when[:10]}.{more}"
    models = len({access.model for access in same})
    times = f"{len(same)} times, from {same[0].when[:10]} to {last.when[:10]}"
    text = f"By the ledger, these test images were scored {times}"
    if models == 1:
        return f"{text}, each time by the same model.{more}"
    return (
        f"{text}, by {models} different models. Whatever was changed or chosen after the first look may have been "
        f"chosen by these images, and then the figures flatter it.{more}"
    )


def _append(path: Path, access: Access) -> None:
    """One write of one line, which starts on a new line where the one before it was cut off."""
    text = access.model_dump_json() + "\n"
    if path.exists() and not path.read_bytes().endswith(b"\n"):
        text = "\n" + text
    with path.open("a", encoding="utf-8") as ledger:
        ledger.write(text)
