"""The report says how the stated rate of error was chosen, and shows what each rate would have cost."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from html_page import Page
from known import known
from radlens.assessment.evaluate import evaluate
from radlens.assessment.predictions import with_answers
from radlens.config import EvaluateSettings
from radlens.reporting import ReportContent, render_report
from radlens.reporting.content import Provenance
from radlens.reporting.figures.abstention import alpha_costs
from radlens.reporting.sections.abstention import alpha_view
from radlens.runtime.records import Abstention, AlphaChoice, AlphaCost

CHOICE = AlphaChoice(
    images=400,
    patients=390,
    errors=14,
    referrals_per_error=10,
    most_referred=0.1,
    points=(
        AlphaCost(alpha=0.02, referred=44, errors_avoided=14),
        AlphaCost(alpha=0.05, referred=21, errors_avoided=12),
    ),
)
LIMITS = Abstention(
    alpha=0.05, alpha_rule="cost", alpha_choice=CHOICE, least_probabilities={"0.02": (0.1, 0.1), "0.05": (0.3, 0.4)}
)


def with_limits(content: ReportContent, limits: Abstention | None) -> ReportContent:
    predictions = with_answers(content.predictions, content.info, (0.3, 0.4), None)
    metrics = evaluate(predictions, content.info, 0.5, EvaluateSettings(resamples=100), seed=0)
    return replace(content, predictions=predictions, metrics=metrics, provenance=Provenance("model", abstention=limits))


def test_the_chosen_rate_and_the_cost_of_each_are_on_the_page(content: ReportContent, page_of: type[Page]) -> None:
    text = page_of(render_report(with_limits(content, LIMITS))).text
    assert "The stated rate of error, 5%, was chosen by what it costs on half of the validation images" in text
    assert "it refers 21 of 400 and avoids 12 of 14 errors, an avoided error being worth 10 referrals" in text
    assert "What a rate of error costs" in text
    assert "2%: 44 referred, 14 errors avoided; 5%: 21 referred, 12 errors avoided" in text


def test_every_point_is_drawn_and_the_chosen_one_marked(content: ReportContent) -> None:
    chart = known(known(alpha_view(with_limits(content, LIMITS))).chart)
    (axes,) = chart.figure.axes
    curve, chosen = axes.lines[:2]
    np.testing.assert_allclose(np.asarray(curve.get_xydata()), np.array([[0.11, 1.0], [0.0525, 12 / 14]]))
    np.testing.assert_allclose(np.asarray(chosen.get_xydata()), np.array([[0.0525, 12 / 14]]))


def test_rates_of_the_same_outcome_share_a_label() -> None:
    same = CHOICE.model_copy(
        update={
            "points": tuple(
                AlphaCost(alpha=alpha, referred=referred, errors_avoided=5)
                for alpha, referred in ((0.01, 90), (0.02, 40), (0.05, 40), (0.1, 40))
            )
        }
    )
    (axes,) = alpha_costs(same, 0.05).axes
    assert [text.get_text() for text in axes.texts] == ["1%", "2–10%"]


def test_a_rate_that_was_not_weighed_has_no_curve(content: ReportContent, page_of: type[Page]) -> None:
    for rule, said in (("stated", "is that of the settings"), ("images", "there are too few validation images")):
        limits = Abstention(alpha=0.05, alpha_rule=rule, least_probabilities=LIMITS.least_probabilities)
        assert known(alpha_view(with_limits(content, limits))).chart is None
        assert said in page_of(render_report(with_limits(content, limits))).text
    assert alpha_view(with_limits(content, None)) is alpha_view(content) is None
    earlier = Abstention(alpha=0.05, least_probabilities=LIMITS.least_probabilities)
    assert "stated rate of error," not in page_of(render_report(with_limits(content, earlier))).text


def test_where_every_rate_refers_too_much_that_is_said(content: ReportContent) -> None:
    choice = CHOICE.model_copy(update={"most_referred": 0.02})
    view = alpha_view(with_limits(content, LIMITS.model_copy(update={"alpha_choice": choice})))
    assert "every rate refers more than 2% (evaluate.most_referred), and this one fewest" in known(view).sentence
