"""Every setting of radlens: typed, documented at the field, validated all at once; YAML in, YAML out."""

from radlens.config.csv_table import MISSING_WORDS, CsvColumns
from radlens.config.data import DataSettings, DicomKey, DicomSettings, PhantomSettings, SplitSettings
from radlens.config.evaluation import EvaluateSettings
from radlens.config.run import RunSettings, is_stated, resolve, to_yaml
from radlens.config.table_forms import table_forms
from radlens.config.training import AugmentSettings, TrainSettings

__all__ = [
    "MISSING_WORDS",
    "AugmentSettings",
    "CsvColumns",
    "DataSettings",
    "DicomKey",
    "DicomSettings",
    "EvaluateSettings",
    "PhantomSettings",
    "RunSettings",
    "SplitSettings",
    "TrainSettings",
    "is_stated",
    "resolve",
    "table_forms",
    "to_yaml",
]
