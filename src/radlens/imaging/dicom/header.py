"""What a DICOM header says of an image: whose it is, and how it was taken."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from radlens.imaging.dicom.elements import Elements, Place, read_elements
from radlens.imaging.limits import DecodeError
from radlens.imaging.regular_file import open_regular

MEDIA_DIRECTORY = "1.2.840.10008.1.3.10"
OLDEST_TOLD = 90.0

_TEXTS = {
    0x00080005: "charset",
    0x00080016: "sop_class",
    0x00080018: "sop_instance",
    0x00080020: "study_date",
    0x00080022: "acquisition_date",
    0x00080023: "content_date",
    0x00080050: "accession",
    0x00080060: "modality",
    0x00080070: "manufacturer",
    0x00080080: "institution",
    0x00100010: "patient_name",
    0x00100020: "patient_id",
    0x00100030: "birth_date",
    0x00100040: "sex",
    0x00101000: "other_patient_ids",
    0x00101010: "age",
    0x00120062: "identity_removed",
    0x00180015: "body_part",
    0x00185101: "view",
    0x0020000D: "study",
    0x0020000E: "series",
    0x00200060: "laterality",
    0x00200062: "image_laterality",
    0x00280301: "burned_in",
}
_ROWS, _COLUMNS = (0x00280010,), (0x00280011,)
_VIEW_CODE = (0x00540220, 0x00080100)
_WANTED: frozenset[Place] = frozenset({*((tag,) for tag in _TEXTS), _ROWS, _COLUMNS, _VIEW_CODE})

# SNOMED CT, and the SNOMED RT codes that came before (DICOM PS3.16, CID 4010 and CID 4014).
_VIEWS = {
    "399348003": "AP",
    "R-10206": "AP",
    "272479007": "PA",
    "R-10214": "PA",
    "R-40888": "PA",
    "399067008": "LATERAL",
    "R-102CD": "LATERAL",
    "399173006": "LL",
    "R-10236": "LL",
    "399198007": "RL",
    "R-10232": "RL",
    "399162004": "CC",
    "R-10242": "CC",
    "399368009": "MLO",
    "R-10226": "MLO",
    "399260004": "ML",
    "R-10224": "ML",
    "399352003": "LM",
    "R-10228": "LM",
}
# Waveforms, presentation states, raw data and registrations, value mappings, reports, documents, radiotherapy plans.
_NO_PICTURES = tuple(f"1.2.840.10008.5.1.4.1.1.{kind}" for kind in ("9.", "11.", "66", "67", "88.", "104.", "481."))
_CODE_STRING = re.compile(r"[A-Z0-9][A-Z0-9 _/-]{0,15}")
_AGE = re.compile(r"(\d{1,3})([DWMY])", re.ASCII)
_YEARS_IN = {"D": 1 / 365.25, "W": 7 / 365.25, "M": 1 / 12, "Y": 1.0}
_DATE = re.compile(r"(\d{4})\.?(\d\d)\.?(\d\d)", re.ASCII)


@dataclass(frozen=True, slots=True)
class DicomHeader:
    """What the header says; a text is empty, and a number None, where it says nothing usable.

    The first fields identify a person, an examination or a hospital: they are for comparing and hashing in memory, are
    left out of ``repr``, and belong in no file and no message.

    Attributes:
        patient_id: Patient ID.
        other_patient_ids: Other Patient IDs, separated by a backslash.
        patient_name: Patient's Name, its components separated by ``^``.
        birth_date: Patient's Birth Date, ``YYYYMMDD``.
        accession: Accession Number.
        study: Study Instance UID.
        series: Series Instance UID.
        sop_instance: SOP Instance UID.
        institution: Institution Name.
        sop_class: SOP Class UID.
        modality: such as DX or CR.
        age: years at the examination, at most 90; from the birth date where the age is missing.
        sex: F, M or O.
        view: View Position (PA, AP, LL, RL, …), else told by the View Code Sequence.
        laterality: L, R, U or B.
        body_part: Body Part Examined.
        manufacturer: of the equipment.
        identity_removed: whether the header says that it was de-identified.
        burned_in: whether the header says that the picture shows text on the patient.
        has_pixels: whether the header describes a picture.
    """

    patient_id: str = field(default="", repr=False)
    other_patient_ids: str = field(default="", repr=False)
    patient_name: str = field(default="", repr=False)
    birth_date: str = field(default="", repr=False)
    accession: str = field(default="", repr=False)
    study: str = field(default="", repr=False)
    series: str = field(default="", repr=False)
    sop_instance: str = field(default="", repr=False)
    institution: str = field(default="", repr=False)
    sop_class: str = ""
    modality: str = ""
    age: float | None = None
    sex: str = ""
    view: str = ""
    laterality: str = ""
    body_part: str = ""
    manufacturer: str = ""
    identity_removed: bool = False
    burned_in: bool = False
    has_pixels: bool = False

    @property
    def is_no_picture(self) -> bool:
        """Whether the object is of a kind that has none, such as a report; a damaged picture is a picture."""
        return not self.has_pixels and self.sop_class.startswith(_NO_PICTURES)


def read_header(file: str | Path) -> DicomHeader | None:
    """Read the header of a DICOM file; None for a file of another kind.

    Time and memory are bounded, see :mod:`radlens.imaging.dicom.elements`. Of a damaged header, what comes before the
    damage counts.

    Raises:
        DecodeError: the file cannot be opened or read.
    """
    try:
        with open_regular(str(file)) as opened:
            elements = read_elements(opened, _WANTED)
    except OSError as error:
        raise DecodeError(f"{file}: the file cannot be read ({error.strerror or type(error).__name__})") from error
    return None if elements is None else _header(elements)


def age_in_years(age: str, birth_date: str = "", study_date: str = "") -> float | None:
    """Years at the examination from an Age String, else from two dates; None where neither tells.

    From two years on the age is in whole years. Ages over 89 become 90, since few people are as old and the age would
    help to find them (45 CFR 164.514 (b)(2)(i)(C)).

    >>> age_in_years("018M"), age_in_years("094Y"), age_in_years("", "19470312", "20200311"), age_in_years("old")
    (1.5, 90.0, 72.0, None)
    """
    years = _from_age_string(age)
    if years is None:
        years = _from_dates(birth_date, study_date)
    # Ages beyond any known come from placeholders such as a birth in 1900.
    if years is None or not 0 <= years < 115:
        return None
    years = round(years, 2) if years < 2 else float(int(years))
    return min(years, OLDEST_TOLD)


def _from_age_string(text: str) -> float | None:
    age = _AGE.fullmatch(text.upper())
    return int(age[1]) * _YEARS_IN[age[2]] if age else None


def _from_dates(birth: str, study: str) -> float | None:
    born, seen = _date(birth), _date(study)
    if born is None or seen is None or seen < born:
        return None
    months = 12 * (seen.year - born.year) + seen.month - born.month - (seen.day < born.day)
    return months / 12


def _date(text: str) -> date | None:
    parts = _DATE.fullmatch(text)
    try:
        return date(*map(int, parts.groups())) if parts else None
    except ValueError:
        return None


def _header(elements: Elements) -> DicomHeader:
    text = {name: elements.text((tag,)) for tag, name in _TEXTS.items()}
    seen = text["study_date"] or text["acquisition_date"] or text["content_date"]
    sex, side = text["sex"].upper(), (text["image_laterality"] or text["laterality"]).upper()
    return DicomHeader(
        patient_id=text["patient_id"],
        other_patient_ids=text["other_patient_ids"],
        patient_name=text["patient_name"],
        birth_date=text["birth_date"].replace(".", ""),
        accession=text["accession"],
        study=text["study"],
        series=text["series"],
        sop_instance=text["sop_instance"],
        institution=text["institution"],
        sop_class=text["sop_class"],
        modality=_code(text["modality"]),
        age=age_in_years(text["age"], text["birth_date"], seen),
        sex=sex if sex in ("F", "M", "O") else "",
        view=_code(text["view"]) or _VIEWS.get(elements.text(_VIEW_CODE), ""),
        laterality=side if side in ("L", "R", "U", "B") else "",
        body_part=_code(text["body_part"]),
        manufacturer=" ".join(text["manufacturer"].split())[:64],
        identity_removed=text["identity_removed"].upper() == "YES",
        burned_in=text["burned_in"].upper() == "YES",
        has_pixels=bool(elements.number(_ROWS) and elements.number(_COLUMNS)),
    )


def _code(text: str) -> str:
    """A code string; empty for what is not one, since a misplaced name would be one thing that it could be."""
    return text.upper() if _CODE_STRING.fullmatch(text.upper()) else ""
