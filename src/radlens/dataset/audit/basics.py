"""The basics of an audit: counts, unreadable files, unknown and shared patients, split sizes, class balance."""

from __future__ import annotations

from collections.abc import Sequence

from radlens.dataset.audit.findings import Finding, ways_out
from radlens.dataset.manifest import SPLITS, Manifest

EXAMPLES = 10
# With so many images of a class, a 95 % interval of its sensitivity is up to 2 * 1.96 * sqrt(0.25 / n) = 0.36 wide.
FEW_IMAGES = 30
_SPLIT_AGAIN = " Add images, or split all images again (--set data.split.official=false)."
IMBALANCE_NOTE = 2.0
IMBALANCE_WARN = 10.0


def splits_of(manifest: Manifest) -> list[str]:
    """The splits that the manifest names, in their order; last the images without one."""
    present = set(manifest.table["split"])
    return [split for split in (*SPLITS, "") if split in present]


def counts_of(manifest: Manifest, splits: Sequence[str]) -> dict[str, dict[str, int]]:
    """Images per split and class."""
    counts = manifest.class_counts().reindex(list(splits), fill_value=0)
    return {split: {name: int(counts[name][split]) for name in manifest.info.classes} for split in splits}


def by_split(manifest: Manifest, splits: Sequence[str], *, patients: bool = False) -> dict[str, int]:
    """Images, or patients, per split."""
    groups = manifest.table.groupby("split")["patient"]
    counts = groups.nunique() if patients else groups.size()
    return {split: int(counts.get(split, 0)) for split in splits}


def unreadable(manifest: Manifest, rejected: Sequence[tuple[str, str]], none_left: bool) -> list[Finding]:
    """The files that could not be read."""
    if not rejected:
        return []
    examples = [reason if reason.startswith(location) else f"{location}: {reason}" for location, reason in rejected]
    message = f"{len(rejected)} image(s) cannot be read and are left out. Mend or remove them."
    if none_left:
        message = f"None of the {len(manifest)} image(s) can be read."
    return [
        Finding(
            check="unreadable_files",
            severity="block" if none_left else "warn",
            message=message,
            count=len(rejected),
            examples=tuple(examples[:EXAMPLES]),
        )
    ]


def unknown_patients(manifest: Manifest) -> list[Finding]:
    """The images whose patient is not known."""
    own = manifest.table["path"][manifest.table["patient"] == manifest.table["path"]]
    if own.empty:
        return []
    return [
        Finding(
            check="patients_unknown",
            severity="warn",
            message=f"The patient of {len(own)} of {len(manifest)} image(s) is not known: each of them counts as its "
            "own patient. If several are of one patient, they may lie in different splits, and results look better "
            "than they are. Say how the file name tells the patient (data.patient_from), or name a CSV column.",
            count=len(own),
            examples=tuple(own.head(EXAMPLES)),
        )
    ]


def patient_leaks(manifest: Manifest) -> list[Finding]:
    """Patients in more than one split."""
    table = manifest.table[manifest.table["split"] != ""]
    pairs = table[["patient", "split"]].drop_duplicates()
    shared = pairs[pairs["patient"].duplicated(keep=False)]
    if shared.empty:
        return []
    where = shared.sort_values(["patient", "split"]).groupby("patient")["split"].agg(", ".join)
    images = int(table["patient"].isin(where.index).sum())
    return [
        Finding(
            check="leak",
            severity="block",
            message=f"{len(where)} patient(s) with {images} image(s) are in more than one split: the model would be "
            f"judged on patients it was trained on. {ways_out(table['split'])}",
            count=len(where),
            examples=tuple(f"{patient}: {splits}" for patient, splits in where.head(EXAMPLES).items()),
        )
    ]


def split_sizes(counts: dict[str, dict[str, int]]) -> list[Finding]:
    """Classes that a split lacks, and classes with too few images to judge a model by."""
    splits = [split for split in counts if split]
    lacking = [f"{split}: no {name}" for split in splits for name, count in counts[split].items() if count == 0]
    few = {
        f"{split}: {count} {name}": count
        for split in splits
        if split != "train"
        for name, count in counts[split].items()
        if 0 < count < FEW_IMAGES
    }
    findings = []
    if lacking:
        findings.append(
            Finding(
                check="split_lacks_class",
                # Before training it can still be mended; where images are only judged, no figure is wrong for it.
                severity="block" if "train" in splits else "warn",
                message=f"{len(lacking)} time(s) a split has no image of a class; the model cannot learn it there, or "
                "cannot be judged on it." + (_SPLIT_AGAIN if "train" in splits else ""),
                count=len(lacking),
                examples=tuple(lacking[:EXAMPLES]),
            )
        )
    if few:
        width = 2 * 1.96 * (0.25 / min(few.values())) ** 0.5
        findings.append(
            Finding(
                check="split_too_small",
                severity="warn",
                message=f"Fewer than {FEW_IMAGES} images of a class in validation or test are too few to judge a model "
                f"by: a 95 % interval of that class's sensitivity can be {min(width, 1):.2f} wide.",
                count=len(few),
                examples=tuple(list(few)[:EXAMPLES]),
            )
        )
    return findings


def imbalance(counts: dict[str, dict[str, int]]) -> list[Finding]:
    """How unequal the classes are in train, or in all images if there is no train."""
    splits = ["train"] if "train" in counts else list(counts)
    part = {name: sum(counts[split][name] for split in splits) for name in counts[splits[0]]}
    present = {name: count for name, count in part.items() if count}
    if len(present) < 2:
        return []
    most, least = max(present, key=present.__getitem__), min(present, key=present.__getitem__)
    ratio = present[most] / present[least]
    if ratio < IMBALANCE_NOTE:
        return []
    return [
        Finding(
            check="class_imbalance",
            severity="warn" if ratio >= IMBALANCE_WARN else "note",
            message=f"{most} has {ratio:.1f} times as many images as {least} "
            f"({present[most]} and {present[least]}{' in train' if 'train' in counts else ''}). Accuracy alone "
            "misleads here; see sensitivity and specificity.",
            count=len(present),
            examples=tuple(f"{name}: {count}" for name, count in present.items()),
        )
    ]
