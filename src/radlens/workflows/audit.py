"""The verbs ``index`` and ``audit``: a source as radlens reads it, and what would fool a classifier in it."""

from __future__ import annotations

from pathlib import Path

from radlens.base.files import claim_output
from radlens.dataset.audit import Audit
from radlens.dataset.audit import audit as audit_manifest
from radlens.dataset.manifest import Manifest
from radlens.dataset.sources import read_source
from radlens.imaging.cache.pixel_cache import PixelCache
from radlens.workflows.options import check_folder, settings_of
from radlens.workflows.prepare import named, write_audit


def index(
    source: str | Path,
    out: str | Path,
    *,
    config: str | Path | None = None,
    settings: tuple[str, ...] | list[str] = (),
    overwrite: bool = False,
) -> Manifest:
    """Read a source and write ``manifest.csv`` and ``dataset.yaml``; the folder is itself a source.

    Raises:
        UsageError: a setting cannot be used, or ``out`` is not empty.
        DataError: the images or labels cannot be used.
    """
    chosen = settings_of(source, None, None, None, config, settings)
    manifest = read_source(chosen.data)
    manifest.write(claim_output(Path(out), overwrite=overwrite))
    return manifest


def audit(
    source: str | Path,
    out: str | Path | None = None,
    *,
    seed: int | None = None,
    config: str | Path | None = None,
    settings: tuple[str, ...] | list[str] = (),
    overwrite: bool = False,
) -> Audit:
    """Find what would fool a classifier or its judges: leaks, duplicates, wrong labels, shortcuts, drift.

    Args:
        source: folder, CSV, ``.npz`` or name.
        out: folder for ``audit.json``, the page ``audit.html``, the manifest and ``rejected.csv``; None: nowhere.
        seed: what the cross-validation of the shortcut models follows from.
        config: YAML file of settings.
        settings: further settings as ``section.key=value``.
        overwrite: replace what lies in ``out``.

    Raises:
        UsageError: a setting cannot be used, or ``out`` is not empty.
        DataError: the images or labels cannot be used.
    """
    chosen = settings_of(source, None, None, seed, config, settings)
    if out is not None:
        check_folder(Path(out), overwrite, chosen.data.source)
    manifest = read_source(chosen.data)
    cache = PixelCache.build(manifest.locations, chosen.preprocessing, chosen.data.workers, chosen.data.limits)
    rejected = named(manifest, cache)
    found = audit_manifest(manifest, rejected, cache, chosen.seed, chosen.data.allow)
    if out is not None:
        write_audit(claim_output(Path(out), overwrite=overwrite), manifest, found, rejected, chosen.data.limits)
    return found
