"""Any settings come back from YAML as they were."""

from __future__ import annotations

import types
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

import annotated_types
import yaml
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from radlens.config import (
    AugmentSettings,
    EvaluateSettings,
    RunSettings,
    to_yaml,
)
from radlens.config.base import Share
from radlens.config.data import FolderSettings
from radlens.config.evaluation import TargetRule
from radlens.imaging.preprocess import Preprocessing

# Lone surrogates are not characters.
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)

DEPTH = st.one_of(
    st.sampled_from(["auto", "significant", "full", "range"]), st.integers(8, 16), st.just((-1000.0, 400.5))
)

MODELS: dict[type[BaseModel], st.SearchStrategy[Any]] = {
    AugmentSettings: st.lists(st.tuples(st.floats(0.1, 3), st.floats(1, 2)), min_size=4, max_size=4).flatmap(
        lambda drawn: fields(
            AugmentSettings,
            sides=st.just((-drawn[0][0] / 10, drawn[0][1] / 10)),
            **{
                name: st.just((low * scale, low * scale * factor))
                for (name, scale), (low, factor) in zip(
                    {"zoom": 1.0, "crop": 1.0, "gamma": 1.0, "hide_border": 0.08}.items(), drawn, strict=True
                )
            },
        )
    ),
    EvaluateSettings: st.one_of(st.just("balanced"), st.floats(0, 1, exclude_min=True, exclude_max=True)).flatmap(
        lambda threshold: fields(EvaluateSettings, threshold=st.just(threshold))
    ),
    FolderSettings: st.sampled_from(["auto", "class", "class/split", "split/group/class", "any/class"]).flatmap(
        lambda layout: fields(FolderSettings, layout=st.just(layout))
    ),
    Preprocessing: st.tuples(st.floats(-1e6, 1e6), st.floats(1e-3, 1e6)).flatmap(
        lambda drawn: fields(Preprocessing, low=st.just(drawn[0]), high=st.just(drawn[0] + drawn[1]), depth=DEPTH)
    ),
}


def fields(model: type[BaseModel], **given_fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Any instance of a model, from the types and limits of its fields."""
    drawn = {name: of_field(model.model_fields[name]) for name in model.model_fields if name not in given_fields}
    return st.fixed_dictionaries({**drawn, **given_fields}).map(model.model_validate)


def of_field(field: FieldInfo) -> st.SearchStrategy[Any]:
    limits: dict[str, Any] = {}
    for item in field.metadata:
        for limit in (annotated_types.Ge, annotated_types.Gt, annotated_types.Le, annotated_types.Lt):
            if isinstance(item, limit):
                limits[limit.__name__.lower()] = getattr(item, limit.__name__.lower())
    return of_type(field.annotation, limits)


def of_type(kind: Any, limits: dict[str, Any]) -> st.SearchStrategy[Any]:
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return MODELS[kind] if kind in MODELS else fields(kind)
    low, high = limits.get("ge", limits.get("gt")), limits.get("le", limits.get("lt"))
    if kind is float:
        return st.floats(
            low, high, allow_nan=False, allow_infinity=False, exclude_min="gt" in limits, exclude_max="lt" in limits
        )
    if kind is int:
        return st.integers(low, None if high is None else high - ("lt" in limits))
    origin = get_origin(kind)
    if kind == TargetRule:
        return st.sampled_from(["sensitivity:0.95", "specificity:.9", "sensitivity:1"])
    if kind == Share:
        return st.floats(0, 1, exclude_min=True, exclude_max=True)
    if origin is Literal:
        return st.sampled_from(get_args(kind))
    if origin in (Union, types.UnionType):
        return st.one_of(*(of_type(part, limits) for part in get_args(kind)))
    if origin is tuple:
        part = get_args(kind)[0]
        parts = of_type(part, {}) if part == Share or get_origin(part) is Literal else TEXT
        return st.lists(parts, min_size=1, max_size=3).map(tuple)
    if origin is dict:
        return st.dictionaries(TEXT, of_type(get_args(kind)[1], {}), max_size=3)
    known: dict[Any, st.SearchStrategy[Any]] = {
        str: TEXT,
        bool: st.booleans(),
        type(None): st.none(),
        Path: TEXT.map(lambda text: Path(text.replace("\0", ""))),
    }
    return known[kind]


@hypothesis_settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(fields(RunSettings))
def test_any_settings_come_back_from_yaml_as_they_were(settings: RunSettings) -> None:
    text = to_yaml(settings)
    assert RunSettings.model_validate(yaml.safe_load(text.encode("utf-8"))) == settings
