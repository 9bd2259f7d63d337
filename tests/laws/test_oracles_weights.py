"""Class weights and weights of rows against torch and scikit-learn, and laws that need no oracle."""

from __future__ import annotations

import re
from typing import Any, cast

import numpy as np
import pytest
import torch
from sklearn import metrics as sklearn_metrics
from sklearn.linear_model import LogisticRegression
from sklearn.utils.class_weight import compute_class_weight
from torch.nn import CrossEntropyLoss

from tests.laws.strategies import CPU, HOME, parsed
from tests.laws.test_oracles_scores import NUMBERS, expected_of_classes, of_rows
from tests.laws.test_stack import SMALL
from tests.laws.training import data_of_stack, train, training_of
from worker.engine.baseline import baselines_of
from worker.engine.batches import Batches
from worker.engine.data import Data
from worker.engine.evaluator import Evaluator
from worker.engine.knn import data_for
from worker.engine.progress import Progress
from worker.engine.stack import Member, Stack
from worker.engine.training_metrics import penalties
from worker.spec.datasets.digits import Digits
from worker.spec.datasets.linear import LinearData
from worker.spec.families.dataset import Arrays
from worker.spec.keys import reuse_key, stack_key
from worker.spec.run import RunSpec

DATASET = {"kind": "digits", "train_size": 120, "validation_size": 200, "imbalance": 8.0}
BALANCED = {"kind": "cross_entropy", "class_weights": "balanced"}
BODY: dict[str, Any] = {
    **SMALL, "dataset": DATASET, "optimizer": {"kind": "sgd", "lr": 0.2}, "loss": BALANCED, "epochs": 2,
}  # fmt: skip
VALUES = [0.5 + c for c in range(10)]


def stepped(specs: list[RunSpec], steps: int) -> tuple[Progress, Stack]:
    stack = Stack([Member(str(i), spec) for i, spec in enumerate(specs)], CPU)
    progress = Progress(stack, data_of_stack(specs), 1)
    for t in range(steps):
        progress.train_step(t + 1)
    return progress, stack


def test_balanced_weights_match_scikit_learn_in_every_split() -> None:
    specs = [parsed({**BODY, "dataset": {**DATASET, "split_seed": seed}}) for seed in range(2)]
    data = data_of_stack(specs)
    weights = data.class_weights(specs[0].effective_loss)
    assert weights is not None
    for own, targets in zip(weights.numpy(), data.targets, strict=True):
        y = targets.train.numpy()
        expected = compute_class_weight("balanced", classes=np.arange(10), y=y)
        np.testing.assert_allclose(own, expected, rtol=1e-12)
        assert own[y].mean() == pytest.approx(1)


@pytest.mark.parametrize("weights", ["balanced", VALUES])
def test_losses_match_torch_on_every_split(weights: Any) -> None:
    loss = {"kind": "cross_entropy", "class_weights": weights}
    specs = [parsed({**BODY, "loss": loss, "dataset": {**DATASET, "split_seed": seed}}) for seed in range(2)]
    _, stack = stepped(specs, 2)
    data = data_of_stack(specs)
    measured, baselines = Evaluator(stack.members[0].spec, data).evaluate(stack), baselines_of(stack, data)
    for k in range(2):
        y = data.targets[k].train.numpy()
        of_classes = compute_class_weight("balanced", classes=np.arange(10), y=y) if weights == "balanced" else weights
        criterion = CrossEntropyLoss(torch.tensor(of_classes, dtype=torch.float64))
        shares = torch.tensor(np.bincount(y) * of_classes)
        for split, suffix in (("train", "_eval"), ("val", ""), ("test", "")):
            log_p, labels = (torch.from_numpy(rows) for rows in of_rows(stack, data, split)[k])
            assert measured[f"{split}.loss{suffix}"][k].item() == pytest.approx(criterion(log_p, labels).item())
            accuracy = (log_p.argmax(1) == labels).double().mean().item()
            assert measured[f"{split}.accuracy{suffix}"][k].item() == pytest.approx(accuracy), "not weighted"
            prior = (shares / shares.sum()).log().expand(len(labels), -1)
            assert baselines[k][f"{split}.loss"] == pytest.approx(criterion(prior, labels).item())
            assert baselines[k][f"{split}.auc"] == 0.5


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_step_on_all_rows_is_one_of_torch(smoothing: float) -> None:
    regularizers = [{"kind": "label_smoothing", "amount": smoothing}] if smoothing else []
    spec = parsed({**BODY, "model": {"kind": "linear"}, "batch_size": "full", "regularizers": regularizers})
    data = data_of_stack([spec])
    stack = Stack([Member("", spec)], CPU)
    w, b = (tensor.clone().requires_grad_() for tensor in stack.tensors(0).values())
    x, y = data.batch(torch.arange(len(data)).view(1, -1))[0], data.targets[0].train
    weights = torch.tensor(compute_class_weight("balanced", classes=np.arange(10), y=y.numpy()), dtype=torch.float32)
    losses = CrossEntropyLoss(reduction="none", label_smoothing=smoothing)(x @ w.T + b, y)
    objective = (weights[y] * losses).sum() / weights[y].sum()
    if not smoothing:
        torch.testing.assert_close(objective, CrossEntropyLoss(weights)(x @ w.T + b, y))
    objective.backward()
    progress = Progress(stack, data, 1)
    penalty = sum(value.item() for value in penalties(progress).values())
    progress.train_step(1)
    for before, after in zip((w, b), stack.tensors(0).values(), strict=True):
        assert before.grad is not None
        torch.testing.assert_close(after, before.detach() - 0.2 * before.grad, rtol=1e-4, atol=1e-6)
    assert progress.losses()[0].item() + penalty == pytest.approx(objective.item(), rel=1e-5)


