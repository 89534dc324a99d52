"""Images of more than 8 bits that do not say how many are in use: on what scale they are shown, and what does not fit.

A set that mixes depths, such as 12 bits of one hospital and 16 of another, shows one of them dark or the other white,
and a model may tell the sources apart by that.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from radlens.dataset.audit.findings import Finding
from radlens.dataset.manifest import Manifest
from radlens.imaging.cache.pixel_cache import PixelCache
from radlens.imaging.depth import OUTLIERS, STRAY_IMAGES, describe_depth

# Two usual depths further down: the picture is left with a sixteenth of the greys.
_MUCH_DARKER_BITS = 4
_EXAMPLES = 5


def depth_findings(kept: Manifest, images: PixelCache) -> Iterator[Finding]:
    """What is to be said of images whose files do not declare the depth of their values."""
    reach = {
        path: facts.values
        for path, facts in zip(kept.table["path"], images.facts, strict=True)
        if facts is not None and facts.values is not None
    }
    if not reach:
        return
    depth = images.contract.depth
    which = f"{len(reach):,} of {len(kept):,} images store values of more than 8 bits and do not declare how many are"
    if depth in ("auto", "significant", "range"):
        yield Finding(
            check="depth",
            severity="warn",
            message=f"{which} in use; each is scaled by its own values, so that one pixel more or less may make an "
            "image four times darker than its neighbours. A model keeps one scale for all if it is trained with "
            "preprocessing.depth=auto, or with a number of bits.",
            count=len(reach),
            examples=tuple(reach)[:_EXAMPLES],
        )
    else:
        yield Finding(
            check="depth",
            severity="note",
            message=f"{which} in use. They are shown on one scale, {describe_depth(depth)} (preprocessing.depth).",
            count=len(reach),
        )
    bits = Counter(values.bits for values in reach.values() if values.kind == "uint16")
    darker = sum(count for each, count in bits.items() if each <= max(bits) - _MUCH_DARKER_BITS)
    clipped = [
        path
        for path, facts in zip(kept.table["path"], images.facts, strict=True)
        if facts is not None and facts.clipped > OUTLIERS
    ]
    if bits and STRAY_IMAGES * len(reach) < darker < (1 - STRAY_IMAGES) * len(reach):
        counts = ", ".join(f"{count:,} of {each} bits" for each, count in sorted(bits.items()))
        deep = [path for path, values in reach.items() if values.bits == max(bits)]
        yield Finding(
            check="depth",
            severity="warn",
            message=f"The images mix depths: {counts}, told by their values. On one scale the shallow ones come out "
            "dark. Find out whether they come from several sources, and bring them to one depth; or have each image "
            "scaled by itself (preprocessing.depth=significant).",
            count=sum(bits.values()),
            examples=tuple(deep)[:_EXAMPLES],
        )
    if clipped:
        yield Finding(
            check="depth",
            severity="warn",
            message=f"{len(clipped):,} image(s) are brighter than the scale, {describe_depth(depth)}: what lies above "
            "white is clipped in them. A larger preprocessing.depth holds them, if the others are as deep.",
            count=len(clipped),
            examples=tuple(clipped)[:_EXAMPLES],
        )
