"""The prevalence that a model's probabilities are told for: that of validation, or another that a user states."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from radlens.base.errors import UsageError
from radlens.decision import adjust_prevalence
from radlens.runtime.model_config import ModelConfig


class Prevalence:
    """Tells the probabilities of a model for a prevalence.

    Args:
        config: of the model.
        prevalence: share of images of the positive class where a binary model is used; None: as in validation.

    Attributes:
        is_stated: whether probabilities are told for another prevalence than that of validation.

    Raises:
        UsageError: it is out of range, or the model cannot be told one.
    """

    def __init__(self, config: ModelConfig, prevalence: float | None) -> None:
        self._task, self.is_stated = config.task, prevalence is not None
        if prevalence is None:
            return
        if not 0 < prevalence < 1:
            raise UsageError(f"A prevalence lies between 0 and 1, got {prevalence}.")
        if config.task != "binary" or config.training_data is None:
            raise UsageError(
                "Probabilities can be told for another prevalence only by a binary model whose config.json says how "
                "frequent its classes were (training_data)."
            )
        negative, positive = (config.training_data.classes[name] for name in config.classes)
        before = positive / (negative + positive)
        self._shares = (1 - before, before), (1 - prevalence, prevalence)

    def tell(self, probabilities: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
        """Probabilities of shape (images, classes) at the prevalence that was stated, or as they are."""
        if not self.is_stated:
            return np.asarray(probabilities, dtype=np.float64)
        return adjust_prevalence(probabilities, self._task, *self._shares)
