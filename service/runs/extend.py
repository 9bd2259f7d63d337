"""Extensions: a new run continues a finished one for more epochs, bit for bit as if trained in one go.

A run that a stop rule ended continues without the rule, or with one that would not have ended it.
"""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa

from service.errors import SpecRefused
from service.runs.errors import TransitionRefused
from service.runs.queries import epochs, files
from service.runs.queries import runs as rows
from service.runs.run import RunMetadata
from service.runs.submission.new_run import NewRun
from service.store.events import NewEvent
from service.store.rows import Row
from worker.spec.families.stop import Stop
from worker.spec.keys import trajectory_key
from worker.spec.run import RunSpec
from worker.spec.stop_policy import StopPolicy


def plan(connection: sa.Connection, row: Row, number: int | None, stop: Sequence[Stop] | None) -> NewRun:
    """Return the run in ``row`` with ``number`` epochs and the rules ``stop``; None leaves either as it is.

    Raises:
        TransitionRefused: The run has not succeeded, a stop rule would end it again, or its checkpoint was deleted.
        SpecRefused: ``number`` is not larger than the run's last epoch, or earlier epochs would differ.
    """
    if row.status != "succeeded":
        raise TransitionRefused(f"A run that is {row.status!r} cannot be extended; one that succeeded can.")
    spec = RunSpec.of(row.spec)
    if stop is None and row.epoch < spec.epochs:
        raise TransitionRefused(
            f"A stop rule ended the run after epoch {row.epoch} of {spec.epochs} and would end it again. Continue it "
            'without the rule ("stop": []), or with more patience.'
        )
    changes = {"epochs": spec.epochs if number is None else number, "stop": spec.stop if stop is None else tuple(stop)}
    new_spec = spec.model_copy(update=changes)
    if new_spec.epochs <= row.epoch:
        raise _refuse("/epochs", f"The run has {row.epoch} epochs already. Request more than {row.epoch}.")
    _check_epochs(spec, new_spec, row.epoch)
    if stop is not None:
        _check_rules(connection, row, new_spec)
    if not files.checkpoints(connection, row.reused_from or row.id):
        raise TransitionRefused("The run's last checkpoint was deleted. Clone the run to train it from the start.")
    metadata = {name: getattr(row, name) for name in RunMetadata.model_fields}
    return NewRun(new_spec, RunMetadata.model_construct(**metadata))


def continues_without_rules(status: str, epoch: int, spec: RunSpec) -> bool:
    """Return whether a run that ended after ``epoch`` can be continued to the end of its spec, without stop rules."""
    free = spec.model_copy(update={"stop": ()})
    early = status == "succeeded" and 0 < epoch < spec.epochs
    return early and trajectory_key(spec) == trajectory_key(free) and spec.continues_after(epoch)


def copy_progress(connection: sa.Connection, row: Row, run_id: str) -> list[NewEvent]:
    """Copy epochs and checkpoints of the run in ``row`` to the queued run ``run_id``, and return its epoch events."""
    trained = row.reused_from or row.id
    epochs.copy(connection, trained, run_id)
    files.share_progress(connection, trained, run_id)
    names = ("epoch", "best", "baseline", "digest", "determinism_class", "revision")
    values = {name: getattr(row, name) for name in names}
    changed = rows.change(connection, run_id, "queued", {**values, "last": row.last, "extends": row.id})
    assert changed, f"{run_id} was just created and yet changed"
    return [NewEvent(run_id, "epoch", epoch=e.epoch) for e in epochs.of_run(connection, run_id)]


def _check_epochs(spec: RunSpec, longer: RunSpec, epoch: int) -> None:
    """Check that the epochs of a run that ended after ``epoch`` are also the first ones of a longer run.

    Raises:
        SpecRefused: They would differ.
    """
    if trajectory_key(spec) == trajectory_key(longer) and spec.continues_after(epoch):
        return
    if any(rule.step_limit() is not None for rule in (*spec.stop, *longer.stop)) and spec.stop != longer.stop:
        message = "A limit of steps may end a run within an epoch, so it cannot change. Clone the run instead."
        raise _refuse("/stop", message)
    cause = "When it is evaluated" if epoch % spec.evaluate.every else "Its schedule"
    cause = "When its test loss is measured" if spec.evaluate.test == "last_epoch" else cause
    message = f"{cause} depends on the number of epochs, so the epochs would differ. Clone the run instead."
    raise _refuse("/epochs", message)


def _check_rules(connection: sa.Connection, row: Row, longer: RunSpec) -> None:
    """Check that no rule of ``longer`` ends it within the epochs of the run in ``row``.

    Raises:
        SpecRefused: A rule does.
    """
    recorded = [e for e in epochs.of_run(connection, row.reused_from or row.id) if e.epoch > 0]
    names = dict.fromkeys(name for e in recorded for name in e.metrics)
    stopped = StopPolicy(longer).first_stop({name: [e.metrics.get(name) for e in recorded] for name in names})
    if stopped is not None:
        epoch, index = stopped
        message = (
            f"{longer.stop[index].kind!r} would end the run after epoch {epoch}, but it has {row.epoch} epochs. Leave "
            "the rule out, or make it end the run later."
        )
        raise _refuse(f"/stop/{index}", message)


def _refuse(pointer: str, message: str) -> SpecRefused:
    return SpecRefused.at(pointer, "not_extendable", message)
