"""A model folder sent to the Hugging Face hub, as ``owner/name``: the known files of the folder alone."""

from __future__ import annotations

import os
from pathlib import Path

from radlens.base.errors import DataError, RadlensError, UsageError
from radlens.runtime.hub import first_line, hub_client, is_hub_id
from radlens.runtime.model_files import KNOWN_FILES
from radlens.runtime.model_folder import open_model_folder


def files_to_send(model: Path) -> list[Path]:
    """The files of a model folder that :func:`push` sends, once all were found to be what was written.

    Raises:
        DataError: there is no model, a file was altered, or the folder is of an older form.
    """
    folder = open_model_folder(model)
    if not folder.config.files:
        raise DataError(
            f"The model folder {folder.path} is of an older form, without hashes. Write it again first: "
            f"radlens export {model} --out DIR"
        )
    return [path for name in KNOWN_FILES if (path := folder.file(name)) is not None]


def push(model: Path, name: str, *, private: bool = False) -> str:
    """Send a model folder to the hub, making the repository where there is none.

    Args:
        model: a run folder or a model folder.
        name: ``owner/name``.
        private: of a repository that is made: whether only its owners see it.

    Returns:
        The address of the model.

    Raises:
        UsageError: the name is not one that the hub takes.
        DataError: as :func:`files_to_send`.
        RadlensError: huggingface_hub is not installed, there is no token, or the hub refuses.
    """
    if not is_hub_id(name) or "@" in name:
        raise UsageError(f"{name!r} is not a name on the hub: owner/name was expected, such as radlens/pneumonia-cxr.")
    files = files_to_send(model)
    hub = hub_client()
    token = hub.get_token()
    if not token:
        raise RadlensError(
            "There is no token of the Hugging Face hub. Log in with: hf auth login; or set HF_TOKEN. A token with the "
            "right to write is made at https://huggingface.co/settings/tokens."
        )
    service = hub.HfApi(endpoint=os.environ.get("HF_ENDPOINT"), token=token, library_name="radlens")
    try:
        url = service.create_repo(name, private=private, exist_ok=True)
        service.upload_folder(
            repo_id=name,
            folder_path=files[0].parent,
            allow_patterns=[file.name for file in files],
            # What an earlier model had and this one has not, such as a graph.
            delete_patterns=[known for known in KNOWN_FILES if known not in {file.name for file in files}],
            commit_message="Model folder written by radlens",
        )
    except Exception as error:
        raise RadlensError(f"The hub did not take the model as {name!r}: {first_line(error)}") from error
    return str(url)
