"""What parameters make of an image: nothing, whole-pixel moves, and whatever an independent resampler makes of it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import affine_transform
from torch import Tensor
from torch.nn import functional

from radlens.config import AugmentSettings
from radlens.imaging.preprocess import Preprocessing
from radlens.imaging.preprocess import to_network_range as numpy_network_range
from radlens.learning import augment
from radlens.learning.augment import COLUMNS, UNCHANGED, draw, example
from radlens.learning.degrade import add_noise, blur, compress, reduce_resolution

Array = npt.NDArray[np.float64]
GREY_LEVELS = Preprocessing(low=0.0, high=255.0)


def smooth(height: int, width: int, channels: int = 1) -> npt.NDArray[np.uint8]:
    """Without symmetry, shape (channels, height, width)."""
    rows, columns = np.indices((height, width))
    waves = np.sin(rows / height * 5 + 1) * np.cos(columns / width * 7) + 0.7 * columns / width
    return np.stack([(120 + 55 * np.roll(waves, 3 * channel, axis=0)).astype(np.uint8) for channel in range(channels)])


def row(**changes: float) -> list[float]:
    return [changes.get(name, value) for name, value in zip(COLUMNS, UNCHANGED, strict=True)]


def warped(
    pixels: npt.NDArray[np.uint8],
    contract: Preprocessing = GREY_LEVELS,
    changes: Mapping[str, float] | None = None,
    **more: float,
) -> npt.NDArray[np.float32]:
    """One image under one row of parameters."""
    parameters = torch.tensor([row(**(changes or {}), **more)], dtype=torch.float32)
    found = augment.apply(torch.from_numpy(pixels.copy())[None], parameters, contract)
    assert found.dtype == torch.float32
    assert found.shape == (1, *pixels.shape)
    return np.asarray(found[0].numpy())


@pytest.mark.parametrize("shape", [(24, 24), (17, 40), (33, 20)])
@pytest.mark.parametrize("channels", [1, 3])
def test_unchanged_parameters_give_the_image_itself(shape: tuple[int, int], channels: int) -> None:
    pixels = smooth(*shape, channels)
    np.testing.assert_allclose(warped(pixels), pixels, atol=1e-3)
    contract = Preprocessing(low=-1.0, high=1.0)
    np.testing.assert_allclose(warped(pixels, contract), numpy_network_range(pixels, contract), atol=1e-5)


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        ({"angle": 90}, lambda image: np.rot90(image, 1, axes=(1, 2))),
        ({"angle": -90}, lambda image: np.rot90(image, -1, axes=(1, 2))),
        ({"angle": 180}, lambda image: np.rot90(image, 2, axes=(1, 2))),
        ({"flip_x": 1}, lambda image: image[:, :, ::-1]),
        ({"flip_y": 1}, lambda image: image[:, ::-1]),
        ({"flip_x": 1, "flip_y": 1}, lambda image: image[:, ::-1, ::-1]),
        # Mirrored first, then turned counter-clockwise.
        ({"flip_x": 1, "angle": 90}, lambda image: np.rot90(image[:, :, ::-1], 1, axes=(1, 2))),
    ],
)
def test_quarter_turns_and_flips_move_whole_pixels(
    changes: dict[str, float], wanted: Callable[[npt.NDArray[np.uint8]], npt.NDArray[np.uint8]]
) -> None:
    pixels = smooth(32, 32, 3)
    np.testing.assert_allclose(warped(pixels, changes=changes), wanted(pixels), atol=2e-2)


def test_flips_move_whole_pixels_of_an_oblong_image() -> None:
    pixels = smooth(20, 36)
    np.testing.assert_allclose(warped(pixels, flip_x=1), pixels[:, :, ::-1], atol=1e-2)
    np.testing.assert_allclose(warped(pixels, flip_y=1), pixels[:, ::-1], atol=1e-2)
    np.testing.assert_allclose(warped(pixels, angle=180), pixels[:, ::-1, ::-1], atol=1e-2)


def test_shifts_are_shares_of_width_and_height_to_the_right_and_down() -> None:
    pixels = smooth(20, 40)
    found = warped(pixels, shift_x=3 / 40, shift_y=-2 / 20)
    np.testing.assert_allclose(found[:, :-2, 3:], pixels[:, 2:, :-3], atol=1e-2)
    # Where there was nothing, the border is repeated.
    np.testing.assert_allclose(found[:, :-2, :3], np.repeat(pixels[:, 2:, :1], 3, axis=2), atol=1e-2)


def test_zoom_two_is_the_centre_enlarged_and_one_half_the_whole_reduced() -> None:
    pixels = smooth(32, 48)
    centre = torch.from_numpy(pixels[None, :, 8:24, 12:36]).float()
    enlarged = functional.interpolate(centre, scale_factor=2, mode="bilinear", align_corners=False)[0].numpy()
    found = warped(pixels, zoom=2)
    np.testing.assert_allclose(found[:, 1:-1, 1:-1], enlarged[:, 1:-1, 1:-1], atol=1e-2)
    halved = warped(pixels, zoom=0.5)[:, 8:24, 12:36]
    # Each pixel lies between four: their mean.
    np.testing.assert_allclose(halved, pixels.reshape(1, 16, 2, 24, 2).mean(axis=(2, 4)), atol=1e-2)


def test_an_oblong_image_is_turned_rigidly() -> None:
    # A disc stays a disc and its area stays; a turn in relative coordinates would make an ellipse of it.
    rows, columns = np.indices((60, 120))
    disc = 200 * (np.hypot(rows - 29.5, columns - 59.5 - 20) < 12)
    turned = warped(disc[None].astype(np.uint8), angle=45)[0]
    rows_on, columns_on = np.nonzero(turned > 100)
    assert turned.sum() == pytest.approx(disc.sum(), rel=0.01)
    assert np.ptp(rows_on) == np.ptp(columns_on) == pytest.approx(23, abs=1)
    # Counter-clockwise: what was to the right of the centre is now up and to the right.
    assert rows_on.mean() == pytest.approx(29.5 - 20 * np.sin(np.pi / 4), abs=0.1)
    assert columns_on.mean() == pytest.approx(59.5 + 20 * np.cos(np.pi / 4), abs=0.1)


def reference(image: Array, parameters: dict[str, float]) -> Array:
    """Mirror, then turn and magnify about the centre, then shift; by SciPy, in pixel coordinates."""
    height, width = image.shape
    theta = np.deg2rad(parameters["angle"])
    # From (row, column) as stored to as shown; rows point down, so counter-clockwise is a negative angle.
    turn = np.array([[np.cos(theta), -np.sin(theta)], [np.sin(theta), np.cos(theta)]])
    mirror = np.diag([1 - 2 * parameters["flip_y"], 1 - 2 * parameters["flip_x"]])
    forward = parameters["zoom"] * turn @ mirror
    backward = np.linalg.inv(forward)
    centre = np.array([(height - 1) / 2, (width - 1) / 2])
    shift = np.array([parameters["shift_y"] * height, parameters["shift_x"] * width])
    offset = centre - backward @ (centre + shift)
    return np.asarray(affine_transform(image, backward, offset, order=1, mode="nearest"))


PARAMETERS = st.fixed_dictionaries(
    {
        "angle": st.floats(-180, 180),
        "zoom": st.floats(0.5, 2),
        "shift_x": st.floats(-0.3, 0.3),
        "shift_y": st.floats(-0.3, 0.3),
        "flip_x": st.sampled_from([0, 1]),
        "flip_y": st.sampled_from([0, 1]),
    }
)


@settings(max_examples=150)
@given(PARAMETERS, st.integers(8, 40), st.integers(8, 40))
def test_any_composition_is_that_of_an_independent_resampler(
    parameters: dict[str, float], height: int, width: int
) -> None:
    pixels = smooth(height, width)
    found = warped(pixels, Preprocessing(low=0.0, high=1.0), parameters)[0]
    wanted = reference(pixels[0].astype(float), parameters) / 255
    np.testing.assert_allclose(found, wanted, atol=1e-3)


@given(st.floats(-0.5, 0.5), st.floats(0.1, 1.9), st.floats(-2, 2), st.floats(0.5, 4), st.integers(0, 255))
def test_the_intensity_map_is_a_line_about_mid_grey_clamped_to_the_range(
    brightness: float, contrast: float, low: float, span: float, level: int
) -> None:
    pixels = np.full((1, 8, 8), level, dtype=np.uint8)
    share = np.clip((level / 255 - 0.5) * contrast + 0.5 + brightness, 0, 1)
    found = warped(pixels, Preprocessing(low=low, high=low + span), brightness=brightness, contrast=contrast)
    np.testing.assert_allclose(found, low + span * share, atol=1e-5 * (1 + span))


def test_mid_grey_stays_under_any_contrast_and_the_ends_are_clamped() -> None:
    pixels = np.array([[[0, 51, 102], [153, 204, 255]]], dtype=np.uint8)
    found = warped(pixels, Preprocessing(low=-1.0, high=1.0), contrast=2.0)[0]
    np.testing.assert_allclose(found, [[-1, -1, -0.4], [0.4, 1, 1]], atol=1e-5)


@given(st.floats(0.2, 5), st.floats(-0.3, 0.3), st.integers(0, 255))
def test_gamma_is_the_exponent_of_the_grey_values_after_brightness(gamma: float, brightness: float, level: int) -> None:
    pixels = np.full((1, 8, 8), level, dtype=np.uint8)
    wanted = np.clip(level / 255 + brightness, 0, 1) ** gamma
    found = warped(pixels, Preprocessing(low=-1.0, high=1.0), brightness=brightness, gamma=gamma)
    np.testing.assert_allclose(found, 2 * wanted - 1, atol=1e-5)


def test_after_the_warp_come_blur_resolution_compression_and_noise() -> None:
    pixels = smooth(40, 48, 3)
    changes = {"angle": 7.0, "blur": 1.1, "resolution": 0.5, "jpeg": 40.0, "noise": 0.05, "noise_seed": 4.0}
    turned = torch.from_numpy(warped(pixels, angle=7))[None] / 255
    wanted = blur(turned, torch.tensor([1.1]))
    wanted = compress(reduce_resolution(wanted, torch.tensor([0.5])), torch.tensor([40.0]))
    wanted = add_noise(wanted, torch.tensor([0.05]), torch.tensor([4.0]))
    np.testing.assert_allclose(warped(pixels, changes=changes), wanted[0] * 255, atol=1e-2)


@pytest.mark.parametrize(("share", "size"), [(0.5, (20, 30)), (0.75, (30, 45))])
def test_a_smaller_batch_shows_the_whole_image_under_the_same_parameters(share: float, size: tuple[int, int]) -> None:
    pixels = smooth(40, 60)
    parameters = torch.tensor([row(angle=20, zoom=1.3, shift_x=0.1, flip_x=1, contrast=0.8)])
    whole = augment.apply(torch.from_numpy(pixels)[None], parameters, GREY_LEVELS)
    smaller = augment.apply(torch.from_numpy(pixels)[None], parameters, GREY_LEVELS, share)
    assert smaller.shape[-2:] == size
    wanted = functional.interpolate(whole, size, mode="bilinear", align_corners=False)
    # Both are bilinear samples of a smooth image at the same places.
    assert (smaller - wanted).abs().max() < 3


def test_a_crop_at_its_furthest_shows_the_images_corner() -> None:
    pixels = smooth(32, 48)
    # Half of each side, moved so that its left upper corner is the image's.
    found = warped(pixels, zoom=2, shift_x=0.5, shift_y=0.5)
    corner = torch.from_numpy(pixels[None, :, :16, :24]).float()
    enlarged = functional.interpolate(corner, scale_factor=2, mode="bilinear", align_corners=False)[0].numpy()
    np.testing.assert_allclose(found[:, :-1, :-1], enlarged[:, :-1, :-1], atol=1e-2)


def test_a_frame_covers_the_border_of_the_image_that_is_shown() -> None:
    pixels = smooth(20, 40, 3)
    changes = {"angle": 12.0, "noise": 0.1, "noise_seed": 3.0}
    found = warped(pixels, changes=changes, frame=0.1, frame_grey=0.5)
    whole = warped(pixels, changes=changes)
    np.testing.assert_array_equal(found[:, 2:-2, 4:-4], whole[:, 2:-2, 4:-4])
    border = np.ones((20, 40), dtype=bool)
    border[2:-2, 4:-4] = False
    np.testing.assert_allclose(found[:, border], 127.5)


def test_of_a_hidden_image_the_border_alone_is_shown() -> None:
    pixels = smooth(20, 40, 3)
    found = warped(pixels, border_left=0.1, middle_grey=0.2)
    np.testing.assert_allclose(found[:, 2:-2, 4:-4], 51, atol=1e-4)
    found[:, 2:-2, 4:-4] = warped(pixels)[:, 2:-2, 4:-4]
    np.testing.assert_array_equal(found, warped(pixels))


def test_every_image_of_a_batch_gets_its_own_parameters(degraded: AugmentSettings) -> None:
    table = draw(6, degraded, np.random.default_rng(0))
    pixels = np.stack([smooth(16, 20, 3) // (number + 1) for number in range(6)])
    together = augment.apply(torch.from_numpy(pixels), torch.from_numpy(table), GREY_LEVELS)
    for number in range(6):
        alone = warped(pixels[number], changes=dict(zip(COLUMNS, map(float, table[number]), strict=True)))
        np.testing.assert_allclose(together[number], alone, atol=1e-3)


def test_a_batch_is_interpolated_once(moves: AugmentSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    plain = functional.grid_sample

    def counting(*arguments: Any, **options: Any) -> Tensor:
        calls.append(arguments[0].shape)
        return plain(*arguments, **options)

    monkeypatch.setattr(functional, "grid_sample", counting)
    pixels = torch.from_numpy(np.stack([smooth(16, 16, 3)] * 8))
    augment.apply(pixels, torch.from_numpy(draw(8, moves, np.random.default_rng(0))), GREY_LEVELS)
    assert calls == [(8, 3, 16, 16)]


def test_the_batch_itself_is_not_changed(moves: AugmentSettings) -> None:
    pixels = torch.from_numpy(np.stack([smooth(16, 16)] * 4))
    table = torch.from_numpy(draw(4, moves, np.random.default_rng(0)))
    before = pixels.clone(), table.clone()
    augment.apply(pixels, table, GREY_LEVELS)
    augment.to_network_range(pixels, GREY_LEVELS)
    assert torch.equal(pixels, before[0])
    assert torch.equal(table, before[1])


@pytest.mark.parametrize("contract", [Preprocessing(), Preprocessing(low=-1.0, high=1.0), GREY_LEVELS])
def test_training_validation_and_deployment_see_one_range(contract: Preprocessing) -> None:
    pixels = np.arange(256, dtype=np.uint8).reshape(1, 16, 16)
    wanted = numpy_network_range(pixels, contract)
    found = augment.to_network_range(torch.from_numpy(pixels), contract)
    assert found.dtype == torch.float32
    np.testing.assert_allclose(found, wanted, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(warped(pixels, contract), wanted, atol=1e-5 * (contract.high - contract.low))


def test_an_example_shows_what_training_makes_of_an_image(moves: AugmentSettings) -> None:
    pixels = smooth(20, 28)
    contract = Preprocessing(height=20, width=28, low=-1.0, high=1.0)
    shown, parameters = example(pixels, moves, contract, 5, seed=3)
    assert shown.dtype == np.uint8
    assert shown.shape == (5, 1, 20, 28)
    for image, changes in zip(shown, parameters, strict=True):
        assert list(changes) == list(COLUMNS)
        np.testing.assert_allclose(image, warped(pixels, GREY_LEVELS, changes), atol=0.51)
    json.dumps(parameters)
    again, _ = example(pixels, moves, contract, 5, seed=3)
    other, _ = example(pixels, moves, contract, 5, seed=4)
    np.testing.assert_array_equal(shown, again)
    assert (shown != other).any()
    unchanged, _ = example(pixels, moves.model_copy(update={"enabled": False}), contract, 2, seed=3)
    np.testing.assert_array_equal(unchanged, np.stack([pixels, pixels]))
