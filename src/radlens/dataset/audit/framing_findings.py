"""What to think of the frame: whether it tells the label, in height or in width, and what to do about it."""

from __future__ import annotations

from collections.abc import Mapping

from radlens.dataset.audit.findings import Finding
from radlens.dataset.audit.framing import HORIZONTAL, VERTICAL
from radlens.dataset.audit.shortcut_words import EXAMPLES, TOLD, WARNED, how_well, interval, sampled, told_alone
from radlens.dataset.audit.shortcuts import Extremes, FactWeight, Shortcut, View

FACT_WORDS = {
    "chest_height": "the height of the chest",
    "above_chest": "how much is shown above the chest",
    "below_chest": "how much is shown below the chest",
    "chest_width": "the width of the chest",
    "left_of_chest": "how much is shown left of the chest",
    "right_of_chest": "how much is shown right of the chest",
    "chest_aspect": "how tall the chest is for its width",
    "chest_share": "the chest's share of the picture",
}
_AXES: tuple[tuple[View, str, str], ...] = (
    ("framing_vertical", "vertical", "height of the chest, what is shown above and below"),
    ("framing_horizontal", "horizontal", "its width, what is shown to the sides"),
)


def framing_findings(by_view: Mapping[View, Shortcut]) -> list[Finding]:
    """Warn where the frame tells the label, and say which way.

    Only the place of the chest counts. The profiles of rows and columns are told for comparison: an opacity changes
    them too, and on simulated chests framed alike they reach an AUROC of 0.76, the place of the chest 0.56.
    """
    whole = by_view.get("framing")
    if whole is None:
        return []
    judged = [whole, *(by_view[view] for view, _, _ in _AXES)]
    strongest = max(judged, key=lambda shortcut: shortcut.worst[1].low)
    label, auroc = strongest.worst
    if auroc.low <= TOLD:
        return []
    axes = [(by_view[view].classes[label], name, what) for view, name, what in _AXES]
    parts = [f"{name} framing ({what}) with AUROC {interval(own)}" for own, name, what in axes if own.low > TOLD]
    by = " and ".join(parts) or f"height and width of the frame together with AUROC {interval(auroc)}"
    if parts and strongest is whole:
        by += f", both ways together {interval(auroc)}"
    message = (
        f"Whether an image is {label} is {how_well(auroc)} told by how tightly the chest is framed: by {by}. "
        f"{_directions(whole)}A model may learn how the pictures were framed instead of the disease, and be wrong "
        "wherever they are framed otherwise. Where the chest lies was found from the whole picture, so that an opacity "
        "has little part in this; the build of the patients, their age and their breath may have some. Judge the model "
        "by the same images in other frames (radlens stress), train it with changed frames (augment.stretch, "
        "augment.sides), or crop the images of all classes to one form."
    )
    groups, titles = _pictures(whole.extremes)
    return [
        Finding(
            check="shortcut_framing",
            severity="warn" if auroc.low > WARNED else "note",
            message=message + sampled(whole),
            count=whole.images,
            examples=(*map(told_alone, whole.facts[:EXAMPLES]), *_profiles(by_view, label)),
            groups=groups,
            titles=titles,
        )
    ]


def _directions(whole: Shortcut) -> str:
    """What is larger in the class told best, by the most telling fact of each axis that tells something."""
    directions = []
    for names in (VERTICAL, HORIZONTAL):
        best = next((fact for fact in whole.facts if fact.fact in names), None)
        if best is not None and best.medians is not None and best.interval is not None and best.interval[0] > TOLD:
            directions.append(_direction(best, best.medians))
    text = "; ".join(directions)
    return f"{text[:1].upper()}{text[1:]}. " if directions else ""


def _direction(fact: FactWeight, medians: tuple[float, float]) -> str:
    side = "height" if fact.fact in VERTICAL else "width"
    own, elsewhere = medians
    return (
        f"{FACT_WORDS[fact.fact]} is {own:.0%} of the picture's {side} in {fact.label} (median), "
        f"{elsewhere:.0%} elsewhere"
    )


def _profiles(by_view: Mapping[View, Shortcut], label: str) -> list[str]:
    views: tuple[tuple[View, str], ...] = (("framing_rows", "rows"), ("framing_columns", "columns"))
    return [
        f"for comparison, the mean grey of 32 {lines}: AUROC {interval(by_view[view].classes[label])}"
        for view, lines in views
        if view in by_view and label in by_view[view].classes
    ]


def _pictures(extremes: Extremes | None) -> tuple[tuple[tuple[str, ...], ...], tuple[str, ...]]:
    if extremes is None:
        return (), ()
    words = FACT_WORDS[extremes.fact]
    return (extremes.least, extremes.most), (f"Least: {words}", f"Most: {words}")
