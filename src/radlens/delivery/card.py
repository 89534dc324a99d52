"""The model card: ``README.md`` of a model folder, written from what ``config.json`` says and from nothing else."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from radlens.assessment.alpha_words import alpha_in_words
from radlens.assessment.framing_words import advice, change_in_words, verdict_in_words
from radlens.assessment.operating_words import bound, bounds_in_words, rule_in_words
from radlens.base.yaml_text import dump_yaml
from radlens.imaging.depth import describe_depth
from radlens.runtime.model_config import ModelConfig
from radlens.runtime.record_base import Figure

# A card without it was written by someone, and is left as it is.
MARK = "<!-- Written by radlens from config.json; an edited card without this line is kept. -->"
_SPLITS = {"val": "validation", "test": "internal test", "train": "training"}
_SHOWN = ("auroc", "average_precision", "accuracy", "sensitivity", "specificity", "precision", "f1", "brier", "ece")
# What the hub calls them.
_HUB_METRICS = {
    "auroc": "roc_auc",
    "accuracy": "accuracy",
    "sensitivity": "recall",
    "precision": "precision",
    "f1": "f1",
}
_HUB_LICENCES = ("apache-2.0", "cc-by-4.0", "cc-by-sa-4.0", "cc-by-nc-4.0", "cc-by-nc-sa-4.0", "cc0-1.0", "mit")
_LIMITS = (
    "Other hospitals, equipment, age groups and countries than those of the training images: expect it to do worse "
    "there, and to seem as sure. Evaluate it on labelled images of your own first: `radlens evaluate MODEL SOURCE "
    "--out DIR`.",
    "A network may lean on what goes with the label by chance, such as position, exposure or markers. The audit of the "
    "training run looks for such shortcuts, and does not find all.",
    "Predictive values follow from how frequent the disease is, which differs from place to place.",
)


def model_card(config: ModelConfig) -> str:
    """The card, in Markdown with the hub's YAML header (Mitchell et al. 2019, doi:10.1145/3287560.3287596)."""
    header = dump_yaml(_header(config), width=110)
    sections = {
        "Model": _model(config),
        "Intended use": _intended_use(config),
        "Training data": _data(config),
        "Decisions": _decisions(config),
        "Figures": _figures(config),
        "What changes its mind": _framing(config),
        "Limits": "\n".join(f"- {limit}" for limit in _LIMITS),
        "Files": _files(config),
    }
    body = "\n".join(f"## {name}\n\n{text}\n" for name, text in sections.items())
    return f"---\n{header}---\n\n{MARK}\n\n# {_text(_title(config))}\n\n{_summary(config)}\n\n{body}"


def _title(config: ModelConfig) -> str:
    return f"{config.network} for {config.training_data.name}" if config.training_data else config.network


def _header(config: ModelConfig) -> dict[str, Any]:
    data = config.training_data
    licence = re.sub(r"[\s_]+", "-", (data.licence if data else "").strip().lower())
    results = [
        {
            "task": {"type": "image-classification"},
            "dataset": {"name": data.name if data else "unknown", "type": "image-folder", "split": split},
            "metrics": [
                {"type": hub, "value": round(block.metrics[name].value or 0, 4), "name": name}
                for name, hub in _HUB_METRICS.items()
                if name in block.metrics and block.metrics[name].value is not None
            ],
        }
        for split, block in config.metrics.items()
    ]
    return {
        "license": licence if licence in _HUB_LICENCES else "other",
        "library_name": "radlens",
        "pipeline_tag": "image-classification",
        "tags": ["radlens", "medical-imaging", "image-classification", *(["onnx"] if config.onnx else [])],
        "metrics": list(_HUB_METRICS.values()),
        **({"model-index": [{"name": _title(config), "results": results}]} if results else {}),
    }


def _summary(config: ModelConfig) -> str:
    simulated = (
        "\n\n**Trained on simulated images, not of people.** Its figures say nothing of real ones."
        if config.simulated
        else ""
    )
    return (
        f"A {config.task} classifier of images: {', '.join(map(_text, config.classes))}. For research and education. "
        f"**It is not a medical device and may not be used to decide about a patient.**{simulated}"
    )


