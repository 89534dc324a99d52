"""What the figures of a report do not say, told from what is known of this run and of nothing else."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from radlens.assessment.framing_words import verdict_in_words
from radlens.dataset.access_log import Access
from radlens.dataset.audit import Audit
from radlens.reporting.content import ReportContent
from radlens.reporting.figures.style import SPLIT_NAMES
from radlens.reporting.sections.audit_wording import check_name
from radlens.reporting.wording import FEW_PATIENTS, images, limits, number, value_of
from radlens.runtime.metrics_record import SplitRecord

# What a reader asks for first, by the names of columns that tell it.
_GROUPS = {
    "sex": ("sex", "gender"),
    "age": ("age", "age_years", "age_band"),
    "site": ("site", "hospital", "center", "centre", "institution"),
    "view": ("view", "projection", "view_position"),
}
_VIEWS = {
    "file": "the form and header of the file",
    "facts": "facts of the file and the grey levels",
    "thumbnail": "an 8 × 8 thumbnail",
    "border": "the border of the picture",
    "framing": "how tightly the chest is framed",
}
_IN_TEXT = {"sensitivity": "sensitivity", "specificity": "specificity", "auroc": "the AUROC"}
_ALLOWED = {
    "leak": "Images that the model may have seen in training were allowed (leak): the figures may be too good.",
    "conflicting_labels": "Copies of an image with different labels were allowed: some of the labels are wrong.",
}


def limit_texts(content: ReportContent) -> list[str]:
    """Short sentences, the ones that weigh most first; each holds for this run."""
    block = content.metrics[content.main_split]
    return [
        *_source(content),
        *_audit(content.audit),
        *_framing(content),
        *_openings(content),
        *_size(block),
        *_labels(content),
        *_groups(content),
        *_answers(block),
    ]


def _source(content: ReportContent) -> Iterator[str]:
    if content.info.simulated:
        yield "The images are simulated: no figure says anything of patients."
    origin = content.provenance.origin if content.provenance else None
    if origin in ("run", "folds"):
        yield (
            f"The model was trained and judged on parts of one data set, {content.info.name}. On images from elsewhere "
            "it was not judged: there is no external test here."
        )
    if origin == "folds":
        yield "Each image was judged by the model of its fold; no one model has these figures."
    if origin == "run":
        seed = content.environment.get("seed")
        named = "" if seed is None else f", of seed {seed}"
        yield f"This is one training run{named}: how much another would differ was not measured."
    if origin == "model":
        trained = content.provenance.trained_on if content.provenance else ""
        made = f"The model was trained on {trained}. " if trained else ""
        yield (
            f"{made}Whether these images come from the same places as those of training cannot be told from the files; "
            "if they do, this is not an external test."
        )
    if origin == "outside":
        yield "Another program made the predictions: what it was trained on and chosen by is not known here."
    if content.main_split != "test":
        yield (
            f"The model was judged on {SPLIT_NAMES[content.main_split]} images alone, which had a part in making or "
            "choosing it."
        )


def _audit(audit: Audit | None) -> Iterator[str]:
    if audit is None:
        yield "The images were not audited."
        return
    if not audit.opened:
        yield "The images themselves were not opened: copies, shortcuts and damaged files were not looked for."
    findings = {finding.check: finding for finding in audit.findings if finding.severity != "note"}
    for check, finding in findings.items():
        if finding.severity == "block":
            yield _ALLOWED.get(check, f"{check_name(check)}: this would have stopped the run, and was allowed by name.")
    yield from _shortcuts(audit, findings)
    if "patients_unknown" in findings:
        yield (
            "Not every patient is known: images of one patient may be in several splits, and count as of several "
            "patients in the intervals."
        )
    if "drift" in findings:
        yield "The splits differ in more than chance: one figure may not stand for all of them."
    if audit.unreadable:
        verb = "is" if audit.unreadable == 1 else "are"
        yield f"{images(audit.unreadable)} of {audit.images:,} could not be read and {verb} in no figure."


def _shortcuts(audit: Audit, checks: Collection[str]) -> Iterator[str]:
    warned = [check.removeprefix("shortcut_") for check in checks if check.startswith("shortcut_")]
    told = [shortcut for shortcut in audit.shortcuts if shortcut.view in warned or shortcut.view == "file"]
    if warned and told:
        best = max(told, key=lambda shortcut: shortcut.auroc.value)
        yield (
            f"The label can be told without the anatomy, from {_VIEWS[best.view]} with an AUROC of "
            f"{best.auroc.value:.2f} (95% CI {best.auroc.low:.2f}–{best.auroc.high:.2f}). How much of the model's "
            "figures rests on that was not measured."
        )
    elif warned:
        yield "The label can be told without the anatomy; how much of the model's figures rests on that is not known."
    elif audit.opened and not audit.shortcuts:
        yield "Whether the label can be told without the anatomy was not measured."


def _framing(content: ReportContent) -> Iterator[str]:
    evidence = content.metrics[content.main_split].framing
    if evidence is None:
        folds = content.provenance is not None and content.provenance.origin == "folds"
        where = ": the report of each fold tells it of the model of that fold" if folds else " was not measured"
        yield f"Whether the answers hang on how tightly the images are framed{where}."
    elif evidence.verdict == "fail":
        yield (
            "The answers hang on how the images are framed: on images that were framed otherwise than these, none of "
            "the figures holds."
        )
    elif evidence.verdict == "warn":
        yield verdict_in_words(evidence.summary)


def _openings(content: ReportContent) -> Iterator[str]:
    if content.provenance is None or content.main_split != "test":
        return
    same = these_openings(content.provenance.openings)
    models = len({opening.model for opening in same})
    if models > 1:
        yield (
            f"These test images were scored {len(same)} times by {models} models: what was chosen after the first time "
            "may have been chosen by them, and then the figures are too good."
        )


def these_openings(openings: Sequence[Access]) -> list[Access]:
    """Of all scorings written down, those of the images that the last one is of."""
    return [opening for opening in openings if opening.data == openings[-1].data]


def _size(block: SplitRecord) -> Iterator[str]:
    patients = block.n_patients
    needed = {} if block.sample_size is None else block.sample_size.needed
    reached = [
        (_IN_TEXT[name], size.half_width)
        for claims in needed.values()
        for name, size in claims.items()
        if size.more_positive or size.more_negative
    ]
    of = f"With {patients:,} patient{'' if patients == 1 else 's'}"
    if reached:
        name, width = max(reached, key=lambda pair: pair[1])
        yield f"{of}, {name} is known to within ±{100 * width:.1f} points and no better."
    elif patients < FEW_PATIENTS:
        yield f"{of}, the intervals are themselves rough."
    absent = [name for name, count in block.class_counts.items() if not count]
    if absent:
        yield f"There is no image of {', '.join(absent)}: what the model does with such was not measured."


def _labels(content: ReportContent) -> Iterator[str]:
    count = 0 if content.suspects is None else len(content.suspects)
    if count:
        yield (
            f"The labels were taken as they are; {count:,} of them {'is' if count == 1 else 'are'} doubtful by the "
            "model's own scores."
        )


def _groups(content: ReportContent) -> Iterator[str]:
    columns = {str(name).casefold() for name in content.manifest.columns}
    unknown = [group for group, names in _GROUPS.items() if not columns.intersection(names)]
    if unknown:
        listed = " or ".join([", ".join(unknown[:-1]), unknown[-1]]) if len(unknown) > 1 else unknown[0]
        yield f"The table of the images does not tell {listed}: whom the model fails by these was not measured."


def _answers(block: SplitRecord) -> Iterator[str]:
    counts = block.abstention
    left = 0 if counts is None else counts.n_referred + counts.n_refused
    if counts is None:
        yield "There is no abstention: images unlike those of training get an answer as sure as any."
    elif left:
        yield (
            f"{images(left)} ({number(left / block.n, share=True)}) are left to a person. The figures under "
            "Performance count the model's answers on these too, as if it had given them."
        )
    positive = block.positive_class
    if positive is None:
        return
    share = block.class_counts[positive] / block.n
    yield (
        f"{number(share, share=True)} of the images are {positive}. Precision and accuracy hold for that share; among "
        "patients of whom fewer have it, more of the alarms are false."
    )
    slope = block.calibration.slope if block.calibration else None
    if slope and slope.low is not None and slope.high is not None and not slope.low <= 1 <= slope.high:
        yield (
            f"The probabilities are {'too sure' if slope.high < 1 else 'not sure enough'} (calibration slope "
            f"{value_of(slope)}, CI {limits(slope)}): do not take them at their word."
        )
