"""The presets: values that a run starts from, as nested values that differ from the fields' defaults."""

from __future__ import annotations

from typing import Any

# The notebook's values: scaling, rotation, zoom, flip; Adam at 1e-6, 15 epochs, batches of 32, 150 x 150 grey.
_BASELINE: dict[str, Any] = {
    "preprocessing": {"height": 150, "width": 150, "fit": "squash", "channels": 1},
    "augment": {"rotation": 20.0, "zoom": (0.8, 1.2), "flip_horizontal": 0.5},
    "train": {
        "network": "baseline_cnn",
        "epochs": 15,
        "batch_size": 32,
        "learning_rate": 1e-6,
        "optimizer": "adam",
        "schedule": "constant",
        "balance": "loss",
        "patience": 0,
    },
}

# Changes as other equipment and other hands make them, the framing first; docs/explanation/recipe.md says what they
# were found to give.
_ROBUST: dict[str, Any] = {
    "rotation": 15.0,
    "zoom": (1.0, 1.0),
    "crop": (0.25, 1.3),
    "stretch": 0.6,
    "margin": 0.5,
    "flip_horizontal": 0.5,
    "brightness": 0.2,
    "contrast": 0.4,
    "gamma": (0.67, 1.5),
    "degrade": 0.3,
    "blur": 1.2,
    "resolution": 0.4,
    "jpeg": 30,
    "noise": 0.08,
    "frame": 0.15,
    "hide": 0.08,
}

_FAST: dict[str, Any] = {
    # More to train on than by default; enough is left to choose and to judge by.
    "data": {"split": {"validation": 0.12, "test": 0.1}},
    "preprocessing": {"height": 128, "width": 128, "fit": "squash", "channels": 1, "low": -1.0, "high": 1.0},
    "augment": _ROBUST,
    "train": {
        "network": "efficientnet_lite0",
        "epochs": 6,
        "batch_size": 32,
        "learning_rate": 1.5e-3,
        "optimizer": "adamw",
        "weight_decay": 0.02,
        "schedule": "one_cycle",
        "balance": "sampling",
        "progressive_resizing": 0.6,
        "monitor": "last",
        "patience": 0,
    },
    "evaluate": {"threshold": "balanced", "calibration": "platt", "stress": 6, "ood_rate": 0.015},
}

_BEST: dict[str, Any] = {
    **_FAST,
    "preprocessing": {**_FAST["preprocessing"], "height": 160, "width": 160},
    # Thirty epochs have time for more images that teach nothing about the classes.
    "augment": {**_ROBUST, "stretch": 0.7, "hide": 0.12, "hide_border": (0.03, 0.2)},
    "train": {**_FAST["train"], "epochs": 30, "progressive_resizing": 1.0},
    "evaluate": {**_FAST["evaluate"], "flip_tta": True},
}


def presets() -> dict[str, dict[str, Any]]:
    """The presets by name, as nested values that differ from the fields' defaults."""
    return {"baseline": _BASELINE, "fast": _FAST, "best": _BEST}
