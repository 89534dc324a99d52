"""Loss, weights, schedules and optimisers in closed form, for all three tasks."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, roc_auc_score
from torch import Tensor, nn

from radlens.base.errors import UsageError
from radlens.config import TrainSettings
from radlens.decision import Task
from radlens.learning.classifier import Classifier, class_weights, outputs_of, to_probabilities
from radlens.learning.data_module import Batch

SHAPE = (1, 32, 32)
TASKS: list[tuple[Task, int]] = [("binary", 2), ("multiclass", 3), ("multilabel", 3)]
Array = npt.NDArray[np.float64]


def classifier(
    task: Task = "binary", classes: int = 2, weights: list[Any] | None = None, **settings: Any
) -> Classifier:
    chosen = TrainSettings.model_validate({"network": "small_resnet", **settings})
    given = None if weights is None else np.array(weights, dtype=np.float32)
    return Classifier(chosen, task, classes, SHAPE, given)


def targets_of(task: Task, classes: int, images: int, seed: int = 0) -> npt.NDArray[np.int64]:
    rng = np.random.default_rng(seed)
    shape = (images, classes) if task == "multilabel" else (images,)
    return rng.integers(0, 2 if task == "multilabel" else classes, shape)


def logits_of(task: Task, classes: int, images: int, seed: int = 1) -> Array:
    return np.random.default_rng(seed).normal(0, 2, (images, outputs_of(task, classes)))


def softmax(logits: Array) -> Array:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def sigmoid(logits: Array) -> Array:
    return np.asarray(1 / (1 + np.exp(-logits)))


def test_a_binary_task_has_one_logit_and_the_others_one_a_class() -> None:
    assert [outputs_of(task, classes) for task, classes in TASKS] == [1, 3, 3]


def test_logits_become_probabilities() -> None:
    logits = logits_of("multiclass", 3, 6)
    found = to_probabilities(torch.from_numpy(logits), "multiclass").numpy()
    np.testing.assert_allclose(found, softmax(logits), atol=1e-12)
    found = to_probabilities(torch.from_numpy(logits), "multilabel").numpy()
    np.testing.assert_allclose(found, sigmoid(logits), atol=1e-12)
    single = to_probabilities(torch.from_numpy(logits[:, :1]), "binary").numpy()
    np.testing.assert_allclose(single, np.hstack([1 - sigmoid(logits[:, :1]), sigmoid(logits[:, :1])]), atol=1e-12)


def binary_loss(logits: Array, wanted: Array) -> Array:
    shown = sigmoid(logits)
    return -(wanted * np.log(shown) + (1 - wanted) * np.log(1 - shown))


def answers_of(logits: Array, task: Task, *, taught: bool) -> Tensor | None:
    """Shares to learn in place of the labels, if there are any."""
    if not taught:
        return None
    other = logits[::-1].copy()
    return torch.from_numpy(softmax(other) if task == "multiclass" else sigmoid(other))


@pytest.mark.parametrize("taught", [False, True])
@pytest.mark.parametrize("weights", [None, [0.4, 1.9]])
def test_the_binary_loss_is_the_weighted_cross_entropy(taught: bool, weights: list[float] | None) -> None:
    logits, targets = logits_of("binary", 2, 9), targets_of("binary", 2, 9)
    answers = answers_of(logits, "binary", taught=taught)
    each = binary_loss(logits[:, 0], targets.astype(float) if answers is None else answers.numpy()[:, 0])
    wanted = (each * (np.ones(2) if weights is None else np.array(weights))[targets]).mean()
    found = classifier(weights=weights).loss(torch.from_numpy(logits), torch.from_numpy(targets), answers)
    assert float(found) == pytest.approx(wanted, rel=1e-5)


@pytest.mark.parametrize("taught", [False, True])
@pytest.mark.parametrize("weights", [None, [0.4, 1.9, 0.7]])
def test_the_multiclass_loss_is_the_weighted_cross_entropy(taught: bool, weights: list[float] | None) -> None:
    logits, targets = logits_of("multiclass", 3, 9), targets_of("multiclass", 3, 9)
    answers = answers_of(logits, "multiclass", taught=taught)
    wanted_shares = np.eye(3)[targets] if answers is None else answers.numpy()
    each = -(wanted_shares * np.log(softmax(logits))).sum(axis=1)
    wanted = (each * (np.ones(3) if weights is None else np.array(weights))[targets]).mean()
    model = classifier("multiclass", 3, weights)
    found = model.loss(torch.from_numpy(logits), torch.from_numpy(targets), answers)
    assert float(found) == pytest.approx(wanted, rel=1e-5)


@pytest.mark.parametrize("taught", [False, True])
@pytest.mark.parametrize("weights", [None, [[0.6, 0.9, 1.0], [2.0, 1.1, 0.5]]])
def test_the_multilabel_loss_weighs_present_and_absent_labels(taught: bool, weights: list[list[float]] | None) -> None:
    logits, targets = logits_of("multilabel", 3, 9), targets_of("multilabel", 3, 9)
    answers = answers_of(logits, "multilabel", taught=taught)
    each = binary_loss(logits, targets.astype(float) if answers is None else answers.numpy())
    table = np.ones((2, 3)) if weights is None else np.array(weights)
    wanted = (each * np.where(targets == 1, table[1], table[0])).mean()
    model = classifier("multilabel", 3, weights)
    found = model.loss(torch.from_numpy(logits), torch.from_numpy(targets), answers)
    assert float(found) == pytest.approx(wanted, rel=1e-5)


@pytest.mark.parametrize("weights", [None, [[0.6, 0.9, 1.0], [2.0, 1.1, 0.5]]])
def test_what_is_not_known_is_left_out_of_the_multilabel_loss(weights: list[list[float]] | None) -> None:
    logits, targets = logits_of("multilabel", 3, 9), targets_of("multilabel", 3, 9)
    unknown = np.random.default_rng(4).random(targets.shape) < 0.4
    table = np.ones((2, 3)) if weights is None else np.array(weights)
    each = binary_loss(logits, targets.astype(float)) * np.where(targets == 1, table[1], table[0])
    masked = torch.from_numpy(np.where(unknown, -1, targets))
    model, inputs = classifier("multilabel", 3, weights), torch.from_numpy(logits).requires_grad_()
    loss = model.loss(inputs, masked)
    assert float(loss.detach()) == pytest.approx(each[~unknown].mean(), rel=1e-5)
    loss.backward()
    assert inputs.grad is not None
    assert ((inputs.grad.numpy() == 0) == unknown).all()
    assert float(model.loss(inputs, torch.full_like(masked, -1))) == 0


def test_what_is_not_known_counts_for_no_weight() -> None:
    known = np.array([[1, 0], [0, 0], [0, 1], [0, 1]])
    more = np.vstack([known, [[-1, -1]] * 3])
    np.testing.assert_allclose(class_weights(more, "multilabel", 2), class_weights(known, "multilabel", 2))


def test_the_loss_is_computed_in_32_bits_under_mixed_precision() -> None:
    logits = torch.tensor([[9.0]], dtype=torch.bfloat16)
    found = classifier().loss(logits, torch.tensor([1]))
    assert found.dtype == torch.float32
    assert float(found) == pytest.approx(np.log1p(np.exp(-9.0)), rel=1e-4)


def test_extreme_logits_give_a_finite_loss() -> None:
    for task, classes in TASKS:
        logits = torch.full((2, outputs_of(task, classes)), 1e4)
        target = torch.from_numpy(np.zeros_like(targets_of(task, classes, 2)))
        assert torch.isfinite(classifier(task, classes).loss(logits, target))


@given(st.lists(st.integers(1, 50), min_size=2, max_size=5))
def test_class_weights_let_every_class_count_the_same(counts: list[int]) -> None:
    targets = np.repeat(np.arange(len(counts)), counts)
    weights = class_weights(targets, "multiclass", len(counts))
    assert weights.dtype == np.float32
    np.testing.assert_allclose(weights * counts, sum(counts) / len(counts), rtol=1e-5)
    assert weights[targets].mean() == pytest.approx(1, rel=1e-5)


@given(st.integers(2, 40), st.integers(1, 4), st.integers(0, 1000))
def test_label_weights_let_present_and_absent_count_the_same(images: int, labels: int, seed: int) -> None:
    targets = targets_of("multilabel", labels, images, seed)
    weights = class_weights(targets, "multilabel", labels)
    assert weights.shape == (2, labels)
    for label in range(labels):
        present = int(targets[:, label].sum())
        if 0 < present < images:
            assert weights[1, label] * present == pytest.approx(images / 2, rel=1e-5)
            assert weights[0, label] * (images - present) == pytest.approx(images / 2, rel=1e-5)
    assert np.isfinite(weights).all()


def test_a_class_without_images_has_a_finite_weight() -> None:
    np.testing.assert_allclose(class_weights(np.array([0, 0, 2]), "multiclass", 3), [0.5, 1.0, 1.0])


def prepared(total: int, **settings: Any) -> tuple[Classifier, Any]:
    """The classifier and what it gives a trainer of so many steps."""
    model = classifier(**settings)
    stand_in: Any = SimpleNamespace(estimated_stepping_batches=total)
    model._trainer = stand_in
    return model, model.configure_optimizers()


def rates(total: int, **settings: Any) -> list[float]:
    _, configured = prepared(total, learning_rate=0.5, optimizer="sgd", **settings)
    assert configured["lr_scheduler"]["interval"] == "step"
    optimizer, scheduler = configured["optimizer"], configured["lr_scheduler"]["scheduler"]
    seen = []
    for _ in range(total + 1):
        seen.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return seen


def test_cosine_falls_from_the_rate_to_zero() -> None:
    steps = np.arange(41)
    np.testing.assert_allclose(rates(40, schedule="cosine"), 0.25 * (1 + np.cos(np.pi * steps / 40)), atol=1e-9)


def test_one_cycle_rises_for_a_quarter_and_then_falls_to_zero() -> None:
    found = np.array(rates(40, schedule="one_cycle")) / 0.5
    rising = 0.01 + 0.99 * 0.5 * (1 - np.cos(np.pi * np.arange(10) / 10))
    falling = 0.5 * (1 + np.cos(np.pi * np.arange(31) / 30))
    np.testing.assert_allclose(found, [*rising, *falling], atol=1e-9)
    assert found[0] == pytest.approx(0.01)
    assert found.argmax() == 10
    assert found[10] == pytest.approx(1)


@pytest.mark.parametrize("total", [2, 3])
@pytest.mark.parametrize("schedule", ["cosine", "one_cycle"])
def test_a_very_short_training_has_rates_too(total: int, schedule: str) -> None:
    found = rates(total, schedule=schedule)
    assert np.isfinite(found).all()
    assert found[0] > 0
    assert found[-1] == pytest.approx(0)


def test_a_constant_rate_needs_no_schedule() -> None:
    _, optimizer = prepared(40, learning_rate=0.5, schedule="constant")
    assert isinstance(optimizer, torch.optim.Optimizer)
    assert {group["lr"] for group in optimizer.param_groups} == {0.5}


@pytest.mark.parametrize(
    ("name", "kind"), [("adam", torch.optim.Adam), ("adamw", torch.optim.AdamW), ("sgd", torch.optim.SGD)]
)
def test_only_weight_matrices_decay_and_every_weight_is_trained(name: str, kind: type[torch.optim.Optimizer]) -> None:
    model, optimizer = prepared(40, optimizer=name, weight_decay=0.3, schedule="constant", learning_rate=1e-3)
    assert type(optimizer) is kind
    decays = {id(value): group["weight_decay"] for group in optimizer.param_groups for value in group["params"]}
    assert len(decays) == len(list(model.parameters()))
    for key, value in model.named_parameters():
        assert decays[id(value)] == (0.3 if value.ndim > 1 else 0.0), key
    if name == "sgd":
        assert all(group["momentum"] == 0.9 and group["nesterov"] for group in optimizer.param_groups)
    else:
        assert all(group["eps"] == 1e-7 for group in optimizer.param_groups)


def test_a_backbone_rate_is_for_all_but_the_last_layer() -> None:
    model, optimizer = prepared(40, backbone_rate=0.25, weight_decay=0.3, schedule="constant", learning_rate=1e-3)
    found = {id(value): group for group in optimizer.param_groups for value in group["params"]}
    assert len(found) == len(list(model.parameters()))
    for key, value in model.network.named_parameters():
        assert found[id(value)]["lr"] == pytest.approx(1e-3 if key.startswith("head.") else 2.5e-4), key
        assert found[id(value)]["weight_decay"] == (0.3 if value.ndim > 1 else 0.0), key
    assert optimizer.param_groups[0]["lr"] == 1e-3, "the history shows the settings' rate"


def stepped(name: str, gradient: float) -> tuple[Tensor, Tensor]:
    """The last layer's weights before and after one step at rate 0.01 and decay 0.3."""
    model, optimizer = prepared(40, optimizer=name, weight_decay=0.3, schedule="constant", learning_rate=0.01)
    head = model.network.head.weight  # type: ignore[union-attr]
    assert isinstance(head, nn.Parameter)
    before = head.detach().clone()
    for parameter in model.parameters():
        parameter.grad = torch.full_like(parameter, gradient)
    optimizer.step()
    return before, head.detach()


