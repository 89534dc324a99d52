"""What is wrong in the headers of images that are shown in spite of it."""

from __future__ import annotations

from collections import Counter

from radlens.dataset.audit.findings import Finding
from radlens.dataset.manifest import Manifest
from radlens.imaging.cache.pixel_cache import PixelCache
from radlens.imaging.dicom.polarity import RAW_VALUES

EXAMPLES = 10


def header_findings(manifest: Manifest, cache: PixelCache) -> list[Finding]:
    """Warn of faults in headers, each kind with its number of images and its first one.

    Args:
        manifest: the images.
        cache: what is known of their files, in the same order.
    """
    kinds: Counter[str] = Counter()
    first: dict[str, str] = {}
    images = 0
    for path, facts in zip(manifest.table["path"], cache.facts, strict=True):
        # Raw values are no fault, and have a finding of their own.
        remarks = [] if facts is None else [text for text in facts.remarks if not text.startswith(RAW_VALUES)]
        images += bool(remarks)
        # What comes before the colon is the same in all files that have the fault.
        kinds.update({remark.partition(":")[0] for remark in remarks})
        for remark in remarks:
            first.setdefault(remark.partition(":")[0], f"{path}: {remark}")
    if not images:
        return []
    return [
        Finding(
            check="header_faults",
            severity="warn",
            message=f"{images} of {len(manifest)} image(s) have faults in their DICOM header and are shown in spite of "
            "these: what cannot be used is passed over; where a header contradicts the values, these count. Look at "
            "some of them next to others, and mend the headers where the pictures differ; a model may learn such a "
            "difference if the faults go with the label.",
            count=images,
            examples=tuple(f"{count} image(s), first {first[kind]}" for kind, count in kinds.most_common(EXAMPLES)),
        )
    ]
