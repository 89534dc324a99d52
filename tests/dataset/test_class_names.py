"""What the names of classes say."""

from __future__ import annotations

import unicodedata
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from radlens.dataset.class_names import Meaning, meaning_of, means_nothing_found, tell_positive

Form = Literal["NFC", "NFD", "NFKC"]

# Healthy first, ill second: of public sets and of people who name folders in their own way and language.
TOLD = [
    ("Normal", "PNEUMONIA"),
    ("NORMAL-1000", "PNEUMONIA-1000"),
    ("0", "1"),
    ("class 0", "class 1"),
    ("0_normal", "1_pneumonia"),
    ("1. Normal", "2. Covid"),
    ("Normal", "Not Normal"),
    ("NonCOVID", "COVID"),
    ("CT_NonCOVID", "CT_COVID"),
    ("normal", "abnormal"),
    ("benign", "malignant"),
    ("Benign cases", "Malignant cases"),
    ("Normal cases", "Bengin cases"),
    ("NoPneumonia", "Pneumonia"),
    ("COVID-negative", "COVID-positive"),
    ("uninfected", "parasitized"),
    ("without_mask", "with_mask"),
    ("non-cancer", "cancer"),
    ("notumor", "tumor"),
    ("Control", "AD"),
    ("CN", "AD"),
    ("no", "yes"),
    ("colon_n", "colon_aca"),
    ("NRG", "RG"),
    ("Nondemented", "Demented"),
    ("nosymptoms", "symptoms"),
    ("Others", "MEL"),
    ("sick_but_no_tb", "tb"),
    ("health", "sick_but_no_tb"),
    ("No Lung Opacity / Not Normal", "Lung Opacity"),
    ("Normal", "No Lung Opacity / Not Normal"),
    ("-1", "1"),
    ("false", "true"),
    ("absent", "present"),
    ("sano", "neumonia"),
    ("Sano/a", "Enfermo/a"),
    ("saudável", "pneumonia"),
    ("unauffällig", "auffällig"),
    ("zdrowy", "chory"),
    ("здоровые", "пневмония"),
    ("норма", "патология"),
    ("正常", "肺炎"),
    ("正常", "异常"),
    ("健康", "病人"),
    ("정상", "비정상"),
    ("無異常", "肺炎"),
    ("negative", "non-negative"),
    ("HER2-negative", "HER2-positive"),
    ("NORMALs", "SICKs"),
    ("nevus", "malignant"),
    ("No_DR", "Mild"),
    ("not fractured", "fractured"),
    ("normalchest", "mass"),
    ("Tumor free", "Cancer"),
    ("Normal (1)", "Covid (1)"),
    ("control", "case"),
    ("controls", "cases"),
    ("controls", "patients"),
    ("NORMALE", "POLMONITE"),
    ("SAĞLIKLI", "HASTA"),
    ("false positive", "true positive"),
    ("grade0", "grade1"),
    ("typical", "atypical"),
    ("good", "bad"),
    ("Negative for Pneumonia", "Typical Appearance"),
    ("-", "+"),
    ("Normal_test", "COVID_test"),
    ("n", "p"),
    ("sain", "malade"),
    ("Sem achados", "Pneumonia"),
    ("bez zmian", "zmiany"),
    ("Ohne Befund", "Befund"),
    ("Kein Tumor", "Tumor"),
    ("Normal Rontgen", "RA"),
    ("No Mask", "Mask"),
    ("normal_cxr", "lung_opacity"),
    ("0", "2"),
    ("normal", "adenocarcinoma_left.lower.lobe_T2_N0_M0_Ib"),
    ("0.0", "1.0"),
    ("Class 0", "Class 1"),
    ("label_0", "label_1"),
    ("Non Covid", "COVID19"),
    ("Non-COVID-19", "COVID-19"),
    ("NoFinding", "Effusion"),
    ("No Finding", "Pneumonia"),
    ("notinfected", "infected"),
    ("non_autistic", "autistic"),
    ("no_fracture", "fracture"),
    ("Glaucoma_Negative", "Glaucoma_Positive"),
    ("negative for TB", "TB"),
    ("healthy eyes", "glaucoma"),
    ("lung_n", "lung_scc"),
    ("Other", "Melanoma"),
    ("unremarkable", "fracture"),
    ("Normal Cases", "Malignant Cases"),
    ("sin hallazgos", "neumonía"),
    ("sana", "enferma"),
    ("negativo", "positivo"),
    ("não pneumonia", "pneumonia"),
    ("sans anomalie", "anomalie"),
    ("témoins", "malades"),
    ("gesunde Lunge", "Lungenentzündung"),
    ("Kontrollgruppe", "Alzheimer"),
    ("geen tumor", "tumor"),
    ("zdrowe płuca", "zapalenie"),
    ("без патологии", "с патологией"),
    ("контроль", "туберкулёз"),
    ("没有肿瘤", "肿瘤"),
    ("阴性", "阳性"),
    ("正常组", "肺结核"),
    ("異常なし", "異常あり"),
    ("음성", "폐렴"),
    ("طبيعي", "غير طبيعي"),
    ("सामान्य", "असामान्य"),
    ("benign", "normal-looking malignant"),
    ("n", "y"),
    ("absent", "present"),
]
ASKED = [
    ("cat", "dog"),
    ("small cell", "non-small cell"),
    ("proliferative", "non-proliferative"),
    ("1", "2"),
    ("Normal", "Healthy"),
    ("Normal pressure hydrocephalus", "Alzheimer"),
    ("clear cell carcinoma", "papillary carcinoma"),
    ("triple negative", "luminal"),
    ("nevus", "melanoma"),
    ("Cyst", "Stone"),
    ("no_A", "no_B"),
    ("Normal", "No Pneumonia"),
    ("covid", "Viral Pneumonia"),
    ("unstable", "stable"),
    ("hem", "all"),
    ("not readable", "readable"),
    ("adenocarcinoma_left.lower.lobe_T2_N0_M0_Ib", "large.cell"),
    ("Class A", "Class B"),
    ("grade 1", "grade 2"),
    ("malignant", "abnormal"),
    ("control", "healthy"),
    ("Non-Hodgkin lymphoma", "Hodgkin lymphoma"),
    ("left", "right"),
    ("nodule", "mass"),
    ("notochord", "vertebra"),
    ("ungradable", "gradable"),
]