def test_one_step_of_each_optimiser_is_its_formula() -> None:
    before, after = stepped("adamw", 0.5)
    # Decoupled decay, then a step of the rate in the gradient's direction.
    torch.testing.assert_close(after, before * (1 - 0.01 * 0.3) - 0.01 * 0.5 / (0.5 + 1e-7), atol=1e-6, rtol=0)
    before, after = stepped("adam", 0.5)
    gradient = 0.5 + 0.3 * before
    torch.testing.assert_close(after, before - 0.01 * gradient / (gradient.abs() + 1e-7), atol=1e-6, rtol=0)
    before, after = stepped("sgd", 0.5)
    torch.testing.assert_close(after, before - 0.01 * 1.9 * (0.5 + 0.3 * before), atol=1e-6, rtol=0)


def test_the_networks_weights_follow_from_torchs_random_state_and_are_channels_last() -> None:
    torch.manual_seed(5)
    first = classifier().state_dict()
    torch.manual_seed(5)
    again = classifier().state_dict()
    assert all(torch.equal(first[key], again[key]) for key in first)
    weight = classifier().network.blocks[0].conv1.weight  # type: ignore[union-attr, index]
    assert weight.is_contiguous(memory_format=torch.channels_last)


def test_class_weights_are_no_part_of_the_weights_that_are_saved() -> None:
    assert "weights" not in classifier(weights=[1.0, 2.0]).state_dict()


