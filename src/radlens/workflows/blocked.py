"""What a run that the audit stopped leaves: the audit with its page, to look at and to go on from."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from pydantic import ValidationError

from radlens.base.errors import UsageError
from radlens.base.files import BLOCKED_FILE, claim_output, write_text
from radlens.config import RunSettings, to_yaml
from radlens.dataset.audit import Audit
from radlens.dataset.manifest import Manifest
from radlens.imaging.cache.pixel_cache import PixelCache
from radlens.workflows.prepare import named, write_audit


def keep_blocked(
    folder: Path, settings: RunSettings, manifest: Manifest, cache: PixelCache
) -> Callable[[Audit], Path | None]:
    """What writes an audit that stops a run into its folder and returns the page.

    A folder that holds anything stays as it is, also where it was to be replaced: the audit then goes into one of the
    same name with ``-audit`` behind it, or nowhere if there is such a folder, too.
    """

    def keep(audit: Audit) -> Path | None:
        for place in (folder, folder.with_name(f"{folder.name}-audit")):
            try:
                claim_output(place, overwrite=False)
            except UsageError:
                continue
            stopped = ", ".join(dict.fromkeys(finding.check for finding in audit.blocks))
            write_text(place / BLOCKED_FILE, f"The audit stopped this run: {stopped}. Nothing was trained.\n")
            write_text(place / "config.yaml", to_yaml(settings))
            write_audit(place, manifest, audit, named(manifest, cache), settings)
            return place / "audit.html"
        return None

    return keep


def read_audit(folder: Path) -> Audit | None:
    """The audit in a run folder; None where there is none of today's form."""
    try:
        return Audit.model_validate(json.loads((folder / "audit.json").read_text(encoding="utf-8")))
    except (OSError, ValueError, ValidationError):
        return None
