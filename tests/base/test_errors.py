"""Exit codes of the errors, and the nearest known name."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from radlens.base.errors import DataError, RadlensError, UsageError, did_you_mean


def test_exit_codes_are_1_for_data_and_2_for_usage() -> None:
    assert RadlensError.exit_code == 1
    assert DataError("x").exit_code == 1
    assert UsageError("x").exit_code == 2
    assert issubclass(DataError, RadlensError)
    assert issubclass(UsageError, RadlensError)


@pytest.mark.parametrize(
    ("received", "nearest"),
    [("basline", "baseline"), ("BASELINE", "baseline"), ("small_resnt", "small_resnet"), ("fst", "fast")],
)
def test_the_nearest_name_is_told(received: str, nearest: str) -> None:
    assert did_you_mean(received, ["fast", "small_resnet", "baseline"]).startswith(f"Did you mean '{nearest}'?")


def test_nothing_is_suggested_when_nothing_is_near_and_the_known_names_are_sorted() -> None:
    assert did_you_mean("zzzz", ["fast", "baseline"]) == "Known: baseline, fast."


@given(st.text(max_size=20), st.lists(st.text(min_size=1, max_size=8), max_size=6))
def test_every_known_name_is_listed(received: str, known: list[str]) -> None:
    answer = did_you_mean(received, known)
    assert answer.endswith(f"Known: {', '.join(sorted(known))}.")
