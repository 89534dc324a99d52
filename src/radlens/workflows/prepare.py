"""From a manifest to images ready to train on or to be scored: read, split, audited, and all that written down."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from radlens.base.environment import describe_environment
from radlens.base.errors import DataError
from radlens.base.files import write_text
from radlens.config import DataSettings, RunSettings, SplitSettings, to_yaml
from radlens.dataset.audit import Audit
from radlens.dataset.audit import audit as audit_manifest
from radlens.dataset.audit.duplicates import Duplicates, find_duplicates
from radlens.dataset.copies import drop_conflicts
from radlens.dataset.manifest import Manifest
from radlens.dataset.split import OFFICIAL_UNUSED, assign_splits, drop_overlap
from radlens.imaging.cache.pixel_cache import PixelCache
from radlens.imaging.preprocess import Preprocessing
from radlens.learning.data_module import LabelledPixels
from radlens.learning.device import visible_gpus
from radlens.reporting.audit_page import write_audit_page
from radlens.runtime.known_images import NO_IMAGES_KNOWN, KnownImages
from radlens.workflows.pictures import picture_reader

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Prepared:
    """Images ready to train on or to be scored: readable, split, preprocessed."""

    manifest: Manifest
    cache: PixelCache
    audit: Audit

    def split(self, name: str) -> LabelledPixels:
        """Pixels and targets of one split."""
        in_split = (self.manifest.table["split"] == name).to_numpy()
        return LabelledPixels(self.cache.pixels, self.cache.rows[in_split], self.manifest.known_targets()[in_split])


@dataclass(frozen=True)
class Listed:
    """Images of which no more is known than a table says: none was opened."""

    manifest: Manifest
    audit: Audit
    cache: None = None


def list_only(manifest: Manifest, allow: Sequence[str]) -> Listed:
    """Audit a table of images, without the images.

    Raises:
        DataError: the audit found what makes results wrong and it was not allowed.
    """
    audit = audit_manifest(manifest, allowed=allow)
    _heed(audit)
    return Listed(manifest, audit)


def read_images(manifest: Manifest, data: DataSettings, contract: Preprocessing) -> PixelCache:
    """Decode and preprocess every image.

    Raises:
        DataError: more of them cannot be read than ``data.max_rejected`` allows.
    """
    cache = PixelCache.build(manifest.locations, contract, data.workers, data.limits)
    share = len(cache.rejected) / len(manifest)
    if share > data.max_rejected:
        listed = "\n".join(f"  {path}: {reason}" for path, reason in named(manifest, cache)[:10])
        raise DataError(
            f"{len(cache.rejected)} of {len(manifest)} images cannot be read; at most "
            f"{data.max_rejected:.0%} may be (data.max_rejected). Mend or remove them:\n{listed}"
        )
    return cache


def find_copies(manifest: Manifest, cache: PixelCache, rules: SplitSettings) -> tuple[Manifest, PixelCache, Duplicates]:
    """The copies among the images, less those with different labels where the settings drop them."""
    copies = find_duplicates(cache.digests, cache.pixels, cache.rows)
    if rules.conflicts == "keep":
        return manifest, cache, copies
    left, kept = drop_conflicts(manifest, copies.groups(), keep_test=rules.official)
    return left, cache.only(kept), copies.only(kept)


def part(manifest: Manifest, cache: PixelCache, settings: RunSettings) -> tuple[Manifest, PixelCache, Duplicates]:
    """Assign the splits, all images of a patient and all copies of an image going into the same one.

    Returns:
        The images that have a split, their pixels, and the copies among them; a set may ask for some to be dropped.
    """
    rules = settings.data.split
    if rules.overlap is None and "leak" in settings.data.allow:
        rules = rules.model_copy(update={"overlap": "keep"})
    manifest, cache, copies = find_copies(manifest, cache, rules)
    split = assign_splits(manifest, rules, settings.seed, copies.groups()).fully_labelled(("val", "test"))
    kept = manifest.table["path"].isin(split.table["path"]).to_numpy()
    return split, cache.only(kept), copies.only(kept)


def keep_splits(manifest: Manifest, cache: PixelCache, rules: SplitSettings) -> tuple[Manifest, PixelCache, Duplicates]:
    """As :func:`part`, but none is made: the splits that came, less what the settings do not want of them."""
    manifest, cache, copies = find_copies(manifest, cache, rules)
    if not rules.official and (manifest.table["split"] != "").any():
        manifest = manifest.with_split([""] * len(manifest)).with_notes(OFFICIAL_UNUSED)
    if rules.overlap != "drop_train":
        return manifest, cache, copies
    left = drop_overlap(manifest, copies.groups())
    kept = manifest.table["path"].isin(left.table["path"]).to_numpy()
    return left, cache.only(kept), copies.only(kept)


def prepare(
    manifest: Manifest,
    cache: PixelCache,
    data: DataSettings,
    seed: int,
    trained_on: KnownImages = NO_IMAGES_KNOWN,
    duplicates: Duplicates | None = None,
    keep: Callable[[Audit], Path | None] | None = None,
    known: Audit | None = None,
) -> Prepared:
    """Audit the images; leave out, and say aloud, those that cannot be read.

    Args:
        manifest: the images, each with its split.
        cache: their pixels, in the same order.
        data: what of the audit's findings is allowed.
        seed: what the cross-validation of the audit follows from.
        trained_on: the images that a model to be judged was made with.
        duplicates: the copies among the images, where they are known already.
        keep: writes an audit that stops the run, and returns its page.
        known: an earlier audit, which is used again, and not said again, if it was of the same images.

    Raises:
        DataError: the audit found what makes results wrong and it was not allowed.
    """
    audited = _hash_audited(manifest, cache)
    if known is not None and known.audited == audited:
        audit = known.model_copy(update={"allowed": data.allow})
        _stop(audit, keep)
    else:
        audit = audit_manifest(manifest, named(manifest, cache), cache, seed, data.allow, trained_on, duplicates)
        audit = audit.model_copy(update={"audited": audited})
        _heed(audit, keep)
    readable = cache.rows >= 0
    return Prepared(manifest.only(readable), cache.only(readable), audit)


def _heed(audit: Audit, keep: Callable[[Audit], Path | None] | None = None) -> None:
    """Say what an audit found, a line each, and stop where it blocks."""
    for finding in audit.findings:
        level = logging.INFO if finding.severity == "note" else logging.WARNING
        logger.log(level, "Audit, %s: %s", finding.check, finding.headline)
    _stop(audit, keep)


def _stop(audit: Audit, keep: Callable[[Audit], Path | None] | None) -> None:
    if audit.blocks:
        page = keep(audit) if keep else None
        names = " ".join(f"--allow {name}" for name in dict.fromkeys(finding.check for finding in audit.blocks))
        messages = "\n".join(f"{finding.check}: {finding.message}" for finding in audit.blocks)
        raise DataError(
            f"The audit stops this run.\n{messages}\n"
            + (f"Its page shows the images: {page}\n" if page else "")
            + f"To go on in spite of it, which is written down: {names}"
        )


def _hash_audited(manifest: Manifest, cache: PixelCache) -> str:
    """SHA-256 of what an audit looks at."""
    rows = manifest.table[["path", "label", "patient", "split"]].assign(content=list(cache.digests))
    return hashlib.sha256(rows.to_csv(index=False).encode("utf-8", "surrogateescape")).hexdigest()


def named(manifest: Manifest, cache: PixelCache) -> list[tuple[str, str]]:
    """The rejected images by their manifest path."""
    path_of = dict(zip(manifest.locations, manifest.table["path"], strict=True))
    return [(path_of[location], reason) for location, reason in cache.rejected if location in path_of]


def write_start(folder: Path, settings: RunSettings, manifest: Manifest, prepared: Prepared | Listed) -> None:
    """Write what a run starts from: settings, manifest, audit, rejected files, environment."""
    write_text(folder / "config.yaml", to_yaml(settings))
    manifest.write(folder)
    prepared.audit.write(folder)
    _write_rejected(folder, named(manifest, prepared.cache) if prepared.cache else [])
    environment = describe_environment(settings.seed, visible_gpus())
    write_text(folder / "environment.json", json.dumps(environment, indent=2) + "\n")


def write_audit(
    folder: Path, manifest: Manifest, audit: Audit, rejected: list[tuple[str, str]], settings: RunSettings
) -> None:
    """Write an audit alone: ``audit.json``, ``audit.html``, the manifest and the rejected files."""
    manifest.write(folder)
    audit.write(folder)
    _write_rejected(folder, rejected)
    write_audit_page(audit, manifest, rejected, picture_reader(manifest, settings), folder / "audit.html")


def _write_rejected(folder: Path, rejected: list[tuple[str, str]]) -> None:
    if rejected:
        write_text(folder / "rejected.csv", pd.DataFrame(rejected, columns=["path", "reason"]).to_csv(index=False))
