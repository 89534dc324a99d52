"""What a stress test leaves in its folder."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pandas as pd

from radlens.assessment.stress_evidence import stress_table
from radlens.assessment.stress_records import StressRecord
from radlens.assessment.stress_words import advice, verdict_sentence
from radlens.base.files import write_text
from radlens.reporting.stress_page import StressPictures, write_stress_page

RECORD_FILE, TABLE_FILE, PAGE_FILE = "stress.json", "stress.csv", "stress.html"


@dataclass(frozen=True)
class StressResult:
    """What a stress test left in its folder."""

    folder: Path

    @property
    def page(self) -> Path:
        """The self-contained page."""
        return self.folder / PAGE_FILE

    @cached_property
    def record(self) -> StressRecord:
        """The content of ``stress.json``."""
        return StressRecord.model_validate_json((self.folder / RECORD_FILE).read_text(encoding="utf-8"))

    @cached_property
    def table(self) -> pd.DataFrame:
        """The content of ``stress.csv``: one row a change and class."""
        return pd.read_csv(self.folder / TABLE_FILE)

    @property
    def failed(self) -> bool:
        """Whether a change takes more of the model's accuracy than it may."""
        return self.record.verdict == "fail"

    @property
    def verdict(self) -> str:
        """The verdict in one sentence."""
        return verdict_sentence(self.record)

    @property
    def advice(self) -> str:
        """What to do about it."""
        return advice(self.record)


def write_stress(record: StressRecord, folder: Path, pictures: StressPictures | None) -> StressResult:
    """Write ``stress.json``, ``stress.csv`` and ``stress.html``.

    Args:
        record: the evidence.
        folder: where to.
        pictures: gives the page the pictures of images whose answers flip; None: it has none.

    Raises:
        RadlensError: a file cannot be written.
    """
    # The evidence first: the rest follows from it.
    write_text(folder / RECORD_FILE, record.model_dump_json(indent=2) + "\n")
    write_text(folder / TABLE_FILE, stress_table(record).to_csv(index=False))
    write_stress_page(record, pictures, folder / PAGE_FILE)
    return StressResult(folder)
