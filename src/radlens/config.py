"""Every setting of radlens: typed, documented at the field, validated all at once; YAML in, YAML out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from radlens.decision import Task
from radlens.errors import UsageError, did_you_mean
from radlens.imaging.limits import DecodeLimits
from radlens.imaging.preprocess import Preprocessing
from radlens.presets import presets

DicomKey = Literal["auto", "path", "sop_instance", "series", "study", "accession", "patient"]
Share = Annotated[float, Field(gt=0, lt=1)]

Range = Annotated[tuple[float, float], Field(description="Lowest and highest value, drawn uniformly between them.")]


def _target_rule(text: str) -> str:
    name, _, target = text.partition(":")
    try:
        right = name in ("sensitivity", "specificity") and 0 < float(target) <= 1
    except ValueError:
        right = False
    if not right:
        raise ValueError("sensitivity or specificity with a share in (0, 1], such as sensitivity:0.95")
    return text


TargetRule = Annotated[str, AfterValidator(_target_rule)]


class Settings(BaseModel):
    """Base of all settings: unknown keys are refused, values do not change once made."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class CsvColumns(Settings):
    """Which columns of a CSV file mean what."""

    path: str = Field(default="path", description="Column with the image path, absolute or relative to image_root.")
    label: tuple[str, ...] = Field(
        default=("label",),
        min_length=1,
        description="Column with the class name (several names joined by | make the task multilabel), "
        "or several columns of 0 and 1, one a class.",
    )
    patient: str | None = Field(default=None, description="Column with the patient; none: told from the file names.")
    split: str | None = Field(default=None, description="Column with train, val or test; none: split by radlens.")
    image_root: Path | None = Field(default=None, description="Folder of relative paths; none: the CSV file's folder.")

    @field_validator("label", mode="before")
    @classmethod
    def _one_label_is_a_list_too(cls, value: object) -> object:
        return (value,) if isinstance(value, str) else value


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
    shortcut: Literal["none", "marker", "size"] = Field(
        default="none", description="A cue beside the anatomy: a corner marker, or the image size."
    )
    shortcut_strength: float = Field(
        default=1.0, ge=0, le=1, description="0: the cue is independent of the label; 1: it gives the label away."
    )
    corrupt: int = Field(default=0, ge=0, description="Files damaged: empty, cut short, or no image at all.")


class SplitSettings(Settings):
    """How images are parted into training, validation and test."""

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
        description="When official splits share patients: stop, drop those patients' images from train (then from "
        "val), or keep them, a leak that the audit reports; none: as the data set says (stop).",
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


class DataSettings(Settings):
    """Where the images come from and how they are labelled, grouped and split."""

    source: str | None = Field(
        default=None, description="Folder, CSV, .npz in MedMNIST form, or a name: kermany, pneumoniamnist, phantom."
    )
    patient_from: str = Field(
        default="auto",
        description="How a file name tells its patient: auto (known naming schemes), none (each image its own "
        "patient), or a regular expression whose first group is the patient.",
    )
    positive_class: str | None = Field(default=None, description="The positive one of two classes; none: told by name.")
    csv: CsvColumns = Field(default_factory=CsvColumns)
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
    workers: int = Field(default=0, ge=0, description="Threads that decode images; 0: one for each CPU core.")


