"""``radlens predict``: what it prints and writes, how it ends, and that it survives being killed."""

from __future__ import annotations

import csv
import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from radlens.runtime.answer_rows import csv_columns
from radlens.runtime.loading import load
from radlens.runtime.predict_files import overlay_path

HEAVY = {"torch", "lightning", "pandas", "sklearn", "scipy", "matplotlib", "pydicom"}
Call = Callable[..., subprocess.CompletedProcess[str]]


def table_of(text: str, form: str = "csv") -> list[dict[str, Any]]:
    if form == "csv":
        return list(csv.DictReader(io.StringIO(text)))
    return list(json.loads(text)) if form == "json" else [json.loads(line) for line in text.splitlines()]


@pytest.fixture
def hostile(tmp_path: Path) -> Path:
    """A folder of files that have an image's name and are none, among three that are."""
    folder = tmp_path / "hostile"
    folder.mkdir()
    image = Image.fromarray(np.arange(3600, dtype=np.uint16).astype(np.uint8).reshape(60, 60))
    for name in ("a.png", "m.jpg", "z.bmp"):
        image.save(folder / name)
    content = (folder / "m.jpg").read_bytes()
    bomb = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + b"\x7f\xff\xff\xff" * 2 + b"\x08\0\0\0\0" + bytes(4)
    files = {"empty.png": b"", "page.jpg": b"<!DOCTYPE html>", "torn.jpg": content[:300], "noise.dcm": b"DICM" * 99}
    for name, made in {**files, "bomb.png": bomb, "half.tif": b"II*\0" + bytes(9)}.items():
        (folder / name).write_bytes(made)
    os.mkfifo(folder / "pipe.png")
    (folder / "gone.png").symlink_to(folder / "nowhere.png")
    return folder


def test_every_format_says_the_same(radlens: Call, tiny_folder: Path, pictures: list[Path]) -> None:
    wanted = load(tiny_folder).predict(pictures)
    for form in ("csv", "json", "jsonl"):
        done = radlens("predict", tiny_folder, pictures[0].parent, "--format", form)
        assert done.returncode == 0, done.stderr
        rows = table_of(done.stdout, form)
        assert [row["path"] for row in rows] == [str(path) for path in pictures]
        assert [row["predicted"] for row in rows] == [answer.predicted for answer in wanted]
        for row, answer in zip(rows, wanted, strict=True):
            shown = row["probabilities"]["PNEUMONIA"] if form != "csv" else float(row["probability_PNEUMONIA"])
            assert shown == pytest.approx(answer.probabilities["PNEUMONIA"], abs=1e-6)
            assert row["error"] == ""
    done = radlens("predict", tiny_folder, *pictures)
    assert [line.split()[2] for line in done.stdout.splitlines()[1:]] == [str(path) for path in pictures]
    assert "Answered for 6 image(s)" in done.stderr


def test_hostile_files_get_rows_that_say_why(radlens: Call, tiny_folder: Path, hostile: Path) -> None:
    done = radlens("predict", tiny_folder, hostile, "--format", "csv", timeout=120)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "8 image(s) could not be answered" in done.stderr
    rows = table_of(done.stdout)
    assert [Path(row["path"]).name for row in rows] == sorted(path.name for path in hostile.iterdir())
    answered = {Path(row["path"]).name for row in rows if not row["error"]}
    assert answered == {"a.png", "m.jpg", "z.bmp"}
    for row in rows:
        assert bool(row["predicted"]) == bool(row["probability_NORMAL"]) == (not row["error"])
    stopped = radlens("predict", tiny_folder, hostile, "--fail-fast", "--format", "csv", timeout=120)
    assert stopped.returncode == 1
    assert [Path(row["path"]).name for row in table_of(stopped.stdout)] == ["a.png"]
    assert "bomb.png: " in stopped.stderr


def test_paths_from_standard_input(radlens: Call, tiny_folder: Path, pictures: list[Path]) -> None:
    given = "\n".join(map(str, pictures))
    done = radlens("predict", tiny_folder, "-", "--format", "jsonl", input=given)
    assert [row["path"] for row in table_of(done.stdout, "jsonl")] == [str(path) for path in pictures]


def test_an_answer_comes_while_standard_input_stays_open(tiny_folder: Path, pictures: list[Path]) -> None:
    command = [sys.executable, "-c", "from radlens.cli.commands import main; main()", "predict", str(tiny_folder), "-"]
    with subprocess.Popen(
        [*command, "--format", "jsonl"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for path in pictures:
            process.stdin.write(f"{path}\n".encode())
            process.stdin.flush()
            assert json.loads(process.stdout.readline())["path"] == str(path)
        process.stdin.close()
        assert process.wait(60) == 0


def test_nothing_to_answer_for_is_said(radlens: Call, tiny_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / ".DS_Store").touch()
    done = radlens("predict", tiny_folder, tmp_path / "empty", "--format", "csv")
    assert done.returncode == 0
    assert "There was no image to answer for." in done.stderr
    assert "left out" not in done.stderr
    assert done.stdout.strip().split(",") == list(csv_columns(load(tiny_folder).config))
    (tmp_path / "empty" / "notes.txt").touch()
    done = radlens("predict", tiny_folder, tmp_path / "empty")
    assert done.returncode == 1
    assert "There was no image to answer for. 1 file(s) that are not images are left out: 1 .txt (" in done.stderr


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--format", "cvs"), "Did you mean 'csv'"),
        (("--resume",), "name it with --out"),
        (("--format", "table", "--out", "x.txt"), "A table is for people"),
        (("--operating-point", "sensitivity .95"), "Did you mean 'sensitivity 0.95'"),
        (("--batch-size", "0"), "--batch-size"),
        (("--out", "."), "is a folder"),
    ],
)
def test_wrong_usage_exits_with_two(
    radlens: Call, tiny_folder: Path, tmp_path: Path, options: tuple[str, ...], message: str
) -> None:
    done = radlens("predict", tiny_folder, "x.png", *options, cwd=tmp_path)
    assert done.returncode == 2
    assert message in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr
    assert not done.stdout
    assert list(tmp_path.iterdir()) == []


