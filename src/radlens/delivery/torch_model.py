"""From a model folder to a network of PyTorch that answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from radlens.delivery.model_folder import ModelConfig, Tensors, split_tensors

if TYPE_CHECKING:
    from radlens.learning.trained_model import TrainedModel


def trained_model(config: ModelConfig, tensors: Tensors, device: str | None = None) -> TrainedModel:
    """The network with its weights, contract, calibration and operating point.

    Args:
        config: of the model.
        tensors: its weights, of any floating type.
        device: where to compute, as torch calls it; None: on a GPU if there is one.

    Raises:
        DataError: the weights do not fit the network, or the network is unknown.
    """
    from radlens.errors import DataError, UsageError
    from radlens.learning.familiarity import Familiarity
    from radlens.learning.trained_model import TrainedModel

    network, statistics = split_tensors(tensors)
    shape = config.preprocessing.shape
    try:
        return TrainedModel(
            config.task,
            config.classes,
            config.network,
            config.preprocessing,
            config.threshold,
            network,
            calibration=config.calibration,
            familiarity=Familiarity.from_statistics(shape, statistics) if statistics else None,
            mirror=config.mirror,
            device=device,
        )
    except UsageError as error:
        raise DataError(f"The model's network cannot be built here: {error}") from error
