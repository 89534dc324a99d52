"""Published ways of naming image files, of which a set merged from several sources holds several."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass

import pandas as pd


@dataclass(frozen=True)
class Scheme:
    """A published way of naming files.

    Attributes:
        name: the data sets that use it.
        pattern: matches the file's name without its suffix, with as many folders before it as it names; the first of
            its groups that holds anything is the patient.
    """

    name: str
    pattern: str


SCHEMES = (
    # person1000_bacteria_2931 -> person1000; IM-0115-0001 -> IM-0115; NORMAL2-IM-0374-0001-0002 -> NORMAL2-IM-0374
    Scheme(
        "Kermany chest X-ray (Kaggle)",
        r"(person\d+)_(?:bacteria|virus)_\d+(?:_\d+)*|((?:NORMAL\d*-)?IM-\d+)-\d+(?:-\d+)*",
    ),
    # (disease)-(patient)-(image of this patient): BACTERIA-1008087-0001 -> 1008087; CNV-1016042-1 -> 1016042
    Scheme("Kermany chest X-ray and OCT (Mendeley)", r"(?:NORMAL|BACTERIA|VIRUS|CNV|DME|DRUSEN)-(\d+)-\d+"),
    # 00000013_005 -> 00000013
    Scheme("NIH ChestX-ray14", r"(\d{8})_\d{3}"),
    # patient00001/study1/view1_frontal -> patient00001
    Scheme("CheXpert", r"(patient\d+)[/_]study\d+[/_]view[^/]+"),
    # patient11185/study1_positive/image1 -> patient11185
    Scheme("MURA", r"(patient\d+)[/_]study\d+_(?:positive|negative)[/_][^/]+"),
    # p10/p10000032/s50414267/02aa804e -> p10000032
    Scheme("MIMIC-CXR", r"(p\d{8})[/_]s\d+[/_][^/]+"),
    # CHNCXR_0001_0 -> CHNCXR_0001: one image a patient, the last figure tells tuberculosis
    Scheme("Shenzhen and Montgomery", r"((?:CHNCXR|MCUCXR)_\d{4})_[01]"),
    # JPCLN001 -> JPCLN001: one image a patient
    Scheme("JSRT", r"(JPC[LN]N\d{3})"),
    # NCP_96_1328_0035 -> NCP_96: class, patient, scan, slice
    Scheme("CNCB and COVIDx CT", r"((?:NCP|CP|Normal)_\d+)_\d+_\d+"),
    # 10_left -> 10
    Scheme("EyePACS and ODIR", r"(\d+)_(?:left|right)"),
    # OAS1_0028_MR1_mpr-1_100 -> OAS1_0028
    Scheme("OASIS", r"(OAS\d_\d{4})_.+"),
    # ADNI_002_S_0295_MR_… -> 002_S_0295
    Scheme("ADNI", r"(?:ADNI_)?(\d{3}_S_\d{4})(?:[_/].*)?"),
    # BraTS20_Training_001_flair -> BraTS20_Training_001
    Scheme("BraTS", r"(BraTS(?:\d+_[A-Za-z]+_\d+|-[A-Za-z]+-\d{5}))(?:[-_/].*)?"),
    # Mass-Training_P_00001_LEFT_CC -> P_00001
    Scheme("CBIS-DDSM", r"(?:Mass|Calc)-(?:Training|Test)_(P_\d{5})_(?:LEFT|RIGHT)_(?:CC|MLO)(?:[_/].*)?"),
    # 20586908_6c613a14b80a8591_MG_R_CC_ANON -> 6c613a14b80a8591
    Scheme("INbreast", r"\d{8}_([0-9a-f]{16})_MG_[LR]_(?:CC|ML|MLO|FB)_ANON"),
    # SOB_B_A-14-22549AB-40-001 -> 14-22549AB
    Scheme("BreakHis", r"SOB_[BM]_[A-Z]+-(\d+-[0-9A-Z]+)-\d+-\d+"),
    # LIDC-IDRI-0001/… -> LIDC-IDRI-0001; TCGA-02-0001-01Z-00-DX1 -> TCGA-02-0001
    Scheme("LIDC-IDRI and TCGA", r"(LIDC-IDRI-\d{4}|TCGA-[0-9A-Z]{2}-[0-9A-Z]{4})(?:[-_./].*)?"),
    # P000007-2 -> P000007
    Scheme("radlens phantoms", r"(P\d{6})-\d+"),
    # sub-01/ses-1/sub-01_ses-1_view-pa -> sub-01
    Scheme("BIDS", r"(sub-[A-Za-z0-9]+)(?:[_/][^/]*)*"),
    # patient_001/a -> patient_001; Subject 12/right/b -> Subject 12
    Scheme("folders named for patients", r"((?i:patient|subject)[ _-]?\d+)(?:/[^/]*)+"),
)

_SUFFIXES = re.compile(r"(?:\.(?:jpe?g|jfif|png|tiff?|bmp|webp|gif|dcm|dicom|nii|gz|npy))+$|\.[A-Za-z][^./]*$", re.I)
# What file managers and Roboflow append: "a (1)", "a - Copy (2)", "a_jpeg.rf.0123…".
_APPENDED = re.compile(r"_(?:jpe?g|png|bmp|webp)\.rf\.\w+$|(?: ?- ?copy)?(?: ?\(\d+\))$| ?- ?copy$", re.I)
_EACH = tuple(re.compile(f"(?:.*/)?(?:{scheme.pattern})") for scheme in SCHEMES)
# All at once tells most files, which follow none or one of them, in one pass.
_ANY = re.compile(
    "(?:.*/)?(?:" + "|".join(f"(?P<s{number}>{scheme.pattern})" for number, scheme in enumerate(SCHEMES)) + ")"
)


def tell_by_scheme(paths: pd.Series) -> tuple[pd.Series, dict[str, int]]:
    """Tell the patients of those files that follow one of :data:`SCHEMES`, each file on its own.

    Args:
        paths: relative paths with forward slashes.

    Returns:
        The patient of each path, None where the name follows no scheme; and how many files follow each of the schemes,
        the most frequent first. Where two schemes give the same name, it is preceded by that of the scheme: they are
        two people.
    """
    patients: list[str | None] = []
    schemes: list[int] = []
    for path in paths.tolist():
        number, patient = _tell(path)
        schemes.append(number)
        patients.append(patient)
    table = pd.DataFrame({"patient": pd.Series(patients, dtype=object), "scheme": schemes})
    told = table[table["scheme"] >= 0]
    counted = Counter(told["scheme"].tolist())
    counts = {SCHEMES[number].name: count for number, count in counted.most_common()}
    if len(counts) > 1:
        ambiguous = told.groupby("patient")["scheme"].nunique()
        twice = told.index[told["patient"].isin(ambiguous.index[ambiguous > 1])]
        named = [
            f"{SCHEMES[number].name}: {name}" for name, number in told.loc[twice, ["patient", "scheme"]].to_numpy()
        ]
        table.loc[twice, "patient"] = named
    return table["patient"].set_axis(paths.index), counts


def _tell(path: str) -> tuple[int, str | None]:
    """The number of the scheme that a path follows, and the patient; -1 and None where it follows none."""
    stem = _APPENDED.sub("", _SUFFIXES.sub("", path))
    match = _ANY.fullmatch(stem)
    if match is None or match.lastgroup is None:
        return -1, None
    number = int(match.lastgroup[1:])
    own = _EACH[number].fullmatch(stem)
    patient = next(filter(None, own.groups()), None) if own else None
    return (-1, None) if patient is None else (number, patient)
