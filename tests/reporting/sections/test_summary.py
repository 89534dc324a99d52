"""What follows the headline of a report."""

from __future__ import annotations

from dataclasses import replace

from radlens.reporting.content import ReportContent
from radlens.reporting.sections.summary import positive_sentence


def test_the_positive_class_is_named_with_what_told_it(content: ReportContent) -> None:
    negative, positive = content.info.classes
    info = content.info.model_copy(update={"positive_reason": "as the model has it"})
    assert positive_sentence(replace(content, info=info)) == (
        f"Positive class: {positive} (as the model has it). Sensitivity speaks of {positive}, "
        f"specificity of {negative}."
    )
    other = content.info.model_copy(update={"task": "multiclass"})
    assert positive_sentence(replace(content, info=other)) == ""
