"""Stop rules are pure functions of the recorded history."""

from __future__ import annotations

from typing import Any, get_args

import pytest

from service.studies.metrics import HIGHER, LOWER, lower_is_better
from tests.conftest import spec
from worker.spec.stop_policy import Ending, StopPolicy
from worker.spec.stops.early_stopping import EarlyStopping
from worker.spec.stops.train_loss_below import TrainLossBelow
from worker.spec.watched import Metric, improvements


@pytest.mark.parametrize(
    ("losses", "stops"),
    [
        ([3.0, 2.0, 1.0], False),
        ([1.0, 2.0], False),
        ([1.0, 2.0, 3.0], True),
        ([1.0, 2.0, 0.5, 0.6], False),
        ([1.0, None, None], True),
        ([1.0, 1.0, 1.0], True),
    ],
)
def test_early_stopping_waits_for_patience_epochs_without_improvement(losses: list[float | None], stops: bool) -> None:
    assert EarlyStopping(patience=2).stopped({"val.loss": losses}) is stops


def test_improvement_must_exceed_min_delta() -> None:
    history = {"val.loss": [1.0, 0.99, 0.98]}
    assert EarlyStopping(patience=2, min_delta=0.1).stopped(history)
    assert not EarlyStopping(patience=2).stopped(history)


@pytest.mark.parametrize("metric", ["val.accuracy", "val.balanced_accuracy", "val.f1", "val.auc", "val.r2"])
def test_higher_values_of_a_score_are_improvements(metric: Any) -> None:
    assert not EarlyStopping(metric=metric, patience=2).stopped({metric: [0.5, 0.6, 0.7]})
    assert EarlyStopping(metric=metric, patience=2).stopped({metric: [0.7, 0.6, 0.6]})
    assert EarlyStopping(metric=metric, patience=2, min_delta=0.2).stopped({metric: [0.5, 0.6, 0.7]})


def test_epochs_with_an_undefined_score_do_not_count() -> None:
    rule = EarlyStopping(metric="val.auc", patience=2)
    assert not rule.stopped({"val.auc": [None] * 9})
    assert not rule.stopped({"val.auc": [None, 0.5, None, None, 0.4, None]})
    assert rule.stopped({"val.auc": [None, 0.5, None, 0.4, None, 0.3]})


def test_every_metric_has_the_direction_of_comparisons() -> None:
    for metric in get_args(Metric):
        _, improved = improvements(metric, {metric: [0.5, 0.6]}, 0)
        assert improved == bool(HIGHER.search(metric))
        assert lower_is_better(metric) == bool(LOWER.search(metric)) != bool(HIGHER.search(metric))


def test_train_loss_below_checks_only_the_last_epoch() -> None:
    rule = TrainLossBelow(threshold=0.1)
    assert rule.stopped({"train.loss": [0.5, 0.05]})
    assert not rule.stopped({"train.loss": [0.05, 0.5]})
    assert not rule.stopped({})


def test_run_ends_by_its_epochs_its_steps_its_rules_or_by_divergence() -> None:
    run = spec(epochs=5, stop=[{"kind": "max_steps", "steps": 10}, {"kind": "train_loss_below", "threshold": 0.1}])
    assert run.steps_per_epoch == 4
    policy = StopPolicy(run)
    assert policy.ending(1, {"train.loss": [1.0]}) is None
    assert policy.ending(3, {"train.loss": [1.0]}) == Ending("stopped_early", 3, rule=0)
    assert policy.ending(1, {"train.loss": [0.05]}) == Ending("stopped_early", 1, rule=1)
    assert policy.ending(3, {"train.loss": [0.05]}) == Ending("stopped_early", 3, rule=0)
    assert policy.ending(5, {"train.loss": [1.0]}) == Ending("finished", 5)
    assert policy.ending(5, {"train.loss": [1.0, None]}) == Ending("diverged", 5)


def test_rule_counts_only_epochs_in_which_its_metric_is_measured() -> None:
    rule = {"kind": "early_stopping", "patience": 2}
    policy = StopPolicy(spec(epochs=9, evaluate={"every": 2}, stop=[rule]))
    val = [None, 1.0, None, 2.0, None, 3.0, None]
    train = [1.0] * 7
    assert policy.ending(4, {"train.loss": train[:4], "val.loss": val[:4]}) is None
    assert policy.ending(5, {"train.loss": train[:5], "val.loss": val[:5]}) is None  # not measured, not diverged
    assert policy.ending(6, {"train.loss": train[:6], "val.loss": val[:6]}) == Ending("stopped_early", 6, rule=0)
    assert policy.first_stop({"train.loss": train, "val.loss": val}) == (6, 0)
    assert policy.ending(4, {"val.loss": [None, 1.0, None, None]}) == Ending("diverged", 4)
    assert policy.ending(5, {"train.loss": [None], "val.loss": val[:5]}) == Ending("diverged", 5)


