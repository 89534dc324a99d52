"""What a label cell says: yes, no, uncertain, nothing, a number or a name. One reading for every label column."""

from __future__ import annotations

import math
import re
from collections.abc import Collection
from typing import Literal

import numpy as np
import pandas as pd

Mark = Literal["missing", "uncertain", "0", "1"]

# Words for no and yes, in pairs that one column uses together.
_PAIRS = (
    ("no", "yes"),
    ("n", "y"),
    ("false", "true"),
    ("f", "t"),
    ("neg", "pos"),
    ("negative", "positive"),
    ("absent", "present"),
    ("-", "+"),
)
_PAIR_OF = {word: pair for pair in _PAIRS for word in pair}
_VALUE_OF = {word: str(value) for pair in _PAIRS for value, word in enumerate(pair)}
_UNCERTAIN_WORDS = frozenset({"u", "uncertain", "-1"})
_NUMBER = re.compile(r"[+-]?(?:\d+(?:[.,]\d*)?|[.,]\d+)(?:[eE][+-]?\d{1,3})?", re.ASCII)
# The minus signs that typesetting and spreadsheets put in place of the hyphen.
_MINUS = str.maketrans({"\u2212": "-", "\u2013": "-", "\ufe63": "-", "\uff0d": "-"})


def number_in(cell: str) -> float | None:
    """The number that a cell holds, with a decimal point or comma; None where it holds none.

    >>> [number_in(cell) for cell in ("1.0", "0,0", " 1e0 ", "−1", "1_0", "grade 2")]
    [1.0, 0.0, 1.0, -1.0, None, None]
    """
    text = cell.strip().translate(_MINUS)
    if not _NUMBER.fullmatch(text):
        return None
    value = float(text.replace(",", "."))
    return value if math.isfinite(value) else None


def plain(cell: str) -> str:
    """A cell with its number in one form; a cell that is no number as it is.

    >>> [plain(cell) for cell in ("2.0", "02", "-0.0", "0,5", "T2")]
    ['2', '2', '0', '0.5', 'T2']
    """
    value = number_in(cell)
    if value is None:
        return cell
    return str(int(value)) if value.is_integer() else format(value, ".12g")


def truth_of(name: str) -> bool | None:
    """What a number or word says as an answer to yes or no; None where it says neither.

    >>> [truth_of(name) for name in ("1.0", "Yes", "FALSE", "normal")]
    [True, True, False, None]
    """
    value = _VALUE_OF.get(name.strip().casefold(), plain(name))
    return {"0": False, "1": True}.get(value)


def same_answer(first: str, second: str) -> bool:
    """Whether two cells say the same.

    >>> same_answer("TRUE", "1.0"), same_answer("Mass", "mass"), same_answer("2", "2.0"), same_answer("no", "1")
    (True, True, True, False)
    """
    truths = truth_of(first), truth_of(second)
    return truths[0] == truths[1] if None not in truths else plain(first).casefold() == plain(second).casefold()


class Column:
    """A label column, its cells read as one whole.

    Args:
        cells: text without outer spaces.
        missing_words: words that say that a cell has no value.

    Attributes:
        values: of each cell ``0`` or ``1`` where the column holds marks, else its number in one form or its name.
        missing: which cells have no value.
        uncertain: which cells say that the answer is not known.
        is_marks: whether all other cells are a no or a yes.
        is_numeric: whether all other cells are numbers.
        words: for marks that all are words of one pair, the pair as most cells spell it; else none.
    """

    def __init__(self, cells: pd.Series, missing_words: Collection[str]) -> None:
        distinct = [str(cell) for cell in cells.unique()]
        folded = {cell: cell.translate(_MINUS).casefold() for cell in distinct}
        # Where a plus stands for yes, a hyphen is a no.
        plus = "+" in folded.values()
        absent = {"", *(word.casefold() for word in missing_words)} - ({"-"} if plus else set())
        numbers = {cell: plain(folded[cell]) for cell in distinct}
        missing = {cell for cell in distinct if folded[cell] in absent}
        valued = [cell for cell in distinct if cell not in missing]
        unsure = {cell for cell in valued if folded[cell] in _UNCERTAIN_WORDS or numbers[cell] == "-1"}
        sure = [cell for cell in valued if cell not in unsure]
        marks = {cell: _VALUE_OF.get(folded[cell], numbers[cell]) for cell in sure}
        self.is_marks = set(marks.values()) <= {"0", "1"}
        self.is_numeric = bool(sure) and all(number_in(folded[cell]) is not None for cell in sure)
        counts_up = self.is_numeric and all(float(numbers[cell]) >= 0 for cell in sure)
        if not self.is_marks:
            # Among names, "u" may be one; a minus one below numbers that count up is none of them.
            unsure = {cell for cell in unsure if counts_up and numbers[cell] == "-1"}
        value_of = {cell: marks[cell] if cell in marks and self.is_marks else numbers[cell] for cell in distinct}
        self.values = cells.map({cell: value_of[cell] if self.is_marks else plain(cell) for cell in distinct})
        self.missing = np.asarray(cells.isin(missing), dtype=bool)
        self.uncertain = np.asarray(cells.isin(unsure), dtype=bool)
        self.words = _words(cells, sure, folded) if self.is_marks else None


def _words(cells: pd.Series, sure: list[str], folded: dict[str, str]) -> tuple[str, str] | None:
    pairs = {_PAIR_OF.get(folded[cell]) for cell in sure}
    if len(pairs) != 1 or (pair := pairs.pop()) is None:
        return None
    counts = cells.value_counts()
    spelled = {word: [cell for cell in sure if folded[cell] == word] for word in pair}
    no, yes = (max(spelled[word], key=lambda cell: (counts[cell], cell), default=word) for word in pair)
    return no, yes
