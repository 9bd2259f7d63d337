"""What a run's curves say, and what to try next: a merge patch of its spec, and the spec that it gives."""

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
from worker.spec.families.optimizer import RatedOptimizer
from worker.spec.run import RunSpec

TRAIN, HELD_OUT = ("train.loss_eval", "train.loss"), ("val.loss", "test.loss")
"""Series in the order in which they are preferred."""
MORE_EPOCHS, LOWER_RATE = 2, 10
"""By how much a spec is changed that underfits or diverges."""


@dataclass(frozen=True)
class Advice:
    """A diagnosis, and what to try next."""

    run_id: str
    reference: str | None
    complete: bool
    train_metric: str | None
    metric: str | None
    diagnosis: Diagnosis
    patch: Mapping[str, Any] | None
    spec: Mapping[str, Any] | None
    step: str
    """What the patch does, as the end of a sentence; or why there is none."""

    @property
    def optimistic(self) -> bool:
        """Whether the verdict looks at the test set."""
        return self.metric == "test.loss"


def advise(run: Run, history: History, settings: Settings, reference: tuple[Run, History] | None = None) -> Advice:
    """The diagnosis of a run and the first change of its spec that can be trained here."""
    spec = _spec(run)
    train, metric = (next((n for n in names if _in_every_epoch(history, n)), None) for names in (TRAIN, HELD_OUT))
    if train is None or metric is None:
        what = "a training loss" if train is None else "a validation or test loss"
        found = Diagnosis("undecided", f"Not every epoch of this run has {what}.")
        patch, changed, step = None, None, ""
    else:
        other = None if reference is None else _curves(*reference, train, metric)
        found = diagnose(_curves(run, history, train, metric), other)
        compared = None if reference is None else _spec(reference[0])
        patch, changed, step = _suggested(spec, found, compared, metric, settings)
    return Advice(
        run_id=run.id,
        reference=None if reference is None else reference[0].id,
        complete=history.complete,
        train_metric=train,
        metric=metric,
        diagnosis=found,
        patch=patch,
        spec=changed,
        step=step,
    )


def _in_every_epoch(history: History, name: str) -> bool:
    """Whether a series was measured in every epoch from the first on: what is null was not finite."""
    values, infinite = history.series.get(name), history.nonfinite.get(name, {})
    if not values:
        return False
    told = zip(history.epoch, values, strict=True)
    return all(value is not None or str(epoch) in infinite for epoch, value in told if epoch > 0)


def _suggested(
    spec: RunSpec, found: Diagnosis, reference: RunSpec | None, metric: str, settings: Settings
) -> tuple[dict[str, Any] | None, dict[str, Any] | None, str]:
    """The first patch that gives a spec that can be trained here, that spec, and what the patch does."""
    candidates = list(_candidates(spec, found, reference))
    if candidates and metric == "test.loss" and not spec.allow_test_selection:
        return None, None, "a change would be chosen on the test set: hold out rows first (dataset.validation_size)"
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
    """The training loss of a model that knows nothing but how frequent classes are, or the mean of numbers.

    Where the target is a number, R² of an epoch tells it: loss/(1 − R²) is the loss of the mean, if the loss is
    squared; Huber's is straight for large residuals, so that it is less than this.
    """
    if spec.dataset.task == "classification":
        return math.log(len(spec.dataset.classes))
    known = np.isfinite(losses) & np.isfinite(r2) & (r2 < 1)
    return float(losses[known][0] / (1 - r2[known][0])) if known.any() else math.inf


def _candidates(spec: RunSpec, found: Diagnosis, reference: RunSpec | None) -> Iterator[tuple[dict[str, Any], str]]:
    """What could help, the best first."""
    if not spec.model.trains:
        yield from _with_other_epochs(spec, found)
        return
    regularizers = [part.model_dump(mode="json") for part in spec.regularizers]
    kinds = {part.kind for part in spec.regularizers}
    if found.verdict == "overfits":
        if "dropout" not in kinds and spec.model.hidden_layers:
            yield {"regularizers": [*regularizers, {"kind": "dropout", "p": 0.4}]}, "add dropout of 0.4"
        if not kinds & {"l2", "elastic_net"}:
            yield {"regularizers": [*regularizers, {"kind": "l2", "strength": 1e-4}]}, "add L2 of 1e-4"
        yield {"epochs": found.best_epoch}, f"end after epoch {found.best_epoch}"
    elif found.verdict == "underfits":
        if reference is not None and reference.model != spec.model:
            old, new = (one.model.model_dump(mode="json") for one in (spec, reference))
            yield {"model": replacing(old, new)}, "take the other run's model"
        yield {"epochs": MORE_EPOCHS * spec.epochs}, f"train for {MORE_EPOCHS * spec.epochs} epochs"
    elif found.verdict == "diverged" and isinstance(spec.optimizer, RatedOptimizer):
        rate = float(f"{spec.optimizer.rate / LOWER_RATE:.3g}")
        yield {"optimizer": {"lr": rate}}, f"lower the learning rate to {rate:g}"


def _with_other_epochs(spec: RunSpec, found: Diagnosis) -> Iterator[tuple[dict[str, Any], str]]:
    """What could help a model that is not trained: it has nothing but epochs."""
    if found.verdict == "underfits":
        yield {"epochs": found.best_epoch}, f"end with epoch {found.best_epoch}"
    elif found.verdict == "overfits":
        yield {"epochs": MORE_EPOCHS * spec.epochs}, f"go on to epoch {MORE_EPOCHS * spec.epochs}"


def _changed(spec: RunSpec, patch: Mapping[str, Any], settings: Settings) -> dict[str, Any] | None:
    """The spec with the patch, where that can be trained here."""
    body = patched(spec.model_dump(mode="json"), patch)
    try:
        changed = RunSpec.of(body)
        review(changed, settings)
    except (ValidationError, SpecRefused):
        return None
    return changed.model_dump(mode="json")
