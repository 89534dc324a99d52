"""What the figures were made with and of, so that they can be made and checked again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from radlens.dataset.access_log import opening_note
from radlens.reporting.content import Provenance, ReportContent
from radlens.reporting.figures.style import SPLIT_NAMES

_ORIGINS = {
    "run": "The model that this run trained.",
    "folds": "One model a fold, each trained by this run without the patients that it judged.",
    "model": "A model trained before.",
    "outside": "Another program; its predictions were read from a file.",
}


@dataclass(frozen=True)
class Fact:
    """A name and what it is; a hash is set in type that can be compared."""

    name: str
    value: str
    hash: bool = False


@dataclass(frozen=True)
class ProvenanceView:
    """The section, ready to be shown; ``own_training``: whether the settings of training are this run's."""

    own_training: bool
    facts: tuple[Fact, ...]
    note: str
    openings: tuple[tuple[str, str, str, str, str], ...]


def provenance_view(content: ReportContent) -> ProvenanceView | None:
    """The section; None where nothing is known."""
    made = content.provenance
    facts = [*(_model(made) if made else ()), *(_images(made) if made else ()), *_code(content)]
    if not facts:
        return None
    openings = made.openings if made else ()
    own_training = made is None or made.origin in ("run", "folds")
    return ProvenanceView(
        own_training, tuple(facts), opening_note(openings) if openings else "", tuple(_openings(made))
    )


def _model(made: Provenance) -> Iterator[Fact]:
    yield Fact("Who answered", _ORIGINS[made.origin])
    if made.network:
        yield Fact("Network", made.network)
    if made.training and made.origin == "model":
        yield Fact("Trained by", f"{made.training}.")
    for name, digest in made.model.items():
        yield Fact(name, digest, hash=True)
    if made.origin in ("folds", "outside") and made.openings:
        of = "The models of all folds" if made.origin == "folds" else "Table of predictions"
        yield Fact(of, made.openings[-1].model, hash=True)


def _images(made: Provenance) -> Iterator[Fact]:
    what = "contents and labels" if made.opened else "paths and labels"
    for split, digest in made.images.items():
        yield Fact(f"{SPLIT_NAMES[split].capitalize()} images, {what}", digest, hash=True)
    if made.training_images:
        yield Fact("Images that the model was made of, contents", made.training_images, hash=True)
    if made.trained_on and made.origin == "model":
        yield Fact("Data set that the model was made of", made.trained_on)


def _code(content: ReportContent) -> Iterator[Fact]:
    known = content.environment
    if known.get("radlens"):
        yield Fact("radlens", str(known["radlens"]))
        commit = known.get("git_commit")
        yield Fact("Git commit", str(commit or "none: not run from a checkout"), hash=bool(commit))
    if known.get("seed") is not None:
        yield Fact("Seed", str(known["seed"]))
    if known.get("started"):
        yield Fact("Begun", _when(str(known["started"])))


def _openings(made: Provenance | None) -> Iterator[tuple[str, str, str, str, str]]:
    """When, why, how many images, whether these, by what."""
    if made is None or not made.openings:
        return
    last = made.openings[-1]
    for opening in made.openings:
        these = "these" if opening.data == last.data else "others"
        yield _when(opening.when), opening.why, f"{opening.images:,}", these, f"{opening.model[:12]}…"


def _when(text: str) -> str:
    """Date and time of an ISO text in UTC.

    >>> _when("2026-01-02T10:00:05+00:00")
    '2026-01-02 10:00 UTC'
    """
    return f"{text[:10]} {text[11:16]} UTC" if text.endswith("+00:00") else text
