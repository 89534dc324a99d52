"""Kermany's paediatric chest X-rays from Kaggle, downloaded and cached by ``kagglehub``."""

from __future__ import annotations

import contextlib
import sys
import tarfile
import zipfile
from dataclasses import replace
from pathlib import Path

from radlens.base.errors import DataError
from radlens.base.files import write_error
from radlens.base.optional import import_optional
from radlens.config import DataSettings
from radlens.dataset.manifest import Manifest
from radlens.dataset.sources.folder import read_folder

# With the version named, what is cached is used without asking the network, and every run reads the same images.
HANDLE = "paultimothymooney/chest-xray-pneumonia/versions/2"
PAGE = "https://www.kaggle.com/datasets/paultimothymooney/chest-xray-pneumonia"
LICENCE = "CC BY 4.0"
CITATION = (
    "Kermany DS, Goldbaum M, Cai W, et al. Identifying medical diagnoses and treatable diseases by image-based deep "
    "learning. Cell 172, 1122-1131 (2018). https://doi.org/10.1016/j.cell.2018.02.010. Data: Kermany D, Zhang K, "
    "Goldbaum M. Labeled Optical Coherence Tomography (OCT) and Chest X-Ray Images for Classification. Mendeley Data "
    "(2018). https://doi.org/10.17632/rscbjbr9sj"
)
OVERLAP_NOTE = (
    "The official train and test folders reuse patient numbers (such as person100), and the file names cannot tell "
    "whether it is the same child: to be safe, the images of such patients are dropped from train (then from val)."
)


def read_kermany(settings: DataSettings) -> Manifest:
    """Download the set once (about 2.3 GB, kept in kagglehub's cache) and read it.

    Its 5,856 images lie in ``train`` (5,216), ``val`` (16) and ``test`` (624); the archive nests the folder twice.

    Raises:
        DataError: no network, no permission or a damaged download; the message tells the manual steps.
    """
    manifest = read_folder(_download(), settings)
    info = manifest.info.model_copy(
        update={
            "name": "kermany",
            "source": PAGE,
            "licence": LICENCE,
            "citation": CITATION,
            "overlap": "drop_train",
            "notes": (*manifest.info.notes, OVERLAP_NOTE),
        }
    )
    return replace(manifest, info=info)


def _download() -> Path:
    # kagglehub writes its messages to standard output, which belongs to the results.
    with contextlib.redirect_stdout(sys.stderr):
        kagglehub = import_optional("kagglehub", "The source kermany")
        config, exceptions = (import_optional(f"kagglehub.{part}") for part in ("config", "exceptions"))
        try:
            return Path(kagglehub.dataset_download(HANDLE))
        except OSError as error:
            # Failures of the network carry no number of the operating system; failures of the disk do.
            if error.errno:
                raise write_error(Path(config.get_cache_folder()), error) from error
            raise _failed(error) from error
        except (
            ValueError,
            tarfile.TarError,
            zipfile.BadZipFile,
            exceptions.BackendError,
            exceptions.CredentialError,
            exceptions.DataCorruptionError,
            exceptions.NotFoundError,
        ) as error:
            raise _failed(error) from error


def _failed(error: Exception) -> DataError:
    reason = " ".join(str(error).split()) or type(error).__name__
    return DataError(
        f"The Kaggle set could not be downloaded: {reason}\n"
        "If Kaggle asks for credentials, create an API token in your Kaggle account's settings, set KAGGLE_API_TOKEN "
        "to it (or put kaggle.json into ~/.kaggle), and run the same command again.\n"
        "Manual steps, without credentials for radlens:\n"
        f"  1. Open {PAGE} in a browser and choose Download (about 2.3 GB).\n"
        "  2. Unzip the archive.\n"
        "  3. radlens run FOLDER --set data.split.overlap=drop_train, with the folder that holds chest_xray."
    )
