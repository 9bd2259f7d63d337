"""Replicates: repetitions of every arm, in which the seed, the split of the data, or both are varied."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

from pydantic import Field

from service.errors import FieldError, SpecRefused
from service.http.bodies import BodyModel
from service.studies.schedule import schedule_of
from worker.spec.run import RunSpec

MAX_REPLICATES = 10_000
POINTER = "/replicates"
Factor = Literal["seed", "split"]


class Replicates(BodyModel):
    """Repetitions of every arm: ``n`` with ``vary``, or ``seeds`` × ``splits``."""

    n: int | None = Field(
        default=None, le=MAX_REPLICATES, description="Number of replicates; replicate i has seed i and split_seed i."
    )
    vary: list[Factor] = Field(
        default=["seed", "split"],
        min_length=1,
        max_length=2,
        description="What differs between the n replicates: seed, split or both.",
    )
    seeds: int | None = Field(
        default=None,
        le=MAX_REPLICATES,
        description="Instead of n: the number of seeds on every split; with several, shares of variance are estimated.",
    )
    splits: int | None = Field(default=None, le=MAX_REPLICATES, description="Instead of n: the number of splits.")

    @property
    def all_seeds(self) -> list[int]:
        """The seeds of the runs."""
        count = (self.n if "seed" in self.vary else 1) if self.seeds is None else self.seeds
        return list(range(count or 0))

    @property
    def all_splits(self) -> list[int] | None:
        """The splits that each seed is trained on; None if the split does not vary or follows the seed."""
        if self.splits is not None:
            return list(range(self.splits))
        return list(range(self.n or 0)) if "seed" not in self.vary else None

    @property
    def split_follows_seed(self) -> bool:
        """Whether a run's split_seed equals its seed."""
        return self.splits is None and set(self.vary) == {"seed", "split"}

    def errors(self) -> Iterator[FieldError]:
        """Yield what is wrong with the design."""
        crossed = self.seeds is not None or self.splits is not None
        if crossed == (self.n is not None):
            message = "Send 'n' (with 'vary'), or both 'seeds' and 'splits' for a crossed design."
            yield FieldError(POINTER, "replicates_or_crossed", message)
        elif self.n is not None and self.n < 2:
            message = f"n = {self.n} allows no comparison. Use at least 2; 6 are the fewest that can decide."
            yield FieldError(f"{POINTER}/n", "too_few_replicates", message)
        elif crossed and (self.seeds is None or self.splits is None or min(self.seeds, self.splits) < 2):
            message = "A crossed design has at least 2 seeds and 2 splits. To vary one of them, use 'n' and 'vary'."
            yield FieldError(POINTER, "too_few_replicates", message)
        if len(set(self.vary)) < len(self.vary):
            yield FieldError(f"{POINTER}/vary", "factor_twice", "The list names a factor twice.")
        elif crossed and "vary" in self.model_fields_set and set(self.vary) != {"seed", "split"}:
            message = "A crossed design varies seed and split; leave 'vary' out."
            yield FieldError(f"{POINTER}/vary", "replicates_or_crossed", message)


def check_split_varies(arm: str, spec: RunSpec) -> None:
    """Refuse an arm in which the split cannot be varied.

    Raises:
        SpecRefused: Every split has the same rows, or a teacher or the run to start from has seen rows of other splits.
    """
    reason = spec.dataset.fixed_split
    if reason is None and spec.teachers:
        reason = (
            "Its teachers trained on one split, so they know rows that other splits hold out. Use seeds instead, or "
            "replicates that vary only the seed."
        )
    start = spec.warm_start
    if reason is None and start is not None and start.spec is not None and not start.paired:
        reason = (
            "The run that it starts from trained on one split, so it knows rows that other splits hold out. Leave the "
            "seed out of its spec, so that it has the seed and the split of each run."
        )
    if reason is not None:
        raise SpecRefused.at(POINTER, "split_not_variable", f"The split of arm {arm!r} cannot be varied. {reason}")


def replicates_of(request: Mapping[str, Any]) -> Replicates | None:
    """Return the replicates of a study's stored request, or of its search if it is tuned; None if it has seeds."""
    if (tune := request.get("tune")) is not None:
        return Replicates(n=tune["search"]["replicates"], vary=tune["confirm"]["vary"])
    stored = request.get("replicates")
    return None if stored is None else Replicates.model_validate(stored)


def generalizes_over(request: Mapping[str, Any]) -> Sequence[Factor]:
    """Return the sources of variation that the replicates of a study with this request differ in."""
    replicates, schedule = replicates_of(request), schedule_of(request)
    if schedule is not None:
        return ["seed", "split"] if schedule.split_follows_seed else ["seed"]
    if replicates is None:
        return ["seed"]
    if replicates.all_splits is not None:
        return ["split"]
    return ["seed", "split"] if replicates.split_follows_seed else ["seed"]


def replicate_numbers(request: Mapping[str, Any], seeds: Sequence[int]) -> Sequence[int]:
    """Return the numbers of a study's replicates: its splits if it varies them alone or each has ``seeds``."""
    replicates = replicates_of(request)
    return seeds if replicates is None or replicates.all_splits is None else replicates.all_splits


def runs_per_arm(request: Mapping[str, Any], seeds: Sequence[int]) -> int:
    """Return the number of an arm's runs in a study with this request and these seeds."""
    replicates = replicates_of(request)
    splits = 1 if replicates is None or replicates.all_splits is None else len(replicates.all_splits)
    return len(seeds) * splits * (request.get("folds") or 1)
