"""Pseudonyms in place of what names a person: a keyed hash that only the holder of the salt can make again."""

from __future__ import annotations

import hmac
import os
import secrets
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import platformdirs

from radlens.base.errors import RadlensError, UsageError

SALT_VARIABLE = "RADLENS_SALT"
MIN_SALT = 16

Kind = Literal["patient", "study", "series", "sop_instance", "accession", "site"]

_DIGITS = 16
_SALT_BYTES = 32
# Long enough for another process to write 65 bytes into a file that it has just made.
_PATIENCE = 2.0


@dataclass(frozen=True)
class Pseudonyms:
    """Makes pseudonyms with one salt.

    Attributes:
        salt: the key; in no ``repr``, and to be written nowhere but into the user's own salt file.
    """

    salt: bytes = field(repr=False)

    def of(self, kind: Kind, identifier: str) -> str:
        """The pseudonym of an identifier: the first letter of the kind and 16 hexadecimal digits.

        It is HMAC-SHA256 (RFC 2104) of kind and identifier, cut to 64 bits: that any two of a million patients share
        one has a probability of 3 in 100 million. Outer spaces do not count, since DICOM pads with them. Nor does who
        issued a patient's identifier: some files of a patient say it and some do not, and with two pseudonyms the
        images of one patient could leak between splits, whereas two patients under one merely stay together.

        >>> Pseudonyms(b"a secret of sixteen or more").of("patient", "MRN 4711 ")
        'pd41bb70e5fdff3c7'
        """
        message = f"{kind}\0{identifier.strip()}".encode("utf-8", "surrogatepass")
        return kind[0] + hmac.digest(self.salt, message, "sha256").hex()[:_DIGITS]


def user_pseudonyms() -> Pseudonyms:
    """Pseudonyms with the user's salt: ``RADLENS_SALT``, else the salt file, which is made when first needed.

    The same identifier gets the same pseudonym in every data set that is read with the same salt. Without the salt it
    cannot be found by trying identifiers one by one, short as they are; whoever holds the salt can.

    Raises:
        UsageError: ``RADLENS_SALT`` is too short to be a secret.
        RadlensError: the salt file cannot be made or read, or is damaged.
    """
    given = os.environ.get(SALT_VARIABLE, "")
    if not given:
        return Pseudonyms(_salt_of(salt_file()))
    if len(given) < MIN_SALT:
        raise UsageError(
            f"{SALT_VARIABLE} has {len(given)} characters, which can be guessed; give a secret of {MIN_SALT} or more, "
            "or unset it to use the salt that radlens keeps for you."
        )
    return Pseudonyms(given.encode("utf-8", "surrogatepass"))


def salt_file() -> Path:
    """Where the user's salt is kept: in the folder for the user's data, readable by the user alone."""
    return Path(platformdirs.user_data_dir("radlens", appauthor=False)) / "salt"


def _salt_of(file: Path) -> bytes:
    try:
        if not file.exists():
            _make(file)
        return _read(file)
    except OSError as error:
        raise RadlensError(
            f"The salt for pseudonyms of patients cannot be kept in {file} ({error.strerror or error}). "
            f"Mend that, or give a secret of your own in the environment variable {SALT_VARIABLE}."
        ) from error


def _make(file: Path) -> None:
    """Write a new salt unless there is one: of several processes at once, the first one's stands for all."""
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    temporary = file.with_name(f".{file.name}.{secrets.token_hex(8)}.partial")
    content = secrets.token_hex(_SALT_BYTES).encode() + b"\n"
    try:
        _write_new(temporary, content)
        # Unlike renaming, linking does not replace what another process has put there meanwhile.
        try:
            os.link(temporary, file)
        except FileExistsError:
            return
        except (OSError, AttributeError):
            # A file system without links.
            with suppress(FileExistsError):
                _write_new(file, content)
    finally:
        temporary.unlink(missing_ok=True)


def _write_new(file: Path, content: bytes) -> None:
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as opened:
        opened.write(content)
        opened.flush()
        os.fsync(descriptor)


def _read(file: Path) -> bytes:
    deadline = time.monotonic() + _PATIENCE
    while True:
        text = file.read_bytes().strip()
        try:
            salt = bytes.fromhex(text.decode("ascii"))
        except ValueError:
            salt = b""
        if len(salt) == _SALT_BYTES:
            return salt
        if text or time.monotonic() > deadline:
            raise RadlensError(
                f"The salt file {file} is damaged: {2 * _SALT_BYTES} hexadecimal digits were expected. Put it back "
                "from a backup; or remove it, and a new one is made, which gives patients other pseudonyms than before."
            )
        time.sleep(0.01)
