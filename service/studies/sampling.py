"""Points of a search space: random, or quasi-random ones that cover the space more evenly.

Reference: Bergstra and Bengio, 2012, "Random search for hyper-parameter optimization" (random points, and a strength
that is zero or log-uniform); Sobol', 1967, and Owen, 1998 (scrambled Sobol points).
"""

from __future__ import annotations

import json
import math
import random
from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import Field, JsonValue, StringConstraints, model_validator

from service.http.bodies import BodyModel
from service.studies.expansion import rounded

Path = Annotated[str, StringConstraints(min_length=1, max_length=256)]
MAX_POINTS = 10_000
MAX_REPEATS = 20_000
"""Points in a row that are already drawn, after which a space counts as exhausted."""
ZERO_SHARE = 0.5
"""Probability of 0 in a logarithmic space from 0."""
DECADES_FROM_ZERO = 3
"""Orders of magnitude below its upper end of a logarithmic space from 0."""


class Uniform(BodyModel):
    """Numbers from an interval, all equally likely."""

    distribution: Literal["uniform"] = Field(default="uniform", description="Distribution of the values.")
    low: float = Field(description="Lower end.")
    high: float = Field(description="Upper end.")

    @model_validator(mode="after")
    def _ordered(self) -> Uniform:
        if self.low > self.high:
            raise ValueError("low must not be above high")
        return self

    def draw(self, source: random.Random) -> float:
        """Return a random number."""
        return self.at(source.random())

    def at(self, share: float) -> float:
        """Return the value below which ``share`` of all lie, 0 ≤ share < 1."""
        return rounded(self.low + (self.high - self.low) * share)


class LogUniform(BodyModel):
    """Numbers from an interval, all orders of magnitude equally likely; from 0, half of them are 0."""

    distribution: Literal["log_uniform"] = Field(default="log_uniform", description="Distribution of the values.")
    low: float = Field(
        ge=0,
        description="Lower end. With 0, a value is 0 with probability ½, and otherwise from the three orders of "
        "magnitude below `high`.",
    )
    high: float = Field(gt=0, description="Upper end.")

    @model_validator(mode="after")
    def _ordered(self) -> LogUniform:
        if self.low > self.high:
            raise ValueError("low must not be above high")
        return self

    def draw(self, source: random.Random) -> float:
        """Return a random number."""
        return self.at(source.random())

    def at(self, share: float) -> float:
        """Return the value below which ``share`` of all lie, 0 ≤ share < 1."""
        low = self.low
        if low == 0:
            if share < ZERO_SHARE:
                return 0.0
            low, share = self.high * 10.0**-DECADES_FROM_ZERO, (share - ZERO_SHARE) / (1 - ZERO_SHARE)
        start = math.log(low)
        return rounded(math.exp(start + (math.log(self.high) - start) * share))


class Integers(BodyModel):
    """Integers from low to high, inclusive."""

    distribution: Literal["integers"] = Field(default="integers", description="Distribution of the values.")
    low: int = Field(description="Lower end.")
    high: int = Field(description="Upper end.")

    @model_validator(mode="after")
    def _ordered(self) -> Integers:
        if self.low > self.high:
            raise ValueError("low must not be above high")
        return self

    def draw(self, source: random.Random) -> int:
        """Return a random number."""
        return source.randint(self.low, self.high)

    def at(self, share: float) -> int:
        """Return the value below which ``share`` of all lie, 0 ≤ share < 1."""
        return min(self.high, self.low + math.floor(share * (self.high - self.low + 1)))


class Choice(BodyModel):
    """One of some values."""

    distribution: Literal["choice"] = Field(default="choice", description="Distribution of the values.")
    values: list[JsonValue] = Field(min_length=1, max_length=1000, description="All equally likely.")

    def draw(self, source: random.Random) -> JsonValue:
        """Return a random value."""
        return source.choice(self.values)

    def at(self, share: float) -> JsonValue:
        """Return the value before which ``share`` of all lie, 0 ≤ share < 1."""
        return self.values[math.floor(share * len(self.values))]


Space = Annotated[Uniform | LogUniform | Integers | Choice, Field(discriminator="distribution")]


class Sample(BodyModel):
    """Points of a search space instead of a grid, the same for every arm."""

    n: int = Field(ge=1, le=MAX_POINTS, description="Number of points, all different; fewer if the space has fewer.")
    method: Literal["random", "sobol"] = Field(
        default="random",
        description="`random`: independent points. `sobol`: scrambled Sobol points, which cover the space more evenly.",
    )
    seed: int = Field(default=0, ge=0, le=2**53 - 1, description="Seed of the points, not of the runs.")
    space: dict[Path, Space] = Field(min_length=1, max_length=16, description="Distributions by path.")

    def points(self) -> list[dict[str, Any]]:
        """Return at most ``n`` different points; the same seed gives the same points."""
        points: dict[str, dict[str, Any]] = {}
        repeats = 0
        for point in self._random() if self.method == "random" else self._sobol():
            repeats = repeats + 1 if points.setdefault(json.dumps(point), point) is not point else 0
            if len(points) == self.n or repeats == MAX_REPEATS or len(points) == self._size:
                break
        return list(points.values())

    @property
    def _size(self) -> float:
        """The number of different points; infinite for a continuous space."""
        return math.prod(_size(space) for space in self.space.values())

    def _random(self) -> Iterator[dict[str, Any]]:
        source = random.Random(self.seed)  # noqa: S311 - a study's points, nothing secret
        while True:
            yield {path: space.draw(source) for path, space in self.space.items()}

    def _sobol(self) -> Iterator[dict[str, Any]]:
        from scipy.stats import qmc  # noqa: PLC0415 - slow to import, and seldom requested

        exponent = math.ceil(math.log2(self.n))
        source = qmc.Sobol(len(self.space), rng=self.seed)
        batch = source.random_base2(exponent)
        while True:
            for shares in batch.tolist():
                yield {path: space.at(share) for share, (path, space) in zip(shares, self.space.items(), strict=True)}
            batch = source.random_base2(exponent)  # as many again, so that the number stays a power of two
            exponent += 1


def _size(space: Space) -> float:
    if isinstance(space, Integers):
        return space.high - space.low + 1
    if isinstance(space, Choice):
        return len({json.dumps(value) for value in space.values})
    return 1 if space.low == space.high else math.inf
