"""The card says what the config says, in a header that the hub can read; nothing of it breaks out of its place."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from radlens.decision import OperatingPoint
from radlens.delivery.card import MARK, model_card
from radlens.imaging.preprocess import Preprocessing
from radlens.runtime.framing_records import Estimate
from radlens.runtime.model_config import ModelConfig
from radlens.runtime.record_base import Figure
from radlens.runtime.records import FramingRecord, OnnxRecord, Parity, SplitMetrics, TrainingData, Variant

DATA = TrainingData(
    name="lungs of Ulm",
    licence="CC BY 4.0",
    citation="Doe 2020",
    images={"train": 1200, "val": 100, "test": 50},
    patients={"train": 900, "val": 80, "test": 40},
    classes={"normal": 700, "ill": 600},
    sha256="ab" * 32,
)
METRICS = {
    split: SplitMetrics(
        n=n,
        metrics={
            "auroc": Figure(value=0.9512, low=0.91, high=0.98),
            "precision": Figure(value=None),
            "ece": Figure(value=0.03),
        },
    )
    for split, n in (("val", 100), ("test", 50))
}
ONNX = OnnxRecord(
    opset=20,
    outputs=("probabilities", "logits", "embedding"),
    parity=Parity(images=200, source="100 of validation, 100 phantoms", largest_difference=2.3e-6, decisions_flipped=0),
    variants=(
        Variant(
            kind="int8",
            kept=False,
            reason="more than 0.2 % of the decisions change",
            images=100,
            source="validation",
            auroc=(0.9512, None),
            flipped=0.03,
            bytes=(4_000_000, 1_100_000),
            milliseconds=(5.0, 2.5),
        ),
    ),
)


FRAMING = FramingRecord(
    split="val",
    images=160,
    patients=120,
    confidence=0.95,
    verdict="fail",
    worst="top and bottom 15 %",
    worst_balanced_accuracy=Estimate(value=0.517, low=0.45, high=0.58),
    balanced_accuracy=0.987,
    loss=Estimate(value=0.47, low=0.35, high=0.59),
    losing=("top and bottom",),
)


def config(**changes: Any) -> ModelConfig:
    values: dict[str, Any] = {
        "radlens_version": "0.1.0",
        "task": "binary",
        "classes": ("normal", "ill"),
        "network": "small_resnet",
        "preprocessing": Preprocessing(height=64, width=48),
        "threshold": 0.3721,
        "calibration_slope": 1.25,
        "operating_points": {"sensitivity 0.95": 0.2},
        "seed": 3,
        "best_epoch": 7,
        "training_data": DATA,
        "metrics": METRICS,
        "onnx": ONNX,
        **changes,
    }
    return ModelConfig.model_validate(values)


def header_of(card: str) -> dict[str, Any]:
    _, header, _ = card.split("---\n", 2)
    return dict(yaml.safe_load(header))


def test_the_header_is_what_the_hub_reads() -> None:
    header = header_of(model_card(config()))
    assert header["license"] == "cc-by-4.0"
    assert header["library_name"] == "radlens"
    assert header["pipeline_tag"] == "image-classification"
    assert "onnx" in header["tags"]
    (model,) = header["model-index"]
    assert model["name"] == "small_resnet for lungs of Ulm"
    assert [result["dataset"]["split"] for result in model["results"]] == ["val", "test"]
    assert model["results"][1]["metrics"] == [{"type": "roc_auc", "value": 0.9512, "name": "auroc"}]
    own = header_of(model_card(config(training_data=DATA.model_copy(update={"licence": "my own"}))))
    assert own["license"] == "other"
    assert "model-index" not in header_of(model_card(config(metrics={}, onnx=None)))


def test_every_fact_is_in_it() -> None:
    card = model_card(config())
    for fact in (
        MARK,
        "not a medical device",
        "0.372",
        "logits times 1.250 plus 0.000",
        "sensitivity 0.95 | 0.2000",
        "epoch 7",
        "seed 3",
        "64 x 48 grey",
        "training: 1,200 images of 900 patients",
        "ab" * 32,
        "| validation | 100 | 0.951 (0.910, 0.980) | undefined | 0.030 |",
        "| internal test | 50 |",
        "within 2e-06 of PyTorch's, and 0 decisions differed",
        "Weights in int8 were tried on 100 images (validation) and dropped (more than 0.2 % of the decisions change): "
        "AUROC 0.9512 to undefined, 3.00% of the decisions changed, 4.0 to 1.1 MB, 5.0 to 2.5 ms",
    ):
        assert fact in card, fact


def test_the_card_says_how_the_operating_point_was_chosen() -> None:
    point = OperatingPoint("cost", 0.96, 0.93, 0.8, 0.71, 0.95, 40, 60, cost_missed=5.0, cost_alarm=1.0)
    target = replace(point, rule="sensitivity:0.95", sensitivity_low=0.9012)
    card = model_card(config(operating_point=point, operating_point_bounds={"sensitivity 0.95": target}))
    assert "the least expected cost of wrong answers, a missed finding costing 5 and a false alarm 1," in card
    assert "sensitivity is 96.0%, at least 93.0%; its specificity 80.0%, at least 71.0%" in card
    assert "| sensitivity 0.95 | 0.2000 | 90.1% | 71.0% |" in card
    assert "| sensitivity 0.95 | 0.2000 | not known | not known |" in model_card(config())


def test_the_card_says_how_the_rate_of_error_was_chosen() -> None:
    limits = {"alpha": 0.05, "alpha_rule": "stated", "least_probabilities": {"0.05": (0.2, 0.3)}}
    card = model_card(config(abstention=limits))
    assert "on validation images). The stated rate of error, 5%, is that of the settings." in card
    assert "The stated rate" not in model_card(config(abstention=limits | {"alpha_rule": None}))


def test_what_is_not_known_is_said_so_and_simulated_images_too() -> None:
    card = model_card(
        config(training_data=None, metrics={}, onnx=None, simulated=True, calibration_slope=1.0, operating_points={})
    )
    assert "None were computed" in card
    assert "simulated images, not of people" in card
    assert "not calibrated" in card
    assert "Not said." in card
    assert "model.onnx" not in card
    several = model_card(config(task="multiclass", classes=("a", "b", "c"), flip_tta=True))
    assert "most probable class" in several
    assert "mirror image" in several


@given(st.text(max_size=40), st.text(min_size=1, max_size=20), st.text(min_size=1, max_size=20))
@example("\x85", "0", "1")
@example("\u2028", "0", "\u2029")
@example("stretched <script>", "0", "1")
def test_no_text_of_the_data_breaks_out_of_its_place(name: str, first: str, second: str) -> None:
    if first == second:
        return
    data = DATA.model_copy(update={"name": name, "source": name, "citation": f"<script>{name}</script>"})
    framing = FRAMING.model_copy(update={"worst": name, "losing": (second,)})
    card = model_card(config(classes=(first, second), training_data=data, trained_on=name, framing=framing))
    header = header_of(card)
    assert header["license"] == "cc-by-4.0"
    assert header["model-index"][0]["results"][0]["dataset"]["name"] == name
    body = card.split("---\n", 2)[2]
    assert "<script>" not in body.replace("\\<script", "")
    sections = [line for line in body.splitlines() if line.startswith("## ")]
    assert len(sections) == 8


def test_the_card_says_what_changes_the_models_mind() -> None:
    card = model_card(config(framing=FRAMING))
    section = card.partition("## What changes its mind")[2].partition("\n## ")[0]
    assert "**Fail.**" in section
    assert "15 % cut off at top and bottom" in section
    assert "0.987 on the images as they are and 0.517 (0.450, 0.580)" in section
    assert "validation images (160 of 120 patients)" in section
    assert "augment.sides" in section


def test_a_card_without_that_evidence_says_so() -> None:
    assert "was not measured when this folder was written" in model_card(config())
