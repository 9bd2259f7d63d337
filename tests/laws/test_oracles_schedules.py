"""Law 6: schedules by steps against torch's schedulers, stepped once per step, and what they refuse."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch.optim import Optimizer, lr_scheduler

from tests.laws.oracles import step_of
from tests.laws.strategies import parsed
from tests.laws.test_stack import laws_1_to_3
from worker.spec.families.schedule import Moment
from worker.spec.schedules import KINDS as SCHEDULES

LR, EPOCHS, STEPS = 0.3, 7, 11
TOTAL = EPOCHS * STEPS
Make = Callable[[Optimizer], Any]
"""Builds one of torch's schedulers, which have no common type."""


def optimizer() -> Optimizer:
    return torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=LR)


def warmed(rise: int, make: Make) -> Make:
    """Put a linear rise over ``rise`` steps before a scheduler."""

    def chained(sgd: Optimizer) -> Any:
        first = lr_scheduler.LinearLR(sgd, 1 / (rise + 1), 1.0, rise)
        return lr_scheduler.SequentialLR(sgd, [first, make(sgd)], [rise])

    return chained


CASES: list[tuple[dict[str, Any], Make]] = [
    (
        {"kind": "cosine", "per": "step", "final": 0.1},
        lambda sgd: lr_scheduler.CosineAnnealingLR(sgd, TOTAL, eta_min=0.1 * LR),
    ),
    (
        {"kind": "cosine", "per": "step", "warmup": 1.5},
        warmed(16, lambda sgd: lr_scheduler.CosineAnnealingLR(sgd, TOTAL - 16)),
    ),
    ({"kind": "linear", "final": 0.25}, lambda sgd: lr_scheduler.LinearLR(sgd, 1.0, 0.25, TOTAL)),
    ({"kind": "linear", "warmup": 2.0}, warmed(22, lambda sgd: lr_scheduler.LinearLR(sgd, 1.0, 0.0, TOTAL - 22))),
    ({"kind": "polynomial", "power": 1.7}, lambda sgd: lr_scheduler.PolynomialLR(sgd, TOTAL, 1.7)),
    ({"kind": "one_cycle"}, lambda sgd: lr_scheduler.OneCycleLR(sgd, LR, total_steps=TOTAL)),
    (
        {"kind": "one_cycle", "pct_start": 0.45, "div_factor": 10.0, "final_div_factor": 100.0, "anneal": "linear"},
        lambda sgd: lr_scheduler.OneCycleLR(
            sgd, LR, total_steps=TOTAL, pct_start=0.45, div_factor=10, final_div_factor=100, anneal_strategy="linear"
        ),
    ),
    (
        {"kind": "restarts", "period": 2, "multiplier": 1},
        lambda sgd: lr_scheduler.CosineAnnealingWarmRestarts(sgd, 2, 1),
    ),
    (
        {"kind": "restarts", "final": 0.2},
        lambda sgd: lr_scheduler.CosineAnnealingWarmRestarts(sgd, 1, 2, eta_min=0.2 * LR),
    ),
]


@pytest.mark.slow  # the first step of an optimizer of torch imports its compiler, which takes seconds
@pytest.mark.filterwarnings("ignore::UserWarning")  # torch warns about how its own chained schedulers step
@pytest.mark.parametrize(("body", "make"), CASES)
def test_schedule_matches_torchs_stepped_per_step(body: dict[str, Any], make: Make) -> None:
    schedule, sgd = SCHEDULES[body["kind"]].model_validate(body), optimizer()
    scheduler = make(sgd)
    for step in range(1, TOTAL + 1):
        rate = LR * schedule.factor_at(Moment(step, STEPS, EPOCHS, TOTAL))
        assert rate == pytest.approx(sgd.param_groups[0]["lr"], rel=1e-9), step
        assert rate > 0
        sgd.step()
        scheduler.step(*[step / STEPS] if body["kind"] == "restarts" else [])


@pytest.mark.slow
@pytest.mark.parametrize(("metric", "mode"), [("val.loss", "min"), ("val.accuracy", "max")])
def test_plateau_matches_torchs_on_random_histories(metric: str, mode: Any) -> None:
    rng = random.Random(0)
    for _ in range(40):
        patience, cooldown, min_delta = rng.randrange(4), rng.randrange(3), rng.choice([0.0, 0.1])
        fields = {"metric": metric, "gamma": 0.5, "patience": patience, "min_delta": min_delta, "cooldown": cooldown}
        schedule = SCHEDULES["plateau"].model_validate({"kind": "plateau", "final": 0.05, **fields})
        sgd = optimizer()
        scheduler = lr_scheduler.ReduceLROnPlateau(
            sgd, mode, 0.5, patience, min_delta, "abs", cooldown, min_lr=0.05 * LR
        )
        history: list[float | None] = []
        for epoch in range(1, 30):
            moment = Moment((epoch - 1) * STEPS + 1, STEPS, 30, 30 * STEPS, {metric: history})
            assert LR * schedule.factor_at(moment) == pytest.approx(sgd.param_groups[0]["lr"])
            history.append(rng.random())
            scheduler.step(history[-1])  # type: ignore[arg-type]


