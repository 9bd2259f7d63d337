"""Points of search spaces: random, or quasi-random ones that cover a space more evenly.

Reference: Bergstra and Bengio, 2012, "Random search for hyper-parameter optimization" (random points, and a strength
that is zero or log-uniform); Sobol', 1967, and Owen, 1998 (scrambled Sobol points).
"""

from __future__ import annotations

import itertools
import json
import math
import random
import sys
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, JsonValue, StringConstraints, model_validator

from service.http.bodies import BodyModel
from service.studies.expansion import rounded

Path = Annotated[str, StringConstraints(min_length=1, max_length=256)]
MAX_POINTS = 10_000
MAX_REPEATS = 20_000
"""Points in a row that are already drawn, after which a space counts as exhausted."""
MAX_SHARED_REPEATS = 5_000
"""The same for points that several spaces share."""
EXACT = 2**53
"""Integers up to this are exact as floats."""
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
        if math.isfinite(self.low) and math.isfinite(self.high) and not math.isfinite(self.high - self.low):
            raise ValueError(f"The numbers from {self.low:g} to {self.high:g} are too far apart; narrow the interval")
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
        if self.low == 0 and self.high * 10.0**-DECADES_FROM_ZERO < sys.float_info.min:
            raise ValueError(f"{self.high:g} is too small for three orders of magnitude below it; raise high")
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
        count = self.high - self.low + 1
        place = math.floor(share * count) if count <= EXACT else int(share * EXACT) * count // EXACT
        return min(self.high, self.low + place)


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


Method = Literal["random", "sobol"]
Space = Annotated[Uniform | LogUniform | Integers | Choice, Field(discriminator="distribution")]


class Sample(BodyModel):
    """Points of a search space instead of a grid, the same for every arm."""

    n: int = Field(ge=1, le=MAX_POINTS, description="Number of points, all different; fewer if the space has fewer.")
    method: Method = Field(
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
            if len(points) == self.n or repeats == MAX_REPEATS or len(points) == points_in(self.space):
                break
        return list(points.values())

    def _random(self) -> Iterator[dict[str, Any]]:
        source = random.Random(self.seed)  # noqa: S311 - a study's points, nothing secret
        while True:
            yield {path: space.draw(source) for path, space in self.space.items()}

    def _sobol(self) -> Iterator[dict[str, Any]]:
        for shares in _sobol_shares(len(self.space), n=self.n, seed=self.seed):
            yield {path: space.at(share) for share, (path, space) in zip(shares, self.space.items(), strict=True)}


def shared_points(
    spaces: Mapping[str, Mapping[str, Space]], *, n: int, method: Method, seed: int
) -> dict[str, list[dict[str, Any]]]:
    """Return ``n`` different points of each space, by name; fewer if one of the spaces has fewer.

    All spaces are sampled by the same draws, one for each path. So a path with one distribution in several spaces has
    the same values in all of them.
    """
    columns = {path: i for i, path in enumerate(dict.fromkeys(path for space in spaces.values() for path in space))}
    points: dict[str, dict[str, dict[str, Any]]] = {name: {} for name in spaces}
    most = min(n, *map(points_in, spaces.values()))
    rows = _random_shares(len(columns), seed) if method == "random" else _sobol_shares(len(columns), n=n, seed=seed)
    repeats = 0
    for shares in rows:
        drawn = {
            name: {path: distribution.at(shares[columns[path]]) for path, distribution in space.items()}
            for name, space in spaces.items()
        }
        keys = {name: json.dumps(point) for name, point in drawn.items()}
        if any(keys[name] in points[name] for name in points):
            repeats += 1
        else:
            repeats = 0
            for name, point in drawn.items():
                points[name][keys[name]] = point
        if repeats == MAX_SHARED_REPEATS or all(len(one) >= most for one in points.values()):
            break
    return {name: list(one.values()) for name, one in points.items()}


def grid_points(spaces: Mapping[str, Mapping[str, Space]], *, n: int) -> dict[str, list[dict[str, Any]]]:
    """Return a grid of each space, by name: all combinations of evenly spaced values, ``n`` or fewer different ones."""
    grids = {}
    for name, space in spaces.items():
        levels = round(n ** (1 / len(space)))
        values = [[one.at((i + 0.5) / levels) for i in range(levels)] for one in space.values()]
        points = [dict(zip(space, combination, strict=True)) for combination in itertools.product(*values)]
        grids[name] = list({json.dumps(point): point for point in points}.values())
    return grids


def _random_shares(dimensions: int, seed: int) -> Iterator[list[float]]:
    source = random.Random(seed)  # noqa: S311 - a study's points, nothing secret
    while True:
        yield [source.random() for _ in range(dimensions)]


def _sobol_shares(dimensions: int, *, n: int, seed: int) -> Iterator[list[float]]:
    """Yield scrambled Sobol points, of which the first ``n`` cover the unit cube evenly."""
    from scipy.stats import qmc  # noqa: PLC0415 - slow to import, and seldom requested

    exponent = math.ceil(math.log2(n))
    source = qmc.Sobol(dimensions, rng=seed)
    batch = source.random_base2(exponent)
    while True:
        yield from batch.tolist()
        batch = source.random_base2(exponent)  # as many again, so that the number stays a power of two
        exponent += 1


def points_in(space: Mapping[str, Space]) -> float:
    """Return the number of different points of a space; infinite for a continuous one."""
    return math.prod(map(_size, space.values()))


def _size(space: Space) -> float:
    if isinstance(space, Integers):
        return float(min(space.high - space.low + 1, EXACT))
    if isinstance(space, Choice):
        return len({json.dumps(value) for value in space.values})
    return 1 if space.low == space.high else math.inf
