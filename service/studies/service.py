"""Operations on studies. Every method is one transaction."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import sqlalchemy as sa
from ulid import ULID

from service import idempotency
from service.callers import CallerScoped
from service.errors import SpecRefused
from service.idempotency import Key, StoredResponse
from service.runs import states
from service.runs.actions import act, delete_runs
from service.runs.errors import Sealed
from service.runs.pages import cursor_at, position
from service.runs.queries import runs as rows
from service.runs.submission import dataset_refs
from service.runs.submission.creation import NewRows, PlannedRun, build_rows, create
from service.runs.submission.teacher_runs import TeacherRuns
from service.settings import Settings
from service.store import events, ledger
from service.store.database import reading, writing
from service.store.events import NewEvent
from service.store.rows import Row
from service.store.statuses import TUNING
from service.studies import queries as studies
from service.studies.across import Across, AcrossQuestion, compare_across
from service.studies.arms import ArmResolver, Parse, check_size, check_tuned
from service.studies.choice import ChoiceQuery, Chosen, choose_arm
from service.studies.comparison import Compared, Question, compare_groups
from service.studies.diagnosis import StudyDiagnosis, diagnose_arms
from service.studies.errors import StudyActive, StudyNotFound
from service.studies.expansion import Arm, Plan
from service.studies.learning_curves import CurveQuery, LearningCurves, learning_curves
from service.studies.looks import NOT_INHERITED, ArmKey, Inherited, PlannedStudy, inherited, planned_runs
from service.studies.metrics import rows_of
from service.studies.new_study import NewStudy, baseline_id, primary_metric
from service.studies.preview import Preview, preview
from service.studies.replicates import generalizes_over, replicate_numbers
from service.studies.schedule import schedule_of
from service.studies.sequencer import CANCELLED, check_steps, stop, stop_tuning
from service.studies.study import Study
from service.studies.tuning import located
from worker.spec.run import RunSpec, reuse_key


@dataclass(frozen=True)
class StudyPage:
    """A page of studies, newest first, and the cursor of the next page."""

    studies: Sequence[Study]
    has_more: bool
    next_cursor: str | None


class Studies(CallerScoped):
    """The studies that the caller may see and change; ``parse`` turns a body into a run."""

    def __init__(self, engine: sa.Engine, settings: Settings, parse: Parse) -> None:
        self._engine = engine
        self._settings = settings
        self._resolver = ArmResolver(engine, settings, parse)

    def preview(self, new: NewStudy, *, reuse: bool = True) -> Preview:
        """Return the cost of the study, and warnings if it cannot reach significance.

        Raises:
            SpecRefused: An arm cannot be trained here.
        """
        arms = self._resolve(new)
        specs = [arm.at(*replicate).spec for arm in arms for replicate in new.plan.replicates]
        keys = _planned_keys(arms, new.full_plan)
        with reading(self._engine) as connection:
            design = self._design(new, arms, keys)
            earlier = self._inherited(connection, design) if new.tune is None else NOT_INHERITED
        return preview(new, arms, self._fresh(specs) if reuse else specs, earlier, self._settings)

    def create(
        self, new: NewStudy, *, render: Callable[[Study], str], reuse: bool = True, key: Key | None = None
    ) -> StoredResponse:
        """Queue all runs of the study, or none of them.

        Raises:
            SpecRefused: An arm cannot be trained here.
            KeyReused: The key was used with another body or query.
            QuotaExceeded: The owner would exceed the limit on unfinished runs.
        """
        prepared = self._prepare(new)
        with writing(self._engine) as connection:
            stored = idempotency.replay(connection, key, self._settings.idempotency_seconds)
            if stored is not None:
                return stored
            new_events = self._queue(connection, prepared, reuse=reuse)
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
        prepared = self._prepare(new)
        with writing(self._engine) as connection:
            tuned = studies.by_id(connection, study_id, lock=True)
            if tuned is None or tuned.tuning_phase != "frozen":
                return False
            before = studies.newest_run(connection, study_id)
            new_events = self._queue(connection, prepared, reuse=True)
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
        bodies = {}
        for arm in self._resolve(new):
            evaluate = arm.run.spec.evaluate.model_copy(update={"test": "every_epoch"})
            spec = arm.run.spec.model_copy(update={"evaluate": evaluate})
            metadata = arm.run.metadata.model_dump(mode="json", exclude_defaults=True)
            bodies[arm.id] = {**metadata, **spec.model_dump(mode="json", exclude={"seed"})}
        return bodies

    def _resolve(self, new: NewStudy) -> list[Arm]:
        """Return the arms of a new study.

        Raises:
            SpecRefused: The study is too large, or an arm cannot be trained here.
        """
        if new.tune is None:
            return self._resolver.resolve(new.full_plan, self.caller)
        try:
            arms = self._resolver.resolve(new.plan, self.caller)
        except SpecRefused as refusal:
            raise located(refusal, new.tune) from refusal
        check_tuned(new.tune, arms, self.caller, self._settings)
        return arms

    def _prepare(self, new: NewStudy) -> _Prepared:
        """Return a new study with its arms and the columns of its runs, which are slow to compute."""
        arms, study_id = self._resolve(new), f"study_{ULID()}"
        if new.schedule is not None:
            check_steps(self.caller, new.schedule, len(arms) * (new.plan.folds or 1))
        return _Prepared(study_id, new, arms, self._columns(study_id, arms, new.plan))

    def _queue(self, connection: sa.Connection, prepared: _Prepared, *, reuse: bool) -> list[NewEvent]:
        """Insert a study with its runs, and return their events."""
        new, arms = prepared.new, prepared.arms
        dataset_refs.lock(connection, [arm.run.spec for arm in arms], self.caller)
        teacher_runs = TeacherRuns(connection, self._settings, self.caller, reuse=reuse)
        columns, teacher_events = self._with_teacher_runs(teacher_runs, prepared.id, arms, new.plan, prepared.columns)
        keys = _keys(columns) | (set() if new.schedule is None else _planned_keys(arms, new.full_plan))
        self._insert(connection, prepared.id, new, arms, keys)
        _, new_events = create(connection, columns, self._settings, reuse=reuse, caller=self.caller)
        return teacher_events + new_events

    def _insert(
        self, connection: sa.Connection, study_id: str, new: NewStudy, arms: Sequence[Arm], keys: Collection[ArmKey]
    ) -> None:
        """Insert the row of a new study, with the looks that it inherits from studies of equal runs."""
        design = self._design(new, arms, keys)
        earlier = self._inherited(connection, design) if new.tune is None else NOT_INHERITED
        datasets = sorted({arm.run.spec.dataset.digest() for arm in arms})
        values = {
            "id": study_id,
            **new.metadata.model_dump(),
            "request": dict(new.request),
            "arms": [{"id": arm.id, "name": arm.name, "values": dict(arm.values)} for arm in arms],
            "seeds": list(new.plan.seeds),
            "metric": design.metric,
            "at": design.at,
            "baseline": design.baseline,
            "owner": self.caller.owner,
            "next_look": None if new.schedule is None else new.schedule.first,
            "quota": self.caller.max_active_runs,
            "tuning_phase": None if new.tune is None else "searching",
            "tuning": None if new.tune is None else {"datasets": datasets},
            **earlier.columns,
        }
        studies.insert(connection, values)
        if rows_of(design.metric) == "test":
            ledger.record(connection, study_id, datasets, self.caller.owner)

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
        arms, seeds = self._resolver.resolve(plan, self.caller), plan.seeds
        columns = self._columns(study_id, arms, plan)
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
            columns, teacher_events = self._with_teacher_runs(teacher_runs, study_id, arms, plan, columns)
            self._extend(connection, row, seeds, _keys(columns))
            _, new_events = create(connection, columns, self._settings, reuse=True, caller=owner)
            new_events = teacher_events + new_events
            answer = StoredResponse(202, render(self._study(connection, study_id)), study_id)
            idempotency.store(connection, key, answer)
            events.append(connection, new_events)
        return answer

    def _design(self, new: NewStudy, arms: Sequence[Arm], keys: Collection[ArmKey]) -> PlannedStudy:
        metric, baseline = primary_metric(new, arms), baseline_id(new.baseline, arms)
        if new.schedule is not None and len(arms) == 1:
            message = "A sequential study decides between arms, and this has one. Add an arm, or set a number of seeds."
            raise SpecRefused.at("/arms", "one_arm", message)
        return PlannedStudy(
            metric=metric,
            at=new.at,
            epoch_by=new.epoch_by,
            baseline=baseline,
            seeds=replicate_numbers(new.request, new.plan.seeds),
            varied=generalizes_over(new.request),
            schedule=new.schedule,
            keys=keys,
        )

    def _inherited(self, connection: sa.Connection, design: PlannedStudy) -> Inherited:
        """Return the looks that a new study inherits.

        Raises:
            SpecRefused: A sequential study would begin with some of the seeds that have been compared before.
        """
        earlier = inherited(connection, design, owner=self.caller.reuses_only)
        if design.schedule is not None and (missing := set(earlier.seeds) - set(design.seeds)):
            message = (
                f"Earlier studies of the same arms ({', '.join(earlier.studies)}) have seeds up to {max(missing)}, "
                f"which the first look would leave out. Set start to {max(earlier.seeds) + 1}, or raise first."
            )
            raise SpecRefused.at("/seeds", "seeds_left_out", message)
        return earlier

    def _extend(self, connection: sa.Connection, row: Row, seeds: Sequence[int], keys: Collection[ArmKey]) -> None:
        """Add seeds to the row of a study; a look more if results were visible, or as many as it now inherits."""
        progress = studies.progress(connection, [row.id])
        # The results of a deleted run may have been viewed before its deletion.
        results_visible = sum(one.epoch for one in progress) > 0 or sum(one.runs for one in progress) < planned_runs(
            row
        )
        design = PlannedStudy(
            metric=row.metric,
            at=row.at,
            epoch_by=row.request.get("epoch_by"),
            baseline=row.baseline,
            seeds=[*row.seeds, *seeds],
            varied=generalizes_over(row.request),
            schedule=None,
            keys=studies.keys_of(connection, row.id) | set(keys),
        )
        earlier = inherited(connection, design, owner=self.caller.acting_for(row.owner).reuses_only, study_id=row.id)
        studies.change(connection, row.id, {"seeds": list(design.seeds), **earlier.beside(row, results_visible)})

    def get(self, study_id: str) -> Study:
        """Return one study.

        Raises:
            StudyNotFound: No study has this id.
        """
        with reading(self._engine) as connection:
            return self._study(connection, study_id)

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
            new_events = _cancelled(connection, stored)
            if stored.tuning_phase in TUNING:
                confirmation = studies.confirmations(connection, [study_id]).get(study_id)
                new_events += [] if confirmation is None else _cancelled(connection, confirmation)
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

    def compare(self, study_id: str, question: Question) -> Compared:
        """Compare the study's arms, or other groups of its runs.

        Raises:
            StudyNotFound: No study has this id.
            SpecRefused: The metric, epoch, arm or path does not exist.
            Sealed: The study is tuned, and its search may not use the test part.
        """
        with reading(self._engine) as connection:
            named = (question.metric, question.epoch_by, *question.curves)
            return compare_groups(connection, self._judging(connection, study_id, named), question)

    def compare_across(self, study_id: str, question: AcrossQuestion) -> Across:
        """Compare the study's arms over all its datasets.

        Raises:
            StudyNotFound: No study has this id.
            SpecRefused: The study has one dataset, or the metric, epoch, arm or dataset does not exist.
            Sealed: The study is tuned, and its search may not use the test part.
        """
        with reading(self._engine) as connection:
            named = (question.metric, question.epoch_by)
            return compare_across(connection, self._judging(connection, study_id, named), question)

    def diagnose(self, study_id: str) -> StudyDiagnosis:
        """Diagnose every arm from the loss curves of its seeds.

        Raises:
            StudyNotFound: No study has this id.
        """
        with reading(self._engine) as connection:
            return diagnose_arms(connection, self._judging(connection, study_id))

    def learning_curves(self, study_id: str, query: CurveQuery) -> LearningCurves:
        """Fit the learning curves of a study with several sizes of the training set.

        Raises:
            StudyNotFound: No study has this id.
            SpecRefused: The study has no axis of sizes, or the metric or epoch does not exist.
            Sealed: The study is tuned, and its search may not use the test part.
        """
        with reading(self._engine) as connection:
            study = self._judging(connection, study_id, (query.metric, query.epoch_by))
            return learning_curves(connection, study, query)

    def choose(self, study_id: str, query: ChoiceQuery) -> Chosen:
        """Choose an arm, and return its spec.

        Raises:
            StudyNotFound: No study has this id.
            SpecRefused: The metric, epoch or order does not exist, or the choice would use the test set.
            NothingToChoose: The study's runs do not allow a choice yet.
            Sealed: The study is tuned, and its search may not use the test part.
        """
        with reading(self._engine) as connection:
            return choose_arm(connection, self._judging(connection, study_id, (query.metric, query.epoch_by)), query)

    def run_ids(self, study_id: str) -> list[str]:
        """Return the ids of the study's runs in the order in which they were queued.

        Raises:
            StudyNotFound: No study has this id.
        """
        with reading(self._engine) as connection:
            self._row(connection, study_id)
            return [row.id for row in studies.runs_of(connection, study_id)]

    def _fresh(self, specs: Sequence[RunSpec]) -> list[RunSpec]:
        """Return the specs that no finished run equals."""
        keys = [reuse_key(spec) for spec in specs]
        with reading(self._engine) as connection:
            finished = rows.finished_equals(connection, keys, owner=self.caller.reuses_only)
        return [spec for spec, key in zip(specs, keys, strict=True) if key not in finished]

    def _columns(self, study_id: str, arms: Sequence[Arm], plan: Plan) -> NewRows:
        """Return the columns of the study's runs, seed by seed, so that pairs complete early."""
        requests = [
            PlannedRun(arm.at(*replicate), {"study_id": study_id, "arm": arm.id})
            for replicate in plan.replicates
            for arm in arms
        ]
        return build_rows(requests, self._settings)

    def _with_teacher_runs(
        self, teacher_runs: TeacherRuns, study_id: str, arms: Sequence[Arm], plan: Plan, columns: NewRows
    ) -> tuple[NewRows, list[NewEvent]]:
        """Return the study's runs, naming a run for each of their teachers, and the events of the new teachers."""
        taught = [replace(arm, run=teacher_runs.with_teacher_runs(arm.run)) for arm in arms]
        if all(after.run is before.run for after, before in zip(taught, arms, strict=True)):
            return columns, []
        return self._columns(study_id, taught, plan), teacher_runs.events

    def _row(self, connection: sa.Connection, study_id: str, *, lock: bool = False) -> Row:
        """Return the stored study if the caller may see it."""
        row = studies.by_id(connection, study_id, lock=lock)
        if row is None or not self.caller.sees(row.owner):
            raise StudyNotFound(f"No study has the id {study_id!r}. GET /v1/studies lists all studies.")
        return row

    def _judging(self, connection: sa.Connection, study_id: str, names: Sequence[str | None] = ()) -> Row:
        """Return the study whose results decide: a tuned one's confirmation once it exists, else the study itself.

        Raises:
            StudyNotFound: No study has this id.
            Sealed: One of the series ``names`` is of the test part, and the choice is not confirmed yet.
        """
        row = self._row(connection, study_id)
        if row.tuning_phase is None:
            return row
        confirmation = studies.confirmations(connection, [study_id]).get(study_id)
        if confirmation is None and (sealed := [name for name in names if name and rows_of(name) == "test"]):
            raise Sealed(
                f"{sealed[0]!r} is sealed until the search has ended and its choice is frozen: the study is "
                f"{row.tuning_phase}. The confirmation measures it. Until then, use a metric such as val.loss."
            )
        return row if confirmation is None else confirmation

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


@dataclass(frozen=True)
class _Prepared:
    """A new study with its arms and the columns of its runs."""

    id: str
    new: NewStudy
    arms: Sequence[Arm]
    columns: NewRows


def _cancelled(connection: sa.Connection, study: Row) -> list[NewEvent]:
    """Cancel the unfinished runs and the further looks of a study; return the events."""
    new_events = []
    for row in studies.unfinished(connection, study.id):
        current = rows.by_id(connection, row.id)  # failed already if its teacher was cancelled before it
        if current is not None and current.status not in states.TERMINAL:
            new_events += act(connection, current, "cancel")
    return new_events if study.next_look is None else new_events + stop(connection, study, CANCELLED)


def _keys(columns: NewRows) -> set[ArmKey]:
    return {(row["arm"], row["reuse_key"]) for row in columns}


def _planned_keys(arms: Sequence[Arm], plan: Plan) -> set[ArmKey]:
    return {(arm.id, reuse_key(arm.at(*replicate).spec)) for arm in arms for replicate in plan.replicates}
