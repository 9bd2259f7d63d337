"""Objections to the fields of a run that concern its training as a whole."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from worker.spec.optimizers import KINDS as OPTIMIZERS
from worker.spec.part import Objection
from worker.spec.preceding import MAX_GENERATIONS, generations
from worker.spec.warm_start import source_of

if TYPE_CHECKING:
    from worker.spec.run import RunSpec

OF_TRAINING = (
    "regularizers", "optimizer", "gradient_clipping", "schedule", "averaging", "batch_size", "warm_start", "precision",
)  # fmt: skip
"""Fields that apply only to models that are trained."""


def training_objections(run: RunSpec) -> Iterator[tuple[tuple[str | int, ...], Objection]]:
    """Yield the objections, each with its place in the spec."""
    yield from _training(run)
    yield from _batches(run)
    yield from _generations(run)


def _generations(run: RunSpec) -> Iterator[tuple[tuple[str | int, ...], Objection]]:
    """Yield an objection to a chain of more runs to train first than a server should plan."""
    source = source_of(run)
    if source is not None and generations(source) >= MAX_GENERATIONS:
        message = f"A chain of warm starts has at most {MAX_GENERATIONS} generations. Train the first ones separately."
        yield ("warm_start", "spec"), Objection(field=None, message=message)


def _batches(run: RunSpec) -> Iterator[tuple[tuple[str | int, ...], Objection]]:
    """Yield an objection to batches of some of the rows, if the optimizer needs all."""
    rows, optimizer = run.dataset.training_rows, run.optimizer
    if run.model.trains and optimizer is not None and optimizer.needs_all_rows and run.batch_rows < rows:
        message = (
            f"{optimizer.kind!r} needs the gradient of all {rows} training rows, not of {run.batch_rows}. "
            f"Set batch_size to 'full' or to at least {rows}, or use another optimizer, such as adam."
        )
        yield ("batch_size",), Objection(field=None, message=message, allowed=["full"])


def _training(run: RunSpec) -> Iterator[tuple[tuple[str | int, ...], Objection]]:
    """Yield objections to a missing optimizer, or to fields of training for a model that is not trained."""
    kind, most = run.model.kind, run.model.max_epochs(run)
    if most is not None and run.epochs > most:
        yield ("epochs",), Objection(field=None, message=f"{kind!r} has at most {most} epochs on {most} rows.")
    if run.model.trains:
        if run.optimizer is None:
            message = f"{kind!r} is trained by an optimizer; name one."
            yield ("optimizer",), Objection(field=None, message=message, allowed=list(OPTIMIZERS))
        return
    for name in OF_TRAINING:
        if getattr(run, name) != type(run).model_fields[name].get_default(call_default_factory=True):
            yield (name,), Objection(field=None, message=f"{kind!r} is not trained, so leave {name} out.")
    for i, rule in enumerate(run.stop):
        if rule.step_limit() is not None:
            message = f"{kind!r} takes no steps; say how many epochs it has, or stop on a metric."
            yield ("stop", i), Objection(field=None, message=message)
