"""The maps are true: CONTRIBUTING names the rooms that there are, the contracts that hold, and files that exist."""

from __future__ import annotations

import configparser
import re
from pathlib import Path

import pytest
import yaml

from radlens.base.version import __version__

ROOT = Path(__file__).parents[1]
HOUSE = ROOT / "src" / "radlens"
CONTRIBUTING = ROOT / "CONTRIBUTING.md"
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])

# A path of the repository, in a sentence, a table or a code block: it begins with one of the folders that git has here.
PATH = re.compile(r"(?<![\w/.-])(?:src|tests|docs|benchmarks|notebooks|\.ci)/(?:[\w./*-]*[\w*/])?")
# What a reader is asked to write, in docs/how-to/add-a-network.md.
TO_BE_WRITTEN = {"src/radlens/learning/networks/tiny_cnn.py"}
IMPORTS = "Which room may import which"
CHANGES = 10


def section(page: Path, heading: str) -> str:
    """The text under a heading of the second level."""
    parts = re.split(r"^## (.+)\n", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))[heading]


def rows(text: str) -> list[list[str]]:
    """The cells of the tables in a text, without headers."""
    lines = [line.strip().strip("|").split("|") for line in text.splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in line] for line in lines]
    rules = [number for number, line in enumerate(cells) if set("".join(line)) <= set("-: ")]
    headers = {number - 1 for number in rules}
    return [line for number, line in enumerate(cells) if number not in headers | set(rules)]


def contracts() -> configparser.ConfigParser:
    parser = configparser.ConfigParser()
    parser.read(ROOT / ".importlinter", encoding="utf-8")
    return parser


def layers() -> list[str]:
    """The rooms from the top down."""
    return contracts()["importlinter:contract:rooms"]["layers"].split()


def forbidden() -> dict[str, set[str]]:
    """For each room, what it may never import: packages, and rooms as ``radlens.room``."""
    bans: dict[str, set[str]] = {room: set() for room in layers()}
    for contract in contracts().values():
        if contract.get("type") == "forbidden":
            for module in contract["source_modules"].split():
                bans[module.removeprefix("radlens.")] |= set(contract["forbidden_modules"].split())
    return bans


def matrix() -> str:
    """Which room may import which, as CONTRIBUTING shows it.

    Indirect imports count: who may not import a package may not import a room that may.
    """
    rooms, bans = layers(), forbidden()

    def may(upper: int, lower: int) -> bool:
        above, below = bans[rooms[upper]], bans[rooms[lower]]
        packages = {name for name in above if not name.startswith("radlens.")}
        return lower > upper and f"radlens.{rooms[lower]}" not in above and packages <= below

    width = max(map(len, rooms))
    numbers = range(len(rooms))
    lines = [" " * (width + 4) + " ".join(f"{number + 1:2}" for number in numbers)]
    for upper in numbers:
        marks = " ".join(" ●" if may(upper, lower) else " ·" for lower in numbers)
        lines.append(f"{upper + 1:2} {rooms[upper]:{width}} {marks}")
    return "\n".join(lines)


def rooms_that_exist() -> set[str]:
    """Every room and every folder within one, with a slash behind it, and the modules that stand alone."""
    folders = {path.relative_to(HOUSE).as_posix() for path in HOUSE.rglob("*") if path.is_dir()}
    # Models are data: a folder each.
    kept = {name for name in folders if "__pycache__" not in name and not name.startswith("models/")}
    return {f"{name}/" for name in kept} | {path.name for path in HOUSE.glob("*.py") if path.name != "__init__.py"}


def test_the_map_names_every_room_and_no_other() -> None:
    named = set(re.findall(r"`([\w/.]+(?:/|\.py))`", "\n".join("|".join(row[:-1]) for row in map_of_rooms())))
    assert rooms_that_exist() - named == set(), "missing on the map of CONTRIBUTING.md"
    assert named - rooms_that_exist() == set(), "on the map of CONTRIBUTING.md, and nowhere else"


def map_of_rooms() -> list[list[str]]:
    return rows(section(CONTRIBUTING, "The house on one page"))


def test_the_map_has_the_rooms_in_the_order_of_the_contract() -> None:
    order = [re.sub(r"`|/|\.py", "", row[0]) for row in map_of_rooms()]
    assert [room for room in order if room != "models"] == layers()


def test_every_room_is_in_the_contract() -> None:
    tops = {name.removesuffix("/").removesuffix(".py") for name in rooms_that_exist() if "/" not in name.rstrip("/")}
    assert tops - {"models"} == set(layers())


def test_the_picture_of_imports_is_that_of_the_contracts() -> None:
    (picture,) = re.findall(r"^```text\n(.*?)\n```$", section(CONTRIBUTING, IMPORTS), re.MULTILINE | re.DOTALL)
    assert picture == matrix()


def test_the_packages_that_rooms_go_without_are_those_of_the_contracts() -> None:
    told: dict[str, set[str]] = {room: set() for room in layers()}
    for names, packages in rows(section(CONTRIBUTING, IMPORTS)):
        for room in re.findall(r"`(\w+)`", names):
            told[room] = set(packages.replace("scikit-learn", "sklearn").split(", "))
    banned = {room: {name for name in bans if "radlens" not in name} for room, bans in forbidden().items()}
    assert told == banned


def test_each_change_has_a_place_in_a_room_a_test_and_a_page() -> None:
    changes = rows(section(CONTRIBUTING, "Where would it go?"))
    assert len(changes) == CHANGES
    for change, *places in changes:
        code, tests, docs = (PATH.findall(cell) for cell in places)
        assert code, change
        assert all(path.startswith("src/radlens/") for path in code), change
        assert any(path.startswith("tests/") for path in tests), change
        assert any(path.startswith("docs/") and (ROOT / path).suffix in ("", ".md") for path in docs), change


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_paths_on_a_page_exist(page: Path) -> None:
    for path in PATH.findall(page.read_text(encoding="utf-8")):
        assert path in TO_BE_WRITTEN or any(ROOT.glob(path)), f"{page.relative_to(ROOT)} names {path}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_modules_on_a_page_exist(page: Path) -> None:
    for name in re.findall(r"\bradlens(?:\.\w+)+", page.read_text(encoding="utf-8")):
        path, rest = HOUSE, name.split(".")[1:]
        while rest and ((path / rest[0]).is_dir() or (path / f"{rest[0]}.py").is_file()):
            path /= rest.pop(0)
        if path != HOUSE:
            module = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
            # What is left is a name within the module.
            assert len(rest) <= 1, f"{page.relative_to(ROOT)} names {name}"
            assert not rest or re.search(rf"\b{rest[0]}\b", module.read_text(encoding="utf-8")), name
        elif len(rest) > 1:
            pytest.fail(f"{page.relative_to(ROOT)} names {name}, and there is no such room")


def test_the_readme_fits_a_few_screens() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 150


def test_citation_and_package_are_of_one_version() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == __version__
