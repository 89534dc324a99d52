"""Random changes of training images: drawn once an epoch, applied as one affine and one intensity map per image."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from radlens.config import AugmentSettings
from radlens.imaging.preprocess import Preprocessing
from radlens.learning.degrade import add_noise, blur, compress, paint_frame, paint_middle, reduce_resolution

# The columns of a parameter table, with the value of each that changes nothing; drawing and applying agree on no more.
COLUMNS = (
    *("angle", "zoom", "shift_x", "shift_y", "flip_x", "flip_y"),
    *("brightness", "contrast", "gamma", "blur", "resolution", "jpeg", "noise", "noise_seed"),
    *("frame", "frame_grey", "border_left", "middle_grey", "stretch", "margin"),
)
UNCHANGED = (0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 1.0, 0.0, 1.0, 100.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0)
HIDDEN = COLUMNS.index("border_left")
# Integers up to here are exact in 32-bit floating point.
_SEEDS = 2**24


def draw(images: int, settings: AugmentSettings, rng: np.random.Generator) -> npt.NDArray[np.float32]:
    """Draw one row of parameters for each image.

    Returns:
        float32, shape (images, 20), columns as in ``COLUMNS``: angle in degrees (counter-clockwise), zoom as
        magnification, shifts as a share of width and height (right and down positive), flips 0 or 1, brightness
        added as a share of the whole range, contrast as a factor about mid-grey, gamma as the exponent of the grey
        values, blur as a standard deviation in pixels, resolution as the share of the size that is kept, jpeg as
        the quality (100: not compressed), noise as a standard deviation and the seed that the noise follows from;
        width of a frame over the border as a share of height and width, and its grey from 0 black to 1 white; width of
        the border that is left of a hidden image (0: nothing is hidden), and the grey of the rest; stretch as the ratio
        of the vertical to the horizontal magnification; margin 1 where what lies outside the image is black.
    """
    table = np.tile(np.array(UNCHANGED, dtype=np.float32), (images, 1))
    if not settings.enabled:
        return table
    table[:, 0] = rng.uniform(-settings.rotation, settings.rotation, images)
    side = np.sqrt(rng.uniform(*settings.crop, images))
    zoom = _log_uniform(settings.zoom, images, rng)
    shift = rng.uniform(-settings.shift, settings.shift, (images, 2))
    place = rng.uniform(-1, 1, (images, 2))
    table[:, 4] = rng.random(images) < settings.flip_horizontal
    table[:, 5] = rng.random(images) < settings.flip_vertical
    table[:, 6] = rng.uniform(-settings.brightness, settings.brightness, images)
    table[:, 7] = 1.0 + rng.uniform(-settings.contrast, settings.contrast, images)
    table[:, 8] = _log_uniform(settings.gamma, images, rng)
    degraded = np.column_stack(
        [
            rng.uniform(0, settings.blur, images),
            rng.uniform(settings.resolution, 1, images),
            rng.integers(settings.jpeg, 101, images),
            rng.uniform(0, settings.noise, images),
        ]
    )
    table[:, 9:13] = np.where(rng.random((images, 4)) < settings.degrade, degraded, table[:, 9:13])
    table[:, 13] = np.where(table[:, 12] > 0, rng.integers(0, _SEEDS, images), 0)
    table[:, 14:18] = _draw_coverings(images, settings, rng)
    _draw_window(table, side, zoom, shift, place, settings, rng)
    return table


def _draw_window(
    table: npt.NDArray[np.float32],
    side: npt.NDArray[np.float64],
    zoom: npt.NDArray[np.float64],
    shift: npt.NDArray[np.float64],
    place: npt.NDArray[np.float64],
    settings: AugmentSettings,
    rng: np.random.Generator,
) -> None:
    """Fill in zoom, shift, stretch and margin: a crop at a random place, each side of which is then cut by itself."""
    images = len(table)
    stretch = np.exp(rng.uniform(-settings.stretch, settings.stretch, images))
    cut = rng.uniform(*settings.sides, (2, 2, images))
    # Width and height of the part that is kept, as shares; it lies anywhere in the image, and in the enlarged image it
    # was moved by as much more.
    window = np.stack([side * np.sqrt(stretch), side / np.sqrt(stretch)])
    middle = np.maximum(0.0, 1.0 - window) / 2 * place.T + (cut[1] - cut[0]) / 2 * window
    window *= 1.0 - cut.sum(axis=0)
    table[:, 1] = zoom / np.sqrt(window.prod(axis=0))
    table[:, 2:4] = shift + (middle / window).T
    table[:, 18] = window[0] / window[1]
    table[:, 19] = rng.random(images) < settings.margin


def _draw_coverings(images: int, settings: AugmentSettings, rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """The last four columns. A frame is black as often as of another grey; the middle is of any grey."""
    framed = (rng.random(images) < settings.degrade) & (settings.frame > 0)
    hidden = rng.random(images) < settings.hide
    greys = rng.uniform(-1, 1, images).clip(0)
    widths, borders = rng.uniform(0, settings.frame, images), rng.uniform(*settings.hide_border, images)
    columns = [widths, greys, borders, rng.random(images)]
    return np.column_stack(columns) * np.column_stack([framed, framed, hidden, hidden])


def _log_uniform(bounds: tuple[float, float], count: int, rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """Uniform in the logarithm: enlarging by a factor is as likely as shrinking by it."""
    return np.exp(rng.uniform(np.log(bounds[0]), np.log(bounds[1]), count))


def draw_epoch(images: int, settings: AugmentSettings, seed: int, epoch: int) -> npt.NDArray[np.float32]:
    """The parameters of a whole epoch, a pure function of seed and epoch: a resumed run draws the same."""
    return draw(images, settings, np.random.default_rng((seed, epoch, 1)))


def apply(pixels: Tensor, parameters: Tensor, contract: Preprocessing, share: float = 1.0) -> Tensor:
    """Warp a batch and bring it to the network's range, in one interpolation.

    Args:
        pixels: uint8, shape (batch, channels, height, width).
        parameters: float32, shape (batch, 20), columns as in ``COLUMNS``, on the same device.
        contract: gives the network's range.
        share: size of the result as a share of the pixels' size.

    Returns:
        float32, shape (batch, channels, height, width) times ``share``, within ``contract.low`` and
        ``contract.high``. What lies outside the image repeats its border, or is black where there is a margin.
    """
    height, width = pixels.shape[-2:]
    wanted = (round(height * share), round(width * share))
    grid = _sampling_grid(_inverse_affine(parameters, height, width), *wanted)
    warped = functional.grid_sample(pixels.float(), grid, mode="bilinear", padding_mode="border", align_corners=False)
    brightness, contrast, gamma, sigma, resolution, quality, noise, seed = parameters[:, 6:14].unbind(dim=1)
    frame, frame_grey, border, middle_grey, _, margin = parameters[:, 14:].unbind(dim=1)
    if bool((margin > 0).any()):
        outside = (grid.abs() > 1).any(dim=-1) & (margin > 0)[:, None, None]
        warped = warped.masked_fill_(outside[:, None], 0.0)
    column = (-1, 1, 1, 1)
    gain, offset = contrast / 255.0, 0.5 - 0.5 * contrast + brightness
    images = torch.addcmul(offset.view(column), warped, gain.view(column)).clamp_(0, 1)
    if bool((gamma != 1).any()):
        images = images.pow_(gamma.view(column))
    if bool((sigma > 0).any()):
        images = blur(images, sigma * share)
    if bool((resolution < 1).any()):
        images = reduce_resolution(images, resolution)
    if bool((quality < 100).any()):
        images = compress(images, quality)
    if bool((noise > 0).any()):
        images = add_noise(images, noise, seed)
    if bool((frame > 0).any()):
        images = paint_frame(images, frame, frame_grey)
    if bool((border > 0).any()):
        images = paint_middle(images, border, middle_grey)
    return images.mul_(contract.high - contract.low).add_(contract.low)


def to_network_range(pixels: Tensor, contract: Preprocessing) -> Tensor:
    """What validation and test images get: the network's range and nothing else."""
    scale = (contract.high - contract.low) / 255.0
    return pixels.float().mul_(scale).add_(contract.low)


