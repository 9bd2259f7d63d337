"""Changes of a spec that may help after a diagnosis, as merge patches.

Following them on a trained model, without a reference, never leads back to a spec: a suggestion only adds a
regularizer or early stopping, raises epochs or the limit of a stop rule, or lowers the learning rate. A run that
overfits in spite of dropout and L2 gets early stopping rather than fewer epochs, which a later suggestion would raise
again. Nearest neighbors only get a larger k.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from service.runs.patches import replacing
from service.runs.run import History, Run
from service.statistics.diagnosis import Diagnosis
from worker.spec.families.optimizer import LearningRateOptimizer
from worker.spec.families.stop import Stop
from worker.spec.run import RunSpec
from worker.spec.stops.early_stopping import EarlyStopping
from worker.spec.stops.max_steps import MaxSteps
from worker.spec.stops.train_loss_below import TrainLossBelow

MORE_EPOCHS, LOWER_RATE = 2, 10
"""Factor on the epochs of a run that underfits; divisor of the learning rate of one that diverged."""
MIN_PATIENCE = 5
"""Least patience of early stopping that is suggested, in epochs."""
ADVISED = frozenset({"dropout", "l2", "elastic_net"})
"""Regularizers that a run gets against overfitting; with one of them, more epochs come with early stopping."""


@dataclass(frozen=True)
class Ending:
    """Why a run has the epochs that it has."""

    stopped_by: Sequence[int] = ()
    """Indices of the stop rules that ended it."""
    reason: str = ""
    """Why it has fewer epochs than its spec for another cause, as the end of a sentence; empty if it has them all."""


def ending_of(run: Run, spec: RunSpec, history: History) -> Ending:
    """Return why a run has the epochs that it has."""
    if run.error_code == "time_limit":
        return Ending(
            reason="the run reached its max_seconds; raise it (PATCH max_seconds) and retry the run, which continues "
            "from there"
        )
    if not history.complete:
        return Ending(reason="the run has not finished")
    stopped_by = fired(spec, history)
    if not stopped_by and run.status != "succeeded" and run.error_code != "diverged" and run.epoch < spec.epochs:
        return Ending(reason=f"the run ended after epoch {run.epoch} of {spec.epochs}; train it to its end first")
    return Ending(stopped_by)


def fired(spec: RunSpec, history: History) -> list[int]:
    """Return the indices of the stop rules that ended a run with this history."""
    first = sum(epoch <= 0 for epoch in history.epoch)
    series = {name: values[first:] for name, values in history.series.items()}
    steps = sum(history.steps[first:])

    def ends(rule: Stop) -> bool:
        limit = rule.step_limit()
        return rule.stopped(series) if limit is None else steps >= limit

    full = len(history.epoch) - first >= spec.epochs and steps >= spec.epochs * spec.steps_per_epoch
    return [] if full else [i for i, rule in enumerate(spec.stop) if ends(rule)]


def candidates_for(
    spec: RunSpec, diagnosis: Diagnosis, reference: RunSpec | None, metric: str, ending: Ending
) -> Iterator[tuple[dict[str, Any], str]]:
    """Yield patches that may help, and their effects, the most promising first."""
    if not spec.model.trains:
        yield from _neighbor_candidates(spec, diagnosis)
    elif diagnosis.verdict == "overfits":
        yield from _against_overfitting(spec, diagnosis, metric)
    elif diagnosis.verdict == "underfits":
        if reference is not None and reference.model != spec.model:
            old, new = (either.model.model_dump(mode="json") for either in (spec, reference))
            yield {"model": replacing(old, new)}, "use the model of the reference run"
        yield from _more_training(spec, metric, ending)
    elif diagnosis.verdict == "diverged" and isinstance(spec.optimizer, LearningRateOptimizer):
        rate = _lower_rate(spec.optimizer)
        yield {"optimizer": {"lr": rate}}, f"lower the learning rate to {rate:g}"


def _lower_rate(optimizer: LearningRateOptimizer) -> float:
    """Return a tenth of the learning rate, at most the value that usually works with this optimizer."""
    examples = type(optimizer).model_fields["lr"].examples
    usual = examples[0] if examples else math.inf
    return float(f"{min(optimizer.learning_rate / LOWER_RATE, usual):.3g}")


def _against_overfitting(spec: RunSpec, diagnosis: Diagnosis, metric: str) -> Iterator[tuple[dict[str, Any], str]]:
    """Yield dropout, L2 and early stopping, as far as the spec lacks them."""
    regularizers = [part.model_dump(mode="json") for part in spec.regularizers]
    kinds = {part.kind for part in spec.regularizers}
    random = spec.optimizer is None or not spec.optimizer.needs_all_rows  # with a random gradient, curvature is noise
    if random and "dropout" not in kinds and spec.effective_model.hidden_layers(spec.dataset.shape):
        yield {"regularizers": [*regularizers, {"kind": "dropout", "p": 0.4}]}, "add dropout of 0.4"
    if not kinds & {"l2", "elastic_net"}:
        yield {"regularizers": [*regularizers, {"kind": "l2", "strength": 1e-4}]}, "add L2 of 1e-4"
    if not any(isinstance(rule, EarlyStopping) for rule in spec.stop):
        patience = max(MIN_PATIENCE, (diagnosis.best_epoch or 0) // 2)
        yield {"stop": [*_rules(spec), _early_stopping(metric, patience)]}, _stopping_step(metric, patience)


def _more_training(spec: RunSpec, metric: str, ending: Ending) -> Iterator[tuple[dict[str, Any], str]]:
    """Yield a higher limit for the stop rules that ended the run, or more epochs if none did."""
    rules = _rules(spec)
    if ending.stopped_by:
        steps = []
        for i in ending.stopped_by:
            changed, step = _looser(spec.stop[i])
            rules[i] |= changed
            steps.append(step)
        yield {"stop": rules}, " and ".join(steps)
        return
    epochs = MORE_EPOCHS * spec.epochs
    regularized = any(part.kind in ADVISED for part in spec.regularizers)
    if regularized and not any(isinstance(rule, EarlyStopping) for rule in spec.stop):
        patience = max(MIN_PATIENCE, spec.epochs // 4)
        step = f"train for up to {epochs} epochs and {_stopping_step(metric, patience)}"
        yield {"epochs": epochs, "stop": [*rules, _early_stopping(metric, patience)]}, step
    yield {"epochs": epochs}, f"train for {epochs} epochs"


def _looser(rule: Stop) -> tuple[dict[str, Any], str]:
    """Return the fields of a stop rule to change so that a run trains longer, and the effect of the change."""
    if isinstance(rule, EarlyStopping):
        patience = 2 * rule.patience
        return {"patience": patience}, f"raise the patience of early stopping, which ended the run, to {patience}"
    if isinstance(rule, MaxSteps):
        limit = MORE_EPOCHS * rule.steps
        return {"steps": limit}, f"raise the limit of optimizer steps, which ended the run, to {limit}"
    assert isinstance(rule, TrainLossBelow), rule.kind
    threshold = float(f"{rule.threshold / LOWER_RATE:.3g}")
    return {"threshold": threshold}, f"lower the training loss at which the run ends to {threshold:g}"


def _rules(spec: RunSpec) -> list[dict[str, Any]]:
    return [rule.model_dump(mode="json") for rule in spec.stop]


def _early_stopping(metric: str, patience: int) -> dict[str, Any]:
    return {"kind": "early_stopping", "metric": metric, "patience": patience}


def _stopping_step(metric: str, patience: int) -> str:
    return f"stop when {metric} has not improved for {patience} epochs"


def _neighbor_candidates(spec: RunSpec, diagnosis: Diagnosis) -> Iterator[tuple[dict[str, Any], str]]:
    """Yield a larger number of neighbors k if the loss still falls; epoch k of such a model is k neighbors.

    A smaller largest k would add nothing: the run has measured every k up to its own, and stores its best model.
    """
    if diagnosis.verdict == "overfits":
        largest = min(MORE_EPOCHS * spec.epochs, spec.model.max_epochs(spec) or math.inf)
        if largest > spec.epochs:
            yield {"epochs": int(largest)}, f"try up to k = {int(largest)} (epochs is the largest k)"
