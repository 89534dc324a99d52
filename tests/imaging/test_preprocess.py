"""The preprocessing contract: geometry in closed form, an independent resampler, and bounds that always hold."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from pydantic import ValidationError

from radlens.imaging.preprocess import Preprocessing, preprocess, reduced_size, to_network_range

FITS = ("squash", "pad", "crop")


def smooth(height: int, width: int) -> npt.NDArray[np.uint8]:
    rows, columns = np.indices((height, width))
    waves = np.sin(rows / height * 5) * np.cos(columns / width * 4) + columns / width
    return (127 + 60 * waves).astype(np.uint8)


def triangle_weights(size: int, target: int, start: float = 0.0, stop: float | None = None) -> npt.NDArray[np.float64]:
    """Row i holds what each input pixel gives to output pixel i: a triangle as wide as the reduction asks."""
    stop = size if stop is None else stop
    scale = (stop - start) / target
    centres = start + (np.arange(target) + 0.5) * scale
    distance = np.abs(np.arange(size) + 0.5 - centres[:, None]) / max(scale, 1.0)
    weights = np.maximum(0.0, 1.0 - distance)
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))


def resampled(image: npt.NDArray[np.uint8], height: int, width: int) -> npt.NDArray[np.float64]:
    rows, columns = triangle_weights(image.shape[0], height), triangle_weights(image.shape[1], width)
    return np.asarray(rows @ image.astype(float) @ columns.T)


def test_an_image_of_the_right_size_comes_through_unchanged() -> None:
    for fit in FITS:
        contract = Preprocessing(height=20, width=30, fit=fit)
        np.testing.assert_array_equal(preprocess(Image.fromarray(smooth(20, 30)), contract)[0], smooth(20, 30))


@pytest.mark.parametrize("shape", [(16, 16), (40, 30), (50, 90), (21, 63)])
def test_squash_is_an_antialiased_linear_resampling(shape: tuple[int, int]) -> None:
    image = smooth(*shape)
    found = preprocess(Image.fromarray(image), Preprocessing(height=24, width=32))
    assert found.shape == (1, 24, 32)
    np.testing.assert_allclose(found[0], resampled(image, 24, 32), atol=1.01)


def test_squash_stretches_each_axis_by_itself() -> None:
    # Left half black, right half white stays so whatever the aspect.
    image = np.zeros((10, 80), dtype=np.uint8)
    image[:, 40:] = 255
    found = preprocess(Image.fromarray(image), Preprocessing(height=40, width=20))[0]
    assert not found[:, :9].any()
    assert (found[:, 11:] == 255).all()


def test_a_large_reduction_averages_and_does_not_skip() -> None:
    # One in four columns is white: skipping would give stripes, averaging gives one grey.
    image = np.zeros((400, 400), dtype=np.uint8)
    image[:, ::4] = 255
    found = preprocess(Image.fromarray(image), Preprocessing(height=20, width=20))[0]
    np.testing.assert_allclose(found[:, 1:-1], 255 / 4, atol=2)


@pytest.mark.parametrize(
    ("size", "inner"),
    [
        ((100, 50), (slice(8, 24), slice(0, 32))),
        ((50, 100), (slice(0, 32), slice(8, 24))),
        ((64, 64), (slice(0, 32), slice(0, 32))),
        ((8, 4), (slice(8, 24), slice(0, 32))),
        ((1000, 1), (slice(15, 16), slice(0, 32))),
        ((96, 63), (slice(5, 26), slice(0, 32))),
    ],
)
def test_pad_keeps_the_aspect_centred_on_black(size: tuple[int, int], inner: tuple[slice, slice]) -> None:
    found = preprocess(Image.new("L", size, 200), Preprocessing(height=32, width=32, fit="pad"))[0]
    wanted = np.zeros((32, 32))
    wanted[inner] = 200
    np.testing.assert_array_equal(found, wanted)


def test_pad_shows_the_whole_image_resampled() -> None:
    image = smooth(40, 80)
    found = preprocess(Image.fromarray(image), Preprocessing(height=32, width=32, fit="pad"))[0]
    np.testing.assert_allclose(found[8:24], resampled(image, 16, 32), atol=1.01)


@pytest.mark.parametrize(
    ("shape", "part"),
    [
        ((40, 80), (slice(0, 40), slice(20, 60))),
        ((80, 40), (slice(20, 60), slice(0, 40))),
        ((60, 60), (slice(0, 60), slice(0, 60))),
    ],
)
def test_crop_keeps_the_largest_centred_part(shape: tuple[int, int], part: tuple[slice, slice]) -> None:
    image = smooth(*shape)
    found = preprocess(Image.fromarray(image), Preprocessing(height=30, width=30, fit="crop"))[0]
    cut = image[part]
    # Beside the cut the filter may see what lies beyond it, so only the interior is compared.
    np.testing.assert_allclose(found[2:-2, 2:-2], resampled(cut, 30, 30)[2:-2, 2:-2], atol=1.01)


def test_crop_to_another_aspect_cuts_the_longer_side() -> None:
    image = np.zeros((40, 100), dtype=np.uint8)
    image[:, 10:90] = 255
    found = preprocess(Image.fromarray(image), Preprocessing(height=20, width=40, fit="crop"))[0]
    assert (found[:, 1:-1] == 255).all()
    # The filter of the outermost columns reaches half an output pixel beyond the cut, into the black.
    assert (found > 200).all()


def test_colour_and_grey_are_made_of_each_other() -> None:
    rng = np.random.default_rng(0)
    colour = rng.integers(0, 256, (12, 16, 3), dtype=np.uint8)
    found = preprocess(Image.fromarray(colour), Preprocessing(height=12, width=16, channels=3))
    np.testing.assert_array_equal(found, colour.transpose(2, 0, 1))
    grey = preprocess(Image.fromarray(colour), Preprocessing(height=12, width=16))
    np.testing.assert_allclose(grey[0], colour @ np.array([0.299, 0.587, 0.114]), atol=1)
    tripled = preprocess(Image.fromarray(smooth(12, 16)), Preprocessing(height=12, width=16, channels=3))
    np.testing.assert_array_equal(tripled, np.stack([smooth(12, 16)] * 3))


@given(
    st.integers(1, 70),
    st.integers(1, 70),
    st.integers(8, 40),
    st.integers(8, 40),
    st.sampled_from(FITS),
    st.sampled_from([1, 3]),
    st.booleans(),
    st.integers(0, 2**32 - 1),
)
def test_any_image_comes_out_in_the_contracts_form_and_within_its_own_range(
    height: int, width: int, to_height: int, to_width: int, fit: str, channels: int, colour: bool, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    shape = (height, width, 3) if colour else (height, width)
    pixels = rng.integers(40, 200, shape, dtype=np.uint8)
    image = Image.fromarray(pixels)
    contract = Preprocessing.model_validate({"height": to_height, "width": to_width, "fit": fit, "channels": channels})
    found = preprocess(image, contract)
    assert found.dtype == np.uint8
    assert found.shape == contract.shape == (channels, to_height, to_width)
    assert found.flags.c_contiguous
    assert found.max() <= pixels.max()
    if fit != "pad":
        assert found.min() >= pixels.min()
    np.testing.assert_array_equal(preprocess(image, contract), found)
    np.testing.assert_array_equal(np.asarray(image), pixels, "the image itself was changed")


@pytest.mark.parametrize("size", [(199, 181), (181, 199), (1999, 1553), (3, 4000)])
def test_a_crop_never_leaves_the_image_by_rounding(size: tuple[int, int]) -> None:
    for target in ((150, 150), (128, 96), (77, 33)):
        contract = Preprocessing(width=target[0], height=target[1], fit="crop")
        assert (preprocess(Image.new("L", size, 99), contract) == 99).all()


@given(
    st.sampled_from([(1, 1), (1, 65_535), (65_535, 1), (2, 30_000), (20_000, 3), (1, 2), (7, 1)]),
    st.integers(8, 400),
    st.integers(8, 400),
    st.sampled_from(FITS),
    st.sampled_from(["bilinear", "bicubic", "lanczos", "box"]),
    st.sampled_from([1, 3]),
)
def test_the_longest_and_thinnest_images_come_out_flat_where_they_are_flat(
    size: tuple[int, int], to_height: int, to_width: int, fit: str, resample: str, channels: int
) -> None:
    contract = Preprocessing.model_validate(
        {"height": to_height, "width": to_width, "fit": fit, "channels": channels, "resample": resample}
    )
    found = preprocess(Image.new("L", size, 99), contract)
    assert found.shape == (channels, to_height, to_width)
    if fit == "pad":
        width, height = reduced_size(contract, size)
        assert (found == 99).sum() == width * height * channels
        assert set(np.unique(found)) <= {0, 99}
    else:
        assert (found == 99).all()


@pytest.mark.parametrize("fit", FITS)
@given(
    st.floats(0, 0.45),
    st.floats(0, 0.45),
    st.floats(0.55, 1),
    st.floats(0.55, 1),
    st.integers(1, 300),
    st.integers(1, 300),
)
def test_any_box_of_any_image_comes_out(
    fit: str, left: float, upper: float, right: float, lower: float, width: int, height: int
) -> None:
    contract = Preprocessing.model_validate({"height": 24, "width": 16, "fit": fit})
    box = (left * width, upper * height, right * width, lower * height)
    found = preprocess(Image.new("L", (width, height), 200), contract, box)
    assert found.shape == (1, 24, 16)
    assert set(np.unique(found)) <= ({0, 200} if fit == "pad" else {200})


@pytest.mark.parametrize("fit", FITS)
def test_only_what_the_box_holds_counts(fit: str) -> None:
    image = np.full((60, 80), 255, dtype=np.uint8)
    image[10:50, 20:70] = smooth(40, 50)
    contract = Preprocessing.model_validate({"height": 20, "width": 20, "fit": fit})
    found = preprocess(Image.fromarray(image), contract, (20.0, 10.0, 70.0, 50.0))
    wanted = preprocess(Image.fromarray(smooth(40, 50)), contract)
    # Beside the box the filter may see what lies beyond it.
    inner = found[0] != wanted[0]
    assert np.abs(found.astype(int) - wanted)[0, 4:-4, 1:-1].max() <= 1, inner


@pytest.mark.parametrize("resample", ["bilinear", "bicubic", "lanczos", "box"])
def test_the_filter_is_the_one_that_was_asked_for(resample: str) -> None:
    image = Image.fromarray(smooth(50, 70))
    contract = Preprocessing.model_validate({"height": 30, "width": 40, "resample": resample})
    wanted = image.resize((40, 30), Image.Resampling[resample.upper()])
    np.testing.assert_array_equal(preprocess(image, contract)[0], np.asarray(wanted))


@pytest.mark.parametrize(
    ("fit", "size", "wanted"),
    [
        ("squash", (400, 100), (40, 30)),
        ("crop", (400, 100), (40, 30)),
        ("pad", (400, 100), (40, 10)),
        ("pad", (100, 400), (8, 30)),
        ("pad", (4, 3), (40, 30)),
        ("pad", (5000, 1), (40, 1)),
        ("pad", (62.5, 15.625), (40, 10)),
    ],
)
def test_the_size_before_padding_keeps_the_aspect(fit: str, size: tuple[float, float], wanted: tuple[int, int]) -> None:
    contract = Preprocessing.model_validate({"height": 30, "width": 40, "fit": fit})
    assert reduced_size(contract, size) == wanted


@given(st.integers(1, 5000), st.integers(1, 5000), st.sampled_from([2, 4, 8]))
def test_a_scale_of_decoding_does_not_move_the_padding(width: int, height: int, scale: int) -> None:
    contract = Preprocessing(height=150, width=200, fit="pad")
    assert reduced_size(contract, (width / scale, height / scale)) == reduced_size(contract, (width, height))


@given(st.floats(-10, 10), st.floats(0.01, 20))
def test_the_networks_range_is_linear_between_its_ends(low: float, span: float) -> None:
    contract = Preprocessing(low=low, high=low + span)
    found = to_network_range(np.arange(256, dtype=np.uint8), contract)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, np.linspace(low, low + span, 256), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    "values",
    [
        {"height": 7},
        {"width": 4097},
        {"channels": 2},
        {"fit": "stretch"},
        {"low": 1.0, "high": 1.0},
        {"low": 2.0},
        {"high": float("inf")},
        {"low": float("nan")},
        {"heigth": 150},
        {"resample": "nearest"},
        {"depth": "bits"},
        {"version": 2},
    ],
)
def test_a_contract_that_cannot_be_kept_is_refused(values: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Preprocessing.model_validate(values)


def test_a_contract_does_not_change_and_comes_back_from_json() -> None:
    contract = Preprocessing(height=128, width=96, fit="crop", channels=3, low=-1.0, high=1.0)
    assert Preprocessing.model_validate_json(contract.model_dump_json()) == contract
    with pytest.raises(ValidationError, match="frozen"):
        contract.height = 10  # type: ignore[misc]


def test_a_record_from_before_the_filter_and_the_depth_means_what_was_done_then() -> None:
    old = '{"height": 128, "width": 96, "fit": "crop", "channels": 3, "low": -1.0, "high": 1.0}'
    contract = Preprocessing.model_validate_json(old)
    assert (contract.resample, contract.depth, contract.version) == ("bilinear", "auto", 1)
