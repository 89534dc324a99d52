"""The predictor answers as its network does, the same from files, bytes, arrays and threads."""

from __future__ import annotations

import itertools
import tracemalloc
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from radlens.base.errors import DataError, UsageError
from radlens.decision import Task
from radlens.imaging.decode import decode
from radlens.imaging.limits import DecodeLimits
from radlens.imaging.pixels import read_pixels
from radlens.imaging.preprocess import Preprocessing
from radlens.runtime.answers import Answer
from radlens.runtime.loading import load
from radlens.runtime.onnx_network import OnnxNetwork
from radlens.runtime.predictor import Predictor
from radlens.runtime.sources import Source

TASKS: list[tuple[Task, tuple[str, ...]]] = [
    ("binary", ("NORMAL", "PNEUMONIA")),
    ("multiclass", ("a", "b", "c")),
    ("multilabel", ("a", "b", "c")),
]


@pytest.fixture(scope="module")
def model(tiny_folder: Path) -> Predictor:
    return load(tiny_folder)


def same(found: Answer, wanted: Answer) -> bool:
    """Apart from what they are called."""
    return (found.predicted, found.probabilities, found.remarks) == (
        wanted.predicted,
        wanted.probabilities,
        wanted.remarks,
    )


@pytest.mark.parametrize(("task", "classes"), TASKS)
@pytest.mark.parametrize("fit", ["squash", "pad", "crop"])
def test_answers_are_the_networks_own(
    tiny: Any, tmp_path: Path, pictures: list[Path], task: Task, classes: tuple[str, ...], fit: str
) -> None:
    contract = Preprocessing.model_validate({"height": 24, "width": 32, "fit": fit, "channels": 3})
    network = tiny(task, classes, contract, calibration=(1.5, 0.0 if task == "multiclass" else 0.3))
    model = load(network.write(tmp_path / "model", threshold=0.4))
    pixels = np.stack([read_pixels(str(path), contract)[0] for path in pictures])
    wanted = network.probabilities(pixels)
    assert np.ptp(wanted, axis=0).min() > 0.01, "the pictures make no difference"
    np.testing.assert_allclose(model.probabilities(pixels), wanted, atol=1e-5)
    answers = model.predict(pictures)
    assert [answer.path for answer in answers] == [str(path) for path in pictures]
    for answer, row in zip(answers, wanted, strict=True):
        np.testing.assert_allclose(list(answer.probabilities.values()), row, atol=1e-5)
        assert tuple(answer.probabilities) == classes
        if task == "multilabel":
            assert answer.predicted == "|".join(name for name, p in zip(classes, row, strict=True) if p >= 0.4)
        else:
            assert answer.predicted == classes[int(row[1] >= 0.4) if task == "binary" else int(row.argmax())]
        assert (answer.error, answer.conformal, answer.familiar) == ("", None, None)


def test_a_path_its_bytes_and_its_picture_get_the_same_answer(model: Predictor, pictures: list[Path]) -> None:
    for path in pictures:
        from_path = model.predict(path)
        assert same(model.predict(str(path)), from_path)
        from_bytes = model.predict(path.read_bytes())
        assert same(from_bytes, from_path)
        assert from_bytes.path == "bytes"
        if path.suffix == ".png":
            # A JPEG is decoded at a smaller scale where the size that is wanted allows it.
            from_array = model.predict(np.asarray(decode(str(path)).image))
            assert same(from_array, from_path)
            assert from_array.path == "array"


def test_a_dicom_file_its_bytes_and_its_picture_get_the_same_answer(model: Predictor) -> None:
    files = pytest.importorskip("pydicom.data")
    path = files.get_testdata_file("CT_small.dcm", download=False)
    from_path = model.predict(path)
    assert not from_path.error
    assert same(model.predict(Path(path).read_bytes()), from_path)
    assert same(model.predict(np.asarray(decode(path).image)), from_path)


def test_one_gives_one_and_several_give_a_list(model: Predictor, pictures: list[Path]) -> None:
    whole = model.predict(pictures)
    assert isinstance(model.predict(pictures[0]), Answer)
    assert model.predict(pictures[:1]) == whole[:1]
    assert model.predict([]) == []
    assert model.predict(path for path in pictures) == whole
    mixed = model.predict([pictures[0], pictures[1].read_bytes(), np.zeros((50, 40), np.uint8)])
    assert same(mixed[0], whole[0])
    assert same(mixed[1], whole[1])
    assert mixed[2].remarks == ("nearly blank",)


@pytest.mark.parametrize("workers", [1, 2, 4])
@pytest.mark.parametrize("batch_size", [1, 3, 50])
def test_order_and_answers_do_not_depend_on_threads_and_batches(
    model: Predictor, many_pictures: list[Path], workers: int, batch_size: int
) -> None:
    wanted = [model.predict(path) for path in many_pictures]
    found = list(model.stream(many_pictures, workers=workers, batch_size=batch_size))
    assert [answer.path for answer in found] == [answer.path for answer in wanted]
    for one, other in zip(found, wanted, strict=True):
        assert one.predicted == other.predicted
        np.testing.assert_allclose([*one.probabilities.values()], [*other.probabilities.values()], atol=1e-6)


def test_many_threads_may_ask_at_once(model: Predictor, many_pictures: list[Path]) -> None:
    wanted = {path: model.predict(path) for path in many_pictures}
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(model.predict, many_pictures * 4))
    for answer in found:
        other = wanted[Path(answer.path)]
        assert answer.predicted == other.predicted
        assert answer.probabilities == pytest.approx(other.probabilities, abs=1e-6)


