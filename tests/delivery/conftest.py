"""Models that take a moment to make."""

from __future__ import annotations

from evidence_fixtures import predictions_of
from model_fixtures import make_model, many_pictures, one_thread, pictures, radlens, some_pixels, tiny, tiny_folder

__all__ = [
    "make_model",
    "many_pictures",
    "one_thread",
    "pictures",
    "predictions_of",
    "radlens",
    "some_pixels",
    "tiny",
    "tiny_folder",
]
