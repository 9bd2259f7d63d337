"""Brier score and ECE against NumPy, row by row; that they change no digest, and are undefined with the loss."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

from tests.laws.strategies import CPU, HOME, parsed
from tests.laws.test_stack import SMALL
from tests.laws.training import data_of_stack, training_of
from worker.engine.data import Data
from worker.engine.digest import next_digest
from worker.engine.evaluation import predictions
from worker.engine.evaluator import Evaluator
from worker.engine.hooks import EvaluationHooks
from worker.engine.progress import Progress
from worker.engine.stack import Member, Stack
from worker.spec import calibration
from worker.spec.families.model import CHUNK_ROWS
from worker.spec.run import RunSpec

BODY: dict[str, Any] = {**SMALL, "optimizer": {"kind": "sgd", "lr": 0.2}}


def brier_and_ece(p: Any, y: Any) -> tuple[float, float]:
    """Both by their definitions, for probabilities (n, classes)."""
    squares, bins = [], [list[tuple[float, bool]]() for _ in range(15)]
    for row, label in zip(np.asarray(p, np.float64), y, strict=True):
        squares.append(sum((value - (c == label)) ** 2 for c, value in enumerate(row)))
        b = next(i for i in range(15) if row.max() <= (i + 1) / 15)
        bins[b].append((row.max(), row.argmax() == label))
    gaps = [abs(np.mean([hit for _, hit in one]) - np.mean([top for top, _ in one])) * len(one) for one in bins if one]
    return float(np.mean(squares)), float(np.sum(gaps)) / len(squares)


def trained(specs: list[RunSpec]) -> tuple[Stack, Data]:
    stack, data = Stack([Member(str(spec.seed), spec) for spec in specs], CPU), Data(specs[0].dataset, HOME, CPU)
    for t in range(4):
        Progress(stack, data, 1, steps=t).train_step(t + 1)
    return stack, data


def test_recorded_values_match_numpy_on_every_split_and_run() -> None:
    body = {**BODY, "dataset": {"kind": "digits", "train_size": 800, "validation_size": 600, "imbalance": 5.0}}
    stack, data = trained([parsed({**body, "seed": seed}) for seed in range(3)])
    measured = Evaluator(stack.members[0].spec, data).evaluate(stack)
    splits = {"train": (data.training(800), "_eval"), "val": (data.validation, ""), "test": (data.test, "")}
    assert data.validation.size > CHUNK_ROWS, "several chunks"
    for name, (rows, suffix) in splits.items():
        log_p = [predictions(stack, chunk, EvaluationHooks(stack)) for chunk in rows.chunks(stack.members, CHUNK_ROWS)]
        for k, p in enumerate(torch.cat(log_p, 1).double().exp()):
            expected = brier_and_ece(p, rows.y.tolist())
            values = (measured[f"{name}.brier{suffix}"][k].item(), measured[f"{name}.ece{suffix}"][k].item())
            assert values == pytest.approx(expected, rel=1e-5, abs=1e-7)


def test_sums_over_rows_are_the_same_in_any_order() -> None:
    p = np.array([[i / 16, 1 - i / 16] for i in range(17)] * 3)
    y = np.arange(len(p)) % 2
    log_p, labels = torch.from_numpy(p).float().log()[None], torch.from_numpy(y)[None]
    brier, confidence = calibration.row_scores(log_p, labels)
    hit = (log_p.argmax(2) == labels).float()
    sums = calibration.tally(brier, confidence, hit)
    assert sums.tolist() == calibration.tally(*(x.flip(1) for x in (brier, confidence, hit))).tolist()
    values = [value.item() for value in calibration.metrics(sums, len(p)).values()]
    assert values == pytest.approx(brier_and_ece(p, y), rel=1e-6)


def test_run_whose_outputs_are_not_numbers_has_no_calibration() -> None:
    stack, data = trained([parsed({**BODY, "seed": seed}) for seed in range(2)])
    for parameter in stack.parameters.values():
        parameter[1] = math.nan
    measured = Evaluator(stack.members[0].spec, data).evaluate(stack)
    for name in ("val.brier", "test.ece"):
        assert [math.isfinite(value) for value in measured[name].tolist()] == [True, False]


def test_calibration_is_not_part_of_the_digest() -> None:
    """A run of an earlier version, which did not record it, can be verified."""
    specs = [
        parsed({**BODY, "epochs": 1}),
        parsed({"dataset": SMALL["dataset"], "model": {"kind": "knn"}, "epochs": 1}),
    ]
    for spec in specs:
        ((result,),) = training_of([spec], data_of_stack([spec])).epochs()
        earlier = {name: x for name, x in result.metrics.items() if "brier" not in name and "ece" not in name}
        assert (
            len(result.metrics) - len(earlier) == 2 * sum(".loss" in name for name in earlier) - 2 * spec.model.trains
        )
        assert next_digest("", 1, {}, earlier) == next_digest("", 1, {}, result.metrics)
        assert next_digest("", 1, {}, {**earlier, "val.loss": 0.0}) != next_digest("", 1, {}, earlier)
