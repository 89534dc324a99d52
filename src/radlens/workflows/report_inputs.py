"""The content of a report: pictures and figures gathered from all rooms."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from radlens.config import RunSettings
from radlens.dataset.access_log import Access, hash_images, read_access_log
from radlens.dataset.manifest import Manifest, split_labels
from radlens.imaging.cache.pixel_cache import PixelCache
from radlens.learning import augment
from radlens.reporting.content import Augmented, OperatingPoints, Origin, Provenance, ReportContent
from radlens.reporting.gallery import MOST_ERRORS
from radlens.reporting.shown_settings import shown_place, shown_settings
from radlens.runtime.model_folder import ONNX_FILE, WEIGHTS_FILE, open_model_folder
from radlens.workflows.judged import Judged, Measured
from radlens.workflows.neighbours import training_neighbours
from radlens.workflows.pictures import map_painter, picture_reader
from radlens.workflows.prepare import Listed, Prepared

SAMPLES_PER_CLASS = 6
AUGMENTED_IMAGES = 3
VARIANTS = 5


def report_content(
    settings: RunSettings, prepared: Prepared | Listed, judged: Judged, measured: Measured, folder: Path
) -> ReportContent:
    """All that a report shows; without training there is no history and no augmentation, without pixels no picture.

    Args:
        settings: of the run.
        prepared: the images.
        judged: what was answered, and by whom.
        measured: what was measured of it.
        folder: the run folder, in which environment, history and the test-set access log are written down already.
    """
    manifest, cache, model, fitted = prepared.manifest, prepared.cache, judged.model, judged.fitted
    read_pixels = picture_reader(manifest, settings) if cache else None
    accesses = read_access_log(folder) if "test" in measured.metrics else []
    shown_errors = list(measured.failures["path"].head(MOST_ERRORS))
    return ReportContent(
        title=f"{manifest.info.name}: {'training run' if fitted else 'evaluation'}",
        info=manifest.info.model_copy(update={"source": shown_place(manifest.info.source)}),
        manifest=manifest.table,
        predictions=judged.predictions,
        metrics=measured.metrics,
        facts=measured.facts,
        audit=prepared.audit,
        rejected=[(_within(manifest, location), reason) for location, reason in (cache.rejected if cache else ())],
        suspects=measured.suspects,
        subgroups=measured.subgroups,
        samples=_samples(manifest, settings.seed) if cache else {},
        augmented=_augmented(settings, manifest, cache) if cache and fitted and settings.augment.enabled else (),
        history=pd.read_csv(folder / "history.csv") if fitted else None,
        best_epoch=fitted.best_epoch if fitted else None,
        read_pixels=read_pixels,
        read_input=_input_reader(manifest, cache) if cache else None,
        paint_map=map_painter(model, manifest, cache, read_pixels) if cache and model and read_pixels else None,
        neighbours=training_neighbours(model, manifest, cache, shown_errors, settings.seed) if cache and model else {},
        settings_yaml=shown_settings(settings, judged.origin),
        environment=json.loads((folder / "environment.json").read_text(encoding="utf-8")),
        notes=manifest.info.notes,
        provenance=trace(judged.origin, manifest, cache, measured.metrics, judged.model_at, accesses),
    )


def image_facts(prepared: Prepared | Listed) -> pd.DataFrame | None:
    """One row an image file: ``path, width, height, bytes, mode, format, mean, std``; None: none was opened."""
    if prepared.cache is None:
        return None
    table = pd.DataFrame([asdict(facts) for facts in prepared.cache.facts if facts is not None])
    table.insert(0, "path", prepared.manifest.table["path"].to_numpy())
    return table


def trace(
    origin: Origin,
    manifest: Manifest,
    cache: PixelCache | None,
    measured: Iterable[str],
    model_at: Path | None,
    accesses: Sequence[Access],
) -> Provenance:
    """Where figures come from: hashes of the images of each split that was measured, and of the model's files."""
    table = manifest.table
    digests = cache.digests if cache else table["path"].tolist()
    images = {
        split: hash_images(
            (digest, label)
            for digest, label, part in zip(digests, table["label"], table["split"], strict=True)
            if part == split
        )
        for split in measured
    }
    if model_at is None:
        return Provenance(origin, images, cache is not None, openings=tuple(accesses))
    opened = open_model_folder(model_at)
    paths = {name: opened.file(name) for name in (WEIGHTS_FILE, ONNX_FILE)}
    files = {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in paths.items() if path}
    config = opened.config
    training = f"radlens {config.radlens_version} with seed {config.seed}; the weights are of epoch {config.best_epoch}"
    data, bounds = config.training_data, config.operating_point_bounds
    others = {name: (value, bounds.get(name)) for name, value in config.operating_points.items()}
    return Provenance(
        origin,
        images,
        cache is not None,
        model=files,
        network=config.network,
        training=training,
        trained_on=data.name if data else "",
        training_images=data.sha256 if data else "",
        points=OperatingPoints(config.operating_point, others),
        abstention=config.abstention,
        openings=tuple(accesses),
    )


def _within(manifest: Manifest, location: str) -> str:
    """A location as the manifest writes it: relative to the root of the images where it lies in there."""
    return location.removeprefix(str(Path(manifest.info.root)) + os.sep)


def _samples(manifest: Manifest, seed: int) -> dict[str, list[str]]:
    """Paths of some images of each class, drawn by the seed, training images where there are any."""
    rng = np.random.default_rng((seed, 4))
    table = manifest.table
    if (table["split"] == "train").any():
        table = table[table["split"] == "train"]
    samples = {}
    for name in manifest.info.classes:
        of_class = table["path"][[name in split_labels(cell) for cell in table["label"]]]
        count = min(SAMPLES_PER_CLASS, len(of_class))
        samples[name] = list(of_class.iloc[np.sort(rng.choice(len(of_class), count, replace=False))])
    return samples


def _augmented(settings: RunSettings, manifest: Manifest, cache: PixelCache) -> list[Augmented]:
    rng = np.random.default_rng((settings.seed, 5))
    rows = cache.rows[(manifest.table["split"] == "train").to_numpy()]
    examples: list[Augmented] = []
    for row in rng.choice(rows, min(AUGMENTED_IMAGES, len(rows)), replace=False):
        pixels = np.array(cache.pixels[row])
        variants, parameters = augment.example(pixels, settings.augment, settings.preprocessing, VARIANTS, int(row))
        examples.append((_as_picture(pixels), [_as_picture(variant) for variant in variants], parameters))
    return examples


def _input_reader(manifest: Manifest, cache: PixelCache) -> Callable[[str], npt.NDArray[np.uint8]]:
    """What gives a page the preprocessed pixels of a manifest path, shape (channels, height, width)."""
    row_of = dict(zip(manifest.table["path"], cache.rows, strict=True))
    return lambda path: np.array(cache.pixels[row_of[path]])


def _as_picture(pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    return pixels[0] if len(pixels) == 1 else pixels.transpose(1, 2, 0)
