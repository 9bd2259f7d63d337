"""A run that a stop rule ended and that continues without it is the run that never had the rule, digest by digest."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
import torch

from tests.laws.strategies import parsed
from tests.laws.test_stack import SMALL
from tests.laws.training import data_of_stack, fingerprint, training_of, use_gemm_backend
from worker.engine.digest import first_digest, next_digest
from worker.engine.recorder import EpochResult
from worker.spec.keys import trajectory_key
from worker.spec.run import RunSpec
from worker.spec.watched import is_evaluated

SCHEDULE = {"kind": "cosine"}
RULE = {"kind": "early_stopping", "metric": "train.loss", "patience": 1, "min_delta": 100}


OPTIMIZERS: list[dict[str, object]] = [
    {"optimizer": {"kind": "adam", "lr": 0.01}, "regularizers": [{"kind": "dropout"}]},
    {"optimizer": {"kind": "lbfgs", "lr": 0.3, "history_size": 2}, "batch_size": "full"},
]


def spec(optimizer: Mapping[str, object], *rules: Mapping[str, object]) -> RunSpec:
    body = {**SMALL, **optimizer}
    return parsed({**body, "schedule": SCHEDULE, "epochs": 4, "stop": list(rules)})


def chained(before: list[str], result: EpochResult) -> str:
    return next_digest(before[-1], result.epoch, result.stack.tensors(result.position), result.metrics)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_continued_run_equals_the_run_that_never_stopped(optimizer: dict[str, object]) -> None:
    stopping, free = spec(optimizer, RULE), spec(optimizer)
    assert trajectory_key(stopping) == trajectory_key(free)
    use_gemm_backend(free)
    data, start = data_of_stack([free]), first_digest(trajectory_key(free), "cpu/test")

    whole = [start]
    for (result,) in training_of([free], data).epochs():
        whole.append(chained(whole, result))

    continued, history = [start], dict[str, list[float | None]]()
    state = dict[str, torch.Tensor]()
    for (result,) in training_of([stopping], data).epochs():
        continued.append(chained(continued, result))
        state = {name: tensor.clone() for name, tensor in result.stack.tensors(0).items()}
        for name, value in result.metrics.items():
            history.setdefault(name, []).append(value)
    assert result.ended is not None
    assert (result.ended.code, result.ended.rule, result.epoch) == ("stopped_early", 0, 2)

    training = training_of([free], data, done=2, history={"0": history})
    training.stack.restore(0, state)
    for (result,) in training.epochs():
        continued.append(chained(continued, result))
    assert continued == whole
    assert len(whole) == 5


def test_evaluation_every_few_epochs_changes_no_weights_and_records_the_same_values() -> None:
    bodies = [{"optimizer": {"kind": "sgd", "lr": 0.05}, "epochs": epochs} for epochs in (5, 4)]
    often, seldom = ([parsed({**SMALL, **body, "evaluate": every}) for body in bodies] for every in ({}, {"every": 2}))
    use_gemm_backend(often[0])
    trainings = (training_of(specs, data_of_stack(specs)) for specs in (often, seldom))
    whole, sparse = ([result for results in one.epochs() for result in results] for one in trainings)
    for one, other in zip(whole, sparse, strict=True):
        assert (one.member.run_id, one.epoch) == (other.member.run_id, other.epoch)
        assert fingerprint(one) == fingerprint(other)
        evaluated = {name for name in one.metrics if is_evaluated(name)}
        due = one.epoch % 2 == 0 or one.ended is not None
        assert other.metrics == {name: value for name, value in one.metrics.items() if due or name not in evaluated}
        assert {"val.loss", "test.accuracy", "train.loss_eval"} <= evaluated
