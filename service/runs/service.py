"""What clients do with runs. Every method is one transaction."""

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
from service.runs.actions import act, forget
from service.runs.errors import RunActive
from service.runs.pages import Page, RunQuery, cursor_at, position
from service.runs.queries import runs as rows
from service.runs.run import Run
from service.runs.scope import ScopedRuns
from service.runs.submission import teachers, warm_starts
from service.runs.submission.creation import Wanted, create, prepared
from service.runs.submission.dataset_refs import hold, resolved
from service.runs.submission.quota import check_quota
from service.runs.submission.review import NewRun, review
from service.runs.submission.teacher_runs import Hiring
from service.runs.verification import Verification
from service.store import events
from service.store.database import reading, writing
from service.store.events import NewEvent
from service.store.rows import Row
from worker.spec.run import RunSpec


class Runs(ScopedRuns):
    """Runs in one database, as the caller may see and change them."""

    def submit(
        self, new: NewRun, *, render: Callable[[Run], str], reuse: bool = True, key: Key | None = None
    ) -> StoredResponse:
        """Queue a run, or take over the result of an equal one that has finished; ``render`` writes the response.

        Raises:
            SpecRefused: the spec cannot be trained here.
            KeyReused: The key was used with another body or query.
            QuotaExceeded: the owner has as many unfinished runs as it may.
        """

        def answer(runs: Sequence[Run]) -> StoredResponse:
            return StoredResponse(201 if runs[0].reused_from is None else 200, render(runs[0]), runs[0].id)

        return self._submit({"": new}, answer, reuse=reuse, key=key)

    def submit_all(
        self, new: Mapping[str, NewRun], *, render: Callable[[Sequence[Run]], str], reuse: bool, key: Key | None
    ) -> StoredResponse:
        """Queue several runs, by their places in the body, at once, or none of them.

        Raises:
            SpecRefused: one of the specs cannot be trained here.
            KeyReused: The key was used with another body or query.
        """
        return self._submit(new, lambda runs: StoredResponse(201, render(runs), runs[0].id), reuse=reuse, key=key)

    def _submit(
        self,
        new: Mapping[str, NewRun],
        answer: Callable[[Sequence[Run]], StoredResponse],
        *,
        reuse: bool,
        key: Key | None,
    ) -> StoredResponse:
        with writing(self._engine) as connection:
            stored = idempotency.replay(connection, key, self._settings.idempotency_seconds)
            if stored is not None:
                return stored
            hiring = Hiring(connection, self._settings, self.caller, reuse=reuse)
            named = {place: self._trainable(connection, place, one, hiring) for place, one in new.items()}
            hold(connection, [one.spec for one in named.values()], self.caller)
            columns = prepared([Wanted(one) for one in named.values()], self._settings)
            made, told = create(connection, columns, self._settings, reuse=reuse, caller=self.caller)
            told = hiring.told + told
            workers = rows.live_workers(connection, self._settings.lease_seconds)
            given = answer([Run.of(self._row(connection, one.run_id), workers) for one in made])
            idempotency.store(connection, key, given)
            events.append(connection, told)
        return given

    def _trainable(self, connection: sa.Connection, place: str, new: NewRun, hiring: Hiring | None = None) -> NewRun:
        """The run as it is to be queued, with ``hiring`` its teachers too; a refusal names places below ``place``."""
        try:
            new = replace(new, spec=new.spec.at(new.spec.seed))
            named = warm_starts.resolved(connection, resolved(connection, new, self.caller), self.caller)
            named = teachers.resolved(connection, named, self.caller)
            review(named.spec, self._settings)
            return named if hiring is None else hiring.hired(named)
        except SpecRefused as refusal:
            raise refusal.below(place) from refusal

    def act_on_all(self, query: RunQuery | Sequence[str], action: states.Action) -> tuple[int, int]:
        """Ask many of one's own runs, by their ids or all that match and can; how many that changed, and how many not.

        Raises:
            RunNotFound: one of the ids is no run's.
            NotOwner: one is another's.
            SpecRefused: the filter makes no sense.
        """
        with writing(self._engine) as connection:
            if isinstance(query, RunQuery):
                mine = rows.owned_by(None if self.caller.is_admin else self.caller.owner)
                found = rows.locked(connection, self._conditions(query) + mine, states.leading(action))
            else:
                found = [self._locked(connection, run_id) for run_id in sorted(set(query))]
            told = [act(connection, row, action) for row in found if states.after(row.status, action)]
            events.append(connection, [event for one in told for event in one])
        return len(told), len(found) - len(told)

    def review(self, new: NewRun) -> NewRun:
        """The run as it would be queued.

        Raises:
            SpecRefused: the spec cannot be trained here.
        """
        with reading(self._engine) as connection:
            return self._trainable(connection, "", new)

    def extend(
        self, run_id: str, number: int, *, render: Callable[[Run], str], key: Key | None = None
    ) -> StoredResponse:
        """A run like this one, ``number`` epochs long, that goes on from its end, or has an equal one's result.

        Raises:
            RunNotFound, TransitionRefused: the run cannot go on.
            SpecRefused: it would be another run, or one over the quotas.
            KeyReused: The key was used with another body or query.
        """
        with writing(self._engine) as connection:
            stored = idempotency.replay(connection, key, self._settings.idempotency_seconds)
            if stored is not None:
                return stored
            row = self._row(connection, run_id, lock=True)
            new = extensions.longer(connection, row, number)
            hold(connection, [new.spec], self.caller)
            review(new.spec, self._settings)
            columns = prepared([Wanted(new)], self._settings)
            ((longer_id, model),), told = create(connection, columns, self._settings, reuse=True, caller=self.caller)
            if model is None:
                told += extensions.take_over(connection, row, longer_id)
            answer = StoredResponse(201 if model is None else 200, render(self._run(connection, longer_id)), longer_id)
            idempotency.store(connection, key, answer)
            events.append(connection, told)
        return answer

    def verify(self, run_id: str) -> tuple[Verification, bool]:
        """Have a run trained once more, to compare every bit; True where that was not done or begun before.

        Raises:
            RunNotFound, NotOwner, TransitionRefused: the run has no result.
        """
        with writing(self._engine) as connection:
            row = self._locked(connection, run_id)
            before = verifications.find(connection, row)
            if before is not None:
                return before, False
            verifications.check(row)
            place = {"verifies": row.reused_from or row.id}
            new = NewRun(RunSpec.of(row.spec), priority=row.priority)
            hold(connection, [new.spec], self.caller)
            review(new.spec, self._settings)
            theirs = self.caller.acting_for(row.owner)  # whoever asked, its owner is to see what came of it
            columns = prepared([Wanted(new, place)], self._settings)
            _, told = create(connection, columns, self._settings, reuse=False, caller=theirs)
            begun = verifications.found(connection, row)
            events.append(connection, told)
        return begun, True

    def page(self, query: RunQuery) -> Page:
        """Runs that match ``query``, in its order.

        Raises:
            BadCursor: ``after`` is no cursor of a page.
            SpecRefused: the filter or the order make no sense.
        """
        conditions = self._conditions(query)
        with reading(self._engine) as connection:
            found = rows.page(
                connection,
                conditions=conditions,
                sort=filters.numeric(query.sort.removeprefix("-")),
                descending=query.sort.startswith("-"),
                after=None if query.after is None else position(query.after, query.sort),
                limit=query.limit + 1,
            )
            workers = rows.live_workers(connection, self._settings.lease_seconds)
        shown = found[: query.limit]
        more = len(found) > query.limit
        return Page([Run.of(row, workers) for row in shown], more, cursor_at(shown[-1], query.sort) if more else None)

    def _conditions(self, query: RunQuery) -> list[sa.ColumnElement[bool]]:
        conditions = rows.matching(statuses=query.status, labels=query.label, study_id=query.study_id, name=query.name)
        conditions += rows.owned_by(self.caller.only)
        if query.filter is not None:
            conditions.append(filters.condition(query.filter))
        return conditions

    def act(self, run_id: str, action: states.Action) -> tuple[Run, bool]:
        """Ask a run to be cancelled, paused, resumed or retried; True where that changed something.

        Raises:
            RunNotFound, NotOwner, TransitionRefused: the run's state does not allow it.
            QuotaExceeded: its owner has as many unfinished runs as it may, and it is to be retried.
            SpecRefused: it cannot be retried, since its data were deleted.
        """
        with writing(self._engine) as connection:
            row = self._locked(connection, run_id)
            if row.status in states.TERMINAL and states.after(row.status, action):
                check_quota(connection, self.caller.acting_for(row.owner), adding=1)
                hold(connection, [RunSpec.of(row.spec)], self.caller)
            told = act(connection, row, action)
            run = self._run(connection, run_id)
            events.append(connection, told)
        return run, bool(told)

    def change(self, run_id: str, values: Mapping[str, Any]) -> Run:
        """Give a run another name, other labels or another priority.

        Raises:
            RunNotFound: there is none of this id.
            NotOwner: it is another's.
        """
        with writing(self._engine) as connection:
            row = self._locked(connection, run_id)
            rows.change(connection, run_id, row.status, values)
            run = self._run(connection, run_id)
            events.append(connection, [NewEvent(run_id, "run.changed", {"fields": sorted(values)})])
        return run

    def delete(self, run_id: str) -> None:
        """Forget a run and its files; what others took over of it stays with them.

        Raises:
            RunNotFound: there is none of this id.
            NotOwner: it is another's.
            RunActive: it has not ended.
        """
        with writing(self._engine) as connection:
            row = self._locked(connection, run_id)
            if row.status not in states.TERMINAL:
                raise RunActive(f"The run is {row.status!r}; cancel it first, and delete it once it has ended.")
            paths = forget(connection, [run_id])
        self._settings.checkpoint_files.drop(paths)

    def workers(self) -> Sequence[Row]:
        """The workers that are alive."""
        with reading(self._engine) as connection:
            return rows.live_workers(connection, self._settings.lease_seconds)
