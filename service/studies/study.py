"""A study as its clients see it, and the metadata that they set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from service.http.names import Name
from service.runs.states import TERMINAL, Status
from service.store.rows import Row
from service.store.statuses import TUNING, TuningPhase
from service.studies.looks import planned_runs, warnings
from service.studies.replicates import replicate_numbers, replicates_of
from service.studies.schedule import Schedule, schedule_of
from service.studies.tuning import Tune, tune_of, tuning_warnings

StudyStatus = Literal["queued", "running", "finished"]


class StudyMetadata(BaseModel):
    """The fields of a study that do not affect its runs. Each is also a column."""

    model_config = ConfigDict(frozen=True)

    name: Name | None = Field(default=None, description="For display.", examples=["does dropout help?"])


@dataclass(frozen=True)
class ArmProgress:
    """Progress of an arm's runs."""

    id: str
    name: str
    values: Mapping[str, Any]
    runs: int
    by_status: Mapping[Status, int]
    decided_at: int | None
    """Number of seeds with which the arm was decided, in a sequential study."""


@dataclass(frozen=True, kw_only=True)
class Study:
    """A study. Times are seconds since the epoch."""

    id: str
    owner: str
    name: str | None
    request: Mapping[str, Any]
    metric: str
    at: str
    baseline: str
    seeds: Sequence[int]
    looks: int
    looks_from: Sequence[str]
    """Earlier studies with some of the same runs, whose looks count."""
    seeds_required: Sequence[int]
    """Seeds of those studies, which this one has to include."""
    next_look: int | None
    """Number of seeds at a sequential study's next look; None once it has ended."""
    stop_reason: str | None
    """Why a sequential study ended with undecided arms and seeds left."""
    tuning_phase: TuningPhase | None
    """How far a tuned study has come; None if the study is not tuned."""
    tuning: Mapping[str, Any] | None
    """Digests of a tuned study's datasets, and once known its choice, the choice's hash and time, and the gaps."""
    confirms: str | None
    """The tuned study whose choice this one confirms."""
    confirmation: Study | None
    """The confirmation of a tuned study; None until it is queued."""
    test_openings: Mapping[str, int]
    """For a tuned study: how many studies have judged on the test part, by digest of the dataset."""
    interrupted: bool
    """Whether runs that the next look needs, or the choice of a tuned study, were cancelled or deleted."""
    arms: Sequence[ArmProgress]
    epoch: int
    """Epochs recorded, summed over all runs."""
    epochs: int
    created_at: float
    finished_at: float | None

    @property
    def folds(self) -> int | None:
        """Folds that every arm is trained on at each seed; None without folds, as in the requests of older studies."""
        return self.request.get("folds")

    @property
    def datasets(self) -> list[str]:
        """The names of the datasets that every arm is trained on; empty if the base has the only one."""
        return list(self.request.get("datasets") or ())

    @property
    def replicates(self) -> Mapping[str, Any] | None:
        """The requested replicates; None if the study has seeds instead."""
        return self.request.get("replicates")

    @property
    def splits(self) -> Sequence[int] | None:
        """The values of split_seed that vary between replicates; None if all have the spec's own."""
        replicates = replicates_of(self.request)
        if replicates is None:
            return None
        return self.seeds if replicates.split_follows_seed else replicates.all_splits

    @property
    def epoch_by(self) -> str | None:
        """The metric that was requested to choose the best epoch, if any."""
        return self.request.get("epoch_by")

    @property
    def warnings(self) -> list[str]:
        """Why the study cannot decide anything; empty if it can."""
        if self.tune is not None:
            return [*self._waiting(self.tune), *tuning_warnings(self.tune, self.test_openings)]
        replicates = replicate_numbers(self.request, self.seeds)
        return warnings(len(self.arms), replicates, self.schedule, self.looks, self.looks_from, self.seeds_required)

    def _waiting(self, tune: Tune) -> list[str]:
        """Return why the confirmation of a frozen choice is not queued."""
        if self.tuning_phase != "frozen":
            return []
        runs = tune.schedule.first * len(tune.arms)
        return [
            f"The confirmation is not queued yet. It needs room for {runs:,} runs: if this stays, wait for or cancel "
            "other runs of the owner, or free disk space."
        ]

    @property
    def tune(self) -> Tune | None:
        """The requested tuning; None if the study is not tuned."""
        return tune_of(self.request)

    @property
    def judging(self) -> Study:
        """The study whose results decide: the confirmation of a tuned study once it exists, else the study itself."""
        return self.confirmation or self

    @property
    def schedule(self) -> Schedule | None:
        """The schedule of a sequential study; None if the seeds are fixed."""
        return schedule_of(self.request)

    @classmethod
    def of(
        cls,
        row: Row,
        progress: Sequence[Row],
        confirmation: Study | None = None,
        test_openings: Mapping[str, int] = {},
    ) -> Study:
        """Return the study in ``row``; ``progress`` counts its runs by arm and status."""
        arms = []
        for arm in row.arms:
            by_status = {one.status: one.runs for one in progress if one.arm == arm["id"]}
            arms.append(
                ArmProgress(
                    arm["id"], arm["name"], arm["values"], sum(by_status.values()), by_status, arm.get("decided_at")
                )
            )
        runs = sum(arm.runs for arm in arms)
        interrupted = runs < planned_runs(row) or any(one.status == "cancelled" for one in progress)
        computed: dict[str, Any] = {
            "arms": arms,
            "confirmation": confirmation,
            "test_openings": {
                digest: test_openings.get(digest, 0) for digest in (row.tuning or {}).get("datasets", ())
            },
            "interrupted": interrupted,
            "epoch": sum(one.epoch for one in progress),
            "epochs": sum(one.epochs for one in progress),
            "finished_at": None,
        }
        stored = {name: getattr(row, name) for name in cls.__dataclass_fields__ if name not in computed}
        study = cls(**stored, **computed)
        if study.status != "finished":
            return study
        ends = [one.finished_at for one in progress if one.finished_at is not None]
        ends += [] if confirmation is None or confirmation.finished_at is None else [confirmation.finished_at]
        return replace(study, finished_at=max(ends, default=None))

    @property
    def by_status(self) -> dict[Status, int]:
        """Number of runs by status."""
        counts: dict[Status, int] = {}
        for arm in self.arms:
            for status, count in arm.by_status.items():
                counts[status] = counts.get(status, 0) + count
        return counts

    @property
    def status(self) -> StudyStatus:
        """``finished`` once every run has ended, ``queued`` until one has started, else ``running``.

        A sequential study runs until its last look, a tuned one until the end of its confirmation, unless runs that
        it needs were cancelled or deleted.
        """
        counts = self.by_status
        if all(status in TERMINAL for status in counts):
            waiting = self.next_look is not None or self.tuning_phase in TUNING
            interrupted = self.interrupted if self.confirmation is None else self.confirmation.interrupted
            return "finished" if interrupted or not waiting else "running"
        return "queued" if set(counts) <= {"queued", "waiting"} else "running"
