"""The verbs ``index`` and ``audit``: a source as radlens reads it, and what would fool a classifier in it."""

from __future__ import annotations

from pathlib import Path

from radlens.base.files import claim_output
from radlens.base.folder_lock import writes_folder
from radlens.config import DataSettings
from radlens.dataset.audit import Audit
from radlens.dataset.audit import audit as audit_manifest
from radlens.dataset.manifest import Manifest
from radlens.dataset.sources import read_source
from radlens.imaging.cache.pixel_cache import PixelCache
from radlens.imaging.preprocess import Preprocessing
from radlens.workflows.depth import read_on_one_scale
from radlens.workflows.options import RunOptions, check_folder, settings_of
from radlens.workflows.prepare import keep_splits, named, write_audit


@writes_folder()
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
    manifest = read_source(settings_of(source, RunOptions(config=config, settings=settings)).data)
    manifest.write(claim_output(Path(out), overwrite=overwrite))
    return manifest


@writes_folder()
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
    resolved = settings_of(source, RunOptions(seed=seed, config=config, settings=settings))
    data = resolved.data
    if out is not None:
        check_folder(Path(out), overwrite, data.source)
    manifest = read_source(data)
    resolved, cache = read_on_one_scale(manifest, resolved, _read_all)
    rejected = named(manifest, cache)
    manifest, cache, copies = keep_splits(manifest, cache, data.split)
    result = audit_manifest(manifest, rejected, cache, resolved.seed, data.allow, duplicates=copies)
    if out is not None:
        write_audit(claim_output(Path(out), overwrite=overwrite), manifest, result, rejected, resolved)
    return result


def _read_all(manifest: Manifest, data: DataSettings, contract: Preprocessing) -> PixelCache:
    """However many images cannot be read: that is what the audit tells."""
    return PixelCache.build(manifest.locations, contract, data.workers, data.limits)
