"""What clients do with studies. Every method is one transaction."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import sqlalchemy as sa
from ulid import ULID

from service import idempotency
from service.callers import CallerScoped
from service.errors import FieldError, SpecRefused
from service.idempotency import Key, StoredResponse
from service.runs import states
from service.runs.actions import act, forget
from service.runs.pages import cursor_at, position
from service.runs.queries import runs as rows
from service.runs.submission import teachers, warm_starts
from service.runs.submission.creation import Prepared, Wanted, create, prepared
from service.runs.submission.dataset_refs import hold, names_upload, resolved
from service.runs.submission.review import NewRun, estimate, review, stack_runs
from service.runs.submission.teacher_runs import Hiring
from service.settings import Settings
from service.statistics.family import min_seeds
from service.store import events
from service.store.database import reading, writing
from service.store.events import NewEvent
from service.store.rows import Row
from service.studies import choice as choosing
from service.studies import comparison as comparing
from service.studies import queries as studies
from service.studies.choice import Chosen, Wish
from service.studies.comparison import ALPHA, Compared, Question
from service.studies.errors import StudyActive, StudyNotFound
from service.studies.expansion import Arm, Plan, arms_of, in_study
from service.studies.study import Preview, Study
from worker.spec.run import reuse_key, stack_key

Parse = Callable[[Mapping[str, Any]], NewRun]


@dataclass(frozen=True, kw_only=True)
class NewStudy:
    """A study to be."""

    name: str | None
    request: Mapping[str, Any]
    """The body as it came, for who wants to do it again."""
    plan: Plan
    metric: str | None
    at: str
    baseline: str | None


@dataclass(frozen=True)
class StudyPage:
    """Some studies, newest first, and where the next page begins."""

    studies: Sequence[Study]
    has_more: bool
    next_cursor: str | None


class Studies(CallerScoped):
    """Studies in one database, as the caller may see and change them; ``parse`` makes a run of a body."""

    def __init__(self, engine: sa.Engine, settings: Settings, parse: Parse) -> None:
        self._engine = engine
        self._settings = settings
        self._parse = parse

    def preview(self, new: NewStudy, *, reuse: bool = True) -> Preview:
        """What the study would cost, and whether it can decide anything.

        Raises:
            SpecRefused: an arm is not a run that can be trained here.
        """
        arms = self._arms(new.plan)
        runs = [arm.at(*place).spec for arm in arms for place in new.plan.places]
        keys = [reuse_key(spec) for spec in runs]
        with reading(self._engine) as connection:
            models = rows.finished_equals(connection, keys if reuse else [], owner=self.caller.reuses_only)
        fresh = [spec for spec, key in zip(runs, keys, strict=True) if key not in models]
        stacks = 0
        for _, mates in itertools.groupby(sorted(fresh, key=stack_key), key=stack_key):
            together = list(mates)
            stacks += -(-len(together) // stack_runs(together[0], self._settings))
        costs = [estimate(spec) for spec in fresh]
        comparisons = max(1, len(arms) - 1)
        return Preview(
            runs=len(runs),
            reused=len(runs) - len(fresh),
            arms=[arm.id for arm in arms],
            seeds=new.plan.seeds,
            folds=new.plan.folds,
            stacks=stacks,
            seconds=sum(cost.seconds for cost in costs),
            bytes=max((cost.bytes for cost in costs), default=0),
            min_seeds=min_seeds(ALPHA, comparisons),
            warnings=_warnings(arms, len(new.plan.seeds), comparisons),
        )

    def create(
        self, new: NewStudy, *, render: Callable[[Study], str], reuse: bool = True, key: Key | None = None
    ) -> StoredResponse:
        """Queue all runs of the study at once, or none of them.

        Raises:
            SpecRefused: an arm is not a run that can be trained here.
            KeyReused: The key was used with another body or query.
            QuotaExceeded: the owner would have more unfinished runs than it may.
        """
        arms = self._arms(new.plan)
        metric = _metric(new, arms)
        baseline = _baseline(new.baseline, arms)
        study_id = f"study_{ULID()}"
        columns = self._columns(study_id, arms, new.plan)
        with writing(self._engine) as connection:
            stored = idempotency.replay(connection, key, self._settings.idempotency_seconds)
            if stored is not None:
                return stored
            values = {
                "id": study_id,
                "name": new.name,
                "request": dict(new.request),
                "arms": [{"id": arm.id, "name": arm.name, "values": dict(arm.values)} for arm in arms],
                "seeds": list(new.plan.seeds),
                "metric": metric,
                "at": new.at,
                "baseline": baseline,
                "looks": 1,
                "owner": self.caller.owner,
            }
            studies.insert(connection, values)
            hold(connection, [arm.run.spec for arm in arms], self.caller)
            hiring = Hiring(connection, self._settings, self.caller, reuse=reuse)
            columns, hired = self._hired(hiring, study_id, arms, new.plan, columns)
            _, told = create(connection, columns, self._settings, reuse=reuse, caller=self.caller)
            told = hired + told
            answer = StoredResponse(201, render(self._study(connection, study_id)), study_id)
            idempotency.store(connection, key, answer)
            events.append(connection, told)
        return answer

    def add_seeds(
        self, study_id: str, plan: Plan, *, render: Callable[[Study], str], key: Key | None = None
    ) -> StoredResponse:
        """Train every arm with the seeds of ``plan``, too; where results could be seen already, that is another look.

        Raises:
            StudyNotFound: there is none of this id.
            NotOwner: it is another's.
            KeyReused: The key was used with another body or query.
            SpecRefused: a seed is there already.
            QuotaExceeded: the owner would have more unfinished runs than it may.
        """
        arms, seeds = self._arms(plan), plan.seeds
        columns = self._columns(study_id, arms, plan)
        with writing(self._engine) as connection:
            stored = idempotency.replay(connection, key, self._settings.idempotency_seconds)
            if stored is not None:
                return stored
            row = self._locked(connection, study_id)
            self._check_size(len(arms), len(row.seeds) + len(seeds), plan.folds)
            twice = sorted(set(seeds) & set(row.seeds))
            if twice:
                message = f"The study has the seeds {', '.join(map(str, twice))} already; give others."
                raise SpecRefused(message, errors=[FieldError("/seeds", "seed_there", message)])
            progress = studies.progress(connection, [study_id])
            wanted = len(arms) * len(row.seeds) * (plan.folds or 1)
            # A run that is gone may have been seen before it went.
            seen = sum(one.epoch for one in progress) > 0 or sum(one.runs for one in progress) < wanted
            studies.change(connection, study_id, {"seeds": [*row.seeds, *seeds], "looks": row.looks + seen})
            hold(connection, [arm.run.spec for arm in arms], self.caller)
            theirs = self.caller.acting_for(row.owner)
            hiring = Hiring(connection, self._settings, theirs, reuse=True)
            columns, hired = self._hired(hiring, study_id, arms, plan, columns)
            _, told = create(connection, columns, self._settings, reuse=True, caller=theirs)
            told = hired + told
            answer = StoredResponse(202, render(self._study(connection, study_id)), study_id)
            idempotency.store(connection, key, answer)
            events.append(connection, told)
        return answer

    def get(self, study_id: str) -> Study:
        """One study.

        Raises:
            StudyNotFound: there is none of this id.
        """
        with reading(self._engine) as connection:
            return self._study(connection, study_id)

    def page(self, *, limit: int, after: str | None) -> StudyPage:
        """Studies, newest first.

        Raises:
            BadCursor: ``after`` is no cursor of a page.
        """
        with reading(self._engine) as connection:
            before = None if after is None else position(after)
            found = studies.page(connection, before=before, limit=limit + 1, owner=self.caller.only)
            shown = found[:limit]
            progress = studies.progress(connection, [row.id for row in shown])
        more = len(found) > limit
        listed = [Study.of(row, [one for one in progress if one.study_id == row.id]) for row in shown]
        return StudyPage(listed, more, cursor_at(shown[-1]) if more else None)

    def cancel(self, study_id: str) -> tuple[Study, bool]:
        """Ask every run that has not ended to end; True where that changed something.

        Raises:
            StudyNotFound: there is none of this id.
            NotOwner: it is another's.
        """
        with writing(self._engine) as connection:
            self._locked(connection, study_id)
            told = []
            for row in studies.unfinished(connection, study_id):
                now = rows.by_id(connection, row.id)  # where its teacher was cancelled just now it has failed
                if now is not None and now.status not in states.TERMINAL:
                    told += act(connection, now, "cancel")
            study = self._study(connection, study_id)
            events.append(connection, told)
        return study, bool(told)

    def delete(self, study_id: str) -> None:
        """Forget a study, its runs and their files; what other studies took over of them stays with those.

        Raises:
            StudyNotFound: there is none of this id.
            NotOwner: it is another's.
            StudyActive: some of its runs have not ended.
        """
        with writing(self._engine) as connection:
            self._locked(connection, study_id)
            active = studies.unfinished(connection, study_id)
            if active:
                raise StudyActive(f"{len(active)} of its runs have not ended; cancel the study first.")
            paths = forget(connection, [row.id for row in studies.runs_of(connection, study_id)])
            studies.delete(connection, study_id)
        self._settings.checkpoint_files.drop(paths)

    def compare(self, study_id: str, question: Question) -> Compared:
        """The study's arms, or other groups of its runs, against each other.

        Raises:
            StudyNotFound: there is none of this id.
            SpecRefused: there is no such metric, epoch, arm or path.
        """
        with reading(self._engine) as connection:
            return comparing.answer(connection, self._row(connection, study_id), question)

    def choose(self, study_id: str, wish: Wish) -> Chosen:
        """The arm to take, and its spec.

        Raises:
            StudyNotFound: there is none of this id.
            SpecRefused: there is no such metric, epoch or order, or the choice would be made on the test set.
            NothingToChoose: its runs do not allow a choice yet.
        """
        with reading(self._engine) as connection:
            return choosing.answer(connection, self._row(connection, study_id), wish)

    def run_ids(self, study_id: str) -> list[str]:
        """The ids of its runs, in the order in which they were queued.

        Raises:
            StudyNotFound: there is none of this id.
        """
        with reading(self._engine) as connection:
            self._row(connection, study_id)
            return [row.id for row in studies.runs_of(connection, study_id)]

    def _arms(self, plan: Plan) -> list[Arm]:
        self._check_size(plan.arm_count, len(plan.seeds), plan.folds)
        arms = arms_of(plan, self._resolved)
        with reading(self._engine) as connection:
            named = [warm_starts.resolved(connection, arm.run, self.caller) for arm in arms]
            named = [teachers.resolved(connection, one, self.caller) for one in named]
        arms = [replace(arm, run=run) for arm, run in zip(arms, named, strict=True)]
        for arm in arms:
            try:
                review(arm.at(*plan.places[0]).spec, self._settings)  # no other fold leaves fewer rows to train on
            except SpecRefused as refusal:
                raise in_study(refusal, arm, plan.arms[arm.name]) from refusal
        return arms

    def _resolved(self, body: Mapping[str, Any]) -> NewRun:
        """The run that a body describes, with what is known of the data that it names."""
        new = self._parse(body)
        if not names_upload(new.spec):
            return new
        with reading(self._engine) as connection:
            return resolved(connection, new, self.caller)

    def _check_size(self, arms: int, seeds: int, folds: int | None) -> None:
        if (runs := arms * seeds * (folds or 1)) > self._settings.max_study_runs:
            what = f"{seeds:,} seeds on {folds} folds" if folds else f"{seeds:,} seeds"
            message = (
                f"{arms:,} arms with {what} are {runs:,} runs; this server takes at most "
                f"{self._settings.max_study_runs:,} in a study (FITWELL_MAX_STUDY_RUNS)."
            )
            raise SpecRefused(message, errors=[FieldError("", "too_many_runs", message)])

    def _columns(self, study_id: str, arms: Sequence[Arm], plan: Plan) -> Prepared:
        """The study's runs to be, seed by seed, so that pairs are complete as early as can be."""
        places = plan.places
        wanted = [Wanted(arm.at(*place), {"study_id": study_id, "arm": arm.id}) for place in places for arm in arms]
        return prepared(wanted, self._settings)

    def _hired(
        self, hiring: Hiring, study_id: str, arms: Sequence[Arm], plan: Plan, columns: Prepared
    ) -> tuple[Prepared, list[NewEvent]]:
        """The study's runs with a run for each of their teachers, and what is to be told of those."""
        taught = [replace(arm, run=hiring.hired(arm.run)) for arm in arms]
        if all(after.run is before.run for after, before in zip(taught, arms, strict=True)):
            return columns, []
        return self._columns(study_id, taught, plan), hiring.told

    def _row(self, connection: sa.Connection, study_id: str, *, lock: bool = False) -> Row:
        """The study as it is stored, if the caller sees it."""
        row = studies.by_id(connection, study_id, lock=lock)
        if row is None or not self.caller.sees(row.owner):
            raise StudyNotFound(f"There is no study {study_id!r}. GET /v1/studies lists those there are.")
        return row

    def _locked(self, connection: sa.Connection, study_id: str) -> Row:
        """The study, which is the caller's to change; nobody else does until the transaction is over."""
        row = self._row(connection, study_id, lock=True)
        self.caller.check_owns(row.owner, f"The study {study_id}")
        return row

    def _study(self, connection: sa.Connection, study_id: str) -> Study:
        return Study.of(self._row(connection, study_id), studies.progress(connection, [study_id]))


def _metric(new: NewStudy, arms: Sequence[Arm]) -> str:
    """The primary metric: the one asked for, else val.loss, or test.loss where an arm holds nothing out."""
    if new.metric is not None:
        return new.metric
    held_out = new.plan.folds or all(arm.run.spec.dataset.validation_rows for arm in arms)
    return "val.loss" if held_out else "test.loss"


def _baseline(asked: str | None, arms: Sequence[Arm]) -> str:
    """The arm that others are compared with: the one asked for, by name or id, else the first."""
    if asked is None:
        return arms[0].id
    for arm in arms:
        if asked in (arm.id, arm.name):
            return arm.id
    message = f"There is no arm {asked!r} to compare with."
    raise SpecRefused(message, errors=[FieldError("/baseline", "no_such_arm", message, [arm.id for arm in arms])])


def _warnings(arms: Sequence[Arm], seeds: int, comparisons: int) -> list[str]:
    least = min_seeds(ALPHA, comparisons)
    warnings = []
    if len(arms) > 1 and seeds < least:
        what = "1 comparison" if comparisons == 1 else f"{comparisons} comparisons"
        warnings.append(
            f"With {seeds} seed(s) no difference can be significant: {what} at {ALPHA} need at least {least}."
        )
    return warnings
