"""Bodies of studies: what is asked for, before it is expanded into runs."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, StringConstraints, model_validator

from service.errors import FieldError, SpecRefused
from service.http.bodies import MOST_ERRORS
from service.http.names import Label, Name
from service.studies.comparison import check_at, check_metric
from service.studies.expansion import Plan, rounded, steps_of
from service.studies.service import NewStudy
from worker.spec.folds import MOST_FOLDS

Path = Annotated[str, StringConstraints(min_length=1, max_length=256)]
LARGEST_SEED = 2**53 - 1
Seed = Annotated[int, Field(ge=0, le=LARGEST_SEED)]
MOST_SEEDS = 10_000


class Strict(BaseModel):
    """No unknown fields, no values of another type."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Uniform(Strict):
    """Numbers from an interval, all as likely."""

    distribution: Literal["uniform"] = Field(default="uniform", description="How the values lie.")
    low: float = Field(description="The least.")
    high: float = Field(description="The greatest.")

    @model_validator(mode="after")
    def _ordered(self) -> Uniform:
        if self.low > self.high:
            raise ValueError("low must not be above high")
        return self

    def draw(self, source: random.Random) -> float:
        """A number."""
        return rounded(source.uniform(self.low, self.high))


class LogUniform(Strict):
    """Numbers from an interval, all orders of magnitude as likely."""

    distribution: Literal["log_uniform"] = Field(default="log_uniform", description="How the values lie.")
    low: float = Field(gt=0, description="The least.")
    high: float = Field(gt=0, description="The greatest.")

    @model_validator(mode="after")
    def _ordered(self) -> LogUniform:
        if self.low > self.high:
            raise ValueError("low must not be above high")
        return self

    def draw(self, source: random.Random) -> float:
        """A number."""
        return rounded(math.exp(source.uniform(math.log(self.low), math.log(self.high))))


class Integers(Strict):
    """Whole numbers from low to high, both included."""

    distribution: Literal["integers"] = Field(default="integers", description="How the values lie.")
    low: int = Field(description="The least.")
    high: int = Field(description="The greatest.")

    @model_validator(mode="after")
    def _ordered(self) -> Integers:
        if self.low > self.high:
            raise ValueError("low must not be above high")
        return self

    def draw(self, source: random.Random) -> int:
        """A number."""
        return source.randint(self.low, self.high)


class Choice(Strict):
    """One of some values."""

    distribution: Literal["choice"] = Field(default="choice", description="How the values lie.")
    values: list[JsonValue] = Field(min_length=1, max_length=1000, description="All as likely.")

    def draw(self, source: random.Random) -> JsonValue:
        """A value."""
        return source.choice(self.values)


Space = Annotated[Uniform | LogUniform | Integers | Choice, Field(discriminator="distribution")]


class Sample(Strict):
    """Random points instead of a grid; every arm gets the same ones."""

    n: int = Field(ge=1, le=10_000, description="How many points.")
    seed: int = Field(default=0, ge=0, le=2**53 - 1, description="Of the points, not of the runs.")
    space: dict[Path, Space] = Field(min_length=1, max_length=16, description="By path, what is drawn from.")

    def points(self) -> list[dict[str, Any]]:
        """The points; the same for the same seed."""
        source = random.Random(self.seed)  # noqa: S311 - a study's points, nothing secret
        return [{path: space.draw(source) for path, space in self.space.items()} for _ in range(self.n)]