@pytest.mark.parametrize(("negative", "positive"), TOLD)
def test_of_two_classes_the_ill_one_is_positive(negative: str, positive: str) -> None:
    for names in ([negative, positive], [positive, negative]):
        told = tell_positive(names)
        assert told is not None
        assert told.name == positive


@pytest.mark.parametrize(("first", "second"), ASKED)
def test_where_the_names_do_not_tell_nothing_is_guessed(first: str, second: str) -> None:
    assert tell_positive([first, second]) is None
    assert tell_positive([second, first]) is None


def test_benign_is_the_healthy_one_of_two_unless_there_is_a_healthier_one() -> None:
    assert tell_positive(["benign", "malignant"]) == ("malignant", "benign is the name of a benign class")
    assert tell_positive(["benign", "normal"]) == ("benign", "normal is the name of a healthy class")
    assert meaning_of("benign keratosis") == Meaning.BENIGN
    assert not means_nothing_found("benign keratosis")


def test_a_convention_is_told_as_one() -> None:
    assert tell_positive(["1", "0"]) == ("1", "by convention the higher of two numbers is positive")


@pytest.mark.parametrize(
    "name",
    [
        "abnormal",
        "Not Normal",
        "non-healthy",
        "HER2 positive",
        "unhealthy",
        "adenocarcinoma_T2_N0_M0",
        "N0",
        "clear cell",
        "x",
    ],
)
def test_what_is_no_healthy_class(name: str) -> None:
    assert not means_nothing_found(name)


@given(
    st.sampled_from(["normal", "healthy", "no finding", "sano", "unauffällig", "zdrowy", "здоровый", "saudável"]),
    st.sampled_from(["", "0_", "1. ", "2-", "(3) ", "a) "]),
    st.sampled_from(["", " 2", "-1000", "_cases", " (1)", ".images", "  "]),
    st.sampled_from([str.lower, str.upper, str.title]),
    st.sampled_from(["NFC", "NFD", "NFKC"]),
)
def test_numbers_case_and_encoding_change_nothing(name: str, before: str, after: str, case: object, form: Form) -> None:
    assert callable(case)
    written = unicodedata.normalize(form, before + case(name.replace(" ", "_")) + after)
    assert means_nothing_found(written), written
