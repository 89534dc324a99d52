"""The recipe and its variants, as ``ablation.py`` measures them, and what its tables show."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from common import HERE

from radlens.config import RunSettings
from radlens.config.presets import presets

RESULTS = HERE / "results"
DATA = RESULTS / "ablation.csv"
PAGE = HERE.parent / "docs" / "explanation" / "recipe.md"
KEY = ["variant", "shift", "seed"]
# The recipe that the page's tables are of, that before the framing suite, and the one before it, which had what the
# code no longer has. A new one comes once it is measured as widely.
TODAY, BEFORE = "053cd7ab", "9b631141"
_BEST = presets()["best"]
RECIPE: dict[str, Any] = {
    "preprocessing": _BEST["preprocessing"],
    # That of the preset but for fewer hidden images: see the variant.
    "augment": presets()["fast"]["augment"],
    # A third of the preset's epochs.
    "train": {**_BEST["train"], "epochs": 10},
}
_UNCHANGED_GREY = {"brightness": 0.0, "contrast": 0.0, "gamma": (1.0, 1.0)}
_WEAK = {
    **{"rotation": 10.0, "zoom": (0.9, 1.3), "crop": (1.0, 1.0), "shift": 0.08},
    **{"brightness": 0.15, "contrast": 0.3, "gamma": (1.0, 1.0), "degrade": 0.0},
}
# Columns of ways to calibrate, to choose a threshold and to abstain, by how they begin, and which is the worst.
CHOICES = {"ece ": "max", "log loss ": "max", "balanced ": "min", "referred ": "max", "answered wrongly ": "max"}
# What could be asked in place of the network that is kept, for each recipe: the one before kept the epoch of the least
# validation loss.
SHIFTED = {
    TODAY: {"auroc_shifted": "AUROC", "auroc_shifted_mirrored": "AUROC, mean over image and mirror image"},
    BEFORE: {
        "auroc_shifted": "AUROC of the epoch of the least validation loss",
        "auroc_shifted_last": "AUROC of the last epoch",
    },
}


def _square(side: int) -> dict[str, Any]:
    return {"preprocessing": {"height": side, "width": side}}


VARIANTS: dict[str, dict[str, dict[str, Any]]] = {
    "recipe": {},
    "weak augmentation": {"augment": _WEAK},
    "no strong crop": {"augment": {"crop": (1.0, 1.0), "zoom": (0.9, 1.3), "shift": 0.08}},
    "no rotation": {"augment": {"rotation": 0.0}},
    "no mirror images": {"augment": {"flip_horizontal": 0.0}},
    "no brightness, contrast, gamma": {"augment": _UNCHANGED_GREY},
    "no brightness": {"augment": {"brightness": 0.0}},
    "no contrast": {"augment": {"contrast": 0.0}},
    "no gamma": {"augment": {"gamma": (1.0, 1.0)}},
    "no blur, resolution, JPEG, noise": {"augment": {"degrade": 0.0}},
    "twice as often blur, resolution, JPEG, noise": {"augment": {"degrade": 0.6}},
    "no blur": {"augment": {"blur": 0.0}},
    "no lower resolution": {"augment": {"resolution": 1.0}},
    "no JPEG": {"augment": {"jpeg": 100}},
    "no noise": {"augment": {"noise": 0.0}},
    "128 pixels": _square(128),
    "192 pixels": _square(192),
    "224 pixels": _square(224),
    "half the epochs": {"train": {"epochs": 5}},
    "half as many epochs more": {"train": {"epochs": 15}},
    "twice the epochs": {"train": {"epochs": 20}},
    "small images first": {"train": {"progressive_resizing": 0.6}},
    "balanced loss": {"train": {"balance": "loss"}},
    "no balance": {"train": {"balance": "none"}},
    "backbone at a fifth of the rate": {"train": {"backbone_rate": 0.2}},
    "a third of the rate": {"train": {"learning_rate": 5e-4}},
    "twice the rate": {"train": {"learning_rate": 3e-3}},
    "no weight decay": {"train": {"weight_decay": 0.0}},
    "batches of 64": {"train": {"batch_size": 64}},
    "random initial weights": {"train": {"initial_weights": "random"}},
    "no frames": {"augment": {"frame": 0.0}},
    "no hidden anatomy": {"augment": {"hide": 0.0}},
    "more hidden anatomy": {"augment": _BEST["augment"]},
    "no frames, no hidden anatomy": {"augment": {"frame": 0.0, "hide": 0.0}},
    "EfficientNet-Lite1": {"train": {"network": "efficientnet_lite1"}},
    "EfficientNet-Lite2": {"train": {"network": "efficientnet_lite2"}},
}
COVERED = (
    *("recipe", "weak augmentation", "no frames", "no hidden anatomy", "more hidden anatomy"),
    "no frames, no hidden anatomy",
)
FIGURES = {
    "auroc": "AUROC, like training",
    "auroc_shifted": "AUROC, left out",
    "auroc_corrupted": "AUROC, corrupted",
    "specificity_shifted": "specificity, left out",
    "sensitivity_shifted": "sensitivity, left out",
    "balanced_shifted": "balanced accuracy, left out",
}
COVERED_FIGURES = {
    "auroc": "AUROC, like training",
    "auroc_shifted": "AUROC, left out",
    "balanced_shifted": "balanced accuracy, left out",
    "auroc_corrupted": "AUROC, corrupted",
    "balanced_framed": "balanced accuracy, black frame of 15 %",
    "auroc_border": "AUROC, border of 10 % alone",
    "log_loss_border": "log loss, border of 10 % alone",
}


def recipe_id() -> str:
    """Tells the rows of this recipe from those of another."""
    return hashlib.sha256(json.dumps(RECIPE, sort_keys=True).encode()).hexdigest()[:8]


def settings_of(variant: Mapping[str, Mapping[str, Any]], seed: int, threads: int = 0) -> RunSettings:
    """The recipe with the variant's values in place of its own."""
    values = {section: {**values, **variant.get(section, {})} for section, values in RECIPE.items()}
    return RunSettings.model_validate({**values, "train": {**values["train"], "threads": threads}, "seed": seed})