@pytest.mark.slow
def test_trained_linear_model_is_that_of_scikit_learn() -> None:
    body = {
        "dataset": {**DATASET, "validation_size": 0}, "evaluate": {"train": "never", "test": "never"}, "epochs": 400,
        "regularizers": [{"kind": "l2", "strength": 0.1}], "optimizer": {"kind": "nesterov", "lr": 0.3},
        "model": {"kind": "linear"}, "batch_size": "full",
    }  # fmt: skip
    spec = parsed({**BODY, **body})
    data = data_of_stack([spec])
    training = training_of([spec], data)
    stack = [results[0].stack for results in training.epochs()][-1]
    x, y = data.batch(torch.arange(len(data)).view(1, -1))[0].numpy(), data.targets[0].train.numpy()
    model = LogisticRegression(C=1 / (0.1 * len(y)), class_weight="balanced", tol=1e-6).fit(x, y)
    weight = next(iter(stack.tensors(0).values()))
    np.testing.assert_allclose(weight.numpy(), model.coef_, atol=2e-3)


def test_oversampled_epoch_has_equally_many_rows_of_each_class() -> None:
    spec = parsed({**BODY, "loss": None, "dataset": {**DATASET, "oversample": True}})
    stack, data = Stack([Member("", spec)], CPU), data_of_stack([spec])
    labels, epochs = data.targets[0].train, [Batches.of(stack, data, epoch).order[0] for epoch in (1, 2)]
    before = np.bincount(labels, minlength=10)
    assert before.max() > 12 > before.min()
    for order in epochs:
        assert np.bincount(labels[order]).tolist() == [12] * 10
        uses = torch.bincount(order, minlength=len(data))
        for c in range(10):
            assert uses[labels == c].max() - uses[labels == c].min() <= 1, "no row twice before every row once"
    assert sorted(epochs[0].tolist()) != sorted(epochs[1].tolist()), "other rows of a large class"


def test_equal_weights_are_none_to_the_bit() -> None:
    regularizers = [{"kind": "mixup"}, {"kind": "label_smoothing"}]
    for parts in ([], regularizers):
        alike = {"kind": "cross_entropy", "class_weights": [0.3] * 10}
        runs = [train([parsed({**BODY, "loss": loss, "regularizers": parts})])["0"] for loss in (None, alike)]
        if not parts:
            assert runs[0] == runs[1]
        else:
            for (_, none, _), (_, own, _) in zip(*runs, strict=True):
                assert none == pytest.approx(own, rel=1e-4)


def test_unset_weights_leave_the_keys_of_a_run() -> None:
    plain = {**BODY, "loss": {"kind": "cross_entropy"}}
    unset = {**BODY, "loss": {"kind": "cross_entropy", "class_weights": None}}
    absent = {name: value for name, value in BODY.items() if name != "loss"}
    for key in (reuse_key, stack_key):
        assert key(parsed(plain)) == key(parsed(unset)) == key(parsed(absent)) != key(parsed(BODY))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"loss": {**BALANCED, "class_weights": [1.0, 2.0]}}, r"2 weights for 10 classes\..* 0, 1, 2"),
        ({"model": {"kind": "knn"}, "optimizer": None, "batch_size": 64}, "not trained"),
        ({"dataset": {**DATASET, "oversample": True}}, "Leave one of the two out"),
    ],
)
def test_weights_that_do_not_fit_are_refused(changes: dict[str, Any], message: str) -> None:
    ((place, objection),) = parsed({**BODY, **changes}).objections()
    assert place == ("loss", "class_weights")
    assert re.search(message, objection.message)


