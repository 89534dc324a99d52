"""The lowest versions that are tried are the lower bounds that pyproject.toml declares."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def pinned(name: str) -> dict[str, str]:
    lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
    return dict(line.split("==") for line in lines)


def same(first: str, second: str) -> bool:
    """Whether two versions are one: 6 and 6.0.0."""
    parts = [[int(part) for part in re.findall(r"\d+", version)] for version in (first, second)]
    longest = max(map(len, parts))
    return len({(*part, *[0] * (longest - len(part))) for part in parts}) == 1


@pytest.mark.parametrize("name", ["lowest.txt", "lowest-train.txt"])
def test_every_lower_bound_is_what_is_tried(name: str) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    asked = [*project["dependencies"], *(project["optional-dependencies"]["train"] if "train" in name else [])]
    versions = pinned(name)
    assert len(asked) > 10
    for requirement in asked:
        package, _, bound = requirement.partition(">=")
        tried = versions.get(package.lower().replace("_", "-"))
        assert tried is not None, f"{name} lacks {package}: make lowest-lock"
        assert bound, f"{package} has no lower bound"
        assert same(bound, tried), f"{package}>={bound} is declared and {tried} is tried: raise it, or make lowest-lock"
