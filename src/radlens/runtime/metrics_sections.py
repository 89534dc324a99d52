"""The sections of ``metrics.json``, each as the record that it is written as."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from radlens.runtime.record_base import Figure, Record

Claim = Literal["sensitivity", "specificity", "auroc"]


class Metric(Figure):
    """A figure with the name of the method that made its interval."""

    method: str | None = Field(default=None, description="Of the interval; null where there is none.")
    reason: str | None = Field(
        default=None, description="Why figure or interval is not defined, or says little; left out where neither is so."
    )


class HasMetrics(Record):
    """A record with metrics among its fields."""

    @property
    def metrics(self) -> dict[str, Metric]:
        """Those that are there, by name, in the order of the file."""
        return {name: value for name, value in self if isinstance(value, Metric)}


class ClassMetrics(HasMetrics):
    """One class against the rest, or one label; accuracy, Brier score and calibration error are of labels alone."""

    n: int = Field(ge=0, description="Images.")
    n_positive: int = Field(ge=0, description="Images that are of the class or have the label.")
    confusion_matrix: tuple[tuple[int, int], tuple[int, int]] | None = Field(
        default=None, description="Multilabel only: [[tn, fp], [fn, tp]]."
    )
    accuracy: Metric | None = None
    sensitivity: Metric
    specificity: Metric
    precision: Metric
    f1: Metric
    auroc: Metric
    average_precision: Metric
    brier: Metric | None = None
    ece: Metric | None = None


class AbstentionCounts(Record):
    """What a model that may abstain answers, refers to a person and refuses."""

    n_answered: int = Field(ge=0, description="Images that it answers.")
    n_referred: int = Field(ge=0, description="Images that it refers to a person.")
    n_refused: int = Field(ge=0, description="Images that it refuses, because they are unlike those of training.")
    errors: int = Field(ge=0, description="Wrong answers at the operating point, had it answered all.")
    errors_avoided: int = Field(ge=0, description="Of these, those on images that were referred or refused.")
    alpha: float | None = Field(
        default=None, description="The stated rate of error of the model; null where several models or none answered."
    )
    alpha_rule: Literal["stated", "cost", "images"] | None = Field(
        default=None, description="How it was chosen, as in config.json, which also holds what was weighed."
    )
    answered: Figure = Field(description="Share answered.")
    referred: Figure = Field(description="Share referred.")
    refused: Figure = Field(description="Share refused.")
    accuracy: Figure = Field(description="Share of the answers given that are right.")
    wrong: dict[str, Figure] | None = Field(
        default=None, description="By class, the share answered as another class; not for multilabel."
    )
    definitions: dict[str, str] = Field(description="What each share means, in words.")


class ReliabilityBin(Record):
    """One of the bins of equally many images."""

    n: int = Field(ge=1, description="Images.")
    mean: float = Field(description="Mean probability.")
    observed: Metric = Field(description="Share of which it is so.")


class BrierParts(Record):
    """Brier score = reliability - resolution + uncertainty + within."""

    reliability: float = Field(description="Squared gap of probability and share; 0 is best.")
    resolution: float = Field(description="How far the bins' shares lie from the overall one; the more the better.")
    uncertainty: float = Field(description="What the shares of the classes alone make.")
    within: float = Field(description="What the probabilities of one bin differ among themselves.")
    reliability_corrected: float = Field(description="Less what chance adds to it.")
    resolution_corrected: float = Field(description="Less what chance adds to it.")


class CalibrationEvidence(HasMetrics):
    """Whether probabilities are to be taken at their word."""

    bins: tuple[ReliabilityBin, ...] = Field(description="The reliability diagram; empty bins are left out.")
    ece_corrected: Metric = Field(description="Calibration error with most of what chance adds to it taken off.")
    mce: Metric = Field(description="The largest gap of a bin.")
    brier_parts: BrierParts | None = Field(default=None, description="Binary only: what the Brier score is made of.")
    slope: Metric | None = Field(
        default=None, description="Binary only: of the truth on the logits; below 1 the probabilities are too sure."
    )
    intercept: Metric | None = Field(
        default=None, description="Binary only: calibration in the large; above 0 the probabilities are too low."
    )


class PatientsNeeded(Record):
    """How narrow an interval is, and how many patients it lacks."""

    half_width: float = Field(ge=0, description="Of the interval.")
    more_positive: int = Field(ge=0, description="Patients with positive images still missing.")
    more_negative: int = Field(ge=0, description="Patients with negative images still missing.")


class SampleSize(Record):
    """Whether there are patients enough for what is claimed."""

    margin: float = Field(gt=0, description="The half width of an interval that a claim can stand.")
    needed: dict[str, dict[Claim, PatientsNeeded]] = Field(
        description="By positive class, class or label: for each claim that is defined."
    )
    source: str = Field(description="Of the formulas.")


class PredictiveValues(Record):
    """How often an answer is right at another prevalence."""

    prevalence: float = Field(gt=0, lt=1, description="Share of positive images.")
    ppv: Metric = Field(description="Share of the images called positive that are.")
    npv: Metric = Field(description="Share of the images called negative that are.")
    flagged: float = Field(description="Share that would be called positive.")


class ThresholdRow(HasMetrics):
    """What the model would do at one threshold."""

    threshold: float = Field(description="Probability from which an image is called positive.")
    operating_point: bool = Field(description="Whether it is the operating point.")
    sensitivity: Metric
    specificity: Metric
    ppv: Metric = Field(description="Share of the images called positive that are.")
    npv: Metric = Field(description="Share of the images called negative that are.")
    flagged: Metric = Field(description="Share called positive.")


class DecisionCurve(Record):
    """Net benefit by the probability from which one acts, column by column, one number a step."""

    threshold: tuple[float, ...] = Field(description="Probability from which one acts.")
    net_benefit: tuple[float, ...] = Field(description="Of acting on the model.")
    low: tuple[float, ...] = Field(description="Lower limit of the net benefit.")
    high: tuple[float, ...] = Field(description="Upper limit of the net benefit.")
    treat_all: tuple[float, ...] = Field(description="Net benefit of acting on everyone.")
    gain: tuple[float, ...] = Field(description="What the model has over the better of acting on all and on no one.")
    gain_low: tuple[float, ...] = Field(description="Lower limit of the gain.")
    gain_high: tuple[float, ...] = Field(description="Upper limit of the gain.")
    method: str = Field(description="Of the intervals.")


class Intervals(Record):
    """How the intervals were made."""

    method: str = Field(description="What holds for all of them.")
    methods: dict[str, str] = Field(default_factory=dict, description="Each method that occurs, explained.")
    confidence: float = Field(gt=0, lt=1, description="Such as 0.95.")
    resamples: int = Field(ge=1, description="Of the bootstrap.")
    seed: int = Field(description="Of its draws.")


class FoldFigures(Record):
    """A metric in the folds of a cross-validation."""

    mean: float = Field(description="Of the folds.")
    sd: float = Field(ge=0, description="Standard deviation between the folds.")
    folds: tuple[float, ...] = Field(description="Value in each fold.")
