"""Which image a table means: by its path, by the end that two paths share, by file name, or by that without suffix."""

from __future__ import annotations

import itertools
import os
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

NO_IMAGE, SEVERAL_IMAGES = -1, -2

# What follows the last dot of an identifier such as 1.2.840.5 is no suffix.
_SUFFIX = re.compile(r"\.[A-Za-z][A-Za-z0-9]*$")
_UNTIDY = re.compile(r"(?:^|/)\.{0,2}/")


@dataclass(frozen=True)
class ResolvedNames:
    """Which image each name means.

    Attributes:
        positions: of the image among the paths, shape (names,); :data:`NO_IMAGE` or :data:`SEVERAL_IMAGES` for none.
        by_end: positions of names, in ascending order, that give another folder than the image lies in.
        by_stem: positions of names that have another suffix than the image.
    """

    positions: npt.NDArray[np.int64]
    by_end: tuple[int, ...] = ()
    by_stem: tuple[int, ...] = ()


def tidy(name: str) -> str:
    r"""A path with forward slashes, without dots that lead nowhere.

    >>> tidy(".\\images\\\\a.png"), tidy("a/../b.png")
    ('images/a.png', 'b.png')
    """
    path = name.replace("\\", "/")
    return os.path.normpath(path).replace(os.sep, "/") if _UNTIDY.search(path) else path


def resolve_names(names: Sequence[str], paths: Sequence[str], root: str = "") -> ResolvedNames:
    r"""Find the image that each name of a table means, in time that grows with names and paths alone.

    In this order: the path itself; the path below the folder that all names start with, as on another machine; the
    longest end that it shares with the path of one image, which may be the file name alone. All that as written, then
    in any case and encoding of accents, then without suffix. A name that gives folders, not all of which the image
    lies in, is taken only where most names do not fit as they are and no other name ends the same, since then the file
    name tells images apart.

    Args:
        names: paths, file names or stems, of this machine or another.
        paths: of the images, distinct, relative to ``root``, with forward slashes.
        root: the folder that the paths start from.

    >>> resolve_names(["D:\\x\\b.png", "a", "c.png"], ["images_001/a.png", "images_002/b.png"]).positions.tolist()
    [1, 0, -1]
    """
    inside = f"{root.rstrip('/')}/" if root else ""
    written = [tidy(name).removeprefix(inside) if inside else tidy(name) for name in names]
    distinct = list(dict.fromkeys(written))
    position_of = {path: number for number, path in enumerate(paths)}
    hits = {name: _Hit(position_of[name], whole=True) for name in distinct if name in position_of}
    hits |= _below_another_root([name for name in distinct if name not in hits], position_of)
    # Where most paths fit as they are, one that gives another folder means an image that is not there.
    whole_only = 2 * len(hits) > len(distinct)
    forms: list[tuple[Callable[[str], str], bool]] = [(str, False), (_folded, False), (str, True), (_folded, True)]
    for spell, without_suffix in forms:
        # What fits several images as written may fit one in another case, but is not to be tried without its suffix.
        open_names = [name for name in distinct if name not in hits or (hits[name].position < 0 and not without_suffix)]
        if open_names:
            ends = _Ends(paths, distinct, spell, without_suffix=without_suffix, whole_only=whole_only)
            hits |= {name: hit for name in open_names if (hit := ends.find(name)) is not None}
    _settle_claims(hits)
    of_names = [hits.get(name, _NOTHING) for name in written]
    return ResolvedNames(
        np.asarray([hit.position for hit in of_names], dtype=np.int64),
        tuple(number for number, hit in enumerate(of_names) if hit.position >= 0 and not hit.whole),
        tuple(number for number, hit in enumerate(of_names) if hit.position >= 0 and hit.other_suffix),
    )


@dataclass(frozen=True)
class _Hit:
    """What a name was taken for; ``whole`` where no part of the name was passed over."""

    position: int
    whole: bool
    other_suffix: bool = False


_NOTHING = _Hit(NO_IMAGE, whole=True)


class _Ends:
    """The ends of all paths, and those of all names, in one spelling."""

    def __init__(
        self,
        paths: Sequence[str],
        names: Sequence[str],
        spell: Callable[[str], str],
        *,
        without_suffix: bool,
        whole_only: bool,
    ) -> None:
        self.spell, self.without_suffix, self.whole_only = spell, without_suffix, whole_only
        self.image_of: dict[str, int] = {}
        for number, path in enumerate(paths):
            for end in _ends(spell(_stem(path) if without_suffix else path)):
                self.image_of[end] = SEVERAL_IMAGES if end in self.image_of else number
        self.names_with = Counter(end for name in names for end in _ends(self._of_name(name)))

    def find(self, name: str) -> _Hit | None:
        # An identifier may hold dots: it is tried as it is before what may be its suffix is taken off.
        as_it_is = self._find(self.spell(name), other_suffix=False)
        if as_it_is is not None or not self.without_suffix or _stem(name) == name:
            return as_it_is
        return self._find(self._of_name(name), other_suffix=True)

    def _find(self, text: str, *, other_suffix: bool) -> _Hit | None:
        for end in _ends(text):
            position = self.image_of.get(end)
            if position is None:
                continue
            whole = end == text
            if whole or (self.names_with[end] <= 1 and not self.whole_only):
                return _Hit(position, whole, other_suffix)
            return None
        return None

    def _of_name(self, name: str) -> str:
        return self.spell(_stem(name) if self.without_suffix else name)


def _below_another_root(names: Sequence[str], position_of: Mapping[str, int]) -> dict[str, _Hit]:
    """Names that are paths once folders that all of them start with are taken off, as few folders as serve most."""
    if not names:
        return {}
    # What the first and the last in the alphabet share, all share.
    first, last = (name.split("/")[:-1] for name in (min(names), max(names)))
    common = [part for part, _ in itertools.takewhile(lambda pair: pair[0] == pair[1], zip(first, last, strict=False))]
    best: dict[str, _Hit] = {}
    for depth in range(1, len(common) + 1):
        start = len("/".join(common[:depth])) + 1
        below = {name: _Hit(position_of[name[start:]], whole=False) for name in names if name[start:] in position_of}
        best = max(best, below, key=len)
    return best


def _settle_claims(hits: dict[str, _Hit]) -> None:
    """Of several names for one image, those that give other folders or another suffix give way."""
    claims = Counter(hit.position for hit in hits.values() if hit.position >= 0)
    for name, hit in list(hits.items()):
        if claims[hit.position] > 1 and (hit.other_suffix or not hit.whole):
            hits[name] = _NOTHING


def _ends(path: str) -> Iterator[str]:
    """The path, and what follows each of its slashes, the longest first."""
    yield path
    place = path.find("/")
    while place >= 0:
        yield path[place + 1 :]
        place = path.find("/", place + 1)


def _stem(path: str) -> str:
    return _SUFFIX.sub("", path)


def _folded(text: str) -> str:
    return unicodedata.normalize("NFC", text).casefold()