def test_pixels_that_were_prepared_before_get_the_same_answers(model: Predictor, pictures: list[Path]) -> None:
    pixels = np.stack([read_pixels(str(path), model.preprocessing)[0] for path in pictures])
    wanted = model.predict(pictures)
    for batch_size in (1, 4, 100):
        found = model.predict_batch(pixels, batch_size)
        for one, other in zip(found, wanted, strict=True):
            assert one.predicted == other.predicted
            assert one.probabilities == pytest.approx(other.probabilities, abs=1e-6)
    assert model.predict_batch(pixels[:0]) == []


@pytest.mark.parametrize(
    "pixels", [np.zeros((2, 1, 24, 24), np.uint8), np.zeros((2, 1, 24, 32), np.float32), np.zeros((24, 32), np.uint8)]
)
def test_pixels_of_another_kind_are_refused(model: Predictor, pixels: Any) -> None:
    with pytest.raises(DataError, match=r"\(images, 1, 24, 32\) was expected"):
        model.predict_batch(pixels)


@pytest.mark.parametrize(
    "array",
    [np.zeros((8, 8), np.float16), np.zeros((8, 8), "U1"), np.zeros((8, 8, 4), np.uint8), np.zeros((0, 8), np.uint8)],
)
def test_an_array_that_is_no_picture_is_an_error_of_its_answer(model: Predictor, array: Any) -> None:
    answer = model.predict(array)
    assert "are not a picture" in answer.error
    assert (answer.predicted, answer.probabilities) == ("", {})


def test_what_cannot_be_read_says_so_in_its_place(model: Predictor, pictures: list[Path], tmp_path: Path) -> None:
    page, nothing = tmp_path / "page.jpg", tmp_path / "no.png"
    page.write_text("<html>")
    torn = tmp_path / "torn.jpg"
    torn.write_bytes(pictures[1].read_bytes()[:400])
    given: list[Source] = [pictures[0], page, nothing, tmp_path, torn, b"", pictures[1]]
    answers = model.predict(given)
    assert [bool(answer.error) for answer in answers] == [False, True, True, True, True, True, False]
    assert "web page" in answers[1].error
    assert "No such file" in answers[2].error
    assert "folder" in answers[3].error
    assert not answers[1].error.startswith(str(page)), "the path stands beside"
    assert same(answers[6], model.predict(pictures[1]))
    with pytest.raises(DataError, match=r"page\.jpg.*web page"):
        model.predict(given, fail_fast=True)


def test_limits_on_files_are_kept(tiny_folder: Path, pictures: list[Path]) -> None:
    strict = load(tiny_folder, limits=DecodeLimits(max_pixels=100))
    assert "data.limits.max_pixels" in strict.predict(pictures[0]).error


def test_answers_follow_the_operating_point(tiny_folder: Path, many_pictures: list[Path]) -> None:
    careful = load(tiny_folder, operating_point="sensitivity 0.95")
    assert careful.threshold == 0.2
    for answer in careful.predict(many_pictures):
        assert answer.predicted == ("PNEUMONIA" if answer.probabilities["PNEUMONIA"] >= 0.2 else "NORMAL")
    with pytest.raises(UsageError, match=r"no operating point 'sensitivity'.*Did you mean 'sensitivity 0\.95'"):
        load(tiny_folder, operating_point="sensitivity")


def test_memory_does_not_grow_with_the_number_of_images(model: Predictor, pictures: list[Path]) -> None:
    def peak(count: int) -> int:
        images: Iterator[Path] = itertools.islice(itertools.cycle(pictures), count)
        tracemalloc.start()
        assert sum(1 for _ in model.stream(images, workers=2)) == count
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    peak(50)
    assert peak(2000) < 1.5 * peak(200)


def test_a_network_of_another_form_is_refused(tiny: Any, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(b"not a network")
    with pytest.raises(DataError, match="cannot be run as an ONNX network"):
        OnnxNetwork(path, (1, 24, 32))
    path.write_bytes(tiny().onnx())
    with pytest.raises(DataError, match="takes pixels of shape"):
        OnnxNetwork(path, (3, 24, 32))


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("count", [0, 1, 4, 5, 11])
def test_any_number_of_images_is_computed_as_one_by_one(tiny: Any, tmp_path: Path, threads: int, count: int) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(tiny().onnx())
    network = OnnxNetwork(path, (1, 24, 32), threads)
    pixels = np.random.default_rng(0).integers(0, 256, (count, 1, 24, 32), dtype=np.uint8)
    found = network.run(pixels, ("probabilities", "embedding"))
    assert found["probabilities"].shape == (count, 2)
    for number, one in enumerate(pixels):
        alone = network.run(one[np.newaxis], ("embedding", "probabilities"))
        for name, values in found.items():
            np.testing.assert_allclose(values[number], alone[name][0], atol=1e-6)


def test_a_batch_size_or_a_number_of_threads_that_makes_no_sense_is_refused(model: Predictor) -> None:
    with pytest.raises(UsageError, match="batch_size must be 1 or more"):
        list(model.stream([], batch_size=0))
    with pytest.raises(UsageError, match="batch_size must be 1 or more"):
        list(model.stream([], workers=-1))


def test_colours_are_remarked_on_where_grey_is_expected(model: Predictor, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    grey = np.asarray(Image.fromarray(rng.integers(0, 256, (8, 8), dtype=np.uint8)).resize((100, 100)))
    for suffix in ("png", "jpg"):
        path = tmp_path / f"x.{suffix}"
        Image.fromarray(grey).convert("RGB").save(path)
        assert model.predict(path).remarks == ()
        Image.fromarray(np.stack([grey, grey // 2, grey // 4], axis=2)).save(path)
        assert model.predict(path).remarks == ("in colour where grey is expected",)
        assert model.predict(np.asarray(Image.open(path))).remarks == ("in colour where grey is expected",)
