"""Advice on a run: the diagnosis of its curves, and a merge patch of its spec to try next.

Following the advice on a trained model, without a reference, never leads back to a spec: a suggestion only adds a
regularizer or early stopping, raises epochs or the limit of a stop rule, or lowers the learning rate. A run that
overfits in spite of dropout and L2 gets early stopping rather than fewer epochs, which a later suggestion would raise
again. Nearest neighbors can alternate between the best k and twice as many.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from pydantic import ValidationError

from service.errors import SpecRefused
from service.runs.patches import patched, replacing
from service.runs.run import History, Run
from service.runs.submission.review import review
from service.settings import Settings
from service.statistics.diagnosis import Curves, Diagnosis, diagnose
from worker.spec.families.optimizer import LearningRateOptimizer
from worker.spec.families.stop import Stop
from worker.spec.run import RunSpec
from worker.spec.stops.early_stopping import EarlyStopping
from worker.spec.stops.max_steps import MaxSteps
from worker.spec.stops.train_loss_below import TrainLossBelow

TRAIN, HELD_OUT = ("train.loss_eval", "train.loss"), ("val.loss", "test.loss")
"""Series to compare, in order of preference."""
MORE_EPOCHS, LOWER_RATE = 2, 10
"""Factor on the epochs of a run that underfits; divisor of the learning rate of one that diverged."""
MIN_PATIENCE = 5
"""Least patience of early stopping that is suggested, in epochs."""
ADVISED = frozenset({"dropout", "l2", "elastic_net"})
"""Regularizers that a run gets against overfitting; with one of them, more epochs come with early stopping."""


@dataclass(frozen=True)
class Advice:
    """The diagnosis of a run, and a change of its spec to try next."""

    run_id: str
    reference: str | None
    complete: bool
    train_metric: str | None
    metric: str | None
    diagnosis: Diagnosis
    patch: Mapping[str, Any] | None
    spec: Mapping[str, Any] | None
    step: str
    """The effect of the patch, as the end of a sentence; or the reason that no patch is suggested."""

    @property
    def optimistic(self) -> bool:
        """Whether the verdict is based on the test set."""
        return self.metric == "test.loss"


@dataclass(frozen=True)
class Ending:
    """Why a run has the epochs that it has."""

    stopped_by: Sequence[int] = ()
    """Indices of the stop rules that ended it."""
    reason: str = ""
    """Why it has fewer epochs than its spec for another cause, as the end of a sentence; empty if it has them all."""


@dataclass(frozen=True)
class Recorded:
    """A run with its history, and what is known of its classes."""

    run: Run
    history: History
    class_counts: Sequence[int] | None = None
    """Test rows by true class; None if the run has not counted them."""


def advise(recorded: Recorded, settings: Settings, reference: Recorded | None = None) -> Advice:
    """Diagnose a run and suggest the first change of its spec that the limits of this server allow."""
    run, history = recorded.run, recorded.history
    spec = _spec(run)
    train, metric = (next((n for n in names if _in_every_epoch(history, n)), None) for names in (TRAIN, HELD_OUT))
    if train is None or metric is None:
        missing = "a training loss" if train is None else "a validation or test loss"
        diagnosis = Diagnosis("undecided", f"Not every epoch of this run has {missing}.")
        patch, changed, step = None, None, ""
    else:
        other = None if reference is None else _curves(reference, train, metric)
        diagnosis = diagnose(_curves(recorded, train, metric), other)
        compared = None if reference is None else _spec(reference.run)
        ending = ending_of(run, spec, history)
        patch, changed, step = _suggestion(spec, diagnosis, compared, metric, ending, settings)
    return Advice(
        run_id=run.id,
        reference=None if reference is None else reference.run.id,
        complete=history.complete,
        train_metric=train,
        metric=metric,
        diagnosis=diagnosis,
        patch=patch,
        spec=changed,
        step=step,
    )


def _in_every_epoch(history: History, name: str) -> bool:
    """Return whether every epoch from the first on has a value, finite or not, in this series."""
    values, nonfinite = history.series.get(name), history.nonfinite.get(name, {})
    if not values:
        return False
    pairs = zip(history.epoch, values, strict=True)
    return all(value is not None or str(epoch) in nonfinite for epoch, value in pairs if epoch > 0)


def _suggestion(
    spec: RunSpec, diagnosis: Diagnosis, reference: RunSpec | None, metric: str, ending: Ending, settings: Settings
) -> tuple[dict[str, Any] | None, dict[str, Any] | None, str]:
    """Return the first patch whose spec the limits of this server allow, that spec, and the effect of the patch."""
    if ending.reason and diagnosis.verdict in ("underfits", "undecided", "fits"):
        return None, None, ending.reason
    candidates = list(candidates_for(spec, diagnosis, reference, metric, ending))
    if candidates and metric == "test.loss" and not spec.allow_test_selection:
        return None, None, "a change would be selected on the test set: hold out rows first (dataset.validation_size)"
    for patch, step in candidates:
        changed = _changed(spec, patch, settings)
        if changed is not None:
            return patch, changed, step
    return None, None, _without_patch(spec, diagnosis)


def _without_patch(spec: RunSpec, diagnosis: Diagnosis) -> str:
    """Return why no change of the spec is suggested, as the end of a sentence; empty if nothing needs to change."""
    if diagnosis.verdict == "overfits" and any(isinstance(rule, EarlyStopping) for rule in spec.stop):
        return f"early stopping already limits the training; use the weights of epoch {diagnosis.best_epoch}, the best"
    if diagnosis.verdict == "memorizes":
        return "a network that memorizes needs more rows, or labels that follow from the inputs"
    if diagnosis.verdict == "worse_than_guessing":
        return "the cause may be the inputs, the labels, the model or the learning rate; check the first rows"
    return ""


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


def _spec(run: Run) -> RunSpec:
    return RunSpec.of(run.spec)


def _curves(recorded: Recorded, train: str, held_out: str) -> Curves:
    run, history = recorded.run, recorded.history

    def of(name: str) -> Any:
        values = history.series.get(name, ())
        pairs = zip(history.epoch, values, strict=False)
        return np.array([math.nan if value is None else value for epoch, value in pairs if epoch > 0], float)

    spec = _spec(run)
    guessing = _guessing(spec, recorded.class_counts, of(train), of(train.replace("loss", "r2")))
    diverged, simpler = run.error_code == "diverged", not spec.model.trains
    uniform = math.log(max(1, len(spec.dataset.classes)))
    errors = of("train.error_eval")
    perfect = bool(not simpler and len(errors) and errors[-1] == 0)
    return Curves(
        of(train), of(held_out), guessing, nonfinite=diverged, simpler=simpler, uniform=uniform, perfect=perfect
    )


def _guessing(spec: RunSpec, class_counts: Sequence[int] | None, losses: Any, r2: Any) -> float:
    """Return the loss of guessing: the entropy of the classes, or the training loss of a numeric target's mean.

    The entropy is that of the test rows if they were counted, and that of equally frequent classes otherwise.

    For a numeric target it follows from an epoch's R²: with the squared loss, loss/(1 − R²) is the loss of predicting
    the mean. The Huber loss is linear in large residuals, so its loss of guessing is smaller than this.
    """
    classes = len(spec.dataset.classes)
    if spec.dataset.task == "classification":
        counts = np.array([n for n in class_counts or () if n > 0], float)
        shares = counts / counts.sum() if len(counts) > 1 else np.full(classes, 1 / classes)
        return float(-(shares * np.log(shares)).sum())
    defined = np.isfinite(losses) & np.isfinite(r2) & (r2 < 1)
    return float(losses[defined][0] / (1 - r2[defined][0])) if defined.any() else math.inf


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
    if "dropout" not in kinds and spec.model.hidden_layers:
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
    """Yield another largest number of neighbors k; epoch k of such a model is k neighbors."""
    if diagnosis.verdict == "underfits":
        yield {"epochs": diagnosis.best_epoch}, f"use k = {diagnosis.best_epoch} (epochs is the largest k)"
    elif diagnosis.verdict == "overfits":
        largest = min(MORE_EPOCHS * spec.epochs, spec.model.max_epochs(spec) or math.inf)
        if largest > spec.epochs:
            yield {"epochs": int(largest)}, f"try up to k = {int(largest)} (epochs is the largest k)"


def _changed(spec: RunSpec, patch: Mapping[str, Any], settings: Settings) -> dict[str, Any] | None:
    """Return the patched spec, or None if it is invalid or exceeds the limits of this server."""
    body = patched(spec.model_dump(mode="json"), patch)
    try:
        changed = RunSpec.of(body)
        review(changed, settings)
    except (ValidationError, SpecRefused):
        return None
    return changed.model_dump(mode="json")
