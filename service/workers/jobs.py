"""Operations of workers on runs, as ``worker.ports.JobSource`` declares them. Every method is one transaction."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa

from service.runs import states, students
from service.runs.queries import epochs, files, reports, series
from service.runs.queries import logs as notes
from service.runs.queries.teachers import weights_of as teacher_weights
from service.settings import Settings
from service.store import events
from service.store.database import reading, writing
from service.store.events import NewEvent
from service.store.rows import Row
from service.store.tables import db_now
from service.workers import queries as leases
from service.workers import recording
from worker.ports import (
    Checkpoint,
    Claim,
    Measurement,
    Note,
    Order,
    Outcome,
    SourceUnavailable,
    WeightsFile,
    WorkerInfo,
)

CHECKPOINTS_KEPT = 2
NOTE_CHARACTERS = 20_000
"""Most characters of a log line; longer lines keep their end, where the cause of an error is."""
ACTIONS: dict[str, states.Action] = {"succeeded": "succeed", "failed": "fail", "cancelled": "stop", "paused": "stop"}
ORDERS: dict[str, Order] = {"running": "go", "cancelling": "cancel", "pausing": "pause"}


class Jobs:
    """The queue of a database: hands out runs and records their results."""

    def __init__(self, engine: sa.Engine, settings: Settings) -> None:
        self._engine = engine
        self._settings = settings

    @contextmanager
    def _writing(self, *, durable: bool = True) -> Iterator[sa.Connection]:
        try:
            with writing(self._engine, durable=durable) as connection:
                yield connection
        except sa.exc.OperationalError as error:
            raise SourceUnavailable(str(error.orig)) from error

    def register(self, worker: WorkerInfo) -> None:
        """Register a worker, or renew its heartbeat."""
        with self._writing(durable=False) as connection:
            leases.register_worker(connection, worker)

    def claim(self, worker: WorkerInfo, *, limit: int) -> Sequence[Claim]:
        """Claim the first queued run by priority and age, and up to ``limit`` − 1 others for the same stack and epoch.

        A run whose last attempt failed without an epoch is claimed alone, so that a run that crashes its worker is
        isolated from others.
        """
        if not self._something_queued(worker):
            return ()
        with self._writing() as connection:
            first = leases.next_queued(connection, worker.devices)
            if first is None:
                return ()
            room = 0 if first.barren else self._fair_share(connection, first, min(limit, first.stack_runs)) - 1
            chosen = [first, *leases.stack_peers(connection, first, room)] if room else [first]
            claims = [self._claimed(connection, row, worker) for row in chosen]
            data = {"worker_id": worker.worker_id}
            events.append(
                connection, [NewEvent(c.run_id, "run.claimed", {**data, "attempt": c.attempt}) for c in claims]
            )
        return claims

    def _fair_share(self, connection: sa.Connection, first: Row, most: int) -> int:
        """Return how many runs to claim with ``first``, up to ``most``, so that idle workers get a fair share."""
        idle = max(1, leases.idle_workers(connection, self._settings.lease_seconds))
        return -(-leases.count_alike(connection, first, idle * most) // idle)

    def _something_queued(self, worker: WorkerInfo) -> bool:
        """Check without a lock, so that idle workers do not delay writers."""
        try:
            with reading(self._engine) as connection:
                return leases.next_queued(connection, worker.devices) is not None
        except sa.exc.OperationalError as error:
            raise SourceUnavailable(str(error.orig)) from error

    def _claimed(self, connection: sa.Connection, row: Row, worker: WorkerInfo) -> Claim:
        token = leases.take(connection, row, worker.worker_id, self._settings.lease_seconds)
        done = [e for e in epochs.of_run(connection, row.id) if e.epoch > 0]
        names = dict.fromkeys(name for e in done for name in e.metrics)
        return Claim(
            run_id=row.id,
            token=token,
            attempt=row.attempt + 1,
            spec=row.spec,
            stack_runs=row.stack_runs,
            checkpoints=files.checkpoints(connection, row.id),
            weights=[*files.weights_of(connection, row.id), *teacher_weights(connection, row.id)],
            history={name: [e.metrics.get(name) for e in done] for name in names},
        )

    def started(
        self,
        claims: Sequence[Claim],
        *,
        device: str,
        determinism_class: str,
        baselines: Mapping[str, Mapping[str, float | None]] | None = None,
    ) -> set[str]:
        """Record the start of training and the runs' baselines; return the ids of runs whose lease was lost."""
        values = {"device_used": device, "determinism_class": determinism_class, "stack_size": len(claims)}

        def start(connection: sa.Connection, row: Row) -> list[NewEvent]:
            first = row.started_at is None
            times = {"started_at": db_now()} if first else {}
            baseline = {"baseline": baselines[row.id]} if baselines and row.id in baselines else {}
            self._change(connection, row, {**values, **times, **baseline})
            data = {"device": device, "stack_size": len(claims), "attempt": row.attempt}
            return [NewEvent(row.id, "run.started" if first else "run.resumed", data)]

        return self._each(claims, start)

    def orders(self, claims: Sequence[Claim]) -> Mapping[str, Order]:
        """Return the order for each run id; one cheap read."""
        try:
            with reading(self._engine) as connection:
                return _orders(claims, leases.statuses(connection, claims))
        except sa.exc.OperationalError as error:
            raise SourceUnavailable(str(error.orig)) from error

    def heartbeat(self, worker: WorkerInfo, claims: Sequence[Claim]) -> Mapping[str, Order]:
        """Renew the leases and return the order for each run id."""
        with self._writing(durable=False) as connection:
            leases.touch_worker(connection, worker.worker_id)
            leases.renew(connection, claims, self._settings.lease_seconds)
            return _orders(claims, leases.statuses(connection, claims))

    def record(self, claims: Sequence[Claim], measurements: Sequence[Measurement]) -> set[str]:
        """Record one epoch of a stack, fenced row by row; return the ids of runs whose lease was lost."""
        measured = {m.run_id: m for m in measurements}
        concerned = [claim for claim in claims if claim.run_id in measured]

        with self._writing(durable=False) as connection:
            held = leases.held(connection, concerned)
            events.append(connection, recording.record(connection, list(held.values()), measured))
        return {claim.run_id for claim in concerned} - held.keys()

    def checkpointed(
        self,
        claims: Sequence[Claim],
        checkpoints: Mapping[str, Checkpoint],
        weights: Mapping[str, Sequence[WeightsFile]],
    ) -> Sequence[str]:
        """Record new checkpoints and weights; return the paths of files that no run references any more."""
        dropped: list[str] = []
        concerned = [claim for claim in claims if claim.run_id in checkpoints or claim.run_id in weights]

        def point(connection: sa.Connection, row: Row) -> list[NewEvent]:
            if row.id in checkpoints:
                files.insert_checkpoint(connection, row.id, row.attempt, checkpoints[row.id])
                old = [c.path for c in files.checkpoints(connection, row.id)[CHECKPOINTS_KEPT:]]
                files.delete_checkpoints(connection, row.id, old)
                dropped.extend(old)
            before = [files.replace_weights(connection, row.id, file) for file in weights.get(row.id, ())]
            dropped.extend(path for path in before if path is not None)
            return []

        def drop(connection: sa.Connection, lost: set[str]) -> Sequence[str]:
            for run_id in sorted(lost):
                dropped.extend([checkpoints[run_id].path] if run_id in checkpoints else [])
                dropped.extend(file.path for file in weights.get(run_id, ()))
            return files.unreferenced(connection, dropped)

        with self._writing() as connection:
            lost = self._each_in(connection, concerned, point)
            return drop(connection, lost)

    def note(self, claims: Sequence[Claim], note: Note) -> None:
        """Append a line to the logs of the note's runs whose lease is held."""
        concerned = [claim for claim in claims if claim.run_id in note.run_ids]
        with self._writing(durable=False) as connection:
            held = leases.held(connection, concerned)
            notes.insert(
                connection, list(held.values()), note.level, note.text[-NOTE_CHARACTERS:].replace("\0", "\ufffd")
            )

    def finish(self, claims: Sequence[Claim], outcomes: Sequence[Outcome]) -> set[str]:
        """End runs; return the ids of runs whose lease was lost."""
        ended = {outcome.run_id: outcome for outcome in outcomes}
        concerned = [claim for claim in claims if claim.run_id in ended]

        def end(connection: sa.Connection, row: Row) -> list[NewEvent]:
            outcome = ended[row.id]
            why = (outcome.code, outcome.message) if outcome.status == "failed" else (None, None)
            data = {"code": outcome.code} if outcome.code else {}
            reports.replace(connection, row.id, outcome.reports)
            series.store(connection, row.id)
            return self._leave(connection, row, ACTIONS[outcome.status], why, data, outcome)

        return self._each(concerned, end)

    def release(self, claims: Sequence[Claim], *, failed: bool) -> None:
        """Return runs to the queue; ``failed`` counts the attempt as failed."""

        def give_back(connection: sa.Connection, row: Row) -> list[NewEvent]:
            reason = "worker_died" if failed else "worker_stopped"
            return self._give_back(connection, row, failed=failed, reason=reason)

        self._each(claims, give_back)

    def expire(self) -> int:
        """Requeue the runs whose lease has expired; return their count."""
        with reading(self._engine) as connection:
            if not leases.any_expired(connection):  # checked without a lock, so that writers do not wait
                return 0
        with self._writing() as connection:
            rows = leases.expired(connection)
            new_events = [self._give_back(connection, row, failed=True, reason="lease_expired") for row in rows]
            events.append(connection, [event for events_of_one in new_events for event in events_of_one])
        return len(rows)

    def close(self, worker: WorkerInfo) -> None:
        """Unregister a worker."""
        with self._writing(durable=False) as connection:
            leases.remove_worker(connection, worker.worker_id)

    def _each(
        self,
        claims: Sequence[Claim],
        work: Callable[[sa.Connection, Row], list[NewEvent]],
        *,
        durable: bool = True,
    ) -> set[str]:
        """Apply ``work`` to every claimed run that is still held, in one transaction; return the ids of the others."""
        with self._writing(durable=durable) as connection:
            return self._each_in(connection, claims, work)

    def _each_in(
        self,
        connection: sa.Connection,
        claims: Sequence[Claim],
        work: Callable[[sa.Connection, Row], list[NewEvent]],
    ) -> set[str]:
        held = leases.held(connection, claims)
        new_events = [event for row in held.values() for event in work(connection, row)]
        events.append(connection, new_events)
        return {claim.run_id for claim in claims} - held.keys()

    def _change(self, connection: sa.Connection, row: Row, values: Mapping[str, Any]) -> None:
        changed = leases.change(connection, row.id, row.token, values)
        assert changed, f"{row.id} was locked and yet changed"

    def _leave(
        self,
        connection: sa.Connection,
        row: Row,
        action: states.Action,
        why: tuple[str | None, str | None],
        data: dict[str, Any],
        outcome: Outcome | None = None,
    ) -> list[NewEvent]:
        """End a lease and move the run to the status that ``action`` leads to."""
        status = states.after(row.status, action)
        assert status is not None, f"{row.id} is {row.status} and cannot {action}"
        values: dict[str, Any] = {**leases.RELEASED, "status": status}
        if outcome is not None:
            values |= {"stop_rule": outcome.rule, "peak_bytes": outcome.peak_bytes}
        if status in states.TERMINAL:
            values["finished_at"] = db_now()
        if status == "failed":
            values |= {"error_code": why[0], "error_message": why[1]}
        self._change(connection, row, values)
        event = NewEvent(row.id, "run.requeued" if status == "queued" else f"run.{status}", data)
        return [event, *students.after_teacher(connection, row.id, status)] if status in states.TERMINAL else [event]

    def _give_back(self, connection: sa.Connection, row: Row, *, failed: bool, reason: str) -> list[NewEvent]:
        if not failed:
            self._change(connection, row, {"barren": 0 if row.barren == 0 else row.barren - 1})
        elif row.barren >= self._settings.barren_attempts:
            message = (
                f"{row.barren} workers in a row died or fell silent without recording an epoch of this run. It may "
                "need more memory than the machine has; see the worker's log."
            )
            return self._leave(connection, row, "give_up", ("worker_lost", message), {"reason": reason})
        return self._leave(connection, row, "release", (None, None), {"reason": reason})


def _orders(claims: Sequence[Claim], statuses: Mapping[str, tuple[str, bool]]) -> Mapping[str, Order]:
    """Return the order for each claim, given each run's status and whether its time limit is exceeded."""
    orders: dict[str, Order] = {}
    for claim in claims:
        status, over = statuses.get(claim.run_id, ("", False))
        order = ORDERS.get(status, "lost")
        orders[claim.run_id] = "time_out" if over and order == "go" else order
    return orders
