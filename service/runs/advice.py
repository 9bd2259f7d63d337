"""Advice on a run: the diagnosis of its curves, and the first suggested change that this server allows."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from pydantic import ValidationError

from service.errors import SpecRefused
from service.runs.patches import patched
from service.runs.run import History, Run
from service.runs.submission.review import review
from service.runs.suggestions import Ending, candidates_for, ending_of
from service.settings import Settings
from service.statistics.diagnosis import Curves, Diagnosis, diagnose
from worker.spec.run import RunSpec
from worker.spec.stops.early_stopping import EarlyStopping

TRAIN, HELD_OUT = ("train.loss_eval", "train.loss"), ("val.loss", "test.loss")
"""Series to compare, in order of preference."""


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
class Recorded:
    """A run with its history, and what is known of its classes."""

    run: Run
    history: History
    class_counts: Sequence[int] | None = None
    """Test rows by true class, for a run without a baseline; None if it has not counted them."""


def advise(recorded: Recorded, settings: Settings, reference: Recorded | None = None) -> Advice:
    """Diagnose a run and suggest the first change of its spec that the limits of this server allow."""
    run, history = recorded.run, recorded.history
    spec = _spec(run)
    train, metric = (next((n for n in names if _in_every_evaluation(recorded, n)), None) for names in (TRAIN, HELD_OUT))
    if train is None or metric is None:
        missing = "a training loss" if train is None else "a validation or test loss"
        diagnosis = Diagnosis("undecided", f"Not every evaluated epoch of this run has {missing}.")
        patch, changed, step = None, None, ""
    else:
        other = None if reference is None else _curves(reference, train, metric)
        diagnosis = diagnose(_curves(recorded, train, metric), other)
        diagnosis = _with_best_k(_with_last_value(diagnosis, run, metric), run, spec)
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


def _with_last_value(diagnosis: Diagnosis, run: Run, metric: str) -> Diagnosis:
    """Return the diagnosis, with a sentence if repeating the last value would predict better than the model."""
    repeated, last = (run.baseline or {}).get(f"{metric}_last_value"), run.last.get(metric)
    if repeated is None or last is None or last <= repeated:
        return diagnosis
    sentence = (
        f"Repeating the last value in time gives {repeated:.3g}, which is better than the {last:.3g} of the model."
    )
    return replace(diagnosis, reason=f"{diagnosis.reason} {sentence}")


def _with_best_k(diagnosis: Diagnosis, run: Run, spec: RunSpec) -> Diagnosis:
    """Return the diagnosis, with the best k if the largest one underfits: the run has measured it already."""
    if spec.model.trains or diagnosis.verdict != "underfits" or run.best is None:
        return diagnosis
    use = f"Use {spec.model.epoch_name} = {run.best['epoch']}"
    sentence = f"{use}: its {run.best['metric']} is the lowest, and its model is stored."
    return replace(diagnosis, reason=f"{diagnosis.reason} {sentence}")


def _evaluations(recorded: Recorded) -> list[int]:
    """Return the positions in the history of the epochs after which the model was evaluated."""
    every, epochs = _spec(recorded.run).evaluate.every, recorded.history.epoch
    last = epochs[-1] if recorded.history.complete and len(epochs) else None
    return [i for i, epoch in enumerate(epochs) if epoch > 0 and (epoch % every == 0 or epoch == last)]


def _in_every_evaluation(recorded: Recorded, name: str) -> bool:
    """Return whether every evaluated epoch from the first on has a value, finite or not, in this series."""
    history, evaluations = recorded.history, _evaluations(recorded)
    values, nonfinite = history.series.get(name), history.nonfinite.get(name, {})
    if not values or not evaluations:
        return False
    return all(values[i] is not None or str(history.epoch[i]) in nonfinite for i in evaluations)


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
    stops = any(isinstance(rule, EarlyStopping) for rule in spec.stop)
    if diagnosis.verdict == "overfits" and spec.model.trains and stops:
        return f"early stopping already limits the training; use the weights of epoch {diagnosis.best_epoch}, the best"
    if diagnosis.verdict == "memorizes":
        return "a network that memorizes needs more rows, or labels that follow from the inputs"
    if diagnosis.verdict == "worse_than_guessing":
        return "the cause may be the inputs, the labels, the model or the learning rate; check the first rows"
    return ""


def _spec(run: Run) -> RunSpec:
    return RunSpec.of(run.spec)


def _curves(recorded: Recorded, train: str, held_out: str) -> Curves:
    run, history, evaluations = recorded.run, recorded.history, _evaluations(recorded)

    def of(name: str) -> Any:
        values = history.series.get(name)
        measured = [] if values is None else [values[i] for i in evaluations]
        return np.array([math.nan if value is None else value for value in measured], float)

    spec, baseline = _spec(run), run.baseline or {}
    guessing = baseline.get(held_out)
    if guessing is None:
        guessing = _guessing(spec, recorded.class_counts, of(train), of(train.replace("loss", "r2")))
    diverged, simpler = run.error_code == "diverged", not spec.model.trains
    uniform = math.log(max(1, len(spec.dataset.classes)))
    errors = of("train.error_eval")
    perfect = bool(not simpler and len(errors) and errors[-1] == 0)
    return Curves(
        of(train),
        of(held_out),
        guessing,
        nonfinite=diverged,
        simpler=simpler,
        uniform=uniform,
        perfect=perfect,
        train_guessing=baseline.get("train.loss"),
        epochs=None if spec.evaluate.every == 1 else [history.epoch[i] for i in evaluations],
    )


def _guessing(spec: RunSpec, class_counts: Sequence[int] | None, losses: Any, r2: Any) -> float:
    """Estimate the loss of guessing for a run without a baseline, which an earlier version trained.

    It is the entropy of the classes, or the training loss of a numeric target's mean.

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


def _changed(spec: RunSpec, patch: Mapping[str, Any], settings: Settings) -> dict[str, Any] | None:
    """Return the patched spec, or None if it is invalid or exceeds the limits of this server."""
    body = patched(spec.model_dump(mode="json"), patch)
    try:
        changed = RunSpec.of(body)
        review(changed, settings)
    except (ValidationError, SpecRefused):
        return None
    return changed.model_dump(mode="json")
