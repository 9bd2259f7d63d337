"""Request bodies of studies, before they are expanded into runs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import (
    ConfigDict,
    Field,
    JsonValue,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)

from service.errors import SpecRefused
from service.http.bodies import BodyModel, parse
from service.http.names import Label
from service.runs.patches import patched
from service.studies.contradictions import NOT_TUNED, contradictions, number_errors
from service.studies.expansion import Plan
from service.studies.metrics import check_at, check_epoch_by, check_metric
from service.studies.new_study import NewStudy
from service.studies.replicates import Replicates
from service.studies.sampling import Path, Sample
from service.studies.schedule import MAX_SEED, MAX_SEEDS, Schedule
from service.studies.study import StudyMetadata
from service.studies.tuning import Tune
from worker.spec.folds import MAX_FOLDS

EXAMPLE: dict[str, Any] = {
    "name": "does dropout help?",
    "base": {
        "dataset": {"kind": "digits", "train_size": 200},
        "model": {"kind": "mlp", "hidden": [128, 128]},
        "optimizer": {"kind": "sgd", "lr": 0.1},
        "epochs": 40,
    },
    "arms": {"plain": {}, "dropout": {"regularizers_add": [{"kind": "dropout", "p": 0.4}]}},
    "seeds": 8,
}
SAMPLE_EXAMPLE: dict[str, Any] = {
    "n": 16,
    "method": "sobol",
    "space": {"optimizer.lr": {"distribution": "log_uniform", "low": 0.01, "high": 1.0}},
}
TUNE_EXAMPLE: dict[str, Any] = {
    "budget": 8,
    "space": {"optimizer.lr": {"distribution": "log_uniform", "low": 0.01, "high": 1.0}},
    "arms": {
        "plain": {},
        "dropout": {
            "regularizers_add": [{"kind": "dropout", "p": 0.4}],
            "space": {"regularizers.0.p": {"distribution": "uniform", "low": 0.1, "high": 0.6}},
        },
    },
}
Seed = Annotated[int, Field(ge=0, le=MAX_SEED)]
MAX_DATASETS = 64


def _by_type(value: Any, validate: ValidatorFunctionWrapHandler) -> Any:
    """Validate a schedule as such, so that its errors are not those of a number or a list."""
    return Schedule.model_validate(value) if isinstance(value, dict) else validate(value)


Seeds = Annotated[
    Annotated[int, Field(ge=1, le=MAX_SEEDS)] | Annotated[list[Seed], Field(min_length=1)] | Schedule,
    WrapValidator(_by_type),
]


class StudyBody(StudyMetadata, BodyModel):
    """Arms × datasets × grid (or random points) × folds × seeds, over one base."""

    model_config = ConfigDict(json_schema_extra={"examples": [EXAMPLE]})

    base: dict[str, JsonValue] = Field(description="The body of a run, without a seed.", examples=[EXAMPLE["base"]])
    arms: dict[Label, dict[str, JsonValue]] = Field(
        default={"base": {}},
        min_length=1,
        max_length=256,
        description="Merge patches of the base (RFC 7396) by name; `regularizers_add` appends to its regularizers.",
        examples=[EXAMPLE["arms"]],
    )
    datasets: dict[Label, dict[str, JsonValue]] = Field(
        default={},
        max_length=MAX_DATASETS,
        description="Train every arm on each of these datasets: merge patches of the base's `dataset` by name. Arms "
        "are compared within each dataset, and by `/across-datasets` over all of them.",
        examples=[{"digits": {"kind": "digits"}, "mnist1d": {"kind": "mnist1d"}}],
    )
    grid: dict[Path, Annotated[list[JsonValue], Field(min_length=1, max_length=1000)]] = Field(
        default={},
        max_length=16,
        description="Values by dotted path (`optimizer.lr`) or JSON pointer; every combination of them is an arm.",
        examples=[{"optimizer.lr": [0.03, 0.1, 0.3], "batch_size": [20, 50]}],
    )
    sample: Sample | None = Field(
        default=None, description="Points of a search space instead of a grid.", examples=[SAMPLE_EXAMPLE]
    )
    seeds: Seeds = Field(
        default=1,
        description="The seeds of every arm, or n for 0…n−1; with `max`, the server adds seeds look by look "
        "until every arm is decided.",
        examples=[8, [0, 1, 2], {"max": 32}],
    )
    replicates: Replicates | None = Field(
        default=None,
        description="Instead of `seeds`: repetitions that also vary the split, so that verdicts hold beyond one split.",
        examples=[{"n": 12, "vary": ["seed", "split"]}, {"seeds": 3, "splits": 8}],
    )
    folds: Annotated[int, Field(ge=2, le=MAX_FOLDS)] | None = Field(
        default=None,
        description="Train every arm this many times for each seed, each time validating on another fold.",
        examples=[5],
    )
    metric: str | None = Field(
        default=None,
        description="The metric to compare. By default test.loss if validation rows choose the epoch (`at` is best and "
        "every arm has some), so that the epoch is not chosen on the rows that judge; else val.loss, or test.loss "
        "without a validation split.",
        examples=["test.accuracy"],
    )
    at: str = Field(
        default="best", description="The epoch to compare: best, last or epoch:N.", examples=["last", "epoch:20"]
    )
    epoch_by: str | None = Field(
        default=None,
        description="The metric whose best epoch is `best`; by default val.loss, or test.loss without a validation "
        "split.",
        examples=["val.accuracy"],
    )
    baseline: str | None = Field(
        default=None,
        description="The arm that the others are compared with; by default the first.",
        examples=["dropout"],
    )
    tune: Tune | None = Field(
        default=None,
        description="Instead of arms with seeds: tune every arm on the same budget, freeze the choice, and compare the "
        "chosen trials on other seeds and splits.",
        examples=[TUNE_EXAMPLE],
    )
    min_effect: float | None = Field(
        default=None,
        gt=0,
        allow_inf_nan=False,
        description="The smallest difference that matters. Smaller ones are equivalent, which also decides an arm.",
        examples=[0.01],
    )

    def new_study(self) -> NewStudy:
        """Return the requested study.

        Raises:
            SpecRefused: Fields contradict each other.
        """
        request = self.model_dump(mode="json", exclude=self._unused)
        errors = list(number_errors(request)) or list(contradictions(self))
        if errors:
            raise SpecRefused(errors[0].message, errors=errors)
        check_at(self.at, "/at")
        if self.tune is not None:
            return self._tuned_study(self.tune, request)
        if self.metric is not None:
            check_metric(self.metric, "/metric")
        check_epoch_by(self.epoch_by, self.at, "/epoch_by")
        schedule = self.schedule
        plan = Plan(
            base=self.base,
            arms=self.arms,
            datasets=self.datasets,
            grid=self.grid,
            samples=self.sample.points() if self.sample else [],
            seeds=self.first_seeds(),
            folds=self.folds,
            splits=None if self.replicates is None else self.replicates.all_splits,
            split_follows_seed=any(one is not None and one.split_follows_seed for one in (self.replicates, schedule)),
        )
        return NewStudy(
            metadata=self._metadata,
            request=request,
            plan=plan,
            metric=self.metric,
            at=self.at,
            epoch_by=self.epoch_by,
            baseline=self.baseline,
            schedule=schedule,
        )

    def _tuned_study(self, tune: Tune, request: Mapping[str, Any]) -> NewStudy:
        """Return the search of a tuned study, which measures nothing on the test part."""
        plan = Plan(
            base=patched(self.base, {"evaluate": {"test": "never"}}),
            arms=tune.patches,
            grid={},
            samples=[],
            seeds=list(range(tune.search.replicates)),
            split_follows_seed=tune.schedule.split_follows_seed,
            trials=tune.trials,
        )
        return NewStudy(
            metadata=self._metadata,
            request=request,
            plan=plan,
            metric=tune.search.metric,
            at=self.at,
            epoch_by=None,
            baseline=self.baseline,
            tune=tune,
        )

    @property
    def _metadata(self) -> StudyMetadata:
        return StudyMetadata.model_construct(**{name: getattr(self, name) for name in StudyMetadata.model_fields})

    @property
    def _unused(self) -> set[str]:
        """The fields that others replace."""
        if self.tune is not None:
            return set(NOT_TUNED)
        return {"tune", "seeds"} if self.replicates is not None else {"tune"}

    @staticmethod
    def study_of(request: Mapping[str, Any]) -> NewStudy:
        """Return the study with this stored request."""
        return parse(StudyBody, json.dumps(dict(request)).encode()).new_study()

    @staticmethod
    def plan_of(request: Mapping[str, Any]) -> Plan:
        """Return the plan of a study's stored request."""
        return StudyBody.study_of(request).plan

    @property
    def schedule(self) -> Schedule | None:
        """The schedule of a sequential study; None if the seeds are fixed."""
        return self.seeds if isinstance(self.seeds, Schedule) else None

    def first_seeds(self) -> list[int]:
        """Return the seeds that are queued first."""
        if self.replicates is not None:
            return list(self.replicates.all_seeds)
        if isinstance(self.seeds, Schedule):
            return self.seeds.seeds(self.seeds.first)
        return list(range(self.seeds)) if isinstance(self.seeds, int) else self.seeds


class SeedsBody(BodyModel):
    """More seeds for a study."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"add": 4}]})

    seeds: list[Seed] | None = Field(default=None, min_length=1, max_length=MAX_SEEDS)
    add: int | None = Field(
        default=None, ge=1, le=MAX_SEEDS, description="Number of seeds to add, after the largest so far."
    )

    def new_seeds(self, existing: list[int]) -> list[int]:
        """Return the seeds to add to the existing ones.

        Raises:
            SpecRefused: The body has both or neither.
        """
        if (self.seeds is None) == (self.add is None):
            raise SpecRefused.at("", "seeds_or_add", "Send either 'seeds' or 'add'.")
        if self.seeds is not None:
            return list(dict.fromkeys(self.seeds))
        first = max(existing, default=-1) + 1
        if first + (self.add or 0) - 1 > MAX_SEED:
            message = f"There are fewer than {self.add} seeds after {first - 1}; list the seeds to add in 'seeds'."
            raise SpecRefused.at("/add", "no_seeds_left", message)
        return list(range(first, first + (self.add or 0)))
