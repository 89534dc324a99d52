"""Which patient an image is of, told from its file name."""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass

import numpy as np
import pandas as pd

from radlens.base.errors import DataError, UsageError

logger = logging.getLogger(__name__)

# A scheme is used when this share of the files follow it; strays are then their own patients, said aloud.
ALMOST_ALL = 0.99
_SAMPLE = 1000


@dataclass(frozen=True)
class Scheme:
    """A published way of naming files.

    Attributes:
        name: the data sets that use it.
        pattern: matches the whole relative path without its suffix; its groups, joined by ``-``, are the patient.
    """

    name: str
    pattern: str


SCHEMES = (
    # person1000_bacteria_2931 -> person1000; IM-0115-0001 -> IM-0115; NORMAL2-IM-0374-0001-0002 -> NORMAL2-IM-0374
    Scheme(
        "Kermany chest X-ray (Kaggle)",
        r"(?:.*/)?(?:(person\d+)_(?:bacteria|virus)_\d+(?:_\d+)*|((?:NORMAL\d*-)?IM-\d+)-\d+(?:-\d+)*)",
    ),
    # (disease)-(patient)-(image of this patient): BACTERIA-1008087-0001 -> 1008087; CNV-1016042-1 -> 1016042
    Scheme("Kermany chest X-ray and OCT (Mendeley)", r"(?:.*/)?(?:NORMAL|BACTERIA|VIRUS|CNV|DME|DRUSEN)-(\d+)-\d+"),
    # 00000013_005 -> 00000013
    Scheme("NIH ChestX-ray14", r"(?:.*/)?(\d{8})_\d{3}"),
    # train/patient00001/study1/view1_frontal -> patient00001
    Scheme("CheXpert", r"(?:.*/)?(patient\d+)/study\d+/[^/]+"),
    # files/p10/p10000032/s50414267/02aa804e -> p10000032
    Scheme("MIMIC-CXR", r"(?:.*/)?(p\d{8})/s\d+/[^/]+"),
    # CHNCXR_0001_0 -> CHNCXR_0001: one image a patient, the last figure tells tuberculosis
    Scheme("Shenzhen and Montgomery", r"(?:.*/)?((?:CHNCXR|MCUCXR)_\d{4})_[01]"),
    # P000007-2 -> P000007
    Scheme("radlens phantoms", r"(?:.*/)?(P\d{6})-\d+"),
    # sub-01/ses-1/sub-01_ses-1_view-pa -> sub-01
    Scheme("BIDS", r"(?:.*/)?(sub-[A-Za-z0-9]+)(?:[_/][^/]*)*"),
)


def assign_patients(paths: pd.Series, rule: str) -> tuple[pd.Series, tuple[str, ...]]:
    """Tell the patient of each image.

    Args:
        paths: relative paths with forward slashes.
        rule: ``auto``: the first of :data:`SCHEMES` that almost all paths follow, else each image is its own patient;
            ``none``: each image is its own patient; anything else: a regular expression whose first group is the
            patient, searched in the file name, or in the whole path if the expression holds a ``/``.

    Returns:
        The patient of each path (an image that is its own patient has its path there), and notes for the manifest.

    Raises:
        UsageError: the rule is not a regular expression, or has no group.
        DataError: some paths do not match the regular expression.
    """
    if rule == "none":
        note = "Each image counts as its own patient (patient_from: none)."
        return paths.copy(), (note,)
    if rule == "auto":
        return _by_scheme(paths)
    return _by_expression(paths, rule), (f"Patients were told from the file names by the expression {rule!r}.",)


def patients_by_scheme(paths: pd.Series) -> tuple[pd.Series, tuple[str, ...]] | None:
    """Tell the patients by the first of :data:`SCHEMES` that almost all paths follow; None if there is none.

    Returns:
        The patient of each path (the path itself for the few that do not follow the scheme), and notes.
    """
    stems = paths.str.replace(r"\.[A-Za-z][^./]*$", "", regex=True)
    sample = stems.iloc[np.linspace(0, len(stems) - 1, min(len(stems), _SAMPLE)).astype(np.int64)]
    for scheme in SCHEMES:
        # A scheme that most of a sample does not follow is dropped before all paths are read.
        if _extract(sample, scheme).notna().mean() < 0.9:
            continue
        patients = _extract(stems, scheme)
        known = patients.notna()
        if known.mean() < ALMOST_ALL:
            continue
        notes = [f"Patients were told from the file names by the scheme of {scheme.name}."]
        if not known.all():
            strays = paths[~known]
            note = f"{len(strays)} file(s) do not follow that scheme; each counts as a patient, first {strays.iloc[0]}."
            logger.warning("%s %s", *notes, note)
            notes.append(note)
        return patients.where(known, paths), tuple(notes)
    return None


def _by_scheme(paths: pd.Series) -> tuple[pd.Series, tuple[str, ...]]:
    scheme_patients = patients_by_scheme(paths)
    if scheme_patients is not None:
        return scheme_patients
    note = (
        "The file names do not tell the patient: each image counts as its own patient, so images of one patient may "
        "lie in several splits and the results may look better than they are."
    )
    logger.warning(
        "%s First file: %s. If the names do tell it, say how: --set data.patient_from='REGULAR EXPRESSION', whose "
        "first group is the patient; if there is one image a patient: --set data.patient_from=none.",
        note,
        paths.iloc[0],
    )
    return paths.copy(), (note,)


def _extract(stems: pd.Series, scheme: Scheme) -> pd.Series:
    expression = re.compile(scheme.pattern)
    matches = (expression.fullmatch(stem) for stem in stems.tolist())
    patients = [next(filter(None, match.groups()), None) if match else None for match in matches]
    return pd.Series(patients, index=stems.index, dtype=str)


def _by_expression(paths: pd.Series, rule: str) -> pd.Series:
    try:
        expression = re.compile(rule)
    except re.error as error:
        raise UsageError(
            f"data.patient_from: {rule!r} is not a regular expression ({error}). "
            r"Expected auto, none, or an expression whose first group is the patient, such as ^(\d+)_."
        ) from error
    if expression.groups < 1:
        raise UsageError(
            f"data.patient_from: {rule!r} has no group. Put parentheses around the part that is the patient, "
            rf"such as ({rule})."
        )
    searched = paths if "/" in rule else paths.str.rpartition("/")[2]
    patients = searched.map(lambda text: match.group(1) if (match := expression.search(text)) else None)
    missed = patients.isna() | (patients == "")
    if missed.any():
        where = "path" if "/" in rule else "file name"
        raise DataError(
            f"data.patient_from: {int(missed.sum())} of {len(paths)} file(s) do not match {rule!r}, first the {where} "
            f"{searched[missed].iloc[0]!r}. Mend the expression, or use data.patient_from=auto."
        )
    return patients.astype(str)
