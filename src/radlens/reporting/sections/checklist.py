"""Reporting checklists, filled in with what the run knows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import yaml

from radlens.assessment.framing_words import verdict_in_words
from radlens.reporting.checklists import CLAIM, TRIPOD_AI, Checklist
from radlens.reporting.content import ReportContent
from radlens.reporting.figures.style import SPLIT_NAMES
from radlens.reporting.sections.decision import shortfalls
from radlens.reporting.wording import SHARES, estimate, headline, images
from radlens.reporting.wording import errors as wrong_answers


@dataclass(frozen=True)
class Answer:
    """What the run knows of an item, and the section of the report that says more."""

    text: str
    section: str
    anchor: str


@dataclass(frozen=True)
class FilledList:
    """A checklist as it is shown: for each item its number, its topic and the answer; None: for the author to write."""

    name: str
    title: str
    source: str
    rows: tuple[tuple[str, str, Answer | None], ...]

    @property
    def filled(self) -> int:
        """Items that have an answer."""
        return sum(answer is not None for _, _, answer in self.rows)


def checklists(content: ReportContent) -> tuple[FilledList, ...]:
    """Both checklists, filled as far as the run knows."""
    known = {name: Answer(text, *_SECTIONS[place]) for name, place, text in _facts(content)}
    return tuple(_fill(checklist, known) for checklist in (TRIPOD_AI, CLAIM))


def _fill(checklist: Checklist, known: Mapping[str, Answer]) -> FilledList:
    rows = tuple((item.number, item.topic, known.get(item.fact)) for item in checklist.items)
    return FilledList(checklist.name, checklist.title, checklist.source, rows)


_SECTIONS = {
    "summary": ("Summary", "summary"),
    "audit": ("Data audit", "audit"),
    "data": ("Data", "data"),
    "training": ("Training", "training"),
    "performance": ("Performance", "performance"),
    "framing": ("Framing", "framing"),
    "abstention": ("Abstention", "abstention"),
    "subgroups": ("Groups", "subgroups"),
    "errors": ("Errors", "errors"),
    "limits": ("Limits", "limits"),
    "provenance": ("Provenance", "provenance"),
}

# Names of columns, in lower case, that tell of places and of people.
SITE_COLUMNS = ("site", "hospital", "center", "centre", "institution")
PEOPLE_COLUMNS = ("sex", "gender", "age", "age_years", "age_band", "ethnicity", "race")

Fact = tuple[str, str, str]


def _facts(content: ReportContent) -> Iterator[Fact]:
    """Key of the fact, section that says more, and the fact; only what the content knows."""
    yield from _data(content)
    yield from _model(content)
    yield from _measured(content)


def _data(content: ReportContent) -> Iterator[Fact]:
    info, table, audit = content.info, content.manifest, content.audit
    source = f": {info.source}" if info.source not in ("", info.name) else ""
    yield "source", "data", f"{info.name}{source}."
    if info.licence:
        yield "licence", "data", f"Licence of the images: {info.licence}."
    sites = next((name for name in table.columns if str(name).casefold() in SITE_COLUMNS), None)
    if sites is not None:
        count = f"{table[sites].nunique():,}"
        yield "sites", "data", f"{count} by the column {sites}; what and where they are is to be added."
    labels = ", ".join(info.classes)
    yield "outcome", "data", f"Labels as the data set gives them: {labels}; how they were made is to be added."
    sizes = {split: group for split, group in table.groupby("split") if split}
    parts = "; ".join(
        f"{SPLIT_NAMES.get(str(split), str(split))} {images(len(group))} of {group['patient'].nunique():,} patients"
        for split, group in sizes.items()
    )
    yield "flow", "data", f"{parts or images(len(table))}. {_left_out(content)}"
    if audit is None:
        return
    if audit.opened:
        yield "preparation", "audit", "Files, copies, labels and shortcuts were checked before use."
        yield "missing", "audit", _left_out(content)
    if any(finding.check == "class_imbalance" for finding in audit.findings):
        balanced = "; train.balance in the settings says what was done about it" if content.history is not None else ""
        yield "imbalance", "audit", f"The classes are of unequal size{balanced}."
    if len(audit.split_images) > 1:
        if audit.drift:
            yield "drift", "audit", f"{len(audit.drift):,} comparisons of facts of the images between splits."
        leaking = any(finding.check == "leak" for finding in audit.findings)
        unknown = any(finding.check == "patients_unknown" for finding in audit.findings)
        if not leaking:
            level = "Patients, as far as they are known" if unknown else "Patients"
            yield "disjoint", "audit", f"{level}: none is in two splits."


def _left_out(content: ReportContent) -> str:
    if content.audit is None or not content.audit.opened:
        return "Which images cannot be read is not known."
    count = content.audit.unreadable
    return f"{images(count)} left out because unreadable." if count else "No image was left out as unreadable."


def _model(content: ReportContent) -> Iterator[Fact]:
    made = content.provenance
    loaded = yaml.safe_load(content.settings_yaml)
    settings = loaded if isinstance(loaded, dict) else {}
    shape = settings.get("preprocessing")
    if shape and made and made.origin != "outside":
        size = f"{shape['height']} × {shape['width']} pixels, {'grey' if shape['channels'] == 1 else 'colour'}"
        yield "input", "provenance", f"The image alone, brought to {size}; all steps are in the settings."
    if made and made.network:
        yield "network", "provenance", f"Deep learning: the network {made.network}."
    if made and made.model:
        yield "model", "provenance", f"{' and '.join(made.model)}, told by their hashes."
    if content.environment.get("radlens"):
        yield "code", "provenance", f"radlens {content.environment['radlens']}, with the packages that it stands on."
    if content.settings_yaml:
        yield "settings", "provenance", "All settings that had a part in the figures."
    if content.history is not None:
        best = "" if content.best_epoch is None else f"; the weights of epoch {content.best_epoch} were kept"
        yield "training", "training", f"{len(content.history)} epochs{best}; all settings are under Provenance."
        if content.best_epoch is not None:
            yield "selection", "training", f"Epoch {content.best_epoch}, by validation images."
        train = settings.get("train") or {}
        if "initial_weights" in train:
            weights = {"auto": "ImageNet weights where the network has them", "random": "random"}
            initial = weights.get(train["initial_weights"], train["initial_weights"])
            yield "initial", "provenance", f"train.initial_weights: {initial}; seed {settings.get('seed')}."
    if made and made.origin in ("run", "folds"):
        yield "partition", "data", _partition(content)
        judge = "one model" if made.origin == "run" else "each image is judged by the model of its fold alone"
        yield "ensemble", "provenance", f"None: {judge}."
    if made and made.origin in ("run", "model", "folds"):
        yield "predicted", "performance", "By the same steps from file to probability as in use."


def _partition(content: ReportContent) -> str:
    notes = [note for note in content.info.notes if "made from" in note or "split" in note]
    return " ".join(notes) or "The splits as the data set gives them."


def _measured(content: ReportContent) -> Iterator[Fact]:
    split, made = content.main_split, content.provenance
    block = content.metrics[split]
    yield "performance", "performance", headline(block, split)
    shown = (("sensitivity", "Sensitivity"), ("specificity", "specificity"), ("auroc", "AUROC"))
    confidence, measured = block.interval.confidence, block.metrics
    each = (f"{name} {estimate(measured[key], confidence, share=key in SHARES)}" for key, name in shown)
    yield "diagnostic", "performance", f"{', '.join(each)}."
    benefit = ", net benefit" if block.task == "binary" else ""
    yield "metrics", "performance", f"Discrimination, calibration, Brier score{benefit}."
    methods = "; ".join(block.interval.methods)
    yield "uncertainty", "performance", f"{confidence:.0%} intervals by patients: {methods}."
    point = "the largest is the answer" if block.threshold is None else f"operating point {block.threshold:.3g}"
    yield "output", "performance", f"A probability for each class; {point}."
    if block.sample_size is not None:
        margin = f"±{100 * block.sample_size.margin:.3g} points"
        short = "too few" if shortfalls(block) else "enough"
        known = f"{block.n_patients:,} patients, {short} to know the figures to within {margin}."
        yield "sample_size", "summary", known
    if content.subgroups is not None and not content.subgroups.empty:
        names = [str(name) for name in content.subgroups["column"].unique()]
        for key, columns in (("clusters", SITE_COLUMNS), ("people", PEOPLE_COLUMNS)):
            matching = [name for name in names if name.casefold() in columns]
            if matching:
                yield key, "subgroups", f"Figures by {', '.join(matching)}."
    evidence = block.framing
    if evidence is not None:
        changes = f"{len(evidence.changes)} changes of framing on {images(evidence.images)}"
        yield "robustness", "framing", f"{changes}: {evidence.verdict}. {verdict_in_words(evidence.summary)}"
    if block.abstention is not None:
        yield "abstention", "abstention", "Images unlike those of training are refused, doubtful ones referred."
    yield "errors", "errors", f"{wrong_answers(block)} The missed findings are shown first."
    if content.paint_map is not None:
        yield "maps", "errors", "Where the model looks, over each wrong answer; how that was validated is to be added."
    if made and made.origin in ("run", "folds") and split == "test":
        yield "internal", "performance", f"{images(block.n)} of the same data set, held back."
        yield "external", "limits", "None in this run."
    yield "limits", "limits", "What this run knows of its limits; others are to be added."
