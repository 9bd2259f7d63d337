"""The importance of columns over a study's runs."""

from __future__ import annotations

import asyncio
import math
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from service.errors import Refusal, SpecRefused
from service.models.errors import FileLost
from service.models.files import ImportanceQuestion, ModelFiles, ModelImportance
from service.runs.errors import NotMeasured, RunNotFound
from service.runs.saved_weights import At
from service.statistics.importance import ArmImportance, RunImportance, summarize_importance
from service.statistics.pairing import State
from service.studies.design import StudyDesign
from service.studies.measurements import Slot, run_state
from service.studies.results import StudyResults

SECONDS = 5.0
"""Time in a request after which no further run is measured. Results in the cache take none of it."""


@dataclass(frozen=True, kw_only=True)
class StudyQuestion:
    """A question about the importance of columns over a study's runs."""

    at: At | None
    """None for the study's own epoch."""
    of_runs: ImportanceQuestion
    max_runs: int
    """The first replicates of every arm are measured, up to this number of runs."""
    max_columns: int
    """The most important columns of each arm are returned."""
    arms: Sequence[str]
    """Empty for all arms."""


@dataclass(frozen=True, kw_only=True)
class StudyImportance:
    """The importance of columns to the models of a study's arms."""

    design: StudyDesign
    at: At
    replicates: Sequence[int]
    """The replicates that were used."""
    left_out: int
    """Existing replicates beyond the limit on runs."""
    measured: int
    pending: int
    """Finished runs that the time of the request did not suffice for."""
    arms: Mapping[str, ArmImportance]


class Importances:
    """The importance of columns over the runs of the studies that the caller may see."""

    def __init__(self, studies: StudyResults, files: ModelFiles) -> None:
        self._studies = studies
        self._files = files

    async def of_study(self, study_id: str, question: StudyQuestion) -> StudyImportance:
        """Return the importance of columns, summarized for each arm over its finished runs.

        Raises:
            StudyNotFound: No study has this id.
            SpecRefused: An arm does not exist, the runs are fewer than the arms, or the split has no rows.
            Sealed: They are test rows, and the study is still searching.
            Unprocessable: Rows are images, or the models have no such metric.
            NotMeasured, FileLost: No run has weights.
            Unavailable, TookTooLong: The predictor process is busy, or takes too long for one run.
        """
        series = f"{question.of_runs.split}.{question.of_runs.metric}"
        design = await asyncio.to_thread(self._studies.design, study_id, [series])
        at = question.at or ("best" if design.at == "best" else "last")
        arms = design.select_arms(question.arms)
        existing = [slot for slot in design.slots if slot.group in arms]
        slots = _first_replicates(existing, question.max_runs)
        results = await self._measure(slots, at, question.of_runs)

        def summarized(arm: str) -> ArmImportance:
            own = {(slot.seed, slot.cell): _state(slot, results) for slot in slots if slot.group == arm}
            replicates = {slot.seed for slot in slots} & set(design.expected)
            return summarize_importance(
                arm, own, alpha=design.alpha, expected=replicates, max_columns=question.max_columns
            )

        replicates = list(dict.fromkeys(slot.seed for slot in slots))
        return StudyImportance(
            design=design,
            at=at,
            replicates=replicates,
            left_out=len({slot.seed for slot in existing}) - len(replicates),
            measured=sum(isinstance(one, RunImportance) for one in results.values()),
            pending=sum(one == "unfinished" for one in results.values()),
            arms=await asyncio.to_thread(lambda: {arm: summarized(arm) for arm in arms}),
        )

    async def _measure(
        self, slots: Sequence[Slot], at: At, question: ImportanceQuestion
    ) -> Mapping[str, RunImportance | State]:
        """Measure the runs that succeeded, by id; those that the time did not suffice for are "unfinished".

        Raises:
            NotMeasured, FileLost: No run has weights.
        """
        results: dict[str, RunImportance | State] = {}
        missing: list[Refusal] = []
        spent = 0.0
        for run_id in (slot.run.id for slot in slots if slot.run is not None and run_state(slot.run) == "measured"):
            try:
                result = await self._files.cached_importance(run_id, at, question)
                if result is None and spent < SECONDS:
                    start = time.monotonic()
                    result = await self._files.importance(run_id, at, question)
                    spent += time.monotonic() - start
                results[run_id] = "unfinished" if result is None else _means(result)
            except (RunNotFound, NotMeasured, FileLost) as error:
                results[run_id] = "missing"
                missing.append(error)
        if missing and all(one == "missing" for one in results.values()):
            raise missing[0]
        return results


def _first_replicates(slots: Sequence[Slot], limit: int) -> Sequence[Slot]:
    """Return the slots of as many replicates as have at most ``limit`` runs together, replicate by replicate.

    Raises:
        SpecRefused: The first replicate has more runs.
    """
    by_replicate: dict[int, list[Slot]] = {}
    for slot in slots:
        by_replicate.setdefault(slot.seed, []).append(slot)
    chosen: list[Slot] = []
    for own in by_replicate.values():
        if len(chosen) + len(own) > limit:
            if not chosen:
                message = (
                    f"One replicate of these arms has {len(own):,} runs, and runs={limit:,} are to be measured at "
                    "most. Raise runs, or select arms with arm=NAME."
                )
                raise SpecRefused.at("runs", "too_many_runs", message)
            break
        chosen += own
    return chosen


def _state(slot: Slot, results: Mapping[str, RunImportance | State]) -> RunImportance | State:
    """Return the result of a slot's run, or why it has none."""
    state = run_state(slot.run)
    return state if slot.run is None or state != "measured" else results[slot.run.id]


def _means(measured: ModelImportance) -> RunImportance:
    """Return a run's importance of each column: the mean over permutations."""
    value = math.nan if measured.value is None else measured.value
    return RunImportance(value, {one.column: statistics.fmean(one.values) for one in measured.columns})
