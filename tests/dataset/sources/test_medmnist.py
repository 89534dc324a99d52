"""Archives in MedMNIST form, and the download of PneumoniaMNIST."""

from __future__ import annotations

import hashlib
import http.server
import io
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from radlens.base.errors import DataError, UsageError
from radlens.config import DataSettings
from radlens.dataset.sources.medmnist import read_npz, read_pneumoniamnist
from radlens.imaging.decode import decode

RNG = np.random.default_rng(0)


def images(count: int, *tail: int) -> np.ndarray:
    return RNG.integers(0, 256, (count, 8, 8, *tail), dtype=np.uint8)


def archive(path: Path, **arrays: np.ndarray) -> Path:
    np.savez_compressed(path, allow_pickle=True, **arrays)
    return path


def two_classes(count: int) -> np.ndarray:
    return (np.arange(count) % 2).astype(np.uint8)[:, None]


def test_images_stay_in_the_array(tmp_path: Path) -> None:
    train = images(5)
    file = archive(
        tmp_path / "mine.npz",
        train_images=train,
        train_labels=two_classes(5),
        test_images=images(3),
        test_labels=two_classes(3),
    )
    manifest = read_npz(file, DataSettings())
    assert list(manifest.table["split"]) == ["train"] * 5 + ["test"] * 3
    assert manifest.table["path"].iloc[4] == "mine.npz::train_images/4"
    assert manifest.info.classes == ("class 0", "class 1")
    assert list(manifest.table["label"].iloc[:2]) == ["class 0", "class 1"]
    assert list(tmp_path.iterdir()) == [file]
    np.testing.assert_array_equal(np.asarray(decode(manifest.locations[4]).image), train[4])
    assert manifest.table["patient"].nunique() == 8
    assert "does not tell the patient" in manifest.info.notes[0]


@pytest.mark.parametrize("dtype", [np.int64, np.float32, np.bool_])
@pytest.mark.parametrize("flat", [True, False])
def test_label_types_and_shapes(tmp_path: Path, dtype: type, flat: bool) -> None:
    labels: np.ndarray = two_classes(4).astype(dtype)
    file = archive(tmp_path / "x.npz", val_images=images(4, 3), val_labels=labels[:, 0] if flat else labels)
    assert list(read_npz(file, DataSettings()).targets()) == [0, 1, 0, 1]


def test_numbered_classes_are_in_numeric_order(tmp_path: Path) -> None:
    labels = np.array([10, 2, 10**9, 2])
    manifest = read_npz(archive(tmp_path / "x.npz", train_images=images(4), train_labels=labels), DataSettings())
    assert manifest.info.classes == ("class 2", "class 10", "class 1000000000")
    assert list(manifest.targets()) == [1, 0, 2, 0]


def test_several_columns_make_the_task_multilabel(tmp_path: Path) -> None:
    labels = np.array([[0, 0, 1], [1, 1, 0], [0, 0, 0]])
    file = archive(tmp_path / "x.npz", train_images=images(3), train_labels=labels)
    manifest = read_npz(file, DataSettings())
    assert manifest.info.task == "multilabel"
    assert list(manifest.table["label"]) == ["class 2", "class 0|class 1", ""]
    np.testing.assert_array_equal(manifest.targets(), labels)
    with pytest.raises(UsageError, match="two-class"):
        read_npz(file, DataSettings(positive_class="class 0"))


@pytest.mark.parametrize("name", ["pneumoniamnist", "PneumoniaMNIST_224", "pneumoniamnist_trainval"])
def test_published_names(tmp_path: Path, name: str) -> None:
    file = archive(tmp_path / f"{name}.npz", train_images=images(4), train_labels=two_classes(4))
    info = read_npz(file, DataSettings()).info
    assert info.classes == ("normal", "pneumonia")
    assert info.licence == "CC BY 4.0"
    assert "10.1038/s41597-022-01721-8" in info.citation


