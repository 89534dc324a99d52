"""The classifier: a network of the registry with the loss, optimiser and schedule of its task."""

from __future__ import annotations

from typing import Any

import lightning.pytorch as pl
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional
from torchmetrics import AUROC, Accuracy, MetricCollection

from radlens.config import TrainSettings
from radlens.decision import Task
from radlens.learning.data_module import Batch
from radlens.learning.networks import build_network


def outputs_of(task: Task, classes: int) -> int:
    """Number of logits: one for binary, else one a class."""
    return 1 if task == "binary" else classes


def to_probabilities(logits: Tensor, task: Task) -> Tensor:
    """From logits to class probabilities, shape (batch, classes)."""
    if task == "binary":
        positive = torch.sigmoid(logits)
        return torch.cat([1 - positive, positive], dim=1)
    return torch.softmax(logits, dim=1) if task == "multiclass" else torch.sigmoid(logits)


def class_weights(targets: npt.NDArray[np.int64], task: Task, classes: int) -> npt.NDArray[np.float32]:
    """Weights that make each class count the same in the loss, the mean over the images being 1.

    Returns:
        binary and multiclass: shape (classes,), images / (classes x images of the class). multilabel: shape
        (2, classes), row 0 for absent and row 1 for present labels.

    >>> class_weights(np.array([0, 0, 0, 1]), "binary", 2)[1].item()
    2.0
    """
    if task == "multilabel":
        known, present = (targets >= 0).sum(axis=0), (targets == 1).sum(axis=0)
        counts = np.stack([known - present, present])
        return np.asarray(known / (2.0 * np.maximum(counts, 1)), dtype=np.float32)
    counts = np.bincount(targets, minlength=classes)
    return np.asarray(len(targets) / (classes * np.maximum(counts, 1)), dtype=np.float32)


class Classifier(pl.LightningModule):
    """What Lightning trains.

    Args:
        settings: network, loss and optimiser.
        task: binary, multiclass or multilabel.
        classes: number of classes.
        input_shape: channels, height and width of the images.
        weights: as :func:`class_weights` gives them; None: every image counts the same.
    """

    def __init__(
        self,
        settings: TrainSettings,
        task: Task,
        classes: int,
        input_shape: tuple[int, int, int],
        weights: npt.NDArray[np.float32] | None = None,
    ) -> None:
        super().__init__()
        self.settings, self.task, self.classes = settings, task, classes
        network = build_network(settings.network, input_shape, outputs_of(task, classes))
        self.network: nn.Module = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.weights: Tensor | None
        self.register_buffer("weights", None if weights is None else torch.from_numpy(weights), persistent=False)
        self.val_metrics = _metrics(task, classes).clone(prefix="val_")
        self._losses: list[tuple[Tensor, int]] = []

    def forward(self, images: Tensor) -> Tensor:
        """From float images in the network's range to logits, shape (batch, outputs)."""
        return torch.as_tensor(self.network(images))

    def loss(self, logits: Tensor, target: Tensor, answers: Tensor | None = None) -> Tensor:
        """Weighted cross-entropy, the mean over what is known in the batch; in 32 bit whatever the network's precision.

        Args:
            logits: shape (batch, outputs).
            target: class of each image, shape (batch,), or (batch, classes) for multilabel, -1 where not known.
            answers: probabilities to learn in place of the target, shape (batch, outputs); weights go by the target.
        """
        logits = logits.float()
        if self.task == "multiclass":
            each = functional.cross_entropy(logits, target if answers is None else answers, reduction="none")
            weights = None if self.weights is None else self.weights[target]
        else:
            wanted = target.float().reshape(logits.shape) if answers is None else answers
            each = functional.binary_cross_entropy_with_logits(logits, wanted, reduction="none")
            weights = self._binary_weights(target, logits.shape)
        if weights is not None:
            each = each * weights
        if self.task != "multilabel":
            return each.mean()
        known = target >= 0
        return each.where(known, 0).sum() / known.sum().clamp(min=1)

    def _binary_weights(self, target: Tensor, shape: torch.Size) -> Tensor | None:
        if self.weights is None:
            return None
        if self.task == "binary":
            return torch.as_tensor(self.weights[target]).reshape(shape)
        return torch.where(target == 1, self.weights[1], self.weights[0])

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:  # noqa: ARG002
        """Random layers follow from seed, epoch and batch, so that a resumed run repeats them."""
        data = self.trainer.datamodule  # type: ignore[attr-defined]
        state = np.random.SeedSequence((data.seed, data.epoch, batch_idx, self.global_rank, 2)).generate_state(1)
        # For a CPU alone: torch.manual_seed writes down the stack for each kind of accelerator that is not in use.
        (torch.default_generator if self.device.type == "cpu" else torch).manual_seed(int(state[0]))

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:  # noqa: ARG002
        """The loss of one batch."""
        loss = self.loss(self(batch["pixels"]), batch["target"], self._answers(batch))
        self._losses.append((loss.detach(), len(batch["index"])))
        return loss

    def on_validation_epoch_end(self) -> None:
        """The mean loss of the training epoch that this validation ends; logging it at each step takes longer."""
        losses, counts = zip(*self._losses, strict=True)
        self._losses.clear()
        shares = torch.tensor(counts, device=self.device) / sum(counts)
        self.log("train_loss", (torch.stack(losses) * shares).sum(), sync_dist=True)

    def _answers(self, batch: Batch) -> Tensor | None:
        """What is to be learnt in place of the labels, shape (batch, outputs); None where it is the labels."""
        hidden, target = batch["hidden"], batch["target"]
        if not bool(hidden.any()):
            return None
        answers = (functional.one_hot(target, self.classes) if self.task == "multiclass" else target).float()
        answers = answers.reshape(len(target), -1)
        unknown = 1 / self.classes if self.task == "multiclass" else 0.5
        return torch.where(hidden[:, None], unknown, answers)

    def validation_step(self, batch: Batch, batch_idx: int) -> None:  # noqa: ARG002
        """Loss, AUROC and accuracy of one batch, put together over the epoch and all processes."""
        logits, target = self(batch["pixels"]), batch["target"]
        count = len(batch["index"])
        self.log("val_loss", self.loss(logits, target), on_epoch=True, batch_size=count, sync_dist=True)
        probabilities = to_probabilities(logits.float(), self.task)
        self.val_metrics.update(probabilities[:, 1] if self.task == "binary" else probabilities, target)
        self.log_dict(self.val_metrics, on_epoch=True, batch_size=count)

    def configure_optimizers(self) -> Any:
        """The optimiser of the settings, with a schedule that moves at each step."""
        optimizer = _optimizer(self.network, self.settings)
        total = int(self.trainer.estimated_stepping_batches)
        if self.settings.schedule == "constant":
            return optimizer
        warm = max(1, total // 4) if self.settings.schedule == "one_cycle" else 0
        scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: _cosine(step, total, warm))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}


