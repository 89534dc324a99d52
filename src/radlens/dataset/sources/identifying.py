"""Where a table or a file name tells who a patient is, found by comparison with the DICOM header."""

from __future__ import annotations

import re
from collections.abc import Iterator

from radlens.imaging.dicom.header import DicomHeader

_WORD = re.compile(r"[^\W_]+")
_SHORTEST_TELLING = 3
_IDENTIFYING_NAME = re.compile(
    r"(?:patient|subject|person|first|last|family|given|full|sur|physician|doctor|operator)s?[ _-]?name"
    r"|birth|(?:^|[ _-])dob(?:$|[ _-])|address|phone|e-?mail|(?:^|[ _-])(?:ssn|mrn)(?:$|[ _-])|accession",
    re.IGNORECASE,
)


def is_identifying_name(column: str) -> bool:
    """Whether a column is called as if it held names, birth dates, addresses or numbers of patients.

    >>> [is_identifying_name(name) for name in ("PatientName", "DateOfBirth", "dob", "file_name", "age")]
    [True, True, True, False, False]
    """
    return _IDENTIFYING_NAME.search(column) is not None


def tells_of_patient(text: str, header: DicomHeader) -> bool:
    """Whether a text holds the patient's identifier, birth date or whole name, in any spelling and order.

    >>> header = DicomHeader(patient_name="DOE^JANE", birth_date="19470312")
    >>> [tells_of_patient(text, header) for text in ("doe_jane/1.dcm", "born 12.3.1947", "Jane", "chest/1.dcm")]
    [True, True, False, False]
    """
    words = _words(text)
    return any(identity <= words for identity in _identities(header))


def tells_in_cell(text: str, header: DicomHeader) -> bool:
    """Whether a table's cell tells of the patient, or is a part of the name or an identifier of the examination."""
    words = _words(text)
    part_of_name = any(len(word) >= _SHORTEST_TELLING for word in words) and words <= _words(header.patient_name)
    uids = (header.study, header.series, header.sop_instance)
    return part_of_name or (text.strip() != "" and text.strip() in uids) or tells_of_patient(text, header)


def _identities(header: DicomHeader) -> Iterator[frozenset[str]]:
    """The sets of words each of which tells the patient."""
    for identifier in (header.patient_id, header.accession, *header.other_patient_ids.split("\\")):
        identity = _words(identifier)
        if sum(map(len, identity)) >= _SHORTEST_TELLING:
            yield identity
    # What follows an equals sign is the same name in another script.
    for written in header.patient_name.split("="):
        name = _words(written)
        if len(name) > 1:
            yield name
    if re.fullmatch(r"\d{8}", header.birth_date, re.ASCII):
        year, month, day = header.birth_date[:4], header.birth_date[4:6], header.birth_date[6:]
        yield frozenset({header.birth_date})
        yield frozenset({year, month, day})
        yield frozenset({year, str(int(month)), str(int(day))})


def _words(text: str) -> frozenset[str]:
    return frozenset(_WORD.findall(text.casefold()))
