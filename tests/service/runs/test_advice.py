"""Following the advice on a run: no suggestion leads back to an earlier spec."""

from __future__ import annotations

import math
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from service.runs.advice import Advice, Recorded, advise
from service.runs.run import History, Run
from service.runs.suggestions import fired
from service.settings import Settings
from tests.conftest import spec
from worker.spec.run import RunSpec

STARTS: list[dict[str, Any]] = [
    {"epochs": epochs, "optimizer": {"kind": "sgd", "lr": lr}, "regularizers": regularizers, "stop": stop}
    for epochs, lr in ((15, 0.1), (60, 0.02), (300, 0.2), (60, 1e5), (20, 0.001))
    for regularizers, stop in (
        ([], []),
        ([{"kind": "dropout", "p": 0.4}], []),
        ([{"kind": "l2", "strength": 1e-4}], [{"kind": "max_steps", "steps": 80}]),
        ([], [{"kind": "early_stopping", "patience": 3}]),
        (
            [],
            [
                {"kind": "early_stopping", "patience": 2, "min_delta": 0.05},
                {"kind": "train_loss_below", "threshold": 1},
            ],
        ),
    )
]


NEIGHBORS: list[dict[str, Any]] = [
    {"model": {"kind": "knn"}, "optimizer": None, "batch_size": 64, "epochs": epochs} for epochs in (8, 10, 20, 60, 90)
]


def trained(run: RunSpec, seed: int) -> Recorded:
    """Return a synthetic run: regularizers slow it down and weaken overfitting, which sets in after the lowest loss.

    Of nearest neighbors, k = 15 is the best.
    """
    rng = np.random.default_rng(seed)
    noise = 0.01 * rng.normal(size=run.epochs)
    e = np.arange(1, run.epochs + 1)
    rate = run.required_optimizer.learning_rate if run.model.trains else 0.1
    diverged, strength = rate > 1, 1 + len(run.regularizers)
    speed = min(rate, 0.2) / strength
    train = 2.3 * np.exp(-speed * e) + 0.01 * strength * rng.random(run.epochs)
    held_out = 0.3 + 2 * np.exp(-speed * e) + 0.02 / strength * speed * np.maximum(0, e - 6 / speed) + noise
    if not run.model.trains:
        train, held_out = 0.5 + 0.005 * e, 0.4 + 1.5 / e + e / 150 + noise / 2
    if diverged:
        train[1:], held_out[1:] = math.nan, math.nan
    lengths = range(1, run.epochs + 1) if run.stop else ()
    stopped = (one for end in lengths if fired(run, one := history_of(train, held_out, run, end)))
    ended = next(stopped, None) or history_of(train, held_out, run, run.epochs)
    fields = {
        "id": "run_1", "spec": run.model_dump(mode="json"), "status": "failed" if diverged else "succeeded",
        "error_code": "diverged" if diverged else None, "epoch": len(ended.epoch), "baseline": None, "last": {},
        "best": None,
    }  # fmt: skip
    return Recorded(cast(Run, SimpleNamespace(**fields)), ended)


def history_of(train: Any, held_out: Any, run: RunSpec, epochs: int) -> History:
    losses = {"train.loss": train, "train.loss_eval": train, "val.loss": held_out}
    series = {name: [None if math.isnan(one) else float(one) for one in loss[:epochs]] for name, loss in losses.items()}
    nonfinite = {
        name: {str(i + 1): "nan" for i, one in enumerate(values) if one is None} for name, values in series.items()
    }
    return History(
        run_id="run_1", version=1, complete=True, revision=0, epoch=range(1, epochs + 1),
        steps=[run.steps_per_epoch] * epochs, series=series, nonfinite=nonfinite,
    )  # fmt: skip


def follow(start: dict[str, Any], seed: int, times: int) -> list[Advice]:
    """Return the advice on a run, on the suggested run, and so on."""
    run, history = spec(**start), []
    for _ in range(times):
        history.append(advise(trained(run, seed), Settings()))
        if history[-1].spec is None:
            break
        run = RunSpec.of(history[-1].spec)
    return history


def result_of(run: RunSpec, seed: int) -> tuple[object, ...]:
    """Return everything that distinguishes the result of a synthetic run from another's."""
    changing = {"epochs", "stop"}
    return len(trained(run, seed).history.epoch), run.model_dump_json(exclude=changing)


@pytest.mark.parametrize("start", STARTS + NEIGHBORS)
def test_advice_followed_ten_times_never_repeats_a_spec_or_a_result(start: dict[str, Any]) -> None:
    seed = len(str(start))
    advice = follow(start, seed, times=10)
    specs = [spec(**start).model_dump(mode="json"), *(one.spec for one in advice if one.spec is not None)]
    assert len({str(one) for one in specs}) == len(specs)
    epochs = [one["epochs"] for one in specs]
    assert epochs == sorted(epochs), "an extended run is never shortened again"
    results = [result_of(RunSpec.of(one), seed) for one in specs]
    assert len(set(results)) == len(results), "every suggested run differs from all before"


def test_run_that_is_rarely_evaluated_is_judged_by_its_evaluated_epochs() -> None:
    often = trained(spec(epochs=100, optimizer={"kind": "sgd", "lr": 0.2}), seed=0)
    rare = spec(epochs=300, optimizer={"kind": "sgd", "lr": 0.2}, evaluate={"every": 3})
    recorded = often.history.series.items()
    series = {name: [one for value in values for one in (None, None, value)] for name, values in recorded}
    history = replace(often.history, epoch=range(1, 301), steps=[1] * 300, series=series)
    fields = {**vars(often.run), "spec": rare.model_dump(mode="json"), "epoch": 300}
    diagnoses = [
        advise(one, Settings()).diagnosis for one in (often, Recorded(cast(Run, SimpleNamespace(**fields)), history))
    ]
    assert [one.verdict for one in diagnoses] == ["overfits", "overfits"]
    expected = [(3 * (one.best_epoch or 0), 3 * (one.onset_epoch or 0), one.regret) for one in diagnoses[:1]]
    assert [(one.best_epoch, one.onset_epoch, one.regret) for one in diagnoses[1:]] == expected


def test_advice_ends_with_early_stopping() -> None:
    """Dropout, L2 and early stopping in turn; then the best epoch's weights, and no other spec."""
    start = {"epochs": 300, "optimizer": {"kind": "sgd", "lr": 0.2}}
    advice = follow(start, seed=0, times=10)
    last = advice[-1]
    assert len(advice) < 10
    assert (last.patch, advice[0].diagnosis.verdict) == (None, "overfits")
    assert advice[-2].spec is not None
    assert [rule["kind"] for rule in advice[-2].spec["stop"]] == ["early_stopping"]
    assert {part["kind"] for part in advice[-2].spec["regularizers"]} == {"dropout", "l2"}


@pytest.mark.parametrize(("epochs", "names"), [(4, []), (5, [0]), (6, [0])])
def test_stop_rule_that_fires_is_the_cause_of_the_end(epochs: int, names: list[int]) -> None:
    run = spec(
        epochs=20, stop=[{"kind": "early_stopping", "patience": 3}, {"kind": "train_loss_below", "threshold": 0.1}]
    )
    flat = np.array([2.0, 1.0, *[1.5] * 18])
    assert fired(run, history_of(flat, flat, run, epochs)) == names


def test_run_that_trained_all_epochs_was_not_stopped() -> None:
    run = spec(epochs=5, stop=[{"kind": "early_stopping", "patience": 3}])
    flat = np.array([2.0, 1.0, 1.5, 1.5, 1.5])
    assert fired(run, history_of(flat, flat, run, 5)) == []