class AugmentSettings(Settings):
    """Random changes of training images, never of validation or test images."""

    enabled: bool = Field(default=True, description="False: train on the images as they are.")
    rotation: float = Field(default=20.0, ge=0, le=180, description="Largest rotation to either side, in degrees.")
    zoom: Range = Field(default=(0.8, 1.2), description="Magnification; above 1 enlarges the image.")
    shift: float = Field(default=0.0, ge=0, le=0.5, description="Largest shift as a share of height and width.")
    flip_horizontal: float = Field(default=0.5, ge=0, le=1, description="Probability of a left-right mirror image.")
    flip_vertical: float = Field(default=0.0, ge=0, le=1, description="Probability of an upside-down image.")
    brightness: float = Field(default=0.0, ge=0, le=1, description="Largest change, as a share of the whole range.")
    contrast: float = Field(default=0.0, ge=0, lt=1, description="Largest relative change of contrast.")
    crop: Range = Field(
        default=(1.0, 1.0),
        description="Share of the image's area that is kept and enlarged, at a random place; above 1 it is reduced.",
    )
    gamma: Range = Field(default=(1.0, 1.0), description="Exponent of the grey values; above 1 darkens.")
    degrade: float = Field(
        default=0.5,
        ge=0,
        le=1,
        description="Probability of each of blur, resolution, jpeg and noise, where they are on.",
    )
    blur: float = Field(default=0.0, ge=0, le=10, description="Largest standard deviation of a blur, in pixels.")
    resolution: float = Field(default=1.0, gt=0.05, le=1, description="Smallest share of height and width kept.")
    jpeg: int = Field(default=100, ge=5, le=100, description="Lowest JPEG quality; 100: none is applied.")
    noise: float = Field(
        default=0.0, ge=0, le=0.5, description="Largest standard deviation of noise, as a share of the whole range."
    )

    @model_validator(mode="after")
    def _ranges_ascend(self) -> Self:
        for name in ("zoom", "crop", "gamma"):
            low, high = getattr(self, name)
            if not 0 < low <= high:
                raise ValueError(f"{name} must be two numbers above 0 in ascending order, got {(low, high)}")
        return self


class TrainSettings(Settings):
    """How the network is fitted."""

    network: str = Field(default="baseline_cnn", description="Name in the registry of networks.")
    initial_weights: Literal["auto", "random"] = Field(
        default="auto", description="auto: weights learnt on ImageNet for networks that have them, else random."
    )
    epochs: int = Field(default=15, ge=1, description="Passes over the training images.")
    batch_size: int = Field(default=32, ge=1, description="Images in one optimisation step (in all, over all devices).")
    learning_rate: float = Field(default=1e-6, gt=0, description="Learning rate; the peak of it for one_cycle.")
    optimizer: Literal["adam", "adamw", "sgd"] = Field(default="adam", description="sgd has Nesterov momentum 0.9.")
    weight_decay: float = Field(default=0.0, ge=0, description="Decoupled for adamw; for weight matrices only.")
    schedule: Literal["constant", "cosine", "one_cycle"] = Field(
        default="constant", description="cosine: falls to zero; one_cycle: rises for a quarter of the steps first."
    )
    balance: Literal["none", "loss", "sampling"] = Field(
        default="loss",
        description="loss: weigh each class by the inverse of its frequency in train; sampling: draw each class "
        "equally often (several labels an image cannot be, and are weighed in the loss).",
    )
    teachers: int = Field(
        default=0,
        ge=0,
        le=20,
        description="Networks trained first, each with a seed of its own; the network then learns their mean answer to "
        "each augmented image in place of its label. 0: it learns the labels.",
    )
    backbone_rate: float = Field(
        default=1.0, ge=0, le=1, description="Learning rate of all but the last layer, as a share of the last one's."
    )
    first_size: float = Field(
        default=1.0,
        gt=0.2,
        le=1,
        description="Image size of the first epoch as a share of the whole, which the last third of the epochs has.",
    )
    monitor: Literal["val_loss", "val_auroc"] = Field(
        default="val_loss", description="What the best checkpoint and early stopping go by, on validation."
    )
    patience: int = Field(default=0, ge=0, description="Stop after so many epochs without improvement; 0: never.")
    precision: Literal["auto", "32-true", "16-mixed", "bf16-mixed"] = Field(
        default="auto",
        description="auto: mixed precision on a GPU or a CPU with bfloat16 arithmetic, else 32-bit.",
    )
    accelerator: Literal["auto", "cpu", "gpu", "mps"] = Field(default="auto", description="auto: a GPU if any.")
    devices: int = Field(default=0, ge=0, description="Number of devices; 0: all GPUs, or one CPU process.")
    threads: int = Field(default=0, ge=0, description="CPU threads for arithmetic; 0: one for each core.")


