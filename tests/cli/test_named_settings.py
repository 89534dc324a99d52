"""A message that names a setting or an option names one that exists, and that the same command takes."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from pydantic import BaseModel

import radlens
from radlens.base.errors import UsageError
from radlens.cli.commands import app
from radlens.config import RunSettings, resolve
from radlens.imaging.limits import DecodeLimits, RefusedError, require_size
from radlens.workflows.load import load

PACKAGE = Path(radlens.__file__).parent
SETTING = re.compile(r"(?<![\w./])((?:data|preprocessing|augment|train|evaluate)\.[a-z_]+(?:\.[a-z_]+)*)")
OPTION = re.compile(r"(?<![\w-])--[a-z][a-z0-9-]+")
# These commands open files; all that they say of one may name a bound, and nothing else.
SHARED_ROOMS = ("imaging", "runtime")
# Options of git and pip.
FOREIGN = {"--error-unmatch", "--porcelain", "--untracked-files", "--force-reinstall"}
# Modules whose messages are those of commands that take no --set.
WITHOUT_SET = ("workflows/compare.py", "workflows/export.py", "workflows/cache.py", "assessment/matched_runs.py")


def options_of(command: str) -> set[str]:
    group = typer.main.get_command(app)
    return {name for parameter in group.commands[command].params for name in parameter.opts}  # type: ignore[attr-defined]


COMMANDS = tuple(typer.main.get_command(app).commands)  # type: ignore[attr-defined]


def texts() -> Iterator[tuple[str, str]]:
    """The texts of the package but for docstrings, each with its module."""
    for path in sorted(PACKAGE.rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        described = (ast.Module, ast.FunctionDef, ast.ClassDef)
        docstrings = {
            id(node.body[0].value)
            for node in ast.walk(tree)
            if isinstance(node, described) and node.body and isinstance(node.body[0], ast.Expr)
        }
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
                yield path.relative_to(PACKAGE).as_posix(), node.value


def exists(setting: str) -> bool:
    model: object = RunSettings
    for part in setting.split("."):
        if not (isinstance(model, type) and issubclass(model, BaseModel) and part in model.model_fields):
            return False
        model = model.model_fields[part].annotation
    return True


def test_every_setting_that_a_text_names_exists() -> None:
    named = {(module, setting) for module, text in texts() for setting in SETTING.findall(text)}
    assert len(named) > 50
    assert [pair for pair in sorted(named) if pair[0] != "config/renamed.py" and not exists(pair[1])] == []


def test_every_option_that_a_text_names_is_one_of_a_command() -> None:
    known = set.union(*map(options_of, COMMANDS)) | {"--help", "--version", "--quiet"} | FOREIGN
    named = {(module, option) for module, text in texts() for option in OPTION.findall(text)}
    assert len(named) > 30
    assert [pair for pair in sorted(named) if pair[1] not in known] == []


def test_what_is_said_of_a_file_names_bounds_alone_which_every_command_that_opens_files_takes() -> None:
    named = {
        (module, setting)
        for module, text in texts()
        if module.startswith(SHARED_ROOMS)
        for setting in SETTING.findall(text)
    }
    assert [pair for pair in sorted(named) if not pair[1].startswith("data.limits")] == []
    for command in ("run", "train", "index", "audit", "evaluate", "stress", "predict"):
        assert "--set" in options_of(command)


def test_commands_without_settings_name_none() -> None:
    named = [module for module, text in texts() if module in WITHOUT_SET and SETTING.search(text)]
    assert named == []
    assert "--set" not in set.union(*map(options_of, ("compare", "export", "push", "cache")))


@pytest.mark.parametrize("limit", DecodeLimits.model_fields)
def test_predict_takes_every_bound(limit: str) -> None:
    value, read = {"formats": ('["PNG"]', ("PNG",)), "unusable_elements": ("pass_over", "pass_over")}.get(
        limit, ("7", 7)
    )
    predictor = load("pneumonia-cxr", settings=(f"data.limits.{limit}={value}",))
    assert getattr(predictor._limits, limit) == read
    others = DecodeLimits().model_dump(exclude={limit})
    assert predictor._limits.model_dump(exclude={limit}) == others
    resolve(assignments=(f"data.limits.{limit}={value}",))


def test_predict_takes_no_setting_that_the_model_keeps() -> None:
    with pytest.raises(UsageError, match="the model keeps the settings that it was trained with"):
        load("pneumonia-cxr", settings=("preprocessing.depth=12",))


def test_what_a_refusal_names_opens_the_file() -> None:
    with pytest.raises(RefusedError) as refused:
        require_size(11_000, 10_000, 1, DecodeLimits())
    (assignment,) = re.findall(r"--set (\S+?)\)", str(refused.value))
    require_size(11_000, 10_000, 1, resolve(assignments=(assignment,)).data.limits)
