"""Bias and variance of the predictions of a study's arms."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypedDict

from fitwell.sync_async import View
from fitwell.tabular import Tabular

FIGURES = ("loss", "bias", "bias_std_error", "variance", "variance_std_error", "net_variance")


class BiasVarianceOptions(TypedDict, total=False):
    """Options of bias and variance: ``arm`` lists arms."""

    at: str | None
    arm: Sequence[str]


class LossParts(View):
    """A loss and its parts: loss = bias + net_variance."""

    loss: float
    bias: float
    variance: float
    net_variance: float
    corrected: bool
    bias_std_error: float | None
    variance_std_error: float | None


class ArmBiasVariance(View):
    """Bias and variance of the predictions of an arm, by loss."""

    arm: str
    runs: int
    rows: int
    diverged: int
    unfinished: int
    missing: int
    left_out: int
    pending: int
    losses: dict[str, LossParts]


class StudyBiasVariance(Tabular):
    """Bias and variance of the predictions of a study's arms. Notebooks display them as a table."""

    study_id: str
    at: str
    generalizes_over: list[str]
    complete: bool
    pending: int
    arms: list[ArmBiasVariance]

    def columns(self) -> dict[str, list[Any]]:
        """Return a row for each arm and loss; the column ``of`` names the loss."""
        rows = [(arm, name, parts) for arm in self.arms for name, parts in arm.losses.items()]
        figures = {name: [getattr(parts, name) for _, _, parts in rows] for name in FIGURES}
        return {
            "arm": [arm.arm for arm, _, _ in rows],
            "of": [name for _, name, _ in rows],
            "runs": [arm.runs for arm, _, _ in rows],
            **figures,
        }

    def _caption(self) -> str:
        return f"Bias and variance of test losses ({self.at} epoch)"
