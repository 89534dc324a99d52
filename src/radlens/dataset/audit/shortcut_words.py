"""Words and limits that the findings about shortcuts have in common."""

from __future__ import annotations

from radlens.dataset.audit.shortcuts import FactWeight, Shortcut
from radlens.statistics.auroc import Auroc

# AUROC that the lower limit must exceed: to be told of at all, to warn, and to be called almost the label itself.
TOLD = 0.6
WARNED = 0.7
ALMOST_CERTAIN = 0.9

EXAMPLES = 10


def interval(auroc: Auroc) -> str:
    """An AUROC with its limits.

    >>> interval(Auroc(value=0.8, low=0.75, high=0.84))
    '0.80 (95 % interval 0.75 to 0.84)'
    """
    return f"{auroc.value:.2f} (95 % interval {auroc.low:.2f} to {auroc.high:.2f})"


def how_well(auroc: Auroc) -> str:
    """How certainly the label is told, in a word or two."""
    if auroc.low > ALMOST_CERTAIN:
        return "almost certainly"
    return "largely" if auroc.low > WARNED else "partly"


def told_alone(fact: FactWeight) -> str:
    """A fact and how much it tells alone; with its interval and its medians where they are known."""
    if fact.interval is None or fact.medians is None:
        return f"{fact.fact}: AUROC {fact.auroc:.2f} alone ({fact.label})"
    low, high = fact.interval
    own, others = fact.medians
    told = f"{fact.auroc:.2f} (95 % interval {low:.2f} to {high:.2f})"
    return f"{fact.fact}: AUROC {told} alone; median {own:.2f} in {fact.label}, {others:.2f} in the others"


def by_class(shortcut: Shortcut) -> tuple[str, ...]:
    """Each class with its AUROC, the one told best first."""
    ranked = sorted(shortcut.classes.items(), key=lambda item: -item[1].value)
    return tuple(f"{name}: AUROC {interval(auroc)}" for name, auroc in ranked[:EXAMPLES])


def sampled(shortcut: Shortcut) -> str:
    """That not all images were looked at, where it is so."""
    return f" (Told from {shortcut.images:,} images drawn by patient.)" if shortcut.sampled else ""