def test_plateau_skips_undefined_scores_and_counts_undefined_losses() -> None:
    factors = {}
    for metric in ("val.auc", "val.loss"):
        schedule = SCHEDULES["plateau"].model_validate({"kind": "plateau", "metric": metric, "patience": 1})
        factors[metric] = schedule.factor_at(Moment(41, 10, 9, 90, {metric: [0.5, None, None, None]}))
    assert factors == {"val.auc": 1.0, "val.loss": 0.1}


RUN: dict[str, Any] = {
    "dataset": {"kind": "digits", "train_size": 100, "validation_size": 30},
    "model": {"kind": "linear"},
    "optimizer": {"kind": "sgd", "lr": 0.1},
    "batch_size": 10,
    "epochs": 4,
}
REFUSED: list[tuple[dict[str, Any], str, str]] = [
    ({"kind": "linear", "warmup": 4.0}, "warmup", "takes 40 steps, and the run has 40"),
    ({"kind": "cosine", "per": "step", "warmup": 5.0}, "warmup", "Set warmup below 4 epochs"),
    ({"kind": "cosine", "warmup": 1.0}, "warmup", "Set per to 'step'"),
    ({"kind": "warmup", "epochs": 5, "then": "cosine"}, "epochs", "the cosine never begins"),
    ({"kind": "one_cycle", "pct_start": 0.02}, "pct_start", "40 steps"),
    ({"kind": "restarts", "period": 5}, "period", "5 epochs, and the run ends after 4"),
    ({"kind": "plateau"}, "patience", "Lower patience below 2"),
    ({"kind": "plateau", "metric": "val.rmse", "patience": 0}, "metric", "watch val.loss"),
    ({"kind": "plateau", "metric": "test.loss", "patience": 0}, "metric", "chooses learning rates by the test data"),
]


@pytest.mark.parametrize(("schedule", "field", "message"), REFUSED)
def test_schedule_that_the_run_cannot_follow_is_refused(schedule: dict[str, Any], field: str, message: str) -> None:
    ((place, objection),) = parsed({**RUN, "schedule": schedule}).objections()
    assert place == ("schedule", field)
    assert message in objection.message


def test_plateau_counts_evaluated_epochs_only() -> None:
    plateau = {"kind": "plateau", "patience": 1}
    run = {**RUN, "epochs": 8, "schedule": plateau}
    assert not list(parsed({**run, "evaluate": {"every": 2}}).objections())
    ((place, objection),) = parsed({**run, "evaluate": {"every": 3}}).objections()
    assert place == ("schedule", "patience")
    assert "none of the run's 3 is left" in objection.message


def test_schedule_spans_only_the_steps_that_a_stop_rule_allows() -> None:
    spec = parsed({**RUN, "schedule": {"kind": "linear"}, "stop": [{"kind": "max_steps", "steps": 25}]})
    assert spec.total_steps == 25
    assert not list(spec.objections())
    spec = parsed({**RUN, "schedule": {"kind": "linear", "warmup": 2.5}, "stop": [{"kind": "max_steps", "steps": 25}]})
    ((_, objection),) = spec.objections()
    assert "Set warmup below 2.5 epochs" in objection.message


def test_engine_follows_a_schedule_step_by_step() -> None:
    stack, progress = step_of({**RUN, "schedule": {"kind": "linear", "warmup": 0.5}})
    for t in progress.remaining_steps:
        before = stack.weights.clone()
        progress.train_step(t)
        rate = 0.1 * (t / 6 if t <= 5 else 1 - (t - 6) / 35)
        assert progress.learning_rates.recorded == [pytest.approx(rate)]
        torch.testing.assert_close(stack.weights, before - rate * stack.gradient)


def test_laws_hold_for_runs_whose_schedules_differ() -> None:
    plateau = {"kind": "plateau", "metric": "train.loss", "patience": 0, "gamma": 0.5, "min_delta": 100.0}
    schedules = [plateau, {"kind": "one_cycle"}, {"kind": "constant"}, {"kind": "cosine", "per": "step"}]
    specs = [parsed({**RUN, "schedule": schedule}) for schedule in schedules]
    whole = laws_1_to_3(specs, range(4), 3)
    rates = {run: [metrics["lr"] for _, metrics, _ in epochs] for run, epochs in whole.items()}
    assert rates["0"] == [0.1, 0.1, 0.05, 0.025]  # only the first epoch improves by so much
    assert rates["2"] == [0.1] * 4
    assert rates["3"] == [pytest.approx(0.05 * (1 + math.cos(math.pi * (10 * e + 9) / 40))) for e in range(4)]
