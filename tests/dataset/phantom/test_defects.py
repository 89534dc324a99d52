"""The plan of a set of phantoms: what was asked for is planted, and nothing else."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from radlens.base.errors import UsageError
from radlens.config import PhantomSettings
from radlens.dataset.manifest import split_labels
from radlens.dataset.phantom.defects import CLASSES, Plan, describe, draw_plan

choices = st.fixed_dictionaries(
    {
        "images": st.integers(8, 200),
        "seed": st.integers(0, 99),
        "task": st.sampled_from(["binary", "multiclass", "multilabel"]),
        "format": st.sampled_from(["jpeg", "png", "dicom", "mixed"]),
        "prevalence": st.floats(0.01, 0.99),
        "duplicates": st.integers(0, 30),
        "shared_patients": st.integers(0, 20),
        "wrong_labels": st.sampled_from([0.0, 0.1, 0.3]),
        "corrupt": st.integers(0, 12),
        "shortcut": st.sampled_from(["none", "marker", "size", "framing"]),
        "shortcut_strength": st.floats(0, 1),
    }
)


def _plan(**values: Any) -> tuple[Plan, PhantomSettings]:
    chosen = PhantomSettings(**values)
    return draw_plan(chosen), chosen


@settings(max_examples=150, deadline=None)
@given(values=choices)
def test_every_plan_holds_what_was_asked_for(values: dict[str, Any]) -> None:
    try:
        plan, chosen = _plan(**values)
    except UsageError:
        assume(False)
    assert draw_plan(chosen) == plan
    assert len(plan.images) + len(plan.copies) == chosen.images
    assert len(plan.copies) == chosen.duplicates
    assert len(plan.damaged) == chosen.corrupt
    paths = [image.path for image in plan.images] + [copy.path for copy in plan.copies]
    assert len(set(paths)) == len(paths)
    labels = Counter(name for image in plan.images for name in split_labels(image.label))
    assert set(labels) == set(CLASSES[chosen.task])
    per_patient = Counter(image.patient for image in plan.images)
    assert max(per_patient.values()) <= 4
    assert len({(image.patient, image.truth) for image in plan.images}) == len(per_patient)
    training = [image for image in plan.images if image.split in ("", "train")]
    wrong = [image for image in plan.images if image.label != image.truth]
    assert len(wrong) == round(chosen.wrong_labels * len(training))
    assert set(wrong) <= set(training)
    assert (chosen.shortcut == "none") <= (not any(image.cue for image in plan.images))
    damaged = {path for path, _ in plan.damaged}
    assert not damaged & {copy.source.path for copy in plan.copies}


@settings(max_examples=60, deadline=None)
@given(values=choices)
def test_only_the_planted_patients_are_shared(values: dict[str, Any]) -> None:
    try:
        plan, chosen = _plan(**values)
    except UsageError:
        assume(False)
    splits = defaultdict(set)
    for image in plan.images:
        splits[image.patient].add(image.split)
    for copy in plan.copies:
        splits[copy.patient].add(copy.split)
    if chosen.shared_patients == 0:
        assert set().union(*splits.values()) == {""}
    else:
        assert {number for number, names in splits.items() if len(names) > 1} == set(plan.shared)
        assert all(splits[number] == {"train", "test"} for number in plan.shared)
        assert len(plan.shared) == chosen.shared_patients


def test_splits_have_about_their_shares_in_each_class() -> None:
    plan, _ = _plan(images=1000, shared_patients=1)
    for label in ("normal", "pneumonia"):
        counts = Counter(image.split for image in plan.images if image.label == label)
        assert counts["train"] / counts.total() == pytest.approx(0.7, abs=0.05)
        assert counts["val"] / counts.total() == pytest.approx(0.15, abs=0.05)


@pytest.mark.parametrize("prevalence", [0.2, 0.5, 0.8])
def test_prevalence_is_that_of_the_patients(prevalence: float) -> None:
    plan, _ = _plan(images=800, prevalence=prevalence)
    truth = {image.patient: image.truth for image in plan.images}
    assert np.mean([value == "pneumonia" for value in truth.values()]) == pytest.approx(prevalence, abs=0.01)


@pytest.mark.parametrize("kind", ["marker", "size", "framing"])
def test_shortcut_correlates_by_its_strength(kind: str) -> None:
    for strength in (0.0, 0.5, 1.0):
        plan, chosen = _plan(images=4000, shortcut=kind, shortcut_strength=strength)
        cue = np.array([image.cue for image in plan.images], float)
        label = np.array([image.label == "pneumonia" for image in plan.images], float)
        assert np.corrcoef(cue, label)[0, 1] == pytest.approx(strength, abs=0.05)
        sizes = {image.size for image in plan.images if image.cue}
        assert sizes == ({280} if kind == "size" else {224})
        assert len(describe(plan, chosen)["shortcut"]["files"]) == cue.sum()


def test_copies_are_by_turns_of_the_same_and_of_another_patient() -> None:
    plan, _ = _plan(images=100, duplicates=10, shared_patients=2)
    others = [copy for copy in plan.copies if copy.patient != copy.source.patient]
    assert len(others) == 5
    known = {image.patient for image in plan.images}
    assert not known & {copy.patient for copy in others}
    assert all((copy.split == "train") != (copy.source.split == "train") for copy in others)


@pytest.mark.parametrize(
    ("values", "name"),
    [
        ({"images": 20, "duplicates": 8, "corrupt": 3}, "duplicates"),
        ({"images": 20, "shared_patients": 9}, "shared_patients"),
        ({"images": 8, "duplicates": 3, "corrupt": 1, "wrong_labels": 0.5}, "wrong_labels"),
    ],
)
def test_too_many_defects_are_refused(values: dict[str, Any], name: str) -> None:
    with pytest.raises(UsageError, match=name):
        _plan(**values)
