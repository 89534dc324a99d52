"""How an operating point was chosen, and what it does at least, in words; for the report and for the model card."""

from __future__ import annotations

from collections.abc import Sequence

from radlens.decision import TARGET_RULES, WEIGHING_RULES, OperatingPoint, Task

_CHOSEN_THERE = "The threshold was chosen on these very images: expect a little less on others."


def rule_in_words(point: OperatingPoint, task: Task) -> str:
    """A sentence on the rule.

    >>> rule_in_words(OperatingPoint("sensitivity:0.95", 0.96, 0.93, 0.8, 0.71, 0.95, 40, 60), "binary")
    'Rule: the highest threshold that reaches a sensitivity of 95% on validation images (sensitivity:0.95).'
    """
    if point.rule.startswith("none:"):
        asked = point.rule.removeprefix("none:")
        return f"Rule: none; {asked} could not be followed on these validation images, and 0.5 was taken instead."
    if is_fixed(point):
        return f"Rule: none; the threshold {point.rule} was stated in the settings, not chosen on images."
    rule, _, target = point.rule.partition(":")
    each = " over the labels" if task == "multilabel" else ""
    if target:
        end = "highest" if rule == "sensitivity" else "lowest"
        what = f"the {end} threshold that reaches a {rule} of {100 * float(target):g}%"
    elif rule == "balanced":
        what = f"the highest mean of sensitivity and specificity{each}"
    elif rule == "youden":
        what = f"the highest sum of sensitivity and specificity (Youden's index plus 1){each}"
    else:
        what = f"the least expected cost of wrong answers{each}{_costs(point)}"
    copies = f" and {point.copies} changed cop{'y' if point.copies == 1 else 'ies'} of each" if point.copies else ""
    return f"Rule: {what} on validation images{copies} ({point.rule})."


def _costs(point: OperatingPoint) -> str:
    if point.cost_missed is None or point.cost_alarm is None:
        return ""
    if point.cost_prevalence is None:
        met = "positives being as frequent as there,"
    else:
        met = f"{100 * point.cost_prevalence:g}% of the images being positive,"
    return f", a missed finding costing {point.cost_missed:g} and a false alarm {point.cost_alarm:g}, {met}"


def bounds_in_words(point: OperatingPoint, task: Task, classes: Sequence[str]) -> str:
    """Sentences on what the operating point does on validation images, and at least.

    >>> bounds_in_words(OperatingPoint("0.5", 0.96, 0.93, 0.8, 0.71, 0.95, 40, 60), "binary", ("well", "ill"))
    'On validation images (patients: 40 with ill, 60 with well) its sensitivity is 96.0%, at least 93.0%; its \
specificity 80.0%, at least 71.0%. Each bound by itself is right with 95% confidence (one-sided, by patients).'
    """
    with_it, without = f"{point.positive_patients:,}", f"{point.negative_patients:,}"
    if task == "multilabel":
        who, mean = f"patients: for each label at least {with_it} with it, {without} without", "mean "
    else:
        who, mean = f"patients: {with_it} with {classes[1]}, {without} with {classes[0]}", ""
    said = (
        f"On validation images ({who}) its {mean}sensitivity is {point.sensitivity:.1%}, at least "
        f"{bound(point.sensitivity_low)}; its {mean}specificity {point.specificity:.1%}, at least "
        f"{bound(point.specificity_low)}. Each bound by itself is right with {point.confidence:.0%} confidence "
        "(one-sided, by patients)."
    )
    return said if is_fixed(point) else f"{said} {_CHOSEN_THERE}"


def is_fixed(point: OperatingPoint) -> bool:
    """Whether the threshold was stated, and not chosen on images."""
    return point.rule.partition(":")[0] not in (*WEIGHING_RULES, *TARGET_RULES)


def bound(value: float) -> str:
    """A share in percent, never rounded up: a bound must stay one.

    >>> bound(0.97249), bound(0.9999), bound(1.0)
    ('97.2%', '99.9%', '100.0%')
    """
    return f"{int(1000 * value + 1e-9) / 10:.1f}%"
