"""What to think of shortcuts, families of file names and drift: findings with their severity, in words.

None of them blocks: they make a model's results hard to carry elsewhere, not wrong on these images, and some (age, a
larger heart in a thumbnail) are what the disease looks like. They warn where the interval leaves no doubt.
"""

from __future__ import annotations

from collections.abc import Sequence

from radlens.dataset.audit.drift import Drift
from radlens.dataset.audit.findings import Finding, Severity
from radlens.dataset.audit.framing_findings import framing_findings
from radlens.dataset.audit.name_families import FamiliesOfLabel
from radlens.dataset.audit.shortcut_words import (
    EXAMPLES,
    TOLD,
    WARNED,
    by_class,
    how_well,
    interval,
    sampled,
    told_alone,
)
from radlens.dataset.audit.shortcuts import Shortcut, View

# Drift that counts: hardly by chance, and not too small to matter.
DRIFT_P = 0.01
DRIFT_EFFECT = 0.1


def shortcut_findings(shortcuts: Sequence[Shortcut]) -> list[Finding]:
    """Judge how well the label is told without the anatomy.

    Facts, border and frame warn, because none of them shows much anatomy. A thumbnail does show some, so what it tells
    is a note: a mark to measure the model against.
    """
    by_view = {shortcut.view: shortcut for shortcut in shortcuts}
    return [*_of_facts(by_view), *_of_thumbnail(by_view), *_of_border(by_view), *framing_findings(by_view)]


def _of_facts(by_view: dict[View, Shortcut]) -> list[Finding]:
    """The view without any grey level speaks first; that with intensities, when it alone reaches further."""
    seen = [by_view[view] for view in ("file", "facts") if view in by_view]
    for limit in (WARNED, TOLD):
        for shortcut in seen:
            if shortcut.worst[1].low > limit:
                return [_fact_finding(shortcut, "warn" if limit == WARNED else "note")]
    return []


def _fact_finding(shortcut: Shortcut, severity: Severity) -> Finding:
    seen = "the size, form and header of its file alone, without a single pixel,"
    if shortcut.view == "facts":
        seen = "facts of its file and plain statistics of its grey levels and border, without the anatomy,"
    label, auroc = shortcut.worst
    telling = [weight for weight in shortcut.facts if weight.auroc > TOLD]
    message = (
        f"Whether an image is {label} is {how_well(auroc)} told by {seen} with AUROC {interval(auroc)}. "
        f"A model may learn how the images were made instead of the disease, and do worse on images from elsewhere. "
        "Find out where the classes come from; bring all images into one form, or take the classes from the same "
        "sources; and judge the model on images from another source."
    )
    names = {weight.fact for weight in telling}
    if names & {"bytes", "bytes_per_pixel"}:
        message += " Bytes may also tell how much detail a picture shows."
    if names & {"age", "sex"}:
        message += " Age and sex may also go with the disease itself."
    return Finding(
        check="shortcut_facts",
        severity=severity,
        message=message + sampled(shortcut),
        count=shortcut.images,
        examples=tuple(map(told_alone, (telling or shortcut.facts[:3])[:EXAMPLES])),
    )


def _of_thumbnail(by_view: dict[View, Shortcut]) -> list[Finding]:
    shortcut = by_view.get("thumbnail")
    if shortcut is None or shortcut.worst[1].low <= WARNED:
        return []
    label, auroc = shortcut.worst
    return [
        Finding(
            check="shortcut_thumbnail",
            severity="note",
            message=f"Whether an image is {label} is {how_well(auroc)} told by an 8 x 8 thumbnail, in which no fine "
            f"structure is left, with AUROC {interval(auroc)}. This can be anatomy (a large opacity, the shape of the "
            "chest) or else exposure, position and processing. A model whose AUROC is no better than this may have "
            "learned nothing finer." + sampled(shortcut),
            count=shortcut.images,
            examples=by_class(shortcut),
        )
    ]


