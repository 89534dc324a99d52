"""Pictures that belong to other images and are none themselves: masks, segmentations, annotations, overlays."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from radlens.dataset.class_names import fold, word_set, words_of

_WORDS = word_set(
    """
mask masks mascara mascaras máscara máscaras masque masques maske masken seg segs segmentation segmentations
segmentacion segmented segm label labels labelmap labelmaps annotation annotations annot annots overlay overlays bbox
bboxes boxes gt groundtruth groundtruths heatmap heatmaps gradcam cam cams saliency contour contours roi rois landmark
landmarks superpixel superpixels thumbnail thumbnails thumbs preview previews visualization visualizations
visualisation visualisations delineation delineations lungmask 掩码 掩膜 标注 маска маски
"""
)
_PAIRS = frozenset({("ground", "truth"), ("ground", "truths"), ("bounding", "box"), ("bounding", "boxes")})
# What a companion is of, and the form that it comes in.
_ATTRIBUTES = word_set(
    """
lung lungs heart brain chest left right infection lesion lesions tumor tumour manual binary expert auto predicted png
jpg jpeg tif tiff bmp images image img imgs files folder data all final new raw resized map maps pixel level cxr ct
mri xray x ray breast skin eye disc cup vessel organ covid train test val valid training testing
"""
)
_GLUED = ("mask", "masks", "segmentation", "segmentations", "groundtruth", "bboxes", "heatmaps", "annotations")
_TRANSPARENT = word_set(
    """
image images img imgs picture pictures pics photos scans original originals raw input inputs png jpg jpeg dicom dcm
tif tiff bmp data cxr xray xrays
"""
)
_FILE = re.compile(
    r"(?P<stem>.+?)[ _.\-]+(?:masks?|seg|segmentations?|gt|ground_?truth|label|labels|overlay|annotations?|annot|bbox|"
    r"heatmap|contour|superpixels|lung_?mask|roi)(?:[ _\-]*(?:\d+|\(\d+\)))?",
    re.IGNORECASE,
)
_FILE_BEFORE = re.compile(
    r"(?:mask|seg|segmentation|gt|label|overlay|annotation|heatmap)[ _.\-]+(?P<stem>.+)", re.IGNORECASE
)


def is_companion_name(name: str) -> bool:
    """Whether a folder of this name holds what was made from images, and not images.

    >>> [is_companion_name(name) for name in ("masks", "Lung_Masks", "Ground Truth", "with_mask", "images")]
    [True, True, True, False, False]
    """
    words = [word for word in words_of(name) if not word.isdigit()]
    if not words:
        return False
    told = [word in _WORDS or (word.endswith(_GLUED) and not word.startswith(("un", "no"))) for word in words]
    for place in range(len(words) - 1):
        if (words[place], words[place + 1]) in _PAIRS:
            told[place] = told[place + 1] = True
    return any(told) and all(
        known or word in _ATTRIBUTES or len(word) == 1 for known, word in zip(told, words, strict=True)
    )


def is_transparent_name(name: str) -> bool:
    """Whether a folder of this name holds the images of what it lies in, and says no more.

    >>> is_transparent_name("images"), is_transparent_name("NORMAL")
    (True, False)
    """
    words = [word for word in words_of(name) if not word.isdigit()]
    return bool(words) and all(word in _TRANSPARENT for word in words)


def companion_folders(names: Sequence[str], *, images_here: bool, classes_here: bool) -> frozenset[str]:
    """Which of several folders side by side hold companions; none where nothing but these would be left.

    Args:
        names: of the folders.
        images_here: whether there are images next to the folders.
        classes_here: whether the names may be those of classes: then one is only taken for a companion where two
            others are left, none of which has the same word in its name (``with_mask`` and ``mask``).
    """
    companions = frozenset(name for name in names if is_companion_name(name))
    rest = [name for name in names if name not in companions]
    if not classes_here:
        return companions if rest or images_here else frozenset()
    if any(is_transparent_name(name) for name in rest):
        return companions
    stems = {fold(word)[:4] for name in companions for word in words_of(name) if word not in _ATTRIBUTES}
    related = any(stem in fold(name) for name in rest for stem in stems)
    return frozenset() if related or len(rest) < 2 else companions


def companion_files(names: Iterable[str]) -> frozenset[str]:
    """Which files of one folder are companions of another one there: ``x_mask.png`` next to ``x.png``.

    >>> sorted(companion_files(["benign (1).png", "benign (1)_mask.png", "benign (1)_mask_1.png", "alone_mask.png"]))
    ['benign (1)_mask.png', 'benign (1)_mask_1.png']
    """
    stems = {name: name.rpartition(".")[0] or name for name in names}
    present = {stem.casefold() for stem in stems.values()}
    return frozenset(
        name
        for name, stem in stems.items()
        for match in (_FILE.fullmatch(stem) or _FILE_BEFORE.fullmatch(stem),)
        if match and match["stem"].casefold() in present
    )
