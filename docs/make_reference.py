"""Write the reference pages that follow from the code itself: settings, presets, networks, commands, metrics.json.

Run it with ``python docs/make_reference.py`` after a change of a setting, a network, a command or of metrics.json.
"""

from __future__ import annotations

import json
import types
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import typer
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from radlens.cli.commands import app
from radlens.config import RunSettings, resolve
from radlens.config.presets import presets
from radlens.learning.networks import count_parameters, registry
from radlens.runtime.metrics_record import METRICS_FORM

FOLDER = Path(__file__).parent / "reference"
MADE = "<!-- Written by docs/make_reference.py: change the code and run it again, not this page. -->"
SIZE = (1, 150, 150)

SETTINGS_INTRO = """\
# Settings

Every setting has a place in a tree. The same name works on the command line (`--set train.epochs=20`), in Python
(`settings=["train.epochs=20"]`) and, as nested keys, in a YAML file (`--config FILE`). Values are read as YAML: lists
are written `[0.9, 1.3]`, and nothing is `null`. How they are combined is in
[Change settings](../how-to/change-settings.md).

"Default" is what the field itself starts from. A run also starts from a preset, `fast` when none is named, and a preset
changes some of these values: see [Presets](#presets).

Unknown names and impossible values are refused, all of them at once, before anything is read or written.
"""

COMMANDS_INTRO = """\
# Commands

`SOURCE` is a folder, a CSV file, an `.npz` archive in MedMNIST form, a folder that `radlens index` wrote, or one of the
names `kermany`, `pneumoniamnist` and `phantom`; see [Use your own images](../how-to/use-your-own-images.md).

## Exit codes

| code | meaning |
|---|---|
| 0 | done |
| 1 | the data or the model failed a check, or a file could not be written; the message says where and what to do |
| 2 | wrong usage: an option, a setting, a name or an output folder that cannot be used; or a package is not installed |
| 130 | interrupted with Ctrl-C; what was reached is kept |
| 141 | whoever read the output stopped reading, as `head` does; nothing is said |

A model that fails the [framing suite](../explanation/framing.md) is a result, not an error: the code is 0, and the
verdict is in `metrics.json` and in the model's `config.json`.

Results go to standard output; messages and progress go to standard error. Progress bars are shown on a terminal only.
Where standard output cannot be written to (a full disk, a closed stream), one line says so and the code is 1; where
standard error cannot, the work goes on without messages. Files that are being written are not concerned by either.
Letters that the terminal's encoding lacks are printed as escapes, such as `\\u80ba`.

## Environment variables

| variable | meaning |
|---|---|
| `RADLENS_CACHE` | folder for decoded pixels, phantoms and downloads; default: the user's cache folder |
| `RADLENS_CACHE_LIMIT` | what decoded pixels may take up on the disk, such as `50 GB`; default: `20 GB` |
| `KAGGLE_API_TOKEN` | read by `kagglehub` when Kaggle asks who is downloading the `kermany` set |
"""


def settings_page() -> str:
    """Every setting with its type, default and meaning; then presets and networks."""
    parts = [MADE, SETTINGS_INTRO]
    for path, model in _sections(RunSettings, ""):
        heading = f"`{path}`" if path else "The run"
        parts.append(f"## {heading}\n\n{_summary(model)}\n\n{_settings_table(path, model)}\n")
    parts += [_presets_section(), _networks_section()]
    return "\n".join(parts)


def commands_page() -> str:
    """Every command with its arguments and options."""
    group: Any = typer.main.get_command(app)
    parts = [MADE, COMMANDS_INTRO, f"## `radlens`\n\n{group.help}\n\n{_options_table(group)}\n"]
    for name, command in group.commands.items():
        arguments = [_argument(item) for item in command.params if item.param_type_name == "argument"]
        usage = " ".join(["radlens", name, *arguments, "[OPTIONS]"])
        parts.append(f"## `radlens {name}`\n\n{command.help}\n\n```text\n{usage}\n```\n\n{_options_table(command)}\n")
    return "\n".join(parts)


def metrics_schema() -> str:
    """The JSON schema of metrics.json."""
    about = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "metrics.json",
        "description": "What radlens measured, by split. Written by docs/make_reference.py from the code.",
        "additionalProperties": False,
    }
    return json.dumps(about | METRICS_FORM.json_schema(), indent=2, ensure_ascii=False) + "\n"


def pages() -> dict[Path, str]:
    """The text of each generated page by its place."""
    return {
        FOLDER / "settings.md": settings_page(),
        FOLDER / "commands.md": commands_page(),
        FOLDER / "metrics.schema.json": metrics_schema(),
    }


def main() -> None:
    """Write the pages."""
    for path, text in pages().items():
        path.write_text(text, encoding="utf-8")


