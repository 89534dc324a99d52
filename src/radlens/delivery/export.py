"""Write the model of a run, or of an older folder, again; the images that it is checked on are found here."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from radlens.base.errors import UsageError
from radlens.base.files import building, write_text
from radlens.base.version import __version__
from radlens.config import resolve
from radlens.dataset.manifest import Manifest
from radlens.delivery.onnx_export import FEWEST_IMAGES, Pixels, phantom_pixels
from radlens.delivery.onnx_variants import Trial
from radlens.delivery.release import Kind, evidence_for_config, release
from radlens.imaging.cache.pixel_cache import PixelCache
from radlens.imaging.preprocess import Preprocessing
from radlens.runtime.metrics_record import read_metrics
from radlens.runtime.model_files import CARD_FILE, safe_file
from radlens.runtime.model_folder import open_model_folder, read_weights
from radlens.runtime.training_images import TRAINING_IMAGES_FILE


@dataclass(frozen=True, eq=False)
class _RunImages:
    """Validation and training images of a run, with the split and the target of each."""

    cache: PixelCache
    split: npt.NDArray[np.str_]
    targets: npt.NDArray[np.int64]

    @property
    def readable(self) -> npt.NDArray[np.bool_]:
        return self.cache.rows >= 0


def export(model: Path, out: Path | None = None, smaller: Collection[Kind] = ()) -> Path:
    """Write the model folder of a run or of an earlier export again, in today's form and with its graph.

    Args:
        model: a run folder or a model folder. Its card may have been edited.
        out: a new folder for it; None: where it lies.
        smaller: see :func:`radlens.delivery.release.release`; measured on the run's validation images.

    Returns:
        The model folder.

    Raises:
        UsageError: ``out`` exists, or smaller weights are asked for where there are no images of a run.
        DataError: the model is damaged, cannot be written as ONNX, or the graph's answers differ.
    """
    if out is not None and out.exists():
        raise UsageError(f"The output {out} exists. Choose another --out, or leave it out to write the model in place.")
    folder = open_model_folder(model, any_card=True)
    tensors = read_weights(folder)
    config = folder.config.model_copy(update={"radlens_version": __version__, **_metrics_of(model)})
    images = _read_run(model, config.preprocessing, whole=bool(smaller))
    known = (images.cache, images.split) if images else ()
    pixels, source = parity_images(config.preprocessing, *known)
    trial = _trial(model, images) if smaller else None
    if out is None:
        release(folder.path, config, tensors, pixels, source, smaller, trial)
        return folder.path
    with building(out) as temporary:
        for name in (TRAINING_IMAGES_FILE, CARD_FILE):
            if folder.file(name) is not None:
                write_text(temporary / name, safe_file(folder.path, name).read_text(encoding="utf-8", errors="replace"))
        release(temporary, config, tensors, pixels, source, smaller, trial)
    return out


def _trial(run: Path, images: _RunImages | None) -> Trial:
    """The validation images of a run, to measure on, and some of its training images, to fit to.

    Raises:
        UsageError: there are none.
    """
    if images is None or not (images.readable & (images.split == "val")).any():
        raise UsageError(
            f"Smaller weights are measured on the validation images of a run, which {run} does not have. Give the run "
            "folder, with the images where they were."
        )
    cache = images.cache
    val, train = (np.flatnonzero(images.readable & (images.split == name)) for name in ("val", "train"))
    some = cache.rows[train[:: max(1, len(train) // FEWEST_IMAGES)]]
    return Trial(cache.pixels[cache.rows[val]], images.targets[val], "of validation", cache.pixels[some])


def parity_images(
    contract: Preprocessing, cache: PixelCache | None = None, split: npt.NDArray[np.str_] | None = None
) -> tuple[Pixels, str]:
    """Images that graph and network are compared on: of validation, then of training, then phantoms.

    Args:
        contract: what the pixels are to be like.
        cache: the pixels of a run; None: there are none.
        split: the split of each image of the cache. Test images are not looked at.

    Returns:
        uint8, shape (200, channels, height, width), and in words what they are.
    """
    parts, words = [np.empty((0, *contract.shape), dtype=np.uint8)], []
    if cache is not None and split is not None:
        for name, word in (("val", "validation"), ("train", "training")):
            rows = cache.rows[(split == name) & (cache.rows >= 0)]
            left = FEWEST_IMAGES - sum(map(len, parts))
            if left and len(rows):
                # Evenly over the split, which may be sorted by class.
                parts.append(cache.pixels[rows[np.linspace(0, len(rows) - 1, min(left, len(rows))).astype(int)]])
                words.append(f"{len(parts[-1])} of {word}")
    left = FEWEST_IMAGES - sum(map(len, parts))
    if left:
        parts.append(phantom_pixels(contract, left))
        words.append(f"{left} phantoms")
    return np.concatenate(parts), ", ".join(words)


def _metrics_of(run: Path) -> dict[str, object]:
    """The figures of a run, for its config, if it has any."""
    path = run / "metrics.json"
    return evidence_for_config(read_metrics(path)) if path.is_file() else {}


def _read_run(run: Path, contract: Preprocessing, *, whole: bool) -> _RunImages | None:
    """Some of the validation and training images of a run, or all of them; None where there is no run."""
    if not (run / "manifest.csv").is_file() or not (run / "config.yaml").is_file():
        return None
    manifest = Manifest.read(run)
    split = manifest.table["split"].to_numpy(dtype=str)
    mask = np.isin(split, ("val", "train"))
    if not whole:
        rows = [np.flatnonzero(split == name) for name in ("val", "train")]
        some = np.concatenate([each[:: max(1, len(each) // FEWEST_IMAGES)][:FEWEST_IMAGES] for each in rows])
        mask = np.isin(np.arange(len(split)), some)
    data = resolve(file=run / "config.yaml").data
    part = manifest.only(mask)
    cache = PixelCache.build(part.locations, contract, data.workers, data.limits)
    return _RunImages(cache, split[mask], part.targets())