def _model(config: ModelConfig) -> str:
    contract = config.preprocessing
    colour = "grey" if contract.channels == 1 else "colour"
    one_scale = not isinstance(contract.depth, str)
    depth = f" Values of an undeclared depth: {describe_depth(contract.depth)}." if one_scale else ""
    flip_tta = " The answer is the mean of those to an image and to its mirror image." if config.flip_tta else ""
    return (
        f"{_text(config.network)}, trained by radlens {_text(config.radlens_version)} with seed {config.seed}; the "
        f"weights are those of epoch {config.best_epoch}, the best on validation. It sees {contract.height} x "
        f"{contract.width} {colour} pixels ({contract.fit}, {contract.resample}), scaled from {contract.low:g} to "
        f"{contract.high:g}.{flip_tta}{depth}"
    )


def _intended_use(config: ModelConfig) -> str:
    return (
        "Teaching, method development, and a start for a model of one's own, on images like those that it was trained "
        f"on: see below. It knows {_and(map(_text, config.classes))}, and nothing else: an image of anything else gets "
        "one of these answers too, which means nothing."
    )


def _data(config: ModelConfig) -> str:
    data = config.training_data
    if data is None:
        return _text(config.trained_on) or "Not said."
    said = [_text(text) for text in (data.source, data.licence, data.citation) if text]
    counts = [
        f"{_SPLITS.get(split, split)}: {images:,} images of {data.patients.get(split, 0):,} patients"
        for split, images in data.images.items()
    ]
    classes = [f"{_text(name)} {count:,}" for name, count in data.classes.items()]
    return (
        f"{_text(data.name)}{' (' + '; '.join(said) + ')' if said else ''}. Split by patient: {'; '.join(counts)}. "
        f"Images by class, in training and validation: {', '.join(classes)}. The hashes of their contents have the "
        f"SHA-256 `{data.sha256}`."
    )


def _decisions(config: ModelConfig) -> str:
    if config.task == "multiclass":
        rule = "The most probable class is answered."
    else:
        rule = f"The operating point is a probability of {config.threshold:.3f}, chosen without test images."
    point = config.operating_point
    if point is not None:
        known = _text(bounds_in_words(point, config.task, config.classes))
        rule = f"{rule} {_text(rule_in_words(point, config.task))} {known}"
    return f"{_calibrated(config)} {rule}{_other_points(config)}{_abstaining(config)}"


def _other_points(config: ModelConfig) -> str:
    """The thresholds for stated targets, with what each does at least where that is known."""
    if not config.operating_points:
        return ""
    lines = ["\n\n| for | threshold | sensitivity at least | specificity at least |", "|---|---|---|---|"]
    for name, value in config.operating_points.items():
        known = config.operating_point_bounds.get(name)
        low = (bound(known.sensitivity_low), bound(known.specificity_low)) if known else ("not known", "not known")
        lines.append(f"| {_text(name)} | {value:.4f} | {' | '.join(low)} |")
    return "\n".join(lines)


def _calibrated(config: ModelConfig) -> str:
    calibration = config.calibration
    if (calibration.kind in ("none", "temperature", "platt")) and (calibration.slope, calibration.offset) == (1, 0):
        return "Probabilities are not calibrated."
    if calibration.kind in ("temperature", "platt"):
        line = f"logits times {calibration.slope:.3f} plus {calibration.offset:.3f}"
    else:
        line = f"{calibration.kind} calibration"
    return f"Probabilities are calibrated: {line}, fitted on validation."


def _abstaining(config: ModelConfig) -> str:
    """When the model leaves a case to a person, in words."""
    limits, said = config.abstention, []
    if limits is None:
        return ""
    if limits.least is not None:
        least = ", ".join(f"{name} {value:.3f}" for name, value in zip(config.classes, limits.least, strict=True))
        said.append(
            f"At a stated rate of error of {limits.alpha:g} it answers a class only where that class alone stays "
            f"possible, which takes a probability of at least: {_text(least)}; all else it refers to a person "
            "(conformal prediction, class by class, on validation images). " + _text(alpha_in_words(limits))
        )
    if limits.distance is not None:
        said.append(
            f"It refuses images farther from its training images than all but {limits.ood_rate:.2%} of the "
            "validation images."
        )
    return "\n\n" + " ".join(part.strip() for part in said) if said else ""


