"""What reads a page, and audits and a run to fill it."""

from __future__ import annotations

import pytest

from evidence_fixtures import manifest_of, predictions_of, probabilities_for
from fixture_types import AuditOf, ManifestOf, ProbabilitiesFor
from html_page import Page
from radlens.assessment.evaluate import evaluate
from radlens.assessment.predictions import predictions_table
from radlens.config import EvaluateSettings
from radlens.dataset.audit import Audit, Finding
from radlens.dataset.manifest import Manifest
from radlens.reporting import ReportContent

__all__ = ["audit_of", "content", "manifest_of", "page_of", "predictions_of", "probabilities_for"]


def make_audit(manifest: Manifest, *findings: Finding, **options: object) -> Audit:
    counts = {str(split): row.to_dict() for split, row in manifest.class_counts().iterrows()}
    splits = manifest.table.groupby("split")
    facts = {
        "name": manifest.info.name,
        "task": manifest.info.task,
        "classes": manifest.info.classes,
        "images": len(manifest),
        "patients": manifest.table["patient"].nunique(),
        "unreadable": 0,
        "counts": counts,
        "split_images": splits.size().to_dict(),
        "split_patients": splits["patient"].nunique().to_dict(),
        "findings": findings,
    }
    return Audit.model_validate(facts | options)


@pytest.fixture(scope="session")
def page_of() -> type[Page]:
    return Page


@pytest.fixture(scope="session")
def audit_of() -> AuditOf:
    return make_audit


@pytest.fixture(scope="module")
def content(manifest_of: ManifestOf, probabilities_for: ProbabilitiesFor) -> ReportContent:
    """Of a binary task, with nothing that may be absent."""
    manifest = manifest_of("binary")
    predictions = predictions_table(manifest, probabilities_for(manifest))
    metrics = evaluate(predictions, manifest.info, 0.5, EvaluateSettings(resamples=100), seed=0)
    return ReportContent("A run", manifest.info, manifest.table, predictions, metrics)