class EvaluateSettings(Settings):
    """How scores become evidence."""

    threshold: float | Literal["balanced", "youden", "cost"] | TargetRule = Field(
        default=0.5,
        description="Operating point for binary and multilabel answers: a probability in (0, 1), or chosen on "
        "validation. balanced or youden: the highest balanced accuracy, which is the highest Youden index; cost: the "
        "least expected cost; sensitivity:0.95 or specificity:0.9, binary alone: the threshold that just reaches it. "
        "Never chosen on test.",
    )
    cost_missed: float = Field(default=1.0, gt=0, description="For cost: what it costs to miss a positive image.")
    cost_alarm: float = Field(default=1.0, gt=0, description="For cost: what it costs to call a negative one positive.")
    cost_prevalence: float | None = Field(
        default=None, gt=0, lt=1, description="For cost: share of positive images in use; null: as on validation."
    )
    calibration: Literal["none", "temperature", "line", "beta", "isotonic", "auto"] = Field(
        default="none",
        description="How probabilities are moved to mean what they say, fitted on validation. temperature and line "
        "(Platt): along a line of the logits; beta: along a line of the logarithms of both; isotonic: along a rising "
        "line of straight pieces; auto: what has the least log loss on patients left out in turn. Multiclass knows "
        "none, temperature, line (as temperature) and auto.",
    )
    stress: int = Field(
        default=0,
        ge=0,
        le=20,
        description="Copies of each validation image under random corruptions. With the image itself, the calibration "
        "is fitted on them, and a balanced, youden or cost threshold chosen.",
    )
    mirror: bool = Field(
        default=False, description="Answer for the mean of the logits of an image and of its mirror image."
    )
    error_rate: float = Field(
        default=0.05,
        gt=0,
        lt=0.5,
        description="Stated rate of error of the answers that the model stands by: it refers an image where a class "
        "that it is not sure of cannot be ruled out at this rate (conformal prediction, each class by itself).",
    )
    refuse: float = Field(
        default=0.0,
        ge=0,
        lt=0.5,
        description="Share of images like those of validation that is refused as unlike the training images; 0: the "
        "model does not tell.",
    )
    subgroups: tuple[str, ...] = Field(
        default=(),
        description="Manifest columns whose groups are measured apart, or name_family for families of file names; none "
        "named: every column of 2 to 12 values, ages in bands, else name_family.",
    )
    resamples: int = Field(default=1000, ge=100, le=100_000, description="Bootstrap resamples for the intervals.")
    confidence: float = Field(default=0.95, gt=0.5, lt=1, description="Confidence level of the intervals.")
    margin: float = Field(
        default=0.05,
        gt=0,
        lt=0.5,
        description="Half width of an interval that a claim can stand; where that of sensitivity, specificity or AUROC "
        "is larger, it is said how many more patients are needed.",
    )
    prevalence: tuple[Share, ...] = Field(
        default=(0.05, 0.2, 0.5), description="Shares of positive images to say PPV and NPV for; binary alone."
    )

    @field_validator("prevalence", mode="before")
    @classmethod
    def _one_prevalence_is_a_list_too(cls, value: object) -> object:
        return (value,) if isinstance(value, int | float) else value

    @model_validator(mode="after")
    def _threshold_is_a_probability(self) -> Self:
        if isinstance(self.threshold, float) and not 0 < self.threshold < 1:
            raise ValueError(f"threshold must lie between 0 and 1, got {self.threshold}")
        return self


class RunSettings(Settings):
    """A whole run: the resolved form of it is written into the run folder as ``config.yaml``."""

    preset: str = Field(default="fast", description="The preset that the other values started from.")
    seed: int = Field(default=0, ge=0, lt=2**31, description="Every random choice of the run follows from it.")
    data: DataSettings = Field(default_factory=DataSettings)
    preprocessing: Preprocessing = Field(default_factory=Preprocessing)
    augment: AugmentSettings = Field(default_factory=AugmentSettings)
    train: TrainSettings = Field(default_factory=TrainSettings)
    evaluate: EvaluateSettings = Field(default_factory=EvaluateSettings)


