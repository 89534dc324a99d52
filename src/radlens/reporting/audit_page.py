"""The audit as a page of its own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from radlens.base.files import write_text
from radlens.dataset.audit import Audit
from radlens.dataset.manifest import Manifest
from radlens.reporting.charts import balance_chart
from radlens.reporting.sections.audit import audit_view
from radlens.reporting.sections.audit_gallery import PAGE_LIMITS, ReadPixels
from radlens.reporting.template import render


def write_audit_page(
    audit: Audit,
    manifest: Manifest,
    rejected: Sequence[tuple[str, str]],
    read_pixels: ReadPixels | None,
    destination: Path,
) -> None:
    """Write the audit as one HTML file that works offline; see :func:`render_audit_page`.

    Raises:
        RadlensError: the file cannot be written.
    """
    write_text(Path(destination), render_audit_page(audit, manifest, rejected, read_pixels))


def render_audit_page(
    audit: Audit, manifest: Manifest, rejected: Sequence[tuple[str, str]], read_pixels: ReadPixels | None
) -> str:
    """The audit as HTML; the same content gives the same text.

    Args:
        audit: what was found.
        manifest: the images that were looked at; those that could not be read may be among them.
        rejected: manifest path or location, and reason, of each image that could not be read.
        read_pixels: gives the pixels of a manifest path, uint8, shape (height, width) or (height, width, 3); a picture
            that it cannot give is said to be missing. None: no pictures.
    """
    bad = {path for path, _ in rejected}
    table = manifest.table
    readable = np.array(
        [path not in bad and place not in bad for path, place in zip(table["path"], manifest.locations, strict=True)]
    )
    return render(
        "audit.html.j2",
        {
            "title": f"{audit.name}: data audit",
            "kind": "radlens audit",
            "info": manifest.info,
            "view": audit_view(audit, table, rejected, read_pixels, PAGE_LIMITS),
            "balance": balance_chart(table[readable], manifest.info) if readable.any() else None,
        },
    )
