"""The tables of well-known public sets, as they are published: by name, the settings of ``data.csv`` that read them."""

from __future__ import annotations

from typing import Any, Literal

FormName = Literal[
    "aptos",
    "chexpert",
    "ham10000",
    "isic2018",
    "isic2019",
    "isic2020",
    "mimic",
    "nih",
    "padchest",
    "rsna",
    "rsna_classes",
]

# The labels that CheXpert's labeller tells, in the order of its table.
_CHEXPERT_LABELS = (
    "No Finding",
    "Enlarged Cardiomediastinum",
    "Cardiomegaly",
    "Lung Opacity",
    "Lung Lesion",
    "Edema",
    "Consolidation",
    "Pneumonia",
    "Atelectasis",
    "Pneumothorax",
    "Pleural Effusion",
    "Pleural Other",
    "Fracture",
    "Support Devices",
)
# Blank is "not mentioned", which its authors take as absent; -1 is left out of the loss ("U-Ignore",
# doi:10.1609/aaai.v33i01.3301590).
_CHEXPERT_CELLS = {"label": _CHEXPERT_LABELS, "missing": "negative", "uncertain": "ignore-in-loss"}


def table_forms() -> dict[FormName, dict[str, Any]]:
    """The settings of each form, by its name; what a user states goes before them."""
    return {
        # APTOS 2019, train.csv: the grades 0 to 4 of diabetic retinopathy.
        "aptos": {"path": "id_code", "label": ("diagnosis",)},
        # CheXpert, train.csv: Irvin et al. 2019.
        "chexpert": {
            **_CHEXPERT_CELLS,
            "path": "Path",
            "only": {"Frontal/Lateral": ("Frontal",)},
            "split_files": {"valid.csv": "val"},
            "rename": {"sex": ("Sex",), "age": ("Age",), "view": ("AP/PA",)},
        },
        # HAM10000_metadata.csv: Tschandl et al. 2018, doi:10.1038/sdata.2018.161; several images show one lesion.
        "ham10000": {"path": "image_id", "label": ("dx",), "patient": "lesion_id"},
        "isic2018": {
            "path": "image",
            "label": ("MEL", "NV", "BCC", "AKIEC", "BKL", "DF", "VASC"),
            "one_hot": True,
        },
        "isic2019": {
            "path": "image",
            "label": ("MEL", "NV", "BCC", "AK", "BKL", "DF", "VASC", "SCC", "UNK"),
            "one_hot": True,
        },
        # ISIC 2020, train.csv: Rotemberg et al. 2021, doi:10.1038/s41597-021-00815-z.
        "isic2020": {
            "path": "image_name",
            "label": ("target",),
            "patient": "patient_id",
            "rename": {"age": ("age_approx",), "body_part": ("anatom_site_general_challenge",)},
        },
        # MIMIC-CXR-JPG, mimic-cxr-2.0.0-chexpert.csv.gz: Johnson et al. 2019, doi:10.13026/8360-t248.
        "mimic": {
            **_CHEXPERT_CELLS,
            "path": "dicom_id",
            "patient": "subject_id",
            "split": "split",
            "join": ("mimic-cxr-*-split.csv*", "mimic-cxr-*-metadata.csv*"),
            "only": {"ViewPosition": ("PA", "AP")},
            "rename": {"view": ("ViewPosition",)},
        },
        # NIH ChestX-ray14, Data_Entry_2017.csv: Wang et al. 2017, doi:10.1109/CVPR.2017.369; all images are frontal.
        "nih": {
            "path": "Image Index",
            "label": ("Finding Labels",),
            "label_separator": "|",
            "patient": "Patient ID",
            "split_files": {"train_val_list*.txt": "train", "test_list*.txt": "test"},
            "rename": {
                "sex": ("Patient Gender", "Patient Sex"),
                "age": ("Patient Age",),
                "view": ("View Position",),
            },
        },
        # PadChest, PADCHEST_chest_x_ray_images_labels_160K_01.02.19.csv: Bustos et al. 2020,
        # doi:10.1016/j.media.2020.101797.
        "padchest": {
            "path": "ImageID",
            "label": ("Labels",),
            "label_separator": "|",
            "missing": "exclude",
            "patient": "PatientID",
            "only": {"Projection": ("PA", "AP", "AP_horizontal")},
            "rename": {"sex": ("PatientSex_DICOM",), "view": ("Projection",)},
        },
        # RSNA pneumonia detection 2018, stage_2_train_labels.csv (a row a box) and stage_2_detailed_class_info.csv.
        "rsna": {"path": "patientId", "label": ("Target",), "patient": "patientId"},
        "rsna_classes": {"path": "patientId", "label": ("class",), "patient": "patientId"},
    }