def test_a_file_takes_its_format_from_its_name(radlens: Call, tiny_folder: Path, pictures: list[Path]) -> None:
    folder = pictures[0].parent.parent
    for name, form in (("x.csv", "csv"), ("x.JSON", "json"), ("x.jsonl", "jsonl"), ("x", "csv"), ("x.out", "csv")):
        done = radlens("predict", tiny_folder, *pictures, "--out", folder / name)
        assert (done.returncode, done.stdout) == (0, "")
        assert len(table_of((folder / name).read_text(), form)) == len(pictures)


def test_a_stream_that_is_killed_again_and_again_loses_and_doubles_nothing(
    radlens: Call, tiny_folder: Path, many_pictures: list[Path], tmp_path: Path
) -> None:
    folder = tmp_path / "in"
    for number in range(1200):
        link = folder / str(number % 3) / f"{number:05}{many_pictures[number % 40].suffix}"
        link.parent.mkdir(parents=True, exist_ok=True)
        link.hardlink_to(many_pictures[number % 40])
    arguments = ["predict", str(tiny_folder), str(folder)]
    assert radlens(*arguments, "--out", tmp_path / "whole.csv").returncode == 0
    out, partial = tmp_path / "out.csv", tmp_path / "out.csv.partial"
    command = [sys.executable, "-c", "from radlens.cli.commands import main; main()", *arguments, "--out", str(out)]
    sizes = []
    for number in range(3):
        before = partial.stat().st_size if partial.exists() else 0
        process = subprocess.Popen([*command, *(["--resume"] if number else [])], stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 120
        while not partial.exists() or partial.stat().st_size < before + 5000:
            assert process.poll() is None, "it ended before it could be killed"
            assert time.monotonic() < deadline
            time.sleep(0.001)
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert not out.exists()
        # As a kill within a write would leave it.
        os.truncate(partial, partial.stat().st_size - 7)
        sizes.append(partial.stat().st_size)
    assert sizes == sorted(set(sizes)), "each went on where the last was killed"
    assert radlens(*arguments, "--out", out, "--resume").returncode == 0
    found, wanted = (table_of((tmp_path / name).read_text()) for name in ("out.csv", "whole.csv"))
    assert [row["path"] for row in found] == [row["path"] for row in wanted]
    assert [row["predicted"] for row in found] == [row["predicted"] for row in wanted]
    assert not partial.exists()


def test_overlays_lie_where_their_images_lie(radlens: Call, tiny_folder: Path, pictures: list[Path]) -> None:
    folder = pictures[0].parent.parent
    (pictures[0].parent / "page.png").write_text("<html>")
    done = radlens("predict", tiny_folder, "pictures", "--explain", "maps", cwd=folder)
    assert done.returncode == 1
    made = sorted(path.relative_to(folder).as_posix() for path in (folder / "maps").rglob("*") if path.is_file())
    assert made == [f"maps/pictures/{path.name}.png" for path in pictures]
    with Image.open(folder / made[0]) as overlay, Image.open(pictures[0]) as picture:
        assert overlay.width == max(320, picture.width)
        assert overlay.height > picture.height


def test_a_model_without_maps_says_so_before_anything_is_written(
    radlens: Call, tiny: Any, tmp_path: Path, pictures: list[Path]
) -> None:
    folder = tiny().write(tmp_path / "model", has_cam=False)
    done = radlens("predict", folder, *pictures, "--explain", tmp_path / "maps", "--out", tmp_path / "out.csv")
    assert done.returncode == 1
    assert "makes no class activation maps" in done.stderr
    assert not (tmp_path / "maps").exists()
    assert not list(tmp_path.glob("out.csv*"))


def test_overlays_never_lie_outside_their_folder() -> None:
    for path, wanted in (("../../a.png", "a.png.png"), ("/etc/x", "etc/x.png"), ("a/../../b", "b.png"), ("b", "b.png")):
        assert overlay_path(Path("maps"), path).as_posix() == f"maps/{wanted}"


def test_nothing_heavy_is_imported(radlens: Call, tiny_folder: Path, pictures: list[Path]) -> None:
    code = (
        "import sys; from radlens.cli.commands import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        f"print(sorted({HEAVY!r} & set(sys.modules)))"
    )
    command = [sys.executable, "-c", code, "predict", str(tiny_folder), str(pictures[0])]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
