"""Answers are read back from every format as they were, torn ends and all that may stand in a name included."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import pytest

from radlens.base.errors import DataError
from radlens.runtime.answer_rows import CsvRows, JsonLines, JsonRows, Maker, Rows, TableRows, csv_columns, rows_in
from radlens.runtime.answers import Answer, Familiarity

MAKER = Maker("0123456789ab", 0.25)
NAMES = ["a.png", 'of "quotes", commas; ö', "two\nlines.png", "caf\udce9.png", "=1+1", "[", "}", "", "tab\t\r.png"]
ANSWERS = [
    *(Answer(name, "PNEUMONIA", {"NORMAL": 0.1, "PNEUMONIA": 0.9 + 1e-16}) for name in NAMES),
    Answer(
        "x",
        "NORMAL",
        {"NORMAL": 0.7, "PNEUMONIA": 0.3},
        "refer",
        Familiarity(False, 3.25),
        ("very dark", "tiny, 1 x 2"),
    ),
    Answer("no", error="the file cannot be read (No such file or directory)"),
]
SHOWN = [*NAMES[:3], "caf\\xe9.png", *NAMES[4:], "x", "no"]


@pytest.fixture(params=["csv", "json", "jsonl"])
def rows(request: pytest.FixtureRequest, tiny: Any) -> Rows:
    return rows_in(request.param, tiny().config(), MAKER)


def text_of(rows: Rows, answers: list[Answer], *, whole: bool = True) -> bytes:
    parts = [rows.row(answer, is_first=number == 0) for number, answer in enumerate(answers)]
    return (rows.header + "".join(parts) + (rows.footer if whole else "")).encode("utf-8")


def test_csv_is_read_back_by_anyone(tiny: Any) -> None:
    config = tiny().config()
    text = text_of(CsvRows(config, MAKER), ANSWERS).decode()
    table = list(csv.DictReader(io.StringIO(text, newline="")))
    assert tuple(table[0]) == csv_columns(config)
    assert [row["path"] for row in table] == SHOWN
    assert [float(row["probability_PNEUMONIA"]) for row in table[:-1]] == [
        answer.probabilities["PNEUMONIA"] for answer in ANSWERS[:-1]
    ]
    odd = table[-2]
    assert (odd["predicted"], odd["conformal"], odd["familiar"], odd["unfamiliarity"]) == (
        "NORMAL",
        "refer",
        "false",
        "3.25",
    )
    assert odd["remarks"] == "very dark; tiny, 1 x 2"
    assert (odd["threshold"], odd["model"]) == ("0.25", "0123456789ab")
    assert table[-1]["error"] == ANSWERS[-1].error
    assert table[-1]["predicted"] == table[-1]["probability_NORMAL"] == table[0]["familiar"] == ""


@pytest.mark.parametrize("form", ["json", "jsonl"])
def test_json_is_read_back_by_anyone(form: str, tiny: Any) -> None:
    text = text_of(rows_in(form, tiny().config(), MAKER), ANSWERS).decode()
    table = json.loads(text) if form == "json" else [json.loads(line) for line in text.split("\n")[:-1]]
    assert [row["path"] for row in table] == SHOWN
    assert table[0] == {
        "path": "a.png",
        "predicted": "PNEUMONIA",
        "answer": "PNEUMONIA",
        "probabilities": dict(ANSWERS[0].probabilities),
        "conformal": None,
        "familiar": None,
        "remarks": [],
        "error": "",
        "model": "0123456789ab",
        "threshold": 0.25,
    }
    assert table[-2]["familiar"] == {"is_familiar": False, "score": 3.25}
    assert table[-2]["remarks"] == ["very dark", "tiny, 1 x 2"]
    assert table[-1]["probabilities"] == {}


def test_no_answers_are_a_whole_file_too(rows: Rows) -> None:
    text = text_of(rows, [])
    assert list(rows.read(io.BytesIO(text))) == []
    if isinstance(rows, JsonRows):
        assert json.loads(text) == []


def test_rows_are_found_again_with_their_ends(rows: Rows) -> None:
    for whole in (True, False):
        found = list(rows.read(io.BytesIO(text_of(rows, ANSWERS, whole=whole))))
        assert [written.path for written in found] == SHOWN
        assert {written.maker for written in found} == {MAKER}
        for number, written in enumerate(found, start=1):
            assert written.end == len(text_of(rows, ANSWERS[:number], whole=False))


def test_a_file_cut_off_anywhere_keeps_its_whole_rows(rows: Rows) -> None:
    text = text_of(rows, ANSWERS)
    ends = [len(text_of(rows, ANSWERS[:number], whole=False)) for number in range(1, len(ANSWERS) + 1)]
    for size in range(len(text)):
        found = list(rows.read(io.BytesIO(text[:size])))
        assert [written.path for written in found] == SHOWN[: len(found)]
        assert [written.end for written in found] == ends[: len(found)]
        assert len(found) == sum(end <= size for end in ends)


def test_files_of_another_kind_are_refused(rows: Rows, tiny: Any) -> None:
    others: dict[str, Rows] = {
        "csv": CsvRows(tiny().config(), MAKER),
        "jsonl": JsonLines(MAKER),
        "json": JsonRows(MAKER),
        "of another model": CsvRows(tiny("multiclass", ("a", "b", "c")).config(), MAKER),
    }
    for other in others.values():
        text = text_of(
            other, [answer for answer in ANSWERS if other is not others["of another model"]][:3] or [Answer("x")]
        )
        if text == text_of(rows, ANSWERS[:3]):
            continue
        with pytest.raises(DataError):
            list(rows.read(io.BytesIO(text)))
    for text in (b"\x00\xff\xfe\n" * 3, b"path,label\na,b\n", b'{"path": 1}\n'):
        with pytest.raises(DataError):
            list(rows.read(io.BytesIO(text)))


def test_the_table_is_one_line_an_image_without_what_a_terminal_obeys(tiny: Any) -> None:
    rows = TableRows(tiny().config())
    lines = [rows.row(answer, is_first=False) for answer in [*ANSWERS, Answer("\x1b[2Jx\x07.png", error="gone")]]
    assert rows.header.split() == ["answer", "p", "PNEUMONIA", "image"]
    assert all(line.count("\n") == 1 and line[:-1].isprintable() for line in lines)
    assert lines[0] == "PNEUMONIA        0.900  a.png\n"
    assert lines[-3] == "refuse           0.300  x  (unlike the training images; very dark; tiny, 1 x 2)\n"
    assert lines[-2].startswith("error                   no  (the file cannot be read")
    multilabel = TableRows(tiny("multilabel", ("a", "b", "c")).config())
    assert multilabel.row(Answer("x", "", {"a": 0.1, "b": 0.3, "c": 0.2}), is_first=True).split() == [
        "none",
        "0.300",
        "x",
    ]
