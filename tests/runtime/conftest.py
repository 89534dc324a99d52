"""Models that take a moment to make, and pictures to answer for."""

from __future__ import annotations

from model_fixtures import make_model, many_pictures, one_thread, pictures, radlens, some_pixels, tiny, tiny_folder

__all__ = ["make_model", "many_pictures", "one_thread", "pictures", "radlens", "some_pixels", "tiny", "tiny_folder"]
