"""The hashes of a model's training images come back as they were written."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from radlens.delivery.training_images import TRAINING_IMAGES_FILE, read_training_images, write_training_images
from radlens.errors import DataError


def test_what_is_written_comes_back_from_the_model_and_the_run_folder(tmp_path: Path) -> None:
    digests = [hashlib.sha256(bytes([number])).hexdigest() for number in range(9)]
    write_training_images(tmp_path / "model", [*digests, digests[0]])
    found = read_training_images(tmp_path / "model")
    assert found == {digest[:24] for digest in digests}
    assert read_training_images(tmp_path) == found


def test_a_model_that_does_not_say_has_none(tmp_path: Path) -> None:
    assert read_training_images(tmp_path) == frozenset()


@pytest.mark.parametrize("content", [b"abc\n", b"Z" * 24, b"\xff" * 24])
def test_a_damaged_file_is_said(tmp_path: Path, content: bytes) -> None:
    (tmp_path / TRAINING_IMAGES_FILE).write_bytes(content)
    with pytest.raises(DataError, match=TRAINING_IMAGES_FILE):
        read_training_images(tmp_path)
