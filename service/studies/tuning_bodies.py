"""The parts of a tuned study's request: its arms, the search and the confirmation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import ConfigDict, Field, JsonValue

from service.http.bodies import BodyModel
from service.statistics.choice import Rule
from service.statistics.design import FIRST_LOOK, STEP
from service.studies.sampling import Method, Path, Space
from service.studies.schedule import MAX_SEED, MAX_SEEDS, Schedule

MAX_SEARCH_REPLICATES = 1000


class TunedArm(BodyModel):
    """A merge patch of the base, as of other arms, and what is tuned in this arm."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, JsonValue]

    space: dict[Path, Space] = Field(
        default={}, max_length=16, description="Distributions by path, besides those that all arms share."
    )

    @property
    def patch(self) -> Mapping[str, Any]:
        """The merge patch of the base."""
        return self.__pydantic_extra__


class Search(BodyModel):
    """The search: every trial of every arm is trained on the same replicates."""

    replicates: int = Field(
        default=4, ge=1, le=MAX_SEARCH_REPLICATES, description="Runs of every trial; replicate i has seed i."
    )
    metric: str = Field(default="val.loss", description="The metric to choose by; never one of the test part.")
    select: Rule = Field(
        default="best",
        description="Each arm's trial with the best mean, or the one with the strongest regularizers within one "
        "standard error of it.",
    )
    method: Method | Literal["grid"] = Field(
        default="sobol",
        description="`sobol`: scrambled Sobol points. `random`: independent points. `grid`: all combinations of evenly "
        "spaced values; every arm then needs the same number of parameters.",
    )
    seed: int = Field(default=0, ge=0, le=MAX_SEED, description="Seed of the points, not of the runs.")


class Confirm(BodyModel):
    """The confirmation: a sequential study of the chosen trials, on seeds and splits that the search did not use."""

    max: int = Field(default=32, ge=1, le=MAX_SEEDS, description="Number of seeds at which it ends at the latest.")
    first: int = Field(default=FIRST_LOOK, ge=1, le=MAX_SEEDS, description="Number of seeds at the first look.")
    step: int = Field(default=STEP, ge=1, le=MAX_SEEDS, description="Seeds from one look to the next.")
    vary: list[Literal["seed", "split"]] = Field(
        default=["seed", "split"],
        min_length=1,
        max_length=2,
        description="What differs between replicates, of the search too: the seed, or the split of the data as well.",
    )
    start: int | None = Field(
        default=None, ge=0, le=MAX_SEED, description="The first seed; by default the first that the search did not use."
    )
    metric: str = Field(default="test.loss", description="The metric that decides.")
    epoch_by: str | None = Field(
        default="val.loss", description="The metric whose best epoch counts if `at` is best; ignored otherwise."
    )
    min_effect: float | None = Field(
        default=None, gt=0, allow_inf_nan=False, description="The smallest difference that matters."
    )

    def schedule(self, search: Search) -> Schedule:
        """Return the seeds and looks of the confirmation."""
        start = search.replicates if self.start is None else self.start
        return Schedule(max=self.max, first=self.first, step=self.step, vary=self.vary, start=start)
