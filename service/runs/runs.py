"""What clients do with runs. Every method is one transaction."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from ulid import ULID

from service.errors import KeyReused, NotMeasured, RunNotFound, TransitionRefused
from service.runs import states
from service.runs.pages import Page, RunQuery, cursor_at, position
from service.runs.run import Confusion, Event, History, Run, history_of
from service.runs.submission import NewRun, review, stack_runs
from service.settings import Settings
from service.store import epochs, events, keys, reports
from service.store import runs as rows
from service.store.database import reading, writing
from service.store.events import NewEvent
from service.store.runs import Row
from service.store.tables import db_now
from worker.spec.run import RunSpec, reuse_key, spec_hash, stack_key


@dataclass(frozen=True, kw_only=True)
class Key:
    """An Idempotency-Key with all that it is bound to."""

    value: str
    owner: str
    path: str
    body_sha256: str


@dataclass(frozen=True)
class Answer:
    """A stored or fresh answer to a submission."""

    status_code: int
    body: str
    run_id: str
    replayed: bool = False


class Runs:
    """Runs in one database."""

    def __init__(self, engine: sa.Engine, settings: Settings) -> None:
        self._engine = engine
        self._settings = settings

    def submit(
        self, new: NewRun, *, respond: Callable[[Run], str], reuse: bool = True, key: Key | None = None
    ) -> Answer:
        """Queue a run, or take over the result of an equal one that has finished; ``respond`` makes the answer's body.

        Raises:
            SpecRefused: the spec cannot be trained here.
            KeyReused: ``key`` came with another body before.
        """
        with writing(self._engine) as connection:
            if key is not None:
                answered = self._answered(connection, key)
                if answered is not None:
                    return answered
            review(new.spec, self._settings)
            model = rows.finished_equal(connection, reuse_key(new.spec)) if reuse else None
            run_id = f"run_{ULID()}"
            rows.insert(connection, {"id": run_id, **self._columns(new), **_taken_over(model)})
            body = respond(self._run(connection, run_id))
            answer = Answer(201 if model is None else 200, body, run_id)
            if key is not None:
                self._remember(connection, key, answer)
            events.append(connection, _first_events(connection, run_id, model))
        return answer

    def _answered(self, connection: sa.Connection, key: Key) -> Answer | None:
        keys.reserve(connection, key.owner, key.path, key.value)
        found = keys.find(connection, key.owner, key.path, key.value, self._settings.idempotency_seconds)
        if found is None:
            return None
        if found.body_sha256 != key.body_sha256:
            raise KeyReused(
                f"The Idempotency-Key {key.value!r} was used with another body; it belongs to {found.run_id}. "
                "Use a fresh key for another request."
            )
        return Answer(found.status_code, found.response, found.run_id, replayed=True)

    def _remember(self, connection: sa.Connection, key: Key, answer: Answer) -> None:
        values = {
            "owner": key.owner,
            "path": key.path,
            "key": key.value,
            "body_sha256": key.body_sha256,
            "run_id": answer.run_id,
            "status_code": answer.status_code,
            "response": answer.body,
        }
        keys.store(connection, values)

    def _columns(self, new: NewRun) -> dict[str, Any]:
        spec = new.spec
        return {
            "status": "queued",
            "name": new.name,
            "labels": dict(new.labels),
            "priority": new.priority,
            "spec": spec.model_dump(mode="json"),
            "spec_hash": spec_hash(spec),
            "reuse_key": reuse_key(spec),
            "stack_key": stack_key(spec),
            "stack_runs": stack_runs(spec, self._settings),
            "seed": spec.seed,
            "device": spec.device,
            "epochs": spec.epochs,
        }

    def _run(self, connection: sa.Connection, run_id: str) -> Run:
        row = rows.by_id(connection, run_id)
        if row is None:
            raise RunNotFound(f"There is no run {run_id!r}. GET /v1/runs lists those there are.")
        return Run.of(row, rows.live_workers(connection, self._settings.lease_seconds))

    def get(self, run_id: str) -> Run:
        """One run.

        Raises:
            RunNotFound: there is none of this id.
        """
        with reading(self._engine) as connection:
            return self._run(connection, run_id)

    def version(self, run_id: str) -> int:
        """The counter of a run's visible changes; cheap.

        Raises:
            RunNotFound: there is none of this id.
        """
        with reading(self._engine) as connection:
            version = rows.version(connection, run_id)
        if version is None:
            raise RunNotFound(f"There is no run {run_id!r}. GET /v1/runs lists those there are.")
        return version

    def page(self, query: RunQuery) -> Page:
        """Runs that match ``query``, newest first.

        Raises:
            BadCursor: ``after`` is no cursor of a page.
        """
        with reading(self._engine) as connection:
            found = rows.page(
                connection,
                statuses=query.status,
                labels=query.label,
                study_id=query.study_id,
                name=query.name,
                before=None if query.after is None else position(query.after),
                limit=query.limit + 1,
            )
            workers = rows.live_workers(connection, self._settings.lease_seconds)
        shown = found[: query.limit]
        more = len(found) > query.limit
        return Page([Run.of(row, workers) for row in shown], more, cursor_at(shown[-1]) if more else None)

    def cancel(self, run_id: str) -> tuple[Run, bool]:
        """Ask a run to end; True where that changed something.

        Raises:
            RunNotFound, TransitionRefused: it ended otherwise before.
        """
        with writing(self._engine) as connection:
            row = rows.by_id(connection, run_id, lock=True)
            if row is None:
                raise RunNotFound(f"There is no run {run_id!r}. GET /v1/runs lists those there are.")
            if row.status in ("cancelling", "cancelled"):
                return self._run(connection, run_id), False
            status = _next_status(row, "cancel")
            ends = {"finished_at": db_now()} if status in states.TERMINAL else {}
            changed = rows.change(connection, run_id, row.status, {"status": status, **ends})
            assert changed, f"{run_id} was locked and yet changed"
            run = self._run(connection, run_id)
            events.append(connection, [NewEvent(run_id, f"run.{status}")])
        return run, True

    def history(self, run_id: str, *, since_epoch: int | None = None, metrics: Sequence[str] | None = None) -> History:
        """The recorded epochs behind ``since_epoch``; all series, or those named.

        Raises:
            RunNotFound: there is no run of this id.
        """
        with reading(self._engine) as connection:
            row = rows.by_id(connection, run_id)
            if row is None:
                raise RunNotFound(f"There is no run {run_id!r}. GET /v1/runs lists those there are.")
            recorded = epochs.of_run(connection, row.reused_from or row.id, after=since_epoch)
        return history_of(row, recorded, metrics)

    def confusion(self, run_id: str) -> Confusion:
        """How often the finished model gives each class to the test rows of each.

        Raises:
            RunNotFound: there is no run of this id.
            NotMeasured: it has not succeeded, or is never to be tested.
        """
        with reading(self._engine) as connection:
            run = self._run(connection, run_id)
            counts = reports.find(connection, run.reused_from or run.id, "confusion")
        if counts is None:
            why = f"is {run.status!r}" if run.status != "succeeded" else 'was to be tested never ("evaluate.test")'
            raise NotMeasured(f"The confusion matrix is measured when a run succeeds, and {run_id} {why}.")
        classes = RunSpec.model_validate_json(json.dumps(run.spec)).dataset.classes
        return Confusion(run_id, run.epoch, classes, counts)

    def history_mark(self, run_id: str) -> str:
        """Names what is recorded of a run: changes with every epoch, rewind and end; cheap.

        Raises:
            RunNotFound: there is no run of this id.
        """
        with reading(self._engine) as connection:
            row = rows.by_id(connection, run_id)
        if row is None:
            raise RunNotFound(f"There is no run {run_id!r}. GET /v1/runs lists those there are.")
        return f"{row.revision}.{row.epoch}.{row.status if row.status in states.TERMINAL else 'active'}"

    def events(self, run_id: str | None, *, after: int = 0, limit: int = 1000) -> Sequence[Event]:
        """Events of one run, or of all, behind the id ``after``.

        Raises:
            RunNotFound: there is no run of this id.
        """
        with reading(self._engine) as connection:
            if run_id is not None:
                self._run(connection, run_id)
            return [Event.of(row) for row in events.after(connection, run_id, after, limit)]

    def last_event_id(self) -> int:
        """The newest event's id; cheap."""
        with reading(self._engine) as connection:
            return events.last_id(connection)

    def workers(self) -> Sequence[Row]:
        """The workers that are alive."""
        with reading(self._engine) as connection:
            return rows.live_workers(connection, self._settings.lease_seconds)


