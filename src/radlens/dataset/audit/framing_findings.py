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
    ("framing_vertical", "vertical", "how tall the chest is in the picture, and what is shown above and below it"),
    ("framing_horizontal", "horizontal", "how wide the chest is, and what is shown left and right of it"),
)


def framing_findings(by_view: Mapping[View, Shortcut]) -> list[Finding]:
    """Warn where the frame tells the label, and say which way.

    Only the place of the chest counts. The profiles of rows and columns are told for comparison: an opacity changes
    them too, and on simulated chests framed alike they reach an AUROC of 0.76, the place of the chest 0.54.
    """
    whole = by_view.get("framing")
    if whole is None:
        return []
    axes = [(by_view[view], name, what) for view, name, what in _AXES if by_view[view].worst[1].low > TOLD]
    telling = [shortcut for shortcut, _, _ in axes] + [whole] * (whole.worst[1].low > TOLD)
    if not telling:
        return []
    strongest = max(telling, key=lambda shortcut: shortcut.worst[1].low)
    label, auroc = strongest.worst
    parts = [f"{name} framing ({what}) with AUROC {interval(found.classes[label])}" for found, name, what in axes]
    by = " and ".join(parts) or f"height and width of the frame together with AUROC {interval(auroc)}"
    if len(parts) > 0 and strongest is whole:
        by += f", both ways together {interval(auroc)}"
    message = (
        f"Whether an image is {label} is {how_well(auroc)} told by how tightly the chest is framed: by {by}. "
        f"{_directions(whole)}A model may learn how the pictures were framed instead of the disease, and be wrong "
        "wherever they are framed otherwise. Where the chest lies was found from the whole picture, so that an opacity "
        "has little part in this; the build of the patients, their age and their breath may have some. Judge the model "
        "by the same images in other frames (radlens stress), train it with changed frames (augment.stretch, "
        f"augment.sides), or crop the images of all classes to one form.{_profiles(by_view, label)}"
    )
    groups, titles = _pictures(whole.extremes)
    return [
        Finding(
            check="shortcut_framing",
            severity="warn" if auroc.low > WARNED else "note",
            message=message + sampled(whole),
            count=whole.images,
            examples=tuple(map(told_alone, whole.facts[:EXAMPLES])),
            groups=groups,
            titles=titles,
        )
    ]


def _directions(whole: Shortcut) -> str:
    """What is larger in the class told best, by the most telling fact of each axis that tells something."""
    said = []
    for names in (VERTICAL, HORIZONTAL):
        best = next((fact for fact in whole.facts if fact.fact in names), None)
        if best is not None and best.medians is not None and best.interval is not None and best.interval[0] > TOLD:
            said.append(_direction(best, best.medians))
    text = "; ".join(said)
    return f"{text[:1].upper()}{text[1:]}. " if said else ""


def _direction(fact: FactWeight, medians: tuple[float, float]) -> str:
    side = "height" if fact.fact in VERTICAL else "width"
    own, others = medians
    return (
        f"{FACT_WORDS[fact.fact]} is {own:.0%} of the picture's {side} in {fact.label} (median), {others:.0%} elsewhere"
    )


def _profiles(by_view: Mapping[View, Shortcut], label: str) -> str:
    both = [by_view[view].classes.get(label) for view in ("framing_rows", "framing_columns") if view in by_view]
    told = [interval(auroc) for auroc in both if auroc is not None]
    if len(told) < 2:
        return ""
    return f" For comparison: the mean grey of 32 rows alone tells it with AUROC {told[0]}, of 32 columns {told[1]}."


def _pictures(extremes: Extremes | None) -> tuple[tuple[tuple[str, ...], ...], tuple[str, ...]]:
    if extremes is None:
        return (), ()
    words = FACT_WORDS[extremes.fact]
    return (extremes.least, extremes.most), (f"Least: {words}", f"Most: {words}")
