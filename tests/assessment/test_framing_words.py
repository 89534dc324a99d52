"""What is said of framing follows from the figures, and names what would help."""

from __future__ import annotations

import pytest

from radlens.assessment import framing_words
from radlens.assessment.framing_words import advice, change_in_words, line
from radlens.config import AugmentSettings
from radlens.imaging.framing import SUITE
from radlens.runtime.framing_records import Estimate, FramingSummary, Verdict


def summary(verdict: Verdict, worst: str = "top 10 %", losing: tuple[str, ...] = ()) -> FramingSummary:
    loss = 0.3 if losing else 0.01
    return FramingSummary(
        images=100,
        patients=80,
        confidence=0.95,
        verdict=verdict,
        worst=worst,
        worst_balanced_accuracy=Estimate(value=0.9 - loss, low=0.5, high=0.9),
        balanced_accuracy=0.9,
        loss=Estimate(value=loss, low=loss - 0.1, high=loss + 0.1),
        losing=losing,
    )


def test_every_change_of_the_suite_has_words_of_its_own() -> None:
    said = {change.name: change_in_words(change.name) for change in SUITE if change.kind != "combined"}
    assert len(set(said.values())) == len(said)
    assert not {change.name for change in SUITE} & {change_in_words(change.name) for change in SUITE}
    assert change_in_words("zoomed out 1.5") == "the image squeezed to 67 % of its size between black margins"
    assert change_in_words("stretched 0.6") == "the image squeezed to 60 % of its height between black margins"
    # Of a suite that this version does not know.
    assert change_in_words("turned 15 %") == "turned 15 %"


@pytest.mark.parametrize(
    ("found", "verdict", "sentence"),
    [
        (summary("pass"), "Framing: pass.", "The answers stay nearly the same"),
        (summary("warn", losing=("top",)), "Framing: warn.", "The answers may hang on how the images are framed"),
        (summary("warn"), "Framing: warn.", "Too few images of a class to tell"),
        (summary("fail", losing=("top",)), "Framing: FAIL.", "The answers hang on how the images are framed"),
    ],
)
def test_the_line_says_verdict_worst_change_and_figures(found: FramingSummary, verdict: str, sentence: str) -> None:
    said = line(found)
    assert said.startswith(f"{verdict} {sentence}")
    assert "10 % cut off at top" in said
    assert f"from 90.0% to {found.worst_balanced_accuracy.value:.1%}" in said


def test_the_advice_names_settings_for_every_kind_that_loses() -> None:
    assert advice(summary("pass")) == ""
    assert "20 images or more of each class" in advice(summary("warn"))
    cuts = advice(summary("fail", losing=("top", "all sides")))
    assert cuts.count("augment.sides") == 1
    assert "augment.stretch" not in cuts
    both = advice(summary("fail", losing=("left", "stretched", "zoomed out", "shifted")))
    for setting in ("sides", "crop", "stretch", "margin", "shift"):
        assert f"augment.{setting}" in both
        assert setting in AugmentSettings.model_fields
    assert "preprocessing.fit=pad" in both
    assert "augment.sides" in advice(summary("fail", losing=("combined",)))


def test_presets_are_named_where_they_have_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    found = summary("fail", losing=("stretched",))
    monkeypatch.setattr(framing_words, "presets", lambda: {"fast": {"augment": {"stretch": 0.5}}, "baseline": {}})
    assert "the preset fast sets these" in advice(found)
    monkeypatch.setattr(framing_words, "presets", lambda: {"fast": {"augment": {"stretch": 0.0}}, "baseline": {}})
    assert "preset" not in advice(found)