def resolve(
    preset: str | None = None,
    file: Path | None = None,
    assignments: tuple[str, ...] = (),
    **overrides: Any,
) -> RunSettings:
    """Put the settings of a run together; later sources win: preset, file, overrides, assignments.

    Args:
        preset: name of a preset; none: the one the file names, else ``fast``.
        file: YAML with the same nesting as :class:`RunSettings`.
        assignments: ``section.key=value`` texts; the value is read as YAML.
        overrides: nested values by section; ``None`` values are left out.

    Raises:
        UsageError: naming every error found, not only the first.

    >>> resolve("baseline", assignments=("train.epochs=3",)).train.epochs
    3
    """
    values = _read_yaml(file) if file else {}
    chosen = preset or values.get("preset") or "fast"
    if not isinstance(chosen, str) or chosen not in presets():
        raise UsageError(f"Unknown preset {chosen!r}. {did_you_mean(str(chosen), presets())}")
    errors: list[str] = []
    merged = _merge(_merge(presets()[chosen], values), _without_none(overrides))
    for text in assignments:
        try:
            merged = _merge(merged, _parse_assignment(text))
        except UsageError as error:
            errors.append(str(error))
    merged["preset"] = chosen
    try:
        settings = RunSettings.model_validate(merged)
    except ValidationError as error:
        errors.extend(_explain(error, file))
    if errors:
        listed = "\n".join(f"  - {line}" for line in errors)
        raise UsageError(f"{len(errors)} setting(s) cannot be used:\n{listed}")
    return settings


def to_yaml(settings: BaseModel) -> str:
    """The settings as YAML, in the order in which the fields are declared."""
    return yaml.safe_dump(settings.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


def _read_yaml(file: Path) -> dict[str, Any]:
    try:
        values = yaml.safe_load(Path(file).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UsageError(f"The settings file {file} does not exist.") from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UsageError(f"The settings file {file} cannot be read as YAML: {error}") from error
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise UsageError(
            f"The settings file {file} holds a {type(values).__name__}; expected sections such as 'train:'."
        )
    return values


def _merge(base: dict[str, Any], extra: dict[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in extra.items():
        if isinstance(value, dict) and isinstance(merged.get(key), dict):
            merged[key] = _merge(merged[key], value)
        else:
            merged[key] = value
    return merged


def _without_none(values: dict[str, Any]) -> dict[str, Any]:
    pruned = {key: _without_none(value) if isinstance(value, dict) else value for key, value in values.items()}
    return {key: value for key, value in pruned.items() if value is not None}


def _parse_assignment(text: str) -> dict[str, Any]:
    key, separator, value = text.partition("=")
    if not separator or not key.strip():
        raise UsageError(f"--set {text!r}: expected key=value, such as train.epochs=20")
    if key.strip() == "preset":
        raise UsageError(f"--set {text!r}: a preset is chosen with --preset, since other settings start from it")
    try:
        parsed = yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise UsageError(f"--set {text!r}: the value is no YAML ({error})") from error
    # YAML 1.1 reads 1e-3 as a text; the field it is for makes a number of it, where it takes one.
    for part in reversed(key.strip().split(".")):
        parsed = {part: parsed}
    return dict(parsed)


def _explain(error: ValidationError, file: Path | None) -> list[str]:
    """One line for each setting in error, with where it was, what was received and what was expected."""
    messages: dict[str, list[str]] = {}
    received = {}
    for item in error.errors():
        path = [str(part) for part in item["loc"]]
        if item["type"] == "extra_forbidden":
            section = _section(RunSettings, path[:-1])
            hint = did_you_mean(path[-1], section.model_fields) if section else ""
            messages.setdefault(".".join(path), []).append(f"no such setting. {hint}".strip())
            continue
        where = _setting(path)
        messages.setdefault(where, []).append(item["msg"].removeprefix("Value error, "))
        received[where] = "" if item["type"] == "value_error" else f" (received {item['input']!r})"
    lines = [f"{where}: {', or: '.join(found)}{received.get(where, '')}" for where, found in messages.items()]
    if file:
        lines = [f"{line} [{file}]" if index == 0 else line for index, line in enumerate(lines)]
    return lines


def _setting(path: list[str]) -> str:
    """The setting's name; where several types are allowed, pydantic adds the one it tried, which is no part of it."""
    section: type[BaseModel] | None = RunSettings
    depth = 0
    while section is not None and depth < len(path):
        section = _section(section, [path[depth]])
        depth += 1
    return ".".join(path[:depth] + [part for part in path[depth:] if part.isdigit()])


def _section(model: type[BaseModel], path: list[str]) -> type[BaseModel] | None:
    for part in path:
        annotation = model.model_fields[part].annotation if part in model.model_fields else None
        if not (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
            return None
        model = annotation
    return model
