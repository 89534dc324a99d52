"""Values come back from YAML as they were, whatever the letters."""

from __future__ import annotations

import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from radlens.base.yaml_text import dump_yaml

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)


@given(st.dictionaries(TEXT, st.one_of(TEXT, st.lists(TEXT, max_size=3), st.booleans(), st.integers()), max_size=4))
@example({"a": "one\x85two"})
@example({"a": ["one\u2028two", "one\u2029two"]})
@example({"\x85": "\\x85"})
def test_any_values_come_back_as_they_were(values: dict[str, object]) -> None:
    assert yaml.safe_load(dump_yaml(values).encode()) == values


def test_letters_and_order_are_kept() -> None:
    assert dump_yaml({"z": "肺炎", "a": "fără"}) == "z: 肺炎\na: fără\n"
