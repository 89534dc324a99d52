"""How DICOM files are encoded: transfer syntaxes, value representations, and what tells that bytes are DICOM."""

from __future__ import annotations

import re
import struct

PREAMBLE, MAGIC = 128, b"DICM"
IMPLICIT, EXPLICIT = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1"
DEFLATED, BIG_ENDIAN = "1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.2"

KINDS = frozenset(
    b"AE AS AT CS DA DS DT FD FL IS LO LT OB OD OF OL OV OW PN SH SL SQ SS ST SV TM UC UI UL UN UR US UT UV".split()
)
# These value representations have a length of 32 bits, the others of 16 (DICOM PS3.5 7.1.2).
LONG_KINDS = frozenset(b"OB OD OF OL OV OW SQ SV UC UN UR UT UV".split())


def has_prefix(content: bytes) -> bool:
    """Whether bytes begin with the preamble and the DICOM prefix."""
    return content[PREAMBLE : PREAMBLE + len(MAGIC)] == MAGIC


def looks_like_dicom(content: bytes) -> bool:
    """Whether bytes are DICOM: by the prefix, else by first elements that nothing but a DICOM data set begins with.

    >>> looks_like_dicom(bytes(128) + b"DICM"), looks_like_dicom(b"GIF89a" + bytes(200))
    (True, False)
    """
    return has_prefix(content) or any(
        _begins_with_elements(content, *form) for form in (("<", True), ("<", False), (">", True))
    )


def _begins_with_elements(content: bytes, order: str, explicit: bool) -> bool:
    """Whether three elements stand at the beginning, their tags ascending from group 2 or 8."""
    place, last = 0, 0
    for _ in range(3):
        head = content[place : place + 12]
        if len(head) < 12:
            return False
        group, element, length = struct.unpack(f"{order}HHL", head[:8])
        if group > 0x7FE0 or (not last and group not in (2, 8)) or (last and (group << 16 | element) <= last):
            return False
        place += 8
        if explicit:
            kind = head[4:6]
            if kind not in KINDS:
                return False
            if kind in LONG_KINDS:
                (length,) = struct.unpack(f"{order}L", head[8:])
                place += 4
            else:
                (length,) = struct.unpack(f"{order}H", head[6:8])
        place += length
        last = group << 16 | element
        if length % 2 or place > len(content):
            return False
    return True


def guessed_syntax(begin: bytes) -> str:
    """The transfer syntax of a data set that does not name it, by its first tag and value representation."""
    if begin[4:6] not in KINDS:
        return IMPLICIT
    # A group above 03FF this early is one below 0100 in the other byte order.
    return BIG_ENDIAN if int.from_bytes(begin[:2], "little") >= 0x0400 else EXPLICIT


def uid_name(uid: str, otherwise: str) -> str:
    """The name of an identifier of the standard, or else itself.

    Args:
        uid: the identifier.
        otherwise: what is given back for what is not an identifier: it could be anything that stands in the file, and
            is not repeated.
    """
    from pydicom.uid import RE_VALID_UID, UID

    # UID itself warns of what is not valid, with its text.
    return str(UID(uid).name) if len(uid) <= 64 and re.fullmatch(RE_VALID_UID, uid) else otherwise