class WeightedDigits(Digits):
    """Digits whose rows count as 1, 2 or 3 rows, by their place."""

    def load(self, home: Any) -> Arrays:  # type: ignore[override]
        arrays = Digits.load(home)
        train, test = (1.0 + np.arange(len(y)) % 3 for y in (arrays.train_y, arrays.test_y))
        return arrays._replace(train_weights=train, test_weights=test)


class WeightedNumbers(LinearData):
    """The same of rows with numeric targets."""

    def load(self, home: Any) -> Arrays:
        arrays = super().load(home)
        train, test = (1.0 + np.arange(len(y)) % 3 for y in (arrays.train_y, arrays.test_y))
        return arrays._replace(train_weights=train, test_weights=test)


class RepeatedDigits(Digits):
    """A few digits, each as often as its weight says, or once with its weight."""

    def load(self, home: Any) -> Arrays:  # type: ignore[override]
        arrays = Digits.load(home)
        copies = 1 + np.arange(40) % 3
        x, y = arrays.train_x[:40], arrays.train_y[:40]
        if self.split_seed:
            return Arrays(x, y, x, y, train_weights=copies.astype(float), test_weights=copies.astype(float))
        x, y = x.repeat(copies, 0), y.repeat(copies)
        return Arrays(x, y, x, y)


def weighted(body: dict[str, Any], kind: type[Any] = WeightedDigits) -> RunSpec:
    spec = parsed(body)
    return spec.model_copy(update={"dataset": kind.model_validate(spec.dataset.model_dump())})


def weights_of(data: Any, split: str, k: int) -> Any:
    rows = {"train": data.training(len(data)), "val": data.validation, "test": data.test}[split].weights
    return (rows if rows.dim() == 1 else rows[k]).numpy()


@pytest.mark.filterwarnings("ignore:y_pred contains classes not in y_true")
@pytest.mark.parametrize("loss", [None, BALANCED], ids=["rows", "rows and classes"])
def test_weights_of_rows_count_in_every_metric_of_classes(loss: Any) -> None:
    specs = [weighted({**BODY, "loss": loss, "dataset": {**DATASET, "split_seed": seed}}) for seed in range(2)]
    _, stack = stepped(specs, 2)
    data = data_of_stack(specs)
    measured, baselines = Evaluator(stack.members[0].spec, data).evaluate(stack), baselines_of(stack, data)
    for split, suffix in (("train", "_eval"), ("val", ""), ("test", "")):
        for k, (log_p, y) in enumerate(of_rows(stack, data, split)):
            w, p = weights_of(data, split, k), torch.from_numpy(log_p).softmax(1).numpy()
            scores = dict(
                zip(("balanced_accuracy", "f1", "auc"), expected_of_classes(log_p, y, w), strict=True),
                accuracy=sklearn_metrics.accuracy_score(y, log_p.argmax(1), sample_weight=w),
                brier=np.average(np.square(p - np.eye(10)[y]).sum(1), weights=w),
            )
            if loss is None:
                scores["loss"] = sklearn_metrics.log_loss(y, p, sample_weight=w, labels=range(10))
                own = data.targets[k]
                counts = np.bincount(own.train, own.train_weights, 10)
                prior = np.tile(counts / counts.sum(), (len(y), 1))
                expected = sklearn_metrics.log_loss(y, prior, sample_weight=w, labels=range(10))
                assert baselines[k][f"{split}.loss"] == pytest.approx(expected, rel=1e-5)
            for name, value in scores.items():
                assert measured[f"{split}.{name}{suffix}"][k].item() == pytest.approx(value, rel=1e-5), name


def test_weights_of_rows_count_in_every_metric_of_numbers() -> None:
    spec = weighted(NUMBERS, WeightedNumbers)
    stack, data = Stack([Member("", spec)], CPU), data_of_stack([spec])
    measured, baselines = Evaluator(stack.members[0].spec, data).evaluate(stack), baselines_of(stack, data)[0]
    for split, suffix in (("train", "_eval"), ("val", ""), ("test", "")):
        ((outputs, y),), w = of_rows(stack, data, split), weights_of(data, split, 0)
        mean = np.full(len(y), np.average(data.targets[0].train, weights=data.targets[0].train_weights))
        for predicted, values in ((outputs[:, 0], {n: v.item() for n, v in measured.items()}), (mean, baselines)):
            end = suffix if values is not baselines else ""
            for name, score in (
                ("rmse", sklearn_metrics.root_mean_squared_error),
                ("mae", sklearn_metrics.mean_absolute_error),
                ("mape", sklearn_metrics.mean_absolute_percentage_error),
                ("r2", sklearn_metrics.r2_score),
            ):
                expected = score(y, predicted, sample_weight=w)
                assert values[f"{split}.{name}{end}"] == pytest.approx(expected, rel=1e-4, abs=1e-6), name


