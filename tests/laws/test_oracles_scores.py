"""Balanced accuracy, F1, AUC, MAE and MAPE against scikit-learn, on every split and in every run of a stack."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from sklearn import metrics as sklearn_metrics

from tests.laws.strategies import CPU, parsed
from tests.laws.test_stack import SMALL
from tests.laws.training import data_of_stack, training_of, use_gemm_backend
from worker.engine.evaluation import predictions
from worker.engine.evaluator import Evaluator
from worker.engine.hooks import EvaluationHooks
from worker.engine.progress import Progress
from worker.engine.stack import Member, Stack
from worker.engine.stack_data import StackData
from worker.spec import classification
from worker.spec.classification import auc, class_metrics, ranking
from worker.spec.families.loss import RowTargets
from worker.spec.families.model import CHUNK_ROWS
from worker.spec.losses.squared import Squared
from worker.spec.run import RunSpec

CLASSES: dict[str, Any] = {**SMALL, "optimizer": {"kind": "sgd", "lr": 0.2}}
NUMBERS = {"dataset": {"kind": "linear", "train_size": 60, "validation_size": 600}, "model": {"kind": "linear"},
           "optimizer": {"kind": "sgd", "lr": 0.01}, "epochs": 1, "batch_size": 30}  # fmt: skip


def trained(specs: list[RunSpec]) -> tuple[Stack, StackData]:
    stack, data = Stack([Member(str(spec.seed), spec) for spec in specs], CPU), data_of_stack(specs)
    for t in range(2):
        Progress(stack, data, 1, steps=t).train_step(t + 1)
    return stack, data


def of_rows(stack: Stack, data: StackData, split: str) -> list[tuple[Any, Any]]:
    """Outputs (n, outputs) and targets (n,) of every run."""
    rows = {"train": data.training(len(data)), "val": data.validation, "test": data.test}[split]
    chunks = list(rows.chunks(stack.members, CHUNK_ROWS))
    outputs = torch.cat([predictions(stack, chunk, EvaluationHooks(stack)).double() for chunk in chunks], 1)
    targets = torch.cat([chunk.y.expand(len(stack), -1) for chunk in chunks], 1)
    return list(zip(outputs.numpy(), targets.numpy(), strict=True))


def expected_of_classes(log_p: Any, y: Any, weights: Any = None) -> tuple[float, ...]:
    predicted, p = log_p.argmax(1), np.exp(log_p)
    areas = [sklearn_metrics.roc_auc_score(y == c, p[:, c], sample_weight=weights) for c in np.unique(y)]
    return (
        sklearn_metrics.balanced_accuracy_score(y, predicted, sample_weight=weights),
        sklearn_metrics.f1_score(y, predicted, average="macro", sample_weight=weights),
        float(np.mean(areas)),
    )  # fmt: skip


@pytest.mark.filterwarnings("ignore:y_pred contains classes not in y_true")
@pytest.mark.parametrize("split_seeds", [(0, 0), (0, 1)], ids=["one split", "two splits"])
def test_scores_of_classes_match_scikit_learn_on_every_split_and_run(split_seeds: tuple[int, ...]) -> None:
    dataset = {"kind": "digits", "train_size": 700, "validation_size": 600, "imbalance": 20.0}
    bodies = [
        {**CLASSES, "dataset": {**dataset, "split_seed": split_seed}, "seed": seed}
        for seed, split_seed in enumerate(split_seeds)
    ]
    stack, data = trained([parsed(body) for body in bodies])
    measured = Evaluator(stack.members[0].spec, data).evaluate(stack)
    for split, suffix in (("train", "_eval"), ("val", ""), ("test", "")):
        for k, (log_p, y) in enumerate(of_rows(stack, data, split)):
            values = [measured[f"{split}.{name}{suffix}"][k].item() for name in classification.NAMES]
            assert values == pytest.approx(expected_of_classes(log_p, y), rel=1e-12)


def test_scores_of_numbers_match_scikit_learn_in_the_targets_unit() -> None:
    stack, data = trained([parsed({**NUMBERS, "seed": seed}) for seed in range(2)])
    measured = Evaluator(stack.members[0].spec, data).evaluate(stack)
    for split, suffix in (("train", "_eval"), ("val", ""), ("test", "")):
        for k, (outputs, y) in enumerate(of_rows(stack, data, split)):
            predicted = outputs[:, 0]
            expected = [
                sklearn_metrics.mean_absolute_error(y, predicted),
                sklearn_metrics.mean_absolute_percentage_error(y, predicted),
            ]
            values = [measured[f"{split}.{name}{suffix}"][k].item() for name in ("mae", "mape")]
            assert values == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("classes", [2, 3])
def test_area_under_the_curve_counts_ties_as_half(classes: int) -> None:
    rng = np.random.default_rng(0)
    logits, y = rng.integers(-2, 3, (2, 500, classes)), rng.integers(0, classes, (2, 500))
    log_p, labels = torch.log_softmax(torch.from_numpy(logits).float(), 2), torch.from_numpy(y)
    weights = torch.from_numpy(rng.integers(1, 4, (2, 500))).double()
    scores, units = ranking(log_p, 500), RowTargets(labels, weights).units
    areas, weighted = auc(scores, labels, classes), auc(scores, labels, classes, units)
    for k, ranked in enumerate(scores.numpy()):
        positives = [y[k] == c for c in range(classes)][-ranked.shape[1] :]
        for area, w in ((areas[k], None), (weighted[k], weights[k])):
            expected = [
                sklearn_metrics.roc_auc_score(positive, ranked[:, c], sample_weight=w)
                for c, positive in enumerate(positives)
            ]
            assert area.item() == pytest.approx(np.mean(expected), rel=1e-12)


def test_saturated_probabilities_are_still_ranked() -> None:
    z = torch.tensor([[[0.0, 30.0], [0.0, 40.0], [0.0, 35.0], [50.0, 0.0]]])
    y = torch.tensor([[0, 1, 1, 0]])
    assert auc(ranking(torch.log_softmax(z, 2), 4), y, 2).tolist() == [1.0]


def test_scores_have_the_same_bits_in_any_order_of_the_rows() -> None:
    z = torch.randn(3, 400, 4, generator=torch.Generator().manual_seed(0)).round(decimals=1)
    log_p = torch.log_softmax(z, 2)
    y, order = log_p.argmax(2).roll(1, 1), torch.randperm(400)
    first, second = (
        [*class_metrics(p.argmax(2), labels, 4).values(), auc(ranking(p, 400), labels, 4)]
        for p, labels in ((log_p, y), (log_p[:, order], y[:, order]))
    )
    assert [one.tolist() for one in first] == [one.tolist() for one in second]


def test_weight_of_a_row_is_its_number_of_copies() -> None:
    generator = torch.Generator().manual_seed(0)
    log_p = torch.log_softmax(torch.randn(2, 200, 3, generator=generator), 2)
    y, copies = torch.arange(400).view(2, 200) % 3, 1 + torch.arange(200) % 4
    units = RowTargets(y, copies.double().expand(2, -1)).units
    repeated = (x.repeat_interleave(copies, 1) for x in (log_p, y))
    p, labels = repeated
    once = {**class_metrics(log_p.argmax(2), y, 3, units), "auc": auc(ranking(log_p, 200), y, 3, units)}
    often = {**class_metrics(p.argmax(2), labels, 3), "auc": auc(ranking(p, len(labels[0])), labels, 3)}
    assert {name: x.tolist() for name, x in once.items()} == {name: x.tolist() for name, x in often.items()}


def test_undefined_scores_are_not_numbers() -> None:
    log_p, one_class = torch.log_softmax(torch.randn(1, 5, 3), 2), torch.zeros(1, 5, dtype=torch.int64)
    assert auc(ranking(log_p, 5), one_class, 3).isnan().all()
    assert ranking(log_p, classification.MAX_RANKED).shape == (1, 5, 0)
    assert auc(log_p[..., :0], one_class, 3).isnan().all(), "too many rows"
    sizes = (torch.ones(1, 3), torch.ones(1, 3))
    for y, zero in (([[1.0, 2.0, 4.0]], 2.0), ([[0.0, 1.0, 1.0]], 0.0)):
        scores = Squared.evaluation_metrics(sizes, RowTargets(torch.tensor(y), unit=10.0, zero=zero))
        assert scores["mape"].isnan().all(), "a target is 0"
        assert scores["mae"].tolist() == [10.0]


def test_run_whose_outputs_are_not_numbers_has_no_scores() -> None:
    stack, data = trained([parsed({**CLASSES, "seed": seed}) for seed in range(2)])
    for parameter in stack.parameters.values():
        parameter[1] = math.nan
    measured = Evaluator(stack.members[0].spec, data).evaluate(stack)
    for name in classification.NAMES:
        assert [math.isfinite(value) for value in measured[f"val.{name}"].tolist()] == [True, False]


def test_run_alone_has_the_scores_that_it_has_in_a_stack() -> None:
    for body in (CLASSES, NUMBERS):
        specs = [parsed({**body, "epochs": 1, "seed": seed}) for seed in range(3)]
        use_gemm_backend(specs[0])
        (results,) = training_of(specs, data_of_stack(specs)).epochs()
        together, alone = [result.metrics for result in results], []
        for spec in specs:
            ((result,),) = training_of([spec], data_of_stack([spec])).epochs()
            alone.append(result.metrics)
        assert together == alone
