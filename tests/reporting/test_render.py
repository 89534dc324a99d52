"""The report as a browser and a screen reader get it."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fixture_types import AuditOf, ManifestOf, ProbabilitiesFor
from html_page import Page, value_of
from known import known, span
from radlens.assessment.evaluate import evaluate
from radlens.assessment.failure_reasons import REASONS, failures
from radlens.assessment.predictions import predictions_table
from radlens.config import EvaluateSettings
from radlens.dataset.audit import Finding
from radlens.dataset.manifest import Manifest
from radlens.reporting import ReportContent, render_report, write_report
from radlens.reporting.gallery import MOST_ERRORS

ContentOf = Callable[..., ReportContent]
HtmlOf = Callable[[str], str]

SETTINGS = EvaluateSettings(resamples=100)
TASKS = ("binary", "multiclass", "multilabel")
HOSTILE = '<img src=x onerror="alert(1)">'


def pixels(path: str) -> np.ndarray:
    return np.full((70, 90), sum(map(ord, path)) % 256, dtype=np.uint8)


@pytest.fixture(scope="module")
def content_of(manifest_of: ManifestOf, probabilities_for: ProbabilitiesFor, audit_of: AuditOf) -> ContentOf:
    @functools.cache
    def make(task: str = "binary", **options: object) -> ReportContent:
        manifest = manifest_of(task, **options)
        predictions = predictions_table(manifest, probabilities_for(manifest))
        rng = np.random.default_rng(0)
        size = len(manifest)
        facts = pd.DataFrame(
            {
                "path": manifest.table["path"],
                "width": rng.integers(100, 900, size),
                "height": rng.integers(100, 900, size),
                "bytes": 5000,
                "mode": "L",
                "format": "PNG",
                "mean": rng.uniform(80, 150, size),
                "std": rng.uniform(30, 60, size),
            }
        )
        history = pd.DataFrame(
            {
                "epoch": [1, 2],
                "train_loss": [0.6, 0.4],
                "val_loss": [0.61, 0.5],
                "val_auroc": [0.7, 0.8],
                "val_accuracy": [0.6, 0.7],
                "lr": [1e-3, 1e-3],
                "seconds": [40.0, 41.0],
            }
        )
        return ReportContent(
            title="A run",
            info=manifest.info,
            manifest=manifest.table,
            predictions=predictions,
            metrics=evaluate(predictions, manifest.info, 0.5, SETTINGS, seed=0),
            facts=facts,
            audit=audit_of(
                manifest,
                Finding(check="class_imbalance", severity="note", message="Fine.", count=0),
                Finding(check="leak", severity="block", message="Bad.", count=1, examples=("p1",)),
            ),
            rejected=[("broken.png", "the image is damaged")],
            samples={name: [f"{name}.png"] for name in manifest.info.classes},
            augmented=[(pixels("a"), [pixels("b")], [{"angle": -5.0, "zoom": 1.1, "flip_x": 1.0}])],
            history=history,
            best_epoch=2,
            read_pixels=pixels,
            settings_yaml="preset: fast\n",
            environment={"python": "3.11", "packages": {"torch": "2.13.0"}},
            notes=["The validation split was replaced."],
        )

    return make


@pytest.fixture(scope="module")
def html_of(content_of: ContentOf) -> HtmlOf:
    """The rendered report of a task, rendered once."""

    @functools.cache
    def render(task: str) -> str:
        return render_report(content_of(task))

    return render


def bare(content: ReportContent) -> ReportContent:
    """Only what cannot be absent."""
    return ReportContent(content.title, content.info, content.manifest, content.predictions, content.metrics)


@pytest.mark.parametrize("task", TASKS)
def test_the_page_is_well_formed_and_needs_nothing_outside(task: str, html_of: HtmlOf, page_of: type[Page]) -> None:
    page = page_of(html_of(task))
    assert page.open == []
    assert not {"script", "link", "iframe", "object", "base"} & {tag for tag, _ in page.elements}
    for tag, attributes in page.elements:
        for name in ("src", "href", "srcset", "action", "poster", "data", "xlink:href"):
            value = attributes.get(name)
            if value is not None:
                assert value.startswith(("#", "data:image/", "data:text/csv;base64,")), (tag, name, value[:60])
        assert not any(name.startswith("on") for name in attributes)
        assert "url(http" not in str(attributes.get("style"))


@pytest.mark.parametrize("task", TASKS)
def test_every_picture_says_what_it_shows(task: str, html_of: HtmlOf, page_of: type[Page]) -> None:
    page = page_of(html_of(task))
    images, charts = page.all("img"), page.all("svg")
    assert images
    assert charts
    assert all(image["alt"] and image["width"] and image["height"] for image in images)
    identifiers = [attributes["id"] for _, attributes in page.elements if attributes.get("id")]
    assert len(identifiers) == len(set(identifiers))
    for chart in charts:
        assert chart["role"] == "img"
        assert all(part in identifiers for part in value_of(chart, "aria-labelledby").split())
    for link in page.all("a"):
        if link.get("download"):
            continue
        assert value_of(link, "href").removeprefix("#") in identifiers


def test_alternative_texts_carry_the_numbers(content_of: ContentOf, html_of: HtmlOf) -> None:
    content, html = content_of("binary"), html_of("binary")
    block = content.metrics["test"]
    assert f"AUROC: PNEUMONIA {block.auroc.value:.3f} (95% CI " in html
    counts = np.array(block.confusion_matrix)
    assert f"true NORMAL: {counts[0][0]} called NORMAL, {counts[0][1]} called PNEUMONIA" in html
    assert "Epoch 2 was kept: validation loss 0.500, AUROC 0.800, accuracy 0.700." in html


def test_headings_go_down_one_level_at_a_time(html_of: HtmlOf, page_of: type[Page]) -> None:
    page = page_of(html_of("multiclass"))
    levels = [int(tag[1]) for tag, _ in page.elements if tag in {"h1", "h2", "h3", "h4", "h5"}]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))


@pytest.mark.parametrize("task", TASKS)
def test_the_headline_comes_first_and_then_the_audit_of_the_test_split(
    task: str, content_of: ContentOf, html_of: HtmlOf, page_of: type[Page]
) -> None:
    block, text = content_of(task).metrics["test"], page_of(html_of(task)).text
    low, share, high = span(known(block.exact_match) if task == "multilabel" else block.accuracy)
    assert f"{block.n} test images: {share:.1%} (95% CI {100 * low:.1f}–{high:.1%})" in text
    classes = content_of(task).info.classes
    assert (f"Positive class: {classes[1]}" in text) == (task == "binary")
    headings = ("Images and patients", "Learning curves", "All figures", "Wrong answers on test images")
    places = [
        text.index(f"{block.n} test images: "),
        text.index("Data audit"),
        *(text.index(heading) for heading in headings),
    ]
    assert places == sorted(places)
    validation = content_of(task).metrics["val"].n
    assert text.rindex(f"On {block.n} test images") < text.rindex(f"On {validation} validation images")


def test_all_metrics_are_in_the_table_with_their_intervals(
    content_of: ContentOf, html_of: HtmlOf, page_of: type[Page]
) -> None:
    content, text = content_of("binary"), page_of(html_of("binary")).text
    for name in ("f1", "auroc", "average_precision", "brier", "ece"):
        low, value, high = span(content.metrics["test"].metrics[name])
        assert f"{value:.3f} {low:.3f}–{high:.3f}" in text, name
    assert "Not for diagnosis" in text
    assert "Wilson, clustered" in text


def test_errors_are_shown_missed_first_with_score_and_file_name(
    content_of: ContentOf, html_of: HtmlOf, page_of: type[Page]
) -> None:
    content, html = content_of("binary"), html_of("binary")
    errors = failures(content.predictions, content.info, "test", 0.5, content.suspects, content.facts)
    order = list(REASONS)
    errors = errors.sort_values("reason", key=lambda names: names.map(order.index), kind="stable")
    errors = errors.sort_values("missed", ascending=False, kind="stable")
    pictures = [value_of(image, "alt") for image in page_of(html).all("img")]
    alts = [alt for alt in pictures if alt.startswith("Wrong answer")]
    assert len(alts) == len(errors)
    for alt, (_, row) in zip(alts, errors.iterrows(), strict=True):
        assert row["path"] in alt
        assert f"{row['score']:.3f}" in alt
    text, said = page_of(html).text, dict[str, str](REASONS.items())
    for (missed, reason), part in errors.groupby(["missed", "reason"]):
        kind = "Missed: PNEUMONIA called NORMAL" if missed else "False alarms: NORMAL called PNEUMONIA"
        assert f"{kind}, {said[str(reason)]}: {len(part)}" in text


def test_a_flood_of_errors_is_cut_and_counted(manifest_of: ManifestOf, page_of: type[Page]) -> None:
    manifest = manifest_of("binary", images=400)
    wrong = 1 - manifest.targets()
    score = np.where(wrong == 1, 0.9, 0.1)
    predictions = predictions_table(manifest, np.stack([1 - score, score], axis=1))
    metrics = evaluate(predictions, manifest.info, 0.5, SETTINGS, seed=0)
    content = ReportContent("t", manifest.info, manifest.table, predictions, metrics, read_pixels=pixels)
    page = page_of(render_report(content))
    assert len([image for image in page.all("img") if value_of(image, "alt").startswith("Wrong")]) == MOST_ERRORS
    hidden = [int(part.split()[-1]) for part in page.text.split(" more are listed in predictions.csv")[:-1]]
    assert sum(hidden) == metrics["test"].n - MOST_ERRORS


def test_absent_parts_leave_no_section_behind(content_of: ContentOf, page_of: type[Page]) -> None:
    content = bare(content_of("binary"))
    page = page_of(render_report(content))
    links = [value_of(link, "href") for link in page.all("a") if not link.get("download")]
    assert links[1:7] == ["#summary", "#data", "#performance", "#errors", "#limits", "#checklists"]
    assert {link[1:] for link in links} <= {attributes.get("id") for _, attributes in page.elements}
    for absent in ("Data audit", "Training", "Learning curves", "Augmented", "Samples", "Settings", "Image sizes"):
        assert absent not in page.text
    assert page.open == []


def test_one_split_alone_is_enough(content_of: ContentOf, page_of: type[Page]) -> None:
    content = content_of("binary")
    table = content.predictions[content.predictions["split"] == "val"]
    metrics = {"val": content.metrics["val"]}
    text = page_of(render_report(replace(bare(content), predictions=table, metrics=metrics))).text
    assert f"of {len(table)} validation images" in text
    assert "expect worse on new ones" in text
    assert "test images" not in text


def test_a_clean_audit_says_so_and_findings_are_sorted_by_severity(
    content_of: ContentOf, html_of: HtmlOf, page_of: type[Page], audit_of: AuditOf, manifest_of: ManifestOf
) -> None:
    simulated = content_of("binary").info.model_copy(update={"simulated": True})
    clean = render_report(replace(bare(content_of("binary")), audit=audit_of(manifest_of("binary")), info=simulated))
    assert "Nothing was found." in clean
    assert "Simulated images." in clean
    assert "Simulated images." not in html_of("binary")
    text = page_of(html_of("binary")).text
    assert text.index("Leak. Bad.") < text.index("Unequal classes. Fine.")
    assert "1 file could not be read" in text


def test_images_of_one_size_are_told_in_words(content_of: ContentOf, page_of: type[Page]) -> None:
    content = content_of("binary")
    assert content.facts is not None
    page = page_of(render_report(replace(content, facts=content.facts.assign(width=224, height=200))))
    assert "All images are 224 × 200 pixels." in page.text
    assert "Image sizes" not in page.text


@pytest.mark.parametrize("task", ["binary", "multilabel"])
def test_hostile_names_stay_text(task: str, content_of: ContentOf, page_of: type[Page]) -> None:
    content = content_of(task, classes=("normal", HOSTILE) if task == "binary" else ("normal", HOSTILE, "a&b"))
    assert content.audit is not None
    hostile = replace(
        content,
        title=HOSTILE,
        audit=content.audit.model_copy(
            update={
                "findings": (Finding(check="leak", severity="warn", message=HOSTILE, count=1, examples=(HOSTILE,)),)
            }
        ),
        rejected=[(HOSTILE, HOSTILE)],
        settings_yaml=HOSTILE,
        environment={HOSTILE: HOSTILE},
        notes=[HOSTILE],
    )
    page = page_of(render_report(hostile))
    assert all(value_of(image, "src").startswith("data:image/") for image in page.all("img"))
    assert not any("onerror" in attributes for _, attributes in page.elements)
    assert page.text.count(HOSTILE) > 8


def test_hostile_paths_stay_text(
    manifest_of: ManifestOf, probabilities_for: ProbabilitiesFor, page_of: type[Page]
) -> None:
    manifest = manifest_of("binary", images=30)
    table = manifest.table.assign(path=[f'{HOSTILE}_{i}"><script>' for i in range(30)])
    manifest = Manifest(table, manifest.info)
    predictions = predictions_table(manifest, probabilities_for(manifest, strength=0.0))
    metrics = evaluate(predictions, manifest.info, 0.5, SETTINGS, seed=0)
    content = ReportContent("t", manifest.info, table, predictions, metrics, read_pixels=pixels)
    page = page_of(render_report(content))
    assert not page.all("script")
    assert not any("onerror" in attributes for _, attributes in page.elements)


@pytest.mark.parametrize("task", TASKS)
def test_the_same_content_gives_the_same_file(
    task: str, tmp_path: Path, content_of: ContentOf, html_of: HtmlOf
) -> None:
    write_report(content_of(task), tmp_path / "report.html")
    assert (tmp_path / "report.html").read_text(encoding="utf-8") == html_of(task)
    assert (tmp_path / "report.html").stat().st_size < 5 * 2**20
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]


def test_an_external_set_without_one_class_is_reported(
    manifest_of: ManifestOf, probabilities_for: ProbabilitiesFor, page_of: type[Page]
) -> None:
    manifest = manifest_of("binary")
    normal = manifest.only(((manifest.table["label"] == "NORMAL") & (manifest.table["split"] == "test")).to_numpy())
    predictions = predictions_table(normal, probabilities_for(normal))
    metrics = evaluate(predictions, normal.info, 0.5, SETTINGS, seed=0)
    text = page_of(render_report(ReportContent("t", normal.info, normal.table, predictions, metrics))).text
    assert "not defined" in text
    assert "No image is PNEUMONIA." in text
    assert "ROC curve" not in text


def test_metrics_and_predictions_must_fit(content_of: ContentOf) -> None:
    content = content_of("binary")
    with pytest.raises(ValueError, match="splits"):
        replace(content, predictions=content.predictions[content.predictions["split"] == "val"])
    with pytest.raises(ValueError, match="splits"):
        replace(content, metrics={})
