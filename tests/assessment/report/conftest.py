"""A page as a browser and a screen reader get it, and audits to fill it."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest

from radlens.assessment.evaluate import evaluate
from radlens.assessment.predictions import predictions_table
from radlens.assessment.report import ReportContent
from radlens.config import EvaluateSettings
from radlens.dataset.audit import Audit, Finding
from radlens.dataset.manifest import Manifest


class Page(HTMLParser):
    """What is in a page: elements with their attributes, and all text."""

    VOID = frozenset({"img", "meta", "wbr", "br", "link", "input", "hr"})

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.words: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attrs):
        """Note an element and remember that it is open."""
        self.elements.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        """Note an element that closes itself."""
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        """Every end belongs to the last start."""
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag

    def handle_data(self, data):
        """Collect what can be read."""
        if self.open and self.open[-1] != "style":
            self.words.append(data)

    @property
    def text(self) -> str:
        """All that can be read, with single spaces."""
        return " ".join(" ".join(self.words).split())

    def all(self, tag: str) -> list[dict[str, str | None]]:
        """The attributes of every element of a kind."""
        return [attributes for name, attributes in self.elements if name == tag]


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
def audit_of() -> object:
    return make_audit


@pytest.fixture(scope="module")
def content(manifest_of, probabilities_for) -> ReportContent:
    """Of a binary task, with nothing that may be absent."""
    manifest = manifest_of("binary")
    predictions = predictions_table(manifest, probabilities_for(manifest))
    metrics = evaluate(predictions, manifest.info, 0.5, EvaluateSettings(resamples=100), seed=0)
    return ReportContent("A run", manifest.info, manifest.table, predictions, metrics)
