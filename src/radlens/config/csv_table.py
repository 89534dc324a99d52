"""Settings of a table that lists images: which columns mean what, and how its cells are read."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator

from radlens.config.base import Settings

Uncertain = Literal["exclude", "negative", "positive", "ignore-in-loss"]
Missing = Literal["exclude", "negative", "ignore-in-loss", "error"]

# What pandas, R, SQL, spreadsheets and people write for "no value"; an empty cell is always one.
MISSING_WORDS = (
    "nan", "na", "n/a", "n.a.", "<na>", "null", "none", "nil", "missing", "-", "--", "?", ".",
    "#n/a", "#null!", "#value!", "#ref!", "#name?", "#div/0!",
)  # fmt: skip


class CsvColumns(Settings):
    """Which columns of a CSV file mean what, and how its label cells are read."""

    path: str = Field(
        default="path", description="Column that names the image: a path, a file name, or that without its suffix."
    )
    label: tuple[str, ...] = Field(
        default=("label",),
        min_length=1,
        description="Column with the class name (several names joined by | make the task multilabel), "
        "or several columns of 0 and 1, one a class.",
    )
    label_separator: str | None = Field(
        default=None,
        min_length=1,
        max_length=3,
        description="What joins several labels in a cell, and makes the task multilabel; none: told from the cells "
        "(`|`, `;`, lists such as ['a', 'b'], and a comma between names that also stand alone).",
    )
    one_hot: bool = Field(
        default=False, description="Several label columns with exactly one 1 in each row: exclusive classes."
    )
    uncertain: Uncertain = Field(
        default="exclude",
        description="What a cell of -1, u or uncertain means among 0 and 1 (CheXpert): leave the image out, take it "
        "as 0 or as 1, or leave the cell out of the loss (several label columns; images with such a cell then only "
        "train, and are left out of validation and test).",
    )
    missing: Missing = Field(
        default="exclude",
        description="What a label cell without a value means: leave the image out, take it as 0, leave the cell out "
        "of the loss as for uncertain, or stop.",
    )
    missing_words: tuple[str, ...] = Field(
        default=MISSING_WORDS,
        description="Words, in any case, that say of a label cell that it has no value; an empty cell always has none.",
    )
    patient: str | None = Field(default=None, description="Column with the patient; none: told from the file names.")
    split: str | None = Field(default=None, description="Column with train, val or test; none: split by radlens.")
    image_root: Path | None = Field(default=None, description="Folder of relative paths; none: the CSV file's folder.")

    @field_validator("label", "missing_words", mode="before")
    @classmethod
    def _one_text_is_a_list_too(cls, value: object) -> object:
        return (value,) if isinstance(value, str) else value