def test_published_order_puts_the_finding_second(tmp_path: Path) -> None:
    file = archive(tmp_path / "breastmnist.npz", train_images=images(4), train_labels=two_classes(4))
    manifest = read_npz(file, DataSettings())
    assert manifest.info.classes == ("normal, benign", "malignant")
    assert list(manifest.targets()) == [1, 0, 1, 0]
    other = read_npz(file, DataSettings(positive_class="normal, benign"))
    assert other.info.classes == ("malignant", "normal, benign")


def test_a_published_name_with_other_labels_gets_numbers(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = archive(tmp_path / "pneumoniamnist.npz", train_images=images(3), train_labels=np.array([0, 1, 2]))
    assert read_npz(file, DataSettings()).info.classes == ("class 0", "class 1", "class 2")
    assert "other labels than the published archive" in caplog.text


def test_positive_class_of_numbered_classes(tmp_path: Path) -> None:
    file = archive(tmp_path / "x.npz", train_images=images(4), train_labels=two_classes(4))
    assert read_npz(file, DataSettings(positive_class="class 0")).info.classes == ("class 1", "class 0")


def test_other_arrays_are_said_aloud(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = archive(tmp_path / "x.npz", train_images=images(4), train_labels=two_classes(4), notes=np.zeros(2))
    read_npz(file, DataSettings())
    assert "Ignored the array(s) notes" in caplog.text


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x": np.zeros(3)}, r"holds the array\(s\) x\. Expected the MedMNIST form"),
        ({"train_images": images(4)}, "lacks the array train_labels"),
        ({"train_labels": two_classes(4)}, "lacks the array train_images"),
        ({"train_images": images(4), "train_labels": two_classes(3)}, "has 4 images, but train_labels has shape"),
        ({"train_images": images(4).astype(np.float16), "train_labels": two_classes(4)}, "type float16"),
        ({"train_images": images(4, 4), "train_labels": two_classes(4)}, r"shape \(4, 8, 8, 4\)"),
        ({"train_images": images(4, 8, 3), "train_labels": two_classes(4)}, r"shape \(4, 8, 8, 8, 3\)"),
        ({"train_images": images(0), "train_labels": two_classes(0)}, "without any image"),
        ({"train_images": images(2), "train_labels": np.array([0.5, 1])}, r"holds 0\.5 at row 0, column 0"),
        ({"train_images": images(2), "train_labels": np.array([0.0, np.nan])}, "holds nan at row 1"),
        ({"train_images": images(2), "train_labels": np.array([[0, 1], [2, 0]])}, "holds 2 at row 1, column 0"),
        ({"train_images": images(2), "train_labels": np.array([-1, 1])}, "holds -1 at row 0"),
        ({"train_images": images(2), "train_labels": np.array(["a", "b"])}, "type <U1"),
        (
            {
                "train_images": images(2),
                "train_labels": np.eye(2),
                "test_images": images(2),
                "test_labels": np.eye(3)[:2],
            },
            "different numbers of label columns",
        ),
    ],
)
def test_arrays_that_do_not_fit_are_refused(tmp_path: Path, arrays: dict[str, np.ndarray], message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_npz(archive(tmp_path / "x.npz", **arrays), DataSettings())


def test_one_class_is_for_judging_alone(tmp_path: Path) -> None:
    file = archive(tmp_path / "x.npz", train_images=images(2), train_labels=np.array([1, 1]))
    with pytest.raises(DataError, match="Only one class was found .*'class 1'"):
        read_npz(file, DataSettings()).require_every_class()


@pytest.mark.parametrize("part", ["images", "labels"])
def test_python_objects_are_never_opened(tmp_path: Path, part: str) -> None:
    arrays = {"train_images": images(2), "train_labels": two_classes(2)}
    arrays[f"train_{part}"] = np.array([{"a": 1}, {"b": 2}], dtype=object)
    with pytest.raises(DataError, match=f"train_{part} holds Python objects"):
        read_npz(archive(tmp_path / "x.npz", **arrays), DataSettings())


@pytest.mark.parametrize("content", [b"", b"no archive at all"])
def test_what_is_no_archive_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.npz").write_bytes(content)
    with pytest.raises(DataError, match=r"cannot be read as an \.npz archive"):
        read_npz(tmp_path / "x.npz", DataSettings())


def test_a_cut_archive_is_refused(tmp_path: Path) -> None:
    file = archive(tmp_path / "x.npz", train_images=images(9), train_labels=two_classes(9))
    file.write_bytes(file.read_bytes()[:-200])
    with pytest.raises(DataError, match=r"cannot be read as an \.npz archive"):
        read_npz(file, DataSettings())


def test_pneumoniamnist_on_hand(shared_data: Path) -> None:
    manifest = read_npz(shared_data / "pneumoniamnist_trainval.npz", DataSettings())
    counts = manifest.class_counts()
    assert counts.loc["train"].to_dict() == {"normal": 1214, "pneumonia": 3494}
    assert counts.loc["val"].to_dict() == {"normal": 135, "pneumonia": 389}
    assert manifest.info.task == "binary"


@pytest.fixture(scope="module")
def published() -> bytes:
    buffer = io.BytesIO()
    np.savez(
        buffer, train_images=images(4), train_labels=two_classes(4), test_images=images(4), test_labels=two_classes(4)
    )
    return buffer.getvalue()


@pytest.fixture
def requests_seen() -> list[str]:
    return []


@pytest.fixture
def server(published: bytes, requests_seen: list[str]) -> Iterator[str]:
    """A stand-in of the publisher on this machine."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            requests_seen.append(self.path)
            status = 200 if self.path.startswith("/files/") else 404
            self.send_response(status)
            self.end_headers()
            self.wfile.write(published if status == 200 else b"no such record")

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as service:
        threading.Thread(target=service.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{service.server_port}"
        service.shutdown()


def test_download_once(tmp_path: Path, server: str, published: bytes, requests_seen: list[str]) -> None:
    url, md5 = f"{server}/files/pneumoniamnist.npz?download=1", hashlib.md5(published).hexdigest()
    for _ in range(2):
        manifest = read_pneumoniamnist(DataSettings(), tmp_path / "downloads", url, md5)
    assert len(manifest) == 8
    assert manifest.info.classes == ("normal", "pneumonia")
    assert (tmp_path / "downloads" / "pneumoniamnist.npz").read_bytes() == published
    assert requests_seen == ["/files/pneumoniamnist.npz?download=1"]
    assert any("by image" in note for note in manifest.info.notes)


def test_a_damaged_file_in_the_cache_is_replaced(tmp_path: Path, server: str, published: bytes) -> None:
    (tmp_path / "pneumoniamnist.npz").write_bytes(b"cut")
    md5 = hashlib.md5(published).hexdigest()
    assert len(read_pneumoniamnist(DataSettings(), tmp_path, f"{server}/files/x.npz", md5)) == 8


def test_a_wrong_checksum_is_refused_and_the_file_not_kept(tmp_path: Path, server: str) -> None:
    with pytest.raises(DataError, match=r"another checksum.*\n.*radlens run pneumoniamnist\.npz"):
        read_pneumoniamnist(DataSettings(), tmp_path / "downloads", f"{server}/files/x.npz", "0" * 32)
    assert not list((tmp_path / "downloads").iterdir())


def test_a_missing_page_tells_the_manual_steps(tmp_path: Path, server: str) -> None:
    with pytest.raises(DataError, match=r"404.*\nManual steps: download http"):
        read_pneumoniamnist(DataSettings(), tmp_path, f"{server}/gone.npz")


def test_no_network_tells_the_manual_steps(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"could not be downloaded.*\n.*Manual steps"):
        read_pneumoniamnist(DataSettings(), tmp_path, "http://127.0.0.1:9/pneumoniamnist.npz")


def test_a_folder_that_cannot_be_made(tmp_path: Path, server: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(Exception, match="Could not write") as raised:
        read_pneumoniamnist(DataSettings(), tmp_path / "file" / "downloads", f"{server}/files/x.npz")
    assert type(raised.value).__name__ == "RadlensError"