def _cosine(step: int, total: int, warm: int) -> float:
    """Rise over ``warm`` steps from a hundredth, then fall to zero, both along a half cosine wave."""
    if step < warm:
        return float(0.01 + 0.99 * 0.5 * (1 - np.cos(np.pi * step / warm)))
    return float(0.5 * (1 + np.cos(np.pi * min(1.0, (step - warm) / max(1, total - warm)))))


def _optimizer(network: nn.Module, settings: TrainSettings) -> torch.optim.Optimizer:
    groups = _parameter_groups(network, settings)
    if settings.optimizer == "sgd":
        return torch.optim.SGD(groups, settings.learning_rate, momentum=0.9, nesterov=True)
    kind = torch.optim.AdamW if settings.optimizer == "adamw" else torch.optim.Adam
    # Keras's epsilon, so that the baseline's steps are the notebook's.
    return kind(groups, settings.learning_rate, eps=1e-7, fused=True)


def _parameter_groups(network: nn.Module, settings: TrainSettings) -> list[dict[str, Any]]:
    """Weight decay for matrices alone; the settings' rate for the last layer, a share of it for the rest."""
    slow = settings.learning_rate * settings.backbone_rate
    groups: list[dict[str, Any]] = [
        {"params": [], "weight_decay": decay, "lr": rate}
        for rate in (settings.learning_rate, slow)
        for decay in (settings.weight_decay, 0.0)
    ]
    for name, parameter in network.named_parameters():
        is_last = settings.backbone_rate == 1 or name.startswith("head.")
        groups[(0 if is_last else 2) + (parameter.ndim <= 1)]["params"].append(parameter)
    return [group for group in groups if group["params"]]


def _metrics(task: Task, classes: int) -> MetricCollection:
    options: dict[str, Any] = {"task": task}
    if task == "multiclass":
        options["num_classes"] = classes
    elif task == "multilabel":
        options["num_labels"] = classes
    accuracy = {**options, "average": "micro"} if task == "multiclass" else options
    return MetricCollection({"auroc": AUROC(**options), "accuracy": Accuracy(**accuracy)})
