"""The audit as a page, and as the first section of a report."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fixture_types import AuditOf, ManifestOf, ProbabilitiesFor
from html_page import Page, value_of
from radlens.assessment.evaluate import evaluate
from radlens.assessment.predictions import predictions_table
from radlens.base.errors import DataError
from radlens.config import EvaluateSettings
from radlens.dataset.audit import Audit, Finding
from radlens.dataset.manifest import DatasetInfo, Manifest
from radlens.reporting import ReportContent, render_audit_page, render_report, write_audit_page
from radlens.reporting.sections.audit import MOST_REJECTED
from radlens.reporting.sections.audit_gallery import PAGE_LIMITS, REPORT_LIMITS, Limits, ReadPixels

ReportOf = Callable[..., str]

TASKS = ("binary", "multiclass", "multilabel")
HOSTILE = '<script>alert("1")</script>'


def pixels(path: str) -> np.ndarray:
    return np.full((70, 90), sum(map(ord, path)) % 256, dtype=np.uint8)


def finding(check: str, severity: str, *groups: tuple[str, ...], **options: object) -> Finding:
    facts = {"check": check, "severity": severity, "message": f"{check} was found. Mend it.", "count": 2}
    return Finding.model_validate({**facts, "groups": groups, **options})


@pytest.fixture(scope="module")
def manifest(manifest_of: ManifestOf) -> Manifest:
    return manifest_of("binary", images=60)


@pytest.fixture(scope="module")
def report_of(probabilities_for: ProbabilitiesFor) -> ReportOf:
    def make(
        manifest: Manifest,
        audit: Audit,
        read_pixels: ReadPixels | None = None,
        rejected: Sequence[tuple[str, str]] = (),
        suspects: pd.DataFrame | None = None,
    ) -> str:
        predictions = predictions_table(manifest, probabilities_for(manifest))
        metrics = evaluate(predictions, manifest.info, 0.5, EvaluateSettings(resamples=100), seed=0)
        content = ReportContent(
            "A run",
            manifest.info,
            manifest.table,
            predictions,
            metrics,
            audit=audit,
            rejected=rejected,
            suspects=suspects,
            read_pixels=read_pixels,
        )
        return render_report(content)

    return make


def group_of(manifest: Manifest, count: int, **same: str) -> tuple[str, ...]:
    """Paths of some images that have these cells."""
    table = manifest.table
    for column, value in same.items():
        table = table[table[column] == value]
    return tuple(table["path"].head(count))


def check_page(html: str, page_of: type[Page]) -> None:
    page = page_of(html)
    assert page.open == []
    assert not {"script", "link", "iframe", "object", "base"} & {tag for tag, _ in page.elements}
    identifiers = [attributes["id"] for _, attributes in page.elements if attributes.get("id")]
    assert len(identifiers) == len(set(identifiers))
    for tag, attributes in page.elements:
        assert not any(name.startswith("on") for name in attributes)
        for name in ("src", "href", "srcset", "action", "poster", "data", "xlink:href"):
            value = attributes.get(name)
            allowed = ("#", "data:image/", "data:text/csv;base64,")
            assert value is None or value.startswith(allowed), (tag, name, value[:60])
    assert {value_of(link, "href")[1:] for link in page.all("a") if not link.get("download")} <= set(identifiers)
    assert all(image["alt"] and image["width"] for image in page.all("img"))
    levels = [int(tag[1]) for tag, _ in page.elements if tag in {"h1", "h2", "h3", "h4", "h5"}]
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))


@pytest.mark.parametrize("task", TASKS)
def test_the_page_is_well_formed_and_needs_nothing_outside(
    task: str, manifest_of: ManifestOf, audit_of: AuditOf, page_of: type[Page]
) -> None:
    manifest = manifest_of(task, images=40)
    paths = list(manifest.table["path"])
    audit = audit_of(
        manifest,
        finding("leak", "block", tuple(paths[:2]), tuple(paths[2:5]), examples=("p1: train, test",)),
        finding("duplicate", "warn", tuple(paths[5:16])),
        finding("class_imbalance", "note"),
    )
    html = render_audit_page(audit, manifest, [("broken.png", "the file is empty")], pixels)
    check_page(html, page_of)
    page = page_of(html)
    assert len(page.all("img")) == 2 + 3 + 8
    assert "3 more in this set." in page.text
    assert html == render_audit_page(audit, manifest, [("broken.png", "the file is empty")], pixels)


def test_findings_stand_in_a_table_by_severity_with_the_name_to_allow(
    manifest: Manifest, audit_of: AuditOf, page_of: type[Page]
) -> None:
    audit = audit_of(
        manifest, finding("class_imbalance", "note"), finding("leak", "block", examples=("p7: train, test",))
    )
    text = page_of(render_audit_page(audit, manifest, [], None)).text
    said = [
        "Name for --allow",
        "stop Leak. leak was found. Mend it.",
        "p7: train, test leak note Unequal",
    ]
    places = [text.index(words) for words in said]
    assert places == sorted(places)


def test_pictures_of_a_set_stand_side_by_side_with_what_differs(
    manifest: Manifest, audit_of: AuditOf, page_of: type[Page]
) -> None:
    normal = group_of(manifest, 1, label="NORMAL", split="val")
    disease = group_of(manifest, 1, label="PNEUMONIA", split="test")
    audit = audit_of(manifest, finding("conflicting_labels", "warn", normal + disease))
    html = render_audit_page(audit, manifest, [], pixels)
    page = page_of(html)
    row = {column: list(manifest.table.set_index("path").loc[[*normal, *disease], column]) for column in ("patient",)}
    assert "1. 2 images, labelled NORMAL and PNEUMONIA, in validation and test, of 2 patients" in page.text
    first = f"Label NORMAL Split validation Patient {row['patient'][0]}"
    assert first in page.text
    assert f"Label PNEUMONIA Split test Patient {row['patient'][1]}" in page.text
    alt = page.all("img")[0]["alt"]
    assert alt == f"{normal[0]}: label NORMAL, split validation, patient {row['patient'][0]}"
    assert html.count("fact differs") == 6
    same = audit_of(manifest, finding("duplicate", "warn", group_of(manifest, 2, label="NORMAL", split="val")[:2]))
    assert render_audit_page(same, manifest, [], pixels).count("fact differs") <= 2


def test_a_picture_that_has_gone_is_said_and_is_not_fatal(
    manifest: Manifest, audit_of: AuditOf, page_of: type[Page]
) -> None:
    paths = group_of(manifest, 4)
    errors: dict[str, Exception] = {
        paths[1]: DataError("gone"),
        paths[2]: FileNotFoundError(),
        "elsewhere.png": KeyError("elsewhere.png"),
    }

    def reader(path: str) -> np.ndarray:
        if path in errors:
            raise errors[path]
        return pixels(path)

    audit = audit_of(manifest, finding("duplicate", "warn", (*paths, "elsewhere.png")))
    page = page_of(render_audit_page(audit, manifest, [], reader))
    assert len(page.all("img")) == 2
    assert page.text.count("This picture can no longer be read.") == 3
    assert "Label not in the manifest elsewhere.png" in page.text
    assert "no longer" not in page_of(render_audit_page(audit, manifest, [], None)).text


@pytest.mark.parametrize("limits", [PAGE_LIMITS, REPORT_LIMITS])
def test_a_flood_of_sets_is_cut_and_counted(
    limits: Limits, manifest_of: ManifestOf, audit_of: AuditOf, page_of: type[Page], report_of: ReportOf
) -> None:
    manifest = manifest_of("binary", images=900)
    paths = list(manifest.table["path"])
    pairs = tuple(zip(paths[::2], paths[1::2], strict=True))
    audit = audit_of(manifest, *(finding(check, "warn", *pairs) for check in ("duplicate", "leak", "drift")))
    if limits is PAGE_LIMITS:
        html, other = render_audit_page(audit, manifest, [], pixels), 0
    else:
        html = report_of(manifest, audit=audit, read_pixels=pixels)
        other = len([image for image in page_of(html).all("img") if value_of(image, "alt").startswith("Wrong")])
    page = page_of(html)
    shown = (len(page.all("img")) - other) // 2
    assert shown == min(3 * limits.sets, limits.whole // 2)
    hidden = [int(part.split()[-1]) for part in page.text.split(" more sets are listed in audit.json")[:-1]]
    assert shown + sum(hidden) == 3 * len(pairs)
    assert len(html) < 5 * 2**20


def test_rejected_files_are_counted_by_kind_and_the_first_listed(
    manifest: Manifest, audit_of: AuditOf, page_of: type[Page]
) -> None:
    rejected = [(f"a/{i}.jpeg", f"/data/a/{i}.jpeg: image file is truncated ({i} bytes missing)") for i in range(70)]
    rejected += [("a/empty.png", "the file is empty")]
    audit = audit_of(manifest, finding("unreadable_files", "warn"), images=len(manifest) + 71, unreadable=71)
    text = page_of(render_audit_page(audit, manifest, rejected, pixels)).text
    assert f"{len(manifest) + 71} images of 30 patients; 71 of the images cannot be read." in text
    assert "Image file is truncated 70 The file is empty 1" in text
    assert f"The first {MOST_REJECTED} are shown; all are in rejected.csv." in text
    assert "a/ 49.jpeg Image file is truncated (49 bytes missing)" in text
    assert "50.jpeg" not in text
    assert "/data/a" not in text


def test_rejected_images_are_not_counted_as_data(manifest: Manifest, audit_of: AuditOf, page_of: type[Page]) -> None:
    gone = list(manifest.table["path"][manifest.table["label"] == "NORMAL"])
    by_location = [(location, "empty") for location in manifest.only(manifest.table["path"].isin(gone)).locations]
    left = manifest.only(~manifest.table["path"].isin(gone))
    for rejected in ([(path, "empty") for path in gone], by_location):
        page = page_of(render_audit_page(audit_of(left), manifest, rejected, None))
        assert "0 NORMAL" in " ".join(page.words)
    everything = [(path, "the file is empty") for path in manifest.table["path"]]
    bare = audit_of(manifest, counts={}, split_images={}, split_patients={}, unreadable=len(manifest))
    page = page_of(render_audit_page(bare, manifest, everything, pixels))
    assert not page.all("svg")
    assert "Images and patients" not in page.text


def test_a_clean_audit_is_a_short_page(manifest: Manifest, audit_of: AuditOf, page_of: type[Page]) -> None:
    html = render_audit_page(audit_of(manifest), manifest, [], pixels)
    check_page(html, page_of)
    page = page_of(html)
    assert "Nothing was found." in page.text
    for absent in ("Pictures", "Rejected files", "Shortcuts", "Drift", "Allowed", "--allow"):
        assert absent not in page.text, absent


def test_what_was_allowed_is_said_on_the_page_and_in_the_report(
    manifest: Manifest, audit_of: AuditOf, page_of: type[Page], report_of: ReportOf
) -> None:
    audit = audit_of(manifest, finding("leak", "block"), allowed=("leak", "drift"))
    report = report_of(manifest, audit=audit)
    for html in (render_audit_page(audit, manifest, [], pixels), report):
        text = page_of(html).text
        assert "Used in spite of 1 finding that would stop a run: leak." in text
        assert "Leak: allowed, and the run went on in spite of it." in text
        assert "The splits differ: allowed, though nothing of the kind would have stopped the run." in text
        assert "allowed leak" in text


def test_the_audit_follows_the_summary_of_a_report(
    manifest: Manifest, audit_of: AuditOf, page_of: type[Page], report_of: ReportOf
) -> None:
    audit = audit_of(
        manifest,
        finding("leak", "block", group_of(manifest, 2)),
        finding("duplicate", "warn", group_of(manifest, 3)),
        allowed=("leak",),
    )
    html = report_of(manifest, audit=audit, read_pixels=pixels, rejected=[("broken.png", "the file is empty")])
    check_page(html, page_of)
    page = page_of(html)
    sections = [attributes["id"] for tag, attributes in page.elements if tag == "section"]
    assert sections[:2] == ["summary", "audit"]
    assert [link["href"] for link in page.all("a")][1:3] == ["#summary", "#audit"]
    folded = [attributes for attributes in page.all("details") if attributes.get("class") == "part"]
    # The pictures of what would stop a run lie open.
    assert ["open" in attributes for attributes in folded[:3]] == [True, False, False]
    assert "1 file could not be read" in page.text


def test_two_findings_of_one_kind_are_told_apart_by_their_label(
    manifest: Manifest, audit_of: AuditOf, page_of: type[Page], report_of: ReportOf
) -> None:
    by_label = manifest.table.groupby("label")["path"].apply(list)
    groups = {label: tuple(paths[:2]) for label, paths in by_label.items()}
    findings = [finding("file_name_families", "warn", found) for found in groups.values()]
    text = page_of(report_of(manifest, audit=audit_of(manifest, *findings))).text
    for label in groups:
        assert f"Families of file names of {label}: 1 set of images" in text
    alone = page_of(report_of(manifest, audit=audit_of(manifest, findings[0]))).text
    assert "Families of file names: 1 set of images" in alone


def test_sets_that_have_titles_are_shown_under_them(
    manifest: Manifest, audit_of: AuditOf, page_of: type[Page], report_of: ReportOf
) -> None:
    paths = list(manifest.table["path"])
    ends = finding("shortcut_framing", "warn", tuple(paths[:2]), tuple(paths[2:5]), titles=("Least: x", "Most: x"))
    text = page_of(report_of(manifest, audit=audit_of(manifest, ends))).text
    assert "Shortcut: the frame gives the label away: 2 sets of images" in text
    assert "1. Least: x" in text
    assert "2. Most: x" in text


def test_label_suspects_are_shown_in_the_report(
    manifest: Manifest, audit_of: AuditOf, page_of: type[Page], report_of: ReportOf
) -> None:
    paths = list(manifest.table["path"])
    suspects = pd.DataFrame(
        {
            "path": paths[:60],
            "given": "NORMAL",
            "suggested": "PNEUMONIA",
            "self_confidence": np.linspace(0.01, 0.4, 60),
        }
    )
    html = report_of(manifest, audit=audit_of(manifest), read_pixels=pixels, suspects=suspects)
    check_page(html, page_of)
    page = page_of(html)
    alts = [image["alt"] for image in page.all("img") if value_of(image, "alt").startswith("Labelled")]
    assert len(alts) == 48
    assert alts[0] == (f"Labelled NORMAL, by the model's scores rather PNEUMONIA (self-confidence 0.01): {paths[0]}")
    assert "60 images whose label may be wrong" in page.text
    assert "12 more are listed in label_suspects.csv." in page.text
    none = report_of(manifest, audit=audit_of(manifest), read_pixels=pixels, suspects=suspects.head(0))
    assert "may be wrong" not in page_of(none).text


def test_hostile_names_stay_text(
    manifest: Manifest, audit_of: AuditOf, page_of: type[Page], report_of: ReportOf
) -> None:
    table = manifest.table.assign(path=[f"{HOSTILE}_{i}.png" for i in range(len(manifest))], patient=HOSTILE)
    table["label"] = table["label"].replace("PNEUMONIA", HOSTILE)
    info = DatasetInfo(name=HOSTILE, task="binary", classes=("NORMAL", HOSTILE), root=".")
    hostile = Manifest(table, info)
    audit = audit_of(
        hostile,
        finding("leak", "block", tuple(table["path"][:3]), message=HOSTILE, examples=(HOSTILE,)),
        allowed=(HOSTILE,),
    )
    suspects = pd.DataFrame({"path": table["path"][:2], "given": HOSTILE, "suggested": HOSTILE, "self_confidence": 0.1})
    rejected = [(HOSTILE, HOSTILE)]
    for html in (
        render_audit_page(audit, hostile, rejected, pixels),
        report_of(hostile, audit=audit, rejected=rejected, suspects=suspects, read_pixels=pixels),
    ):
        check_page(html, page_of)
        assert page_of(html).text.count(HOSTILE) > 8


def test_the_page_is_written_whole(manifest: Manifest, audit_of: AuditOf, tmp_path: Path) -> None:
    audit = audit_of(manifest)
    write_audit_page(audit, manifest, [], pixels, tmp_path / "deep" / "audit.html")
    assert (tmp_path / "deep" / "audit.html").read_text(encoding="utf-8") == render_audit_page(
        audit, manifest, [], pixels
    )
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["audit.html"]
