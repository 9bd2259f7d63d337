"""Advice on a run: the diagnosis of its curves, and a merge patch of its spec to try next."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
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
from worker.spec.run import RunSpec

TRAIN, HELD_OUT = ("train.loss_eval", "train.loss"), ("val.loss", "test.loss")
"""Series to compare, in order of preference."""
MORE_EPOCHS, LOWER_RATE = 2, 10
"""Factor on the epochs of a run that underfits; divisor of the learning rate of one that diverged."""


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


def advise(run: Run, history: History, settings: Settings, reference: tuple[Run, History] | None = None) -> Advice:
    """Diagnose a run and suggest the first change of its spec that the limits of this server allow."""
    spec = _spec(run)
    train, metric = (next((n for n in names if _in_every_epoch(history, n)), None) for names in (TRAIN, HELD_OUT))
    if train is None or metric is None:
        missing = "a training loss" if train is None else "a validation or test loss"
        diagnosis = Diagnosis("undecided", f"Not every epoch of this run has {missing}.")
        patch, changed, step = None, None, ""
    else:
        other = None if reference is None else _curves(*reference, train, metric)
        diagnosis = diagnose(_curves(run, history, train, metric), other)
        compared = None if reference is None else _spec(reference[0])
        patch, changed, step = _suggestion(spec, diagnosis, compared, metric, settings)
    return Advice(
        run_id=run.id,
        reference=None if reference is None else reference[0].id,
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
    spec: RunSpec, diagnosis: Diagnosis, reference: RunSpec | None, metric: str, settings: Settings
) -> tuple[dict[str, Any] | None, dict[str, Any] | None, str]:
    """Return the first patch whose spec the limits of this server allow, that spec, and the effect of the patch."""
    candidates = list(_candidates(spec, diagnosis, reference))
    if candidates and metric == "test.loss" and not spec.allow_test_selection:
        return None, None, "a change would be selected on the test set: hold out rows first (dataset.validation_size)"
    for patch, step in candidates:
        changed = _changed(spec, patch, settings)
        if changed is not None:
            return patch, changed, step
    return None, None, ""


def _spec(run: Run) -> RunSpec:
    return RunSpec.of(run.spec)


def _curves(run: Run, history: History, train: str, held_out: str) -> Curves:
    def of(name: str) -> Any:
        values = history.series.get(name, ())
        pairs = zip(history.epoch, values, strict=False)
        return np.array([math.nan if value is None else value for epoch, value in pairs if epoch > 0], float)

    spec = _spec(run)
    guessing = _guessing(spec, of(train), of(train.replace("loss", "r2")))
    diverged, simpler = run.error_code == "diverged", not spec.model.trains
    return Curves(of(train), of(held_out), guessing, nonfinite=diverged, simpler=simpler)


def _guessing(spec: RunSpec, losses: Any, r2: Any) -> float:
    """Return the training loss of guessing: uniformly among classes, or the mean of a numeric target.

    For a numeric target it follows from an epoch's R²: with the squared loss, loss/(1 − R²) is the loss of predicting
    the mean. The Huber loss is linear in large residuals, so its loss of guessing is smaller than this.
    """
    if spec.dataset.task == "classification":
        return math.log(len(spec.dataset.classes))
    defined = np.isfinite(losses) & np.isfinite(r2) & (r2 < 1)
    return float(losses[defined][0] / (1 - r2[defined][0])) if defined.any() else math.inf


def _candidates(spec: RunSpec, diagnosis: Diagnosis, reference: RunSpec | None) -> Iterator[tuple[dict[str, Any], str]]:
    """Yield patches that may help, and their effects, the most promising first."""
    if not spec.model.trains:
        yield from _epoch_candidates(spec, diagnosis)
        return
    regularizers = [part.model_dump(mode="json") for part in spec.regularizers]
    kinds = {part.kind for part in spec.regularizers}
    if diagnosis.verdict == "overfits":
        if "dropout" not in kinds and spec.model.hidden_layers:
            yield {"regularizers": [*regularizers, {"kind": "dropout", "p": 0.4}]}, "add dropout of 0.4"
        if not kinds & {"l2", "elastic_net"}:
            yield {"regularizers": [*regularizers, {"kind": "l2", "strength": 1e-4}]}, "add L2 of 1e-4"
        yield {"epochs": diagnosis.best_epoch}, f"end after epoch {diagnosis.best_epoch}"
    elif diagnosis.verdict == "underfits":
        if reference is not None and reference.model != spec.model:
            old, new = (either.model.model_dump(mode="json") for either in (spec, reference))
            yield {"model": replacing(old, new)}, "use the model of the reference run"
        yield {"epochs": MORE_EPOCHS * spec.epochs}, f"train for {MORE_EPOCHS * spec.epochs} epochs"
    elif diagnosis.verdict == "diverged" and isinstance(spec.optimizer, LearningRateOptimizer):
        rate = float(f"{spec.optimizer.learning_rate / LOWER_RATE:.3g}")
        yield {"optimizer": {"lr": rate}}, f"lower the learning rate to {rate:g}"


def _epoch_candidates(spec: RunSpec, diagnosis: Diagnosis) -> Iterator[tuple[dict[str, Any], str]]:
    """Yield patches for a model without training, whose only setting is its epochs."""
    if diagnosis.verdict == "underfits":
        yield {"epochs": diagnosis.best_epoch}, f"end with epoch {diagnosis.best_epoch}"
    elif diagnosis.verdict == "overfits":
        yield {"epochs": MORE_EPOCHS * spec.epochs}, f"continue to epoch {MORE_EPOCHS * spec.epochs}"


def _changed(spec: RunSpec, patch: Mapping[str, Any], settings: Settings) -> dict[str, Any] | None:
    """Return the patched spec, or None if it is invalid or exceeds the limits of this server."""
    body = patched(spec.model_dump(mode="json"), patch)
    try:
        changed = RunSpec.of(body)
        review(changed, settings)
    except (ValidationError, SpecRefused):
        return None
    return changed.model_dump(mode="json")