@pytest.mark.parametrize(("task", "classes"), TASKS)
@pytest.mark.filterwarnings("ignore")
def test_of_a_hidden_image_it_is_learnt_that_nothing_can_be_told(task: Task, classes: int) -> None:
    model = classifier(task, classes)
    logits, targets = logits_of(task, classes, 8), torch.from_numpy(targets_of(task, classes, 8))
    model.network, model.log = nn.Identity(), lambda *_, **__: None  # type: ignore[method-assign]
    hidden = torch.tensor([True, False] * 4)
    batch: Batch = {
        "pixels": torch.from_numpy(logits).requires_grad_(),
        "target": targets,
        "index": torch.arange(8),
        "draw": torch.arange(8),
        "hidden": hidden,
    }
    model.training_step(batch, 0).backward()
    shown = softmax(logits) if task == "multiclass" else sigmoid(logits)
    labels = np.eye(classes)[targets] if task == "multiclass" else targets.numpy().reshape(shown.shape)
    wanted = np.where(hidden.numpy()[:, None], 1 / max(2, shown.shape[1]) if task == "multiclass" else 0.5, labels)
    gradient = batch["pixels"].grad
    assert gradient is not None
    # Of a cross-entropy: what is said less what was wanted.
    scale = 8 if task == "multiclass" else shown.size
    total = wanted.sum(axis=1, keepdims=True) if task == "multiclass" else 1
    np.testing.assert_allclose(gradient.numpy() * scale, shown * total - wanted, atol=1e-6)


