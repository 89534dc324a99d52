"""Settings of the data: where the images are, what they are, and how they are split."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator

from radlens.config.base import Settings
from radlens.config.csv_table import CsvColumns
from radlens.decision import Task
from radlens.imaging.limits import DecodeLimits

DicomKey = Literal["auto", "path", "sop_instance", "series", "study", "accession", "patient"]


class PhantomSettings(Settings):
    """The simulated chest radiographs to make, and the known defects to plant in them."""

    images: int = Field(default=600, ge=8, le=1_000_000, description="Number of images.")
    size: int = Field(default=224, ge=32, le=2048, description="Height and width in pixels.")
    seed: int = Field(default=0, ge=0, description="Same seed, same bytes.")
    task: Task = Field(
        default="binary",
        description="binary: normal, pneumonia; multiclass: normal, pneumonia, effusion; "
        "multilabel: cardiomegaly, effusion, pneumonia in any combination.",
    )
    format: Literal["jpeg", "png", "dicom", "mixed"] = Field(default="jpeg", description="File format written.")
    prevalence: float = Field(default=0.5, gt=0, lt=1, description="Share of patients with a finding.")
    duplicates: int = Field(default=0, ge=0, description="Images copied byte for byte under another name.")
    shared_patients: int = Field(default=0, ge=0, description="Patients placed in both train and test.")
    wrong_labels: float = Field(default=0.0, ge=0, le=0.5, description="Share of training images given a wrong label.")
    shortcut: Literal["none", "marker", "size", "framing"] = Field(
        default="none",
        description="A cue apart from the anatomy: a corner marker, the image size, or a chest that is framed tightly.",
    )
    shortcut_strength: float = Field(
        default=1.0, ge=0, le=1, description="0: the cue is independent of the label; 1: it gives the label away."
    )
    corrupt: int = Field(default=0, ge=0, description="Files damaged: empty, cut short, or no image at all.")


class SplitSettings(Settings):
    """How images are split into training, validation and test."""

    validation: float = Field(default=0.15, gt=0, lt=0.5, description="Share of images for validation.")
    test: float = Field(default=0.15, gt=0, lt=0.5, description="Share of images for the internal test.")
    official: bool = Field(default=True, description="Keep the splits that the source came with, when usable.")
    min_validation: int = Field(
        default=10,
        ge=1,
        description="An official validation split with fewer images than this in any class is too small to choose a "
        "model on: it joins train, and a grouped split of train replaces it.",
    )
    overlap: Literal["error", "drop_train", "keep"] | None = Field(
        default=None,
        description="When official splits share patients or copies of an image: stop; drop_train: drop from train "
        "(then from val) what test (then val) has too, whatever its label, with all images of patients who share a "
        "copy; or keep them, a leak that the audit reports; none: as the data set says (stop).",
    )
    conflicts: Literal["keep", "drop_train"] = Field(
        default="keep",
        description="Copies of an image with different labels, of which at least one is wrong: keep them for the audit "
        "to tell, which stops past 1 % of the images; or drop all of them but those in an official test split.",
    )


class DicomSettings(Settings):
    """A folder of DICOM files with the labels in a CSV."""

    labels: Path | None = Field(
        default=None, description="CSV with the labels of a folder of DICOM files; its label column: data.csv.label."
    )
    key: DicomKey = Field(
        default="auto",
        description="What the CSV's key column holds: the file's path, or an identifier of the DICOM header; "
        "auto: the first of these under which every row finds an image, else the one under which most do.",
    )
    key_column: str = Field(default="path", description="Column of the CSV that names the image.")
    site: Literal["pseudonym", "name"] = Field(
        default="pseudonym",
        description="What is written of the institution that a header names: a pseudonym, or its name.",
    )


class FolderSettings(Settings):
    """How the folders of a folder of images are read."""

    layout: str = Field(
        default="auto",
        description="What the folders name, from the top down: levels joined by /, each class, split (train, val, "
        "test), group (such as folds or hospitals) or any (no meaning), such as class/split or group/class; below the "
        "last one all is walked. auto: told by their names, and asked for where two readings are possible.",
    )
    group: str | None = Field(
        default=None, description="Column of the manifest for the level group; none: fold, site or group, by its names."
    )
    companions: Literal["leave_out", "keep"] = Field(
        default="leave_out",
        description="What becomes of pictures that their folder or file names tell to be masks, segmentations, "
        "annotations, overlays or the like of other images.",
    )

    @field_validator("layout")
    @classmethod
    def _levels_make_sense(cls, value: str) -> str:
        levels = value.split("/")
        known = set(levels) <= {"class", "split", "group", "any"}
        if value != "auto" and not (known and all(levels.count(name) <= 1 for name in ("class", "split", "group"))):
            raise ValueError(
                "expected auto, or levels joined by /, each class, split, group or any, such as class/split"
            )
        if value != "auto" and "class" not in levels:
            raise ValueError("one level must be class")
        return value


class DataSettings(Settings):
    """Where the images come from and how they are labelled, grouped and split."""

    source: str | None = Field(
        default=None, description="Folder, CSV, .npz in MedMNIST form, or a name: kermany, pneumoniamnist, phantom."
    )
    patient_from: str = Field(
        default="auto",
        description="How a file name tells its patient: auto (known naming schemes, each file by its own), none (each "
        "image its own patient), or a regular expression whose first group is the patient; files that do not match it "
        "are told as by auto.",
    )
    positive_class: str | None = Field(
        default=None,
        description="The positive one of two classes; none: told by their names (normal, healthy, negative, no finding "
        "and the like in many spellings and languages), and asked for where these do not tell.",
    )
    class_map: dict[str, str | None] = Field(
        default={},
        description="New names of classes, whatever the source: `{Healthy: NORMAL, Sick: PNEUMONIA}`. Several may "
        "become one; `null` leaves a class out; `*` is all that are not named, which else keep their names. Where "
        "images have several labels, naming those without any (`No Finding`) makes the classes exclusive.",
    )
    csv: CsvColumns = Field(default_factory=CsvColumns)
    folder: FolderSettings = Field(default_factory=FolderSettings)
    phantom: PhantomSettings = Field(default_factory=PhantomSettings)
    split: SplitSettings = Field(default_factory=SplitSettings)
    dicom: DicomSettings = Field(default_factory=DicomSettings)
    limits: DecodeLimits = Field(default_factory=DecodeLimits)
    allow: tuple[str, ...] = Field(
        default=(), description="Blocking findings of the audit to go on in spite of, by the name of their check."
    )
    max_rejected: float = Field(
        default=0.05, ge=0, le=1, description="Share of unreadable images past which the run stops."
    )
    workers: int = Field(
        default=0, ge=0, description="Threads that decode images; 0: one for each core that may be used."
    )

    @field_validator("positive_class", mode="before")
    @classmethod
    def _names_that_yaml_takes_for_values(cls, value: object) -> object:
        if isinstance(value, bool):
            return "yes" if value else "no"
        return str(value) if isinstance(value, int | float) else value

    @field_validator("class_map", mode="before")
    @classmethod
    def _names_are_text(cls, value: object) -> object:
        # YAML reads 0 as a number and yes as a truth value.
        if not isinstance(value, dict):
            return value
        return {str(name).lower() if isinstance(name, bool) else str(name): new for name, new in value.items()}
