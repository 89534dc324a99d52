"""Models of the Hugging Face hub, by ``owner/name``: fetched, the known files of a model folder alone."""

from __future__ import annotations

import logging
import os
import re
from pathlib import Path
from typing import Any

from radlens.base.errors import DataError, RadlensError, UsageError
from radlens.base.optional import import_optional
from radlens.runtime.model_files import KNOWN_FILES, check_size

logger = logging.getLogger(__name__)

_NAME = r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}"
_ID = re.compile(rf"(?P<id>{_NAME}/{_NAME})(@(?P<revision>{_NAME}))?")


def is_hub_id(text: str) -> bool:
    """Whether a text has the form ``owner/name`` or ``owner/name@revision``.

    >>> is_hub_id("radlens/pneumonia-cxr@v1"), is_hub_id("runs/a/b"), is_hub_id("../model")
    (True, False, False)
    """
    match = _ID.fullmatch(text)
    return match is not None and ".." not in text and "--" not in text


def fetch(name: str) -> Path:
    """The folder of a model of the hub, in the hub's own cache; only what changed is downloaded.

    Without a network the model that was fetched before is taken.

    Args:
        name: ``owner/name``, or ``owner/name@revision`` for a branch, tag or commit.

    Raises:
        RadlensError: huggingface_hub is not installed, or the hub cannot be reached and the model was never fetched.
        DataError: there is no such model, or a file of it is too large.
    """
    match = _ID.fullmatch(name)
    if match is None:
        raise UsageError(
            f"{name!r} is not the name of a model of the hub: owner/name or owner/name@revision was expected."
        )
    hub = hub_client()
    where: dict[str, Any] = {"repo_id": match["id"], "revision": match["revision"]}
    endpoint = os.environ.get("HF_ENDPOINT")
    wanted = {**where, "allow_patterns": list(KNOWN_FILES), "endpoint": endpoint, "library_name": "radlens"}
    try:
        info = hub.HfApi(endpoint=endpoint, library_name="radlens").model_info(**where, files_metadata=True)
        for file in info.siblings or ():
            if file.rfilename in KNOWN_FILES:
                check_size(Path(name) / file.rfilename, file.size or 0)
        return Path(hub.snapshot_download(**wanted))
    except (hub.errors.RepositoryNotFoundError, hub.errors.RevisionNotFoundError, hub.errors.GatedRepoError) as error:
        raise DataError(
            f"The hub has no model {name!r} for you: {first_line(error)} Check the name; for a private model, log in "
            "with: hf auth login"
        ) from error
    except RadlensError:
        raise
    except Exception as error:  # noqa: BLE001 those of the hub and of the network have no common class
        # The hub cannot be reached, or the connection broke: what is there already will do.
        return _fetched_before(hub, wanted, name, error)


def _fetched_before(hub: Any, wanted: dict[str, Any], name: str, trouble: Exception) -> Path:
    try:
        folder = Path(hub.snapshot_download(**wanted, local_files_only=True))
    except Exception:  # noqa: BLE001 as above
        raise RadlensError(
            f"The model {name!r} cannot be fetched from the hub, and it was not fetched before: "
            f"{first_line(trouble)} Check the network, or give a folder."
        ) from trouble
    logger.warning("The hub cannot be reached (%s) The copy in %s is used.", first_line(trouble), folder)
    return folder


def hub_client() -> Any:
    """The package ``huggingface_hub``.

    Raises:
        MissingPackageError: it is not installed.
    """
    user = "The Hugging Face hub"
    import_optional("huggingface_hub.errors", user)
    return import_optional("huggingface_hub", user)


def first_line(error: BaseException) -> str:
    """What an error of the hub says first, as a sentence."""
    text = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
    return text if text.endswith((".", "!", "?")) else f"{text}."