def _of_border(by_view: dict[View, Shortcut]) -> list[Finding]:
    shortcut = by_view.get("border")
    if shortcut is None or shortcut.worst[1].low <= TOLD:
        return []
    label, auroc = shortcut.worst
    compared = ""
    if "thumbnail" in by_view and label in by_view["thumbnail"].classes:
        whole = by_view["thumbnail"].classes[label]
        compared = f" (a thumbnail of the whole picture: {interval(whole)})"
    return [
        Finding(
            check="shortcut_border",
            severity="warn" if auroc.low > WARNED else "note",
            message=f"Whether an image is {label} is {how_well(auroc)} told by the outermost 6 % of the picture "
            f"alone, with AUROC {interval(auroc)}{compared}. Hardly any disease is seen there: markers, "
            "collimation, black bars, position or exposure differ between the classes, and a model may learn these. "
            "Look at the edges of the pictures of each class, crop them, and see where the model looks (saliency)."
            + sampled(shortcut),
            count=shortcut.images,
            examples=by_class(shortcut),
        )
    ]


def family_findings(families: Sequence[FamiliesOfLabel]) -> list[Finding]:
    """Warn of labels whose images come in families of file names that differ; note those that do not."""
    return [_family_finding(label) for label in families if label.views]


def _family_finding(of_label: FamiliesOfLabel) -> Finding:
    best = max(of_label.views, key=lambda view: of_label.views[view].low)
    differ = of_label.views[best].low > TOLD
    counts = " and ".join(f"{family.images} {family.form}" for family in of_label.families)
    names = {"facts": "facts of the file and grey levels", "thumbnail": "an 8 x 8 thumbnail", "border": "the border"}
    message = (
        f"The images of {of_label.label or 'no label'} come in {len(of_label.families)} families of file names: "
        f"{counts}. "
    )
    if differ:
        message += (
            f"A small model tells them apart by {names[best]} alone, with AUROC {interval(of_label.views[best])}, so "
            "they differ in where they come from, how they were made, or what they show. See that every split holds "
            "all of them, and report results for each."
        )
    else:
        message += "They are not clearly told apart by facts, thumbnail or border."
    if not any(family.elsewhere for family in of_label.families):
        message += " No other label has such names: whoever sees the file name knows the label."
    if of_label.sampled:
        message += f" (Told from {of_label.images:,} images drawn by patient.)"
    return Finding(
        check="file_name_families",
        severity="warn" if differ else "note",
        message=message,
        count=len(of_label.families),
        examples=tuple(f"{view}: AUROC {interval(auroc)}" for view, auroc in of_label.views.items()),
        groups=(tuple(family.example for family in of_label.families),),
    )


def drift_findings(drift: Sequence[Drift]) -> list[Finding]:
    """Warn of facts in which a split differs from train by more than chance, and by enough to matter."""
    strong = [each for each in drift if each.p_corrected < DRIFT_P and each.effect >= DRIFT_EFFECT]
    if not strong:
        return []
    strong.sort(key=lambda each: -each.effect)
    splits = " and ".join(dict.fromkeys(each.split for each in strong))
    facts = len({each.fact for each in strong})
    mixed = any(each.fact.startswith("label") for each in strong)
    return [
        Finding(
            check="drift",
            severity="warn",
            message=f"{splits} differ{'' if ' and ' in splits else 's'} from train in {facts} fact(s) of the images, "
            "by more than chance and enough to matter: results there may say more about the difference than about the "
            "model. Find out why; if the split is your own, split the images again (data.split.official=false)."
            + (" The mix of labels differs too, which can move other facts with it." if mixed else ""),
            count=facts,
            examples=tuple(map(_difference, strong[:EXAMPLES])),
        )
    ]


def _difference(drift: Drift) -> str:
    p = "p < 0.0001" if drift.p_corrected < 1e-4 else f"p = {drift.p_corrected:.4f}"
    if drift.level is None:
        values = f"median {drift.value:,.5g} in {drift.split}, {drift.reference_value:,.5g} in {drift.reference}"
        return f"{drift.fact}: {values} (distance {drift.effect:.2f}, {p})"
    values = f"{drift.value:.0%} in {drift.split}, {drift.reference_value:.0%} in {drift.reference}"
    return f"{drift.fact} {drift.level or 'unknown'}: {values} (Cramér's V {drift.effect:.2f}, {p})"
