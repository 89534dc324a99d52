"""Images that the model to be judged was made with."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from radlens.dataset.audit.findings import Finding
from radlens.dataset.manifest import Manifest

EXAMPLES = 10


def seen_findings(manifest: Manifest, digests: Sequence[str], trained_on: Collection[str]) -> list[Finding]:
    """Which of the images the model was trained or chosen on.

    Args:
        manifest: the images that the model is to be judged on.
        digests: their content hashes, in the order of the manifest.
        trained_on: the beginnings of the content hashes of the images that the model was made with.
    """
    lengths = {len(known) for known in trained_on}
    seen = [
        path
        for path, digest in zip(manifest.table["path"], digests, strict=True)
        if any(digest[:length] in trained_on for length in lengths)
    ]
    if not seen:
        return []
    return [
        Finding(
            check="leak",
            severity="block",
            message=f"{len(seen)} of the {len(manifest)} images are among those that the model was trained or chosen "
            "on: what it says of them is no evidence. Give images that it has never seen.",
            count=len(seen),
            examples=tuple(seen[:EXAMPLES]),
        )
    ]
