"""The thresholds of the diagnosis; ``diagnosis`` explains each."""

from __future__ import annotations

from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Thresholds:
    """Boundaries between the verdicts."""

    window_share: float = 0.2
    least_window: int = 5
    regret_noises: float = 3.8
    regret_noises_per_correlation: float = 2.0
    correlation_cap: float = 0.8
    settled_share: float = 0.03
    fall_noises: float = 2.0
    fall_share: float = 0.005
    lasting_share: float = 0.4
    share: float = 0.02
    least_epochs: int = 8
    steep_share: float = 0.2
    diverged_over_guessing: float = 2.0
    fits_below_guessing: float = 0.5
    generalizes_below_guessing: float = 0.9
    learned_below_guessing: float = 0.03

    def as_dict(self) -> dict[str, float]:
        """Return the thresholds by name, as responses show them."""
        return asdict(self)

    def window(self, epochs: int) -> int:
        """Return the number of epochs that a smoothed value averages; odd."""
        return max(self.least_window, round(self.window_share * epochs)) | 1


THRESHOLDS = Thresholds()
