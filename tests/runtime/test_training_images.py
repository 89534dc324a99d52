"""The hashes of a model's training images come back as they were written."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from radlens.base.errors import DataError
from radlens.runtime.known_images import KnownImages
from radlens.runtime.training_images import TRAINING_IMAGES_FILE, read_training_images, write_training_images


def test_what_is_written_comes_back_from_the_model_and_the_run_folder(tmp_path: Path) -> None:
    digests = [hashlib.sha256(bytes([number])).hexdigest() for number in range(9)]
    write_training_images(tmp_path / "model", [*digests, digests[0]])
    found = read_training_images(tmp_path / "model")
    assert found == KnownImages(frozenset(digest[:24] for digest in digests))
    assert read_training_images(tmp_path) == found


def test_what_the_images_show_comes_back_and_the_lines_are_sorted(tmp_path: Path) -> None:
    digests, pictures = ["b" * 64, "a" * 64, "c" * 64, "a" * 64], ["0" * 64, "f" * 64, "", "f" * 64]
    write_training_images(tmp_path, digests, pictures)
    lines = [f"{'a' * 24} {'f' * 64}", f"{'b' * 24} {'0' * 64}", "c" * 24]
    assert (tmp_path / TRAINING_IMAGES_FILE).read_text().splitlines() == lines
    found = read_training_images(tmp_path)
    assert found.pictures == {"0" * 64, "f" * 64}
    assert found.contents == {letter * 24 for letter in "abc"}
    with pytest.raises(ValueError, match="zip"):
        write_training_images(tmp_path, digests, pictures[:2])


def test_what_a_model_does_not_tell_is_said_in_words() -> None:
    assert "does not tell which images" in KnownImages().unknown()
    assert "exact bytes alone" in KnownImages(frozenset({"a" * 24})).unknown()
    assert KnownImages(frozenset({"a" * 24}), frozenset({"0" * 64})).unknown() == ""
    with pytest.raises(ValueError, match="64 hexadecimal digits"):
        KnownImages(pictures=frozenset({"0"}))


def test_a_model_that_does_not_say_has_none(tmp_path: Path) -> None:
    assert read_training_images(tmp_path) == KnownImages()


@pytest.mark.parametrize(
    "content", [b"abc\n", b"Z" * 24, b"\xff" * 24, b"a" * 24 + b" 0\n", b"a" * 24 + b"  " + b"0" * 64]
)
def test_a_damaged_file_is_said(tmp_path: Path, content: bytes) -> None:
    (tmp_path / TRAINING_IMAGES_FILE).write_bytes(content)
    with pytest.raises(DataError, match=TRAINING_IMAGES_FILE):
        read_training_images(tmp_path)