def _sections(model: type[BaseModel], path: str) -> Iterator[tuple[str, type[BaseModel]]]:
    """The model and all those within it, with the names under which they stand."""
    yield path, model
    for name, field in model.model_fields.items():
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            yield from _sections(inner, f"{path}.{name}" if path else name)


def _summary(model: type[BaseModel]) -> str:
    return (model.__doc__ or "").strip().partition("\n\n")[0].replace("\n", " ").replace("``", "`")


def _settings_table(path: str, model: type[BaseModel]) -> str:
    rows = []
    for name, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            continue
        key = f"{path}.{name}" if path else name
        rows.append((f"`{key}`", _type(field), f"`{_yaml(_default(field))}`", field.description or ""))
    return _table(("setting", "values", "default", "meaning"), rows)


def _default(field: FieldInfo) -> Any:
    value = field.get_default(call_default_factory=True)
    return None if value is PydanticUndefined else value


def _type(field: FieldInfo) -> str:
    limits = [_limit(item) for item in field.metadata]
    return ", ".join([_kind(field.annotation), *(limit for limit in limits if limit)])


def _kind(annotation: Any) -> str:
    """What may stand there, in words."""
    origin, inside = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _kind(inside[0])
    if origin is Literal:
        return " / ".join(f"`{value}`" for value in inside)
    if origin in (Union, types.UnionType):
        return " or ".join("`null`" if part is type(None) else _kind(part) for part in inside)
    if origin is tuple:
        return f"list of {_kind(inside[0])}" if inside[-1] is Ellipsis else "two numbers"
    if origin is dict:
        return f"by name, {_kind(inside[1])}"
    return {bool: "`true` / `false`", int: "whole number", float: "number", str: "text", Path: "folder"}[annotation]


def _limit(item: Any) -> str:
    for attribute, sign in (("ge", "≥"), ("gt", ">"), ("le", "≤"), ("lt", "<")):
        if hasattr(item, attribute):
            return f"{sign} {getattr(item, attribute):,}"
    return f"at least {item.min_length}" if hasattr(item, "min_length") else ""


def _yaml(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, dict):
        return f"{{{', '.join(f'{name}: {_yaml(part)}' for name, part in value.items())}}}"
    if isinstance(value, tuple | list):
        return f"[{', '.join(_yaml(part) for part in value)}]"
    return str(value)


def _presets_section() -> str:
    names = sorted(presets())
    settings = {name: resolve(name) for name in names}
    keys = sorted({key for values in presets().values() for key in _leaves(values)})
    rows = [(f"`{key}`", *(f"`{_yaml(_value(settings[name], key))}`" for name in names)) for key in keys]
    return (
        "## Presets\n\n`--preset NAME` starts from these values; everything else has its default.\n\n"
        f"{_table(('setting', *names), rows)}\n"
    )


def _leaves(values: dict[str, Any], path: str = "") -> Iterator[str]:
    for name, value in values.items():
        key = f"{path}.{name}" if path else name
        if isinstance(value, dict):
            yield from _leaves(value, key)
        else:
            yield key


def _value(settings: BaseModel, key: str) -> Any:
    value: Any = settings
    for part in key.split("."):
        value = getattr(value, part)
    return value


def _networks_section() -> str:
    rows = [
        (
            f"`{name}`",
            network.summary,
            f"{count_parameters(network.build(SIZE, 1)):,}",
            f"{network.smallest} x {network.smallest}",
        )
        for name, network in sorted(registry().items())
    ]
    table = _table(("name", "what it is", "parameters", "smallest image"), rows)
    return (
        "## Networks\n\nNames for `--model` and `train.network`. Parameters are counted as Keras counts them (running "
        f"statistics included) for grey images of {SIZE[1]} x {SIZE[2]} pixels and two classes.\n\n{table}\n\n"
        "With the extra `backbones`, also `monai:NAME` (DenseNet, ResNet, SE-ResNet, EfficientNet of MONAI) and "
        "`hf:NAME` (image backbones of transformers): see "
        "[Add a network](../how-to/add-a-network.md#networks-of-other-packages).\n"
    )


def _argument(item: Any) -> str:
    name = item.name.upper()
    return name if item.required else f"[{name}]"


def _options_table(command: Any) -> str:
    rows = []
    for item in sorted(command.params, key=lambda item: str(item.param_type_name)):
        if item.param_type_name == "argument":
            rows.append((f"`{_argument(item)}`", _help(item)))
            continue
        value = "" if item.is_flag else f" {item.metavar or item.name.upper()}"
        names = ", ".join(f"`{option}{value}`" for option in item.opts)
        rows.append((names, _help(item)))
    return _table(("argument or option", "meaning"), rows)


def _help(item: Any) -> str:
    text = str(item.help or "")
    if item.required:
        return f"{text} Required."
    shown = None if item.param_type_name == "option" and item.is_flag else item.default
    return f"{text} Default: `{shown}`." if shown is not None and not callable(shown) else text


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines)


if __name__ == "__main__":
    main()
