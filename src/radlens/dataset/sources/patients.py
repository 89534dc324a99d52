"""Which patient an image is of, told from its file name."""

from __future__ import annotations

import logging
import re

import pandas as pd

from radlens.base.errors import DataError, UsageError
from radlens.dataset.sources.naming_schemes import tell_by_scheme

logger = logging.getLogger(__name__)

# An expression that tells fewer of the files than this is a mistake; of more, the others are their own patients.
_LEAST_TOLD = 0.5


def assign_patients(paths: pd.Series, rule: str) -> tuple[pd.Series, tuple[str, ...]]:
    """Tell the patient of each image.

    Args:
        paths: relative paths with forward slashes.
        rule: ``auto``: each by the published scheme that its name follows
            (:data:`radlens.dataset.sources.naming_schemes.SCHEMES`), else as its own patient; ``none``: each image is
            its own patient; anything else: a regular expression whose first group that holds anything is the patient,
            searched in the file name, or in the whole path if the expression holds a ``/``. Files that do not match it
            are told as by ``auto``.

    Returns:
        The patient of each path (an image that is its own patient has its path there), and notes for the manifest.

    Raises:
        UsageError: the rule is not a regular expression, or has no group.
        DataError: no path, or less than half of them, matches the regular expression or follows a scheme.
    """
    if rule == "none":
        note = "Each image counts as its own patient (patient_from: none)."
        return paths.copy(), (note,)
    if rule == "auto":
        return _by_scheme(paths)
    return _by_expression(paths, rule)


def patients_by_scheme(paths: pd.Series) -> tuple[pd.Series, tuple[str, ...]]:
    """Tell the patients of those files that follow one of the schemes.

    Returns:
        The patient of each path, None where it is not told; and one note, or none where no file tells anything.
    """
    patients, schemes = tell_by_scheme(paths)
    if not schemes:
        return patients, ()
    unknown = patients.isna()
    if len(schemes) == 1 and not unknown.any():
        return patients, (f"Patients were told from the file names by the scheme of {next(iter(schemes))}.",)
    listed = ", ".join(f"{count:,} of {name}" for name, count in schemes.items())
    note = (
        f"Patients were told from the names of {len(paths) - int(unknown.sum()):,} of {len(paths):,} files "
        f"({1 - unknown.mean():.1%}), by scheme: {listed}.{_strangers(paths[unknown])}"
    )
    logger.log(logging.WARNING if unknown.any() else logging.INFO, note)
    return patients, (note,)


def _strangers(paths: pd.Series) -> str:
    if paths.empty:
        return ""
    return f" The other {len(paths):,} count as a patient each, such as {paths.iloc[0]}."


def _by_scheme(paths: pd.Series) -> tuple[pd.Series, tuple[str, ...]]:
    patients, notes = patients_by_scheme(paths)
    if notes:
        return patients.where(patients.notna(), paths), notes
    note = (
        "The file names do not tell the patient: each image counts as its own patient, so images of one patient may "
        "lie in several splits and the results may look better than they are."
    )
    logger.warning(
        "The file names do not tell the patient (first: %s): each image counts as its own. If they do tell it: --set "
        "data.patient_from='REGULAR EXPRESSION', whose first group is the patient; one image a patient: none.",
        paths.iloc[0],
    )
    return paths.copy(), (note,)


def _by_expression(paths: pd.Series, rule: str) -> tuple[pd.Series, tuple[str, ...]]:
    """By the expression; those that do not match it by a scheme that they follow, or as their own patients."""
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
    matches = (expression.search(text) for text in searched.tolist())
    # Of alternatives, each with a group of its own, the one that matched.
    patients = pd.Series(
        [next(filter(None, match.groups()), None) if match else None for match in matches], paths.index, dtype=object
    )
    missed = patients.isna()
    note = f"Patients were told from the file names by the expression {rule!r}"
    if not missed.any():
        return patients.astype(str), (f"{note}.",)
    by_scheme, schemes = tell_by_scheme(paths[missed])
    left = missed & by_scheme.isna().reindex(paths.index, fill_value=False)
    where = "path" if "/" in rule else "file name"
    if missed.all() or left.mean() > _LEAST_TOLD:
        raise DataError(
            f"data.patient_from: {int(left.sum())} of {len(paths)} file(s) do not match {rule!r}, first the {where} "
            f"{searched[missed].iloc[0]!r}. Mend the expression, or use data.patient_from=auto."
        )
    told = "".join(f", of {count:,} by the scheme of {name}" for name, count in schemes.items())
    note = f"{note} ({int((~missed).sum()):,} of {len(paths):,} files){told}.{_strangers(paths[left])}"
    logger.log(logging.WARNING if left.any() else logging.INFO, note)
    patients = patients.where(~missed, by_scheme.reindex(paths.index))
    return patients.where(~left, paths).astype(str), (note,)
