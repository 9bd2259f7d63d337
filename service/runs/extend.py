"""Extensions: a run that has finished goes on for more epochs, as a run of its own, with the bits of one so long."""

from __future__ import annotations

import sqlalchemy as sa

from service.errors import FieldError, SpecRefused
from service.runs.errors import TransitionRefused
from service.runs.queries import epochs, files
from service.runs.queries import runs as rows
from service.runs.submission.review import NewRun
from service.store.events import NewEvent
from service.store.rows import Row
from worker.spec.run import RunSpec


def longer(connection: sa.Connection, row: Row, number: int) -> NewRun:
    """The run in ``row``, but ``number`` epochs long.

    Raises:
        TransitionRefused: it has not come to the end of its epochs, or what it could go on from is gone.
        SpecRefused: it is as long already, or its epochs depend on how many there are.
    """
    if row.status != "succeeded":
        raise TransitionRefused(f"A run that is {row.status!r} cannot be extended; one that succeeded can.")
    spec = RunSpec.of(row.spec)
    if row.epoch < spec.epochs:
        raise TransitionRefused(
            f"A stop rule ended the run after epoch {row.epoch} of {spec.epochs}, and would do so again. Clone it with "
            f'other rules and a warm start: {{"stop": [], "warm_start": {{"run_id": "{row.id}"}}}}.'
        )
    if number <= spec.epochs:
        raise _refused(f"The run has {spec.epochs} epochs already; ask for more than those.")
    if spec.as_long_as:
        what = "its schedule" if spec.schedule.spans else "when its test loss is measured"
        raise _refused(
            f"{what.capitalize()} depends on the number of epochs, so a longer run is another run: clone it."
        )
    if not files.checkpoints(connection, row.reused_from or row.id):
        raise TransitionRefused("The checkpoint that the run would go on from is gone; clone it, and train it anew.")
    new_spec = spec.model_copy(update={"epochs": number})
    return NewRun(new_spec, name=row.name, labels=row.labels, priority=row.priority, max_seconds=row.max_seconds)


def take_over(connection: sa.Connection, row: Row, run_id: str) -> list[NewEvent]:
    """Let the queued run ``run_id`` go on from where the one in ``row`` ended; what is to be told of it."""
    trained = row.reused_from or row.id
    epochs.copy(connection, trained, run_id)
    files.share_progress(connection, trained, run_id)
    names = ("epoch", "best", "digest", "determinism_class", "revision")
    values = {name: getattr(row, name) for name in names}
    changed = rows.change(connection, run_id, "queued", {**values, "last": row.last, "extends": row.id})
    assert changed, f"{run_id} was made just now and yet changed"
    return [NewEvent(run_id, "epoch", epoch=e.epoch) for e in epochs.of_run(connection, run_id)]


def _refused(message: str) -> SpecRefused:
    return SpecRefused(message, errors=[FieldError("/epochs", "not_extendable", message)])