@pytest.mark.parametrize(("task", "classes"), TASKS)
@pytest.mark.filterwarnings("ignore")
def test_validation_metrics_are_those_of_scikit_learn(task: Task, classes: int) -> None:
    model = classifier(task, classes)
    targets, logits = targets_of(task, classes, 60), logits_of(task, classes, 60)
    logged: dict[str, Any] = {}
    model.log = lambda name, value, **_: logged.setdefault(name, []).append(float(value))  # type: ignore[method-assign]
    model.log_dict = lambda metrics, **_: logged.update(metrics=metrics)  # type: ignore[method-assign]
    model.network = nn.Identity()
    for part in (slice(0, 40), slice(40, 60)):
        pixels, target = torch.from_numpy(logits[part]), torch.from_numpy(targets[part])
        draws, hidden = torch.arange(len(target)), torch.zeros(len(target), dtype=torch.bool)
        model.validation_step({"pixels": pixels, "target": target, "index": draws, "draw": draws, "hidden": hidden}, 0)
    found = {name: float(value) for name, value in logged["metrics"].compute().items()}
    shown = to_probabilities(torch.from_numpy(logits), task).numpy()
    if task == "multiclass":
        auroc = roc_auc_score(targets, shown, multi_class="ovr")
        accuracy = accuracy_score(targets, shown.argmax(axis=1))
    else:
        scores = shown[:, 1] if task == "binary" else shown
        auroc = roc_auc_score(targets, scores, average="macro")
        accuracy = ((scores >= 0.5) == targets).mean()
    assert found == pytest.approx({"val_auroc": auroc, "val_accuracy": accuracy}, abs=1e-6)
    parts = [(torch.from_numpy(logits[part]), torch.from_numpy(targets[part])) for part in (slice(40), slice(40, 60))]
    wanted = [float(model.loss(*part)) for part in parts]
    assert logged["val_loss"] == pytest.approx(wanted), "validation has no label smoothing"


def test_an_unknown_network_is_refused_by_name() -> None:
    with pytest.raises(UsageError, match="Did you mean 'small_resnet'"):
        classifier(network="small_resne")
