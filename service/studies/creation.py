"""The creation of studies: from a new study to its row, and to runs that are queued."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from ulid import ULID

from service.callers import CallerScoped
from service.errors import SpecRefused
from service.runs.submission import dataset_refs
from service.runs.submission.creation import NewRows, build_rows
from service.runs.submission.teacher_runs import TeacherRuns
from service.settings import Settings
from service.store import ledger
from service.store.events import NewEvent
from service.store.rows import Row
from service.studies import queries as studies
from service.studies.arms import ArmResolver, Parse, check_tuned
from service.studies.expansion import Arm, Plan
from service.studies.looks import NOT_INHERITED, ArmKey, Inherited, PlannedStudy, inherited, planned_runs
from service.studies.metrics import rows_of
from service.studies.new_study import NewStudy, baseline_id, primary_metric
from service.studies.queueing import insert, runs_of_arms, with_preceding_runs
from service.studies.replicates import generalizes_over, replicate_numbers
from service.studies.sequencer import check_steps
from service.studies.tuning import located
from worker.spec.keys import reuse_key


@dataclass(frozen=True)
class PreparedStudy:
    """A new study with its arms and the columns of its runs."""

    id: str
    new: NewStudy
    arms: Sequence[Arm]
    columns: NewRows


class StudyCreation(CallerScoped):
    """Creates studies of the caller; ``parse`` turns a body into a run."""

    def __init__(self, engine: sa.Engine, settings: Settings, parse: Parse) -> None:
        self._settings = settings
        self._resolver = ArmResolver(engine, settings, parse)

    def resolve_plan(self, plan: Plan) -> list[Arm]:
        """Return the arms of a plan.

        Raises:
            SpecRefused: The study is too large, or an arm cannot be trained here.
        """
        return self._resolver.resolve(plan, self.caller)

    def resolve(self, new: NewStudy) -> list[Arm]:
        """Return the arms of a new study.

        Raises:
            SpecRefused: The study is too large, or an arm cannot be trained here.
        """
        if new.tune is None:
            return self.resolve_plan(new.full_plan)
        try:
            arms = self.resolve_plan(new.plan)
        except SpecRefused as refusal:
            raise located(refusal, new.tune) from refusal
        check_tuned(new.tune, new.at, arms, self.caller, self._settings)
        return arms

    def prepare(self, new: NewStudy) -> PreparedStudy:
        """Return a new study with its arms and the columns of its runs, which are slow to compute."""
        arms, study_id = self.resolve(new), f"study_{ULID()}"
        if new.schedule is not None:
            check_steps(self.caller, new.schedule, len(arms) * (new.plan.folds or 1))
        return PreparedStudy(study_id, new, arms, self.columns(study_id, arms, new.plan))

    def queue(self, connection: sa.Connection, prepared: PreparedStudy, *, reuse: bool) -> list[NewEvent]:
        """Insert a study with its runs, and return their events."""
        new, arms = prepared.new, prepared.arms
        dataset_refs.lock(connection, [arm.run.spec for arm in arms], self.caller)
        teacher_runs = TeacherRuns(connection, self._settings, self.caller, reuse=reuse)
        columns = with_preceding_runs(teacher_runs, prepared.id, arms, new.plan, prepared.columns, self._settings)
        keys = keys_of(columns) | (set() if new.schedule is None else planned_keys(arms, new.full_plan))
        self._insert(connection, prepared.id, new, arms, keys)
        return insert(connection, columns, teacher_runs, self._settings, reuse=reuse, caller=self.caller)

    def _insert(
        self, connection: sa.Connection, study_id: str, new: NewStudy, arms: Sequence[Arm], keys: Collection[ArmKey]
    ) -> None:
        """Insert the row of a new study, with the looks that it inherits from studies of equal runs."""
        design = self.design(new, arms, keys)
        earlier = self.inherited(connection, design) if new.tune is None else NOT_INHERITED
        datasets = sorted({arm.run.spec.dataset.digest() for arm in arms})
        values = {
            "id": study_id,
            **new.metadata.model_dump(),
            "request": dict(new.request),
            "arms": [stored_arm(arm) for arm in arms],
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

    def extend(self, connection: sa.Connection, row: Row, seeds: Sequence[int], keys: Collection[ArmKey]) -> None:
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

    def design(self, new: NewStudy, arms: Sequence[Arm], keys: Collection[ArmKey]) -> PlannedStudy:
        """Return the question of a new study, whose runs have these keys.

        Raises:
            SpecRefused: The baseline does not exist, or a sequential study has only one arm.
        """
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

    def inherited(self, connection: sa.Connection, design: PlannedStudy) -> Inherited:
        """Return the looks that a new study inherits.

        Raises:
            SpecRefused: A sequential study would begin with some of the seeds that have been compared before.
        """
        earlier = inherited(connection, design, owner=self.caller.reuses_only)
        if design.schedule is not None and (missing := set(earlier.seeds) - set(design.seeds)):
            message = (
                f"Earlier studies of the same arms ({', '.join(earlier.studies)}) have seeds up to {max(missing)}, "
                f"which the first look would leave out. Set start to {max(earlier.seeds) + 1}, or raise first: in "
                "'seeds', or in tune.confirm of a tuned study."
            )
            raise SpecRefused.at("/seeds", "seeds_left_out", message)
        return earlier

    def columns(self, study_id: str, arms: Sequence[Arm], plan: Plan) -> NewRows:
        """Return the columns of the study's runs, seed by seed, so that pairs complete early."""
        return build_rows(runs_of_arms(study_id, arms, plan), self._settings)


def stored_arm(arm: Arm) -> dict[str, Any]:
    """Return an arm as a study stores it, with the spec of the runs that its runs start from, if it has one."""
    start = arm.run.spec.warm_start
    template = {} if start is None or start.spec is None else {"warm_start": start.model_dump(mode="json")}
    return {"id": arm.id, "name": arm.name, "values": dict(arm.values), **template}


def keys_of(columns: NewRows) -> set[ArmKey]:
    """Return the arms and reuse keys of new runs."""
    return {(row["arm"], row["reuse_key"]) for row in columns}


def planned_keys(arms: Sequence[Arm], plan: Plan) -> set[ArmKey]:
    """Return the arms and reuse keys of all runs of a plan."""
    return {(arm.id, reuse_key(arm.at(*replicate).spec)) for arm in arms for replicate in plan.replicates}


def run_bodies(arms: Sequence[Arm]) -> dict[str, dict[str, Any]]:
    """Return the body of every arm's run, without a seed, measured on the test part, by the arm's id."""
    bodies = {}
    for arm in arms:
        evaluate = arm.run.spec.evaluate.model_copy(update={"test": "every_epoch"})
        spec = arm.run.spec.model_copy(update={"evaluate": evaluate})
        metadata = arm.run.metadata.model_dump(mode="json", exclude_defaults=True)
        bodies[arm.id] = {**metadata, **spec.model_dump(mode="json", exclude={"seed"})}
    return bodies
