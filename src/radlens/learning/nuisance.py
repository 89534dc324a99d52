"""Units in which to measure how far images are apart: by how far changes that mean nothing move them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from sklearn.covariance import LedoitWolf

Floats = npt.NDArray[np.float64]

# What exposure, noise and sharpness weigh next to framing: the more, the less is refused for them, of adults too.
_EXPOSURE = 0.005
# How much of the images' own variance counts as made by changes, so that no direction counts without bound.
_OWN = 0.001


def whitening_of(framed: Floats, exposed: Floats, images: Floats, directions: int) -> Floats:
    """A matrix after which changes that mean nothing move an image equally far in every direction that is kept.

    The changes' second moments are a within-class covariance where each image with its copies is a class of its own
    (within-class covariance normalisation, Hatch et al. 2006, doi:10.21437/Interspeech.2006-183): in a direction in
    which such changes move images far, two images may lie far apart and yet show the same. Kept are the directions in
    which images differ most, so measured (linear discriminant analysis of these classes). All moments are shrunk after
    Ledoit and Wolf 2004, doi:10.1016/S0047-259X(03)00096-4.

    Args:
        framed: features of copies with another framing less those of the images, shape (copies, features).
        exposed: the same for copies with another exposure, noise or sharpness.
        images: features of the images less their mean, shape (images, features).
        directions: how many to keep, at most as many as there are features.

    Returns:
        Shape (features, directions), for features in rows: ``features @ whitening``; the first direction is that in
        which images differ most.
    """
    own = _moments(images)
    covariance = (1 - _EXPOSURE) * _moments(framed) + _EXPOSURE * _moments(exposed) + _OWN * own
    # A direction in which nothing differs has no spread to divide by; a hair of the mean variance stands for it.
    covariance += 1e-9 * max(float(np.trace(covariance)), 1e-9) * np.eye(len(covariance))
    root = np.linalg.cholesky(np.linalg.inv(covariance))
    _, turned = np.linalg.eigh(root.T @ own @ root)
    return np.asarray(root @ turned[:, ::-1][:, :directions])


def _moments(rows: Floats) -> Floats:
    return np.asarray(LedoitWolf(assume_centered=True, store_precision=False).fit(rows).covariance_)
