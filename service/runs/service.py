"""Operations of clients on runs. Every method is one transaction."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import sqlalchemy as sa

from service import idempotency
from service.errors import SpecRefused
from service.idempotency import Key, StoredResponse
from service.runs import extend as extensions
from service.runs import filters, states
from service.runs import verification as verifications
from service.runs.actions import act, delete_runs
from service.runs.errors import RunActive
from service.runs.pages import Page, RunQuery, cursor_at, position
from service.runs.queries import runs as rows
from service.runs.queue import QueueEntry, entries
from service.runs.run import Run, RunMetadata
from service.runs.scope import ScopedRuns
from service.runs.submission import dataset_refs, teachers, warm_starts
from service.runs.submission.creation import PlannedRun, build_rows, create
from service.runs.submission.new_run import NewRun
from service.runs.submission.quota import check_quota
from service.runs.submission.review import review
from service.runs.submission.teacher_runs import TeacherRuns
from service.runs.verification import Verification
from service.store import events
from service.store.database import reading, writing
from service.store.events import NewEvent
from service.store.rows import Row
from worker.spec.families.stop import Stop
from worker.spec.run import RunSpec


class Runs(ScopedRuns):
    """The runs in a database, limited to what the caller may see and change."""

    def submit(
        self, new: NewRun, *, render: Callable[[Run], str], reuse: bool = True, key: Key | None = None
    ) -> StoredResponse:
        """Queue a run, or reuse the result of an equal finished run; ``render`` writes the response body.

        Raises:
            SpecRefused: The spec cannot be trained here.
            KeyReused: The key was used with another body or query.
            QuotaExceeded: The owner has too many unfinished runs.
        """

        def respond(runs: Sequence[Run]) -> StoredResponse:
            return StoredResponse(201 if runs[0].reused_from is None else 200, render(runs[0]), runs[0].id)

        return self._submit({"": new}, respond, reuse=reuse, key=key)

    def submit_all(
        self, new: Mapping[str, NewRun], *, render: Callable[[Sequence[Run]], str], reuse: bool, key: Key | None
    ) -> StoredResponse:
        """Queue several runs, keyed by their JSON pointers in the body: all of them or none.

        Raises:
            SpecRefused: A spec cannot be trained here.
            KeyReused: The key was used with another body or query.
        """
        return self._submit(new, lambda runs: StoredResponse(201, render(runs), runs[0].id), reuse=reuse, key=key)

    def _submit(
        self,
        new: Mapping[str, NewRun],
        respond: Callable[[Sequence[Run]], StoredResponse],
        *,
        reuse: bool,
        key: Key | None,
    ) -> StoredResponse:
        with writing(self._engine) as connection:
            stored = idempotency.replay(connection, key, self._settings.idempotency_seconds)
            if stored is not None:
                return stored
            teacher_runs = TeacherRuns(connection, self._settings, self.caller, reuse=reuse)
            resolved = {place: self._resolve(connection, place, one, teacher_runs) for place, one in new.items()}
            dataset_refs.lock(connection, [one.spec for one in resolved.values()], self.caller)
            columns = build_rows([PlannedRun(one) for one in resolved.values()], self._settings)
            created, new_events = create(
                connection, columns, self._settings, reuse=reuse, caller=self.caller, beside=teacher_runs.created
            )
            workers = rows.live_workers(connection, self._settings.lease_seconds)
            response = respond([Run.of(self._row(connection, one.run_id), workers) for one in created])
            idempotency.store(connection, key, response)
            events.append(connection, teacher_runs.events + new_events)
        return response

    def _resolve(
        self, connection: sa.Connection, place: str, new: NewRun, teacher_runs: TeacherRuns | None = None
    ) -> NewRun:
        """Return the run as it is queued, with runs for its teachers if ``teacher_runs`` is given.

        Raises:
            SpecRefused: The spec cannot be trained here; pointers start with ``place``.
        """
        try:
            new = replace(new, spec=new.spec.at(new.spec.seed))
            new = dataset_refs.resolve(connection, new, self.caller)
            new = warm_starts.resolve(connection, new, self.caller)
            new = teachers.resolve(connection, new, self.caller)
            review(new.spec, self._settings)
            return new if teacher_runs is None else teacher_runs.with_all(new)
        except SpecRefused as refusal:
            raise refusal.below(place) from refusal

    def act_on_all(self, query: RunQuery | Sequence[str], action: states.Action) -> tuple[int, int]:
        """Apply an action to the caller's runs, given by ids or a query; return how many changed and how many did not.

        Raises:
            RunNotFound: No run has one of the ids.
            NotOwner: A run belongs to another owner.
            SpecRefused: The filter is invalid.
        """
        with writing(self._engine) as connection:
            if isinstance(query, RunQuery):
                mine = rows.owned_by(None if self.caller.is_admin else self.caller.owner)
                targets = rows.lock_matching(connection, self._conditions(query) + mine, states.leading(action))
            else:
                targets = [self._locked(connection, run_id) for run_id in sorted(set(query))]
            changes = [act(connection, row, action) for row in targets if states.after(row.status, action)]
            events.append(connection, [event for change in changes for event in change])
        return len(changes), len(targets) - len(changes)

    def review(self, new: NewRun) -> NewRun:
        """Return the run as it would be queued.

        Raises:
            SpecRefused: The spec cannot be trained here.
        """
        with reading(self._engine) as connection:
            return self._resolve(connection, "", new)

    def extend(
        self,
        run_id: str,
        number: int | None,
        stop: Sequence[Stop] | None = None,
        *,
        render: Callable[[Run], str],
        key: Key | None = None,
    ) -> StoredResponse:
        """Queue a run that continues this one up to ``number`` epochs, or reuse the result of an equal finished run.

        ``stop`` replaces the stop rules of the run; None leaves number or rules as they are.

        Raises:
            RunNotFound: No run has this id.
            TransitionRefused: The run cannot be continued.
            SpecRefused: The longer run would differ in the shared epochs, or exceed a limit.
            KeyReused: The key was used with another body or query.
        """
        with writing(self._engine) as connection:
            stored = idempotency.replay(connection, key, self._settings.idempotency_seconds)
            if stored is not None:
                return stored
            row = self._row(connection, run_id, lock=True)
            new = extensions.plan(connection, row, number, stop)
            dataset_refs.lock(connection, [new.spec], self.caller)
            review(new.spec, self._settings)
            columns = build_rows([PlannedRun(new)], self._settings)
            (created,), new_events = create(connection, columns, self._settings, reuse=True, caller=self.caller)
            if created.source is None:
                new_events += extensions.copy_progress(connection, row, created.run_id)
            status_code = 201 if created.source is None else 200
            response = StoredResponse(status_code, render(self._run(connection, created.run_id)), created.run_id)
            idempotency.store(connection, key, response)
            events.append(connection, new_events)
        return response

    def verify(self, run_id: str) -> tuple[Verification, bool]:
        """Train a run again to compare every bit; return the verification and whether this call started it.

        Raises:
            RunNotFound: No run has this id.
            NotOwner: The run belongs to another owner.
            TransitionRefused: The run has no result.
        """
        with writing(self._engine) as connection:
            row = self._locked(connection, run_id)
            existing = verifications.find(connection, row)
            if existing is not None:
                return existing, False
            verifications.check(row)
            relations = {"verifies": row.reused_from or row.id}
            new = NewRun(RunSpec.of(row.spec), RunMetadata(priority=row.priority))
            dataset_refs.lock(connection, [new.spec], self.caller)
            review(new.spec, self._settings)
            owner = self.caller.acting_for(row.owner)  # an admin's verification must be visible to the owner
            columns = build_rows([PlannedRun(new, relations)], self._settings)
            _, new_events = create(connection, columns, self._settings, reuse=False, caller=owner)
            verification = verifications.get(connection, row)
            events.append(connection, new_events)
        return verification, True

    def page(self, query: RunQuery) -> Page:
        """Return a page of the runs that match ``query``, in its order.

        Raises:
            BadCursor: ``after`` is not a cursor of this list.
            SpecRefused: The filter or the sort key is invalid.
        """
        conditions = self._conditions(query)
        with reading(self._engine) as connection:
            matches = rows.page(
                connection,
                conditions=conditions,
                sort=filters.numeric(query.sort.removeprefix("-")),
                descending=query.sort.startswith("-"),
                after=None if query.after is None else position(query.after, query.sort),
                limit=query.limit + 1,
                folds_studies=query.folds_studies,
            )
            workers = rows.live_workers(connection, self._settings.lease_seconds)
        page = matches[: query.limit]
        has_more = len(matches) > query.limit
        next_cursor = cursor_at(page[-1], query.sort) if has_more else None
        return Page([Run.of(row, workers) for row in page], has_more, next_cursor)

    def _conditions(self, query: RunQuery) -> list[sa.ColumnElement[bool]]:
        conditions = rows.conditions(
            statuses=query.status, labels=query.label, study_id=query.study_id, name=query.name
        )
        conditions += rows.owned_by(self.caller.only)
        if query.filter is not None:
            conditions.append(filters.condition(query.filter))
        return conditions

    def act(self, run_id: str, action: states.Action) -> tuple[Run, bool]:
        """Cancel, pause, resume or retry a run; return it and whether the call changed it.

        Raises:
            RunNotFound: No run has this id.
            NotOwner: The run belongs to another owner.
            TransitionRefused: The run's state does not allow the action.
            QuotaExceeded: The run cannot be retried until other runs of its owner finish.
            SpecRefused: The run cannot be retried, because its dataset was deleted.
        """
        with writing(self._engine) as connection:
            row = self._locked(connection, run_id)
            if row.status in states.TERMINAL and states.after(row.status, action):
                check_quota(connection, self.caller.acting_for(row.owner), adding=1)
                dataset_refs.lock(connection, [RunSpec.of(row.spec)], self.caller)
            new_events = act(connection, row, action)
            run = self._run(connection, run_id)
            events.append(connection, new_events)
        return run, bool(new_events)

    def change(self, run_id: str, values: Mapping[str, Any]) -> Run:
        """Change a run's metadata.

        Raises:
            RunNotFound: No run has this id.
            NotOwner: The run belongs to another owner.
        """
        with writing(self._engine) as connection:
            row = self._locked(connection, run_id)
            rows.change(connection, run_id, row.status, values)
            run = self._run(connection, run_id)
            events.append(connection, [NewEvent(run_id, "run.changed", {"fields": sorted(values)})])
        return run

    def delete(self, run_id: str) -> None:
        """Delete a run and its files, except for files and results that other runs use.

        Raises:
            RunNotFound: No run has this id.
            NotOwner: The run belongs to another owner.
            RunActive: The run has not finished.
        """
        with writing(self._engine) as connection:
            row = self._locked(connection, run_id)
            if row.status not in states.TERMINAL:
                raise RunActive(f"The run is {row.status!r}. Cancel it first, then delete it once it has ended.")
            paths = delete_runs(connection, [run_id])
        self._settings.checkpoint_files.drop(paths)

    def queue(self, limit: int) -> tuple[list[QueueEntry], int]:
        """Return up to ``limit`` unfinished runs in claim order, and how many there are."""
        with reading(self._engine) as connection:
            workers = rows.live_workers(connection, self._settings.lease_seconds)
            unfinished, count = rows.unfinished(connection, limit, owner=self.caller.only)
        return entries([Run.of(row, workers) for row in unfinished], len(workers)), count

    def workers(self) -> Sequence[Row]:
        """Return the workers that are alive."""
        with reading(self._engine) as connection:
            return rows.live_workers(connection, self._settings.lease_seconds)
