"""The items of TRIPOD+AI and of CLAIM 2024, each with the fact that answers it where a run knows one.

The topics are abridged and in words of our own; the statements themselves say what to report.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Item:
    """One item.

    Attributes:
        number: as the statement counts.
        topic: what it asks for, abridged.
        fact: the key of what answers it; see :mod:`radlens.reporting.sections.checklist`. Empty: no run knows.
    """

    number: str
    topic: str
    fact: str = ""


@dataclass(frozen=True)
class Checklist:
    """A reporting guideline."""

    name: str
    title: str
    source: str
    items: tuple[Item, ...]


TRIPOD_AI = Checklist(
    "TRIPOD+AI",
    "For studies that develop or evaluate a prediction model",
    "Collins et al. 2024, doi:10.1136/bmj-2023-078378",
    (
        Item("1", "Title: development or evaluation, of what outcome in whom"),
        Item("2", "Abstract, by the checklist for abstracts"),
        Item("3a", "Health care context and reasons for the model"),
        Item("3b", "Target population, intended purpose and users"),
        Item("3c", "Known inequalities in health between groups"),
        Item("4", "Objectives"),
        Item("5a", "Sources of data, for development and evaluation", "source"),
        Item("5b", "Dates of the data"),
        Item("6a", "Setting, number and places of centres", "sites"),
        Item("6b", "Who was eligible"),
        Item("6c", "Treatments received"),
        Item("7", "Preparation of the data and quality checks", "preparation"),
        Item("8a", "Outcome: what, when and how it was told", "outcome"),
        Item("8b", "Who told the outcome"),
        Item("8c", "Blinding of those who told the outcome"),
        Item("9a", "Choice of the predictors", "input"),
        Item("9b", "Definition of the predictors", "input"),
        Item("9c", "Who judged the predictors, where that takes judgement"),
        Item("10", "Sample size", "sample_size"),
        Item("11", "Missing data", "missing"),
        Item("12a", "How the data were used and split", "partition"),
        Item("12b", "How the predictors were handled", "input"),
        Item("12c", "Type of model, how it was built and chosen", "training"),
        Item("12d", "Differences between clusters such as hospitals", "clusters"),
        Item("12e", "Measures of performance", "metrics"),
        Item("12f", "Updating of the model after evaluation"),
        Item("12g", "How predictions were calculated in evaluation", "predicted"),
        Item("13", "Unequal classes, and what was done about them", "imbalance"),
        Item("14", "Fairness, and what was done for it", "people"),
        Item("15", "Output of the model, and how thresholds were chosen", "output"),
        Item("16", "Differences between development and evaluation data", "drift"),
        Item("17", "Ethical approval and consent"),
        Item("18a", "Funding"),
        Item("18b", "Conflicts of interest"),
        Item("18c", "Protocol"),
        Item("18d", "Registration"),
        Item("18e", "Availability of the data", "licence"),
        Item("18f", "Availability of the code", "code"),
        Item("19", "Involvement of patients and the public"),
        Item("20a", "Flow of participants, with and without the outcome", "flow"),
        Item("20b", "Characteristics of the participants", "people"),
        Item("20c", "Comparison with the development data", "drift"),
        Item("21", "Participants and outcome events in each analysis", "flow"),
        Item("22", "The model itself, so that others can use it", "model"),
        Item("23a", "Performance with intervals, also in groups", "performance"),
        Item("23b", "Differences in performance between clusters", "clusters"),
        Item("24", "Results of updating the model"),
        Item("25", "Interpretation, fairness included"),
        Item("26", "Limitations", "limits"),
        Item("27a", "How poor or missing input is to be handled in use", "abstention"),
        Item("27b", "What users must do and know"),
        Item("27c", "Next steps in research"),
    ),
)

CLAIM = Checklist(
    "CLAIM 2024",
    "For studies of artificial intelligence in medical imaging",
    "Tejani et al. 2024, doi:10.1148/ryai.240300",
    (
        Item("1", "Named as a study of artificial intelligence, and of which kind", "network"),
        Item("2", "Abstract"),
        Item("3", "Background, intended use and role"),
        Item("4", "Aims and hypotheses"),
        Item("5", "Prospective or retrospective"),
        Item("6", "Goal of the study"),
        Item("7", "Sources of the data", "source"),
        Item("8", "Who and what was included and excluded"),
        Item("9", "Preprocessing", "input"),
        Item("10", "Selection of subsets of the data"),
        Item("11", "De-identification"),
        Item("12", "Missing data", "missing"),
        Item("13", "Protocol of image acquisition"),
        Item("14", "Reference standard: how it was obtained", "outcome"),
        Item("15", "Reasons for this reference standard"),
        Item("16", "Who annotated for the reference standard"),
        Item("17", "Annotation of the test set"),
        Item("18", "Agreement between and within readers"),
        Item("19", "How data were assigned to partitions", "partition"),
        Item("20", "Level at which partitions are disjoint", "disjoint"),
        Item("21", "Intended sample size", "sample_size"),
        Item("22", "Description of the model", "network"),
        Item("23", "Software with versions", "code"),
        Item("24", "Initial parameters of the model", "initial"),
        Item("25", "How the model was trained", "training"),
        Item("26", "How the final model was selected", "selection"),
        Item("27", "Ensembles", "ensemble"),
        Item("28", "Measures of performance", "metrics"),
        Item("29", "Significance and uncertainty", "uncertainty"),
        Item("30", "Robustness or sensitivity analysis", "robustness"),
        Item("31", "Methods that explain the answers, and how they were validated", "maps"),
        Item("32", "Evaluation on internal data", "internal"),
        Item("33", "Testing on external data", "external"),
        Item("34", "Registration of a clinical trial"),
        Item("35", "Numbers included and excluded", "flow"),
        Item("36", "Demographic and clinical characteristics in each partition", "people"),
        Item("37", "Performance and its uncertainty", "performance"),
        Item("38", "Diagnostic performance and its precision", "diagnostic"),
        Item("39", "Analysis of the wrong answers", "errors"),
        Item("40", "Limitations", "limits"),
        Item("41", "Implications for practice"),
        Item("42", "Protocol or further technical details", "settings"),
        Item("43", "Availability of software, model and data", "code"),
        Item("44", "Funding and its role"),
    ),
)