@pytest.mark.parametrize("loss", [None, BALANCED], ids=["rows", "rows and classes"])
def test_weight_of_a_training_row_is_its_number_of_copies(loss: Any) -> None:
    """Trained on all rows at once, and measured in training mode and in evaluation mode."""
    runs = []
    for split_seed in (0, 1):
        dataset = {"kind": "digits", "validation_size": 0, "split_seed": split_seed}
        body = {**BODY, "dataset": dataset, "loss": loss, "batch_size": "full", "epochs": 3}
        spec = weighted(body, RepeatedDigits)
        rows = len(RepeatedDigits.load(cast("Any", spec.dataset), HOME).train_y)
        spec = spec.model_copy(update={"dataset": type(f"Rows{rows}", (RepeatedDigits,), {"rows": (rows, rows)})(
            **{**dataset, "kind": "digits"})})  # fmt: skip
        runs.append([results[0].metrics for results in training_of([spec], Data(spec.dataset, HOME, CPU)).epochs()])
    for repeated, once in zip(*runs, strict=True):
        assert once == pytest.approx(repeated, rel=1e-4)


def test_weighted_run_has_the_same_bits_alone_and_in_a_stack() -> None:
    parts = [{"kind": "mixup"}, {"kind": "label_smoothing"}, {"kind": "dropout"}]
    specs = [
        weighted({**BODY, "regularizers": parts, "seed": seed, "dataset": {**DATASET, "split_seed": seed % 2}})
        for seed in range(3)
    ]
    whole = train(specs)
    for i, spec in enumerate(specs):
        assert train([spec], names=[str(i)])[str(i)] == whole[str(i)]


def test_weighted_teaching_weights_both_losses_of_a_row() -> None:
    teachers = [{"run_id": f"run_{'0' * 26}", "sha256": "a" * 64, "network": {"model": {"kind": "linear"}}}]
    part = {"kind": "distillation", "teachers": teachers, "alpha": 0.7, "beta": 2.0}
    spec = weighted({**BODY, "model": {"kind": "linear"}, "batch_size": "full", "regularizers": [part]})
    data, stack = data_of_stack([spec]), Stack([Member("", spec)], CPU)
    w, b = (tensor.clone().requires_grad_() for tensor in stack.tensors(0).values())
    rows = torch.arange(len(data)).view(1, -1)
    x, y, own = data.batch(rows)[0], data.targets[0].train, data.targets[0].train_weights
    of_classes = data.class_weights(spec.effective_loss)
    assert own is not None and of_classes is not None  # noqa: PT018
    logits = data.teacher_logits_of(spec.teachers, rows)[0, :, 0]
    z = x @ w.T + b
    label = CrossEntropyLoss(reduction="none")(z, y)
    taught = CrossEntropyLoss(reduction="none")(z / 4, torch.softmax(logits / 4, 1))
    weights = own * of_classes[0][y]
    objective = (weights * (0.7 * label + 2.0 * taught)).sum() / weights.sum()
    objective.backward()
    progress = Progress(stack, data, 1)
    progress.train_step(1)
    for before, after in zip((w, b), stack.tensors(0).values(), strict=True):
        assert before.grad is not None
        torch.testing.assert_close(after, before.detach() - 0.2 * before.grad, rtol=1e-4, atol=1e-6)
    total = progress.losses()[0] + penalties(progress)["distillation"]
    assert total.item() == pytest.approx(objective.item(), rel=1e-5)


def test_neighbors_are_measured_with_weights() -> None:
    spec = weighted({"dataset": {**DATASET, "imbalance": 1.0}, "model": {"kind": "knn"}, "epochs": 1})
    data = data_for([spec.dataset], spec.model, HOME, CPU)
    ((result,),) = training_of([spec], data).epochs()
    assert data.test.weights is not None
    stack = result.stack
    ((log_p, y),) = of_rows(stack, data, "test")
    expected = sklearn_metrics.accuracy_score(y, log_p.argmax(1), sample_weight=data.test.weights)
    assert result.metrics["test.accuracy"] == pytest.approx(expected)
