"""Request bodies of studies, before they are expanded into runs."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any

from pydantic import (
    ConfigDict,
    Field,
    JsonValue,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)

from service.errors import FieldError, SpecRefused
from service.http.bodies import BodyModel, parse
from service.http.names import Label
from service.http.validation import MAX_ERRORS
from service.pointers import pointer_to
from service.runs.patches import patched
from service.studies.expansion import DATASET, Plan, path_steps
from service.studies.metrics import check_at, check_epoch_by, check_metric
from service.studies.new_study import NewStudy
from service.studies.replicates import Replicates
from service.studies.sampling import Choice, Path, Sample, Space
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
NOT_TUNED = ("arms", "grid", "sample", "seeds", "replicates", "folds", "metric", "epoch_by", "min_effect", "datasets")
"""Fields that a tuned study has no use for."""
Seed = Annotated[int, Field(ge=0, le=MAX_SEED)]
MAX_DATASETS = 64
VALIDATION = ("fold", "validation_size")
"""Fields of a dataset that choose validation rows."""


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

    base: dict[str, JsonValue] = Field(description="The body of a run, without a seed.")
    arms: dict[Label, dict[str, JsonValue]] = Field(
        default={"base": {}},
        min_length=1,
        max_length=256,
        description="Merge patches of the base (RFC 7396) by name; `regularizers_add` appends to its regularizers.",
    )
    datasets: dict[Label, dict[str, JsonValue]] = Field(
        default={},
        max_length=MAX_DATASETS,
        description="Train every arm on each of these datasets: merge patches of the base's `dataset` by name, such as "
        '`{"digits": {"kind": "digits"}, "mnist1d": {"kind": "mnist1d"}}`. Arms are compared within each dataset, and '
        "by `/across-datasets` over all of them.",
    )
    grid: dict[Path, Annotated[list[JsonValue], Field(min_length=1, max_length=1000)]] = Field(
        default={}, max_length=16, description="Values by dotted path (`optimizer.lr`) or JSON pointer."
    )
    sample: Sample | None = Field(default=None, description="Points of a search space instead of a grid.")
    seeds: Seeds = Field(
        default=1,
        description="The seeds of every arm, or n for 0…n−1; with `max`, the server adds seeds look by look "
        "until every arm is decided.",
        examples=[8, [0, 1, 2], {"max": 32}],
    )
    replicates: Replicates | None = Field(
        default=None,
        description="Instead of `seeds`: repetitions that also vary the split, so that verdicts hold beyond one split.",
        examples=[{"n": 12, "vary": ["seed", "split"]}],
    )
    folds: Annotated[int, Field(ge=2, le=MAX_FOLDS)] | None = Field(
        default=None, description="Train every arm this many times for each seed, each time validating on another fold."
    )
    metric: str | None = Field(
        default=None,
        description="The metric to compare. By default test.loss if validation rows choose the epoch (`at` is best and "
        "every arm has some), so that the epoch is not chosen on the rows that judge; else val.loss, or test.loss "
        "without a validation split.",
    )
    at: str = Field(default="best", description="The epoch to compare: best, last or epoch:N.")
    epoch_by: str | None = Field(
        default=None,
        description="The metric whose best epoch is `best`; by default val.loss, or test.loss without a validation "
        "split.",
    )
    baseline: str | None = Field(
        default=None, description="The arm that the others are compared with; by default the first."
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
    )

    def new_study(self) -> NewStudy:
        """Return the requested study.

        Raises:
            SpecRefused: Fields contradict each other.
        """
        request = self.model_dump(mode="json", exclude=self._unused)
        errors = list(_number_errors(request)) or list(self._contradictions())
        if errors:
            raise SpecRefused(errors[0].message, errors=errors)
        check_at(self.at, "/at")
        if self.tune is not None:
            return self._tuned_study(self.tune, request)
        if self.metric is not None:
            check_metric(self.metric, "/metric")
        check_epoch_by(self.epoch_by, self.at, "/epoch_by")
        schedule = self._schedule
        plan = Plan(
            base=self.base,
            arms=self.arms,
            datasets=self.datasets,
            grid=self.grid,
            samples=self.sample.points() if self.sample else [],
            seeds=self._first_seeds(),
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
    def _schedule(self) -> Schedule | None:
        """The schedule of a sequential study; None if the seeds are fixed."""
        return self.seeds if isinstance(self.seeds, Schedule) else None

    def _first_seeds(self) -> list[int]:
        """Return the seeds that are queued first."""
        if self.replicates is not None:
            return list(self.replicates.all_seeds)
        if isinstance(self.seeds, Schedule):
            return self.seeds.seeds(self.seeds.first)
        return list(range(self.seeds)) if isinstance(self.seeds, int) else self.seeds

    def _contradictions(self) -> Iterator[FieldError]:
        """Yield the fields that contradict each other."""
        if self.tune is not None:
            yield from self._tune_errors(self.tune)
        if self._schedule is not None:
            yield from self._schedule_errors(self._schedule)
        if self.replicates is not None:
            yield from self._replicate_errors(self.replicates)
        seeds = self._first_seeds()
        if len(set(seeds)) < len(seeds):
            yield FieldError("/seeds", "seed_twice", "The list contains a seed twice.")
        if self.grid and self.sample:
            yield FieldError("/sample", "grid_and_sample", "Send a grid or a sample, not both.")
        if self.datasets:
            yield from self._dataset_errors()
        seeded = [f"{pointer}/seed" for pointer, body in self._bodies.items() if "seed" in body]
        seeded += [pointer for pointer, path, _ in self._paths if path_steps(path) == ["seed"]]
        for pointer in seeded:
            message = "All arms have the seeds in 'seeds'; leave 'seed' out here."
            yield FieldError(pointer, "seed_elsewhere", message)
        for pointer in self._splits(VALIDATION) if self.folds is not None else ():
            yield FieldError(pointer, "split_elsewhere", "All arms validate on the study's folds; leave this out.")

    def _tune_errors(self, tune: Tune) -> Iterator[FieldError]:
        """Yield what is wrong with a tuned study, and fields that contradict it."""
        for name in NOT_TUNED:
            if name in self.model_fields_set:
                message = f"A tuned study has its own; leave {name!r} out, or put it into tune.arms, search or confirm."
                yield FieldError(f"/{name}", "tuned_elsewhere", message)
        if self.baseline is not None and self.baseline not in tune.arms:
            message = f"Unknown baseline {self.baseline!r}. The study has no such arm."
            yield FieldError("/baseline", "no_such_arm", message, allowed=list(tune.arms))
        yield from tune.errors(self.at)
        yield from self._varied_split_errors(tune.schedule.split_follows_seed)
        for pointer in self._unsealed():
            message = "The search measures nothing on the test part, the confirmation every epoch. Leave this out."
            yield FieldError(pointer, "sealed", message)

    def _unsealed(self) -> Iterator[str]:
        """Yield pointers to what would decide whether test rows are measured."""
        for pointer, body in self._bodies.items():
            evaluate = body.get("evaluate", {})
            if isinstance(evaluate, Mapping) and "test" in evaluate:
                yield f"{pointer}/evaluate/test"
            elif not isinstance(evaluate, Mapping):  # null removes what the base says
                yield f"{pointer}/evaluate"
        for pointer, path, _ in self._paths:
            if path_steps(path) in (["evaluate"], ["evaluate", "test"]):
                yield pointer

    def _schedule_errors(self, schedule: Schedule) -> Iterator[FieldError]:
        """Yield what is wrong with a schedule, and fields that contradict it."""
        yield from schedule.errors()
        yield from self._varied_split_errors(schedule.split_follows_seed)
        if schedule.split_follows_seed and self.folds is not None:
            message = "Folds already vary the validation rows. Leave out 'folds', or vary only the seed."
            yield FieldError("/folds", "folds_and_replicates", message)

    def _dataset_errors(self) -> Iterator[FieldError]:
        """Yield fields that contradict ``datasets``."""
        for pointer, path, _ in self._paths:
            if path_steps(path) == [DATASET]:
                message = "Send 'datasets', which names them, or values of 'dataset' in the grid, not both."
                yield FieldError(pointer, "datasets_twice", message)
        if self._schedule is not None and len(self.datasets) > 1:
            message = (
                "A study on several datasets has a fixed number of seeds, because arms would end at different looks on "
                "each. Set a number of seeds, or submit a study for each dataset."
            )
            yield FieldError("/seeds", "sequential_datasets", message)

    def _replicate_errors(self, replicates: Replicates) -> Iterator[FieldError]:
        """Yield what is wrong with replicates, and fields that contradict them."""
        yield from replicates.errors()
        if "seeds" in self.model_fields_set:
            message = "Send 'seeds' or 'replicates', not both: replicates have the seeds 0, 1, …"
            yield FieldError("/seeds", "seeds_and_replicates", message)
        if self.folds is not None:
            message = "Folds already vary the validation rows. Send 'folds' with 'seeds', or 'replicates' alone."
            yield FieldError("/folds", "folds_and_replicates", message)
        yield from self._varied_split_errors(replicates.split_follows_seed or replicates.all_splits is not None)

    def _varied_split_errors(self, varied: bool) -> Iterator[FieldError]:
        """Yield the fields that choose a split although replicates vary it."""
        for pointer in self._splits(("fold", "split_seed")) if varied else ():
            yield FieldError(pointer, "split_elsewhere", "The study varies the split; leave this out.")

    def _splits(self, fields: tuple[str, ...]) -> Iterator[str]:
        """Yield pointers to the ``fields`` of datasets that choose rows themselves."""
        for name, dataset in self.datasets.items():
            yield from (pointer_to("datasets", name, field) for field in _split_in(dataset, fields))
        for pointer, body in self._bodies.items():
            yield from (f"{pointer}/dataset/{field}" for field in _split_in(body.get("dataset"), fields))
        for pointer, path, values in self._paths:
            steps = path_steps(path)
            whole = steps == ["dataset"] and any(_split_in(dataset, fields) for dataset in values)
            if whole or (steps[0] == "dataset" and steps[1:2] in ([field] for field in fields)):
                yield pointer

    @property
    def _bodies(self) -> dict[str, Mapping[str, Any]]:
        """The base and the patches of arms, by their pointers."""
        if self.tune is not None:
            patches = {pointer_to("tune", "arms", name): patch for name, patch in self.tune.patches.items()}
        else:
            patches = {pointer_to("arms", name): patch for name, patch in self.arms.items()}
        return {"/base": self.base, **patches}

    @property
    def _paths(self) -> Iterator[tuple[str, str, Sequence[Any]]]:
        """The pointer of every path that varies between arms, the path, and its values if they are listed."""
        for path, values in self.grid.items():
            yield pointer_to("grid", path), path, values
        for path, space in (self.sample.space if self.sample else {}).items():
            yield pointer_to("sample", "space", path), path, _listed(space)
        if self.tune is not None:
            for path, space in self.tune.space.items():
                yield pointer_to("tune", "space", path), path, _listed(space)
            for name, arm in self.tune.arms.items():
                for path, space in arm.space.items():
                    yield pointer_to("tune", "arms", name, "space", path), path, _listed(space)


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


def _listed(space: Space) -> Sequence[Any]:
    return space.values if isinstance(space, Choice) else ()


def _number_errors(request: Mapping[str, Any]) -> Iterator[FieldError]:
    for pointer in itertools.islice(_not_finite(request), MAX_ERRORS):
        yield FieldError(pointer, "finite_number", "This must be a finite number, not NaN or infinity.")


def _not_finite(value: Any, pointer: str = "") -> Iterator[str]:
    """Yield pointers to NaN and infinity, which JSON cannot represent."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _not_finite(inner, pointer + pointer_to(key))
    elif isinstance(value, list):
        for i, inner in enumerate(value):
            yield from _not_finite(inner, f"{pointer}/{i}")
    elif isinstance(value, float) and not math.isfinite(value):
        yield pointer


def _split_in(dataset: Any, fields: tuple[str, ...]) -> list[str]:
    """Return those of the ``fields`` that a dataset's body sets."""
    return [field for field in fields if isinstance(dataset, Mapping) and dataset.get(field)]