class StudyBody(Strict):
    """Arms × grid (or random points) × folds × seeds, over one base."""

    name: Name | None = Field(default=None, description="For people.")
    base: dict[str, JsonValue] = Field(description="The body of a run, without a seed.")
    arms: dict[Label, dict[str, JsonValue]] = Field(
        default={"base": {}},
        min_length=1,
        max_length=256,
        description="By name, a merge patch of the base (RFC 7396); `regularizers_add` appends to its regularizers.",
    )
    grid: dict[Path, Annotated[list[JsonValue], Field(min_length=1, max_length=1000)]] = Field(
        default={}, max_length=16, description="Values by dotted path (`optimizer.lr`) or JSON pointer."
    )
    sample: Sample | None = Field(default=None, description="Random points instead of a grid.")
    seeds: Annotated[int, Field(ge=1, le=MOST_SEEDS)] | Annotated[list[Seed], Field(min_length=1)] = Field(
        default=1, description="The seeds of every arm, or n for 0…n−1."
    )
    folds: Annotated[int, Field(ge=2, le=MOST_FOLDS)] | None = Field(
        default=None, description="Train every arm so many times for each seed, each time validating on another fold."
    )
    metric: str | None = Field(default=None, description="What is compared; default val.loss, else test.loss.")
    at: str = Field(default="best", description="At which epoch: best, last or epoch:N.")
    baseline: str | None = Field(default=None, description="The arm that others are compared with; default the first.")

    def new_study(self) -> NewStudy:
        """The study that is asked for.

        Raises:
            SpecRefused: fields that contradict each other.
        """
        seeds = list(range(self.seeds)) if isinstance(self.seeds, int) else self.seeds
        wrong: list[FieldError] = []
        if len(set(seeds)) < len(seeds):
            wrong.append(FieldError("/seeds", "seed_twice", "A seed is named twice."))
        if self.grid and self.sample:
            wrong.append(FieldError("/sample", "grid_and_sample", "Give a grid or a sample, not both."))
        paths = [*self.grid, *(self.sample.space if self.sample else ())]
        seeded = ["/base/seed"] * ("seed" in self.base)
        seeded += [f"/arms/{name}/seed" for name, patch in self.arms.items() if "seed" in patch]
        seeded += [f"/grid/{path}" for path in paths if steps_of(path) == ["seed"]]
        for pointer in seeded:
            message = "The seeds of a study are its field 'seeds', the same for every arm; leave 'seed' out here."
            wrong.append(FieldError(pointer, "seed_elsewhere", message))
        if self.folds is not None:
            message = "The folds of this study are what validates, the same for every arm; leave this out."
            wrong += [FieldError(pointer, "split_elsewhere", message) for pointer in self._splits()]
        request = self.model_dump(mode="json")
        for pointer in itertools.islice(_not_finite(request), MOST_ERRORS):
            wrong.append(FieldError(pointer, "finite_number", "This must be a finite number, not NaN or infinity."))
        if wrong:
            raise SpecRefused(wrong[0].message, errors=wrong)
        if self.metric is not None:
            check_metric(self.metric, "/metric")
        check_at(self.at, "/at")
        points = self.sample.points() if self.sample else []
        plan = Plan(base=self.base, arms=self.arms, grid=self.grid, samples=points, seeds=seeds, folds=self.folds)
        return NewStudy(
            name=self.name,
            request=request,
            plan=plan,
            metric=self.metric,
            at=self.at,
            baseline=self.baseline,
        )

    def _splits(self) -> Iterator[str]:
        """Pointers to what says by itself which rows validate."""
        bodies: dict[str, Any] = {"/base": self.base}
        for name, patch in self.arms.items():
            bodies["/arms/" + name.replace("~", "~0").replace("/", "~1")] = patch
        for pointer, body in bodies.items():
            yield from (f"{pointer}/dataset/{field}" for field in _split_in(body.get("dataset")))
        spaces = self.sample.space if self.sample else {}
        choices = {path: space.values for path, space in spaces.items() if isinstance(space, Choice)}
        for path in (*self.grid, *spaces):
            steps = steps_of(path)
            whole = steps == ["dataset"] and any(map(_split_in, {**choices, **self.grid}.get(path, ())))
            if whole or (steps[0] == "dataset" and steps[1:2] in (["fold"], ["validation_size"])):
                yield f"/grid/{path}" if path in self.grid else f"/sample/space/{path}"


class SeedsBody(Strict):
    """More seeds for a study."""

    seeds: list[Seed] | None = Field(default=None, min_length=1, max_length=MOST_SEEDS)
    add: int | None = Field(default=None, ge=1, le=MOST_SEEDS, description="The next so many.")

    def wanted(self, there: list[int]) -> list[int]:
        """The seeds to add to those that are there.

        Raises:
            SpecRefused: both or neither was given.
        """
        if (self.seeds is None) == (self.add is None):
            message = "Give either 'seeds' or 'add'."
            raise SpecRefused.at("", "seeds_or_add", message)
        if self.seeds is not None:
            return list(dict.fromkeys(self.seeds))
        first = max(there, default=-1) + 1
        if first + (self.add or 0) - 1 > LARGEST_SEED:
            message = f"There are no {self.add} seeds behind {first - 1}; name the seeds that are to be added."
            raise SpecRefused.at("/add", "no_seeds_left", message)
        return list(range(first, first + (self.add or 0)))


def _not_finite(value: Any, pointer: str = "") -> Iterator[str]:
    """Pointers to what JSON has no words for, though it is read."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _not_finite(inner, f"{pointer}/{key.replace('~', '~0').replace('/', '~1')}")
    elif isinstance(value, list):
        for i, inner in enumerate(value):
            yield from _not_finite(inner, f"{pointer}/{i}")
    elif isinstance(value, float) and not math.isfinite(value):
        yield pointer


def _split_in(dataset: Any) -> list[str]:
    """The fields of a dataset's body that say which rows validate."""
    return [field for field in ("fold", "validation_size") if isinstance(dataset, Mapping) and dataset.get(field)]
