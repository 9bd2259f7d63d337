"""Extensions: a new run continues a finished one for more epochs, bit for bit as if trained in one go."""

from __future__ import annotations

import sqlalchemy as sa

from service.errors import SpecRefused
from service.runs.errors import TransitionRefused
from service.runs.queries import epochs, files
from service.runs.queries import runs as rows
from service.runs.run import RunMetadata
from service.runs.submission.new_run import NewRun
from service.store.events import NewEvent
from service.store.rows import Row
from worker.spec.run import RunSpec


def plan(connection: sa.Connection, row: Row, number: int) -> NewRun:
    """Return the run in ``row`` with ``number`` epochs.

    Raises:
        TransitionRefused: The run has not completed its epochs, or its checkpoint was deleted.
        SpecRefused: ``number`` is not larger, or the spec depends on the number of epochs.
    """
    if row.status != "succeeded":
        raise TransitionRefused(f"A run that is {row.status!r} cannot be extended; one that succeeded can.")
    spec = RunSpec.of(row.spec)
    if row.epoch < spec.epochs:
        raise TransitionRefused(
            f"A stop rule ended the run after epoch {row.epoch} of {spec.epochs} and would end it again. Clone the run "
            f'without the rule and with a warm start: {{"stop": [], "warm_start": {{"run_id": "{row.id}"}}}}.'
        )
    if number <= spec.epochs:
        raise _refuse(f"The run has {spec.epochs} epochs already. Request more than {spec.epochs}.")
    if spec.depends_on_epochs:
        cause = "Its schedule" if spec.schedule.spans else "When its test loss is measured"
        raise _refuse(f"{cause} depends on the number of epochs, so the epochs would differ. Clone the run instead.")
    if not files.checkpoints(connection, row.reused_from or row.id):
        raise TransitionRefused("The run's last checkpoint was deleted. Clone the run to train it from the start.")
    new_spec = spec.model_copy(update={"epochs": number})
    metadata = {name: getattr(row, name) for name in RunMetadata.model_fields}
    return NewRun(new_spec, RunMetadata.model_construct(**metadata))


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


def _refuse(message: str) -> SpecRefused:
    return SpecRefused.at("/epochs", "not_extendable", message)
