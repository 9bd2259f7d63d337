"""What a submitted spec must satisfy before it becomes a run, and what it will cost."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from service.errors import FieldError, SpecRefused
from service.settings import Settings
from worker.spec.datasets.uploaded import stored_as
from worker.spec.families.dataset import Dataset
from worker.spec.regularizers.distillation import Distillation
from worker.spec.run import RunSpec

FLOAT_BYTES = 4
FLOPS_PER_SECOND = 5e10
"""What two ordinary cores do on small dense layers, one run alone; an order of magnitude, not a promise."""
MOST_PARTS = 600
"""Of a spec, with those inside of others; 32 regularizers of 16 operations each fit. Each run of a study keeps it."""
SECONDS_PER_STEP = 2e-4
"""What a step costs however small it is."""


@dataclass(frozen=True)
class NewRun:
    """A run to be: what to train, and what it is called."""

    spec: RunSpec
    name: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    priority: int = 0
    max_seconds: float | None = None


@dataclass(frozen=True)
class Estimate:
    """What a run will need, roughly."""

    parameters: int
    seconds: float
    bytes: int


def run_bytes(spec: RunSpec) -> int:
    """Weights, gradients and optimizer state of one run."""
    kept = len(spec.optimizer.state) if spec.optimizer is not None else 0
    return spec.parameters * FLOAT_BYTES * (2 + kept)


def estimate(spec: RunSpec) -> Estimate:
    """The cost of training ``spec`` alone. Memory: the run's own, activations and the dataset, without torch itself."""
    rows = spec.dataset.training_rows
    evaluated = min(10_000, rows) + spec.dataset.validation_rows + spec.dataset.rows[1]
    steps = spec.epochs * spec.steps_per_epoch
    seconds = spec.model.operations(spec, evaluated) / FLOPS_PER_SECOND + steps * SECONDS_PER_STEP
    inputs = FLOAT_BYTES * math.prod(spec.dataset.shape)
    total = run_bytes(spec) + spec.model.workspace(spec, evaluated) + sum(spec.dataset.rows) * inputs
    return Estimate(spec.parameters, seconds, total)


def stack_runs(spec: RunSpec, settings: Settings) -> int:
    """How many runs like this one may share a stack: more would fall out of the processor's cache and gain nothing."""
    return max(1, min(settings.stack_limit, settings.stack_bytes // max(1, run_bytes(spec))))


def missing_here(dataset: Dataset, settings: Settings) -> str | None:
    """What to do where the rows are not there; an upload that lies in a bucket is brought when it is needed."""
    stored = settings.storage_url is not None and stored_as(dataset) is not None
    return None if stored else dataset.missing(settings.datasets)


def check_parts(text: str) -> None:
    """See that a spec, as JSON, is not too large to be kept by thousands of runs; it need not have been read.

    Raises:
        SpecRefused: it is.
    """
    parts = text.count('"kind"')
    if parts > MOST_PARTS:
        message = f"A spec has at most {MOST_PARTS:,} parts, with those inside of others; this one has {parts:,}."
        raise SpecRefused(message, errors=[FieldError("", "too_many_parts", message)])


def review(spec: RunSpec, settings: Settings) -> None:
    """Check what the fields cannot check alone.

    Raises:
        SpecRefused: parts that do not fit each other, data that are not there, or a run larger than the quotas.
    """
    check_parts(spec.model_dump_json())
    errors = [
        FieldError(_pointer(place), "incompatible", objection.message, tuple(objection.allowed))
        for place, objection in spec.objections()
    ]
    missing = missing_here(spec.dataset, settings)
    if missing is not None:
        errors.append(FieldError("/dataset", "dataset_missing", missing))
    for i, part in enumerate(spec.regularizers):
        transfer = part.transfer if isinstance(part, Distillation) else None
        missing = None if transfer is None else missing_here(transfer.dataset, settings)
        if missing is not None:
            errors.append(FieldError(f"/regularizers/{i}/transfer/dataset", "dataset_missing", missing))
    errors = errors or list(_over_quota(spec, settings)) or list(_of_teachers(spec, settings))
    if errors:
        raise SpecRefused(errors[0].message if len(errors) == 1 else f"{len(errors)} things are wrong.", errors=errors)


def _of_teachers(spec: RunSpec, settings: Settings) -> Iterator[FieldError]:
    """What is wrong with the teachers that are to be trained first."""
    for i, part in enumerate(spec.regularizers):
        for j, teacher in enumerate(part.teachers if isinstance(part, Distillation) else ()):
            if teacher.spec is not None:
                try:
                    review(teacher.spec, settings)
                except SpecRefused as refusal:
                    for e in refusal.errors:
                        pointer = f"/regularizers/{i}/teachers/{j}/spec{e.pointer}"
                        yield FieldError(pointer, e.code, e.message, e.allowed)


def _over_quota(spec: RunSpec, settings: Settings) -> list[FieldError]:
    cost = estimate(spec)
    if cost.parameters > settings.max_parameters:
        message = (
            f"The model has {cost.parameters:,} parameters; this server takes at most {settings.max_parameters:,} "
            "(FITWELL_MAX_PARAMETERS). Make the layers narrower."
        )
        return [FieldError("/model", "too_large", message)]
    if cost.bytes > settings.max_run_bytes:
        message = (
            f"The run would need about {cost.bytes:,} bytes; this server takes at most {settings.max_run_bytes:,} "
            "(FITWELL_MAX_RUN_BYTES). Make the model or the batch smaller."
        )
        return [FieldError("/batch_size", "too_large", message)]
    if cost.seconds > settings.max_run_seconds:
        message = (
            f"The run would take about {cost.seconds:,.0f} s; this server takes at most "
            f"{settings.max_run_seconds:,.0f} s (FITWELL_MAX_RUN_SECONDS). Ask for fewer epochs."
        )
        return [FieldError("/epochs", "too_long", message)]
    return []


def _pointer(place: tuple[str | int, ...]) -> str:
    return "".join(f"/{str(step).replace('~', '~0').replace('/', '~1')}" for step in place)
