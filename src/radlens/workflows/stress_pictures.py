"""Pictures written out for another program: images of a source as they are and under every change of the suites."""

from __future__ import annotations

import hashlib
import io
import json
import logging
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
from PIL import Image

from radlens.assessment.framing_evidence import framings_of
from radlens.assessment.stress_images import (
    TABLE_FILE,
    ImagesPlan,
    PlannedChange,
    StressImages,
    picture_path,
    read_plan,
    table_of,
    write_plan,
)
from radlens.base.cpu import available_cores
from radlens.base.errors import RadlensError, UsageError
from radlens.base.files import claim_output, replacing, write_text
from radlens.base.folder_lock import writes_folder
from radlens.base.progress import track
from radlens.base.version import __version__
from radlens.config import RunSettings
from radlens.dataset.sources import read_source
from radlens.imaging.decode import decode
from radlens.imaging.framing import SUITE, Framing, reframe
from radlens.learning.quality import QUALITY_SUITE, change_quality
from radlens.workflows.depth import at_decided_depth
from radlens.workflows.evaluate import select_images
from radlens.workflows.options import RunOptions, check_folder, settings_of
from radlens.workflows.stress_sample import Sample, draw_sample

logger = logging.getLogger(__name__)

Pixels = npt.NDArray[np.uint8]

# The longest side of a picture, in pixels; networks take in fewer.
LONGEST = 1024
# Pictures that the disk space of all is judged by.
_MEASURED = 5


@dataclass(frozen=True)
class WrittenImages:
    """What was written.

    Attributes:
        folder: where the pictures and ``stress_images.csv`` lie.
        pictures: how many there are.
        size: bytes that they take.
    """

    folder: Path
    pictures: int
    size: int


@writes_folder()
def write_stress_images(
    source: str | Path,
    out: str | Path,
    *,
    split: str | None = None,
    images: int = 200,
    longest: int = LONGEST,
    seed: int | None = None,
    config: str | Path | None = None,
    settings: tuple[str, ...] | list[str] = (),
    overwrite: bool = False,
    resume: bool = False,
) -> WrittenImages:
    """Write labelled images as PNG, as they are and under every change, and a table of them for another program.

    Args:
        source: labelled images.
        out: the folder to make.
        split: ``train``, ``val``, ``test`` or ``all``; None: test when the source has one, else all.
        images: how many are drawn at most, of each class as many.
        longest: the longest side of a picture in pixels; larger ones are reduced. Blur, noise, resolution and JPEG are
            of the pixels as they are written.
        seed: what the sample and all random changes follow from.
        config: YAML file of settings.
        settings: further settings as ``section.key=value``.
        overwrite: replace what lies in ``out``.
        resume: go on with a writing that was stopped; the other arguments must be as they were.

    Raises:
        UsageError: a setting cannot be used, ``out`` is not empty, or what is to be resumed is another writing.
        DataError: the images or labels cannot be used.
        RadlensError: the disk has no space for them.
    """
    folder = Path(out)
    if longest < 16:
        raise UsageError(f"--longest {longest}: at least 16 pixels are needed.")
    # 1. The images.
    resolved = settings_of(source, RunOptions(seed=seed, config=config, settings=settings))
    if not resume:
        check_folder(folder, overwrite, resolved.data.source)
    whole = read_source(resolved.data, ask_positive=False).fully_labelled()
    manifest, name = select_images(whole, split)
    named = split != "all" and (whole.table["split"] == name).any()
    sample = draw_sample(manifest, resolved.data, resolved.preprocessing, images, resolved.seed)
    resolved = at_decided_depth(resolved, sample.cache.facts)
    plan = _plan(sample, name if named else "all", longest, resolved)
    # 2. The space that they take.
    job = _Writing(folder, plan, sample, resolved)
    expected = job.expected_bytes()
    free = shutil.disk_usage(_existing(folder)).free
    logger.info(
        "Writing %s pictures (%d images, as they are and under %d changes): about %s; free: %s.",
        f"{job.paths.size:,}",
        plan.images,
        len(plan.changes),
        _megabytes(expected),
        _megabytes(free),
    )
    if expected > free and not resume:
        raise RadlensError(
            f"The pictures take about {_megabytes(expected)}, and {folder} has {_megabytes(free)} left. Take fewer "
            "(--images), smaller ones (--longest), or another folder."
        )
    # 3. The plan, the pictures, and the table last.
    _begin(folder, plan, sample, overwrite, resume)
    size = sum(track(job.write_all(), "Writing pictures", plan.images))
    write_text(folder / TABLE_FILE, job.table().to_csv(index=False))
    return WrittenImages(folder, job.paths.size, size)


def _plan(sample: Sample, split: str, longest: int, settings: RunSettings) -> ImagesPlan:
    changes = (
        *(
            PlannedChange(suite="framing", kind=each.kind, strength=each.strength, name=each.name, counted=each.counted)
            for each in SUITE
        ),
        *(
            PlannedChange(suite="quality", kind=each.kind, strength=each.strength, name=each.name, counted=each.counted)
            for each in QUALITY_SUITE
        ),
    )
    digests = list(zip(sample.cache.digests, sample.manifest.table["label"], strict=True))
    identity = json.dumps([settings.seed, longest, digests, [change.name for change in changes]])
    return ImagesPlan(
        radlens_version=__version__,
        token=hashlib.sha256(identity.encode()).hexdigest()[:8],
        seed=settings.seed,
        longest=longest,
        split=split,
        images=len(sample.manifest),
        changes=changes,
    )


