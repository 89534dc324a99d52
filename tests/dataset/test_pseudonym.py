"""Pseudonyms: the published keyed hash, one salt for many data sets, and a salt file that races cannot part."""

from __future__ import annotations

import hashlib
import os
import stat
import subprocess
import sys
from pathlib import Path

import platformdirs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from radlens.base.errors import RadlensError, UsageError
from radlens.dataset.pseudonym import Pseudonyms, salt_file, user_pseudonyms


@pytest.fixture
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder for the user's data, empty, and no salt in the environment."""
    monkeypatch.delenv("RADLENS_SALT")
    monkeypatch.setattr(platformdirs, "user_data_dir", lambda *_, **__: str(tmp_path / "data"))
    return tmp_path / "data"


def hmac_sha256(key: bytes, message: bytes) -> str:
    """RFC 2104, from the plain hash."""
    block = (hashlib.sha256(key).digest() if len(key) > 64 else key).ljust(64, b"\0")
    inner = hashlib.sha256(bytes(byte ^ 0x36 for byte in block) + message).digest()
    return hashlib.sha256(bytes(byte ^ 0x5C for byte in block) + inner).hexdigest()


@given(key=st.binary(min_size=1, max_size=100), identifier=st.text(max_size=70))
def test_a_pseudonym_is_the_keyed_hash(key: bytes, identifier: str) -> None:
    message = b"study\0" + identifier.strip().encode()
    assert Pseudonyms(key).of("study", identifier) == "s" + hmac_sha256(key, message)[:16]


def test_kinds_salts_and_identifiers_give_different_pseudonyms_and_padding_does_not() -> None:
    one, two = Pseudonyms(b"one salt"), Pseudonyms(b"another salt")
    assert one.of("patient", "4711") == one.of("patient", " 4711 ")
    different = {
        one.of("patient", "4711"),
        one.of("patient", "4712"),
        one.of("patient", "04711"),
        one.of("study", "4711"),
        one.of("series", "4711"),
        two.of("patient", "4711"),
    }
    assert len(different) == 6


def test_a_pseudonym_is_never_read_as_a_number() -> None:
    made = [Pseudonyms(b"salt").of("patient", str(number)) for number in range(2000)]
    assert len(set(made)) == 2000
    assert all(name.startswith("p") and len(name) == 17 for name in made)


def test_the_salt_is_not_shown() -> None:
    assert "secret" not in repr(Pseudonyms(b"secret of the house"))


def test_the_environment_gives_the_salt(monkeypatch: pytest.MonkeyPatch, own_folder: Path) -> None:
    monkeypatch.setenv("RADLENS_SALT", "a salt for one hospital")
    assert user_pseudonyms() == Pseudonyms(b"a salt for one hospital")
    assert not own_folder.exists()


def test_a_salt_that_can_be_guessed_is_refused_and_not_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RADLENS_SALT", "hunter2")
    with pytest.raises(UsageError, match="7 characters") as raised:
        user_pseudonyms()
    assert "hunter2" not in str(raised.value)


@pytest.mark.usefixtures("own_folder")
def test_the_salt_is_made_once_and_is_for_the_user_alone() -> None:
    first = user_pseudonyms()
    assert user_pseudonyms() == first
    assert len(first.salt) == 32
    assert salt_file().read_text().strip() == first.salt.hex()
    if os.name == "posix":
        assert stat.S_IMODE(salt_file().stat().st_mode) == 0o600
        assert stat.S_IMODE(salt_file().parent.stat().st_mode) == 0o700
    assert [path.name for path in salt_file().parent.iterdir()] == ["salt"]
    salt_file().unlink()
    assert user_pseudonyms() != first


@pytest.mark.usefixtures("own_folder")
def test_a_file_system_without_links_will_do(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    first = user_pseudonyms()
    assert user_pseudonyms() == first
    assert [path.name for path in salt_file().parent.iterdir()] == ["salt"]


@pytest.mark.usefixtures("own_folder")
def test_another_process_that_was_first_has_the_say(monkeypatch: pytest.MonkeyPatch) -> None:
    theirs = bytes(range(32))

    def link(_: object, file: Path) -> None:
        file.write_text(theirs.hex())
        raise FileExistsError(17, "File exists")

    monkeypatch.setattr(os, "link", link)
    assert user_pseudonyms().salt == theirs


@pytest.mark.skipif(os.name != "posix", reason="the data folder is told by XDG_DATA_HOME")
def test_processes_at_once_agree_on_one_salt(tmp_path: Path) -> None:
    environment = {**os.environ, "XDG_DATA_HOME": str(tmp_path), "HOME": str(tmp_path)}
    del environment["RADLENS_SALT"]
    code = (
        "import sys; from radlens.dataset.pseudonym import user_pseudonyms; sys.stdin.readline(); "
        "print(user_pseudonyms().of('patient', '1'))"
    )
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", code], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(6)
    ]
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    said = {process.communicate(timeout=120)[0].strip() for process in processes}
    assert len(said) == 1
    assert len(next(iter(said))) == 17
    assert [path.name for path in (tmp_path / "radlens").iterdir()] == ["salt"]


@pytest.mark.usefixtures("own_folder")
@pytest.mark.parametrize("content", [b"too short", b"zz" * 32, b"\xff\xfe", b"00" * 31])
def test_a_damaged_salt_is_refused_and_kept(content: bytes) -> None:
    salt_file().parent.mkdir()
    salt_file().write_bytes(content)
    with pytest.raises(RadlensError, match="is damaged: 64 hexadecimal digits"):
        user_pseudonyms()
    assert salt_file().read_bytes() == content


def test_a_folder_that_cannot_be_made_says_what_to_do(own_folder: Path) -> None:
    own_folder.write_text("a file where the folder should be")
    with pytest.raises(RadlensError, match="RADLENS_SALT"):
        user_pseudonyms()
