"""Operations on studies. Every method is one transaction."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace

import sqlalchemy as sa
from ulid import ULID

from service import idempotency
from service.callers import CallerScoped
from service.errors import SpecRefused
from service.idempotency import Key, StoredResponse
from service.runs import states
from service.runs.actions import act, delete_runs
from service.runs.pages import cursor_at, position
from service.runs.queries import runs as rows
from service.runs.submission import dataset_refs
from service.runs.submission.creation import NewRows, PlannedRun, build_rows, create
from service.runs.submission.teacher_runs import TeacherRuns
from service.settings import Settings
from service.store import events
from service.store.database import reading, writing
from service.store.events import NewEvent
from service.store.rows import Row
from service.studies import queries as studies
from service.studies.across import Across, AcrossQuestion, compare_across
from service.studies.arms import ArmResolver, Parse, check_size
from service.studies.choice import ChoiceQuery, Chosen, choose_arm
from service.studies.comparison import Compared, Question, compare_groups
from service.studies.diagnosis import StudyDiagnosis, diagnose_arms
from service.studies.errors import StudyActive, StudyNotFound
from service.studies.expansion import Arm, Plan
from service.studies.learning_curves import CurveQuery, LearningCurves, learning_curves
from service.studies.looks import ArmKey, Inherited, PlannedStudy, inherited, planned_runs
from service.studies.new_study import NewStudy, baseline_id, primary_metric
from service.studies.preview import Preview, preview
from service.studies.replicates import generalizes_over, replicate_numbers
from service.studies.schedule import schedule_of
from service.studies.sequencer import CANCELLED, check_steps, stop
from service.studies.study import Study
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
        arms = self._resolver.resolve(new.full_plan, self.caller)
        specs = [arm.at(*replicate).spec for arm in arms for replicate in new.plan.replicates]
        keys = _planned_keys(arms, new.full_plan)
        with reading(self._engine) as connection:
            earlier = self._inherited(connection, self._design(new, arms, keys))
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
        arms = self._resolver.resolve(new.full_plan, self.caller)
        if new.schedule is not None:
            check_steps(self.caller, new.schedule, len(arms) * (new.plan.folds or 1))
        study_id = f"study_{ULID()}"
        columns = self._columns(study_id, arms, new.plan)
        with writing(self._engine) as connection:
            stored = idempotency.replay(connection, key, self._settings.idempotency_seconds)
            if stored is not None:
                return stored
            dataset_refs.lock(connection, [arm.run.spec for arm in arms], self.caller)
            teacher_runs = TeacherRuns(connection, self._settings, self.caller, reuse=reuse)
            columns, teacher_events = self._with_teacher_runs(teacher_runs, study_id, arms, new.plan, columns)
            keys = _keys(columns) | (set() if new.schedule is None else _planned_keys(arms, new.full_plan))
            self._insert(connection, study_id, new, arms, keys)
            _, new_events = create(connection, columns, self._settings, reuse=reuse, caller=self.caller)
            new_events = teacher_events + new_events
            answer = StoredResponse(201, render(self._study(connection, study_id)), study_id)
            idempotency.store(connection, key, answer)
            events.append(connection, new_events)
        return answer

    def _insert(
        self, connection: sa.Connection, study_id: str, new: NewStudy, arms: Sequence[Arm], keys: Collection[ArmKey]
    ) -> None:
        """Insert the row of a new study, with the looks that it inherits from studies of equal runs."""
        design = self._design(new, arms, keys)
        earlier = self._inherited(connection, design)
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
            **earlier.columns,
        }
        studies.insert(connection, values)

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
            progress = studies.progress(connection, [row.id for row in page])
        more = len(rows_and_next) > limit
        listed = [Study.of(row, [one for one in progress if one.study_id == row.id]) for row in page]
        return StudyPage(listed, more, cursor_at(page[-1]) if more else None)

    def cancel(self, study_id: str) -> tuple[Study, bool]:
        """Cancel every run that has not ended, and return whether that changed any run.

        Raises:
            StudyNotFound: No study has this id.
            NotOwner: The study belongs to another owner.
        """
        with writing(self._engine) as connection:
            stored = self._locked(connection, study_id)
            new_events = []
            for row in studies.unfinished(connection, study_id):
                current = rows.by_id(connection, row.id)  # failed already if its teacher was cancelled before it
                if current is not None and current.status not in states.TERMINAL:
                    new_events += act(connection, current, "cancel")
            if stored.next_look is not None:
                new_events += stop(connection, stored, CANCELLED)
            study = self._study(connection, study_id)
            events.append(connection, new_events)
        return study, bool(new_events)

    def delete(self, study_id: str) -> None:
        """Delete a study, its runs and their files; other studies keep the results that they reused.

        Raises:
            StudyNotFound: No study has this id.
            NotOwner: The study belongs to another owner.
            StudyActive: Some of its runs have not ended.
        """
        with writing(self._engine) as connection:
            self._locked(connection, study_id)
            active = studies.unfinished(connection, study_id)
            if active:
                raise StudyActive(f"{len(active)} runs of the study have not ended; cancel it first.")
            paths = delete_runs(connection, [row.id for row in studies.runs_of(connection, study_id)])
            studies.delete(connection, study_id)
        self._settings.checkpoint_files.drop(paths)

    def compare(self, study_id: str, question: Question) -> Compared:
        """Compare the study's arms, or other groups of its runs.

        Raises:
            StudyNotFound: No study has this id.
            SpecRefused: The metric, epoch, arm or path does not exist.
        """
        with reading(self._engine) as connection:
            return compare_groups(connection, self._row(connection, study_id), question)

    def compare_across(self, study_id: str, question: AcrossQuestion) -> Across:
        """Compare the study's arms over all its datasets.

        Raises:
            StudyNotFound: No study has this id.
            SpecRefused: The study has one dataset, or the metric, epoch, arm or dataset does not exist.
        """
        with reading(self._engine) as connection:
            return compare_across(connection, self._row(connection, study_id), question)

    def diagnose(self, study_id: str) -> StudyDiagnosis:
        """Diagnose every arm from the loss curves of its seeds.

        Raises:
            StudyNotFound: No study has this id.
        """
        with reading(self._engine) as connection:
            return diagnose_arms(connection, self._row(connection, study_id))

    def learning_curves(self, study_id: str, query: CurveQuery) -> LearningCurves:
        """Fit the learning curves of a study with several sizes of the training set.

        Raises:
            StudyNotFound: No study has this id.
            SpecRefused: The study has no axis of sizes, or the metric or epoch does not exist.
        """
        with reading(self._engine) as connection:
            return learning_curves(connection, self._row(connection, study_id), query)

    def choose(self, study_id: str, query: ChoiceQuery) -> Chosen:
        """Choose an arm, and return its spec.

        Raises:
            StudyNotFound: No study has this id.
            SpecRefused: The metric, epoch or order does not exist, or the choice would use the test set.
            NothingToChoose: The study's runs do not allow a choice yet.
        """
        with reading(self._engine) as connection:
            return choose_arm(connection, self._row(connection, study_id), query)

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

    def _locked(self, connection: sa.Connection, study_id: str) -> Row:
        """Lock and return a study that the caller may change."""
        row = self._row(connection, study_id, lock=True)
        self.caller.check_owns(row.owner, f"The study {study_id}")
        return row

    def _study(self, connection: sa.Connection, study_id: str) -> Study:
        return Study.of(self._row(connection, study_id), studies.progress(connection, [study_id]))


def _keys(columns: NewRows) -> set[ArmKey]:
    return {(row["arm"], row["reuse_key"]) for row in columns}


def _planned_keys(arms: Sequence[Arm], plan: Plan) -> set[ArmKey]:
    return {(arm.id, reuse_key(arm.at(*replicate).spec)) for arm in arms for replicate in plan.replicates}