def _next_status(row: Row, action: states.Action) -> states.Status:
    status = states.after(row.status, action)
    if status is None:
        allowed = states.allowed(row.status)
        can = f"It can: {', '.join(allowed)}." if allowed else "Nothing more can be asked of it."
        raise TransitionRefused(f"A run that is {row.status!r} cannot {action}. {can}")
    return status


def _taken_over(model: Row | None) -> dict[str, Any]:
    """The columns of a run that takes over the result of ``model``."""
    if model is None:
        return {}
    names = (
        "status", "device_used", "stack_size", "determinism_class", "digest", "epoch", "best", "revision",
        "error_code", "error_message",
    )  # fmt: skip
    now = db_now()
    taken = {name: getattr(model, name) for name in names}
    return {**taken, "last": model.last, "reused_from": model.id, "started_at": now, "finished_at": now}


def _first_events(connection: sa.Connection, run_id: str, model: Row | None) -> list[NewEvent]:
    """A reused run tells all that a trained one would have told."""
    created = [NewEvent(run_id, "run.created")]
    if model is None:
        return created
    told = [NewEvent(run_id, "epoch", epoch=e.epoch) for e in epochs.of_run(connection, model.id)]
    return [*created, *told, NewEvent(run_id, f"run.{model.status}", {"reused_from": model.id})]
