"""What a model tells of the images that it was made with, and what an image is known by."""

from __future__ import annotations

from dataclasses import dataclass

# 96 bits: a chance of 1 in 10^10 that any two of a billion images share a beginning.
CONTENT_DIGITS = 24
# 256 bits; see radlens.dataset.audit.picture_hash.
PICTURE_DIGITS = 64


@dataclass(frozen=True)
class KnownImages:
    """Images that a model was trained or chosen on.

    Attributes:
        contents: beginnings of the SHA-256 hashes of their contents, in hexadecimal digits; none where the model does
            not say.
        pictures: hashes of what they show, in hexadecimal digits; none where the model does not say, and fewer where
            some show nothing.

    Raises:
        ValueError: a picture's hash is not of 256 bits.
    """

    contents: frozenset[str] = frozenset()
    pictures: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        malformed = next((text for text in self.pictures if len(text) != PICTURE_DIGITS), None)
        if malformed is not None:
            raise ValueError(f"a picture's hash has {PICTURE_DIGITS} hexadecimal digits, got {malformed[:80]!r}")

    def unknown(self) -> str:
        """What an evaluation cannot notice, as a sentence; empty where the model tells all."""
        if not self.contents:
            return (
                "The model does not tell which images it was made with: if some of these were among them, the figures "
                "are too good."
            )
        if not self.pictures:
            return (
                "Of the images that it was made with, the model tells the exact bytes alone: copies of them that were "
                "resized or saved again would not be noticed here."
            )
        return ""


NO_IMAGES_KNOWN = KnownImages()
