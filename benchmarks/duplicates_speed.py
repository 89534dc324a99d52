"""How long the search for near duplicates takes, and what it finds: on real X-rays, and on many made-up hashes.

Run: ``python benchmarks/duplicates_speed.py [--repeats 3] [--hashes 20000 200000] [--data FOLDER]``

Real: all images of a folder, pixels cached before; then the same images with changed copies of some of them added, so
that the share found is known. Made up: hashes of 256 bits, either independent or in clumps (each a copy of one of a
hundredth as many centres with 30 % of its bits redrawn), and near copies of 1,000 of them with a known number of bits
flipped. Each image is asked for under as many variants as the audit makes of it, all but one of them unrelated, so
that the number of queries is that of an audit of as many images.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import numpy.typing as npt
from common import KERMANY, describe_machine, peak_memory, print_table, spread
from PIL import Image, ImageEnhance

from radlens.config import DataSettings
from radlens.dataset.audit.duplicates import find_duplicates
from radlens.dataset.audit.hash_search import Hashes, HashIndex
from radlens.dataset.audit.near_duplicates import ORDERS, RADIUS
from radlens.dataset.audit.perceptual_hash import BITS
from radlens.dataset.audit.spectrum import VARIANTS
from radlens.dataset.sources import read_source
from radlens.imaging.cache.pixel_cache import PixelCache
from radlens.imaging.preprocess import Preprocessing


def cropped(image: Image.Image, share: float) -> Image.Image:
    """The inner part, enlarged to the size of the whole."""
    across, down = round(share * image.width), round(share * image.height)
    return image.crop((across, down, image.width - across, image.height - down)).resize(image.size)


PLANTED = 1000
FLIPPED = (16, 32, 48, 64)
CHANGED = 200
CHANGES: dict[str, Callable[[Image.Image], Image.Image]] = {
    "turned by 4 degrees": lambda image: image.rotate(4, Image.Resampling.BILINEAR),
    "turned by 10 degrees": lambda image: image.rotate(10, Image.Resampling.BILINEAR),
    "turned by 90 degrees": lambda image: image.transpose(Image.Transpose.ROTATE_90),
    "mirrored": lambda image: image.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
    "30 % brighter": lambda image: ImageEnhance.Brightness(image).enhance(1.3),
    "40 % less contrast": lambda image: ImageEnhance.Contrast(image).enhance(0.6),
    "inverted": lambda image: image.point(lambda level: 255 - level),
    "cropped by a twentieth each side": lambda image: cropped(image, 0.05),
    "half the size and back": lambda image: image.resize((image.width // 2, image.height // 2)).resize(image.size),
}


def show_real(folder: Path, repeats: int) -> None:
    """Time and findings of the whole search on one folder."""
    manifest = read_source(DataSettings(source=str(folder)))
    cache = PixelCache.build(manifest.locations, Preprocessing())
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        found = find_duplicates(cache.digests, cache.pixels, cache.rows)
        seconds.append(time.perf_counter() - start)
    patient = manifest.table["patient"].to_numpy()
    strangers = sum(len({patient[row] for row in group}) > 1 for group in found.groups())
    print(f"\n{folder.parent.name}/{folder.name}: {len(manifest)} images\n")
    print_table(
        ["", "found"],
        [
            ["exact: sets (spare images)", f"{len(found.exact)} ({sum(len(group) - 1 for group in found.exact)})"],
            ["near: sets (images)", f"{len(found.near)} ({sum(map(len, found.near))})"],
            ["sets under several patients", str(strangers)],
            ["seconds", spread(seconds)],
            ["images a second", f"{len(manifest) / min(seconds):.0f}"],
            ["peak MiB", f"{peak_memory():.0f}"],
        ],
    )
    show_planted(cache)


def show_planted(cache: PixelCache) -> None:
    """The share of changed copies found among all images, and pairs found that nobody planted."""
    pixels, rng = np.asarray(cache.pixels)[cache.rows], np.random.default_rng(0)
    known = find_duplicates(cache.digests, cache.pixels, cache.rows).groups()
    copied = {row for group in known for row in group}
    single = np.array([row for row in range(len(pixels)) if row not in copied])
    rows = []
    for name, change in CHANGES.items():
        chosen = rng.choice(single, CHANGED, replace=False)
        copies = np.stack([np.asarray(change(Image.fromarray(pixels[row, 0])))[None] for row in chosen])
        digests = [*cache.digests, *(f"copy {number}" for number in range(CHANGED))]
        together = np.concatenate([pixels, copies.astype(np.uint8)])
        found = find_duplicates(digests, together, np.arange(len(together)))
        group_of = {row: number for number, group in enumerate(found.groups()) for row in group}
        hit = sum(
            group_of.get(row, -1) == group_of.get(len(pixels) + number, -2)
            for number, row in enumerate(chosen.tolist())
        )
        planted = {*chosen.tolist(), *range(len(pixels), len(together))}
        new = [group for group in found.groups() if group not in known and not planted.intersection(group)]
        rows.append([name, f"{hit / CHANGED:.3f}", str(len(new))])
    print()
    print_table([f"{CHANGED} copies planted", "share found", "sets that nobody planted"], rows)


def made_up(count: int, *, clumped: bool, rng: np.random.Generator) -> Hashes:
    """Random hashes, shape (count, words)."""
    bits = rng.integers(0, 2**64, (count, BITS // 64), dtype=np.uint64)
    if not clumped:
        return bits
    centres = bits[: max(1, count // 100)][rng.integers(0, max(1, count // 100), count)]
    octets = rng.random((count, BITS), dtype=np.float32) < 0.3
    redrawn = np.packbits(octets, axis=1).view(np.uint64)
    return np.asarray((centres & ~redrawn) | (bits & redrawn), np.uint64)


def flipped(hashes: Hashes, bits: int, rng: np.random.Generator) -> Hashes:
    """The same with so many bits of each changed."""
    order = rng.random((len(hashes), BITS)).argsort(axis=1)
    mask = np.packbits(order < bits, axis=1).view(np.uint64)
    return np.asarray(hashes ^ mask, dtype=np.uint64)


def search(index: HashIndex, own: Hashes, unrelated: Hashes) -> npt.NDArray[np.int64]:
    """All pairs near each other, each image asked for under all variants, in as many threads as there are cores."""
    size = 256

    def near(start: int) -> npt.NDArray[np.int64]:
        mine = own[start : start + size]
        chosen = np.random.default_rng(start).integers(0, len(unrelated), len(mine) * (len(VARIANTS) - 1))
        hits = index.near(np.concatenate([mine, unrelated[chosen]]), RADIUS)
        asked = hits.query < len(mine)
        return np.stack([hits.query[asked] + start, hits.item[asked]], axis=1)

    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        return np.concatenate(list(pool.map(near, range(0, len(own), size))))


def show_made_up(count: int, *, clumped: bool) -> list[str]:
    """Time and recall for one number of hashes."""
    rng = np.random.default_rng(count)
    hashes = made_up(count, clumped=clumped, rng=rng)
    for number, bits in enumerate(FLIPPED):
        part = slice(number * PLANTED // len(FLIPPED), (number + 1) * PLANTED // len(FLIPPED))
        hashes[count - PLANTED :][part] = flipped(hashes[:PLANTED][part], bits, rng)
    unrelated = made_up(20_000, clumped=clumped, rng=rng)
    start = time.perf_counter()
    index = HashIndex.build(hashes, ORDERS)
    built = time.perf_counter() - start
    start = time.perf_counter()
    pairs = search(index, hashes, unrelated)
    asked = time.perf_counter() - start
    found = {(int(a), int(b)) for a, b in pairs}
    shares = []
    for number in range(len(FLIPPED)):
        each = range(number * PLANTED // len(FLIPPED), (number + 1) * PLANTED // len(FLIPPED))
        hit = sum((row, count - PLANTED + row) in found or (count - PLANTED + row, row) in found for row in each)
        shares.append(f"{hit / len(each):.3f}")
    queries = count * len(VARIANTS)
    rate = f"{queries / asked:,.0f}"
    return [f"{count:,}", "clumped" if clumped else "independent", f"{built:.1f}", f"{asked:.0f}", rate, *shares]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--hashes", type=int, nargs="*", default=[20_000, 200_000])
    parser.add_argument("--data", type=Path, default=KERMANY)
    chosen = parser.parse_args()
    print(describe_machine())
    if chosen.data.is_dir():
        show_real(chosen.data, chosen.repeats)
    else:
        print(f"{chosen.data} is not there: no real X-rays to measure with.")
    print()
    header = ["hashes", "spread", "sorting (s)", f"asking for {len(VARIANTS)} variants of each (s)", "queries a second"]
    rows = []
    for count in chosen.hashes:
        for clumped in (False, True):
            rows.append(show_made_up(count, clumped=clumped))
            print(f"{rows[-1][0]} hashes, {rows[-1][1]}: {rows[-1][3]} s", file=sys.stderr)
    print_table(header + [f"found, {bits} of {BITS} bits off" for bits in FLIPPED], rows)
    print(f"\nPeak memory {peak_memory():.0f} MiB.")


if __name__ == "__main__":
    main()
