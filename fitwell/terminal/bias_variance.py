"""Bias and variance as a table."""

from __future__ import annotations

from rich.markup import escape
from rich.table import Table

from fitwell.bias_variance import StudyBiasVariance

NAMES = {
    "cross_entropy": "cross-entropy",
    "zero_one": "zero-one loss",
    "brier": "Brier score",
    "squared_error": "squared error",
}


def bias_variance_table(result: StudyBiasVariance) -> Table:
    """Return a row for each arm and loss: loss = bias + net variance."""
    title = f"Bias and variance of test losses at the {result.at} epoch"
    table = Table("arm", "runs", "loss", "mean", "bias", "variance", "net variance", title=title)
    for arm in result.arms:
        labels = [escape(arm.arm), str(arm.runs)]
        for name, parts in arm.losses.items():
            bias, variance = (
                _with_error(value, error)
                for value, error in ((parts.bias, parts.bias_std_error), (parts.variance, parts.variance_std_error))
            )
            table.add_row(
                *labels, NAMES.get(name, name), _number(parts.loss), bias, variance, _number(parts.net_variance)
            )
            labels = ["", ""]
    return table


def bias_variance_note(result: StudyBiasVariance) -> str:
    """Return what the figures cover."""
    over = ", ".join(result.generalizes_over)
    note = (
        f"loss = bias + net variance. The variance is that over {over}; ± is a standard error. The bias contains the "
        "noise of the targets."
    )
    counts = {
        "Diverged runs, which do not count": sum(arm.diverged for arm in result.arms),
        "Runs left out, as their predictions do not fit into memory": sum(arm.left_out for arm in result.arms),
        "Runs that were not predicted in time, so repeat the command": result.pending,
    }
    return " ".join([note, *(f"{text}: {count}." for text, count in counts.items() if count)])


def _with_error(value: float, error: float | None) -> str:
    return _number(value) if error is None else f"{_number(value)} ± {error:.2g}"


def _number(value: float) -> str:
    return f"{value:.4g}"
