"""How sources read the names that people give to splits and classes."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import pandas as pd

from radlens.dataset.class_names import fold, word_set, words_of

SPLIT_SYNONYMS = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "dev": "val",
    "test": "test",
    "testing": "test",
}
_OTHER_WORDS = {
    "train": "trn entrenamiento treino treinamento entrainement apprentissage trening обучение обучающая 训练 訓練",
    "val": "validate validating devel validacion validacao валидация 验证 驗證",
    "test": "tst holdout prueba pruebas teste тест тестовая 测试 測試",
}
_SPLIT_WORDS = SPLIT_SYNONYMS | {fold(word): split for split, listed in _OTHER_WORDS.items() for word in listed.split()}
_SPLIT_FILLERS = word_set("set sets data dataset images image imgs img folder split samples files 集 数据")


def split_of(name: str) -> str | None:
    """The split that a folder or cell names, in any case; ``None`` if it names none.

    >>> split_of("Validation"), split_of("train-set"), split_of("test_data"), split_of("NORMAL")
    ('val', 'train', 'test', None)
    """
    parts = [word for word in words_of(name) if word not in _SPLIT_FILLERS and not _is_year(word)]
    if len(parts) != 1:
        return None
    word = parts[0]
    for ending in ("", "set", "data", "集"):
        split = _SPLIT_WORDS.get(word.removesuffix(ending))
        if split and word.endswith(ending):
            return split
    return None


def _is_year(word: str) -> bool:
    return word.isdecimal() and len(word) == 4 and word[:2] in ("19", "20")


def splits_of_siblings(names: Sequence[str]) -> dict[str, str]:
    """The split of each of several folders side by side that names one, as far as they do.

    What all of them have in their names says nothing: ``chest_train`` next to ``chest_test``.

    >>> splits_of_siblings(["chest_train", "chest_test"]), splits_of_siblings(["train", "NORMAL"])
    ({'chest_train': 'train', 'chest_test': 'test'}, {'train': 'train'})
    """
    plain = {name: split for name in names if (split := split_of(name))}
    if plain or len(names) < 2:
        return plain
    shared = set.intersection(*(set(words_of(name)) for name in names))
    rest = {name: split_of(" ".join(word for word in words_of(name) if word not in shared)) for name in names}
    told = {name: split for name, split in rest.items() if split}
    return told if len(told) == len(names) else {}


def splits_and_classes(names: Sequence[str]) -> dict[str, tuple[str, str]]:
    """The split and the class of folders whose names hold both; empty unless all do and the classes recur.

    >>> splits_and_classes(["train_NORMAL", "train_ill", "test_NORMAL", "test_ill"])["test_NORMAL"]
    ('test', 'NORMAL')
    """
    told: dict[str, tuple[str, str]] = {}
    for name in names:
        parts = [part for part in re.split(r"[ _.\-]+", name) if part]
        splits = [split for part in parts if (split := split_of(part))]
        if len(splits) != 1 or len(parts) < 2:
            return {}
        told[name] = splits[0], "_".join(part for part in parts if not split_of(part))
    counts = Counter(fold(label) for _, label in told.values())
    recurring = len(counts) > 1 and all(count > 1 for count in counts.values())
    return told if recurring and len(set(told.values())) == len(told) else {}


def one_spelling(names: pd.Series) -> pd.Series:
    """The same names with one spelling for those that differ in case or outer spaces only: the most frequent one.

    >>> list(one_spelling(pd.Series(["Normal", "NORMAL", "NORMAL ", "mass"])))
    ['NORMAL', 'NORMAL', 'NORMAL', 'mass']
    """
    stripped = names.str.strip()
    return stripped.map(spellings(Counter(stripped.tolist())))


def spellings(counts: Mapping[str, int]) -> dict[str, str]:
    """One spelling for names that differ in case or in the encoding of accents only: the most frequent one.

    Args:
        counts: how often each name occurs.

    >>> spellings({"Mass": 2, "mass": 3, "nodule": 1})
    {'mass': 'mass', 'Mass': 'mass', 'nodule': 'nodule'}
    """
    ranked = sorted(counts, key=lambda name: (-counts[name], name))
    spelling_of: dict[str, str] = {}
    for name in ranked:
        spelling_of.setdefault(_folded(name), name)
    return {name: spelling_of[_folded(name)] for name in ranked}


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", name.casefold())


def alike(names: Iterable[str]) -> list[tuple[str, str]]:
    """Pairs of names that differ in spaces and punctuation alone.

    >>> alike(["Pleural_Effusion", "Pleural Effusion", "Mass"])
    [('Pleural Effusion', 'Pleural_Effusion')]
    """
    first: dict[str, str] = {}
    pairs = []
    for name in sorted(names):
        letters = "".join(filter(str.isalnum, _folded(name)))
        if letters and first.setdefault(letters, name) != name:
            pairs.append((first[letters], name))
    return pairs
