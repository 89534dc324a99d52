"""Which way round a grey picture is to be shown, so that bone comes out white."""

from __future__ import annotations

from radlens.imaging.dicom.file import DicomFile
from radlens.imaging.dicom.pixel_form import PixelForm

# The beginning of the remark on an image of raw values, by which others find it.
RAW_VALUES = "raw detector values"

# Digital X-ray, mammography and intra-oral images for processing (DICOM PS3.4 B.5); other classes have one for both.
_FOR_PROCESSING = frozenset(f"1.2.840.10008.5.1.4.1.1.1.{kind}" for kind in ("1.1", "2.1", "3.1"))
# A sign that was written as an unsigned number.
_SIGNS = {1: 1, -1: -1, 65535: -1}


def is_turned_over(file: DicomFile, form: PixelForm, *, rising: bool) -> bool:
    """Whether the grey levels are to be turned over.

    What is meant for presentation says so itself: MONOCHROME1, or an INVERSE presentation LUT shape. Raw values of the
    detector (Presentation Intent Type FOR PROCESSING) are for no display, and their photometric interpretation says
    nothing of bone; the sign of Pixel Intensity Relationship does: with 1, lower values mean less X-ray intensity,
    which is bone, with -1 higher ones (PS3.3 C.8.11.3.1.2).

    Args:
        file: is told a remark on raw values, and on a shape that is not known.
        form: how the values are stored.
        rising: whether higher stored values would be shown brighter, if nothing is turned over.
    """
    if _is_for_processing(file):
        sign = _SIGNS.get(file.whole_or_none("PixelIntensityRelationshipSign") or 0)
        if sign is not None:
            file.remark(
                f"{RAW_VALUES}: FOR PROCESSING, shown with bone white by the sign of their relation to intensity"
            )
            return rising == (sign == 1)
        file.remark(f"{RAW_VALUES}: FOR PROCESSING, and nothing tells whether bone is white")
    shape = file.text("PresentationLUTShape")
    # LIN OD is for printing films.
    if shape not in ("", "IDENTITY", "INVERSE", "LIN OD"):
        file.remark("unknown Presentation LUT Shape: neither IDENTITY nor INVERSE, passed over")
    return form.interpretation == "MONOCHROME1" or shape == "INVERSE"


def _is_for_processing(file: DicomFile) -> bool:
    intent = "".join(letter for letter in file.text("PresentationIntentType") if letter.isalpha())
    return intent == "FORPROCESSING" or file.text("SOPClassUID") in _FOR_PROCESSING
