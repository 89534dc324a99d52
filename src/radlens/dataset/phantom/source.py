"""Simulated chest radiographs: the built-in data set, not of people, with known truth and known defects.

A patient and an acquisition are drawn at random; :func:`render` then computes the picture from them without further
choice: path lengths through the organs, the Beer-Lambert law, scatter, quantum noise, detector and display.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from itertools import groupby
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
from PIL import Image

from radlens.base.cpu import available_cores
from radlens.base.errors import RadlensError, UsageError
from radlens.base.files import building, cache_root, write_text
from radlens.base.progress import track
from radlens.config import PhantomSettings
from radlens.dataset.manifest import DatasetInfo, Manifest
from radlens.dataset.phantom.anatomy import Floats, Patient
from radlens.dataset.phantom.defects import (
    CLASSES,
    Plan,
    PlannedImage,
    damage,
    describe,
    draw_plan,
    patient_name,
)
from radlens.dataset.phantom.files import Header, encode, to_bytes
from radlens.dataset.phantom.physics import (
    MU_BONE,
    MU_LUNG,
    MU_SOFT,
    Acquisition,
    attenuation,
    expose,
    mark,
    shutter,
    transmission,
)
from radlens.dataset.phantom.projection import project
from radlens.dataset.phantom.sampling import draw_acquisition, draw_margins, draw_patient
from radlens.dataset.phantom.window import WHOLE, grid_size, show, show_mask, window_around
from radlens.imaging.framing import Framing

__all__ = [
    "Acquisition",
    "Patient",
    "Phantom",
    "draw_acquisition",
    "draw_patient",
    "make_phantoms",
    "phantom_manifest",
    "render",
]

# Raise this when the same settings come to give other bytes: sets made before are then left alone.
FORMAT_VERSION = 1
MASK_LEVELS = {"effusion": 128, "pneumonia": 255}

_FEW = 64
_CHUNK = 8
_PRESENT = {"effusion": 0.5, "pneumonia": 0.4}
_THINNEST_LUNG = 0.12

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Phantom:
    """A simulated radiograph.

    Attributes:
        shown: display values, 0 (black) to 1 (white), float32, shape (size, size).
        masks: where a finding is to be seen, by ``effusion`` and ``pneumonia``; bool, shape (size, size), in the lungs.
        lungs: what the lungs fill, or would without the lesions; bool, shape (size, size).
        window: what part of the exposed field is shown.
    """

    shown: Floats
    masks: dict[str, Mask]
    lungs: Mask
    window: Framing = WHOLE

    @property
    def image(self) -> npt.NDArray[np.uint8]:
        """The picture in 8-bit grey, shape (size, size); bone is white."""
        return to_bytes(self.shown)


def render(patient: Patient, acquisition: Acquisition, size: int, noise_seed: int = 0) -> Phantom:
    """Compute the radiograph of a patient; the same arguments give the same picture.

    Args:
        patient: from :func:`draw_patient`.
        acquisition: from :func:`draw_acquisition`.
        size: height and width in pixels, from 32.
        noise_seed: of the quantum noise.

    >>> rng = np.random.default_rng(1)
    >>> phantom = render(draw_patient(rng, ["pneumonia"]), draw_acquisition(rng), size=64)
    >>> phantom.image.shape, bool(phantom.masks["pneumonia"].any())
    ((64, 64), True)
    """
    side = grid_size(size, acquisition.margins)
    paths = project(patient, acquisition, side)
    unit = patient.thorax.half_width_cm
    # Bone stands where soft tissue was counted.
    exponent = attenuation(
        {MU_SOFT * unit: paths.soft, MU_LUNG * unit: paths.lung, (MU_BONE - MU_SOFT) * unit: paths.bone}
    )
    present, tilt = paths.lungs > _THINNEST_LUNG, acquisition.tilt
    window = window_around(show_mask(present, tilt, side, side), acquisition.margins)
    primary = transmission(show(exponent, tilt, side, size, window))
    noise = np.random.default_rng(noise_seed).standard_normal((size, size), dtype=np.float32)
    shown = expose(primary, acquisition, noise)
    shutter(shown, acquisition)
    mark(shown, acquisition)
    lungs = show_mask(present, tilt, side, size, window)
    lesions = {"effusion": paths.fluid, "pneumonia": paths.consolidation}
    masks = {
        name: show_mask(extent > _PRESENT[name], tilt, side, size, window) & lungs
        for name, extent in lesions.items()
        if extent is not None
    }
    return Phantom(shown, masks, lungs, window)


def phantom_manifest(settings: PhantomSettings) -> Manifest:
    """The manifest of these phantoms, made now or found in the cache.

    Raises:
        UsageError: more defects are asked for than the images can carry.
        RadlensError: the cache folder is full or cannot be written to.
    """
    key = hashlib.sha256(f"{FORMAT_VERSION}:{settings.model_dump_json()}".encode()).hexdigest()[:16]
    folder = cache_root() / "phantoms" / key
    return _read(folder) if folder.is_dir() else make_phantoms(settings, folder)


def make_phantoms(settings: PhantomSettings, folder: Path, workers: int = 0) -> Manifest:
    """Write simulated chest radiographs into a new folder: all of it, or nothing.

    The folder holds ``images/``, by split when patients are shared between train and test, and by class unless the
    task is multilabel; ``masks/``, where 255 marks a consolidation and 128 pleural fluid; ``manifest.csv`` and
    ``dataset.yaml``; and ``defects.json``, which says what was planted where. The same settings give the same bytes,
    whatever the number of workers (on the same versions of the libraries).

    Args:
        settings: what to make.
        folder: must not exist, or be empty.
        workers: processes; 0: one for each CPU core.

    Returns:
        The manifest, with the columns path, label, patient, split, view, sex, age and mask (empty without a lesion).

    Raises:
        UsageError: the folder holds something, or more defects are asked for than the images can carry.
        RadlensError: the disk is full, the folder cannot be written to, or pydicom is missing for DICOM.
    """
    folder = Path(folder)
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise UsageError(f"{folder} exists and is not an empty folder; phantoms are made in a new one.")
    plan = draw_plan(settings)
    with building(folder) as temporary:
        _make_folders(temporary, plan)
        jobs = [
            (settings, str(temporary), tuple(group)) for _, group in groupby(plan.images, lambda image: image.patient)
        ]
        rows = [row for patient in _parallel(jobs, len(plan.images), workers) for row in patient]
        facts = dict(zip((image.path for image in plan.images), rows, strict=True))
        for copy in plan.copies:
            shutil.copyfile(temporary / copy.source.path, temporary / copy.path)
            rows.append(
                facts[copy.source.path]
                | {"path": copy.path, "patient": patient_name(copy.patient), "split": copy.split}
            )
        for path, kind in plan.damaged:
            damage(temporary / path, kind)
        Manifest(pd.DataFrame(rows), _info(settings)).write(temporary)
        write_text(temporary / "defects.json", json.dumps(describe(plan, settings), indent=1) + "\n")
    return _read(folder)


def _read(folder: Path) -> Manifest:
    """The manifest of a folder of phantoms; its root is written as the folder itself, so that it can be moved."""
    manifest = Manifest.read(folder)
    return replace(manifest, info=manifest.info.model_copy(update={"root": str(folder)}))


def _info(settings: PhantomSettings) -> DatasetInfo:
    notes = ["The images are computed, not taken: nothing measured on them says how a model does on people."]
    if settings.shared_patients:
        notes.append("Patients were placed in both train and test on purpose; see defects.json.")
    return DatasetInfo(
        name="phantom",
        task=settings.task,
        classes=CLASSES[settings.task],
        root=".",
        source="simulated chest radiographs, not of people",
        licence="CC0-1.0",
        simulated=True,
        notes=tuple(notes),
    )


def _make_folders(folder: Path, plan: Plan) -> None:
    paths = [image.path for image in plan.images] + [copy.path for copy in plan.copies]
    for name in sorted({str(Path(path).parent) for path in paths} | {"masks"}):
        (folder / name).mkdir(parents=True)


Job = tuple[PhantomSettings, str, tuple[PlannedImage, ...]]
Row = dict[str, str]


def _make_patient(job: Job) -> list[Row]:
    """Write all images of one patient; each patient and each image has its own stream of random numbers."""
    settings, folder, images = job
    number = images[0].patient
    patient = draw_patient(_generator(settings.seed, 1, number), images[0].findings)
    rows = []
    for image in images:
        rng = _generator(settings.seed, 2, number, image.number)
        acquisition = _with_cue(draw_acquisition(rng), image, settings)
        phantom = render(patient, acquisition, image.size, int(rng.integers(2**31)))
        header = Header(
            patient=patient_name(number),
            sex=patient.sex,
            age=patient.age,
            view=acquisition.view,
            number=image.number,
            pixel_mm=_pixel_mm(patient, acquisition, phantom),
            inverted=bool(rng.random() < 0.3),
            unique=f"{FORMAT_VERSION} {settings.model_dump_json()} {number} {image.number}",
        )
        (Path(folder) / image.path).write_bytes(encode(phantom.shown, image.form, header))
        rows.append(
            {
                "path": image.path,
                "label": image.label,
                "patient": header.patient,
                "split": image.split,
                "view": acquisition.view,
                "sex": patient.sex,
                "age": str(patient.age),
                "mask": _write_mask(phantom, Path(folder), f"masks/{header.patient}-{image.number}.png"),
            }
        )
    return rows


def _with_cue(acquisition: Acquisition, image: PlannedImage, settings: PhantomSettings) -> Acquisition:
    """The exposure with the planted shortcut, where the image carries one that is to be seen in the picture."""
    if not image.cue or settings.shortcut not in ("marker", "framing"):
        return acquisition
    if settings.shortcut == "marker":
        return replace(acquisition, cue=True)
    # Draws of their own: the exposure is the same as without the shortcut, but for its frame.
    margins = draw_margins(_generator(settings.seed, 3, image.patient, image.number))
    return replace(acquisition, margins=margins, collimation=(0.0, 0.0, 0.0, 0.0))


def _pixel_mm(patient: Patient, acquisition: Acquisition, phantom: Phantom) -> tuple[float, float]:
    """Distance of pixel centres on the detector, down and across."""
    field, window = 20 * acquisition.field * patient.thorax.half_width_cm, phantom.window
    size = len(phantom.shown)
    return field * (window.bottom - window.top) / size, field * (window.right - window.left) / size


def _write_mask(phantom: Phantom, folder: Path, name: str) -> str:
    """Write the lesions as grey levels and give the name, or an empty one when there is nothing to mark."""
    levels = np.zeros(phantom.lungs.shape, np.uint8)
    for finding, level in MASK_LEVELS.items():
        if finding in phantom.masks:
            levels[phantom.masks[finding]] = level
    if not levels.any():
        return ""
    Image.fromarray(levels).save(folder / name, compress_level=3)
    return name


def _generator(seed: int, *place: int) -> np.random.Generator:
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=place))


def _parallel(jobs: list[Job], images: int, workers: int) -> Iterator[list[Row]]:
    """Make the patients in order over processes; in this one when there is too little to do."""
    workers = workers or available_cores()
    description, total = "Simulating patients", len(jobs)
    if workers == 1 or images < _FEW:
        yield from track(map(_make_patient, jobs), description, total)
        return
    # Spawned, not forked: the parent may hold threads of an arithmetic library.
    with ProcessPoolExecutor(min(workers, total), mp_context=get_context("spawn")) as pool:
        try:
            yield from track(pool.map(_make_patient, jobs, chunksize=_CHUNK), description, total)
        except BrokenProcessPool as error:
            raise RadlensError(
                "Simulating patients stopped: a worker process ended. In a script, call this below "
                "if __name__ == '__main__'; or pass workers=1."
            ) from error
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