def test_rule_on_averaged_weights_counts_from_the_first_evaluation_with_an_average() -> None:
    stop = [{"kind": "early_stopping", "metric": "val.loss_averaged", "patience": 1}]
    averaging = {"kind": "swa", "from_epoch": 3}
    policy = StopPolicy(spec(epochs=9, evaluate={"every": 2}, averaging=averaging, stop=stop))
    raw = [1.0 if epoch % 2 == 0 else None for epoch in range(1, 7)]
    history = {"val.loss": raw, "val.loss_averaged": [None, None, None, 1.0, None, 2.0]}
    for epoch in range(1, 6):
        assert policy.ending(epoch, {name: values[:epoch] for name, values in history.items()}) is None
    assert policy.ending(6, history) == Ending("stopped_early", 6, rule=0)
    assert policy.first_stop(history) == (6, 0)
    assert policy.ending(4, {"val.loss_averaged": [None] * 4}) == Ending("diverged", 4)


EARLY: dict[str, Any] = {"kind": "early_stopping", "patience": 3}
AVERAGED: dict[str, Any] = {**EARLY, "metric": "val.loss_averaged"}
SWA: dict[str, Any] = {"kind": "swa", "from_epoch": 6}


@pytest.mark.parametrize(
    ("changes", "remedies"),
    [
        ({"evaluate": {"every": 5}, "epochs": 21}, None),
        (
            {"evaluate": {"every": 5}, "epochs": 20},
            ["epochs of at least 21", "every of at most 4", "patience of at most 2"],
        ),
        ({"evaluate": {"every": 20}, "epochs": 20}, ["epochs of at least 81", "every of at most 4"]),
        ({"evaluate": {"every": 90_000}, "epochs": 3}, ["Leave the rule out"]),
        ({"epochs": 3}, None),
        ({"evaluate": {"every": 5}, "epochs": 9, "stop": [{**EARLY, "metric": "train.loss"}]}, None),
        (
            {"epochs": 9, "averaging": SWA, "stop": [AVERAGED]},
            ["epochs of at least 10", "patience of at most 2"],
        ),
        (
            {
                "epochs": 10,
                "evaluate": {"every": 4},
                "averaging": SWA,
                "stop": [AVERAGED],
            },
            ["epochs of at least 21", "every of at most 1"],
        ),
    ],
)
def test_rule_that_can_never_act_is_refused_with_what_works(
    changes: dict[str, Any], remedies: list[str] | None
) -> None:
    objections = list(spec(**{"stop": [EARLY], **changes}).objections())
    assert bool(objections) == (remedies is not None)
    for place, objection in objections:
        assert place == ("stop", 0, "patience")
        assert all(remedy in objection.message for remedy in remedies or ())
        assert objection.message.count(" of at ") == sum(" of at " in remedy for remedy in remedies or ())


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"stop": [{"kind": "early_stopping", "metric": "val.loss_averaged"}]}, 'add it, such as {"kind": "ema"}'),
        ({"dataset": {"kind": "digits", "validation_size": 0}}, "val.loss"),
        ({"stop": [{"kind": "early_stopping", "metric": "test.loss"}]}, "allow_test_selection"),
        (
            {
                "stop": [{"kind": "early_stopping", "metric": "test.loss"}],
                "allow_test_selection": True,
                "evaluate": {"test": "never"},
            },
            "evaluate.test",
        ),
        (
            {
                "dataset": {"kind": "linear"},
                "model": {"kind": "linear"},
                "stop": [{"kind": "early_stopping", "metric": "val.brier"}],
            },
            "the target is a number",
        ),
        (
            {
                "dataset": {"kind": "digits", "validation_size": 1},
                "stop": [{"kind": "early_stopping", "metric": "val.auc"}],
            },
            "undefined on one validation row",
        ),
    ],
)
def test_rule_that_watches_a_missing_metric_is_refused(changes: dict[str, object], field: str) -> None:
    run = spec(**{"stop": [{"kind": "early_stopping"}], **changes})
    ((place, objection),) = run.objections()
    assert place == ("stop", 0, "metric")
    assert field in objection.message


def test_rule_can_watch_the_brier_score_of_a_fold() -> None:
    stop = [{"kind": "early_stopping", "metric": "val.brier"}]
    run = spec(stop=stop, dataset={"kind": "digits", "fold": {"index": 0, "of": 2}})
    assert not list(run.objections())
