"""Families of file names, such as ``IM-#`` and ``NORMAL#-IM-#``: one class may come from several places."""

from __future__ import annotations

import re
from typing import Literal

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, Field

from radlens.base.progress import track
from radlens.dataset.audit.held_out import forest_scores
from radlens.dataset.audit.image_facts import image_facts
from radlens.dataset.audit.shortcuts import view_features
from radlens.dataset.grouping import FEWEST, draw_sample, group_images
from radlens.dataset.manifest import Manifest
from radlens.imaging.cache.pixel_cache import PixelCache
from radlens.statistics.auroc import Auroc, judge

FamilyView = Literal["facts", "thumbnail", "border"]
VIEWS: tuple[FamilyView, ...] = ("facts", "thumbnail", "border")

# So many images of a label say whether its families differ; of more, a part is drawn.
LIMIT = 2_000
# Families with a smaller share of a label's images are left out.
SMALLEST_SHARE = 0.05
# Names of more forms than this are taken for random, and the most frequent labels are enough.
MOST_FAMILIES = 6
MOST_LABELS = 5

_IDENTIFIER = re.compile(
    r"(?<![0-9a-z])(?:[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|(?=[a-f]*\d)[0-9a-f]{8,})(?![0-9a-z])", re.IGNORECASE
)
_NUMBERS = re.compile(r"\d+")
_RUN = re.compile(r"#(?:[-_. ]*#)+")
_SUFFIX = re.compile(r"\.[A-Za-z][A-Za-z0-9]*$")


class NameFamily(BaseModel):
    """Images of one label whose file names have the same form."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    form: str = Field(description="The file name without its suffix, every number in it written as #.")
    example: str = Field(description="Manifest path of one of them.")
    images: int = Field(description="Images of this label with such names.")
    patients: int = Field(description="Their patients.")
    elsewhere: int = Field(description="Images of other labels with such names.")


class FamiliesOfLabel(BaseModel):
    """The families of file names among the images of one label, and how well they can be told apart by their pixels."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    label: str = Field(description="The label: for multilabel all labels of an image, joined by |.")
    families: tuple[NameFamily, ...] = Field(description="Two or more, the largest first; small ones are left out.")
    views: dict[FamilyView, Auroc] = Field(
        description="AUROC with which a small model tells the families apart, on patients that it was not fitted to: "
        "by facts, thumbnail or border, as in the search for shortcuts; for more than two the mean of each against the "
        "rest."
    )
    images: int = Field(description="Images looked at.")
    patients: int = Field(description="Patients looked at.")
    sampled: bool = Field(description="Whether these are a random part of the images, drawn by patient.")


def name_form(path: str) -> str:
    """The form of a file name: without folder and suffix, every number (or run of numbers) in it written as ``#``.

    >>> name_form("NORMAL/NORMAL2-IM-0374-0001-0002.jpeg"), name_form("a/person1000_virus_2931.jpeg")
    ('NORMAL#-IM-#', 'person#_virus_#')
    >>> name_form("archive.npz::train_images/17"), name_form("3fa85f64-5717-4562-b3fc-2c963f66afa6.png")
    ('#', '#')
    """
    stem = _SUFFIX.sub("", path.rpartition("/")[2])
    return _RUN.sub("#", _NUMBERS.sub("#", _IDENTIFIER.sub("#", stem)))


def find_name_families(manifest: Manifest, cache: PixelCache, seed: int) -> tuple[FamiliesOfLabel, ...]:
    """Find labels whose images come in several families of file names, and try to tell these apart.

    Within one label the label itself does not help, so whatever tells the families apart is a difference of origin, of
    handling, or of kind.

    Args:
        manifest: the images, all of them readable.
        cache: their pixels and file facts, in the same order.
        seed: what folds, trees, resamples and the sample follow from.

    Returns:
        One for each label with two or more families, the most frequent label first.
    """
    table = pd.DataFrame(
        {
            "form": manifest.table["path"].map(name_form),
            "label": manifest.table["label"],
            "group": group_images(manifest.table["patient"], cache.rows),
        }
    )
    labels = table["label"].value_counts().index[:MOST_LABELS]
    families = {str(label): _families(table, str(label), manifest) for label in labels}
    several = {label: of_label for label, of_label in families.items() if 2 <= len(of_label) <= MOST_FAMILIES}
    compared = (_tell_apart(table, label, several[label], manifest, cache, seed) for label in several)
    return tuple(track(compared, "Comparing families of file names", len(several)))


def _families(table: pd.DataFrame, label: str, manifest: Manifest) -> tuple[NameFamily, ...]:
    inside = table[table["label"] == label]
    groups = inside.groupby("form")["group"]
    families = pd.DataFrame(
        {
            "images": groups.size(),
            "patients": groups.nunique(),
            "everywhere": table["form"].value_counts(),
            "first": inside.reset_index().groupby("form")["index"].first(),
        }
    ).dropna()
    large = (families["images"] >= SMALLEST_SHARE * len(inside)) & (families["patients"] >= FEWEST)
    return tuple(
        NameFamily(
            form=str(form),
            example=str(manifest.table["path"].iloc[int(family["first"])]),
            images=int(family["images"]),
            patients=int(family["patients"]),
            elsewhere=int(family["everywhere"] - family["images"]),
        )
        for form, family in families[large].sort_values("images", ascending=False).iterrows()
    )


def _tell_apart(
    table: pd.DataFrame,
    label: str,
    families: tuple[NameFamily, ...],
    manifest: Manifest,
    cache: PixelCache,
    seed: int,
) -> FamiliesOfLabel:
    forms = [family.form for family in families]
    members = np.flatnonzero((table["label"] == label) & table["form"].isin(forms))
    form = table["form"].to_numpy()[members]
    # Of two families, one against the other says all.
    told = forms[:1] if len(forms) == 2 else forms
    targets = np.stack([form == name for name in told], axis=1)
    groups = np.unique(table["group"].to_numpy()[members], return_inverse=True)[1]
    sample = draw_sample(told, targets, groups, LIMIT, seed)
    images = members if sample is None else members[sample.images]
    views: dict[FamilyView, Auroc] = {}
    if sample is not None:
        facts = image_facts(manifest, cache, images)
        for view in VIEWS:
            features = view_features(view, facts, cache, images)[0]
            scores = forest_scores(features, sample.targets, sample.folds, seed)[0]
            views[view] = judge(scores, sample.targets, sample.folds, sample.groups, seed).mean
    return FamiliesOfLabel(
        label=label,
        families=families,
        views=views,
        images=len(images),
        patients=len(np.unique(table["group"].to_numpy()[images])),
        sampled=len(images) < len(members),
    )
