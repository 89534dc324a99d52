"""One resolver for the names of all tables."""

from __future__ import annotations

import itertools
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from radlens.dataset.sources.image_names import NO_IMAGE, SEVERAL_IMAGES, resolve_names

PATHS = ["images_001/images/a.png", "images_001/images/b.PNG", "images_002/images/c.jpg", "top.png"]


def positions(names: list[str], paths: list[str] = PATHS, root: str = "") -> list[int]:
    return [int(position) for position in resolve_names(names, paths, root).positions]


@pytest.mark.parametrize(
    "name",
    [
        "images_002/images/c.jpg",
        "./images_002//images/c.jpg",
        "images_002\\images\\c.jpg",
        "C:\\Users\\me\\NIH\\images_002\\images\\c.jpg",
        "/home/other/NIH/images_002/images/c.jpg",
        "/home/other/NIH/images/c.jpg",
        "gs://bucket/set/c.jpg",
        "images/c.jpg",
        "c.jpg",
        "C.JPG",
        "c",
        "C",
        "images_002/images/c",
        "c.png",
        "images/c.dcm",
    ],
)
def test_every_way_to_name_an_image_finds_it(name: str) -> None:
    assert positions([name]) == [2]


def test_what_is_told_of_the_ways() -> None:
    resolved = resolve_names(["a.png", "/x/images/b.PNG", "c.png", "top"], PATHS)
    assert (resolved.positions.tolist(), resolved.by_end, resolved.by_stem) == ([0, 1, 2, 3], (1,), (2,))


def test_names_of_several_images_and_of_none() -> None:
    paths = ["x/1.png", "y/1.png", "y/2.png", "y/2.jpg", "y/3.png"]
    names = ["1.png", "y/1.png", "2", "4.png", "3.png", "z/1.png"]
    assert positions(names, paths) == [SEVERAL_IMAGES, 1, SEVERAL_IMAGES, NO_IMAGE, 4, NO_IMAGE]


def test_a_file_name_that_many_folders_share_does_not_tell_an_image() -> None:
    """Of patients whose files are all called alike, the one that is not there must not get another's image."""
    names = [f"train/patient{number}/study1/view1_frontal.jpg" for number in (1, 2, 3)]
    assert positions(names, ["train/patient2/study1/view1_frontal.jpg"]) == [NO_IMAGE, 0, NO_IMAGE]
    assert positions(names[:1] + names[2:], ["train/patient2/study1/view1_frontal.jpg"]) == [NO_IMAGE, NO_IMAGE]


def test_the_folder_of_another_machine_is_taken_off_all_names_alike() -> None:
    paths = ["1.png", "a/1.png", "b/1.png"]
    assert positions([f"/old/root/{path}" for path in paths], paths) == [0, 1, 2]
    assert positions([f"D:\\old\\{path}" for path in paths], paths) == [0, 1, 2]


def test_absolute_paths_of_this_machine() -> None:
    paths = ["1.png", "a/1.png"]
    assert positions(["/here/set/1.png", "/here/set/a/1.png", "a/1.png"], paths, "/here/set") == [0, 1, 1]


def test_an_identifier_with_dots_has_no_suffix() -> None:
    assert positions(["1.2.3.4", "1.2.3.5"], ["x/1.2.3.4.dcm", "x/1.2.3.6"]) == [0, NO_IMAGE]


def test_of_names_that_differ_in_case_alone_each_finds_its_own() -> None:
    assert positions(["a.png", "A.png", "x/A.PNG"], ["x/a.png", "x/A.png"]) == [0, 1, SEVERAL_IMAGES]


def test_an_exact_name_wins_over_one_with_another_suffix_or_folder() -> None:
    assert positions(["a.png", "a.jpg", "q/a.png"], ["a.png"]) == [0, NO_IMAGE, NO_IMAGE]


@given(st.sets(st.tuples(st.sampled_from("xyz"), st.sampled_from("pq"), st.integers(0, 5)), min_size=1), st.randoms())
def test_no_name_gets_the_image_of_another(images: set[tuple[str, str, int]], rng: random.Random) -> None:
    paths = sorted(f"{a}/{b}/{number}.png" for a, b, number in images)
    everything = [f"{a}/{b}/{number}.png" for a, b, number in itertools.product("xyz", "pq", range(6))]
    names = rng.sample(everything, 20)
    for prefix in ("", "/other/machine/", "E:\\set\\"):
        for name, position in zip(names, positions([prefix + name for name in names], paths), strict=True):
            if name in paths:
                assert position == paths.index(name)
            elif position >= 0:
                assert paths[position].rpartition("/")[2] == name.rpartition("/")[2]
                assert paths[position] not in names