def _figures(config: ModelConfig) -> str:
    if not config.metrics:
        return "None were computed when this folder was written."
    names = [name for name in _SHOWN if any(name in block.metrics for block in config.metrics.values())]
    lines = [f"| split | n | {' | '.join(names)} |", "|---" * (len(names) + 2) + "|"]
    for split, block in config.metrics.items():
        cells = " | ".join(_figure(block.metrics.get(name)) for name in names)
        lines.append(f"| {_SPLITS.get(split, split)} | {block.n:,} | {cells} |")
    return (
        "With intervals by resampling patients, at the operating point above. The operating point and the calibration "
        "were chosen on validation. An internal test is of the same source as the training images and says less than "
        "it seems.\n\n" + "\n".join(lines)
    )


def _framing(config: ModelConfig) -> str:
    """How the answers hang on the framing of images, which says nothing about the disease."""
    framing = config.framing
    if framing is None:
        return (
            "Whether the answers hang on how tightly the images are framed was not measured when this folder was "
            "written: `radlens evaluate MODEL SOURCE --out DIR` does."
        )
    of = f"{_SPLITS[framing.split]} images ({framing.images:,} of {framing.patients:,} patients)"
    worst = _figure(framing.worst_balanced_accuracy)
    loss = _figure(framing.loss).replace("-", "−")
    said = (
        f"**{framing.verdict.capitalize()}.** {_text(verdict_in_words(framing))}",
        f"It was asked about {of} that were cropped, stretched, reduced and shifted in ways that keep the label, at "
        "the operating point above. Balanced accuracy, the mean of the shares answered rightly in each class, is "
        f"{framing.balanced_accuracy:.3f} on the images as they are and {worst} under the worst change: "
        f"{_text(change_in_words(framing.worst))}. The loss is {loss}. In brackets: {framing.confidence:.0%} "
        "intervals, that of the loss for all changes together.",
        _text(advice(framing)),
    )
    return "\n\n".join(filter(None, said))


def _files(config: ModelConfig) -> str:
    lines = ["`model.safetensors` holds the weights, `config.json` all that is needed to use them rightly."]
    if config.onnx is not None:
        parity = config.onnx.parity
        before = " before its weights were rounded to 8 bits" if config.onnx.weights == "int8" else ""
        lines.append(
            f"`model.onnx` (weights in {config.onnx.weights}) goes from stored pixels to calibrated probabilities. On "
            f"{parity.images:,} images ({_text(parity.source)}) its probabilities were within "
            f"{parity.largest_difference:.1g} of PyTorch's{before}, and {parity.decisions_flipped} decisions differed. "
            "The figures above are PyTorch's."
        )
        for tried in config.onnx.variants:
            aurocs = " to ".join("undefined" if value is None else f"{value:.4f}" for value in tried.auroc)
            lines.append(
                f"Weights in {tried.kind} were tried on {tried.images:,} images ({_text(tried.source)}) and "
                f"{'kept' if tried.kept else 'dropped'} ({tried.reason}): AUROC {aurocs}, {tried.flipped:.2%} of the "
                f"decisions changed, {tried.bytes[0] / 1e6:.1f} to {tried.bytes[1] / 1e6:.1f} MB, "
                f"{tried.milliseconds[0]:.1f} to {tried.milliseconds[1]:.1f} ms for one image in one thread."
            )
    return "\n\n".join(lines)


def _figure(figure: Figure | None) -> str:
    if figure is None or figure.value is None:
        return "undefined"
    if figure.low is None or figure.high is None:
        return f"{figure.value:.3f}"
    return f"{figure.value:.3f} ({figure.low:.3f}, {figure.high:.3f})"


def _text(value: str) -> str:
    """On one line, and nothing in it that Markdown or HTML would take for its own."""
    return re.sub(r"([\\`*_{}\[\]<>#|])", r"\\\1", " ".join(value.split()))


def _and(words: Iterable[str]) -> str:
    *first, last = words
    return f"{', '.join(first)} and {last}" if first else last
