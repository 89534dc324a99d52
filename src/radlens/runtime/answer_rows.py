"""Answers as text: a table for people; CSV, JSON and JSON lines for programs, which can be read back."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
from collections.abc import Iterable, Iterator
from typing import NamedTuple, Protocol

from radlens.base.errors import DataError
from radlens.decision import REFER, REFUSE
from radlens.imaging.scan import writable
from radlens.runtime.answers import Answer
from radlens.runtime.model_config import ModelConfig

FORMATS = ("csv", "json", "jsonl")


class Maker(NamedTuple):
    """Who answered, as every row says.

    Attributes:
        model: identity of the model.
        threshold: the operating point in force; None for a multiclass model, which has none.
    """

    model: str
    threshold: float | None


class Written(NamedTuple):
    """A row that was read back.

    Attributes:
        path: of the image.
        maker: who answered.
        end: position in the file, in bytes, after the row.
    """

    path: str
    maker: Maker
    end: int


class Writer(Protocol):
    """How answers are written in one format."""

    header: str
    footer: str

    def row(self, answer: Answer, *, is_first: bool) -> str:
        """One answer; ``is_first`` where no row stands before it."""


class Rows(Writer, Protocol):
    """A format that is read back."""

    def read(self, lines: Iterable[bytes]) -> Iterator[Written]:
        """The whole rows of a file; ends where a row is torn.

        Raises:
            DataError: these are not such rows.
        """


def rows_in(form: str, config: ModelConfig, maker: Maker) -> Rows:
    """How the answers of a model are written in ``csv``, ``json`` or ``jsonl``."""
    if form == "csv":
        return CsvRows(config, maker)
    return JsonRows(maker) if form == "json" else JsonLines(maker)


class CsvRows:
    """One line an image below a line of column names; UTF-8, values quoted where they must be."""

    footer = ""

    def __init__(self, config: ModelConfig, maker: Maker) -> None:
        self._classes, self._maker = config.classes, maker
        self._columns = csv_columns(config)
        self.header = _csv_line(self._columns)

    def row(self, answer: Answer, *, is_first: bool) -> str:  # noqa: ARG002
        """One answer as a line."""
        familiar = answer.familiar
        return _csv_line(
            (
                writable(answer.path),
                answer.predicted,
                answer.answer,
                *(answer.probabilities.get(name, "") for name in self._classes),
                answer.conformal or "",
                "" if familiar is None else str(familiar.is_familiar).lower(),
                "" if familiar is None else familiar.score,
                "; ".join(answer.remarks),
                writable(answer.error),
                "" if self._maker.threshold is None else self._maker.threshold,
                self._maker.model,
            )
        )

    def read(self, lines: Iterable[bytes]) -> Iterator[Written]:
        """The whole rows of a file with the same columns."""
        end = 0

        def whole() -> Iterator[str]:
            nonlocal end
            for line in lines:
                if not line.endswith(b"\n"):
                    return
                end += len(line)
                yield line.decode("utf-8")

        try:
            for number, cells in enumerate(csv.reader(whole(), strict=True), start=1):
                if number == 1 and tuple(cells) != self._columns:
                    raise DataError(f"its columns are {', '.join(cells)}; {', '.join(self._columns)} were expected")
                if len(cells) != len(self._columns):
                    raise DataError(f"row {number} has {len(cells)} cells; {len(self._columns)} were expected")
                if number > 1:
                    yield Written(cells[0], Maker(cells[-1], float(cells[-2]) if cells[-2] else None), end)
        except csv.Error:
            return  # Torn within quotes.
        except ValueError as error:
            raise DataError(f"it holds no answers as CSV ({error})") from None


class JsonLines:
    """One JSON object an image, each on a line of its own."""

    header = footer = ""

    def __init__(self, maker: Maker) -> None:
        self._maker = maker

    def row(self, answer: Answer, *, is_first: bool) -> str:  # noqa: ARG002
        """One answer as a line."""
        return self._object(answer) + "\n"

    def read(self, lines: Iterable[bytes]) -> Iterator[Written]:
        """The whole rows of a file."""
        end = 0
        for line in lines:
            if not line.endswith(b"\n"):
                return
            end += len(line)
            yield _read_object(line, end)

    def _object(self, answer: Answer) -> str:
        values = dataclasses.asdict(answer) | self._maker._asdict() | {"answer": answer.answer}
        values["path"], values["error"] = writable(answer.path), writable(answer.error)
        return json.dumps(values, ensure_ascii=False)


class JsonRows(JsonLines):
    """One JSON array of the same objects, each on a line of its own."""

    header, footer = "[", "\n]\n"

    def row(self, answer: Answer, *, is_first: bool) -> str:
        """One answer as a line, and before it what parts it from the last."""
        return ("\n" if is_first else ",\n") + self._object(answer)

    def read(self, lines: Iterable[bytes]) -> Iterator[Written]:
        """The whole rows of a file, which may lack its end."""
        begin = 0
        for number, line in enumerate(lines):
            content = line.rstrip(b",\n")
            if number == 0 and content != b"[":
                raise DataError("it holds no JSON array of answers, one a line")
            if number and (content == b"]" or not content.endswith(b"}")):
                return
            if number:
                try:
                    yield _read_object(content, begin + len(content))
                except DataError:
                    if line.endswith(b"\n"):
                        raise
                    return
            begin += len(line)


class TableRows:
    """One line an image for people: the answer, its probability, the path, and what else there is to say."""

    footer = ""

    def __init__(self, config: ModelConfig) -> None:
        self._shown = config.classes[1] if config.task == "binary" else None
        self._width = max(len(name) for name in ("answer", REFUSE, *config.classes))
        title = f"p {self._shown}" if self._shown else "p"
        self._space = max(5, len(title))
        self.header = f"{'answer':<{self._width}}  {title:>{self._space}}  image\n"

    def row(self, answer: Answer, *, is_first: bool) -> str:  # noqa: ARG002
        """One answer as a line."""
        said, share, notes = "error", "", [answer.error]
        if not answer.error:
            said, notes = answer.answer or "none", list(answer.remarks)
            share = f"{answer.probabilities[self._shown] if self._shown else max(answer.probabilities.values()):.3f}"
            if said == REFUSE:
                notes.insert(0, "unlike the training images")
            elif said == REFER:
                notes.insert(0, f"{answer.predicted} at the operating point, but not surely")
        line = f"{said:<{self._width}}  {share:>{self._space}}  {answer.path}"
        line += f"  ({'; '.join(notes)})" if notes else ""
        # A name may hold what a terminal would obey.
        return "".join(sign if sign.isprintable() else repr(sign)[1:-1] for sign in line) + "\n"


def csv_columns(config: ModelConfig) -> tuple[str, ...]:
    """The columns of answers as CSV, in their order."""
    classes = (f"probability_{name}" for name in config.classes)
    return (
        "path",
        "predicted",
        "answer",
        *classes,
        "conformal",
        "familiar",
        "unfamiliarity",
        "remarks",
        "error",
        "threshold",
        "model",
    )


def _csv_line(cells: Iterable[object]) -> str:
    text = io.StringIO()
    # A return within a name is quoted only where lines end in one.
    csv.writer(text, lineterminator="\r\n").writerow(cells)
    return text.getvalue().removesuffix("\r\n") + "\n"


def _read_object(line: bytes, end: int) -> Written:
    try:
        values = json.loads(line)
        return Written(str(values["path"]), Maker(values["model"], values["threshold"]), end)
    except (ValueError, LookupError, TypeError) as error:
        raise DataError(f"it holds no answers as JSON, one a line ({error})") from None
