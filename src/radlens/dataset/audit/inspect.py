"""The audit itself: every check in its order."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from radlens.dataset.audit.basics import (
    by_split,
    counts_of,
    imbalance,
    patient_leaks,
    split_sizes,
    splits_of,
    unknown_patients,
    unreadable,
)
from radlens.dataset.audit.depth import depth_findings
from radlens.dataset.audit.distributions import Distribution, describe
from radlens.dataset.audit.drift import Drift, compare_splits
from radlens.dataset.audit.duplicates import Duplicates, duplicate_findings, find_duplicates
from radlens.dataset.audit.fact_findings import drift_findings, family_findings, shortcut_findings
from radlens.dataset.audit.findings import Audit, Severity
from radlens.dataset.audit.flat_pictures import flat_findings
from radlens.dataset.audit.framing_shortcuts import find_framing
from radlens.dataset.audit.header_faults import header_findings
from radlens.dataset.audit.name_families import FamiliesOfLabel, find_name_families
from radlens.dataset.audit.numbered_series import series_findings
from radlens.dataset.audit.polarity import negative_findings, presentation_findings
from radlens.dataset.audit.seen import seen_findings
from radlens.dataset.audit.shortcuts import Shortcut, find_shortcuts
from radlens.dataset.manifest import Manifest
from radlens.imaging.cache.pixel_cache import PixelCache
from radlens.runtime.known_images import NO_IMAGES_KNOWN, KnownImages


def audit(
    manifest: Manifest,
    rejected: Sequence[tuple[str, str]] = (),
    cache: PixelCache | None = None,
    seed: int = 0,
    allowed: Sequence[str] = (),
    trained_on: KnownImages = NO_IMAGES_KNOWN,
    duplicates: Duplicates | None = None,
) -> Audit:
    """Check a set of images.

    Args:
        manifest: the images; those that could not be read may be among them or not.
        rejected: manifest path or location, and reason, of each image that could not be read.
        cache: the pixels and file facts of the manifest's images, in its order; None: only the table is checked.
        seed: what cross-validation follows from.
        allowed: checks whose blocking findings are not to stop a run.
        trained_on: the images that a model to be judged was made with.
        duplicates: the copies among the manifest's images, where they are known already.
    """
    bad = {location for location, _ in rejected}
    here = [
        path in bad or location in bad
        for path, location in zip(manifest.table["path"], manifest.locations, strict=True)
    ]
    outside = len(bad) - sum(here)
    readable = ~np.asarray(here)
    if cache is not None:
        readable &= cache.rows >= 0
    kept = manifest.only(readable) if readable.any() else None
    findings = [*unreadable(manifest, rejected, kept is None), *unknown_patients(manifest), *series_findings(manifest)]
    splits = splits_of(manifest)
    counts = counts_of(kept, splits) if kept else {}
    shortcuts: tuple[Shortcut, ...] = ()
    families: tuple[FamiliesOfLabel, ...] = ()
    drift: tuple[Drift, ...] = ()
    distributions: tuple[Distribution, ...] = ()
    if kept is not None:
        findings += [*patient_leaks(kept), *split_sizes(counts), *imbalance(counts)]
        if cache is not None:
            images = cache.only(readable)
            findings += [*flat_findings(kept, images), *header_findings(kept, images)]
            findings += seen_findings(kept, images, trained_on)
            findings += [*presentation_findings(kept, images), *negative_findings(kept, images)]
            findings += depth_findings(kept, images)
            if duplicates is None:
                copies = find_duplicates(images.digests, images.pixels, images.rows)
            else:
                copies = duplicates.only(readable)
            findings += duplicate_findings(kept, copies)
            shortcuts = (*find_shortcuts(kept, images, seed), *find_framing(kept, images, seed))
            families = find_name_families(kept, images, seed)
            drift, distributions = compare_splits(kept, images, seed), describe(kept, images)
            findings += [*shortcut_findings(shortcuts), *family_findings(families), *drift_findings(drift)]
    severities: tuple[Severity, ...] = ("block", "warn", "note")
    return Audit(
        name=manifest.info.name,
        task=manifest.info.task,
        classes=manifest.info.classes,
        images=len(manifest) + outside,
        patients=manifest.table["patient"].nunique(),
        unreadable=len(bad),
        opened=cache is not None,
        counts=counts,
        split_images=by_split(kept, splits) if kept else {},
        split_patients=by_split(kept, splits, patients=True) if kept else {},
        findings=tuple(sorted(findings, key=lambda finding: severities.index(finding.severity))),
        shortcuts=shortcuts,
        name_families=families,
        drift=drift,
        distributions=distributions,
        allowed=tuple(allowed),
    )
