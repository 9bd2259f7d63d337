"""Checks of a submitted spec before it becomes a run, and estimates of its cost."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from service.errors import FieldError, SpecRefused
from service.pointers import pointer_to
from service.settings import Settings
from worker.spec.datasets.uploaded import stored_as
from worker.spec.families.dataset import Dataset
from worker.spec.keys import reuse_key
from worker.spec.preceding import all_preceding, preceding
from worker.spec.run import RunSpec

EVALUATED_SUBSET = 10_000
"""Most training rows of an evaluation of a subset of them."""
FLOAT_BYTES = 4
FLOPS_PER_SECOND = 5e10
"""Throughput of two ordinary cores on small dense layers, one run alone; an order of magnitude."""
MAX_PARTS = 600
"""Most parts of a spec, nested ones included; 32 regularizers of 16 operations each fit."""
MAX_LAYERS = 3
"""Layers that a refusal lists."""
SECONDS_PER_STEP = 2e-4
"""Fixed cost of a training step."""


@dataclass(frozen=True)
class Estimate:
    """A rough estimate of the cost of a run."""

    parameters: int
    seconds: float
    bytes: int


def run_bytes(spec: RunSpec) -> int:
    """Return the bytes of weights, gradients, optimizer state and averages of one run."""
    states = len(spec.optimizer.state_names) if spec.optimizer is not None else 0
    averages = 0 if spec.averaging is None else 1
    return spec.parameters * FLOAT_BYTES * (2 + states + averages)


def estimate(spec: RunSpec) -> Estimate:
    """Estimate the cost of training ``spec`` alone; memory includes activations and dataset, but not torch itself."""
    evaluated = _evaluated_rows(spec)
    steps = spec.epochs * spec.steps_per_epoch
    seconds = spec.effective_model.operations(spec, evaluated) / FLOPS_PER_SECOND + steps * SECONDS_PER_STEP
    if spec.optimizer is not None and spec.optimizer.ascends:
        seconds *= 2
    inputs = FLOAT_BYTES * math.prod(spec.dataset.shape)
    total = run_bytes(spec) + spec.effective_model.workspace(spec, evaluated) + sum(spec.dataset.rows) * inputs
    total += sum(part.table_bytes(spec.dataset.shape) for part in spec.regularizers)
    return Estimate(spec.parameters, seconds, total)


def to_train_first(specs: Iterable[RunSpec]) -> list[RunSpec]:
    """Return the runs to train before ``specs``, without those that are among them; equal ones once."""
    every = {reuse_key(spec): spec for spec in specs}
    first = {reuse_key(one): one for spec in every.values() for one in all_preceding(spec)}
    return [one for key, one in first.items() if key not in every]


def _evaluated_rows(spec: RunSpec) -> int:
    """Return the rows that an evaluation takes, test rows included if any takes them."""
    rows = spec.dataset.training_rows
    training = {"subset": min(EVALUATED_SUBSET, rows), "full": rows, "never": 0}[spec.evaluate.train]
    test = 0 if spec.evaluate.test == "never" else spec.dataset.rows[1]
    return training + spec.dataset.validation_rows + test


def stack_runs(spec: RunSpec, settings: Settings) -> int:
    """Return how many runs like this one may share a stack.

    Larger stacks exceed the cache and gain nothing, or their activations take more memory than a run may take.
    """
    in_cache = settings.stack_bytes // max(1, run_bytes(spec))
    activations = spec.effective_model.workspace(spec, evaluated=0) if spec.model.trains else 1
    return max(1, min(settings.stack_limit, in_cache, settings.max_run_bytes // activations))


def missing_here(dataset: Dataset, settings: Settings) -> str | None:
    """Return what to do if the dataset is missing here, or None; uploads in a bucket are fetched when needed."""
    stored = settings.storage_url is not None and stored_as(dataset) is not None
    return None if stored else dataset.missing(settings.datasets)


def check_parts(text: str) -> None:
    """Check that a spec, given as unparsed JSON, is small enough for thousands of runs to store it.

    Raises:
        SpecRefused: The spec has too many parts.
    """
    parts = text.count('"kind"')
    if parts > MAX_PARTS:
        message = f"A spec has at most {MAX_PARTS:,} parts, nested ones included; this one has {parts:,}."
        raise SpecRefused.at("", "too_many_parts", message)


def review(spec: RunSpec, settings: Settings) -> None:
    """Check that the parts of a spec fit together, and that this server can train it.

    Raises:
        SpecRefused: Parts are incompatible, a dataset is missing, or the run exceeds a limit.
    """
    check_parts(spec.model_dump_json())
    errors = [
        FieldError(pointer_to(*place), "incompatible", objection.message, tuple(objection.allowed))
        for place, objection in spec.objections()
    ]
    for place, dataset in spec.references().datasets.items():
        missing = missing_here(dataset, settings)
        if missing is not None:
            errors.append(FieldError(pointer_to(*place), "dataset_missing", missing))
    errors = errors or list(_limit_errors(spec, settings)) or list(_preceding_errors(spec, settings))
    if errors:
        raise SpecRefused(errors[0].message if len(errors) == 1 else f"{len(errors)} things are wrong.", errors=errors)


def _preceding_errors(spec: RunSpec, settings: Settings) -> Iterator[FieldError]:
    """Yield the errors of runs to train first."""
    for place, first in preceding(spec).items():
        try:
            review(first, settings)
        except SpecRefused as refusal:
            for e in refusal.errors:
                yield FieldError(f"{pointer_to(*place)}{e.pointer}", e.code, e.message, e.allowed)


def _limit_errors(spec: RunSpec, settings: Settings) -> list[FieldError]:
    cost = estimate(spec)
    if cost.parameters > settings.max_parameters:
        message = (
            f"The model has {cost.parameters:,} parameters; this server takes at most {settings.max_parameters:,} "
            f"(FITWELL_MAX_PARAMETERS). Make the layers narrower.{_largest(spec, 'parameters')}"
        )
        return [FieldError("/model", "too_large", message)]
    if errors := list(_table_errors(spec, settings)):
        return errors
    if cost.bytes > settings.max_run_bytes:
        message = (
            f"The run would need about {cost.bytes:,} bytes; this server takes at most {settings.max_run_bytes:,} "
            f"(FITWELL_MAX_RUN_BYTES). {_memory_remedy(spec)}"
            f"{_largest(spec, 'parameters')}{_largest(spec, 'activations', ' per row')}"
        )
        return [FieldError("/batch_size", "too_large", message)]
    if cost.seconds > settings.max_run_seconds:
        message = (
            f"The run would take about {cost.seconds:,.0f} s; this server takes at most "
            f"{settings.max_run_seconds:,.0f} s (FITWELL_MAX_RUN_SECONDS). Ask for fewer epochs."
            f"{_largest(spec, 'flops', ' per row')}"
        )
        return [FieldError("/epochs", "too_long", message)]
    return []


def _memory_remedy(spec: RunSpec) -> str:
    """Return a sentence about what makes a run smaller."""
    if spec.optimizer is None or not spec.optimizer.needs_all_rows:
        return "Make the model or the batch smaller."
    states = len(spec.optimizer.state_names)
    return f"Make the model or train_size smaller, or change the optimizer: this one stores {states} times the weights."


def _largest(spec: RunSpec, figure: Literal["parameters", "activations", "flops"], unit: str = "") -> str:
    """Return a sentence with the layers that have most of a figure; empty for models of few layers."""
    if len(spec.layers) <= 1:
        return ""
    largest = sorted(spec.layers, key=lambda layer: -getattr(layer, figure))[:MAX_LAYERS]
    figures = [
        f"{f'{layer.name} ({layer.kind})' if layer.name else layer.kind} {getattr(layer, figure):,}"
        for layer in largest
        if getattr(layer, figure)
    ]
    return f" Most {'FLOPs' if figure == 'flops' else figure}{unit}: {', '.join(figures)}."


def _table_errors(spec: RunSpec, settings: Settings) -> Iterator[FieldError]:
    """Yield the errors of image operations whose tables alone exceed the memory of a run."""
    for i, part in enumerate(spec.regularizers):
        table_bytes = part.table_bytes(spec.dataset.shape)
        if table_bytes > settings.max_run_bytes:
            height, width = spec.dataset.shape[-2:]
            message = (
                f"{part.kind!r} would need {table_bytes:,} bytes for images of {height} × {width} pixels; this server "
                f"takes at most {settings.max_run_bytes:,} (FITWELL_MAX_RUN_BYTES). Vary the images less, or upload "
                "them with a smaller size, such as size=64x64."
            )
            yield FieldError(f"/regularizers/{i}", "too_large", message)
