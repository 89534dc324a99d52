"""Which columns make groups, and how ages and file names are put into bands and families."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from radlens.assessment.subgroup_columns import age_bands, group_order, name_families, subgroup_columns
from radlens.base.errors import UsageError


def table(**columns: object) -> pd.DataFrame:
    number = np.arange(40)
    return pd.DataFrame(
        {
            "path": [f"a/IM-{index}.png" if index % 2 else f"a/person{index}_virus_1.png" for index in number],
            "label": np.where(number % 4 < 2, "NORMAL", "PNEUMONIA"),
            "patient": [f"p{index}" for index in number],
            "split": "test",
            **columns,
        }
    )


def test_columns_of_a_few_values_and_ages_make_groups() -> None:
    number = np.arange(40)
    found = subgroup_columns(
        table(
            sex=np.where(number % 3, "F", ""),
            age=[f"{index:03d}Y" for index in number],
            view=np.where(number % 3, "PA", "AP"),
            study=[f"s{index}" for index in number],
            country="X",
            finding=np.where(number % 4 < 2, "no", "yes"),
        )
    )
    # One known sex, a name for each study, one country and the label under another name tell nothing apart.
    assert list(found) == ["age", "view"]
    assert found["age"].value_counts().to_dict() == {"under 1": 1, "1 to 4": 4, "5 to 17": 13, "18 to 39": 22}


def test_without_such_columns_file_names_do() -> None:
    assert set(subgroup_columns(table())["name_family"]) == {"IM-#", "person#_virus_#"}
    one_a_label = table()
    one_a_label["path"] = np.where(one_a_label["label"] == "NORMAL", "n", "p") + one_a_label["patient"]
    assert not subgroup_columns(one_a_label)


def test_rare_forms_of_names_are_put_together() -> None:
    rows = table()
    rows.loc[0, "path"] = "strange.png"
    assert name_families(rows)[0] == "strange"
    larger = pd.concat([rows.assign(path=rows["path"] + str(copy)) for copy in range(3)], ignore_index=True)
    larger.loc[0, "path"] = "unique.png"
    assert name_families(larger)[0] == "other"


def test_ages_of_all_forms_and_none() -> None:
    cells = pd.Series(["0", "11M", "12M", "4.5", "017Y", "90", "", "old", "-3"])
    expected = ["under 1", "under 1", "1 to 4", "1 to 4", "5 to 17", "80 or more", "unknown", "unknown", "unknown"]
    assert age_bands(cells).tolist() == expected


def test_ages_are_in_their_order_and_the_rest_by_size() -> None:
    assert group_order(pd.Series(["18 to 39", "unknown", "5 to 17", "5 to 17"])) == ["5 to 17", "18 to 39", "unknown"]
    assert group_order(pd.Series(["unknown", "b", "b", "other", "other", "other", "a"])) == [
        "b",
        "a",
        "other",
        "unknown",
    ]


def test_named_columns_are_taken_or_refused() -> None:
    rows = table(sex="F", study=[f"s{index}" for index in range(40)])
    assert list(subgroup_columns(rows, ("sex", "name_family"))) == ["sex", "name_family"]
    with pytest.raises(UsageError, match=r"no column 'gender'.*Known: name_family, sex, study"):
        subgroup_columns(rows, ("gender",))
    with pytest.raises(UsageError, match="'study' has 40 values, and at most 12"):
        subgroup_columns(rows, ("study",))
