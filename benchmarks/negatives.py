"""How surely the audit tells negatives from other radiographs by the pictures alone (`polarity`).

Of each folder of images, which are all the right way round, a share is turned over. Printed are the share of these that
is told, and how many of the others are taken for negatives.

Run: ``python benchmarks/negatives.py FOLDER [FOLDER ...] [--images 600]``
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import numpy.typing as npt
from common import print_table

from radlens.dataset.audit.image_facts import THUMBNAIL
from radlens.dataset.audit.polarity import find_negatives
from radlens.imaging.pixels import read_pixels
from radlens.imaging.preprocess import Preprocessing
from radlens.imaging.scan import LeftOut, walk

SHARES = (0.0, 0.01, 0.05, 0.2, 0.4)
REPEATS = 20


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--images", type=int, default=600, help="most images of a folder")
    options = parser.parse_args()
    rng = np.random.default_rng(0)
    sets = {folder.name: small_pictures(folder, options.images, rng) for folder in options.folders}
    if len(sets) > 1:
        sets["all together"] = np.concatenate(list(sets.values()))
    rows = []
    for name, pictures in sets.items():
        for share in SHARES:
            told, wrong = np.mean([turned_over(pictures, share, rng) for _ in range(REPEATS)], axis=0)
            shown = f"{told:.1%}" if share else "-"
            rows.append([name, str(len(pictures)), f"{share:.0%}", shown, f"{wrong:.2%}"])
    print_table(["images", "number", "turned over", "of these told", "others taken for negatives"], rows)


def small_pictures(folder: Path, most: int, rng: np.random.Generator) -> npt.NDArray[np.float32]:
    """Images of a folder averaged over the fields that the audit looks at, shape (images, fields)."""
    paths = np.array(list(walk(folder, str(folder), LeftOut())))
    drawn = rng.permutation(paths)[:most]
    fields = Preprocessing(height=THUMBNAIL, width=THUMBNAIL, resample="box")
    return np.stack([read_pixels(str(path), fields)[0].ravel() for path in drawn]).astype(np.float32)


def turned_over(pictures: npt.NDArray[np.float32], share: float, rng: np.random.Generator) -> tuple[float, float]:
    """The share of negatives that is told, and the share of the others that is taken for them."""
    negative = np.zeros(len(pictures), dtype=np.bool_)
    negative[rng.permutation(len(pictures))[: round(share * len(pictures))]] = True
    told = find_negatives(np.where(negative[:, np.newaxis], 255 - pictures, pictures))
    return float(told[negative].mean()) if negative.any() else 0.0, float(told[~negative].mean())


if __name__ == "__main__":
    main()
