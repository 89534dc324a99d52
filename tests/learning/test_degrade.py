"""Blur against SciPy, fewer pixels against means, compression against Pillow; frames and middles pixel by pixel."""

from __future__ import annotations

import io

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from scipy.ndimage import gaussian_filter
from torch import Tensor

from radlens.learning.degrade import add_noise, blur, compress, paint_frame, paint_middle, reduce_resolution


def some(*shape: int) -> Tensor:
    return torch.from_numpy(np.random.default_rng(0).random(shape, dtype=np.float32))


def test_each_image_is_blurred_by_its_own_gaussian() -> None:
    images, sigmas = some(4, 3, 30, 41), [0.0, 0.6, 1.3, 3.0]
    found = blur(images.clone(), torch.tensor(sigmas))
    torch.testing.assert_close(found[0], images[0])
    for image, sigma, result in zip(images[1:], sigmas[1:], found[1:], strict=True):
        wanted = gaussian_filter(image.numpy(), (0, sigma, sigma), mode="nearest", radius=(0, 9, 9))
        np.testing.assert_allclose(result, wanted, atol=1e-5)


def test_blur_of_nothing_and_of_tiny_images() -> None:
    images = some(2, 1, 5, 3)
    assert blur(images, torch.zeros(2)) is images
    found = blur(images, torch.tensor([4.0, 0.0]))
    assert found.shape == images.shape
    assert found[0].std() < images[0].std()


def test_half_the_resolution_is_the_mean_of_four_pixels_interpolated() -> None:
    images = some(2, 1, 16, 20)
    before = images.clone()
    found = reduce_resolution(images, torch.tensor([0.5, 1.0]))
    torch.testing.assert_close(found[1], before[1])
    means = before[0].reshape(1, 8, 2, 10, 2).mean(dim=(2, 4))[None]
    wanted = torch.nn.functional.interpolate(means, (16, 20), mode="bilinear")[0]
    torch.testing.assert_close(found[0], wanted)


@pytest.mark.parametrize("channels", [1, 3])
def test_compression_is_what_a_jpeg_file_holds(channels: int) -> None:
    images = some(2, channels, 24, 16)
    before = images.clone()
    found = compress(images, torch.tensor([20.0, 100.0]))
    torch.testing.assert_close(found[1], before[1])
    pixels: npt.NDArray[np.uint8] = (before[0].numpy() * 255).round().astype(np.uint8).transpose(1, 2, 0)
    buffer = io.BytesIO()
    Image.fromarray(pixels[..., 0] if channels == 1 else pixels).save(buffer, "JPEG", quality=20)
    wanted = np.asarray(Image.open(buffer)).reshape(24, 16, channels).transpose(2, 0, 1)
    np.testing.assert_allclose(found[0] * 255, wanted, atol=1e-3)
    assert (found[0] - before[0]).abs().mean() > 0.05, "noise does not survive a quality of 20"


def test_noise_has_its_standard_deviation_and_follows_from_its_seed_alone() -> None:
    images = torch.full((3, 1, 200, 200), 0.5)
    found = add_noise(images.clone(), torch.tensor([0.05, 0.0, 0.05]), torch.tensor([7.0, 7.0, 8.0]))
    assert (found[0] - 0.5).std() == pytest.approx(0.05, rel=0.02)
    assert (found[0] - 0.5).mean() == pytest.approx(0, abs=1e-3)
    assert (found[1] == 0.5).all()
    alone = add_noise(images[:1].clone(), torch.tensor([0.05]), torch.tensor([7.0]))
    torch.testing.assert_close(found[0], alone[0])
    assert np.corrcoef(found[0].flatten(), found[2].flatten())[0, 1] == pytest.approx(0, abs=0.03)
    neighbours = np.corrcoef(found[0, 0, :, 1:].flatten(), found[0, 0, :, :-1].flatten())[0, 1]
    assert neighbours == pytest.approx(0, abs=0.03)


def test_noise_stays_within_the_range() -> None:
    found = add_noise(
        torch.tensor([0.0, 1.0]).view(2, 1, 1, 1).repeat(1, 1, 50, 50), torch.full((2,), 0.3), torch.ones(2)
    )
    assert found.min() == 0
    assert found.max() == 1


@given(st.floats(0, 0.5), st.integers(1, 30), st.integers(1, 30))
def test_a_frame_and_the_middle_make_the_whole_image(width: float, height: int, columns: int) -> None:
    images, widths = torch.ones(2, 1, height, columns), torch.tensor([0.0, width])
    framed = paint_frame(images, widths, torch.zeros(2))
    rest = paint_middle(images, widths, torch.zeros(2))
    assert (framed[0] == 1).all()
    assert (rest[0] == 1).all()
    assert (framed[1] + rest[1] == (1 if widths[1] > 0 else 2)).all()
    distance = np.minimum.outer(
        *(np.minimum(np.arange(side) + 0.5, side - np.arange(side) - 0.5) / side for side in (height, columns))
    )
    # What lies on the line itself goes either way.
    clear = np.abs(distance - width) > 1e-6
    np.testing.assert_array_equal(framed[1, 0].numpy()[clear], (distance >= width)[clear])
