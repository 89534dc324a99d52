"""What the audit says of shortcuts, families of file names and drift: on real X-rays, and on phantoms of known truth.

Run: ``python benchmarks/shortcuts_real.py [--seeds 20] [--images 300] [--data FOLDER]``
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from common import DATA, describe_machine, print_table

from radlens.config import DataSettings, PhantomSettings, SplitSettings
from radlens.dataset.audit.distributions import describe
from radlens.dataset.audit.drift import compare_splits
from radlens.dataset.audit.fact_findings import drift_findings, family_findings, shortcut_findings
from radlens.dataset.audit.findings import Finding
from radlens.dataset.audit.framing_shortcuts import find_framing
from radlens.dataset.audit.name_families import find_name_families
from radlens.dataset.audit.shortcuts import find_shortcuts
from radlens.dataset.manifest import Manifest
from radlens.dataset.phantom.source import phantom_manifest
from radlens.dataset.sources import read_source
from radlens.dataset.split import assign_splits
from radlens.imaging.cache.pixel_cache import PixelCache
from radlens.imaging.preprocess import Preprocessing
from radlens.statistics.auroc import Auroc

T = TypeVar("T")


def timed(what: Callable[[], T]) -> tuple[T, float]:
    """A result and the seconds that it took."""
    start = time.perf_counter()
    return what(), time.perf_counter() - start


def told(auroc: Auroc) -> str:
    """An AUROC with its interval."""
    return f"{auroc.value:.3f} ({auroc.low:.3f} to {auroc.high:.3f})"


def show_real(source: Path) -> None:
    """All that is found in one folder, and how long it takes once the pixels are cached."""
    manifest = read_source(DataSettings(source=str(source)))
    cache = PixelCache.build(manifest.locations, Preprocessing())
    shortcuts, seconds = timed(lambda: find_shortcuts(manifest, cache, 0))
    frames, framing_seconds = timed(lambda: find_framing(manifest, cache, 0))
    families, more = timed(lambda: find_name_families(manifest, cache, 0))
    _, least = timed(lambda: describe(manifest, cache))
    print(
        f"\n{source.name}: {len(manifest)} images; shortcuts {seconds:.1f} s, framing {framing_seconds:.1f} s, ", end=""
    )
    print(f"families {more:.1f} s, distributions {least:.1f} s\n")
    rows = [
        [
            each.view,
            told(each.auroc),
            ", ".join(f"{weight.fact} {weight.auroc:.3f}" for weight in each.facts[:6]),
        ]
        for each in (*shortcuts, *frames)
    ]
    print_table(["view", "AUROC", "facts alone"], rows)
    print()
    rows = [
        [
            each.label,
            ", ".join(f"{family.images} {family.form}" for family in each.families),
            *(told(auroc) for auroc in each.views.values()),
        ]
        for each in families
    ]
    print_table(["label", "families", "facts", "thumbnail", "border"], rows)
    print()
    for finding in [*shortcut_findings([*shortcuts, *frames]), *family_findings(families)]:
        print(f"- {finding.severity} {finding.check}: {finding.message}")


def findings_of(manifest: Manifest, seed: int) -> list[Finding]:
    """What the audit's checks of facts say of one set."""
    cache = PixelCache.build(manifest.locations, Preprocessing(height=96, width=96))
    return [
        *shortcut_findings([*find_shortcuts(manifest, cache, seed), *find_framing(manifest, cache, seed)]),
        *family_findings(find_name_families(manifest, cache, seed)),
        *drift_findings(compare_splits(manifest, cache, seed)),
    ]


def show_phantoms(seeds: int, images: int) -> None:
    """In how many of the seeds each finding is made: of clean phantoms, and of those with a planted cue."""
    planted = [("none", 0.0), *((kind, strength) for kind in ("marker", "size", "framing") for strength in (1.0, 0.7))]
    rows = []
    for shortcut, strength in planted:
        counts: Counter[str] = Counter()
        for seed in range(seeds):
            manifest = phantom_manifest(
                PhantomSettings.model_validate(
                    {
                        "images": images,
                        "size": 96,
                        "seed": seed,
                        "shortcut": shortcut,
                        "shortcut_strength": strength,
                    }
                )
            )
            found = findings_of(assign_splits(manifest, SplitSettings(), seed), seed)
            counts.update(f"{finding.check} {finding.severity}" for finding in found)
        made = ", ".join(f"{name}: {count}" for name, count in sorted(counts.items())) or "nothing"
        rows.append([shortcut, f"{strength:.1f}", f"{0.5 + strength / 2:.2f}", made])
    print(f"\nPhantoms, {images} images each, {seeds} seeds: in how many of them a finding is made\n")
    print_table(["cue", "strength", "its AUROC", "findings"], rows)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--images", type=int, default=300)
    parser.add_argument("--data", type=Path, default=DATA, help="folder that holds kermany224")
    options = parser.parse_args()
    print(describe_machine())
    for source in (options.data / "kermany224" / "train", options.data / "kermany_original_sample"):
        if source.is_dir():
            show_real(source)
        else:
            print(f"\n{source} is absent")
    show_phantoms(options.seeds, options.images)


if __name__ == "__main__":
    main()