def _begin(folder: Path, plan: ImagesPlan, sample: Sample, overwrite: bool, resume: bool) -> None:
    """Make the folder, or see that it holds the beginning of the same pictures."""
    if resume:
        stopped = read_plan(folder)
        if stopped != plan:
            raise UsageError(
                f"{folder} holds the beginning of other pictures: seed {stopped.seed}, {stopped.images} images, "
                f"longest side {stopped.longest}; asked for were seed {plan.seed}, {plan.images} images, longest side "
                f"{plan.longest}. Give the same source and options, or replace it: --overwrite"
            )
        return
    claim_output(folder, overwrite=overwrite)
    sample.manifest.with_split(["test"] * len(sample.manifest)).write(folder)
    write_plan(plan, folder)


@dataclass(frozen=True)
class _Writing:
    """The pictures of a plan, to be written into a folder."""

    folder: Path
    plan: ImagesPlan
    sample: Sample
    settings: RunSettings

    @property
    def paths(self) -> npt.NDArray[np.str_]:
        changes = (None, *self.plan.changes)
        names = [picture_path(image, self.plan.token, each) for image in range(self.plan.images) for each in changes]
        return np.array(names).reshape(self.plan.images, -1)

    def expected_bytes(self) -> int:
        """By the size of a few unchanged pictures; black margins make changed ones smaller, noise larger."""
        numbers = np.unique(np.linspace(0, self.plan.images - 1, _MEASURED).astype(int)).tolist()
        each = [len(_encode(self._pixels(number))) for number in numbers]
        return int(np.mean(each) * self.paths.size)

    def write_all(self) -> Iterator[int]:
        """Write what is missing; the bytes of each image's pictures."""
        framings = [framings_of(change, self.plan.images, self.plan.seed) for change in SUITE]
        with ThreadPoolExecutor(available_cores()) as pool:
            jobs = [
                pool.submit(self._write, number, row, [each[number] for each in framings])
                for number, row in enumerate(self.paths)
            ]
            try:
                for job in jobs:
                    yield job.result()
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise

    def table(self) -> pd.DataFrame:
        """The table of all pictures."""
        images = StressImages(self.folder, self.plan, self.sample.manifest, self.paths)
        framings = [framings_of(change, self.plan.images, self.plan.seed) for change in SUITE]
        whole, none = _window(Framing()), dict.fromkeys(("top", "bottom", "left", "right"), "")
        details = [
            [
                {**whole, "parameters": ""},
                *({**_window(each[number]), "parameters": ""} for each in framings),
                *({**none, "parameters": change.parameters} for change in QUALITY_SUITE),
            ]
            for number in range(self.plan.images)
        ]
        return table_of(images, details)

    def _write(self, number: int, paths: npt.NDArray[np.str_], framings: list[Framing]) -> int:
        files = [self.folder / path for path in paths]
        if not all(file.is_file() for file in files):
            pixels = self._pixels(number)
            for place, file in enumerate(files):
                if not file.is_file():
                    with replacing(file) as temporary:
                        temporary.write_bytes(_encode(self._changed(pixels, number, place, framings)))
        return sum(file.stat().st_size for file in files)

    def _changed(self, pixels: Pixels, number: int, place: int, framings: list[Framing]) -> Pixels:
        if place == 0:
            return pixels
        if place <= len(SUITE):
            return np.asarray(reframe(pixels[None], framings[place - 1])[0], dtype=np.uint8)
        change = QUALITY_SUITE[place - 1 - len(SUITE)]
        return np.asarray(change_quality(pixels[None], change, self.plan.seed, first=number)[0], dtype=np.uint8)

    def _pixels(self, number: int) -> Pixels:
        """An image at its own resolution: uint8, shape (1 or 3, height, width)."""
        limits, depth = self.settings.data.limits, self.settings.preprocessing.depth
        image = decode(self.sample.manifest.locations[number], limits=limits, depth=depth).image
        # Reduced, never enlarged.
        image.thumbnail((self.plan.longest, self.plan.longest), Image.Resampling.LANCZOS)
        pixels = np.asarray(image, dtype=np.uint8)
        return pixels[None] if pixels.ndim == 2 else np.ascontiguousarray(pixels.transpose(2, 0, 1))


def _encode(pixels: Pixels) -> bytes:
    buffer = io.BytesIO()
    shown = pixels[0] if len(pixels) == 1 else np.ascontiguousarray(pixels.transpose(1, 2, 0))
    Image.fromarray(shown).save(buffer, "PNG")
    return buffer.getvalue()


def _window(framing: Framing) -> dict[str, str]:
    return {side: f"{getattr(framing, side):.6g}" for side in ("top", "bottom", "left", "right")}


def _existing(folder: Path) -> Path:
    """The folder, or the nearest one above it that exists."""
    return next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())


def _megabytes(size: int) -> str:
    """In words.

    >>> _megabytes(1_234_000_000), _megabytes(56_000)
    ('1.2 GB', '0.1 MB')
    """
    return f"{size / 1e9:,.1f} GB" if size >= 1e9 else f"{size / 1e6:,.1f} MB"
