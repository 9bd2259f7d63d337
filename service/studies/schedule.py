"""The schedule of a sequential study: how many seeds it may use, and when it looks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal

from pydantic import Field

from service.errors import FieldError
from service.http.bodies import BodyModel
from service.statistics.design import FIRST_LOOK, STEP, Design

MAX_SEED = 2**53 - 1
MAX_SEEDS = 10_000
POINTER = "/seeds"


class Schedule(BodyModel):
    """Seeds that the server adds look by look until every arm is decided."""

    max: int = Field(ge=1, le=MAX_SEEDS, description="Number of seeds at which the study ends at the latest.")
    first: int = Field(default=FIRST_LOOK, ge=1, le=MAX_SEEDS, description="Number of seeds at the first look.")
    step: int = Field(default=STEP, ge=1, le=MAX_SEEDS, description="Seeds from one look to the next.")
    vary: list[Literal["seed", "split"]] = Field(
        default=["seed"],
        min_length=1,
        max_length=2,
        description="What differs between replicates: the seed, or with [seed, split] the split of the data too.",
    )
    start: int = Field(default=0, ge=0, le=MAX_SEED, description="The first seed; the others follow it.")

    def errors(self) -> Iterator[FieldError]:
        """Yield what is wrong with the schedule."""
        if self.max < self.first:
            message = (
                f"At most {self.max} seeds are fewer than the {self.first} of the first look. Raise max, or lower "
            )
            yield FieldError(f"{POINTER}/max", "max_below_first", message + "first.")
        if self.vary != ["seed"] and set(self.vary) != {"seed", "split"}:
            message = "Replicates of a sequential study vary the seed: use ['seed'] or ['seed', 'split']."
            yield FieldError(f"{POINTER}/vary", "seed_not_varied", message)
        if self.start + self.max - 1 > MAX_SEED:
            message = f"There are fewer than {self.max} seeds from {self.start} on. Lower start."
            yield FieldError(f"{POINTER}/start", "no_seeds_left", message)

    def seeds(self, n: int) -> list[int]:
        """Return the first ``n`` seeds."""
        return list(range(self.start, self.start + n))

    def design(self, alpha: float) -> Design:
        """Return the statistical design at level ``alpha``."""
        return Design(max_seeds=self.max, first=self.first, step=self.step, alpha=alpha)

    @property
    def split_follows_seed(self) -> bool:
        """Whether a run's split_seed equals its seed."""
        return "split" in self.vary

    @property
    def largest_step(self) -> int:
        """The most seeds that a look adds."""
        return max(self.first, min(self.step, self.max - self.first))


def schedule_of(request: Mapping[str, Any]) -> Schedule | None:
    """Return the schedule of a study's stored request; None if its seeds are fixed."""
    seeds = request.get("seeds")
    return Schedule.model_validate(seeds) if isinstance(seeds, Mapping) else None
