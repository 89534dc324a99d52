"""The verb ``cache``: what is kept, and what is removed when it is asked for."""

from __future__ import annotations

import sys
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from radlens.base.errors import DataError, UsageError
from radlens.cli import commands
from radlens.imaging.cache.pixel_cache import PixelCache
from radlens.imaging.preprocess import Preprocessing
from radlens.workflows.cache import cache


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache with three images and a file that is none, the images under two contracts, and a download."""
    root, images = tmp_path / "cache", tmp_path / "images"
    monkeypatch.setenv("RADLENS_CACHE", str(root))
    images.mkdir()
    for number in range(3):
        Image.new("L", (30, 30), 50 * number).save(images / f"{number}.png")
    (images / "bad.png").write_bytes(b"no image")
    paths = [*(str(images / f"{number}.png") for number in range(3)), str(images / "bad.png")]
    PixelCache.build(paths, Preprocessing(height=16, width=20))
    PixelCache.build(paths[:3], Preprocessing(height=100, width=100, channels=3, fit="pad"))
    (root / "downloads").mkdir()
    (root / "downloads" / "set.zip").write_bytes(bytes(1000))
    return root


def test_the_contents_are_told_by_contract_the_last_used_first(root: Path) -> None:
    PixelCache.build([str(root.parent / "images" / "0.png")], Preprocessing(height=16, width=20))
    contents = cache()
    assert contents.folder == root
    assert contents.limit == 20 * 10**9
    assert [(each.contract, each.images, each.rejected) for each in contents.contracts] == [
        ("1 x 16 x 20, squash", 3, 1),
        ("3 x 100 x 100, pad", 3, 0),
    ]
    assert [each.bytes for each in contents.contracts] == [64 + 3 * 16 * 20, 64 + 3 * 3 * 100 * 100]
    for each in contents.contracts:
        assert abs(datetime.now().astimezone() - each.last_used) < timedelta(minutes=5)
    assert contents.folders["downloads"] == 1000
    stored = [path.stat().st_size for path in (root / "pixels").iterdir()]
    assert contents.folders["pixels"] == sum(stored)


def test_an_empty_cache_is_not_made_by_looking(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RADLENS_CACHE", str(tmp_path / "none"))
    contents = cache()
    assert (contents.contracts, contents.folders) == ((), {})
    assert not (tmp_path / "none").exists()


def test_to_clear_removes_pixels_and_leaves_downloads(root: Path) -> None:
    contents = cache(clear=True)
    assert contents.contracts == ()
    assert contents.folders["downloads"] == 1000
    assert not list((root / "pixels").glob("*.pixels"))


def test_a_limit_removes_what_was_not_used_for_longest(root: Path) -> None:
    contents = cache(limit="0.0901 MB")
    assert [each.contract for each in contents.contracts] == ["3 x 100 x 100, pad"]
    assert cache(limit="0").contracts == ()
    with pytest.raises(UsageError, match="'lots'"):
        cache(limit="lots")


def test_a_damaged_cache_is_said_and_can_be_cleared(root: Path) -> None:
    (root / "pixels" / "index.sqlite").write_bytes(np.random.default_rng(0).bytes(9000))
    with pytest.raises(DataError, match="is damaged.*--clear"):
        cache()
    assert cache(clear=True).contracts == ()


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["radlens", "cache", *arguments])
    with pytest.raises(SystemExit) as stopped:
        commands.main()
    return int(stopped.value.code or 0)


def test_the_command_shows_a_table_and_clears(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    assert run(monkeypatch) == 0
    shown = capsys.readouterr().out
    assert all(text in shown for text in (str(root), "downloads 0.0 MB", "20.0 GB", "1 x 16 x 20, squash", "0.1 MB"))
    assert run(monkeypatch, "--limit", "lots") == 2
    assert "error: The limit of the pixel cache is 'lots'" in capsys.readouterr().err
    assert run(monkeypatch, "--clear") == 0
    assert "1 x 16 x 20" not in capsys.readouterr().out
