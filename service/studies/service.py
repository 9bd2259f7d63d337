"""Operations on studies. Every method is one transaction."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from service import idempotency
from service.errors import SpecRefused
from service.idempotency import Key, StoredResponse
from service.runs.actions import delete_runs
from service.runs.pages import cursor_at, position
from service.runs.queries import runs as rows
from service.runs.submission import dataset_refs
from service.runs.submission.review import to_train_first
from service.runs.submission.teacher_runs import TeacherRuns
from service.settings import Settings
from service.store import events, ledger
from service.store.database import reading, writing
from service.store.events import NewEvent
from service.store.rows import Row
from service.store.statuses import TUNING
from service.studies import queries as studies
from service.studies.arms import Parse, check_size
from service.studies.creation import StudyCreation, keys_of, planned_keys, run_bodies
from service.studies.errors import StudyActive
from service.studies.expansion import Plan
from service.studies.looks import NOT_INHERITED
from service.studies.new_study import NewStudy
from service.studies.preview import Preview, preview
from service.studies.queueing import insert, with_preceding_runs
from service.studies.results import StudyResults
from service.studies.schedule import schedule_of
from service.studies.sequencer import CANCELLED, cancel_runs, stop_tuning
from service.studies.study import Study
from worker.spec.keys import reuse_key
from worker.spec.run import RunSpec


@dataclass(frozen=True)
class StudyPage:
    """A page of studies, newest first, and the cursor of the next page."""

    studies: Sequence[Study]
    has_more: bool
    next_cursor: str | None


class Studies(StudyResults):
    """The studies that the caller may see and change; ``parse`` turns a body into a run."""

    def __init__(self, engine: sa.Engine, settings: Settings, parse: Parse) -> None:
        super().__init__(engine)
        self._settings = settings
        self._creation = StudyCreation(engine, settings, parse)

    def preview(self, new: NewStudy, *, reuse: bool = True) -> Preview:
        """Return the cost of the study, and warnings if it cannot reach significance.

        Raises:
            SpecRefused: An arm cannot be trained here.
        """
        creation = self._creator
        arms = creation.resolve(new)
        specs = [arm.at(*replicate).spec for arm in arms for replicate in new.plan.replicates]
        keys = planned_keys(arms, new.full_plan)
        with reading(self._engine) as connection:
            design = creation.design(new, arms, keys)
            earlier = creation.inherited(connection, design) if new.tune is None else NOT_INHERITED
        fresh = self._fresh(specs) if reuse else specs
        first = to_train_first(fresh)
        return preview(new, arms, fresh, self._fresh(first) if reuse else first, earlier, self._settings)

    def create(
        self, new: NewStudy, *, render: Callable[[Study], str], reuse: bool = True, key: Key | None = None
    ) -> StoredResponse:
        """Queue all runs of the study, or none of them.

        Raises:
            SpecRefused: An arm cannot be trained here.
            KeyReused: The key was used with another body or query.
            QuotaExceeded: The owner would exceed the limit on unfinished runs.
        """
        creation = self._creator
        prepared = creation.prepare(new)
        with writing(self._engine) as connection:
            stored = idempotency.replay(connection, key, self._settings.idempotency_seconds)
            if stored is not None:
                return stored
            new_events = creation.queue(connection, prepared, reuse=reuse)
            answer = StoredResponse(201, render(self._study(connection, prepared.id)), prepared.id)
            idempotency.store(connection, key, answer)
            events.append(connection, new_events)
        return answer

    def confirm(self, study_id: str, new: NewStudy) -> bool:
        """Queue the confirmation of a tuned study whose choice is frozen, and return whether this was still to do.

        Raises:
            SpecRefused: An arm cannot be trained here.
            QuotaExceeded: The owner would exceed the limit on unfinished runs.
        """
        creation = self._creator
        prepared = creation.prepare(new)
        with writing(self._engine) as connection:
            tuned = studies.by_id(connection, study_id, lock=True)
            if tuned is None or tuned.tuning_phase != "frozen":
                return False
            before = studies.newest_run(connection, study_id)
            new_events = creation.queue(connection, prepared, reuse=True)
            studies.change(connection, prepared.id, {"confirms": study_id})
            studies.change(connection, study_id, {"tuning_phase": "confirming"})
            if before is not None:
                data = {"study_id": study_id, "confirmation_id": prepared.id}
                new_events = [NewEvent(before, studies.CONFIRMING, data), *new_events]
            events.append(connection, new_events)
        return True

    def run_bodies(self, new: NewStudy) -> Mapping[str, Mapping[str, Any]]:
        """Return the body of every arm's run, without a seed, measured on the test part, by the arm's id.

        Raises:
            SpecRefused: An arm cannot be trained here.
        """
        return run_bodies(self._creator.resolve(new))

    def add_seeds(
        self, study_id: str, plan: Plan, *, render: Callable[[Study], str], key: Key | None = None
    ) -> StoredResponse:
        """Add the seeds of ``plan`` to every arm. If results were visible before, this counts as an interim analysis.

        Raises:
            StudyNotFound: No study has this id.
            NotOwner: The study belongs to another owner.
            KeyReused: The key was used with another body or query.
            SpecRefused: The study has one of the seeds already.
            QuotaExceeded: The owner would exceed the limit on unfinished runs.
        """
        creation = self._creator
        arms, seeds = creation.resolve_plan(plan), plan.seeds
        columns = creation.columns(study_id, arms, plan)
        with writing(self._engine) as connection:
            stored = idempotency.replay(connection, key, self._settings.idempotency_seconds)
            if stored is not None:
                return stored
            row = self._locked(connection, study_id)
            if row.tuning_phase is not None:
                message = "The study is tuned. Submit it again with more search.replicates; it reuses the results."
                raise SpecRefused.at("", "tuned_study", message)
            if (schedule := schedule_of(row.request)) is not None:
                message = (
                    f"The study is sequential: the server adds its seeds, up to {schedule.max}. To use more, submit it "
                    "again with a larger max; it reuses the results."
                )
                raise SpecRefused.at("", "sequential_study", message)
            check_size(self._settings, len(arms), len(row.seeds) + len(seeds), plan.folds)
            duplicates = sorted(set(seeds) & set(row.seeds))
            if duplicates:
                message = f"The study already has the seeds {', '.join(map(str, duplicates))}. Choose others."
                raise SpecRefused.at("/seeds", "seed_there", message)
            dataset_refs.lock(connection, [arm.run.spec for arm in arms], self.caller)
            owner = self.caller.acting_for(row.owner)
            teacher_runs = TeacherRuns(connection, self._settings, owner, reuse=True)
            columns = with_preceding_runs(teacher_runs, study_id, arms, plan, columns, self._settings)
            creation.extend(connection, row, seeds, keys_of(columns))
            new_events = insert(connection, columns, teacher_runs, self._settings, reuse=True, caller=owner)
            answer = StoredResponse(202, render(self._study(connection, study_id)), study_id)
            idempotency.store(connection, key, answer)
            events.append(connection, new_events)
        return answer

    def get(self, study_id: str) -> Study:
        """Return one study.

        Raises:
            StudyNotFound: No study has this id.
        """
        with reading(self._engine) as connection:
            return self._study(connection, study_id)

    def get_visible(self, study_ids: Sequence[str]) -> Mapping[str, Study]:
        """Return those of the studies that the caller may see, by id."""
        with reading(self._engine) as connection:
            listed = [row for row in studies.by_ids(connection, study_ids) if self.caller.sees(row.owner)]
            return {study.id: study for study in self._studies(connection, listed)}

    def page(self, *, limit: int, after: str | None) -> StudyPage:
        """Return a page of studies, newest first.

        Raises:
            BadCursor: ``after`` is not the cursor of a page.
        """
        with reading(self._engine) as connection:
            before = None if after is None else position(after)
            rows_and_next = studies.page(connection, before=before, limit=limit + 1, owner=self.caller.only)
            page = rows_and_next[:limit]
            listed = self._studies(connection, page)
        more = len(rows_and_next) > limit
        return StudyPage(listed, more, cursor_at(page[-1]) if more else None)

    def cancel(self, study_id: str) -> tuple[Study, bool]:
        """Cancel every run that has not ended, and return whether that changed any run.

        Raises:
            StudyNotFound: No study has this id.
            NotOwner: The study belongs to another owner.
        """
        with writing(self._engine) as connection:
            stored = self._locked(connection, study_id)
            new_events = cancel_runs(connection, stored)
            if stored.tuning_phase in TUNING:
                confirmation = studies.confirmations(connection, [study_id]).get(study_id)
                new_events += [] if confirmation is None else cancel_runs(connection, confirmation)
                new_events += stop_tuning(connection, stored, CANCELLED)
            study = self._study(connection, study_id)
            events.append(connection, new_events)
        return study, bool(new_events)

    def delete(self, study_id: str) -> None:
        """Delete a study with its confirmation, their runs and files; other studies keep the results they reused.

        Raises:
            StudyNotFound: No study has this id.
            NotOwner: The study belongs to another owner.
            StudyActive: Some of its runs have not ended.
        """
        with writing(self._engine) as connection:
            self._locked(connection, study_id)
            confirmation = studies.confirmations(connection, [study_id]).get(study_id)
            ids = [study_id, *([] if confirmation is None else [confirmation.id])]
            active = sum(len(studies.unfinished(connection, one)) for one in ids)
            if active:
                raise StudyActive(f"{active} runs of the study have not ended; cancel it first.")
            paths = delete_runs(connection, [row.id for one in ids for row in studies.runs_of(connection, one)])
            for one in ids:
                studies.delete(connection, one)
        self._settings.checkpoint_files.drop(paths)

    def run_ids(self, study_id: str) -> list[str]:
        """Return the ids of the study's runs in the order in which they were queued.

        Raises:
            StudyNotFound: No study has this id.
        """
        with reading(self._engine) as connection:
            self._row(connection, study_id)
            return [row.id for row in studies.runs_of(connection, study_id)]

    @property
    def _creator(self) -> StudyCreation:
        return self._creation.on_behalf_of(self.caller)

    def _fresh(self, specs: Sequence[RunSpec]) -> list[RunSpec]:
        """Return the specs that no finished run equals."""
        keys = [reuse_key(spec) for spec in specs]
        with reading(self._engine) as connection:
            finished = rows.finished_equals(connection, keys, owner=self.caller.reuses_only)
        return [spec for spec, key in zip(specs, keys, strict=True) if key not in finished]

    def _locked(self, connection: sa.Connection, study_id: str) -> Row:
        """Lock and return a study that the caller may change."""
        row = self._row(connection, study_id, lock=True)
        self.caller.check_owns(row.owner, f"The study {study_id}")
        return row

    def _study(self, connection: sa.Connection, study_id: str) -> Study:
        return self._studies(connection, [self._row(connection, study_id)])[0]

    def _studies(self, connection: sa.Connection, listed: Sequence[Row]) -> list[Study]:
        """Return the studies of these rows; tuned ones with their confirmations."""
        confirmations = studies.confirmations(connection, [row.id for row in listed if row.tuning_phase is not None])
        every = {row.id: row for row in (*listed, *confirmations.values())}
        progress = studies.progress(connection, list(every))
        digests = sorted({digest for row in every.values() for digest in (row.tuning or {}).get("datasets", ())})
        openings = ledger.openings(connection, digests) if digests else {}

        def study(row: Row) -> Study:
            of_row = [one for one in progress if one.study_id == row.id]
            confirmation = confirmations.get(row.id)
            return Study.of(row, of_row, None if confirmation is None else study(confirmation), openings)

        return [study(row) for row in listed]
