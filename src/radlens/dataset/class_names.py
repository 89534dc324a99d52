"""What the names of classes say: which is the healthy one, and which of two is the positive one."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from enum import IntEnum
from functools import cache
from itertools import pairwise
from typing import NamedTuple

from radlens.dataset import healthy_words as words

# Letters that are no letter with an accent, but that people leave the stroke or the dot off.
_PLAIN = str.maketrans({"ł": "l", "ø": "o", "ı": "i", "đ": "d"})
# Glued before another word: notumor, NonDemented.
_GLUED = ("without", "non", "not", "no")


class Meaning(IntEnum):
    """What the name of a class says of the health of those in it, from ill to well."""

    AFFECTED = -1
    UNKNOWN = 0
    REST = 1
    BENIGN = 2
    HEALTHY = 3


class Positive(NamedTuple):
    """Which of two classes is positive, and what that was told by."""

    name: str
    reason: str


def fold(text: str) -> str:
    """The text without case and accents, in one Unicode form.

    >>> fold("Unauffällig"), fold("SAĞLIKLI") == fold("sağlıklı")
    ('unauffallig', True)
    """
    decomposed = unicodedata.normalize("NFKD", text.casefold().translate(_PLAIN))
    plain = "".join(letter for letter in decomposed if not unicodedata.category(letter).startswith("M"))
    return unicodedata.normalize("NFC", plain)


def word_set(text: str) -> frozenset[str]:
    """The words of a text, folded."""
    return frozenset(fold(text).split())


def words_of(name: str, *, camel: bool = True) -> list[str]:
    """The words and numbers of a name, folded.

    Args:
        name: with words set apart by case, numbers, spaces or marks.
        camel: whether a capital within a word begins another one.

    >>> words_of("CT_NonCOVID-19"), words_of("0Normal")
    (['ct', 'non', 'covid', '19'], ['0', 'normal'])
    """
    spaced = unicodedata.normalize("NFKC", name).replace("w/o", " without ")
    if camel:
        spaced = re.sub(r"(?<=[a-zà-öø-ÿа-я])(?=[A-ZÀ-ÖØ-ÞА-Я])|(?<=[A-Z])(?=[A-Z][a-z])", " ", spaced)
    return re.findall(r"[^\W\d_]+|\d+", fold(spaced))


def meaning_of(name: str) -> Meaning:
    """What the name says of the health of those in the class.

    >>> [meaning_of(name).name for name in ("1. Normal", "Not Normal", "NoPneumonia", "Benign cases", "cat")]
    ['HEALTHY', 'AFFECTED', 'HEALTHY', 'BENIGN', 'UNKNOWN']
    """
    stripped = name.strip()
    if stripped in {"-", "−", "–", "(-)"}:
        return Meaning.HEALTHY
    if stripped in {"+", "(+)"}:
        return Meaning.AFFECTED
    # NORMALs would come apart at its capitals.
    for camel in (False, True):
        meaning = _meaning(words_of(name, camel=camel))
        if meaning != Meaning.UNKNOWN:
            return meaning
    return Meaning.UNKNOWN


def means_nothing_found(name: str) -> bool:
    """Whether the class of this name holds the images without a finding.

    >>> means_nothing_found("No Finding"), means_nothing_found("abnormal")
    (True, False)
    """
    return meaning_of(name) == Meaning.HEALTHY


def tell_positive(names: Sequence[str]) -> Positive | None:
    """Which of two classes is positive, by their names; None where these do not tell.

    >>> tell_positive(["Uninfected", "Parasitized"])
    Positive(name='Parasitized', reason='Uninfected is the name of a healthy class')
    >>> tell_positive(["cat", "dog"]) is None
    True
    """
    first, second = names
    by_number = _by_number(first, second)
    if by_number:
        return by_number
    for denied, plain in ((first, second), (second, first)):
        if _denies(denied, plain):
            well = meaning_of(plain) in (Meaning.HEALTHY, Meaning.BENIGN)
            return Positive(denied if well else plain, f"{denied} is the opposite of {plain}")
    meanings = meaning_of(first), meaning_of(second)
    if meanings[0] == meanings[1]:
        meanings = _without_shared(first, second)
    if meanings[0] == meanings[1]:
        return None
    positive, negative = (first, second) if meanings[0] < meanings[1] else (second, first)
    kinds = {Meaning.HEALTHY: "a healthy class", Meaning.BENIGN: "a benign class", Meaning.REST: "all others"}
    if max(meanings) in kinds:
        return Positive(positive, f"{negative} is the name of {kinds[max(meanings)]}")
    return Positive(positive, f"{positive} is the name of an affected class")


def _meaning(all_words: Sequence[str]) -> Meaning:
    core = [word for word in all_words if not word.isdigit() and word not in _listed("FILLERS")]
    if not core:
        if all_words and all(word in _listed("AFFECTED_ALONE") for word in all_words):
            return Meaning.AFFECTED
        numbers = [word for word in all_words if word.isdigit()]
        return Meaning.HEALTHY if numbers and not any(map(int, numbers)) else Meaning.UNKNOWN
    text = f" {' '.join(word for word in all_words if not word.isdigit())} "
    if any(f" {phrase} " in text for phrase in words.NOT_HEALTHY):
        return Meaning.UNKNOWN
    # A letter with a number, such as p1 or N0, is an identifier.
    numbered = len(core[0]) == 1 and len(core) < len(all_words)
    if len(core) == 1 and not numbered and (alone := _alone(core[0])) is not None:
        return alone
    if core[0] in _listed("NEGATIONS") and len(core) > 1:
        return _denied(core[1:])
    return _held(core)


def _alone(word: str) -> Meaning | None:
    """What a word says when no other stands in the name."""
    lists = {"HEALTHY_ALONE": Meaning.HEALTHY, "AFFECTED_ALONE": Meaning.AFFECTED, "REST": Meaning.REST}
    return next((meaning for name, meaning in lists.items() if word in _listed(name)), None)


def _denied(rest: Sequence[str]) -> Meaning:
    """What a name says that begins with a negation, by the words after it."""
    if rest[0] in _listed("NAMED_WITH_NON"):
        return Meaning.UNKNOWN
    well = _listed("HEALTHY") | _listed("BENIGN")
    return Meaning.AFFECTED if well.intersection(rest) else Meaning.HEALTHY


def _held(core: Sequence[str]) -> Meaning:
    """What a name says by the words in it."""
    for before, word in pairwise(core):
        if before in _listed("NEGATIONS") and word in _listed("HEALTHY"):
            return Meaning.AFFECTED
    if _listed("AFFECTED").intersection(core):
        return Meaning.AFFECTED
    if _listed("HEALTHY").intersection(core) or (core[-1] == "free" and len(core) > 1):
        return Meaning.HEALTHY
    if _listed("BENIGN").intersection(core):
        return Meaning.BENIGN
    if _glued(core[0]):
        return Meaning.HEALTHY
    return _unspaced("".join(core))


def _glued(word: str) -> bool:
    """Whether it is a negation and a finding in one word, or a healthy one with what is looked at."""
    denied = any(word.removeprefix(prefix) in _listed("FINDINGS") for prefix in _GLUED if word.startswith(prefix))
    return denied or any(
        word.removeprefix(prefix) in _listed("FILLERS") for prefix in ("normal", "healthy") if word.startswith(prefix)
    )


def _unspaced(text: str) -> Meaning:
    """What a name says in a script that sets no spaces between words."""
    if text.startswith(tuple(_listed("UNSPACED_NONE"))) or text.endswith(tuple(_listed("UNSPACED_NONE_LAST"))):
        return Meaning.HEALTHY
    lists = (
        (_listed("UNSPACED_AFFECTED"), Meaning.AFFECTED),
        (_listed("UNSPACED_HEALTHY"), Meaning.HEALTHY),
        (_listed("UNSPACED_BENIGN"), Meaning.BENIGN),
    )
    return next((meaning for parts, meaning in lists if any(part in text for part in parts)), Meaning.UNKNOWN)


def _by_number(first: str, second: str) -> Positive | None:
    """Of 0 and 1, also as ``class 0`` and ``class 1``, the higher one; of -1 and 1 too."""
    one, other = _number(first), _number(second)
    if one is None or other is None or one == other:
        return None
    if min(one, other) != 0 and {one, other} != {-1, 1}:
        return None
    return Positive(first if one > other else second, "by convention the higher of two numbers is positive")


def _number(name: str) -> float | None:
    if re.fullmatch(r"\s*[-+]?\d+(?:[.,]\d+)?\s*", name):
        return float(name.replace(",", "."))
    parts = words_of(name)
    numbers = [part for part in parts if part.isdigit()]
    named = all(part.isdigit() or part in _listed("FILLERS") for part in parts)
    return float(numbers[0]) if named and len(numbers) == 1 else None


def _denies(denied: str, plain: str) -> bool:
    """Whether the first name says that what the second one names is not there: no tumour, without_mask, nontb."""
    said, named = words_of(denied), words_of(plain)
    named = named[1:] if len(named) > 1 and named[0] in _listed("WITH") else named
    if not named:
        return False
    for place, word in enumerate(said):
        if word in _listed("NEGATIONS") and said[place + 1 : place + 1 + len(named)] == named:
            return named[0] not in _listed("NAMED_WITH_NON")
    glued = "".join(said)
    short = denied.isupper() and plain.isupper() and glued == "n" + "".join(named)
    return (short or any(glued == prefix + "".join(named) for prefix in _GLUED)) and (
        named[0] not in _listed("NAMED_WITH_NON")
    )


def _without_shared(first: str, second: str) -> tuple[Meaning, Meaning]:
    """What the names say by the words that they do not share, such as lung_n and lung_aca."""
    parts = words_of(first), words_of(second)
    shared = set(parts[0]) & set(parts[1])
    own = [[word for word in each if word not in shared] for each in parts]
    if not shared or not all(own):
        return Meaning.UNKNOWN, Meaning.UNKNOWN
    return _meaning(own[0]), _meaning(own[1])


@cache
def _listed(name: str) -> frozenset[str]:
    """A list of :mod:`radlens.dataset.healthy_words`, folded."""
    return word_set(getattr(words, name))
