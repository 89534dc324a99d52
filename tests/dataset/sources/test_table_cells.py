"""Tables as spreadsheets and other programs write them."""

from __future__ import annotations

import gzip
import logging
from pathlib import Path

import pytest

from radlens.base.errors import DataError
from radlens.dataset.sources.table_cells import read_cells

PLAIN = "path,label\r\na.png,cat\r\n\r\nb.png,dog\r\n"


def cells(tmp_path: Path, content: bytes) -> dict[str, list[str]]:
    file = tmp_path / "labels.csv"
    file.write_bytes(content)
    return {str(name): column.tolist() for name, column in read_cells(file).items()}


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("first", ["", "sep={}\r\n"])
def test_separators_and_byte_order_marks(tmp_path: Path, separator: str, encoding: str, first: str) -> None:
    text = first.format(separator) + PLAIN.replace(",", separator)
    assert cells(tmp_path, text.encode(encoding)) == {"path": ["a.png", "b.png"], "label": ["cat", "dog"]}


def test_rows_are_numbered_as_in_the_file(tmp_path: Path) -> None:
    file = tmp_path / "labels.csv"
    file.write_text(PLAIN)
    assert list(read_cells(file).index) == [2, 4]
    file.write_text(f"sep=,\r\n{PLAIN}")
    assert list(read_cells(file).index) == [3, 5]


def test_a_table_may_be_compressed(tmp_path: Path) -> None:
    assert cells(tmp_path, gzip.compress(PLAIN.encode()))["label"] == ["cat", "dog"]
    with pytest.raises(DataError, match="cannot be read"):
        cells(tmp_path, gzip.compress(PLAIN.encode())[:20])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("path,label,,\na,cat,,\nb,dog,,\n", {"path": ["a", "b"], "label": ["cat", "dog"]}),
        ("path,label\na,cat,,,\nb,dog\n", {"path": ["a", "b"], "label": ["cat", "dog"]}),
        ("path,label,\na,cat,x\nb,dog,\n", {"path": ["a", "b"], "label": ["cat", "dog"], "Unnamed: 2": ["x", ""]}),
        ('path,label\n="007",cat\n="a b",dog\n', {"path": ["007", "a b"], "label": ["cat", "dog"]}),
        ('"path";"label, final"\n"a,b";0,5\nc;1\n', {"path": ["a,b", "c"], "label, final": ["0,5", "1"]}),
        ("path , label\n a\u00a0, \u200bcat \nb,dog\n", {"path": ["a", "b"], "label": ["cat", "dog"]}),
    ],
)
def test_what_spreadsheets_add_is_taken_off(tmp_path: Path, text: str, expected: dict[str, list[str]]) -> None:
    assert cells(tmp_path, text.encode()) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("path,label\n", "a header and no rows"),
        ("path,label\n,\n", "a header and no rows"),
        ("path,label\na.png,cat\nb.png,dog,3\n", "row 3 has 3 cells, and the header has 2"),
        ("path,label\na.png,cat,1\nb.png,dog,3\n", "row 2 has 3 cells, and the header has 2"),
        ('path,label\na.png,"cat\n', "unexpected end of data"),
        ("path,label,label\na.png,cat,cat\n", "several columns named label"),
        ("path,label, label \na.png,cat,cat\n", "several columns named label"),
    ],
)
def test_what_is_no_table_is_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        cells(tmp_path, text.encode())


def test_text_of_windows_is_read_and_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    assert cells(tmp_path, "path,label\na,Lungenentzündung\n".encode("cp1252"))["label"] == ["Lungenentzündung"]
    assert "read as Windows-1252" in caplog.text


@pytest.mark.parametrize("content", [b"path,label\na,\x81\n", PLAIN.encode("utf-16-le") + b"\xff\xfe"])
def test_what_is_no_text_is_refused(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(DataError, match="is not UTF-8 text"):
        cells(tmp_path, content)
