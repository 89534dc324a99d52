"""The Kaggle set, from a stand-in of Kaggle's service on this machine and from kagglehub's cache."""

from __future__ import annotations

import base64
import hashlib
import http.server
import io
import json
import logging
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from kagglesdk import kaggle_env  # type: ignore[import-untyped]

from radlens.base.errors import DataError, RadlensError
from radlens.config import DataSettings, SplitSettings
from radlens.dataset.sources import read_source
from radlens.dataset.sources.kermany import read_kermany
from radlens.dataset.split import assign_splits

LAYOUT = (
    *(f"train/NORMAL/IM-{patient:04d}-0001.jpeg" for patient in range(200, 240)),
    *(f"train/PNEUMONIA/person{patient}_bacteria_{patient}.jpeg" for patient in range(90, 150)),
    *(f"val/NORMAL/NORMAL2-IM-{patient}-0001.jpeg" for patient in range(1427, 1435)),
    *(f"val/PNEUMONIA/person{patient}_bacteria_{patient}.jpeg" for patient in range(1946, 1954)),
    *(f"test/NORMAL/IM-{patient:04d}-0001.jpeg" for patient in range(1, 31)),
    *(f"test/PNEUMONIA/person{patient}_virus_{patient}.jpeg" for patient in range(60, 100)),
)


def archive() -> bytes:
    """An archive nested like the real one: the set, a second copy of it, and what macOS left behind."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for name in LAYOUT:
            file.writestr(f"chest_xray/{name}", name)
            file.writestr(f"chest_xray/chest_xray/{name}", name)
            file.writestr(f"chest_xray/__MACOSX/chest_xray/{Path(name).parent}/._{Path(name).name}", "x")
        file.writestr("chest_xray/chest_xray/.DS_Store", "x")
    return buffer.getvalue()


class Kaggle:
    """What the stand-in answers, and what it was asked."""

    def __init__(self) -> None:
        self.content = archive()
        self.status = 200
        self.checksum = True
        self.asked: list[dict[str, object]] = []


@pytest.fixture
def kaggle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Kaggle]:
    """Kaggle's download service on a free port of this machine, without credentials, with an empty cache."""
    state = Kaggle()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            state.asked.append({"path": self.path, **json.loads(body)})
            if state.status != 200:
                answer = json.dumps({"code": state.status, "message": "Permission denied"}).encode()
                self.send_response(state.status)
                self.send_header("Content-Type", "application/json")
            else:
                answer = state.content
                self.send_response(200)
                self.send_header("Content-Type", "application/zip")
                digest = hashlib.md5(answer if state.checksum else b"").digest()
                self.send_header("X-Goog-Hash", f"md5={base64.b64encode(digest).decode()}")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            pass

    _offline_kaggle(tmp_path, monkeypatch)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as service:
        address = f"http://127.0.0.1:{service.server_port}"
        monkeypatch.setitem(kaggle_env._env_to_endpoint, kaggle_env.KaggleEnv.LOCAL, address)
        threading.Thread(target=service.serve_forever, daemon=True).start()
        yield state
        service.shutdown()


