"""What lies below a folder, without what is hidden or left behind by systems."""

from __future__ import annotations

from pathlib import Path

import pytest

from radlens.dataset.sources.files_below import files_below


def test_files_without_the_table_the_hidden_and_the_litter(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for name in ("labels.csv", "b/1.dcm", "a", "Thumbs.db", "b/._1.dcm", ".x/2.dcm", "__MACOSX/3.dcm", "b/.DS_Store"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert files_below(tmp_path, tmp_path / "labels.csv") == ["a", "b/1.dcm"]
    assert not caplog.records


def test_links_in_a_circle_come_to_an_end(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "1.dcm").touch()
    (tmp_path / "a" / "again").symlink_to(tmp_path, target_is_directory=True)
    assert files_below(tmp_path, tmp_path / "none") == ["a/1.dcm"]
