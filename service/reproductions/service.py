"""Operations on reproductions. Starting one is one transaction; reading one is a transaction for each study."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from anyio import from_thread

from service.bias_variance.service import BiasVariances
from service.callers import CallerScoped
from service.errors import Refusal, SpecRefused, TookTooLong, Unavailable
from service.reproductions import queries
from service.reproductions.definition import SCALES, Claim, Reproduction, Scale
from service.reproductions.judgment import Judgment
from service.reproductions.parts import PartOrder
from service.reproductions.published import reproduction, reproductions
from service.reproductions.resume import ended_early, resumed
from service.reproductions.state import Cost, Machine, Overview, ReproductionState, Result, ScalePlan
from service.runs.patches import patched
from service.runs.states import TERMINAL
from service.settings import Settings
from service.store import events
from service.store.database import reading, writing
from service.store.idempotency_keys import reserve
from service.store.rows import Row
from service.studies import queries as study_rows
from service.studies.arms import Parse
from service.studies.comparison import Compared
from service.studies.creation import PreparedStudy, StudyCreation
from service.studies.errors import StudyNotFound
from service.studies.expansion import DATASET
from service.studies.new_study import NewStudy
from service.studies.question import Question
from service.studies.service import Studies
from service.studies.study import Study
from worker.spec.datasets import KINDS
from worker.spec.families.built_in import BuiltIn
from worker.spec.fetched import Fetched

StudyOf = Callable[[Mapping[str, Any]], NewStudy]
"""Turns the body of a study into the study to create."""
Answers = dict[tuple[str, Question], Compared]
"""Comparisons by study and question, as several claims ask one."""


class Reproductions(CallerScoped):
    """The reproductions, with the studies that the caller may see; ``study_of`` turns a body into a new study."""

    def __init__(
        self,
        engine: sa.Engine,
        settings: Settings,
        studies: Studies,
        bias_variances: BiasVariances,
        parse: Parse,
        study_of: StudyOf,
    ) -> None:
        self._engine = engine
        self._settings = settings
        self._studies = studies
        self._bias_variances = bias_variances
        self._creation = StudyCreation(engine, settings, parse)
        self._study_of = study_of

    def all(self) -> Sequence[Overview]:
        """Return every reproduction, by name."""
        with reading(self._engine) as connection:
            return [
                Overview(name=name, definition=definition, scales=self._scales(connection, name, definition))
                for name, definition in reproductions().items()
            ]

    def get(self, name: str, scale: Scale) -> ReproductionState:
        """Return a reproduction at one scale: the caller's own, or the newest that the caller may see.

        Raises:
            ReproductionNotFound: No reproduction has this name.
        """
        definition = reproduction(name)
        with reading(self._engine) as connection:
            row = self._visible(connection, name, definition, scale)
            scales = self._scales(connection, name, definition)
        studies = {study: self._study(row, study) for study in definition.studies[scale]}
        answers: Answers = {}
        parts = [part for one in studies.values() if one for part in (one, one.confirmation) if part]
        with reading(self._engine) as connection:
            machines = [Machine(**one._mapping) for one in queries.machines(connection, [part.id for part in parts])]
        claims = {} if row is None else definition.claims_at(scale)
        return ReproductionState(
            name=name,
            definition=definition,
            scales=scales,
            scale=scale,
            owner=None if row is None else row.owner,
            studies=studies,
            results={key: self._result(claim, studies[claim.rule.study], answers) for key, claim in claims.items()},
            machines=machines,
        )

    def cost(self, name: str, scale: Scale) -> Cost:
        """Return what starting a reproduction takes, without what finished runs save.

        Raises:
            ReproductionNotFound: No reproduction has this name.
            SpecRefused: A dataset is not on this server, or a study cannot be trained here.
        """
        news = self._new_studies(reproduction(name), scale)
        if (missing := self._missing(news)) is not None:
            raise SpecRefused.at("", "dataset_missing", missing)
        return Cost.of([self._studies.on_behalf_of(self.caller).preview(new) for new in news])

    def start(self, name: str, scale: Scale) -> bool:
        """Queue the studies of a reproduction, all or none of them; return whether the caller had not started it.

        If the caller has started it before, its results stay. Studies that were deleted or stopped are queued again,
        with the results that they had, and so are runs that failed or were cancelled.

        Raises:
            ReproductionNotFound: No reproduction has this name.
            SpecRefused: A dataset is not on this server, or a study cannot be trained here.
            QuotaExceeded: The owner would exceed the limit on unfinished runs.
        """
        definition = reproduction(name)
        if (missing := self._missing(self._new_studies(definition, scale))) is not None:
            raise SpecRefused.at("", "dataset_missing", missing)
        with reading(self._engine) as connection:
            absent = self._absent(connection, self._own(connection, name, definition, scale), definition, scale)
        creation = self._creation.on_behalf_of(self.caller)
        prepared = {study: creation.prepare(self._study_of(definition.study_body(scale, study))) for study in absent}
        with writing(self._engine) as connection:
            reserve(connection, self.caller.owner, f"/v1/reproductions/{name}", scale)
            row = self._own(connection, name, definition, scale)
            absent = self._absent(connection, row, definition, scale)
            stored = {} if row is None else row.studies
            new_events = resumed(connection, [one for study, one in stored.items() if study not in absent])
            queued = {study: prepared[study] for study in absent if study in prepared}
            for one in queued.values():
                new_events += creation.queue(connection, one, reuse=True)
            self._record(connection, row, name, definition, scale, queued)
            events.append(connection, new_events)
        return row is None

    def _record(
        self,
        connection: sa.Connection,
        row: Row | None,
        name: str,
        definition: Reproduction,
        scale: Scale,
        queued: Mapping[str, PreparedStudy],
    ) -> None:
        """Store the ids of the queued studies."""
        ids = {**({} if row is None else row.studies), **{study: one.id for study, one in queued.items()}}
        if row is not None:
            queries.change(connection, row, {"studies": ids})
            return
        own = {"owner": self.caller.owner, "name": name, "scale": scale, "definition": definition.digest(scale)}
        queries.insert(connection, {**own, "studies": ids})

    def _absent(
        self, connection: sa.Connection, row: Row | None, definition: Reproduction, scale: Scale
    ) -> Sequence[str]:
        """Return the studies to create: those that do not exist, have ended early, or lack runs."""
        ids = {} if row is None else row.studies
        existing = {one.id: one for one in study_rows.by_ids(connection, list(ids.values()))}
        return [
            study
            for study in definition.studies[scale]
            if (stored := existing.get(ids.get(study, ""))) is None or ended_early(connection, stored)
        ]

    def _own(self, connection: sa.Connection, name: str, definition: Reproduction, scale: Scale) -> Row | None:
        return queries.newest(connection, name, scale, definition.digest(scale), owner=self.caller.owner)

    def _visible(self, connection: sa.Connection, name: str, definition: Reproduction, scale: Scale) -> Row | None:
        own = self._own(connection, name, definition, scale)
        if own is not None or self.caller.only is not None:
            return own
        return queries.newest(connection, name, scale, definition.digest(scale), owner=None)

    def _scales(self, connection: sa.Connection, name: str, definition: Reproduction) -> dict[Scale, ScalePlan]:
        plans: dict[Scale, ScalePlan] = {}
        for scale in SCALES:
            row = self._visible(connection, name, definition, scale)
            news = self._new_studies(definition, scale)
            plans[scale] = ScalePlan(
                runs=sum(new.plan.arm_count * len(new.plan.replicates) for new in news),
                missing=self._missing(news),
                started_at=None if row is None else row.created_at,
            )
        return plans

    def _new_studies(self, definition: Reproduction, scale: Scale) -> list[NewStudy]:
        return [self._study_of(definition.study_body(scale, study)) for study in definition.studies[scale]]

    def _missing(self, news: Sequence[NewStudy]) -> str | None:
        """Return the commands that bring the studies' datasets that are not on this server; None if all are."""
        kinds = {
            str(patched(base, arm)[DATASET]["kind"])
            for new in news
            for _, base in new.plan.bases
            for arm in new.plan.arms.values()
        }
        parts = [KINDS[kind] for kind in sorted(kinds)]
        commands = [part.missing(self._settings.datasets) for part in parts if issubclass(part, BuiltIn | Fetched)]
        return " ".join(command for command in commands if command) or None

    def _study(self, row: Row | None, study: str) -> Study | None:
        """Return a study that was started; None if it was not, or was deleted."""
        if row is None or study not in row.studies:
            return None
        try:
            return self._studies.on_behalf_of(self.caller).get(row.studies[study])
        except StudyNotFound:
            return None

    def _result(self, claim: Claim, study: Study | None, answers: Answers) -> Result:
        """Return the verdict on a claim, from the comparison of its study."""
        pending = Judgment("pending", [])
        if study is None:
            message = f"The study {claim.rule.study!r} was deleted. Start the reproduction again."
            return Result(judgment=pending, compared=None, message=message)
        if study.status != "finished":
            counts = study.judging.by_status
            ended = sum(count for status, count in counts.items() if status in TERMINAL)
            message = f"{ended:,} of {sum(counts.values()):,} runs have ended."
            return Result(judgment=pending, compared=None, message=message)
        if study.tune is not None and study.confirmation is None:
            return Result(judgment=pending, compared=None, message=study.stop_reason or "The study was interrupted.")
        question = claim.rule.question()
        try:
            if (study.id, question) not in answers:
                answers[study.id, question] = self._studies.on_behalf_of(self.caller).compare(study.id, question)
        except SpecRefused as refusal:  # such as a metric that no run recorded
            return Result(judgment=Judgment("undecided", []), compared=None, message=refusal.detail)
        compared = answers[study.id, question]
        if isinstance(claim.rule, PartOrder):
            return self._result_of_part(claim.rule, study, compared)
        return _judged(claim.rule.judge_compared(compared), compared)

    def _result_of_part(self, rule: PartOrder, study: Study, compared: Compared) -> Result:
        """Return the verdict on a claim about bias or variance, from the predictions of the study's runs."""
        pending = Judgment("pending", [])
        bias_variances = self._bias_variances.on_behalf_of(self.caller)
        try:
            parts = from_thread.run(bias_variances.of_study, study.id, rule.epoch(compared), rule.arms)
        except (Unavailable, TookTooLong) as refusal:
            return Result(judgment=pending, compared=None, message=refusal.detail)
        except Refusal as refusal:
            return Result(judgment=Judgment("undecided", []), compared=None, message=refusal.detail)
        if parts.pending:
            message = f"Predictions of {parts.pending:,} runs are still to be computed."
            return Result(judgment=pending, compared=None, message=message, is_measuring=True)
        by_part = rule.compared_by_part(compared, parts)
        return _judged(rule.judge_parts(by_part, parts), by_part)


def _judged(judgment: Judgment, compared: Compared) -> Result:
    """Return the result of a judgment, with the reason if a look is not due."""
    not_yet = compared.not_yet if judgment.verdict == "pending" else None
    return Result(judgment=judgment, compared=compared, message=None if not_yet is None else not_yet.message)