def _offline_kaggle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("KAGGLE_API_TOKEN", "KAGGLE_USERNAME", "KAGGLE_KEY", "KAGGLE_KERNEL_RUN_TYPE", "TBE_RUNTIME_ADDR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("KAGGLE_CONFIG_DIR", str(tmp_path / "no_credentials"))
    monkeypatch.setenv("KAGGLEHUB_CACHE", str(tmp_path / "kagglehub"))
    monkeypatch.setenv("KAGGLE_API_ENVIRONMENT", "LOCALHOST")
    # A port on which nothing listens, unless a stand-in takes its place.
    monkeypatch.setitem(kaggle_env._env_to_endpoint, kaggle_env.KaggleEnv.LOCAL, "http://127.0.0.1:9")


@pytest.fixture
def offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No network; returns kagglehub's cache folder."""
    _offline_kaggle(tmp_path, monkeypatch)
    return tmp_path / "kagglehub"


def test_download_unpack_and_read_once(
    kaggle: Kaggle, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    manifest = read_source(DataSettings(source="Kermany"))
    assert sorted(manifest.table["path"]) == sorted(LAYOUT)
    assert manifest.class_counts().loc["train"].to_dict() == {"NORMAL": 40, "PNEUMONIA": 60}
    assert (manifest.info.name, manifest.info.licence, manifest.info.overlap) == ("kermany", "CC BY 4.0", "drop_train")
    assert "10.1016/j.cell.2018.02.010" in manifest.info.citation
    assert "10.17632/rscbjbr9sj" in manifest.info.citation
    assert any("reuse patient numbers" in note for note in manifest.info.notes)
    assert "Ignored the folder(s) chest_xray" in caplog.text
    assert len(read_kermany(DataSettings())) == len(manifest)
    assert len(kaggle.asked) == 1
    asked = kaggle.asked[0]
    assert str(asked["path"]).endswith("DatasetApiService/DownloadDataset")
    assert (asked["ownerSlug"], asked["datasetSlug"]) == ("paultimothymooney", "chest-xray-pneumonia")
    assert asked["datasetVersionNumber"] == 2
    assert capsys.readouterr().out == ""


def test_reused_patient_numbers_leave_train_and_the_small_validation_is_replaced(
    kaggle: Kaggle, caplog: pytest.LogCaptureFixture
) -> None:
    manifest = assign_splits(read_kermany(DataSettings()), SplitSettings(), seed=0)
    counts = manifest.class_counts()
    # person90 to person99 are in train and in test: their ten images leave train.
    assert counts.loc["test"].to_dict() == {"NORMAL": 30, "PNEUMONIA": 40}
    assert counts.sum().to_dict() == {"NORMAL": 40 + 8 + 30, "PNEUMONIA": 60 + 8 + 40 - 10}
    assert counts.loc["val"].to_dict() == {"NORMAL": 7, "PNEUMONIA": 9}
    splits = manifest.table.groupby("patient")["split"].nunique()
    assert splits.max() == 1
    assert "10 patient(s) of the test split" in caplog.text
    assert "too small" in caplog.text or "fewer than the 10" in caplog.text


def test_the_cache_is_used_without_network(offline: Path) -> None:
    versions = offline / "datasets" / "paultimothymooney" / "chest-xray-pneumonia" / "versions" / "2"
    for name in LAYOUT:
        (versions / "chest_xray" / name).parent.mkdir(parents=True, exist_ok=True)
        (versions / "chest_xray" / name).touch()
    (versions.parent.parent / "2.complete").touch()
    assert len(read_kermany(DataSettings())) == len(LAYOUT)


def test_no_network_tells_the_manual_steps(offline: Path) -> None:
    with pytest.raises(DataError) as raised:
        read_kermany(DataSettings())
    message = str(raised.value)
    assert "could not be downloaded" in message
    assert "https://www.kaggle.com/datasets/paultimothymooney/chest-xray-pneumonia" in message
    assert "radlens run FOLDER" in message
    assert raised.value.exit_code == 1


def test_no_permission_tells_of_credentials(kaggle: Kaggle) -> None:
    kaggle.status = 403
    with pytest.raises(DataError, match=r"403.*[\s\S]*KAGGLE_API_TOKEN[\s\S]*Unzip"):
        read_kermany(DataSettings())


def test_a_damaged_download_is_refused_and_the_next_try_works(kaggle: Kaggle) -> None:
    kaggle.checksum = False
    with pytest.raises(DataError, match="could not be downloaded"):
        read_kermany(DataSettings())
    kaggle.checksum = True
    assert len(read_kermany(DataSettings())) == len(LAYOUT)


def test_what_is_no_archive_is_refused(kaggle: Kaggle) -> None:
    kaggle.content = b"<html>sign in</html>"
    with pytest.raises(DataError, match="could not be downloaded"):
        read_kermany(DataSettings())


def test_unreadable_credentials_are_told(offline: Path, tmp_path: Path) -> None:
    (tmp_path / "no_credentials").mkdir()
    (tmp_path / "no_credentials" / "kaggle.json").write_text("{", encoding="utf-8")
    with pytest.raises(DataError, match="Invalid Kaggle credentials file"):
        read_kermany(DataSettings())


def test_a_cache_that_cannot_be_written(kaggle: Kaggle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("KAGGLEHUB_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(RadlensError, match=r"Could not write .*cache"):
        read_kermany(DataSettings())


def test_the_official_layout_without_the_drop_is_an_error(kaggle: Kaggle, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.ERROR)
    with pytest.raises(DataError, match=r"10 patient\(s\) of the test split .* data\.split\.overlap=drop_train"):
        assign_splits(read_kermany(DataSettings()), SplitSettings(overlap="error"), seed=0)
