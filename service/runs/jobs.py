"""What workers do with runs: the service's side of ``worker.ports.JobSource``. Every method is one transaction."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa

from service.runs import states
from service.settings import Settings
from service.store import epochs, events, leases, reports, series
from service.store.database import reading, writing
from service.store.events import NewEvent
from service.store.runs import Row
from service.store.tables import db_now
from worker.ports import Checkpoint, Claim, Measurement, Order, Outcome, SourceUnavailable, WorkerInfo

CHECKPOINTS_KEPT = 2
RELEASED: dict[str, Any] = {"token": None, "lease_expires_at": None, "eta_seconds": None}
ACTIONS: dict[str, states.Action] = {"succeeded": "succeed", "failed": "fail", "cancelled": "stop", "paused": "stop"}
ORDERS: dict[str, Order] = {"running": "go", "cancelling": "cancel", "pausing": "pause"}


class Jobs:
    """Hands out runs from one database, and takes what comes of them."""

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
        """Make this worker known, or say again that it lives."""
        with self._writing(durable=False) as connection:
            leases.see_worker(connection, worker)

    def claim(self, worker: WorkerInfo, *, limit: int) -> Sequence[Claim]:
        """The first queued run by priority and age, with up to ``limit`` − 1 that can share its stack and next epoch.

        A run whose last attempt was barren is claimed alone, so that a poisonous one harms nobody else.
        """
        if not self._something_queued(worker):
            return ()
        with self._writing() as connection:
            first = leases.next_queued(connection, worker.devices)
            if first is None:
                return ()
            room = 0 if first.barren else min(limit, first.stack_runs, self._fair_share(connection, first)) - 1
            chosen = [first, *leases.mates_of(connection, first, room)] if room else [first]
            claims = [self._claimed(connection, row, worker) for row in chosen]
            told = {"worker_id": worker.worker_id}
            events.append(
                connection, [NewEvent(c.run_id, "run.claimed", {**told, "attempt": c.attempt}) for c in claims]
            )
        return claims

    def _fair_share(self, connection: sa.Connection, first: Row) -> int:
        """How many of the runs that could train with ``first`` leave as many for every other idle worker."""
        idle = max(1, leases.idle_workers(connection, self._settings.lease_seconds))
        return -(-leases.count_alike(connection, first) // idle)

    def _something_queued(self, worker: WorkerInfo) -> bool:
        """A look without a lock: idle workers must not keep writers waiting."""
        try:
            with reading(self._engine) as connection:
                return leases.next_queued(connection, worker.devices) is not None
        except sa.exc.OperationalError as error:
            raise SourceUnavailable(str(error.orig)) from error

    def _claimed(self, connection: sa.Connection, row: Row, worker: WorkerInfo) -> Claim:
        token = leases.take(connection, row, worker.worker_id, self._settings.lease_seconds)
        recorded = [e for e in epochs.of_run(connection, row.id) if e.epoch > 0]
        names = dict.fromkeys(name for e in recorded for name in e.metrics)
        return Claim(
            run_id=row.id,
            token=token,
            attempt=row.attempt + 1,
            spec=row.spec,
            reuse_key=row.reuse_key,
            stack_runs=row.stack_runs,
            checkpoints=epochs.checkpoints(connection, row.id),
            history={name: [e.metrics.get(name) for e in recorded] for name in names},
        )

    def started(self, claims: Sequence[Claim], *, device: str, determinism_class: str) -> set[str]:
        """Training begins: on which device, with which promise. Returns the run ids that were lost."""
        values = {"device_used": device, "determinism_class": determinism_class, "stack_size": len(claims)}

        def start(connection: sa.Connection, row: Row) -> list[NewEvent]:
            first = row.started_at is None
            times = {"started_at": db_now()} if first else {}
            self._change(connection, row, {**values, **times})
            told = {"device": device, "stack_size": len(claims), "attempt": row.attempt}
            return [NewEvent(row.id, "run.started" if first else "run.resumed", told)]

        return self._each(claims, start)

    def orders(self, claims: Sequence[Claim]) -> Mapping[str, Order]:
        """Hear what is wanted, by run id; one cheap read."""
        try:
            with reading(self._engine) as connection:
                statuses = leases.statuses(connection, claims)
        except sa.exc.OperationalError as error:
            raise SourceUnavailable(str(error.orig)) from error
        return {claim.run_id: ORDERS.get(statuses.get(claim.run_id, ""), "lost") for claim in claims}

    def heartbeat(self, worker: WorkerInfo, claims: Sequence[Claim]) -> Mapping[str, Order]:
        """Renew the leases and hear what is wanted, by run id."""
        with self._writing(durable=False) as connection:
            leases.touch_worker(connection, worker.worker_id)
            leases.renew(connection, claims, self._settings.lease_seconds)
            statuses = leases.statuses(connection, claims)
        return {claim.run_id: ORDERS.get(statuses.get(claim.run_id, ""), "lost") for claim in claims}

    def record(self, claims: Sequence[Claim], measurements: Sequence[Measurement]) -> set[str]:
        """Record one epoch of a stack, fenced row by row. Returns the run ids that were lost."""
        measured = {m.run_id: m for m in measurements}
        concerned = [claim for claim in claims if claim.run_id in measured]

        def note(connection: sa.Connection, row: Row) -> list[NewEvent]:
            return self._record_one(connection, row, measured[row.id])

        return self._each(concerned, note, durable=False)

    def _record_one(self, connection: sa.Connection, row: Row, m: Measurement) -> list[NewEvent]:
        """Record one run's epoch; other values for a recorded one replace it and all that follow it."""
        told: list[NewEvent] = []
        recorded = epochs.digest(connection, row.id, m.epoch)
        if recorded == m.digest:
            return told
        revision, best = row.revision, row.best
        if recorded is not None:
            forgotten = epochs.delete_from(connection, row.id, m.epoch)
            revision += 1
            best = _best(epochs.of_run(connection, row.id))
            told.append(NewEvent(row.id, "history_rewound", {"from_epoch": m.epoch, "epochs": forgotten}))
        else:
            assert m.epoch in (0, row.epoch + 1), f"epoch {m.epoch} of {row.id} follows {row.epoch}"
        finite = {name: value if math.isfinite(value) else None for name, value in m.metrics.items()}
        nonfinite = {name: str(value) for name, value in m.metrics.items() if not math.isfinite(value)}
        values = {"metrics": finite, "nonfinite": nonfinite, "steps": m.steps, "seconds": m.seconds, "digest": m.digest}
        epochs.insert(connection, {"run_id": row.id, "epoch": m.epoch, **values})
        changed = {
            "epoch": m.epoch,
            "last": finite,
            "best": _better(best, m.epoch, finite),
            "digest": m.digest,
            "revision": revision,
            "barren": 0,
            "eta_seconds": m.seconds * (row.epochs - m.epoch),
        }
        self._change(connection, row, changed)
        return [*told, NewEvent(row.id, "epoch", epoch=m.epoch)]

    def checkpointed(self, claims: Sequence[Claim], checkpoints: Mapping[str, Checkpoint]) -> Sequence[str]:
        """Point runs at their newest checkpoints. Returns the paths no run points at any more."""
        dropped: list[str] = []
        concerned = [claim for claim in claims if claim.run_id in checkpoints]

        def point(connection: sa.Connection, row: Row) -> list[NewEvent]:
            epochs.insert_checkpoint(connection, row.id, row.attempt, checkpoints[row.id])
            old = [c.path for c in epochs.checkpoints(connection, row.id)[CHECKPOINTS_KEPT:]]
            epochs.delete_checkpoints(connection, row.id, old)
            dropped.extend(old)
            return []

        lost = self._each(concerned, point)
        return dropped + [checkpoints[run_id].path for run_id in sorted(lost)]

    def finish(self, claims: Sequence[Claim], outcomes: Sequence[Outcome]) -> set[str]:
        """End runs. Returns the run ids that were lost."""
        ended = {outcome.run_id: outcome for outcome in outcomes}
        concerned = [claim for claim in claims if claim.run_id in ended]

        def end(connection: sa.Connection, row: Row) -> list[NewEvent]:
            outcome = ended[row.id]
            why = (outcome.code, outcome.message) if outcome.status == "failed" else (None, None)
            told = {"code": outcome.code} if outcome.code else {}
            reports.replace(connection, row.id, outcome.reports)
            series.keep(connection, row.id)
            return self._leave(connection, row, ACTIONS[outcome.status], why, told)

        return self._each(concerned, end)

    def release(self, claims: Sequence[Claim], *, barren: bool) -> None:
        """Give runs back to the queue; ``barren`` leaves the attempt counted."""

        def give_back(connection: sa.Connection, row: Row) -> list[NewEvent]:
            reason = "worker_died" if barren else "worker_stopped"
            return self._give_back(connection, row, barren=barren, reason=reason)

        self._each(claims, give_back)

    def expire(self) -> int:
        """Take back the runs whose holder gave no sign of life for too long; returns how many."""
        with self._writing() as connection:
            rows = leases.expired(connection)
            told = [self._give_back(connection, row, barren=True, reason="lease_expired") for row in rows]
            events.append(connection, [event for events_of_one in told for event in events_of_one])
        return len(rows)

    def close(self, worker: WorkerInfo) -> None:
        """This worker is gone."""
        with self._writing(durable=False) as connection:
            leases.remove_worker(connection, worker.worker_id)

    def _each(
        self,
        claims: Sequence[Claim],
        work: Callable[[sa.Connection, Row], list[NewEvent]],
        *,
        durable: bool = True,
    ) -> set[str]:
        """Do ``work`` on every claimed run that is still held, in one transaction; the ids of the others."""
        with self._writing(durable=durable) as connection:
            held = leases.held(connection, claims)
            told = [event for row in held.values() for event in work(connection, row)]
            events.append(connection, told)
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
        told: dict[str, Any],
    ) -> list[NewEvent]:
        """Take a run from its holder, to wherever ``action`` leads from its status."""
        status = states.after(row.status, action)
        assert status is not None, f"{row.id} is {row.status} and cannot {action}"
        values: dict[str, Any] = {**RELEASED, "status": status}
        if status in states.TERMINAL:
            values["finished_at"] = db_now()
        if status == "failed":
            values |= {"error_code": why[0], "error_message": why[1]}
        self._change(connection, row, values)
        return [NewEvent(row.id, "run.requeued" if status == "queued" else f"run.{status}", told)]

    def _give_back(self, connection: sa.Connection, row: Row, *, barren: bool, reason: str) -> list[NewEvent]:
        if not barren:
            self._change(connection, row, {"barren": 0 if row.barren == 0 else row.barren - 1})
        elif row.barren >= self._settings.barren_attempts:
            message = (
                f"{row.barren} workers in a row died or fell silent without recording an epoch of this run; it may "
                "need more memory than there is. The worker's log may say more."
            )
            return self._leave(connection, row, "give_up", ("worker_lost", message), {"reason": reason})
        return self._leave(connection, row, "release", (None, None), {"reason": reason})


def _better(
    best: Mapping[str, Any] | None, number: int, metrics: Mapping[str, float | None]
) -> Mapping[str, Any] | None:
    """The best epoch so far, now that epoch ``number`` gave ``metrics``: lowest val.loss, else lowest test.loss."""
    split = "val" if "val.loss" in metrics else "test"
    value = metrics.get(f"{split}.loss")
    if value is None or number == 0 or (best is not None and best["value"] <= value):
        return best
    chosen = {"epoch": number, "metric": f"{split}.loss", "value": value, "selected_on": split}
    return {**chosen, "optimistic": split == "test"}


def _best(recorded: Sequence[Row]) -> Mapping[str, Any] | None:
    best: Mapping[str, Any] | None = None
    for e in recorded:
        best = _better(best, e.epoch, e.metrics)
    return best