def _inverse_affine(parameters: Tensor, height: int, width: int) -> Tensor:
    """From output to input coordinates in [-1, 1], shape (batch, 2, 3): undo shift, stretch, flip, zoom, rotation."""
    radians = torch.deg2rad(parameters[:, 0])
    scale, stretch = 1.0 / parameters[:, 1], parameters[:, 18].sqrt()
    cos, sin = torch.cos(radians) * scale, torch.sin(radians) * scale
    flip_x, flip_y = 1.0 - 2.0 * parameters[:, 4], 1.0 - 2.0 * parameters[:, 5]
    # Rotation is rigid in pixels, and coordinates are relative to width and height: hence the aspect ratio.
    aspect = height / width
    # The stretch goes along rows and columns of the result, whatever the rotation of the anatomy in it.
    a, b = cos * flip_x * stretch, -sin * aspect * flip_x / stretch
    c, d = sin / aspect * flip_y * stretch, cos * flip_y / stretch
    shift_x, shift_y = 2.0 * parameters[:, 2], 2.0 * parameters[:, 3]
    e, f = -(a * shift_x + b * shift_y), -(c * shift_x + d * shift_y)
    return torch.stack([torch.stack([a, b, e], dim=1), torch.stack([c, d, f], dim=1)], dim=1)


def _sampling_grid(affine: Tensor, height: int, width: int) -> Tensor:
    """As ``affine_grid`` gives it, shape (batch, height, width, 2); sums of two vectors take a tenth of its time."""
    x = (torch.arange(width, device=affine.device) * 2 + 1) / width - 1
    y = (torch.arange(height, device=affine.device) * 2 + 1) / height - 1
    along_x = affine[:, :, 0, None] * x
    along_y = affine[:, :, 1, None] * y + affine[:, :, 2, None]
    return (along_y[:, :, :, None] + along_x[:, :, None, :]).permute(0, 2, 3, 1)


def example(
    pixels: npt.NDArray[np.uint8], settings: AugmentSettings, contract: Preprocessing, count: int, seed: int
) -> tuple[npt.NDArray[np.uint8], list[dict[str, float]]]:
    """Show what training makes of one image.

    Args:
        pixels: uint8, shape (channels, height, width).
        settings: the augmentation.
        contract: the preprocessing that the pixels went through.
        count: how many variants to draw.
        seed: what they follow from.

    Returns:
        The variants, uint8, shape (count, channels, height, width), and the parameters of each by name.
    """
    table = draw(count, settings, np.random.default_rng((seed, 3)))
    batch = torch.from_numpy(pixels.copy()).expand(count, *pixels.shape)
    warped = apply(batch, torch.from_numpy(table), contract)
    shown = (warped - contract.low) * (255.0 / (contract.high - contract.low))
    parameters = [dict(zip(COLUMNS, map(float, row), strict=True)) for row in table]
    return shown.round().to(torch.uint8).numpy(), parameters
