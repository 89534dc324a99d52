"""From a model folder to a network of PyTorch that answers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from radlens.base.errors import DataError, MissingPackageError, UsageError
from radlens.base.optional import explained_imports, import_optional
from radlens.runtime.loading import missing_graph
from radlens.runtime.model_config import ModelConfig
from radlens.runtime.model_folder import ModelFolder, Tensors, find_model, read_model_folder, split_tensors

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
        MissingPackageError: a package that the network needs is not installed.
    """
    with explained_imports():
        from radlens.learning.out_of_distribution import OodDetector
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
            ood_detector=OodDetector.from_statistics(shape, statistics) if statistics else None,
            flip_tta=config.flip_tta,
            device=device,
        )
    except MissingPackageError:
        raise
    except UsageError as error:
        raise DataError(f"The model's network cannot be built here: {error}") from error


def load_trained(model: str | Path) -> TrainedModel:
    """The network itself with its weights, for training and evaluation; see :func:`radlens.runtime.loading.load`.

    Raises:
        DataError: there is no model, or it is damaged.
    """
    return trained_model(*read_model_folder(find_model(model)))


def answer_with_torch(folder: ModelFolder) -> TrainedModel:
    """What answers where a model folder has no graph.

    Raises:
        MissingPackageError: PyTorch is not installed, or cannot be imported.
    """
    try:
        import_optional("torch", "An answer from the weights")
    except MissingPackageError as error:
        raise MissingPackageError(missing_graph(folder, str(error))) from error
    return load_trained(folder.path)
