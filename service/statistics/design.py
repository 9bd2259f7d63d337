"""The plan of a sequential study: when its data are analyzed, and how much of α each look may spend.

Testing at α after every few seeds and stopping at the first significant result errs more often than α. A sequential
study plans its looks and divides α among them: by the look at n of N seeds, at most α·n/N is spent.

Reference: Lan and DeMets, 1983, "Discrete sequential boundaries for clinical trials" (spending); Jennison and Turnbull,
2000, "Group sequential methods with applications to clinical trials".
"""

from __future__ import annotations

from dataclasses import dataclass

FIRST_LOOK = 8
STEP = 4


@dataclass(frozen=True)
class Design:
    """When a study that may stop early is analyzed.

    Raises:
        ValueError: A number is out of range.
    """

    max_seeds: int
    first: int = FIRST_LOOK
    """Number of seeds at the first look."""
    step: int = STEP
    """Seeds from one look to the next."""
    alpha: float = 0.05
    """Probability that any verdict of the study is wrong if no arm differs."""

    def __post_init__(self) -> None:
        if self.first < 1 or self.step < 1:
            raise ValueError(f"First look {self.first} and step {self.step} must be at least 1.")
        if self.max_seeds < self.first:
            raise ValueError(f"At most {self.max_seeds} seeds are fewer than the {self.first} of the first look.")
        if not 0 < self.alpha < 1:
            raise ValueError(f"Alpha {self.alpha} must be between 0 and 1.")

    @property
    def looks(self) -> tuple[int, ...]:
        """Numbers of seeds at which the data are analyzed; the last is ``max_seeds`` even if the step does not fit."""
        return (*range(self.first, self.max_seeds, self.step), self.max_seeds)

    def spendable(self, seeds: int) -> float:
        """Return the α that may have been spent by the look at this number of seeds."""
        return self.alpha * seeds / self.max_seeds

    @property
    def decisive_from(self) -> int | None:
        """The first look at which a difference can be significant; None if the study can never decide."""
        return next((n for n in self.looks if self.spendable(n) * 2.0 ** (n - 1) >= 1 - 1e-9), None)
