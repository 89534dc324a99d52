"""Settings of a table that lists images: which columns mean what, and how its cells are read."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from radlens.config.base import Settings
from radlens.config.table_forms import FormName, table_forms

Uncertain = Literal["exclude", "negative", "positive", "ignore-in-loss"]
Missing = Literal["exclude", "negative", "ignore-in-loss", "error"]

# What pandas, R, SQL, spreadsheets and people write for "no value"; an empty cell is always one.
MISSING_WORDS = (
    "nan", "na", "n/a", "n.a.", "<na>", "null", "none", "nil", "missing", "-", "--", "?", ".",
    "#n/a", "#null!", "#value!", "#ref!", "#name?", "#div/0!",
)  # fmt: skip


class CsvColumns(Settings):
    """Which columns of a CSV file mean what, and how its label cells are read."""

    form: FormName | None = Field(
        default=None,
        description="A public set whose table is read as published: gives the other settings here, which may still be "
        "stated.",
    )
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
    image_root: Path | None = Field(
        default=None, description="Folder below which the images lie; none: the CSV file's folder."
    )
    unmatched: Literal["leave_out", "error"] = Field(
        default="leave_out",
        description="Rows that name no image: leave them out, or stop. Where they are more than half, it stops unless "
        "leave_out is stated.",
    )
    join: tuple[str, ...] = Field(
        default=(),
        description="Further tables next to the CSV (names, or patterns with `*`), whose columns join the rows with "
        "which their common columns agree.",
    )
    only: dict[str, tuple[str, ...]] = Field(
        default={}, description="The rows to read: by column the values that they may have, in any case."
    )
    split_files: dict[str, Literal["train", "val", "test"]] = Field(
        default={},
        description="Files next to the CSV that tell the split: lists of image names, or tables of the same columns, "
        "whose rows are added. By name, or pattern with `*`.",
    )
    rename: dict[str, tuple[str, ...]] = Field(
        default={},
        description="Further columns under the names by which groups are made (view, sex, age, site, …): by new name, "
        "the columns that may hold it, of which the first is taken.",
    )

    @model_validator(mode="before")
    @classmethod
    def _start_from_form(cls, values: Any) -> Any:
        form = values.get("form") if isinstance(values, dict) else None
        return {**table_forms()[form], **values} if form in table_forms() else values

    @field_validator("label", "missing_words", "join", mode="before")
    @classmethod
    def _one_text_is_a_list_too(cls, value: object) -> object:
        return (value,) if isinstance(value, str) else value

    @field_validator("only", "rename", mode="before")
    @classmethod
    def _one_value_is_a_list_too(cls, values: object) -> object:
        if not isinstance(values, dict):
            return values
        return {name: (value,) if isinstance(value, str) else value for name, value in values.items()}
