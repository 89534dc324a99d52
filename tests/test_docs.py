"""The documentation is true: examples run, command lines parse, links lead somewhere, references are complete."""

from __future__ import annotations

import copy
import importlib.util
import json
import re
import shlex
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import typer
import yaml

import radlens
from radlens.base.errors import UsageError
from radlens.cli.commands import app
from radlens.config import PhantomSettings, resolve
from radlens.config import run as config_run
from radlens.config.presets import presets
from radlens.dataset.phantom.source import make_phantoms
from radlens.learning.networks import registry

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
ARTIFACTS = ROOT / "docs" / "reference" / "artifacts.md"

# What makes the examples small enough for a test; an example that names one of these settings itself keeps its own.
TINY: dict[str, Any] = {
    "data": {"phantom": {"images": 64, "size": 64}},
    "preprocessing": {"height": 64, "width": 64},
    "train": {"network": "small_resnet", "epochs": 1, "progressive_resizing": 1.0},
    "evaluate": {"resamples": 100, "ood_rate": 0.0},
}


def blocks(page: Path, *languages: str) -> list[str]:
    """The fenced blocks of a page in one of these languages."""
    found = re.findall(r"^```(\w+)\n(.*?)^```$", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    return [text for language, text in found if language in languages]


def command_lines(page: Path) -> Iterator[str]:
    """Each shell line of a page, continued lines joined, prompts and comments taken off."""
    for block in blocks(page, "bash", "console"):
        for line in block.replace("\\\n", " ").splitlines():
            words = shlex.split(line.removeprefix("$ "), comments=True)
            if words:
                yield shlex.join(words)


def radlens_lines() -> list[Any]:
    """All command lines of radlens that the documentation shows."""
    lines = [(page, line) for page in PAGES for line in command_lines(page) if line.startswith("radlens ")]
    return [pytest.param(page, line, id=f"{page.name}: {line}") for page, line in lines]


def relative(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


@contextmanager
def small_presets() -> Iterator[None]:
    """Presets with little to compute."""
    tiny = {name: merge(copy.deepcopy(values), TINY) for name, values in presets().items()}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(config_run, "presets", lambda: tiny)
        yield


def merge(base: dict[str, Any], extra: dict[str, Any]) -> dict[str, Any]:
    for key, value in extra.items():
        base[key] = merge(base.get(key, {}), value) if isinstance(value, dict) else value
    return base


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the files that the examples speak of: images of two hospitals, a table, and two runs."""
    folder = tmp_path_factory.mktemp("docs")
    with small_presets(), pytest.MonkeyPatch.context() as patch:
        patch.setenv("RADLENS_CACHE", str(folder / "cache"))
        for name, seed in (("my_images", 0), ("other_hospital", 1)):
            made = make_phantoms(PhantomSettings(images=64, size=64, seed=seed), folder / f"made-{seed}", workers=1)
            for label in made.info.classes:
                shutil.copytree(folder / f"made-{seed}" / "images" / label, folder / name / label.upper())
        for label, file in (("NORMAL", "a1.jpeg"), ("PNEUMONIA", "b1.jpeg")):
            images = folder / "my_images" / label
            shutil.copy(min(images.iterdir()), images / file)
        table = made.table.rename(columns={"path": "file", "label": "finding", "patient": "patient_id"})
        table["file"] = "made-1/" + table["file"]
        table[["file", "finding", "patient_id", "age"]].to_csv(folder / "labels.csv", index=False)
        radlens.run(folder / "my_images", folder / "demo", seed=0)
    for name in ("mine", "a", "b"):
        shutil.copytree(folder / "demo", folder / "runs" / name)
    return folder


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page, "python")], ids=relative)
def test_python_examples_run(page: Path, workplace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "work"
    shutil.copytree(workplace, folder)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("RADLENS_CACHE", str(workplace / "cache"))
    # The blocks of a page are read one after the other, as its reader does.
    names: dict[str, Any] = {"__name__": "example"}
    with small_presets():
        for number, text in enumerate(blocks(page, "python"), start=1):
            exec(compile(text, f"{page.name}, example {number}", "exec"), names)


@pytest.mark.parametrize(("page", "line"), radlens_lines())
def test_command_lines_are_understood(page: Path, line: str) -> None:
    received: dict[str, Any] = {}
    group: Any = typer.main.get_command(app)
    group.callback = lambda **_: None
    for command in group.commands.values():
        command.callback = lambda **values: received.update(values)

    words = shlex.split(line)[1:]
    if "--help" in words:
        words.remove("--help")
        assert set(words) <= set(group.commands), f"no such command: {line}"
        return
    group.main(words, standalone_mode=False)

    if words[0] in ("run", "train") and received["model"]:
        assert received["model"] in {*registry(), *re.findall(r'name="(\w+)"', page.read_text(encoding="utf-8"))}
    resolve(received.get("preset"), assignments=tuple(received.get("settings") or ()))


@pytest.mark.parametrize("page", PAGES, ids=relative)
def test_commands_named_in_a_sentence_exist(page: Path) -> None:
    group: Any = typer.main.get_command(app)
    for span in spans(page):
        words = span.split()
        if words[:1] == ["radlens"] and len(words) > 1 and not words[1].startswith("-"):
            assert words[1] in group.commands, f"{relative(page)}: `{span}`"
            known = {name for item in group.commands[words[1]].params for name in item.opts}
            assert {word for word in words if word.startswith("--")} <= known, f"{relative(page)}: `{span}`"


@pytest.mark.parametrize("page", PAGES, ids=relative)
def test_python_files_named_in_a_sentence_exist(page: Path) -> None:
    folders = [
        ROOT,
        ROOT / "src" / "radlens",
        *(path for path in (ROOT / "src" / "radlens").rglob("*") if path.is_dir()),
    ]
    for span in spans(page):
        if re.fullmatch(r"[\w/*]+\.(py|ipynb)", span):
            assert any(any(folder.glob(span)) for folder in folders), f"{relative(page)}: `{span}`"


def spans(page: Path) -> list[str]:
    """What stands between backticks in the sentences of a page, with line ends as spaces."""
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    return [" ".join(span.split()) for span in re.findall(r"`([^`]+)`", text)]


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page, "yaml")], ids=relative)
def test_settings_files_are_understood(page: Path, tmp_path: Path) -> None:
    for text in blocks(page, "yaml"):
        (tmp_path / "settings.yaml").write_text(text, encoding="utf-8")
        resolve(file=tmp_path / "settings.yaml")


def test_a_wrong_option_would_be_noticed() -> None:
    with pytest.raises(Exception, match="--sed"):
        test_command_lines_are_understood(ROOT / "README.md", "radlens run images --out runs --sed 3")
    with pytest.raises(UsageError, match="epoch"):
        test_command_lines_are_understood(ROOT / "README.md", "radlens run images --out runs --set train.epoch=3")


@pytest.mark.parametrize("page", PAGES, ids=relative)
def test_make_targets_exist(page: Path) -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    text = page.read_text(encoding="utf-8")
    shown = set(re.findall(r"(?:^|`)make ([a-z]+)", text, re.MULTILINE))
    assert shown <= targets


@pytest.mark.parametrize("page", PAGES, ids=relative)
def test_links_lead_somewhere(page: Path) -> None:
    for target in links(page):
        file, _, anchor = target.partition("#")
        linked = (page.parent / file).resolve() if file else page
        assert linked.exists(), f"{relative(page)} links to {target}"
        if anchor:
            assert anchor in anchors(linked), f"{relative(page)} links to {target}"


def links(page: Path) -> list[str]:
    """Where a page links to within the repository."""
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    return [target for target in re.findall(r"\]\(([^)\s]+)\)", text) if not re.match(r"[a-z]+:", target)]


def anchors(page: Path) -> set[str]:
    """The names that headings get on the page, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("index", ["README.md", "docs/README.md"])
def test_every_page_is_reached(index: str) -> None:
    reached = {(ROOT / index).parent.joinpath(target.partition("#")[0]).resolve() for target in links(ROOT / index)}
    pages = {page for page in PAGES if page.is_relative_to(ROOT / "docs") and page.name != "README.md"}
    assert pages - reached == set()


def script_of_docs(name: str) -> Any:
    """A script of the documentation as a module."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "docs" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", ["make_reference", "make_benchmarks"])
def test_generated_pages_are_fresh(name: str) -> None:
    for path, text in script_of_docs(name).pages().items():
        assert path.read_text(encoding="utf-8") == text, f"{relative(path)} is stale: python docs/{name}.py"


def test_the_page_of_benchmarks_tells_of_every_data_file() -> None:
    page = (ROOT / "docs" / "benchmarks.md").read_text(encoding="utf-8")
    for results in (ROOT / "benchmarks" / "results").glob("*.csv"):
        assert f"`benchmarks/{results.stem}.py`" in page


def test_a_changed_figure_makes_the_page_of_benchmarks_stale(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    maker = script_of_docs("make_benchmarks")
    results = tmp_path / "results"
    shutil.copytree(maker.RESULTS, results)
    table = pd.read_csv(results / "framing_recipe.csv")
    table.loc[0, "worst_balanced"] = 0.5
    table.to_csv(results / "framing_recipe.csv", index=False)
    monkeypatch.setattr(maker, "RESULTS", results)
    (text,) = maker.pages().values()
    assert text != (ROOT / "docs" / "benchmarks.md").read_text(encoding="utf-8")


def test_artifacts_page_names_every_file_column_and_key(workplace: Path) -> None:
    run = workplace / "demo"
    named = set(re.findall(r"`([^`]+)`", ARTIFACTS.read_text(encoding="utf-8")))
    files = {path.relative_to(run).parts[0] for path in run.rglob("*") if path.is_file()}
    wanted = {name if (run / name).is_file() else f"{name}/" for name in files}
    wanted |= {path.name for path in (run / "model").iterdir()} | {
        path.name for path in (run / "checkpoints").iterdir()
    }
    wanted |= {path.name for path in (run / "augmentation").iterdir() if path.name != "epoch-001.npy"}
    wanted |= set(json.loads((run / "augmentation" / "columns.json").read_text(encoding="utf-8")))
    for name in ("manifest.csv", "predictions.csv", "history.csv"):
        wanted |= {
            re.sub("^probability_.*", "probability_<class>", column)
            for column in pd.read_csv(run / name).columns.astype(str)
        }
    for name in ("audit.json", "environment.json", "model/config.json"):
        wanted |= set(json.loads((run / name).read_text(encoding="utf-8")))
    wanted |= set(yaml.safe_load((run / "dataset.yaml").read_text(encoding="utf-8")))
    for block in json.loads((run / "metrics.json").read_text(encoding="utf-8")).values():
        wanted |= set(block) | set(block["interval"])
    assert wanted - named == set()


def test_readme_has_a_picture_small_enough_for_a_clone() -> None:
    picture = ROOT / "docs" / "images" / "report.png"
    assert picture.stat().st_size < 300_000
