"""The types of fixtures that many tests ask for: each is a function that makes what a test wants."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pandas as pd

from radlens.dataset.audit import Audit
from radlens.dataset.manifest import DatasetInfo, Manifest
from radlens.imaging.cache.pixel_cache import PixelCache

AuditOf = Callable[..., Audit]
MakeImages = Callable[..., tuple[Manifest, PixelCache]]
ManifestOf = Callable[..., Manifest]
PredictionsOf = Callable[..., tuple[pd.DataFrame, DatasetInfo]]
ProbabilitiesFor = Callable[..., npt.NDArray[np.float64]]
